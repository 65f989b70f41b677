"""What other tools and we tell, sent to a Marquez: what it takes, and that nothing of ours spoils it."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from logs import all_entries

import modeltrail
from modeltrail import Dataset
from modeltrail_collector.log import open_log
from modeltrail_collector.model import LOCAL
from modeltrail_collector.relay.marquez import problems
from modeltrail_collector.testing import marquez


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """The log that events of this test are written to."""
    return tmp_path / "lineage"


DATA = Path(__file__).parents[1] / "data"
TOLD = {
    f"{folder}/{path.name}": path
    for folder in ("real-events", "recorded")
    for path in sorted((DATA / folder).glob("*.ndjson"))
}
# By Dagster's own listener: datasets whose dataSource has no name.
REFUSED = {"recorded/dagster.ndjson": [("orders", 500), ("features", 500)]}


def sent(lines: Iterable[bytes]) -> tuple[list[tuple[dict, int]], bool]:
    """The events that a Marquez of their own did not take, and whether its lists can be read afterwards."""
    found = []
    with marquez() as server, requests.Session() as session:
        for line in lines:
            status = session.post(
                f"{server.url}/api/v1/lineage", data=line, headers={"Content-Type": "application/json"}
            ).status_code
            if status != 201:
                found.append((json.loads(line), status))
        lists = [session.get(f"{server.url}/api/v1/{path}") for path in ("namespaces", "jobs")]
        return found, all(answer.ok for answer in lists)


def told(folder: Path) -> list[bytes]:
    """What lies in the inbox of a log."""
    return [line for file in folder.glob("inbox/*.ndjson") for line in file.read_bytes().splitlines()]


@pytest.mark.parametrize("name", TOLD)
def test_marquez_takes_what_is_told(name: str) -> None:
    """All that was recorded is taken but what is listed, which is not ours, and its lists stay readable."""
    refused, readable = sent(TOLD[name].read_bytes().splitlines())
    assert readable
    assert REFUSED.get(name, []) == [(event["job"]["name"], status) for event, status in refused]
    assert all(problem.repairable for event, _ in refused for problem in problems(event))


def test_marquez_takes_the_demo(modeltrail_command, tmp_path: Path) -> None:
    """Each event of the demo is taken, and the lists stay readable."""
    modeltrail_command("demo")
    log = open_log(tmp_path / "modeltrail-demo" / "lineage")
    events = [entry.value for entry in all_entries(log, LOCAL)]
    assert 10 < len(events)
    assert ([], True) == sent(events)


def test_marquez_takes_files_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, columns, models and jobs may have spaces, umlauts and more in their names."""
    folder = tmp_path / "Jürgen's data, 50 % (new)"
    folder.mkdir()
    (folder / "a b?.csv").write_text("größe in cm,,7\n1,2,3\n")
    (folder / "model x.bin").write_bytes(b"weights")
    monkeypatch.chdir(folder)
    with modeltrail.run("nightly: train & co") as run:
        run.input("a b?.csv")
        run.input("s3://bucket/my key, 50 %.csv")
        run.metric("loss", float("nan"))
        run.output_model("model x.bin", name="chürn model")
        run.register("chürn model", version="1")
        run.deploy("chürn model", version="1", target="k8s://prod/endpoints/churn")
    events = told(tmp_path / "lineage")
    assert {"START", "COMPLETE"} == {json.loads(line)["eventType"] for line in events}
    assert ([], True) == sent(events)


@pytest.mark.parametrize(
    ("place", "namespace"),
    [
        (
            {"dataset": "duckdb:////srv/my project/churn.duckdb/churn.main.t"},
            "duckdb:////srv/my=20project/churn.duckdb",
        ),
        ({"dataset": "t", "namespace": "Jürgens team"}, "J=C3=BCrgens=20team"),
        ({"dataset": "t", "namespace": "J=C3=BCrgens=20team"}, "J=C3=BCrgens=20team"),
    ],
    ids=["a database's path", "a namespace of one's own", "one that is written so already"],
)
def test_namespaces_are_written_as_marquez_takes_them(
    place: dict[str, str], namespace: str, tmp_path: Path
) -> None:
    """What Marquez refuses in the namespace of a dataset, and is spoilt by, is written in hexadecimal."""
    with modeltrail.run("write") as run:
        run.output(**place)
    events = told(tmp_path / "lineage")
    assert namespace == json.loads(events[-1])["outputs"][0]["namespace"]
    assert ([], True) == sent(events)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(*[st.text(max_size=12)] * 4)
@example(*[""] * 4)
@example(*["n" * 1100] * 4)
def test_no_name_makes_an_event_that_marquez_does_not_take(
    inbox: Path, job: str, namespace: str, name: str, other: str
) -> None:
    """Whatever jobs, datasets, models, endpoints and parents are called, the rules of Marquez hold."""
    parent = {
        "run": {"runId": "0199f0a0-0000-7000-8000-000000000000"},
        "job": {"namespace": other, "name": name},
    }
    with modeltrail.run(job, namespace=namespace, parent={"parent": parent}) as run:
        run.input(name, namespace=other)
        run.input(f"{other}.csv")
        run.input(Dataset(other, name))
        run.output(f"duckdb://{name}/{other}/t")
        run.params({other: name})
        run.metric(name, 1.0)
        run.output_model(b"weights", name=name)
        run.register(name, version=other)
        run.deploy(name, version=other, target={"platform": "k8s", "host": namespace, "name": other or "x"})
    events = [json.loads(line) for line in told(inbox)]
    assert "COMPLETE" in {event["eventType"] for event in events}
    assert [] == [problem for event in events for problem in problems(event)]
