"""Which observed calls of the host's are going on, and which threads belong to them.

A search or a forest fits its parts in threads that it starts: they belong to its own call, as do the threads
that those start. What another thread starts meanwhile does not.
"""

import os
import sys
import threading
from types import FrameType
from weakref import WeakKeyDictionary

from modeltrail.guard import guarded


class _Call:
    """One outermost call."""


_lock = threading.RLock()
_going_on: dict[int, _Call] = {}
"""Thread -> its outermost observed call."""
_born_under: WeakKeyDictionary[threading.Thread, _Call] = WeakKeyDictionary()
"""Thread -> the call that it was started by."""


def enter() -> bool:
    """Whether no observed call is going on in this thread, nor one that this thread belongs to."""
    with _lock:
        if _current() is not None:
            return False
        _going_on[threading.get_ident()] = _Call()
        return True


def leave() -> None:
    """The outermost observed call of this thread is over."""
    with _lock:
        _going_on.pop(threading.get_ident(), None)


def is_observing() -> bool:
    """Whether an observed call is going on in this thread, or one that this thread belongs to."""
    if not _going_on:  # asked at each step of a training loop
        return False
    with _lock:
        return _current() is not None


def is_inside() -> bool:
    """Whether this thread is the one that an observed call is going on in."""
    return threading.get_ident() in _going_on


def caller(*passed: str) -> str:
    """The module that makes the observed call, without those whose names begin so."""
    frame = sys._getframe()  # noqa: SLF001  inspect.stack would read the source of each
    while frame.f_back is not None and _module(frame).startswith(("modeltrail.", *passed)):
        frame = frame.f_back
    return _module(frame)


def is_within(module: str, function: str) -> bool:
    """Whether a call of this function, or method, of a module goes on in this thread."""
    return going_on(module, function) is not None


def going_on(module: str, function: str) -> FrameType | None:
    """The innermost such call."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  as above
    while frame is not None and (frame.f_code.co_name != function or _module(frame) != module):
        frame = frame.f_back
    return frame


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def starts(thread: threading.Thread) -> None:
    """This thread is about to start another one."""
    if not _going_on:
        return
    with guarded("starting a thread"), _lock:
        if (call := _current()) is not None:
            _born_under[thread] = call


def _current() -> _Call | None:
    own = _going_on.get(threading.get_ident())
    call = own or _born_under.get(threading.current_thread())
    return call if call in _going_on.values() else None


def _after_fork() -> None:
    """Another thread may have held the lock, or been in an observed call: it is not here."""
    global _lock  # noqa: PLW0603  one for the process
    _lock = threading.RLock()
    me = threading.get_ident()
    for other in [each for each in _going_on if each != me]:
        del _going_on[other]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
