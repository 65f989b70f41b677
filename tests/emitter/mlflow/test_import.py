"""`modeltrail import mlflow`: what a server has, and what the bridge has told already."""

import json
import re
import uuid
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from modeltrail import transports

FRAME = pd.DataFrame({"tenure": range(40), "churned": [number % 2 for number in range(40)]})


def train(uri: str) -> str:
    """A parent, a child with a model, two versions of it and an alias; the id of the run that trained."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("churn")
    FRAME.to_csv("churn.csv", index=False)
    source = str(Path("churn.csv").absolute())
    with mlflow.start_run(run_name="top"), mlflow.start_run(nested=True) as run:
        mlflow.log_param("C", 0.5)
        mlflow.log_input(mlflow.data.from_pandas(FRAME, source=source), context="training")
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        model = LogisticRegression().fit(FRAME[["tenure"]], FRAME.churned)
        info = mlflow.sklearn.log_model(model, name="model", registered_model_name="churn")
    mlflow.register_model(info.model_uri, "churn")
    mlflow.MlflowClient().set_registered_model_alias("churn", "champion", "2")
    with pytest.raises(ZeroDivisionError), mlflow.start_run():
        1 / 0  # noqa: B018
    transports.close()
    return run.info.run_id


ANSWERS = (
    ("runs", "--json"),
    ("models", "--json"),
    ("show", "churn@1", "--json"),
    ("show", "churn@2", "--json"),
    ("trace", "churn@2", "--json"),
    ("sql", "--json", "from metrics order by all"),
    ("sql", "--json", "select * exclude (happened_at) from run_datasets order by all"),
)


def answers(command) -> dict[tuple[str, ...], str]:
    command("compact")
    return {question: command(*question).stdout for question in ANSWERS}


def in_milliseconds(answer: str) -> object:
    """An answer without what counts or dates its events, and with times as MLflow keeps them."""
    answer = re.sub(r"(T\d\d:\d\d:\d\d\.\d{3})\d+", r"\1", answer)
    return re.sub(r'"(events|\w+_ingested_at)": ?("[^"]*"|\d+)', "", answer)


def test_an_import_leads_to_the_answers_of_the_bridge(sqlite, as_at_start, modeltrail_command, here) -> None:
    """What was never bridged is shown and traced after an import, with its times; again changes nothing."""
    run_id = train(sqlite)
    told = modeltrail_command("import", "mlflow", "--tracking-uri", sqlite, "--json")
    counts = json.loads(told.stdout)
    assert {"tracking_uri": sqlite, "runs": 3, "versions": 2, "events": 9} == counts
    found = answers(modeltrail_command)
    runs = {row["run_id"]: row for row in json.loads(found["runs", "--json"])}
    trained = runs[str(uuid.UUID(run_id))]
    info = mlflow.MlflowClient(sqlite).get_run(run_id).info
    times = [int(pd.Timestamp(trained[key]).timestamp() * 1000) for key in ("started_at", "ended_at")]
    assert [info.start_time, info.end_time] == times
    assert ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL"] == sorted(row["state"] for row in runs.values())
    story = json.loads(found["show", "churn@2", "--json"])
    assert str(uuid.UUID(run_id)) == story["run"]["run_id"]
    assert [("C", "0.5")] == [(row["name"], row["value"]) for row in story["params"]]
    assert ["champion"] == story["model"]["aliases"]
    assert [str(here / "churn.csv")] == [row["name"] for row in story["data"]]
    assert {"declared"} == {row["capture"] for row in story["data"]}
    trail = modeltrail_command("trace", "churn@2").stdout
    assert trail.index("churn@2") < trail.index("churn  COMPLETE") < trail.index("churn.csv")
    modeltrail_command("import", "mlflow", MLFLOW_TRACKING_URI=sqlite)
    assert found == answers(modeltrail_command)
    rows = json.loads(modeltrail_command("sql", "--json", "select duplicate from events").stdout)
    assert [False] * 9 + [True] * 9 == sorted(row["duplicate"] for row in rows)


def test_an_import_contradicts_nothing_that_the_bridge_told(sqlite, as_at_start, modeltrail_command) -> None:
    """After the bridge an import changes no answer: what was observed goes before what is declared."""
    train(f"modeltrail+{sqlite}")
    before = answers(modeltrail_command)
    assert "observed" in before["show", "churn@1", "--json"]
    modeltrail_command("import", "mlflow", "--tracking-uri", f"modeltrail+{sqlite}")
    after = answers(modeltrail_command)
    for question in ANSWERS:
        assert in_milliseconds(before[question]) == in_milliseconds(after[question]), question


def test_only_what_is_asked_for_is_imported(sqlite, as_at_start, modeltrail_command, tmp_path) -> None:
    """One experiment brings its runs and the versions that they made; a time leaves out what began before."""
    train(sqlite)
    mlflow.set_experiment("other")
    with mlflow.start_run(tags={"a": "b"}):
        pass
    ask = ("import", "mlflow", "--tracking-uri", sqlite)
    for more, runs, versions in (
        (("--experiment", "other"), 1, 0),
        (("--experiment", "churn"), 3, 2),
        (("--experiment", "churn", "--experiment", "other"), 4, 2),
        (("--since", "2038-01-01"), 0, 0),
        (("--since", "2020-01-01T12:30:00"), 4, 2),
    ):
        said = modeltrail_command(*ask, *more).stdout
        assert f"Imported {runs} runs and {versions} model versions in " in said


def test_a_run_that_goes_on_is_imported_as_such(sqlite, as_at_start, modeltrail_command) -> None:
    """A run without an end is told as far as it is, and its end with the next import."""
    client = mlflow.MlflowClient(sqlite)
    run_id = client.create_run("0").info.run_id
    states = []
    for _ in range(2):
        modeltrail_command("import", "mlflow", "--tracking-uri", sqlite)
        modeltrail_command("compact")
        (run,) = json.loads(modeltrail_command("runs", "--json").stdout)
        states.append(run["state"])
        client.set_terminated(run_id, "KILLED")
    assert ["RUNNING", "ABORT"] == states


def test_what_cannot_be_imported_is_said(sqlite, modeltrail_command, tmp_path) -> None:
    """An unknown experiment, a server that is away and a full disk each end with a line and a code."""
    mlflow.MlflowClient(sqlite).create_run("0")
    ask = ("import", "mlflow", "--tracking-uri")
    said = modeltrail_command(*ask, sqlite, "--experiment", "nope", expected=2).stderr
    assert "has no experiment nope; it has Default" in said
    said = modeltrail_command(*ask, "http://me:secret@127.0.0.1:9", expected=4).stderr
    assert "MLflow says: API request to" in said
    assert "secret" not in said
    said = modeltrail_command(*ask, sqlite, expected=2, OPENLINEAGE_DISABLED="true").stderr
    assert "disabled" in said
    (tmp_path / "file").write_text("no folder")
    said = modeltrail_command(*ask, sqlite, expected=4, MODELTRAIL_LOG=str(tmp_path / "file")).stderr
    assert "an event was not taken, after 0 that were" in said
