"""Split the raw table into a training set and a hold-out: the same hold-out every time."""

import argparse

import pandas as pd
from sklearn.model_selection import train_test_split

import modeltrail

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--max-area", type=float, default=float("inf"), help="drop training rows above this area")
options = parser.parse_args()

with modeltrail.run("prepare-tumours", job_type="FEATURE") as run:
    raw = run.input("raw/tumours.csv", role="other")
    train, holdout = train_test_split(pd.read_csv("raw/tumours.csv"), test_size=0.25, random_state=7)
    kept = train[train["mean area"] <= options.max_area]
    kept.to_csv("data/train.csv", index=False)
    holdout.to_csv("data/holdout.csv", index=False)
    train_set, holdout_set = run.output("data/train.csv"), run.output("data/holdout.csv")
    run.transform(
        "split",
        inputs=[raw],
        outputs=[train_set, holdout_set],
        params={"test_size": 0.25, "random_state": 7},
    )
    if len(kept) < len(train):
        run.transform(
            "filter",
            inputs=[raw],
            outputs=[train_set],
            params={"where": f"mean area <= {options.max_area:g}", "rows_removed": len(train) - len(kept)},
        )

print(f"{len(kept)} training rows, {len(train) - len(kept)} removed, {len(holdout)} held out")
