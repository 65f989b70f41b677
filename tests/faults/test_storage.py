"""Rows 7 to 9: the disk is full, broken or read-only; the object store refuses, times out, lies, is slow."""

import contextlib
import errno
import itertools
import os
import random
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from faults.members import SESSION_S, SETTINGS, SMALL, Task
from faults.oracle import compare, growth, sealed_to, topic_of, until
from faults.scene import Scene, at_work
from faults.store_proxy import Fault, Plan, StoreProxy

from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import objects, open_log
from modeltrail_collector.pump import Pump
from modeltrail_collector.testing import MemorySource

MEGABYTE = 1 << 20
RSS_BYTES = 512 << 20

Breakage = Callable[[Path, pytest.MonkeyPatch], AbstractContextManager[None]]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own where mounting is permitted, else a directory."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = _mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", path)
    yield path
    if mounted:
        subprocess.run(["umount", "--lazy", path], check=True)


def _mount(*arguments: object) -> bool:
    command = ["mount", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def fails_to_sync(error: int, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the kernel answers where a disk has this error."""

    def fsync(descriptor: int) -> None:
        raise OSError(error, os.strerror(error))

    with patch.context() as within:
        within.setattr(os, "fsync", fsync)
        yield


@contextmanager
def is_full(disk: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    if not os.path.ismount(disk):
        with fails_to_sync(errno.ENOSPC, patch):
            yield
        return
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    filler.unlink()


@contextmanager
def is_read_only(disk: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    if not os.path.ismount(disk):
        with fails_to_sync(errno.EROFS, patch):
            yield
        return
    assert _mount("-o", "remount,ro", disk)
    yield
    assert _mount("-o", "remount,rw", disk)


@contextmanager
def is_broken(disk: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    with fails_to_sync(errno.EIO, patch):
        yield


@pytest.mark.kafka
@pytest.mark.row(7)
@pytest.mark.parametrize("breakage", [is_full, is_read_only, is_broken])
def test_a_disk_that_fails_stops_the_collector_until_it_works_again(
    disk: Path, scene_without_members: Scene, monkeypatch: pytest.MonkeyPatch, breakage: Breakage
) -> None:
    """It seals and commits nothing, holds no more than before, stays a member; then it goes on by itself."""
    task, log = scene_without_members.members.task, disk / "lineage"
    source = KafkaSource(Connection(task.servers, task.topic, task.group))
    pump = Pump(source, open_log(log), limits=SMALL)
    try:
        turn_until(pump, lambda: pump.totals.records > 20)
        with breakage(disk, monkeypatch):
            turn_for(pump, 1.0)
            sealed, waiting = sealed_to(log), pump.waiting
            turn_for(pump, 2.0)
            assert (sealed, waiting) == (sealed_to(log), pump.waiting)
            assert committed(source) <= sealed
        turn_until(pump, lambda: sealed_to(log) > sealed + 20)
        scene_without_members.producer.stop()
        acked = scene_without_members.producer.acked
        turn_until(pump, lambda: sealed_to(log) >= len(acked))
    finally:
        source.close()
    compare(log, acked)


@pytest.fixture
def scene_without_members(task: Task, faults_seed: int) -> Iterator[Scene]:
    """A producer alone."""
    with at_work(task, faults_seed, members=0) as scene:
        yield scene


def turn_until(pump: Pump, condition: Callable[[], object]) -> None:
    def turned() -> bool:
        pump.turn()
        return bool(condition())

    until(turned, "the collector works")


def turn_for(pump: Pump, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pump.turn()


def committed(source: KafkaSource) -> int:
    """The offsets that Kafka knows of the group, added up."""
    consumer = source._consumer
    return sum(consumer.committed(partition) or 0 for partition in consumer.assignment())


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
@pytest.mark.row(9)
def test_a_store_that_takes_longer_than_a_session_evicts_nobody(
    task: Task, s3: StoreProxy, faults_seed: int
) -> None:
    """A put takes longer than a session, a turn longer than a poll may be late: both stay members."""
    put_s = 1.5 * SESSION_S
    settings = {**SETTINGS, "max_poll_interval_ms": int(2.2 * put_s * 1000)}
    slow = replace(task, log="s3://lineage/slow", settings=settings, environment=s3.environment)
    s3.plan = lambda method, path: put_s if method == "PUT" else None
    with at_work(slow, faults_seed) as scene:
        growth(slow.log, 1)
        members = ids_of_members(task)
        sent = len(scene.producer.acked)
        time.sleep(5 * put_s)
        assert members == ids_of_members(task), "somebody was put out of the group"
        assert len(scene.producer.acked) - sealed_to(slow.log) > 20
        assert len(scene.producer.acked) > sent
        assert all(member.rss < RSS_BYTES for member in scene.members.running)
        s3.plan = lambda *_: None
        scene.finish()


def ids_of_members(task: Task) -> set[str]:
    """Who is in the group, as the broker sees it."""
    from kafka.admin import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=task.servers)
    try:
        described = admin.describe_groups([task.group])
    finally:
        admin.close()
    group = next(iter(described.values())) if isinstance(described, dict) else described[0]
    return {member["member_id"] for member in group["members"]}
