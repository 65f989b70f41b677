"""kafka-python's network client, made to say why it cannot connect.

kafka-python 3.0.12 raises the same time-out for a wrong password, an unknown authority and a broker that is
not there, after having tried all the while; and it throws away what a broker says just before it hangs up,
which is where a refusal stands. Here the last words are heard, the failure is kept, and what no second try
can mend ends the first one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.sasl.oauth import AbstractTokenProvider
from kafka.net.selector import NetworkSelector

from modeltrail_schemas.connect import settings as names
from modeltrail_schemas.connect import tokens
from modeltrail_schemas.connect.causes import HANGS_UP, Failure
from modeltrail_schemas.connect.tokens import TokenError

__all__ = ["Network", "TokenError", "arguments"]

MAX_HANG_UPS: Final = 5
"""So often in a row may brokers hang up without a word before the client gives up its first connection."""


class Network(KafkaNetClient):  # type: ignore[misc]  # kafka-python has no types
    """The client. A constructor of kafka-python's that fails leaves it running: then `end` it."""

    def __init__(self, **configs: Any) -> None:
        net = NetworkSelector(**configs)
        super().__init__(net, _Manager(net, **configs))

    @property
    def failure(self) -> Failure | None:
        """Why the last connection failed; None while there is one, or none was tried."""
        found: Failure | None = self._manager.failure
        connections = list(self._manager._conns.values())  # noqa: SLF001  nothing public says it
        return None if any(each.connected for each in connections) else found

    def track(self, topic: str) -> None:
        """Have the first answer of a broker tell where this topic's partitions are.

        The first event would ask for it else, and kafka-python waits 0.1 s from one question to the next.
        """
        self._manager.cluster._topics.add(topic)  # noqa: SLF001  `add_topic` connects at once, for ever

    def end(self) -> None:
        """Close all connections and end the network thread."""
        self.close()
        self._net.stop()


class _Manager(KafkaConnectionManager):  # type: ignore[misc]
    def __init__(self, net: Any, **configs: Any) -> None:
        self.failure: Failure | None = None
        self._refusals: set[str] = set()
        self._hang_ups = 0
        self._given_up: Exception | None = None
        super().__init__(net, **configs)

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        transport = await super()._build_transport(node, timeout_at=timeout_at)
        transport._sock_recv = _last_words_first(transport._sock_recv)  # noqa: SLF001  nothing public
        return transport

    def get_connection(self, node_id: Any, *args: Any, **kwargs: Any) -> Any:
        before = self._conns.get(node_id)
        connection = super().get_connection(node_id, *args, **kwargs)
        if connection is not before:
            connection.init_future.add_callback(self._connected)
            connection.close_future.add_errback(lambda error: self._lost(node_id, error))
        return connection

    def _connected(self, _: object) -> None:
        if self.bootstrapped:
            self.failure = None

    def _lost(self, node_id: Any, error: Exception) -> None:
        node = self.cluster.broker_metadata(node_id)
        failure = Failure(f"{node.host}:{node.port}" if node else str(node_id), error)
        if self.bootstrapped or self.failure is None or not self.failure.is_final:
            self.failure = failure  # a refusal says more than that time is up
        if self.bootstrapped or self.closed:
            return
        self._hang_ups = self._hang_ups + 1 if HANGS_UP in str(error) else 0
        if failure.is_final:
            self._refusals.add(node_id)
        nodes = {each.node_id for each in self.cluster.bootstrap_brokers()}
        if nodes <= self._refusals or self._hang_ups >= MAX_HANG_UPS:
            self._given_up = self.failure.error

    def maybe_raise_auth_failure(self, node_id: Any) -> None:
        """Asked before each attempt to connect; what it raises ends the bootstrap."""
        if self._given_up is not None:
            raise self._given_up
        super().maybe_raise_auth_failure(node_id)


def _last_words_first(receive: Callable[[], tuple[bytes, Any]]) -> Callable[[], tuple[bytes, Any]]:
    """What came together with the end of the connection is handed out before the end."""
    kept: list[Any] = []

    def sock_recv() -> tuple[bytes, Any]:
        if kept:
            return b"", kept.pop()
        data, error = receive()
        if data and error:
            kept.append(error)
            return data, None
        return data, error

    return sock_recv


def arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by `settings.named` as kafka-python's constructors take them.

    Raises:
        TokenError: The settings name no usable source of tokens.
    """
    ready = {name: value for name, value in settings.items() if name not in names.OAUTH}
    if settings.get("sasl_mechanism") == "OAUTHBEARER":
        ready["sasl_oauth_token_provider"] = _Provider(tokens.source(settings))
    return ready


class _Provider(AbstractTokenProvider):  # type: ignore[misc]
    def __init__(self, source: Callable[[], str]) -> None:
        self._source = source

    def token(self) -> str:
        return self._source()
