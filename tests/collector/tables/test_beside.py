"""Several at once: compactors, a collector that appends, readers, upkeep, and two versions of the program."""

import subprocess
import sys
import threading
from datetime import timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from modeltrail_collector import answers, failpoints
from modeltrail_collector.answers.database import database
from modeltrail_collector.log import Batch
from modeltrail_collector.model import LOCAL
from modeltrail_collector.tables import compact, keep_up, rebuild, reduce, schema, store, table_store, upkeep
from modeltrail_collector.tables.schema import TABLES

COMMAND = "from modeltrail.cli import main; main()"


def rows_of(log):
    found = {name: table_store(log).open(name).to_pyarrow_table().to_pylist() for name in TABLES}
    return {name: sorted(map(repr, rows)) for name, rows in found.items()}


def seal_each(log, entries) -> None:
    for entry in entries:
        log.append(LOCAL, Batch(entry.offset, entry.offset + 1, [entry]))


def many(make, runs: int):
    """Runs of two events each, all of one day."""
    events = []
    for number in range(runs):
        at = make.base + timedelta(seconds=number)
        events += [make.run_event(kind, at, make.uuid7(at, number), "j") for kind in ("START", "COMPLETE")]
    return make.entries(events)


def test_who_asks_meanwhile_finds_no_deployment_before_its_version(make, log, seal) -> None:
    """At each step of a compaction `as_of` knows the run that made the version in force, old or new."""
    story = make.story()
    seal(make.entries([*make.train(1, make.base, features="f", strength=1.0), *make.deploy(1, make.base)]))
    compact(log)
    seal(make.entries(story, start=9))
    told = []

    def ask(_: str) -> None:
        (row,) = answers.as_of(log)
        told.append((row["model_version"], row["run"] is not None))

    failpoints.watch(ask)
    try:
        compact(log)
    finally:
        failpoints.watch(None)
    assert {("1", True), ("2", True)} == set(told)


def test_compactors_beside_a_collector_readers_and_upkeep(make, log) -> None:
    """While two watch, one appends and one keeps up, readers see whole segments; at the end all of them."""
    entries = many(make, 30)
    seal_each(log, entries[:10])
    compact(log)
    watch = [sys.executable, "-c", COMMAND, "compact", "--watch", "--interval", "0.1", "--log", log.uri]
    both = [subprocess.Popen(watch, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    appending = threading.Thread(target=seal_each, args=(log, entries[10:]))
    appending.start()
    seen = 0
    while seen < len(entries):
        with database(log, "events") as db:
            offsets = [row["offset"] for row in db.rows('SELECT "offset" FROM events ORDER BY ALL')]
        assert list(range(len(offsets))) == offsets
        assert len(offsets) >= seen
        seen = len(offsets)
        keep_up(log)
    appending.join()
    for process in both:
        process.terminate()
    assert [0, 0] == [process.wait(60) for process in both]
    for process in both:
        process.stdout.close()
        process.stderr.close()
    compact(log)
    found = rows_of(log)
    assert len(entries) == len(found["events"])
    rebuild(log)
    assert found == rows_of(log)


def test_a_reader_goes_on_with_its_version(make, log) -> None:
    """A query over tables that are compacted and vacuumed meanwhile goes on with what it opened."""
    entries = many(make, 10)
    seal_each(log, entries[:4])
    compact(log)
    held = DeltaTable(table_store(log).uri("runs"))
    with database(log, "events", "runs") as db:
        seal_each(log, entries[4:])
        compact(log)
        rebuild(log)
        keep_up(log)
        assert [{"n": 4, "runs": 2}] == db.rows(
            "SELECT count(*) AS n, count(DISTINCT run_id) AS runs FROM events"
        )
        assert [{"n": 2}] == db.rows("SELECT count(*) AS n FROM runs")
    assert 2 == held.to_pyarrow_table().num_rows
    assert 10 == DeltaTable(table_store(log).uri("runs")).to_pyarrow_table().num_rows


def test_upkeep_removes_what_killed_writers_left(make, log, monkeypatch) -> None:
    """A Parquet file that no version of the table knows is removed, once no writer can still be at it."""
    seal_each(log, many(make, 2))
    compact(log)
    table = table_store(log).open("runs")
    (known,) = table.file_uris()
    orphan = known.replace("part-", "part-orphan-")
    pa.OSFile(orphan, "wb").close()
    assert 0 == keep_up(log).removed
    monkeypatch.setattr(upkeep, "_KEEP_HOURS", 0)
    assert keep_up(log).removed > 0
    with pytest.raises(FileNotFoundError):
        pa.OSFile(orphan)


def test_an_older_and_a_newer_version_write_in_turns(make, log, monkeypatch) -> None:
    """Tables gain the columns of the newer version; what the older one writes meanwhile leaves them empty.

    The older one goes on to see the columns that it knows, and no others.
    """
    entries = many(make, 6)
    newer = schema.BY_RUN["runs"]
    older = pa.schema([field for field in newer if field.name != "producer"])
    for start, shape in ((0, older), (4, newer), (8, older)):
        with monkeypatch.context() as patch:
            patch.setitem(schema.DERIVED, "runs", shape)
            patch.setitem(reduce.FROM_FLAT, "runs", shape)
            seal_each(log, entries[start : start + 4])
            compact(log)
    runs = table_store(log).open("runs").to_pyarrow_table().to_pylist()
    assert 6 == len({row["run_id"] for row in runs}) == len(runs)
    assert 2 == len([row for row in runs if row["producer"]])
    rebuild(log)
    runs = table_store(log).open("runs").to_pyarrow_table().to_pylist()
    assert 6 == len([row for row in runs if row["producer"]])
    monkeypatch.setitem(schema.TABLES, "runs", older)
    with database(log) as db:
        found = db.read("runs", "*", runs=[row["run_id"] for row in runs])
    assert 6 * [older.names] == [list(row) for row in found]


def test_two_that_add_a_column_at_once(tmp_path) -> None:
    """Of two writers that add columns to one table at once the second starts again: no row is lost."""
    tables = store.TableStore(str(tmp_path))
    shape = pa.schema([("bucket", pa.string()), ("n", pa.int64())])
    one, two = tables.open_or_create("t", shape), tables.open_or_create("t", shape)
    store.append(one, pa.table({"bucket": ["a"], "n": [1], "first": ["x"]}), {"p": 1})
    second = pa.table({"bucket": ["a"], "n": [2], "second": ["y"]})
    with pytest.raises(store.Outrun):
        store.append(two, second, {"q": 1})
    store.append(tables.open("t"), second, {"q": 1})
    rows = sorted(tables.open("t").to_pyarrow_table().to_pylist(), key=repr)
    assert [(1, "x", None), (2, None, "y")] == sorted((r["n"], r["first"], r["second"]) for r in rows)


def test_unknown_facets_add_no_columns(make, seal, log) -> None:
    """A thousand facets that nobody knows become rows; the columns of every table stay as they are."""
    facets = {f"odd_{number}": {"n": number, f"k{number}": [number]} for number in range(1000)}
    seal(
        make.entries(
            [make.run_event("COMPLETE", make.base, make.uuid7(make.base, 1), "j", run_facets=facets)]
        )
    )
    compact(log)
    for name, shape in TABLES.items():
        fields = [field.name for field in table_store(log).open(name).schema().fields]
        assert sorted(shape.names) == sorted(fields)
    odd = [r for r in table_store(log).open("facets").to_pyarrow_table()["key"].to_pylist() if "odd" in r]
    assert 1000 == len(odd)
