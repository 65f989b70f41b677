"""How the programs of a launch ended: none knows its own exit code, so the wrapper sends their last events.

A program that has something to tell keeps its story in `programs/<run id>.json` of the launch: `event` is the
event COMPLETE, `chunk` the metrics that are not sent yet, `pid` its process, `ended` that Python came to its
end. `<run id>.exit` beside it has its exit code, which C's `exit` writes there.
"""

import ctypes
import json
import mmap
import os
import sys
import threading
from pathlib import Path
from typing import Any, Final

from modeltrail import event, transports
from modeltrail.event import EventType
from modeltrail.guard import guarded
from modeltrail.runs import outcome

INTERVAL_S: Final = 0.5
"""So soon is the end of a program told."""
FOLDER: Final = "programs"
_UNWRITTEN: Final = b"\x00\xff"
_UNBUFFERED: Final = 2  # _IONBF of glibc


def note_exit(path: Path) -> bool:
    """Have C write the code that this process exits with to a file; False where its library does not do that.

    Python tells the code of an exit to nobody; `on_exit` of glibc calls a function `(code, pointer)`, as
    `fputc` is one: onto a page of memory that is the file, so that no file stays open. It is written twice,
    since 0 is a code too. A fork has a page of its own.
    """
    libc: Any = ctypes.CDLL(None)
    if sys.platform != "linux" or not hasattr(libc, "on_exit"):
        return False
    libc.mmap.restype = libc.fmemopen.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    writable = mmap.PROT_READ | mmap.PROT_WRITE
    path.write_bytes(_UNWRITTEN.ljust(mmap.PAGESIZE, b"\0"))
    with path.open("r+b") as file:
        page = libc.mmap(None, mmap.PAGESIZE, writable, mmap.MAP_SHARED, file.fileno(), 0)
    if page == ctypes.c_void_p(-1).value:
        return False
    stream = ctypes.c_void_p(libc.fmemopen(ctypes.c_void_p(page), len(_UNWRITTEN), b"r+"))
    libc.setvbuf(stream, None, _UNBUFFERED, 0)
    own = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10  # MAP_FIXED: in place of the other
    os.register_at_fork(after_in_child=lambda: libc.mmap(page, mmap.PAGESIZE, writable, own, -1, 0))
    for _ in _UNWRITTEN:
        libc.on_exit(ctypes.cast(libc.fputc, ctypes.c_void_p), stream)
    return True


def lives(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, which is no other one
        return True
    return True


class Watch:
    """Sends the last events of the programs of a launch, soon after they have ended, until `end`."""

    def __init__(self, state: str) -> None:
        self._folder = Path(state) / FOLDER
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="modeltrail-programs", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Send the rest; a program that still runs finds its folder gone, and sends its last event itself."""
        self._ended.set()
        self._thread.join()
        self._folder = self._folder.rename(self._folder.with_name(f"{FOLDER}-closed"))
        self._look()

    def _go_on(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            self._look()

    def _look(self) -> None:
        for path in sorted(self._folder.glob("*.json")):
            with guarded("telling how a program of the launch ended"):
                self._tell(path)

    def _tell(self, path: Path) -> None:
        story = json.loads(path.read_bytes())
        code = _exit_code(path.with_suffix(".exit"))
        if code is None and lives(story["pid"]):
            return
        path.unlink()
        transports.emit(_last(story, code))


def _exit_code(path: Path) -> int | None:
    written = path.read_bytes()[: len(_UNWRITTEN)] if path.exists() else _UNWRITTEN
    return written[0] if written[0] == written[-1] else None


def _last(story: dict[str, Any], code: int | None) -> dict[str, Any]:
    """COMPLETE as the program told it, or what its exit code came to."""
    last: dict[str, Any] = story["event"]
    facets = dict(last["run"]["facets"])
    if story["chunk"]:
        facets["modelTrail_metricSeries"] = story["chunk"]
    kind: EventType = "COMPLETE"
    if code is None:
        kind, facets["errorMessage"] = "ABORT", outcome.message("killed, or ended by os._exit")
    elif code != 0:
        kind, facets["errorMessage"] = "FAIL", outcome.message(f"exit code {code}")
    at = last["eventTime"] if story.get("ended") else event.now()
    return {**last, "eventType": kind, "eventTime": at, "run": {**last["run"], "facets": facets}}
