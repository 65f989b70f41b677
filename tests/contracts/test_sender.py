"""One suite for all that takes events: the fake of `modeltrail.testing`, the local inbox and real Kafka."""

import json
import os
import shutil
import threading
import time

import pytest

from modeltrail.testing import MemorySender
from modeltrail.transports import Sender
from modeltrail.transports.drain import Drain
from modeltrail.transports.kafka import KafkaSender, sender
from modeltrail.transports.kafka_options import KafkaOptions
from modeltrail.transports.local import LocalSender
from modeltrail.transports.producer import Producer
from modeltrail.transports.spool import Spool


class Memory:
    def __init__(self, request, tmp_path):
        self.sender = MemorySender()

    def arrived(self):
        return [value for _, value in self.sender.sent]

    def break_it(self):
        self.sender.fails_with = "down"


class Local:
    def __init__(self, request, tmp_path):
        self.inbox = tmp_path / "inbox"
        self.sender = LocalSender(self.inbox)

    def arrived(self):
        files = sorted(self.inbox.glob("*.ndjson"), key=lambda path: path.name)
        return [line for path in files for line in path.read_bytes().splitlines()]

    def break_it(self):
        self.sender.close(1)
        for path in self.inbox.glob("*"):
            path.unlink()
        if self.inbox.exists():
            self.inbox.rmdir()
        self.inbox.write_text("a file where the directory should be")


class Kafka:
    def __init__(self, request, tmp_path):
        self.bootstrap = request.getfixturevalue("kafka_bootstrap")
        self.topic = request.getfixturevalue("kafka_topic")()
        self.tmp_path = tmp_path
        self.sender = self.make(self.bootstrap)

    def make(self, bootstrap):
        return KafkaSender(
            KafkaOptions(
                {"bootstrap_servers": bootstrap},
                self.tmp_path / "spool",
                self.topic,
                on_failure="raise",
                timeout=5,
            )
        )

    def arrived(self):
        from kafka import KafkaConsumer, TopicPartition

        partition = TopicPartition(self.topic, 0)
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, fetch_max_wait_ms=50)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        found = []
        while consumer.position(partition) < end:
            for records in consumer.poll(timeout_ms=200).values():
                found += [record.value for record in records]
        consumer.close()
        return found

    def break_it(self):
        self.sender.close(1)
        self.sender = KafkaSender(
            KafkaOptions(
                {"bootstrap_servers": "127.0.0.1:1"}, self.tmp_path / "spool", on_failure="raise", timeout=0.5
            )
        )


class Background(Kafka):
    def make(self, bootstrap):
        self.options = KafkaOptions(
            {"bootstrap_servers": bootstrap},
            self.tmp_path / "spool",
            self.topic,
            on_failure="raise",
            delivery="async",
        )
        return sender(self.options)

    def arrived(self):
        self.sender.wait(60)
        drain = Drain(producer := Producer(self.options), Spool(self.options.spool))
        drain.abandoned(time.monotonic() + 60)
        producer.close()
        return super().arrived()

    def break_it(self):
        self.sender.close(5)
        shutil.rmtree(self.options.spool, ignore_errors=True)
        self.options.spool.write_text("a file where the directory should be")


@pytest.fixture(
    params=[Memory, Local, *(pytest.param(each, marks=pytest.mark.kafka) for each in (Kafka, Background))]
)
def place(request, tmp_path):
    made = request.param(request, tmp_path)
    yield made
    made.sender.close(1)


def value(number):
    return json.dumps({"number": number}).encode()


def test_it_is_a_sender(place):
    """It has the three methods of the protocol."""
    assert isinstance(place.sender, Sender)


def test_events_arrive_in_order(place):
    """What one thread sends arrives whole and in order, with and without a key."""
    for number in range(20):
        place.sender.send(b"run:ns/job" if number % 2 else None, value(number))
    assert place.sender.flush(5) is True
    assert [value(number) for number in range(20)] == place.arrived()


def test_bytes_arrive_as_they_are(place):
    """UTF-8 of any plane and a value of 100 kB arrive byte for byte."""
    values = ['{"é":"😀\\u0000"}'.encode(), b'{"a":"' + b"x" * 100_000 + b'"}']
    for each in values:
        place.sender.send(b"k", each)
    assert values == place.arrived()


def test_many_threads(place):
    """Events of eight threads arrive complete, each once."""

    def send(thread):
        for number in range(10):
            place.sender.send(b"k", value([thread, number]))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert place.sender.flush(5)
    assert sorted(value([t, n]) for t in range(8) for n in range(10)) == sorted(place.arrived())


def test_close_is_true_when_all_is_delivered_and_sending_opens_again(place):
    """`close` says True when every event arrived, may be called twice, and a later send works."""
    place.sender.send(b"k", value(1))
    assert place.sender.close(5) is True
    assert place.sender.close(5) is True
    place.sender.send(b"k", value(2))
    assert place.sender.close(5) is True
    assert [value(1), value(2)] == place.arrived()


def test_flush_and_close_before_anything(place):
    """A sender that took nothing is flushed and closed with True."""
    assert place.sender.flush(1) is True
    assert place.sender.close(1) is True


def test_a_refused_event_is_a_delivery_error(place):
    """When the receiver does not take the event, `send` raises DeliveryError."""
    from modeltrail.errors import DeliveryError

    place.break_it()
    with pytest.raises(DeliveryError):
        place.sender.send(b"k", value(1))


@pytest.mark.parametrize("used_before", [False, True])
def test_a_forked_child_sends_too(place, used_before):
    """A child that ends by os._exit directly after sending has lost nothing, and neither has the parent."""
    if isinstance(place, Memory):  # memory is not shared between processes: the child sees its own
        used_before = True
    if used_before:
        place.sender.send(b"k", value("before"))
    child = os.fork()
    if child == 0:
        try:
            place.sender.send(b"k", value("child"))
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    place.sender.send(b"k", value("after"))
    expected = {value("after")} | ({value("before")} if used_before else set())
    expected |= set() if isinstance(place, Memory) else {value("child")}
    arrived = place.arrived()
    assert expected == set(arrived)
    assert len(expected) == len(arrived)
