"""What a run of MLflow has of the runs of ours around it and below it."""

import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

import modeltrail
from modeltrail import integrations
from modeltrail.mlflow import models

FRAME = pd.DataFrame({"tenure": range(40), "churned": [number % 2 for number in range(40)]})
FAST: dict[str, Any] = {"pip_requirements": []}


def of(told: list[dict], run: Any) -> dict:
    """The last event of a run of MLflow."""
    run_id = str(uuid.UUID(run.info.run_id))
    return next(each for each in reversed(told) if each["run"]["runId"] == run_id)


def facet(event: dict, name: str) -> dict:
    return event["run"]["facets"][name]


def outputs(event: dict) -> dict[str, dict]:
    return {each["name"]: each for each in event["outputs"]}


@pytest.fixture
def observed():
    """What modeltrail observes of scikit-learn and pandas."""
    modeltrail.autolog("sklearn", "pandas")
    yield
    integrations.deactivate()


@pytest.fixture
def boosted():
    """What modeltrail observes of xgboost and lightgbm."""
    modeltrail.autolog("xgboost", "lightgbm")
    yield
    integrations.deactivate()


def test_a_fit_that_we_observe_belongs_to_the_run_of_mlflow(bridged, told) -> None:
    """What modeltrail's own integrations record while a run of MLflow goes on is below that run."""
    from modeltrail import integrations

    modeltrail.autolog("sklearn")
    try:
        with bridged.start_run() as run:
            LogisticRegression().fit(FRAME[["tenure"]], FRAME.churned)
    finally:
        integrations.deactivate()
    fits = [each for each in told if each["job"]["name"] != "churn"]
    assert fits
    assert {str(uuid.UUID(run.info.run_id))} == {facet(each, "parent")["run"]["runId"] for each in fits}


def test_what_mlflow_logs_is_what_we_saw_fitted(bridged, told, here) -> None:
    """A logged model came of all that our run around it trained on, and what we saw scored is its score."""
    from sklearn.metrics import roc_auc_score

    from modeltrail import integrations

    FRAME[["tenure"]].to_csv("usage.csv")
    FRAME[["churned"]].to_csv("labels.csv")
    modeltrail.autolog("sklearn", "pandas")
    try:
        with modeltrail.run("tr"), bridged.start_run() as run:
            read = pd.read_csv("usage.csv").merge(pd.read_csv("labels.csv"))
            features = read[["tenure"]]
            model = LogisticRegression().fit(features, read.churned)
            info = bridged.sklearn.log_model(model, name="model", serialization_format="cloudpickle")
            roc_auc_score(read.churned, model.predict_proba(features)[:, 1])
    finally:
        integrations.deactivate()
    end = of(told, run)
    files = {f"{here}/usage.csv", f"{here}/labels.csv"}
    uses = {each["name"]: each["inputFacets"]["modelTrail_dataUse"] for each in end["inputs"]}
    assert files == {
        name for name, use in uses.items() if (use["role"], use["capture"]) == ("train", "observed")
    } - {"tr/train"}
    (edge,) = end["job"]["facets"]["lineage"]["entries"]
    assert files <= {each["name"] for each in edge["inputs"]}
    judged = [
        each for each in told if each["job"]["name"] == "tr.evaluate" and each["eventType"] == "COMPLETE"
    ]
    assert [f"logged_models/{info.model_id}"] == [
        each["name"] for event in judged for each in event["inputs"] if "mlflow" in each["namespace"]
    ]


@pytest.mark.parametrize("is_around", [True, False], ids=["around", "below"])
def test_a_model_was_made_as_its_fit_was_seen(bridged, told, observed, *, is_around) -> None:
    """MLflow's run has parameters and algorithm as a run of ours saw them, around it or of the fit alone."""
    outer = modeltrail.run("sweep").start() if is_around else None
    made = {}
    for value in (0.25, 0.5):
        model = LogisticRegression(C=value).fit(FRAME[["tenure"]], FRAME.churned)
        with bridged.start_run() as run:
            bridged.sklearn.log_model(model, name="model", registered_model_name="churn", **FAST)
        made[value] = of(told, run)
    if outer is not None:
        outer.end()
    for value, event in made.items():
        params = facet(event, "modelTrail_hyperparameters")
        assert [("C", value, "explicit")] == [
            (each["name"], each["value"], each["origin"])
            for each in params["params"]
            if each["origin"] == "explicit"
        ]
        assert "observed" == params["capture"]
        training = facet(event, "modelTrail_training")
        assert "sklearn.linear_model.LogisticRegression" == training["algorithm"]
        assert "models" not in training
        (frame,) = event["inputs"]
        assert frame["inputFacets"]["modelTrail_dataUse"]["fingerprint"]["rows"] == len(FRAME)


def test_what_mlflow_was_told_is_not_told_again(bridged, told, observed) -> None:
    """A parameter that MLflow was told stays in its words; what it was not told comes from the fit."""
    with modeltrail.run("train"), bridged.start_run() as run:
        bridged.log_param("C", "half")
        model = LogisticRegression(C=0.5).fit(FRAME[["tenure"]], FRAME.churned)
        bridged.sklearn.log_model(model, name="model", **FAST)
    params = facet(of(told, run), "modelTrail_hyperparameters")
    values = [(each["name"], each["value"]) for each in params["params"] if each["name"] in {"C", "tol"}]
    assert [("C", "half"), ("tol", 0.0001)] == values
    assert "declared" == params["capture"]


def test_a_frame_that_mlflow_names_has_the_content_that_we_saw(bridged, told, observed, here) -> None:
    """A frame that is logged beside its fit is one dataset, under MLflow's name, and its file another."""
    FRAME.to_csv("churn.csv", index=False)
    with modeltrail.run("train"), bridged.start_run() as run:
        part = pd.read_csv("churn.csv").iloc[:30]
        data = bridged.data.from_pandas(part, source="churn.csv", name="customers")
        bridged.log_input(data, context="training")
        bridged.log_metric("loss", 0.5, dataset=data)
        model = LogisticRegression().fit(part[["tenure"]], part.churned)
        bridged.sklearn.log_model(model, name="model", **FAST)
    end = of(told, run)
    used = {each["name"]: each for each in end["inputs"]}
    file = f"{here}/churn.csv"
    assert {file: 40, "churn/customers": 30} == {
        name: each["inputFacets"]["modelTrail_dataUse"]["fingerprint"]["rows"] for name, each in used.items()
    }
    frame = used["churn/customers"]["inputFacets"]["modelTrail_dataUse"]
    assert ("observed", "full", "train") == (
        frame["capture"],
        frame["fingerprint"]["scope"],
        frame["role"],
    )
    assert "MLFLOW" in {each["source"] for each in used["churn/customers"]["facets"]["tags"]["tags"]}
    (edge,) = end["job"]["facets"]["lineage"]["entries"]
    assert used.keys() == {each["name"] for each in edge["inputs"]}


def test_models_of_a_run_each_have_their_own_class(bridged, told) -> None:
    """A model is of the class of the object that was logged, without autologging and beside others too."""
    with bridged.start_run() as run:
        for name, model in (("one", LogisticRegression()), ("two", Ridge())):
            bridged.sklearn.log_model(model, name=name, registered_model_name=name, **FAST)
    classes = {
        name: each["facets"]["modelTrail_model"]["algorithm"].rpartition(".")[2]
        for name, each in outputs(of(told, run)).items()
    }
    assert ["LogisticRegression", "Ridge"] == sorted(classes.values())
    for name, kind in (("one", "LogisticRegression"), ("two", "Ridge")):
        event = next(each for each in told if f"models/{name}" in outputs(each))
        said = outputs(event)[f"models/{name}"]["facets"]["modelTrail_model"]
        assert kind == said.get("algorithm", kind).rpartition(".")[2]


def test_what_mlflow_scores_by_itself_is_told_once(bridged, told, observed) -> None:
    """The scores of `mlflow.autolog()` are metrics of its run; what the program asks for is an evaluation."""
    from sklearn.metrics import brier_score_loss

    bridged.sklearn.autolog(log_models=False, log_datasets=False)
    try:
        with modeltrail.run("train"), bridged.start_run() as run:
            model = LogisticRegression().fit(FRAME[["tenure"]], FRAME.churned)
            brier_score_loss(FRAME.churned, model.predict_proba(FRAME[["tenure"]])[:, 1])
            modeltrail.current_run().output_model(model)
    finally:
        bridged.sklearn.autolog(disable=True)
    measured = {each["name"] for each in facet(of(told, run), "modelTrail_metrics")["metrics"]}
    assert {"training_accuracy_score", "training_log_loss", "training_score"} <= measured
    texts = [str(each) for each in told if each["job"]["name"].startswith("train")]
    assert any("brier_score_loss" in text for text in texts)
    for name in ("accuracy_score", "log_loss", "f1_score"):
        assert not [text for text in texts if f"'{name}" in text]


@pytest.mark.parametrize("is_around", [True, False], ids=["around", "below"])
def test_a_model_that_mlflow_logs_is_told_once(bridged, told, boosted, *, is_around) -> None:
    """The temporary file that MLflow saves a model to, on its way, is no model; a folder of yours is."""
    import lightgbm
    import xgboost

    outer = modeltrail.run("train").start() if is_around else None
    with bridged.start_run() as run:
        model = xgboost.XGBClassifier(n_estimators=2).fit(FRAME[["tenure"]], FRAME.churned)
        data = lightgbm.Dataset(FRAME[["tenure"]], FRAME.churned)
        booster = lightgbm.train({"objective": "binary", "verbose": -1}, data, 2)
        logged = [
            bridged.xgboost.log_model(model, name="x", **FAST),
            bridged.lightgbm.log_model(booster, name="l", **FAST),
        ]
        bridged.xgboost.save_model(model, "own", model_format="json", **FAST)
    if outer is not None:
        outer.end()
    ids = {f"logged_models/{each.model_id}" for each in logged}
    assert ids == outputs(of(told, run)).keys()
    saved = {name for event in told for name in outputs(event)} - ids
    assert [str(Path("own/model.json").absolute())] == [name for name in saved if "/" in name]


def test_a_model_that_no_bridge_tells_of_is_told_where_it_was_saved(mlflow, told, boosted, sqlite) -> None:
    """Without the bridge the temporary file is all that is known of a logged model."""
    import xgboost

    mlflow.set_tracking_uri(sqlite)
    mlflow.set_experiment("churn")
    with modeltrail.run("train"):
        model = xgboost.XGBClassifier(n_estimators=2).fit(FRAME[["tenure"]], FRAME.churned)
        mlflow.xgboost.log_model(model, name="x", model_format="json", **FAST)
    (made,) = told[-1]["outputs"]
    assert "model.json" == Path(made["name"]).name


def _sklearn(mlflow: Any, path: str, **more: Any) -> None:
    mlflow.sklearn.save_model(LogisticRegression(), path, **more, **FAST)


def _xgboost(mlflow: Any, path: str) -> None:
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=1).fit(FRAME[["tenure"]], FRAME.churned)
    mlflow.xgboost.save_model(model, path, model_format="json", **FAST)


@pytest.mark.parametrize(
    ("save", "more", "algorithm", "version"),
    [
        (_sklearn, {}, "sklearn.linear_model.LogisticRegression", "1."),
        (_sklearn, {"serialization_format": "cloudpickle"}, "sklearn.linear_model.LogisticRegression", "1."),
        (_xgboost, {}, "xgboost.XGBClassifier", "3."),
    ],
    ids=["skops", "cloudpickle", "xgboost"],
)
def test_a_saved_model_says_its_class(mlflow, here, save, more, *, algorithm, version) -> None:
    """Of a model that nobody saw the flavor's description or the file says the class; nothing is loaded."""
    save(mlflow, "saved", **more)
    view = models.look(Path("saved").absolute().as_uri(), None, fetch=None)
    assert algorithm == view.algorithm
    assert view.framework_version is not None
    assert view.framework_version.startswith(version)


def test_what_autologging_says_of_the_algorithm_is_kept() -> None:
    """The class that MLflow's autologging names is that of a model of which nothing else is known."""
    view = models.look("s3://models/m-1", "sklearn.svm.SVC", fetch=None)
    assert "sklearn.svm.SVC" == view.algorithm


def test_a_model_that_could_not_be_saved_is_none_of_ours(bridged, told) -> None:
    """A run of ours around the one that failed puts out no model either."""
    with modeltrail.run("train"), pytest.raises(TypeError), bridged.start_run():
        bridged.pyfunc.log_model(name="model", python_model=lambda given: given, pip_requirements=3)
    assert ("train", []) == (told[-1]["job"]["name"], told[-1]["outputs"])
