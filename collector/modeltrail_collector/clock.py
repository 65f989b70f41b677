"""Wall time, as the log keeps it: for people and for order in doubt, never for measuring how long."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

WallClock = Callable[[], int]
"""Milliseconds since the epoch (UTC)."""

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def wall_ms() -> int:
    """The machine's."""
    return time.time_ns() // 1_000_000


def rfc3339(now_ms: int) -> str:
    """A time as the log writes it: UTC, to the millisecond."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """A time as people write it: now, `30m`, `12h`, `7d`, `2w` ago, or as in ISO 8601 (UTC without a zone).

    Raises ValueError for another text, and says what to write.
    """
    if text.strip() == "now":
        return datetime.now(UTC)
    try:
        if found := re.fullmatch(r"(\d+)\s*([smhdw])", text.strip()):
            return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{text!r} is no time: write 30m, 12h, 7d, 2026-03-01 or 2026-03-01T12:00:00Z"
        ) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)
