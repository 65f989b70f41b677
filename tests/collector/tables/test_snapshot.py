"""Which files a question reads: the statistics of a table's log may leave out files, never rows."""

import itertools
import random
import re
from datetime import UTC, datetime, timedelta

import duckdb
import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from modeltrail_collector import answers
from modeltrail_collector.log import Log, open_log
from modeltrail_collector.tables import store, table_store
from modeltrail_collector.tables.flatten import name_bucket, run_bucket
from modeltrail_collector.tables.schema import TABLES
from modeltrail_collector.tables.snapshot import Near, Snapshot, near_to

STATES = ("COMPLETE", "FAIL", "START")
LONG = "models/" + "a/very/long/path/" * 8
KEYS = [
    *(f"{LONG}{end}" for end in ("", "a", "b", "é", "\U0001f600")),
    *("", "a", "A", "é", "\uffff" * 30, "\U0010ffff" * 30, "\U0001f600" * 40, "it's", "'"),
]


def table_of(folder, files: list[list[str]]) -> store.DeltaTable:
    """A table `mentions` with a file for each list of keys, all in one bucket."""
    tables = store.TableStore(str(folder))
    for keys in files:
        rows = [{"bucket": "d0", "key": key} for key in keys]
        handle = tables.open_or_create("mentions", TABLES["mentions"])
        store.append(handle, pa.Table.from_pylist(rows, TABLES["mentions"]), {})
    found = tables.open("mentions")
    assert found is not None
    return found


def near(table, *keys: str) -> list[str]:
    query = Snapshot("mentions", table).query(Near(frozenset(("d0", key) for key in keys)))
    return sorted(row[0] for row in duckdb.sql(f"SELECT key FROM ({query})").fetchall())


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_row_of_a_key_is_found(tmp_path_factory, data) -> None:
    """Whatever the keys are (long, alike at the beginning, of any characters), each finds its rows.

    And no others, but where one holds a NUL, which SQL cannot write.
    """
    keys = st.one_of(st.sampled_from(KEYS), st.text(st.characters(exclude_categories=["Cs"]), max_size=90))
    files = data.draw(st.lists(st.lists(keys, min_size=1, max_size=6), min_size=1, max_size=5))
    table = table_of(tmp_path_factory.mktemp("tables"), files)
    there = [key for file in files for key in file]
    wanted = data.draw(st.sets(st.one_of(st.sampled_from(there), keys), min_size=1, max_size=4))
    rows = near(table, *wanted)
    kept = [key for key in rows if key in wanted] if any("\0" in key for key in wanted) else rows
    assert sorted(key for key in there if key in wanted) == kept


def test_all_rows_of_many_keys_are_among_those_found(tmp_path) -> None:
    """More keys than a query names one by one find at least their rows."""
    there = [f"k{number:04}" for number in range(1200)]
    table = table_of(tmp_path, [there[:600], there[600:]])
    assert set(there[:700]) <= set(near(table, *there[:700]))


@pytest.mark.parametrize(("key", "files"), [("a1", 1), ("c5", 1), ("b", 0), ("z", 0), ("0", 0)])
def test_files_that_cannot_hold_a_key_are_not_read(tmp_path, key, files) -> None:
    """Of two files with other keys only the one is read between whose ends the key lies."""
    table = table_of(tmp_path, [["a0", "a9"], ["c0", "c9"]])
    query = Snapshot("mentions", table).query(Near(frozenset({("d0", key)})))
    assert files == query.count(".parquet")


def test_a_file_is_asked_for_the_names_of_its_own_bucket(tmp_path) -> None:
    """Of many names none is looked for in the files of another bucket, and each finds its rows."""
    tables = store.TableStore(str(tmp_path))
    keys = [f"k{number}" for number in range(40)]
    rows = [{"bucket": name_bucket(key), "key": key} for key in keys]
    table = tables.open_or_create("mentions", TABLES["mentions"])
    store.append(table, pa.Table.from_pylist(rows, TABLES["mentions"]), {})
    near = near_to("mentions", keys=[*keys[:20], "none"])
    assert near is not None
    query = Snapshot("mentions", tables.open("mentions")).query(near)
    assert sorted(keys[:20]) == sorted(key for (key,) in duckdb.sql(f"SELECT key FROM ({query})").fetchall())
    for part in query.split(" UNION ALL "):
        (bucket,) = set(re.findall("bucket=(d.)", part))
        assert {bucket} == {name_bucket(key) for key in re.findall("'(k[0-9]+)'", part)}


def test_files_that_may_lack_a_value_are_read(tmp_path) -> None:
    """Those with rows that have none, and all of which the table's log does not say it."""
    table = table_of(tmp_path, [["none"]])
    named = [{"bucket": "d0", "key": "named", "run_id": "r"}]
    store.append(table, pa.Table.from_pylist(named, TABLES["mentions"]), {})

    def read() -> list[str]:
        query = Snapshot("mentions", store.TableStore(str(tmp_path)).open("mentions")).lacking("run_id")
        return [key for (key,) in duckdb.sql(f"SELECT key FROM ({query}) ORDER BY key").fetchall()]

    assert ["none"] == read()
    table.alter.set_table_properties({"delta.dataSkippingStatsColumns": "key"})
    assert ["named", "none"] == read()


def runs_of(log: Log, files: int, chance: random.Random) -> None:
    """A table `runs` of so many files of some days each, in which some runs never said that they started."""
    tables = table_store(log)
    for file in range(files):
        rows = []
        for number in range(chance.randrange(1, 6)):
            ended = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(
                days=file // 2, hours=chance.randrange(24), microseconds=chance.randrange(3)
            )
            started = None if chance.random() < 0.3 else ended - timedelta(hours=chance.randrange(40))
            run_id = f"{file}-{number}"
            row = {"bucket": run_bucket(run_id), "run_id": run_id, "state": chance.choice(STATES)}
            rows.append(row | {"started_at": started, "last_event_at": ended})
        handle = tables.open_or_create("runs", TABLES["runs"])
        store.append(handle, pa.Table.from_pylist(rows, TABLES["runs"]), {})


@pytest.mark.parametrize("seed", range(3))
def test_the_newest_runs_are_those_of_all(tmp_path, seed) -> None:
    """The newest few, read part by part, are the first of all runs in order, whichever runs are asked for."""
    log = open_log(tmp_path)
    runs_of(log, 30, random.Random(seed))
    for limit in (1, 3, 20, 500):
        assert answers.runs(log)[:limit] == answers.runs(log, limit=limit)
        assert answers.runs(log, state="FAIL")[:limit] == answers.runs(log, state="FAIL", limit=limit)


def test_the_newest_runs_are_read_first(tmp_path) -> None:
    """The first part is of a few files, and ends with the latest time of all that is left."""
    log = open_log(tmp_path)
    runs_of(log, 30, random.Random(0))
    found = Snapshot("runs", table_store(log).open("runs"))
    parts = list(found.newest_first("started_at", "last_event_at"))
    assert [4, 16] == [part.query.count(".parquet") for part in parts[:2]]
    for before, after in itertools.pairwise(parts):
        (latest,) = duckdb.sql(f"SELECT max(last_event_at) FROM ({after.query})").fetchall()[0]
        assert latest <= before.later
    assert parts[-1].later is None
    assert [] == list(Snapshot("runs", None).newest_first("started_at"))
