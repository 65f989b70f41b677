"""The consumers of examples/streaming, each a process of its own on a real broker."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer

import modeltrail

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "streaming"
INTERPRETER = {"with_kafka": sys.executable, "with_quix": ROOT / ".venv-feast" / "bin" / "python"}
QUIX = pytest.param("with_quix", marks=[pytest.mark.interop, pytest.mark.timeout(120)])

pytestmark = pytest.mark.kafka


@pytest.fixture
def topic(kafka_bootstrap, kafka_topic) -> Iterator[str]:
    """A topic that runs in this process send to."""
    name = kafka_topic(2)
    modeltrail.testing.reset()
    config = {"bootstrap.servers": kafka_bootstrap}
    modeltrail.configure(transport={"type": "modeltrail.KafkaTransport", "topic": name, "config": config})
    yield name
    modeltrail.testing.reset()


@pytest.fixture
def consumer(kafka_bootstrap, topic, tmp_path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts an example; whoever is left is ended, and leaves the group, which has one name for all."""
    started = []

    def start(name: str, **options: object) -> subprocess.Popen:
        command = [INTERPRETER[name], EXAMPLE / f"{name}.py", kafka_bootstrap, topic]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        started.append(subprocess.Popen(command, cwd=tmp_path, **pipes | options))
        return started[-1]

    yield start
    for process in started:
        end(process)
        process.stdout.close()


def end(process: subprocess.Popen) -> int:
    """Ctrl-C, and how it ended."""
    process.send_signal(signal.SIGINT)
    return process.wait(60)


def send(bootstrap: str, topic: str, *values: bytes | None) -> None:
    """Send values, all under one key."""
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for value in values:
        producer.send(topic, value, key=b"run:default/release")
    producer.close()


def deploy(*versions: str) -> None:
    """A run that makes these versions and deploys each."""
    with modeltrail.run("release") as run:
        for version in versions:
            run.deploy("churn", version, "k8s://prod/endpoints/churn-api")
    assert modeltrail.flush()


def told(process: subprocess.Popen, count: int) -> list[str]:
    """The next versions that it tells of."""
    return [process.stdout.readline().split()[2] for _ in range(count)]


@pytest.mark.parametrize("name", ["with_kafka", QUIX])
def test_each_deployment_is_reacted_to_once(consumer, topic, kafka_bootstrap, name) -> None:
    """One that is started again goes on behind what was done, and what is no deployment is passed over."""
    no_events = (None, b"", b"\xff", b"[1]", b'{"run": null}', b'{"run": {"facets": []}}', b"[" * 200_000)
    send(kafka_bootstrap, topic, *no_events)
    deploy("1", "2")
    first = consumer(name)
    assert ["1", "2"] == told(first, 2)
    assert 0 == end(first)
    assert "" == first.stdout.read()
    deploy("3")
    assert ["3"] == told(consumer(name), 1)


def test_one_that_dies_while_it_reacts_reacts_again(consumer, topic) -> None:
    """What was not committed is read again: at least once."""
    deploy("1")
    with Path("/dev/full").open("w") as full:  # to print there fails, and ends it
        dying = consumer("with_kafka", stdout=full)
        assert 1 == dying.wait(60)
        dying.stdout = full
    assert ["1"] == told(consumer("with_kafka"), 1)


@pytest.mark.parametrize("name", [QUIX])
def test_an_event_that_comes_twice_is_reacted_to_once(consumer, topic, kafka_bootstrap, name) -> None:
    """With state one knows what was done, even after a restart."""
    with modeltrail.testing.captured_events() as events, modeltrail.run("release") as run:
        run.deploy("churn", "1", "k8s://prod/endpoints/churn-api")
        run.deploy("churn", "2", "k8s://prod/endpoints/churn-api")
    one, two = [json.dumps(event).encode() for event in events if event["eventType"] == "COMPLETE"][:2]
    send(kafka_bootstrap, topic, one, one)
    first = consumer(name)
    assert ["1"] == told(first, 1)
    assert 0 == end(first)
    assert "" == first.stdout.read()
    send(kafka_bootstrap, topic, one, two)
    assert ["2"] == told(consumer(name), 1)
