"""Row 5: the broker dies, is restarted in order, and the group's coordinator moves to another broker."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from faults.cluster import Cluster
from faults.members import Task
from faults.oracle import growth
from faults.scene import PARTITIONS, Scene, at_work
from kafka_broker import Broker

pytestmark = [pytest.mark.kafka, pytest.mark.row(5)]


def test_a_broker_that_dies_costs_no_record(scene: Scene, broker: Broker) -> None:
    """The broker is killed and comes back: producer and collectors go on, and nothing is missing."""
    growth(scene.log)
    broker.kill()
    time.sleep(0.5)
    broker.start()
    growth(scene.log)
    scene.finish()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_broker_that_is_restarted_again_and_again_costs_no_record(scene: Scene, broker: Broker) -> None:
    """Stopped in order or killed, six times in a row, with clients at work."""
    for number in range(6):
        growth(scene.log)
        broker.stop() if number % 2 else broker.kill()
        broker.start()
    growth(scene.log)
    scene.finish()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three brokers, every topic on all of them."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), 3)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_coordinator_that_dies_is_followed_by_another(
    cluster: Cluster, tmp_path: Path, faults_seed: int
) -> None:
    """The broker that coordinates the group is killed: another takes over, and every record is collected."""
    servers = cluster.bootstrap_servers
    task = Task(servers, cluster.create_topic(PARTITIONS), str(tmp_path / "log"), tmp_path / "errors")
    with at_work(replace(task, settings={}), faults_seed) as scene:
        for _ in range(2):
            growth(scene.log)
            killed = cluster.coordinator(task.group)
            cluster.kill(killed)
            growth(scene.log, 200)
            cluster.restart(killed)
        scene.finish()
