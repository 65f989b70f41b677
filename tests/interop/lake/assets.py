"""Assets from a raw file to a model: two of pandas alone, one with a run of ours in it."""

import os
from pathlib import Path

import dagster as dg
import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression

import modeltrail

FOLDER = Path(os.environ["LAKE"])


def written(table: pd.DataFrame, name: str, **metadata: object) -> dg.MaterializeResult:
    """What makes a trail lead here: the path of the file, absolute."""
    table.to_parquet(FOLDER / name)
    return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(str(FOLDER / name)), **metadata})


@dg.asset
def orders() -> dg.MaterializeResult:
    rows = [(n % 40, n * 7 % 90, int(n % 40 < 12)) for n in range(400)]
    return written(pd.DataFrame(rows, columns=["customer", "amount", "churned"]), "orders.parquet")


@dg.asset(deps=[orders])
def features() -> dg.MaterializeResult:
    table = pd.read_parquet(FOLDER / "orders.parquet").groupby("customer", as_index=False).mean()
    came = {column: [dg.TableColumnDep("orders", column)] for column in table}
    return written(table, "features.parquet", **{"dagster/column_lineage": dg.TableColumnLineage(came)})


@dg.asset(deps=[features])
def churn_model() -> None:
    table = pd.read_parquet(FOLDER / "features.parquet")
    with modeltrail.run("train-churn") as run:
        run.input(FOLDER / "features.parquet", role="train")
        model = LogisticRegression().fit(table[["amount"]], table["churned"] > 0)
        joblib.dump(model, FOLDER / "churn.joblib")
        run.output_model(FOLDER / "churn.joblib", name="churn")


@dg.asset
def broken() -> None:
    with modeltrail.run("in-broken"):
        raise ValueError("there are no orders")


@dg.asset_check(asset=features)
def has_rows() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=len(pd.read_parquet(FOLDER / "features.parquet")) > 0)


@dg.op
def count() -> None:
    with modeltrail.run("in-count"):
        pass


@dg.job
def counting() -> None:
    count()


defs = dg.Definitions(
    assets=[orders, features, churn_model, broken], asset_checks=[has_rows], jobs=[counting]
)
