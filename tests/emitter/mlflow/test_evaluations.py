"""What MLflow's runs scored of logged models, on data that is for a test."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from modeltrail.mlflow.backfill import Backfill

FRAME = pd.DataFrame({"tenure": range(40), "churned": [number % 2 for number in range(40)]})


@pytest.fixture
def files(here: Path) -> None:
    FRAME.to_csv("train.csv", index=False)
    FRAME[::2].to_csv("test.csv", index=False)


def score(mlflow: Any, model_id: str) -> None:
    """What `mlflow.models.evaluate` tells a store: its data without a context, its scores with both."""
    held_out = mlflow.data.from_pandas(FRAME[::2], source="test.csv", name="held-out")
    mlflow.log_input(held_out)
    mlflow.log_metrics({"auc": 0.75, "f1": 0.5}, dataset=held_out, model_id=model_id)


def test_data_that_a_model_was_scored_on_is_no_training_data(bridged, told, here, files) -> None:
    """Data of an evaluation is for a test; a run of its own has the model, the data and the scores."""
    with bridged.start_run() as run:
        train = bridged.data.from_pandas(FRAME, source="train.csv", name="train")
        bridged.log_input(train, context="training")
        model = LogisticRegression().fit(FRAME[["tenure"]], FRAME.churned)
        info = bridged.sklearn.log_model(model, name="model", pip_requirements=[])
        bridged.log_metric("training_auc", 0.9, dataset=train, model_id=info.model_id)
        score(bridged, info.model_id)
    end, evaluated = told[-2:]
    roles = {each["name"]: each["inputFacets"]["modelTrail_dataUse"]["role"] for each in end["inputs"]}
    assert {f"{here}/train.csv": "train", f"{here}/test.csv": "test"} == roles
    (edge,) = end["job"]["facets"]["lineage"]["entries"]
    assert [f"{here}/train.csv"] == [each["name"] for each in edge["inputs"]]
    measured = {
        each["name"]: Path(each["dataset"]["name"]).name
        for each in end["run"]["facets"]["modelTrail_metrics"]["metrics"]
    }
    assert {"training_auc": "train.csv", "auc": "test.csv", "f1": "test.csv"} == measured
    assert ("churn.evaluate", "EVALUATE") == (
        evaluated["job"]["name"],
        evaluated["job"]["facets"]["jobType"]["jobType"],
    )
    assert str(uuid.UUID(run.info.run_id)) == evaluated["run"]["facets"]["parent"]["run"]["runId"]
    data, judged = evaluated["inputs"]
    assert (f"{here}/test.csv", f"logged_models/{info.model_id}") == (data["name"], judged["name"])
    said = judged["inputFacets"]["modelTrail_evaluation"]
    assert [("auc", 0.75), ("f1", 0.5)] == sorted((each["name"], each["value"]) for each in said["metrics"])
    assert "declared" == said["capture"]


def split_and_score(mlflow: Any, **named: str) -> None:
    """A model that learned from a part of a file and was scored on the other, and on what it learned from."""
    train, test = (
        mlflow.data.from_pandas(part, source="train.csv", **named) for part in (FRAME[:30], FRAME[30:])
    )
    mlflow.log_input(train, context="training")
    mlflow.log_input(test, context="testing")
    model = LogisticRegression().fit(FRAME[["tenure"]][:30], FRAME.churned[:30])
    info = mlflow.sklearn.log_model(model, name="model", pip_requirements=[])
    mlflow.log_metric("auc", 0.5, dataset=test, model_id=info.model_id)
    mlflow.log_metric("training_auc", 0.9, dataset=train, model_id=info.model_id)


PARTS = pytest.mark.parametrize(
    ("named", "train", "test"),
    [({}, "churn/train", "churn/test"), ({"name": "all"}, "churn/all/train", "churn/all/test")],
)


def told_apart(end: dict[str, Any], evaluated: dict[str, Any], train: str, test: str) -> None:
    """Each part has its own role and rows, the model came of the one, and its scores are on the other."""
    read = {
        each["name"]: (
            each["inputFacets"]["modelTrail_dataUse"]["role"],
            each["inputFacets"]["inputStatistics"]["rowCount"],
        )
        for each in end["inputs"]
        if each["namespace"] == "inmemory://"
    }
    assert {train: ("train", 30), test: ("test", 10)} == read
    (edge,) = end["job"]["facets"]["lineage"]["entries"]
    assert test not in [each["name"] for each in edge["inputs"]]
    measured = {
        each["name"]: each["dataset"]["name"]
        for each in end["run"]["facets"]["modelTrail_metrics"]["metrics"]
    }
    assert {"auc": test, "training_auc": train} == measured
    assert ("churn.evaluate", test) == (evaluated["job"]["name"], evaluated["inputs"][0]["name"])


@PARTS
def test_two_parts_of_one_file_are_told_apart(bridged, told, here, files, *, named, train, test) -> None:
    """What was split of a file is no training data where it was for a test, also under one name."""
    with bridged.start_run():
        split_and_score(bridged, **named)
    told_apart(*told[-2:], train, test)
    assert f"{here}/train.csv" in [each["name"] for each in told[-2]["inputs"]]


@PARTS
def test_an_import_tells_two_parts_of_one_file_apart(
    mlflow, sqlite, told, files, *, named, train, test
) -> None:
    """It reads no file: that both have one place is enough."""
    mlflow.set_tracking_uri(sqlite)
    mlflow.set_experiment("churn")
    with mlflow.start_run():
        split_and_score(mlflow, **named)
    done = Backfill(sqlite)
    list(done.tell_runs(done.found()))
    told_apart(*told[-2:], train, test)


def counted(original: Callable[..., Any], asked: list[str]) -> Callable[..., Any]:
    """What does as the original does, and notes that it was asked."""

    def ask(*args: Any, **kwargs: Any) -> Any:
        asked.append(original.__name__)
        return original(*args, **kwargs)

    return ask


def test_the_models_of_a_run_are_asked_for_once(bridged, told, monkeypatch) -> None:
    """A run that kept a model of each epoch, and scored each, ends with one request for all of them."""
    from mlflow.entities import LoggedModelOutput

    asked: list[str] = []
    store = bridged.MlflowClient()._tracking_client.store
    for name in ("get_logged_model", "search_logged_models"):
        monkeypatch.setattr(store, name, counted(getattr(store, name), asked))
    held_out = bridged.data.from_pandas(FRAME, name="held-out")
    with bridged.start_run():
        bridged.log_input(held_out, context="testing")
        for epoch in range(4):
            model = bridged.initialize_logged_model(name=f"epoch-{epoch}")
            bridged.finalize_logged_model(model.model_id, "READY")
            bridged.log_outputs(models=[LoggedModelOutput(model.model_id, step=epoch)])
            bridged.log_metric("auc", epoch / 4, step=epoch, model_id=model.model_id, dataset=held_out)
        asked.clear()
    assert ["search_logged_models"] == asked
    assert ["churn"] + ["churn.evaluate"] * 4 == [each["job"]["name"] for each in told[-5:]]
    assert 4 == len(told[-5]["outputs"])


def test_a_run_that_only_scores_trains_nothing(bridged, told, here, files) -> None:
    """A run that evaluates a model of another one has its data for a test, and the scores are the model's."""
    from mlflow.entities import LoggedModelInput

    with bridged.start_run():
        info = bridged.sklearn.log_model(LogisticRegression(), name="model", pip_requirements=[])
    with bridged.start_run() as run:
        bridged.MlflowClient().log_inputs(run.info.run_id, models=[LoggedModelInput(info.model_id)])
        score(bridged, info.model_id)
    end, evaluated = told[-2:]
    (used,) = end["inputs"]
    assert "test" == used["inputFacets"]["modelTrail_dataUse"]["role"]
    assert [] == end["outputs"]
    assert f"logged_models/{info.model_id}" == evaluated["inputs"][1]["name"]


def test_an_import_tells_the_same_evaluations(bridged, told, files) -> None:
    """An evaluation has the same id whoever tells of it, so that an import adds nothing to the bridge."""
    from modeltrail.mlflow.backfill import Backfill

    with bridged.start_run() as run:
        info = bridged.sklearn.log_model(LogisticRegression(), name="model", pip_requirements=[])
        score(bridged, info.model_id)
    evaluated = told[-1]
    list(Backfill(bridged.get_tracking_uri()).tell_runs([run.info.run_id]))
    assert evaluated["run"]["runId"] == told[-1]["run"]["runId"]
    assert evaluated["job"]["name"] == told[-1]["job"]["name"]
