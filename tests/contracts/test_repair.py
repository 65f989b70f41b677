"""Repair from a real broker, of a log on a disk and in an object store, with the command and its crashes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaProducer

from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import Log, open_log, verify
from modeltrail_collector.log.store import LocalStore
from modeltrail_collector.pump import Pump
from modeltrail_collector.tables import PUBLIC, compact, rebuild, table_store

MODELTRAIL = Path(sys.executable).parent / "modeltrail"
ROUNDS, PER_ROUND = 5, 8

pytestmark = pytest.mark.kafka


def event(number: int) -> bytes:
    run = {"runId": f"01890000-0000-7000-8000-{number:012}"}
    job = {"namespace": "tests", "name": f"train-{number}"}
    return json.dumps(
        {
            "eventType": "COMPLETE",
            "eventTime": f"2026-01-01T00:00:{number:02}Z",
            "run": run,
            "job": job,
            "inputs": [{"namespace": "file", "name": f"data-{number}"}],
            "producer": "https://example.com/tests",
            "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        }
    ).encode()


def collect(servers: str, topic: str, log: Log) -> None:
    source = KafkaSource(Connection(servers, topic, topic), (0, 1))
    try:
        pump = Pump(source, log, until_end=True)
        while not pump.done:
            pump.turn()
    finally:
        source.close()


@pytest.fixture(params=["disk", "s3"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    return open_log(request.getfixturevalue("s3_uri") if request.param == "s3" else tmp_path / "lineage")


@pytest.fixture
def topic(kafka_bootstrap: str, kafka_topic: Callable[..., str], log: Log) -> str:
    """A topic of 40 events, collected in five segments."""
    topic = kafka_topic(1)
    producer = KafkaProducer(bootstrap_servers=kafka_bootstrap)
    for number in range(ROUNDS * PER_ROUND):
        producer.send(topic, event(number), partition=0)
        if number % PER_ROUND == PER_ROUND - 1:
            producer.flush()
            collect(kafka_bootstrap, topic, log)
    producer.close()
    return topic


def call(*arguments: str, failpoint: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [MODELTRAIL, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MODELTRAIL_FAILPOINT": failpoint},
    )


ARRIVAL = {"ingested_at", "arrival_date", "first_ingested_at", "last_ingested_at"}


def tables(log: Log) -> dict[str, list[dict[str, object]]]:
    """All rows, but for when they arrived."""
    return {
        name: sorted(
            (
                {key: value for key, value in row.items() if key not in ARRIVAL}
                for row in table_store(log).open(name).to_pyarrow_table().to_pylist()
            ),
            key=repr,
        )
        for name in PUBLIC
    }


def names(log: Log) -> list[str]:
    (partition,) = log.partitions()
    return [segment.name for segment in log.segments(partition)]


def damage(log: Log, name: str) -> bytes:
    data = log.store.read(name)
    broken = bytearray(data)
    broken[len(data) * 2 // 3] ^= 16
    assert log.store.replace(name, data, bytes(broken))
    return bytes(broken)


def test_one_command_collects_again_what_is_damaged(kafka_bootstrap: str, topic: str, log: Log) -> None:
    """First, middle and last segment flipped, one deleted, repair killed: all is as before."""
    compact(log)
    before, segments = tables(log), names(log)
    assert ROUNDS == len(segments)
    broken = {name: damage(log, name) for name in (segments[0], segments[2], segments[-1])}
    log.store.remove(segments[3])
    problems = verify(open_log(log.uri)).problems
    assert any("partition 0, offsets 16 to 23" in problem for problem in problems)

    repair = ("repair", "--log", log.uri, "--bootstrap-servers", kafka_bootstrap)
    dry = call(*repair, "--dry-run")
    assert 0 == dry.returncode, dry.stderr
    assert 4 == dry.stdout.count("would be repaired")
    if isinstance(log.store, LocalStore):  # elsewhere whoever is next waits 30 s for the lease of the dead
        assert -signal.SIGKILL == call(*repair, failpoint="evidence_kept").returncode
        assert -signal.SIGKILL == call(*repair, failpoint="segment_repaired:2").returncode
    last = call(*repair, "--json")
    assert 0 == last.returncode, last.stderr
    left = 2 if isinstance(log.store, LocalStore) else 4
    assert ["repaired"] * left == [outcome["outcome"] for outcome in json.loads(last.stdout)]
    assert "Nothing is damaged" in call(*repair).stderr

    report = verify(open_log(log.uri))
    assert report.ok, report.problems
    (chain,) = report.partitions
    assert [0, 16, 24, 32] == [change.first_offset for change in chain.repaired]
    assert set(broken.values()) == {log.store.read(name) for name in chain.set_aside}
    compact(open_log(log.uri))
    assert before == tables(log)
    rebuild(open_log(log.uri))
    assert before == tables(log)

    said = call("verify", "--log", log.uri)
    assert 0 == said.returncode
    assert 4 == said.stderr.count("are repaired")


def test_collecting_goes_on_behind_a_repair(kafka_bootstrap: str, topic: str, log: Log) -> None:
    """A repaired end is continued, and the topic is in the log once."""
    damage(log, names(log)[-1])
    done = call("repair", "--log", log.uri, "--bootstrap-servers", kafka_bootstrap, "--topic", topic)
    assert 0 == done.returncode, done.stderr
    producer = KafkaProducer(bootstrap_servers=kafka_bootstrap)
    producer.send(topic, event(50), partition=0)
    producer.close()
    again = open_log(log.uri)
    collect(kafka_bootstrap, topic, again)
    assert verify(open_log(log.uri)).ok
    (partition,) = again.partitions()
    offsets = [entry.offset for segment in again.segments(partition) for entry in again.read(segment)]
    assert list(range(ROUNDS * PER_ROUND + 1)) == offsets
