"""TLS, mTLS and each SASL mechanism on a real broker: one configuration for emitter and collector alike."""

import json
import os
import subprocess
import sys
import threading
import time
import uuid

import pytest
import yaml
from kafka_broker import create_topic
from security.identity import CLIENTS
from security.secured import PASSWORDS

from modeltrail import settings
from modeltrail.errors import DeliveryError
from modeltrail.transports.kafka import KafkaSender
from modeltrail.transports.kafka_options import KafkaOptions
from modeltrail_collector.config import kafka_config
from modeltrail_collector.errors import ConfigError, Unavailable
from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import Log
from modeltrail_collector.pump import Pump
from modeltrail_collector.testing import MemoryStore
from modeltrail_schemas.connect import tokens

pytestmark = pytest.mark.kafka

EVENT = {
    "eventType": "COMPLETE",
    "eventTime": "2026-01-01T00:00:00Z",
    "producer": "https://a.example/b",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": "0194c5a0-0000-7000-8000-000000000001"},
    "job": {"namespace": "a", "name": "b"},
}
SECRETS = [*PASSWORDS.values(), *CLIENTS.values(), "wrong-password-55"]
COMMAND = [sys.executable, "-W", "ignore", "-c", "from modeltrail.cli import main; main()"]


def login(mechanism: str, user: str = "alice", password: str | None = None) -> dict[str, str]:
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": mechanism,
        "sasl.username": user,
        "sasl.password": PASSWORDS[user] if password is None else password,
    }


def oauth(secured, **more: str) -> dict[str, str]:
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.token.endpoint.url": f"{secured.provider.url}/token",
        "sasl.oauthbearer.client.id": "trail",
        "sasl.oauthbearer.client.secret": CLIENTS["trail"],
        "sasl.oauthbearer.scope": "kafka",
    } | {name.replace("_", "."): value for name, value in more.items()}


def tls(secured, **more: str) -> dict[str, str]:
    return {"security.protocol": "SSL", "ssl.ca.location": secured.file("ca.pem")} | {
        name.replace("_", "."): secured.file(value) for name, value in more.items()
    }


def own_token() -> str:
    """What a user's own function for tokens looks like."""
    return os.environ["TEST_TOKEN"]


GOOD = {
    "TLS": lambda it: ("TLS", tls(it)),
    "mTLS": lambda it: (
        "MTLS",
        tls(it, ssl_certificate_location="client.pem", ssl_key_location="client.key"),
    ),
    "PLAIN": lambda it: ("SASLP", login("PLAIN")),
    "SCRAM-SHA-256": lambda it: ("SASLP", login("SCRAM-SHA-256")),
    "SCRAM-SHA-512": lambda it: ("ONLYSCRAM", login("SCRAM-SHA-512")),
    "OAUTHBEARER": lambda it: ("SASLP", oauth(it)),
    "OAUTHBEARER by a function": lambda it: (
        "SASLP",
        {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "OAUTHBEARER",
            "sasl_oauth_token_provider": "security.test_listeners:own_token",
        },
    ),
    "PLAIN over TLS": lambda it: (
        "SASLS",
        tls(it) | login("PLAIN") | {"security.protocol": "sasl_ssl"},
    ),
    "SCRAM over TLS": lambda it: (
        "SASLS",
        tls(it) | login("SCRAM-SHA-512") | {"security.protocol": "SASL_SSL"},
    ),
    "OAUTHBEARER over TLS": lambda it: ("SASLS", tls(it) | oauth(it) | {"security.protocol": "SASL_SSL"}),
}

REFUSED = {
    "a wrong password": (
        lambda it: ("SASLP", login("PLAIN", password="wrong-password-55")),
        r"Invalid username or password — user name or password is wrong \(sasl.username is 'alice'\)",
    ),
    "a wrong password by SCRAM-SHA-256": (
        lambda it: ("SASLP", login("SCRAM-SHA-256", password="wrong-password-55")),
        "SCRAM-SHA-256 — user name or password is wrong",
    ),
    "a wrong password by SCRAM-SHA-512": (
        lambda it: ("SASLS", tls(it) | login("SCRAM-SHA-512", password="wrong-password-55")
                    | {"security.protocol": "SASL_SSL"}),
        "SCRAM-SHA-512 — user name or password is wrong",
    ),
    "a mechanism that is not offered": (
        lambda it: ("ONLYSCRAM", login("PLAIN")),
        r"does not offer this SASL mechanism \(PLAIN\)",
    ),
    "another secret at the token endpoint": (
        lambda it: ("SASLP", oauth(it, sasl_oauthbearer_client_secret="wrong-password-55")),
        r"no token for client 'trail' from http.*HTTP 401 \(invalid_client, no such client",
    ),
    "no token endpoint": (
        lambda it: (
            "SASLP",
            oauth(it, sasl_oauthbearer_token_endpoint_url="http://127.0.0.1:1/token"),
        ),
        "no token for client 'trail' from http://127.0.0.1:1/token: .*refused",
    ),
    "no CA": (lambda it: ("TLS", {"security.protocol": "SSL"}), "not signed by a CA known here"),
    "a wrong CA": (
        lambda it: ("TLS", tls(it) | {"ssl.ca.location": it.file("stranger.pem")}),
        "not signed by a CA known here",
    ),
    "an expired certificate": (lambda it: ("EXPIRED", tls(it)), "certificate has expired"),
    "a certificate for another host": (
        lambda it: ("ELSEWHERE", tls(it)),
        "certificate is not valid for '127.0.0.1'.*is for another name",
    ),
    "no client certificate": (lambda it: ("MTLS", tls(it)), "wants a client certificate"),
    "a client certificate of another CA": (
        lambda it: ("MTLS", tls(it, ssl_certificate_location="foreign-client.pem",
                                ssl_key_location="foreign-client.key")),
        "does not accept our certificate",
    ),
    "a key of another certificate": (
        lambda it: ("MTLS", tls(it, ssl_certificate_location="client.pem", ssl_key_location="ca.key")),
        "check ssl.ca.location, ssl.certificate.location, ssl.key.location",
    ),
    "plaintext to a TLS port": (
        lambda it: ("TLS", {}),
        "speaks TLS, but security.protocol is PLAINTEXT: write SSL",
    ),
    "SASL without TLS to a TLS port": (
        lambda it: ("SASLS", login("PLAIN")),
        "speaks TLS, but security.protocol is SASL_PLAINTEXT: write SASL_SSL",
    ),
    "TLS to a plaintext port": (
        lambda it: ("PLAINTEXT", tls(it)),
        "does not speak TLS, but security.protocol is SSL",
    ),
    "SASL to a plaintext port": (
        lambda it: ("PLAINTEXT", login("PLAIN")),
        "takes no SASL, but security.protocol is SASL_PLAINTEXT",
    ),
    "plaintext to a SASL port": (
        lambda it: ("SASLP", {}),
        "hung up: does this listener speak security.protocol PLAINTEXT",
    ),
    "TLS alone to a SASL port": (
        lambda it: ("SASLS", tls(it)),
        "hung up: does this listener speak security.protocol SSL",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def topic(secured) -> str:
    return create_topic(secured.broker.bootstrap_servers)


@pytest.fixture
def configured(secured, topic, tmp_path, monkeypatch):
    """Writes an openlineage.yml for a listener and settings, which both sides read; gives its transport."""

    def configure(listener, config):
        transport = {
            "type": "modeltrail.KafkaTransport",
            "topic": topic,
            "timeout": 5,
            "on_failure": "raise",
            "config": {"bootstrap.servers": secured.servers(listener), **config},
        }
        path = tmp_path / "openlineage.yml"
        path.write_text(yaml.safe_dump({"transport": transport}))
        monkeypatch.setenv("OPENLINEAGE_CONFIG", str(path))
        return transport

    return configure


def emit(transport, value: bytes) -> None:
    sender = KafkaSender(KafkaOptions.from_dict(transport, settings.current()))
    try:
        sender.send(None, value)
    finally:
        sender.close(5)


def source(share=(0, 1), group=None) -> KafkaSource:
    """A source by the configuration that is there."""
    found = kafka_config()
    name = group or f"group-{uuid.uuid4()}"
    connection = Connection(found.bootstrap_servers.value, found.topic.value, name, found.options)
    return KafkaSource(connection, share)


def collected() -> list[bytes | None]:
    log, reader = Log(MemoryStore()), source()
    try:
        pump = Pump(reader, log, until_end=True)
        while not pump.done:
            pump.turn()
    finally:
        reader.close()
    return [entry.value for p in log.partitions() for s in log.segments(p) for entry in log.read(s)]


@pytest.mark.parametrize("how", GOOD)
def test_one_configuration_connects_both_sides(secured, configured, monkeypatch, how):
    """Over TLS, mTLS and each SASL mechanism one openlineage.yml serves emitter and collector."""
    monkeypatch.setenv("TEST_TOKEN", secured.provider.token("trail"))
    transport = configured(*GOOD[how](secured))
    value = json.dumps(EVENT | {"how": how}).encode()
    emit(transport, value)
    assert value in collected()


@pytest.mark.parametrize("what", REFUSED)
def test_each_refusal_is_told_by_its_cause(secured, configured, caplog, what):
    """Both sides name the real cause of a refusal, at once, leave no thread, and print no secret."""
    caplog.set_level("DEBUG", logger="modeltrail")
    caplog.set_level("DEBUG", logger="modeltrail_collector")
    case, cause = REFUSED[what]
    transport = configured(*case(secured))
    threads = set(threading.enumerate())
    with pytest.raises(Unavailable, match=cause) as refused:
        source()
    assert set() == set(threading.enumerate()) - threads
    with pytest.raises(DeliveryError, match=cause) as undelivered:
        emit(transport, b"{}")
    told = f"{refused.value}{undelivered.value}{caplog.text}"
    assert not [secret for secret in SECRETS if secret in told]


def test_a_token_that_has_ended_is_told(secured, configured, monkeypatch):
    """The broker's word on an expired or foreign token is in the message, the token is not."""
    provider = secured.provider
    monkeypatch.setattr(provider, "lifetime", -60)
    for token in (provider.token("trail"), provider.token("trail", audience="another")):
        monkeypatch.setenv("TEST_TOKEN", token)
        transport = configured(*GOOD["OAUTHBEARER by a function"](secured))
        with pytest.raises(Unavailable, match="the broker does not take the token") as refused:
            source()
        with pytest.raises(DeliveryError, match="the broker does not take the token") as undelivered:
            emit(transport, b"{}")
        assert token not in f"{refused.value}{undelivered.value}"
        monkeypatch.setattr(provider, "lifetime", 60)


def test_nothing_listening_and_an_unknown_host_are_told(configured, monkeypatch):
    """A port where nothing listens and a name that nobody knows are two different messages."""
    monkeypatch.setattr("modeltrail_collector.intake.kafka.CLIENT_SETTINGS", {"bootstrap_timeout_ms": 1000})
    transport = configured("TLS", {})
    for servers, cause in (
        ("127.0.0.1:1", "nothing listens there"),
        ("no-such-host.invalid:9092", "the host name is unknown"),
    ):
        monkeypatch.setenv("MODELTRAIL_BOOTSTRAP_SERVERS", servers)
        with pytest.raises(Unavailable, match=cause):
            source()
        transport["config"]["bootstrap.servers"] = servers
        with pytest.raises(DeliveryError, match=cause):
            emit(transport | {"timeout": 1}, b"{}")


def test_one_good_server_of_two_is_enough(secured, configured, topic):
    """A server that refuses us does not end the start while another takes us."""
    configured("TLS", tls(secured))
    found = kafka_config()
    servers = f"{secured.servers('EXPIRED')},{secured.servers('TLS')}"
    KafkaSource(Connection(servers, topic, "g", found.options), (0, 1)).close()


def test_tokens_are_used_until_they_near_their_end(secured):
    """The endpoint is asked once while a token lives, and again when four fifths of its life are over."""
    asked = len(secured.provider.requests)
    settings_ = {
        "sasl_oauthbearer_token_endpoint_url": f"{secured.provider.url}/token",
        "sasl_oauthbearer_client_id": "trail",
        "sasl_oauthbearer_client_secret": CLIENTS["trail"],
        "sasl_oauthbearer_scope": "kafka",
    }
    token = tokens.source(settings_)
    first = token()
    assert [first, first] == [token(), token()]
    assert [{"grant_type": "client_credentials", "scope": "kafka"}] == secured.provider.requests[asked:]
    secured.provider.lifetime = 0
    try:
        short = tokens.source(settings_)
        short()
        short()
    finally:
        secured.provider.lifetime = 3600
    assert 3 == len(secured.provider.requests) - asked


def test_a_client_secret_travels_only_protected():
    """A token endpoint by plain http on another machine is refused before anything is sent."""
    with pytest.raises(tokens.TokenError, match="write an https:// URL"):
        tokens.source({"sasl_oauthbearer_token_endpoint_url": "http://login.example.org/token"})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"security.protocol": "TLS"}, "write one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ({"security.protocol": "SASL_SSL"}, "sasl.mechanism is None; write one of PLAIN"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "a"},
         "which needs sasl.password too"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"},
         "needs sasl.oauthbearer.token.endpoint.url and sasl.oauthbearer.client.id and"),
        ({"sasl.mechanism": "PLAIN"}, "security.protocol is PLAINTEXT, which uses no SASL"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_told_before_anybody_connects(configured, config, said):
    """A missing or misspelt setting is a configuration error of both sides, which says what to write."""
    transport = configured("TLS", config)
    with pytest.raises(ConfigError, match=said):
        kafka_config()
    with pytest.raises(Exception, match=said):
        KafkaOptions.from_dict(transport, settings.current())


def test_a_file_that_is_not_there_is_told(configured):
    """A CA file that cannot be read is named with its setting."""
    configured("TLS", {"security.protocol": "SSL", "ssl.ca.location": "/no/such.pem"})
    with pytest.raises(ConfigError, match=r"ssl.ca.location is '/no/such.pem', which is no file"):
        kafka_config()


def test_a_broken_file_is_not_quoted(tmp_path, monkeypatch):
    """The message about an openlineage.yml that is no YAML names the line and shows nothing of it."""
    path = tmp_path / "openlineage.yml"
    path.write_text("transport:\n  config:\n    sasl.password: @hush-hush\n")
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(path))
    with pytest.raises(ConfigError, match="line 3") as broken:
        kafka_config()
    assert "hush" not in str(broken.value)


def test_a_secret_can_come_from_the_environment(secured, configured, monkeypatch, topic):
    """`OPENLINEAGE__TRANSPORT__CONFIG__SASL__PASSWORD` beside a file without a password connects."""
    config = login("PLAIN")
    del config["sasl.password"]
    configured("SASLP", config)
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__CONFIG__SASL__PASSWORD", PASSWORDS["alice"])
    source().close()


def test_the_command_collects_over_mutual_tls(secured, configured, tmp_path):
    """`modeltrail collect` over mTLS ends with 0, with a wrong password with 4, and shows no secret."""
    emit(configured(*GOOD["mTLS"](secured)), json.dumps(EVENT).encode())
    command = [*COMMAND, "collect", "--until-end", "--log", str(tmp_path / "log")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert 0 == done.returncode, done.stderr
    configured(*REFUSED["a wrong password"][0](secured))
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert 4 == refused.returncode
    assert "user name or password is wrong" in refused.stderr
    assert not [secret for secret in SECRETS if secret in refused.stdout + refused.stderr]


def test_the_emitter_keeps_secrets_out_of_a_debug_log(secured, configured, caplog):
    """Where a program logs everything, no password or token of ours gets into its log."""
    caplog.set_level("DEBUG")
    for how in ("PLAIN", "OAUTHBEARER"):
        emit(configured(*GOOD[how](secured)), b"{}")
    assert "kafka" in caplog.text
    told = caplog.text
    assert not [secret for secret in SECRETS if secret in told]
    assert "auth=Bearer" not in told
    assert "eyJ" not in told


def test_a_broker_that_is_gone_for_long_is_told(private_broker, caplog, monkeypatch):
    """A running collector that has had no broker for a while says so and why, and goes on."""
    monkeypatch.setattr("modeltrail_collector.intake.cause.PATIENCE_S", 0.5)
    name = create_topic(private_broker.bootstrap_servers)
    reader = KafkaSource(Connection(private_broker.bootstrap_servers, name, "g"), (0, 1))
    try:
        (partition,) = reader.poll(1).assigned
        reader.seek(partition, 0)
        reader.poll(0.2)
        private_broker.stop()
        deadline = time.monotonic() + 60
        while "no connection to Kafka" not in caplog.text:
            assert time.monotonic() < deadline
            reader.poll(0.2)
        assert "nothing listens there" in caplog.text
    finally:
        reader.close()
