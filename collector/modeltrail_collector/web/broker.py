"""Events into a Kafka topic, acknowledged by all its replicas."""

import contextlib
from collections.abc import Sequence
from typing import Any, Final

import orjson

from modeltrail_collector.intake.kafka import Connection
from modeltrail_collector.relay.producer import TOO_LARGE, Producer
from modeltrail_collector.web.commit import Failure
from modeltrail_schemas.keys import event_key

PATIENCE_MS: Final = 3000
"""The OpenLineage clients wait for 5 s: they should hear why. To close what failed takes a second of them."""


class BrokerSink:
    """See `Sink`.

    Raises:
        Unavailable: The topic is not there, or no broker answers.
        ConfigError: What is wrong will not mend itself.
    """

    def __init__(self, connection: Connection) -> None:
        self._topic = connection.topic
        # A group has been waited for already; without any wait its first event would go alone.
        self._producer = Producer(connection, self._topic, "events", patience_ms=PATIENCE_MS, linger_ms=1)
        self._producer.reach()

    def put(self, values: Sequence[bytes]) -> list[Failure | None]:
        """See `Sink`."""
        with self._producer.translated():
            sent = [self._send(value) for value in values]
            found: list[Failure | None] = [None] * len(values)
            for place in self._producer.wait_for_all(sent):
                found[place] = self._alone(values[place])
            return found

    def _alone(self, value: bytes) -> Failure | None:
        """A batch can be too large, too."""
        with contextlib.suppress(*TOO_LARGE):
            self._producer.wait(self._send(value))
            return None
        return f"has {len(value)} bytes, more than the topic {self._topic} takes (max.message.bytes)"

    def _send(self, value: bytes) -> Any:
        return self._producer.send(value, _key(value), [])

    def close(self) -> None:
        """See `Sink`."""
        self._producer.close()


def _key(value: bytes) -> bytes | None:
    """None for what is kept as evidence only and names no job."""
    try:
        return event_key(orjson.loads(value))
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
