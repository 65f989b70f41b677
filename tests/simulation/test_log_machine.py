"""The log alone against a model of one list, in any order of appends, roll-ups, deaths and looks."""

import contextlib

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from logs import P0, entry

from modeltrail_collector.errors import OwnershipLost, Unavailable
from modeltrail_collector.log import Batch, Log, rollup, verify
from modeltrail_collector.log.rollup import RollUp
from simulation.process import Outcome, Process
from simulation.store import Media, ProcessStore

WRITERS = 3


class LogMachine(RuleBasedStateMachine):
    """Writers whose knowledge is old, maintainers that die or wake up late, and readers that go by offsets.

    `rows` is the model: what was sealed, by who was first.
    """

    @initialize(disk=st.booleans())
    def begin(self, disk: bool) -> None:
        rollup.FEW, rollup.PARTS = 2, 4
        self.media = Media(disk=disk)
        self.writers = [Log(ProcessStore(self.media)) for _ in range(WRITERS)]
        self.known = [0] * WRITERS
        self.rows: list[tuple[int, int]] = []
        self.bounds = [0]
        self.turn = 0
        self.sleeper: Process | None = None

    @property
    def end(self) -> int:
        return self.bounds[-1]

    @rule(writer=st.integers(0, WRITERS - 1), rows=st.integers(0, 3), holes=st.integers(1, 2))
    def append(self, writer: int, rows: int, holes: int) -> None:
        """Who begins where the log ends is sealed; anybody else is refused, and nothing is changed."""
        self.turn += 1
        start = self.known[writer]
        entries = [entry(start + n, ingested_at_ms=self.turn) for n in range(rows)]
        batch = Batch(start, start + rows + holes, entries)
        try:
            self.writers[writer].append(P0, batch)
        except OwnershipLost:
            assert start != self.end
        else:
            # Ranges without records are the same to whoever seals them.
            assert start == self.end or (not rows and batch.end in self.bounds)
            if start == self.end:
                self.rows += [(n.offset, self.turn) for n in entries]
                self.bounds.append(batch.end)
            self.known[writer] = batch.end

    @rule(writer=st.integers(0, WRITERS - 1))
    def recover(self, writer: int) -> None:
        """Everybody finds the same end."""
        self.known[writer] = self.writers[writer].recover(P0).next_offset
        assert self.end == self.known[writer]

    def _maintainer(self, process: Process) -> None:
        log = Log(ProcessStore(self.media, process))
        with contextlib.suppress(Unavailable, OwnershipLost), log.store.lease("raw") as lease:
            work = RollUp(log, P0, lease, lambda done: None)
            work.run()
            assert [] == work.problems

    @rule(calls=st.integers(1, 40), outcome=st.sampled_from([None, *Outcome]), sleeps=st.booleans())
    def roll_up(self, calls: int, outcome: Outcome | None, sleeps: bool) -> None:
        """A roll-up ends, dies, or is stopped for long after so many calls; the last of them may fail."""
        self.media.leases.clear()  # who held it was silent for a term
        process = Process("maintainer", self._maintainer)
        for call in range(calls):
            if process.running:
                process.resume(outcome if outcome and call == calls - 1 and call else Outcome.OK)
        assert process.error is None, process.error
        if sleeps and process.running and self.sleeper is None:
            self.sleeper = process
        else:
            process.kill()

    @rule()
    def wake_up(self) -> None:
        """A maintainer that was stopped goes on with what it knew, without its lease."""
        while self.sleeper and self.sleeper.running:
            self.sleeper.resume()
        assert self.sleeper is None or self.sleeper.error is None, self.sleeper.error
        self.sleeper = None

    @rule()
    def land(self) -> None:
        """A put that was reported as failed arrives."""
        self.media.land()

    @rule(bound=st.integers(0, 100))
    def read_from_a_bound(self, bound: int) -> None:
        """Who had read to the end of any segment goes on there, roll-up or not."""
        start = self.bounds[bound % len(self.bounds)]
        log = Log(ProcessStore(self.media))
        found = [(e.offset, e.ingested_at_ms) for s in log.segments(P0, start) for e in log.read(s)]
        assert [row for row in self.rows if row[0] >= start] == found

    @invariant()
    def all_is_there_once(self) -> None:
        """The log verifies, and holds what was sealed."""
        if not hasattr(self, "media"):
            return
        report = verify(Log(ProcessStore(self.media)))
        assert report.ok, report.problems
        assert sum(part.records for part in report.partitions) == len(self.rows)

    def teardown(self) -> None:
        if getattr(self, "sleeper", None):
            self.sleeper.kill()


LogMachine.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=30,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


class TestLogMachine(LogMachine.TestCase):
    """Hypothesis looks for an order of events that the model does not survive."""
