"""Small worlds of maintainers alone: one falls asleep before a write, others take over, and it wakes up.

A world of collectors rarely has three of them in one log, each in the middle of a roll-up of another length.
"""

import contextlib
import random
from hashlib import blake2b

from modeltrail_collector.errors import OwnershipLost, Unavailable
from modeltrail_collector.judge import judge
from modeltrail_collector.log import Batch, Log, rollup, verify
from modeltrail_collector.log.maintenance import maintain
from modeltrail_collector.model import Entry, LogPartition, Record
from modeltrail_collector.pump.builder import entry
from simulation.memory import remembering
from simulation.oracle import Failure
from simulation.process import Outcome, Process
from simulation.store import Media, ProcessStore

PARTITION = LogPartition("events", "id", 0)
ROUNDS = 3
PATIENCE = 3000
WRITES = ("create", "replace", "remove")


class KeepersWorld:
    """See `kinds.Playable`. Everything follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.media = Media(disk=False)
        self.processes: list[Process] = []
        self.entries: list[Entry] = []
        self.trace: list[str] = []
        self.stored = 0
        self._names = 0
        self._wall_ms = 1_760_000_000_000

    @property
    def produced(self) -> int:
        return len(self.entries)

    def wall(self) -> int:
        return self._wall_ms

    @remembering
    def play(self) -> None:
        rollup.FEW, rollup.PARTS = 2, self.chance.randint(3, 5)
        for _ in range(ROUNDS):
            for _ in range(self.chance.randint(1, 5)):
                self._append()
            self._take_over()
        self._finish()

    def digest(self) -> str:
        state = blake2b("\n".join(self.trace).encode(), digest_size=16)
        for name, data in sorted(self.media.contents.items()):
            state.update(name.encode() + data)
        return state.hexdigest()

    def _append(self) -> None:
        self._wall_ms += self.chance.randrange(10_000)
        log = Log(ProcessStore(self.media), self.wall)
        start = log.end(PARTITION)
        values = {start + n: b"%d" % self.chance.randrange(100) for n in range(self.chance.randint(1, 2))}
        records = [Record("events", 0, n, None, 0, None, (), value) for n, value in values.items()]
        entries = [entry(record, judge(record.value), self.wall()) for record in records]
        log.append(PARTITION, Batch(start, start + len(entries), entries))
        self.entries += entries

    def _take_over(self) -> None:
        """One sleeps before a write, so does the next; they wake up before or after a third one was there."""
        first = self._start()
        self._to_write(first, self.chance.randint(1, 3))
        for _ in range(self.chance.randrange(3)):
            self._append()
        second = self._start()
        self._to_write(second, self.chance.randint(1, 3))
        self._to_write(first, self.chance.randrange(2))
        if self.chance.random() < 0.2:
            self._resume(first, self.chance.choice(list(Outcome)))
        if self.chance.random() < 0.7:
            self._to_end(second)
            self._to_end(self._start())
        if self.chance.random() < 0.2:
            self._crash()
        while self.processes:
            self._to_end(self.chance.choice(self.processes))

    def _start(self) -> Process:
        """Who held the lease was silent for a term."""
        self.media.leases.clear()
        self._names += 1
        process = Process(f"m{self._names}", self._keep)
        self.processes.append(process)
        return process

    def _to_write(self, process: Process, count: int) -> None:
        """It goes on until it is about to write for so many times."""
        for _ in range(count):
            self._resume(process)
            while process.running and not process.pending.startswith(WRITES):
                self._resume(process)

    def _to_end(self, process: Process) -> None:
        for _ in range(PATIENCE):
            self._resume(process)
            if not process.running:
                return
        raise Failure("liveness", f"after {PATIENCE} calls {process.pending}")

    def _keep(self, process: Process) -> None:
        with contextlib.suppress(Unavailable, OwnershipLost):
            for done in maintain(Log(ProcessStore(self.media, process), self.wall)):
                if done.problems:
                    raise Failure("false alarm", f"{process.name} says {done.problems[0]}")

    def _crash(self) -> None:
        if self.processes:
            process = self.processes.pop(self.chance.randrange(len(self.processes)))
            self.trace.append(f"kill {process.name} at {process.pending}")
            process.kill()
            self.media.forget(process)

    def _resume(self, process: Process, outcome: Outcome = Outcome.OK) -> None:
        if not process.running:
            return
        self.trace.append(f"{process.name} {process.pending}: {outcome}")
        process.resume(outcome)
        if not process.running:
            self.processes.remove(process)
            self.media.forget(process)
            if isinstance(process.error, Failure):
                raise process.error
            if process.error is not None:
                raise Failure("crash", f"{process.name}: {process.error!r}") from process.error

    def _finish(self) -> None:
        while self.media.late:
            self.media.land()
        self._to_end(self._start())
        self._judge()

    def _judge(self) -> None:
        """All that was sealed is read, once and in order, and nothing lies about that nobody needs."""
        log = Log(ProcessStore(self.media))
        report = verify(log)
        if not report.ok:
            raise Failure("verify", "; ".join(report.problems[:3]))
        found = [entry for segment in log.segments(PARTITION) for entry in log.read(segment)]
        self.stored = len(found)
        if found != self.entries:
            failure = Failure("lost", f"sealed {self.produced} records, {self.stored} are read")
            failure.lost = len(self.entries) - len(set(self.entries) & set(found))
            failure.twice = len(found) - len(set(found))
            raise failure
        if left := [name for part in report.partitions for name in part.unfinished]:
            raise Failure("unfinished", f"no stub names {left}")
