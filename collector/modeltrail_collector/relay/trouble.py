"""What fails and is tried again: how long to wait, and how often to say so."""

import logging
import random
import threading
import time
from typing import Final

from modeltrail_collector.errors import CollectorError

_SAY_S: Final = 60.0
BACKOFF_S: Final = 0.5
BACKOFF_MAX_S: Final = 30.0


def backoff_s(failures: int) -> float:
    """How long to wait after so many failures in a row: 1 s, 2 s, 4 s, … 30 s."""
    return min(BACKOFF_S * 2.0 ** min(failures, 10), BACKOFF_MAX_S)


def jittered_s(failures: int) -> float:
    """As `backoff_s`, but not for all at the same moment: between half of it and all."""
    return backoff_s(failures) * random.uniform(0.5, 1)  # noqa: S311  no secret


class Trouble:
    """Says each trouble once a minute: all that wait for the same have the same."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._said: tuple[str, float] = "", 0.0
        self._lock = threading.Lock()

    def say(self, error: Exception | str, wait_s: float) -> None:
        """Say what failed, and when it is tried again; what nobody foresaw with its traceback."""
        with self._lock:
            said, at = self._said
            if said == str(error) and time.monotonic() - at <= _SAY_S:
                return
            self._said = str(error), time.monotonic()
        unforeseen = None if isinstance(error, CollectorError | str) else error
        self._logger.warning("%s; trying again in %.0f s", error, wait_s, exc_info=unforeseen)
