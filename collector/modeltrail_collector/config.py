"""The few settings of the collector, each with where it came from.

A collector reads the topic that the emitters write to, so it is found where they find it: an option of the
command line, else `MODELTRAIL_BOOTSTRAP_SERVERS`, `MODELTRAIL_TOPIC`, `MODELTRAIL_GROUP`, else OpenLineage's
own configuration (`OPENLINEAGE_CONFIG`, `./openlineage.yml`, `~/.openlineage/openlineage.yml`, or
`OPENLINEAGE__TRANSPORT__…`) when its transport is a Kafka one; TLS and SASL settings come from there.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from modeltrail_collector.errors import ConfigError

DEFAULT_TOPIC = "openlineage.events"
DEFAULT_GROUP = "modeltrail"
ENV_PREFIX = "OPENLINEAGE__TRANSPORT__"
KAFKA_TYPES = ("kafka", "modeltrail.KafkaTransport", "modeltrail.transports.openlineage.KafkaTransport")

# Names of librdkafka and Java that kafka-python calls differently.
_RENAMED = {
    "sasl.mechanisms": "sasl_mechanism",
    "sasl.username": "sasl_plain_username",
    "sasl.password": "sasl_plain_password",
    "ssl.ca.location": "ssl_cafile",
    "ssl.certificate.location": "ssl_certfile",
    "ssl.key.location": "ssl_keyfile",
    "ssl.key.password": "ssl_password",
}
# What producer and consumer have in common; the rest of a transport's `config` is for producers.
_SHARED = ("client_id", "security_protocol", "ssl_check_hostname", "ssl_crlfile", *_RENAMED.values())


class Setting(msgspec.Struct, frozen=True):
    """A value and where it came from: an option, a variable, a file, or "default"."""

    value: str
    origin: str


class KafkaConfig(msgspec.Struct, frozen=True):
    """Where the topic is; `options` are kafka-python's for TLS and SASL."""

    bootstrap_servers: Setting
    topic: Setting
    group: Setting
    options: Mapping[str, Any]


def kafka_config(
    bootstrap_servers: str | None = None, topic: str | None = None, group: str | None = None
) -> KafkaConfig:
    """Find the topic to collect; what is given wins.

    Raises:
        ConfigError: No broker is configured, or the OpenLineage configuration cannot be read.
    """
    transport, origin = _transport()
    config = _named_as_kafka_python(transport.get("config") or {})
    servers = (
        _given("--bootstrap-servers", bootstrap_servers)
        or _environment("MODELTRAIL_BOOTSTRAP_SERVERS")
        or _found(config.get("bootstrap_servers"), origin)
    )
    if servers is None:
        raise ConfigError(
            "no Kafka broker is configured: give --bootstrap-servers HOST:PORT, set "
            "MODELTRAIL_BOOTSTRAP_SERVERS, or configure a Kafka transport in openlineage.yml. "
            "Without Kafka nothing has to be collected: `modeltrail compact` takes the local inbox in"
        )
    return KafkaConfig(
        servers,
        _given("--topic", topic)
        or _environment("MODELTRAIL_TOPIC")
        or _found(transport.get("topic"), origin)
        or Setting(DEFAULT_TOPIC, "default"),
        _given("--group", group) or _environment("MODELTRAIL_GROUP") or Setting(DEFAULT_GROUP, "default"),
        {name: value for name, value in config.items() if name in _SHARED},
    )


def _given(option: str, value: str | None) -> Setting | None:
    return Setting(value, option) if value else None


def _environment(name: str) -> Setting | None:
    value = os.environ.get(name, "").strip()
    return Setting(value, name) if value else None


def _found(value: object, origin: str) -> Setting | None:
    if not value:
        return None
    return Setting(",".join(value) if isinstance(value, list) else str(value), origin)


def _named_as_kafka_python(config: Mapping[str, Any]) -> dict[str, Any]:
    named = {_RENAMED.get(name, name.replace(".", "_")): value for name, value in config.items()}
    for name in ("security_protocol", "sasl_mechanism"):  # librdkafka takes them in any case
        if isinstance(named.get(name), str):
            named[name] = named[name].upper()
    return named


def _transport() -> tuple[dict[str, Any], str]:
    """The transport of the OpenLineage configuration if it is a Kafka one, and where it was found."""
    merged: dict[str, Any] = _from_environment()
    origin = f"{ENV_PREFIX}…"
    file = _config_file()
    if file is not None and (found := _from_file(file)):
        config = {**(merged.get("config") or {}), **(found.get("config") or {})}
        merged = {**merged, **found, "config": config}
        origin = str(file)
    return (merged, origin) if merged.get("type") in KAFKA_TYPES else ({}, origin)


def _config_file() -> Path | None:
    places = (
        *([Path(os.environ["OPENLINEAGE_CONFIG"])] if os.environ.get("OPENLINEAGE_CONFIG") else []),
        Path("openlineage.yml"),
        Path.home() / ".openlineage" / "openlineage.yml",
    )
    return next((place for place in places if place.is_file()), None)


def _from_file(path: Path) -> dict[str, Any]:
    import yaml  # comes with openlineage-python, which reads the same file

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    transport = content.get("transport") if isinstance(content, dict) else None
    return transport if isinstance(transport, dict) else {}


def _from_environment() -> dict[str, Any]:
    """`OPENLINEAGE__TRANSPORT__CONFIG` is JSON: the dots of its keys have no place in a variable's name."""
    found: dict[str, Any] = {}
    for name, text in os.environ.items():
        if name.startswith(ENV_PREFIX):
            try:
                value = json.loads(text)
            except ValueError:
                value = text
            found[name.removeprefix(ENV_PREFIX).lower()] = value
    return found if isinstance(found.get("config", {}), dict) else {}
