"""What happens around dbt, a step each: `steps.py ingest|build|train DATABASE FILE`."""

import subprocess
import sys
from pathlib import Path

import duckdb
import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression

import modeltrail

FOLDER = Path(__file__).parent


def ingest() -> None:
    (FOLDER / "raw").mkdir()
    with modeltrail.run("ingest-orders") as run:
        rows = "".join(f"{n % 40},{n * 7 % 90},{int(n % 40 < 12)}\n" for n in range(400))
        (FOLDER / "raw" / "orders.csv").write_text("customer,amount,churned\n" + rows)
        run.output(FOLDER / "raw" / "orders.csv")


def build(*options: str) -> None:
    with modeltrail.run("pipeline"):
        subprocess.run(["dbt-ol", *options, "build"], check=True)


def train(database: str, file: str) -> None:
    with duckdb.connect(database) as connection:
        table = connection.sql("from features").df()
    with modeltrail.run("train-on-table") as run:
        run.input(table, namespace=f"duckdb://{database}", name="churn.main.features", role="train")
        fit(run, table, "churn-by-table")
    with modeltrail.run("train-on-its-uri") as run:
        run.input(f"duckdb://{database}/churn.main.features", role="train")
        fit(run, table, "churn-by-its-uri")
    with modeltrail.run("train-on-file") as run:
        run.input(file, role="train")
        fit(run, pd.read_parquet(file), "churn-by-file")


def fit(run: modeltrail.Run, table: pd.DataFrame, name: str) -> None:
    model = LogisticRegression(C=len(name)).fit(  # bytes of its own: what makes one is found by its digest
        table[["average", "orders"]], table["label"]
    )
    joblib.dump(model, FOLDER / f"{name}.joblib")
    run.output_model(FOLDER / f"{name}.joblib", name=name)
    run.register(name, version="1")


if __name__ == "__main__":
    {"ingest": ingest, "build": build, "train": train}[sys.argv[1]](*sys.argv[2:])
