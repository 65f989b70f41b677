"""What a Kafka transport can be told, and in which spellings."""

from pathlib import Path

import pytest

from modeltrail import settings, testing
from modeltrail.errors import ConfigError
from modeltrail.transports.kafka_options import KafkaOptions

BROKER = {"bootstrap.servers": "127.0.0.1:9092"}


@pytest.fixture(autouse=True)
def fresh():
    testing.reset()
    yield
    testing.reset()


def options(**transport):
    return KafkaOptions.from_dict({"config": BROKER} | transport, settings.current())


def test_the_stock_shape():
    """The keys of OpenLineage's own kafka transport mean the same here."""
    found = options(type="modeltrail.KafkaTransport", topic="t", messageKey="k", flush=True)
    assert ("t", b"k", {"bootstrap_servers": "127.0.0.1:9092"}) == (
        found.topic,
        found.message_key,
        found.producer,
    )


def test_defaults(tmp_path):
    """Only brokers are required: topic openlineage.events, failures to the spool, a wait of 8 s."""
    found = options()
    assert ("openlineage.events", "spool", 8.0) == (found.topic, found.on_failure, found.timeout)
    assert tmp_path / "spool" == found.spool.parent
    assert "sync" == found.delivery
    assert 4_000_000 == found.max_event_bytes


@pytest.mark.parametrize(
    "spelling",
    [
        {"message_key": "k", "on_failure": "raise", "max_event_bytes": 5},
        {"messageKey": "k", "onFailure": "raise", "maxEventBytes": 5},
        {"messagekey": "k", "onfailure": "raise", "maxeventbytes": 5},
    ],
)
def test_spellings(spelling):
    """Keys are taken in snake_case, in camelCase and lower-cased as the environment gives them."""
    found = options(**spelling)
    assert (b"k", "raise", 5) == (found.message_key, found.on_failure, found.max_event_bytes)


def test_stray_keys_are_tolerated(caplog):
    """Keys of the client and of other transports are ignored in silence, unknown ones with a word."""
    options(type="x", name="n", priority=1, transports={"default_http": {"type": "http"}})
    assert "" == caplog.text
    options(on_failur="raise")
    assert "'onfailur'" in caplog.text


def test_dotted_names_become_kafka_pythons(caplog):
    """Security settings of librdkafka reach kafka-python by its own names and spelling."""
    found = options(
        config=BROKER
        | {
            "security.protocol": "sasl_ssl",
            "sasl.mechanisms": "scram-sha-512",
            "sasl.username": "alice",
            "sasl.password": "secret",
            "ssl.ca.location": "ca.pem",
            "ssl.certificate.location": "client.crt",
            "ssl.key.location": "client.key",
            "ssl.endpoint.identification.algorithm": "none",
            "compression.type": "none",
            "client.id": "me",
            "acks": "1",
            "message.timeout.ms": 300_000,
        }
    )
    assert found.producer == {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "alice",
        "sasl_plain_password": "secret",
        "ssl_cafile": "ca.pem",
        "ssl_certfile": "client.crt",
        "ssl_keyfile": "client.key",
        "ssl_check_hostname": False,
        "client_id": "me",
    }
    assert "" == caplog.text


def test_names_that_nobody_knows_are_said_once(caplog):
    """A librdkafka name without a counterpart is warned of once and ignored."""
    for _ in range(2):
        options(config=BROKER | {"ssl.cipher.suites": "x"})
    assert ["kafka-python has no setting like 'ssl_cipher_suites'; it is ignored"] == caplog.messages


@pytest.mark.parametrize(
    "config",
    [{"bootstrap": {"servers": "b:1"}}, {"bootstrap_servers": "b:1"}, {"metadata.broker.list": "b:1"}],
)
def test_the_brokers_have_several_names(config):
    """Brokers are found dotted, nested (as the environment gives them) and by other clients names."""
    assert "b:1" == options(config=config).producer["bootstrap_servers"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"delivery": "fast"}, "supports: sync, async"),
        ({"fsync_interval": -1}, "above 0"),
        ({"fsync_interval": False}, "above 0"),
        ({"spool_max_bytes": 0}, "above 0"),
        ({"on_failure": "drop"}, "supports: spool, raise"),
        ({"timeout": 0}, "above 0"),
        ({"timeout": "8s"}, "above 0"),
        ({"topic": ""}, "`topic`"),
        ({"topic": 7}, "`topic`"),
        ({"config": None}, "bootstrap.servers"),
        ({"config": {"acks": "all"}}, "bootstrap.servers"),
        ({"spool": 3}, "`spool`"),
    ],
)
def test_what_cannot_be_used_is_a_config_error(bad, message):
    """A value that cannot be used is a ConfigError that names the key and what to write."""
    with pytest.raises(ConfigError, match=message):
        options(**bad)


def test_a_relative_spool_is_absolute():
    """A relative spool directory is resolved where the program was launched."""
    assert Path.cwd() / "waiting" == options(spool="waiting").spool.parent


def test_each_destination_has_a_spool_of_its_own():
    """What waits for one topic must not end up in another; the order in which brokers are named is one."""
    brokers = [{"bootstrap.servers": text} for text in ("a:1,b:2", "b:2, a:1", "b:2")]
    found = [options(config=each).spool for each in brokers] + [options(config=brokers[2], topic="t").spool]
    assert found[0] == found[1]
    assert 3 == len(set(found))
    assert found[3].name.startswith("kafka-t-b_2-")


def test_delivery_in_the_background():
    """`delivery: async` has a window of a second and a gigabyte of room; both can be said."""
    found = options(delivery="async")
    assert ("async", 1.0, 1 << 30) == (found.delivery, found.fsync_interval, found.spool_max_bytes)
    found = options(delivery="async", fsyncInterval=0, spoolMaxBytes=5)
    assert (0.0, 5) == (found.fsync_interval, found.spool_max_bytes)
