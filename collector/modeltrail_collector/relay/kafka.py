"""A Kafka topic that takes dead letters, on kafka-python."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from kafka import KafkaProducer, errors

from modeltrail_collector.errors import CollectorError, ConfigError, Unavailable
from modeltrail_collector.intake import cause
from modeltrail_collector.intake.kafka import CLIENT_SETTINGS, Connection
from modeltrail_collector.intake.membership import client_options
from modeltrail_collector.relay.letters import Letter
from modeltrail_schemas.connect import causes, client

_TOO_LARGE: Final = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)
_PATIENCE_MS: Final = 10_000
_PATIENCE_S: Final = _PATIENCE_MS / 1000 + 5
_SETTINGS: Final[dict[str, Any]] = {
    **CLIENT_SETTINGS,
    "acks": "all",
    "allow_auto_create_topics": False,  # made with the broker's defaults a mistyped name would look right
    # A letter too large is the end of an idempotent producer, and each letter has a name of its own anyway.
    "enable_idempotence": False,
    "max_in_flight_requests_per_connection": 1,
    "linger_ms": 5,
    "max_request_size": 1 << 28,  # the topic's limit decides
    "max_block_ms": _PATIENCE_MS,
    "request_timeout_ms": _PATIENCE_MS // 2,
    "delivery_timeout_ms": _PATIENCE_MS,
}


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
    """See `Publisher`. The producer is made when it is needed, and made anew after a failure.

    Args:
        connection: The cluster; its topic is the one that is collected.
        topic: The dead-letter topic.
    """

    def __init__(self, connection: Connection, topic: str) -> None:
        self._connection = connection
        self._topic = topic
        self._producer: Any = None
        self._networks: list[client.Network] = []

    def publish(self, letters: Sequence[Letter]) -> None:
        """See `Publisher`."""
        with self._translated():
            sent = [(letter, self._send(letter)) for letter in letters]
            failure: Exception | None = None
            too_large = []
            for letter, future in sent:  # each to its end: a producer with open ones cannot be closed
                try:
                    future.get(_PATIENCE_S)
                except _TOO_LARGE:
                    too_large.append(letter)
                except errors.KafkaError as error:
                    failure = failure or error
            if failure is not None:
                raise failure
            for letter in too_large:
                self._publish_less(letter)

    def _publish_less(self, letter: Letter) -> None:
        """Alone first: a batch can be too large, too; then ever less of it."""
        light = letter.without_value()
        for attempt in (letter, light):
            with contextlib.suppress(*_TOO_LARGE):
                self._send(attempt).get(_PATIENCE_S)
                return
        self._send(light.bare()).get(_PATIENCE_S)

    def _send(self, letter: Letter) -> Any:
        if self._producer is None:
            self._producer = self._connected()
        # The client cannot send a header without a value, which Kafka allows.
        headers = [(header.key, header.value or b"") for header in letter.headers]
        return self._producer.send(self._topic, letter.value, key=letter.key, headers=headers)

    def _connected(self) -> Any:
        servers = self._connection.bootstrap_servers.split(",")
        settings = {**_SETTINGS, **client.arguments(client_options(self._connection.options))}
        self._networks = []
        try:
            return KafkaProducer(bootstrap_servers=servers, **settings, kafka_client=self._network)
        except BaseException:
            for network in self._networks:  # what failed leaves no thread
                network.end()
            raise

    def _network(self, **configs: Any) -> client.Network:
        self._networks.append(client.Network(**configs))
        return self._networks[-1]

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (errors.KafkaError, client.TokenError, OSError) as error:
            explained = self._explained(error)
            self.close()
            raise explained from error

    def _explained(self, error: Exception) -> CollectorError:
        servers, options = self._connection.bootstrap_servers, self._connection.options
        action = f"publish dead letters to the topic {self._topic} at {servers}"
        if isinstance(error, errors.TopicAuthorizationFailedError):
            return Unavailable(
                f"cannot {action}: {causes.grant('Write', 'topic', self._topic, servers, options)}"
            )
        network = next((each for each in self._networks if each.failure), None)
        if network is None and "metadata" in str(error):
            return Unavailable(
                f"cannot {action}: {error} Does it exist? "
                f"`modeltrail topic create --topic {self._topic}` makes it"
            )
        names = {"servers": servers, "topic": self._topic, "group": self._connection.group}
        return cause.translated(error, action, network, names, options)

    def close(self) -> None:
        """See `Publisher`."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            with contextlib.suppress(errors.KafkaError):
                producer.close(timeout=1)
