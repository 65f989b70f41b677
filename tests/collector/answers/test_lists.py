"""Questions about many things."""

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.cli import answers as commands
from modeltrail_collector.errors import ConfigError, NotFound
from modeltrail_collector.log import open_log


def test_models_newest_first(churn) -> None:
    """Each version is there once, under its registered name, newest first."""
    rows = answers.models(churn)
    assert [("models/churn", "3"), ("models/churn", "2"), ("models/churn", "1")] == [
        (row["name"], row["version"]) for row in rows
    ]
    assert "2026-03-05T09:05:00.000000Z" == rows[0]["created_at"]
    for most in range(len(rows) + 2):
        assert rows[:most] == answers.models(churn, limit=most)


def test_a_version_that_its_registry_deleted_is_said_to_be(make, log_of) -> None:
    """It is there with the time, and has no alias: by that nothing is found, until a version is given it."""
    at = make.base + timedelta(days=5)
    gone = [
        make.in_registry(3, at, "alias_set", aliases=["champion"]),
        make.in_registry(3, at + timedelta(hours=1), "delete", actor="bob"),
    ]
    log = log_of([*make.story(), *gone])
    deleted = {row["version"]: (row["deleted_at"], row["aliases"] or []) for row in answers.models(log)}
    assert {"3": ("2026-03-07T10:00:00.000000Z", []), "2": (None, []), "1": (None, [])} == deleted
    with pytest.raises(NotFound, match="no version 'champion'"):
        answers.show(log, "churn@champion")
    shown = CliRunner().invoke(commands.models, ["--log", log.uri], catch_exceptions=False).stdout
    table = [line.split("\t") for line in shown.splitlines()]
    assert ["deleted", "2026-03-07 10:00:00", "", ""] == [line[-1] for line in table]
    given = make.in_registry(2, at + timedelta(hours=2), "alias_set", aliases=["champion"])
    assert "2" == answers.show(log_of([*make.story(), *gone, given]), "churn@champion")["model"]["version"]


def test_an_unregistered_model_is_a_model(make, log_of) -> None:
    """A model that nobody registered has its file's name, and its short digest as version."""
    events = make.train(1, make.base, features="f", strength=1.0)
    events[1]["outputs"] = events[1]["outputs"][:1]
    (row,) = answers.models(log_of(events))
    assert (f"{make.data}/models/churn.joblib", make.digest("model 1")[:12]) == (row["name"], row["version"])


def test_of_an_unknown_class_the_library_is_told(make, log_of) -> None:
    """Where nobody said of which class a model is, the library that made it stands beside."""
    events = make.train(1, make.base, features="f", strength=1.0)
    for event in events:
        if (training := event["run"]["facets"].get("modelTrail_training")) is not None:
            training["algorithm"] = "unknown"
    said = CliRunner().invoke(commands.models, ["--log", log_of(events).uri], catch_exceptions=False).stdout
    assert "unknown (scikit-learn)" in said


def test_runs_by_job_state_and_parent(make, log_of) -> None:
    """Runs can be chosen by a part of their job's name, by state and by parent; newest first."""
    parent = {"run": {"runId": "aabb"}, "job": {"namespace": "n", "name": "dag"}}
    events = [
        make.run_event("START", make.base, "1", "dag.train", run_facets={"parent": parent}),
        make.run_event("FAIL", make.base + timedelta(1), "2", "dag.test"),
        make.run_event("COMPLETE", make.base + timedelta(2), "3", "load"),
    ]
    log = log_of(events)
    assert ["3", "2", "1"] == [row["run_id"] for row in answers.runs(log)]
    assert ["2", "1"] == [row["run_id"] for row in answers.runs(log, job="dag")]
    assert ["2"] == [row["run_id"] for row in answers.runs(log, state="fail")]
    assert ["1"] == [row["run_id"] for row in answers.runs(log, parent="aa")]
    assert ["1"] == [row["run_id"] for row in answers.runs(log, parent="bb")]
    assert [] == answers.runs(log, parent="ab")
    assert ["3"] == [row["run_id"] for row in answers.runs(log, limit=1)]
    with pytest.raises(ConfigError, match="RUNNING"):
        answers.runs(log, state="done")


def test_what_never_ended_below_an_ended_run_is_over(make, log_of) -> None:
    """A run without an end is over since the run above it ended; one that ended itself is not asked about."""
    dag = {"run": {"runId": "d"}, "job": {"namespace": "n", "name": "dag"}}
    task = {"run": {"runId": "t"}, "job": {"namespace": "n", "name": "dag.task"}, "root": dag}
    later = [make.base + timedelta(minutes=minute) for minute in range(5)]
    log = log_of(
        [
            make.run_event("START", later[0], "d", "dag"),
            make.run_event("START", later[1], "t", "dag.task", run_facets={"parent": {**dag, "root": dag}}),
            make.run_event("START", later[1], "r", "train", run_facets={"parent": task}),
            make.run_event("COMPLETE", later[2], "e", "load", run_facets={"parent": task}),
            make.run_event("FAIL", later[3], "d", "dag"),
            make.run_event("START", later[4], "x", "other"),
            make.run_event("START", later[4], "y", "later", run_facets={"parent": task}),
        ]
    )
    over = {row["run_id"]: row["over_since"] for row in answers.runs(log)}
    ended = "2026-03-02T09:03:00.000000Z"
    assert {"d": None, "t": ended, "r": ended, "e": None, "x": None, "y": None} == over
    shown = CliRunner().invoke(commands.runs, ["--log", log.uri], catch_exceptions=False).output
    assert {"dag.task", "train"} == {row.split()[0] for row in shown.splitlines() if "never ended" in row}
    assert {row["run_id"]: row["over_since"] for row in answers.runs(log, limit=5)}.items() <= over.items()


def test_rejected_records_are_listed(churn) -> None:
    """A rejected record is listed with its place and each reason."""
    (row,) = answers.rejected_list(churn)
    assert ("local", 0, 12, "not_json", "$", "no JSON") == tuple(
        row[key] for key in ("topic", "partition", "offset", "code", "path", "message")
    )


def test_any_two_versions_can_be_held_against_each_other(churn) -> None:
    """Differences of any two versions, not only of neighbours, are found."""
    found = {
        (row["section"], row["path"]): (row["before"], row["after"])
        for row in answers.changes(churn, "churn@1", "churn@3")
    }
    assert ("1.0", "0.1") == found["parameters", "C"]
    assert "QuantileTransformer() fitted on train" == found["transformations", "scale"][1]
    assert [] == answers.changes(churn, "churn@2", "churn@2")
    with pytest.raises(NotFound):
        answers.changes(churn, "churn@1", "churn@4")


def test_sql_sees_every_table(churn) -> None:
    """A SELECT may join any tables; its values are plain JSON."""
    rows = answers.sql(
        churn,
        """SELECT m.version, p.value AS c, sum(r.events) AS events, max(r.started_at) AS at, NULL AS nothing,
            1.5::DECIMAL(4, 2) AS dec, [1, 2] AS list, {'a': 1} AS object, 'nan'::DOUBLE AS nan,
            DATE '2026-01-02' AS day
        FROM models m JOIN runs r USING (run_id) JOIN params p USING (run_id)
        WHERE m.registered_name = 'churn' AND p.name = 'C' GROUP BY ALL ORDER BY m.version LIMIT 1""",
    )
    assert [{
        "version": "1", "c": "1.0", "events": 2, "at": "2026-03-02T10:00:00.000000Z", "nothing": None,
        "dec": 1.5,        "list": [1, 2], "object": {"a": 1}, "nan": "nan", "day": "2026-01-02",
    }] == json.loads(json.dumps(rows))  # fmt: skip
    for name in (
        "events",
        "rejected",
        "runs",
        "run_datasets",
        "edges",
        "facets",
        "params",
        "metrics",
        "deployments",
        "models",
        "changes",
    ):
        assert answers.sql(churn, f"SELECT count(*) AS n FROM {name}")[0]["n"] > 0


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd') JOIN runs ON true",
        "COPY runs TO '/tmp/somewhere'",
        "ATTACH '/tmp/other.db'",
        "SET lock_configuration = false",
        "DROP VIEW runs",
        "SELECT 1; SELECT 2",
        "SELECT nonsense FROM runs",
        "this is no SQL",
        "",
    ],
)
def test_sql_only_reads_the_tables(churn, query) -> None:
    """What is no single SELECT over the tables is refused with exit code 2 and the reason."""
    with pytest.raises(ConfigError) as refused:
        answers.sql(churn, query)
    assert 2 == refused.value.exit_code


def test_a_log_without_tables_answers_nothing(tmp_path) -> None:
    """Before the first compaction every list is empty and nothing is found."""
    log = open_log(str(tmp_path / "log"))
    assert [] == answers.models(log) == answers.runs(log) == answers.rejected_list(log)
    assert [{"n": 0}] == answers.sql(log, "SELECT count(*) AS n FROM runs")
    with pytest.raises(NotFound, match="holds none yet"):
        answers.show(log, "churn")
