"""What real tools told, recorded: the answers that it leads to. `make interop` runs the tools."""

import json
from pathlib import Path

from one_graph import must_hang_together

RECORDED = Path(__file__).parents[1] / "data" / "recorded"


def test_airflow(modeltrail_command, modeltrail_here) -> None:
    """Each run in a task is below it, each task below its DAG; the trail leads from endpoint to raw file."""
    told = modeltrail_command("collect", "--strict", "--from-files", str(RECORDED / "airflow.ndjson"))
    assert "21 records (21 accepted, 0 warned, 0 rejected)" in told.stderr + told.stdout
    modeltrail_command("compact")
    runs = json.loads(modeltrail_here("runs", "--json").stdout)
    names = {run["run_id"]: run["job_name"] for run in runs}
    steps = {
        "ingest": "ingest",
        "features": "prepare",
        "train": "train",
        "evaluate": "evaluate",
        "deploy": "deploy",
    }
    expected = {("tumours", None, None)}
    expected |= {(f"tumours.{task}", "tumours", "tumours") for task in steps}
    expected |= {(f"{step}-tumours", f"tumours.{task}", "tumours") for task, step in steps.items()}
    assert expected == {
        (run["job_name"], names.get(run["parent_run_id"]), names.get(run["root_run_id"])) for run in runs
    }
    assert {"COMPLETE"} == {run["state"] for run in runs}
    trail = modeltrail_here("trace", "tumour-check").stdout
    places = [
        trail.index(name) for name in ("deploy-tumours", "tumours@1", "train-tumours", "raw.csv", "ingest")
    ]
    assert sorted(places) == places
    story = json.loads(modeltrail_here("show", "tumours@1", "--json").stdout)
    assert ["accuracy"] == [row["name"] for row in story["evaluations"]]


def test_spark(modeltrail_command, modeltrail_here) -> None:
    """A run in the driver is below its application; the trail crosses the jobs; what failed stays failed."""
    modeltrail_command("collect", "--from-files", str(RECORDED / "spark.ndjson"))
    modeltrail_command("compact")
    runs = json.loads(modeltrail_here("runs", "--json").stdout)
    (app,) = [run for run in runs if run["job_name"] == "churn_features"]
    (own,) = [run for run in runs if run["job_name"] == "train-churn"]
    assert (app["run_id"], app["run_id"]) == (own["parent_run_id"], own["root_run_id"])
    assert {"FAIL"} == {run["state"] for run in runs if run["job_name"].endswith("never")}
    going_on = [run for run in runs if run["state"] in {"START", "RUNNING"}]
    assert going_on
    assert all(run["over_since"] for run in going_on)
    trail = modeltrail_here("trace", "churn-spark").stdout
    order = ["churn-spark", "train-churn", "/srv/churn/features", "churn_features.", "/srv/churn/orders.csv"]
    assert sorted(map(trail.index, order)) == list(map(trail.index, order))


def test_spark_ml(modeltrail_command, modeltrail_here) -> None:
    """An unchanged job of pyspark.ml: data, parameters and score of its model, over Spark's own jobs."""
    told = modeltrail_command("collect", "--from-files", str(RECORDED / "spark_ml.ndjson"))
    assert "0 rejected" in told.stderr + told.stdout
    modeltrail_command("compact")
    trail = modeltrail_here("trace", "models/churn").stdout
    order = ["models/churn", "train  COMPLETE", "/srv/churn/features", "churn.", "/srv/churn/orders.csv"]
    assert sorted(map(trail.index, order)) == list(map(trail.index, order)), trail
    story = json.loads(modeltrail_here("show", "models/churn", "--json").stdout)
    assert "pyspark.ml.classification.LogisticRegression" == story["model"]["algorithm"]
    assert ["areaUnderROC"] == [row["name"] for row in story["evaluations"]]
    assert {"LogisticRegression.regParam", "VectorAssembler.inputCols"} <= {
        row["name"] for row in story["params"]
    }
    part = modeltrail_here("trace", "models/churn/metadata").stdout
    assert "train  COMPLETE" in part
    learned = json.loads(modeltrail_here("impact", "orders.csv", "--json").stdout)
    assert ["/srv/churn/models/churn"] == [row["name"] for row in learned if row["kind"] == "model"]


def test_dbt(modeltrail_command, modeltrail_here) -> None:
    """The run of dbt is below ours; what was trained on its table or file has a trail to the raw file."""
    told = modeltrail_command("collect", "--strict", "--from-files", str(RECORDED / "dbt.ndjson"))
    assert "22 records (22 accepted, 0 warned, 0 rejected)" in told.stderr + told.stdout
    modeltrail_command("compact")
    runs = {run["job_name"]: run for run in json.loads(modeltrail_here("runs", "--json").stdout)}
    ours, dbt = runs["dbt-ol"], runs["dbt-run-churn"]
    assert (ours["run_id"], ours["run_id"]) == (dbt["parent_run_id"], dbt["root_run_id"])
    below = {name for name, run in runs.items() if run["parent_run_id"] == dbt["run_id"]}
    models = {f"churn.main.churn.{name}.build.run" for name in ("stg_orders", "features", "features_file")}
    assert models | {"churn.main.churn.stg_orders.build.test"} == below
    through = ["features.build.run", "churn.main.stg_orders", "stg_orders.build.run", "orders.csv", "ingest-"]
    for way, read in (("table", "main.features"), ("its-uri", "main.features"), ("file", "file.parquet")):
        trail = modeltrail_here("trace", f"churn-by-{way}").stdout
        order = [f"train-on-{way}", read, *through]
        assert sorted(map(trail.index, order)) == list(map(trail.index, order)), trail
    reached = json.loads(modeltrail_here("impact", "/srv/churn/raw/orders.csv", "--json").stdout)
    learned = {row["name"] for row in reached if row["kind"] == "model"}
    assert {"models/churn-by-table", "models/churn-by-its-uri", "models/churn-by-file"} <= learned


def test_dagster(modeltrail_command, modeltrail_here) -> None:
    """A run in an asset is below Dagster's run; what it read is an asset's file, by the path told of that.

    One run id is that of all assets: what one was checked for did not go into the others.
    """
    told = modeltrail_command("collect", "--from-files", str(RECORDED / "dagster.ndjson"))
    assert "9 records (7 accepted, 2 warned, 0 rejected)" in told.stderr + told.stdout
    modeltrail_command("compact")
    runs = json.loads(modeltrail_here("runs", "--json").stdout)
    (own,) = [run for run in runs if run["job_name"] == "train-churn"]
    (dagsters,) = [run for run in runs if run is not own]
    assert (dagsters["run_id"], "churn_model") == (own["parent_run_id"], own["parent_job_name"])
    assert "/srv/lake/assets.py" in modeltrail_here("show", "churn", "--json").stdout
    trail = modeltrail_here("trace", "churn").stdout
    order = ["train-churn", "/srv/lake/data/features.parquet", dagsters["run_id"][-12:], "orders (dagster)"]
    assert sorted(map(trail.index, order)) == list(map(trail.index, order)), trail
    edges = modeltrail_here("sql", "SELECT to_name, from_name FROM edges WHERE via <> 'lineage'", "--json")
    assert [{"to_name": "features", "from_name": "orders"}] == json.loads(edges.stdout)


def test_one_graph(modeltrail_command, modeltrail_here) -> None:
    """dbt, Spark, Airflow and scikit-learn: an unbroken path from the raw file to the endpoint."""
    told = modeltrail_command("collect", "--from-files", str(RECORDED / "graph.ndjson"))
    assert "32 records" in told.stderr + told.stdout
    assert "0 rejected" in told.stderr + told.stdout
    modeltrail_command("compact")
    must_hang_together(modeltrail_here)
