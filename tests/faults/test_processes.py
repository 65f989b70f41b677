"""Rows 1 to 4: collectors are killed at every step, frozen, and join and leave while records come."""

import itertools
import os
import random
import signal
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import psutil
import pytest
from faults.bodies import collect_frozen_before_a_put
from faults.life import WORKS, forget, go_on, retain
from faults.measured import collect_measured, measure
from faults.members import SESSION_S, SETTINGS, SMALL, Member, Task
from faults.oracle import Oracle, Producer, compare, growth, sealed_to, temporaries, until
from faults.scene import PARTITIONS, Scene, at_work
from kafka_broker import create_topic

from modeltrail_collector.failpoints import ENV, STEPS
from modeltrail_collector.log import open_log, verify
from modeltrail_collector.log.maintenance import maintain
from modeltrail_collector.log.segment import SUFFIX
from modeltrail_collector.log.store import TEMPORARY
from modeltrail_collector.pump import Limits

pytestmark = pytest.mark.kafka

FEW, MANY = 12, int(os.environ.get("KILLS", "120"))
FLOWS_AGAIN_S = 15.0


@pytest.fixture(scope="module")
def produced(broker) -> tuple[str, Oracle]:
    """A topic with some hundred records, and what they are."""
    topic = create_topic(broker.bootstrap_servers, PARTITIONS)
    producer = Producer(broker.bootstrap_servers, topic, seed=1)
    producer.start()
    until(lambda: len(producer.acked) >= 300, "the topic is filled")
    producer.stop()
    return topic, producer.acked


# Deaths among the tables have tests of their own (tests/collector/tables); here they take long.
# Those of alerts are killed in tests/collector/alerts: their events would be records that nobody produced.
QUICK = {*list(STEPS)[: list(STEPS).index("flat_committed") + 1], "table_replaced"}


@pytest.mark.row(1)
@pytest.mark.parametrize(
    "step",
    [
        pytest.param(step, marks=() if step in QUICK else pytest.mark.slow)
        for step in STEPS
        if not step.startswith(
            ("alert", "changes_", "event_relayed")
        )  # tests/collector/alerts, tests/collector/test_findings.py, tests/e2e/test_relay.py
    ],
)
def test_a_process_killed_at_a_step_is_followed_by_one_that_finishes(
    task: Task, produced: tuple[str, Oracle], step: str
) -> None:
    """Killed at any named step it leaves at most one temporary file; the next one removes it and goes on."""
    topic, acked = produced
    log = Path(task.log)
    settings, limits = {**SETTINGS, "max_poll_records": 5}, msgspec.structs.replace(SMALL, rows=5)
    letters = create_topic(task.servers)
    task = replace(task, topic=topic, settings=settings, limits=limits, dead_letter_topic=letters)
    doomed = replace(task, environment={ENV: step})
    died_in = next((work for work in WORKS if Member(doomed, work).wait() == -signal.SIGKILL), None)
    assert died_in is not None, f"no work comes by the step {step}: {task.errors.read_text()}"
    assert len(temporaries(log)) <= 1
    assert 0 == Member(task, go_on).wait(), task.errors.read_text()
    assert [] == temporaries(log)
    if died_in is retain:
        assert verify(open_log(log)).ok
    else:
        assert len(acked) == compare(log, acked).stored
    if died_in not in {forget, retain}:
        assert len(acked) == rows_of_tables(log)


def rows_of_tables(log: Path) -> int:
    """How many records the tables know."""
    from modeltrail_collector.tables import table_store

    store = table_store(open_log(log))
    flat, rejected = (
        [tuple(row.values()) for row in store.open(name).to_pyarrow_table(columns=columns).to_pylist()]
        for name, columns in (
            ("flat", ["partition", "offset"]),
            ("rejected", ["partition", "offset", "code", "path", "message"]),
        )
    )
    assert (len(flat), len(rejected)) == (len(set(flat)), len(set(rejected))), "rows are there twice"
    return len({*flat, *(row[:2] for row in rejected)})


def kill_randomly(scene: Scene, kills: int, seed: int) -> None:
    members, log = scene.members, scene.log
    chance = random.Random(seed)
    left_over, took = 0, []
    for _ in range(kills):
        if more := chance.choice((0, 1, 200)):
            took.append(growth(log, more, 8 * FLOWS_AGAIN_S))
        time.sleep(chance.uniform(0.0, 0.4))
        members.end(chance.choice(members.running), signal.SIGKILL)
        left_over += len(temporaries(Path(log)))
        members.start()
    found = scene.finish()
    remaining = len(temporaries(Path(log)))
    print(
        f"\nseed {seed}: {kills} kills, {found.stored} records in {found.segments} segments, none lost; "
        f"records flowed again within {statistics.median(took):.1f} s, at worst {max(took):.1f} s; "
        f"temporary files seen after kills {left_over}, left at the end {remaining}"
    )
    assert statistics.median(took) < FLOWS_AGAIN_S  # the slow ones waited for neighbours
    assert found.stored > kills
    assert left_over < kills
    assert remaining <= 1  # that of the very last kill, until its partition is assigned again


@pytest.mark.row(1)
def test_killed_collectors_lose_and_double_nothing(scene: Scene, faults_seed: int) -> None:
    """Twelve kill -9 at random times, two members, three partitions: the log holds what was acknowledged."""
    kill_randomly(scene, FEW, faults_seed)


@pytest.mark.row(1)
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_collectors_killed_many_times_lose_and_double_nothing(scene: Scene, faults_seed: int) -> None:
    """The same with at least a hundred kills."""
    kill_randomly(scene, MANY, faults_seed)


@pytest.mark.row(2)
def test_a_stopped_member_comes_back_as_a_zombie(scene: Scene) -> None:
    """A member that is frozen until it has lost its partitions seals nothing of theirs when it wakes up."""
    for number in range(2):
        growth(scene.log)
        frozen = scene.members.running[number]
        frozen.freeze()
        time.sleep(2 * SESSION_S)
        growth(scene.log)
        frozen.thaw()
    scene.finish()


def name_about_to_be_taken(zombie: Member) -> Path:
    """Where the segment will be that a frozen process has written under a hidden name."""
    (hidden,) = (
        Path(file.path) for file in psutil.Process(zombie.pid).open_files() if file.path.endswith(TEMPORARY)
    )
    return hidden.with_name(hidden.name[1 : 1 + len(f"{0:020}{SUFFIX}")])


@pytest.mark.row(2)
@pytest.mark.parametrize("keep", [None, timedelta(days=-2)], ids=["rolled up", "removed"])
def test_a_zombie_wakes_over_a_name_that_was_replaced(
    task: Task, faults_seed: int, keep: timedelta | None
) -> None:
    """Frozen just before its put, while others collect, roll up and remove: its put fails, and it seeks."""
    log = open_log(task.log)
    with at_work(task, faults_seed, members=1) as scene:
        growth(scene.log)
        zombie = Member(task, collect_frozen_before_a_put)
        scene.members.running.append(zombie)
        until(lambda: zombie.frozen, "the member is about to put a segment")
        path = name_about_to_be_taken(zombie)
        name = str(path.relative_to(task.log))
        until(path.exists, "another collects what the frozen one has read")
        until(lambda: maintain(log, keep=keep) and log.header(name).replaces, "the name is a stub's")
        assert "another collector has sealed offsets" not in task.errors.read_text()
        zombie.thaw()
        until(lambda: "another collector has sealed offsets" in task.errors.read_text(), "its put fails")
        growth(scene.log)
        found = scene.finish()
    assert bool(keep) == bool(found.removed)


STRATEGIES = ("range", "cooperative-sticky")


@pytest.fixture
def group(task: Task, faults_seed: int, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """The same with the partitions divided by the strategy of the test's parameter."""
    with at_work(
        replace(task, options={"partition_assignment_strategy": request.param}), faults_seed
    ) as scene:
        yield scene


def storm(scene: Scene, times: int, pause_s: float) -> None:
    """A third member joins and another leaves, again and again."""
    grew = time.monotonic()
    for _ in range(times):
        scene.members.start()
        time.sleep(pause_s)
        assert 0 == scene.members.end(scene.members.running[0], signal.SIGTERM)
        growth(scene.log, 1, 60 - min(time.monotonic() - grew, 59))  # progress each minute
        grew = time.monotonic()
    scene.finish()


@pytest.mark.row(3)
@pytest.mark.parametrize("group", STRATEGIES, indirect=True)
def test_members_come_and_go(group: Scene) -> None:
    """Members join and leave again and again, eager or cooperative: nothing is lost, all exit with 0."""
    storm(group, 4, 0.7)


@pytest.mark.row(3)
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("group", STRATEGIES, indirect=True)
def test_a_long_storm_of_rebalances(group: Scene) -> None:
    """The same a hundred times, one every two seconds."""
    storm(group, 50, 2.0)


@pytest.mark.row(3)
def test_a_static_member_comes_back_without_a_rebalance(task: Task, faults_seed: int) -> None:
    """Members with ids of their own end and come back within their session: the others do not even notice."""
    ids = itertools.cycle(f"collector-{number}" for number in range(2))
    task = replace(task, settings={**SETTINGS, "session_timeout_ms": 60_000})
    with at_work(task, faults_seed, members=0, work=collect_measured) as scene:
        for _ in range(2):
            scene.members.start(options={"group_instance_id": next(ids)})
        until(lambda: all(partitions(member) for member in scene.members.running), "both have partitions")
        for number in range(6):
            gone, stays = scene.members.running
            before = measure(stays, "rebalances")
            scene.members.end(gone, signal.SIGKILL if number % 2 else signal.SIGTERM)
            came = scene.members.start(options={"group_instance_id": next(ids)})
            until(lambda came=came: partitions(came), "it has its partitions again")
            growth(scene.log, 50)
            assert before == measure(stays, "rebalances")
        scene.finish()


def partitions(member: Member) -> float:
    """How many partitions a member says it has."""
    return measure(member, "assigned_partitions")


@pytest.mark.row(3)
def test_two_members_with_one_static_id_are_told_apart(task: Task, faults_seed: int) -> None:
    """Of two collectors with the same id the first ends with exit code 2 and says why; nothing is doubled."""
    task = replace(task, options={"group_instance_id": "one"})
    with at_work(task, faults_seed, members=1) as scene:
        (first,) = scene.members.running
        growth(scene.log)
        scene.members.start()
        assert 2 == first.wait()
        scene.members.running.remove(first)
        scene.finish()
    assert "another collector of the group has the same group.instance.id" in task.errors.read_text()


@pytest.mark.row(4)
@pytest.mark.parametrize("group", ["range"], indirect=True)
def test_a_partition_kept_over_a_rebalance_is_read_from_the_end_of_the_log(group: Scene) -> None:
    """What a member held back of a partition that it keeps is read again: kafka-python would pass it over."""
    members = group.members
    idle = msgspec.structs.replace(members.task.limits, rows=100_000, age_s=3600.0)  # they hold all they read
    for member in list(members.running):
        members.end(member, signal.SIGKILL)
    members.start(limits=idle)
    time.sleep(2 * SESSION_S)
    for _ in range(2):
        come_read_and_leave(group, idle)
    assert 0 == members.end(members.running[0], signal.SIGTERM)
    members.start()
    group.finish()


def come_read_and_leave(group: Scene, limits: Limits) -> None:
    """A member joins, and leaves when it has read something: on a slow machine it needs longer for that."""
    before = sealed_to(group.log)
    for seconds in (1.5, 4.0, 10.0):
        member = group.members.start(limits=limits)
        time.sleep(seconds)
        assert 0 == group.members.end(member, signal.SIGTERM)
        if sealed_to(group.log) > before:
            return
    pytest.fail("who leaves seals what it held, and nothing came")
