"""Who will repay a loan? An ordinary training of scikit-learn on three raw files.

`modeltrail.autolog()` sees what the libraries do. What no library knows is said: what the run and the model
are called, how it does region by region, that it is registered and where it is deployed.
"""

from pathlib import Path

import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import modeltrail

NUMBERS = ["age", "income", "amount", "late_share"]
WORDS = ["region", "purpose"]
LABEL = "defaulted"


def read() -> pd.DataFrame:
    """One row for each loan: who took it, what for, and how often it was paid late."""
    customers, loans = pd.read_csv("raw/customers.csv"), pd.read_csv("raw/loans.csv")
    payments = pd.read_csv("raw/payments.csv")
    late = payments.groupby("loan", as_index=False)["late"].mean().rename(columns={"late": "late_share"})
    return loans.merge(customers, on="customer").merge(late, on="loan")


def search() -> GridSearchCV:
    """The model, and what is tried to make it better."""
    columns = ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        ("words", OneHotEncoder(handle_unknown="ignore"), WORDS),
    ])  # fmt: skip
    model = Pipeline([("columns", columns), ("model", LogisticRegression(max_iter=500))])
    return GridSearchCV(model, {"model__C": [0.1, 1.0, 10.0]}, cv=3, scoring="roc_auc")


def by_region(test: pd.DataFrame, predicted: pd.Series) -> dict[str, dict[str, float]]:
    """How often the prediction is right, region by region."""
    right = (test[LABEL] == predicted).groupby(test["region"]).mean()
    return {str(region): {"accuracy_score": float(share)} for region, share in right.items()}


def main() -> None:
    """Train, evaluate, save, register, deploy."""
    with modeltrail.run("train-credit") as run:
        table = read()
        train, test = train_test_split(table, test_size=0.25, random_state=7, stratify=table[LABEL])
        found = search().fit(train[NUMBERS + WORDS], train[LABEL])
        Path("models").mkdir(exist_ok=True)
        joblib.dump(found, "models/credit.joblib")

        features, truth = test[NUMBERS + WORDS], test[LABEL]
        print("AUC     ", roc_auc_score(truth, found.predict_proba(features)[:, 1]))
        predicted = pd.Series(found.predict(features), test.index)
        print("accuracy", accuracy_score(truth, found.predict(features)))
        whole = {"accuracy_score": float((truth == predicted).mean())}
        run.evaluate(found, test, whole, {"region": by_region(test, predicted)})
        run.register("credit", alias="champion", model=found)
        run.deploy("credit", None, "local://shop/endpoints/credit-api")


if __name__ == "__main__":
    modeltrail.autolog()
    main()
