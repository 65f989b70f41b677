"""scikit-learn, as people use it: what a fit leaves in the events."""

import pickle
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators
from told import edges

import modeltrail
from modeltrail import wire
from modeltrail.integrations import _wrappers
from modeltrail.observe import choices, data, origins


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(60, 2)), columns=["age", "income"])
    frame["city"] = random.choice(["x", "y"], 60)
    frame["bought"] = (frame["age"] > 0).astype(int)
    return frame


def facet(event, key):
    return event["run"]["facets"][key]


def params(event):
    entries = facet(event, "modelTrail_hyperparameters")["params"]
    return {entry["name"]: (entry["value"], entry["origin"], entry.get("component")) for entry in entries}


def test_a_fit_says_what_it_learned_from(autolog, told, table):
    """A fit inside a run records its data, its features and label, its algorithm, task and seed."""
    autolog()
    with modeltrail.run("train"):
        features = table[["age", "income"]]
        RandomForestClassifier(n_estimators=5, random_state=7).fit(features, table["bought"])
    (event,) = told()
    (source,) = event["inputs"]
    use = source["inputFacets"]["modelTrail_dataUse"]
    assert ("train", "bought", ["age", "income"]) == (use["role"], use["labelColumn"], use["features"])
    whole = data.look(table[["age", "income", "bought"]]).fingerprint
    assert (whole.digest, "full", 60) == tuple(use["fingerprint"][key] for key in ("digest", "scope", "rows"))
    training = facet(event, "modelTrail_training")
    assert (
        "sklearn",
        "sklearn.ensemble.RandomForestClassifier",
        "classification",
        {"framework": 7},
    ) == tuple(training[key] for key in ("framework", "algorithm", "task", "seeds"))
    assert "modelTrail_featureProfile" in source["inputFacets"]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (["income"], {"labelColumn": "income"}),
        (["income", "bought"], {"labelColumns": ["income", "bought"]}),
    ],
)
def test_labels_are_told_by_their_names_also_where_they_are_several(autolog, told, table, chosen, said):
    """A frame of labels names them: one is the label, of several outputs each is one."""
    autolog()
    with modeltrail.run("train"):
        LinearRegression().fit(table[["age"]], table[chosen])
    (source,) = told()[0]["inputs"]
    use = source["inputFacets"]["modelTrail_dataUse"]
    assert said | {"features": ["age"]} == {
        key: use[key] for key in ("labelColumn", "labelColumns", "features") if key in use
    }


def test_two_models_of_a_run_keep_their_parameters(autolog, told, table):
    """Each model of a run has parameters of its own, and so has one that is fitted again from the start."""
    autolog()
    features, truth = table[["age", "income"]], table["bought"]
    first, second = LogisticRegression(C=0.5), make_pipeline(StandardScaler(), LogisticRegression(C=0.25))
    with modeltrail.run("several"):
        StandardScaler().fit(features)
        first.fit(features, truth)
        second.fit(features, truth)
        first.set_params(C=2.0).fit(features, truth)
        GridSearchCV(LogisticRegression(), {"C": [3.0]}, cv=2).fit(features, truth)
    found = {
        (each.get("component"), each["name"]): (each["value"], each["origin"])
        for each in facet(told()[-1], "modelTrail_hyperparameters")["params"]
        if each["name"].endswith("C")
    }
    assert found == {
        (None, "C"): (0.5, "explicit"),
        ("Pipeline-2", "logisticregression__C"): (0.25, "explicit"),
        ("LogisticRegression-3", "C"): (2.0, "explicit"),
        ("GridSearchCV-4", "estimator__C"): (3.0, "search"),
    }


def test_many_fits_of_a_run_fit_an_event(autolog, told, caplog):
    """However many models a run fits, on however much data, a broker takes its event; the limits are said."""
    autolog()
    random = np.random.default_rng(0)
    models = []
    with modeltrail.run("many"):
        for number in range(150):
            rows = random.normal(size=(60, 20))
            models.append(LogisticRegression(C=number + 1).fit(rows, rows[:, 0] > 0))
    (event,) = told()
    assert 100 == len(event["inputs"])
    profiles = [each for each in event["inputs"] if "modelTrail_featureProfile" in each["inputFacets"]]
    assert profiles == event["inputs"][:20]
    components = {each.get("component") for each in facet(event, "modelTrail_hyperparameters")["params"]}
    assert {f"LogisticRegression-{number}" for number in range(101, 151)} == components
    assert len(wire.encode(event)) < 1_000_000
    assert {"a run fits more than 50 models", "a run learns from more than 100 datasets"} == {
        record.message.partition(";")[0] for record in caplog.records
    }


def test_parameters_say_where_they_come_from(autolog, told, table):
    """A parameter other than its default is explicit; the steps of a pipeline are components."""
    autolog()
    model = make_pipeline(StandardScaler(with_mean=False), LogisticRegression(C=0.5, max_iter=100))
    with modeltrail.run("train"):
        model.fit(table[["age"]], table["bought"])
    found = params(told()[0])
    assert (0.5, "explicit", "logisticregression") == found["logisticregression__C"]
    assert (100, "default", "logisticregression") == found["logisticregression__max_iter"]
    assert (False, "explicit", "standardscaler") == found["standardscaler__with_mean"]
    assert (None, "default", None) == found["memory"]


def test_steps_are_transformations(autolog, told, table):
    """Each fitted transformer is a step: what it read and gave, its parameters, its state's digest."""
    autolog()
    encode = ColumnTransformer(
        [("num", StandardScaler(), ["age", "income"]), ("cat", OneHotEncoder(), ["city"])]
    )
    model = Pipeline([("encode", encode), ("again", StandardScaler()), ("classify", LogisticRegression())])
    with modeltrail.run("train"):
        model.fit(table.drop(columns="bought"), table["bought"])
    (event,) = told()
    steps = {step["id"]: step for step in facet(event, "modelTrail_featureTransformations")["steps"]}
    assert ["encode__num", "encode__cat", "again"] == list(steps)
    source = {key: event["inputs"][0][key] for key in ("namespace", "name")}
    assert [source | {"columns": ["city"]}] == steps["encode__cat"]["inputs"]
    assert (["city_x", "city_y"], 60, "train") == tuple(
        steps["encode__cat"][key] for key in ("outputs", "rowsIn", "fittedOn")
    )
    assert ["city"] == steps["encode__cat"]["columnsRemoved"]
    assert [{"step": "encode__num"}, {"step": "encode__cat"}] == steps["again"]["inputs"]
    assert "sklearn.preprocessing.StandardScaler" == steps["encode__num"]["op"]
    assert 64 == len(steps["encode__num"]["stateSha256"]) == len(steps["encode__num"]["paramsSha256"])


def test_the_outermost_call_is_recorded_once(autolog, told, table):
    """A search over a pipeline in threads records one training: its best parameters and all its scores."""
    autolog()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    search = GridSearchCV(model, {"logisticregression__C": [0.1, 1.0, 10.0]}, cv=3, n_jobs=2)
    with joblib.parallel_backend("threading"), modeltrail.run("search"):
        search.fit(table[["age", "income"]], table["bought"])
    (event,) = told()
    assert 1 == len(event["inputs"])
    best = search.best_params_["logisticregression__C"]
    name = "estimator__logisticregression__C"
    assert (best, "search", "estimator__logisticregression") == params(event)[name]
    entries = facet(event, "modelTrail_hyperparameters")["params"]
    assert 1 == sum(entry["name"] == name for entry in entries)
    metrics = facet(event, "modelTrail_metrics")["metrics"]
    assert search.best_score_ == next(each["value"] for each in metrics if each["name"] == "best_score")
    (mean,) = [each for each in metrics if each["name"] == "mean_test_score"]
    assert (search.best_index_, search.best_score_) == (mean["step"], mean["value"])
    (chunk,) = [each for each in told("RUNNING") if "modelTrail_metricSeries" in each["run"]["facets"]]
    points = facet(chunk, "modelTrail_metricSeries")["points"]
    assert list(search.cv_results_["mean_test_score"]) == [point["value"] for point in points]
    assert "sklearn.linear_model.LogisticRegression" == facet(event, "modelTrail_training")["algorithm"]
    assert ["standardscaler"] == [
        step["id"] for step in facet(event, "modelTrail_featureTransformations")["steps"]
    ]


@pytest.mark.parametrize("kind", [list, np.array, pd.Series])
def test_weights_are_data_that_was_learned_from(autolog, told, table, kind):
    """Weights of the rows, of a fit or handed on by a pipeline, are an input with their own fingerprint."""
    autolog()
    features, label = table[["age", "income"]], table["bought"]
    model = LogisticRegression()
    for weights in ([1.0] * 60, [1.0] * 59 + [2.0]):
        with modeltrail.run("train"):
            model.fit(features, label, sample_weight=kind(weights))
        with modeltrail.run("train"):
            make_pipeline(model).fit(features, label, logisticregression__sample_weight=kind(weights))
    events = told()
    found = [
        {each["name"]: each["inputFacets"]["modelTrail_dataUse"] for each in event["inputs"]}
        for event in events
    ]
    assert [{"train/train", "train/sample_weight"}] * 4 == [set(uses) for uses in found]
    digests = [uses["train/sample_weight"]["fingerprint"].get("digest") for uses in found]
    assert (digests[0], digests[2]) == (digests[1], digests[3])
    assert digests[0] != digests[2]


def test_a_search_in_processes_records_once(autolog, told, table):
    """Workers in other processes record nothing of their own, and estimators of the script reach them."""
    autolog()

    class Mine(LogisticRegression):
        pass

    with modeltrail.run("search"):
        GridSearchCV(Mine(), {"C": [0.1, 1.0]}, cv=2, n_jobs=2).fit(table[["age"]], table["bought"])
    (event,) = told()
    assert 1 == len(event["inputs"])


def test_without_a_run_a_fit_makes_one(autolog, told, table):
    """A model fitted outside of any run gets a run of its own, named after script and estimator."""
    autolog()
    KMeans(2, n_init=1, random_state=0).fit(table[["age"]])
    (event,) = told()
    assert event["job"]["name"].endswith(".KMeans")
    assert "TRAIN" == event["job"]["facets"]["jobType"]["jobType"]
    (model,) = event["outputs"]
    assert "inmemory://" == model["namespace"]
    assert "sha256-pickle" == model["outputFacets"]["modelTrail_modelArtifact"]["digestAlgorithm"]


def test_a_transformer_alone_makes_no_run(autolog, told, events, table):
    """A scaler fitted outside of any run sends nothing; inside one it is a step."""
    autolog()
    StandardScaler().fit_transform(table[["age"]])
    assert [] == events
    with modeltrail.run("prepare"):
        StandardScaler().fit_transform(table[["age"]])
    (step,) = facet(told()[0], "modelTrail_featureTransformations")["steps"]
    assert ("standardscaler", ["age"]) == (step["id"], step["outputs"])


def test_a_saved_model_is_the_run_s_output(autolog, told, table, tmp_path):
    """joblib.dump of a fitted model inside a run makes its file an output, described from memory."""
    autolog()
    with modeltrail.run("train"):
        model = LogisticRegression().fit(table[["age", "income"]], table["bought"])
        joblib.dump(model, tmp_path / "m.joblib")
    (output,) = told()[0]["outputs"]
    assert ("file", str(tmp_path / "m.joblib")) == (output["namespace"], output["name"])
    described = output["facets"]["modelTrail_model"]
    assert ("sklearn", "joblib", 3) == tuple(
        described[key] for key in ("framework", "format", "parameterCount")
    )
    assert [{"name": "age"}, {"name": "income"}] == described["signature"]["inputs"]
    assert (
        data.look(tmp_path / "m.joblib").fingerprint.digest
        == (output["outputFacets"]["modelTrail_modelArtifact"]["digest"])
    )


def test_naming_a_saved_model_names_the_same_one(autolog, told, table, tmp_path):
    """Saying the name of a model that was saved under autolog does not make two of it."""
    autolog()
    with modeltrail.run("train") as run:
        joblib.dump(LogisticRegression().fit(table[["age"]], table["bought"]), tmp_path / "m.joblib")
        run.output_model(tmp_path / "m.joblib", name="churn")
    (output,) = told()[0]["outputs"]
    assert "models/churn" == output["name"]


def test_a_model_saved_after_its_own_run_leads_back_to_it(autolog, told, table, tmp_path):
    """A fit and a dump outside of any run are two runs, joined by the model in memory."""
    autolog()
    model = LogisticRegression().fit(table[["age"]], table["bought"])
    with (tmp_path / "m.pkl").open("wb") as file:
        pickle.dump(model, file)
    fit, save = told()
    assert fit["outputs"][0]["name"] == save["inputs"][0]["name"]
    digest = data.look(tmp_path / "m.pkl").fingerprint.digest
    assert digest == save["outputs"][0]["outputFacets"]["modelTrail_modelArtifact"]["digest"]


def test_a_model_saved_after_its_own_run_is_told_with_how_it_was_made(autolog, told, table, tmp_path):
    """Parameters, training and data of the fit are those of the run that saves as well."""
    autolog()
    table.to_csv(tmp_path / "table.csv", index=False)
    read = pd.read_csv(tmp_path / "table.csv")
    joblib.dump(LogisticRegression(C=0.3).fit(read[["age"]], read["bought"]), tmp_path / "m.joblib")
    fit, save = told()
    for key in ("modelTrail_hyperparameters", "modelTrail_training"):
        assert fit["run"]["facets"][key] == save["run"]["facets"][key]
    assert fit["inputs"] == save["inputs"][1:]
    assert str(tmp_path / "table.csv") in {each["name"] for each in save["inputs"]}


def test_a_model_fitted_in_a_thread_and_saved_in_a_run_leads_back_to_its_fit(autolog, told, table, tmp_path):
    """A pool's threads know no run: what they fit is a run's own, and what is saved of it came from there."""
    autolog()
    with modeltrail.run("train"), ThreadPoolExecutor(1) as pool:
        model = pool.submit(LogisticRegression().fit, table[["age"]], table["bought"]).result()
        joblib.dump(model, tmp_path / "m.joblib")
        joblib.dump(model.fit(table[["income"]], table["bought"]), tmp_path / "again.joblib")
    with modeltrail.run("later"):
        model.fit(table[["age"]], table["bought"])
        joblib.dump(model, tmp_path / "later.joblib")
    fit, save, later = told()
    made = [(each["namespace"], each["name"]) for each in fit["outputs"]]
    assert [*made, ("inmemory://", "train/train")] == [
        (each["namespace"], each["name"]) for each in save["inputs"]
    ]
    assert ["later/train"] == [each["name"] for each in later["inputs"]]


def test_models_fitted_in_threads_lead_back_each_to_its_own_fit(autolog, told, table, tmp_path):
    """Of several that one run saves none came of another's fit, nor did one that nobody saw being fitted."""
    autolog()
    unseen = pickle.loads(pickle.dumps(LogisticRegression().fit(table[["age"]], table["bought"])))
    with modeltrail.run("train"):
        with ThreadPoolExecutor(2) as pool:
            fits = [
                pool.submit(LogisticRegression(C=c).fit, table[["age"]], table["bought"]) for c in (0.5, 2)
            ]
            models = [each.result() for each in fits]
        for number, model in enumerate([*models, unseen]):
            joblib.dump(model, tmp_path / f"{number}.joblib")
        joblib.dump(models, tmp_path / "both.joblib")
    found = edges(told()[-1])
    first, second = (found[f"{number}.joblib"] for number in (0, 1))
    assert 1 == len(first) == len(second)
    assert (first | second, set()) == (found["both.joblib"], found["2.joblib"])


def test_other_things_are_saved_in_silence(autolog, events, table, tmp_path):
    """What is no estimator is none of ours to record, nor is an estimator that goes to no file."""
    autolog()
    joblib.dump(table, tmp_path / "x.joblib")
    joblib.dump(StandardScaler(), tmp_path / "s.joblib")
    with (tmp_path / "x.pkl").open("wb") as file:
        pickle.dump([1, 2], file)
    assert [] == events


def test_a_split_is_known_by_its_fit(autolog, told, table):
    """The fit of one part of a split says how it was split, with which seed, and which share it is."""
    autolog()
    features, labels = table[["age"]], table["bought"]
    train, _, wanted, _ = train_test_split(features, labels, test_size=0.25, random_state=3, stratify=labels)
    with modeltrail.run("train"):
        LogisticRegression().fit(train, wanted)
    use = told()[0]["inputs"][0]["inputFacets"]["modelTrail_dataUse"]
    assert {"strategy": "stratified", "seed": 3, "fraction": 0.75} == use["split"]


def test_a_split_of_a_split_tells_both(autolog, told, table, tmp_path):
    """Of train, validation and test by two splits the training rows, and their file, tell both seeds."""
    table.to_csv(tmp_path / "all.csv", index=False)
    autolog()
    with modeltrail.run("train"):
        rest, test = train_test_split(pd.read_csv(tmp_path / "all.csv"), test_size=0.2, random_state=1)
        train, _ = train_test_split(rest, test_size=0.25, random_state=2)
        LogisticRegression().fit(train[["age", "income"]], train["bought"])
    first = {"strategy": "random", "fraction": 0.8, "seed": 1}
    both = {"strategy": "random", "fraction": 0.75, "seed": 2, "earlier": [first]}
    assert [both, both] == [
        each["inputFacets"]["modelTrail_dataUse"]["split"] for each in told()[0]["inputs"]
    ]
    assert {"strategy": "random", "fraction": 0.2, "seed": 1} == origins.of(test).split


def test_of_splits_without_end_the_last_are_told(autolog, table):
    """A program that splits what is left again and again has no record without end."""
    autolog()
    left = table.loc[table.index.repeat(2)]
    for _ in range(choices.MAX_CHOICES + 9):
        left, _ = train_test_split(left, test_size=1)
    assert choices.MAX_CHOICES == len(origins.of(left).split["earlier"])


def test_a_split_of_anything_goes_through(autolog, table):
    """Lists, arrays and sparse rows are split as ever."""
    autolog()
    parts = train_test_split(list(range(10)), np.arange(10), shuffle=False)
    assert [7, 3, 7, 3] == [len(part) for part in parts]


def test_the_host_s_exception_is_the_host_s(autolog, told, table):
    """A fit that raises raises the same exception object, unchained, and its own run fails with it."""
    error = RuntimeError("the host's")

    class Broken(ClassifierMixin, BaseEstimator):
        def fit(self, X, y=None):  # noqa: N803
            raise error

        def predict(self, X):  # noqa: N803
            return X

    autolog()
    with pytest.raises(RuntimeError) as caught:
        Broken().fit(table[["age"]], table["bought"])
    assert error is caught.value
    assert (None, None) == (error.__cause__, error.__context__)
    frames = [Path(frame.path).name for frame in caught.traceback]
    ours = Path(_wrappers.UNCOUNTED).name
    assert ["test_sklearn.py", ours, ours, "test_sklearn.py"] == frames
    (event,) = told("FAIL")
    assert "the host's" in event["run"]["facets"]["errorMessage"]["message"]


@pytest.mark.parametrize("is_late", [True, False])
def test_what_a_class_is_made_of_beside_estimators_is_observed(autolog, is_late):
    """A mixin predicts for the estimators that it is part of, known or yet to come."""

    class Chances:
        def predict_proba(self, X):  # noqa: N803
            return X

    if is_late:
        autolog()

    class Own(Chances, LogisticRegression):
        pass

    if not is_late:
        autolog()
    assert all(_wrappers.is_wrapper(each.predict_proba) for each in (Chances, Own, LogisticRegression))


def test_wrong_arguments_are_the_host_s_error(autolog):
    """A call that does not fit its signature raises the TypeError that it always raised."""
    autolog()
    with pytest.raises(TypeError, match=r"fit\(\) missing 2 required positional arguments"):
        LogisticRegression().fit()


def test_meta_estimators_and_trees_are_one_fit(autolog, told, table):
    """An ensemble of models is one training; its parts are components."""
    autolog()
    vote = VotingClassifier([("tree", DecisionTreeClassifier(max_depth=2)), ("line", LogisticRegression())])
    with modeltrail.run("train"):
        vote.fit(table[["age"]], table["bought"])
    event = told()[0]
    assert (2, "explicit", "tree") == params(event)["tree__max_depth"]
    assert 1 == len(event["inputs"])


def test_two_threads_are_two_fits(autolog, told, table):
    """Fits in two threads that the host started itself are both recorded."""
    autolog()
    gate = threading.Barrier(2)

    def work(name):
        gate.wait()
        with modeltrail.run(name):
            LinearRegression().fit(table[["age"]], table["income"])

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {"a": 1, "b": 1} == {event["job"]["name"]: len(event["inputs"]) for event in told()}


def test_a_script_that_imports_first_and_calls_later(tmp_path, inbox):
    """`from X import f` before `autolog()` and libraries imported after it are both observed."""
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent("""
        from joblib import dump
        import modeltrail
        modeltrail.autolog(strict=True)
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split
        train, _, label, _ = train_test_split([[0.0], [1.0]] * 10, [0, 1] * 10, random_state=1)
        with modeltrail.run("script"):
            model = LogisticRegression().fit(train, label)
            dump(model, "m.joblib")
        """)
    )
    result = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (0, "") == (result.returncode, result.stderr)
    event = next(each for each in inbox(tmp_path / "lineage") if each["eventType"] == "COMPLETE")
    assert "sklearn" == facet(event, "modelTrail_training")["framework"]
    assert str(tmp_path / "m.joblib") == event["outputs"][0]["name"]


@pytest.mark.filterwarnings("ignore")
def test_every_estimator_is_observed(autolog, events):
    """Every estimator of scikit-learn that fits at all is observed without a failure of ours."""
    autolog()
    random = np.random.default_rng(0)
    features, labels = np.abs(random.normal(size=(30, 4))), np.array([0, 1] * 15)
    fitted = 0
    with modeltrail.run("sweep"):
        for _, kind in all_estimators():
            try:
                kind().fit(features, labels)
            except (TypeError, ValueError, AttributeError):  # needs an estimator, or other data
                continue
            fitted += 1
    assert fitted > 100


def test_seeds_of_the_shared_generators_are_recorded(autolog, told, table):
    """`random.seed` and `numpy.random.seed` are told with the estimator's own seed."""
    import random

    autolog()
    shared = sys.modules["numpy.random"]
    random.seed(2**80)
    random.seed(11)
    shared.seed(12)
    drawn = random.random(), shared.random()
    with modeltrail.run("train"):
        LogisticRegression(random_state=13).fit(table[["age"]], table["bought"])
    training = told()[-1]["run"]["facets"]["modelTrail_training"]
    assert {"python": 11, "numpy": 12, "framework": 13} == training["seeds"]
    random.seed(11)
    shared.seed(12)
    assert drawn == (random.random(), shared.random())
    random.seed()
    shared.seed()


def test_a_seed_that_cannot_be_told_is_not_told(autolog, told, table):
    """Seeding from the clock or by a text takes the seed known before back."""
    import random

    autolog()
    shared = sys.modules["numpy.random"]
    random.seed(11)
    shared.seed(12)
    random.seed("text")
    shared.seed()
    with modeltrail.run("train"):
        LogisticRegression().fit(table[["age"]], table["bought"])
    assert "seeds" not in told()[-1]["run"]["facets"]["modelTrail_training"]


def test_what_a_transformer_gives_came_from_where_its_data_came_from(autolog, told, table):
    """Scaled by hand, inside of a run and outside: the model came from the files, and its split is known."""
    autolog()
    origins.read(table, ["/raw.csv"])
    train, test = train_test_split(table[["age", "income"]], random_state=0)
    scaler = StandardScaler()
    outside = TruncatedSVD(1).fit_transform(train)
    with modeltrail.run("train"):
        again = scaler.fit(train).transform(test)
        LogisticRegression().fit(outside, table.loc[train.index, "bought"])
    assert ["/raw.csv"] == [source.place for source in origins.of(again).sources]
    assert 0.25 == origins.of(again).split["fraction"]
    (event,) = told()
    inputs = {each["name"]: each["inputFacets"]["modelTrail_dataUse"] for each in event["inputs"]}
    assert {"/raw.csv": "train", "train/train": "train"} == {
        name: use["role"] for name, use in inputs.items()
    }
    assert 0.75 == inputs["/raw.csv"]["split"]["fraction"]


def test_who_interrupts_us_ends_our_run(autolog, told, table, monkeypatch):
    """Ctrl-C while data is looked at ends the run that the fit would have been, and is the host's."""
    autolog()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "labelled", interrupt)
    with pytest.raises(KeyboardInterrupt):
        LogisticRegression().fit(table[["age"]], table["bought"])
    assert modeltrail.current_run() is None
    assert 1 == len(told("ABORT")) + len(told("FAIL"))


def test_what_stands_before_the_model_of_a_pipeline_is_a_step_also_a_pca(autolog, told, table):
    """A PCA, a KMeans of a union are steps where they transform; what a pipeline ends with is its model."""
    autolog()
    union = FeatureUnion([("pca", PCA(1)), ("groups", KMeans(2))])
    with modeltrail.run("train"):
        make_pipeline(StandardScaler(), union, LogisticRegression()).fit(
            table[["age", "income"]], table["bought"]
        )
    with modeltrail.run("reduce"):
        make_pipeline(StandardScaler(), PCA(1)).fit(table[["age", "income"]])
    names = [
        [step["id"] for step in facet(event, "modelTrail_featureTransformations")["steps"]]
        for event in told()
    ]
    assert [["standardscaler", "featureunion__pca", "featureunion__groups"], ["standardscaler"]] == names
