"""One suite for whatever takes dead letters: memory, and a Kafka topic."""

from collections.abc import Callable, Iterator

import pytest

from modeltrail_collector.intake.kafka import Connection
from modeltrail_collector.model import Header
from modeltrail_collector.relay import Letter, Publisher
from modeltrail_collector.relay.kafka import KafkaPublisher
from modeltrail_collector.testing import MemoryPublisher

pytestmark = pytest.mark.kafka


@pytest.fixture(params=["memory", "kafka"])
def taker(request: pytest.FixtureRequest) -> Iterator[tuple[Publisher, Callable[[], list[Letter]]]]:
    """A publisher, and all that arrived at the other end."""
    if request.param == "memory":
        memory = MemoryPublisher()
        yield memory, lambda: memory.letters
        return
    servers = request.getfixturevalue("kafka_bootstrap")
    topic = request.getfixturevalue("kafka_topic")(1)
    publisher = KafkaPublisher(Connection(servers, "collected", "g"), topic)
    yield publisher, lambda: read(servers, topic)
    publisher.close()


def read(servers: str, topic: str) -> list[Letter]:
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=servers)
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    rows = []
    while consumer.position(place) < consumer.end_offsets([place])[place]:
        rows += consumer.poll(500).get(place, [])
    consumer.close()
    return [
        Letter(row.offset, row.key, row.value, tuple(Header(*header) for header in row.headers), "")
        for row in rows
    ]


def test_letters_arrive_as_they_are(taker) -> None:
    """In order, with key, value and repeated headers; a key and a value may be null or empty."""
    publisher, arrived = taker
    headers = (Header("a", b"\x00\xff"), Header("a", b""), Header("ü", b"2"))
    letters = [
        Letter(number, key, value, headers, "")
        for number, (key, value) in enumerate(
            [
                (b"k", b"\x00v\xff"),
                (None, b"v"),
                (b"k", None),
                (b"", b""),
                *((b"k", b"%d" % n) for n in range(50)),
            ]
        )
    ]
    publisher.publish(letters[:2])
    publisher.publish(letters[2:])
    publisher.publish([])
    assert letters == arrived()


def test_a_closed_one_can_be_closed_again(taker) -> None:
    """Closing twice is harmless, also where nothing was ever published."""
    publisher, _ = taker
    publisher.close()
    publisher.close()
