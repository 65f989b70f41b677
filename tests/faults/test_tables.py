"""Rows 19 and 20: two compactors beside collectors that go on sealing, facets that nobody has seen before."""

import signal
from pathlib import Path

import pytest
from faults.bodies import UNWATCHED, Leased, compact_frozen_before_a_commit, compacting
from faults.members import Member, Task
from faults.oracle import event, growth, turn_until, until
from faults.scene import Scene

from modeltrail_collector.log import Log, open_log
from modeltrail_collector.pump import Limits, Pump
from modeltrail_collector.testing import MemorySource, MemoryTopic


@pytest.mark.kafka
@pytest.mark.row(19, 20)
def test_two_compactors_beside_collectors_double_nothing(scene: Scene, task: Task) -> None:
    """Two compact, join and vacuum while new facets are sealed, one is killed: each row is there once."""
    from modeltrail_collector import tables
    from modeltrail_collector.tables.schema import FLAT

    growth(scene.log)
    compactors = [Member(task, compacting), Member(task, compacting)]
    try:
        for _ in range(3):
            growth(scene.log, 300)
        wait_for_commits(scene.log, 3, compactors)
        (Path(scene.log) / UNWATCHED).touch()
        assert -signal.SIGKILL == compactors.pop().end(signal.SIGKILL)
        growth(scene.log, 300)
        wait_for_commits(scene.log, 1, compactors)
    finally:
        for each in compactors:
            each.end(signal.SIGKILL)
    found = scene.finish()
    log = open_log(Path(task.log))
    tables.compact(log)
    store = tables.table_store(log)
    flat = store.open("flat").to_pyarrow_table()
    rejected = store.open("rejected").to_pyarrow_table()
    assert FLAT.names == flat.schema.names
    kept = {tuple(row.values()) for row in flat.select(["partition", "offset"]).to_pylist()}
    refused = {(row["partition"], row["offset"], *map(repr, row.values())) for row in rejected.to_pylist()}
    assert (flat.num_rows, rejected.num_rows) == (len(kept), len(refused))
    assert found.stored == len(kept | {row[:2] for row in refused})


def wait_for_commits(log: str | Path, more: int, compactors: list[Member]) -> None:
    """Wait until those that compact have written so often: else there would be nothing to double."""
    before = commits(log)
    until(
        lambda: commits(log) >= before + more or not all(each.alive for each in compactors),
        "they compact",
        120,
    )
    assert all(each.alive for each in compactors), compactors[0].task.errors.read_text()


def commits(log: str | Path) -> int:
    """How often the table `flat` was written."""
    from modeltrail_collector import tables

    table = tables.table_store(open_log(log)).open("flat")
    return -1 if table is None else table.version()


@pytest.mark.row(19)
def test_a_compactor_that_lost_its_lease_doubles_nothing(tmp_path: Path) -> None:
    """Frozen just before its commit, while another takes over and commits the same rows: its own fails."""
    from modeltrail_collector import tables

    topic, log = MemoryTopic(), Log(Leased(tmp_path / "lineage", 0.5))
    for number in range(12):
        topic.append(0, event(f"job-{number}") if number % 3 else b"%d" % number)
    pump = Pump(MemorySource(topic, max_records=4), log, until_end=True, limits=Limits(rows=4))
    turn_until(pump, lambda: pump.done)
    frozen = Member(Task("", "", log.uri, tmp_path / "errors"), compact_frozen_before_a_commit)
    try:
        until(lambda: frozen.frozen, "it is about to commit", 240)
        assert 12 == tables.compact(log).records
        frozen.thaw()
        assert 0 == frozen.wait(), frozen.task.errors.read_text()
    finally:
        frozen.end(signal.SIGKILL)
    store = tables.table_store(log)
    for name, records in (("flat", 8), ("events", 8), ("rejected", 4)):
        offsets = store.open(name).to_pyarrow_table()["offset"].to_pylist()
        assert records == len(offsets) == len(set(offsets)), name
