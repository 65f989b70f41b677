"""Rows 18 and 21: the collector over segments that are torn or flipped, and over very many of them."""

import random
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from faults.oracle import compare, topic_of

from modeltrail_collector.errors import LogFormatError, NotVerified
from modeltrail_collector.log import Log, open_log, verify
from modeltrail_collector.log.store import LocalStore
from modeltrail_collector.model import LogPartition
from modeltrail_collector.pump import Limits, Pump
from modeltrail_collector.testing import MemorySource, MemoryTopic

FEW, MANY = 500, 10_000


def collect(topic: MemoryTopic, log: Path, rows: int) -> None:
    """Collect what the topic holds beyond the log, in segments of so many rows."""
    source = MemorySource(topic, max_records=rows)
    pump = Pump(source, open_log(log), until_end=True, limits=Limits(rows=rows))
    while not pump.done:
        pump.turn()
    source.close()


def segments(log: Path) -> list[Path]:
    return sorted(log.glob("raw/**/*.avro"))


@pytest.mark.row(18)
def test_a_torn_last_segment_is_collected_again(tmp_path: Path, faults_seed: int) -> None:
    """Whatever is left of the last segment, the next collector sets it aside and collects it again."""
    topic, acked = topic_of(30)
    collect(topic, tmp_path / "whole", 10)
    size = segments(tmp_path / "whole")[-1].stat().st_size
    chance = random.Random(faults_seed)
    for number, cut in enumerate([0, 1, size - 1, *(chance.randrange(size) for _ in range(20))]):
        log = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", log)
        last = segments(log)[-1]
        last.write_bytes(last.read_bytes()[:cut])
        collect(topic, log, 10)
        assert 30 == compare(log, acked).stored
        assert 1 == len(list(log.glob("raw/**/*.bad-*")))


@pytest.mark.row(18)
@pytest.mark.parametrize("step", [29, pytest.param(1, marks=pytest.mark.slow)])
def test_no_cut_of_a_segment_is_read_as_if_it_were_whole(tmp_path: Path, step: int) -> None:
    """Cut at any byte: a last segment is set aside, and one amid others is reported when it is read."""
    topic, _ = topic_of(30)
    collect(topic, tmp_path, 10)
    _, middle, last = segments(tmp_path)
    (partition,) = open_log(tmp_path).partitions()
    whole = last.read_bytes()
    for cut in range(0, len(whole), step):
        last.write_bytes(whole[:cut])
        assert 20 == open_log(tmp_path).recover(partition).next_offset
        (aside,) = tmp_path.glob("raw/**/*.bad-*")
        aside.rename(last)
    last.write_bytes(whole)
    whole = middle.read_bytes()
    for cut in range(0, len(whole), step):
        middle.write_bytes(whole[:cut])
        with pytest.raises((NotVerified, LogFormatError)):
            read_all(open_log(tmp_path), partition)
    middle.write_bytes(whole)
    assert 30 == read_all(open_log(tmp_path), partition)


def read_all(log: Log, partition: LogPartition) -> int:
    return sum(1 for segment in log.segments(partition) for _ in log.read(segment))


@pytest.mark.row(18)
def test_a_flipped_bit_is_never_read_as_a_record(tmp_path: Path, faults_seed: int) -> None:
    """200 flipped bits: in the last segment it is collected again, in another it is reported, read never."""
    topic, acked = topic_of(30)
    collect(topic, tmp_path / "whole", 10)
    chance = random.Random(faults_seed)
    log = tmp_path / "log"
    for number in range(200):
        shutil.rmtree(log, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", log)
        of_last = number % 2 == 0
        flipped = segments(log)[-1 if of_last else chance.randrange(2)]
        data = bytearray(flipped.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        flipped.write_bytes(data)
        assert not verify(open_log(log)).ok
        collect(topic, log, 10)
        if of_last:
            assert 30 == compare(log, acked).stored
        else:
            with pytest.raises(NotVerified):
                compare(log, acked)


@pytest.mark.row(18)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_segment_of_another_log_is_not_read_on(tmp_path: Path, place: int) -> None:
    """The same records sealed elsewhere, whole in themselves, do not join this chain, and are not read."""
    topic, _ = topic_of(30)
    for name in ("log", "other"):
        collect(topic, tmp_path / name, 10)
    (partition,) = open_log(tmp_path / "log").partitions()
    for name in ("log", "other"):
        assert 30 == read_all(open_log(tmp_path / name), partition)
    shutil.copy(segments(tmp_path / "other")[place], segments(tmp_path / "log")[place])
    with pytest.raises(NotVerified, match="does not continue the chain"):
        read_all(open_log(tmp_path / "log"), partition)
    assert not verify(open_log(tmp_path / "log")).ok


class Counting(LocalStore):
    """Counts what is asked of it."""

    asked = 0

    def read(self, name: str, length: int | None = None) -> bytes:
        self.asked += 1
        return super().read(name, length)

    def files(self, folder: str, after: str = "") -> list[str]:
        self.asked += 1
        return super().files(folder, after)


class Soak(NamedTuple):
    """What a seal, and finding the log's end, took: seconds (of seals the 99th percentile), and questions."""

    seal_s: float
    find_s: float
    sealing_asked: int
    finding_asked: int


def soak(log: Path, commits: int) -> Soak:
    """Seal so many segments, one after the other."""
    topic, acked = topic_of(commits)
    opened = Log(Counting(log))
    pump = Pump(MemorySource(topic, max_records=1), opened, until_end=True, limits=Limits(rows=1))
    append, took = opened.append, []

    def timed(*arguments):
        began = time.perf_counter()
        try:
            return append(*arguments)
        finally:
            took.append(time.perf_counter() - began)

    opened.append = timed
    while not pump.done:
        pump.turn()
    sealing, (partition,) = opened.store.asked, opened.partitions()
    found = []
    for _ in range(50):
        store = Counting(log)
        began = time.perf_counter()
        assert commits == Log(store).end(partition)
        found.append(time.perf_counter() - began)
    assert commits == compare(log, acked).segments
    p99 = sorted(took)[int(len(took) * 0.99)]
    return Soak(p99, min(found), sealing, store.asked)  # the others waited for neighbours


@pytest.mark.row(21)
def test_sealing_does_not_slow_down(tmp_path: Path) -> None:
    """What 500 seals ask of the store does not grow with their number, nor does what finding the end asks."""
    few, many = soak(tmp_path / "few", FEW // 10), soak(tmp_path / "many", FEW)
    assert (few.sealing_asked, few.finding_asked) == (many.sealing_asked, many.finding_asked)
    assert many.sealing_asked < 10


@pytest.mark.row(21)
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_commits(tmp_path: Path) -> None:
    """10,000 commits: 99 of 100 take less than 250 ms, and the end of the log is found within 100 ms."""
    seal_s, find_s, *_ = soak(tmp_path / "log", MANY)
    print(f"\n10,000 commits: p99 of a seal {seal_s * 1000:.1f} ms, the end found in {find_s * 1000:.1f} ms")
    assert seal_s < 0.25
    assert find_s < 0.1
