"""Train a version, score it on the hold-out and register it."""

import argparse

import joblib
import pandas as pd
from feature_engine import capped
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modeltrail

parser = argparse.ArgumentParser()
parser.add_argument("--version", required=True)
parser.add_argument("--C", type=float, default=1.0)
options = parser.parse_args()

FEATURES = ["age", "amount", "visits"]

modeltrail.autolog()

with modeltrail.run("train-churn") as run:
    run.input("data/train.csv", role="train")
    table = pd.read_csv("data/train.csv").assign(amount=lambda frame: capped(frame["amount"]))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=options.C))
    model.fit(table[FEATURES], table["churned"])
    joblib.dump(model, "models/churn.joblib")
    run.output_model("models/churn.joblib", name="churn")

    holdout = pd.read_csv("data/holdout.csv")
    hits = model.predict(holdout[FEATURES]) == holdout["churned"]
    slices = {"plan": {plan: {"accuracy": hits[holdout["plan"] == plan].mean()} for plan in ("a", "b")}}
    run.evaluate("churn", "data/holdout.csv", {"accuracy": hits.mean()}, slices=slices)
    run.register("churn", version=options.version)
