"""The verbs of a run, and the events it becomes."""

import asyncio
import datetime as dt
import enum
import json
import math
import threading
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import modeltrail
from modeltrail import guard
from modeltrail.errors import ConfigError
from modeltrail.event import Dataset
from modeltrail.facets import ModelTrailModelDatasetFacet, ModelTrailMonitoringRunFacet
from modeltrail.observe.data import DataView, Fingerprint
from modeltrail.runs.series import CHUNK_POINTS, CHUNK_SECONDS, Series

FRAME = pd.DataFrame({"age": [20.0, 30.0, 40.0, 50.0], "churned": [0, 1, 0, 1]})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("train.csv", "holdout.csv"):
        FRAME.to_csv(tmp_path / name, index=False)
    return tmp_path


def fitted() -> LogisticRegression:
    return LogisticRegression().fit(FRAME[["age"]], FRAME["churned"])


def saved(name: str = "churn.joblib") -> LogisticRegression:
    model = fitted()
    joblib.dump(model, name)
    return model


def last(events: list[dict], name: str) -> dict:
    return next(event for event in reversed(events) if event["job"]["name"] == name)


def facet(event: dict, key: str) -> dict:
    return event["run"]["facets"][key]


def edges(event: dict) -> dict[str, list[str]]:
    return {
        entry["name"]: [source["name"] for source in entry["inputs"]]
        for entry in event["job"]["facets"]["lineage"]["entries"]
    }


def types(events: list[dict]) -> list[str]:
    return [event["eventType"] for event in events]


# --- the story ------------------------------------------------------------


def test_start_says_what_is_known_and_the_last_event_repeats_it(events):
    """START and COMPLETE both carry job type, code state, environment and engine: some consumers keep one."""
    with modeltrail.run("train"):
        pass
    assert ["START", "COMPLETE"] == types(events)
    for event in events:
        assert {"modelTrail_codeState", "modelTrail_environment", "processing_engine"} <= set(
            event["run"]["facets"]
        )
        assert "BATCH" == event["job"]["facets"]["jobType"]["processingType"]
    assert events[0]["run"]["runId"] == events[1]["run"]["runId"]


def test_parent_and_root_stand_in_every_event(events):
    """Each event of a child run names its parent and the root of the tree."""
    with modeltrail.run("a") as a, modeltrail.run("b") as b, modeltrail.run("c") as c:
        c.metric("loss", 1.0, step=1)
    mine = [event for event in events if event["run"]["runId"] == c.run_id]
    assert ["START", "RUNNING", "COMPLETE"] == types(mine)
    for event in mine:
        assert b.run_id == facet(event, "parent")["run"]["runId"]
        assert a.run_id == facet(event, "parent")["root"]["run"]["runId"]


def test_a_training_run_tells_data_parameters_and_model(events, folder):
    """A training run has its data with role and fingerprint, its parameters twice, and its model."""
    with modeltrail.run("train") as run:
        run.input("train.csv", label_column="churned", features=["age"])
        run.params({"C": 0.5})
        run.output_model("churn.joblib", name="churn", of=saved())
    event = events[-1]
    (data,), (model,) = event["inputs"], event["outputs"]
    use = data["inputFacets"]["modelTrail_dataUse"]
    assert ("file", str(folder / "train.csv")) == (data["namespace"], data["name"])
    assert ("train", "full", 4, "churned", ["age"]) == (
        use["role"],
        use["fingerprint"]["scope"],
        use["fingerprint"]["rows"],
        use["labelColumn"],
        use["features"],
    )
    assert ["age", "churned"] == [field["name"] for field in data["facets"]["schema"]["fields"]]
    assert use["fingerprint"]["digest"] == data["facets"]["version"]["datasetVersion"]
    assert ("modeltrail://registry", "models/churn") == (model["namespace"], model["name"])
    assert {"datasetType": "MODEL", "subType": "ML_MODEL"}.items() <= model["facets"]["datasetType"].items()
    artifact = model["outputFacets"]["modelTrail_modelArtifact"]
    assert artifact["digest"] == model["facets"]["version"]["datasetVersion"]
    assert [str(folder / "churn.joblib")] == [
        link["name"] for link in model["facets"]["symlinks"]["identifiers"]
    ]
    assert ["inputs", "outputs"] == [field["name"] for field in model["facets"]["schema"]["fields"]]
    assert "classification" == model["facets"]["modelTrail_model"]["task"]
    assert "sklearn.linear_model.LogisticRegression" == facet(event, "modelTrail_training")["algorithm"]
    assert [("C", "0.5")] == [
        (each["key"], each["value"]) for each in facet(event, "executionParameters")["parameters"]
    ]
    assert "TRAIN" == event["job"]["facets"]["jobType"]["jobType"]


def test_a_frame_brings_a_profile(events):
    """A frame given as input carries the distribution of its columns, so that drift can be measured later."""
    with modeltrail.run("train") as run:
        run.input(FRAME, name="customers")
    use = events[-1]["inputs"][0]["inputFacets"]
    assert {"age", "churned"} == set(use["modelTrail_featureProfile"]["columns"])


def test_a_handle_is_the_same_dataset(events):
    """What `input` returns can be given to `transform` and `evaluate`, and is one dataset."""
    with modeltrail.run("train") as run:
        data = run.input("train.csv", role="validation")
        run.transform("clean", data, "cleaned")
        run.input(data)
    (dataset,) = events[-1]["inputs"]
    assert "validation" == dataset["inputFacets"]["modelTrail_dataUse"]["role"]


@pytest.mark.parametrize(
    ("job_type", "expected"),
    [
        (None, "train"),
        ("TRAIN", "train"),
        ("EVALUATE", "test"),
        ("MONITOR", "inference"),
        ("FEATURE", "other"),
    ],
)
def test_the_role_of_data_follows_the_job(events, job_type, expected):
    """Without a role, data trains in training runs, tests in evaluations, and is `other` in feature jobs."""
    with modeltrail.run("job", job_type=job_type) as run:
        run.input("train.csv")
    assert expected == events[-1]["inputs"][0]["inputFacets"]["modelTrail_dataUse"]["role"]


def test_a_run_that_only_makes_data_trains_nothing(events):
    """Input of an untyped run with outputs and no model has the role `other`."""
    with modeltrail.run("prepare") as run:
        run.input("train.csv")
        run.output("holdout.csv")
    assert "other" == events[-1]["inputs"][0]["inputFacets"]["modelTrail_dataUse"]["role"]
    assert "JOB" == events[-1]["job"]["facets"]["jobType"]["jobType"]


# --- lineage ------------------------------------------------------------


def test_test_data_is_no_source_of_the_model(events, folder):
    """Lineage leads to the model from train and validation data, and not from test data."""
    with modeltrail.run("train") as run:
        run.input("train.csv", role="train")
        run.input("holdout.csv", role="test")
        run.output_model("churn.joblib", name="churn", of=saved())
    assert {"models/churn": [str(folder / "train.csv")]} == edges(events[-1])


def test_start_and_running_make_no_edges(events):
    """Only the last event says lineage, since its entries add up over the events of a run."""
    with modeltrail.run("train") as run:
        run.input("train.csv")
        run.metric("loss", 1, step=0)
        run.output_model("churn.joblib", of=saved())
    assert [False, False, True] == ["lineage" in event["job"]["facets"] for event in events]


def test_steps_lead_from_their_inputs_to_their_outputs(events, folder):
    """Each output of a step comes from the inputs of that step, through what exists only inside the run."""
    with modeltrail.run("prepare") as run:
        raw, other = run.input("train.csv"), run.input("holdout.csv")
        run.transform("clean", raw, "cleaned", params={"drop": "nulls", "password": "hunter2"})
        Path("features.csv").write_text("a\n1\n")
        run.transform("encode", "cleaned", [run.output("features.csv")], library="pandas")
    event = events[-1]
    train, features = str(folder / "train.csv"), str(folder / "features.csv")
    assert {"prepare/cleaned": [train], features: ["prepare/cleaned"]} == edges(event)
    assert {train, other.name} == {each["name"] for each in event["inputs"]}
    clean, encode = facet(event, "modelTrail_featureTransformations")["steps"]
    assert {"drop": "nulls", "password": "[redacted]"} == clean["params"]
    assert [{"step": "clean"}] == encode["inputs"]
    assert 4 == clean["rowsIn"]
    assert ["a"] == encode["outputs"]


def test_a_step_of_frames_tells_rows_and_columns(events):
    """Rows and columns that a step added or removed are seen, where both sides are frames."""
    with modeltrail.run("prepare") as run:
        run.transform("filter", FRAME, FRAME[FRAME.age > 25].drop(columns="churned"))
        run.transform("filter", FRAME, FRAME[FRAME.age > 35])
    first, second = facet(events[-1], "modelTrail_featureTransformations")["steps"]
    assert (4, 3, [], ["churned"]) == (
        first["rowsIn"],
        first["rowsOut"],
        first["columnsAdded"],
        first["columnsRemoved"],
    )
    assert ("filter", "filter-2") == (first["id"], second["id"])


def test_features_of_training_data_lead_to_the_model(events, folder):
    """What steps made of training data inside the run is a source of the model; of test data it is not."""
    with modeltrail.run("train") as run:
        run.transform("scale", run.input("train.csv", role="train"), "scaled")
        run.transform("scale", run.input("holdout.csv", role="test"), "scaled-holdout")
        run.output_model("churn.joblib", name="churn", of=saved())
    assert [str(folder / "train.csv"), "train/scaled"] == edges(events[-1])["models/churn"]


# --- evaluation, registration, deployment ------------------------------------------------------------


def test_an_evaluation_is_a_child_run(events, folder):
    """`evaluate` in a training run is a run of its own, with the model and the test data as inputs."""
    with modeltrail.run("train") as run:
        run.input("train.csv")
        run.output_model("churn.joblib", name="churn", of=saved())
        run.evaluate("churn", "holdout.csv", {"auc": 0.8}, {"sex": {"f": {"auc": 0.7}}})
    child = last(events, "train.evaluate")
    assert ("COMPLETE", "EVALUATE") == (child["eventType"], child["job"]["facets"]["jobType"]["jobType"])
    assert run.run_id == facet(child, "parent")["run"]["runId"]
    data, model = child["inputs"]
    assert "test" == data["inputFacets"]["modelTrail_dataUse"]["role"]
    evaluation = model["inputFacets"]["modelTrail_evaluation"]
    assert "models/churn" == model["name"]
    artifact = events[-1]["outputs"][0]["outputFacets"]["modelTrail_modelArtifact"]
    assert artifact["digest"] == evaluation["modelDigest"]
    assert artifact["digest"].startswith(evaluation["modelVersion"])
    assert [("auc", 0.8, None), ("auc", 0.7, {"sex": "f"})] == [
        (each["name"], each["value"], each.get("slice")) for each in evaluation["metrics"]
    ]
    assert (
        data["inputFacets"]["modelTrail_dataUse"]["fingerprint"]["digest"] == evaluation["dataset"]["digest"]
    )
    assert [str(folder / "train.csv")] == [each["name"] for each in events[-1]["inputs"]]


def test_an_evaluation_before_saving_finds_its_model(events):
    """An object evaluated before it is saved is evaluated as the model that it becomes."""
    model = fitted()
    with modeltrail.run("train") as run:
        run.evaluate(model, FRAME, {"auc": 1})
        assert ["START"] == types(events)
        joblib.dump(model, "churn.joblib")
        run.output_model("churn.joblib", name="churn", of=model)
    assert "models/churn" == last(events, "train.evaluate")["inputs"][1]["name"]
    assert "COMPLETE" == events[-1]["eventType"]
    assert "train" == events[-1]["job"]["name"]


def test_what_was_said_of_an_object_is_told_of_each_file_that_it_is_saved_as(events):
    """Also after the evaluation was sent, once a content, and not of what the object learns then."""
    model = fitted()
    with modeltrail.run("train") as run:
        for name in ("first", "second", "copy", "other"):
            if name == "other":
                run.learns(model)
                model.C = 3.0
            if name != "copy":
                model.note = name
            joblib.dump(model, f"{name}.joblib")
            run.output_model(f"{name}.joblib", of=model)
            if name == "first":
                run.evaluate(model, FRAME, {"auc": 1})
    told = [
        each for each in events if (each["job"]["name"], each["eventType"]) == ("train.evaluate", "COMPLETE")
    ]
    assert ["first.joblib", "second.joblib"] == [Path(each["inputs"][1]["name"]).name for each in told]


def test_slices_by_several_columns_are_pairs(events):
    """Slices may be given as pairs of columns and metrics."""
    with modeltrail.run("train") as run:
        run.output_model(fitted(), name="churn")
        run.evaluate(None, FRAME, {"auc": 1}, [({"sex": "f", "age": "<30"}, {"auc": 0.5})])
    evaluation = last(events, "train.evaluate")["inputs"][1]["inputFacets"]["modelTrail_evaluation"]
    assert {"sex": "f", "age": "<30"} == evaluation["metrics"][1]["slice"]


def test_an_evaluation_of_chosen_rows(events, folder):
    """How rows were chosen is said of the evaluation's data, and the training's stays as it was."""
    with modeltrail.run("train") as run:
        run.input(folder / "train.csv", role="train", split={"fraction": 0.75})
        run.input(Dataset("file", str(folder / "train.csv")), capture="observed")
        joblib.dump(fitted(), folder / "model.joblib")
        run.output_model(folder / "model.joblib", name="churn")
        run.evaluate("churn", folder / "train.csv", {"auc": 0.8}, split={"fraction": 0.25})
    uses = [
        each["inputFacets"]["modelTrail_dataUse"]
        for event in events
        if event["eventType"] == "COMPLETE"
        for each in event["inputs"]
        if each["name"].endswith("train.csv")
    ]
    assert [("test", 0.25), ("train", 0.75)] == [(use["role"], use["split"]["fraction"]) for use in uses]
    assert 1 == len({use["fingerprint"]["digest"] for use in uses})


@pytest.mark.parametrize(("role", "expected"), [("test", {"fraction": 0.75}), ("train", None)])
def test_a_split_belongs_to_a_role(events, folder, role, expected):
    """How rows were chosen to train on is not how they were to test on; of the same use it is known."""
    with modeltrail.run("train") as run:
        data = run.input(folder / "train.csv", role=role, split={"fraction": 0.75})
        run.output_model("churn.joblib", name="churn")
        run.evaluate("churn", data, {"auc": 0.8})
    (evaluation,) = [event for event in events if event["job"]["name"] == "train.evaluate"][-1:]
    (used,) = [each for each in evaluation["inputs"] if each["name"].endswith("train.csv")]
    assert expected == used["inputFacets"]["modelTrail_dataUse"].get("split")


def test_what_was_not_looked_at_again_keeps_its_fingerprint(events):
    """Of data elsewhere a later mention knows no content: what was known of it stays."""
    known = Fingerprint("sha256", "ab" * 32, "full")
    with modeltrail.run("train") as run:
        run.input(DataView("s3://lake", "orders", fingerprint=known, capture="observed"), role="train")
        run.input("s3://lake/orders", capture="observed", label_column="y")
    (used,) = events[-1]["inputs"]
    told = used["inputFacets"]["modelTrail_dataUse"]
    assert ("ab" * 32, "y", "train") == (told["fingerprint"]["digest"], told["labelColumn"], told["role"])


def test_an_evaluation_run_takes_the_evaluation_in(events):
    """In a run of type EVALUATE the first evaluation of a model is that run; a second one is its child."""
    with modeltrail.run("check", job_type="EVALUATE") as run:
        run.evaluate("churn@3", "holdout.csv", {"auc": 0.8})
        run.evaluate("churn@3", "train.csv", {"auc": 0.9})
    assert ["START", "START", "COMPLETE", "COMPLETE"] == types(events)
    own = events[-1]["inputs"][1]
    assert ("models/churn", "3") == (own["name"], own["inputFacets"]["modelTrail_evaluation"]["modelVersion"])


@pytest.mark.parametrize("version", ["3", "1.0.dev", "2026.final"])
def test_a_model_by_its_version_is_no_file(events, folder, version):
    """`name@version` is a model of the registry, also where a folder has its name; a file is a file."""
    (folder / "churn").mkdir()
    with modeltrail.run("check", job_type="EVALUATE") as run:
        run.evaluate(f"churn@{version}", "holdout.csv", {"auc": 0.8})
    own = events[-1]["inputs"][1]
    assert ("models/churn", version) == (
        own["name"],
        own["inputFacets"]["modelTrail_evaluation"]["modelVersion"],
    )


def test_registering_names_the_model(events, folder):
    """A registered model is `models/{name}` with the registry's version; its file is a symlink."""
    with modeltrail.run("train") as run:
        run.input("train.csv")
        run.output_model("churn.joblib", of=saved())
        run.register("churn", version=3, alias="champion", registry="mlflow://host:5000")
    (model,) = events[-1]["outputs"]
    assert ("mlflow://host:5000", "models/churn") == (model["namespace"], model["name"])
    assert "3" == model["facets"]["version"]["datasetVersion"]
    registration = model["facets"]["modelTrail_registration"]
    assert ({"system": "mlflow", "uri": "mlflow://host:5000"}, "3", ["champion"]) == (
        registration["registry"],
        registration["version"],
        registration["aliases"],
    )
    assert str(folder / "churn.joblib") == model["facets"]["symlinks"]["identifiers"][0]["name"]
    assert {"models/churn": [str(folder / "train.csv")]} == edges(events[-1])


def test_an_alias_that_a_version_was_given_before_stays(events):
    """Two aliases that a run gives a version one after the other are both its, and none of another's."""
    with modeltrail.run("train") as run:
        run.output_model("churn.joblib", of=saved())
        for version, alias in ((1, "blue"), (2, "champion"), (2, "green"), (2, None), (2, "champion")):
            run.register("churn", version=version, alias=alias)
    told = [model["facets"]["modelTrail_registration"] for model in events[-1]["outputs"]]
    assert [("1", ["blue"]), ("2", ["champion", "green"])] == [
        (one["version"], one["aliases"]) for one in told
    ]


def test_two_versions_that_a_run_registers_are_both_told(events):
    """Each is an output with its version, bytes and aliases; the name is made of what either learned from."""
    for name in ("a.csv", "b.csv"):
        Path(name).write_text("a,b\n1,2\n")
    with modeltrail.run("train") as run:
        for number, name in enumerate(("a.csv", "b.csv"), 1):
            run.input(name, role="train", of=(model := fitted()))
            joblib.dump((model, number), f"{number}.joblib")
            run.output_model(f"{number}.joblib", of=model)
            run.register("churn", version=number, alias=f"from-{number}")
    first, second = events[-1]["outputs"]
    assert ("1", ["from-1"]) == version_of(first)
    assert ("2", ["from-2"]) == version_of(second)
    digests = [one["outputFacets"]["modelTrail_modelArtifact"]["digest"] for one in (first, second)]
    assert digests[0] != digests[1]
    sources = sorted(Path(name).name for name in edges(events[-1])["models/churn"])
    assert ["a.csv", "b.csv"] == sources


def test_two_known_versions_that_a_run_gives_aliases_are_both_told(events):
    """So are versions that other runs made, with a later alias of one of them."""
    with modeltrail.run("promote") as run:
        for version, alias in ((1, "fallback"), (2, "champion"), (1, "old")):
            run.register("churn", version=version, alias=alias)
    assert [("1", ["fallback", "old"]), ("2", ["champion"])] == [
        version_of(model) for model in events[-1]["outputs"]
    ]


def test_two_versions_of_a_table_that_a_run_reads_are_both_told(events):
    """Each with its own use; a version that is read again is told once, with what is new."""
    with modeltrail.run("train") as run:
        for version, use in (("1", {"role": "train"}), ("2", {"role": "test"}), ("1", {"label_column": "y"})):
            run.input("snowflake://account/db.schema.t", version=version, **use)
    told = [
        (one["facets"]["version"]["datasetVersion"], use["role"], use.get("labelColumn"))
        for one in events[-1]["inputs"]
        for use in [one["inputFacets"]["modelTrail_dataUse"]]
    ]
    assert [("1", "train", "y"), ("2", "test", None)] == sorted(told)


def version_of(model):
    """The version of a registered model in an event, and its aliases."""
    facets = model["facets"]
    assert facets["version"]["datasetVersion"] == facets["modelTrail_registration"]["version"]
    return facets["version"]["datasetVersion"], facets["modelTrail_registration"]["aliases"]


def test_a_model_that_is_registered_under_two_names_has_both(events):
    """Each is an output of the run with its version and aliases, made of what the run trained on."""
    Path("train.csv").write_text("a,b\n1,2\n")
    with modeltrail.run("train") as run:
        run.input("train.csv", role="train")
        run.output_model("churn.joblib", of=saved())
        run.register("churn", version="1", alias="candidate")
        run.register("churn-eu", version="3")
        run.register("churn", version="1", alias="champion")
    told = {
        model["name"]: (
            model["facets"]["version"]["datasetVersion"],
            model["facets"]["modelTrail_registration"].get("aliases"),
        )
        for model in events[-1]["outputs"]
    }
    assert {"models/churn": ("1", ["candidate", "champion"]), "models/churn-eu": ("3", None)} == told
    assert 1 == len(
        {model["outputFacets"]["modelTrail_modelArtifact"]["digest"] for model in events[-1]["outputs"]}
    )
    assert {"models/churn", "models/churn-eu"} == set(edges(events[-1]))


def test_registering_without_a_version_takes_the_digest(events):
    """Without a version the model's short digest is its version."""
    with modeltrail.run("train") as run:
        run.output_model("churn.joblib", of=saved())
        run.register("churn")
    (model,) = events[-1]["outputs"]
    digest = model["outputFacets"]["modelTrail_modelArtifact"]["digest"]
    assert digest[:12] == model["facets"]["modelTrail_registration"]["version"]


def test_registering_in_another_run_points_to_the_file(events):
    """A file registered in a run that did not make it is an output with the digest of the file."""
    saved()
    with modeltrail.run("publish", job_type="JOB") as run:
        run.register("churn", version="4", model="churn.joblib")
    (model,) = events[-1]["outputs"]
    assert ("models/churn", "4") == (model["name"], model["facets"]["version"]["datasetVersion"])
    artifact = model["outputFacets"]["modelTrail_modelArtifact"]
    assert artifact["digest"]
    assert artifact["written"] is False
    assert "JOB" == events[-1]["job"]["facets"]["jobType"]["jobType"]


def test_a_run_that_only_registers_trains_nothing(events, folder):
    """Nothing is inferred of a training from a model that the run found: neither its job's type nor how."""
    saved()
    (folder / "notes.csv").write_text("a\n1\n")
    with modeltrail.run("publish") as run:
        run.input("notes.csv")
        run.register("churn", version="4", model="churn.joblib")
    assert "JOB" == events[-1]["job"]["facets"]["jobType"]["jobType"]
    assert "modelTrail_training" not in events[-1]["run"]["facets"]
    (data,) = events[-1]["inputs"]
    assert "other" == data["inputFacets"]["modelTrail_dataUse"]["role"]
    with modeltrail.run("publish") as run:
        run.training(seeds={"python": 7})
        run.register("churn", version="5", model="churn.joblib")
    assert "TRAIN" == events[-1]["job"]["facets"]["jobType"]["jobType"]
    assert "sklearn" == events[-1]["run"]["facets"]["modelTrail_training"]["framework"]


def test_what_a_run_wrote_is_not_only_registered(events):
    """A file that the run put out, before it is registered or after, and an object, are its own work."""
    model = saved()
    for early in (True, False):
        with modeltrail.run("train") as run:
            if early:
                run.output_model("churn.joblib", of=model)
            run.register("churn", version="4", model="churn.joblib")
            if not early:
                run.output_model("churn.joblib", of=model)
        assert "written" not in events[-1]["outputs"][0]["outputFacets"]["modelTrail_modelArtifact"]
    with modeltrail.run("train") as run:
        run.register("churn", version="5", model=model)
    assert "written" not in events[-1]["outputs"][0]["outputFacets"]["modelTrail_modelArtifact"]


def test_the_model_of_that_name_is_registered(events):
    """Of several models the one that has the name is registered, and not the last one."""
    with modeltrail.run("train") as run:
        run.output_model("a.joblib", name="a", of=saved("a.joblib"))
        run.output_model("b.joblib", name="b", of=saved("b.joblib"))
        run.register("a", version=1)
    assert {"models/a": True, "models/b": False} == {
        model["name"]: "modelTrail_registration" in model["facets"] for model in events[-1]["outputs"]
    }


def test_saving_or_naming_again_is_the_same_model(events):
    """A model seen as an object, as its file and under its name is one output."""
    model = saved()
    with modeltrail.run("train") as run:
        run.output_model(model)
        run.output_model("churn.joblib", of=model)
        run.output_model(model, name="churn")
        run.output_model("churn.joblib")
    (output,) = events[-1]["outputs"]
    assert "models/churn" == output["name"]
    assert "sha256" == output["outputFacets"]["modelTrail_modelArtifact"]["digestAlgorithm"]


def test_a_deployment_is_a_child_run_with_the_endpoint_as_output(events):
    """`deploy` makes a DEPLOY run from the model to the endpoint, which is no output of the training."""
    with modeltrail.run("train") as run:
        run.output_model("churn.joblib", name="churn", of=saved())
        run.register("churn", version=3)
        run.deploy("churn", 3, "sagemaker://eu-west-1/endpoints/churn", traffic_percent=10)
    child = last(events, "train.deploy")
    (model,), (endpoint,) = child["inputs"], child["outputs"]
    assert ("models/churn", "3") == (model["name"], model["facets"]["version"]["datasetVersion"])
    assert ("sagemaker://eu-west-1", "endpoints/churn") == (endpoint["namespace"], endpoint["name"])
    assert "ENDPOINT" == endpoint["facets"]["datasetType"]["subType"]
    assert {"endpoints/churn": ["models/churn"]} == edges(child)
    deployment = facet(child, "modelTrail_deployment")
    assert (10, "update", "production") == (
        deployment["trafficPercent"],
        deployment["action"],
        deployment["environment"],
    )
    assert deployment["model"]["digest"]
    assert ["models/churn"] == [each["name"] for each in events[-1]["outputs"]]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("demo://localhost/endpoints/check", ("demo://localhost", "endpoints/check")),
        ("https://api.example.com/v1/score", ("https://api.example.com", "endpoints/v1/score")),
        ("check", ("local://default", "endpoints/check")),
        ({"platform": "kserve", "host": "k8s", "name": "check"}, ("kserve://k8s", "endpoints/check")),
    ],
)
def test_an_endpoint_has_several_forms(events, target, expected):
    """A target is a URI, a plain name or a mapping; a run of type DEPLOY is the deployment itself."""
    with modeltrail.run("deploy", job_type="DEPLOY") as run:
        run.deploy("churn", "2", target)
    assert ["START", "COMPLETE"] == types(events)
    (endpoint,) = events[-1]["outputs"]
    assert expected == (endpoint["namespace"], endpoint["name"])


def test_a_secret_in_a_target_stays_here(events):
    """Credentials in the URI of an endpoint are not sent."""
    with modeltrail.run("deploy", job_type="DEPLOY") as run:
        run.deploy("churn", "2", "https://me:hunter2@api.example.com/churn?token=abc")
    assert "hunter2" not in json.dumps(events)
    assert "abc" not in json.dumps(events[-1]["outputs"])


# --- values ------------------------------------------------------------


def test_metrics_over_steps_leave_in_chunks(events):
    """1,000 values make a chunk; chunks are numbered and the rest leaves at the end."""
    with modeltrail.run("train") as run:
        for step in range(2500):
            run.metric("loss", 1 / (step + 1), step=step)
    chunks = [facet(event, "modelTrail_metricSeries") for event in events if event["eventType"] == "RUNNING"]
    assert [(0, 1000), (1, 1000), (2, 500)] == [(chunk["seq"], len(chunk["points"])) for chunk in chunks]
    assert list(range(2500)) == [point["step"] for chunk in chunks for point in chunk["points"]]
    assert (2000, 2499) == (chunks[2]["from"], chunks[2]["to"])
    (summary,) = facet(events[-1], "modelTrail_metrics")["metrics"]
    assert 2499 == summary["step"]


def test_a_chunk_leaves_after_some_time():
    """A chunk that is not full leaves with the first value after ten seconds, and with all before it."""
    clock = iter([0.0, 0.0, CHUNK_SECONDS - 1, CHUNK_SECONDS])
    series = Series(lambda: next(clock))
    assert [None, None] == [series.add({"step": step}) for step in range(2)]
    assert [0, 1, 2] == [point["step"] for point in series.add({"step": 2})["points"]]
    assert series.take() is None


def test_no_chunk_is_larger_than_its_schema_allows():
    """A chunk is taken with the point that fills it: one added before it is sent begins the next."""
    series = Series(lambda: 0.0)
    chunks = [series.add({"step": step}) for step in range(CHUNK_POINTS + 1)]
    assert [CHUNK_POINTS] == [len(chunk["points"]) for chunk in chunks if chunk]
    assert [CHUNK_POINTS] == [point["step"] for point in series.take()["points"]]


def test_a_running_event_names_data_and_no_model(events):
    """A RUNNING event names inputs and outputs, and no model, which may still get another name."""
    with modeltrail.run("train") as run:
        run.input("train.csv")
        run.output("holdout.csv")
        run.output_model("churn.joblib", of=saved())
        for step in range(1000):
            run.metric("loss", 1, step=step)
    running = next(event for event in events if event["eventType"] == "RUNNING")
    assert (1, 1) == (len(running["inputs"]), len(running["outputs"]))


def test_the_last_value_of_a_metric_counts(events):
    """A metric recorded again replaces itself, unless split, dataset or slice differ."""
    with modeltrail.run("train") as run:
        run.metric("auc", 0.1)
        run.metric("auc", 0.2)
        run.metric("auc", 0.3, split="test")
        run.metric("auc", math.nan, slice_={"sex": "f"})
    metrics = facet(events[-1], "modelTrail_metrics")["metrics"]
    assert [0.2, 0.3, None] == [each["value"] for each in metrics]
    assert "nan" == metrics[2]["nonFinite"]


def test_secrets_among_parameters_are_named_and_not_sent(events):
    """A parameter that is a secret is listed as redacted; its value is nowhere in the events."""
    with modeltrail.run("train") as run:
        run.params({"db_password": "hunter2", "url": "postgres://me:hunter2@db/x", "C": 1})
    found = facet(events[-1], "modelTrail_hyperparameters")
    assert ["db_password", "url"] == found["redacted"]
    assert "hunter2" not in json.dumps(events)


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value",
    [
        object(),
        lambda: None,
        np.float32("nan"),
        np.arange(10_000),
        {1: {2: {3}}},
        b"bytes",
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        Colour.RED,
        10**5000,
        float("inf"),
        "lone \udce9 surrogate",
        FRAME,
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_value_can_be_a_parameter(events, value):
    """Whatever a parameter's value is, the run's events are valid and the parameter is named in them."""
    with modeltrail.run("train") as run:
        run.params({"odd": value})
    assert "odd" == facet(events[-1], "modelTrail_hyperparameters")["params"][0]["name"]


def test_components_keep_parameters_apart(events):
    """Parameters of one name in two components are two; the later value of one component counts."""
    with modeltrail.run("train") as run:
        run.params({"k": 1}, component="a")
        run.params({"k": 2}, origin="default", component="b")
        run.params({"k": 3}, component="a")
    params = facet(events[-1], "modelTrail_hyperparameters")["params"]
    assert {("a", 3, "explicit"), ("b", 2, "default")} == {
        (each["component"], each["value"], each["origin"]) for each in params
    }


def test_declared_facts_are_marked(events):
    """What people declare goes into its facets, marked as declared."""
    with modeltrail.run("train", description="Weekly churn", tags={"team": "growth"}) as run:
        run.output_model("churn.joblib", name="churn", of=saved())
        run.declare(
            framework="sklearn",
            framework_version="1",
            algorithm="x.Y",
            seeds={"python": 1},
            intended_use="retention offers",
            license="Apache-2.0",
            owner="growth",
        )
        run.tag(week=47)
    event = events[-1]
    training = facet(event, "modelTrail_training")
    assert ("declared", "x.Y", {"python": 1}) == (
        training["capture"],
        training["algorithm"],
        training["seeds"],
    )
    model = event["outputs"][0]["facets"]["modelTrail_model"]
    assert ("retention offers", "Apache-2.0") == (model["card"]["intendedUse"], model["license"])
    assert "Weekly churn" == event["job"]["facets"]["documentation"]["description"]
    assert [("team", "growth"), ("week", "47")] == [
        (tag["key"], tag["value"]) for tag in facet(event, "tags")["tags"]
    ]


def test_what_was_observed_is_not_overruled(events):
    """A declared framework does not replace the observed one."""
    with modeltrail.run("train") as run:
        run.training(framework="sklearn", framework_version="1", algorithm="a.B")
        run.declare(framework="torch", epochs=3)
    training = facet(events[-1], "modelTrail_training")
    assert ("sklearn", 3, "observed") == (training["framework"], training["epochs"], training["capture"])


def test_a_facet_of_runs_can_be_attached(events):
    """`add_facet` puts a facet of runs into the story, and refuses one of datasets."""
    with modeltrail.run("watch", job_type="MONITOR") as run:
        run.add_facet(
            ModelTrailMonitoringRunFacet(
                window={"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
                model={"name": "models/churn"},
                reference_run_id=run.run_id,
            )
        )
        with pytest.raises(ConfigError):
            run.add_facet(ModelTrailModelDatasetFacet(framework="sklearn"))
    assert "modelTrail_monitoring" in events[-1]["run"]["facets"]


def test_observed_steps_join_the_declared_ones(events):
    """Steps that an integration saw stand beside those that were declared."""
    with modeltrail.run("train") as run:
        run.transform("clean", "train.csv", "cleaned")
        run.transformations([{"id": "scaler", "op": "StandardScaler"}])
    steps = facet(events[-1], "modelTrail_featureTransformations")["steps"]
    assert [("clean", "declared"), ("scaler", "observed")] == [
        (step["id"], step["capture"]) for step in steps
    ]


# --- how a run ends ------------------------------------------------------------


class OddError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (ValueError("bad token=abc123secret"), "FAIL", "ValueError: bad token=[redacted]"),
        (OddError(), "FAIL", "OddError"),
        (KeyboardInterrupt(), "ABORT", "KeyboardInterrupt"),
        (asyncio.CancelledError(), "ABORT", "CancelledError"),
        (GeneratorExit(), "ABORT", "GeneratorExit"),
        (SystemExit(0), "COMPLETE", None),
        (SystemExit(None), "COMPLETE", None),
        (SystemExit(3), "FAIL", "exit code 3"),
        (SystemExit("no data"), "FAIL", "exit code 1: no data"),
    ],
    ids=repr,
)
def test_an_exception_decides_how_the_run_ends(events, error, expected, message):
    """An exception leaves the `with` untouched, decides the last event and stands in it without secrets."""
    with pytest.raises(type(error)) as caught, modeltrail.run("train"):
        raise error
    assert caught.value is error
    assert error.__context__ is None
    assert expected == events[-1]["eventType"]
    found = events[-1]["run"]["facets"].get("errorMessage")
    assert message == (found and found["message"])
    assert "abc123secret" not in json.dumps(events)


def test_the_stack_names_the_line_that_failed(events):
    """`errorMessage` holds the stack, down to the line of the host."""
    with pytest.raises(ZeroDivisionError), modeltrail.run("train"):
        1 / 0  # noqa: B018
    assert "1 / 0" in facet(events[-1], "errorMessage")["stackTrace"]


def test_ending_twice_says_so_once(events):
    """A run that is ended twice sends one last event."""
    run = modeltrail.run("train").start()
    run.end()
    run.end(ValueError())
    run.abort("late")
    assert ["START", "COMPLETE"] == types(events)


def test_starting_twice_is_refused(events, caplog):
    """A run is started once; a second `with` on it warns and sends nothing."""
    run = modeltrail.run("train")
    with run:
        pass
    with run:
        pass
    assert ["START", "COMPLETE"] == types(events)
    assert "make a new run" in caplog.text


def test_verbs_after_the_end_warn_once(events, caplog):
    """After the end, verbs record nothing, raise nothing and warn once; `input` still returns a dataset."""
    with modeltrail.run("train") as run:
        pass
    for _ in range(3):
        run.metric("late", 1)
        assert isinstance(run.input("train.csv"), modeltrail.Dataset)
    assert 1 == sum("is not recorded" in record.message for record in caplog.records)
    assert ["START", "COMPLETE"] == types(events)


def test_our_failures_stay_ours(caplog):
    """Without strict, what cannot be recorded is logged and counted, and the run goes on."""
    with (
        modeltrail.testing.captured_events() as events,
        modeltrail.testing.strict(on=False),
        modeltrail.run("train") as run,
    ):
        run.metric("word", "no number")
        run.input("train.csv", nonsense=1)
        run.evaluate(None, 5, "no metrics")
        run.transform("x", object(), object())
        run.deploy("churn", 1, {})
        run.declare(nonsense=1)
        run.register(None)
        run.output_model(None)
        run.input(object())
        run.metric("auc", 1)
    assert {"recording a metric: TypeError", "recording a declaration: ConfigError"} <= set(guard.failures())
    assert ["auc"] == [each["name"] for each in facet(events[-1], "modelTrail_metrics")["metrics"]]
    modeltrail.testing.reset()


def test_the_end_is_told_even_if_the_story_is_not():
    """Should the story of a run fail to be told, its end is told all the same, with the error."""
    with modeltrail.testing.captured_events() as events, modeltrail.testing.strict(on=False):
        run = modeltrail.run("train").start()
        run.facts.inputs["broken"] = None
        run.end(ValueError("mine"))
    assert ("FAIL", "ValueError: mine") == (
        events[-1]["eventType"],
        facet(events[-1], "errorMessage")["message"],
    )
    modeltrail.testing.reset()


def test_a_disabled_run_looks_at_nothing(monkeypatch):
    """With OPENLINEAGE_DISABLED the verbs do nothing, not even look at the data."""
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")

    class Untouchable:
        def __getattr__(self, name):
            raise AssertionError(name)

    with modeltrail.testing.captured_events() as events, modeltrail.run("train") as run:
        assert isinstance(run.input(Untouchable()), modeltrail.Dataset)
        run.params({"a": Untouchable()})
    assert [] == events


def test_verbs_are_safe_in_threads(events):
    """Eight threads that record at the same time lose nothing."""

    def work(number: int) -> None:
        for step in range(200):
            run.metric(f"loss-{number}", step, step=step)
            run.params({f"p{number}-{step}": step})

    with modeltrail.run("train") as run:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    chunks = [facet(event, "modelTrail_metricSeries") for event in events if event["eventType"] == "RUNNING"]
    assert 1600 == sum(len(chunk["points"]) for chunk in chunks)
    assert len(chunks) == len({chunk["seq"] for chunk in chunks})
    assert 1600 == len(facet(events[-1], "modelTrail_hyperparameters")["params"])
