"""The loop, on a fake topic and a fake store: what one turn does, and that nothing loses a record."""

import random
import time

import pytest

from modeltrail_collector.errors import ConfigError, Unavailable
from modeltrail_collector.intake import Fetched
from modeltrail_collector.log import Log, verify
from modeltrail_collector.model import Entry, LogPartition
from modeltrail_collector.pump import Limits, Pump
from modeltrail_collector.pump.builder import Builder
from modeltrail_collector.testing import MemorySource, MemoryStore, MemoryTopic

VALID = (
    b'{"eventType":"START","eventTime":"2026-01-01T00:00:00Z","producer":"https://a.example/b",'
    b'"schemaURL":"https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",'
    b'"run":{"runId":"0194c5a0-0000-7000-8000-000000000001"},"job":{"namespace":"a","name":"b"}}'
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def topic() -> MemoryTopic:
    return MemoryTopic(partitions=1)


@pytest.fixture
def log() -> Log:
    return Log(MemoryStore())


def entries(log: Log, partition: LogPartition) -> list[Entry]:
    fresh = Log(log.store)
    return [entry for segment in fresh.segments(partition) for entry in fresh.read(segment)]


def turns(pump: Pump, count: int = 4) -> None:
    for _ in range(count):
        pump.turn()


def until_done(pump: Pump) -> None:
    for _ in range(100):
        if pump.done:
            return
        pump.turn()
    pytest.fail(f"not done after 100 turns: {pump.totals}")


def test_until_end_collects_what_is_there(topic: MemoryTopic, log: Log) -> None:
    """`until_end` seals everything up to the ends seen at the start, judged and hashed, and is done."""
    topic.append(0, VALID, key=b"k", headers=[("a", None)])
    topic.append(0, b"\xff garbage")
    topic.append(0, None)
    pump = Pump(MemorySource(topic), log, until_end=True)
    until_done(pump)
    found = entries(log, topic.partition(0))
    assert [VALID, b"\xff garbage", None] == [entry.value for entry in found]
    assert ["accepted", "rejected", "rejected"] == [entry.verdict for entry in found]
    assert ("b", "START", b"k") == (found[0].job_name, found[0].event_type, found[0].key)
    assert ["not_utf8", "null_value"] == [entry.reasons[0].code for entry in found[1:]]
    totals = pump.totals
    assert (3, 1, 0, 2, 1) == (
        *(totals.records, totals.accepted, totals.warned, totals.rejected, totals.segments),
    )
    assert {topic.partition(0): 3} == topic.committed
    assert verify(log).ok


def test_until_end_of_an_empty_topic_is_done_at_once(topic: MemoryTopic, log: Log) -> None:
    """With nothing to collect `until_end` ends, and writes nothing."""
    until_done(Pump(MemorySource(topic), log, until_end=True))
    assert {} == log.store.contents


def test_the_log_says_where_to_go_on(topic: MemoryTopic, log: Log) -> None:
    """A restart with nothing committed in Kafka collects only what is new."""
    topic.append(0, b"0")
    until_done(Pump(source := MemorySource(topic), log, until_end=True))
    source.close()
    topic.committed.clear()
    topic.append(0, b"1")
    second = Pump(MemorySource(topic), Log(log.store), until_end=True)
    until_done(second)
    assert 1 == second.totals.records
    assert [b"0", b"1"] == [entry.value for entry in entries(log, topic.partition(0))]


@pytest.mark.parametrize(
    ("limits", "waits_s"),
    [(Limits(rows=3), 0), (Limits(bytes=1500), 0), (Limits(total_bytes=1500), 0), (Limits(age_s=5), 5)],
)
def test_when_a_segment_is_sealed(
    topic: MemoryTopic, log: Log, clock: Clock, limits: Limits, waits_s: float
) -> None:
    """A segment is sealed by rows, by bytes, by the bytes of all partitions, or by its age."""
    pump = Pump(MemorySource(topic), log, limits=limits, clock=clock)
    turns(pump)
    for _ in range(2):
        topic.append(0, b"{}")
        turns(pump, 1)
    assert (0, 2) == (pump.totals.segments, pump.waiting)
    topic.append(0, b"{}")
    turns(pump, 1)
    if waits_s:
        clock.now += waits_s - 0.01
        turns(pump, 1)
        assert 0 == pump.totals.segments
        clock.now += 0.01
        turns(pump, 1)
    assert (1, 3, 0) == (pump.totals.segments, pump.totals.records, pump.waiting)


def test_holes_alone_are_no_segment(topic: MemoryTopic, log: Log, clock: Clock) -> None:
    """Offsets of transaction markers are passed over; they are in the range of the next segment."""
    pump = Pump(MemorySource(topic), log, clock=clock)
    topic.add_hole(0, 5)
    turns(pump)
    clock.now += 100
    turns(pump)
    assert 0 == pump.totals.segments
    topic.append(0, b"{}")
    topic.add_hole(0, 2)
    turns(pump)
    pump.drain()
    (segment,) = log.segments(topic.partition(0))
    assert (0, 8, 1, ()) == (segment.first_offset, segment.next_offset, segment.rows, segment.gaps)


def test_retention_leaves_a_counted_gap(
    topic: MemoryTopic, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """What Kafka removed before it was collected is an error message, a gap in the header, a number."""
    topic.append(0, b"{}")
    until_done(Pump(source := MemorySource(topic), log, until_end=True))
    source.close()
    for _ in range(9):
        topic.append(0, b"{}")
    topic.remove_before(0, 7)
    pump = Pump(MemorySource(topic), log, until_end=True)
    until_done(pump)
    assert "6 offsets (1 to 6) were removed" in caplog.text
    assert 6 == pump.totals.missing
    gap = list(log.segments(topic.partition(0)))[-1].gaps[0]
    assert (1, 7, "retention") == (gap.first_offset, gap.next_offset, gap.reason)
    assert [0, 7, 8, 9] == [entry.offset for entry in entries(log, topic.partition(0))]
    assert verify(log).ok


def test_what_cannot_be_read_is_one_gap(
    topic: MemoryTopic, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """Neighbouring unreadable records are one gap in the header and one message."""
    for offset in range(9):
        topic.append(0, b"{}")
        if offset in {3, 4, 5}:
            topic.spoil(0, offset)
    pump = Pump(MemorySource(topic), log, until_end=True)
    until_done(pump)
    (segment,) = log.segments(topic.partition(0))
    assert [(3, 6, "unreadable")] == [(g.first_offset, g.next_offset, g.reason) for g in segment.gaps]
    assert [0, 1, 2, 6, 7, 8] == [entry.offset for entry in entries(log, topic.partition(0))]
    assert 1 == caplog.text.count("breaks Kafka's own format")


def test_everything_removed_is_a_gap_too(topic: MemoryTopic, log: Log) -> None:
    """Also when nothing is left to collect, the log says what is missing."""
    topic.append(0, b"{}")
    topic.remove_before(0, 1)
    pump = Pump(MemorySource(topic), log, until_end=True)
    until_done(pump)
    assert (0, 1, 1) == (pump.totals.records, pump.totals.missing, log.end(topic.partition(0)))


def test_a_topic_made_again_is_another_chain(topic: MemoryTopic, log: Log, clock: Clock) -> None:
    """A recreated topic starts a chain of its own, and what was read of the old one is sealed first."""
    pump = Pump(MemorySource(topic), log, clock=clock)
    topic.append(0, b"old")
    turns(pump)
    old = topic.partition(0)
    topic.recreate()
    topic.append(0, b"new")
    turns(pump)
    pump.drain()
    assert [b"old"] == [entry.value for entry in entries(log, old)]
    assert [b"new"] == [entry.value for entry in entries(log, topic.partition(0))]
    assert 2 == len(log.partitions())


def test_until_end_follows_a_topic_made_again(topic: MemoryTopic, log: Log) -> None:
    """`until_end` ends also when the topic is made again meanwhile."""
    pump = Pump(MemorySource(topic), log, until_end=True)
    for _ in range(10):
        topic.append(0, b"old")
    pump.turn()
    topic.recreate()
    topic.append(0, b"new")
    until_done(pump)
    assert 1 == log.end(topic.partition(0))


def test_who_is_too_slow_drops_and_goes_on(topic: MemoryTopic, log: Log, clock: Clock) -> None:
    """A collector that was overtaken seals nothing twice, and goes on behind the other."""
    slow, fast = MemorySource(topic), MemorySource(topic)
    topic.members.remove(fast)  # it takes everything, as a second collector with --until-end
    topic.rebalance()
    fast.deal({0})
    pump = Pump(slow, log, clock=clock)
    turns(pump)
    topic.append(0, b"0")
    turns(pump)
    assert 1 == pump.waiting
    time.sleep(0.002)  # the same record, ingested at another time
    until_done(Pump(fast, Log(log.store), until_end=True))
    topic.append(0, b"1")
    pump.drain()
    turns(pump)
    pump.drain()
    assert [b"0", b"1"] == [entry.value for entry in entries(log, topic.partition(0))]
    assert 1 == pump.totals.records


def test_a_rebalance_drops_what_is_not_sealed(topic: MemoryTopic, log: Log, clock: Clock) -> None:
    """After a rebalance the collector begins again where the log ends, also with what stayed its own."""
    pump = Pump(MemorySource(topic), log, clock=clock)
    turns(pump)
    topic.append(0, b"0")
    turns(pump)
    topic.rebalance()
    pump.turn()
    assert 0 == pump.waiting
    turns(pump)
    assert 1 == pump.waiting


def test_a_store_that_fails_is_tried_again(topic: MemoryTopic, log: Log, clock: Clock) -> None:
    """While the store does not answer nothing more is read; then all is sealed, and nothing twice."""
    pump = Pump(MemorySource(topic), log, clock=clock, limits=Limits(rows=1, backoff_s=1, backoff_max_s=4))
    turns(pump)
    log.store.faults, log.store.rate = random.Random(1), 1.0
    topic.append(0, b"0")
    turns(pump)
    topic.append(0, b"1")
    turns(pump, 10)
    assert (1, 0) == (pump.waiting, pump.totals.records)
    for _ in range(10):
        clock.now += 4
        pump.turn()
    assert 1 == pump.waiting
    log.store.faults = None
    clock.now += 4
    turns(pump)
    assert [b"0", b"1"] == [entry.value for entry in entries(log, topic.partition(0))]


def test_a_lost_answer_is_no_loss(topic: MemoryTopic, log: Log, clock: Clock) -> None:
    """A segment that was written although the store said otherwise is counted as sealed, once."""
    pump = Pump(MemorySource(topic), log, clock=clock, limits=Limits(rows=2))
    turns(pump)
    create = log.store.create

    def lose_the_answer(name: str, data: bytes) -> bool:
        create(name, data)
        log.store.create = create
        raise Unavailable("the answer is lost")

    log.store.create = lose_the_answer
    topic.append(0, b"0")
    topic.append(0, b"1")
    turns(pump, 1)
    clock.now += 100
    turns(pump)
    assert (2, 1, 0) == (pump.totals.records, pump.totals.segments, pump.waiting)
    assert 1 == len(log.store.contents)


def test_the_last_seal_is_not_given_up_silently(topic: MemoryTopic, log: Log, clock: Clock) -> None:
    """Draining into a store that does not answer says so; the next collector reads it again."""
    pump = Pump(MemorySource(topic), log, clock=clock)
    topic.append(0, b"0")
    turns(pump)
    log.store.faults, log.store.rate = random.Random(1), 1.0
    with pytest.raises(Unavailable):
        pump.drain()


def test_a_jump_of_the_source_is_not_believed(
    topic: MemoryTopic, log: Log, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Records that do not follow what was read are not taken: the source is sought again."""
    source = MemorySource(topic)
    pump = Pump(source, log, clock=clock)
    turns(pump)
    for _ in range(5):
        topic.append(0, b"{}")
    source.seek(topic.partition(0), 3)
    turns(pump)
    pump.drain()
    assert "seeking again" in caplog.text
    assert list(range(5)) == [entry.offset for entry in entries(log, topic.partition(0))]


def test_strict_rejects_warnings(topic: MemoryTopic, log: Log) -> None:
    """With `strict` what would be warned about is rejected."""
    topic.append(0, VALID.replace(b"2026-01-01T00:00:00Z", b"yesterday"))
    until_done(Pump(source := MemorySource(topic), log, until_end=True))
    source.close()
    topic.append(0, VALID.replace(b"2026-01-01T00:00:00Z", b"yesterday"))
    until_done(Pump(MemorySource(topic), log, until_end=True, strict=True))
    assert ["warned", "rejected"] == [entry.verdict for entry in entries(log, topic.partition(0))]


def test_a_builder_takes_no_offset_twice() -> None:
    """Offsets that do not rise are a broken invariant, found before they reach the log."""
    builder = Builder(LogPartition("t", "id", 0), 5, now=0.0)
    builder.advance(9)
    with pytest.raises(AssertionError, match="goes back"):
        builder.advance(8)


def test_records_before_the_seek_are_ignored(topic: MemoryTopic, log: Log) -> None:
    """A partition that nobody sought is not collected from wherever the source stands."""
    pump = Pump(MemorySource(topic), log)
    pump._gather(Fetched(topic.partition(0), 7, 8))
    assert 0 == pump.waiting


def test_a_slow_store_does_not_keep_from_polling(log: Log, clock: Clock) -> None:
    """With half a minute a put the group is polled between two of them, and nothing is read meanwhile."""
    topic = MemoryTopic(partitions=4)
    steps: list[str] = []
    source = MemorySource(topic)
    poll, create = source.poll, log.store.create

    def note_poll(timeout_s: float):
        steps.append("poll")
        return poll(timeout_s)

    def take_long(name: str, data: bytes) -> bool:
        clock.now += 30
        steps.append("put")
        return create(name, data)

    source.poll, log.store.create = note_poll, take_long
    pump = Pump(source, log, limits=Limits(rows=3), clock=clock)
    turns(pump)
    for partition in range(4):
        for _ in range(3):
            topic.append(partition, b"{}")
    steps.clear()
    turns(pump, 1)
    topic.append(0, b"later")
    turns(pump, 3)
    assert ["poll", "put"] * 4 == steps
    assert 0 == pump.waiting
    turns(pump, 2)
    assert 1 == pump.waiting


def test_no_more_waits_than_may(topic: MemoryTopic, log: Log, clock: Clock) -> None:
    """However long the store is away: what waits is what may, and one poll."""
    limits = Limits(total_bytes=100_000, bytes=1 << 30)
    pump = Pump(MemorySource(topic, max_records=10), log, limits=limits, clock=clock)
    for _ in range(1000):
        topic.append(0, b"x" * 1000)
    turns(pump, 2)
    log.store.faults, log.store.rate = random.Random(1), 1.0
    for _ in range(200):
        clock.now += 1
        pump.turn()
        assert pump.status().waiting_bytes <= 100_000 + 10 * 1700
    assert pump.waiting > 50
    log.store.faults = None
    for _ in range(200):
        clock.now += 1
        pump.turn()
    assert 1000 == pump.totals.records


def test_kafka_away_is_noticed_without_records(topic: MemoryTopic, log: Log, clock: Clock) -> None:
    """The client says nothing while its broker is away; asking for the ends now and then does."""
    source = MemorySource(topic)
    pump = Pump(source, log, clock=clock)
    turns(pump)
    assert pump.status().failing_since is None
    ends = source.ends

    def away(_):
        raise Unavailable("nothing listens there")

    source.ends = away
    assert pump.status().error is None
    clock.now += 20
    assert "nothing listens there" == pump.status().error
    assert {"kafka": 1} == pump.activity.failures
    source.ends = ends
    clock.now += 20
    assert pump.status().error is None


def test_a_topic_that_ends_before_the_log_is_not_done(topic: MemoryTopic, log: Log) -> None:
    """With `until_end` a topic that lost records ends the collector, also where nothing is left to read."""
    for _ in range(5):
        topic.append(0, b"{}")
    until_done(Pump(source := MemorySource(topic), log, until_end=True))
    source.close()
    topic.ends[0] = 2
    with pytest.raises(ConfigError, match=r"the log ends at offset 5, but Kafka ends before it \(at 2\)"):
        until_done(Pump(MemorySource(topic), Log(log.store), until_end=True))
