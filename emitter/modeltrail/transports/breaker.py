"""A receiver that is down costs one wait, and not one for every event or process."""

import contextlib
import threading
import time
from pathlib import Path

from modeltrail.errors import DeliveryError

COOL_DOWN_S = 30.0
LONGEST_COOL_DOWN_S = 600.0


class Breaker:
    """Refuses attempts for `cool_down` seconds after a failure, twice as long after each further one.

    Thread-safe. When the time is over the next attempt is a trial. Processes that share a `note`, a file, do
    not connect within `cool_down` of a failure of any of them: one that ends soon after would wait in vain.
    """

    def __init__(
        self, cool_down: float = COOL_DOWN_S, longest: float = LONGEST_COOL_DOWN_S, note: Path | None = None
    ) -> None:
        self.cool_down = cool_down
        self.longest = longest
        self._note = note
        self._lock = threading.Lock()
        self._failures = 0
        self._opens_at = 0.0
        self._why = ""

    def check(self, *, connects: bool = False) -> None:
        """Let an attempt pass.

        Args:
            connects: Whether it is one to connect, for which also counts what other processes noted.

        Raises:
            DeliveryError: It is too early; names the last failure.
        """
        wait = self._opens_at - time.monotonic()
        if wait > 0:
            raise _too_early(self._why, wait)
        if connects and self._note is not None and not self._failures:
            with contextlib.suppress(OSError):
                since = time.time() - self._note.stat().st_mtime
                if 0 <= since < self.cool_down:
                    why = self._note.read_text(encoding="utf-8", errors="replace")
                    raise _too_early(why, self.cool_down - since)

    def failed(self, why: str) -> None:
        """Note a failure: no attempts for a while."""
        with self._lock:
            pause = min(self.cool_down * 2**self._failures, self.longest)
            self._failures = min(self._failures + 1, 10)
            self._why = why
            self._opens_at = time.monotonic() + pause
        if self._note is not None:
            with contextlib.suppress(OSError):  # a full disk: each process waits for itself
                self._note.parent.mkdir(parents=True, exist_ok=True)
                self._note.write_text(why, encoding="utf-8", errors="replace")

    def succeeded(self) -> None:
        """Note a success: all is well again."""
        if self._failures:
            with self._lock:
                self._failures = 0
                self._opens_at = 0.0
            if self._note is not None:
                with contextlib.suppress(OSError):
                    self._note.unlink(missing_ok=True)


def _too_early(why: str, wait: float) -> DeliveryError:
    return DeliveryError(f"{why} (tried again in {wait:.0f} s)")
