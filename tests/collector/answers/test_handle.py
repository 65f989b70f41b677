"""The open handle on a log: `modeltrail_collector.open`."""

from datetime import timedelta

import pyarrow as pa
import pytest

import modeltrail_collector
from modeltrail_collector import answers
from modeltrail_collector.answers.database import opened
from modeltrail_collector.errors import ConfigError
from modeltrail_collector.log import Batch, open_log
from modeltrail_collector.model import LOCAL
from modeltrail_collector.tables import PUBLIC, compact, rebuild


@pytest.mark.parametrize("name", PUBLIC)
def test_every_table_is_a_relation(churn, name) -> None:
    """Each public table comes as Arrow, pandas and polars, with the columns of its schema."""
    with modeltrail_collector.open(churn.uri) as log:
        table = log.table(name)
        assert isinstance(table.arrow(), pa.RecordBatchReader)
        assert PUBLIC[name].names == table.to_arrow_table().column_names == list(table.df().columns)
        assert len(table) == len(table.pl()) > 0


def test_sql_gives_a_relation(churn) -> None:
    """One SELECT over any tables is a relation too."""
    with modeltrail_collector.open(churn.uri) as log:
        found = log.sql("SELECT m.version, r.state FROM models m JOIN runs r USING (run_id) ORDER BY ALL")
        assert ["version", "state"] == found.columns
        assert ("1", "COMPLETE") == found.fetchall()[0]
        assert 6 == len(found.pl()) == found.to_arrow_table().num_rows


@pytest.mark.parametrize(
    "query",
    [
        "DROP VIEW runs",
        "CREATE TABLE t AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_text('/etc/hostname')",
        "SET lock_configuration = false",
        "FROM nowhere",
    ],
)
def test_a_handle_only_reads(churn, query) -> None:
    """Nothing is written and nothing outside the tables is read, however often one asks."""
    with modeltrail_collector.open(churn.uri) as log:
        for _ in range(2):
            with pytest.raises(ConfigError):
                log.sql(query)
        assert 3 == len(
            answers.sql(log, "SELECT DISTINCT version FROM models WHERE registered_name = 'churn'")
        )
    with pytest.raises(ConfigError, match="there are events"):
        modeltrail_collector.open(churn.uri).table("people")


def test_the_questions_take_the_handle(churn) -> None:
    """A question answers the same of a handle as of a log, in any order and again."""
    with modeltrail_collector.open(churn.uri) as log:
        for _ in range(2):
            for ask in (
                answers.models,
                answers.runs,
                answers.rejected_list,
                lambda of: answers.show(of, "churn@2"),
                lambda of: answers.trace(of, "churn@3"),
                lambda of: answers.changes(of, "churn@1", "churn@2"),
                lambda of: answers.sql(of, "SELECT * FROM params ORDER BY ALL"),
            ):
                assert ask(churn) == ask(log)


@pytest.mark.parametrize("made", ["nothing", "empty", "hidden", "relayed"])
def test_a_handle_may_be_there_before_the_log(tmp_path, made) -> None:
    """Where no log is yet, a handle holds nothing: no folder, an empty one, one of a relay alone."""
    folder = tmp_path / "log"
    for name in {"nothing": (), "empty": (".",), "hidden": (".cache",), "relayed": ("relay",)}[made]:
        (folder / name).mkdir(parents=True)
    with modeltrail_collector.open(folder) as handle:
        assert [] == answers.runs(handle)


def test_a_folder_that_is_no_log_is_told(tmp_path) -> None:
    """A handle on a folder of something else, or on a file, is a mistake, and no log that holds nothing."""
    for name in ("a.py", "b.py", "c.py", "d.py"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=r"is no log: it is a folder with a\.py, b\.py, c\.py, … in it"):
        modeltrail_collector.open(tmp_path)
    with pytest.raises(ConfigError, match="is no log: it is a file"):
        modeltrail_collector.open(tmp_path / "a.py")


def test_a_handle_follows_the_tables(make, tmp_path) -> None:
    """What is compacted, or rebuilt, while a handle is open is in its next answer; held tables too."""
    log = open_log(str(tmp_path / "log"))
    with modeltrail_collector.open(log.uri) as handle:
        assert [] == answers.runs(handle)
        for number in range(1, 4):
            entries = make.entries(
                make.train(number, make.base + timedelta(number), features="f", strength=1.0),
                start=2 * (number - 1),
            )
            log.append(LOCAL, Batch(entries[0].offset, entries[-1].offset + 1, entries))
            compact(log)
            assert number == len(answers.runs(handle)) == len(handle.table("runs"))
            assert str(number) == answers.show(handle, "churn")["model"]["version"]
        rebuild(log)
        assert 3 == len(answers.runs(handle))


def test_what_is_kept_follows_the_tables(make, tmp_path) -> None:
    """All names and all versions are kept in memory from the second question on, until there are others."""

    def kept() -> set[str]:
        tables = handle.connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return {"named_kept", "versions_kept"} & {name for (name,) in tables}

    log = open_log(str(tmp_path / "log"))
    with modeltrail_collector.open(log.uri) as handle:
        for number in range(1, 4):
            at = make.base + timedelta(number)
            written = make.run_event(
                "COMPLETE", at, make.uuid7(at, 50), "write", outputs=[make.dataset(f"/lake/{number}/part")]
            )
            events = [*make.train(number, at, features="f", strength=1.0), written]
            entries = make.entries(events, start=len(events) * (number - 1))
            log.append(LOCAL, Batch(entries[0].offset, entries[-1].offset + 1, entries))
            compact(log)
            for expected in (set(), {"named_kept", "versions_kept"}):
                assert f"/lake/{number}/part" == answers.trace(handle, f"{number}/part")["name"]
                assert expected == kept()
            assert str(number) in {row["version"] for row in answers.models(handle, limit=2)}


def test_a_question_sees_one_version_of_a_table(make, tmp_path) -> None:
    """What is compacted while a question is answered is in the next answer, and not in half of this one."""
    log = open_log(str(tmp_path / "log"))

    def run(number: int) -> None:
        events = make.train(number, make.base + timedelta(number), features="f", strength=1.0)
        entries = make.entries(events, start=2 * (number - 1))
        log.append(LOCAL, Batch(entries[0].offset, entries[-1].offset + 1, entries))
        compact(log)

    run(1)
    with modeltrail_collector.open(log.uri) as handle:
        with opened(handle) as db:
            assert 1 == len(answers.runs(db))
            run(2)
            assert 1 == len(answers.runs(db))
        assert 2 == len(answers.runs(handle))
