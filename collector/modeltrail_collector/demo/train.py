"""Train one version of the model, evaluate it on the hold-out and register it."""

import argparse

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

import modeltrail

SCALERS = {
    "standard": StandardScaler(),
    "quantile": QuantileTransformer(n_quantiles=100, random_state=7),
}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--version", required=True)
parser.add_argument("--C", type=float, default=1.0, help="inverse regularisation strength")
parser.add_argument("--scaler", choices=SCALERS, default="standard")
options = parser.parse_args()

modeltrail.autolog()

with modeltrail.run("train-tumours") as run:
    frame = pd.read_csv("data/train.csv")
    run.input("data/train.csv", role="train")
    features, label = frame.drop(columns="target"), frame["target"]
    model = make_pipeline(SCALERS[options.scaler], LogisticRegression(C=options.C, max_iter=500)).fit(
        features, label
    )

    joblib.dump(model, "models/tumours.joblib")
    run.output_model("models/tumours.joblib", name="tumours")

    holdout = pd.read_csv("data/holdout.csv")
    truth, score = holdout["target"], model.predict_proba(holdout.drop(columns="target"))[:, 1]
    metrics = {"accuracy": accuracy_score(truth, score > 0.5), "roc_auc": roc_auc_score(truth, score)}
    run.evaluate("tumours", "data/holdout.csv", metrics)
    run.register("tumours", version=options.version, alias="candidate")

print(", ".join(f"{name} {value:.3f}" for name, value in metrics.items()))
