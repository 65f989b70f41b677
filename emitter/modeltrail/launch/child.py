"""The script's side: it adopts the run of the wrapper and writes down what it knows after each change.

A further program of the launch, and each of a shell or of make, has a run of its own below it, which it tells
itself, but for how it ended.

What a kill can take with it: changes of the last `INTERVAL_S` but what was put out, what was only read, and
evaluations of a model that was not saved yet; in an interpreter other than the wrapper's also the
environment, which is looked at when it ends.
"""

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from modeltrail import context, settings, transports, wire
from modeltrail.guard import guarded
from modeltrail.integrations import autolog
from modeltrail.launch import command, programs
from modeltrail.observe import code
from modeltrail.runs import Run, outcome, process

INTERVAL_S: Final = 0.1
"""At most so often is the story written, but for what was put out."""
_AT_ONCE_S: Final = 0.02
"""So much time of the processor may what was put out take, and so much again in each second."""
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_RANKS: Final = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
_MPI: Final = frozenset({"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"})
"""By what launchers number the processes of one program: one tells, of MPI's the one that claimed."""


class Story:
    """The state file: the story of the run as it would be told now, replaced as a whole.

    JSON: `event` is the event COMPLETE, `chunk` the metrics that are not sent yet, `error` the facet of the
    exception that ended the interpreter, `interrupted` whether that was Ctrl-C, `cell` the last one of a
    notebook, `imported` the files that the program consists of; of a further program see `programs`.
    """

    def __init__(self, path: Path, run: Run, **more: Any) -> None:
        self._path = path
        self._run = run
        self._more = more
        self._written_at = 0.0
        self._put_out = 0
        self._began = time.monotonic()
        self._spent_at_once = 0.0
        self._timer: threading.Timer | None = None
        self._lock = threading.RLock()

    def changed(self) -> None:
        """Write soon: now, or when the interval is over.

        What was put out at once: after that many a program ends, some by `os._exit`.
        """
        with self._lock:
            if self._write_at_once():
                return
            if self._timer is not None:
                return
            wait = self._written_at + INTERVAL_S - time.monotonic()
            if wait > 0:
                timer = threading.Timer(wait, self._later)
                timer.daemon = True
                try:
                    timer.start()
                except RuntimeError:  # the interpreter is ending
                    self.write()
                else:
                    self._timer = timer
                return
            self.write()

    def _write_at_once(self) -> bool:
        put_out, lasted = self._run.facts.put_out, time.monotonic() - self._began
        if put_out == self._put_out or self._spent_at_once > _AT_ONCE_S * (1 + lasted):
            return False
        self._put_out, began = put_out, time.thread_time()  # not by the clock: others may take the processor
        self.write()
        self._spent_at_once += time.thread_time() - began
        return True

    def write(self, **ending: Any) -> None:
        """Replace the file; who reads it sees the old one or the new one. What ended once has ended."""
        with self._lock:
            self._more |= ending
            event, chunk = self._run.story()
            # The cell each time: a busy kernel is killed before it comes to its last word.
            if (cell := code.cell()) is not None:
                process.end_at_exit()  # before what the kernel has registered since: that may wait until then
            document = {"event": event, "chunk": chunk, "cell": cell, **self._more}
            fresh = self._path.with_suffix(".new")
            fresh.write_bytes(wire.encode(document))
            fresh.replace(self._path)
            self._written_at = time.monotonic()

    def finish(self, *, look_around: bool) -> None:
        """The last word, at the end of the interpreter; its end first, since a kernel is given 2 s to go."""
        kind, facet = outcome.of(_uncaught() or outcome.left_by)
        ending = {
            "error": facet,
            "interrupted": kind == "ABORT",
            "imported": code.imported(),
        }
        self.write(**ending)
        self._run.settle()
        if look_around:
            self._run.facts.look_around()
        self.write(**ending)

    def _later(self) -> None:
        with guarded("writing the state of the run"), self._lock:
            self._timer = None
            self.write()


def lend_inbox() -> None:
    """Let the OpenLineage client of this process write to the inbox too, where nothing is configured.

    It would print its events otherwise. By the environment of a process that is known to tell something and
    to find modeltrail, which what it starts inherits: another program of the launch may be of another
    environment, or in Java.
    """
    configured = settings.current()
    if configured.transport is None and configured.origins["transport"] == "default":
        os.environ["OPENLINEAGE__TRANSPORT__TYPE"] = "modeltrail.LocalTransport"


def adopt(state: str) -> None:
    """Be the script of the wrapper whose state directory this is."""
    directory, launched = Path(state), _launched(state)
    run = Run(launched["name"], namespace=launched["namespace"], run_id=launched["run_id"])
    run.under(context.from_context(launched["context"]))
    if (notebook := directory / "notebook").exists():
        code.runs_in(notebook.read_text(encoding="utf-8"))
    story = Story(directory / "story.json", run)
    run.follow(story.changed)
    context.adopt(run)
    other_python = os.path.realpath(sys.prefix) != launched["prefix"]
    process.end_at_exit(lambda: story.finish(look_around=other_python))
    if launched["autolog"]:
        autolog()


def join(state: str, *, is_first: bool = False) -> None:
    """Be one of several programs of the launch: a run below it, if there is something to tell.

    The first one is no worker of another, whatever it is started by.
    """
    launched, name = _launched(state), _program(is_first=is_first)
    if name is None or settings.current().disabled:
        return
    run = Run(name, namespace=launched["namespace"], parent=context.parent())
    run.wait()
    with guarded("leaving the end of a program to the launch"):
        _leave_end(Path(state), launched, run)
    context.adopt(run)
    process.end_at_exit(lambda: run.end(_uncaught()))
    if launched["autolog"]:
        autolog()


def _leave_end(state: Path, launched: Mapping[str, Any], run: Run) -> None:
    """Let the wrapper tell how this program ended well, since its exit code says whether it did."""
    path = state / programs.FOLDER / f"{run.run_id}.json"
    if not programs.note_exit(path.with_suffix(".exit")):
        return
    story = Story(path, run, pid=os.getpid())

    def changed() -> None:
        with contextlib.suppress(FileNotFoundError):  # this goes on longer than the launch
            story.changed()

    def send_last(event: dict[str, Any]) -> None:
        if event["eventType"] == "COMPLETE" and programs.lives(launched["pid"]):
            with contextlib.suppress(FileNotFoundError):
                story.write(ended=True)
                return
        path.unlink(missing_ok=True)
        transports.emit(event)

    run.ends_elsewhere(changed, send_last)


def _launched(state: str) -> dict[str, Any]:
    """What the wrapper wrote down for us."""
    launched: dict[str, Any] = json.loads((Path(state) / "launch.json").read_text(encoding="utf-8"))
    return launched


def _program(*, is_first: bool) -> str | None:
    """The name of this program; None of a worker: what a library starts of its own, or a launcher many of."""
    if _MPI & os.environ.keys() or any(os.environ.get(rank, "0") != "0" for rank in _RANKS):
        return None
    read = command.read(["python", *sys.orig_argv[1:]])
    if is_first:
        return read.name
    path = code.entry_point().path or (read.script and Path(read.script))
    return read.name if path and not _INSTALLED.intersection(path.parts) else None


def _uncaught() -> BaseException | None:
    """The exception that ended the interpreter; an exit code is not known in here."""
    return getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
