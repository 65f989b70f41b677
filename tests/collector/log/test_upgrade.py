"""A log that the first modeltrail wrote (tests/data/log-v1, format 1) goes on under this one."""

import shutil
from pathlib import Path

import fastavro
import msgspec
import pytest
from logs import all_entries

from modeltrail_collector.log import Batch, Head, Log, maintain, open_log, rollup, verify
from modeltrail_collector.model import LOCAL, LogPartition
from modeltrail_collector.pump.files import sealed_so_far

OLD = Path(__file__).resolve().parents[2] / "data" / "log-v1"
EVENTS = LogPartition("events", "6f2f3f4e-0000-4000-8000-000000000001", 2)
ENDS = {
    EVENTS: Head(12, "8f59dcadc3e5a368f746b3256c02160159bf7bc6ffb02fc309dfa051cb1b73d2"),
    LOCAL: Head(2, "6723115fc6c2c79edde9c575dd4d0bc795503fa5cd1b733ef9972644ac3a106b"),
}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    monkeypatch.setattr(rollup, "FEW", 2)
    shutil.copytree(OLD, tmp_path / "lineage")
    return open_log(tmp_path / "lineage")


def metadata(log: Log, name: str) -> dict[str, str]:
    with (Path(log.uri) / name).open("rb") as file:
        found = fastavro.reader(file).metadata
    return {key: value for key, value in found.items() if key.startswith("modeltrail.")}


def test_an_old_log_is_read_and_verified(log: Log) -> None:
    """Nothing has to be done: the same records, gaps, progress and chain ends as then."""
    assert [0, 1, 2, 3, 7, 10, 11] == [found.offset for found in all_entries(log, EVENTS)]
    assert [None, b"\xff"] == [found.value for found in all_entries(log, EVENTS)[3:5]]
    assert [(4, 6)] == [
        (gap.first_offset, gap.next_offset) for found in log.segments(EVENTS) for gap in found.gaps
    ]
    assert {("inbox/a.ndjson", "ab" * 32): 8} == sealed_so_far(log)
    assert ENDS == {partition: log.head(partition) for partition in log.partitions()}
    assert verify(log).ok


def test_new_segments_are_written_as_the_old_ones(log: Log) -> None:
    """A segment is still format 1, with the same header keys, so that an older modeltrail reads it too."""
    entry = msgspec.structs.replace(all_entries(log, EVENTS)[0], offset=12)
    new = log.append(EVENTS, Batch(12, 13, [entry]))
    old = next(log.segments(EVENTS))
    assert metadata(log, old.name).keys() == metadata(log, new.name).keys()
    assert "1" == metadata(log, new.name)["modeltrail.format"]
    assert verify(open_log(log.uri)).ok


def test_an_old_log_is_rolled_up(log: Log) -> None:
    """Old segments become a roll-up and stubs, which are format 2; no record and no progress is lost."""
    before = {partition: all_entries(log, partition) for partition in log.partitions()}
    log.append(LOCAL, Batch(2, 3, []))
    done = {upkeep.topic: upkeep.rolled_up for upkeep in maintain(log)}
    assert {"events": 3, "local": 2} == done
    other = open_log(log.uri)
    assert before == {partition: all_entries(other, partition) for partition in other.partitions()}
    assert {("inbox/a.ndjson", "ab" * 32): 8} == sealed_so_far(other)
    report = verify(other)
    assert report.ok, report.problems
    formats = {
        path.relative_to(log.uri).parts[0]: metadata(log, str(path))["modeltrail.format"]
        for path in sorted(Path(log.uri).rglob("*.avro"), reverse=True)
    }
    assert {"raw": "2", "rolled": "2"} == formats
    other.append(EVENTS, Batch(12, 20, []))
    assert verify(open_log(log.uri)).ok
