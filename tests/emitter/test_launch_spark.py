"""Spark below `modeltrail run`, without Spark; `make interop` runs it."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from modeltrail.context import Parent
from modeltrail.launch import spark

COMMAND = [str(Path(sys.executable).parent / "modeltrail"), "run", "--", sys.executable, "-c"]
DRIVER = """
import json, os, shlex, sys, time
conf = dict(each[2:].split("=", 1) for each in shlex.split(os.environ["SPARK_SUBMIT_OPTS"]))
parent = {"run": {"runId": conf["spark.openlineage.parentRunId"]},
          "job": {"namespace": conf["spark.openlineage.parentJobNamespace"],
                  "name": conf["spark.openlineage.parentJobName"]}}
event = {"eventType": "START", "eventTime": "2026-11-26T00:00:00Z", "producer": "https://spark.apache.org",
         "run": {"runId": "018d5b3e-0000-7000-8000-000000000001", "facets": {"parent": parent}},
         "job": {"namespace": conf["spark.openlineage.namespace"], "name": "app",
                 "facets": {"jobType": {"jobType": "APPLICATION"}}},
         "inputs": [], "outputs": []}
with open(conf["spark.openlineage.transport.location"], "a") as told:
    print(json.dumps(event), file=told, flush=True)
    print("no json", file=told, flush=True)
    whole = json.dumps(event | {"eventType": "RUNNING"}) + "\\n"
    for half in (whole[:40], whole[40:]):  # it may be read when only half is there
        time.sleep(float(sys.argv[1]) / 2)
        told.write(half)
        told.flush()
    time.sleep(float(sys.argv[1]))
    if os.fork():
        os._exit(0)  # Java ends a moment after Python
    time.sleep(float(sys.argv[1]))
    print(json.dumps(event | {"eventType": "COMPLETE"}), file=told)
    told.write('{"half')
"""
OUTER = Parent("018d5b3e-0000-7000-8000-00000000000a", "airflow", "dag")
OWN = Parent("018d5b3e-0000-7000-8000-00000000000b", 'a "name" of \\ours', "train it", OUTER)


def events_in(folder: Path) -> list[dict]:
    return [
        json.loads(line) for file in folder.glob("inbox/*.ndjson") for line in file.read_bytes().splitlines()
    ]


@pytest.mark.parametrize("seconds", [0, 2])
def test_what_a_listener_tells_is_sent_on(tmp_path, seconds):
    """Whole events, also after the program's end, below the script's run; a broken line stops nothing."""
    (tmp_path / "listener.jar").touch()
    done = subprocess.run(
        [*COMMAND, DRIVER, str(seconds)],
        env={**os.environ, "MODELTRAIL_SPARK_JARS": "listener.jar"},  # relative to where it is launched
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "sending on what Spark told" in done.stderr
    events = events_in(Path(os.environ["MODELTRAIL_LOG"]))
    told = [event for event in events if event["job"]["name"] == "app"]
    assert ["START", "RUNNING", "COMPLETE"] == [event["eventType"] for event in told]
    (script,) = {event["run"]["runId"] for event in events if event["job"]["name"] != "app"}
    assert {script} == {event["run"]["facets"]["parent"]["run"]["runId"] for event in told}


def test_without_jars_nothing_changes(tmp_path):
    """A program gets no variable of Spark's where no listener is configured."""
    code = "import os; assert not [name for name in os.environ if name.startswith('SPARK_')]"
    subprocess.run([*COMMAND, code], cwd=tmp_path, check=True)


def obstacles(tmp_path):
    (tmp_path / "there.jar").touch()
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "spark-env.sh").write_text("export SPARK_DIST_CLASSPATH=$(hadoop classpath)")
    there, home = str(tmp_path / "there.jar"), {"SPARK_HOME": str(tmp_path)}
    submit = ["spark-submit", "job.py"]
    yield None, (submit, {}, there)
    yield None, (submit, {}, f"{tmp_path}/*{os.pathsep}{there}")
    yield "which is not there", (submit, {}, f"{there}{os.pathsep}{tmp_path}/gone.jar")
    yield "which is not there", (submit, {}, f"{tmp_path}/gone/*")
    yield "cluster mode", (["spark-submit", "--deploy-mode", "cluster", "job.py"], {}, there)
    yield "cluster mode", (["spark-submit", "--deploy-mode=cluster", "job.py"], {}, there)
    yield "cluster mode", (["spark-submit", "--conf", "spark.submit.deployMode=cluster", "job.py"], {}, there)
    yield "spark-env.sh sets", (submit, home, there)
    yield "spark-env.sh sets", (submit, {"SPARK_CONF_DIR": str(tmp_path / "conf")}, there)


def test_a_listener_that_would_break_the_program_is_left_out(tmp_path):
    """A driver that does not find its listener fails: it is done without then, and why is told."""
    for why, given in obstacles(tmp_path):
        found = spark.obstacle(*given)
        assert (found is None) if why is None else (why in found), (why, found)
    code = "import os; assert not [name for name in os.environ if name.startswith('SPARK_')]"
    done = subprocess.run(
        [*COMMAND, code],
        env={**os.environ, "MODELTRAIL_SPARK_JARS": "gone.jar"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"not recorded: MODELTRAIL_SPARK_JARS names {tmp_path}/gone.jar" in done.stderr


def test_what_the_host_says_to_spark_stays():
    """Its options and class path come first, and any name goes through Spark's way of reading options."""
    host = {"SPARK_SUBMIT_OPTS": "-Xmx1g", "SPARK_DIST_CLASSPATH": "hadoop.jar"}
    found = spark.variables(host, "listener.jar", "/state", OWN)
    first, *options = shlex.split(found["SPARK_SUBMIT_OPTS"])
    conf = dict(each.removeprefix("-D").split("=", 1) for each in options)
    assert ("-Xmx1g", f"hadoop.jar{os.pathsep}listener.jar") == (first, found["SPARK_DIST_CLASSPATH"])
    assert {
        "spark.extraListeners": "io.openlineage.spark.agent.OpenLineageSparkListener",
        "spark.openlineage.namespace": OWN.namespace,
        "spark.openlineage.transport.type": "file",
        "spark.openlineage.transport.location": str(Path("/state/spark.ndjson")),
        "spark.openlineage.parentRunId": OWN.run_id,
        "spark.openlineage.parentJobNamespace": OWN.namespace,
        "spark.openlineage.parentJobName": "train it",
        "spark.openlineage.rootParentRunId": OUTER.run_id,
        "spark.openlineage.rootParentJobNamespace": "airflow",
        "spark.openlineage.rootParentJobName": "dag",
    } == conf
