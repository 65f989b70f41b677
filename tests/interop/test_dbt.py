"""dbt-ol, real, on DuckDB: a child of our run, and the same tables and files as those that our runs read."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from interop.programs import DBT, kafka, start
from kafka_broker import read

PROJECT = Path(__file__).parent / "churn"
MODELS = ("stg_orders", "features", "features_file")
Step = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]


@pytest.fixture
def folder(tmp_path) -> Path:
    """The project, of its own for each test."""
    return Path(shutil.copytree(PROJECT, tmp_path / "churn"))


@pytest.fixture
def step(folder) -> Step:
    """Runs a program of dbt's environment in the project; another exit code fails."""
    settings = {
        "DBT_PROFILES_DIR": ".",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "CHURN_DATABASE": str(folder / "churn.duckdb"),
        "CHURN_FILES": str(folder),
    }

    def run(*command: str, expected: int = 0, **environment: str) -> "subprocess.CompletedProcess[str]":
        return start(command, folder, DBT, expected, **(settings | environment))

    return run


def runs(modeltrail_command) -> dict[str, dict]:
    """What `modeltrail runs` says, by the name of the job; each ran once."""
    found = json.loads(modeltrail_command("runs", "--json").stdout)
    assert len(found) == len({run["job_name"] for run in found})
    return {run["job_name"]: run for run in found}


def check_tree(found: dict[str, dict], above: str, models: dict[str, str]) -> None:
    """Dbt's run is below ours, its models are below it, and ours is the root of all."""
    top, dbt = found[above], found["dbt-run-churn"]
    assert (top["run_id"], top["run_id"]) == (dbt["parent_run_id"], dbt["root_run_id"])
    below = [run for name, run in found.items() if name in models.values()]
    assert len(models) == len(below)
    assert {(dbt["run_id"], top["run_id"])} == {(run["parent_run_id"], run["root_run_id"]) for run in below}


def check_trails(modeltrail_command, models: dict[str, str]) -> None:
    """From what was trained on dbt's table, or its file, through dbt's models to who wrote the raw file."""
    through = ["churn.main.features", models["features"], "churn.main.stg_orders", models["stg_orders"]]
    raw = ["raw/orders.csv", "ingest-orders"]
    for way, file in (
        ("table", []),
        ("its-uri", []),
        ("file", ["features_file.parquet", models["features_file"]]),
    ):
        trail = modeltrail_command("trace", f"churn-by-{way}@1").stdout
        order = [f"churn-by-{way}", f"train-on-{way}", *file, *through, *raw]
        places, at = [], 0
        for name in order:
            at = trail.find(name, at)
            places.append(at)
        assert -1 not in places, (order, trail)


LATER = {name: f"churn.main.churn.{name}.build.run" for name in MODELS}
LIVE = {name: f"model.churn.{name}" for name in MODELS}


@pytest.mark.kafka
def test_dbt_below_our_launcher(step, folder, kafka_bootstrap, kafka_topic, modeltrail_command) -> None:
    """`modeltrail run -- dbt-ol build` into Kafka: one tree and partition, a trail from raw to model."""
    topic = kafka_topic(3)
    environment = kafka(kafka_bootstrap, topic)
    step("python", "steps.py", "ingest", **environment)
    step("modeltrail", "run", "--", "dbt-ol", "build", **environment)
    step(
        "python",
        "steps.py",
        "train",
        f"{folder}/churn.duckdb",
        f"{folder}/features_file.parquet",
        **environment,
    )
    records = [(partition, json.loads(value)) for partition, _, value in read(kafka_bootstrap, topic)]
    dbt = [(partition, event) for partition, event in records if "/integration/dbt" in event["producer"]]
    assert 10 == len(dbt)
    assert 1 == len({partition for partition, _ in dbt})
    told = modeltrail_command(
        "collect", "--until-end", "--topic", topic, "--bootstrap-servers", kafka_bootstrap, "--strict"
    )
    assert f"({len(records)} accepted, 0 warned, 0 rejected)" in told.stdout + told.stderr
    modeltrail_command("compact")
    found = runs(modeltrail_command)
    check_tree(found, "dbt-ol", LATER)
    assert {"COMPLETE"} == {run["state"] for run in found.values()}
    check_trails(modeltrail_command, LATER)


def test_dbt_below_our_launcher_without_a_configuration(step, folder, modeltrail_command) -> None:
    """dbt-ol's events go to the inbox, as ours do; a database by its relative path is the same one."""
    relative = {"CHURN_DATABASE": "churn.duckdb", "CHURN_FILES": "."}
    step("python", "steps.py", "ingest")
    step("modeltrail", "run", "--", "dbt-ol", "build", **relative)
    step("python", "steps.py", "train", f"{folder}/churn.duckdb", f"{folder}/features_file.parquet")
    modeltrail_command("compact")
    check_tree(runs(modeltrail_command), "dbt-ol", LATER)
    check_trails(modeltrail_command, LATER)


@pytest.mark.parametrize(
    ("options", "models"), [((), LATER), (("--consume-structured-logs",), LIVE)], ids=["at the end", "live"]
)
def test_dbt_that_a_run_starts(step, folder, modeltrail_command, options, models) -> None:
    """A run in Python that starts dbt-ol is its parent, whether dbt-ol tells at its end or as dbt goes on."""
    environment = {"OPENLINEAGE__TRANSPORT__TYPE": "modeltrail.LocalTransport"}
    step("python", "steps.py", "ingest", **environment)
    step("python", "steps.py", "build", *options, **environment)
    step("python", "steps.py", "train", f"{folder}/churn.duckdb", f"{folder}/features_file.parquet")
    inbox = Path(os.environ["MODELTRAIL_LOG"]) / "inbox"
    told = modeltrail_command("collect", "--strict", "--from-files", f"{inbox}/*.ndjson")
    assert "0 warned, 0 rejected" in told.stdout + told.stderr
    modeltrail_command("compact")
    check_tree(runs(modeltrail_command), "pipeline", models)
    check_trails(modeltrail_command, models)


def test_what_fails_stays_failed(step, folder, modeltrail_command) -> None:
    """A model and a test that fail, dbt's run and our own are FAIL, and dbt's exit code is the launcher's."""
    step("python", "steps.py", "ingest")
    (folder / "models" / "broken.sql").write_text(
        "{{ config(materialized='table') }} select error('no such orders') as x"
    )
    (folder / "tests").mkdir()
    (folder / "tests" / "no_orders.sql").write_text("select * from {{ ref('stg_orders') }}")
    step("modeltrail", "run", "--", "dbt-ol", "build", expected=1)
    modeltrail_command("compact")
    found = runs(modeltrail_command)
    failed = {"dbt-ol", "dbt-run-churn", "churn.main.churn.broken.build.run", "test.churn.no_orders"}
    assert failed <= {name for name, run in found.items() if run["state"] == "FAIL"}
    assert "COMPLETE" == found[LATER["stg_orders"]]["state"]
    assert "exit code 1" == found["dbt-ol"]["error"]
