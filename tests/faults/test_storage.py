"""Rows 8 and 9, and 2 where the log is in an object store: it refuses, times out, lies, is slow."""

import itertools
import random
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from faults.measured import collect_measured, measure
from faults.members import SESSION_S, SETTINGS, SMALL, Members, Task
from faults.oracle import compare, growth, topic_of, turn_until, until
from faults.scene import at_work, ids_of_members
from faults.store_proxy import HANG_S, Fault, Plan, StoreProxy
from kafka_broker import create_topic

from modeltrail_collector.log import Log, objects, open_log
from modeltrail_collector.log.maintenance import maintain
from modeltrail_collector.pump import Pump
from modeltrail_collector.testing import MemorySource

RSS_BYTES = 512 << 20


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreProxy]:
    """S3 behind a proxy that can fail each request; the environment points there."""
    proxy = StoreProxy(moto)
    for name, value in proxy.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(objects, "TIMEOUT", "2s")
    urllib.request.urlopen(urllib.request.Request(f"{moto}/lineage", method="PUT")).close()
    yield proxy
    proxy.close()


FAULTS: tuple[Fault, ...] = ("429", "500", "503", "drop", "500 after", "drop after", "hang after")
_logs = itertools.count()


def collect_through(plan: Plan, s3: StoreProxy) -> int:
    """Collect twelve records in three segments while requests fail; returns how many requests it took."""
    topic, acked = topic_of(12)
    uri = f"s3://lineage/log-{next(_logs)}"
    with s3.failing(plan):
        began = len(s3.requests)
        source = MemorySource(topic, max_records=4)
        pump = Pump(source, open_log(uri), until_end=True, limits=msgspec.structs.replace(SMALL, rows=4))
        turn_until(pump, lambda: pump.done)
        took = len(s3.requests) - began
    assert (12, 0) == (pump.totals.records, pump.activity.conflicts)  # what it wrote itself is no conflict
    assert 3 == compare(uri, acked).segments
    return took


def only(number: int, fault: Fault) -> Plan:
    """Just the request with this number fails."""
    count = itertools.count()
    return lambda method, path: fault if next(count) == number else None


def fails_once(s3: StoreProxy, faults: tuple[Fault, ...], step: int) -> None:
    requests = collect_through(lambda *_: None, s3)
    for fault, number in itertools.product(faults, range(0, requests, step)):
        collect_through(only(number, fault), s3)


@pytest.mark.row(8)
def test_no_request_that_fails_once_loses_or_doubles_a_record(s3: StoreProxy) -> None:
    """Each request to the object store in turn is refused, or hung up on after it was carried out."""
    fails_once(s3, ("drop after",), 1)
    fails_once(s3, ("503",), 4)


@pytest.mark.row(8)
def test_no_put_of_unknown_outcome_loses_or_doubles_a_record(s3: StoreProxy) -> None:
    """Every first attempt to put a segment is carried out, and not answered: it is read back and compared."""
    for fault in ("500 after", "drop after", "hang after"):
        seen: set[str] = set()

        def plan(method: str, path: str, fault: Fault = fault, seen: set[str] = seen) -> Fault:
            first = method == "PUT" and path not in seen
            seen.add(path)
            return fault if first else None

        collect_through(plan, s3)


@pytest.mark.row(8)
@pytest.mark.parametrize("fault", ["503", "drop", "drop after"])
def test_no_put_that_failed_is_taken_for_done(
    s3: StoreProxy, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """A client that tries once, and each segment's first put fails, carried out or not: all is there once."""
    monkeypatch.setattr(objects, "RETRIES", {**objects.RETRIES, "max_retries": 0})
    seen: set[str] = set()

    def plan(method: str, path: str) -> Fault:
        first = method == "PUT" and path not in seen
        seen.add(path)
        return fault if first else None

    collect_through(plan, s3)
    assert 3 == sum("/raw/" in path for path in seen if path.endswith(".avro"))


@pytest.mark.row(8)
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_fault_of_any_request_loses_or_doubles_a_record(s3: StoreProxy) -> None:
    """Every kind of fault at every request."""
    fails_once(s3, FAULTS, 1)


@pytest.mark.row(8)
def test_a_store_that_throttles_half_of_all_requests_is_only_slow(s3: StoreProxy, faults_seed: int) -> None:
    """Half of all requests fail, by chance and in any way; every record is there once."""
    chance = random.Random(faults_seed)
    kinds = [fault for fault in FAULTS if fault != "hang after"]
    collect_through(lambda *_: chance.choice(kinds) if chance.random() < 0.5 else None, s3)


@pytest.mark.kafka
@pytest.mark.row(2)
def test_a_put_that_arrives_after_its_name_was_replaced_is_refused(
    task: Task, s3: StoreProxy, moto: str, faults_seed: int
) -> None:
    """A put is held up on its way, its sender frozen; others collect, roll up, remove: nothing is twice."""
    larger = msgspec.structs.replace(SMALL, rows=10_000, age_s=1.0)
    task = replace(task, log="s3://lineage/late", environment=s3.environment, limits=larger)
    log, slow, held, let_go = open_log(task.log), StoreProxy(moto), [], threading.Event()
    with closing(slow), at_work(task, faults_seed, members=1) as scene:
        growth(scene.log)
        zombie = scene.members.start(environment=slow.environment)

        def hold_up(method: str, path: str) -> Fault:
            if method == "PUT" and "/raw/" in path and not held:
                held.append(path.partition("/late/")[2])
                zombie.freeze()
                let_go.wait(HANG_S)
            return None

        slow.plan = hold_up
        until(lambda: held, "a put is under way")
        until(
            lambda: maintain(log, keep=timedelta(days=-2)) and replaced(log, held[0]), "its name is a stub's"
        )
        let_go.set()
        zombie.thaw()
        growth(scene.log)
        assert scene.finish().removed > 0


def replaced(log: Log, name: str) -> bool:
    """Whether a name is taken by a header alone."""
    try:
        return bool(log.header(name).replaces)
    except FileNotFoundError:  # nobody has it yet
        return False


@pytest.mark.row(9)
def test_a_store_slower_than_the_patience_for_a_put_is_written_all_the_same(
    s3: StoreProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No put is ever answered in time, yet each is carried out: the next attempt finds its records sealed."""
    monkeypatch.setattr(objects, "TIMEOUT", "500ms")
    monkeypatch.setattr(objects, "RETRIES", {**objects.RETRIES, "max_retries": 0})
    collect_through(lambda method, path: 1.0 if method == "PUT" else None, s3)


@pytest.mark.kafka
@pytest.mark.row(9)
def test_a_store_that_takes_longer_than_a_session_evicts_nobody(
    task: Task, s3: StoreProxy, faults_seed: int
) -> None:
    """A put takes longer than a session, all that are due longer than a poll may be late: both stay members.

    Each has three partitions, and a poll may be late by two puts: who seals all that is due is put out.
    """
    put_s = 1.5 * SESSION_S
    settings = {**SETTINGS, "max_poll_interval_ms": int(2.2 * put_s * 1000)}
    stay_members(replace(task, settings=settings), s3, faults_seed, put_s)


@pytest.mark.kafka
@pytest.mark.row(9)
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_store_that_takes_half_a_minute_for_a_put_evicts_nobody(
    task: Task, s3: StoreProxy, faults_seed: int
) -> None:
    """The same with 30 s for each put, and with the session of 10 s that the product has."""
    stay_members(replace(task, settings={}), s3, faults_seed, 30.0)


def stay_members(task: Task, s3: StoreProxy, seed: int, put_s: float) -> None:
    """Two members work, then each put takes so long: they stay, they stay small, and their lag is told."""
    topic = create_topic(task.servers, 6)
    task = replace(task, topic=topic, log=f"s3://lineage/slow-{put_s:g}", environment=s3.environment)
    with at_work(task, seed, partitions=6, work=collect_measured) as scene:
        growth(task.log)
        until(lambda: len(ids_of_members(task)) == 2, "both are members")
        growth(task.log, 100)
        members, lag = ids_of_members(task), lag_of(scene.members)
        s3.plan = lambda method, path: put_s if method == "PUT" else None
        time.sleep(5 * put_s)
        until(lambda: lag_of(scene.members) > lag + 500, "the lag metric rises", 10 * put_s)
        assert members == ids_of_members(task), "somebody was put out of the group"
        assert all(member.rss < RSS_BYTES for member in scene.members.running)
        s3.plan = lambda *_: None
        scene.finish()


def lag_of(members: Members) -> float:
    """What the members' metrics say, added up."""
    return sum(measure(member, "lag_records") for member in members.running)
