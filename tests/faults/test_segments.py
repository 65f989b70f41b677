"""Rows 18 and 21: the collector over segments that are torn or flipped, and over very many of them."""

import random
import shutil
import time
from pathlib import Path

import pytest
from faults.oracle import compare, topic_of

from modeltrail_collector.errors import NotVerified
from modeltrail_collector.log import open_log, verify
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


def soak(log: Path, commits: int) -> tuple[float, float]:
    """Seal so many segments; returns seconds: the 99th percentile of a seal, and to find the log's end."""
    topic, acked = topic_of(commits)
    opened = open_log(log)
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
    (partition,) = opened.partitions()
    found = []
    for _ in range(5):
        began = time.perf_counter()
        assert commits == open_log(log).end(partition)
        found.append(time.perf_counter() - began)
    assert commits == compare(log, acked).segments
    return sorted(took)[int(len(took) * 0.99)], min(found)  # the others waited for neighbours


@pytest.mark.row(21)
def test_sealing_does_not_slow_down(tmp_path: Path) -> None:
    """500 commits: the slow ones, and finding the log's end, take what a loaded machine explains."""
    seal, to_find = soak(tmp_path / "log", FEW)
    assert seal < 2.5
    assert to_find < 1.0


@pytest.mark.row(21)
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_commits(tmp_path: Path) -> None:
    """10,000 commits: 99 of 100 take less than 250 ms, and the end of the log is found within 100 ms."""
    seal, to_find = soak(tmp_path / "log", MANY)
    print(f"\n10,000 commits: p99 of a seal {seal * 1000:.1f} ms, the end found in {to_find * 1000:.1f} ms")
    assert seal < 0.25
    assert to_find < 0.1
