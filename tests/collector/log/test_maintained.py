"""Whatever is appended, rolled up, removed and cut short: the log reads as one that nobody maintained."""

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import P0, Died, Mortal, all_entries, batch

from modeltrail_collector.errors import OwnershipLost
from modeltrail_collector.log import Log, maintain, rollup, verify
from modeltrail_collector.testing import MemoryStore

DAY_MS = 86_400_000

appends = st.tuples(st.just("append"), st.integers(0, 4), st.integers(1, 3))
waits = st.tuples(st.just("wait"), st.integers(0, 3 * DAY_MS), st.just(0))
maintains = st.tuples(st.just("maintain"), st.none() | st.integers(1, 6), st.just(0))
crashes = st.tuples(st.just("crash"), st.none() | st.integers(1, 6), st.integers(1, 80))
zombies = st.tuples(st.just("zombie"), st.integers(0, 60), st.integers(1, 3))
actions = st.lists(appends | appends | waits | maintains | crashes | zombies, max_size=30)


class Twins:
    """A log and one to which only the appends happen; `now` is the time of both."""

    def __init__(self) -> None:
        self.now = 1_767_225_600_000
        self.store = MemoryStore()
        self.plain = Log(MemoryStore(), lambda: self.now)
        self.sealed: list[int] = []
        self.removed = 0

    def log(self, store: Any = None) -> Log:
        return Log(store or self.store, lambda: self.now)

    def append(self, rows: int, holes: int) -> None:
        start = self.plain.end(P0)
        records = batch(start, start + rows)
        for log in (self.log(), self.plain):
            log.append(P0, type(records)(start, start + rows + holes, records.entries))
        self.sealed += [self.now] * (rows + holes)

    def wait(self, milliseconds: int, _: int) -> None:
        self.now += milliseconds

    def maintain(self, days: int | None, _: int, store: Any = None) -> None:
        keep = timedelta(days=days) if days else None
        before = self.removed
        try:
            for done in maintain(self.log(store), keep=keep):
                assert () == done.problems
        finally:
            found = [segment.next_offset for segment in self.log().segments(P0) if segment.removed]
            self.removed = max(found, default=0)
            assert self.removed >= before
            if self.removed > before:
                assert days
                assert max(self.sealed[: self.removed]) <= self.now - days * DAY_MS

    def crash(self, days: int | None, operation: int) -> None:
        with contextlib.suppress(Died):
            self.maintain(days, 0, Mortal(self.store, operation, after=bool(operation % 2)))

    def zombie(self, start: int, rows: int) -> None:
        if start < self.plain.end(P0):
            late = self.log()
            late._heads.update(Log(self.plain.store)._heads)
            with pytest.raises(OwnershipLost):
                late.append(P0, batch(start, start + rows, judge_id="zombie"))


@settings(max_examples=60)
@given(actions=actions, start=st.integers(0, 60))
def test_a_maintained_log_reads_as_its_twin(actions: list[tuple[str, Any, Any]], start: int) -> None:
    """The same records from wherever one reads, the same sound chain, and nothing young removed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollup, "FEW", 2)
        patch.setattr(rollup, "ROWS", 9)
        twins = Twins()
        for name, one, two in actions:
            getattr(twins, name)(one, two)
            log = twins.log()
            wanted = [found for found in all_entries(twins.plain) if found.offset >= twins.removed]
            assert wanted == all_entries(log)
            assert twins.plain.head(P0) == log.head(P0)
            from_start = [found for segment in log.segments(P0, start) for found in log.read(segment)]
            assert [e for e in wanted if e.offset >= start] == [e for e in from_start if e.offset >= start]
            report = verify(log)
            assert report.ok, report.problems
