"""Where the collector finds the topic: options, then variables, then OpenLineage's own configuration."""

from pathlib import Path

import pytest

from modeltrail_collector.config import DEFAULT_TOPIC, kafka_config
from modeltrail_collector.errors import ConfigError

OPENLINEAGE = """
transport:
  type: {type}
  topic: from.file
  config:
    bootstrap.servers: file:9092
    security.protocol: sasl_ssl
    sasl.mechanisms: plain
    sasl.username: alice
    sasl.password: secret
    ssl.ca.location: ca.pem
    acks: all
    linger.ms: 5
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working and a home directory without any configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def test_without_a_broker_one_learns_what_to_write() -> None:
    """No broker anywhere is a configuration error that names the three ways, and the one without Kafka."""
    with pytest.raises(ConfigError, match=r"--bootstrap-servers .*MODELTRAIL_BOOTSTRAP_SERVERS.*compact"):
        kafka_config()


def test_an_option_is_enough() -> None:
    """With a broker given, topic and group have defaults, and each says where it came from."""
    config = kafka_config("a:1")
    assert ("a:1", "--bootstrap-servers") == (config.bootstrap_servers.value, config.bootstrap_servers.origin)
    assert (DEFAULT_TOPIC, "default") == (config.topic.value, config.topic.origin)
    assert ("modeltrail", "default") == (config.group.value, config.group.origin)
    assert {} == config.options


@pytest.mark.parametrize("kind", ["kafka", "modeltrail.KafkaTransport"])
def test_the_emitters_configuration_is_used(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A Kafka transport of the OpenLineage configuration gives broker, topic, TLS and SASL."""
    (elsewhere / "openlineage.yml").write_text(OPENLINEAGE.format(type=kind))
    (elsewhere / "ca.pem").touch()
    config = kafka_config()
    assert ("file:9092", "openlineage.yml") == (
        config.bootstrap_servers.value,
        config.bootstrap_servers.origin,
    )
    assert "from.file" == config.topic.value
    assert {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "alice",
        "sasl_plain_password": "secret",
        "ssl_cafile": "ca.pem",
    } == config.options
    monkeypatch.setenv("MODELTRAIL_TOPIC", "from.variable")
    monkeypatch.setenv("MODELTRAIL_BOOTSTRAP_SERVERS", "variable:1")
    config = kafka_config(topic="given")
    assert ("given", "variable:1") == (config.topic.value, config.bootstrap_servers.value)


def test_another_transport_is_not_ours(elsewhere: Path) -> None:
    """An HTTP transport says nothing about a broker."""
    (elsewhere / "openlineage.yml").write_text("transport: {type: http, url: 'http://localhost'}")
    with pytest.raises(ConfigError, match="no Kafka broker"):
        kafka_config()


def test_the_variables_of_openlineage_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPENLINEAGE__TRANSPORT__… configures the collector as it does the emitters."""
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "kafka")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TOPIC", "events")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__CONFIG", '{"bootstrap.servers": "env:9092"}')
    config = kafka_config()
    assert ("env:9092", "events") == (config.bootstrap_servers.value, config.topic.value)


def test_a_broken_file_is_named(elsewhere: Path) -> None:
    """A configuration that is no YAML is an error with its path."""
    (elsewhere / "openlineage.yml").write_text("transport: [")
    with pytest.raises(ConfigError, match=r"openlineage\.yml cannot be read"):
        kafka_config("a:1")
