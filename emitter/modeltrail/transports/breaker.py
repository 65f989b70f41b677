"""A receiver that is down costs one wait, and not one for every event."""

import threading
import time

from modeltrail.errors import DeliveryError

COOL_DOWN_S = 30.0
LONGEST_COOL_DOWN_S = 600.0


class Breaker:
    """Refuses attempts for `cool_down` seconds after a failure, twice as long after each further one.

    Thread-safe. When the time is over the next attempt is a trial.
    """

    def __init__(self, cool_down: float = COOL_DOWN_S, longest: float = LONGEST_COOL_DOWN_S) -> None:
        self.cool_down = cool_down
        self.longest = longest
        self._lock = threading.Lock()
        self._failures = 0
        self._opens_at = 0.0
        self._why = ""

    def check(self) -> None:
        """Let an attempt pass.

        Raises:
            DeliveryError: It is too early; names the last failure.
        """
        wait = self._opens_at - time.monotonic()
        if wait > 0:
            raise DeliveryError(f"{self._why} (tried again in {wait:.0f} s)")

    def failed(self, why: str) -> None:
        """Note a failure: no attempts for a while."""
        with self._lock:
            pause = min(self.cool_down * 2**self._failures, self.longest)
            self._failures = min(self._failures + 1, 10)
            self._why = why
            self._opens_at = time.monotonic() + pause

    def succeeded(self) -> None:
        """Note a success: all is well again."""
        if self._failures:
            with self._lock:
                self._failures = 0
                self._opens_at = 0.0
