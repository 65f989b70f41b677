"""Join two raw feeds into a training set."""

import pandas as pd

import modeltrail

with modeltrail.run("prepare-churn", job_type="FEATURE") as run:
    feeds = [run.input(f"raw/{name}.csv", role="other") for name in ("customers", "payments")]
    customers, payments = (pd.read_csv(f"raw/{name}.csv") for name in ("customers", "payments"))
    table = customers.merge(payments, on="customer").drop(columns="customer")
    table.to_csv("data/train.csv", index=False)
    run.transform("join", inputs=feeds, outputs=[run.output("data/train.csv")], params={"on": "customer"})
