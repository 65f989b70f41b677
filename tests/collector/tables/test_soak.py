"""Hundreds of compactions of one day: their time and what they leave do not grow with their number."""

import os
import statistics
import time
from datetime import timedelta
from pathlib import Path

import pytest

from modeltrail_collector.log import Batch
from modeltrail_collector.model import LOCAL
from modeltrail_collector.tables import compact, store, table_store, upkeep
from modeltrail_collector.tables.schema import TABLES

COMPACTIONS = int(os.environ.get("COMPACTIONS", "400"))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_compactions_stay_quick_and_small(make, log, monkeypatch, capsys) -> None:
    """The last hundred of some hundred compactions take as long as the second, and leave no more files."""
    monkeypatch.setattr(upkeep, "_KEEP_HOURS", 0)
    none = dict.fromkeys(store.PROPERTIES, "interval 0 seconds")
    for name in ("store", "upkeep"):
        monkeypatch.setattr(f"modeltrail_collector.tables.{name}.PROPERTIES", none)
    seconds, files, commits = [], [], []
    for number in range(COMPACTIONS):
        at = make.base + timedelta(seconds=number)
        kinds = ("START", "COMPLETE")
        events = [make.run_event(kind, at, make.uuid7(at, number), "j") for kind in kinds]
        log.append(LOCAL, Batch(2 * number, 2 * number + 2, make.entries(events, start=2 * number)))
        began = time.perf_counter()
        compact(log)
        seconds.append(time.perf_counter() - began)
        if number % 100 == 99:
            files.append(len(list((Path(log.uri) / "tables").rglob("*.parquet"))))
            commits.append(len(list((Path(log.uri) / "tables").rglob("_delta_log/*"))))
    medians = [statistics.median(seconds[n : n + 100]) for n in range(0, COMPACTIONS, 100)]
    with capsys.disabled():
        print(f"\nseconds per compaction, by hundreds: {[round(one, 3) for one in medians]}")
        print(f"files {files}, of which in the Delta logs of {len(TABLES)} tables {commits}")
    assert medians[-1] < 2 * medians[1]
    assert files[-1] < 2 * files[1]
    assert commits[-1] < 2 * commits[1]
    rows = table_store(log).open("events").to_pyarrow_table()
    assert 2 * COMPACTIONS == rows.num_rows == len(set(rows["offset"].to_pylist()))
