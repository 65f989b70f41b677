"""Events to Kafka, one at a time, each acknowledged before the program goes on.

The order of losses to avoid: the program (it waits at most `timeout` for one event, and once for a broker
that is down), then the event (what Kafka did not take is on disk in the spool, or the caller is told), then
the order. An event may be in the topic and in the spool: a broker's answer can get lost after it has written.
The collector tells such doubles by their bytes.
"""

import contextlib
import itertools
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from modeltrail.errors import DeliveryError, DeliveryTimeout, EventTooLarge, LineageError
from modeltrail.transports import forks, kafka_log
from modeltrail.transports.breaker import Breaker
from modeltrail.transports.kafka_options import KafkaOptions
from modeltrail.transports.spool import Spool

OVERHEAD_BYTES = 1024  # what a record adds to its value and key, generously

_numbers = itertools.count(1)
_inherited: list[object] = []


class KafkaSender:
    """Sends events to a topic through kafka-python.

    The producer is made at the first event (its constructor talks to the broker), again in a forked child.
    After a failure the next events go straight to the spool, or are refused, until the breaker lets one try.

    Attributes:
        options: How to deliver.
        delivered: How many events Kafka has acknowledged.
        undelivered: How many it has not.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self.delivered = 0
        self.undelivered = 0
        self._spool = Spool(options.spool)
        self._set_up()
        forks.renew_in_children(self)

    def _set_up(self) -> None:
        self._producer: Any = None
        self._client_id = ""
        self._networks: list[Any] = []
        self._breaker = Breaker()
        self._lock = threading.RLock()
        self._idle = threading.Condition()
        self._in_flight = 0

    def send(self, key: bytes | None, value: bytes) -> None:
        """Deliver one event, or keep it in the spool (`on_failure: spool`).

        Raises:
            DeliveryError: With `on_failure: raise`, Kafka did not take the event; else, neither did the disk.
            EventTooLarge: With `on_failure: raise`, the event is over the limit.
        """
        with self._idle:
            self._in_flight += 1
        try:
            self._deliver(self.options.message_key or key, value)
            self.delivered += 1
        except LineageError as error:
            self.undelivered += 1
            if self.options.on_failure == "raise":
                raise
            self._spool.keep(value, str(error))
        finally:
            with self._idle:
                self._in_flight -= 1
                self._idle.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until no thread is sending: then every event is in Kafka or in the spool.

        Args:
            timeout: Seconds; negative waits as long as it takes.
        """
        with self._idle:
            return self._idle.wait_for(lambda: self._in_flight == 0, timeout if timeout >= 0 else None)

    def close(self, timeout: float) -> bool:
        """Flush, then close the connections; say whether Kafka has every event given to this sender.

        False when events lie in the spool or a thread is still sending. A later send connects again.
        """
        quiet = self.flush(timeout)
        with self._lock:
            closing, self._producer = self._producer, None
        if closing is not None:
            with kafka_log.listening(self._client_id), contextlib.suppress(Exception):
                closing.close(timeout=1)  # nothing is on its way: this only ends its threads
        self._spool.close()
        return quiet and self.complete

    @property
    def complete(self) -> bool:
        """Whether Kafka has every event given to this sender so far."""
        return not self.undelivered and not self._in_flight

    def after_fork(self) -> None:
        """Start without a producer; the parent's stays referenced: its finalizer would use shared sockets."""
        _inherited.append(self._producer)
        self._set_up()

    def _deliver(self, key: bytes | None, value: bytes) -> None:
        size = len(value) + len(key or b"")
        if size > self.options.max_event_bytes:
            raise EventTooLarge(
                f"the event has {size} bytes; max_event_bytes is {self.options.max_event_bytes}"
            )
        ends = time.monotonic() + self.options.timeout
        producer = self._connected(ends)
        from kafka.errors import KafkaError, MessageSizeTooLargeError

        with kafka_log.listening(self._client_id):
            try:
                producer.config["max_block_ms"] = _milliseconds(ends)  # how long send() may wait for metadata
                future = producer.send(self.options.topic, value=value, key=key)
                future.get(timeout=max(ends - time.monotonic(), 0.001))
            except MessageSizeTooLargeError as error:
                self._drop(producer)  # kafka-python takes this for fatal and would refuse all that follows
                raise EventTooLarge(
                    f"the event has {size} bytes, more than the topic {self.options.topic} takes "
                    f"(max.message.bytes): {error}"
                ) from error
            except (KafkaError, ValueError, TypeError) as error:
                raise self._failed(producer, error) from error
        self._breaker.succeeded()

    def _connected(self, ends: float) -> Any:
        """The producer. While one thread connects, the others wait, and share its success or failure."""
        if not self._lock.acquire(timeout=max(ends - time.monotonic(), 0.0)):
            raise DeliveryTimeout(f"still connecting to {self._servers} after {self.options.timeout:g} s")
        try:
            self._breaker.check()
            if self._producer is None:
                self._producer = self._connect(ends)
            return self._producer
        finally:
            self._lock.release()

    def _connect(self, ends: float) -> Any:
        self._client_id = _new_client_id(self.options)
        self._networks = []
        try:
            settings = dict(self.options.producer) | self._guarantees(ends)
            return _construct("KafkaProducer", settings, self._networks)
        except Exception as error:
            raise self._failed(None, error) from error

    def _guarantees(self, ends: float) -> dict[str, Any]:
        timeout_ms = int(self.options.timeout * 1000)
        return {
            "client_id": self._client_id,
            "acks": "all",
            "enable_idempotence": True,
            "linger_ms": 0,
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
                self._breaker.failed(why)
                self._drop(producer)
        return (DeliveryTimeout if "Timeout" in type(error).__name__ else DeliveryError)(why)

    def _drop(self, producer: Any) -> None:
        """Let the next event make a new producer; closing this one may wait for what it cannot deliver."""
        with self._lock:
            if producer is None or producer is not self._producer:
                return
            self._producer = None
        _in_background(producer.close, self._client_id, self.options.timeout)

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


def _construct(name: str, settings: dict[str, Any], networks: list[Any]) -> Any:
    """Make a client of kafka-python; its network goes to `networks`, and ends when the constructor fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python's own imports, on Python 3.11
        import kafka

        from modeltrail_schemas.connect import client

    def network(**given: Any) -> Any:
        networks.append(client.Network(**given))
        return networks[-1]

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
