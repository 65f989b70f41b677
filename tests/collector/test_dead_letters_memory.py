"""Dead letters out of the log, in memory: how far they are, who publishes them, and what a failure leaves."""

import hashlib
import random
import time
from collections.abc import Callable, Iterator

import pytest

from modeltrail_collector.log import Batch, Log
from modeltrail_collector.model import Entry, Header, LogPartition, Reason
from modeltrail_collector.relay import DeadLetters, dead_letters, trouble
from modeltrail_collector.testing import MemoryPublisher, MemoryStore

P0, P1 = (LogPartition("events", "6f2f3f4e-0000-4000-8000-000000000001", number) for number in (0, 1))
PLACE = f"dead-letters/dead/events/{P0.topic_id}/0.json"
WHY = Reason("not_json", "$", "Invalid JSON")


@pytest.fixture
def log() -> Log:
    return Log(MemoryStore())


@pytest.fixture
def open_letters(log: Log, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., DeadLetters]]:
    """Publishers that look and try again at once; closed at the end."""
    monkeypatch.setattr(trouble, "BACKOFF_S", 0.01)
    monkeypatch.setattr(trouble, "BACKOFF_MAX_S", 0.05)
    opened = []

    def open_letters(publisher: MemoryPublisher, *partitions: LogPartition) -> DeadLetters:
        letters = DeadLetters(log, publisher, "dead")
        opened.append(letters)
        letters.own(partitions or [P0])
        return letters

    yield open_letters
    for letters in opened:
        letters.close()


def seal(log: Log, start: int, verdicts: str, partition: LogPartition = P0, **changes):
    """One segment: `a` is an accepted record, `r` a rejected one, `-` an offset without a record."""
    entries = []
    for offset, letter in enumerate(verdicts, start):
        if letter != "-":
            value = b"value %d" % offset
            verdict, reasons = ("rejected", (WHY,)) if letter == "r" else ("accepted", ())
            fields = {
                "topic": partition.topic,
                "partition": partition.partition,
                "offset": offset,
                "source": None,
                "timestamp_ms": offset,
                "ingested_at_ms": 5,
                "key": None,
                "headers": (),
                "value": value,
                "verdict": verdict,
                "reasons": reasons,
                **dict.fromkeys(("event_kind", "event_type", "event_time", "run_id")),
                **dict.fromkeys(("job_namespace", "job_name")),
                "sha256": hashlib.sha256(value).hexdigest(),
            }
            entries.append(Entry(**fields | changes))
    return log.append(partition, Batch(start, start + len(verdicts), entries))


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def offsets(publisher: MemoryPublisher) -> list[int]:
    return [letter.offset for letter in publisher.letters]


def test_what_is_sealed_before_and_after_is_published(log: Log, open_letters) -> None:
    """The log's segments are caught up with first, then each new one follows; others' partitions do not."""
    seal(log, 0, "arr")
    seal(log, 0, "r", P1)
    publisher = MemoryPublisher()
    letters = open_letters(publisher)
    wait_for(lambda: letters.published == 2)
    letters.sealed(seal(log, 3, "a-r-"), rejected=True)
    wait_for(lambda: letters.published == 3)
    assert 0 == letters.finish(10)
    assert [1, 2, 5] == offsets(publisher)
    assert (True, 0) == (publisher.closed, letters.failures)
    assert b'{"next_offset":7}' == log.store.contents[PLACE]


def test_segments_without_rejected_records_are_not_read(
    log: Log, open_letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment that holds nothing for us costs no read, and yet counts as looked through in the end."""
    seal(log, 0, "r")
    publisher = MemoryPublisher()
    letters = open_letters(publisher)
    wait_for(lambda: letters.published == 1 and letters._busy is None)
    monkeypatch.setattr(Log, "read", lambda *_: pytest.fail("read"))
    for start in (1, 2, 3):
        letters.sealed(seal(log, start, "a"), rejected=False)
    assert 0 == letters.behind
    assert 0 == letters.finish(10)
    assert (0, b'{"next_offset":4}') == (letters.failures, log.store.contents[PLACE])


def test_a_failure_is_repeated_until_it_is_none(log: Log, open_letters) -> None:
    """Letters of a failed call are all sent again; then it goes on as if nothing was."""
    seal(log, 0, "rrar")
    publisher = MemoryPublisher()
    publisher.away = True
    letters = open_letters(publisher)
    wait_for(lambda: letters.failures >= 3)
    assert (4, 0) == (letters.behind, letters.published)
    publisher.away = False
    wait_for(lambda: letters.published == 3)
    assert [0, 1, 3] == offsets(publisher)[-3:]
    assert {0, 1, 3} == set(offsets(publisher))
    assert 0 == letters.finish(10)


def test_finish_does_not_wait_for_what_fails(log: Log, open_letters) -> None:
    """At the end a topic that is away is tried once more, not waited for; the next process goes on there."""
    seal(log, 0, "r")
    publisher = MemoryPublisher()
    publisher.away = True
    began = time.monotonic()
    letters = open_letters(publisher)
    assert 1 == letters.finish(300)
    assert time.monotonic() - began < 60
    publisher.away = False
    assert 0 == open_letters(publisher).finish(30)
    assert [0] == offsets(publisher)[-1:]


def test_big_segments_are_published_in_parts(log: Log, open_letters, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is kept within a segment: what was acknowledged is not sent again after a failure."""
    monkeypatch.setattr(dead_letters, "_BATCH_LETTERS", 2)
    seal(log, 0, "r" * 7)
    publisher = MemoryPublisher()
    publish, calls, remembered = publisher.publish, [], []

    def third_fails(some) -> None:
        calls.append(some)
        publisher.away = len(calls) == 3
        remembered.append(log.store.contents.get(PLACE))
        publish(some)

    monkeypatch.setattr(publisher, "publish", third_fails)
    letters = open_letters(publisher)
    wait_for(lambda: letters.published == 7)
    assert [0, 1, 2, 3, 4, 4, 5, 6] == offsets(publisher)
    assert [None, *(b'{"next_offset":%d}' % offset for offset in (2, 4, 4, 6))] == remembered


def test_progress_never_goes_back(log: Log, open_letters) -> None:
    """A zombie that published less does not overwrite how far its successor is."""
    seal(log, 0, "rr")
    publisher = MemoryPublisher()
    letters = open_letters(publisher)
    wait_for(lambda: log.store.contents.get(PLACE) == b'{"next_offset":2}')
    log.store.contents[PLACE] = b'{"next_offset":9}'
    letters.sealed(seal(log, 2, "r"), rejected=True)
    wait_for(lambda: letters.published == 3)
    assert 0 == letters.finish(10)
    assert b'{"next_offset":9}' == log.store.contents[PLACE]
    seal(log, 3, "rrrrrr")
    seal(log, 9, "r")
    assert 0 == open_letters(later := MemoryPublisher()).finish(10)
    assert [9] == offsets(later)


def test_what_another_sealed_meanwhile_is_found(
    log: Log, open_letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zombie's last segment, of which nobody told us, is published; what is not ours any more is not."""
    monkeypatch.setattr(dead_letters, "_LOOK_S", 0.05)
    publisher = MemoryPublisher()
    letters = open_letters(publisher)
    seal(log, 0, "r")
    wait_for(lambda: letters.published == 1)
    letters.own([])
    seal(log, 1, "r")
    assert 0 == letters.finish(10)
    assert [0] == offsets(publisher)


def test_a_topic_made_anew_leaves_no_letter_behind(
    log: Log, open_letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner of partition 0, and no other, publishes what the old topic's chains hold or still get."""
    monkeypatch.setattr(dead_letters, "_LOOK_S", 0.05)
    old = [LogPartition("events", "6f2f3f4e-0000-4000-8000-000000000000", number) for number in (0, 7)]
    seal(log, 0, "r", old[0])
    seal(log, 0, "r")
    second = MemoryPublisher()
    assert 0 == open_letters(second, P1).finish(10)
    publisher = MemoryPublisher()
    letters = open_letters(publisher, P0)
    wait_for(lambda: letters.published == 2)
    seal(log, 0, "r", old[1])
    seal(log, 0, "r", P1)
    wait_for(lambda: letters.published == 3)
    assert 0 == letters.finish(10)
    assert ([], 3) == (second.letters, len(publisher.letters))


def test_a_dead_letter_that_was_collected_is_left_out(log: Log, open_letters) -> None:
    """A record with our header is a dead letter already: it stays in the log alone."""
    seal(log, 0, "r", headers=(Header("modeltrail.dead_letter.id", b"other/id/0/3"),))
    seal(log, 1, "r", headers=(Header("other", b"x"), Header("null", None)))
    publisher = MemoryPublisher()
    assert 0 == open_letters(publisher).finish(10)
    assert [1] == offsets(publisher)
    assert (Header("other", b"x"), Header("null", None)) == publisher.letters[0].headers[:2]


def test_a_failing_store_loses_nothing(log: Log, open_letters, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads and writes that fail at random, with unknown outcome, cost repetitions and no letter."""
    for start in range(0, 40, 4):
        seal(log, start, "arra")
    log.store.faults, log.store.rate = random.Random(7), 0.3
    publisher = MemoryPublisher()
    letters = open_letters(publisher)
    wait_for(lambda: letters.behind == 0 and letters.published >= 20)
    assert {start + n for start in range(0, 40, 4) for n in (1, 2)} == set(offsets(publisher))
    assert letters.failures > 0


def test_a_damaged_segment_stops_only_its_partition(log: Log, open_letters) -> None:
    """What cannot be trusted is not published, and said; other partitions go on."""
    segment = seal(log, 0, "r")
    data = log.store.contents[segment.name]
    log.store.contents[segment.name] = data[:-20] + b"x" * 20
    seal(log, 0, "r", P1)
    publisher = MemoryPublisher()
    letters = open_letters(publisher, P0, P1)
    wait_for(lambda: letters.published == 1 and letters.failures > 1)
    (letter,) = publisher.letters
    assert Header("modeltrail.origin.partition", b"1") in letter.headers
