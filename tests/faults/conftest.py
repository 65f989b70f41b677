"""What the rows share: one broker where dead members are soon forgotten, and two members at work."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.members import Task
from faults.proxy import Proxy
from faults.scene import PARTITIONS, Scene, at_work, broker_behind_proxy
from kafka_broker import Broker, create_topic


@pytest.fixture(scope="session")
def faults_seed() -> int:
    """Where all chance comes from; `FAULTS_SEED` repeats a run."""
    return int(os.environ.get("FAULTS_SEED", time.time_ns() % 100_000))


@pytest.fixture(scope="session")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, Proxy]]:
    """A broker of these tests' own, where dead members are soon forgotten, with a listener behind a proxy."""
    with broker_behind_proxy(tmp_path_factory.mktemp("kafka")) as both:
        yield both


@pytest.fixture(scope="session")
def broker(wire: tuple[Broker, Proxy]) -> Broker:
    """The broker, reached directly."""
    return wire[0]


@pytest.fixture
def network(wire: tuple[Broker, Proxy]) -> Iterator[Proxy]:
    """The proxy through which clients reach the broker too; it is good again after the test."""
    yield wire[1]
    wire[1].heal()


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
