"""The examples run, and what their pages say is recorded is what is there."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def credit(modeltrail_command, tmp_path):
    """`credit(*question)`: the answer, as JSON, after the example has run in a repository of its own."""
    shutil.copytree(EXAMPLES / "credit", tmp_path, dirs_exist_ok=True)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", tmp_path)
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "start")):
        subprocess.run([*git, *words], check=True, capture_output=True)
    for script in ("make_data.py", "train.py"):
        subprocess.run([sys.executable, script], cwd=tmp_path, check=True, capture_output=True)
    modeltrail_command("compact")
    return lambda *question: json.loads(modeltrail_command(*question, "--json").stdout)


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
