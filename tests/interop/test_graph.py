"""dbt, Spark, Airflow and scikit-learn, real, one after the other: one graph from raw file to endpoint."""

import shutil
import sys
from pathlib import Path

import pytest
from interop.airflow_home import Airflow
from interop.programs import DBT, SPARK, kafka, start
from one_graph import must_hang_together

HERE = Path(__file__).parent

pytestmark = [pytest.mark.interop, pytest.mark.kafka, pytest.mark.timeout(900)]


def test_one_graph_over_four_tools(tmp_path, kafka_bootstrap, kafka_topic, modeltrail_command) -> None:
    """From the endpoint back through Airflow, Spark and dbt to the raw file, and forwards again."""
    topic = kafka_topic(3)
    folder = Path(shutil.copytree(HERE / "churn", tmp_path / "churn"))
    (folder / "raw").mkdir()
    rows = "".join(f"{n % 40},{n * 7 % 90},{int(n % 40 < 12)}\n" for n in range(400))
    (folder / "raw" / "orders.csv").write_text("customer,amount,churned\n" + rows)
    ours, launcher = (
        kafka(kafka_bootstrap, topic),
        [Path(sys.executable).with_name("modeltrail"), "run", "--"],
    )
    database = {"CHURN_DATABASE": str(folder / "churn.duckdb"), "CHURN_FILES": str(folder)}
    start([*launcher, "dbt-ol", "build", "--profiles-dir", "."], folder, DBT, **ours, **database)
    driver = {
        "PYSPARK_PYTHON": str(SPARK / "bin/python"),
        "MODELTRAIL_SPARK_JARS": str(SPARK / "jars/openlineage-spark_2.13-1.53.0.jar"),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    program = ["spark-submit", HERE / "graph/spark_features.py", "features_file.parquet", "features"]
    start([*launcher, *program], folder, SPARK, **ours, **driver)
    config = {"bootstrap.servers": kafka_bootstrap}
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
