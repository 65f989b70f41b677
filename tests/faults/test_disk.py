"""Row 7: the disk is full, read-only or broken, really so where a disk of one's own can be mounted."""

import contextlib
import errno
import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from faults.members import SMALL, Task
from faults.oracle import compare, sealed_to, turn_until
from faults.scene import Scene, at_work

from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import open_log
from modeltrail_collector.pump import Pump

MEGABYTE = 1 << 20
EXT4_IOC_SHUTDOWN = 0x8004587D
NOTHING_IS_FLUSHED = 2  # as when the disk is gone

Breakage = Callable[[Path, pytest.MonkeyPatch], AbstractContextManager[None]]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own where that is permitted (for root, as a rule), else a directory."""
    path = tmp_path / "disk"
    path.mkdir()
    image = image_of(path)
    with image.open("wb") as file:
        file.truncate(16 * MEGABYTE)
    mounted = run("mkfs.ext4", "-q", "-m", 0, image) and run("losetup", "--find", image) and mount(path)
    yield path
    if mounted:
        assert run("umount", "--lazy", path)
    if device := device_of(path):
        assert run("losetup", "--detach", device)


def image_of(disk: Path) -> Path:
    """The file that the disk's blocks are in."""
    return disk.with_suffix(".image")


def device_of(disk: Path) -> str:
    """The loop device that stands for the disk, for as long as the test goes on; empty: there is none.

    With one that is made anew for each mount (`mount -o loop`) all that had been synced was gone once, after
    the journal had been replayed; never again in some tens of tries, nor with one that stays.
    """
    command = ("losetup", "--noheadings", "--output", "NAME", "--associated", str(image_of(disk)))
    try:
        return subprocess.run(command, capture_output=True, check=False, text=True).stdout.strip()
    except FileNotFoundError:
        return ""


def mount(disk: Path) -> bool:
    return run("mount", device_of(disk), disk)


def run(*command: object) -> bool:
    try:
        return subprocess.run([*map(str, command)], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


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
    assert run("mount", "-o", "remount,ro", disk)
    yield
    assert run("mount", "-o", "remount,rw", disk)


@contextmanager
def is_broken(disk: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """From now on the kernel answers all that touches the disk with EIO, until it is mounted again."""
    if not os.path.ismount(disk):
        with fails_to_sync(errno.EIO, patch):
            yield
        return
    descriptor = os.open(disk, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", NOTHING_IS_FLUSHED))
    finally:
        os.close(descriptor)
    with pytest.raises(OSError, match="Input/output error"):
        (disk / "file").write_bytes(b"")
    yield
    assert run("umount", disk)
    assert mount(disk)


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
            sealed, waiting = pump.totals.records, pump.waiting
            turn_for(pump, 2.0)
            assert (sealed, waiting) == (pump.totals.records, pump.waiting)
            assert committed(source) <= sealed
        assert sealed == sealed_to(log)
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


def turn_for(pump: Pump, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pump.turn()


def committed(source: KafkaSource) -> int:
    """The offsets that Kafka knows of the group, added up."""
    consumer = source._consumer
    return sum(consumer.committed(partition) or 0 for partition in consumer.assignment())
