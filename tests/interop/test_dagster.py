"""Dagster with dagster-openlineage, real: what it materialises are the files that our runs read."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from interop.programs import DBT, kafka, start
from kafka_broker import read

LAKE = Path(__file__).parent / "lake"

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]


@pytest.fixture
def dagster(tmp_path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs a command of `dagster` on the assets; another exit code fails."""
    home, files = tmp_path / "home", tmp_path / "lake"
    home.mkdir()
    files.mkdir()
    shutil.copy(LAKE / "dagster.yaml", home)
    settings = {
        "DAGSTER_HOME": str(home),
        "LAKE": str(files),
        "LAKE_HISTORY": str(home / "history"),
        "OPENLINEAGE_NAMESPACE": "ml",
    }

    def run(*command: str, expected: int = 0, **environment: str) -> "subprocess.CompletedProcess[str]":
        asked = ["dagster", *command, "-f", str(LAKE / "assets.py")]
        return start(asked, tmp_path, DBT, expected, **(settings | environment))

    return run


@pytest.mark.kafka
def test_a_model_made_by_assets(dagster, kafka_bootstrap, kafka_topic, modeltrail_command) -> None:
    """A run in an asset is a child of Dagster's run, and its trail leads to the asset whose file it read."""
    topic = kafka_topic(1)
    select = "orders,features,churn_model"
    dagster("asset", "materialize", "--select", select, **kafka(kafka_bootstrap, topic))
    events = [json.loads(value) for _, _, value in read(kafka_bootstrap, topic)]
    told = modeltrail_command(
        "collect", "--until-end", "--topic", topic, "--bootstrap-servers", kafka_bootstrap
    )
    assert f"({len(events) - 2} accepted, 2 warned, 0 rejected)" in told.stdout + told.stderr
    modeltrail_command("compact")
    reasons = modeltrail_command("sql", "SELECT DISTINCT code FROM rejected", "--json")
    assert [] == json.loads(reasons.stdout)
    (dagsters,) = {event["run"]["runId"] for event in events if "dagster" in event["producer"]}
    (own,) = {event["run"]["runId"] for event in events if "dagster" not in event["producer"]}
    (parent,) = {
        json.dumps(event["run"]["facets"]["parent"]["job"])
        for event in events
        if event["run"]["runId"] == own
    }
    assert {"namespace": "dagster", "name": "churn_model"} == json.loads(parent)
    (run,) = json.loads(modeltrail_command("runs", "--parent", dagsters, "--json").stdout)
    assert (own, dagsters, "COMPLETE") == (run["run_id"], run["root_run_id"], run["state"])
    assert str(LAKE / "assets.py") in modeltrail_command("show", "churn", "--json").stdout
    trail = modeltrail_command("trace", "churn").stdout
    order = ["churn", "train-churn", "features.parquet", dagsters[-12:], "orders (dagster)"]
    assert sorted(map(trail.index, order)) == list(map(trail.index, order)), trail
    edges = modeltrail_command("sql", "SELECT to_name, from_name FROM edges WHERE via <> 'lineage'", "--json")
    assert [{"to_name": "features", "from_name": "orders"}] == json.loads(edges.stdout)


def test_an_asset_that_fails(dagster, modeltrail_command) -> None:
    """Dagster's run and ours in its asset are FAIL."""
    local = {"OPENLINEAGE__TRANSPORT__TYPE": "modeltrail.LocalTransport"}
    dagster("asset", "materialize", "--select", "broken", expected=1, **local)
    modeltrail_command("compact")
    runs = json.loads(modeltrail_command("runs", "--json").stdout)
    assert {("broken", "FAIL"), ("in-broken", "FAIL")} == {(run["job_name"], run["state"]) for run in runs}
    ids = {run["job_name"]: run["run_id"] for run in runs}
    assert [ids["broken"]] == [run["parent_run_id"] for run in runs if run["job_name"] == "in-broken"]


def test_a_job_without_assets(dagster, modeltrail_command) -> None:
    """A run in an op is a child of the Dagster run too, named by its job, though nobody tells of that."""
    local = {"OPENLINEAGE__TRANSPORT__TYPE": "modeltrail.LocalTransport"}
    dagster("job", "execute", "-j", "counting", **local)
    modeltrail_command("compact")
    (run,) = json.loads(modeltrail_command("runs", "--json").stdout)
    assert ("in-count", "counting") == (run["job_name"], run["parent_job_name"])
