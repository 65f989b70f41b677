"""How well a model does, as scripts say it: by scikit-learn's metric functions, `score`, cross-validation."""

import gc
import pickle
import weakref

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from lightgbm import LGBMClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    get_scorer,
    log_loss,
    mean_squared_error,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import cross_val_score, cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from told import facet
from xgboost import XGBClassifier

import modeltrail
from modeltrail.integrations import _sources, deactivate
from modeltrail.runs.scenes import Evaluation
from modeltrail_schemas.digests import digest as digest_of


@pytest.fixture
def parts(autolog):
    autolog()
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(80, 2)), columns=["age", "income"])
    frame["bought"] = (frame["age"] > 0).astype(int)
    features = ["age", "income"]
    return train_test_split(frame[features], frame["bought"], test_size=0.25, random_state=3)


@pytest.fixture
def evaluations(told):
    """The inputs of each evaluation: the data with its use, and what the model scored on it."""

    def find():
        found = []
        for event in told():
            if event["job"]["facets"]["jobType"]["jobType"] == "EVALUATE":
                inputs = {
                    bool(each["inputFacets"].get("modelTrail_evaluation")): each for each in event["inputs"]
                }
                found.append((inputs[False], inputs[True]))
        return found

    return find


def scored(model):
    return {each["name"]: each["value"] for each in model["inputFacets"]["modelTrail_evaluation"]["metrics"]}


def of_run(told):
    """The metrics of the run itself, by name."""
    (event,) = [each for each in told() if each["job"]["name"] == "train"]
    found = event["run"]["facets"].get("modelTrail_metrics", {"metrics": []})["metrics"]
    return {entry["name"]: entry for entry in found}


def points(told):
    """The points of the series of all runs."""
    chunks = [event["run"]["facets"]["modelTrail_metricSeries"] for event in told("RUNNING")]
    return [point for chunk in chunks for point in chunk["points"]]


def test_scores_of_predictions_are_one_evaluation(told, evaluations, parts, tmp_path):
    """All that is computed from what a model predicted of some data is one evaluation of the saved model."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        model = LogisticRegression().fit(train, label)
        predicted, chances = model.predict(test), model.predict_proba(test)[:, 1]
        values = {
            "accuracy_score": accuracy_score(truth, predicted),
            "roc_auc_score": roc_auc_score(truth, chances),
            "f1_score(average=macro)": f1_score(truth, predicted, average="macro"),
        }
        accuracy_score(truth, predicted)
        joblib.dump(model, tmp_path / "m.joblib")
    ((data, judged),) = evaluations()
    assert values == scored(judged)
    assert judged["name"].endswith("/m.joblib")
    use = data["inputFacets"]["modelTrail_dataUse"]
    assert ("test", "inferred") == (use["role"], use["capture"])
    assert {"strategy": "random", "fraction": 0.25, "seed": 3} == use["split"]
    assert 20 == use["fingerprint"]["rows"]
    assert {} == of_run(told)


def test_predictions_that_are_put_into_the_table_are_no_test_data(told, evaluations, parts, tmp_path):
    """A score is on what was predicted from; of a table that has lost some of that nobody knows any more."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        model = LogisticRegression().fit(train, label)
        joblib.dump(model, tmp_path / "m.joblib")
        for features, known in ((train, label), (test, truth)):
            predicted = features["predicted"] = model.predict(features)
            accuracy_score(known, predicted)
        less = train[["age", "income"]]
        predicted = model.predict(less)
        del less["income"]
        f1_score(label, predicted)
    columns = [[each["name"] for each in data["facets"]["schema"]["fields"]] for data, _ in evaluations()]
    assert [["age", "income", "bought"]] * 2 == columns
    uses = [data["inputFacets"]["modelTrail_dataUse"] for data, _ in evaluations()]
    assert ["train", "test"] == [use["role"] for use in uses]
    assert {"strategy": "random", "fraction": 0.25, "seed": 3} == uses[1]["split"]
    assert {"f1_score"} == of_run(told).keys()


def test_a_score_that_is_declared_is_told_once(told, evaluations, parts):
    """Who computes scores by scikit-learn and declares them has one evaluation, by those names."""
    train, test, label, truth = parts
    with modeltrail.run("train") as run:
        model = LogisticRegression().fit(train, label)
        loss = log_loss(truth, model.predict_proba(test))
        error = mean_squared_error(truth, model.predict_proba(test)[:, 1] * 0.9)
        run.evaluate(model, test, {"loss": loss, "error": error})
    ((_, judged),) = evaluations()
    assert {"loss": loss, "error": error} == scored(judged)
    assert ({}, []) == (of_run(told), points(told))


def test_what_is_declared_is_told_once_whatever_its_decimals(told, evaluations, parts):
    """A round figure is left out as an exact one is, so that each version tells the same: by its object."""
    train, test, label, truth = parts
    with modeltrail.run("train") as run:
        model = LogisticRegression().fit(train, label)
        predicted = model.predict(test)
        accuracy = accuracy_score(truth, predicted)
        recall = recall_score(truth, predicted)
        run.evaluate(model, test, {"hit rate": accuracy})
    assert round(accuracy, 2) == accuracy == recall
    assert [{"recall_score": recall}, {"hit rate": accuracy}] == [scored(each) for _, each in evaluations()]
    assert {} == of_run(told)


def test_scores_are_of_the_model_that_predicted(evaluations, parts, tmp_path):
    """Of several models of one class, one of which is saved, each has its own."""
    train, test, label, truth = parts
    found = {}
    with modeltrail.run("train"):
        models = [LogisticRegression(C=C).fit(train, label) for C in (1e-6, 1.0)]
        for model in models:
            found[id(model)] = log_loss(truth, model.predict_proba(test))
        joblib.dump(models[1], tmp_path / "m.joblib")
    told = {judged["name"].rpartition("/")[2]: scored(judged) for _, judged in evaluations()}
    assert 2 == len(told)
    assert {"log_loss": found[id(models[1])]} == told["m.joblib"]


def test_a_model_that_is_fitted_again_is_another(told, evaluations, parts, tmp_path):
    """What was saved and scored before stays what it was; what was only scored is of the run."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        model = LogisticRegression(C=1e-6)
        values = []
        for name in ("first", None, "last"):
            model.set_params(C=model.C * 100).fit(train, label)
            if name:
                joblib.dump(model, tmp_path / f"{name}.joblib")
            values.append(log_loss(truth, model.predict_proba(test)))
    found = {judged["name"].rpartition("/")[2]: scored(judged)["log_loss"] for _, judged in evaluations()}
    assert {"first.joblib": values[0], "last.joblib": values[2]} == found
    assert values[1] == of_run(told)["log_loss"]["value"]
    (event,) = [each for each in told() if each["job"]["name"] == "train"]
    assert {"first.joblib", "last.joblib"} == {each["name"].rpartition("/")[2] for each in event["outputs"]}


@pytest.mark.parametrize("is_one", [True, False], ids=["one object", "several"])
def test_a_score_is_never_that_of_the_bytes_that_took_the_place_of_its_model_s(
    told, evaluations, parts, tmp_path, is_one
):
    """Of the best so far, saved in one place, the file has its own score; the others are of those fits."""
    train, test, label, truth = parts
    model, values = LogisticRegression(), []
    with modeltrail.run("train"):
        for strength in (1e-6, 1e-3, 1.0):
            model = (model if is_one else LogisticRegression()).set_params(C=strength).fit(train, label)
            values.append(log_loss(truth, model.predict_proba(test)))
            joblib.dump(model, tmp_path / "best.joblib")
    ((_, judged),) = evaluations()
    assert {"log_loss": values[2]} == scored(judged)
    (event,) = [each for each in told() if each["job"]["name"] == "train"]
    others = {each["modelId"]: each["value"] for each in facet(event, "metrics")["metrics"]}
    assert {"LogisticRegression-1": values[0], "LogisticRegression-2": values[1]} == others
    (saved,) = event["outputs"]
    assert "LogisticRegression-3" == saved["facets"]["modelTrail_model"]["modelId"]
    assert 2 == len(points(told))


def test_what_was_written_over_may_lie_elsewhere_too(evaluations, parts, tmp_path):
    """A score stays with the model that it is of, in the file that still holds it; saved again it is one."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        for name, strength in (("first", 1e-6), ("second", 1.0)):
            model = LogisticRegression(C=strength).fit(train, label)
            value = log_loss(truth, model.predict_proba(test))
            for place in ("last", name, "last"):
                joblib.dump(model, tmp_path / f"{place}.joblib")
            if name == "first":
                first = value
    found = {judged["name"].rpartition("/")[2]: scored(judged)["log_loss"] for _, judged in evaluations()}
    assert {"first.joblib": first, "last.joblib": value} == found


def test_what_a_fit_scores_is_told_of_all_its_files(told, parts, tmp_path):
    """They are other bytes of the same model: each has the one evaluation; a copy is known by its bytes."""
    train, test, label, truth = parts
    with modeltrail.run("train") as run:
        model = LogisticRegression().fit(train, label)
        joblib.dump(model, tmp_path / "m.joblib")
        joblib.dump(model, tmp_path / "copy.joblib")
        value = model.score(test, truth)
        joblib.dump({"model": model, "columns": ["age", "income"]}, tmp_path / "held.joblib")
        run.evaluate(model, test, {"cost": 3.0})
        run.evaluate(tmp_path / "m.joblib", test, {"cost": 4.0})
        joblib.dump(model.fit(-train, label), tmp_path / "other.joblib")
    inputs = [each for event in told() for each in event["inputs"]]
    found = [
        (each["name"].rpartition("/")[2], said["modelDigest"], [entry["value"] for entry in said["metrics"]])
        for each in inputs
        if (said := each["inputFacets"].get("modelTrail_evaluation"))
    ]
    first, held = ((name, digest_of(tmp_path / name).digest) for name in ("m.joblib", "held.joblib"))
    own = [(*each, [number]) for each in (first, held) for number in (value, 3.0)]
    assert sorted([*own, (*first, [4.0])]) == sorted(found)


def test_what_was_computed_with_is_nobody_s_prediction(told, evaluations, parts):
    """Predictions that were changed in place, or some of their rows, are not told of the model."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        model = LinearRegression().fit(train, label)
        predicted = model.predict(test)
        mean_squared_error(truth[:5], predicted[:5])
        predicted += 1
        value = mean_squared_error(truth, predicted)
    assert value == of_run(told)["mean_squared_error"]["value"]
    assert [] == evaluations()


def test_training_data_that_was_selected_again_is_training_data(evaluations, parts):
    """It is known by its content."""
    train, _, label, _ = parts
    with modeltrail.run("train"):
        model = LogisticRegression().fit(train[["age", "income"]], label)
        model.score(train[["age", "income"]], label)
    ((data, _),) = evaluations()
    assert "train" == data["inputFacets"]["modelTrail_dataUse"]["role"]


def test_that_data_is_for_tests_is_inferred(told, parts, tmp_path):
    """A score is seen; that its data, and their file, are for tests and not for validation is concluded."""
    train, _, label, _ = parts
    train.join(label).to_csv(tmp_path / "held.csv", index=False)
    held = pd.read_csv(tmp_path / "held.csv")
    with modeltrail.run("train"):
        model = LogisticRegression().fit(-train, label)
        model.score(held[["age", "income"]], held["bought"])
        joblib.dump(model, tmp_path / "m.joblib")
    judged, _ = told()
    facets = [each["inputFacets"] for each in judged["inputs"]]
    uses = [each["modelTrail_dataUse"] for each in facets if "modelTrail_dataUse" in each]
    assert [("test", "inferred")] * 2 == [(use["role"], use["capture"]) for use in uses]
    (found,) = [each["modelTrail_evaluation"] for each in facets if "modelTrail_evaluation" in each]
    assert "observed" == found["capture"]


def test_what_a_model_was_fitted_on_is_no_test(evaluations, parts, tmp_path):
    """Scores on the very features of the fit are of the training data."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(train, label)
        joblib.dump(model, tmp_path / "m.joblib")
        values = [model.score(train, label), accuracy_score(truth, model.predict(test))]
    found = {
        data["inputFacets"]["modelTrail_dataUse"]["role"]: scored(judged) for data, judged in evaluations()
    }
    assert {"train": {"score": values[0]}, "test": {"accuracy_score": values[1]}} == found


@pytest.mark.parametrize(
    ("kind", "name"), [(LogisticRegression, "accuracy_score"), (LinearRegression, "r2_score")]
)
def test_the_score_of_a_model_has_its_name(evaluations, parts, kind, name):
    """What `score` computes is said by the kind of the model."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        model = kind().fit(train, label)
        value = model.score(test, truth)
    ((_, judged),) = evaluations()
    assert {name: value} == scored(judged)


def test_a_score_outlives_its_model_if_that_was_saved(told, evaluations, parts, tmp_path):
    """A model that a function made, saved and forgot has its evaluation."""
    train, test, label, truth = parts

    def make(path=None):
        model = LogisticRegression().fit(train, label)
        value = accuracy_score(truth, model.predict(test))
        if path:
            joblib.dump(model, path)
        return value, weakref.ref(model)

    with modeltrail.run("train"):
        value, gone = make(tmp_path / "m.joblib")
        gc.collect()
        assert gone() is None
    ((_, judged),) = evaluations()
    assert ({"accuracy_score": value}, {}) == (scored(judged), of_run(told))


def test_a_score_of_a_model_that_is_gone_is_one_of_the_run(told, evaluations, parts):
    """Nobody can load it, so that there is nothing to evaluate; the data stands beside the value."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        model = LogisticRegression().fit(train, label)
        value = accuracy_score(truth, model.predict(test))
        del model
        f1_score(truth, LogisticRegression().fit(train, label).predict(test))
        gc.collect()
    entry = of_run(told)["accuracy_score"]
    assert (value, "test") == (entry["value"], entry["split"])
    assert {"namespace", "name", "version", "digest"} == set(entry["dataset"])
    assert "test" == of_run(told)["f1_score"]["split"]
    assert [] == evaluations()


def test_data_that_is_gone_is_not_said_to_be_a_test(told, evaluations, parts):
    """It may be what was trained on, selected once more: its content cannot be looked at any more."""
    train, _, label, _ = parts
    with modeltrail.run("train"):
        model = LogisticRegression().fit(train[["age", "income"]], label)
        value = accuracy_score(label, model.predict(train[["age", "income"]]))
    entry = of_run(told)["accuracy_score"]
    assert (value, None) == (entry["value"], entry.get("split"))
    assert [] == evaluations()


def test_a_score_of_other_values_is_one_of_the_run(autolog, told, evaluations):
    """Whose predictions they are is not known, and not guessed; several values are a series."""
    autolog()
    with modeltrail.run("train"):
        mean_squared_error([1.0, 2.0], [1.0, 4.0])
        mean_squared_error([1.0, 2.0], [1.0, 3.0])
    assert 0.5 == of_run(told)["mean_squared_error"]["value"]
    assert [(0, 2.0), (1, 0.5)] == [(point["step"], point["value"]) for point in points(told)]
    assert [] == evaluations()


def test_without_a_run_scores_leave_nothing(told, parts):
    """A fit makes a run of its own; a script that scores in a loop shall not make thousands."""
    train, test, label, truth = parts
    model = LogisticRegression().fit(train, label)
    before = len(told())
    accuracy_score(truth, model.predict(test))
    model.score(test, truth)
    cross_val_score(LogisticRegression(), train, label, cv=2)
    assert before == len(told()) == 1


def test_folds_are_metrics_and_no_trainings(told, parts):
    """Of a cross-validation each fold's score and their mean are told; no fold's fit is."""
    train, _, label, _ = parts
    with modeltrail.run("train"):
        values = cross_val_score(LogisticRegression(), train, label, cv=4, scoring="roc_auc")
        found = cross_validate(LogisticRegression(), train, label, cv=2, scoring=["accuracy", "f1"])
    metrics = of_run(told)
    assert pytest.approx(values.mean()) == metrics["mean_test_roc_auc"]["value"]
    assert pytest.approx(found["test_f1"].mean()) == metrics["mean_test_f1"]["value"]
    folds = [(point["name"], point["step"], point["value"]) for point in points(told)]
    assert [("test_roc_auc", fold, value) for fold, value in enumerate(values)] == folds[:4]
    (event,) = told()
    assert [] == event["inputs"]
    assert "modelTrail_training" not in event["run"]["facets"]


def test_a_cross_validation_is_of_what_was_fitted_with_its_settings(told, parts, tmp_path):
    """The mean is told of a saved model that learns in the same way, of another one it is none."""
    train, test, label, truth = parts
    narrow = train.iloc[:, :1]
    with modeltrail.run("train"):
        means = {}
        for strength in (0.1, 1.0, 10.0):
            means[strength] = cross_val_score(LogisticRegression(C=strength), train, label, cv=3).mean()
        cross_val_score(LogisticRegression(C=0.1), narrow, label, cv=3)
        model = LogisticRegression(C=0.1).fit(train, label)
        model.score(test, truth)
        joblib.dump(model.fit(pd.concat([train, test]), pd.concat([label, truth])), tmp_path / "m.joblib")
        cross_val_score(LogisticRegression(C=5.0), train, label, cv=3)
    (event,) = [each for each in told() if each["job"]["name"] == "train"]
    mine = event["outputs"][0]["facets"]["modelTrail_model"]["modelId"]
    means_told = [
        (entry["modelId"] == mine, entry["value"])
        for entry in event["run"]["facets"]["modelTrail_metrics"]["metrics"]
        if entry["name"] == "mean_test_score"
    ]
    assert 5 == len(means_told)
    assert [(True, pytest.approx(means[0.1]))] == [each for each in means_told if each[0]]


def test_folds_may_score_without_bound(told, parts):
    """A fold whose score is infinite or no number is told as such, as is the mean."""
    train, _, label, _ = parts
    values = iter([float("inf"), 1.0, float("nan")])
    with modeltrail.run("train"):
        cross_val_score(LogisticRegression(), train, label, cv=3, scoring=lambda *_: next(values))
    folds = [(point["value"], point.get("nonFinite")) for point in points(told)]
    assert [(None, "inf"), (1.0, None), (None, "nan")] == folds
    assert "nan" == of_run(told)["mean_test_score"]["nonFinite"]


def test_what_is_permuted_is_no_evaluation(told, evaluations, parts):
    """`permutation_importance` predicts and scores again and again; nothing of that is told."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        model = LogisticRegression().fit(train, label)
        found = permutation_importance(model, test, truth, n_repeats=2, random_state=0)
    assert (2,) == found.importances_mean.shape
    assert ({}, []) == (of_run(told), evaluations())


def test_metric_functions_stay_what_they_are(autolog):
    """Scorers and functions pickle, and are the same objects, before, while and after they are observed."""
    before, scorer = accuracy_score, get_scorer("accuracy")
    autolog()
    assert before is sklearn.metrics.accuracy_score
    assert before is pickle.loads(pickle.dumps(accuracy_score))
    assert before is pickle.loads(pickle.dumps(scorer))._score_func
    inner = before.__closure__[0].cell_contents
    deactivate()
    assert inner is not before.__closure__[0].cell_contents


def test_predictions_are_not_kept_alive(parts):
    """Neither they nor their model and data."""
    train, test, label, _ = parts
    with modeltrail.run("train"):
        model, copy = LogisticRegression().fit(train, label), test.copy()
        predicted = model.predict(copy)
        gone = [weakref.ref(each) for each in (model, copy, predicted)]
        del model, copy, predicted
        gc.collect()
        assert [None] * 3 == [each() for each in gone]


@pytest.mark.parametrize("kind", [LGBMClassifier, XGBClassifier])
def test_chances_that_a_boosted_estimator_predicted_are_its_own(told, evaluations, parts, kind):
    """The second column of what was put together on its side is known by the array below it."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        model = kind(n_estimators=3).fit(train, label)
        value = roc_auc_score(truth, model.predict_proba(test)[:, 1])
    ((_, judged),) = evaluations()
    assert {"roc_auc_score": value} == scored(judged)
    assert "roc_auc_score" not in of_run(told)


def test_classes_chosen_from_chances_are_of_who_predicted_these(told, evaluations, parts):
    """`argmax` and `> 0.5` make new arrays, which are known by what they hold."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        model = LogisticRegression().fit(train, label)
        values = {
            "accuracy_score": accuracy_score(truth, model.predict_proba(test).argmax(axis=1)),
            "f1_score": f1_score(truth, (model.predict_proba(test)[:, 1] > 0.5).astype(int)),
        }
    ((_, judged),) = evaluations()
    assert (values, {}) == (scored(judged), of_run(told))


def test_classes_that_two_models_would_choose_are_nobody_s(told, evaluations, parts):
    """Nothing says which of the two they were made by."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        models = [LogisticRegression(C=C).fit(train, label) for C in (1.0, 1.0)]
        chosen = [model.predict_proba(test).argmax(axis=1) for model in models]
        value = accuracy_score(truth, chosen[0])
    assert value == of_run(told)["accuracy_score"]["value"]
    assert [] == evaluations()


def test_a_score_that_a_loaded_model_may_have_is_none_of_the_run(told, parts, tmp_path):
    """Of a part of some predictions nobody knows whose they are: once a champion was loaded, maybe its."""
    train, test, label, truth = parts
    place = tmp_path / "champion.joblib"
    joblib.dump(LogisticRegression(C=0.1).fit(train, label), place)
    with modeltrail.run("train"):
        model = LogisticRegression().fit(train, label)
        own = accuracy_score(truth[:20], model.predict(test)[[*range(20)]])
        champion = joblib.load(place)
        f1_score(truth[:20], champion.predict(test)[[*range(20)]])
    scores = of_run(told)
    assert ({"accuracy_score"}, own) == ({*scores}, scores["accuracy_score"]["value"])


def test_scores_of_a_search_by_hand_are_not_compared_with_each_other(told, parts, monkeypatch):
    """However many models a run scores, a score is compared with those of its own alone; none is lost."""
    train, test, truth, wanted = parts
    compared = []
    is_about_as = Evaluation.is_about_as
    monkeypatch.setattr(Evaluation, "is_about_as", lambda *two: compared.append(two) or is_about_as(*two))
    scores = []
    with modeltrail.run("train"):
        for strength in range(1, 9):
            model = LogisticRegression(C=strength / 100).fit(train, truth)
            scores += [model.score(test, wanted), model.score(train[:40], truth[:40])]
        del model
    assert len(compared) <= 8
    assert sorted(scores) == sorted(each["value"] for each in points(told))


def test_the_same_content_is_profiled_once(parts):
    """What a fit has seen is not looked at again for the profile of a score on the same content."""
    train, _, truth, _ = parts
    one, other, changed = (_sources.see(train * factor, truth).data for factor in (1, 1, 2))
    assert one.profile is other.profile
    assert one.profile.columns != changed.profile.columns


def test_a_part_of_what_a_model_was_fitted_on_is_no_test(evaluations, parts):
    """Rows that it learned from, however they were cut out, are `train`, these and others `other`."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        model = LogisticRegression().fit(train, label)
        model.score(train[:20], label[:20])
        accuracy_score(label[::-1][:30], model.predict(drawn := train[::-1][:30]))
        both = pd.concat([train, test]), pd.concat([label, truth])
        model.score(*both)
        model.score(test, truth)
        copied = XGBClassifier(n_estimators=2).fit(train.to_numpy(), label.to_numpy())
        copied.score(train.to_numpy()[10:40], label.to_numpy()[10:40])
        del drawn
    uses = [data["inputFacets"]["modelTrail_dataUse"] for data, _ in evaluations()]
    assert [
        ("train", "observed"),
        ("train", "observed"),
        ("other", "observed"),
        ("test", "inferred"),
        ("train", "observed"),
    ] == [(use["role"], use["capture"]) for use in uses]


def test_what_another_model_was_fitted_on_may_be_a_test(evaluations, parts):
    """Of two models of a run each has learned from its own rows; what one stopped by is its validation."""
    train, test, label, truth = parts
    with modeltrail.run("train"):
        model = LogisticRegression().fit(train, label)
        other = XGBClassifier(n_estimators=2).fit(test, truth, eval_set=[(train, label)], verbose=False)
        model.score(test, truth)
        other.score(train, label)
        other.score(train[:40], label[:40])
    uses = [data["inputFacets"]["modelTrail_dataUse"] for data, _ in evaluations()]
    assert ["test", "validation", "validation"] == [use["role"] for use in uses]
    assert ["inferred", "observed", "observed"] == [use["capture"] for use in uses]


def test_rows_that_repeat_are_no_evidence(evaluations, autolog):
    """Where all rows are among some few, those of a test are equal to those of the training by chance."""
    autolog()
    random = np.random.default_rng(0)
    features, label = random.integers(0, 3, (600, 2)), random.integers(0, 2, 600)
    with modeltrail.run("train"):
        model = LogisticRegression().fit(features[:400], label[:400])
        model.score(features[400:], label[400:])
    assert ["test"] == [data["inputFacets"]["modelTrail_dataUse"]["role"] for data, _ in evaluations()]


def test_a_chunk_that_a_model_learned_from_is_no_test(evaluations, parts):
    """Rows of `partial_fit` are known before the run ends, which tells of them, and after some epochs."""
    train, test, label, truth = parts
    model = SGDClassifier(random_state=0)
    with modeltrail.run("train"):
        for start in (*range(0, 60, 20), *range(0, 60, 20)):
            model.partial_fit(train[start : start + 20], label[start : start + 20], classes=[0, 1])
        for features, known in ((train[10:30], label[10:30]), (train, label), (test, truth)):
            model.score(features, known)
    assert ["train", "train", "test"] == [
        data["inputFacets"]["modelTrail_dataUse"]["role"] for data, _ in evaluations()
    ]


def test_what_a_run_learns_from_was_no_training_of_a_model_that_it_loaded(evaluations, parts, tmp_path):
    """The one in place is scored on what its successor is fitted on."""
    train, test, label, truth = parts
    with modeltrail.run("before"):
        joblib.dump(LogisticRegression().fit(test, truth), tmp_path / "m.joblib")
    with modeltrail.run("train"):
        LogisticRegression().fit(train, label)
        joblib.load(tmp_path / "m.joblib").score(train, label)
    assert ["test"] == [data["inputFacets"]["modelTrail_dataUse"]["role"] for data, _ in evaluations()]
