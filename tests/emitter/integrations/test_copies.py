"""Copies of fitted models: what is told of a copy that is saved, used, or fitted again."""

import copy

import joblib
import pandas as pd
import pytest
import xgboost
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from told import edges, facet, files, uses
from xgboost import XGBClassifier

import modeltrail


def halves(path):
    table = pd.read_csv(path)
    return table[["age", "income"]], table["bought"]


@pytest.mark.parametrize("how", [copy.deepcopy, copy.copy])
@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        XGBClassifier(n_estimators=2),
        LGBMClassifier(n_estimators=2, verbose=-1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_copy_is_the_model_that_it_was_copied_of(told, autolog, tables, model, how):
    """It has the data, the parameters and the training of that, and no other model's."""
    autolog()
    with modeltrail.run("copies"):
        copied = how(clone(model).fit(*halves(tables / "a.csv")))
        Ridge().fit(*halves(tables / "b.csv"))
        joblib.dump(copied, tables / "m.joblib")
    event = told()[-1]
    assert {"a.csv", "train"} == edges(event)["m.joblib"]
    told_of = files(event)["m.joblib"]["facets"]["modelTrail_model"]["modelId"]
    assert told_of == f"{type(model).__name__}-1"
    assert any(each.get("modelId") == told_of for each in facet(event, "hyperparameters")["params"])


def test_the_copy_of_a_booster_is_that_booster(told, autolog, tables):
    """`copy` of xgboost, whatever is trained afterwards."""
    autolog()
    with modeltrail.run("copies"):
        copied = xgboost.train({"max_depth": 2}, xgboost.DMatrix(*halves(tables / "a.csv")), 3).copy()
        Ridge().fit(*halves(tables / "b.csv"))
        copied.save_model(tables / "m.ubj")
    assert {"a.csv", "train"} == edges(told()[-1])["m.ubj"]


def test_the_best_so_far_has_learned_what_it_had_when_it_was_copied(told, autolog, tables):
    """What a model learns after it was copied is its own: it goes on from there, and the copy does not."""
    autolog()
    model = SGDClassifier(random_state=0)
    with modeltrail.run("copies"):
        model.partial_fit(*halves(tables / "a.csv"), classes=[0, 1])
        best = copy.deepcopy(model)
        model.partial_fit(*halves(tables / "b.csv"))
        joblib.dump(best, tables / "best.joblib")
        joblib.dump(model, tables / "last.joblib")
    event = told()[-1]
    found = edges(event)
    assert {"a.csv", "train"} == found["best.joblib"]
    assert {"a.csv", "b.csv", "train", "train-2"} == found["last.joblib"]


def test_a_copy_that_is_fitted_again_is_another_model(told, autolog, tables):
    """Each file has the settings and the data of its own fit, whichever of them was first."""
    autolog()
    first = LogisticRegression(C=1.5)
    with modeltrail.run("copies"):
        second = copy.deepcopy(first.fit(*halves(tables / "a.csv")))
        second.set_params(C=2.5).fit(*halves(tables / "b.csv"))
        joblib.dump(first, tables / "first.joblib")
        joblib.dump(second, tables / "second.joblib")
    event = told()[-1]
    assert [{"a.csv", "train"}, {"b.csv", "train-2"}] == [
        edges(event)[name] for name in ("first.joblib", "second.joblib")
    ]
    ids = [
        files(event)[name]["facets"]["modelTrail_model"]["modelId"]
        for name in ("first.joblib", "second.joblib")
    ]
    values = {
        each["modelId"]: each["value"]
        for each in facet(event, "hyperparameters")["params"]
        if each["name"] == "C"
    }
    assert [1.5, 2.5] == [values[each] for each in ids]


def test_a_clone_has_learned_nothing_and_is_no_model(told, autolog, tables):
    """What holds nothing but its parameters is not told when it is saved."""
    autolog()
    with modeltrail.run("copies"):
        joblib.dump(clone(LogisticRegression().fit(*halves(tables / "a.csv"))), tables / "clone.joblib")
    event = told()[-1]
    assert [] == event["outputs"]
    assert "train" == uses(event)[str(tables / "a.csv")]["role"]


def test_a_copy_outside_of_any_run_leads_to_its_training(told, autolog, tables):
    """A model that was fitted in a run of its own, copied and saved."""
    autolog()
    joblib.dump(copy.deepcopy(LogisticRegression().fit(*halves(tables / "a.csv"))), tables / "m.joblib")
    (made,) = told()[0]["outputs"]
    assert made["name"] in {each["name"] for each in told()[-1]["inputs"]}
