"""What goes to stderr: lines for people, or one JSON object a line for machines."""

import logging
import sys
from typing import Final, Literal

from pythonjsonlogger.json import JsonFormatter

Format = Literal["text", "json"]
FORMATS: Final[tuple[Format, ...]] = ("text", "json")
_RENAMED = {"levelname": "level", "name": "logger", "processName": "process"}


def configure(format_: Format) -> None:
    """Ours to stderr; `json` says also what is in order, as the start and each sealed segment.

    kafka-python's own lines stay silent: what matters of them is in our messages.
    """
    handler = _ToStderr()
    if format_ == "json":
        fields = ["levelname", "event", "message", "name", "processName"]
        handler.setFormatter(JsonFormatter(fields, rename_fields=_RENAMED, timestamp="time"))
        handler.addFilter(_name_event)
    else:
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if format_ == "json" else logging.WARNING)
    theirs = logging.getLogger("kafka")
    theirs.propagate = False
    theirs.addHandler(logging.NullHandler())


class _ToStderr(logging.Handler):
    """Writes to whatever stderr is when a line is written, not when this was made."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


def _name_event(record: logging.LogRecord) -> bool:
    """Each line has an event; where none is given, that of the module it comes from."""
    if not hasattr(record, "event"):
        record.event = record.module
    return True
