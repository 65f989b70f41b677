"""`modeltrail import mlflow`: what a server has, and what the bridge has told already."""

import contextlib
import json
import re
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from modeltrail import transports
from modeltrail.errors import ConfigError
from modeltrail.mlflow.backfill import Backfill

FRAME = pd.DataFrame({"tenure": range(40), "churned": [number % 2 for number in range(40)]})


def train(uri: str) -> str:
    """A parent, a child with a model, two versions of it and an alias; the id of the run that trained."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("churn")
    FRAME.to_csv("churn.csv", index=False)
    with mlflow.start_run(run_name="top"), mlflow.start_run(nested=True) as run:
        mlflow.log_param("C", 0.5)
        mlflow.log_input(mlflow.data.from_pandas(FRAME, source="churn.csv"), context="training")
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


@pytest.fixture
def answers(modeltrail_command, modeltrail_here):
    """What our commands answer to all questions by now."""

    def answers() -> dict[tuple[str, ...], str]:
        modeltrail_command("compact")
        return {question: modeltrail_here(*question).stdout for question in ANSWERS}

    return answers


def in_milliseconds(answer: str) -> object:
    """An answer without what counts or dates its events, and with times as MLflow keeps them."""
    answer = re.sub(r"(T\d\d:\d\d:\d\d\.\d{3})\d+", r"\1", answer)
    return re.sub(r'"(events|\w+_ingested_at)": ?("[^"]*"|\d+)', "", answer)


def test_an_import_leads_to_the_answers_of_the_bridge(
    mlflow, sqlite, as_at_start, here, *, modeltrail_command, modeltrail_here, answers
) -> None:
    """What was never bridged is shown and traced after an import, with its times; again changes nothing."""
    run_id = train(sqlite)
    told = modeltrail_command("import", "mlflow", "--tracking-uri", sqlite, "--json")
    counts = json.loads(told.stdout)
    assert {"tracking_uri": sqlite, "runs": 3, "versions": 2, "events": 9} == counts
    found = answers()
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
    trail = modeltrail_here("trace", "churn@2").stdout
    assert trail.index("churn@2") < trail.index("churn  COMPLETE") < trail.index("churn.csv")
    modeltrail_command("import", "mlflow", MLFLOW_TRACKING_URI=sqlite)
    assert found == answers()
    rows = json.loads(modeltrail_here("sql", "--json", "select duplicate from events").stdout)
    assert [False] * 9 + [True] * 9 == sorted(row["duplicate"] for row in rows)


def test_an_import_contradicts_nothing_that_the_bridge_told(
    sqlite, as_at_start, modeltrail_command, answers
) -> None:
    """After the bridge an import changes no answer: what was observed goes before what is declared."""
    train(f"modeltrail+{sqlite}")
    before = answers()
    assert "observed" in before["show", "churn@1", "--json"]
    modeltrail_command("import", "mlflow", "--tracking-uri", f"modeltrail+{sqlite}")
    after = answers()
    for question in ANSWERS:
        assert in_milliseconds(before[question]) == in_milliseconds(after[question]), question


@pytest.mark.parametrize(
    ("experiments", "since", "runs", "versions"),
    [
        (["other"], None, 1, 0),
        (["churn"], None, 3, 2),
        (["churn", "other"], None, 4, 2),
        ([], datetime(2038, 1, 1, tzinfo=UTC), 0, 0),
        ([], datetime(2020, 1, 1, tzinfo=UTC), 4, 2),
    ],
)
def test_only_what_is_asked_for_is_imported(
    told, two_experiments, experiments, since, *, runs, versions
) -> None:
    """One experiment brings its runs and the versions that they made; a time leaves out what began before."""
    done = Backfill(two_experiments, experiments, since)
    found = done.found()
    assert found == list(done.tell_runs(found))
    done.tell_versions(found)
    assert (runs, versions, len(told)) == (done.runs, done.versions, done.events)
    assert runs == len([event for event in told if event["eventType"] == "START"])


@pytest.fixture(scope="module")
def two_experiments(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> str:
    """A store with the experiments `churn` and `other`."""
    import mlflow

    folder = tmp_path_factory.mktemp("two")
    with contextlib.chdir(folder):
        uri = f"sqlite:///{shutil.copy(empty_store, folder)}"
        train(uri)
        mlflow.set_experiment("other")
        with mlflow.start_run():
            pass
    return uri


def test_a_run_that_goes_on_is_imported_as_such(mlflow, told, sqlite) -> None:
    """A run without an end is told as far as it is, and its end with the next import."""
    client = mlflow.MlflowClient(sqlite)
    run_id = client.create_run("0").info.run_id
    list(Backfill(sqlite).tell_runs([run_id]))
    client.set_terminated(run_id, "KILLED")
    list(Backfill(sqlite).tell_runs([run_id]))
    assert ["START", "RUNNING", "START", "ABORT"] == [event["eventType"] for event in told]
    assert 1 == len({event["run"]["runId"] for event in told})


def test_a_token_of_the_repository_stays_where_it_is(mlflow, told, sqlite) -> None:
    """The remote that MLflow tags a run with is the place of its code, without the token in it."""
    tags = {
        "mlflow.source.git.commit": "a" * 40,
        "mlflow.source.git.repoURL": "https://oauth2:s3cr3t-9@git.example/team/churn.git",
        "mlflow.source.name": "train.py",
    }
    run_id = mlflow.MlflowClient(sqlite).create_run("0", tags=tags).info.run_id
    list(Backfill(sqlite).tell_runs([run_id]))
    assert "s3cr3t-9" not in json.dumps(told)
    place = told[0]["job"]["facets"]["sourceCodeLocation"]
    assert {"https://git.example/team/churn.git"} == {place["url"], place["repoUrl"]}
    assert ("a" * 40, "train.py") == (place["version"], place["path"])


@pytest.mark.parametrize("uri", ["sqlite:///{}/gone/mlflow.db", "file://{}/gone", "{}/gone"])
def test_a_mistyped_store_is_not_made(mlflow, uri, tmp_path) -> None:
    """A database or folder that is not there is an error, where MLflow itself would make an empty one."""
    with pytest.raises(ConfigError, match="MLflow has no store at"):
        Backfill(uri.format(tmp_path))
    assert not (tmp_path / "gone").exists()


def test_what_cannot_be_imported_is_said(mlflow, sqlite, modeltrail_command, tmp_path) -> None:
    """An unknown experiment, a server that is away and a full disk each end with a line and a code."""
    mlflow.MlflowClient(sqlite).create_run("0")
    ask = ("import", "mlflow", "--tracking-uri")
    said = modeltrail_command(*ask, sqlite, "--since", "2038-01-01").stdout
    assert "Imported runs: 0, model versions: 0, events: 0." in said
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
