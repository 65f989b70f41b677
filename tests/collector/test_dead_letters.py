"""The dead-letter topic on a real broker: nothing rejected is missing there, whatever dies or is away."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka_broker import create_topic

from modeltrail_collector.failpoints import ENV
from modeltrail_collector.log import open_log

pytestmark = pytest.mark.kafka

COMMAND = [sys.executable, "-W", "ignore", "-c", "from modeltrail.cli import main; main()", "collect"]
VALID = json.dumps(
    {
        "eventType": "START",
        "eventTime": "2026-01-01T00:00:00Z",
        "producer": "https://a.example/b",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": "0194c5a0-0000-7000-8000-000000000001"},
        "job": {"namespace": "a", "name": "b"},
    }
).encode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "lineage"


@pytest.fixture
def send(kafka_bootstrap: str) -> Iterator[Callable[..., None]]:
    """Sends records to a topic and waits until they are there."""
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=kafka_bootstrap, max_request_size=40_000_000, compression_type="zstd"
    )

    def send(topic: str, *values: bytes | None, **more) -> None:
        for future in [producer.send(topic, value, **({"key": b"k"} | more)) for value in values]:
            future.get(30)

    yield send
    producer.close()


@pytest.fixture
def letters(kafka_bootstrap: str) -> Callable[[str], list]:
    """All records of a topic."""
    return lambda topic: read_all(kafka_bootstrap, topic)


def read_all(servers: str, topic: str) -> list:
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=servers)
    try:
        partitions = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        found = []
        while any(consumer.position(one) < ends[one] for one in partitions):
            found += [row for rows in consumer.poll(500).values() for row in rows]
    finally:
        consumer.close()
    return found


def collect(servers: str, topic: str, log: Path, *more: str, **environment: str):
    arguments = ["--bootstrap-servers", servers, "--topic", topic, "--log", str(log), "--json", *more]
    return subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
    )


def names(found: list) -> list[str]:
    """The idempotency keys of letters."""
    return [dict(row.headers)["modeltrail.dead_letter.id"].decode() for row in found]


def test_rejected_records_are_published_with_the_reason(
    kafka_bootstrap: str, kafka_topic, send, letters, log: Path
) -> None:
    """Key, value and headers are the record's own; further headers say why, where it was and who judged."""
    topic, dead = kafka_topic(1), kafka_topic(1)
    send(topic, VALID, b"garbage", None, VALID, headers=[("trace", b"\x00\xff"), ("trace", b"2")])
    send(topic, VALID[:-1] + b',"run":7,"producer":"nobody"}', key=None)
    result = collect(kafka_bootstrap, topic, log, "--until-end", "--dead-letter-topic", dead)
    assert 0 == result.returncode, result.stderr
    answer = json.loads(result.stdout)
    assert (3, 3, 0, 0) == (
        *(answer["rejected"], answer["letters"]),
        *(answer["letters_behind"], answer["letters_failures"]),
    )
    found = letters(dead)
    assert [b"garbage", None] == [row.value for row in found[:2]]
    assert [b"k", b"k", None] == [row.key for row in found]
    assert [("trace", b"\x00\xff"), ("trace", b"2")] == found[0].headers[:2]
    (partition,) = open_log(log).partitions()
    (segment,) = open_log(log).segments(partition)
    ours = {name: value.decode() for name, value in found[2].headers}
    reasons = json.loads(ours.pop("modeltrail.error.reasons"))
    assert {"type", "format"} == {reason["code"] for reason in reasons}
    assert float(ours.pop("modeltrail.origin.timestamp")) > 1e12
    assert {
        "modeltrail.error.code": "type",
        "modeltrail.error.path": "$.run",
        "modeltrail.error.message": "must be of type object, found 7",
        "modeltrail.error.count": "2",
        "modeltrail.origin.topic": topic,
        "modeltrail.origin.topic_id": partition.topic_id,
        "modeltrail.origin.partition": "0",
        "modeltrail.origin.offset": "4",
        "modeltrail.judge.id": segment.judge_id,
        "modeltrail.dead_letter.id": f"{topic}/{partition.topic_id}/0/4",
    } == ours
    again = collect(kafka_bootstrap, topic, log, "--until-end", "--dead-letter-topic", dead)
    assert 0 == json.loads(again.stdout)["letters"]
    assert 3 == len(letters(dead))


def test_a_letter_too_large_says_where_its_value_lies(
    kafka_bootstrap: str, kafka_topic, send, letters, log: Path
) -> None:
    """Where the topic refuses the size the value stays behind, and its neighbours are published whole."""
    topic, dead = kafka_topic(1, max_message_bytes=40_000_000), kafka_topic(1, max_message_bytes=3000)
    send(topic, b"small", b"x" * 2_000_000, *[b"%d" % n + b"y" * 1500 for n in range(10)])
    send(topic, b"z", headers=[("h", b"h" * 5000)], key=b"k" * 5000)
    result = collect(kafka_bootstrap, topic, log, "--until-end", "--dead-letter-topic", dead)
    assert 13 == json.loads(result.stdout)["letters"], result.stderr
    by_name = dict(zip(names(found := letters(dead)), found, strict=True))
    assert 13 == len(by_name)
    (partition,) = open_log(log).partitions()
    prefix = f"{topic}/{partition.topic_id}/0"
    assert b"small" == by_name[f"{prefix}/0"].value
    assert all(1501 == len(by_name[f"{prefix}/{offset}"].value) for offset in range(2, 12))
    large = by_name[f"{prefix}/1"]
    assert (None, b"k") == (large.value, large.key)
    (segment,) = open_log(log).segments(partition)
    assert b"2000000" == dict(large.headers)["modeltrail.dead_letter.value_bytes"]
    assert f"{log}/{segment.name}".encode() == dict(large.headers)["modeltrail.dead_letter.value_lies_at"]
    bare = by_name[f"{prefix}/12"]
    assert (None, b"", False) == (bare.value, bare.key, "h" in dict(bare.headers))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--topic", "same", "--dead-letter-topic", "same"], "is the topic that is collected"),
        (["--topic", "t", "--dead-letter-topic", "../up"], "is no name of a topic"),
        (["--topic", "t", "--dead-letter-topic", ".."], "is no name of a topic"),
        (["--from-files", "x", "--dead-letter-topic", "d"], "not with --from-files"),
    ],
)
def test_what_can_be_no_dead_letter_topic_is_refused(arguments: list[str], said: str, log: Path) -> None:
    """A loop, a name that is none, and a source without a topic end with exit code 2 at once."""
    command = [*COMMAND, "--bootstrap-servers", "127.0.0.1:1", "--log", str(log), *arguments]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (2, True) == (result.returncode, said in result.stderr), result.stderr


def test_a_dead_letter_is_not_sent_on(kafka_bootstrap: str, kafka_topic, send, letters, log: Path) -> None:
    """Two collectors that are each other's dead-letter topic end after one round."""
    first, second = kafka_topic(1), kafka_topic(1)
    send(first, b"garbage")
    for topic, dead in ((first, second), (second, first), (first, second)):
        result = collect(kafka_bootstrap, topic, log, "--until-end", "--dead-letter-topic", dead)
        assert 0 == result.returncode, result.stderr
    assert (1, 1) == (len(letters(first)), len(letters(second)))


def test_a_missing_topic_never_stops_the_collector(
    kafka_bootstrap: str, kafka_topic, send, letters, log: Path
) -> None:
    """All is sealed, the message says how to make the topic; once it is there the next one catches up."""
    topic = kafka_topic(1)
    dead = f"{topic}-dead"
    send(topic, b"garbage", VALID, b"more")
    result = collect(kafka_bootstrap, topic, log, "--until-end", "--dead-letter-topic", dead)
    assert 0 == result.returncode, result.stderr
    answer = json.loads(result.stdout)
    assert (3, 2, 0, 3) == (
        *(answer["records"], answer["rejected"]),
        *(answer["letters"], answer["letters_behind"]),
    )
    assert answer["letters_failures"] >= 1
    assert f"modeltrail topic create --topic {dead}" in result.stderr
    assert "3 sealed offsets are not looked through" in result.stderr
    make(kafka_bootstrap, dead)
    result = collect(kafka_bootstrap, topic, log, "--until-end", "--dead-letter-topic", dead)
    assert (0, 2) == (json.loads(result.stdout)["records"], json.loads(result.stdout)["letters"])
    assert [b"garbage", b"more"] == [row.value for row in letters(dead)]


@pytest.mark.parametrize("step", ["letters_read", "letters_published"])
def test_killed_around_publishing_nothing_is_missing(
    kafka_bootstrap: str, kafka_topic, send, letters, log: Path, *, step: str
) -> None:
    """Killed before or after the broker has the letters: the next one publishes them under the same names."""
    topic, dead = kafka_topic(2), kafka_topic(1)
    rounds = 3
    for number in range(rounds):
        for partition in range(2):
            send(topic, b"garbage %d" % number, VALID, partition=partition)
        arguments = ("--until-end", "--dead-letter-topic", dead)
        died = collect(kafka_bootstrap, topic, log, *arguments, **{ENV: step})
        assert -signal.SIGKILL == died.returncode, died.stderr
    result = collect(kafka_bootstrap, topic, log, "--until-end", "--dead-letter-topic", dead)
    assert 0 == result.returncode, result.stderr
    found = names(letters(dead))
    topic_id = open_log(log).partitions()[0].topic_id
    expected = {f"{topic}/{topic_id}/{partition}/{2 * n}" for partition in range(2) for n in range(rounds)}
    assert expected == set(found)
    if step == "letters_read":
        assert len(expected) == len(found)
    else:
        assert len(expected) < len(found)


def test_a_topic_that_is_away_slows_no_sealing(
    kafka_bootstrap: str, kafka_topic, send, letters, log: Path, *, tmp_path: Path
) -> None:
    """While nothing can be published records are sealed as ever; as soon as it can, all follows."""
    topic = kafka_topic(1)
    dead, errors = f"{topic}-dead", tmp_path / "errors"
    arguments = ["--bootstrap-servers", kafka_bootstrap, "--topic", topic, "--log", str(log)]
    with errors.open("w") as file:
        process = subprocess.Popen(
            [*COMMAND, *arguments, "--dead-letter-topic", dead, "--json"],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    try:
        send(topic, b"garbage", VALID)
        wait_for(lambda: sealed(log) == 2 and "modeltrail topic create" in errors.read_text(), process)
        send(topic, b"more", VALID)
        wait_for(lambda: sealed(log) == 4, process)
        make(kafka_bootstrap, dead)
        wait_for(lambda: len(letters(dead)) == 2, process)
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    answer = json.loads(out)
    assert (2, 0) == (answer["letters"], answer["letters_behind"])
    assert answer["letters_failures"] > 0
    assert [b"garbage", b"more"] == [row.value for row in letters(dead)]


def make(servers: str, topic: str) -> None:
    from kafka.admin import KafkaAdminClient, NewTopic

    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(topic, 1, 1)], wait_for_metadata=True)
    admin.close()


def sealed(log: Path) -> int:
    opened = open_log(log)
    return sum(opened.end(partition) for partition in opened.partitions())


def wait_for(condition: Callable[[], object], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)


MEMBER = """
import sys
from modeltrail_collector.intake import kafka
from modeltrail_collector.pump import Limits
from modeltrail_collector.pump.run import Job, Stop, run

# A dead member is noticed after two seconds instead of ten, or the test would mostly wait.
faster = {"session_timeout_ms": 2000, "heartbeat_interval_ms": 300}
kafka.CONSUMER_SETTINGS = {**kafka.CONSUMER_SETTINGS, **faster}
servers, topic, dead, log = sys.argv[1:]
stop = Stop()
stop.install()
limits = Limits(rows=60, age_s=0.15, poll_s=0.1, backoff_s=0.1)
connection = kafka.Connection(servers, topic, "killed")
run(Job(connection, log, limits=limits, dead_letter_topic=dead), stop, lambda *_: None)
"""


class Members:
    """Two collectors of one group at a time; each new one may die by itself around publishing."""

    def __init__(self, chance: random.Random, *arguments: str) -> None:
        self._chance = chance
        self._arguments = arguments
        self.running = [self._start(), self._start()]

    def _start(self, step: str = "") -> subprocess.Popen:
        environment = os.environ | ({ENV: step} if step else {})
        command = [sys.executable, "-W", "ignore", "-c", MEMBER, *self._arguments]
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def replace_one(self) -> None:
        """Kill one, or wait until it kills itself, and start another."""
        dying = self.running.pop(self._chance.randrange(2))
        time.sleep(self._chance.uniform(2.0, 5.0))  # a member starts and joins in about two
        dying.kill()
        dying.wait()
        steps = ("", "letters_read:2", "letters_published:2", "letters_published:5", "segment_put:4")
        self.running.append(self._start(self._chance.choice(steps)))

    def end(self) -> None:
        """Kill both."""
        for member in self.running:
            member.kill()
            member.wait()


def storm(broker, tmp_path: Path, kills: int) -> str:
    """Kill collectors while half of what comes is rejected; say what became of it."""
    from kafka import KafkaProducer

    servers = broker.bootstrap_servers
    topic, dead = create_topic(servers, 3), create_topic(servers, 1)
    seed = time.time_ns() % 10_000
    chance = random.Random(seed)
    log = tmp_path / "lineage"
    members = Members(chance, servers, topic, dead, str(log))
    producer = KafkaProducer(bootstrap_servers=servers)
    sent = []
    for _ in range(kills):
        for number in range(30):
            future = producer.send(topic, b"garbage" if number % 2 else VALID, partition=chance.randrange(3))
            sent += [future] if number % 2 else []
        members.replace_one()
    producer.flush()
    members.end()
    result = collect(servers, topic, log, "--until-end", "--dead-letter-topic", dead)
    assert 0 == result.returncode, result.stderr
    topic_id = open_log(log).partitions()[0].topic_id
    acked = [future.get(10) for future in sent]
    expected = {f"{topic}/{topic_id}/{one.partition}/{one.offset}" for one in acked}
    found = names(read_all(servers, dead))
    producer.close()
    assert expected == set(found)
    assert sealed(log) == 2 * len(expected)
    return (
        f"seed {seed}: {kills} kills, {len(expected)} rejected records, "
        f"missing 0, letters published again {len(found) - len(expected)}"
    )


@pytest.fixture
def quick_broker(private_broker):
    """A broker that forgets dead members after two seconds."""
    private_broker.stop()
    private_broker.start(properties={"group.min.session.timeout.ms": "1000"})
    return private_broker


def test_killed_members_of_a_group_miss_no_letter(quick_broker, tmp_path: Path) -> None:
    """Five kills, at random and around publishing: every rejected record has its letter."""
    print(storm(quick_broker, tmp_path, 5))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_members_killed_many_times_miss_no_letter(quick_broker, tmp_path: Path) -> None:
    """The same with a hundred kills."""
    print(storm(quick_broker, tmp_path, int(os.environ.get("KILLS", "100"))))
