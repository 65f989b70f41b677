"""Which model of a run a figure is of: folds by hand, candidates, a model that is fitted again."""

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold
from told import facet, files

import modeltrail
from modeltrail.runs.metrics import MAX_OTHERS


@pytest.fixture
def folds(autolog):
    """Features, labels, and three folds: features and labels to train on, then those to be judged by."""
    autolog()
    random = np.random.default_rng(0)
    features = pd.DataFrame(random.normal(size=(60, 2)), columns=["age", "income"])
    labels = pd.Series((features["age"] + random.normal(size=60) > 0).astype(int), name="bought")
    cut = [
        (features.iloc[fit], labels.iloc[fit], features.iloc[test], labels.iloc[test])
        for fit, test in KFold(3).split(features)
    ]
    return features, labels, cut


@pytest.fixture
def train_event(told):
    """`train_event()`: the last event of the run that trains."""
    return lambda: next(each for each in told() if each["job"]["name"] == "train")


def figures(event):
    """`modelId` -> the values of the run's metrics that are of that model."""
    found = {}
    for entry in facet(event, "metrics")["metrics"]:
        found.setdefault(entry.get("modelId"), []).append(entry["value"])
    return found


def called(event):
    """Output file -> its `modelId`."""
    return {name: each["facets"]["modelTrail_model"].get("modelId") for name, each in files(event).items()}


def test_what_folds_scored_is_not_the_final_model_s(folds, train_event, tmp_path):
    """Each fold's score is of the model of that fold, and the file says that it is none of these."""
    features, labels, cut = folds
    with modeltrail.run("train"):
        scores = []
        for train, label, test, truth in cut:
            model = LogisticRegression().fit(train, label)
            scores.append(roc_auc_score(truth, model.predict_proba(test)[:, 1]))
            del model
        joblib.dump(LogisticRegression().fit(features, labels), tmp_path / "m.joblib")
    found = figures(train_event())
    assert sorted(scores) == sorted(value for values in found.values() for value in values)
    assert (3, True) == (len(found), None not in found)
    (own,) = called(train_event()).values()
    assert own not in {None, *found}


def test_one_estimator_fitted_on_each_fold_is_several_models(folds, train_event, tmp_path):
    """The same object, fitted again, is another model: its last fit has the file and none of the scores."""
    features, labels, cut = folds
    with modeltrail.run("train"):
        model = LogisticRegression(C=0.5)
        for train, label, test, truth in cut:
            roc_auc_score(truth, model.fit(train, label).predict_proba(test)[:, 1])
        joblib.dump(model.fit(features, labels), tmp_path / "m.joblib")
    event = train_event()
    (own,) = called(event).values()
    assert (3, True) == (len(figures(event)), own not in {None, *figures(event)})
    told = facet(event, "hyperparameters")["params"]
    assert [own] == [each["modelId"] for each in told if each["name"] == "C"][-1:]
    assert {None} == {each.get("component") for each in told}


def test_another_model_than_those_of_the_folds_is_saved(folds, train_event, tmp_path):
    """A calibrated model that was made beside the folds has none of their scores."""
    features, labels, cut = folds
    with modeltrail.run("train"):
        for train, label, test, truth in cut:
            roc_auc_score(truth, LogisticRegression().fit(train, label).decision_function(test))
        joblib.dump(CalibratedClassifierCV(cv=2).fit(features, labels), tmp_path / "m.joblib")
    event = train_event()
    (own,) = called(event).values()
    assert (3, True) == (len(figures(event)), own is not None)
    assert own not in figures(event)


def test_predictions_are_of_the_model_as_it_was(folds, train_event, tmp_path):
    """A score that is computed after the model was fitted again is of the fit that predicted."""
    features, labels, cut = folds
    with modeltrail.run("train"):
        model = LogisticRegression()
        kept = [
            (truth, model.fit(train, label).predict_proba(test)[:, 1]) for train, label, test, truth in cut
        ]
        joblib.dump(model.fit(features, labels), tmp_path / "m.joblib")
        for truth, chances in kept:
            roc_auc_score(truth, chances)
    event = train_event()
    assert (3, True) == (len(figures(event)), None not in figures(event))
    assert not set(called(event).values()) & set(figures(event))


def test_figures_of_a_fit_whose_file_was_written_over_are_kept(folds, told, train_event, tmp_path):
    """What an object scored before it was fitted again and saved in its own place is told of that fit."""
    _, _, cut = folds
    model, values = LogisticRegression(), []
    with modeltrail.run("train") as run:
        for number, (train, label, test, truth) in enumerate(cut):
            joblib.dump(model.set_params(C=number + 1).fit(train, label), tmp_path / "m.joblib")
            values.append(roc_auc_score(truth, model.predict_proba(test.copy())[:, 1]))
            run.metric("cost", float(number), of=model)
    event = train_event()
    found = [sorted([value, float(number)]) for number, value in enumerate(values)]
    assert found == [sorted(each) for each in figures(event).values()]
    assert ["LogisticRegression-3"] == [*called(event).values()] == [*figures(event)][-1:]
    points = [each for one in told("RUNNING") for each in facet(one, "metricSeries")["points"]]
    assert values == [each["value"] for each in points]


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_rounds_are_of_the_booster_that_they_trained(library, folds, told, train_event, tmp_path):
    """Of boosters of folds the series and the last values say which booster they are of."""
    _, _, cut = folds
    with modeltrail.run("train"):
        for number, (train, label, test, truth) in enumerate(cut):
            if library == "xgboost":
                seen, unseen = xgboost.DMatrix(train, label), xgboost.DMatrix(test, truth)
                booster = xgboost.train({}, seen, 2, evals=[(unseen, "unseen")], verbose_eval=False)
            else:
                seen = lightgbm.Dataset(train, label)
                unseen = lightgbm.Dataset(test, truth, reference=seen)
                booster = lightgbm.train({"verbose": -1, "min_data_in_leaf": 3}, seen, 2, valid_sets=[unseen])
            if number == 1:
                booster.save_model(tmp_path / "m.json")
    event = train_event()
    assert {"Booster-1", "Booster-2", "Booster-3"} == figures(event).keys()
    assert {"m.json": "Booster-2"} == called(event)
    points = [each for one in told("RUNNING") for each in facet(one, "metricSeries")["points"]]
    assert 6 == len({(each["modelId"], each["step"]) for each in points})


def test_a_run_of_one_model_needs_no_name_for_it(folds, train_event, tmp_path):
    """Where all figures are of the only model, its file has no modelId, and what is said of none has none."""
    features, labels, _ = folds
    with modeltrail.run("train") as run:
        search = GridSearchCV(LogisticRegression(), {"C": [0.5, 1.0]}, cv=2).fit(features, labels)
        run.metric("seconds", 3)
        joblib.dump(search, tmp_path / "m.joblib")
    event = train_event()
    assert {"m.joblib": None} == called(event)
    assert {None: [3], "GridSearchCV-1": [search.best_score_] * 2} == figures(event)


def test_a_metric_can_be_said_of_an_object(folds, train_event, tmp_path):
    """`of` says which of two saved models a metric is of, also one that no library of ours fitted."""
    features, labels, _ = folds
    with modeltrail.run("train") as run:
        model = LogisticRegression().fit(features, labels)
        other = np.zeros(2)
        run.metric("cost", 1.0, of=model)
        run.metric("cost", 2.0, of=other)
        joblib.dump(model, tmp_path / "m.joblib")
        (tmp_path / "other.bin").write_bytes(b"1")
        run.output_model(tmp_path / "other.bin", of=other)
    event = train_event()
    assert [1.0] == figures(event)[called(event)["m.joblib"]]
    assert [2.0] == figures(event)["ndarray-2"]


def test_an_event_does_not_grow_with_each_model_that_is_tried(folds, train_event, tmp_path):
    """Of models that nobody saved the last values of the newest are told, of a saved one always."""
    features, labels, _ = folds
    with modeltrail.run("train") as run:
        first = LogisticRegression().fit(features, labels)
        run.metric("cost", -1.0, of=first)
        joblib.dump(first, tmp_path / "m.joblib")
        tried = [np.zeros(1) for _ in range(MAX_OTHERS + 3)]
        for number, each in enumerate(tried):
            run.metric("cost", float(number), of=each)
    values = [value for several in figures(train_event()).values() for value in several]
    assert [-1.0, *range(3, MAX_OTHERS + 3)] == values
