"""What is answered from what dbt, Spark, Airflow and runs of ours told of one model."""

import json


def in_order(trail: str, names: list[str]) -> bool:
    """Whether each of the names stands in it behind the one before."""
    at = 0
    for name in names:
        at = trail.find(name, at)
        if at < 0:
            return False
        at += len(name)
    return True


def must_hang_together(modeltrail_command) -> None:
    """From the endpoint and the model back to the raw file, and from that forwards to both."""
    to_raw = [
        *("churn@1", "train-churn", "features", "churn_features.", "features_file.parquet"),
        *("features_file.build.run", "churn.main.features", "features.build.run"),
        *("churn.main.stg_orders", "stg_orders.build.run", "raw/orders.csv"),
    ]
    trail = modeltrail_command("trace", "churn@1").stdout
    assert in_order(trail, to_raw), trail
    served = modeltrail_command("trace", "k8s://prod/endpoints/churn-api").stdout
    assert in_order(served, ["churn-api", "deploy-churn", *to_raw]), served
    reached = json.loads(modeltrail_command("impact", "raw/orders.csv", "--json").stdout)
    assert ["churn"] == [row["registered_name"] for row in reached if row["kind"] == "model"]
    assert ["churn-api"] == [row["endpoint"] for row in reached if row["kind"] == "endpoint"]
    runs = json.loads(modeltrail_command("runs", "--json").stdout)
    jobs = {run["run_id"]: run["job_name"] for run in runs}
    roots = {run["job_name"]: jobs.get(run["root_run_id"]) for run in runs}
    assert {"dbt-ol", "spark_features", "churn"} == {root for root in roots.values() if root}
    assert ("churn", "spark_features", "dbt-ol") == (
        roots["train-churn"],
        roots["churn_features"],
        roots["dbt-run-churn"],
    )
