"""Roll-up wherever a log can lie: every record is read once, before, after and wherever it was cut short."""

import itertools
import threading
from collections.abc import Callable

import msgspec
import pytest
from logs import (
    P0,
    WRITES,
    Died,
    Forever,
    Mortal,
    again,
    all_entries,
    batch,
    entry,
    fill,
    in_order,
    names,
    restore,
    slow,
)

from modeltrail_collector.errors import NotVerified, OwnershipLost
from modeltrail_collector.log import Batch, Gap, Log, parts, rollup, verify
from modeltrail_collector.log.rollup import RollUp
from modeltrail_collector.log.segment import name_of, name_of_rollup
from modeltrail_collector.model import FileProgress
from modeltrail_collector.testing import MemoryStore


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two segments are enough for a roll-up."""
    monkeypatch.setattr(rollup, "FEW", 2)


def roll_up(log: Log) -> RollUp:
    with log.store.lease("raw") as lease:
        work = RollUp(log, P0, lease, lambda done: None)
        work.run()
    return work


def test_rolled_up_records_are_read_as_before(log: Log) -> None:
    """Each record comes back as it was, in order, and the log ends where it ended."""
    fill(log)
    before, head = all_entries(log), log.head(P0)
    done = roll_up(again(log))
    assert (5, 1, []) == (done.segments, done.rollups, done.problems)
    assert before == all_entries(again(log))
    assert head == again(log).head(P0) == again(log).recover(P0)
    report = verify(again(log))
    assert report.ok, report.problems
    assert (6, 18, 5) == tuple(
        getattr(report.partitions[0], name) for name in ("segments", "records", "rolled_up")
    )
    assert [(0, 15), (15, 18)] == [(s.first_offset, s.next_offset) for s in again(log).segments(P0)]


def test_reading_begins_at_every_old_boundary(log: Log) -> None:
    """Who had read up to the end of a segment goes on there, though that segment is one of many now."""
    fill(log)
    roll_up(log)
    for start in range(19):
        segments = list(again(log).segments(P0, start))
        assert list(range(start // 3 * 3, 18)) == in_order(again(log), start)
        assert [start // 3 * 3] == [segment.first_offset for segment in segments[:1]] or start == 18
        assert sum(segment.rows for segment in segments) == 18 - start // 3 * 3
        for one, two in itertools.pairwise(segments):
            assert (one.next_offset, one.chain_end) == (two.first_offset, two.chain_start)


def test_a_roll_up_is_read_once_and_not_once_a_stub(log: Log) -> None:
    """Fifty rolled up segments cost as many store operations as one."""
    fill(log, 50)
    roll_up(log)
    counted = Mortal(log.store)
    assert list(range(150)) == in_order(Log(counted))
    assert counted.done <= 8


def test_nothing_that_a_header_said_is_lost(log: Log) -> None:
    """Progress in files, gaps, judges and times of the segments are in the roll-up, and in a view of it."""
    for n in range(5):
        files = (FileProgress("a.ndjson", "ab" * 32, n + 1), FileProgress(f"{n}.ndjson", "cd" * 32, 7))
        log.append(P0, batch(n, n + 1, files=files, judge_id=f"judge/{n // 3}", gaps=(Gap(n, n, "x"),)))
    old = list(log.segments(P0))
    roll_up(log)
    rolled, last = again(log).segments(P0)
    for part, segment in zip(rolled.parts, old, strict=False):
        for name in part.__struct_fields__:
            assert getattr(part, name) == getattr(segment, name)
    assert {4: "a.ndjson"} == {f.next_byte: f.path for f in rolled.files if f.path == "a.ndjson"}
    assert {f"{n}.ndjson" for n in range(4)} <= {f.path for f in rolled.files}
    assert [0, 1, 2, 3] == [gap.first_offset for gap in rolled.gaps]
    assert ("judge/0, judge/1", old[3].sealed_at) == (rolled.judge_id, rolled.sealed_at)
    (view, _) = again(log).segments(P0, 3)
    assert ("judge/1", old[3].files, old[3].gaps) == (view.judge_id, view.files, view.gaps)
    assert last == old[4]


def test_a_zombie_fails_after_the_roll_up(log: Log) -> None:
    """Who wakes up with a batch for offsets that were rolled up meanwhile cannot seal it."""
    zombie = again(log)
    fill(log, 1)
    zombie.end(P0)
    for start in range(3, 18, 3):
        log.append(P0, batch(start, start + 3))
    roll_up(again(log))
    for start, end in ((3, 6), (3, 9), (3, 4), (0, 3), (12, 15), (5, 7)):
        late = [entry(offset, ingested_at_ms=7) for offset in range(start, end)]
        with pytest.raises(OwnershipLost):
            zombie.append(P0, Batch(start, end, late))
        assert not zombie.store.create(name_of(P0, 3), b"")
    assert list(range(18)) == in_order(again(log))
    assert verify(again(log)).ok


def test_a_lost_answer_is_recognised_after_the_roll_up(log: Log) -> None:
    """A segment that was written although its writer does not know is its own also as a stub."""
    fill(log)
    roll_up(again(log))
    found = again(log).append(P0, batch(3, 6))
    assert (3, 6) == (found.first_offset, found.next_offset)


def test_who_had_listed_segments_reads_them_all_the_same(log: Log) -> None:
    """Segments that become stubs between listing and reading are read from the roll-up."""
    fill(log)
    reader = again(log)
    listed = list(reader.segments(P0))
    roll_up(again(log))
    assert list(range(18)) == [found.offset for segment in listed for found in reader.read(segment)]


def test_the_last_segment_stays(log: Log) -> None:
    """The end of the log is a plain segment, however often it is rolled up."""
    for segments in (1, 2, 5, 6):
        end = again(log).end(P0)
        for start in range(end, segments * 3, 3):
            log.append(P0, batch(start, start + 3))
        roll_up(again(log))
        roll_up(again(log))
        last = log.header(name_of(P0, segments * 3 - 3))
        assert (1, "", ()) == (last.format_version, last.replaces, last.parts)
        assert list(range(segments * 3)) == in_order(again(log))


def test_a_roll_up_is_bounded(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """In rows, in bytes and in segments; what fits into none stays a segment."""
    monkeypatch.setattr(rollup, "ROWS", 9)
    monkeypatch.setattr(rollup, "BYTES", 1000)
    sizes = [10, 10, 10, 10, 10, 600, 600, 10, 2000, 10, 10, 10]
    for n, size in enumerate(sizes):
        log.append(P0, Batch(n * 2, n * 2 + 2, [entry(n * 2, b"x" * size), entry(n * 2 + 1)]))
    assert [] == roll_up(log).problems
    assert [(0, 8), (8, 12), (12, 16), (16, 18), (18, 22), (22, 24)] == [
        (segment.first_offset, segment.next_offset) for segment in again(log).segments(P0)
    ]
    assert list(range(24)) == in_order(again(log))
    assert verify(again(log)).ok


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_every_operation_leaves_a_log_that_reads_right(log: Log, after: bool) -> None:
    """Wherever a run ends, the log is read, verified and appended to, and the next run finishes it."""
    of = WRITES if slow(log) else frozenset()
    fill(log, 4, 2)
    original = {name: log.store.read(name) for name in names(log)}
    for n in itertools.count(1):
        restore(log, original)
        try:
            roll_up(Log(Mortal(log.store, n, after=after, of=of)))
        except Died:
            pass
        else:
            break
        assert list(range(8)) == in_order(again(log)), n
        assert again(log).end(P0) == 8
        report = verify(again(log))
        assert report.ok, (n, report.problems)
        again(log).append(P0, batch(8, 9))
        done = roll_up(again(log))
        assert [] == done.problems
        assert list(range(9)) == in_order(again(log)), n
        report = verify(again(log))
        assert (True, ()) == (report.ok, report.partitions[0].unfinished), n
        assert report.partitions[0].rolled_up >= 3
    assert n > (4 if of else 15)


class Stops(Mortal):
    """A store whose process is stopped before its nth write, until `waking` is set."""

    def __init__(self, store: object, n: int) -> None:
        super().__init__(store, n, of=WRITES)
        self.stopped, self.waking = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> object:
        method = getattr(self.store, name)
        if name not in self.of:
            return method

        def call(*arguments: object) -> object:
            self.done += 1
            if self.done == self.n:
                self.stopped.set()
                assert self.waking.wait(60)
            return method(*arguments)

        return call


def test_overlapping_owners_leave_a_log_that_reads_right(log: Log) -> None:
    """One that was stopped and wakes in another's roll-up: read right throughout, tidy in the end."""
    fill(log, 4, 2)
    original = {name: log.store.read(name) for name in names(log)}
    ends = (5,) if slow(log) else (4, 5, 6)
    for n, end in itertools.product(range(1, 5), ends):
        restore(log, original)
        stops = Stops(log.store, n)
        thread = threading.Thread(target=RollUp(Log(stops), P0, Forever(), lambda done: None).run)
        thread.start()
        assert stops.stopped.wait(60)
        fast = again(log)
        for start in range(8, end * 2, 2):
            fast.append(P0, batch(start, start + 2))
        RollUp(fast, P0, Forever(), lambda done: None).run()
        assert list(range(end * 2)) == in_order(again(log))
        stops.waking.set()
        thread.join(60)
        assert list(range(end * 2)) == in_order(again(log))
        report = verify(again(log))
        assert report.ok, (n, end, report.problems)
        assert [] == roll_up(again(log)).problems
        report = verify(again(log))
        assert (True, ()) == (report.ok, report.partitions[0].unfinished)
        assert list(range(2, end * 2)) == in_order(again(log), 3)


def test_a_bad_segment_is_in_no_roll_up(log: Log) -> None:
    """Damage ends the range and is said; what lies around it is rolled up and verify still finds it."""
    fill(log, 8)
    bad = name_of(P0, 9)
    data = log.store.read(bad)
    log.store.replace(bad, data, data[:-30] + bytes([data[-30] ^ 1]) + data[-29:])
    done = roll_up(again(log))
    assert 1 == len(done.problems)
    assert "offsets 9 to 11" in done.problems[0]
    assert [(0, 9), (9, 12), (12, 21), (21, 24)] == [
        (segment.first_offset, segment.next_offset) for segment in again(log).segments(P0)
    ]
    with pytest.raises(NotVerified):
        in_order(again(log))
    assert not verify(again(log)).ok


def damage(log: Log, name: str, change: Callable[[bytes], bytes | None]) -> None:
    data = log.store.read(name)
    changed = change(data)
    log.store.remove(name)
    if changed is not None:
        log.store.create(name, changed)


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        ("rolled", lambda data: None, "is missing"),
        ("rolled", lambda data: data[:-1], "SHA-256"),
        ("rolled", lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:], "SHA-256"),
        ("stub", lambda data: data[:-1], "torn"),
        ("stub", lambda data: data[:-1] + bytes([data[-1] ^ 1]), "SHA-256"),
        ("stub", lambda data: None, "missing"),
    ],
)
def test_damage_to_roll_ups_and_stubs_is_found(log: Log, place: str, change, message: str) -> None:
    """A roll-up or a stub that is gone or not what was written is reported with its offsets."""
    fill(log)
    roll_up(log)
    damage(log, name_of_rollup(P0, 0, 15) if place == "rolled" else name_of(P0, 6), change)
    report = verify(again(log))
    assert not report.ok
    assert any(message in problem for problem in report.problems), report.problems
    if place == "rolled":
        with pytest.raises(NotVerified, match="offsets"):
            in_order(again(log))


def test_a_roll_up_that_changed_before_its_stubs_is_not_trusted(log: Log) -> None:
    """Between writing a roll-up and stubbing its segments it is read back: a bad one replaces nothing."""
    fill(log)
    with pytest.raises(Died):
        roll_up(Log(Mortal(log.store, 1, after=True, of=frozenset({"create"}))))
    damage(log, name_of_rollup(P0, 0, 15), lambda data: data[:-1])
    done = roll_up(again(log))
    assert 0 == done.segments
    assert all("SHA-256" in problem for problem in done.problems)
    assert list(range(18)) == in_order(again(log))


class Pages(Mortal):
    """A store that counts how many pages of a thousand names were listed."""

    pages = 0

    def files(self, folder: str, after: str = "") -> list[str]:
        found = self.store.files(folder, after)
        self.pages += len(found) // 1000 + 1
        return found


def test_the_end_of_a_long_log_is_found_at_once() -> None:
    """Three thousand segments are four pages of names; once they are rolled up, the end is on the first."""
    log = fill(Log(MemoryStore()), 3_000, 1)
    plain = Pages(log.store)
    assert 3_000 == Log(plain).end(P0)
    assert [] == roll_up(log).problems
    rolled = Pages(log.store)
    assert 3_000 == Log(rolled).end(P0)
    assert (5, 2) == (plain.pages, rolled.pages)
    assert 3_000 == Log(rolled).recover(P0).next_offset
    assert 6 == rolled.pages
    report = verify(Log(log.store))
    assert (True, 2_999) == (report.ok, report.partitions[0].rolled_up)


@pytest.mark.parametrize("place", ["tables/flat/0.parquet", "../elsewhere", "rolled/events/other/0/x.avro"])
def test_a_stub_leads_only_to_roll_ups_of_its_partition(log: Log, place: str) -> None:
    """Whatever a header says, nothing else of the store is opened for it."""
    fill(log, 2)
    first = next(again(log).segments(P0))
    log.store.replace(first.name, log.store.read(first.name), parts.stub(first, place)[1])
    with pytest.raises(NotVerified, match="its records cannot be in"):
        in_order(again(log))
    assert not verify(again(log)).ok


def test_a_stub_stands_for_a_part_of_its_roll_up(log: Log) -> None:
    """A stub that was made anew, with a right digest and links that fit, is still no part of the roll-up."""
    fill(log)
    segment = next(log.segments(P0))
    roll_up(log)
    forged = msgspec.structs.replace(segment, rows=2)
    damage(log, segment.name, lambda data: parts.stub(forged, name_of_rollup(P0, 0, 15))[1])
    assert any("its records are not in" in problem for problem in verify(again(log)).problems)
    with pytest.raises(NotVerified, match="its records are not in"):
        in_order(again(log))


@pytest.mark.parametrize("gone_at", ["header", "read"])
def test_a_roll_up_that_another_one_removed_is_no_problem(
    log: Log, monkeypatch: pytest.MonkeyPatch, gone_at: str
) -> None:
    """Who took the lease over removed a roll-up that no stub names, just as it was to be finished here."""
    fill(log)
    needless = parts.rollup(list(log.segments(P0))[1:3], ())[1]
    name = name_of_rollup(P0, 3, 9)
    roll_up(log)
    log.store.create(name, needless)
    plain = getattr(Log, gone_at)

    def slow(self: Log, what: object, *length: int) -> object:
        if name in {what, getattr(what, "name", None)}:
            log.store.remove(name)
        return plain(self, what, *length)

    monkeypatch.setattr(Log, gone_at, slow)
    done = roll_up(again(log))
    assert ([], 0) == (done.problems, done.rollups)
    assert list(range(18)) == in_order(log)
