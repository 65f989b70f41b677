"""What a process does for its open runs: tells children who their parent is, and ends runs that nobody ends.

Children see the innermost open run in OPENLINEAGE_CONTEXT. At SIGTERM, if the process dies of it, and at the
end of the interpreter, open runs are aborted. A forked child has no open runs: it never ends its parent's.
"""

import atexit
import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final, Protocol

from modeltrail.context import CONTEXT_ENV, Parent
from modeltrail.guard import guarded

ABORT_TIMEOUT_S: Final = 5.0
"""How long a process that was told to terminate may still take to say so."""


class OpenRun(Protocol):
    """A run that goes on in this process."""

    @property
    def identity(self) -> Parent:
        """Its names."""

    def abort(self, reason: str) -> None:
        """End it as aborted."""

    def expect_abort(self) -> None:
        """Take an exception from here on as the consequence of an abort."""


class Section:
    """Code of ours that SIGTERM waits for, since it holds locks or sends events: `with process.Section():`.

    Signals are handled in the main thread, so only that one can be interrupted.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        if threading.get_ident() == threading.main_thread().ident:
            _process.busy += 1

    def __exit__(self, *_: object) -> None:
        if threading.get_ident() == threading.main_thread().ident:
            _process.busy = max(_process.busy - 1, 0)  # a forked child starts from 0 inside of a section
            if _process.is_to_die and not _process.busy:
                _die()


class Lock(Section):
    """A lock that its thread may take again; what it protects is a section."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        super().__enter__()
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()
        super().__exit__(*error)


class _Process:
    """The state of this process; one object, so that a fork can replace it whole."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.runs: list[OpenRun] = []
        self.context_before: str | None = None
        self.context_set: str | None = None
        self.handler_before: Callable[[int, FrameType | None], object] | int | None = None
        self.finishers: list[Callable[[], None]] = []
        self.busy = 0  # sections that the main thread is in
        self.is_to_die = False


_process = _Process()


def opened(run: OpenRun) -> None:
    """A run was opened in this process."""
    with _process.lock:
        _process.runs.append(run)
        _announce()
        _listen()


def closed(run: OpenRun) -> None:
    """A run was closed."""
    with _process.lock:
        if run in _process.runs:
            _process.runs.remove(run)
        _announce()
        if not _process.runs:
            _stop_listening()


def end_at_exit(finisher: Callable[[], None] | None = None) -> None:
    """See to it that `finisher` is called at the interpreter's end, and then open runs are aborted.

    Called again after an event was sent: the last to register is the first to run, and we have to come before
    the transport is closed. Registered no earlier than needed: Airflow clears what a task inherits.
    """
    if finisher is not None:
        _process.finishers.append(finisher)
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)


def _announce() -> None:
    """Put the innermost open run into the environment, or put back what was there."""
    innermost = _process.runs[-1].identity.to_context() if _process.runs else None
    found = os.environ.get(CONTEXT_ENV)
    if _process.context_set is None or found != _process.context_set:  # the host's own
        _process.context_before = found
    wanted = innermost or _process.context_before
    if wanted is None:
        os.environ.pop(CONTEXT_ENV, None)
    else:
        os.environ[CONTEXT_ENV] = wanted
    _process.context_set = innermost


def _listen() -> None:
    """Come before the host's handler of SIGTERM, unless it is ignored, or handled by something in C."""
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGTERM)
    if before in {None, signal.SIG_IGN, _on_sigterm}:
        return
    _process.handler_before = before
    signal.signal(signal.SIGTERM, _on_sigterm)


def _stop_listening() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is _on_sigterm and _process.handler_before is not None:
        signal.signal(signal.SIGTERM, _process.handler_before)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    """A handler of the host decides what happens; without one the process dies, after it said so.

    What was interrupted in a `section` may finish that first.
    """
    before = _process.handler_before
    runs = list(_process.runs)
    for run in runs:
        run.expect_abort()
    if callable(before):
        before(number, frame)
        return
    if _process.busy:
        _process.is_to_die = True
        return
    _die()


def _die() -> None:
    """Abort all runs, and die of SIGTERM as the process would have without us.

    Said in a thread, since the one that was interrupted may hold a lock of somebody else's.
    """
    runs = list(_process.runs)
    teller = threading.Thread(target=_abort, args=(runs, "SIGTERM"), daemon=True)
    with guarded("aborting runs at SIGTERM"):
        teller.start()
        teller.join(ABORT_TIMEOUT_S)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _abort(runs: list[OpenRun], reason: str) -> None:
    for run in reversed(runs):
        with guarded("aborting a run"):
            run.abort(reason)


def _at_exit() -> None:
    with contextlib.suppress(KeyboardInterrupt), _Patience():
        for finisher in _process.finishers:
            with guarded("ending the run of the script"):
                finisher()
        _abort(list(_process.runs), "the interpreter ended while the run was open")


class _Patience:
    """Does not let the first Ctrl-C interrupt its block, unless the host handles Ctrl-C itself."""

    def __enter__(self) -> None:
        self._before = signal.getsignal(signal.SIGINT)
        if self._before is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupted)

    def __exit__(self, *_: object) -> None:
        if self._before is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._before)

    def _interrupted(self, number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.default_int_handler)


_masks: dict[int, set[int | signal.Signals]] = {}  # of threads that are just forking


def _before_fork() -> None:
    """Hold SIGTERM back: in a fresh child Python drops what arrives before the child has its own handler."""
    if signal.getsignal(signal.SIGTERM) is _on_sigterm:
        _masks[threading.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _after_fork_in_parent() -> None:
    mask = _masks.pop(threading.get_ident(), None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _after_fork_in_child() -> None:
    """The child starts with none of the parent's runs, and with the host's own handler.

    The context that it inherits makes runs of its own children of the parent's.
    """
    global _process
    before, _process = _process, _Process()
    atexit.unregister(_at_exit)
    if signal.getsignal(signal.SIGTERM) is _on_sigterm and before.handler_before is not None:
        signal.signal(signal.SIGTERM, before.handler_before)
    _after_fork_in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
