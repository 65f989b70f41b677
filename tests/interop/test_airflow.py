"""Airflow, real, forks and all: what it emits, and what ML runs in its tasks do, is one graph in Kafka."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from interop.airflow_home import Airflow, told
from interop.programs import until
from kafka_broker import create_topic, read

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "airflow"
DAGS = Path(__file__).parent / "dags"
PROGRAM = """
import modeltrail
with modeltrail.run("in-program"):
    pass
"""

pytestmark = [pytest.mark.interop, pytest.mark.kafka, pytest.mark.timeout(900)]


@pytest.fixture
def airflow(tmp_path):
    """Makes an Airflow with these DAGs, whose events go to a topic."""

    def make(dags: Path, bootstrap: str, topic: str, **options) -> Airflow:
        transport = {
            "type": "modeltrail.KafkaTransport",
            "topic": topic,
            "config": {"bootstrap.servers": bootstrap},
            **options,
        }
        folder = tmp_path / "data"
        folder.mkdir()
        (folder / "program.py").write_text(PROGRAM)
        return Airflow(
            tmp_path / "airflow", dags, transport, TUMOURS_HOME=str(folder), HARD_FOLDER=str(folder)
        )

    return make


def events_in(bootstrap: str, topic: str) -> list[dict]:
    return [json.loads(value) for _, _, value in read(bootstrap, topic)]


def emitted(events: list[dict]) -> Counter[tuple[str, str]]:
    """Airflow's own events, as `told` counts them."""
    return Counter(
        (event["eventType"], event["run"]["runId"]) for event in events if "airflow" in event["producer"]
    )


def runs_of(events: list[dict]) -> dict[str, tuple[str, str, str | None, str | None]]:
    """Of each run id the job, the last state, and the names of parent and root."""
    found = {}
    for event in events:
        parent = event["run"]["facets"].get("parent", {})
        names = (parent.get("job", {}).get("name"), parent.get("root", {}).get("job", {}).get("name"))
        found[event["run"]["runId"]] = (event["job"]["name"], event["eventType"], *names)
    return found


def dags_that_ended(events: list[dict]) -> set[str]:
    """Of those the scheduler tells in a process of its own, some time after they have."""
    ends = [event for event in events if event["eventType"] in {"COMPLETE", "FAIL"}]
    return {event["job"]["name"] for event in ends} & {"works", "breaks"}


def hangs_together(events: list[dict]) -> bool:
    """Whether each parent is a run that is there, of the very name."""
    names = {event["run"]["runId"]: event["job"]["name"] for event in events}
    parents = [event["run"]["facets"]["parent"] for event in events if "parent" in event["run"]["facets"]]
    above = [(each["run"]["runId"], each["job"]["name"]) for each in parents]
    above += [(each["root"]["run"]["runId"], each["root"]["job"]["name"]) for each in parents]
    return all(names.get(run_id) == name for run_id, name in above)


def test_the_example_from_raw_data_to_deployment(
    airflow, kafka_bootstrap, kafka_topic, modeltrail_command
) -> None:
    """One variable, and the trail of a version leads from the raw file to the endpoint, below its tasks."""
    topic = kafka_topic(3)
    log = airflow(EXAMPLE, kafka_bootstrap, topic).run("dags", "test", "tumours", "-c", '{"version": "7"}')
    events = events_in(kafka_bootstrap, topic)
    assert told(log) == emitted(events)
    assert hangs_together(events)
    own = {run for run in runs_of(events).values() if run[2] and "-" in run[0]}
    assert {
        ("ingest-tumours", "COMPLETE", "tumours.ingest", "tumours"),
        ("prepare-tumours", "COMPLETE", "tumours.features", "tumours"),
        ("train-tumours", "COMPLETE", "tumours.train", "tumours"),
        ("evaluate-tumours", "COMPLETE", "tumours.evaluate", "tumours"),
        ("deploy-tumours", "COMPLETE", "tumours.deploy", "tumours"),
    } == own
    assert {"airflow"} == {event["job"]["namespace"] for event in events}
    modeltrail_command(
        "collect", "--until-end", "--topic", topic, "--bootstrap-servers", kafka_bootstrap, "--strict"
    )
    modeltrail_command("compact")
    trail = modeltrail_command("trace", "tumour-check").stdout
    order = ["deploy-tumours", "tumours@7", "train-tumours", "train.parquet", "prepare-tumours", "raw.csv"]
    assert sorted(map(trail.index, order)) == [trail.index(name) for name in (*order, "ingest-tumours")][:-1]
    story = json.loads(modeltrail_command("show", "tumours@7", "--json").stdout)
    assert "accuracy" == story["evaluations"][0]["name"]
    assert str(EXAMPLE / "tumours.py") in json.dumps(story["code"])


def test_the_scheduler_loses_nothing(airflow, kafka_bootstrap, kafka_topic, modeltrail_command) -> None:
    """Retries, mapped tasks, failures, kills and programs: each run is below its own try, and all are there.

    Airflow stops a task by SIGINT with its default action, which is as a kill.
    """
    topic = kafka_topic(3)
    home = airflow(DAGS, kafka_bootstrap, topic)
    with home.services("works", "breaks"):
        home.run("dags", "trigger", "works")
        home.run("dags", "trigger", "breaks")
        assert ("success", "failed") == (home.wait("works"), home.wait("breaks"))
        until(lambda: dags_that_ended(events_in(kafka_bootstrap, topic)) == {"works", "breaks"})
    events = events_in(kafka_bootstrap, topic)
    assert told((home.home / "scheduler.log").read_text()) == emitted(events)
    assert hangs_together(events)
    assert Counter(
        {
            ("works", "COMPLETE", None, None): 1,
            ("works.plain", "COMPLETE", "works", "works"): 1,
            ("in-plain", "COMPLETE", "works.plain", "works"): 1,
            ("works.again", "FAIL", "works", "works"): 1,
            ("in-again", "FAIL", "works.again", "works"): 1,
            ("works.again", "COMPLETE", "works", "works"): 1,
            ("in-again", "COMPLETE", "works.again", "works"): 1,
            ("works.each", "COMPLETE", "works", "works"): 3,
            ("in-each-1", "COMPLETE", "works.each", "works"): 1,
            ("in-each-2", "COMPLETE", "works.each", "works"): 1,
            ("in-each-3", "COMPLETE", "works.each", "works"): 1,
            ("works.starts", "COMPLETE", "works", "works"): 1,
            ("in-program", "COMPLETE", "works.starts", "works"): 1,
            ("breaks", "FAIL", None, None): 1,
            ("breaks.fails", "FAIL", "breaks", "breaks"): 1,
            ("in-fails", "FAIL", "breaks.fails", "breaks"): 1,
            ("breaks.killed", "START", "breaks", "breaks"): 1,  # Airflow does not tell of its end
            ("in-killed", "START", "breaks.killed", "breaks"): 1,
            ("breaks.exits", "START", "breaks", "breaks"): 1,
            ("in-exits", "START", "breaks.exits", "breaks"): 1,
        }
    ) == Counter(runs_of(events).values())
    modeltrail_command(
        "collect", "--until-end", "--topic", topic, "--bootstrap-servers", kafka_bootstrap, "--strict"
    )
    modeltrail_command("compact")
    found = json.loads(modeltrail_command("runs", "--json").stdout)
    over = {run["job_name"] for run in found if run["over_since"]}
    assert {"breaks.killed", "in-killed", "breaks.exits", "in-exits"} == over


def test_a_broker_that_is_away(airflow, private_broker, modeltrail_command) -> None:
    """Tasks go on as ever; what they told waits in the spool, and is delivered when Kafka is back."""
    topic = create_topic(private_broker.bootstrap_servers, 3)
    home = airflow(DAGS, private_broker.bootstrap_servers, topic, timeout=3)
    private_broker.stop()
    log = home.run("dags", "test", "works")
    assert ["success"] == home.states("dag_run", "works")
    private_broker.start()
    modeltrail_command(
        "spool",
        "flush",
        OPENLINEAGE__TRANSPORT=home.environment["AIRFLOW__OPENLINEAGE__TRANSPORT"],
        MODELTRAIL_SPOOL=os.environ["MODELTRAIL_SPOOL"],
    )
    events = events_in(private_broker.bootstrap_servers, topic)
    assert told(log) == emitted(events)
    assert hangs_together(events)
    assert 14 == len([event for event in events if event["job"]["name"].startswith("in-")])
