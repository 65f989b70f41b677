"""One suite for whatever the pump reads from: the fake topic and real Kafka, rebalances included."""

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from simulation.broker import Broker, Member

from modeltrail_collector.intake import Fetched, Source
from modeltrail_collector.model import Header, LogPartition
from modeltrail_collector.testing import MemorySource, MemoryTopic

PATIENCE_S = 30.0


class NotUtf8(str):
    """A header's key as only a broken producer sends it."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return b"\xff\xfe"


class MemoryWorld:
    """A topic of the fake, with what can happen to it."""

    def __init__(self, partitions: int) -> None:
        self.topic = MemoryTopic(partitions=partitions)

    def member(self) -> Source:
        return MemorySource(self.topic)

    def produce(self, partition: int, value: bytes | None, **more) -> None:
        self.topic.append(partition, value, **more)

    def produce_unreadable(self, partition: int) -> None:
        self.topic.spoil(partition, self.topic.append(partition, b""))

    def remove_before(self, partition: int, offset: int) -> None:
        self.topic.remove_before(partition, offset)

    def recreate(self) -> None:
        self.topic.recreate()


class SimulatedWorld(MemoryWorld):
    """The broker of tests/simulation, where rebalances are what Kafka's are."""

    def __init__(self, partitions: int, *, cooperative: bool) -> None:
        self.topic = Broker(partitions, cooperative=cooperative)

    def member(self) -> Source:
        return Member(self.topic)


class KafkaWorld:
    """The same on a broker."""

    def __init__(
        self, bootstrap: str, make_topic: Callable[..., str], partitions: int, stack: ExitStack
    ) -> None:
        from kafka import KafkaAdminClient, KafkaProducer

        self.bootstrap, self.partitions = bootstrap, partitions
        self.name = make_topic(partitions)
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        stack.callback(self.admin.close)
        self.producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
        stack.callback(self.producer.close)

    def member(self) -> Source:
        from modeltrail_collector.intake.kafka import Connection, KafkaSource

        return KafkaSource(Connection(self.bootstrap, self.name, f"group-{self.name}"))

    def produce(self, partition: int, value: bytes | None, **more) -> None:
        more["headers"] = list(more.get("headers", ()))
        self.producer.send(self.name, value, partition=partition, **more).get(30)

    def produce_unreadable(self, partition: int) -> None:
        self.produce(partition, b"", headers=[(NotUtf8("?"), b"")])

    def remove_before(self, partition: int, offset: int) -> None:
        from kafka import TopicPartition

        self.admin.delete_records({TopicPartition(self.name, partition): offset})

    def recreate(self) -> None:
        from kafka.admin import NewTopic

        self.admin.delete_topics([self.name])
        until(lambda: self.name not in self.admin.list_topics())
        self.admin.create_topics([NewTopic(self.name, self.partitions, 1)], wait_for_metadata=True)


@pytest.fixture(params=["memory", "eager", "cooperative", pytest.param("kafka", marks=pytest.mark.kafka)])
def world(request: pytest.FixtureRequest) -> Iterator[Callable[[int], MemoryWorld | KafkaWorld]]:
    """A factory: a topic with so many partitions."""
    with ExitStack() as stack:
        if request.param == "memory":
            yield MemoryWorld
        elif request.param != "kafka":
            yield lambda partitions: SimulatedWorld(partitions, cooperative=request.param == "cooperative")
        else:
            bootstrap = request.getfixturevalue("kafka_bootstrap")
            make_topic = request.getfixturevalue("kafka_topic")
            yield lambda partitions: KafkaWorld(bootstrap, make_topic, partitions, stack)


@pytest.fixture
def join(request: pytest.FixtureRequest) -> Iterator[Callable[..., "Reader"]]:
    """A factory: a member that is closed at the end."""
    with ExitStack() as stack:

        def join(world: MemoryWorld | KafkaWorld) -> Reader:
            source = world.member()
            stack.callback(source.close)
            return Reader(source)

        yield join


class Reader:
    """Polls a source and keeps what it says, as the pump does; seeks nothing by itself."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.assigned: frozenset[LogPartition] | None = None
        self.assignments = 0
        self.fetched: list[Fetched] = []

    def poll(self) -> None:
        polled = self.source.poll(0.2)
        assert not (polled.assigned is not None and polled.fetched)
        if polled.assigned is not None:
            self.assigned = polled.assigned
            self.assignments += 1
            self.fetched.clear()
        self.fetched += polled.fetched

    def values(self, number: int) -> list[bytes | None]:
        return [record.value for record in self.records(number)]

    def records(self, number: int) -> list:
        return [
            record
            for fetched in self.fetched
            if fetched.partition.partition == number
            for record in fetched.records
        ]

    def seek_all(self, offset: int = 0) -> None:
        for partition in self.assigned:
            self.source.seek(partition, offset)

    def numbers(self) -> set[int]:
        return {partition.partition for partition in self.assigned or ()}


def until(condition: Callable[[], object], *readers: Reader) -> None:
    """Poll the readers, side by side as processes would, until the condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    with ThreadPoolExecutor(max(1, len(readers))) as pool:
        while not condition():
            assert time.monotonic() < deadline, [(reader.assigned, reader.fetched) for reader in readers]
            list(pool.map(Reader.poll, readers))
            if not readers:
                time.sleep(0.05)


def test_an_assignment_comes_before_any_record(world, join) -> None:
    """Alone, a member is told of all partitions; no record comes before its partition is sought."""
    topic = world(3)
    topic.produce(1, b"a")
    reader = join(topic)
    until(lambda: reader.numbers() == {0, 1, 2}, reader)
    for _ in range(3):
        reader.poll()
    assert [] == reader.fetched
    reader.source.seek(next(p for p in reader.assigned if p.partition == 1), 0)
    until(lambda: reader.values(1) == [b"a"], reader)


def test_records_come_whole_and_in_order(world, join) -> None:
    """Value, key and headers come as they were sent, in order, in ranges without gap or overlap."""
    topic = world(1)
    for number in range(50):
        topic.produce(0, b"%d" % number, key=b"k", headers=[("h", b"\x00"), ("h", b"")])
    topic.produce(0, None, key=b"")
    topic.produce(0, b"", key=None)
    reader = join(topic)
    until(lambda: reader.assigned, reader)
    reader.seek_all()
    until(lambda: len(reader.records(0)) == 52, reader)
    assert [*(b"%d" % number for number in range(50)), None, b""] == reader.values(0)
    assert list(range(52)) == [record.offset for record in reader.records(0)]
    first = reader.records(0)[0]
    assert (b"k", (Header("h", b"\x00"), Header("h", b"")), None) == (first.key, first.headers, first.source)
    ranges = [(fetched.start, fetched.end) for fetched in reader.fetched]
    assert 0 == ranges[0][0]
    assert 52 == ranges[-1][1]
    assert all(one[1] == after[0] for one, after in itertools.pairwise(ranges))


def test_seeking_goes_anywhere(world, join) -> None:
    """Reading goes on where it was sought, forwards and backwards, and at the end nothing comes."""
    topic = world(1)
    for number in range(10):
        topic.produce(0, b"%d" % number)
    reader = join(topic)
    until(lambda: reader.assigned, reader)
    for offset in (7, 2, 9, 10):
        reader.fetched.clear()
        reader.seek_all(offset)
        until(lambda offset=offset: len(reader.records(0)) == 10 - offset, reader)
        assert [b"%d" % number for number in range(offset, 10)] == reader.values(0)


def test_a_new_member_takes_its_share(world, join) -> None:
    """When one joins, both are told anew; their partitions are disjoint and together all."""
    topic = world(4)
    first = join(topic)
    until(lambda: len(first.numbers()) == 4, first)
    first.seek_all()
    second = join(topic)
    until(lambda: second.numbers() and len(first.numbers()) == 2, first, second)
    assert {0, 1, 2, 3} == first.numbers() | second.numbers()
    assert not first.numbers() & second.numbers()


def test_what_stays_ours_is_not_read_on(world, join) -> None:
    """After a rebalance nothing comes of a partition that stayed until it is sought again."""
    topic = world(2)
    for number in range(10):
        topic.produce(0, b"%d" % number)
        topic.produce(1, b"%d" % number)
    first = join(topic)
    until(lambda: len(first.numbers()) == 2, first)
    first.seek_all()
    until(lambda: len(first.records(0)) == len(first.records(1)) == 10, first)
    second = join(topic)
    until(lambda: len(first.numbers()) == len(second.numbers()) == 1, first, second)
    topic.produce(0, b"later")
    topic.produce(1, b"later")
    for _ in range(5):
        first.poll()
    assert [] == first.fetched
    first.seek_all(5)
    mine = next(iter(first.numbers()))
    until(lambda: len(first.records(mine)) == 6, first, second)
    assert [b"5", b"6", b"7", b"8", b"9", b"later"] == first.values(mine)


def test_who_stays_takes_over(world, join) -> None:
    """When a member leaves, the other is told that everything is its own."""
    topic = world(2)
    first, second = join(topic), join(topic)
    until(lambda: len(first.numbers()) == len(second.numbers()) == 1, first, second)
    second.source.close()
    until(lambda: len(first.numbers()) == 2, first)


def test_a_paused_source_is_silent(world, join) -> None:
    """While paused no record comes; afterwards they go on without a gap."""
    topic = world(1)
    reader = join(topic)
    until(lambda: reader.assigned, reader)
    reader.seek_all()
    topic.produce(0, b"0")
    until(lambda: reader.values(0) == [b"0"], reader)
    reader.source.pause()
    topic.produce(0, b"1")
    for _ in range(5):
        reader.poll()
    assert b"1" not in reader.values(0)
    reader.source.resume()
    if reader.assignments > 1:  # a loaded machine: the group was joined again, and whoever polls has to seek
        reader.seek_all()
    until(lambda: reader.values(0)[-2:] == [b"0", b"1"], reader)


def test_a_paused_member_hears_of_rebalances(world, join) -> None:
    """Pausing does not leave the group: the new assignment comes all the same."""
    topic = world(2)
    first = join(topic)
    until(lambda: len(first.numbers()) == 2, first)
    first.source.pause()
    second = join(topic)
    until(lambda: len(first.numbers()) == len(second.numbers()) == 1, first, second)


def test_retention_is_said_aloud(world, join) -> None:
    """Where the offsets asked for are gone, that is said, with the offset where the rest begins."""
    topic = world(1)
    for number in range(10):
        topic.produce(0, b"%d" % number)
    topic.remove_before(0, 6)
    reader = join(topic)
    until(lambda: reader.assigned, reader)
    reader.seek_all(2)
    until(lambda: len(reader.records(0)) == 4, reader)
    (gap,) = [fetched for fetched in reader.fetched if fetched.gap]
    assert ("retention", 6, 6, ()) == (gap.gap, gap.start, gap.end, tuple(gap.records))
    assert [b"6", b"7", b"8", b"9"] == reader.values(0)


def test_what_cannot_be_read_is_passed_over_aloud(world, join) -> None:
    """A record that breaks Kafka's own format is a gap that is named; what follows comes.

    kafka-python alone would spin in its poll for ever.
    """
    topic = world(1)
    topic.produce(0, b"0")
    topic.produce_unreadable(0)
    topic.produce_unreadable(0)
    topic.produce(0, b"3")
    reader = join(topic)
    until(lambda: reader.assigned, reader)
    reader.seek_all()
    until(lambda: len(reader.records(0)) == 2, reader)
    assert [b"0", b"3"] == reader.values(0)
    assert [(2, 2), (3, 3)] == [
        (found.start, found.end) for found in reader.fetched if found.gap == "unreadable"
    ]


def test_a_topic_made_again_is_another(world, join) -> None:
    """A topic that was deleted and made again is assigned anew, under a new id.

    kafka-python alone would go on at the old offset without a word.
    """
    topic = world(1)
    for number in range(5):
        topic.produce(0, b"old %d" % number)
    reader = join(topic)
    until(lambda: reader.assigned, reader)
    old = reader.assigned
    reader.seek_all()
    until(lambda: len(reader.records(0)) == 5, reader)
    topic.recreate()
    for number in range(20):
        topic.produce(0, b"new %d" % number)
    until(lambda: reader.assigned and reader.assigned != old, reader)
    assert {0} == reader.numbers()
    (new,) = reader.assigned
    (before,) = old
    assert new.topic == before.topic
    assert new.topic_id != before.topic_id
    reader.seek_all()
    until(lambda: len(reader.records(0)) == 20, reader)
    assert b"new 0" == reader.values(0)[0]


def test_ends_are_the_next_offsets(world, join) -> None:
    """`ends` says for each partition the offset of the next record to come."""
    topic = world(2)
    topic.produce(0, b"a")
    reader = join(topic)
    until(lambda: len(reader.numbers()) == 2, reader)
    ends = reader.source.ends(sorted(reader.assigned))
    assert {0: 1, 1: 0} == {partition.partition: end for partition, end in ends.items()}


def test_known_ends_cost_nobody_a_question(world, join) -> None:
    """`known_ends` says of what was read where it ended then; of what is not sought it says nothing."""
    topic = world(2)
    for _ in range(3):
        topic.produce(0, b"a")
    reader = join(topic)
    until(lambda: len(reader.numbers()) == 2, reader)
    assert {} == dict(reader.source.known_ends())
    reader.seek_all()
    until(lambda: len(reader.records(0)) == 3, reader)
    found = {partition.partition: end for partition, end in reader.source.known_ends().items()}
    assert 3 == found[0]


def test_nothing_is_read_back_from_commits(world, join) -> None:
    """A committed offset moves nobody: the next member starts where it is sought."""
    topic = world(1)
    for number in range(3):
        topic.produce(0, b"%d" % number)
    reader = join(topic)
    until(lambda: reader.assigned, reader)
    reader.seek_all()
    until(lambda: len(reader.records(0)) == 3, reader)
    reader.source.commit(dict.fromkeys(reader.assigned, 3))
    reader.source.close()
    other = join(topic)
    until(lambda: other.assigned, other)
    other.seek_all()
    until(lambda: len(other.records(0)) == 3, other)
