"""Wall time, as the log keeps it: for people and for order in doubt, never for measuring how long."""

import time
from collections.abc import Callable

WallClock = Callable[[], int]
"""Milliseconds since the epoch (UTC)."""


def wall_ms() -> int:
    """The machine's."""
    return time.time_ns() // 1_000_000
