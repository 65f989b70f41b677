"""Models of scikit-learn's kind that are loaded from a file: what they are of a run, and until when."""

import pickle
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from told import edges, facet, uses
from xgboost import XGBClassifier

import modeltrail
from modeltrail_schemas import digests

FEATURES = ["age", "income"]


@pytest.fixture
def table(autolog, tmp_path):
    """A file of data; autolog is on."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(60, 2)), columns=FEATURES)
    frame["bought"] = (frame["age"] > 0).astype(int)
    frame.to_csv(tmp_path / "data.csv", index=False)
    autolog()
    return tmp_path / "data.csv"


def saved(model, table, dump):
    """The file that a model, fitted outside of any run that a test looks at, was written to."""
    frame = pd.read_csv(table)
    path = table.with_name(f"{type(model).__name__}.model")
    with path.open("wb") as file:
        dump(model.fit(frame[FEATURES], frame["bought"]), file)
    return path


def load(path, library=joblib):
    with path.open("rb") as file:
        return library.load(file)


def evaluated(events):
    """(model, digest of it) of each evaluation."""
    found = [each for event in events for each in event["inputs"] if event["eventType"] == "COMPLETE"]
    facets = [(each["name"], each["inputFacets"].get("modelTrail_evaluation")) for each in found]
    return [(Path(name).name, facet["modelDigest"]) for name, facet in facets if facet]


@pytest.mark.parametrize("library", [joblib, pickle], ids=["joblib", "pickle"])
@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        XGBClassifier(n_estimators=2),
        LGBMClassifier(n_estimators=2, verbose=-1),
    ],
    ids=["sklearn", "xgboost", "lightgbm"],
)
def test_what_a_loaded_model_scores_is_of_its_file(told, table, model, library):
    """A loaded model is an input with its digest; its scores, also on data that is gone, are of the file."""
    path = saved(model, table, library.dump)
    frame, before = pd.read_csv(table), len(told())
    with modeltrail.run("judge"):
        again = load(path, library)
        accuracy_score(frame["bought"], again.predict(frame.drop(columns="bought")))
        again.score(frame[FEATURES], frame["bought"])
        del again
    digest = digests.digest(path).digest
    run = next(event for event in told()[before:] if event["job"]["name"] == "judge")
    (used,) = [each for each in run["inputs"] if each["name"].endswith(path.name)]
    assert "ML_MODEL" == used["facets"]["datasetType"]["subType"]
    assert digest == used["inputFacets"]["modelTrail_dataUse"]["fingerprint"]["digest"]
    assert {(path.name, digest)} == set(evaluated(told()[before:]))


@pytest.mark.parametrize("library", [joblib, pickle], ids=["joblib", "pickle"])
def test_what_was_loaded_in_a_bundle_is_of_its_file(told, table, tmp_path, library):
    """A model in a dict or an object is of the file that holds it; the file of several is none of these."""
    frame, path, several = pd.read_csv(table), tmp_path / "bundle", tmp_path / "several"
    features, truth = frame[FEATURES], frame["bought"]
    one, other = (LogisticRegression(C=c).fit(features, truth) for c in (1.0, 0.1))
    for held, place in (
        ({"model": one, "spare": SGDClassifier(), "features": FEATURES}, path),
        (SimpleNamespace(folds=[one, other]), several),
    ):
        with place.open("wb") as file:
            library.dump(held, file)
    before = len(told())
    with modeltrail.run("judge"):
        model, parts = load(path, library)["model"], load(several, library).folds
        for each in (model, *parts):
            each.score(features, truth)
        frame.assign(bought=model.predict(features)).to_csv(tmp_path / "one.csv")
        frame.assign(bought=parts[1].predict(features)).to_csv(tmp_path / "other.csv")
    run = told()[-1]
    assert {"data.csv": "other", "bundle": "other", "several": "other"} == {
        Path(name).name: use["role"] for name, use in uses(run).items()
    }
    assert {"data.csv", "bundle"} == edges(run)["one.csv"]
    assert {"data.csv", "several"} == edges(run)["other.csv"]
    judged = [name for name, _ in evaluated(told()[before:])]
    assert ["bundle", "model", "model"] == [name.partition("-")[0] for name in judged]


@pytest.mark.parametrize("how", ["partial_fit", "warm_start", "afresh"])
def test_a_loaded_model_that_goes_on_is_the_base_of_the_new_one(told, table, tmp_path, how):
    """What goes on from a file came of that, also with other settings; what begins anew did not."""
    path = saved(SGDClassifier(random_state=0, warm_start=how == "warm_start"), table, joblib.dump)
    with modeltrail.run("go on"):
        model, frame = joblib.load(path), pd.read_csv(table)
        model.set_params(alpha=0.01)
        learn = model.partial_fit if how == "partial_fit" else model.fit
        joblib.dump(learn(frame[FEATURES], frame["bought"]), tmp_path / "new.joblib")
        joblib.dump(learn(frame[FEATURES], frame["bought"]), tmp_path / "newer.joblib")
    run = told()[-1]
    base = facet(run, "training").get("baseModel") or facet(run, "training")["models"][0].get("baseModel")
    if how == "afresh":
        assert base is None
        assert {"data.csv", "train"} == edges(run)["new.joblib"]
    else:
        assert (str(path), digests.digest(path).digest) == (base["name"], base["digest"])
        assert {"data.csv", "train", path.name} == edges(run)["new.joblib"] == edges(run)["newer.joblib"]


@pytest.mark.parametrize("how", ["fit", "partial_fit", "by hand"])
def test_a_loaded_model_that_was_changed_is_another(told, table, how):
    """Fitted again, fitted on or changed by hand, a loaded model is not what its file holds."""
    path = saved(SGDClassifier(random_state=0), table, joblib.dump)
    frame, before = pd.read_csv(table), len(told())
    features, truth = frame[FEATURES], frame["bought"]
    with modeltrail.run("judge"):
        model = joblib.load(path)
        if how == "by hand":
            model.coef_ *= 2
        else:
            getattr(model, how)(features, truth)
        model.score(features, truth)
    ((name, digest),) = evaluated(told()[before:])
    assert path.name != name
    assert digests.digest(path).digest != digest


def test_what_a_loaded_model_scored_before_it_was_written_over_is_of_its_bytes(told, table):
    """A champion that is scored, fitted on new data and saved in its place has two evaluations."""
    path = saved(SGDClassifier(random_state=0), table, joblib.dump)
    frame, before = pd.read_csv(table), len(told())
    held = [digests.digest(path).digest]
    with modeltrail.run("again"):
        model = joblib.load(path)
        model.score(frame[FEATURES], frame["bought"])
        model.fit(-frame[FEATURES], frame["bought"]).score(frame[FEATURES], frame["bought"])
        joblib.dump(model, path)
    held.append(digests.digest(path).digest)
    assert [(path.name, digest) for digest in held] == evaluated(told()[before:])


def test_a_run_that_loads_what_it_saved_reads_no_model(told, table):
    """What a run itself has saved and loads again is its own model: no input of it, and judged as that."""
    frame = pd.read_csv(table)
    path = table.with_name("own.joblib")
    with modeltrail.run("train"):
        joblib.dump(LogisticRegression().fit(frame[FEATURES], frame["bought"]), path)
        joblib.load(path).score(frame[FEATURES], frame["bought"])
    judged, run = told()
    assert path.as_posix() not in uses(run)
    assert [("own.joblib", digests.digest(path).digest)] == evaluated([judged])


def test_predictions_that_are_written_come_of_model_and_data(told, table, tmp_path):
    """A batch scoring leads from the model and the data to what it writes, a column of chances too."""
    path = saved(LogisticRegression(), table, joblib.dump)
    with modeltrail.run("score"):
        model, frame = joblib.load(path), pd.read_csv(table)
        chances = model.predict_proba(frame[FEATURES])[:, 1]
        frame.assign(chance=chances).to_csv(tmp_path / "whole.csv")
        pd.DataFrame({"chance": chances}).to_csv(tmp_path / "alone.csv")
    found = edges(told()[-1])
    assert {path.name, "data.csv"} == found["whole.csv"] == found["alone.csv"]


def test_what_was_written_before_a_model_was_loaded_came_of_others(told, table, tmp_path):
    """Data whose origin is lost came of what the run had by then: not of a model that it loads later."""
    path = saved(LogisticRegression(), table, joblib.dump)
    with modeltrail.run("score"):
        frame = pd.read_csv(table)
        for name in ("before", "after"):
            pd.DataFrame({"mean": np.round(frame["age"].to_numpy()).tolist()}).to_csv(
                tmp_path / f"{name}.csv"
            )
            joblib.load(path)
    found = edges(told()[-1])
    assert {"before.csv": {"data.csv"}, "after.csv": {path.name, "data.csv"}} == found


def test_a_column_of_chances_leads_back_to_the_loaded_model(told, table, tmp_path):
    """Also of an array that xgboost turned on its side: the second column that is written is the model's."""
    path = saved(XGBClassifier(n_estimators=2), table, joblib.dump)
    with modeltrail.run("score"):
        frame = pd.read_csv(table)
        chances = load(path).predict_proba(frame[FEATURES])[:, 1]
        frame.assign(chance=chances).to_csv(tmp_path / "scored.csv", index=False)
    assert {"data.csv", path.name} == edges(told()[-1])["scored.csv"]


def test_a_loaded_transformer_is_data_of_the_run(told, table):
    """What only transforms is read as a file, and is no model."""
    path = table.with_name("scaler.joblib")
    joblib.dump(StandardScaler().fit(pd.read_csv(table)[FEATURES]), path)
    with modeltrail.run("read"):
        joblib.load(path)
    (read,) = told()[-1]["inputs"]
    assert (str(path), "other") == (read["name"], read["inputFacets"]["modelTrail_dataUse"]["role"])
    assert "modelTrail_model" not in str(read)


def test_a_model_that_is_to_be_replaced_is_not_the_new_one(told, table):
    """What an older model of the same class scores beside the new one is of the file that it is from."""
    before = load(saved(LogisticRegression(C=0.001), table, joblib.dump))
    unknown = pickle.loads(pickle.dumps(LogisticRegression(C=0.1).fit([[0, 1], [1, 0]], [0, 1])))
    frame, begun = pd.read_csv(table), len(told())
    with modeltrail.run("train") as run:
        model = LogisticRegression().fit(frame[FEATURES], frame["bought"])
        joblib.dump(model, table.with_name("new.joblib"))
        run.evaluate(model, frame[FEATURES], {"accuracy": 0.9})
        run.evaluate(before, frame[FEATURES], {"accuracy": 0.1})
        run.evaluate(unknown, frame[FEATURES], {"accuracy": 0.2})
    names = [name for name, _ in evaluated(told()[begun:])]
    assert {"new.joblib", "LogisticRegression.model"} < set(names)
    assert 3 == len(set(names))
