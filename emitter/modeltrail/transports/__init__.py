"""The way out: `emit` writes an event down and hands it to this process's sender.

One sender per process, made at the first event from the settings that hold then: the local inbox, Kafka, or
any transport of the OpenLineage client. A forked child makes its own. Nothing here raises unless strict.
"""

import atexit
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from modeltrail import guard, settings, wire

TERMINAL = frozenset({"COMPLETE", "FAIL", "ABORT"})
CLOSE_TIMEOUT_S = 5.0
FLUSH_TIMEOUT_S = 10.0

KAFKA_TYPES = frozenset({"modeltrail.KafkaTransport", "modeltrail.transports.openlineage.KafkaTransport"})
LOCAL_TYPES = frozenset({"modeltrail.LocalTransport", "modeltrail.transports.openlineage.LocalTransport"})


@runtime_checkable
class Sender(Protocol):
    """Something that takes events; see `modeltrail.testing.MemorySender` for the smallest one."""

    def send(self, key: bytes | None, value: bytes) -> None:
        """Take one event: `value` as `wire.encode` wrote it, `key` as `wire.key`.

        When it returns, the event is where the sender keeps events, or in the spool.

        Raises:
            DeliveryError: The event was not taken.
        """

    def settle(self, timeout: float) -> bool:
        """After an event that ends a run: what `flush` does, where this sender does that for each run."""

    def flush(self, timeout: float) -> bool:
        """Make all events taken so far durable within `timeout` seconds; say whether they are."""

    def close(self, timeout: float) -> bool:
        """Flush and release everything; say whether all events are delivered. A later send opens it again."""


_sender: Sender | None = None
_made_for: object = None
_lock = threading.RLock()
_closes_at_exit = False
_inherited: list[Sender | None] = []


def emit(event: Mapping[str, Any]) -> bool:
    """Send one event of the OpenLineage JSON form; say whether it was taken.

    False also when modeltrail is disabled. An event that ends a run is settled: it outlives the machine.
    """
    with guard.guarded("emitting an event"):
        configured = settings.current()
        if configured.disabled:
            return False
        value, key = wire.encode(event), wire.key(event)
        sender = _current(configured)
        if sender is None:
            return False
        sender.send(key, value)
        return event.get("eventType") not in TERMINAL or sender.settle(FLUSH_TIMEOUT_S)
    return False


def flush(timeout: float = FLUSH_TIMEOUT_S) -> bool:
    """Make all events emitted so far durable within `timeout` seconds; say whether they are."""
    with guard.guarded("flushing events"):
        return _sender is None or _sender.flush(timeout)
    return False


def close(timeout: float = CLOSE_TIMEOUT_S) -> bool:
    """Flush, then release files and connections; say whether all events are delivered.

    A later emit starts again.
    """
    global _sender, _made_for
    with guard.guarded("closing the transport"):
        with _lock:
            closing, _sender, _made_for = _sender, None, None
        return closing is None or closing.close(timeout)
    return False


@contextmanager
def using(sender: Sender) -> Iterator[None]:
    """Put a sender in place of the configured one for a block, in all threads."""
    global _sender, _made_for
    before = (_sender, _made_for)
    _sender, _made_for = sender, _BY_HAND
    try:
        yield
    finally:
        _sender, _made_for = before


_BY_HAND = object()


def _current(configured: settings.Settings) -> Sender | None:
    """The sender for these settings; a change of the transport closes the old one."""
    global _sender, _made_for, _closes_at_exit  # noqa: PLW0603  one sender for the process
    wanted = (configured.transport, configured.log, configured.spool, configured.max_event_bytes)
    if _made_for is _BY_HAND or (_made_for == wanted and _sender is not None):
        return _sender
    with _lock:
        if _made_for is _BY_HAND or (_made_for == wanted and _sender is not None):
            return _sender
        if _sender is not None:
            _sender.close(CLOSE_TIMEOUT_S)
        _sender, _made_for = _make(configured), wanted
        if not _closes_at_exit:
            atexit.register(close)
            _closes_at_exit = True
        return _sender


def _make(configured: settings.Settings) -> Sender | None:
    """The configured sender; the local inbox where its configuration cannot be used: nothing is lost."""
    from modeltrail.transports.local import LocalSender

    kind = configured.transport["type"] if configured.transport else "modeltrail.LocalTransport"
    if kind == "noop":
        return None
    with guard.guarded(f"setting up the transport {kind}"):
        return make(configured)
    guard.warn_once("fallback", "events go to the local inbox instead: %s", configured.inbox)
    return LocalSender(configured.inbox)


def make(configured: settings.Settings) -> Sender:
    """A new sender as configured.

    Raises:
        ConfigError: The transport's configuration cannot be used.
    """
    transport = configured.transport or {"type": "modeltrail.LocalTransport"}
    if transport["type"] in LOCAL_TYPES:
        from modeltrail.transports.local import LocalSender, local_directory

        return LocalSender(local_directory(transport, configured))
    if transport["type"] in KAFKA_TYPES:
        from modeltrail.transports import kafka
        from modeltrail.transports.kafka_options import KafkaOptions

        return kafka.sender(KafkaOptions.from_dict(transport, configured))
    from modeltrail.transports.openlineage import ForeignSender

    return ForeignSender(transport, configured.spool)


def _after_fork() -> None:
    """The child has none of the parent's threads, and must not write into its files: it starts anew.

    The parent's sender stays referenced: finalizers would work on connections that both processes share.
    """
    global _lock, _sender, _made_for  # noqa: PLW0603  one sender for the process
    _lock = threading.RLock()
    if _made_for is not _BY_HAND:
        _inherited.append(_sender)
        _sender, _made_for = None, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
