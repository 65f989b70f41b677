"""Rows 10 to 14, 16 and 17: what producers send. Each record is in the log as it came, whatever it is."""

import hashlib
import itertools
import json
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from faults.oracle import Oracle, compare, event, topic_of, until

from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import Log, open_log
from modeltrail_collector.model import Entry
from modeltrail_collector.pump import Limits, Pump, Totals
from modeltrail_collector.testing import MemorySource

pytestmark = pytest.mark.kafka

Topic = Callable[..., "Sent"]


class Sent:
    """A topic of one partition and what was sent to it."""

    def __init__(self, servers: str, name: str, **producer: Any) -> None:
        from kafka import KafkaProducer

        self.servers, self.name = servers, name
        self.acked: Oracle = {}
        self.producer = KafkaProducer(bootstrap_servers=servers, acks="all", **producer)

    def send(self, *values: bytes | None, **more: Any) -> None:
        """Send and note what was acknowledged."""
        futures = [(value, self.producer.send(self.name, value, partition=0, **more)) for value in values]
        for value, future in futures:
            found = future.get(60)
            self.acked[found.partition, found.offset] = hashlib.sha256(value or b"").hexdigest()

    def collect(self, log: Path, *, wall: Callable[[], int] | None = None, judged: bool = True) -> Totals:
        """Collect all of it; the result is compared with what was sent."""
        opened = open_log(log)
        if wall is not None:
            opened = Log(opened.store, wall)
        source = KafkaSource(Connection(self.servers, self.name, self.name), (0, 1))
        try:
            pump = Pump(source, opened, until_end=True, limits=Limits(rows=500))
            until(lambda: pump.turn() or pump.done, "all is collected")
        finally:
            source.close()
        if judged:
            compare(log, self.acked)
        return pump.totals


@pytest.fixture
def sent(kafka_bootstrap: str, kafka_topic: Callable[..., str]) -> Iterator[Topic]:
    """A factory of topics: its arguments are the topic's settings."""
    made: list[Sent] = []

    def make(producer: dict[str, Any] | None = None, **configs: object) -> Sent:
        made.append(Sent(kafka_bootstrap, kafka_topic(1, **configs), **(producer or {})))
        return made[-1]

    yield make
    for each in made:
        each.producer.close(timeout=5)


def entries(log: Path) -> Sequence[Entry]:
    opened = open_log(log)
    return [
        entry
        for partition in opened.partitions()
        for segment in opened.segments(partition)
        for entry in opened.read(segment)
    ]


POISON: dict[str, bytes | None] = {
    "null": None,
    "empty": b"",
    "white space": b" \n",
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "not JSON": b"{producer",
    "half a surrogate": b'{"a": "\\ud800"}',
    "NaN": event().replace(b'"COMPLETE"', b"NaN"),
    "a huge number": b'{"a": 1e999999}',
    "deep": b"[" * 10_000 + b"]" * 10_000,
    "many keys": json.dumps(dict.fromkeys(map(str, range(60_000)), 0)).encode(),
    "NUL": bytes(100),
    "no event": b'{"a": 1}',
    "an array": b"[]",
    "a number": b"7",
}


@pytest.mark.row(10)
def test_poison_is_kept_with_its_reason_and_stops_nothing(sent: Topic, tmp_path: Path) -> None:
    """A partition of nothing but rubbish: each record is kept, byte for byte, rejected with a reason."""
    topic = sent()
    topic.send(*POISON.values(), key=b"poison")  # the client sends no null value without a key
    totals = topic.collect(tmp_path / "log")
    assert (len(POISON), 0) == (totals.rejected, totals.accepted)
    found = entries(tmp_path / "log")
    assert list(POISON.values()) == [entry.value for entry in found]
    assert [] == [entry.offset for entry in found if not entry.reasons]
    modeltrail("compact", "--log", tmp_path / "log")
    shown = json.loads(modeltrail("rejected", "list", "--log", tmp_path / "log", "--json"))
    assert set(range(len(POISON))) == {row["offset"] for row in shown}
    topic.send(event(), b"{")
    assert (1, 1) == (
        topic.collect(tmp_path / "log").accepted,
        entries(tmp_path / "log")[-1].verdict == "rejected",
    )


@pytest.mark.row(10)
def test_a_key_given_twice_is_no_poison(sent: Topic, tmp_path: Path) -> None:
    """Of a key that an event gives twice the last counts; the bytes are kept as they came."""
    topic = sent()
    twice = event().replace(b'"eventType": ', b'"eventType": "START", "eventType": ')
    topic.send(twice)
    assert 1 == topic.collect(tmp_path / "log").accepted
    (entry,) = entries(tmp_path / "log")
    assert (twice, "COMPLETE") == (entry.value, entry.event_type)


@pytest.mark.row(11)
@pytest.mark.parametrize("megabytes", [33, 101, pytest.param(104, marks=pytest.mark.slow)])
def test_a_huge_message_is_taken_and_what_follows_too(sent: Topic, tmp_path: Path, megabytes: int) -> None:
    """A message larger than a fetch, and than an answer may be by default, is kept; it holds up nothing."""
    topic = sent({"max_request_size": 1 << 28}, max_message_bytes=1 << 28)
    topic.send(event(), random.Random(1).randbytes(megabytes * 1_000_000), event())
    totals = topic.collect(tmp_path / "log")
    assert (2, 1) == (totals.accepted, totals.rejected)


@pytest.mark.row(12)
def test_a_codec_that_is_missing_ends_the_collector_with_what_to_install(sent: Topic, tmp_path: Path) -> None:
    """Without the library for the topic's compression it ends with exit code 2, and says what to install."""
    topic = sent({"compression_type": "zstd"})
    topic.send(event())
    program = "import sys; sys.modules['zstandard'] = None; from modeltrail.cli import main; main()"
    arguments = ["collect", "--bootstrap-servers", topic.servers, "--topic", topic.name, "--until-end"]
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments, "--log", tmp_path / "log"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert 2 == result.returncode, result.stderr
    assert "zstd" in result.stderr
    assert "pip install 'modeltrail[collector]'" in result.stderr
    assert 1 == topic.collect(tmp_path / "log").accepted


@pytest.mark.row(13)
def test_facets_that_flip_their_types_change_no_table(sent: Topic, tmp_path: Path) -> None:
    """A thousand new facets, and one whose fields change type all the time: kept raw, no column more."""
    from modeltrail_collector import tables
    from modeltrail_collector.tables.schema import FLAT

    topic = sent()
    base = {"_producer": "https://example.com", "_schemaURL": "https://example.com/f.json"}
    flips: list[Any] = [1, "1", [1], True, 1.5, {"a": 1}]
    for number in range(1000):
        facets = {f"new_{number}": {**base, "x": number}, "flip": {**base, "x": flips[number % len(flips)]}}
        if number % 10 == 0:
            facets["flip"] = flips[number // 10 % len(flips)]  # no facet at all
        topic.send(event(run={"runId": str(uuid.UUID(int=number % 7)), "facets": facets}))
    totals = topic.collect(tmp_path / "log")
    assert (1000, 0, 100) == (totals.records, totals.rejected, totals.warned)
    log = open_log(tmp_path / "log")
    tables.compact(log)
    table = tables.table_store(log).open("flat").to_pyarrow_table()
    assert (1000, FLAT.names) == (table.num_rows, table.schema.names)


@pytest.mark.row(14)
def test_a_record_delivered_twice_is_there_twice_and_counts_once(sent: Topic, tmp_path: Path) -> None:
    """A producer that retries sends an event again: the log has both, in the tables one is a duplicate."""
    topic = sent()
    once, again = event("once"), event("again")
    topic.send(again, once, again, again)
    assert 4 == topic.collect(tmp_path / "log").accepted
    modeltrail("compact", "--log", tmp_path / "log")
    question = (
        "SELECT job_name, count(*) AS n, count(*) FILTER (NOT duplicate) AS counted FROM events GROUP BY 1"
    )
    (found) = json.loads(modeltrail("sql", "--log", tmp_path / "log", "--json", question))
    assert {("again", 3, 1), ("once", 1, 1)} == {(row["job_name"], row["n"], row["counted"]) for row in found}


def modeltrail(*arguments: object) -> str:
    program = "from modeltrail.cli import main; main()"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.row(16)
def test_aborted_transactions_leave_holes_and_nothing_else(sent: Topic, tmp_path: Path) -> None:
    """Committed records are collected, aborted ones never; the log's end passes their offsets and markers."""
    topic = sent({"transactional_id": f"faults-{uuid.uuid4()}"})
    producer, open_ = topic.producer, tmp_path / "log"
    producer.init_transactions()
    for outcome in ("commit", "abort", "commit", "abort"):
        producer.begin_transaction()
        if outcome == "commit":
            topic.send(event(), event())
            producer.commit_transaction()
        else:
            for future in [producer.send(topic.name, event(), partition=0) for _ in range(3)]:
                future.get(60)
            producer.abort_transaction()
    assert 4 == topic.collect(open_).records
    (partition,) = open_log(open_).partitions()
    before = open_log(open_).end(partition)
    producer.begin_transaction()
    producer.send(topic.name, event(), partition=0).get(60)  # open, while somebody collects
    assert 0 == topic.collect(open_).records
    producer.abort_transaction()
    producer.begin_transaction()
    topic.send(event())
    producer.commit_transaction()
    assert 1 == topic.collect(open_).records
    assert open_log(open_).end(partition) >= before + 3


@pytest.mark.row(16)
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_compaction_by_the_broker_leaves_holes_and_nothing_else(sent: Topic, tmp_path: Path) -> None:
    """Where Kafka compacted the topic (against our advice), what is left is collected, over the holes."""
    configs = {"cleanup_policy": "compact", "segment_ms": 100, "min_cleanable_dirty_ratio": 0.01}
    topic = sent(**configs, max_compaction_lag_ms=100, segment_bytes=1 << 20)
    for _ in range(4):
        for _ in range(50):
            topic.send(event(), key=b"k")
    consumer_sees = lambda: len(visible(topic))  # noqa: E731
    until(lambda: topic.send(event(), key=b"k") or consumer_sees() < 150, "the broker compacts", 120)
    left = settled(topic)
    topic.acked = {key: digest for key, digest in topic.acked.items() if key[1] in left}
    assert topic.collect(tmp_path / "log").records == len(left)


def settled(topic: Sent) -> set[int]:
    """What a consumer gets once the broker has compacted all it will: it looks every 15 s for more to do."""
    before, now = set(), visible(topic)
    while before != now:
        time.sleep(20)
        before, now = now, visible(topic)
    return now


def visible(topic: Sent) -> set[int]:
    """The offsets that a plain consumer still gets."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=topic.servers, auto_offset_reset="earliest", group_id=None)
    try:
        partition = TopicPartition(topic.name, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        found: set[int] = set()
        while consumer.position(partition) < end:
            for rows in consumer.poll(500).values():
                found |= {row.offset for row in rows}
        return found
    finally:
        consumer.close()


@pytest.mark.row(17)
def test_clocks_that_are_wrong_change_no_order(sent: Topic, tmp_path: Path) -> None:
    """Times of 1970 and 2099, of producers and of events, and our own clock that jumps: all is sealed."""
    topic = sent(message_timestamp_after_max_ms=(1 << 63) - 1)
    times = ("1970-01-01T00:00:00Z", "2099-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "tomorrow", "")
    for number, text in enumerate(times):
        topic.send(event(eventTime=text), timestamp_ms=(0, 4_102_444_800_000)[number % 2])
    jumps = iter([2_000_000_000_000, 1_000_000_000_000, 0, *range(1, 100_000)])
    totals = topic.collect(tmp_path / "log", wall=lambda: next(jumps))
    assert (len(times), 0) == (totals.records, totals.rejected)
    topic.send(event())
    topic.collect(tmp_path / "log", wall=lambda: 5)  # back before all of them
    modeltrail("compact", "--log", tmp_path / "log")
    question = "SELECT count(*) AS n, count(ingested_at) AS placed FROM events"
    assert [{"n": 6, "placed": 6}] == json.loads(
        modeltrail("sql", "--log", tmp_path / "log", "--json", question)
    )


@pytest.mark.row(17)
def test_a_clock_that_jumps_seals_nothing_early_and_nothing_late(tmp_path: Path) -> None:
    """What waits is sealed by its age on a clock that never jumps, however the time of day does."""
    topic, acked = topic_of(3)
    passed, days = [0.0], itertools.cycle((0, 4_000, 2_000))
    log = Log(open_log(tmp_path).store, lambda: next(days) * 86_400_000)
    source = MemorySource(topic)
    pump = Pump(source, log, limits=Limits(age_s=10.0), clock=lambda: passed[0])
    until(lambda: pump.turn() or pump.waiting == 3, "they are read")
    passed[0] += 9.9
    for _ in range(5):
        pump.turn()
    assert (0, 3) == (pump.totals.segments, pump.waiting)
    passed[0] += 0.2
    for _ in range(5):
        pump.turn()
    source.close()
    assert (1, 0) == (pump.totals.segments, pump.waiting)
    assert 3 == compare(tmp_path, acked).stored
