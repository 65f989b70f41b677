"""docs/log-format.md holds a program that checks a log without any code of ours; here it has to."""

import re
import subprocess
import sys
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from modeltrail_collector.judge import judge
from modeltrail_collector.log import Batch, Log, maintain, open_log
from modeltrail_collector.log.segment import Repair, encode
from modeltrail_collector.model import Entry, Header, LogPartition

PAGE = Path(__file__).resolve().parent.parent / "docs" / "log-format.md"
VALUES = (b'{"job": {"namespace": "n", "name": "\xc3\xa9\\u2028\\n"}}', b"", None, b"\xff\x00 not an event")


def entry(offset: int, value: bytes | None) -> Entry:
    verdict = judge(value)
    return Entry(
        topic="events",
        partition=3,
        offset=offset,
        source=None,
        timestamp_ms=1_700_000_000_000 + offset,
        ingested_at_ms=1_700_000_001_000,
        key=b"\x00key" if offset % 2 else None,
        headers=(Header("trace", None), Header("trace", b"\x01")) if offset == 1 else (),
        value=value,
        verdict=verdict.verdict,
        reasons=verdict.reasons,
        event_kind=verdict.event_kind,
        event_type=verdict.event_type,
        event_time=verdict.event_time,
        run_id=verdict.run_id,
        job_namespace=verdict.job_namespace,
        job_name=verdict.job_name,
        sha256=sha256(value or b"").hexdigest(),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of two segments."""
    log = open_log(str(tmp_path / "log"))
    partition = LogPartition("events", "a-topic-id", 3)
    entries = [entry(offset, value) for offset, value in enumerate(VALUES)]
    log.append(partition, Batch(start=0, end=2, entries=entries[:2]))
    log.append(partition, Batch(start=2, end=7, entries=entries[2:]))
    return tmp_path / "log"


def check(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the page's program on a log."""
    (program,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return subprocess.run(
        [sys.executable, "-c", program, folder], capture_output=True, text=True, check=False, cwd=folder
    )


def test_the_page_checks_a_log(folder: Path) -> None:
    """The program of the page accepts a log and ends at the same link as ours."""
    result = check(folder)
    assert result.returncode == 0, result.stderr
    head = open_log(str(folder)).head(LogPartition("events", "a-topic-id", 3))
    assert result.stdout.split() == ["events", "3", "ends", "at", "7", head.chain_end]


def test_the_page_finds_a_flipped_bit(folder: Path) -> None:
    """The program of the page refuses a log in which one bit of the first segment differs."""
    file = min(folder.rglob("*.avro"))
    data = bytearray(file.read_bytes())
    data[-40] ^= 1
    file.write_bytes(data)
    assert check(folder).returncode != 0


def test_the_page_finds_a_missing_segment(folder: Path) -> None:
    """The program of the page refuses a log whose first segment is gone."""
    min(folder.rglob("*.avro")).unlink()
    assert check(folder).returncode != 0


def test_the_page_follows_a_repair(folder: Path) -> None:
    """The program of the page accepts a repaired segment between its neighbours, and not an edited one."""
    log = open_log(str(folder))
    (first, _) = log.segments(LogPartition("events", "a-topic-id", 3))
    again = [msgspec.structs.replace(entry, ingested_at_ms=1) for entry in log.read(first)]
    told = Repair("a test", first.sha256)
    sealed = (first.partition, Batch(start=0, end=2, entries=again), first.chain_start)
    (folder / first.name).write_bytes(encode(*sealed, repair=told, chain_end=first.chain_end)[1])
    result = check(folder)
    assert result.returncode == 0, result.stderr
    (folder / first.name).write_bytes(encode(*sealed)[1])
    assert check(folder).returncode != 0


@pytest.fixture
def maintained(folder: Path) -> Path:
    """The same log, grown: two roll-ups whose records are gone, two that have them, and one segment."""
    partition = LogPartition("events", "a-topic-id", 3)
    for offset in range(7, 22):
        day = 10 if offset < 9 else 12 if offset < 11 else 300
        log = Log(open_log(str(folder)).store, lambda day=day: (30_000 + day) * 86_400_000)
        log.append(partition, Batch(start=offset, end=offset + 1, entries=[entry(offset, b"{}")]))
    later = Log(log.store, lambda: (30_000 + 320) * 86_400_000)
    (done,) = maintain(later, keep=timedelta(days=30))
    assert ((), 9) == (done.problems, done.removed_before)
    return folder


def test_the_page_checks_roll_ups_and_stubs(maintained: Path) -> None:
    """The program of the page follows the chain through stubs, roll-ups and what retention left."""
    result = check(maintained)
    assert result.returncode == 0, result.stderr
    head = open_log(str(maintained)).head(LogPartition("events", "a-topic-id", 3))
    assert result.stdout.split() == ["events", "3", "ends", "at", "22", head.chain_end]


def test_the_page_finds_what_was_done_to_a_record_of_a_removal(maintained: Path) -> None:
    """The program of the page refuses a removal whose record is gone or differs."""
    (file,) = (maintained / "removals").rglob("*.json")
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b'"removed_by": "', b'"removed_by": "x'))
    assert "no record says that it was removed" in check(maintained).stderr
    file.unlink()
    assert "no record says that it was removed" in check(maintained).stderr


@pytest.mark.parametrize("place", ["raw", "rolled"])
def test_the_page_finds_what_was_done_to_roll_ups(maintained: Path, place: str) -> None:
    """The program of the page refuses a roll-up or a stub that is gone, or in which one bit differs."""
    for file in sorted((maintained / place).rglob("*.avro"))[:-1:6]:
        whole = file.read_bytes()
        file.unlink()
        assert check(maintained).returncode != 0, f"{file} is missing"
        file.write_bytes(whole[:-10] + bytes([whole[-10] ^ 4]) + whole[-9:])
        assert check(maintained).returncode != 0, f"{file} has another bit"
        file.write_bytes(whole)
