"""What a server counts; read by whoever scrapes."""

import time
from collections import Counter
from typing import Final

import msgspec

FAILING_S: Final = 10.0
"""So long after a failure nobody should be sent here; then somebody has to try."""


class ServeStatus(msgspec.Struct):
    """One process. `failed_at` is on the monotonic clock; None while nothing ever failed."""

    requests: Counter[int] = msgspec.field(default_factory=Counter)
    events: Counter[str] = msgspec.field(default_factory=Counter)
    commits: int = 0
    commit_seconds: float = 0.0
    commit_failures: int = 0
    waiting_bytes: int = 0
    failed_at: float | None = None
    error: str | None = None

    @property
    def is_failing(self) -> bool:
        """Whether events could not be kept just now."""
        return self.failed_at is not None and time.monotonic() - self.failed_at < FAILING_S
