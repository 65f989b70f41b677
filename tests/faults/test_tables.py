"""Rows 19 and 20: two compactors beside collectors that go on sealing, facets that nobody has seen before."""

import signal
from pathlib import Path

import pytest
from faults.members import Member, Task
from faults.oracle import growth
from faults.scene import Scene

from modeltrail_collector.errors import OwnershipLost
from modeltrail_collector.log import open_log

pytestmark = pytest.mark.kafka


def compacting(task: Task) -> None:
    """Compact, join and vacuum again and again, as `modeltrail compact --watch` and `maintain` do."""
    from modeltrail_collector import tables
    from modeltrail_collector.tables import upkeep

    log = open_log(task.log)
    while True:
        try:
            tables.compact(log)
            upkeep.keep_up(log)
        except OwnershipLost:  # the other one's turn
            continue


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
        assert all(each.alive for each in compactors), task.errors.read_text()
        assert -signal.SIGKILL == compactors.pop().end(signal.SIGKILL)
        growth(scene.log, 300)
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
