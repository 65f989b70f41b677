"""The connection to Kafka: made when it is needed, given up after a failure, made anew in a forked child."""

import contextlib
import itertools
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from modeltrail.errors import DeliveryError, DeliveryTimeout, EventTooLarge
from modeltrail.transports import forks, kafka_log
from modeltrail.transports.breaker import Breaker
from modeltrail.transports.kafka_options import KafkaOptions

CLOSE_S = 1.0
BATCH_BYTES = 256 << 10  # events of a spool leave many at a time
OVERHEAD_BYTES = 1024  # what a record adds to its value and key, generously

_numbers = itertools.count(1)
_inherited: list[object] = []


class OnItsWay:
    """An event that Kafka has not acknowledged yet, and by when it has to."""

    def __init__(self, producer: Any, future: Any, size: int, ends: float) -> None:
        self.producer = producer
        self.future = future
        self.size = size
        self.ends = ends


class Producer:
    """A topic's producer: kafka-python's, made at the first event (its constructor talks to the broker).

    After a failure events are refused at once until the breaker lets one try. Thread-safe.
    """

    def __init__(self, options: KafkaOptions, breaker: Callable[[], Breaker] = Breaker) -> None:
        self.options = options
        self._new_breaker = breaker
        self._set_up()
        forks.renew_in_children(self)

    def _set_up(self) -> None:
        self._producer: Any = None
        self._client_id = ""
        self._networks: list[Any] = []
        self.breaker = self._new_breaker()
        self._closed = False
        self._lock = threading.RLock()

    @property
    def is_connected(self) -> bool:
        """Whether the broker was reached, and nothing went wrong since."""
        return self._producer is not None

    def begin(self, key: bytes | None, value: bytes, ends: float) -> OnItsWay:
        """Put an event on its way; those begun one after the other arrive in this order.

        Args:
            key: Decides on the partition, unless `message_key` does.
            value: The event.
            ends: By when it has to be acknowledged, in seconds of `time.monotonic`.

        Raises:
            DeliveryError: The broker cannot be reached, or could not a moment ago.
            EventTooLarge: It is over the limit.
        """
        key = self.options.message_key or key
        size = len(value) + len(key or b"")
        if size > self.options.max_event_bytes:
            raise EventTooLarge(
                f"the event has {size} bytes; max_event_bytes is {self.options.max_event_bytes}"
            )
        producer = self.connect(ends)
        with self._told(producer, size):
            producer.config["max_block_ms"] = _milliseconds(ends)  # how long send() may wait for metadata
            return OnItsWay(producer, producer.send(self.options.topic, value=value, key=key), size, ends)

    def settle(self, event: OnItsWay) -> None:
        """Wait until Kafka has acknowledged an event.

        Raises:
            DeliveryError: It did not.
            EventTooLarge: It is over the topic's limit.
        """
        with self._told(event.producer, event.size):
            event.future.get(timeout=max(event.ends - time.monotonic(), 0.001))
        self.breaker.succeeded()

    def close(self) -> None:
        """End the connections, for good; what is on its way is given up.

        Where a thread connects just now, it ends what it made.
        """
        self._closed = True
        if self._lock.acquire(timeout=CLOSE_S):
            closing, self._producer = self._producer, None
            self._lock.release()
            if closing is not None:
                self._end(closing)

    def abort(self) -> None:
        """Have a thread that connects give up, for good."""
        self._closed = True
        for network in list(self._networks):
            with kafka_log.listening(self._client_id), contextlib.suppress(Exception):
                network.end()

    def _end(self, producer: Any) -> None:
        with kafka_log.listening(self._client_id), contextlib.suppress(Exception):
            producer.close(timeout=1)  # nothing is on its way: this only ends its threads

    def after_fork(self) -> None:
        """Start without a producer; the parent's stays referenced: its finalizer would use shared sockets."""
        _inherited.append(self._producer)
        self._set_up()

    @contextmanager
    def _told(self, producer: Any, size: int) -> Iterator[None]:
        """Kafka's errors in our words."""
        from kafka.errors import KafkaError, MessageSizeTooLargeError

        with kafka_log.listening(self._client_id):
            try:
                yield
            except MessageSizeTooLargeError as error:
                self._drop(producer)  # kafka-python takes this for fatal and would refuse all that follows
                raise EventTooLarge(
                    f"the event has {size} bytes, more than the topic {self.options.topic} takes "
                    f"(max.message.bytes): {error}"
                ) from error
            except (KafkaError, ValueError, TypeError) as error:
                raise self._failed(producer, error) from error

    def connect(self, ends: float) -> Any:
        """kafka-python's producer. While one thread connects, the others wait, and share what comes of it.

        Raises:
            DeliveryError: The broker cannot be reached, could not a moment ago, or this was closed.
        """
        if not self._lock.acquire(timeout=max(ends - time.monotonic(), 0.0)):
            raise DeliveryTimeout(f"still connecting to {self._servers} after {self.options.timeout:g} s")
        try:
            self.breaker.check(connects=self._producer is None)
            if self._producer is None and not self._closed:
                self._producer = self._connect(ends)
            if self._closed:
                made, self._producer = self._producer, None
                if made is not None:
                    self._end(made)
                raise DeliveryError("the transport was closed meanwhile")
            return self._producer
        finally:
            self._lock.release()

    def _connect(self, ends: float) -> Any:
        self._client_id = _new_client_id(self.options)
        self._networks = []
        try:
            settings = dict(self.options.producer) | self._guarantees(ends)
            return _construct("KafkaProducer", settings, self._networks, [self.options.topic])
        except Exception as error:
            raise self._failed(None, error) from error

    def _guarantees(self, ends: float) -> dict[str, Any]:
        timeout_ms = int(self.options.timeout * 1000)
        return {
            "client_id": self._client_id,
            "acks": "all",
            "enable_idempotence": True,
            "linger_ms": 0,
            "batch_size": BATCH_BYTES,
            "bootstrap_timeout_ms": _milliseconds(ends),
            "delivery_timeout_ms": timeout_ms,
            "request_timeout_ms": timeout_ms // 2,  # a leader that died leaves time for the next one
            "reconnect_backoff_max_ms": self.options.producer.get("reconnect_backoff_max_ms", 1000),
            "max_request_size": self.options.max_event_bytes + OVERHEAD_BYTES,
            "metrics_enabled": False,
        }

    def _failed(self, producer: Any, error: Exception) -> DeliveryError:
        """Stop trying for a while; the error says what Kafka or the network said."""
        why = f"Kafka at {self._servers} did not take an event for the topic {self.options.topic}: "
        why += _cause(self._client_id, error, self.options, self._networks)
        with self._lock:
            if producer is self._producer:  # else another thread has seen the same failure first
                self.breaker.failed(why)
                self._drop(producer)
        return (DeliveryTimeout if "Timeout" in type(error).__name__ else DeliveryError)(why)

    def _drop(self, producer: Any) -> None:
        """Let the next event make a new producer; closing this one may wait for what it cannot deliver."""
        with self._lock:
            if producer is None or producer is not self._producer:
                return
            self._producer = None
        # Soon: what it still tries to deliver the next one delivers too. At once (0) would leave its thread.
        _in_background(producer.close, self._client_id, 1)

    @property
    def _servers(self) -> str:
        servers = self.options.producer["bootstrap_servers"]
        return servers if isinstance(servers, str) else ",".join(servers)


@contextmanager
def administration(options: KafkaOptions) -> Iterator[Any]:
    """kafka-python's admin client for the same brokers, as quiet as the sender.

    Raises:
        DeliveryError: The brokers cannot be reached, or refuse us; the message names the cause.
    """
    client_id = _new_client_id(options)
    settings = {name: value for name, value in options.producer.items() if name != "compression_type"}
    settings |= {"client_id": client_id, "bootstrap_timeout_ms": int(options.timeout * 1000)}
    networks: list[Any] = []
    try:
        admin = _construct("KafkaAdminClient", settings, networks)
    except Exception as error:
        servers = options.producer["bootstrap_servers"]
        raise DeliveryError(f"Kafka at {servers}: {_cause(client_id, error, options, networks)}") from error
    with kafka_log.listening(client_id):
        try:
            yield admin
        finally:
            admin.close()


def load() -> tuple[Any, Any]:
    """kafka-python and our client for it, which take 0.15 s to import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python's own imports, on Python 3.11
        import kafka

        from modeltrail_schemas.connect import client
    return kafka, client


def _construct(name: str, settings: dict[str, Any], networks: list[Any], topics: Iterable[str] = ()) -> Any:
    """Make a client of kafka-python; its network goes to `networks`, and ends when the constructor fails."""
    kafka, client = load()

    def network(**given: Any) -> Any:
        made = client.Network(**given)
        networks.append(made)
        for topic in topics:
            made.track(topic)
        return made

    with kafka_log.listening(settings["client_id"]):
        try:
            return getattr(kafka, name)(**client.arguments(settings), kafka_client=network)
        except Exception:
            for each in networks:
                _in_background(each.end, settings["client_id"])
            raise


def _new_client_id(options: KafkaOptions) -> str:
    return f"{options.producer.get('client_id', 'modeltrail')}-{os.getpid()}-{next(_numbers)}"


def _cause(client_id: str, error: Exception, options: KafkaOptions, networks: list[Any]) -> str:
    """What went wrong, which kafka-python's exceptions seldom say, and what to do."""
    from modeltrail_schemas.connect import causes

    producer = options.producer
    if failure := next((each.failure for each in networks if each.failure), None):
        return causes.explain(failure, producer)
    if "AuthorizationFailed" in f"{type(error).__name__} {error}":
        servers = str(producer["bootstrap_servers"])
        return causes.grant("Write", "topic", options.topic, servers, producer)
    cause = kafka_log.cause(client_id) or f"{type(error).__name__}: {error}"
    if "not found in cluster metadata" in cause:
        return f"{cause}; create it with: modeltrail topic create --topic {options.topic}"
    if "disconnected" in cause or "timed out" in cause:
        protocol = producer.get("security_protocol", "PLAINTEXT")
        return f"{cause}; security.protocol is {protocol}: does this port speak it?"
    return cause


def _milliseconds(ends: float) -> int:
    return max(int((ends - time.monotonic()) * 1000), 1)


def _in_background(close: Callable[..., object], client_id: str, *args: object) -> None:
    def closing() -> None:
        with kafka_log.listening(client_id), contextlib.suppress(Exception):
            close(*args)

    with contextlib.suppress(
        RuntimeError
    ):  # an interpreter that is ending starts no threads, and ends them all
        threading.Thread(target=closing, name=f"modeltrail-close-{client_id}", daemon=True).start()
