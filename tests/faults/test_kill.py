"""Collectors are killed (kill -9), stopped and joined while records come: every record is there exactly once.

The long form: `make faults`, or `KILLS=500 python -m pytest -m slow tests/faults`.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka_broker import Broker, create_topic

from modeltrail_collector.log import open_log, verify

FEW, MANY = 12, int(os.environ.get("KILLS", "120"))
PARTITIONS = 3
MEMBER = Path(__file__).with_name("member.py")
PRODUCED_PER_S = 400

pytestmark = pytest.mark.kafka

Oracle = dict[tuple[int, int], str]


class Producer(threading.Thread):
    """Sends records until it is stopped, and remembers what the broker acknowledged."""

    def __init__(self, servers: str, topic: str, seed: int) -> None:
        super().__init__(daemon=True)
        from kafka import KafkaProducer

        self.acked: Oracle = {}
        self.failed: list[object] = []
        self._topic = topic
        self._chance = random.Random(seed)
        self._producer = KafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=5)
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(0.01):
            for _ in range(PRODUCED_PER_S // 100):
                value = self._chance.randbytes(self._chance.choice((0, 20, 2000)))
                digest = hashlib.sha256(value).hexdigest()
                future = self._producer.send(self._topic, value, partition=self._chance.randrange(PARTITIONS))
                future.add_callback(self._note, digest)
                future.add_errback(self.failed.append)

    def _note(self, digest: str, metadata) -> None:
        self.acked[metadata.partition, metadata.offset] = digest

    def stop(self) -> None:
        self._stopped.set()
        self.join()
        self._producer.flush(30)
        self._producer.close()


class Members:
    """Collector processes of one group."""

    def __init__(self, servers: str, topic: str, log: Path, errors: Path) -> None:
        self._arguments = [servers, topic, str(log)]
        self._errors = errors
        self.running: list[subprocess.Popen] = []

    def start(self) -> None:
        with self._errors.open("ab") as errors:
            command = [sys.executable, "-W", "ignore", MEMBER, *self._arguments]
            self.running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors))

    def end(self, member: subprocess.Popen, number: int) -> int:
        """Send a signal to one; returns its exit code."""
        self.running.remove(member)
        if number != signal.SIGKILL:
            member.stdout.readline()  # it says when it listens
        member.send_signal(number)
        with member.stdout:
            return member.wait(60)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of these tests' own, where dead members are forgotten after two seconds."""
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    broker.start(properties={"group.min.session.timeout.ms": "1000"})
    yield broker
    broker.stop()


@pytest.fixture
def scene(broker, tmp_path: Path) -> Iterator[tuple[Members, Producer, Path]]:
    """Two members at work, and a producer."""
    topic = create_topic(broker.bootstrap_servers, PARTITIONS)
    log = tmp_path / "lineage"
    members = Members(broker.bootstrap_servers, topic, log, tmp_path / "errors")
    producer = Producer(broker.bootstrap_servers, topic, seed=1)
    producer.start()
    members.start()
    members.start()
    yield members, producer, log
    for member in list(members.running):
        members.end(member, signal.SIGKILL)


def finish(members: Members, producer: Producer, log: Path) -> tuple[int, int]:
    """Let the members collect the rest, end them in order, and compare; returns records and segments."""
    producer.stop()
    assert [] == producer.failed
    deadline = time.monotonic() + 90
    while sealed_to(log) < len(producer.acked):
        assert time.monotonic() < deadline, f"sealed {sealed_to(log)} of {len(producer.acked)}"
        time.sleep(0.2)
    for member in list(members.running):
        assert 0 == members.end(member, signal.SIGTERM)
    return compare(log, producer.acked)


def sealed_to(log: Path) -> int:
    opened = open_log(log)
    return sum(opened.end(partition) for partition in opened.partitions())


def compare(log: Path, acked: Oracle) -> tuple[int, int]:
    """Every acknowledged record is in the log once, where the broker put it, and nothing else is."""
    opened = open_log(log)
    found: Oracle = {}
    segments = 0
    for partition in opened.partitions():
        for segment in opened.segments(partition):
            segments += 1
            for entry in opened.read(segment):
                key = (entry.partition, entry.offset)
                assert key not in found, f"{key} is there twice"
                found[key] = entry.sha256
    assert acked == found
    report = verify(opened)
    assert report.ok, report.problems
    return len(found), segments


def kill_randomly(scene: tuple[Members, Producer, Path], kills: int, seed: int) -> None:
    members, producer, log = scene
    chance = random.Random(seed)
    left_over = 0
    for _ in range(kills):
        wait_for_growth(log, chance.choice((0, 1, 200)))  # while they join, while they work
        time.sleep(chance.uniform(0.0, 0.4))
        members.end(chance.choice(members.running), signal.SIGKILL)
        left_over += len(list(log.glob("raw/**/.*.tmp")))
        members.start()
    records, segments = finish(members, producer, log)
    remaining = len(list(log.glob("raw/**/.*.tmp")))
    print(
        f"\nseed {seed}: {kills} kills, {records} records in {segments} segments, 0 missing, 0 twice; "
        f"temporary files seen after kills {left_over}, left at the end {remaining}"
    )
    assert records > kills
    assert remaining <= 1  # that of the very last kill, until its partition is assigned again


def test_killed_collectors_lose_and_double_nothing(scene) -> None:
    """Twelve kill -9 at random times, two members, three partitions: the log holds what was acknowledged."""
    kill_randomly(scene, FEW, seed=time.time_ns() % 10_000)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_collectors_killed_many_times_lose_and_double_nothing(scene) -> None:
    """The same with at least a hundred kills."""
    kill_randomly(scene, MANY, seed=time.time_ns() % 10_000)


def test_members_come_and_go(scene: tuple[Members, Producer, Path]) -> None:
    """A third member joins and leaves again and again: nothing is lost or doubled, and all exit with 0."""
    members, producer, log = scene
    for _ in range(4):
        members.start()
        wait_for_growth(log)
        time.sleep(0.7)
        assert 0 == members.end(members.running[0], signal.SIGTERM)
    finish(members, producer, log)


def test_a_stopped_member_comes_back_as_a_zombie(scene: tuple[Members, Producer, Path]) -> None:
    """A member that is frozen until it has lost its partitions seals nothing when it wakes up."""
    members, producer, log = scene
    for _ in range(2):
        wait_for_growth(log)
        frozen = members.running[0]
        frozen.send_signal(signal.SIGSTOP)
        for _ in range(5):
            time.sleep(0.8)  # twice the session's time-out
        frozen.send_signal(signal.SIGCONT)
    finish(members, producer, log)


def wait_for_growth(log: Path, more: int = 20) -> None:
    start, deadline = sealed_to(log), time.monotonic() + 60
    while sealed_to(log) < start + more:
        assert time.monotonic() < deadline, "nothing is sealed any more"
        time.sleep(0.1)


def test_a_broker_that_dies_costs_no_record(scene: tuple[Members, Producer, Path], broker: Broker) -> None:
    """The broker is killed and comes back: producer and collectors go on, and nothing is missing."""
    members, producer, log = scene
    wait_for_growth(log)
    broker.kill()
    time.sleep(0.5)
    broker.start()
    wait_for_growth(log)
    finish(members, producer, log)


def test_the_oracle_can_fail(tmp_path: Path, log_of_one: Callable[[Path], None]) -> None:
    """The comparison these tests rest on notices a record too many, one too few, and a changed one."""
    log_of_one(tmp_path)
    digest = hashlib.sha256(b"x").hexdigest()
    assert (1, 1) == compare(tmp_path, {(0, 0): digest})
    for wrong in ({}, {(0, 0): digest, (0, 1): digest}, {(0, 0): "other"}):
        with pytest.raises(AssertionError):
            compare(tmp_path, wrong)


@pytest.fixture
def log_of_one() -> Callable[[Path], None]:
    from modeltrail_collector.pump import Pump
    from modeltrail_collector.testing import MemorySource, MemoryTopic

    def make(path: Path) -> None:
        topic = MemoryTopic()
        topic.append(0, b"x")
        pump = Pump(MemorySource(topic), open_log(path), until_end=True)
        while not pump.done:
            pump.turn()

    return make
