"""A world: processes, a broker and a store, to which one action after another happens."""

from collections.abc import Callable
from hashlib import blake2b

from modeltrail_collector.errors import CollectorError
from modeltrail_collector.log import rollup
from modeltrail_collector.pump import Limits, Pump
from modeltrail_collector.pump.builder import OVERHEAD_BYTES
from simulation.actors import Table, WatchedLog, check_table, collect, follow, keep
from simulation.broker import Broker, Member
from simulation.memory import remembering
from simulation.oracle import Failure, Oracle
from simulation.plan import Action, Plan
from simulation.process import Outcome, Process
from simulation.store import Media

VALUES = (
    b'{"eventType":"%s","eventTime":"2026-01-01T00:00:%02dZ","producer":"https://a.example/b",'
    b'"schemaURL":"https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",'
    b'"run":{"runId":"0194c5a0-0000-7000-8000-%012x"},"job":{"namespace":"a","name":"b"}}'
)
LONGEST_VALUE = 500
FEW, PARTS = 2, 5
"""Roll-ups of few segments, as worlds are small."""
ROUNDS = 30
"""In so many rounds, of one second and a turn of everybody each, a healthy log grows until it is complete;
in one more for each offset that is left, as a poll may pass only one offset of a hole."""
PATIENCE = 3000
"""So many calls into the world are enough for one process to end when it is asked to."""


class World:
    """Plays a plan. Raises Failure where something is not as it must be."""

    def __init__(self, plan: Plan) -> None:
        rollup.FEW, rollup.PARTS = FEW, PARTS
        self.plan = plan
        self.settings = settings = plan.settings
        self.media = Media(disk=settings.disk)
        self.broker = Broker(settings.partitions, cooperative=settings.cooperative)
        self.oracle = Oracle(self.media, self.broker, settings.keep_s)
        self.table = Table()
        self.processes: list[Process] = []
        self.produced = 0
        self.trace: list[str] = []
        self._now = 1000.0
        self._wall_ms = 1_760_000_000_000
        self._names = 0
        self.limits = Limits(
            rows=settings.rows,
            bytes=settings.bytes,
            age_s=settings.age_s,
            total_bytes=settings.total_bytes,
            backoff_s=0.5,
            backoff_max_s=2.0,
        )

    @property
    def seed(self) -> int:
        return self.plan.seed

    @property
    def stored(self) -> int:
        return self.oracle.stored

    def wall(self) -> int:
        return self._wall_ms

    def monotonic(self) -> float:
        return self._now

    @remembering
    def play(self) -> None:
        for action in self.plan.actions:
            self.act(action)
        self.play_out()

    def play_out(self) -> None:
        """After the last action: the end, and the judgement."""
        try:
            self.finish()
        except CollectorError as error:
            raise Failure("damage", str(error)) from error

    def act(self, action: Action) -> None:
        happen: Callable[[int], object] = getattr(self, f"_{action.kind}")
        happen(action.pick)

    def digest(self) -> str:
        """Of the trace and of all that is stored: the same for the same plan, everywhere."""
        state = blake2b("\n".join(self.trace).encode(), digest_size=16)
        for name, data in sorted(self.media.contents.items()):
            state.update(name.encode() + data)
        return state.hexdigest()

    # What happens: each takes a number that decides to whom, and how.

    def _step(self, pick: int) -> None:
        if ready := [process for process in self.processes if not process.stopped]:
            process = ready[pick % len(ready)]
            for _ in range(1 + (pick >> 8) % 12):
                polls = process.pending == "poll"
                if process.running:
                    self.resume(process)
                if polls and process.pending == "poll" and process.about["member"].idle:
                    break  # a turn in which nothing came or was done: the next one would be the same

    def _fault(self, pick: int) -> None:
        """The next call of a process fails, in one of the ways in which calls fail."""
        if ready := [process for process in self.processes if not process.stopped]:
            outcomes = [Outcome.REFUSED, Outcome.UNKNOWN, Outcome.LATE, Outcome.AGAIN]
            self.resume(ready[pick % len(ready)], outcomes[(pick >> 8) % 4])

    def _unsynced(self, pick: int) -> None:
        """The disk cannot sync a directory: a name is there that a power cut may take."""
        for process in list(self.processes):
            while process.running and not process.stopped and (pick := pick >> 1) & 7:
                if process.pending.startswith("sync"):
                    self.resume(process, Outcome.REFUSED)
                    return
                self.resume(process)

    def _late(self, _: int) -> None:
        self.media.land()

    def _produce(self, pick: int) -> None:
        for _ in range(1 + pick % 4):
            pick >>= 4
            self.produce(pick % self.settings.partitions, pick)

    def _tick(self, pick: int) -> None:
        self.pass_time((pick % 1000) / 400)

    def _stall(self, pick: int) -> None:
        """Nothing happens for long: sessions end, leases pass, everything is due."""
        self.pass_time(5 + pick % 30)

    def _jump(self, pick: int) -> None:
        """The wall clock is set, forwards or back by up to a day."""
        self._wall_ms += (pick % 172_800 - 86_400) * 1000
        self.oracle.clock_was_wrong = True

    def _join(self, pick: int) -> None:
        if len(self.collectors()) < self.settings.collectors:
            self.start_collector(instance=pick % 2 if pick & 16 else None)

    def _sweep(self, _: int) -> None:
        """`collect --until-end` beside the group: it reads everything, and the log fences."""
        if not any(process.about.get("until_end") for process in self.processes):
            self.start_collector(until_end=True)

    def _leave(self, pick: int) -> None:
        if self.processes:
            self.processes[pick % len(self.processes)].terminating = True

    def _crash(self, pick: int) -> None:
        if self.processes:
            self.kill(self.processes[pick % len(self.processes)])

    def _stop(self, pick: int) -> None:
        if self.processes:
            process = self.processes[pick % len(self.processes)]
            process.stopped = True
            process.silent_since = self.broker.now
            self.note(f"stop {process.name} at {process.pending}")

    def _return_(self, pick: int) -> None:
        """SIGCONT."""
        if stopped := [process for process in self.processes if process.stopped]:
            process = stopped[pick % len(stopped)]
            process.stopped, process.silent_since = False, None

    def _deaf(self, pick: int) -> None:
        if collectors := self.collectors():
            collectors[pick % len(collectors)].about["member"].deaf = True

    def _hear(self, _: int) -> None:
        for process in self.collectors():
            process.about["member"].deaf = False

    def _maintain(self, _: int) -> None:
        if sum(process.name.startswith("m") for process in self.processes) < 3:
            self.start_maintainer()

    def _follow(self, _: int) -> None:
        if sum(process.name.startswith("t") for process in self.processes) < 2:
            self.start_follower()

    def _steal(self, _: int) -> None:
        """On objects: who holds a lease was silent for a term, and another takes it over."""
        if not self.media.disk:
            self.media.leases.clear()

    def _rebalance(self, _: int) -> None:
        self.broker.rebalance()

    def _broker(self, _: int) -> None:
        """The broker restarts: it forgets what was committed, and every poll that is under way fails."""
        self.broker.committed.clear()
        for process in list(self.processes):
            if process.pending == "poll" and not process.stopped:
                self.resume(process, Outcome.REFUSED)

    def _hole(self, pick: int) -> None:
        self.broker.add_hole(pick % self.settings.partitions, 1 + (pick >> 4) % 4)

    def _spoil(self, pick: int) -> None:
        number = pick % self.settings.partitions
        self.broker.spoil(number, self.produce(number, pick))

    def _retention(self, pick: int) -> None:
        number = pick % self.settings.partitions
        begin, end = self.broker.begins[number], self.broker.ends[number]
        self.broker.remove_before(number, begin + (pick >> 4) % (end - begin + 1))

    def _recreate(self, _: int) -> None:
        self.broker.recreate()

    def _truncate(self, pick: int) -> None:
        number = pick % self.settings.partitions
        begin, end = self.broker.begins[number], self.broker.ends[number]
        self.broker.truncate(number, end - (pick >> 4) % min(4, end - begin + 1))

    def _power(self, pick: int) -> None:
        """The machine with the disk loses its power, and everything on it."""
        if self.media.disk:
            for process in list(self.processes):
                self.kill(process)
            self.note(f"power lost, and with it {self.media.lose_power(pick)}")

    # What they are made of.

    def note(self, text: str) -> None:
        self.trace.append(text)

    def collectors(self) -> list[Process]:
        return [process for process in self.processes if process.about.get("until_end") is False]

    def pass_time(self, seconds: float) -> None:
        self._now += seconds
        self._wall_ms += int(seconds * 1000)
        self.oracle.latest_ms = max(self.oracle.latest_ms, self._wall_ms)
        self.broker.tick(seconds)

    def produce(self, number: int, pick: int) -> int:
        self.produced += 1
        kinds = (b"START", b"RUNNING", b"COMPLETE")
        value = VALUES % (kinds[pick % 3], pick % 60, pick % 1000) if pick & 64 else b"%d" % self.produced
        if pick % 31 == 7:
            value = None
        key = b"k%d" % (pick % 5) if pick & 128 else None
        headers = [("n", b"%d" % self.produced)] if pick & 256 else []
        return self.broker.produce(number, key, headers, value)

    def start_collector(self, *, until_end: bool = False, instance: int | None = None) -> Process:
        process = self._start("c", lambda process: collect(process, self.oracle))
        member = Member(
            self.broker,
            process,
            max_records=self.settings.max_records,
            instance=instance,
            everything=until_end,
        )
        log = process.about["log"]
        pump = Pump(member, log, until_end=until_end, limits=self.limits, clock=self.monotonic)
        one_poll = self.settings.partitions * self.settings.max_records * (LONGEST_VALUE + OVERHEAD_BYTES)
        process.about |= {
            "member": member,
            "until_end": until_end,
            "pump": pump,
            "bound": self.settings.total_bytes + one_poll,
        }
        self.note(f"{process.name} collects{' until the end' if until_end else ''}, instance {instance}")
        return process

    def start_maintainer(self) -> Process:
        return self._start("m", lambda process: keep(process, self.oracle, self.settings.keep_s))

    def start_follower(self) -> Process:
        return self._start("t", lambda process: follow(process, self.table))

    def _start(self, kind: str, body: Callable[[Process], None]) -> Process:
        self._names += 1
        process = Process(f"{kind}{self._names}", body)
        process.about["log"] = WatchedLog(self.media, process, self.oracle, self.wall)
        self.processes.append(process)
        self.note(f"{process.name} starts")
        return process

    def resume(self, process: Process, outcome: Outcome = Outcome.OK) -> None:
        self.note(f"{process.name} {process.pending}: {outcome}")
        process.resume(outcome)
        if not process.running:
            self.note(f"{process.name} ended")
            self._gone(process)
            self.oracle.ended(process)

    def kill(self, process: Process) -> None:
        self.note(f"kill {process.name} at {process.pending}")
        process.kill()
        process.silent_since = self.broker.now
        self._gone(process)

    def _gone(self, process: Process) -> None:
        self.processes.remove(process)
        self.media.forget(process)
        if process.error is not None:
            process.silent_since = self.broker.now

    def finish(self) -> None:
        """All faults end. What is left undone must be done soon; then everything is judged."""
        while self.media.late:
            self.media.land()
        for process in self.processes:
            process.stopped, process.silent_since = False, None
        self._hear(0)
        self._until_ended(*(process for process in self.processes if process not in self.collectors()))
        self._settle()
        sweep = self.start_collector(until_end=True)
        self._until_ended(sweep)
        for process in self.processes:
            process.terminating = True
        self._until_ended(*self.processes)
        happened = {action.kind for action in self.plan.actions}
        if "maintain" in happened:
            self._until_ended(self.start_maintainer())
        if "follow" in happened:
            self._until_ended(self.start_follower())
        stored = self.oracle.final()
        check_table(self.table, stored)

    def _pass_the_log(self) -> None:
        """After a truncation nobody can collect before Kafka is longer than the log again."""
        for number, truncated in enumerate(self.broker.life.truncated):
            if truncated:
                end = self.oracle.open().recover(self.broker.partition(number)).next_offset
                while self.broker.ends[number] < end:
                    self.produce(number, number)

    def _settle(self) -> None:
        self.oracle.recover()
        left = self.oracle.unsealed()
        patience = ROUNDS + left
        while left and patience > 0:
            self._pass_the_log()
            for _ in range(min(5, patience)):
                self.pass_time(1.0)
                if not self.collectors():
                    self.start_collector()
                for process in self.collectors():
                    self._one_turn(process)
            before, left = left, self.oracle.unsealed()
            patience = ROUNDS + left if left < before else patience - 5
        if left:
            raise Failure("liveness", f"{left} offsets are not sealed, and nothing happens any more")

    def _one_turn(self, process: Process) -> None:
        for _ in range(PATIENCE):
            if not process.running:
                return
            self.resume(process)
            if process.pending == "poll":
                return
        raise Failure("liveness", f"{process.name} makes {PATIENCE} calls and no turn")

    def _until_ended(self, *processes: Process) -> None:
        for calls in range(PATIENCE):
            running = [process for process in processes if process.running]
            if not running:
                return
            for process in running:
                self.resume(process)
            if calls % 20 == 0:
                self.pass_time(0.5)
        stuck = {process.name: process.pending for process in running}
        raise Failure("liveness", f"they do not end, after {PATIENCE} calls: {stuck}")
