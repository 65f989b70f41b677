"""An Airflow DAG that trains on what Spark made, registers the model and deploys it."""

import os
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import dag, task

import modeltrail

FOLDER = Path(os.environ["GRAPH_FOLDER"])


@task
def train() -> None:
    """Fit, save and register."""
    import joblib
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    modeltrail.autolog()
    with modeltrail.run("train-churn") as run:
        frame = pd.read_parquet(FOLDER / "features")
        run.input(FOLDER / "features", role="train")
        model = LogisticRegression(max_iter=500).fit(frame[["average", "total"]], frame["label"])
        joblib.dump(model, FOLDER / "churn.joblib")
        run.output_model(FOLDER / "churn.joblib", name="churn")
        run.register("churn", version="1")


@task
def deploy() -> None:
    """Let it serve."""
    with modeltrail.run("deploy-churn", job_type="DEPLOY") as run:
        run.deploy("churn", "1", "k8s://prod/endpoints/churn-api")


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False)
def churn() -> None:
    """`airflow dags test churn` runs it."""
    train() >> deploy()


churn()
