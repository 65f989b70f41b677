"""The guest's promise: what goes wrong in modeltrail never reaches the host program.

Everything that runs inside somebody's training process runs under `guarded`. A failure is logged once per
kind on the logger ``modeltrail``, counted, and dropped; a host that asked for strictness gets it raised.
"""

import gc
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final

log = logging.getLogger("modeltrail")

_failures: dict[str, int] = {}
_warned: set[str] = set()
_lock = threading.Lock()


def _lenient() -> bool:
    return False


_is_strict: Callable[[], bool] = _lenient


at_work: Final[dict[int, int]] = {}
"""Thread -> how deep it is in blocks of ours; asked at each call that is followed, and mostly empty then."""


def is_at_work() -> bool:
    """Whether this thread is in a block of ours: what it calls there, the host did not."""
    return threading.get_ident() in at_work


class guarded:  # noqa: N801  reads as a statement: `with guarded("emitting an event"):`
    """Keep every Exception of the block from leaving it.

    Args:
        what: What the block does, as it should read in the log: "emitting an event".

    KeyboardInterrupt, SystemExit and GeneratorExit pass. With the setting `strict` (MODELTRAIL_STRICT) the
    exception passes too, after it was counted.
    """

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        me = threading.get_ident()
        at_work[me] = at_work.get(me, 0) + 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        me = threading.get_ident()
        if (depth := at_work.pop(me, 1)) > 1:
            at_work[me] = depth - 1
        return isinstance(error, Exception) and is_kept(self.what, error)


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep garbage collections out of a block that allocates much and leaves no garbage, as imports do.

    A full one goes through all objects of the host: 50 ms for those of pandas, scikit-learn and xgboost. To
    those after the block all objects are old: without that the next two go through what it made, which takes
    5 ms of what `autolog` does.
    """
    if not gc.isenabled():
        yield
        return
    gc.collect(1)  # what is young and garbage already would become old too
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # the host, or Python 3.12, keeps objects out of all collections
            gc.freeze()
            gc.unfreeze()  # to the oldest generation, wherever they were before
        gc.enable()


def is_kept(what: str, error: Exception) -> bool:
    """Note a failure; whether it is to be dropped then, as all are unless the host is strict."""
    note(what, error)
    return not _is_strict()


def note(what: str, error: Exception) -> None:
    """Count a failure; the first of its kind is also logged as a warning."""
    kind = f"{what}: {type(error).__name__}"
    with _lock:
        _failures[kind] = seen = _failures.get(kind, 0) + 1
    if seen == 1:
        log.warning("%s failed, your program goes on: %s: %s", what, type(error).__name__, _text(error))
        log.debug("where it happened:", exc_info=error)


def failures() -> dict[str, int]:
    """How often each kind of failure happened in this process: ``{"emitting an event: OSError": 3}``."""
    with _lock:
        return dict(_failures)


def warn_once(kind: str, message: str, *args: object) -> None:
    """Log a warning the first time its kind occurs in this process; `args` are for ``%s`` in `message`."""
    with _lock:
        if kind in _warned:
            return
        _warned.add(kind)
    log.warning(message, *args)


def strict_when(decides: Callable[[], bool]) -> None:
    """Say who decides whether failures are raised; the settings do."""
    global _is_strict  # noqa: PLW0603  one switch for the process
    _is_strict = decides


def reset() -> None:
    """Forget all counts and warnings, as in a fresh process."""
    with _lock:
        _failures.clear()
        _warned.clear()


def _text(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # an exception of somebody's own class may fail to describe itself
        return "(no message)"


def _after_fork() -> None:
    """A lock that another thread held at the fork would stay locked in the child for ever, and it at work."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    me = threading.get_ident()
    for other in [each for each in at_work if each != me]:
        del at_work[other]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
