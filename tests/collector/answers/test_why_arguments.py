"""What `why` says of a command line: programs that really ran, and lines of all kinds."""

import copy
import os
import subprocess
import sys
from datetime import timedelta

import pytest

from modeltrail_collector import answers
from modeltrail_collector.log import open_log
from modeltrail_collector.pump import seal_inbox
from modeltrail_collector.tables import compact

PROGRAM = """
import argparse
import joblib, numpy, pandas
from sklearn.tree import DecisionTreeClassifier
import modeltrail

modeltrail.autolog()
parser = argparse.ArgumentParser()
parser.add_argument("version")
parser.add_argument("--depth", type=int, default=2)
parser.add_argument("--threshold", type=float, default=0.5)
said = parser.parse_args()
with modeltrail.run("train") as run:
    table = pandas.read_csv("d.csv")
    columns, label = table[["a", "b"]], table["y"]
    model = DecisionTreeClassifier(max_depth=said.depth, random_state=0).fit(columns, label)
    joblib.dump(model, "m.joblib")
    run.output_model("m.joblib", name="m")
    hit = (model.predict_proba(columns)[:, 1] > said.threshold) == label
    run.evaluate("m", "d.csv", {"accuracy": hit.mean()})
    run.register("m", version=said.version)
"""
DATA = "a,b,y\n" + "".join(f"{n % 7},{n % 11},{int(n % 7 + n % 11 + n % 5 > 9)}\n" for n in range(400))
ALONE = "nothing else that was recorded differs"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """The log of three trainings with other arguments."""
    folder = tmp_path_factory.mktemp("arguments")
    (folder / "train.py").write_text(PROGRAM)
    (folder / "d.csv").write_text(DATA)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENLINEAGE_")}
    for line in ("1", "2 --depth 3 --threshold 0.95", "3 --depth 3"):
        subprocess.run(
            [sys.executable, "train.py", *line.split()],
            cwd=folder, env=kept | {"MODELTRAIL_LOG": str(folder / "lineage")}, check=True,
        )  # fmt: skip
    opened = open_log(str(folder / "lineage"))
    seal_inbox(opened)
    compact(opened)
    return opened


def told(answer) -> list[tuple]:
    return [(cause["strength"], cause["kind"], cause["subject"], cause["what"]) for cause in answer["causes"]]


def texts(answer, side: str = "evidence") -> list[str]:
    return [entry["text"] for cause in answer["causes"] for entry in cause[side]]


def test_an_argument_that_is_no_parameter_stands_beside_a_parameter_that_changed(log) -> None:
    """What no changed parameter has is a cause of its own, and nobody says that nothing else differs."""
    answer = answers.why(log, "m@1", "m@2")
    assert [
        ("strong", "parameters", "max_depth", "2 → 3"),
        ("possible", "parameters", "command line", "--threshold not there → 0.95"),
    ] == told(answer)
    assert ALONE not in texts(answer)
    assert "train.py VERSION → train.py VERSION --depth 3 --threshold 0.95" in texts(answer)


def test_an_argument_can_act_on_how_the_same_bytes_were_measured(log) -> None:
    """Of models that are the same an argument that alone differs is no unlikely cause of other figures."""
    answer = answers.why(log, "m@2", "m@3")
    assert "The two models are the same bytes." in answer["notes"]
    assert [("strong", "parameters", "command line", "--threshold 0.95 → not there")] == told(answer)
    assert ALONE in texts(answer)
    assert "the two versions are the same bytes" not in texts(answer, "against")


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("t.py 1 --C 3.0", "t.py 2 --C 4", None),
        ("t.py 1", "t.py 2 -c=4.0", None),
        ("t.py 1", "t.py 2 C=4", None),
        ("t.py 1 3", "t.py 2 4", None),
        ("t.py 1 --x 5", "t.py 2 --x 5 --C 4.0", None),
        ("t.py --C 3 --x=5 1", "t.py --x 5 --C 4 2", None),
        ("a/t.py 1 --out models/1", "b/t.py 2 --out models/2", None),
        ("t.py 1 --C 3.0 --out churn-1", "t.py 2 --C 4.0 --out churn-2", None),
        ("t.py 1 --C 3 --k 3", "t.py 2 --C 4 --k 4", "--k 3 → 4"),
        ("t.py 1 --k 3 --C 3", "t.py 2 --k 4 --C 4", "--k 3 → 4"),
        ("t.py 1 --C 3 --k 5", "t.py 2 --C 4 --k -6 --fast", "--fast not there → given, --k 5 → -6"),
        ("t.py 1 --C 3 5 x", "t.py 2 --C 4 6", "argument 2: 5 → 6, argument 3: x → not there"),
    ],
)
def test_an_argument_is_a_parameter_where_its_values_are(make, log_of, before, after, found) -> None:
    """One changed parameter accounts for one argument; what a run wrote is no cause beside it."""
    events = []
    for number, line in ((1, before), (2, after)):
        at = make.base + timedelta(days=number)
        made = copy.deepcopy(make.train(number, at, features="f", strength=number + 2.0))
        code = made[1]["run"]["facets"]["modelTrail_codeState"]
        code |= {"argv": line.split(), "commit": "1" * 40, "dirty": False}
        made[1]["outputs"].append(make.dataset(f"/data/models/{number}"))
        made[1]["outputs"].append(make.dataset(f"/data/churn-{number}.txt"))
        events += made
    answer = answers.why(log_of(events), "churn@2")
    lines = [cause["what"] for cause in answer["causes"] if cause["subject"] == "command line"]
    assert ([found] if found else []) == lines
    assert (ALONE in texts(answer)) == (found is None)


def test_an_argument_is_not_what_it_led_to(make, log_of) -> None:
    """How long a program trained is a result: the argument that says so is the cause."""
    events = []
    for number in (1, 2):
        made = make.train(number, make.base + timedelta(days=number), features="f", strength=1.0)
        facets = made[1]["run"]["facets"]
        facets["modelTrail_training"] |= {"epochs": 4 + number}
        facets["modelTrail_codeState"] |= {"argv": ["t.py", "--epochs", str(4 + number)], "commit": "1" * 40}
        events += made
    causes = answers.why(log_of(events), "churn@2")["causes"]
    assert ["--epochs 5 → 6"] == [cause["what"] for cause in causes]


PREPARING = """
import sys
import pandas
import modeltrail

modeltrail.autolog()
least, source = float(sys.argv[1]), sys.argv[2]
with modeltrail.run("prepare"):
    table = pandas.read_csv(source)
    table[table["a"] > least].to_csv("d.csv", index=False)
"""


def test_the_command_line_of_who_prepared_the_data_is_a_cause(tmp_path) -> None:
    """An argument of it that differs is told, with what it changed; one that names what was read is not."""
    (tmp_path / "train.py").write_text(PROGRAM)
    (tmp_path / "prepare.py").write_text(PREPARING)
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text(DATA)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENLINEAGE_")}
    lines = [
        ["prepare.py", "-5", "one.csv"],
        ["train.py", "1"],
        ["prepare.py", "2", "two.csv"],
        ["train.py", "2"],
    ]
    for line in lines:
        subprocess.run(
            [sys.executable, *line],
            cwd=tmp_path, env=kept | {"MODELTRAIL_LOG": str(tmp_path / "lineage")}, check=True,
        )  # fmt: skip
    opened = open_log(str(tmp_path / "lineage"))
    seal_inbox(opened)
    compact(opened)
    answer = answers.why(opened, "m@1", "m@2")
    assert [("strong", "preparation", "prepare", "was made differently: argument 1")] == told(answer)
    assert {"argument 1: -5 → 2", ALONE} <= {*texts(answer)}
    (row,) = answer["changes"]["upstream"]
    assert [("arguments", "argument 1", "-5", "2")] == [tuple(one.values()) for one in row["differences"]]
