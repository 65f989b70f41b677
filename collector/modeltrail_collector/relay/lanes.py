"""Many at once, and in each lane one after the other."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

MOST_WAITING: Final = 1_000
MOST_WAITING_BYTES: Final = 64 << 20


class StoppedError(Exception):
    """The work on something was given up: it is not done, and nothing behind it in its lane may be begun."""


class Load(Protocol):
    """What is worked on: its lane, and what it takes in memory."""

    @property
    def lane(self) -> str:
        """Loads of one lane are worked on in the order in which they were put."""

    @property
    def body(self) -> bytes:
        """What is sent."""

    @property
    def is_free(self) -> bool:
        """Whether it need not wait for another lane any more; only for what was put before it."""


class Lanes:
    """Threads that work on what is put: of each lane on the first alone.

    Args:
        threads: How many things are worked on at once.
        work: Does it; whatever it raises ends all, and is raised by `put` and `wait`.
    """

    def __init__(self, threads: int, work: Callable[[Any], None]) -> None:
        self._work = work
        self._lanes: dict[str, deque[Load]] = {}
        self._ready: deque[str] = deque()
        self._waiting = 0
        self._bytes = 0
        self._failure: Exception | None = None
        self._ended = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, name=f"relay-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, load: Load, timeout_s: float) -> bool:
        """Add a load; False if there was no room for it in all that time."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room() or self._failure, timeout_s)
            self._raise()
            if not self._has_room():
                return False
            lane = self._lanes.setdefault(load.lane, deque())
            if not lane:
                self._ready.append(load.lane)
            lane.append(load)
            self._waiting += 1
            self._bytes += len(load.body)
            self._changed.notify_all()
            return True

    def _has_room(self) -> bool:
        return self._waiting < MOST_WAITING and self._bytes < MOST_WAITING_BYTES

    def wait(self, timeout_s: float) -> bool:
        """Whether all is done, or is within that time."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting or self._failure, timeout_s)
            self._raise()
            return not self._waiting

    def close(self, patience_s: float) -> None:
        """Finish what is under way, if that takes no longer; begin nothing more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        deadline = time.monotonic() + patience_s
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        with contextlib.suppress(StoppedError):
            while (load := self._next()) is not None:
                size = len(load.body)
                try:
                    self._work(load)
                except StoppedError:
                    raise
                except Exception as error:
                    with self._changed:
                        self._failure = self._failure or error
                        self._changed.notify_all()
                    return
                self._done(load.lane, size)

    def _next(self) -> Load | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._free() is not None)
            lane = self._free()
            if self._ended or lane is None:
                return None
            self._ready.remove(lane)
            return self._lanes[lane][0]

    def _free(self) -> str | None:
        return next((lane for lane in self._ready if self._lanes[lane][0].is_free), None)

    def _done(self, name: str, size: int) -> None:
        with self._changed:
            lane = self._lanes[name]
            lane.popleft()
            self._waiting -= 1
            self._bytes -= size
            if lane:
                self._ready.append(name)
            else:
                del self._lanes[name]
            self._changed.notify_all()
