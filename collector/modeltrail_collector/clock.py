"""Wall time, as the log keeps it: for people and for order in doubt, never for measuring how long."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

WallClock = Callable[[], int]
"""Milliseconds since the epoch (UTC)."""


def wall_ms() -> int:
    """The machine's."""
    return time.time_ns() // 1_000_000


def rfc3339(now_ms: int) -> str:
    """A time as the log writes it: UTC, to the millisecond."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
