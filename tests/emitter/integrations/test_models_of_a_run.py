"""Several models of one run: what each was fitted with, how, on what, and that one model is told as ever."""

from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from told import edges, facet, files, params

import modeltrail


@pytest.fixture
def tables(tmp_path):
    """Two files of two features and a label."""
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        table = pd.DataFrame(random.normal(size=(60, 2)), columns=["age", "income"])
        table.assign(bought=(table["age"] > 0).astype(int)).to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


@pytest.fixture
def train(autolog):
    """`train(model, table)`: the model fitted on a file or a frame."""
    autolog()

    def fit(model, table):
        found = pd.read_csv(table) if isinstance(table, Path) else table
        return model.fit(found[["age", "income"]], found["bought"])

    return fit


def own(event):
    """Output file -> the parameters that are its own, by name."""
    ids = {name: each["facets"]["modelTrail_model"].get("modelId") for name, each in files(event).items()}
    entries = facet(event, "hyperparameters")["params"]
    return {
        name: {entry["name"]: entry["value"] for entry in entries if entry.get("modelId") == model_id}
        for name, model_id in ids.items()
    }


def is_told_apart(event):
    """Whether anything is told of one of several models."""
    told = [facet(event, "hyperparameters"), facet(event, "training"), event["outputs"]]
    return "modelId" in str(told)


def test_each_model_has_its_own_parameters_steps_and_training(told, train, tables):
    """Each model is told with its parameters, steps, seeds and class; those of the run are of neither."""
    with modeltrail.run("two") as run:
        run.params({"threshold": 0.5}, origin="cli")
        first = train(make_pipeline(StandardScaler(), LogisticRegression(C=0.5)), tables / "a.csv")
        second = train(RandomForestClassifier(n_estimators=3, random_state=7), tables / "a.csv")
        joblib.dump(first, tables / "first.joblib")
        joblib.dump(second, tables / "second.joblib")
    (event,) = told()
    found = own(event)
    assert (0.5, None) == tuple(
        found["first.joblib"].get(key) for key in ("logisticregression__C", "n_estimators")
    )
    assert (3, None) == tuple(found["second.joblib"].get(key) for key in ("n_estimators", "threshold"))
    (of_all,) = [each for each in facet(event, "hyperparameters")["params"] if "modelId" not in each]
    assert "threshold" == of_all["name"]
    (step,) = facet(event, "featureTransformations")["steps"]
    trained = {each["modelId"]: each for each in facet(event, "training")["models"]}
    assert ("Pipeline-1", {"Pipeline-1", "RandomForestClassifier-2"}) == (step["modelId"], set(trained))
    assert {"framework": 7} == trained["RandomForestClassifier-2"]["seeds"]
    assert trained["Pipeline-1"]["algorithm"].endswith(".LogisticRegression")
    assert "seeds" not in trained["Pipeline-1"]


def test_each_model_comes_of_the_data_that_it_was_fitted_on(told, train, tables):
    """Lineage leads to each model from its file; where none is known, from all that may be one."""
    with modeltrail.run("two"):
        for name in ("a", "b"):
            joblib.dump(train(LogisticRegression(), tables / f"{name}.csv"), tables / f"{name}.joblib")
        made = pd.DataFrame({"age": [0.0, 1.0], "income": [1.0, 0.0], "bought": [0, 1]})
        joblib.dump(train(LogisticRegression(), made), tables / "made.joblib")
    found = edges(told()[-1])
    assert {"a.csv", "train"} == found["a.joblib"]
    assert {"b.csv", "train-2"} == found["b.joblib"]
    assert {"a.csv", "b.csv", "train-3"} == found["made.joblib"]


def test_a_run_of_one_model_tells_no_models_apart(told, train, tables):
    """What is fitted and never saved stays a part of the run, and a model saved twice is one."""
    with modeltrail.run("one"):
        clusters = train(KMeans(n_clusters=2, n_init=1), tables / "a.csv")
        model = train(LogisticRegression(C=0.25), tables / "a.csv")
        for name in ("m.joblib", "copy.joblib"):
            joblib.dump(model, tables / name)
    (event,) = told()
    assert clusters.n_clusters == params(event)[None, "n_clusters"][0]
    assert 0.25 == params(event)["LogisticRegression-2", "C"][0]
    assert not is_told_apart(event)


def test_a_model_fitted_again_after_it_was_saved_is_another(told, train, tables):
    """Each file has the parameters that it was saved with, one that was written over those of the last."""
    model = LogisticRegression()
    with modeltrail.run("again"):
        for value in (1.0, 2.0, 3.0):
            train(model.set_params(C=value), tables / "a.csv")
            joblib.dump(model, tables / "last.joblib")
            if value == 2.0:
                joblib.dump(model, tables / "kept.joblib")
    (event,) = told()
    assert {"last.joblib": 3.0, "kept.joblib": 2.0} == {name: each["C"] for name, each in own(event).items()}


def test_a_file_written_over_by_the_next_fit_is_one_model(told, train, tables):
    """A model that is saved, fitted on and saved in its place is told as one that was fitted once."""
    model = LogisticRegression()
    with modeltrail.run("on"):
        for value in (1.0, 2.0, 3.0):
            joblib.dump(train(model.set_params(C=value), tables / "a.csv"), tables / "m.joblib")
        train(KMeans(n_clusters=2, n_init=1), tables / "a.csv")
    (event,) = told()
    assert {(None, "C"): (3.0, "explicit")} == {
        key: value for key, value in params(event).items() if key[1] == "C"
    }
    assert 2 == params(event)["KMeans-2", "n_clusters"][0]
    assert not is_told_apart(event)


def test_the_best_of_a_search_and_a_booster_are_the_models_of_their_fits(told, train, tables):
    """The best estimator of a search is the search's model; a booster has the parameters of its training."""
    table = pd.read_csv(tables / "b.csv")
    with modeltrail.run("both"):
        search = train(GridSearchCV(LogisticRegression(), {"C": [0.5, 2.0]}, cv=2), tables / "a.csv")
        joblib.dump(search.best_estimator_, tables / "best.joblib")
        matrix = xgboost.DMatrix(table[["age", "income"]], table["bought"])
        xgboost.train({"max_depth": 2}, matrix, 3).save_model(tables / "m.ubj")
    found = own(told()[-1])
    assert found["best.joblib"]["estimator__C"] == search.best_params_["C"]
    assert (2, 3) == (found["m.ubj"]["max_depth"], found["m.ubj"]["num_boost_round"])
    assert "cv" not in found["m.ubj"]


def test_a_program_says_which_model_a_fact_is_of(events, tmp_path):
    """`of` makes parameters, a training and an input those of the object, whatever library made it."""

    class Home:
        pass

    first, second = Home(), Home()
    with modeltrail.run("own") as run:
        for number, model in enumerate((first, second), 1):
            path = tmp_path / f"{number}.bin"
            path.write_bytes(bytes([number]))
            run.input(path.with_suffix(".csv"), role="train", of=model)
            run.params({"depth": number}, of=model)
            run.training(framework="home", algorithm=f"Home{number}", framework_version="1", of=model)
            run.output_model(path, of=model)
    event = events[-1]
    assert {"1.bin": {"depth": 1}, "2.bin": {"depth": 2}} == own(event)
    assert {"1.bin": {"1.csv"}, "2.bin": {"2.csv"}} == edges(event)
    assert ["Home1", "Home2"] == [each["algorithm"] for each in facet(event, "training")["models"]]
