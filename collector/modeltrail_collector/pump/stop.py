"""An orderly end: asked for by a signal, bounded in time, and cut short by a second signal."""

import logging
import os
import signal
import threading
import time
from multiprocessing.process import BaseProcess
from typing import Final

_logger = logging.getLogger(__name__)

GRACE_S: Final = 20.0
"""How long the end may wait for a store that is away: less than the 30 s that Kubernetes and Docker grant."""
STUCK_S: Final = 5.0
EXIT_UNREACHABLE: Final = 4
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """SIGTERM and SIGINT ask for an orderly end: what is read is sealed first. A second one ends at once.

    A thread listens to them: Python's own handlers wait while the main thread is inside a call that writes to
    a disk or a store which does not answer, and just then somebody wants to end it.

    Args:
        grace_s: How long what is read may wait to be sealed.
    """

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self.wanted: int | None = None
        self.grace_s = grace_s
        self.children: list[BaseProcess] = []
        self._until = 0.0

    def install(self, *, interrupt: bool = True) -> None:
        """Listen to the signals; SIGINT is ignored unless `interrupt`."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        # Before the handlers: a signal that comes between the two would be taken, and nobody would be told.
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, _left_to_the_thread)
        if not interrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=self._listen, args=(reading,), name="signals", daemon=True).start()

    def ask(self, why: str) -> None:
        """Ask for the end without a signal."""
        if self.wanted is None:
            _logger.warning("ending: %s", why, extra={"event": "stopping"})
            self._begin(signal.SIGTERM)

    def left_s(self) -> float:
        """How much longer the end may wait."""
        return max(self._until - time.monotonic(), 0.0)

    def _begin(self, number: int) -> None:
        self._until = time.monotonic() + self.grace_s
        self.wanted = number
        timer = threading.Timer(self.grace_s + STUCK_S, self._give_up)
        timer.daemon = True
        timer.start()

    def _listen(self, reading: int) -> None:
        while number := os.read(reading, 1)[0]:
            if number not in _SIGNALS:
                continue
            if self.wanted is None:
                self._begin(number)
            else:
                self._end(128 + number)

    def _give_up(self) -> None:
        """The main thread is still inside a call that does not return."""
        _logger.error(
            "the store has not answered for %.0f s: ending without it. What was read and not sealed is read "
            "again by the next collector",
            self.grace_s + STUCK_S,
            extra={"event": "gave_up"},
        )
        self._end(EXIT_UNREACHABLE)

    def _end(self, code: int) -> None:
        for child in self.children:
            child.kill()
        os._exit(code)


def _left_to_the_thread(number: int, frame: object) -> None:
    """A handler there must be: else the system ends the process, and tells nobody."""
