"""A Kafka topic that takes dead letters."""

import contextlib
import re
from collections.abc import Sequence
from typing import Any

from modeltrail_collector.errors import ConfigError
from modeltrail_collector.intake.kafka import Connection
from modeltrail_collector.relay.letters import Letter
from modeltrail_collector.relay.producer import TOO_LARGE, Producer


def check_topic(name: str, connection: Connection) -> None:
    """Refuse what can be no dead-letter topic.

    Raises:
        ConfigError: It is no name of a topic, or the topic that is collected.
    """
    if not re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", name) or name in {".", ".."}:
        raise ConfigError(f"{name!r} is no name of a topic: letters, digits, '.', '_' and '-', 249 at most")
    if name == connection.topic:
        raise ConfigError(
            f"the dead-letter topic {name!r} is the topic that is collected: each rejected record would come "
            "back for ever. Give it a topic of its own"
        )


class KafkaPublisher:
    """See `Publisher`.

    Args:
        connection: The cluster; its topic is the one that is collected.
        topic: The dead-letter topic.
    """

    def __init__(self, connection: Connection, topic: str) -> None:
        self._producer = Producer(connection, topic, "dead letters")

    def publish(self, letters: Sequence[Letter]) -> None:
        """See `Publisher`."""
        with self._producer.translated():
            for place in self._producer.wait_for_all([self._send(letter) for letter in letters]):
                self._publish_less(letters[place])

    def _publish_less(self, letter: Letter) -> None:
        """Alone first: a batch can be too large, too; then ever less of it."""
        light = letter.without_value()
        for attempt in (letter, light):
            with contextlib.suppress(*TOO_LARGE):
                self._producer.wait(self._send(attempt))
                return
        self._producer.wait(self._send(light.bare()))

    def _send(self, letter: Letter) -> Any:
        # The client cannot send a header without a value, which Kafka allows.
        headers = [(header.key, header.value or b"") for header in letter.headers]
        return self._producer.send(letter.value, letter.key, headers)

    def close(self) -> None:
        """See `Publisher`."""
        self._producer.close()
