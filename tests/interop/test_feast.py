"""Feast's lineage server, real: all that we and other tools tell goes to it, and is one graph there."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from interop.consumers import asked_feast, recorded, train_credit
from interop.feast_home import Feast, lineage_server

DATA = Path(__file__).parents[1] / "data"

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def feast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feast]:
    """One server for all tests: each sends events of its own."""
    with lineage_server(tmp_path_factory.mktemp("home") / "feast") as server:
        yield server


@pytest.fixture
def relayed(feast: Feast, modeltrail_command) -> Callable[[Path], set[str]]:
    """`relayed(file)` collects a file of events, and relays the log to Feast: what became of its records."""

    def relay(events: Path) -> set[str]:
        modeltrail_command("collect", "--from-files", str(events))
        told = modeltrail_command("relay", "--to", feast.url, "--guard", "none", "--json").stdout
        return set(json.loads(told)["records"])

    return relay


@pytest.mark.parametrize(
    "file", sorted(DATA.glob("re*/*.ndjson")), ids=lambda file: f"{file.parent.name}/{file.name}"
)
def test_all_that_was_recorded_is_taken(relayed, file: Path) -> None:
    """Each event of Airflow, dbt, Dagster, Feast, Spark and ours among them is taken, as it came."""
    assert {"sent"} == relayed(file) - {"duplicate"}


def test_our_runs_are_below_airflows_tasks(feast: Feast, relayed) -> None:
    """The run tree of a DAG has each of our runs below the task that it ran in."""
    relayed(DATA / "recorded" / "airflow.ndjson")
    steps = {"ingest": "ingest", "features": "prepare", "train": "train", "evaluate": "evaluate"}
    expected = {"tumours": None, "tumours.deploy": "tumours", "deploy-tumours": "tumours.deploy"}
    expected |= {f"tumours.{task}": "tumours" for task in steps}
    expected |= {f"{step}-tumours": f"tumours.{task}" for task, step in steps.items()}
    runs = feast.runs()
    assert expected == feast.tree(runs["train-tumours"]["run_id"])
    assert {"COMPLETE"} == {runs[job]["state"] for job in expected}


def test_a_training(feast: Feast, tmp_path: Path) -> None:
    """Of a training it has the tree, the facets of its last event, the data flow and all namespaces."""
    train_credit(tmp_path / "credit", OPENLINEAGE_NAMESPACE="shop")
    told = [line for file in tmp_path.glob("lineage/inbox/*") for line in file.read_bytes().splitlines()]
    assert {201} == set(feast.send(told))
    run = feast.runs()["train-credit"]
    assert ("shop", "COMPLETE") == (run["job_namespace"], run["state"])
    tree = {
        "train-credit": None,
        "train-credit.evaluate": "train-credit",
        "train-credit.deploy": "train-credit",
    }
    assert tree == feast.tree(run["run_id"])
    (last,) = [
        event
        for event in map(json.loads, told)
        if (event["eventType"], event["job"]["name"]) == ("COMPLETE", "train-credit")
    ]
    shown = feast.get(f"runs/{run['run_id']}")
    assert last["run"]["facets"] == shown["facets"]
    datasets = {each["name"]: each["facets"] for each in feast.get("graph")["nodes"]}
    for side in ("inputs", "outputs"):
        assert {each["name"] for each in last[side]} == {each["name"] for each in shown[side]}
        assert all(datasets[each["name"]] == each["facets"] for each in last[side])
    path = f"{tmp_path}/credit/raw/loans.csv → train-credit", "train-credit → models/credit"
    assert {*path, "models/credit → train-credit.deploy"} < feast.data_flow()
    assert "train-credit.deploy → endpoints/credit-api" in feast.data_flow()
    assert {"shop", "modeltrail://registry", "local://shop"} < set(feast.get("namespaces")["namespaces"])


def test_it_answers_as_recorded(feast: Feast) -> None:
    """Its answers to the cases of `data/consumers`, which `make test` works with, are those of now."""
    assert recorded() == asked_feast(recorded(), feast)
