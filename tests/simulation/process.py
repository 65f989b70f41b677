"""A process of the simulation: production code in a greenlet that stops wherever it meets the world."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from greenlet import getcurrent, greenlet


class Outcome(StrEnum):
    """What comes of a call into the world."""

    OK = "ok"
    REFUSED = "failed, nothing done"
    UNKNOWN = "failed, yet done"
    LATE = "failed, done later"
    AGAIN = "done, then repeated by the client: says it was there"


class Killed(BaseException):
    """SIGKILL, or the end of the machine: the process unwinds, and nothing it does then counts."""


class Process:
    """Runs `body(process)` step by step: when it is resumed it goes on to its next call into the world."""

    def __init__(self, name: str, body: Callable[["Process"], None], **about: Any) -> None:
        self.name = name
        self.alive = True
        self.stopped = False
        """SIGSTOP: it is not resumed."""
        self.silent_since: float | None = None
        self.terminating = False
        """SIGTERM: it shall drain and end."""
        self.pending = "start"
        self.error: BaseException | None = None
        self.about = about
        self._body = body
        self._world = getcurrent()
        self._greenlet = greenlet(self._run)

    @property
    def running(self) -> bool:
        return self.alive and not self._greenlet.dead

    def _run(self, _: Outcome) -> None:
        try:
            self._body(self)
        except Killed:
            pass
        except BaseException as error:
            self.error = error

    def pause(self, what: str) -> Outcome:
        """Called by whatever simulates the world: wait for what comes of it."""
        if not self.alive:
            raise Killed
        self.pending = what
        outcome: Outcome = self._world.switch()
        if not self.alive:
            raise Killed
        return outcome

    def resume(self, outcome: Outcome = Outcome.OK) -> None:
        self._greenlet.switch(outcome)

    def kill(self) -> None:
        self.alive = False
        if self._greenlet:
            self._greenlet.throw(Killed)
