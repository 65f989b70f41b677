"""What only lightgbm has; what it shares with xgboost is in test_boosting.py."""

import gc

import lightgbm
import numpy as np
import pandas as pd
import pytest
from told import facet, metrics, params, uses

import modeltrail

PARAMS = {"objective": "binary", "verbose": -1}


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(200, 2)), columns=["age", "income"])
    frame["bought"] = (frame["age"] > 0).astype(int)
    return frame


def test_a_dataset_is_known_when_its_frame_is_gone(autolog, told, table):
    """Once lightgbm has made bins of it the frame is freed; what was seen before is told of each training."""
    autolog("lightgbm")
    dataset = lightgbm.Dataset(table[["age", "income"]], label=table["bought"]).construct()
    assert dataset.data is None
    gc.collect()
    for _ in range(2):
        lightgbm.train(PARAMS, dataset, 2)
    first, second = (uses(event).popitem()[1] for event in told())
    assert ("full", ["age", "income"], "bought") == (
        first["fingerprint"]["scope"],
        first["features"],
        first["labelColumn"],
    )
    assert first["fingerprint"] == second["fingerprint"]


def test_a_frame_that_changes_later(autolog, told, table):
    """What was trained on is the data that the bins were made of, whatever became of its frame since."""
    autolog("lightgbm")
    values = table[["age", "income"]].to_numpy(copy=True)
    dataset = lightgbm.Dataset(values, label=table["bought"], free_raw_data=False)
    lightgbm.train(PARAMS, dataset, 2)
    values += 1
    lightgbm.train(PARAMS, dataset, 2)
    first, second = (uses(event).popitem()[1]["fingerprint"] for event in told())
    assert first == second


def test_a_file_is_its_own_name(autolog, told, tmp_path, table):
    """A dataset that lightgbm reads from a file is that file."""
    place = tmp_path / "train.csv"
    table[["bought", "age", "income"]].to_csv(place, index=False, header=False)
    autolog("lightgbm")
    lightgbm.train(PARAMS, lightgbm.Dataset(str(place), params={"verbose": -1}), 2)
    ((name, use),) = uses(told()[0]).items()
    assert (str(place), "sha256", "train") == (name, use["fingerprint"]["algorithm"], use["role"])


def test_a_part_of_a_dataset_is_not_taken_for_the_whole(autolog, told, table):
    """The rows of a subset were not seen: it has no fingerprint."""
    autolog("lightgbm")
    whole = lightgbm.Dataset(table[["age"]], label=table["bought"], params={"verbose": -1})
    lightgbm.train(PARAMS, whole.subset(list(range(100)), params={"verbose": -1}), 2)
    ((_, use),) = uses(told()[0]).items()
    assert "none" == use["fingerprint"]["scope"]


def test_sets_without_names(autolog, told, table):
    """Sets without names go by lightgbm's own; each score knows which way is better."""
    autolog("lightgbm")
    trained = lightgbm.Dataset(table[["age"]][:150], label=table["bought"][:150])
    judged = trained.create_valid(table[["age"]][150:], label=table["bought"][150:])
    lightgbm.train({**PARAMS, "metric": ["auc", "binary_logloss"]}, trained, 3, valid_sets=[judged, trained])
    lightgbm.train(PARAMS, trained, 3, valid_sets=judged, valid_names="held out")
    first, second = told()
    found = {name: (each["split"], each["direction"]) for name, each in metrics(first).items()}
    assert {
        "valid_0-auc": ("validation", "max"),
        "valid_0-binary_logloss": ("validation", "min"),
        "training-auc": ("train", "max"),
        "training-binary_logloss": ("train", "min"),
    } == found
    assert {"held out-binary_logloss"} == metrics(second).keys()


def test_early_stopping(autolog, told, table):
    """The best round and what each set scored in it are metrics; the rounds it waits are a parameter."""
    autolog("lightgbm")
    trained = lightgbm.Dataset(table[["age"]][:150], label=table["bought"][:150])
    judged = trained.create_valid(table[["age"]][150:], label=table["bought"][150:])
    stop = lightgbm.early_stopping(2, verbose=False)
    booster = lightgbm.train(
        PARAMS, trained, 30, valid_sets=[judged], valid_names=["unseen"], callbacks=[stop]
    )
    event = told()[0]
    assert (2, "explicit") == params(event)[None, "early_stopping_rounds"]
    found = metrics(event)
    assert booster.best_iteration == found["best_iteration"]["value"]
    best = booster.best_score["unseen"]["binary_logloss"]
    assert best == found["best_unseen-binary_logloss"]["value"]


def test_an_estimator_that_stops_early(autolog, told, table):
    """The rounds of a callback are a parameter of the model beside its own."""
    autolog("lightgbm")
    features, labels, held = table[["age"]][:150], table["bought"][:150], table[150:]
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1)
    stop = lightgbm.early_stopping(3, verbose=False)
    model.fit(features, labels, eval_X=held[["age"]], eval_y=held["bought"], callbacks=[stop])
    found = params(told()[0])
    assert (3, "explicit") == found[None, "early_stopping_rounds"]
    assert (5, "explicit") == found[None, "n_estimators"]


def test_a_default_that_is_given_by_another_name_is_none(autolog, told, table):
    """What has several names was told with its default beside the value that counts."""
    autolog("lightgbm")
    matrix = lightgbm.Dataset(table[["age"]], label=table["bought"])
    lightgbm.train({**PARAMS, "num_iterations": 2}, matrix)
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, feature_fraction=0.5, lambda_l1=0.1)
    model.fit(table[["age", "income"]], table["bought"])
    trained, fitted = (params(event) for event in told())
    assert (2, "explicit") == trained[None, "num_iterations"]
    assert (None, "num_boost_round") not in trained
    assert (0.5, "explicit") == fitted[None, "feature_fraction"]
    assert {"colsample_bytree", "reg_alpha"}.isdisjoint(name for _, name in fitted)
    assert (0.0, "default") == fitted[None, "reg_lambda"]


def test_evaluation_sets_of_an_estimator(autolog, told, table):
    """One or several, with names or none; what is also trained on is no validation."""
    autolog("lightgbm")
    features, labels, held = table[["age"]][:150], table["bought"][:150], table[150:]
    model = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1)
    model.fit(features, labels, eval_X=held[["age"]], eval_y=held["bought"])
    both = {"eval_X": (features, held[["age"]]), "eval_y": (labels, held["bought"])}
    model.fit(features, labels, eval_names=["seen", "unseen"], **both)
    with pytest.warns(FutureWarning, match="eval_set"):
        model.fit(features, labels, eval_set=(held[["age"]], held["bought"]))
    one, several, old = told()
    for event in (one, several, old):
        assert ["train", "validation"] == sorted(use["role"] for use in uses(event).values())
    assert {"seen-l2": "train", "unseen-l2": "validation"} == {
        name: each["split"] for name, each in metrics(several).items()
    }
    assert metrics(one).keys() == metrics(old).keys() == {"valid_0-l2"}


def test_a_ranker_ranks(autolog, told, table):
    """The task of what is neither classifier nor regressor is told by its objective."""
    autolog("lightgbm")
    lightgbm.LGBMRanker(n_estimators=2, verbose=-1).fit(table[["age"]], table["bought"], group=[100, 100])
    assert "ranking" == facet(told()[0], "training")["task"]


def test_an_objective_of_the_user_s_own_has_no_task(autolog, told, table):
    """Of an objective that is a function the task is not guessed."""

    def own(predicted, trained):
        return predicted - trained.get_label(), np.ones_like(predicted)

    autolog("lightgbm")
    dataset = lightgbm.Dataset(table[["age"]], label=table["bought"])
    lightgbm.train({"objective": own, "verbose": -1}, dataset, 2)
    assert "task" not in facet(told()[0], "training")


def test_a_cross_validation_that_gives_its_boosters(autolog, told, table):
    """The boosters among the results of a cross-validation are no metric."""
    autolog("lightgbm")
    with modeltrail.run("cv"):
        lightgbm.cv(PARAMS, lightgbm.Dataset(table[["age"]], label=table["bought"]), 2, return_cvbooster=True)
    assert {"valid binary_logloss-mean", "valid binary_logloss-stdv"} == metrics(told()[0]).keys()
