"""Row 5: the broker dies, restarts, answers with errors; the group's coordinator moves to another broker."""

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from faults.cluster import Cluster
from faults.kafka_proxy import KafkaProxy
from faults.members import SESSION_S, Task
from faults.oracle import growth, until
from faults.scene import PARTITIONS, Scene, at_work, at_work_behind
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


# What a broker may say of each question of a member at work, and what is no reason to end.
ERRORS = {
    "Fetch": (3, 5, 6, 7, 56, 74, 75, 76, 100),
    "ListOffsets": (3, 5, 6, 7, 56, 74, 75),
    "Metadata": (3, 5, 7),
    "FindCoordinator": (14, 15),
    "JoinGroup": (14, 15, 16, 25, 79),
    "SyncGroup": (14, 15, 16, 22, 25, 27),
    "Heartbeat": (15, 16, 22, 25, 27),
    "OffsetCommit": (3, 7, 14, 15, 16, 22, 25, 27),
    "OffsetFetch": (14, 15, 16),
    "DescribeTopicPartitions": (3, 5, 7),
}


@pytest.fixture
def answered(task: Task, answers: KafkaProxy, faults_seed: int) -> Iterator[Scene]:
    """Two members whose questions to the broker are answered by the proxy."""
    with at_work_behind(answers.address, task, faults_seed) as scene:
        yield scene


def test_errors_of_the_broker_cost_no_record(answered: Scene, answers: KafkaProxy, faults_seed: int) -> None:
    """A third of all answers, to whatever was asked, is an error of chance: no collector ends."""
    chance = random.Random(faults_seed)
    answers.plan = lambda api: chance.choice(ERRORS.get(api, (None,))) if chance.random() < 0.3 else None
    until(lambda: {"Fetch", "Heartbeat"} <= answers.answered.keys(), "errors are answered")
    time.sleep(2 * SESSION_S)
    answers.heal()
    growth(answered.log)
    assert all(member.alive for member in answered.members.running)
    answered.finish()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_error_of_the_broker_costs_no_record(answered: Scene, answers: KafkaProxy) -> None:
    """Each error in turn, as the only answer to its question for as long as a session: no collector ends."""
    for api, codes in ERRORS.items():
        for code in codes:
            answers.plan = lambda asked, api=api, code=code: code if asked == api else None
            time.sleep(SESSION_S)
            answers.heal()
            growth(answered.log)
            assert all(member.alive for member in answered.members.running), (api, code)
    assert {"Fetch", "Heartbeat", "OffsetCommit"} <= answers.answered.keys()
    answered.finish()


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
