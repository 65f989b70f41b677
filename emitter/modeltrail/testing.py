"""What tests of programs that use modeltrail need: a sender that remembers, and failures that are raised.

with modeltrail.testing.captured_events() as events:
    train()
assert "COMPLETE" == events[-1]["eventType"]
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from modeltrail import guard, settings, transports
from modeltrail.errors import DeliveryError


class MemorySender:
    """Keeps what is sent in `sent`, a list of (key, value) pairs, in order.

    Set `fails_with` to a message to have the next sends refused, as an unreachable broker does.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[bytes | None, bytes]] = []
        self.fails_with: str | None = None

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events as parsed from the bytes of the wire."""
        return [msgspec.json.decode(value) for _, value in self.sent]

    def send(self, key: bytes | None, value: bytes) -> None:
        """Keep one event.

        Raises:
            DeliveryError: `fails_with` is set.
        """
        if self.fails_with is not None:
            raise DeliveryError(self.fails_with)
        self.sent.append((key, value))

    def flush(self, timeout: float) -> bool:  # noqa: ARG002  what is kept in memory is as durable as it gets
        """Say that everything sent is kept."""
        return True

    def settle(self, timeout: float) -> bool:
        """Say that everything sent is kept."""
        return self.flush(timeout)

    def close(self, timeout: float) -> bool:
        """Say that everything sent is kept; sending again is fine."""
        return self.flush(timeout)


class _Captured(list[dict[str, Any]]):
    """A list that grows as events are sent."""

    def send(self, key: bytes | None, value: bytes) -> None:  # noqa: ARG002
        self.append(msgspec.json.decode(value))

    def settle(self, timeout: float) -> bool:  # noqa: ARG002
        return True

    flush = close = settle


@contextmanager
def captured_events() -> Iterator[list[dict[str, Any]]]:
    """Catch every event of the block: the list grows with each, as parsed from the bytes of the wire.

    The configured transport sees nothing of them. Failures of modeltrail are raised inside the block.
    """
    events = _Captured()
    with transports.using(events), strict():
        yield events


@contextmanager
def strict(on: bool = True) -> Iterator[None]:
    """Raise modeltrail's own failures inside the block instead of logging them (or the other way round)."""
    before = settings.overridden("strict")
    settings.configure(strict=on)
    try:
        yield
    finally:
        settings.configure(strict=before)


def reset() -> None:
    """Forget settings, counts of failures and the sender, as in a fresh process."""
    transports.close()
    settings.reset()
    guard.reset()
