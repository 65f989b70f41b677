"""Who reads, verifies or recovers a log while others maintain, repair and recover it, operation by operation.

What a reader has listed is another file, or gone, when its turn comes. `SEED=7 WORLDS=5000 python -m pytest
tests/collector/log/test_beside.py` tries others, and more.
"""

import contextlib
import os
import random
import re
import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from logs import P0, Died, Forever, Mortal, batch, fill, in_order, names

from modeltrail_collector.errors import NotVerified, Unavailable
from modeltrail_collector.log import Log, maintain, rollup, verify
from modeltrail_collector.log.damage import find
from modeltrail_collector.log.rollup import RollUp
from modeltrail_collector.pump import Limits, Pump
from modeltrail_collector.pump.recollect import Recollector
from modeltrail_collector.pump.repair import Outcome, repair
from modeltrail_collector.testing import MemorySource, MemoryStore, MemoryTopic

DAY_MS = 86_400_000
BEGIN_MS = 1_767_225_600_000
OPERATIONS = frozenset({"files", "read", "create", "replace", "remove", "set_aside"})
SEED, WORLDS = int(os.environ.get("SEED", "1")), int(os.environ.get("WORLDS", "40"))


class Other(threading.Thread):
    """Another process: it does one operation on the store at each `step`, from its start to its end."""

    def __init__(self, store: MemoryStore, work: Callable[[Any], object]) -> None:
        super().__init__(daemon=True)
        self._store, self._work = store, work
        self._may, self._rests = threading.Semaphore(0), threading.Semaphore(0)
        self._error: BaseException | None = None
        self._ended = False
        self.start()
        assert self._rests.acquire(timeout=60)

    def run(self) -> None:
        try:
            self._work(self)
        except BaseException as error:
            self._error = error
        self._ended = True
        self._rests.release()

    def __getattr__(self, name: str) -> object:
        method = getattr(self._store, name)
        if name not in OPERATIONS:
            return method

        def call(*arguments: object) -> object:
            self._rests.release()
            assert self._may.acquire(timeout=60)
            return method(*arguments)

        return call

    def step(self) -> None:
        if not self._ended:
            self._may.release()
            assert self._rests.acquire(timeout=60)

    def finish(self) -> None:
        while not self._ended:
            self.step()
        if self._error:
            raise self._error


class Beside:
    """The reader's store: before each of its operations the other one does some."""

    def __init__(self, store: MemoryStore, steps: Callable[[], None]) -> None:
        self._store, self._steps = store, steps

    def __getattr__(self, name: str) -> object:
        method = getattr(self._store, name)
        if name not in OPERATIONS:
            return method

        def call(*arguments: object) -> object:
            self._steps()
            return method(*arguments)

        return call


class Maintained:
    """A log that somebody appends to, rolls up and removes from: at times killed, or frozen and overtaken."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = BEGIN_MS
        self.store = MemoryStore()
        self.twin = Log(MemoryStore(), lambda: self.now)
        self._append(self.store, self.chance.randint(2, 9))
        for _ in range(self.chance.randint(0, 3)):
            self._act(self.store)

    def go_on(self, store: Any) -> None:
        for _ in range(3):
            self._act(store)

    def _act(self, store: Any) -> None:
        self.chance.choice((self._maintain, self._maintain, self._die, self._overtake, self._wait))(store)
        self._append(store, self.chance.randint(0, 3))

    def _append(self, store: Any, segments: int) -> None:
        for _ in range(segments):
            start = self.twin.end(P0)
            some = batch(start, start + self.chance.randint(1, 4))
            for log in (Log(store, lambda: self.now), self.twin):
                log.append(P0, some)

    def _wait(self, _: Any) -> None:
        self.now += self.chance.randint(0, 2 * DAY_MS)

    def _maintain(self, store: Any) -> None:
        keep = self.chance.choice((None, None, timedelta(days=1)))
        for done in maintain(Log(store, lambda: self.now), keep=keep):
            assert () == done.problems

    def _die(self, store: Any) -> None:
        with contextlib.suppress(Died):
            self._maintain(Mortal(store, self.chance.randint(1, 40), after=self.chance.random() < 0.5))

    def _overtake(self, store: Any) -> None:
        """Two roll up at once, with other bounds: roll-ups overlap, and one may be removed."""
        written = Mortal(store, 1, after=True, of=frozenset({"create"}))
        for one in (written, store):
            bounds = self.chance.choice((2, 3, 5))
            with contextlib.suppress(Died), pytest.MonkeyPatch.context() as patch:
                patch.setattr(rollup, "PARTS", bounds)
                RollUp(Log(one, lambda: self.now), P0, Forever(), lambda _: None).run()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two segments are enough for a roll-up, and a few records for one that is full."""
    monkeypatch.setattr(rollup, "FEW", 2)
    monkeypatch.setattr(rollup, "ROWS", 12)


@pytest.mark.parametrize("seed", range(SEED, SEED + WORLDS))
def test_verify_beside_maintenance(seed: int) -> None:
    """It finds a sound chain, every record of it, and no problem that is none."""
    world = Maintained(seed)
    before = world.twin.end(P0)
    other = Other(world.store, world.go_on)
    often = world.chance.choice((0.1, 0.5, 2))

    def steps() -> None:
        while world.chance.random() < often / (1 + often):
            other.step()

    report = verify(Log(Beside(world.store, steps)))
    other.finish()
    assert report.ok, report.problems
    (chain,) = report.partitions
    assert before <= chain.next_offset <= world.twin.end(P0)
    removed = sum(change.next_offset - change.first_offset for change in chain.removed)
    assert chain.next_offset == chain.records + removed
    ends = {segment.next_offset: segment.chain_end for segment in world.twin.segments(P0)}
    assert ends[chain.next_offset] == chain.chain_end
    assert verify(Log(world.store), report.heads()).partitions[0].next_offset == world.twin.end(P0)


@pytest.mark.parametrize("seed", range(SEED, SEED + WORLDS))
def test_readers_beside_maintenance(seed: int) -> None:
    """Who reads from the start gets each record that retention leaves, once and in order."""
    world = Maintained(seed)
    before = world.twin.end(P0)
    other = Other(world.store, world.go_on)

    def steps() -> None:
        if world.chance.random() < 0.4:
            other.step()

    found: list[int] = []
    removed = 0
    reader = Log(Beside(world.store, steps))
    for segment in reader.segments(P0):
        try:
            found += [entry.offset for entry in reader.read(segment)]
        except Unavailable:  # removed just now
            removed = segment.next_offset
            found = []
    other.finish()
    assert found == list(range(found[0] if found else removed, max(removed, (found or [-1])[-1] + 1)))
    assert before <= max(removed, (found or [0])[-1] + 1)


def collect(topic: MemoryTopic, store: Any, rows: int) -> None:
    source = MemorySource(topic, max_records=rows)
    pump = Pump(source, Log(store), until_end=True, limits=Limits(rows=rows))
    while not pump.done:
        pump.turn()
    source.close()


def mend(topic: MemoryTopic, store: Any, rows: int) -> Iterator[Outcome]:
    alike = deepcopy(topic)  # whose group has no other member
    recollector = Recollector(lambda _: MemorySource(alike, max_records=3), limits=Limits(rows=rows))
    try:
        yield from repair(Log(store), recollector, Log(store).partitions())
    finally:
        recollector.close()


class Damaged:
    """A log with a few damaged files, and the topic that it was collected from."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.topic = MemoryTopic()
        self.store = MemoryStore()
        self.rows = self.chance.randint(1, 5)
        for number in range(40):
            self.topic.append(0, b"%d" % number)
            if number % self.rows == 0:
                collect(self.topic, self.store, self.rows)
        collect(self.topic, self.store, self.rows)
        (self.chain,) = Log(self.store).partitions()
        if self.chance.random() < 0.6:
            maintain(Log(self.store))
        files = sorted(name for name in self.store.contents if name.endswith(".avro"))
        self.names = self.chance.sample(files, self.chance.randint(1, 3))
        for name in self.names:
            self._spoil(name)

    def _spoil(self, name: str) -> None:
        data = bytearray(self.store.contents[name])
        data[self.chance.choice((40, -40, len(data) // 2))] ^= 1
        self.store.contents[name] = bytes(data) if self.chance.random() < 0.7 else bytes(data[:-30])

    def mend(self, store: Any) -> None:
        for outcome in mend(self.topic, store, self.chance.choice((2, 100))):
            assert outcome.outcome == "repaired", outcome
        collect(self.topic, store, self.rows)
        maintain(Log(store))


@pytest.mark.parametrize("seed", range(SEED, SEED + WORLDS))
def test_verify_beside_a_repair(seed: int) -> None:
    """It ends, and what it finds is the damage, half repaired perhaps, or nothing."""
    world = Damaged(seed)
    before = Log(world.store)
    known = set(verify(before).problems)
    ranges = [(damage.first_offset, damage.next_offset or 40) for damage in find(before, world.chain).damages]
    other = Other(world.store, world.mend)
    often = world.chance.choice((0.2, 1, 3))
    for _ in range(world.chance.randint(0, 80)):
        other.step()

    def steps() -> None:
        while world.chance.random() < often / (1 + often):
            other.step()

    report = verify(Log(Beside(world.store, steps)))
    other.finish()
    after = verify(Log(world.store))
    assert after.ok, after.problems
    for problem in set(report.problems) - known:
        first, last = re.findall(r"offsets? (\d+)(?: to (\d+))?", problem)[0]
        assert any(start <= int(first) <= int(last or first) < end for start, end in ranges), problem


READS = {
    "recover": Log.recover,
    "end": Log.end,
    "read": lambda log, _: in_order(log),
    "verify": lambda log, _: verify(log),
}


@pytest.mark.parametrize("read", READS)
def test_a_torn_end_that_another_collector_sets_aside(read: str) -> None:
    """Whoever looks at it at that moment, to set it aside as well or to read, goes on without it."""
    for at in count():
        store = MemoryStore()
        fill(Log(store), 3)
        last = names(Log(store))[-1]
        store.contents[last] = store.contents[last][:-5]
        left = at

        def steps(store: MemoryStore = store) -> None:
            nonlocal left
            left -= 1
            if left == -1:
                Log(store).recover(P0)

        with contextlib.suppress(NotVerified):  # who came before the other one
            READS[read](Log(Beside(store, steps)), P0)
        if left >= 0:
            break
        assert [0, 1, 2, 3, 4, 5] == in_order(Log(store))
    assert at > 1


def test_a_torn_end_that_is_set_aside_before_its_repair() -> None:
    """The repair leaves it to the collector: nothing is damaged, or it says that somebody else was there."""
    topic = MemoryTopic()
    for number in range(9):
        topic.append(0, b"%d" % number)
    told = set()
    for at in count():
        store = MemoryStore()
        collect(topic, store, 3)
        last = max(name for name in store.contents if name.endswith(".avro"))
        store.contents[last] = store.contents[last][:-5]
        left = at

        def steps(store: MemoryStore = store) -> None:
            nonlocal left
            left -= 1
            if left == -1:
                collect(topic, store, 2)

        told |= {outcome.message for outcome in mend(topic, Beside(store, steps), 100)}
        assert verify(Log(store)).ok
        if left >= 0:
            break
    assert {"", "somebody else changed it meanwhile: run it again"} == told
