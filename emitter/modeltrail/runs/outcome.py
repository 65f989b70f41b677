"""How a run ended: by the exception that left it."""

import sys
import traceback
from types import TracebackType
from typing import Any, Final

from modeltrail import standard
from modeltrail.event import EventType
from modeltrail.observe import redact

MAX_MESSAGE: Final = 10_000
MAX_TRACE: Final = 30_000


left_by: BaseException | None = None
"""What made somebody leave the program by an exit, of which Python itself keeps nothing."""


def leave(error: BaseException | None) -> None:
    """Keep in mind that an exit is an interruption; not by what it came: its frames hold the host's data."""
    global left_by  # noqa: PLW0603  one for the process
    if error is not None and isinstance(_reason(error), KeyboardInterrupt):
        left_by = KeyboardInterrupt()


def _reason(error: BaseException) -> BaseException:
    """What was raised: an exit that is made of an interruption by Ctrl-C is that interruption."""
    made_of = error.__context__
    return made_of if isinstance(error, SystemExit) and isinstance(made_of, KeyboardInterrupt) else error


def of(error: BaseException | None, *, aborted: bool = False) -> tuple[EventType, dict[str, Any] | None]:
    """The type of the last event, and its `errorMessage`.

    `sys.exit()` and `sys.exit(0)` complete a run, as they end a process with success. An interruption, also
    one that was made another exit of, a cancelled task and a closed generator abort it, and so does any
    exception once the process was told to terminate (`aborted`).
    """
    if error is None or (isinstance(error, SystemExit) and error.code in {None, 0}):
        return "COMPLETE", None
    error = _reason(error)
    facet = failure(type(error), error, error.__traceback__)
    return ("ABORT" if aborted or _is_abort(error) else "FAIL"), facet


def _is_abort(error: BaseException) -> bool:
    """Only who has imported asyncio can cancel a task: importing it here would cost every run 15 ms."""
    cancelled = getattr(sys.modules.get("asyncio"), "CancelledError", KeyboardInterrupt)
    return isinstance(error, (KeyboardInterrupt, GeneratorExit, cancelled))


def failure(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> dict[str, Any]:
    """The facet `errorMessage`: class, message and stack, without secrets."""
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else f"1: {error.code}"
        return message(f"exit code {code}")
    try:
        text = str(error)
    except Exception:  # an exception of somebody's own class may fail to describe itself
        text = ""
    stack = "".join(traceback.format_exception(kind, error, trace))
    return message(f"{kind.__qualname__}: {text}" if text else kind.__qualname__, stack)


def message(text: str, stack: str | None = None) -> dict[str, Any]:
    """The facet `errorMessage`; of a long stack the end is kept, which names the error."""
    trace = redact.text(stack[-MAX_TRACE:]) if stack else None
    return standard.error_message(redact.text(text[:MAX_MESSAGE]), "python", trace)
