"""Tables that are damaged say so, and a rebuild mends them."""

import os
import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable, write_deltalake

from modeltrail_collector.cli import answers as commands
from modeltrail_collector.errors import NotVerified
from modeltrail_collector.log import Batch
from modeltrail_collector.model import LOCAL, Reason
from modeltrail_collector.tables import TableDamaged, compact, rebuild, table_store
from modeltrail_collector.tables.schema import TABLES


def rows_of(log):
    found = {name: table_store(log).open(name).to_pyarrow_table().to_pylist() for name in TABLES}
    return {name: sorted(map(repr, rows)) for name, rows in found.items()}


def garble(folder: Path) -> None:
    for file in (folder / "_delta_log").iterdir():
        file.write_bytes(b"{ not JSON")


def gap(folder: Path) -> None:
    (folder / "_delta_log" / "00000000000000000001.json").unlink()


def without_log(folder: Path) -> None:
    shutil.rmtree(folder / "_delta_log")


def cut_file(folder: Path) -> None:
    for file in folder.rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[:100])


def lost_file(folder: Path) -> None:
    for file in folder.rglob("*.parquet"):
        file.unlink()


@pytest.mark.parametrize(("harm", "name"), [(garble, "flat"), (cut_file, "run_datasets")])
def test_a_rebuild_mends_a_damaged_table(harm, name, make, log) -> None:
    """A table's log or its files are destroyed: compaction says what to do, and a rebuild does it."""
    is_mended(harm, name, make, log)


@pytest.mark.slow
@pytest.mark.parametrize("harm", [garble, gap, without_log, cut_file, lost_file])
@pytest.mark.parametrize("name", ["flat", "run_datasets"])
def test_a_rebuild_mends_any_damage(harm, name, make, log) -> None:
    """The same for every kind of damage."""
    is_mended(harm, name, make, log)


def is_mended(harm, name: str, make, log) -> None:
    late = make.run_event("RUNNING", make.base, make.uuid7(make.base, 101), "j")
    entries = make.entries([*make.story(), late])
    for start in (0, 6, 12):
        some = entries[start : start + 6]
        log.append(LOCAL, Batch(start, start + len(some), some))
        if start == 12:
            harm(Path(log.uri) / "tables" / name)
        if start < 12 or harm is without_log:  # without its log it is no table any more, and is made anew
            compact(log)
        else:
            with pytest.raises(TableDamaged, match=rf"tables/{name} .*modeltrail rebuild"):
                compact(log)
    rebuild(log)
    found = rows_of(log)
    assert 0 == compact(log).buckets
    shutil.rmtree(Path(log.uri) / "tables")
    compact(log)
    assert found == rows_of(log)


def stray(table: DeltaTable) -> None:
    """A row of the table once more, in a part of it where no other lies."""
    row = table.to_pyarrow_table().slice(0, 1)
    (name,) = table.metadata().partition_columns
    field = row.schema.field(name)
    elsewhere = date(1999, 1, 1) if pa.types.is_date(field.type) else "zz"
    place = row.schema.get_field_index(name)
    write_deltalake(table, row.set_column(place, field, pa.array([elsewhere], field.type)), mode="append")


def test_a_rebuild_leaves_no_row_that_the_log_does_not_give(make, log) -> None:
    """A row too many in each table, in a bucket that is nobody else's: after a rebuild all are gone."""
    entries = make.entries(make.story())
    entries.append(make.rejected(len(entries), b"nope", Reason("not_json", "$", "no JSON")))
    log.append(LOCAL, Batch(0, len(entries), entries))
    compact(log)
    found = rows_of(log)
    for name in TABLES:
        stray(table_store(log).open(name))
    assert [1] * len(TABLES) == [len(rows) - len(found[name]) for name, rows in rows_of(log).items()]
    rebuild(log)
    assert found == rows_of(log)


@pytest.mark.parametrize("there", [True, False])
def test_a_rebuild_from_a_damaged_log_blames_the_log(there, make, seal, log) -> None:
    """It names the segment, and not the table, which it leaves as it was."""
    seal(make.entries(make.story()))
    if there:
        compact(log)
    before = rows_of(log) if there else None
    (segment,) = Path(log.uri, "raw").rglob("*.avro")
    segment.chmod(0o644)
    data = bytearray(segment.read_bytes())
    data[-30] ^= 1
    segment.write_bytes(data)
    with pytest.raises(NotVerified, match=segment.name):
        rebuild(log)
    assert before == (rows_of(log) if there else table_store(log).open("flat"))


def test_on_one_processor_a_damaged_log_is_blamed_too(make, seal, log, modeltrail_command) -> None:
    """delta-rs tells of rows that end early in other words there: it is no traceback either."""
    seal(make.entries(make.story()))
    (segment,) = Path(log.uri, "raw").rglob("*.avro")
    segment.chmod(0o644)
    segment.write_bytes(segment.read_bytes()[:-30])
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})  # the command inherits it
    try:
        for _ in range(2):  # without a table, and with what the first left of one
            failed = modeltrail_command("rebuild", "--log", log.uri, expected=1)
            assert segment.name in failed.stderr
            assert "Traceback" not in failed.stderr
    finally:
        os.sched_setaffinity(0, processors)


def test_a_rebuild_that_is_interrupted_ends_so(make, seal, log) -> None:
    """Ctrl-C while rows are written is no damage of a table."""
    seal(make.entries(make.story()))

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(log, on_progress=interrupt)


def test_an_answer_names_the_damaged_table(make, seal, log) -> None:
    """A question whose table is damaged ends with the table's name and what to do, not with a traceback."""
    seal(make.entries(make.story()))
    compact(log)
    cut_file(Path(log.uri) / "tables" / "models")
    result = CliRunner().invoke(commands.models, ["--log", log.uri])
    assert isinstance(result.exception, TableDamaged)
    assert "tables/models" in str(result.exception)
    assert "modeltrail rebuild" in str(result.exception)
