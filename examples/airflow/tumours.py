"""An Airflow DAG from raw data to deployment: ingest, features, train, evaluate, deploy.

Nothing in here names a broker or a parent. Airflow's own events and those of the runs below leave by the
transport of AIRFLOW__OPENLINEAGE__TRANSPORT, and each run is a child of the task that it runs in.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import dag, task

import modeltrail

HOME = Path(os.environ.get("TUMOURS_HOME", "tumours")).absolute()
RAW, TRAIN, HOLDOUT, MODEL = (
    HOME / name for name in ("raw.csv", "train.parquet", "holdout.parquet", "tumours.joblib")
)


@task
def ingest() -> None:
    """Fetch what is new; here it comes with scikit-learn."""
    from sklearn.datasets import load_breast_cancer

    HOME.mkdir(exist_ok=True)
    with modeltrail.run("ingest-tumours") as run:
        load_breast_cancer(as_frame=True).frame.to_csv(RAW, index=False)
        run.output(RAW)


@task
def features() -> None:
    """Take out what is not plausible, and hold a quarter out."""
    import pandas as pd
    from sklearn.model_selection import train_test_split

    with modeltrail.run("prepare-tumours", job_type="FEATURE") as run:
        raw = pd.read_csv(RAW)
        run.input(RAW)
        plausible = raw[raw["mean area"] < 2000]
        train, holdout = train_test_split(plausible, random_state=7, stratify=plausible["target"])
        train.to_parquet(TRAIN)
        holdout.to_parquet(HOLDOUT)
        run.output(TRAIN)
        run.output(HOLDOUT)
        run.transform("filter", [RAW], [TRAIN, HOLDOUT], params={"keep": "mean area < 2000"})


@task
def train(version: str) -> None:
    """Fit, save and register."""
    import joblib
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    modeltrail.autolog()
    with modeltrail.run("train-tumours") as run:
        frame = pd.read_parquet(TRAIN)
        run.input(TRAIN, role="train")
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5))
        joblib.dump(model.fit(frame.drop(columns="target"), frame["target"]), MODEL)
        run.output_model(MODEL, name="tumours")
        run.register("tumours", version=version)


@task
def evaluate(version: str) -> float:
    """Score the version on what was held out."""
    import joblib
    import pandas as pd

    with modeltrail.run("evaluate-tumours", job_type="EVALUATE") as run:
        holdout = pd.read_parquet(HOLDOUT)
        accuracy = joblib.load(MODEL).score(holdout.drop(columns="target"), holdout["target"])
        run.evaluate(f"tumours@{version}", HOLDOUT, {"accuracy": accuracy})
    return accuracy


@task
def deploy(version: str, accuracy: float) -> None:
    """Let the version serve, if it is good enough."""
    if accuracy < 0.9:
        raise ValueError(f"tumours@{version} has an accuracy of {accuracy:.3f}; 0.9 is asked for")
    with modeltrail.run("deploy-tumours", job_type="DEPLOY") as run:
        run.deploy("tumours", version, "demo://localhost/endpoints/tumour-check")


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, params={"version": "1"})
def tumours() -> None:
    """From raw data to an endpoint; `airflow dags test tumours -c '{"version": "2"}'` runs it here."""
    version = "{{ params.version }}"
    accuracy = evaluate(version)
    ingest() >> features() >> train(version) >> accuracy >> deploy(version, accuracy)


tumours()
