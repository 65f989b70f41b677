"""dbt, Spark, Airflow and scikit-learn, real, one after the other: one graph from raw file to endpoint."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from interop.airflow_home import Airflow
from one_graph import must_hang_together

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
LISTENER = ROOT / ".venv-spark" / "jars" / "openlineage-spark_2.13-1.53.0.jar"

pytestmark = [pytest.mark.interop, pytest.mark.kafka, pytest.mark.timeout(900)]


def launched(venv: str, folder: Path, command: list[str], **environment: str) -> None:
    """`modeltrail run -- COMMAND` with the programs of an environment."""
    path = f"{ROOT / venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
    modeltrail = [Path(sys.executable).with_name("modeltrail"), "run", "--"]
    given = {**os.environ, "PATH": path, **environment}
    done = subprocess.run(
        [*modeltrail, *command], cwd=folder, env=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def test_one_graph_over_four_tools(tmp_path, kafka_bootstrap, kafka_topic, modeltrail_command) -> None:
    """From the endpoint back through Airflow, Spark and dbt to the raw file, and forwards again."""
    topic = kafka_topic(3)
    folder = Path(shutil.copytree(HERE / "churn", tmp_path / "churn"))
    (folder / "raw").mkdir()
    rows = "".join(f"{n % 40},{n * 7 % 90},{int(n % 40 < 12)}\n" for n in range(400))
    (folder / "raw" / "orders.csv").write_text("customer,amount,churned\n" + rows)
    config = {"bootstrap.servers": kafka_bootstrap}
    ours = {
        "OPENLINEAGE__TRANSPORT__TYPE": "modeltrail.KafkaTransport",
        "OPENLINEAGE__TRANSPORT__TOPIC": topic,
        "OPENLINEAGE__TRANSPORT__CONFIG": json.dumps(config),
    }
    database = {"CHURN_DATABASE": str(folder / "churn.duckdb"), "CHURN_FILES": str(folder)}
    launched(".venv-dbt", folder, ["dbt-ol", "build", "--profiles-dir", "."], **ours, **database)
    spark = {
        "PYSPARK_PYTHON": str(ROOT / ".venv-spark/bin/python"),
        "MODELTRAIL_SPARK_JARS": str(LISTENER),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    command = ["spark-submit", str(HERE / "graph/spark_features.py")]
    launched(".venv-spark", folder, [*command, "features_file.parquet", "features"], **ours, **spark)
    transport = {"type": "modeltrail.KafkaTransport", "topic": topic, "config": config}
    Airflow(tmp_path / "airflow", HERE / "graph", transport, GRAPH_FOLDER=str(folder)).run(
        "dags", "test", "churn"
    )
    told = modeltrail_command(
        "collect", "--until-end", "--topic", topic, "--bootstrap-servers", kafka_bootstrap
    )
    assert "0 rejected" in told.stdout + told.stderr
    modeltrail_command("compact")
    must_hang_together(modeltrail_command)
