"""Several models of one run: what each was fitted with, how, on what, and that one model is told as ever."""

from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.metrics import silhouette_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler, minmax_scale
from told import edges, facet, files, params, uses
from xgboost import XGBClassifier

import modeltrail
from modeltrail.integrations import _chunks, _sources
from modeltrail.observe.model import save_digest
from modeltrail_schemas.digests import sha256 as digest_of


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
    """Lineage leads to each model from its file; where none is known, from what was in memory alone."""
    with modeltrail.run("two"):
        for name in ("a", "b"):
            joblib.dump(train(LogisticRegression(), tables / f"{name}.csv"), tables / f"{name}.joblib")
        made = pd.DataFrame({"age": [0.0, 1.0], "income": [1.0, 0.0], "bought": [0, 1]})
        joblib.dump(train(LogisticRegression(), made), tables / "made.joblib")
    found = edges(told()[-1])
    assert {"a.csv", "train"} == found["a.joblib"]
    assert {"b.csv", "train-2"} == found["b.joblib"]
    assert {"train-3"} == found["made.joblib"]


def test_a_run_of_one_fit_tells_no_models_apart(told, train, tables):
    """A model saved twice is one."""
    with modeltrail.run("one"):
        model = train(LogisticRegression(C=0.25), tables / "a.csv")
        for name in ("m.joblib", "copy.joblib"):
            joblib.dump(model, tables / name)
    (event,) = told()
    assert 0.25 == params(event)[None, "C"][0]
    assert not is_told_apart(event)


def test_what_was_never_saved_is_none_of_a_model(told, train, tables):
    """Fits that are thrown away keep their parameters, steps and data, and the saved model has its own."""
    model = LogisticRegression()
    with modeltrail.run("thrown"):
        train(make_pipeline(StandardScaler(), KMeans(n_clusters=2, n_init=1)), tables / "b.csv")
        train(model.set_params(C=4.0), tables / "b.csv")
        joblib.dump(train(model.set_params(C=0.25), tables / "a.csv"), tables / "m.joblib")
    (event,) = told()
    assert 0.25 == own(event)["m.joblib"]["C"]
    assert "kmeans__n_clusters" not in own(event)["m.joblib"]
    assert {"a.csv", "train-2"} == edges(event)["m.joblib"]
    entries = facet(event, "hyperparameters")["params"]
    assert {"Pipeline-1", "LogisticRegression-2", "LogisticRegression-3"} == {e["modelId"] for e in entries}
    assert ["Pipeline-1"] == [each["modelId"] for each in facet(event, "featureTransformations")["steps"]]
    assert facet(event, "training")["algorithm"].endswith(".LogisticRegression")
    assert "0.25" == text_of(event)["C"]


def text_of(event):
    """The parameters as OpenLineage's own facet has them: name -> text."""
    return {
        each["key"]: each["value"] for each in event["run"]["facets"]["executionParameters"]["parameters"]
    }


@pytest.mark.parametrize("order", ["first", "last"])
def test_rows_that_were_chosen_for_one_model_are_not_told_of_the_others(told, train, tables, order):
    """Of a file that models took different rows of no choice is told; of what each was fitted on its own."""
    table = pd.read_csv(tables / "a.csv")
    parts = [train_test_split(table, test_size=size, random_state=11)[0] for size in (0.25, 0.5, 0.25)]
    with modeltrail.run("several"):
        for each in [*parts, table] if order == "first" else [table, *parts]:
            train(LogisticRegression(), each)
    found = {Path(name).name: use.get("split") for name, use in uses(told()[-1]).items()}
    assert found.pop("a.csv") is None
    assert [0.0, 0.5, 0.75] == sorted(split["fraction"] if split else 0.0 for split in found.values())


def test_of_a_model_that_is_known_in_part_any_file_may_be_a_source(told, train, tables):
    """Trained on one file and stopped by data from nowhere: that may be of another file, and of no memory."""
    table = pd.read_csv(tables / "a.csv")
    nowhere = pd.DataFrame({"age": [0.0, 1.0], "income": [1.0, 0.0]})
    with modeltrail.run("two"):
        joblib.dump(train(LogisticRegression(), tables / "b.csv"), tables / "b.joblib")
        model = XGBClassifier(n_estimators=2)
        model.fit(table[["age", "income"]], table["bought"], eval_set=[(nowhere, [0, 1])], verbose=False)
        joblib.dump(model, tables / "a.joblib")
    found = edges(told()[-1])
    assert {"b.csv", "train"} == found["b.joblib"]
    assert {"a.csv", "b.csv", "train-2", "validation"} == found["a.joblib"]


def test_files_of_data_that_is_one_too_many_to_tell_are_sources(told, train, tables, monkeypatch):
    """The data in memory is left out, and the file that it came from is not."""
    monkeypatch.setattr(_sources, "MAX_DATASETS", 3)
    table, last = pd.read_csv(tables / "a.csv"), pd.read_csv(tables / "b.csv")
    with modeltrail.run("many"):
        kept = [train(Ridge(), table.assign(age=table["age"] + number)) for number in range(4)]
        joblib.dump(train(Ridge(), last), tables / "last.joblib")
    assert 4 == len(kept)
    assert {"b.csv"} == edges(told()[-1])["last.joblib"]


@pytest.mark.usefixtures("train")
def test_rows_that_models_stop_by_are_not_those_that_they_are_trained_on(told, tables):
    """Two models of one split, each stopped by its other part: the file has the split of the training."""
    part, rest = train_test_split(pd.read_csv(tables / "a.csv"), test_size=0.25, random_state=3)
    names = ["age", "income"]
    with modeltrail.run("two"):
        for depth in (1, 2):
            model = XGBClassifier(n_estimators=2, max_depth=depth)
            judged = [(rest[names], rest["bought"])]
            model.fit(part[names], part["bought"], eval_set=judged, verbose=False)
    used = uses(told()[-1])[str(tables / "a.csv")]
    assert ("train", {"strategy": "random", "fraction": 0.75, "seed": 3}) == (used["role"], used["split"])


def test_rows_that_were_chosen_once_for_several_models_are_told(told, train, tables):
    """All models of one split: the file has it too."""
    part, _ = train_test_split(pd.read_csv(tables / "a.csv"), test_size=0.25, random_state=3)
    with modeltrail.run("several"):
        for number in range(3):
            train(LogisticRegression(C=1.0 + number), part)
    split = {"strategy": "random", "fraction": 0.75, "seed": 3}
    assert [split, split] == [use.get("split") for use in uses(told()[-1]).values()]


def test_what_is_fitted_after_a_model_was_saved_is_no_source_of_it(told, train, tables):
    """Of a model whose data nobody saw it is what others learned from until then; so of a transformer."""
    with modeltrail.run("two"):
        table = pd.read_csv(tables / "a.csv")
        scaler = StandardScaler().fit(table[["age"]])
        joblib.dump(scaler, tables / "scaler.joblib")
        train(LogisticRegression(), table)
        modeltrail.current_run().output_model({"weights": [1.0]}, name="rule")
        joblib.dump(train(LogisticRegression(), tables / "b.csv"), tables / "b.joblib")
    found = edges(told()[-1])
    assert {"a.csv"} == found["scaler.joblib"]
    assert {"a.csv", "train"} == found["rule"]
    assert {"b.csv", "train-2"} == found["b.joblib"]


def test_what_was_read_after_the_last_model_is_for_inference(told, train, tables):
    """Also what is written was made of it: a list of ids, say, that predictions of other data are beside."""
    (tables / "ids.csv").write_text("number\n" + "\n".join(map(str, range(60))))
    with modeltrail.run("two"):
        model = train(LogisticRegression(), tables / "a.csv")
        joblib.dump(model, tables / "a.joblib")
        features, sent = pd.read_csv(tables / "b.csv"), pd.read_csv(tables / "ids.csv")
        sent["bought"] = model.predict(features[["age", "income"]])
        sent.to_csv(tables / "sent.csv")
    used = uses(told()[-1])
    roles = [
        tuple(used[str(tables / name)][key] for key in ("role", "capture")) for name in ("b.csv", "ids.csv")
    ]
    assert [("inference", "inferred")] * 2 == roles
    assert {"a.csv", "train", "b.csv", "ids.csv"} == edges(told()[-1])["sent.csv"]
    assert {"a.csv", "train"} == edges(told()[-1])["a.joblib"]


def test_of_many_that_were_thrown_away_the_saved_one_is_told(told, train, tables):
    """The last of many fits is told with its parameters and its data, and fifty of all."""
    table = pd.read_csv(tables / "a.csv")
    with modeltrail.run("many"):
        for number in range(120):
            model = train(Ridge(alpha=number + 1.0), table.assign(age=table["age"] + number))
        joblib.dump(model, tables / "m.joblib")
    (event,) = told()
    assert 120.0 == own(event)["m.joblib"]["alpha"]
    assert {"a.csv", "train-120"} == edges(event)["m.joblib"]
    assert 50 == len({entry["modelId"] for entry in facet(event, "hyperparameters")["params"]})


class Home:
    """A class of one's own, that holds a model and a property that nobody may call."""

    def __init__(self, **attributes):
        vars(self).update(attributes)

    @property
    def surprise(self):
        raise AssertionError("nobody may call it")


HOLDERS = {
    "dict": lambda model: {"model": model, "threshold": 0.5},
    "nested": lambda model: [("best", {"model": model})],
    "object": lambda model: Home(inner=Home(model=model), name="churn"),
}


@pytest.mark.parametrize("how", HOLDERS)
def test_what_holds_a_fitted_model_is_that_model(told, train, tables, how):
    """The file of a dict or an object that holds a model has that one's parameters, data and scores."""
    with modeltrail.run("held"):
        train(LogisticRegression(C=4.0), tables / "b.csv")
        model = train(LogisticRegression(C=0.25), tables / "a.csv")
        with (tables / "m.pickle").open("wb") as file:
            cloudpickle.dump(HOLDERS[how](model), file)
        model.score(pd.read_csv(tables / "b.csv")[["age", "income"]], pd.read_csv(tables / "b.csv")["bought"])
    *_, judged, event = told()
    assert 0.25 == own(event)["m.pickle"]["C"]
    assert {"a.csv", "train-2"} == edges(event)["m.pickle"]
    said = files(event)["m.pickle"]["facets"]["modelTrail_model"]
    assert (["sklearn.linear_model.LogisticRegression"], "sklearn", None) == (
        said["holds"],
        said["framework"],
        said.get("flavor"),
    )
    assert "m.pickle" in {Path(each["name"]).name for each in judged["inputs"]}


def test_what_holds_several_models_names_them(told, train, tables):
    """A tuple of two models came of what both learned from, and names what each is called."""
    with modeltrail.run("tuple"):
        first, second = (train(LogisticRegression(C=2.0), tables / f"{name}.csv") for name in ("a", "b"))
        train(LogisticRegression(), tables / "a.csv").set_params(C=3.0)
        joblib.dump((first, second), tables / "m.joblib")
    (event,) = told()
    said = files(event)["m.joblib"]["facets"]["modelTrail_model"]
    assert ("tuple-4", ["LogisticRegression-1", "LogisticRegression-2"]) == (said["modelId"], said["partIds"])
    assert {"a.csv", "b.csv", "train", "train-2"} == edges(event)["m.joblib"]


def test_what_holds_no_fitted_model_is_no_model(told, train, tables):
    """A dict of numbers, or of a model that was never fitted, is no output."""
    with modeltrail.run("none"):
        train(LogisticRegression(), tables / "a.csv")
        joblib.dump({"threshold": 0.5, "rows": list(range(5000))}, tables / "m.joblib")
        joblib.dump({"model": LogisticRegression()}, tables / "n.joblib")
    assert {} == files(told()[-1])


def test_a_model_frozen_in_another_is_a_part_of_it(told, train, tables):
    """What a frozen estimator had learned from before, the calibrated model learned from too."""
    with modeltrail.run("frozen"):
        base = train(LogisticRegression(C=0.25), tables / "a.csv")
        train(KMeans(n_clusters=2, n_init=1), tables / "a.csv")
        joblib.dump(
            train(CalibratedClassifierCV(FrozenEstimator(base)), tables / "b.csv"), tables / "m.joblib"
        )
    (event,) = told()
    assert ["LogisticRegression-1"] == files(event)["m.joblib"]["facets"]["modelTrail_model"]["partIds"]
    assert {"a.csv", "b.csv", "train", "train-2"} == edges(event)["m.joblib"]


def test_what_made_the_features_is_a_part(told, train, tables):
    """A PCA whose output goes into a fit, also by a split, is a part of that model, and of no other."""
    table = pd.read_csv(tables / "a.csv")
    with modeltrail.run("reduced"):
        train(KMeans(n_clusters=2, n_init=1), tables / "a.csv")
        reduced = PCA(1).fit_transform(table[["age", "income"]])
        features, _, labels, _ = train_test_split(reduced, table["bought"], random_state=0)
        joblib.dump(LogisticRegression().fit(features, labels), tables / "m.joblib")
        joblib.dump(train(Ridge(), tables / "a.csv"), tables / "other.joblib")
    found = files(told()[-1])
    parts = {name: each["facets"]["modelTrail_model"].get("partIds") for name, each in found.items()}
    assert {"m.joblib": ["PCA-2"], "other.joblib": None} == parts


def test_what_was_predicted_came_of_what_the_model_learned_from(told, train, tables):
    """A model on predictions of another, as a column or as all, learned from its data; one beside it not."""
    names = ["age", "income"]
    with modeltrail.run("stacked"):
        first = train(RandomForestClassifier(n_estimators=3), tables / "a.csv")
        table = pd.read_csv(tables / "b.csv")
        chances = first.predict_proba(table[names])
        table["chance"] = chances[:, 1]
        kept, _ = train_test_split(table, random_state=0)
        stacked = LogisticRegression(C=0.5).fit(kept[[*names, "chance"]], kept["bought"])
        joblib.dump(stacked, tables / "stacked.joblib")
        joblib.dump(LogisticRegression().fit(chances, table["bought"]), tables / "blended.joblib")
        joblib.dump(train(Ridge(), kept), tables / "beside.joblib")
        table[["age", "chance"]].to_csv(tables / "sent.csv")
        table[["age"]].to_csv(tables / "ages.csv")
    (event,) = told()
    found = edges(event)
    assert {"a.csv", "train", "b.csv", "train-2"} == found["stacked.joblib"]
    assert {"a.csv", "train", "b.csv", "train-3"} == found["blended.joblib"]
    assert {"b.csv", "train-4"} == found["beside.joblib"]
    assert {"a.csv", "train", "b.csv"} == found["sent.csv"]
    assert {"b.csv"} == found["ages.csv"]
    model = files(event)["stacked.joblib"]["facets"]["modelTrail_model"]
    assert ["RandomForestClassifier-1"] == model["partIds"]
    assert 0.75 == uses(event)["stacked/train-2"]["split"]["fraction"]


def scaled_columns(table, scaled):
    """Ways that scaled columns go into a frame with others, which are the two that it is to be."""
    put, located, laid = table.copy(), table.astype(float), table.copy()
    put[["age"]] = scaled
    located.loc[:, "age"] = scaled[:, 0]
    laid.insert(0, "scaled", scaled[:, 0])
    return {
        "put": put[["age", "income"]],
        "located": located[["age", "income"]],
        "inserted": laid[["scaled", "income"]].to_numpy(),
        "assigned": table.assign(scaled=scaled[:, 0])[["scaled", "income"]],
        "beside": pd.concat([table, pd.DataFrame(scaled, columns=["scaled"])], axis=1)[["scaled", "income"]],
        "mapping": pd.DataFrame({"scaled": scaled[:, 0], "income": table["income"].to_numpy()}),
        "framed": pd.DataFrame(scaled, columns=["scaled"]),
    }


WAYS = ("put", "located", "inserted", "assigned", "beside", "mapping", "framed")


@pytest.mark.parametrize("way", WAYS)
def test_a_transformer_is_a_part_of_the_model_that_takes_its_columns(told, train, tables, way):
    """A scaler on its own is told with that model, and not with one on the other columns of the frame."""
    table = pd.read_csv(tables / "a.csv")
    with modeltrail.run("scaled"):
        scaled = StandardScaler().fit_transform(table[["age"]])
        features = scaled_columns(table, scaled)[way]
        joblib.dump(LogisticRegression().fit(features, table["bought"]), tables / "own.joblib")
        others = features[["income"]] if "income" in getattr(features, "columns", ()) else table[["income"]]
        joblib.dump(Ridge().fit(others, table["bought"]), tables / "other.joblib")
    (event,) = told()
    parts = {name: each["facets"]["modelTrail_model"].get("partIds") for name, each in files(event).items()}
    assert {"own.joblib": ["StandardScaler-1"], "other.joblib": None} == parts
    entries = facet(event, "hyperparameters")["params"]
    assert ["StandardScaler-1"] == [each["modelId"] for each in entries if each["name"] == "with_mean"]
    (step,) = facet(event, "featureTransformations")["steps"]
    assert 60 == step["rowsIn"]
    assert "fittedOn" not in step  # it may as well be rows of a test


def renamed_columns(table):
    """Ways that scaled columns get other names, each with the old name on the other column."""
    listed = table.copy()
    listed.columns = ["scaled", "age", "bought"]
    return {
        "renamed": table.rename(columns={"age": "scaled", "income": "age"}),
        "listed": listed,
        "set": table.set_axis(["scaled", "age", "bought"], axis=1),
        "framed": table.rename(columns={"income": "other"})["age"]
        .rename("scaled")
        .to_frame()
        .assign(age=1.0),
    }


@pytest.mark.parametrize("way", ["renamed", "listed", "set", "framed"])
def test_a_column_by_another_name_was_made_by_the_same(told, train, tables, way):
    """A scaler is told with the model on its column, whatever that is called."""
    table = pd.read_csv(tables / "a.csv")
    with modeltrail.run("renamed"):
        table[["age"]] = StandardScaler().fit_transform(table[["age"]])
        found = renamed_columns(table)[way]
        joblib.dump(LogisticRegression().fit(found[["scaled"]], table["bought"]), tables / "own.joblib")
        joblib.dump(Ridge().fit(found[["age"]], table["bought"]), tables / "other.joblib")
    (event,) = told()
    parts = {name: each["facets"]["modelTrail_model"].get("partIds") for name, each in files(event).items()}
    assert {"own.joblib": ["StandardScaler-1"], "other.joblib": None} == parts


def test_several_columns_of_one_transformer_are_its_own(told, train, tables):
    """Also where what it gave lies on its side in memory, so that numpy knows no more of it."""
    table = pd.read_csv(tables / "a.csv")
    with modeltrail.run("several"):
        table[["age", "income"]] = StandardScaler().fit_transform(table[["age", "income"]])
        joblib.dump(LogisticRegression().fit(table[["income"]], table["bought"]), tables / "own.joblib")
        joblib.dump(train(Ridge(), tables / "a.csv"), tables / "other.joblib")
    (event,) = told()
    parts = {name: each["facets"]["modelTrail_model"].get("partIds") for name, each in files(event).items()}
    assert {"own.joblib": ["StandardScaler-1"], "other.joblib": None} == parts


def test_a_transformer_that_nobody_can_follow_is_of_no_model(told, train, tables):
    """What numpy computes came of nobody knows what: of several models none is told with the scaler."""
    table = pd.read_csv(tables / "a.csv")
    with modeltrail.run("lost"):
        first, second = (StandardScaler().fit_transform(table[[name]]) for name in ("age", "income"))
        encoded = LabelEncoder().fit_transform(table["bought"])
        kept = LogisticRegression().fit(np.hstack([first, second]) * 2, encoded)
        joblib.dump(kept, tables / "m.joblib")
        joblib.dump(train(Ridge(), table), tables / "other.joblib")
    (event,) = told()
    parts = {name: each["facets"]["modelTrail_model"].get("partIds") for name, each in files(event).items()}
    assert {"m.joblib": ["LabelEncoder-3"], "other.joblib": None} == parts
    steps = [each["modelId"] for each in facet(event, "featureTransformations")["steps"]]
    assert ["StandardScaler-1", "StandardScaler-2", "LabelEncoder-3"] == steps


def test_of_the_only_model_of_a_run_all_transformers_are_steps(told, train, tables):
    """Nothing is told apart where there is nothing to take them for; a pipeline fits its own anew."""
    table, scaler = pd.read_csv(tables / "a.csv"), StandardScaler(with_mean=False)
    with modeltrail.run("one"):
        scaled = np.hstack([scaler.fit_transform(table[["age"]]), table[["income"]]])
        joblib.dump(LogisticRegression().fit(scaled, table["bought"]), tables / "m.joblib")
    with modeltrail.run("pipeline"):
        scaler.fit(table[["income"]])
        joblib.dump(train(make_pipeline(scaler, Ridge()), table), tables / "m.joblib")
        joblib.dump(train(LogisticRegression(), table), tables / "other.joblib")
    first, second = told()
    assert not is_told_apart(first)
    assert (False, "explicit") == params(first)[None, "with_mean"]
    assert "partIds" not in files(second)["m.joblib"]["facets"]["modelTrail_model"]


def test_what_a_score_fits_for_itself_is_no_step(told, train, tables):
    """`silhouette_score` encodes labels for itself; `minmax_scale` is called for the data that it gives."""
    table = pd.read_csv(tables / "a.csv")
    with modeltrail.run("scored"):
        model = train(KMeans(n_clusters=2, n_init=1), tables / "a.csv")
        silhouette_score(table[["age", "income"]], model.labels_)
        minmax_scale(table[["age"]])
        joblib.dump(model, tables / "m.joblib")
    assert ["minmaxscaler"] == [each["id"] for each in facet(told()[-1], "featureTransformations")["steps"]]


def test_chunks_are_a_series_of_data(told, autolog, tables):
    """`partial_fit` is a training on all chunks, and what it goes on with after a save is another model."""
    autolog()
    model = SGDClassifier(random_state=0)
    with modeltrail.run("chunks"):
        LogisticRegression().fit(*halves(pd.read_csv(tables / "b.csv")))
        for chunk in pd.read_csv(tables / "a.csv", chunksize=7):
            model.partial_fit(*halves(chunk), classes=[0, 1])
        joblib.dump(model, tables / "m.joblib")
        model.partial_fit(*halves(pd.read_csv(tables / "b.csv")))
        joblib.dump(model, tables / "on.joblib")
    (event,) = told()
    assert {"a.csv", "train-2"} == edges(event)["m.joblib"]
    assert {"a.csv", "b.csv", "train", "train-2"} == edges(event)["on.joblib"]
    trained = {each["modelId"]: each.get("steps") for each in facet(event, "training")["models"]}
    assert {"LogisticRegression-1": None, "SGDClassifier-2": 9, "SGDClassifier-3": 1} == trained
    series = uses(event)["chunks/train-2"]
    assert ("full", 60) == (series["fingerprint"]["scope"], series["fingerprint"]["rows"])
    assert (["age", "income"], "bought") == (series["features"], series["labelColumn"])


def test_a_transformer_that_learned_in_chunks_is_a_step_of_its_model(told, train, tables):
    """With all of its rows, what it had learned in the end, and the model that learned of what it gave."""

    def learn():
        scaler, model = StandardScaler(with_mean=False), SGDClassifier(random_state=0)
        for chunk in pd.read_csv(tables / "a.csv", chunksize=20):
            features, label = halves(chunk)
            model.partial_fit(scaler.partial_fit(features).transform(features), label, classes=[0, 1])
        joblib.dump(model, tables / "m.joblib")
        return save_digest(scaler)[0]

    with modeltrail.run("chunks"):
        learned = learn()
        joblib.dump(train(Ridge(), tables / "b.csv"), tables / "other.joblib")
    assert {} == _chunks._kept
    (event,) = told()
    parts = {name: each["facets"]["modelTrail_model"].get("partIds") for name, each in files(event).items()}
    assert {"m.joblib": ["StandardScaler-1"], "other.joblib": None} == parts
    (step,) = facet(event, "featureTransformations")["steps"]
    assert ("StandardScaler-1", 60, learned) == (step["modelId"], step["rowsIn"], step["stateSha256"])
    assert False is own_param(event, "StandardScaler-1", "with_mean")
    assert {"a.csv", "train-2"} == edges(event)["m.joblib"]


def own_param(event, model_id, name):
    entries = facet(event, "hyperparameters")["params"]
    return next(each["value"] for each in entries if (each.get("modelId"), each["name"]) == (model_id, name))


def halves(table):
    """Features and label."""
    return table[["age", "income"]], table["bought"]


def test_of_many_chunks_the_first_are_looked_at(told, autolog):
    """Of more than a hundred chunks the rows are counted, and the digest says which of them it covers."""
    autolog()
    model = SGDClassifier(random_state=0)
    with modeltrail.run("batches"):
        for number in range(130):
            model.partial_fit([[number], [number + 1.0]], [0, 1], classes=[0, 1])
        modeltrail.current_run().output_model(model)
    (event,) = told()
    (read,) = event["inputs"]
    found = read["inputFacets"]["modelTrail_dataUse"]["fingerprint"]
    assert ("sampled", 200) == (found["scope"], found["rows"])
    assert found["canonicalisation"].endswith("of the first 100 of 130 chunks")
    assert 260 == read["inputFacets"]["inputStatistics"]["rowCount"]


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
    assert 2 == params(event)[None, "n_clusters"][0]
    assert {"KMeans-4", "LogisticRegression-3"} == {
        entry["modelId"] for entry in facet(event, "hyperparameters")["params"]
    }


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


def test_a_search_and_what_it_found_are_one_model(told, train, tables):
    """Two files of one fit are called the same, so that nobody takes them for two models of the run."""
    with modeltrail.run("search"):
        search = train(GridSearchCV(LogisticRegression(), {"C": [0.5, 2.0]}, cv=2), tables / "a.csv")
        joblib.dump(search, tables / "search.joblib")
        best = search.best_estimator_
        del search
        joblib.dump(best, tables / "best.joblib")
    found = files(told()[-1])
    assert {"search.joblib": "GridSearchCV-1", "best.joblib": "GridSearchCV-1"} == {
        name: each["facets"]["modelTrail_model"].get("modelId") for name, each in found.items()
    }


def test_a_model_that_is_renamed_over_another_is_the_one_that_lies_there(told, train, tables):
    """Whatever order they were saved in: what was there before is no model of the run any more."""
    with modeltrail.run("best"):
        better, good = (train(LogisticRegression(C=c), tables / "a.csv") for c in (0.5, 2.0))
        joblib.dump(better, tables / "new.joblib")
        joblib.dump(good, tables / "best.joblib")
        (tables / "new.joblib").replace(tables / "best.joblib")
    (event,) = told()
    (saved,) = event["outputs"]
    assert digest_of(tables / "best.joblib") == saved["facets"]["version"]["datasetVersion"]
    assert 0.5 == own(event)["best.joblib"]["C"]


def test_a_model_that_was_put_aside_before_another_is_saved_in_its_place_is_told(told, train, tables):
    """As programs keep the one before: each goes by the name that it has in the end, with its own facts."""
    with modeltrail.run("rotated"):
        for c in (0.5, 1.0, 2.0):
            fitted = train(LogisticRegression(C=c), tables / "a.csv")
            joblib.dump({"model": fitted} if c == 1.0 else fitted, tables / "last.joblib")
            if c < 2.0:
                (tables / "last.joblib").replace(tables / "before.joblib")
                (tables / "before.joblib").rename(tables / f"{c}.joblib")
    (event,) = told()
    assert {"0.5.joblib": 0.5, "1.0.joblib": 1.0, "last.joblib": 2.0} == {
        name: found["C"] for name, found in own(event).items()
    }
    for each in event["outputs"]:
        assert digest_of(Path(each["name"])) == each["facets"]["version"]["datasetVersion"]


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
