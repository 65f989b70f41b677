"""Row 15: retention was faster, the topic was cut short, or deleted and made again: never a silent jump."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from faults.members import SMALL
from faults.oracle import compare, event, until
from faults.test_records import Sent
from kafka_broker import Broker, create_topic

from modeltrail_collector.errors import ConfigError
from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import Batch, open_log, verify
from modeltrail_collector.pump import Pump

pytestmark = [pytest.mark.kafka, pytest.mark.row(15)]


@pytest.fixture
def topic(kafka_bootstrap: str, kafka_topic: Callable[..., str]) -> Iterator[Sent]:
    """A topic with ten records."""
    topic = Sent(kafka_bootstrap, kafka_topic())
    topic.send(*(event() for _ in range(10)))
    yield topic
    topic.producer.close()


def test_what_retention_took_is_counted_and_said(
    topic: Sent, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Records that Kafka removed before they were collected: an error names them, the log counts them."""
    from kafka import KafkaAdminClient, TopicPartition

    assert 10 == topic.collect(tmp_path).records
    topic.send(*(event() for _ in range(10)))
    admin = KafkaAdminClient(bootstrap_servers=topic.servers)
    admin.delete_records({TopicPartition(topic.name, 0): 15})
    admin.close()
    topic.acked = {key: digest for key, digest in topic.acked.items() if not 10 <= key[1] < 15}
    with caplog.at_level(logging.ERROR):
        totals = topic.collect(tmp_path)
    assert (5, 5) == (totals.records, totals.missing)
    assert "5 offsets (10 to 14) were removed by Kafka's retention" in caplog.text
    (partition,) = open_log(tmp_path).partitions()
    gaps = [gap for segment in open_log(tmp_path).segments(partition) for gap in segment.gaps]
    assert [(10, 15, "retention")] == [(gap.first_offset, gap.next_offset, gap.reason) for gap in gaps]


def test_a_topic_made_again_goes_to_a_chain_of_its_own(topic: Sent, tmp_path: Path) -> None:
    """The topic is deleted and made again with more records: all of both are in the log, in two chains."""
    topic.collect(tmp_path)
    again = made_again(topic)
    again.collect(tmp_path, judged=False)
    assert sorted([list(topic.acked.values()), list(again.acked.values())]) == chains(tmp_path)


def test_a_topic_made_again_under_a_collector_goes_to_a_chain_of_its_own(
    topic: Sent, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing tells a member that its topic is another by now: it notices, says so, jumps over nothing."""
    source = KafkaSource(Connection(topic.servers, topic.name, topic.name))
    pump = Pump(source, open_log(tmp_path), limits=SMALL)
    try:
        until(lambda: pump.turn() or pump.totals.records == 10, "the first ten are sealed")
        again = made_again(topic)
        until(lambda: pump.turn() or pump.totals.records >= 35, "all of the new topic are sealed")
    finally:
        source.close()
    assert sorted([list(topic.acked.values()), list(again.acked.values())]) == chains(tmp_path)
    assert f"the topic {topic.name} was deleted and made again" in caplog.text


def made_again(topic: Sent) -> Sent:
    """Delete the topic and make it again, with 25 records."""
    from kafka import KafkaAdminClient
    from kafka.admin import NewTopic

    admin = KafkaAdminClient(bootstrap_servers=topic.servers)
    admin.delete_topics([topic.name])
    until(lambda: topic.name not in admin.list_topics(), "the topic is gone")
    admin.create_topics([NewTopic(topic.name, 1, 1)], wait_for_metadata=True)
    admin.close()
    again = Sent(topic.servers, topic.name)
    again.send(*(event() for _ in range(25)))
    again.producer.close()
    return again


def chains(log: Path) -> list[list[str]]:
    """The digests of the records of each chain, sorted."""
    opened = open_log(log)
    return sorted(
        [entry.sha256 for segment in opened.segments(partition) for entry in opened.read(segment)]
        for partition in opened.partitions()
    )


@pytest.mark.parametrize("share", [(0, 1), None], ids=["to the end", "as a member"])
def test_a_topic_with_less_than_the_log_is_refused(
    topic: Sent, tmp_path: Path, share: tuple[int, int] | None
) -> None:
    """A log that is ahead of its topic, whoever reads it: the collector says so and changes nothing."""
    topic.collect(tmp_path)
    log = open_log(tmp_path)
    (partition,) = log.partitions()
    (segment,) = log.segments(partition)
    lost = [msgspec.structs.replace(entry, offset=entry.offset + 10) for entry in log.read(segment)]
    log.append(partition, Batch(10, 20, lost))
    topic.send(event())
    source = KafkaSource(Connection(topic.servers, topic.name, topic.name), share)
    pump = Pump(source, open_log(tmp_path), until_end=share is not None, limits=SMALL)
    try:
        with pytest.raises(ConfigError, match="the log ends at offset 20, but Kafka ends before it"):
            until(lambda: pump.turn() or pump.done, "it is refused")
    finally:
        source.close()
    assert 20 == open_log(tmp_path).end(partition)
    assert verify(open_log(tmp_path)).ok


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_topic_cut_short_is_refused(private_broker: Broker, tmp_path: Path) -> None:
    """A broker that lost its disk has less than the log: the collector says so and changes nothing."""
    servers = private_broker.bootstrap_servers
    topic = Sent(servers, create_topic(servers))
    topic.send(*(event() for _ in range(10)))
    topic.producer.close()
    assert 10 == topic.collect(tmp_path / "log").records
    private_broker.stop()
    for path in (private_broker.directory / "data" / f"{topic.name}-0").glob("0*"):
        path.unlink()
    for path in (private_broker.directory / "data").glob("*checkpoint*"):
        path.unlink() if "bootstrap" not in path.name else None
    private_broker.start()
    cut = Sent(servers, topic.name)
    cut.send(event())
    cut.producer.close()
    with pytest.raises(ConfigError, match="the log ends at offset 10, but Kafka ends before it"):
        cut.collect(tmp_path / "log")
    assert 10 == compare(tmp_path / "log", topic.acked).stored
