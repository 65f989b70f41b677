"""How high will a site's peak load be? An ordinary training on four raw feeds. `python train.py VERSION`.

`modeltrail.autolog()` sees all of it but what no library knows: what the run and the model are called, and
where the model is deployed.
"""

import sys

import joblib
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import modeltrail

NUMBERS = ["energy", "area", "temperature"]
WORDS = ["kind"]
LABEL = "peak"


def read() -> pd.DataFrame:
    """One row for each day of a site: what it used, in which weather, and its peak."""
    sites, weather = pd.read_csv("raw/sites.csv"), pd.read_csv("raw/weather.csv")
    readings, peaks = pd.read_csv("raw/readings.csv"), pd.read_csv("raw/peaks.csv")
    return readings.merge(peaks, on=["site", "day"]).merge(sites, on="site").merge(weather, on="day")


def main(version: str) -> None:
    """Train, evaluate on the days that somebody has checked, save, register, deploy."""
    with modeltrail.run("train-energy") as run:
        table = read()
        columns = make_column_transformer((StandardScaler(), NUMBERS), (OneHotEncoder(), WORDS))
        model = make_pipeline(columns, Ridge(alpha=0.5)).fit(table[NUMBERS + WORDS], table[LABEL])
        joblib.dump(model, "energy.joblib")

        reference = pd.read_csv("reference.csv")
        features, truth = reference[NUMBERS + WORDS], reference[LABEL]
        predicted = model.predict(features)
        print("error", round(mean_absolute_error(truth, predicted), 2))
        print("R²   ", round(r2_score(truth, predicted), 2))
        run.register("energy", version=version, model=model)
        run.deploy("energy", version, "local://grid/endpoints/peak-forecast")


if __name__ == "__main__":
    modeltrail.autolog()
    main(sys.argv[1])
