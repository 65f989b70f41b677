"""What only xgboost has; what it shares with lightgbm is in test_boosting.py."""

import gc
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import xgboost
from told import edges, facet, metrics, params, uses

import modeltrail
from modeltrail.integrations import _sources

QUIET = {"verbose_eval": False}


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(100, 2)), columns=["age", "income"])
    frame["bought"] = (frame["age"] > 0).astype(int)
    return frame


@pytest.fixture
def matrix(table):
    return xgboost.DMatrix(table[["age", "income"]], label=table["bought"])


def test_every_kind_of_matrix_is_known(autolog, told, table):
    """A `QuantileDMatrix` is known by its data as a `DMatrix` is."""
    autolog("xgboost")
    for kind in (xgboost.DMatrix, xgboost.QuantileDMatrix):
        xgboost.train({}, kind(table[["age"]], label=table["bought"]), 2)
    first, second = (uses(event).popitem()[1] for event in told())
    assert "full" == first["fingerprint"]["scope"]
    assert first["fingerprint"] == second["fingerprint"]


@pytest.mark.filterwarnings("ignore:(?s).*Text file input")
def test_a_file_is_its_own_name(autolog, told, tmp_path):
    """A matrix that xgboost reads from a file is that file, whatever options follow its name."""
    place = tmp_path / "train.libsvm"
    place.write_text("1 1:0.5 2:1\n0 1:0.1 2:2\n" * 10)
    autolog("xgboost")
    xgboost.train({}, xgboost.DMatrix(f"{place}?format=libsvm"), 2)
    ((name, use),) = uses(told()[0]).items()
    assert (str(place), "sha256", "train") == (name, use["fingerprint"]["algorithm"], use["role"])


def test_what_only_predicts_is_not_looked_at(autolog, monkeypatch, table):
    """The data of a matrix without labels is not read while it only predicts, nor kept alive."""
    booster = xgboost.train({}, xgboost.DMatrix(table[["age"]], label=table["bought"]), 2)
    looked = []
    monkeypatch.setattr(_sources, "see", lambda *given: looked.append(given))
    autolog("xgboost")
    features = table[["age"]].copy()
    matrix = xgboost.DMatrix(features)
    booster.predict(matrix)
    assert [] == looked
    kept = _sources.known(matrix).data
    assert kept() is features
    del features
    gc.collect()
    assert kept() is None


def test_labels_that_come_later(autolog, told, table):
    """A matrix that gets its labels later is still known by its features, while their frame lives."""
    autolog("xgboost")
    features = table[["age"]]
    matrix = xgboost.DMatrix(features)
    matrix.set_label(table["bought"])
    xgboost.train({}, matrix, 2)
    ((_, use),) = uses(told()[0]).items()
    assert (["age"], "full") == (use["features"], use["fingerprint"]["scope"])


def test_early_stopping(autolog, told, matrix):
    """The best round and its score are metrics, numbered as xgboost does, where it was to stop early."""
    autolog("xgboost")
    judged = {"evals": [(matrix, "seen")], **QUIET}
    booster = xgboost.train({"seed": 1}, matrix, 5, early_stopping_rounds=2, **judged)
    xgboost.train({"seed": 1}, matrix, 5, **judged)
    xgboost.train({}, matrix, 2, xgb_model=booster)
    first, second, third = told()
    found = metrics(first)
    assert booster.best_iteration == found["best_iteration"]["value"]
    assert booster.best_score == found["best_score"]["value"]
    assert {"seen-rmse"} == metrics(second).keys()
    assert "modelTrail_metrics" not in third["run"]["facets"]


def test_a_callback_that_stops_early(autolog, told, matrix):
    """The rounds of a callback are the same parameter as the argument, of an estimator too."""
    autolog("xgboost")
    stop = xgboost.callback.EarlyStopping(rounds=3)
    xgboost.train({"seed": 1}, matrix, 2, evals=[(matrix, "seen")], callbacks=[stop], **QUIET)
    assert (3, "explicit") == params(told()[0])[None, "early_stopping_rounds"]


def test_the_arguments_stay_the_user_s(autolog, told, matrix):
    """Sets that can be gone through once, results and callbacks reach xgboost as they were given."""
    autolog("xgboost")
    results, callbacks = {}, [xgboost.callback.LearningRateScheduler([0.3, 0.2, 0.1])]
    given = iter([(matrix, "seen")])
    xgboost.train({}, matrix, 3, evals=given, evals_result=results, callbacks=callbacks, **QUIET)
    assert 3 == len(results["seen"]["rmse"])
    assert 1 == len(callbacks)
    assert results["seen"]["rmse"][-1] == metrics(told()[0])["seen-rmse"]["value"]


def test_parameters_may_come_as_pairs(autolog, told, matrix):
    """Of pairs with one name all values are told."""
    autolog("xgboost")
    pairs = [("eval_metric", "mae"), ("eval_metric", "rmse"), ("max_depth", 2)]
    xgboost.train(pairs, matrix, 2, evals=[(matrix, "seen")], **QUIET)
    found = {each["name"]: each["value"] for each in facet(told()[0], "hyperparameters")["params"]}
    assert (["mae", "rmse"], 2) == (found["eval_metric"], found["max_depth"])
    assert {"seen-mae", "seen-rmse"} == metrics(told()[0]).keys()


def test_an_objective_of_the_user_s_own_has_no_task(autolog, told, matrix, table):
    """Of an objective that is a function the task is not guessed, though xgboost says squared error of it."""

    def own(predicted, actual):
        difference = predicted - (actual.get_label() if isinstance(actual, xgboost.DMatrix) else actual)
        return difference, np.ones_like(predicted)

    autolog("xgboost")
    xgboost.train({}, matrix, 2, obj=own)
    xgboost.XGBModel(objective=own, n_estimators=2).fit(table[["age"]], table["bought"])
    xgboost.train({}, matrix, 2)
    first, second, third = told()
    for event in (first, second):
        assert "task" not in facet(event, "training")
        assert "task" not in event["outputs"][0]["facets"]["modelTrail_model"]
    assert "regression" == facet(third, "training")["task"]
    found = {each["name"]: each["value"] for each in facet(first, "hyperparameters")["params"]}
    assert "own" in str(found["obj"])


def test_a_ranker_ranks(autolog, told, table):
    """The task of what is neither classifier nor regressor is told by its objective."""
    autolog()
    xgboost.XGBRanker(n_estimators=2).fit(table[["age"]], table["bought"], qid=np.repeat([0, 1], 50))
    assert "ranking" == facet(told()[0], "training")["task"]


def test_an_estimator_s_own_file(autolog, told, table, tmp_path):
    """The file of an estimator is a model of its class, and loading it in a run is an input of that."""
    autolog("xgboost")
    with modeltrail.run("train"):
        model = xgboost.XGBClassifier(n_estimators=2).fit(table[["age"]], table["bought"])
        model.save_model(tmp_path / "m.ubj")
    with modeltrail.run("judge"):
        xgboost.XGBClassifier().load_model(tmp_path / "m.ubj")
    train, judge = told()
    (output,) = train["outputs"]
    described = output["facets"]["modelTrail_model"]
    assert ("ubjson", "classification") == (described["format"], described["task"])
    assert "parameterCount" not in described  # its intercept is a parameter that was given
    assert [{"name": "label", "shape": [-1], "type": "int64"}] == described["signature"]["outputs"]
    assert {output["name"]: "other"} == {name: use["role"] for name, use in uses(judge).items()}


@pytest.mark.parametrize("is_labelled", [False, True])
def test_predictions_of_a_matrix_come_of_the_model_and_its_data(
    autolog, told, table, tmp_path, *, is_labelled
):
    """What a loaded booster predicts of a matrix leads to both, though the frame below it is gone."""
    autolog("xgboost", "pandas")
    table.to_csv(tmp_path / "data.csv", index=False)
    xgboost.train({}, xgboost.DMatrix(table[["age"]], label=table["bought"]), 2).save_model(
        tmp_path / "m.json"
    )
    with modeltrail.run("score"):
        booster, frame = xgboost.Booster(model_file=tmp_path / "m.json"), pd.read_csv(tmp_path / "data.csv")
        label = frame["bought"] if is_labelled else None
        chances = booster.predict(xgboost.DMatrix(frame[["age"]], label=label))
        frame.assign(chance=chances).to_csv(tmp_path / "scored.csv")
        pd.DataFrame({"chance": chances}).to_csv(tmp_path / "alone.csv")
    found = edges(told()[-1])
    assert {"data.csv", "m.json"} == found["scored.csv"] == found["alone.csv"]


def test_an_estimator_s_file_leads_back(autolog, told, table, tmp_path):
    """A note that is in the booster only while its estimator is saved makes no other model of it."""
    autolog("xgboost")
    xgboost.XGBClassifier(n_estimators=2).fit(table[["age"]], table["bought"]).save_model(tmp_path / "m.json")
    fit, save = told()
    assert fit["outputs"][0]["name"] == save["inputs"][0]["name"]


def test_of_processes_that_train_together_the_first_tells(tmp_path, inbox):
    """Two processes with a tracker make one run with one input and one model, told by rank 0."""
    script = tmp_path / "worker.py"
    script.write_text(
        textwrap.dedent("""
        import sys
        import numpy, xgboost, modeltrail
        modeltrail.autolog(strict=True)
        features = numpy.random.default_rng(0).normal(size=(60, 2))
        with xgboost.collective.CommunicatorContext(
            dmlc_tracker_uri="127.0.0.1", dmlc_tracker_port=int(sys.argv[1])
        ):
            matrix = xgboost.DMatrix(features, label=features[:, 0])
            booster = xgboost.train({}, matrix, 2)
            xgboost.XGBRegressor(n_estimators=2).fit(features, features[:, 0])
            booster.save_model(f"m{xgboost.collective.get_rank()}.json")
        """)
    )
    tracker = xgboost.RabitTracker(host_ip="127.0.0.1", n_workers=2)
    tracker.start()
    command = [sys.executable, str(script), str(tracker.worker_args()["dmlc_tracker_port"])]
    workers = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=100)
        assert (0, "") == (worker.returncode, errors)
    tracker.wait_for()
    ended = [each for each in inbox(tmp_path / "lineage") if each["eventType"] == "COMPLETE"]
    assert ["worker.Booster", "worker.XGBRegressor", "worker.save"] == [each["job"]["name"] for each in ended]
    assert str(tmp_path / "m0.json") == ended[-1]["outputs"][0]["name"]


def test_a_missing_matrix_is_complained_of_as_ever(autolog, events):
    """What xgboost says where a matrix is none stays word for word; no training is told."""

    def complaints():
        for call in (lambda: xgboost.train({}, None), lambda: xgboost.cv({}, None), xgboost.train):
            with pytest.raises(Exception) as caught:  # noqa: PT011  whatever xgboost raises
                call()
            yield type(caught.value), str(caught.value)

    before = list(complaints())
    autolog("xgboost")
    assert before == list(complaints())
    assert [] == [event for event in events if event["eventType"] == "COMPLETE"]
