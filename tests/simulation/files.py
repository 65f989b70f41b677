"""Small worlds of files: writers fill the inbox while collectors that crash seal it, each line once."""

import contextlib
import fcntl
import random
import shutil
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from modeltrail_collector.errors import Unavailable
from modeltrail_collector.log import Log, verify
from modeltrail_collector.model import LOCAL
from modeltrail_collector.pump import seal_inbox
from simulation.memory import remembering
from simulation.oracle import Failure
from simulation.process import Outcome, Process
from simulation.store import Media, ProcessStore

STEPS = 150
PATIENCE = 3000


class FilesLog(Log):
    """A log whose inbox is a real directory, and whose segments lie in the world's store."""

    def __init__(self, store: ProcessStore, inbox: Path, wall) -> None:
        super().__init__(store, wall)
        self._inbox = inbox

    @property
    def inbox(self) -> Path:
        return self._inbox


class Writer:
    """A process of the emitter: it locks its file, and a line counts when its newline is there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.half = False
        self.file: BinaryIO = path.open("ab", buffering=0)
        fcntl.flock(self.file, fcntl.LOCK_SH)

    def write(self, data: bytes) -> None:
        self.file.write(data)

    def close(self) -> None:
        self.file.close()


class FilesWorld:
    """See `kinds.Playable`. Everything follows from the seed; real files, read by production code."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.produced = self.stored = 0
        self.trace: list[str] = []
        self.media = Media(disk=self.chance.random() < 0.5)
        self.processes: list[Process] = []
        self.writers: list[Writer] = []
        self.written: dict[str, list[bytes]] = {}
        self._names = 0
        self._wall_ms = 1_760_000_000_000

    def wall(self) -> int:
        return self._wall_ms

    @remembering
    def play(self) -> None:
        root = Path(tempfile.mkdtemp(prefix="modeltrail-world-"))
        self.inbox = root / "inbox"
        self.inbox.mkdir()
        try:
            for _ in range(STEPS):
                self._happen()
            self._finish()
        finally:
            for writer in self.writers:
                writer.close()
            shutil.rmtree(root)

    def digest(self) -> str:
        return blake2b("\n".join(self.trace).encode(), digest_size=16).hexdigest()

    def _happen(self) -> None:
        self._wall_ms += self.chance.randrange(100)
        kinds = [self._step, self._fault, self._write, self._half, self._open, self._close, self._start]
        kinds += [self._crash]
        self.chance.choices(kinds, [40, 6, 14, 3, 3, 2, 6, 3])[0]()

    def _open(self) -> None:
        """A writer starts: with a file of its own, or again with the name of one that is gone."""
        number = self.chance.randrange(4)
        path = self.inbox / f"w{number}.ndjson"
        if not any(writer.path == path for writer in self.writers):
            self.writers.append(Writer(path))

    def _write(self) -> None:
        for writer in self.writers[: self.chance.randint(1, 4)]:
            self.produced += 1
            line = b'{"n":%d}' % self.produced
            writer.write((b"" if writer.half else line) + b"\n")
            if not writer.half:
                self.written.setdefault(f"inbox/{writer.path.name}", []).append(line)
            else:
                self.produced -= 1
            writer.half = False

    def _half(self) -> None:
        """A writer is in the middle of a line."""
        if self.writers and not self.writers[0].half:
            self.produced += 1
            line = b'{"n":%d}' % self.produced
            self.writers[0].write(line)
            self.writers[0].half = True
            self.written.setdefault(f"inbox/{self.writers[0].path.name}", []).append(line)

    def _close(self) -> None:
        if self.writers:
            writer = self.writers.pop(self.chance.randrange(len(self.writers)))
            if writer.half:
                writer.write(b"\n")
            writer.close()

    def _start(self) -> None:
        if len(self.processes) < 2:
            self._names += 1
            process = Process(f"c{self._names}", self._seal)
            self.processes.append(process)

    def _seal(self, process: Process) -> None:
        with contextlib.suppress(Unavailable):
            seal_inbox(FilesLog(ProcessStore(self.media, process), self.inbox, self.wall))

    def _resume(self, process: Process, outcome: Outcome = Outcome.OK) -> None:
        self.trace.append(f"{process.name} {process.pending}: {outcome}")
        process.resume(outcome)
        if not process.running:
            self.processes.remove(process)
            if process.error is not None:
                raise Failure("crash", f"{process.name}: {process.error!r}") from process.error

    def _step(self) -> None:
        if self.processes:
            process = self.chance.choice(self.processes)
            for _ in range(self.chance.randint(1, 5)):
                if process.running:
                    self._resume(process)

    def _fault(self) -> None:
        if self.processes:
            self._resume(self.chance.choice(self.processes), self.chance.choice(list(Outcome)))

    def _crash(self) -> None:
        if self.processes:
            process = self.processes.pop(self.chance.randrange(len(self.processes)))
            self.trace.append(f"kill {process.name} at {process.pending}")
            process.kill()
            self.media.forget(process)

    def _finish(self) -> None:
        while self.media.late:
            self.media.land()
        while self.writers:
            self._close()
        self._start()
        for _ in range(PATIENCE):
            for process in list(self.processes):
                self._resume(process)
            if not self.processes:
                break
        else:
            raise Failure("liveness", f"after {PATIENCE} calls {self.processes[0].pending}")
        self._start()
        while self.processes:
            self._resume(self.processes[0])
        self._judge()

    def _left(self) -> list[str]:
        """Files that were sealed to the end; an empty one stays, as its writer may be about to begin."""
        return sorted(path.name for path in self.inbox.iterdir() if path.stat().st_size)

    def _judge(self) -> None:
        log = Log(ProcessStore(self.media))
        report = verify(log)
        if not report.ok:
            raise Failure("verify", "; ".join(report.problems[:3]))
        found: dict[str, list[bytes]] = {}
        for segment in log.segments(LOCAL):
            for entry in log.read(segment):
                found.setdefault(entry.source.rpartition(":")[0], []).append(entry.value)
                self.stored += 1
        for name in self.written.keys() | found.keys():
            sent, stored = self.written.get(name, []), found.get(name, [])
            if sent != stored:
                failure = Failure("files", f"{name}: sent {sent[-5:]}, stored {stored[-5:]}")
                failure.lost = len(set(sent) - set(stored))
                failure.twice = len(stored) - len(set(stored))
                raise failure
        if left := self._left():
            raise Failure("liveness", f"sealed files stay in the inbox: {left}")
