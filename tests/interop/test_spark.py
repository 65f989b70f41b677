"""Spark with OpenLineage's official listener: its events and those of a run in its driver are one graph."""

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from interop.programs import SPARK, kafka, start
from kafka_broker import read
from served import serving

from modeltrail import naming

JOB = Path(__file__).with_name("spark_job.py")
PAGE = Path(__file__).parents[2] / "docs" / "spark.md"
JARS = ",".join(
    str(SPARK / "jars" / jar) for jar in ("openlineage-spark_2.13-1.53.0.jar", "kafka-clients-3.9.1.jar")
)
QUIET = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
CONF = QUIET | {
    "spark.jars": JARS,
    "spark.extraListeners": "io.openlineage.spark.agent.OpenLineageSparkListener",
    "spark.openlineage.namespace": "spark",
}
PYTHON = [SPARK / "bin/python"]
DRIVER = {"PYSPARK_PYTHON": str(SPARK / "bin/python"), "SPARK_LOCAL_IP": "127.0.0.1"}
STRINGS = "org.apache.kafka.common.serialization.StringSerializer"
OUTER = "018d5b3e-0000-7000-8000-000000000001"

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]


@pytest.fixture
def job(tmp_path):
    """Runs the job with more configuration and environment; the folder of its data."""

    def run(conf: dict[str, str], *, by: Sequence[str | Path] = PYTHON, **environment: str) -> Path:
        rows = "".join(f"{n % 40},{n * 7 % 90},{int(n % 40 < 12)}\n" for n in range(400))
        (tmp_path / "orders.csv").write_text("customer,amount,churned\n" + rows)
        done = start([*by, JOB, tmp_path, json.dumps(conf)], tmp_path, SPARK, **(DRIVER | environment))
        assert "a query failed" in done.stdout
        return tmp_path

    return run


def listening(bootstrap: str, topic: str) -> dict[str, str]:
    """The listener's configuration for a topic."""
    prefix = "spark.openlineage.transport"
    return {
        f"{prefix}.type": "kafka",
        f"{prefix}.topicName": topic,
        f"{prefix}.properties.bootstrap.servers": bootstrap,
        f"{prefix}.properties.key.serializer": STRINGS,
        f"{prefix}.properties.value.serializer": STRINGS,
    }


def parent_of(event: dict) -> tuple[str | None, str | None]:
    """The names of a run's parent and root."""
    parent = event["run"]["facets"].get("parent", {})
    return parent.get("job", {}).get("name"), parent.get("root", {}).get("job", {}).get("name")


@pytest.mark.kafka
def test_a_run_in_the_driver_is_a_child_of_the_application(
    job, kafka_bootstrap, kafka_topic, modeltrail_command
) -> None:
    """Both have one key and so one partition, also by the Java client; a failed query stays failed."""
    topic = kafka_topic(3)
    folder = job(CONF | listening(kafka_bootstrap, topic), **kafka(kafka_bootstrap, topic))
    records = read(kafka_bootstrap, topic)
    assert 1 == len({(partition, key) for partition, key, _ in records})
    assert b"run:spark/churn_features" == records[0][1]
    events = [json.loads(value) for _, _, value in records]
    app = {event["run"]["runId"] for event in events if event["job"]["name"] == "churn_features"}
    (own,) = [
        event for event in events if (event["job"]["name"], event["eventType"]) == ("train-churn", "COMPLETE")
    ]
    assert ("churn_features", "churn_features") == parent_of(own)
    assert app == {own["run"]["facets"]["parent"]["run"]["runId"]}
    modeltrail_command("collect", "--until-end", "--topic", topic, "--bootstrap-servers", kafka_bootstrap)
    modeltrail_command("compact")
    runs = json.loads(modeltrail_command("runs", "--json").stdout)
    assert {"FAIL"} == {run["state"] for run in runs if run["job_name"].endswith("never")}
    assert [] == [run for run in runs if run["state"] in {"START", "RUNNING"} and not run["over_since"]]
    trail = modeltrail_command("trace", "churn-spark").stdout
    order = ["churn-spark", "train-churn", "features", "churn_features.", "orders.csv"]
    assert sorted(map(trail.index, order)) == list(map(trail.index, order)), trail
    assert str(folder)


def test_a_job_without_a_broker(job, modeltrail_command, tmp_path) -> None:
    """What the listener wrote to a file is collected; what never ends is over; a run has its outer root."""
    told = tmp_path / "told.ndjson"
    outer = {"ParentRunId": OUTER, "ParentJobNamespace": "airflow", "ParentJobName": "dag.task"}
    conf = {f"spark.openlineage.p{key[1:]}": value for key, value in outer.items()}
    conf |= {"spark.openlineage.transport.type": "file", "spark.openlineage.transport.location": str(told)}
    job(CONF | conf)
    modeltrail_command("collect", "--from-files", str(told))
    modeltrail_command("compact")
    runs = json.loads(modeltrail_command("runs", "--json").stdout)
    names = Counter(run["job_name"] for run in runs)
    assert {"churn_features", "train-churn"} <= names.keys()
    (own,) = [run for run in runs if run["job_name"] == "train-churn"]
    (app,) = [run for run in runs if run["job_name"] == "churn_features"]
    assert (app["run_id"], OUTER, OUTER) == (own["parent_run_id"], own["root_run_id"], app["parent_run_id"])
    assert [] == [run for run in runs if run["state"] in {"START", "RUNNING"} and not run["over_since"]]


def test_a_job_that_sends_by_http(job, modeltrail_command) -> None:
    """The listener's `http` transport, with a token and gzip, and the driver's reach `modeltrail serve`."""
    log, token = Path(os.environ["MODELTRAIL_LOG"]), "spark-0123456789"
    with serving(log, env={"MODELTRAIL_TOKEN": token}) as server:
        told = {"type": "http", "url": server.url, "compression": "gzip", "auth.type": "api_key"}
        conf = {f"spark.openlineage.transport.{key}": value for key, value in told.items()}
        conf["spark.openlineage.transport.auth.apiKey"] = token
        auth = json.dumps({"type": "api_key", "apiKey": token})
        driver = {"TYPE": "http", "URL": server.url, "COMPRESSION": "gzip", "AUTH": auth}
        job(CONF | conf, **{f"OPENLINEAGE__TRANSPORT__{key}": value for key, value in driver.items()})
        modeltrail_command("compact")
    runs = {run["job_name"]: run for run in json.loads(modeltrail_command("runs", "--json").stdout)}
    assert runs["churn_features"]["run_id"] == runs["train-churn"]["parent_run_id"]
    trail = modeltrail_command("trace", "churn-spark").stdout
    order = ["churn-spark", "train-churn", "features", "churn_features.", "orders.csv"]
    assert sorted(map(trail.index, order)) == list(map(trail.index, order)), trail


@pytest.mark.parametrize("program", ["python", "spark-submit"])
@pytest.mark.parametrize("away", [False, True], ids=["to the inbox", "broker away"])
def test_an_unchanged_job_below_our_launcher(job, modeltrail_command, program, away) -> None:
    """The application is a child of the script's run, and so are the runs in it; no broker holds it up.

    Also of a job that does not stop its session, whose Java ends after Python.
    """
    launcher = [Path(sys.executable).with_name("modeltrail"), "run", "--", SPARK / "bin" / program]
    environment = {"MODELTRAIL_SPARK_JARS": JARS.replace(",", os.pathsep)}
    environment |= {"LEAVES_OPEN": "1"} if away else {}
    if away:
        environment |= kafka("127.0.0.1:1", "nowhere") | {"OPENLINEAGE__TRANSPORT__TIMEOUT": "2"}
    job(QUIET, by=launcher, **environment)
    told = Path(os.environ["MODELTRAIL_SPOOL" if away else "MODELTRAIL_LOG"])
    modeltrail_command("collect", "--from-files", f"{told}/**/*.ndjson")
    modeltrail_command("compact")
    runs = {run["job_name"]: run for run in json.loads(modeltrail_command("runs", "--json").stdout)}
    script, app, own = (runs[name] for name in ("spark_job", "churn_features", "train-churn"))
    assert {"COMPLETE"} == {run["state"] for run in (script, app, own)}
    assert (script["run_id"], script["run_id"]) == (app["parent_run_id"], own["parent_run_id"])
    assert {script["run_id"]} == {run["root_run_id"] for run in runs.values() if run is not script}
    order = ["churn-spark", "train-churn", "features", "churn_features.", "orders.csv"]
    trail = modeltrail_command("trace", "churn-spark").stdout
    assert sorted(map(trail.index, order)) == list(map(trail.index, order)), trail


WITHIN = """
import json, sys
import modeltrail
modeltrail.autolog(strict=True)
from pyspark.sql import SparkSession
with modeltrail.run("nightly") as outer, modeltrail.run("features") as run:
    builder = SparkSession.builder.master("local[1]").appName("within")
    for key, value in json.loads(sys.argv[1]).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.range(3).write.parquet("rows")
    with modeltrail.run("inner"):
        pass
    spark.stop()
"""


@pytest.mark.parametrize("own", [{}, {"spark.openlineage.parentRunId": OUTER}], ids=["", "names another"])
def test_an_application_that_starts_within_a_run(tmp_path, modeltrail_command, own) -> None:
    """It is a child of that run, and its root is that run's; unless the program says whose it is."""
    told = tmp_path / "told.ndjson"
    conf = CONF | {f"spark.openlineage.transport.{key}": value for key, value in
                   (("type", "file"), ("location", str(told)))}  # fmt: skip
    if own:
        conf |= own | {f"spark.openlineage.parentJob{key}": "elsewhere" for key in ("Namespace", "Name")}
    start([*PYTHON, "-c", WITHIN, json.dumps(conf)], tmp_path, SPARK, **DRIVER)
    inbox = Path(os.environ["MODELTRAIL_LOG"]) / "inbox"
    modeltrail_command("collect", "--from-files", f"{inbox}/*.ndjson", "--from-files", str(told))
    modeltrail_command("compact")
    runs = {run["job_name"]: run for run in json.loads(modeltrail_command("runs", "--json").stdout)}
    app, above = runs["within"], (runs["features"]["run_id"], runs["nightly"]["run_id"])
    assert (OUTER if own else above[0]) == app["parent_run_id"]
    assert (OUTER if own else above[1]) == app["root_run_id"]
    assert above == (runs["inner"]["parent_run_id"], runs["inner"]["root_run_id"])


URIS = (
    *("s3a://bucket/a/b/", "s3n://bucket/a", "s3://bucket", "s3a://bucket/a%20b/c", "gs://bucket/x/y"),
    *("abfss://c@account.dfs.core.windows.net/a/b", "abfs://c@account.dfs.core.windows.net/a"),
    *("wasb://c@account.blob.core.windows.net/a", "hdfs://name:8020/user/x/", "hdfs:///user/x"),
    *("file:/srv/x/", "file:///srv/x%20y", "/srv/z", "dbfs:/mnt/x", "viewfs://lake/data/orders"),
)
NAMES = """
import json, sys
from pyspark.sql import SparkSession
builder = SparkSession.builder.master("local[1]")
for key, value in json.loads(sys.argv[1]).items():
    builder = builder.config(key, value)
jvm = builder.getOrCreate()._jvm
named = jvm.io.openlineage.client.utils.filesystem.FilesystemDatasetUtils.fromLocation
found = [named(jvm.java.net.URI(uri)) for uri in sys.argv[2:]]
print(json.dumps([[each.getNamespace(), each.getName()] for each in found]))
"""


def test_names_are_the_listener_s(tmp_path) -> None:
    """What a path or URI is called by the listener's own code, it is called by us."""
    conf = json.dumps(QUIET | {"spark.driver.extraClassPath": JARS.replace(",", os.pathsep)})
    done = start([*PYTHON, "-c", NAMES, conf, *URIS], tmp_path, SPARK, **DRIVER)
    told = [tuple(name) for name in json.loads(done.stdout.splitlines()[-1])]
    assert dict(zip(URIS, told, strict=True)) == {uri: naming.identity(uri) for uri in URIS}


def test_the_page_s_job(modeltrail_command, tmp_path) -> None:
    """What docs/spark.md says to type records data, model and score of the script that stands there."""
    page = PAGE.read_text()
    (tmp_path / "train.py").write_text(re.findall(r"```py\n(.*?)```", page, re.DOTALL)[0])
    (command,) = re.findall(r"^(modeltrail run -- spark-submit \S+)", page, re.MULTILINE)
    rows = "".join(f"{n % 60},{n * 7 % 90},{int(n % 60 < 20)}\n" for n in range(400))
    (tmp_path / "orders.csv").write_text("customer,amount,churned\n" + rows)
    launcher = [Path(sys.executable).with_name("modeltrail"), *command.split()[1:]]
    start(launcher, tmp_path, SPARK, **DRIVER, MODELTRAIL_SPARK_JARS=JARS.replace(",", os.pathsep))
    modeltrail_command("compact")
    trail = modeltrail_command("trace", "models/churn").stdout
    order = ["models/churn", "train  COMPLETE", "features", "churn.", "orders.csv"]
    assert sorted(map(trail.index, order)) == list(map(trail.index, order)), trail
    story = json.loads(modeltrail_command("show", "models/churn", "--json").stdout)
    assert ["areaUnderROC"] == [row["name"] for row in story["evaluations"]]
    assert "pyspark.ml.classification.LogisticRegression" == story["model"]["algorithm"]
    names = {row["name"] for row in story["params"]}
    assert {"LogisticRegression.regParam", "VectorAssembler.inputCols"} <= names
    learned = json.loads(modeltrail_command("impact", "orders.csv", "--json").stdout)
    assert [str(tmp_path / "models/churn")] == [row["name"] for row in learned if row["kind"] == "model"]
