"""What only KafkaSource can get wrong: the client moves on whether or not we kept what it gave."""

import logging
import time
from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, errors

from modeltrail_collector.errors import ConfigError, Unavailable
from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import Log
from modeltrail_collector.model import LogPartition
from modeltrail_collector.pump import Pump
from modeltrail_collector.testing import MemoryStore

pytestmark = pytest.mark.kafka


@pytest.fixture
def topic(kafka_bootstrap: str, kafka_topic: Callable[..., str]) -> str:
    """A topic of two partitions with ten records each."""
    from kafka import KafkaProducer

    name = kafka_topic(2)
    producer = KafkaProducer(bootstrap_servers=kafka_bootstrap)
    for number in range(20):
        producer.send(name, b"%d" % number, partition=number % 2)
    producer.close()
    return name


@pytest.fixture
def source(kafka_bootstrap: str, topic: str) -> Iterator[KafkaSource]:
    """A source of all its partitions."""
    source = KafkaSource(Connection(kafka_bootstrap, topic, topic), (0, 1))
    yield source
    source.close()


@pytest.mark.parametrize("step", ["_describe", "_fetched"])
def test_a_failure_behind_the_fetch_loses_nothing(
    source: KafkaSource, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """When the broker stops answering just after it gave records, they are read again: once each."""
    log = Log(MemoryStore())
    pump = Pump(source, log, until_end=True)
    works, failures = getattr(source, step), []

    def fail_at_first(*arguments):
        if len(failures) < 3 and source._positions and all(arguments):  # there are records
            failures.append(step)
            raise Unavailable("a fault of the test")
        return works(*arguments)

    monkeypatch.setattr(source, step, fail_at_first)
    for _ in range(100):
        if not pump.done:
            pump.turn()
    assert pump.done
    assert 3 == len(failures)
    for partition in log.partitions():
        offsets = [entry.offset for s in log.segments(partition) for entry in log.read(s)]
        assert list(range(10)) == offsets


@pytest.mark.parametrize(("step", "share"), [("describe_topics", (0, 1)), ("partitions_for_topic", None)])
def test_a_source_that_cannot_begin_leaves_nothing(
    kafka_bootstrap: str,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    share: tuple[int, int] | None,
) -> None:
    """When the broker goes away while a source begins, that is said, and both its clients are closed."""
    ended: list[type] = []
    for client in (KafkaConsumer, KafkaAdminClient):
        close = client.close

        def closing(self, *arguments, close=close, **options):
            ended.append(type(self))
            close(self, *arguments, **options)

        def away(*_):
            raise errors.KafkaConnectionError("a fault of the test")

        monkeypatch.setattr(client, "close", closing)
        if hasattr(client, step):
            monkeypatch.setattr(client, step, away)
    with pytest.raises(Unavailable, match="a fault of the test"):
        KafkaSource(Connection(kafka_bootstrap, topic, topic), share)
    assert {KafkaConsumer, KafkaAdminClient} == set(ended)


def test_a_log_that_is_ahead_of_its_topic_is_refused(source: KafkaSource) -> None:
    """Where Kafka has less than the log, somebody lost records: that is said, and nothing is overwritten."""
    (partition, *_) = sorted(source.poll(1).assigned)
    source.seek(LogPartition(partition.topic, partition.topic_id, partition.partition), 5000)
    with pytest.raises(ConfigError, match="the log ends at offset 5000, but Kafka ends before it"):
        poll_often(source)


def test_a_member_joins_once(kafka_bootstrap: str, kafka_topic: Callable[..., str]) -> None:
    """A new member has heard of the topic's partitions before it joins: it need not join again at once.

    Asked before it subscribed, the client took the topic to have none, and joined again when it knew.
    """
    for _ in range(3):
        topic = kafka_topic(2)
        member = KafkaSource(Connection(kafka_bootstrap, topic, topic))
        polls = (member.poll(0.1) for _ in range(600))
        assert 2 == len(next(found.assigned for found in polls if found.assigned is not None))
        assert not any(member.poll(0.1).assigned for _ in range(12))
        member.close()


def test_no_poll_ends_within_a_join(
    kafka_bootstrap: str, topic: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A join that completed between two polls, where the machine is busy with others, was lost.

    The client then joins again, which makes all others of the group do so too.
    """
    caplog.set_level(logging.INFO, "kafka.coordinator")
    options = {"group_instance_id": "one"}  # without, a member joins twice: once to get its id
    member = KafkaSource(Connection(kafka_bootstrap, topic, topic, options))
    poll = member._bounded.poll

    def and_wait(timeout_ms):
        try:
            return poll(timeout_ms)
        finally:
            time.sleep(0.3)

    monkeypatch.setattr(member._bounded, "poll", and_wait)
    polls = (member.poll(0.01) for _ in range(60))
    assert 2 == len(next(found.assigned for found in polls if found.assigned is not None))
    member.close()
    assert 1 == caplog.text.count("(Re-)joining group")


def poll_often(source: KafkaSource) -> None:
    for _ in range(50):
        source.poll(0.2)
