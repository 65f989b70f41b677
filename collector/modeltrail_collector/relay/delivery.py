"""One event to a backend: until it is taken, or will never be."""

import threading
import time
from typing import Final

from modeltrail_collector.errors import ConfigError, Unavailable
from modeltrail_collector.failpoints import reached
from modeltrail_collector.relay.backend import Answer, Backend, shown
from modeltrail_collector.relay.lanes import StoppedError
from modeltrail_collector.relay.status import RelayStatus
from modeltrail_collector.relay.trouble import Trouble, jittered_s

UNCLEAR_ATTEMPTS: Final = 5
PATIENCE_S: Final = 30.0
"""So long may a backend that is away hold up a relay that is to end."""


class Pace:
    """So many events a second and no more.

    Args:
        rate: Events a second; None for as many as go.
    """

    def __init__(self, rate: float | None) -> None:
        self._step_s = 1 / rate if rate else 0.0
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def wait_s(self) -> float:
        """How long to wait before the next one; it counts as sent."""
        with self._lock:
            now = time.monotonic()
            at = max(self._next, now)
            self._next = at + self._step_s
            return at - now


class Delivery:
    """Sends events for any number of threads.

    Args:
        backend: Where to.
        status: Told of attempts.
        trouble: Says what fails.
        pace: How fast.
        patience_s: How long nothing may be taken, or refused, before it gives up; None for ever.
    """

    def __init__(
        self,
        backend: Backend,
        status: RelayStatus,
        trouble: Trouble,
        pace: Pace,
        patience_s: float | None,
    ) -> None:
        self._backend = backend
        self._to = shown(backend.url)
        self._status = status
        self._trouble = trouble
        self._pace = pace
        self._patience_s = patience_s
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._answered_at = time.monotonic()

    def stop(self) -> None:
        """Begin no attempt any more."""
        self._stopped.set()

    def deliver(self, body: bytes) -> str | None:
        """Send an event until it is taken; returns why, if it never will be.

        Raises:
            StoppedError: Neither came to pass before `stop`.
            Unavailable: Nothing was taken for all the patience there is.
            ConfigError: Nothing is taken there at all, and never was since the start.
        """
        failures = 0
        while not self._stopped.wait(self._pace.wait_s()):
            began = time.monotonic()
            answer = self._backend.post(body)
            if answer.meaning == "taken":
                reached("event_relayed")
                self._note_taken(time.monotonic() - began)
                return None
            failures += 1
            if answer.meaning == "refused" or self._is_about_the_event(answer, failures):
                self._note_answered()
                return answer.said
            self._note_failure(answer)
            wait_s = max(answer.wait_s or 0.0, jittered_s(failures))
            self._trouble.say(f"{self._to} {answer.said}", wait_s)
            self._stopped.wait(wait_s)
        raise StoppedError

    def _is_about_the_event(self, answer: Answer, failures: int) -> bool:
        """A bare 500 that stays, from a backend that is well: else all would be refused while it is ill."""
        return answer.meaning == "unclear" and failures >= UNCLEAR_ATTEMPTS and self._backend.is_well()

    def _note_taken(self, seconds: float) -> None:
        self._note_answered()
        with self._lock:
            self._status.sent_at = time.time()
            self._status.sent_seconds += seconds

    def _note_answered(self) -> None:
        with self._lock:
            self._answered_at = time.monotonic()
            self._status.failing_since = self._status.error = None

    def _note_failure(self, answer: Answer) -> None:
        with self._lock:
            self._status.failures += 1
            self._status.failing_since = self._status.failing_since or time.time()
            self._status.error = answer.said
            misdirected = answer.meaning == "misdirected" and self._status.sent_at is None
        if misdirected:
            raise ConfigError(
                f"{self._to} takes no events: {answer.said}. Check --to and MODELTRAIL_RELAY_API_KEY"
            )
        if self._patience_s is not None and time.monotonic() - self._answered_at > self._patience_s:
            raise Unavailable(f"nothing was taken for {self._patience_s:.0f} s: {self._to} {answer.said}")
