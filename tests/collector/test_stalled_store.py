"""A store that fails or blocks for long, on a real broker: memory, membership, and the end stay bounded."""

import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from modeltrail_collector.log import open_log

pytestmark = pytest.mark.kafka

MEMBER = Path(__file__).with_name("stalled_member.py")
LIMIT_BYTES = 512 << 20
SESSION_MS = 10_000  # what a collector has
EVENT = (
    '{"eventType":"START","eventTime":"2026-01-01T00:00:00Z","producer":"https://a.example/b",'
    '"schemaURL":"https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",'
    '"run":{"runId":"0194c5a0-0000-7000-8000-000000000001"},"job":{"namespace":"a","name":"b"},"pad":"%s"}'
)
EVENT_BYTES = 20_000


class Member:
    """A collector process over a store that the test stalls."""

    def __init__(
        self, servers: str, topic: str, directory: Path, *, how: str, grace_s: float, age_s: float
    ) -> None:
        self.log = directory / "lineage"
        self.stall = directory / "stall"
        arguments = {"servers": servers, "topic": topic, "log": str(self.log), "stall": str(self.stall)}
        arguments |= {"how": how, "grace_s": grace_s, "age_s": age_s, "session_ms": SESSION_MS}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", MEMBER, json.dumps(arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self.process.stdout.readline().strip()
        self.peak = 0
        self._watched = psutil.Process(self.process.pid)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        try:
            while True:
                self.peak = max(self.peak, self._watched.memory_info().rss)
                time.sleep(0.01)
        except psutil.NoSuchProcess:
            pass

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        text = urllib.request.urlopen(f"{self.url}/metrics", timeout=30).read().decode()
        return sum(float(found) for found in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))

    def wait_for(self, condition: Callable[[], object], what: str, patience_s: float = 120.0) -> None:
        deadline = time.monotonic() + patience_s
        while not condition():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, f"not in {patience_s:.0f} s: {what}"
            time.sleep(0.1)

    def wait_until_full(self, of: int) -> None:
        """Until nothing more is read, though there is more."""
        before = -1.0
        self.wait_for(lambda: self.metric("modeltrail_collector_consumed_records_total"), "something is read")
        while (now := self.metric("modeltrail_collector_consumed_records_total")) != before:
            before = now
            time.sleep(3)
        assert 0 < now < of

    def stop_and_tell(self) -> str:
        """Its last words."""
        self.process.kill()
        return self.process.communicate()[1]

    def ends(self) -> tuple[int, str]:
        out, errors = self.process.communicate(timeout=60)
        return self.process.returncode, out + errors


@pytest.fixture
def start(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Callable[..., Member]]:
    started = []

    def start(topic: str, how: str = "fails", grace_s: float = 2.0, age_s: float = 0.5) -> Member:
        started.append(Member(kafka_bootstrap, topic, tmp_path, how=how, grace_s=grace_s, age_s=age_s))
        member = started[-1]
        member.wait_for(lambda: member.metric("modeltrail_collector_assigned_partitions"), "assigned")
        return member

    yield start
    for member in started:
        if member.process.poll() is None:
            member.process.kill()
            member.process.communicate()


def send(servers: str, topic: str, values: Iterator[str], **settings) -> int:
    """Send events of 20 kB; returns how many."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=servers, compression_type="zstd", **settings)
    futures = [producer.send(topic, (EVENT % value).encode(), key=b"k") for value in values]
    producer.flush()
    producer.close()
    return len([future.get(1) for future in futures])


def packed(count: int) -> Iterator[str]:
    """Texts that zstd makes a thousand times smaller."""
    return (f"{number:010}" + "y" * (EVENT_BYTES - 300) for number in range(count))


def dense(count: int) -> Iterator[str]:
    """Texts that it cannot make much smaller."""
    chance = random.Random(1)
    return (chance.randbytes((EVENT_BYTES - 300) // 2).hex() for _ in range(count))


def membership(servers: str, group: str) -> tuple[str, set[str]]:
    from kafka import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=servers)
    try:
        found = admin.describe_groups([group])[group]
        return found["group_state"], {member["member_id"] for member in found["members"]}
    finally:
        admin.close()


def stall_and_recover(servers: str, topic: str, member: Member, send_all: Callable[[], int]) -> None:
    """Nothing is read that does not fit, the member stays one, and all is there in the end.

    The member seals by bytes only, so that as much waits as ever may.
    """
    before = membership(servers, topic)
    assert ("Stable", 1) == (before[0], len(before[1]))
    joins = member.metric("modeltrail_collector_rebalances_total")
    member.stall.touch()
    sent = send_all()
    member.wait_until_full(sent)
    time.sleep(SESSION_MS / 1000 + 1)
    assert before == membership(servers, topic), member.stop_and_tell()
    member.stall.unlink()
    consumed = "modeltrail_collector_consumed_records_total"
    member.wait_for(lambda: member.metric(consumed) == sent, f"{sent} read", sent / 50)
    assert joins == member.metric("modeltrail_collector_rebalances_total"), member.stop_and_tell()
    member.process.send_signal(signal.SIGTERM)
    code, said = member.ends()
    assert 0 == code, said
    log = open_log(member.log)
    assert sent == sum(log.end(partition) for partition in log.partitions())
    print(f"\n{sent} events of 20 kB, peak RSS {member.peak >> 20} MiB")
    assert member.peak < LIMIT_BYTES, f"{member.peak >> 20} MiB"


def test_a_stalled_store_costs_bounded_memory(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], start: Callable[..., Member]
) -> None:
    """250 MB in one batch of 200 kB, and a store that is away: below 512 MiB, still a member, all is sealed.

    Unpacked whole, as the client does, the batch alone would take more.
    """
    topic = kafka_topic(1)
    member = start(topic, grace_s=60, age_s=600)
    settings = {"batch_size": 400 << 20, "linger_ms": 60_000, "max_request_size": 400 << 20}
    stall_and_recover(
        kafka_bootstrap, topic, member, lambda: send(kafka_bootstrap, topic, packed(12_500), **settings)
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", ["fails", "blocks"])
def test_a_long_stalled_store_costs_bounded_memory(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], start: Callable[..., Member], how: str
) -> None:
    """A gigabyte of events that hardly compress, on eight partitions, and a store that blocks or fails."""
    topic = kafka_topic(8)
    member = start(topic, how, grace_s=60, age_s=600)
    stall_and_recover(
        kafka_bootstrap,
        topic,
        member,
        lambda: send_spread(kafka_bootstrap, topic, dense(50_000)),
    )


def send_spread(servers: str, topic: str, values: Iterator[str]) -> int:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=servers, linger_ms=20, batch_size=1_000_000)
    count = 0
    for count, value in enumerate(values, 1):
        producer.send(topic, (EVENT % value).encode(), partition=count % 8)
        if count % 5000 == 0:
            producer.flush()
    producer.flush()
    producer.close()
    return count


def test_lag_rises_while_the_store_is_away(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], start: Callable[..., Member]
) -> None:
    """While nothing is read any more the lag still counts what comes, and the failures are counted."""
    topic = kafka_topic(1)
    member = start(topic)
    member.stall.touch()
    first = send(kafka_bootstrap, topic, packed(10))
    member.wait_for(lambda: member.metric("modeltrail_collector_failures_total"), "the store fails")
    second = send(kafka_bootstrap, topic, packed(30))
    member.wait_for(
        lambda: member.metric("modeltrail_collector_lag_records") == first + second, "the lag rises"
    )
    assert 0 == member.metric("modeltrail_collector_sealed_records_total")


@pytest.mark.parametrize("how", ["fails", "blocks"])
def test_sigterm_does_not_wait_for_ever(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], start: Callable[..., Member], how: str
) -> None:
    """SIGTERM while the store is away ends within its grace with 4, and says what becomes of the records."""
    topic = kafka_topic(1)
    member = start(topic, how)
    member.stall.touch()
    send(kafka_bootstrap, topic, packed(10))
    member.wait_for(lambda: member.metric("modeltrail_collector_consumed_records_total"), "some wait")
    time.sleep(1)  # it is inside the put, or between two attempts
    member.process.send_signal(signal.SIGTERM)
    code, said = member.ends()
    assert 4 == code, said
    assert "not sealed" in said
    assert "again" in said


def test_sigterm_waits_for_a_store_that_comes_back(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], start: Callable[..., Member]
) -> None:
    """SIGTERM while the store is away, which is back within the grace: what was read is sealed, and 0."""
    topic = kafka_topic(1)
    member = start(topic, grace_s=120, age_s=600)
    member.stall.touch()
    sent = send(kafka_bootstrap, topic, packed(10))
    member.wait_for(
        lambda: member.metric("modeltrail_collector_consumed_records_total") == sent, "all of it waits"
    )
    member.process.send_signal(signal.SIGTERM)
    time.sleep(2)  # it tries, and tries again
    assert member.process.poll() is None
    member.stall.unlink()
    code, said = member.ends()
    assert 0 == code, said
    log = open_log(member.log)
    assert sent == sum(log.end(partition) for partition in log.partitions())


def test_a_second_signal_ends_at_once(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], start: Callable[..., Member]
) -> None:
    """Who does not want to wait for the store sends the signal again: 128 plus its number, at once."""
    topic = kafka_topic(1)
    member = start(topic, "blocks", 600.0)
    member.stall.touch()
    send(kafka_bootstrap, topic, packed(10))
    member.wait_for(lambda: member.metric("modeltrail_collector_consumed_records_total"), "some wait")
    time.sleep(1)
    member.process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert member.process.poll() is None
    member.process.send_signal(signal.SIGINT)
    assert 128 + signal.SIGINT == member.ends()[0]
