"""Collectors to be killed, stopped and joined: processes of the product's own loop, with small segments.

They are forked from a server that has imported everything (multiprocessing's), so that a kill costs
milliseconds and not the start of Python: thousands fit into a few minutes. Nothing else is shared.
"""

import contextlib
import importlib
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import psutil
from faults.oracle import note

from modeltrail_collector import failpoints
from modeltrail_collector.errors import CollectorError
from modeltrail_collector.intake import kafka
from modeltrail_collector.pump import Limits
from modeltrail_collector.pump.run import Job, Report, Stop, run

SESSION_S = 2.0
# A dead member is noticed after two seconds instead of ten, or the tests would mostly wait.
SETTINGS: Mapping[str, Any] = {"session_timeout_ms": int(SESSION_S * 1000), "heartbeat_interval_ms": 300}
SMALL = Limits(rows=60, age_s=0.15, poll_s=0.1, backoff_s=0.1, backoff_max_s=1.0)

# Worlds are threads, and to start a process looks after all others: of two that look after the same one
# at once the second finds its end told already, and takes that for exit code 255.
_one_looks = threading.Lock()
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["pytest", "faults.members"])


@dataclass(frozen=True)
class Task:
    """What a process does: which topic into which log; `environment` and `settings` are its own."""

    servers: str
    topic: str
    log: str
    errors: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS)
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = SMALL
    until_end: bool = False
    dead_letter_topic: str | None = None

    @property
    def group(self) -> str:
        """The topic's own: one for all would wait for the static members of the test before."""
        return self.topic


def collect(task: Task, report: Report = lambda _: None) -> None:
    """What a member does: the product's loop until SIGTERM, or until the end."""
    stop = Stop()
    stop.install()
    connection = kafka.Connection(task.servers, task.topic, task.group, task.options)
    job = Job(
        connection,
        task.log,
        until_end=task.until_end,
        limits=task.limits,
        dead_letter_topic=task.dead_letter_topic,
    )
    try:
        run(job, stop, report)
    except CollectorError as error:  # as the command line does
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from error


def _body(work: Callable[[Task], None], task: Task, ready: Pipe) -> None:
    """The new process: environment, settings and standard error of its own, then the work."""
    with task.errors.open("ab") as errors:
        os.dup2(errors.fileno(), 2)
    os.environ.update(task.environment)
    importlib.reload(failpoints)  # it reads the environment at the start of a process
    kafka.CONSUMER_SETTINGS = {**kafka.CONSUMER_SETTINGS, **task.settings}
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # until the work listens itself
    ready.send(True)
    work(task)


class Member:
    """One process."""

    def __init__(self, task: Task, work: Callable[[Task], None] = collect) -> None:
        self.task = task
        self.killed = False
        self._ready, theirs = _context.Pipe(duplex=False)
        self._process: ForkServerProcess = _context.Process(target=_body, args=(work, task, theirs))
        with _one_looks:
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def rss(self) -> int:
        """Bytes it has in memory."""
        return psutil.Process(self.pid).memory_info().rss

    @property
    def alive(self) -> bool:
        with _one_looks:
            return self._process.is_alive()

    def send(self, number: int) -> None:
        """Send it a signal; one that can be handled when it can handle it."""
        if number != signal.SIGKILL:
            with contextlib.suppress(EOFError):
                self._ready.recv()
                self._ready.close()
        self._kill(number)

    @property
    def frozen(self) -> bool:
        return psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

    def freeze(self) -> None:
        self._kill(signal.SIGSTOP)

    def thaw(self) -> None:
        self._kill(signal.SIGCONT)

    def _kill(self, number: int) -> None:
        """It may have killed itself a moment ago."""
        if self.alive:
            self.killed = self.killed or number == signal.SIGKILL
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def wait(self, seconds: float = 150.0) -> int:
        """Wait for its end; returns its exit code, minus the signal's number where one killed it."""
        multiprocessing.connection.wait([self._process.sentinel], seconds)
        with _one_looks:
            code = self._process.exitcode
        assert code is not None, f"process {self._process.pid} lives on"
        if code == -signal.SIGKILL:
            note(kills=1)
            if not self.killed:
                step = self.task.environment.get(failpoints.ENV, "no step").partition(":")[0]
                note(**{f"died at {step}": 1})
        return code

    def end(self, number: int) -> int:
        """Send a signal and wait."""
        self.send(number)
        return self.wait()


class Members:
    """The members of one group, and the log they write. `work` is what they do."""

    def __init__(self, task: Task, work: Callable[[Task], None] = collect) -> None:
        self.task = task
        self.work = work
        self.running: list[Member] = []

    def start(self, **changes: Any) -> Member:
        """Start one more, with these fields of its task changed."""
        member = Member(replace(self.task, **changes), self.work)
        self.running.append(member)
        return member

    def end(self, member: Member, number: int) -> int:
        """End one; one that does not end stays among those that `kill_all` kills."""
        code = member.end(number)
        self.running.remove(member)
        return code

    def kill_all(self) -> None:
        """For the end of a test, however it ended."""
        for member in self.running:
            with contextlib.suppress(ProcessLookupError):
                member.end(signal.SIGKILL)
        self.running.clear()

    def drain(self) -> None:
        """End all in order."""
        for member in list(self.running):
            assert 0 == self.end(member, signal.SIGTERM), self.task.errors.read_text()[-3000:]
