"""The few settings of the collector, each with where it came from.

A collector reads the topic that the emitters write to, so it is found where they find it: an option of the
command line, else `MODELTRAIL_BOOTSTRAP_SERVERS`, `MODELTRAIL_TOPIC`, `MODELTRAIL_GROUP`, else OpenLineage's
own configuration (`OPENLINEAGE_CONFIG`, `./openlineage.yml`, `~/.openlineage/openlineage.yml`, or
`OPENLINEAGE__TRANSPORT__…`) when its transport is a Kafka one; TLS and SASL settings come from there.
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from modeltrail_collector.errors import ConfigError
from modeltrail_schemas.connect import settings

_logger = logging.getLogger(__name__)

DEFAULT_TOPIC = "openlineage.events"
DEFAULT_GROUP = "modeltrail"
ENV_PREFIX = "OPENLINEAGE__TRANSPORT__"
KAFKA_TYPES = ("kafka", "modeltrail.KafkaTransport", "modeltrail.transports.openlineage.KafkaTransport")
# `group.instance.id` (it comes back after a restart without a rebalance; each collector has its own), and how
# a group divides its partitions.
_OF_A_MEMBER = ("group_instance_id", "partition_assignment_strategy")


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
    config = _config(transport)
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
        _options(config, origin),
    )


def _options(config: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """What producer and consumer have in common, and what a member of a group can choose.

    The rest of a transport's `config` is for producers.

    Raises:
        ConfigError: The security settings cannot work.
    """
    wanted = {*settings.SECURITY, "client_id", *_OF_A_MEMBER}
    found = {name: value for name, value in config.items() if name in wanted}
    for name in sorted(config.keys() - found.keys()):
        if name.startswith(("ssl_", "sasl_", "enable_ssl_")):
            _logger.warning("%s: kafka-python has no setting like %s; it is ignored", origin, name)
    if problem := settings.problem(found) or settings.unreadable(found):
        raise ConfigError(f"{origin}: {problem}")
    return found


def _given(option: str, value: str | None) -> Setting | None:
    return Setting(value, option) if value else None


def _environment(name: str) -> Setting | None:
    value = os.environ.get(name, "").strip()
    return Setting(value, name) if value else None


def _found(value: object, origin: str) -> Setting | None:
    if not value:
        return None
    return Setting(",".join(value) if isinstance(value, list) else str(value), origin)


def _transport() -> tuple[dict[str, Any], str]:
    """The transport of the OpenLineage configuration if it is a Kafka one, and where it was found."""
    merged: dict[str, Any] = _from_environment()
    origin = f"{ENV_PREFIX}…"
    file = _config_file()
    if file is not None and (found := _from_file(file)):
        config = {**_config(merged), **_config(found)}
        merged = {**merged, **found, "config": config}
        origin = str(file)
    return (merged, origin) if merged.get("type") in KAFKA_TYPES else ({}, origin)


def _config(transport: Mapping[str, Any]) -> dict[str, Any]:
    found = transport.get("config") or {}
    return settings.named(found) if isinstance(found, dict) else {}


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
    except yaml.MarkedYAMLError as error:  # its text quotes the file, which may hold passwords
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path} cannot be read: line {line}: {error.problem}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {type(error).__name__}") from None
    transport = content.get("transport") if isinstance(content, dict) else None
    return transport if isinstance(transport, dict) else {}


def _from_environment() -> dict[str, Any]:
    """`…CONFIG` is JSON, as its keys have dots, which no name can; `…CONFIG__SASL__PASSWORD` is one key."""
    found: dict[str, Any] = {}
    for name, text in sorted(os.environ.items()):  # so that …CONFIG comes before what it is added to
        if name.startswith(ENV_PREFIX):
            first, *rest = name.removeprefix(ENV_PREFIX).lower().split("__")
            if not rest:
                found[first] = _from_json(text)
            elif isinstance(found.setdefault(first, {}), dict):
                found[first][".".join(rest)] = text
    return found if isinstance(found.get("config", {}), dict) else {}


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
