"""One suite for a relayed log: at the fake Marquez, and at a real one where MARQUEZ_URL names it.

The log holds what dbt, Spark, Airflow and runs of ours told of one model, and more of the first three. It is
asked by modeltrail and by Marquez's API; each difference between their answers has a test that says why.
"""

import contextlib
import json
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from marquez_asked import Client

from modeltrail_collector import answers, tables
from modeltrail_collector.log import Log
from modeltrail_collector.pump import seal_files
from modeltrail_collector.relay.backend import Backend
from modeltrail_collector.relay.forward import Relay
from modeltrail_collector.testing import MemoryStore, marquez

DATA = Path(__file__).parents[1] / "data"
TOLD = [
    DATA / "recorded" / "graph.ndjson",
    *(DATA / "real-events" / f"{one}.ndjson" for one in ("airflow", "dbt", "spark")),
]
MODEL = "dataset:modeltrail://registry:models/churn"
STATES = {"COMPLETE": "COMPLETED", "FAIL": "FAILED", "ABORT": "ABORTED"}
Edges = set[tuple[str, str]]


class Relayed(NamedTuple):
    """A log, its events in order, and the Marquez that it was relayed to."""

    log: Log
    events: list[dict]
    client: Client

    @property
    def last(self) -> dict[str, dict]:
        """The last event of each run."""
        return {event["run"]["runId"]: event for event in self.events}


@pytest.fixture(scope="module", params=["fake", pytest.param("real", marks=pytest.mark.marquez)])
def relayed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relayed]:
    from modeltrail_collector.log import open_log

    log = open_log(tmp_path_factory.mktemp("relayed") / "log")
    for path in TOLD:
        seal_files(log, [str(path)], strict=False)
    tables.compact(log)
    events = [json.loads(line) for path in TOLD for line in path.read_bytes().splitlines()]
    with contextlib.ExitStack() as stack:
        fake = request.param == "fake"
        url = stack.enter_context(marquez()).url if fake else os.environ["MARQUEZ_URL"].rstrip("/")
        client = stack.enter_context(contextlib.closing(Client(url)))
        found = Relay(log, Backend(url)).turn(threading.Event())
        assert {"sent": len(events)} == found
        yield Relayed(log, events, client)


def job_at_marquez(event: dict) -> tuple[str, str]:
    """A job below a parent has the parent's name before its own."""
    name = event["job"]["name"]
    parent = (event["run"].get("facets") or {}).get("parent")
    if parent:
        name = f"{parent['job']['name']}.{name.removeprefix(parent['job']['name'] + '.')}"
    return event["job"]["namespace"], name


def test_every_job_is_there(relayed: Relayed) -> None:
    """Each job is listed in its namespace, under its parent's name where it has one."""
    expected = defaultdict(set)
    for event in relayed.events:
        namespace, name = job_at_marquez(event)
        expected[namespace].add(name)
    for namespace, names in expected.items():
        listed = relayed.client.get("namespaces", namespace, "jobs", limit=1000)["jobs"]
        assert names <= {job["name"] for job in listed}


def test_every_run_is_in_the_state_that_modeltrail_knows(relayed: Relayed) -> None:
    """However many were under way at once, and though events of dbt's logs come behind the end of a run."""
    behind = [each for each in relayed.last.values() if each["eventType"] == "OTHER"]
    assert 2 == len(behind)
    for run in answers.runs(relayed.log):
        assert STATES.get(run["state"], "RUNNING") == relayed.client.run(run["run_id"])["state"]


def written(relayed: Relayed) -> dict[tuple[str, str], set[str]]:
    """Which runs wrote which dataset."""
    found = defaultdict(set)
    for event in relayed.events:
        for one in event["outputs"]:
            found[one["namespace"], one["name"]].add(event["run"]["runId"])
    return found


def test_every_dataset_has_a_version_of_each_run_that_wrote_it(relayed: Relayed) -> None:
    """Datasets are under the names that they were told by, with who made each version."""
    for (namespace, name), runs in written(relayed).items():
        path = "namespaces", namespace, "datasets", name
        assert name == relayed.client.get(*path)["name"]
        versions = relayed.client.get(*path, "versions", limit=1000)["versions"]
        assert runs == {one["createdByRun"]["id"] for one in versions if one["createdByRun"]}


def test_our_facets_are_there(relayed: Relayed) -> None:
    """Each modelTrail_* facet of a run comes back whole, the latest of each key; a model has its own too."""
    seen = set()
    for run_id in relayed.last:
        told = {}
        for event in sorted(relayed.events, key=lambda event: event["eventTime"]):
            if event["run"]["runId"] == run_id:
                told |= {k: v for k, v in event["run"]["facets"].items() if k.startswith("modelTrail_")}
        shown = relayed.client.run(run_id)["facets"]
        assert told == {key: facet for key, facet in shown.items() if key.startswith("modelTrail_")}
        seen |= set(told)
    assert {"modelTrail_training", "modelTrail_environment", "modelTrail_codeState"} <= seen
    model = relayed.client.get("namespaces", "modeltrail://registry", "datasets", "models/churn")
    assert {"modelTrail_model", "version", "datasetType"} <= set(model["facets"])


def edges_of_marquez(relayed: Relayed) -> Edges:
    graph = relayed.client.get("lineage", nodeId=MODEL, depth=100)["graph"]
    return {
        (edge["origin"], edge["destination"]) for node in graph for edge in node["inEdges"] + node["outEdges"]
    }


def edges_of_trace(relayed: Relayed) -> Edges:
    """The tree of `modeltrail trace churn`, in Marquez's names."""
    jobs = {event["run"]["runId"]: job_at_marquez(event) for event in relayed.events}
    aliases = {
        f"dataset:{link['namespace']}:{link['name']}": f"dataset:{one['namespace']}:{one['name']}"
        for event in relayed.events
        for one in event["outputs"]
        for link in (one["facets"].get("symlinks") or {"identifiers": []})["identifiers"]
    }
    found: Edges = set()

    def node(of: dict) -> str:
        name = f"dataset:{of['namespace']}:{of['name']}"
        return aliases.get(name, name)

    def walk(of: dict) -> None:
        if of["run"]:
            job = "job:" + ":".join(jobs[of["run"]["run_id"]])
            found.add((job, node(of)))
            for one in of.get("inputs", []):
                found.add((node(one), job))
                walk(one)

    walk(answers.trace(relayed.log, "churn@1"))
    return found


def test_marquez_draws_all_that_modeltrail_traces(relayed: Relayed) -> None:
    """Every step from the model to the raw file is an edge there, once names are translated.

    Two translations: a job has its parent's name before its own, and a dataset that is read by another name
    (the Parquet file that dbt calls features_file) stands under its first name alone.
    """
    assert edges_of_trace(relayed)
    assert edges_of_trace(relayed) <= edges_of_marquez(relayed)


def test_what_marquez_draws_beyond_the_trace(relayed: Relayed) -> None:
    """Three kinds of edges: what comes after the model, what only reads on the way, and dbt's table orders.

    Marquez's graph has all that hangs together, in any direction and of all times; a trace goes back alone.
    The table is dbt's own name of the raw file: its run names both as inputs, and modeltrail follows what the
    output's columnLineage says, which is the file.
    """
    more = edges_of_marquez(relayed) - edges_of_trace(relayed)
    churn = "duckdb:///srv/churn/churn.duckdb"
    build = "job:dbt:dbt-run-churn.churn.main.churn.stg_orders.build"
    deploy = "job:airflow:churn.deploy.deploy-churn"
    assert {
        (MODEL, deploy),
        (deploy, "dataset:k8s://prod:endpoints/churn-api"),
        (f"dataset:{churn}:churn.main.stg_orders", f"{build}.test"),
        (f"dataset:{churn}:churn.raw.orders", f"{build}.run"),
    } == more


def test_to_relay_once_more_changes_nothing(relayed: Relayed) -> None:
    """Events sent again in order leave states, versions and graph as they were."""

    def shown() -> object:
        versions = {
            name: len(
                relayed.client.get("namespaces", name[0], "datasets", name[1], "versions", limit=1000)[
                    "versions"
                ]
            )
            for name in written(relayed)
        }
        states = {run_id: relayed.client.run(run_id)["state"] for run_id in relayed.last}
        return states, versions, edges_of_marquez(relayed)

    before = shown()
    again = Log(MemoryStore())
    for path in TOLD:
        seal_files(again, [str(path)], strict=False)
    assert {"sent": len(relayed.events)} == Relay(again, Backend(relayed.client.url)).turn(threading.Event())
    assert before == shown()
