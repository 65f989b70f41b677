"""The examples run, and what their pages say is recorded is what is there."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
METRIC = ("name", "split", "step")


@pytest.fixture
def run_example(modeltrail_command, tmp_path):
    """`run_example(name, *scripts)` runs it in a repository of its own, and gives what answers questions."""

    def run(name, *scripts):
        shutil.copytree(EXAMPLES / name, tmp_path, dirs_exist_ok=True)
        git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", tmp_path)
        for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "start")):
            subprocess.run([*git, *words], check=True, capture_output=True)
        for script in scripts:
            subprocess.run([sys.executable, *script.split()], cwd=tmp_path, check=True, capture_output=True)
        modeltrail_command("compact")
        return lambda *question: json.loads(modeltrail_command(*question, "--json").stdout)

    return run


@pytest.fixture
def credit(run_example):
    """`credit(*question)`: the answer, as JSON."""
    return run_example("credit", "make_data.py", "train.py")


@pytest.fixture
def energy(run_example):
    """The same of the example in which a feed changes its unit."""
    return run_example("energy", "make_data.py", "train.py 1", "make_data.py Wh", "train.py 2")


def test_what_is_recorded_of_the_credit_example(credit, tmp_path):
    """Each line of its page, by `show`: data, steps, parameters, scores, model, code, deployment."""
    told = credit("show", "credit")
    data = {Path(each["name"]).name: each for each in told["data"]}
    rows = {"customers.csv": 400, "loans.csv": 600, "payments.csv": 7200}
    for name, count in rows.items():
        digest = hashlib.sha256((tmp_path / "raw" / name).read_bytes()).hexdigest()
        known = tuple(data[name][key] for key in ("use", "rows", "fingerprint", "capture"))
        assert ("train", count, digest, "observed") == known
    assert (450, "train", 7) == (data["train"]["rows"], data["train"]["use"], len(data["train"]["columns"]))

    steps = {step["id"].rpartition("__")[2]: step for step in told["transformations"]}
    assert ["simpleimputer", "standardscaler", "words"] == list(steps)
    params = {each["name"]: (each["value"], each["origin"]) for each in told["params"]}
    assert ("0.1", "search") == params["estimator__model__C"]
    assert ("500", "explicit") == params["estimator__model__max_iter"]
    assert ("mean", "default") == params["estimator__columns__numbers__simpleimputer__strategy"]

    assert "sklearn.linear_model.LogisticRegression" == told["model"]["algorithm"]
    model = tmp_path / "models/credit.joblib"
    assert hashlib.sha256(model.read_bytes()).hexdigest() == told["model"]["digest"]
    assert ["champion"] == told["model"]["aliases"]
    scores = {(each["name"], each["slice"] or "all") for each in told["evaluations"]}
    regions = {("accuracy_score", f'{{"region":"{name}"}}') for name in ("north", "south", "west")}
    assert {("roc_auc_score", "all"), ("accuracy_score", "all"), *regions} == scores
    assert ["local://shop/endpoints/credit-api"] == [each["uri"] for each in told["deployments"]]
    assert "train.py" == told["code"]["entryPoint"]


def test_the_credit_example_leads_from_its_endpoint_to_all_raw_files_and_back(credit, tmp_path):
    """And what was held out is no source of the model."""
    (model,) = credit("trace", "credit-api")["inputs"]
    assert ["customers.csv", "loans.csv", "payments.csv", "train"] == [
        Path(each["name"]).name for each in model["inputs"]
    ]
    for name in ("customers", "loans", "payments"):
        reached = credit("impact", str(tmp_path / f"raw/{name}.csv"))
        kinds = {each["kind"] for each in reached}
        assert {"run", "model", "endpoint"} <= kinds


def test_why_names_the_unit_of_the_feed_first(energy):
    """The one likely cause of the worse scores is the column whose unit changed, with its evidence."""
    told = energy("why", "energy@2")
    moved = {each["name"]: (each["better"], each["same_data"]) for each in told["figures"]}
    assert {"mean_absolute_error": (False, True), "r2_score": (False, True)} == moved
    (cause,) = told["causes"]
    assert ("readings.csv", "column energy", "strong") == (
        Path(cause["subject"]).name,
        cause["what"],
        cause["strength"],
    )
    unit, fingerprint, downstream, alone = (each["text"] for each in cause["evidence"])
    assert unit.startswith("energy: all values about 1000 times what they were, as after a change of unit")
    assert fingerprint.startswith("fingerprint ")
    assert downstream.startswith("shows in train-energy/train: energy PSI ")
    assert "nothing else that was recorded differs" == alone


def test_impact_of_the_contaminated_feed_is_its_model_and_endpoint(energy, tmp_path):
    """The version that was made before the change is not concerned."""
    feed = tmp_path / "raw/readings.csv"
    reached = energy("impact", f"{feed}@{hashlib.sha256(feed.read_bytes()).hexdigest()[:12]}")
    (model,) = [each for each in reached if each["kind"] == "model"]
    (endpoint,) = [each for each in reached if each["kind"] == "endpoint"]
    assert ("energy", "2") == (model["registered_name"], model["version"])
    assert ("local://grid/endpoints/peak-forecast", "2") == (endpoint["uri"], endpoint["version"])


def test_what_is_recorded_of_the_energy_example(energy):
    """Each line of its page: feeds with rows and profiles, the scores on checked days, the two versions."""
    told = energy("show", "energy@2")
    rows = {Path(each["name"]).name: (each["rows"], each["use"], each["capture"]) for each in told["data"]}
    feeds = {"sites.csv": 40, "weather.csv": 60, "readings.csv": 2000, "peaks.csv": 2000, "train": 2000}
    for name, count in feeds.items():
        assert (count, "train", "observed") == rows[name]
    assert {"mean_absolute_error", "r2_score"} == {each["name"] for each in told["evaluations"]}
    assert "sklearn.linear_model.Ridge" == told["model"]["algorithm"]
    assert ["local://grid/endpoints/peak-forecast"] == [each["uri"] for each in told["deployments"]]
    sources = [Path(each["name"]).name for each in energy("trace", "energy@2")["inputs"]]
    assert {"peaks.csv", "readings.csv", "sites.csv", "weather.csv", "train"} == set(sources)


@pytest.mark.torch
def test_what_is_recorded_of_the_digits_example(run_example, tmp_path):
    """Each line of its page, by `show`: data, split, parameters, training, losses, model, code."""
    digits = run_example("digits", "make_data.py", "train.py")
    told = digits("show", "digits")
    data = {Path(each["name"]).name: each for each in told["data"]}
    for name, use, rows in (("train.csv", "train", 1400), ("test.csv", "inference", 397)):
        digest = hashlib.sha256((tmp_path / "raw" / name).read_bytes()).hexdigest()
        known = tuple(data[name][key] for key in ("use", "rows", "fingerprint", "capture"))
        assert (use, rows, digest, "observed") == known
    for name, rows in (("train", 1200), ("validation", 200)):
        assert (rows, name, 65) == (data[name]["rows"], data[name]["use"], len(data[name]["columns"]))

    params = {(each["component"], each["name"]): (each["value"], each["origin"]) for each in told["params"]}
    assert ("0.003", "explicit") == params["Adam", "lr"]
    assert ("[0.9,0.999]", "default") == params["Adam", "betas"]
    assert [("4", "explicit"), ("0.3", "explicit")] == [
        params["StepLR", name] for name in ("step_size", "gamma")
    ]
    assert ("32", "explicit") == params["DataLoader", "batch_size"]
    assert ("true", "explicit") == params["DataLoader", "shuffle"]
    assert ("false", "default") == params["DataLoader", "drop_last"]

    training = told["run"]["training"]
    expected = {"framework": "torch", "steps": 304, "epochs": 8, "seeds": {"framework": 11}}
    assert expected == {name: training[name] for name in expected}
    assert ("__main__.Net", False) == (training["algorithm"], training["deterministic"])
    assert training["wallTimeMs"] > 0
    assert [("loss", "train", 304)] == [tuple(each[key] for key in METRIC) for each in told["metrics"]]
    assert [("accuracy", "declared")] == [(each["name"], each["capture"]) for each in told["evaluations"]]

    model = tmp_path / "models/digits.pt"
    assert hashlib.sha256(model.read_bytes()).hexdigest() == told["model"]["digest"]
    assert ("train.py", False) == (told["code"]["entryPoint"], told["code"]["dirty"])
    sources = {Path(each["name"]).name for each in digits("trace", "digits")["inputs"]}
    assert {"train.csv", "train", "validation"} == sources
