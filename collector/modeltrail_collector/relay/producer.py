"""A producer on kafka-python: what it acknowledges is on all replicas, and its errors name a cause."""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from kafka import KafkaProducer, errors

from modeltrail_collector.errors import CollectorError, Unavailable
from modeltrail_collector.intake import cause
from modeltrail_collector.intake.kafka import CLIENT_SETTINGS, Connection
from modeltrail_collector.intake.membership import client_options
from modeltrail_schemas.connect import causes, client

TOO_LARGE: Final = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)
PATIENCE_MS: Final = 10_000
_SETTINGS: Final[dict[str, Any]] = {
    **CLIENT_SETTINGS,
    "acks": "all",
    "allow_auto_create_topics": False,  # made with the broker's defaults a mistyped name would look right
    # A record too large is the end of an idempotent producer, and who reads here knows a duplicate.
    "enable_idempotence": False,
    "max_in_flight_requests_per_connection": 1,
    "max_request_size": 1 << 28,  # the topic's limit decides
}


class Producer:
    """The producer is made when it is needed, and made anew after a failure.

    Args:
        connection: The cluster.
        topic: Where records go.
        what: What these are, for messages: "dead letters".
        patience_ms: How long a record may take.
        linger_ms: How long it waits for others to go with.
    """

    def __init__(
        self,
        connection: Connection,
        topic: str,
        what: str,
        *,
        patience_ms: int = PATIENCE_MS,
        linger_ms: int = 5,
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._what = what
        self._times = {
            "bootstrap_timeout_ms": patience_ms,
            "linger_ms": linger_ms,
            "max_block_ms": patience_ms,
            "request_timeout_ms": patience_ms // 2,
            "delivery_timeout_ms": patience_ms,
        }
        self._patience_s = patience_ms / 1000 + 5
        self._producer: Any = None
        self._networks: list[client.Network] = []

    def reach(self) -> None:
        """Connect, and see that the topic is there.

        Raises:
            Unavailable: It is not, or no broker answers.
            ConfigError: What is wrong will not mend itself.
        """
        with self.translated():
            self._connected().partitions_for(self._topic)

    def send(self, value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]]) -> Any:
        """Hand over a record, within `translated`; gives what to `wait` for."""
        return self._connected().send(self._topic, value, key=key, headers=headers)

    def wait(self, sent: Any) -> None:
        """Until the record is acknowledged; raises kafka-python's errors, which `translated` explains."""
        sent.get(self._patience_s)

    def wait_for_all(self, sent: list[Any]) -> list[int]:
        """The places of those that are too large; whatever else fails is raised.

        Each is waited for to its end: a producer with open ones cannot be closed.
        """
        failure: Exception | None = None
        too_large = []
        for place, each in enumerate(sent):
            try:
                self.wait(each)
            except TOO_LARGE:
                too_large.append(place)
            except errors.KafkaError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return too_large

    def _connected(self) -> Any:
        if self._producer is None:
            self._producer = self._made()
        return self._producer

    def _made(self) -> Any:
        servers = self._connection.bootstrap_servers.split(",")
        settings = {
            **_SETTINGS,
            **self._times,
            **client.arguments(client_options(self._connection.options)),
        }
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
    def translated(self) -> Iterator[None]:
        """What fails inside ends the producer.

        Raises:
            Unavailable: Kafka did not take a record; the message names the cause.
            ConfigError: It never will.
        """
        try:
            yield
        except (errors.KafkaError, client.TokenError, OSError) as error:
            explained = self._explained(error)
            self.close()
            raise explained from error

    def _explained(self, error: Exception) -> CollectorError:
        servers, options = self._connection.bootstrap_servers, self._connection.options
        action = f"publish {self._what} to the topic {self._topic} at {servers}"
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
        """Release everything; a later `send` connects anew."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            with contextlib.suppress(errors.KafkaError):
                producer.close(timeout=1)
