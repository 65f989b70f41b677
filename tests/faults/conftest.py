"""What the rows share: one broker where dead members are soon forgotten, and two members at work."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.kafka_proxy import KafkaProxy
from faults.members import Task
from faults.proxy import Proxy
from faults.scene import PARTITIONS, Scene, Wire, at_work, broker_behind_proxies
from kafka_broker import Broker, create_topic


@pytest.fixture(scope="session")
def faults_seed() -> int:
    """Where all chance comes from; `FAULTS_SEED` repeats a run."""
    return int(os.environ.get("FAULTS_SEED", time.time_ns() % 100_000))


@pytest.fixture(scope="session")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A broker of these tests' own, where dead members are soon forgotten, with listeners behind proxies."""
    with broker_behind_proxies(tmp_path_factory.mktemp("kafka")) as wire:
        yield wire


@pytest.fixture(scope="session")
def broker(wire: Wire) -> Broker:
    """The broker, reached directly."""
    return wire.broker


@pytest.fixture
def network(wire: Wire) -> Iterator[Proxy]:
    """The proxy through which clients reach the broker too; it is good again after the test."""
    yield wire.network
    wire.network.heal()


@pytest.fixture
def answers(wire: Wire) -> Iterator[KafkaProxy]:
    """The proxy that gives answers of its own; it gives the broker's again after the test."""
    yield wire.answers
    wire.answers.heal()


@pytest.fixture
def task(broker: Broker, tmp_path: Path) -> Task:
    """A fresh topic of three partitions, to be collected into a fresh log."""
    servers = broker.bootstrap_servers
    return Task(servers, create_topic(servers, PARTITIONS), str(tmp_path / "lineage"), tmp_path / "errors")


@pytest.fixture
def scene(task: Task, faults_seed: int) -> Iterator[Scene]:
    """Two members at work, and a producer."""
    with at_work(task, faults_seed) as scene:
        yield scene
