"""What `why`, the table of changes and its fact say of versions that the real emitter told of."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from modeltrail_collector import answers
from modeltrail_collector.findings import compact_and_tell
from modeltrail_collector.log import Log, open_log
from modeltrail_collector.model import LOCAL
from modeltrail_collector.pump.files import seal_inbox

TRAIN = """
import joblib, pandas
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

import modeltrail

modeltrail.autolog()
cities = ["Lima", "Oslo", "Bern"]
for version, order, seed in ((1, cities, 1), (2, cities[::-1], 1), (3, cities, 2)):
    with modeltrail.run("train-churn") as run:
        table = pandas.read_csv("churn.csv")
        rest, test = train_test_split(table, test_size=0.5, random_state=seed)
        model = LogisticRegression(random_state=0).fit(rest[["age", "spend"]], rest["churned"])
        joblib.dump(model, "churn.joblib")
        run.output_model("churn.joblib")
        model.score(test[["age", "spend"]], test["churned"])
        for city in order:
            part = test[test["city"] == city]
            model.score(part[["age", "spend"]], part["churned"])
        run.register("churn", version=str(version))
"""
ROWS = "age,spend,city,churned\n" + "".join(
    f"{18 + n * 7 % 60},{n * 13 % 97},{('Lima', 'Oslo', 'Bern')[n % 3]},{int(n * 7 % 60 + n * 5 % 11 > 33)}\n"
    for n in range(300)
)


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Log:
    """Three trainings: the same twice, its slices scored in another order; then one on another split."""
    folder: Path = tmp_path_factory.mktemp("versions")
    (folder / "train.py").write_text(TRAIN)
    (folder / "churn.csv").write_text(ROWS)
    subprocess.run([sys.executable, "train.py"], cwd=folder, check=True)
    log = open_log(str(folder / "lineage"))
    seal_inbox(log)
    compact_and_tell(log)
    return log


def fact(log: Log, version: str) -> dict:
    """The facet `modelTrail_changes` of a version, as it lies in the log."""
    for segment in log.segments(LOCAL):
        for entry in log.read(segment):
            for dataset in json.loads(entry.value)["inputs"]:
                told = dataset["facets"].get("modelTrail_changes")
                if told and dataset["facets"]["version"]["datasetVersion"] == version:
                    return told
    raise AssertionError(version)


def test_slices_in_another_order_are_no_change(log) -> None:
    """The same training, its slices scored in another order: nobody says that anything changed."""
    answer = answers.why(log, "churn@2")
    assert [] == answer["causes"]
    assert 4 == len(answer["figures"])
    assert all(row["delta"] == 0 and row["same_data"] for row in answer["figures"])
    assert not answers.show(log, "churn@2")["changes"]
    nothing = {"added": [], "removed": [], "changed": []}
    assert nothing == fact(log, "2")["evaluations"] == fact(log, "2")["dataInputs"]


def test_another_split_is_what_changed(log) -> None:
    """The same training on another split: all say so, and no slice is held against one of other rows."""
    cause, other = answers.why(log, "churn@3")["causes"]
    assert ("strong", "split", "seed 1 → 2") == (cause["strength"], cause["subject"], cause["what"])
    assert ("unlikely", "evaluation data") == (other["strength"], other["kind"])
    told = fact(log, "3")
    assert ["training: split", "1 more"] == [one["path"] for one in told["likelyCauses"]]
    assert any(one["path"].endswith("#split") for one in told["dataInputs"]["changed"])
    figures = told["evaluations"]
    assert (3, 3) == (len(figures["added"]), len(figures["removed"]))
    assert ["accuracy_score [train-churn/test, other content]"] == [one["path"] for one in figures["changed"]]
