"""What xgboost and lightgbm have in common, of both: as people use them, and what it leaves in the events."""

import gc
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import joblib
import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from told import edges, facet, files, metrics, points, uses

import modeltrail
from modeltrail import guard, integrations
from modeltrail.integrations import _boosting, _estimators, _sources
from modeltrail.observe import data

XGBOOST = SimpleNamespace(
    name="xgboost",
    train=lambda matrix, rounds=3, **more: xgboost.train(
        {"objective": "binary:logistic", "seed": 5}, matrix, rounds, verbose_eval=False, **more
    ),
    judged=lambda named: {"evals": [(matrix, name) for name, matrix in named.items()]},
    going_on="xgb_model",
    matrix=lambda table, labels, _=None, **beside: xgboost.DMatrix(table, label=labels, **beside),
    asked=xgboost.DMatrix,
    of_file=xgboost.DMatrix,
    options="?format=csv&label_column=0",
    start="base_margin",
    beside={"weight": np.arange(200) + 2, "base_margin": np.full(200, 0.5)},
    cv=lambda matrix, **more: xgboost.cv({"objective": "binary:logistic", **more}, matrix, 3, nfold=2),
    estimator=lambda **more: xgboost.XGBClassifier(n_estimators=3, **more),
    evaluated=lambda *pairs: {"eval_set": list(pairs), "verbose": False},
    kind="XGBClassifier",
    file="m.json",
    format="xgboost-json",
    loaded=lambda place: xgboost.Booster(model_file=place),
    content=lambda booster: bytes(booster.save_raw("ubj")),
    callback=lambda function: type(
        "Each",
        (xgboost.callback.TrainingCallback,),
        {"after_iteration": lambda _, model, epoch, log: function(epoch, log)},
    )(),
)
LIGHTGBM = SimpleNamespace(
    name="lightgbm",
    train=lambda matrix, rounds=3, **more: lightgbm.train(
        {"objective": "binary", "seed": 5, "verbose": -1}, matrix, rounds, **more
    ),
    judged=lambda named: {"valid_sets": list(named.values()), "valid_names": list(named)},
    going_on="init_model",
    matrix=lambda table, labels, whole=None, **beside: lightgbm.Dataset(
        table, label=labels, reference=whole, free_raw_data=False, **beside
    ),
    asked=lambda table, _: table,
    of_file=lightgbm.Dataset,
    options="",
    start="init_score",
    beside={"weight": np.arange(200) + 2, "init_score": np.full(200, 0.5), "group": [150, 50]},
    cv=lambda matrix, **more: lightgbm.cv({"objective": "binary", "verbose": -1, **more}, matrix, 3, nfold=2),
    estimator=lambda **more: lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, **more),
    evaluated=lambda *pairs: dict(zip(("eval_X", "eval_y"), zip(*pairs, strict=True), strict=True)),
    kind="LGBMClassifier",
    file="m.txt",
    format="lightgbm-text",
    loaded=lambda place: lightgbm.Booster(model_file=place),
    content=lambda booster: booster.model_to_string(),
    callback=lambda function: lambda env: function(env.iteration, env.evaluation_result_list) and None,
)
both = pytest.mark.parametrize("library", [XGBOOST, LIGHTGBM], ids=lambda each: each.name)
WAYS = [(), ("sklearn",), ("own",), ("sklearn", "own"), ("own", "sklearn")]


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(200, 3)), columns=["age", "income", "debt"])
    frame["bought"] = (frame["age"] + frame["debt"] > 0).astype(int)
    return frame


@pytest.fixture
def parts(table):
    """Features to train on and to be judged by, and their labels."""
    return train_test_split(table[["age", "income", "debt"]], table["bought"], random_state=3)


@both
def test_a_training_says_what_it_learned_from(library, autolog, told, table):
    """Content, label, features, split, of frames that are gone since; what it is judged by is validation."""
    autolog()
    features, other, labels, truth = train_test_split(
        table[["age", "income"]], table["bought"], test_size=0.25, random_state=3
    )
    expected = data.look(data.labelled(features, labels)[0]).fingerprint.digest
    trained = library.matrix(features, labels)
    judged = library.matrix(other, truth, trained)
    if library is XGBOOST:  # lightgbm keeps the frame until it trains
        del features, labels, other, truth
        gc.collect()
    with modeltrail.run("train"):
        library.train(trained, **library.judged({"seen": trained, "unseen": judged}))
    (event,) = told()
    found = uses(event)
    assert {"train/train": "train", "train/validation": "validation"} == {
        name: use["role"] for name, use in found.items()
    }
    use = found["train/train"]
    assert (expected, "full", 150) == tuple(use["fingerprint"][key] for key in ("digest", "scope", "rows"))
    assert ("bought", ["age", "income"], "observed") == (use["labelColumn"], use["features"], use["capture"])
    assert {"strategy": "random", "seed": 3, "fraction": 0.75} == use["split"]
    assert 0.25 == found["train/validation"]["split"]["fraction"]
    assert all("modelTrail_featureProfile" in each["inputFacets"] for each in event["inputs"])


@both
def test_a_file_of_which_some_rows_were_trained_on_is_trained_on(library, autolog, told, table, tmp_path):
    """A file that training and validation rows came from is trained on, and chosen as the former were."""
    place = tmp_path / "bought.csv"
    table.to_csv(place, index=False)
    autolog()
    frame = pd.read_csv(place)
    parts = train_test_split(frame[["age", "debt"]], frame["bought"], test_size=0.25, random_state=3)
    features, other, labels, truth = parts
    with modeltrail.run("train"):
        library.estimator().fit(features, labels, **library.evaluated((other, truth)))
    with modeltrail.run("train"):
        trained = library.matrix(features, labels)
        library.train(trained, **library.judged({"unseen": library.matrix(other, truth, trained)}))
    for event in told():
        use = uses(event)[str(place)]
        assert ("train", {"strategy": "random", "seed": 3, "fraction": 0.75}) == (use["role"], use["split"])
        assert "validation" == uses(event)["train/validation"]["role"]


@both
@pytest.mark.usefixtures("autolog")
@pytest.mark.filterwarnings("ignore::UserWarning")  # xgboost will not read text files for ever
@pytest.mark.parametrize("is_of_file", [False, True])
def test_a_matrix_that_is_saved_was_made_of_the_file_of_its_data(library, is_of_file, told, table, tmp_path):
    """A run that prepares a binary file for others has it as its output; who trains on it learned from it."""
    place, saved = tmp_path / "train.csv", str(tmp_path / "train.bin")
    table[["bought", "age", "income"]].to_csv(place, index=False, header=not is_of_file)
    modeltrail.autolog()
    with modeltrail.run("prepare"):
        if is_of_file:
            matrix = library.of_file(f"{place}{library.options}")
        else:
            rows = pd.read_csv(place)
            matrix = library.matrix(rows[["age", "income"]], rows["bought"])
        matrix.save_binary(saved)
    with modeltrail.run("train"):
        library.train(library.of_file(saved)).save_model(tmp_path / library.file)
    prepare, train = told()
    assert {"train.bin": {"train.csv"}} == edges(prepare)
    assert {"train.bin"} == edges(train)[library.file]
    (given,) = train["inputs"]
    assert files(prepare)["train.bin"]["facets"]["version"] == given["facets"]["version"]


@both
def test_weights_are_told_by_their_name(library, autolog, told, table):
    """A training by weighted rows learned from the weights too: told by name, or that there are some."""
    autolog()
    features, labels = table[["age"]], table["bought"]
    for weights in (table["income"].abs(), np.ones(200)):
        with modeltrail.run("train"):
            library.estimator().fit(features, labels, sample_weight=weights)
        with modeltrail.run("train"):
            library.train(library.matrix(features, labels, weight=weights))
    named = [uses(event)["train/train"]["weightColumn"] for event in told()]
    assert ["income", "income", "weight", "weight"] == named


@both
def test_what_stands_beside_the_table_is_learned_from(library, autolog, told, table):
    """Weights, margins and groups of a matrix, given or set later, are inputs with their own fingerprints."""
    autolog()
    features, labels = table[["age"]], table["bought"]
    beside = library.beside
    with modeltrail.run("train"):
        library.train(library.matrix(features, labels, **beside))
    later = library.matrix(features, labels)
    for name, values in beside.items():
        getattr(later, f"set_{name}")(values)
    with modeltrail.run("train"):
        library.train(later)
    later.set_weight(beside["weight"] + 1)  # the bins of the table are made by now
    with modeltrail.run("train"):
        library.train(later)
    with modeltrail.run("train"):
        library.estimator().fit(features, labels, **{library.start: beside[library.start]})
    given, set_, changed, fitted = (uses(event) for event in told())
    assert given.keys() == {"train/train", *(f"train/{name}" for name in beside)}
    digests = [
        {name: use["fingerprint"]["digest"] for name, use in found.items()}
        for found in (given, set_, changed)
    ]
    assert digests[0] == digests[1]
    assert {"train/weight"} == {name for name in digests[0] if digests[0][name] != digests[2][name]}
    assert {"train/train", f"train/{library.start}"} == fitted.keys()


@both
def test_every_kind_of_table_is_known(library, autolog, told, table):
    """A table of arrow, polars or pandas with the same rows is the same data, with the same features."""
    autolog(library.name)
    features, labels = table[["age", "income"]], table["bought"].to_numpy()
    for each in (features, pa.Table.from_pandas(features), pl.from_pandas(features)):
        with modeltrail.run("train"):
            library.train(library.matrix(each, labels))
    found = [uses(event)["train/train"] for event in told()]
    assert [["age", "income"]] * 3 == [use["features"] for use in found]
    assert [found[0]["fingerprint"]] * 3 == [use["fingerprint"] for use in found]


@both
def test_a_training_says_how(library, autolog, told, parts):
    """Framework, class, seed, rounds, the task by its objective; parameters, and arguments given or not."""
    autolog(library.name)
    with modeltrail.run("train"):
        library.train(library.matrix(parts[0], parts[2]), 4)
    (event,) = told()
    training = facet(event, "training")
    assert (
        library.name,
        f"{library.name}.Booster",
        "classification",
        {"framework": 5},
        4,
        "observed",
    ) == tuple(training[key] for key in ("framework", "algorithm", "task", "seeds", "steps", "capture"))
    assert sys.modules[library.name].__version__ == training["frameworkVersion"]
    found = {
        each["name"]: (each["value"], each["origin"]) for each in facet(event, "hyperparameters")["params"]
    }
    assert ((5, "explicit"), (4, "explicit")) == (found["seed"], found["num_boost_round"])
    assert "default" in {origin for _, origin in found.values()} or library is LIGHTGBM


@both
def test_rounds_are_told_while_they_go_on(library, autolog, events, parts):
    """Each round's scores on each set are in the series, by the name of the set, before the training ends."""
    autolog()
    trained = library.matrix(parts[0], parts[2])
    judged = library.matrix(parts[1], parts[3], trained)
    seen = []

    def look(step, _):
        chunk = modeltrail.current_run().facts.metrics.pending()
        seen.append(len(chunk["points"]) if chunk else 0)

    with modeltrail.run("train"):
        library.train(
            trained, **library.judged({"seen": trained, "unseen": judged}), callbacks=[library.callback(look)]
        )
    assert seen in ([0, 2, 4], [2, 4, 6])  # xgboost's callbacks come before, lightgbm's after ours
    found = points(events)
    metric = {"xgboost": "logloss", "lightgbm": "binary_logloss"}[library.name]
    assert {(f"{place}-{metric}", step) for place in ("seen", "unseen") for step in range(3)} == set(found)
    assert found[f"seen-{metric}", 0] > found[f"seen-{metric}", 2]
    last = metrics(events[-1])
    assert ("train", "validation") == (last[f"seen-{metric}"]["split"], last[f"unseen-{metric}"]["split"])
    assert found[f"unseen-{metric}", 2] == last[f"unseen-{metric}"]["value"]


@both
def test_two_trainings_in_a_run_keep_their_parameters(library, autolog, told, parts):
    """Without a saved model the first training is the run's; a second, or a cross-validation, has its own."""
    autolog()
    with modeltrail.run("several"):
        library.cv(library.matrix(parts[0], parts[2]))
        for rounds in (2, 4):
            library.train(library.matrix(parts[0], parts[2]), rounds)
    entries = facet(told()[-1], "hyperparameters")["params"]
    rounds = {each.get("component"): each["value"] for each in entries if each["name"] == "num_boost_round"}
    assert {None: 2, "cv-2": 3, "Booster-3": 4} == rounds


@both
def test_a_cross_validation_is_none_of_a_model(library, autolog, told, parts, tmp_path):
    """What a cross-validation was asked and what it scored is its own, beside one saved model or several."""
    autolog()
    others = {tmp_path / "other.joblib": LogisticRegression()}
    for beside in ({}, others):
        with modeltrail.run("tuned"):
            for depth in (2, 6):
                library.cv(library.matrix(parts[0], parts[2]), max_depth=depth, seed=7)
            library.train(library.matrix(parts[0], parts[2]), 4).save_model(tmp_path / library.file)
            for place, model in beside.items():
                joblib.dump(model.fit(parts[0], parts[2]), place)
    for event in told():
        ids = {name: each["facets"]["modelTrail_model"]["modelId"] for name, each in files(event).items()}
        asked = {}
        for each in facet(event, "hyperparameters")["params"]:
            asked.setdefault(each.get("modelId"), {})[each["name"]] = each["value"]
        booster = asked[ids[library.file]]
        tried = {name: asked[name] for name in asked if name not in ids.values()}
        names = ("num_boost_round", "nfold", "max_depth", "seed")
        assert (4, None, None, 5) == tuple(booster.get(name) for name in names)
        assert [(3, 2, 2, 7), (3, 2, 6, 7)] == [tuple(map(each.get, names)) for each in tried.values()]
        assert all({"nfold", "max_depth"}.isdisjoint(asked[each]) for each in ids.values())
        assert {*tried} == {
            each["modelId"] for each in facet(event, "metrics")["metrics"] if "-mean" in each["name"]
        }
        trained = {each["modelId"]: each for each in facet(event, "training")["models"]}
        assert {"framework": 5} == trained[ids[library.file]]["seeds"]


@both
def test_what_rounds_scored_is_not_lost(library, autolog, events, parts):
    """A run that is aborted in the midst of a training tells all rounds so far, each with its own time."""
    autolog()
    trained = library.matrix(parts[0], parts[2])
    with modeltrail.run("course") as run:
        stop = library.callback(lambda step, _: run.abort("enough") if step == 4 else None)
        library.train(trained, 8, **library.judged({"seen": trained}), callbacks=[stop])
    assert "ABORT" == events[-1]["eventType"]
    series = events[-2]["run"]["facets"]["modelTrail_metricSeries"]["points"]
    assert [each["step"] for each in series] in ([0, 1, 2, 3], [0, 1, 2, 3, 4])
    assert len(series) == len({each["at"] for each in series})
    assert series[-1]["value"] == metrics(events[-1])[series[-1]["name"]]["value"]


@both
def test_an_interrupted_training_is_aborted(library, autolog, told, parts, monkeypatch):
    """Ctrl-C passes as it is, and the run of the training's own ends as ABORT."""
    autolog()
    matrix = library.matrix(parts[0], parts[2])

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules[library.name].Booster, "update", interrupt)
    for way in (library.train, library.cv):
        with pytest.raises(KeyboardInterrupt):
            way(matrix)
    assert ["Booster", "cv"] == [event["job"]["name"].rpartition(".")[2] for event in told("ABORT")]
    assert [] == told("COMPLETE")


@both
@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_an_estimator_is_recorded_once(library, way, autolog, told, table):
    """A fit is one run with one training input, whichever integrations are on and in whichever order."""
    names = [library.name if name == "own" else name for name in way]
    for name in names or [None]:
        autolog(*[name] if name else [])
    train, judged, labels, truth = train_test_split(table[["age", "debt"]], table["bought"], random_state=3)
    library.estimator().fit(train, labels, **library.evaluated((train, labels), (judged, truth)))
    (event,) = told()
    assert event["job"]["name"].endswith(f".{library.kind}")
    found = {name.rpartition("/")[2]: use for name, use in uses(event).items()}
    assert {"train": "train", "validation": "validation"} == {
        name: use["role"] for name, use in found.items()
    }
    assert found["validation"]["split"]["fraction"] == 0.25
    assert f"{library.name}.{library.kind}" == facet(event, "training")["algorithm"]
    assert 3 == facet(event, "training")["steps"]
    if names != ["sklearn"]:
        rounds = {"xgboost": "validation_1-logloss", "lightgbm": "valid_1-binary_logloss"}[library.name]
        assert (2, "validation") == tuple(metrics(event)[rounds][key] for key in ("step", "split"))
        assert ["train", "validation"] == sorted(each["split"] for each in metrics(event).values())


@both
def test_what_one_lets_go_the_other_takes(library, autolog, told, parts):
    """Switching one of two integrations off leaves a fit to the other, and all off leaves nothing."""
    kind = type(library.estimator())
    original, dump = kind.fit, pickle.dump
    for first, second in ((library.name, "sklearn"), ("sklearn", library.name)):
        autolog(first)
        autolog(second)
        integrations.deactivate(first)
        before = len(told())
        library.estimator().fit(parts[0], parts[2])
        assert before + 1 == len(told())
        integrations.deactivate(second)
        assert (original, dump) == (kind.fit, pickle.dump)


@both
def test_a_search_is_one_run(library, autolog, told, parts):
    """A search is one training with the scores of its candidates; no round of theirs is told."""
    autolog()
    search = GridSearchCV(library.estimator(), {"max_depth": [1, 2]}, cv=2)
    for _ in range(2):  # the second time it has a best estimator already
        search.fit(parts[0], parts[2], **library.evaluated((parts[1], parts[3])))
    first, again = told()
    assert metrics(first).keys() == metrics(again).keys() == {"mean_test_score", "best_score"}
    assert {"train", "validation"} == {use["role"] for use in uses(first).values()}
    found = {each["name"]: each["origin"] for each in facet(first, "hyperparameters")["params"]}
    assert "search" == found["estimator__max_depth"]


@both
def test_a_pipeline_hands_on(library, autolog, told, parts):
    """The evaluation set that a pipeline hands on is an input, and the rounds of its last step are told."""
    autolog()
    model = make_pipeline(StandardScaler(), library.estimator())
    step = type(library.estimator()).__name__.lower()
    given = library.evaluated((parts[1].to_numpy(), parts[3]))
    model.fit(parts[0], parts[2], **{f"{step}__{name}": value for name, value in given.items()})
    (event,) = told()
    assert {"train", "validation"} == {use["role"] for use in uses(event).values()}
    assert any(name.startswith("valid") for name in metrics(event))
    assert ["standardscaler"] == [each["id"] for each in facet(event, "featureTransformations")["steps"]]


@both
def test_parameters_of_an_estimator(library, autolog, told, parts):
    """Those that a base class takes are known for defaults too; no generator is drawn from for them."""
    autolog()
    generator = np.random.RandomState(4)
    library.estimator(max_depth=2, random_state=generator).fit(parts[0], parts[2])
    found = {each["name"]: each for each in facet(told()[0], "hyperparameters")["params"]}
    assert (2, "explicit") == tuple(found["max_depth"][key] for key in ("value", "origin"))
    assert "default" == found["learning_rate"]["origin"]
    assert "RandomState" in str(found["random_state"]["value"])
    if library is XGBOOST:
        assert ("NaN", "default") == tuple(found["missing"][key] for key in ("value", "origin"))


@both
def test_results_are_the_same_to_the_bit(library, autolog, parts, capfd):
    """Model, early stopping, the user's callback and what is printed are as they are without us."""

    def work():
        log = []
        trained = library.matrix(parts[0], parts[2])
        judged = library.judged({"unseen": library.matrix(parts[1], parts[3], trained)})
        watch = library.callback(lambda step, scores: log.append((step, repr(scores))))
        booster = library.train(trained, 6, callbacks=[watch], **judged)
        again = library.train(trained, 2, **{library.going_on: booster})
        drawn = library.estimator(subsample=0.5, random_state=np.random.RandomState(4))
        fitted = drawn.fit(parts[0], parts[2])
        folds = library.cv(library.matrix(parts[0], parts[2]))
        held = [library.content(each) for each in (booster, again, fitted._Booster)]
        return log, held, repr(folds), fitted.predict_proba(parts[1]).tolist(), capfd.readouterr()

    without = work()
    autolog()
    assert without == work()


@both
def test_a_saved_booster_is_an_output(library, autolog, told, parts, tmp_path):
    """The library's own file, a pickle and a dump of joblib are models, described from memory."""
    autolog(library.name)
    with modeltrail.run("train"):
        booster = library.train(library.matrix(parts[0], parts[2]))
        booster.save_model(tmp_path / library.file)
        (tmp_path / "m.pkl").write_bytes(b"")
        with (tmp_path / "m.pkl").open("wb") as file:
            pickle.dump(booster, file)
    with modeltrail.run("dump"):
        joblib.dump(booster, tmp_path / "m.joblib")
    outputs = [each for event in told() for each in event["outputs"]]
    names = [library.file, "m.pkl", "m.joblib"]
    assert [str(tmp_path / name) for name in names] == [each["name"] for each in outputs]
    for each in outputs:
        described = each["facets"]["modelTrail_model"]
        assert (library.name, "classification") == (described["framework"], described["task"])
        assert ["age", "income", "debt"] == [name["name"] for name in described["signature"]["inputs"]]
        digest = data.look(Path(each["name"])).fingerprint.digest
        assert digest == each["outputFacets"]["modelTrail_modelArtifact"]["digest"]


@both
def test_a_file_leads_back_to_the_fit(library, autolog, told, parts, tmp_path):
    """Saving the booster of an estimator, out of any run, leads to the run that fitted the estimator."""
    autolog()
    fitted = library.estimator().fit(parts[0], parts[2])
    fitted._Booster.save_model(tmp_path / library.file)
    fit, save = told()
    assert fit["outputs"][0]["name"] == save["inputs"][0]["name"]
    described = save["outputs"][0]["facets"]["modelTrail_model"]
    assert (library.format, library.name) == (described["format"], described["framework"])


@both
def test_one_booster_is_not_taken_for_another(library, autolog, told, parts, tmp_path):
    """An evaluation of a booster that was not saved is not one of the other that was."""
    autolog()
    with modeltrail.run("train") as run:
        library.train(library.matrix(parts[0], parts[2])).save_model(tmp_path / library.file)
        run.evaluate(library.train(library.matrix(parts[0], parts[2]), 2), parts[1], {"auc": 0.5})
    (judged,) = [event for event in told() if event["job"]["name"] == "train.evaluate"]
    assert str(tmp_path / library.file) not in [each["name"] for each in judged["inputs"]]


@both
def test_a_loaded_model_is_an_input(library, autolog, told, parts, tmp_path):
    """Loading inside of a run makes the file its input; to go on from it makes it the base of the new one."""
    library.train(library.matrix(parts[0], parts[2])).save_model(tmp_path / library.file)
    autolog(library.name)
    place = str(tmp_path / library.file)
    with modeltrail.run("judge"):
        booster = library.loaded(place)
    with modeltrail.run("go on"):
        library.train(library.matrix(parts[0], parts[2]), 2, **{library.going_on: booster})
    with modeltrail.run("again"):
        library.train(library.matrix(parts[0], parts[2]), 2, **{library.going_on: place})
    judge, *later = told()
    assert {place: "other"} == {name: use["role"] for name, use in uses(judge).items()}
    assert "MODEL" == judge["inputs"][0]["facets"]["datasetType"]["datasetType"]
    for event in later:
        assert "train" == uses(event)[place]["role"]
        base = facet(event, "training")["baseModel"]
        digest = data.look(Path(place)).fingerprint.digest
        assert ("file", place, digest) == (base["namespace"], base["name"], base["digest"])


@both
def test_a_booster_came_of_its_own_files_and_base(library, autolog, told, table, tmp_path):
    """Weights lead to their file; of some from nowhere that may be any, but no model that others go on."""
    autolog(library.name, "pandas")
    for name in ("a.csv", "b.csv"):
        table.assign(weight=np.arange(200) + 1).to_csv(tmp_path / name, index=False)
    place = tmp_path / library.file
    library.train(library.matrix(table[["age"]], table["bought"])).save_model(place)
    a, b = (pd.read_csv(tmp_path / name) for name in ("a.csv", "b.csv"))
    odd = library.matrix(a[["age"]], a["bought"], weight=a["weight"])
    odd.set_weight(np.arange(200) + 7)
    with modeltrail.run("train"):
        for name, matrix, more in (
            ("on", library.matrix(b[["age"]], b["bought"]), {library.going_on: str(place)}),
            ("own", library.matrix(a[["age"]], a["bought"], weight=a["weight"]), {}),
            ("odd", odd, {}),
        ):
            library.train(matrix, **more).save_model(tmp_path / f"{name}-{library.file}")
    found = edges(told()[-1])
    assert {"b.csv", "train", place.name} == found[f"on-{library.file}"]
    assert {"a.csv", "train", "weight"} == found[f"own-{library.file}"]
    assert {"a.csv", "b.csv", "train", "weight-2"} == found[f"odd-{library.file}"]


@both
def test_going_on_from_memory(library, autolog, told, parts):
    """A booster to go on with that has no file is named as the run that made it names it."""
    autolog()
    matrix = library.matrix(parts[0], parts[2])
    booster = library.train(matrix)
    library.train(matrix, 2, **{library.going_on: booster})
    first, second = told()
    assert first["outputs"][0]["name"] == facet(second, "training")["baseModel"]["name"]


@both
def test_a_cross_validation(library, autolog, told, events, parts):
    """Its rounds are the series that the library gives back; it has one input, and makes no model."""
    autolog()
    result = library.cv(library.matrix(parts[0], parts[2]))
    (event,) = told()
    assert event["job"]["name"].endswith(".cv")
    assert ["train"] == [use["role"] for use in uses(event).values()]
    assert [] == event["outputs"]
    found = points(events)
    assert {(name, step): value for name in result for step, value in enumerate(result[name])} == found
    assert ("classification", f"{library.name}.Booster") == tuple(
        facet(event, "training")[key] for key in ("task", "algorithm")
    )


@both
def test_a_matrix_that_nobody_saw(library, autolog, told, parts):
    """Of a matrix from before `autolog` there is an input without content, and nothing is guessed."""
    matrix = library.matrix(parts[0].to_numpy(), None)
    matrix.set_label(parts[2])
    if library is LIGHTGBM:
        matrix.construct().data = None
    autolog()
    with modeltrail.run("train"):
        library.train(matrix, **library.judged({"seen": matrix}))
    ((name, use),) = uses(told()[0]).items()
    assert ("train/train", "train", "none", "observed") == (
        name,
        use["role"],
        use["fingerprint"]["scope"],
        use["capture"],
    )
    assert use.keys().isdisjoint({"features", "labelColumn", "split"})
    assert ["train"] == [each["split"] for each in metrics(told()[0]).values()]


@both
def test_the_host_s_exception_is_the_host_s(library, autolog, told, parts):
    """What a user's callback raises arrives as it is, the run fails with it, and is told no more rounds."""
    error = RuntimeError("the host's")

    def explode(*_):
        raise error

    autolog()
    matrix = library.matrix(parts[0], parts[2])
    judged = library.judged({"seen": matrix})
    with pytest.raises(RuntimeError) as caught:
        library.train(matrix, callbacks=[library.callback(explode)], **judged)
    assert error is caught.value
    assert (None, None) == (error.__cause__, error.__context__)
    assert {} == _boosting._courses
    (event,) = told("FAIL")
    assert "the host's" in event["run"]["facets"]["errorMessage"]["message"]


@both
def test_wrong_arguments_are_the_library_s_error(library, autolog, events):
    """A call without data raises what it always raised, and records nothing."""
    autolog()
    for call in (sys.modules[library.name].train, sys.modules[library.name].cv):
        with pytest.raises(TypeError, match="missing"):
            call({})
    assert [] == events


HOOKS = [
    (_sources, "see"),
    (_sources, "record_data"),
    (_boosting, "_record_asked"),
    (_boosting, "tell"),
    (_boosting, "record_fitted"),
    (_boosting, "begin"),
    (_boosting, "record_saved"),
    (_estimators, "_record_asked"),
    (_estimators, "_record_fitted"),
]


@both
@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: f"{hook[0].__name__.rpartition('.')[2]}.{hook[1]}")
def test_whatever_of_ours_fails(library, hook, monkeypatch, parts, tmp_path):
    """A failure of ours anywhere is counted, and the training, the fit and the file are as without us."""

    def work():
        matrix = library.matrix(parts[0], parts[2])
        booster = library.train(matrix, **library.judged({"seen": matrix}))
        booster.save_model(tmp_path / library.file)
        fitted = library.estimator().fit(parts[0], parts[2])
        return (
            library.content(booster),
            (tmp_path / library.file).read_bytes(),
            fitted.predict(parts[1]).tolist(),
        )

    def explode(*_, **__):
        raise ZeroDivisionError("ours")

    without = work()
    original = getattr(*hook)
    for module in (_sources, _boosting, _estimators):
        if vars(module).get(hook[1]) is original:
            monkeypatch.setattr(module, hook[1], explode)
    guard.reset()
    with modeltrail.testing.captured_events():
        modeltrail.configure(strict=False)
        modeltrail.autolog()
        try:
            assert without == work()
        finally:
            integrations.deactivate()
    assert any("ZeroDivisionError" in kind for kind in guard.failures())
    assert {} == _boosting._courses
    guard.reset()
    modeltrail.testing.reset()


@both
@pytest.mark.parametrize("is_labelled", [False, True])
def test_scores_of_what_a_booster_predicted_are_its_own(library, is_labelled, autolog, told, parts):
    """Whether its matrix had labels or not, and is gone or not; `> 0.5` of chances is its choice."""
    autolog()
    features, other, labels, truth = parts
    with modeltrail.run("train"):
        booster = library.train(library.matrix(features, labels))
        chances = booster.predict(library.asked(other, truth if is_labelled else None))
        values = {
            "roc_auc_score": roc_auc_score(truth, chances),
            "accuracy_score": accuracy_score(truth, chances > 0.5),
        }
    (judged,) = [
        each["inputFacets"]["modelTrail_evaluation"]
        for event in told()
        for each in event["inputs"]
        if "modelTrail_evaluation" in each["inputFacets"]
    ]
    assert values == {each["name"]: each["value"] for each in judged["metrics"]}
