"""What a run of MLflow tells while it goes on."""

import asyncio
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import modeltrail
from modeltrail import settings
from modeltrail.mlflow import tracking

FRAME = pd.DataFrame({"tenure": range(40), "churned": [number % 2 for number in range(40)]})


def of(told: list[dict], run: Any, kind: str = "COMPLETE") -> dict:
    """The event of a kind about a run of MLflow."""
    run_id = str(uuid.UUID(run.info.run_id))
    (found,) = [each for each in told if each["run"]["runId"] == run_id and each["eventType"] == kind]
    return found


def facet(event: dict, name: str) -> dict:
    return event["run"]["facets"][name]


def test_a_run_is_told_from_start_to_end(bridged, told) -> None:
    """A run of MLflow is a run of the job that its experiment names, with its own id, times and tags."""
    with bridged.start_run(run_name="first", tags={"team": "growth"}) as run:
        assert ["START"] == [each["eventType"] for each in told]
    assert run.info.run_id not in tracking._open, "what is over is forgotten"
    start, end = of(told, run, "START"), of(told, run)
    assert [("default", "churn")] * 2 == [(each["job"]["namespace"], each["job"]["name"]) for each in told]
    record = bridged.get_run(run.info.run_id).info
    for event, milliseconds in ((start, record.start_time), (end, record.end_time)):
        at = pd.Timestamp(event["eventTime"])
        assert milliseconds == int(at.timestamp() * 1000)
        assert 999 == at.microsecond % 1000
    tags = {each["key"]: each["value"] for each in facet(end, "tags")["tags"]}
    assert {
        "team": "growth",
        "mlflow.runName": "first",
        "mlflow.runId": run.info.run_id,
    }.items() <= tags.items()
    assert {"modelTrail_environment", "modelTrail_codeState", "processing_engine"} <= facet_names(start)
    assert facet_names(start) <= facet_names(end)


def facet_names(event: dict) -> set[str]:
    return set(event["run"]["facets"])


def test_parameters_and_metrics_are_what_mlflow_was_told(bridged, told) -> None:
    """Parameters keep MLflow's text, metrics their last value, step and time, and NaN survives: declared."""
    with bridged.start_run() as run:
        bridged.log_params({"C": 0.5, "missing": float("nan"), "db_password": "hunter2"})
        bridged.log_metrics({"auc": 0.5, "loss": float("nan")}, step=3)
        bridged.log_metric("auc", 0.75, step=4)
    end = of(told, run)
    params = facet(end, "modelTrail_hyperparameters")
    assert {"C": "0.5", "missing": "nan", "db_password": "[redacted]"} == {
        each["name"]: each["value"] for each in params["params"]
    }
    metrics = facet(end, "modelTrail_metrics")
    assert {("auc", 0.75, 4, None), ("loss", None, 3, "nan")} == {
        (each["name"], each["value"], each["step"], each.get("nonFinite")) for each in metrics["metrics"]
    }
    assert ["declared"] * 2 == [params["capture"], metrics["capture"]]
    assert "hunter2" not in json.dumps(told)


def test_values_over_steps_leave_in_chunks(bridged, told) -> None:
    """Values are held back and sent a thousand at a time; the rest goes before the last event."""
    from mlflow.entities import Metric

    with bridged.start_run() as run:
        for first in (0, 600):
            values = [Metric("loss", 1 / (step + 1), 5, step) for step in range(first, first + 600)]
            bridged.MlflowClient().log_batch(run.info.run_id, values)
    kinds = [each["eventType"] for each in told]
    assert ["START", "RUNNING", "RUNNING", "COMPLETE"] == kinds
    chunks = [facet(each, "modelTrail_metricSeries") for each in told if each["eventType"] == "RUNNING"]
    assert [1000, 200] == [len(each["points"]) for each in chunks]
    assert list(range(1200)) == [point["step"] for each in chunks for point in each["points"]]
    assert 2 == len({each["seq"] for each in chunks})
    assert [told[-1]["eventTime"]] == [told[-2]["eventTime"]]


def test_values_that_are_logged_asynchronously_are_told_too(bridged, told) -> None:
    """What MLflow logs in threads of its own is told as what it logs at once."""
    with bridged.start_run():
        for step in range(5):
            bridged.log_metric("loss", step, step=step, synchronous=False)
        bridged.flush_async_logging()
    points = [
        point["step"]
        for each in told
        if each["eventType"] == "RUNNING"
        for point in facet(each, "modelTrail_metricSeries")["points"]
    ]
    assert list(range(5)) == sorted(points)


SOURCES = (
    ("s3", {"uri": "s3://lake/churn/orders.parquet"}, ("s3://lake", "churn/orders.parquet"), None),
    ("http", {"url": "https://me:pw@data.example/o.csv?t=1"}, ("https://data.example", "/o.csv"), None),
    (
        "hugging_face",
        {"path": "org/set", "revision": "abc"},
        ("hf://huggingface.co", "datasets/org/set"),
        "abc",
    ),
    (
        "delta_table",
        {"delta_table_name": "main.crm.orders", "delta_table_version": 7, "is_databricks_uc_table": True},
        ("unitycatalog", "main.crm.orders"),
        "7",
    ),
    ("spark", {"table_name": "crm.orders"}, ("spark", "crm.orders"), None),
    ("spark", {"path": "hdfs://n:8020/orders"}, ("hdfs://n:8020", "/orders"), None),
    ("code", {"tags": {}}, ("inmemory://", "churn/orders"), None),
    ("local", "no JSON", ("inmemory://", "churn/orders"), None),
)


@pytest.mark.parametrize(("kind", "source", "place", "version"), SOURCES)
def test_a_dataset_is_called_by_its_place(kind, source, place, version) -> None:
    """The source of a dataset is its OpenLineage name; without one the job's name for it is inferred."""
    found = dataset_input(kind, source if isinstance(source, str) else json.dumps(source))
    assert place == found.dataset.identity
    assert version == found.dataset.facets.get("version", {}).get("datasetVersion")
    assert ("inferred" if place[0] == "inmemory://" else "declared") == found.capture
    assert {"algorithm": "none", "digest": "", "scope": "none", "rows": 12} == found.fingerprint
    tags = {each["key"]: each["value"] for each in found.dataset.facets["tags"]["tags"]}
    assert "0123abcd" == tags["mlflow.digest"]


def dataset_input(kind: str, source: str, context: str = "training") -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    from modeltrail.mlflow import datasets

    schema = '{"mlflow_colspec": [{"type": "long", "name": "tenure"}]}'
    told = Dataset("orders", "0123abcd", kind, source, schema, '{"num_rows": 12}')
    tags = [InputTag("mlflow.data.context", context)] if context else []
    return datasets.of(DatasetInput(told, tags), "churn", "2026-01-01T00:00:00Z", here=True)


@pytest.mark.parametrize(
    ("context", "role"),
    [
        ("training", "train"),
        ("Validation", "validation"),
        ("eval", "test"),
        ("chocolate", "other"),
        ("", None),
    ],
)
def test_a_context_is_a_role(context, role) -> None:
    """MLflow's context says what data is for; of a word that it does not know nothing is guessed."""
    assert role == dataset_input("s3", '{"uri": "s3://lake/x"}', context).role


def test_a_file_is_seen_when_it_is_logged(bridged, told, here) -> None:
    """A file of this machine has the fingerprint that it had when MLflow was told of it."""
    FRAME.to_csv("churn.csv", index=False)
    with bridged.start_run() as run:
        bridged.log_input(bridged.data.from_pandas(FRAME, source="churn.csv"), context="training")
        Path("churn.csv").write_text("gone")
    (used,) = of(told, run)["inputs"]
    use = used["inputFacets"]["modelTrail_dataUse"]
    assert ("file", f"{here}/churn.csv") == (used["namespace"], used["name"])
    assert ("train", "observed", "sha256", "full") == (
        use["role"],
        use["capture"],
        use["fingerprint"]["algorithm"],
        use["fingerprint"]["scope"],
    )
    FRAME.to_csv("again.csv", index=False)
    assert use["fingerprint"]["digest"] == modeltrail_digest(here / "again.csv")
    assert ["tenure", "churned"] == [each["name"] for each in used["facets"]["schema"]["fields"]]


def test_data_of_two_contexts_is_what_the_model_learned_from(bridged, told, here) -> None:
    """A file that is logged for training and for validation was trained on, whichever came last."""
    FRAME.to_csv("churn.csv", index=False)
    with bridged.start_run() as run:
        for context in ("training", "validation"):
            bridged.log_input(bridged.data.from_pandas(FRAME, source="churn.csv"), context=context)
    (used,) = of(told, run)["inputs"]
    use = used["inputFacets"]["modelTrail_dataUse"]
    assert ("train", "observed") == (use["role"], use["capture"])


def test_a_frame_that_is_not_its_file_is_told_beside_it(bridged, told, here) -> None:
    """The file is told as it was observed, a frame that is another beside it, as MLflow declares it."""
    FRAME[["tenure"]].to_csv("churn.csv", index=False)
    with bridged.start_run() as run:
        part = bridged.data.from_pandas(FRAME[:30], source="churn.csv", name="part")
        bridged.log_input(part, context="training")
        model = LogisticRegression().fit(FRAME[["tenure"]], FRAME.churned)
        bridged.sklearn.log_model(model, name="model")
    end = of(told, run)
    uses = {each["name"]: each["inputFacets"]["modelTrail_dataUse"] for each in end["inputs"]}
    columns = {
        each["name"]: [column["name"] for column in each["facets"]["schema"]["fields"]]
        for each in end["inputs"]
    }
    file = f"{here}/churn.csv"
    assert {file: ["tenure"], "churn/part": ["tenure", "churned"]} == columns
    assert ("observed", 40, "train") == (
        uses[file]["capture"],
        uses[file]["fingerprint"]["rows"],
        uses[file]["role"],
    )
    frame = uses["churn/part"]
    assert ("declared", 30, "none") == (
        frame["capture"],
        frame["fingerprint"]["rows"],
        frame["fingerprint"]["scope"],
    )
    (edge,) = end["job"]["facets"]["lineage"]["entries"]
    assert {file, "churn/part"} == {each["name"] for each in edge["inputs"]}


def modeltrail_digest(path: Path) -> str:
    from modeltrail.observe import data

    return data.look(path).fingerprint.digest


def test_a_model_is_an_output_with_its_bytes_and_signature(bridged, told, here) -> None:
    """A logged model is an output with digest, framework and signature; it comes from training data alone."""
    FRAME.to_csv("churn.csv", index=False)
    FRAME.to_csv("test.csv", index=False)
    with bridged.start_run() as run:
        for name, context in (("churn", "training"), ("test", "testing")):
            bridged.log_input(bridged.data.from_pandas(FRAME, source=f"{name}.csv"), context=context)
        model = LogisticRegression().fit(FRAME[["tenure"]], FRAME.churned)
        info = bridged.sklearn.log_model(model, name="model", input_example=FRAME[["tenure"]][:2])
    end = of(told, run)
    (made,) = end["outputs"]
    assert (f"mlflow://{here}/mlflow.db", f"logged_models/{info.model_id}") == (
        made["namespace"],
        made["name"],
    )
    folder = Path(bridged.get_logged_model(info.model_id).artifact_location)
    artifact = made["outputFacets"]["modelTrail_modelArtifact"]
    assert (folder.as_uri(), "sha256-tree") == (artifact["uri"], artifact["digestAlgorithm"])
    assert "MLmodel" in {each["path"] for each in artifact["files"]}
    assert ["sklearn", "mlflow"] == [made["facets"]["modelTrail_model"][key] for key in ("flavor", "format")]
    inputs = next(each for each in made["facets"]["schema"]["fields"] if each["name"] == "inputs")
    assert [{"name": "tenure", "type": "long"}] == inputs["fields"]
    assert "TRAIN" == end["job"]["facets"]["jobType"]["jobType"]
    assert "sklearn" == facet(end, "modelTrail_training")["framework"]
    (edge,) = end["job"]["facets"]["lineage"]["entries"]
    assert [f"{here}/churn.csv"] == [each["name"] for each in edge["inputs"]]


def test_parameters_that_mlflow_was_told_of_a_model_are_that_models(bridged, told) -> None:
    """Of several models of a run each has its own; what is the run's too is told once, of that."""
    with bridged.start_run() as run:
        bridged.log_param("seed", 7)
        made = {
            rate: bridged.sklearn.log_model(
                LogisticRegression(), name="m", params={"rate": rate, "seed": "7"}, pip_requirements=[]
            )
            for rate in ("0.1", "0.9")
        }
    end = of(told, run)
    ids = {each["name"]: each["facets"]["modelTrail_model"]["modelId"] for each in end["outputs"]}
    params = {
        (each["name"], each["value"], each.get("modelId"))
        for each in facet(end, "modelTrail_hyperparameters")["params"]
    }
    rates = {("rate", rate, ids[f"logged_models/{model.model_id}"]) for rate, model in made.items()}
    assert {("seed", "7", None), *rates} == params
    assert 2 == len(set(ids.values()))


def test_a_model_that_is_deleted_before_its_run_ends_costs_nothing(bridged, told) -> None:
    """A run whose logged model is gone again is told to its end, with all but that model."""
    with bridged.start_run() as run:
        gone, kept = (
            bridged.sklearn.log_model(LogisticRegression(), name=name, pip_requirements=[])
            for name in ("gone", "kept")
        )
        bridged.MlflowClient().delete_logged_model(gone.model_id)
    assert [f"logged_models/{kept.model_id}"] == [each["name"] for each in of(told, run)["outputs"]]


def test_a_model_that_only_the_old_tag_names_is_an_output_too(bridged, told, here) -> None:
    """A model among a run's artifacts, as MLflow 2 saved them, is an output by the place where it lies."""
    with bridged.start_run() as run:
        bridged.sklearn.save_model(LogisticRegression(), "saved")
        bridged.log_artifacts("saved", "old")
        bridged.set_tag("mlflow.log-model.history", json.dumps([{"artifact_path": "old", "flavors": {}}]))
    (made,) = of(told, run)["outputs"]
    assert ("file", f"{run.info.artifact_uri}/old".removeprefix("file://")) == (
        made["namespace"],
        made["name"],
    )
    assert "sklearn" == made["facets"]["modelTrail_model"]["framework"]


def test_a_nested_run_is_a_child(bridged, told) -> None:
    """A run that MLflow nests has the other as its parent, and the uppermost as its root."""
    with bridged.start_run() as top, bridged.start_run(nested=True) as middle:
        with bridged.start_run(nested=True) as inner:
            pass
        parent = facet(of(told, inner), "parent")
    assert str(uuid.UUID(middle.info.run_id)) == parent["run"]["runId"]
    assert str(uuid.UUID(top.info.run_id)) == parent["root"]["run"]["runId"]
    assert facet(of(told, inner, "START"), "parent") == parent


def test_a_run_inside_of_ours_is_its_child_and_the_other_way_round(bridged, told) -> None:
    """Whichever of the two begins inside of the other is below it, so that nothing is told as two stories."""
    with (
        modeltrail.run("pipeline") as ours,
        bridged.start_run() as theirs,
        bridged.start_run(nested=True) as deep,
    ):
        pass
    assert ours.run_id == facet(of(told, theirs), "parent")["run"]["runId"]
    assert ours.run_id == facet(of(told, deep), "parent")["root"]["run"]["runId"]
    with bridged.start_run() as theirs, modeltrail.run("step") as step:
        pass
    assert (
        str(uuid.UUID(theirs.info.run_id))
        == facet(next(each for each in told if each["run"]["runId"] == step.run_id), "parent")["run"]["runId"]
    )
    with modeltrail.run("alone") as alone:
        pass
    assert "parent" not in facet_names(next(each for each in told if each["run"]["runId"] == alone.run_id))


@pytest.mark.parametrize(
    ("status", "kind"), [("FINISHED", "COMPLETE"), ("FAILED", "FAIL"), ("KILLED", "ABORT")]
)
def test_a_status_that_ends_a_run_ends_it(bridged, told, status, kind) -> None:
    """Each status that ends a run of MLflow is an event, at the time that MLflow was given."""
    client = bridged.MlflowClient()
    run = client.create_run("0", start_time=1_000)
    client.set_terminated(run.info.run_id, status, end_time=5_000)
    assert "1970-01-01T00:00:01.000999Z" == of(told, run, "START")["eventTime"]
    assert "1970-01-01T00:00:05.000999Z" == of(told, run, kind)["eventTime"]


def test_a_model_that_could_not_be_saved_is_none(bridged, told) -> None:
    """MLflow has an id for it by then, and no file: the run that failed put out no model."""
    with pytest.raises(TypeError), bridged.start_run():
        bridged.pyfunc.log_model(name="model", python_model=lambda given: given, pip_requirements=3)
    assert ("FAIL", []) == (told[-1]["eventType"], told[-1]["outputs"])


def test_a_failed_run_says_why(bridged, told) -> None:
    """The exception that left MLflow's `with` is the message of the event FAIL, and passes untouched."""
    with pytest.raises(ZeroDivisionError), bridged.start_run() as run:
        1 / 0  # noqa: B018
    assert "ZeroDivisionError: division by zero" == facet(of(told, run, "FAIL"), "errorMessage")["message"]


def test_a_run_that_another_process_began_is_told_whole_by_who_ends_it(bridged, told, here) -> None:
    """The last event is the whole record of MLflow, whichever process logged what."""
    code = (
        "import mlflow, sys; mlflow.set_tracking_uri(sys.argv[1])\n"
        "client = mlflow.MlflowClient(); run = client.create_run('0', run_name='far').info.run_id\n"
        "client.log_param(run, 'C', 1); client.log_metric(run, 'auc', 0.5); print(run)"
    )
    uri = bridged.get_tracking_uri()
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, uri], capture_output=True, text=True, check=True
    )
    run = bridged.get_run(result.stdout.split()[-1])
    bridged.MlflowClient().set_terminated(run.info.run_id)
    (end,) = told
    assert str(uuid.UUID(run.info.run_id)) == end["run"]["runId"]
    assert ["C"] == [each["name"] for each in facet(end, "modelTrail_hyperparameters")["params"]]
    assert "modelTrail_environment" not in facet_names(end)
    (file,) = (here / "lineage/inbox").glob("*")
    lines = file.read_text().splitlines()
    assert ["START", "RUNNING"] == [json.loads(line)["eventType"] for line in lines], "flushed at its exit"


def test_nothing_is_told_where_modeltrail_is_disabled(bridged, told) -> None:
    """With OPENLINEAGE_DISABLED no event leaves, and MLflow works."""
    settings.configure(disabled=True)
    with bridged.start_run() as run:
        bridged.log_metric("auc", 1)
    assert [] == told
    assert "FINISHED" == bridged.get_run(run.info.run_id).info.status


def test_an_asyncio_program_keeps_its_runs_apart(bridged, told) -> None:
    """Runs that tasks of one thread create beside each other are each told whole."""
    client = bridged.MlflowClient()

    async def work(value: float) -> Any:
        run = client.create_run("0")
        await asyncio.sleep(0)
        client.log_metric(run.info.run_id, "auc", value)
        await asyncio.sleep(0)
        client.set_terminated(run.info.run_id)
        return run

    async def both() -> list[Any]:
        return await asyncio.gather(work(1), work(2))

    for value, run in enumerate(asyncio.run(both()), 1):
        (metric,) = facet(of(told, run), "modelTrail_metrics")["metrics"]
        assert value == metric["value"]
