"""Models that are loaded by the names that MLflow knows them by."""

from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

import modeltrail


def read_by(event: dict[str, Any]) -> list[tuple[str, str | None, str]]:
    """Name, version and role of the models that an event has as inputs."""
    return [
        (
            each["name"],
            each["facets"].get("version", {}).get("datasetVersion"),
            each["inputFacets"]["modelTrail_dataUse"]["role"],
        )
        for each in event["inputs"]
        if each["facets"].get("datasetType", {}).get("datasetType") == "MODEL"
    ]


@pytest.fixture
def champions(bridged):
    """`churn@1` and `churn@2`; the first is the champion."""
    models = []
    for _ in range(2):
        with bridged.start_run():
            model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
            more = {"registered_model_name": "churn", "pip_requirements": []}
            models.append(bridged.sklearn.log_model(model, name="model", **more))
    bridged.MlflowClient().set_registered_model_alias("churn", "champion", "1")
    return models


def test_the_version_that_an_alias_had_when_it_was_loaded_is_an_input(bridged, champions, told) -> None:
    """Of MLflow's run; once the alias has moved it is another version, and the first run keeps its own."""
    for version in ("1", "2"):
        bridged.MlflowClient().set_registered_model_alias("churn", "champion", version)
        with bridged.start_run():
            bridged.pyfunc.load_model("models:/churn@champion")
        assert [("models/churn", version, "other")] == read_by(told[-1])
    with bridged.start_run():
        bridged.sklearn.load_model("models:/churn/1")
        bridged.models.get_model_info("models:/churn/2")
        bridged.artifacts.download_artifacts("models:/churn/2")
    assert [("models/churn", "1", "other")] == read_by(told[-1])


def test_a_logged_model_that_is_loaded_by_its_id_is_an_input(bridged, champions, told) -> None:
    """It is one that another run made; a run that loads what it made itself has not read it."""
    first, _ = champions
    with bridged.start_run():
        info = bridged.sklearn.log_model(LogisticRegression(), name="model", pip_requirements=[])
        for each in (first, info):
            bridged.sklearn.load_model(each.model_uri)
        bridged.register_model(info.model_uri, "churn")
        bridged.pyfunc.load_model("models:/churn/3")
    assert [(f"logged_models/{first.model_id}", None, "other")] == read_by(told[-1])


def test_a_model_that_is_loaded_by_the_run_that_logged_it_is_an_input(bridged, champions, told) -> None:
    """As `runs:/…` says it; of several that a run logged the one of that name."""
    with bridged.start_run() as made:
        several = [
            bridged.sklearn.log_model(LogisticRegression(C=c), name=name, pip_requirements=[])
            for name, c in (("other", 1.0), ("model", 2.0))
        ]
    for load in (bridged.sklearn.load_model, bridged.pyfunc.load_model):
        with bridged.start_run():
            load(f"runs:/{made.info.run_id}/model")
        assert [(f"logged_models/{several[1].model_id}", None, "other")] == read_by(told[-1])


def test_what_a_run_of_ours_loads_is_its_input(bridged, champions, told) -> None:
    """Where no run of MLflow goes on, of the one that modeltrail began; without either nothing is told."""
    count = len(told)
    bridged.pyfunc.load_model("models:/churn@champion")
    assert count == len(told)
    with modeltrail.run("score"):
        bridged.pyfunc.load_model("models:/churn@champion")
    assert [("models/churn", "1", "other")] == read_by(told[-1])
