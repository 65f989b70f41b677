"""What a Kafka transport can be told, in the shape of OpenLineage's own `kafka` transport.

    type: modeltrail.KafkaTransport
    topic: openlineage.events
    config: {bootstrap.servers: "kafka-1:9092,kafka-2:9092", security.protocol: SASL_SSL, …}

`config` takes the dotted names of librdkafka and Java as well as kafka-python's own.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from modeltrail import guard
from modeltrail.errors import ConfigError
from modeltrail.settings import DEFAULT_TOPIC, Settings
from modeltrail.transports.spool import LIMIT_BYTES
from modeltrail_schemas.connect.settings import SECURITY, named, problem

TIMEOUT_S = 8.0  # Airflow kills its listener after 10 s

_PASSED_ON = SECURITY | {
    "api_version", "bootstrap_servers", "client_dns_lookup", "client_id", "compression_type",
    "connections_max_idle_ms", "metadata_max_age_ms", "proxy_url", "receive_buffer_bytes",
    "reconnect_backoff_max_ms", "reconnect_backoff_ms", "retry_backoff_ms", "send_buffer_bytes",
    "socket_options",
}  # fmt: skip
# Settled by `delivery`, `timeout` and `max_event_bytes`: one event at a time, acknowledged by all replicas.
_SETTLED = frozenset(
    {
        "acks", "batch_num_messages", "batch_size", "bootstrap_timeout_ms", "debug", "delivery_timeout_ms",
        "enable_idempotence", "group_instance_id", "linger_ms", "log_level", "logger", "max_block_ms",
        "max_in_flight", "max_in_flight_requests_per_connection", "max_request_size", "message_max_bytes",
        "message_send_max_retries", "message_timeout_ms", "partition_assignment_strategy", "partitioner",
        "queue_buffering_max_kbytes", "queue_buffering_max_messages", "queue_buffering_max_ms",
        "request_required_acks", "request_timeout_ms", "retries", "socket_keepalive_enable",
        "socket_timeout_ms", "topic_metadata_refresh_interval_ms",
    }
)  # fmt: skip
_STRAY = frozenset(
    {"type", "name", "priority", "transports", "flush"}
)  # the client's own, or of other transports


class KafkaOptions(msgspec.Struct, frozen=True):
    """How to deliver events to Kafka.

    Attributes:
        producer: Settings for `kafka.KafkaProducer`, by its own names; has `bootstrap_servers`.
        spool: The directory for events that could not be delivered to this topic yet.
        topic: The topic.
        message_key: One key for all events instead of `wire.key`.
        on_failure: "spool" keeps an undelivered event and returns; "raise" raises and keeps nothing.
        timeout: The longest that one event may hold up the program, in seconds.
        max_event_bytes: A larger event is not sent.
        delivery: "sync" returns when Kafka has the event, "async" when the disk has it.
        fsync_interval: With "async": how many seconds of events a power cut may take; 0: none.
        spool_max_bytes: So much may wait of one process; what comes then is an error.
    """

    producer: Mapping[str, Any]
    spool: Path
    topic: str = DEFAULT_TOPIC
    message_key: bytes | None = None
    on_failure: str = "spool"
    timeout: float = TIMEOUT_S
    max_event_bytes: int = 4_000_000
    delivery: str = "sync"
    fsync_interval: float = 1.0
    spool_max_bytes: int = LIMIT_BYTES

    @classmethod
    def from_dict(cls, transport: Mapping[str, Any], settings: Settings) -> "KafkaOptions":
        """Read a transport configuration; keys in snake_case, camelCase or lower-cased by the environment.

        Raises:
            ConfigError: A value that cannot be used; names the key, the value and what to write.
        """
        given = {str(key).replace("_", "").lower(): value for key, value in transport.items()}
        for stray in sorted(set(given) - _KEYS - _STRAY):
            guard.warn_once(f"kafka {stray}", "the Kafka transport has no setting %r; it is ignored", stray)
        producer = producer_config(given.get("config"))
        topic = _text("topic", given.get("topic", DEFAULT_TOPIC))
        spool = given.get("spool")
        key = given.get("messagekey")
        return cls(
            producer=producer,
            spool=_spool(
                settings.spool if spool is None else settings.resolve(_text("spool", spool)), topic, producer
            ),
            topic=topic,
            message_key=None if key is None else _text("messageKey", key).encode(),
            on_failure=_one_of("on_failure", given.get("onfailure", "spool"), ("spool", "raise")),
            timeout=_positive("timeout", given.get("timeout", TIMEOUT_S)),
            max_event_bytes=int(
                _positive("max_event_bytes", given.get("maxeventbytes", settings.max_event_bytes))
            ),
            delivery=_one_of("delivery", given.get("delivery", "sync"), ("sync", "async")),
            fsync_interval=_not_negative("fsync_interval", given.get("fsyncinterval", 1.0)),
            spool_max_bytes=int(_positive("spool_max_bytes", given.get("spoolmaxbytes", LIMIT_BYTES))),
        )


_KEYS = frozenset(
    {
        "config",
        "delivery",
        "fsyncinterval",
        "maxeventbytes",
        "messagekey",
        "onfailure",
        "spool",
        "spoolmaxbytes",
        "timeout",
        "topic",
    }
)


def producer_config(config: object) -> dict[str, Any]:
    """`config` of a Kafka transport by kafka-python's names; warns once of each name that has no counterpart.

    Raises:
        ConfigError: It is no mapping, or names no broker.
    """
    example = 'write config: {bootstrap.servers: "localhost:9092"}'
    if not isinstance(config, Mapping):
        raise ConfigError(f"`config` of the Kafka transport is {config!r}; {example}")
    known: dict[str, Any] = {}
    for name, value in named(config).items():
        if name in _PASSED_ON:
            known[name] = value
        elif name not in _SETTLED:
            guard.warn_once(
                f"kafka config {name}", "kafka-python has no setting like %r; it is ignored", name
            )
    if not known.get("bootstrap_servers"):
        raise ConfigError(f"`config` of the Kafka transport names no bootstrap.servers; {example}")
    if wrong := problem(known):
        raise ConfigError(f"`config` of the Kafka transport: {wrong}")
    if str(known.get("compression_type")).lower() == "none":
        known.pop("compression_type", None)
    return known


def _spool(directory: Path, topic: str, producer: Mapping[str, Any]) -> Path:
    """A spool for each destination: what waits for one topic must not end up in another."""
    servers = producer["bootstrap_servers"]
    names = sorted(servers.split(",") if isinstance(servers, str) else map(str, servers))
    first = re.sub(r"[^A-Za-z0-9.-]", "_", names[0].strip())
    digest = hashlib.sha256("\n".join([topic, *(name.strip() for name in names)]).encode()).hexdigest()
    return directory / f"kafka-{re.sub('[^A-Za-z0-9._-]', '_', topic)}-{first}-{digest[:8]}"


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"`{name}` of the Kafka transport is {value!r}; write a text")
    return value


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ConfigError(
            f"`{name}` of the Kafka transport is {value!r}; this version supports: {', '.join(allowed)}"
        )
    return str(value)


def _not_negative(name: str, value: object) -> float:
    return 0.0 if value == 0 and not isinstance(value, bool) else _positive(name, value)


def _positive(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ConfigError(f"`{name}` of the Kafka transport is {value!r}; write a number above 0")
    return float(value)
