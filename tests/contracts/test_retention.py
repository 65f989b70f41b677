"""Retention wherever a log can lie: the oldest records go, the chain stays, and nothing else changes."""

import itertools
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from logs import P0, WRITES, Died, Forever, Mortal, again, batch, entry, fill, in_order, names, restore, slow

from modeltrail_collector.errors import OwnershipLost, Unavailable
from modeltrail_collector.log import Batch, Log, retention, rollup, verify
from modeltrail_collector.log.chain import genesis
from modeltrail_collector.log.heads import Change, PartitionHead
from modeltrail_collector.log.maintenance import Upkeep, maintain
from modeltrail_collector.log.removals import Rule
from modeltrail_collector.log.segment import name_of, name_of_rollup
from modeltrail_collector.model import FileProgress
from modeltrail_collector.testing import MemoryStore

DAY_MS = 86_400_000
BEGIN_MS = 1_767_225_600_000  # 2026-01-01


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two segments are enough for a roll-up."""
    monkeypatch.setattr(rollup, "FEW", 2)


def at(log: Log, day: float, store: object = None) -> Log:
    """The log, opened on a day of the year."""
    return Log(store or log.store, lambda: BEGIN_MS + int(day * DAY_MS))


def days(log: Log, count: int = 4, segments: int = 3) -> Log:
    """So many days, each of so many segments of two records: six offsets a day."""
    for day, n in itertools.product(range(count), range(segments)):
        start = (day * segments + n) * 2
        at(log, day + n / 10).append(P0, batch(start, start + 2))
    return log


def keep(log: Log, now: float, kept_days: float, store: object = None, **options: bool) -> Upkeep:
    (done,) = maintain(at(log, now, store), keep=timedelta(days=kept_days), **options)
    return done


def ranges(log: Log) -> list[tuple[int, int, bool]]:
    return [(found.first_offset, found.next_offset, found.removed) for found in again(log).segments(P0)]


def test_old_records_are_removed_and_the_chain_stays(log: Log) -> None:
    """What is older than asked is gone, day by day; the rest is read, and the log is verified."""
    days(log)
    head = log.head(P0)
    done = keep(log, 3.5, 2)
    assert (11, 4, 6, 6, ()) == (
        *(done.rolled_up, done.rollups),
        *(done.records_removed, done.removed_before, done.problems),
    )
    assert [(0, 6, True), (6, 12, False), (12, 18, False), (18, 22, False), (22, 24, False)] == ranges(log)
    assert list(range(6, 24)) == in_order(again(log))
    assert head == again(log).head(P0)
    report = verify(again(log))
    assert report.ok, report.problems
    (found,) = report.partitions
    removed = next(again(log).segments(P0))
    assert (Change(0, 6, "removed", removed.chain_end),) == found.removed
    assert (12, 18, 11, 6) == (found.segments, found.records, found.rolled_up, removed.rows)
    assert keep(log, 3.5, 2).records_removed == 0


def test_an_earlier_head_of_nothing_is_still_one_after_retention(log: Log) -> None:
    """A head from before the first record is no rollback when retention has removed that record since.

    Found by the simulation: a collector that had found nothing had said so.
    """
    head = PartitionHead(P0.topic, P0.topic_id, P0.partition, 0, genesis(P0))
    days(log)
    keep(log, 3.5, 2)
    assert [] == list(verify(again(log), [head]).problems)


def test_a_removed_range_is_entered_at_every_old_boundary(log: Log) -> None:
    """Who reads on from inside a removed range is told how many records it held, and goes on behind it."""
    days(log)
    keep(log, 3.5, 2)
    for start in range(6):
        first, *_ = again(log).segments(P0, start)
        begin = start // 2 * 2
        found = (first.first_offset, first.next_offset, first.rows, first.removed)
        assert (begin, 6, 6 - begin, True) == found
        assert list(range(6, 24)) == in_order(again(log), start)


def test_the_last_segment_is_never_removed(log: Log) -> None:
    """However old: a log keeps an end that a collector goes on from."""
    days(log)
    assert 22 == keep(log, 1000, 1).removed_before
    assert [22, 23] == in_order(again(log))
    assert 24 == again(log).recover(P0).next_offset
    again(log).append(P0, batch(24, 25))
    assert verify(again(log)).ok


def test_segments_that_are_not_rolled_up_are_removed_too(log: Log) -> None:
    """One segment a day is rolled up with no other, and goes when its day has come."""
    days(log, 5, 1)
    assert 4 == keep(log, 4.5, 2.4).removed_before
    assert [(0, 2, True), (2, 4, True)] == ranges(log)[:2]
    assert list(range(4, 10)) == in_order(again(log))
    assert verify(again(log)).ok
    assert (4, 10) == (verify(again(log)).partitions[0].removed[0].next_offset, again(log).end(P0))


def test_a_zombie_fails_after_retention(log: Log) -> None:
    """Names stay taken for ever: who wakes up after retention cannot seal its offsets once more."""
    zombie = at(log, 0)
    zombie.append(P0, batch(0, 2))
    days_later = at(log, 1)
    for start in range(2, 12, 2):
        days_later.append(P0, batch(start, start + 2))
    keep(log, 400, 365)
    assert [10, 11] == in_order(again(log))
    for start, end in ((2, 4), (2, 10), (4, 6), (0, 2)):
        late = [entry(offset, ingested_at_ms=7) for offset in range(start, end)]
        with pytest.raises(OwnershipLost):
            zombie.append(P0, Batch(start, end, late))
    for offset in range(0, 12, 2):
        assert not log.store.create(name_of(P0, offset), b"")


def test_progress_in_files_survives_retention(log: Log) -> None:
    """A file that was sealed long ago is still known to be sealed when its records are gone."""
    for n in range(3):
        progress = (FileProgress(f"{n}.ndjson", "ab" * 32, 7),)
        at(log, n).append(P0, batch(n, n + 1, files=progress))
    at(log, 3).append(P0, batch(3, 4))
    keep(log, 500, 1)
    paths = [file.path for segment in again(log).segments(P0) for file in segment.files]
    assert ["0.ndjson", "1.ndjson", "2.ndjson"] == sorted(set(paths))


def test_who_was_about_to_read_is_told_to_read_again(log: Log) -> None:
    """Records that retention takes from under a reader are never mistaken for no records."""
    days(log)
    reader = again(log)
    (old, *_), plain = reader.segments(P0), list(again(log).segments(P0))
    keep(log, 3.5, 2)
    for segment in (old, plain[1]):
        with pytest.raises(Unavailable, match="retention"):
            list(reader.read(segment))


def test_a_dry_run_changes_nothing_and_says_what_would_be(log: Log) -> None:
    """The figures of a dry run are those of the run that follows."""
    days(log)
    before = {name: log.store.read(name) for name in names(log)}
    planned = keep(log, 3.5, 2, dry_run=True)
    assert before == {name: log.store.read(name) for name in names(log)}
    assert planned == keep(log, 3.5, 2)


STAMPS = [
    ("all old", [0, 0, 0, 0, 0], 100, 4),
    ("one stamp of a clock far behind", [99, 0, 99, 99, 99], 100, 0),
    ("the first stamp far behind", [0, 99, 99, 99, 99], 100, 0),
    ("a stamp from the future", [0, 1, 900, 2, 3], 100, 4),
    ("only the future", [900, 900, 900, 900, 900], 100, 0),
    ("younger ones", [0, 1, 95, 96, 97], 100, 1),
    ("an old one behind a young one", [0, 1, 95, 0, 0], 100, 1),
]


@pytest.mark.parametrize(
    ("stamps", "now", "count"), [case[1:] for case in STAMPS], ids=[c[0] for c in STAMPS]
)
def test_no_single_wrong_clock_removes_anything(stamps: list[int], now: int, count: int, tmp_path) -> None:
    """Only a beginning of the log goes, and only if a second stamp says that it is old."""
    from modeltrail_collector.log import open_log

    log = open_log(tmp_path)
    for n, stamp in enumerate(stamps):
        at(log, stamp).append(P0, batch(n, n + 1))
    today = datetime.fromtimestamp((BEGIN_MS + now * DAY_MS) / 1000, UTC)
    found = retention.too_old(log.segments(P0), today, timedelta(days=30))
    assert list(range(count)) == [segment.first_offset for segment in found]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_every_operation_leaves_less_removed(log: Log, after: bool) -> None:
    """Wherever roll-up and retention end, what is young is read and verified; the next run finishes."""
    of = frozenset() if isinstance(log.store, MemoryStore) else WRITES
    end = days(log, 2 if slow(log) else 3, 2).end(P0)
    original = {name: log.store.read(name) for name in names(log)}
    for n in itertools.count(1):
        restore(log, original)
        try:
            keep(log, 2.5, 1.45, Mortal(log.store, n, after=after, of=of))
        except Died:
            pass
        else:
            break
        found = in_order(again(log))
        assert list(range(found[0], end)) == found, n
        assert found[0] in {0, 4}
        report = verify(again(log))
        assert report.ok, (n, report.problems)
        again(log).append(P0, batch(end, end + 1))
        done = keep(log, 2.5, 1.45)
        assert (4, ()) == (done.removed_before, done.problems), n
        assert list(range(4, end + 1)) == in_order(again(log)), n
        report = verify(again(log))
        assert (True, ()) == (report.ok, report.partitions[0].unfinished), (n, report.problems)
        assert {True} == {removal.finished for removal in report.partitions[0].removals}, n
    assert n > (3 if of else 25)


def test_a_roll_up_that_comes_back_after_retention_is_removed(log: Log) -> None:
    """A stopped roll-up that wakes after retention brings no record back."""
    fill(log, 4, 2)
    taken = Log(Mortal(log.store, 1, after=True, of=frozenset({"create"})))
    with pytest.raises(Died):
        maintain(taken)
    name = name_of_rollup(P0, 0, 6)
    written = log.store.read(name)
    log.store.remove(name)
    rule = Rule(timedelta(days=-2), datetime.now(UTC))
    work = retention.Retention(log, P0, Forever(), lambda done: None)
    assert 3 == len(work.remove(list(again(log).segments(P0)), rule))
    log.store.create(name, written)
    assert [6, 7] == in_order(again(log))
    assert (name,) == verify(again(log)).partitions[0].unfinished
    (done,) = maintain(again(log))
    assert () == done.problems
    assert [] == log.rollups(P0)
    assert [6, 7] == in_order(again(log))


def test_every_copy_of_a_removed_record_goes(log: Log) -> None:
    """Where two owners overlapped a record lies in two roll-ups: retention empties both."""
    for start in range(0, 8, 2):
        at(log, 0).append(P0, batch(start, start + 2))
    woken = rollup.RollUp(again(log), P0, Forever(), lambda done: None)
    _, late = woken._gather(list(again(log).segments(P0))[:3])
    at(log, 2).append(P0, batch(8, 10))
    with pytest.raises(Died):
        maintain(Log(Mortal(log.store, 2, after=True, of=WRITES)))
    assert log.store.create(name_of_rollup(P0, 0, 6), late)
    woken._finish(name_of_rollup(P0, 0, 6))
    at(log, 3).append(P0, batch(10, 12))
    assert list(range(12)) == in_order(again(log))
    assert 8 == keep(log, 100, 97.5).removed_before
    copies = [log.header(name_of_rollup(P0, *offsets)) for offsets in log.rollups(P0)]
    assert [(6, True), (8, True)] == [(copy.next_offset, copy.removed) for copy in copies]
    assert [8, 9, 10, 11] == in_order(again(log))
    assert verify(again(log)).ok


def test_a_roll_up_that_another_one_removed_is_no_problem(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A roll-up that no stub names may go while old records are removed: the others go all the same."""
    keep(days(log), now=4, kept_days=100)
    files = retention._files
    gone = msgspec.structs.replace(next(again(log).segments(P0)), name=name_of_rollup(P0, 0, 4))
    monkeypatch.setattr(retention, "_files", lambda *given: [gone, *files(*given)])
    assert 12 == keep(log, now=5.5, kept_days=3).records_removed
    assert [True, True, False, False] == [removed for _, _, removed in ranges(log)][:4]
