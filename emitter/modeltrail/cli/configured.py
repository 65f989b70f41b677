"""Which Kafka the command line talks to: the one that events are configured to go to."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from modeltrail.errors import ConfigError
from modeltrail.settings import Settings
from modeltrail.transports import KAFKA_TYPES
from modeltrail.transports.kafka_options import KafkaOptions

STOCK_KAFKA = "kafka"


def members(transport: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """A transport's configuration; of a composite or transforming one, those of its members."""
    if transport is None:
        return
    inner = transport.get("transports") or transport.get("transport")
    if isinstance(inner, Mapping):
        inner = [inner] if "type" in inner else list(inner.values())
    if transport["type"] in {"composite", "transform"} and isinstance(inner, list):
        for each in inner:
            if isinstance(each, Mapping) and isinstance(each.get("type"), str):
                yield from members(each)
        return
    yield dict(transport)


def is_kafka(transport: Mapping[str, Any]) -> bool:
    """Whether a transport sends to Kafka: ours or the OpenLineage client's own."""
    return transport["type"] in KAFKA_TYPES | {STOCK_KAFKA}


def kafka(settings: Settings, bootstrap_servers: str | None, topic: str | None) -> KafkaOptions:
    """The configured Kafka, with other brokers or another topic where they are given.

    Raises:
        ConfigError: No brokers are given, and none are configured.
    """
    configured: dict[str, Any] = next(filter(is_kafka, members(settings.transport)), {"config": {}})
    if bootstrap_servers:
        configured = configured | {
            "config": dict(configured.get("config") or {}) | {"bootstrap.servers": bootstrap_servers}
        }
    if not configured.get("config"):
        raise ConfigError(
            "no Kafka is configured: give --bootstrap-servers HOST:PORT, or a transport of type "
            "modeltrail.KafkaTransport in openlineage.yml"
        )
    options = KafkaOptions.from_dict(configured, settings)
    return msgspec.structs.replace(options, topic=topic) if topic else options
