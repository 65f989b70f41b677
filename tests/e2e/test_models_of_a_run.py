"""Two models of one script, twice: every answer about one of them is silent about the other.

And about a third one, which was fitted and thrown away.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TRAIN = """
import pickle
import sys

import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modeltrail

modeltrail.autolog()
version, C, trees = sys.argv[1:]
with modeltrail.run("train") as run:
    run.params({"threshold": 0.5}, origin="cli")
    table = pd.read_csv("thrown.csv")
    RandomForestClassifier(n_estimators=1).fit(table[["age", "height"]], table["churned"])
    for name, data, model in (
        ("linear", "a.csv", make_pipeline(StandardScaler(), LogisticRegression(C=float(C)))),
        ("forest", "b.csv", RandomForestClassifier(n_estimators=int(trees), random_state=0)),
    ):
        table = pd.read_csv(data)
        with open(f"{name}.pickle", "wb") as file:
            pickle.dump(model.fit(table[["age"]], table["churned"]), file)
        run.register(name, version=version, model=model)
    mean_absolute_error([0.0, 1.0], [float(C), 0.0])
"""
SCORE = """
import pickle

import pandas as pd

with open("linear.pickle", "rb") as file:
    model = pickle.load(file)
table = pd.read_csv("a.csv")
print(model.score(table[["age"]], table["churned"]))
table.assign(churn=model.predict(table.drop(columns="churned"))).to_csv("predicted.csv", index=False)
"""
GO_ON = """
import lightgbm
import pandas as pd
import xgboost
from sklearn.metrics import mean_squared_error

table = pd.read_csv("a.csv")
data = xgboost.DMatrix(table[["age"]], table["churned"])
xgboost.train({"max_depth": 2}, data, 3).save_model("base.json")
base = xgboost.Booster(model_file="base.json")
mean_squared_error(table["churned"], base.predict(data))
xgboost.train({"max_depth": 1}, data, 2).save_model("other.json")
xgboost.train({"max_depth": 2}, data, 2, xgb_model="base.json").save_model("more.json")
data = lightgbm.Dataset(table[["age"]], table["churned"], free_raw_data=False)
lightgbm.train({"verbose": -1}, data, 2).save_model("base.txt")
lightgbm.train({"verbose": -1}, data, 2, init_model="base.txt").save_model("more.txt")
"""
DAYS = """
import joblib
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

noise = np.random.default_rng(0)
days = []
for day in range(4):
    fetched = noise.normal(day, size=(80, 2))
    days.append(f"day-{day}.csv")
    pd.DataFrame({"x": fetched[:, 0], "y": fetched.sum(axis=1)}).to_csv(days[-1], index=False)
    table = pd.concat(pd.read_csv(name) for name in days[-2:])
    joblib.dump(Ridge().fit(table[["x"]], table["y"]), f"ridge-{day}.joblib")
"""


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """`ask(words)`: what a command answers, of two runs of the script and one that scores."""
    home: Path = tmp_path_factory.mktemp("two")
    for number, name in enumerate(("a.csv", "b.csv")):
        rows = "".join(f"{20 + (n + number) % 40},{n % 2}\n" for n in range(60))
        (home / name).write_text("age,churned\n" + rows)
    (home / "thrown.csv").write_text("age,height,churned\n20,180,0\n30,170,1\n")
    (home / "train.py").write_text(TRAIN)
    (home / "score.py").write_text(SCORE)

    script = Path(sys.executable).parent / "modeltrail"

    def command(*words: str) -> str:
        log = {**os.environ, "MODELTRAIL_LOG": str(home / "lineage")}
        done = subprocess.run(
            [script, *words], cwd=home, env=log, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout

    for arguments in (("1", "1.0", "3"), ("2", "0.5", "4")):
        command("run", "--", sys.executable, "train.py", *arguments)
    command("run", "--", sys.executable, "score.py")
    command("compact")
    command.home = home
    return command


def test_show_tells_of_one_model(ask) -> None:
    """Parameters, steps, data and seeds are those of the model, and of the run as a whole."""
    linear, forest = (json.loads(ask("show", name, "--json")) for name in ("linear@2", "forest@2"))
    names = [{row["name"] for row in shown["params"]} for shown in (linear, forest)]
    assert {"threshold"} == names[0] & names[1] - {"verbose"}
    assert ("logisticregression__C" in names[0], "n_estimators" in names[1]) == (True, True)
    read = [{Path(row["name"]).name for row in shown["data"]} for shown in (linear, forest)]
    assert [{"a.csv", "train-2"}, {"b.csv", "train-3"}] == read
    assert {"3", "4", 3, 4} & {row["value"] for row in forest["params"] if row["name"] == "n_estimators"}
    assert (["standardscaler"], None) == (
        [row["id"] for row in linear["transformations"]],
        forest["transformations"],
    )
    assert (
        "framework" in str(linear["run"]["training"].get("seeds")),
        forest["run"]["training"]["seeds"],
    ) == (
        False,
        {"framework": 0},
    )
    assert "of this run, not of this model alone" not in ask("show", "linear") + ask("trace", "linear")


def test_changes_of_one_model_are_no_causes_of_the_other(ask) -> None:
    """`why` and the changes of a version name its own parameters, whichever model was fitted first."""
    own = {"linear": "logisticregression__C", "forest": "n_estimators"}
    for name, parameter in own.items():
        why = json.loads(ask("why", f"{name}@1", f"{name}@2", "--json"))
        assert [parameter] == [row["name"] for row in why["changes"]["params"]]
        changes = json.loads(ask("show", f"{name}@2", "--section", "changes", "--json"))["changes"]
        assert {parameter} == {row["path"] for row in changes if row["section"] == "parameters"}


def test_a_recipe_and_reports_tell_of_one_model(ask) -> None:
    """Neither the recipe nor a report of a model names a parameter or a file of the other."""
    foreign = {
        "linear": ("n_estimators", "b.csv", "thrown.csv"),
        "forest": ("logisticregression__C", "a.csv", "thrown.csv"),
    }
    for name, words in foreign.items():
        recipe = json.loads(ask("reproduce", name, "--json"))
        told = [json.dumps(recipe[section]) for section in ("params", "data")]
        kinds = ("audit", "model-card")
        told += [ask("report", f"{name}@2", "--kind", kind, "--format", "json") for kind in kinds]
        for word in words:
            assert not [text for text in told if word in text]


def test_a_trail_leads_to_the_data_of_one_model(ask) -> None:
    """`trace` of either model leads to its file, `impact` of either file to its model."""
    for name, data in (("linear", "a.csv"), ("forest", "b.csv")):
        inputs = json.loads(ask("trace", name, "--json"))["inputs"]
        assert [data] == [Path(row["name"]).name for row in inputs if row["namespace"] == "file"]
    reached = {name: json.loads(ask("impact", name, "--json")) for name in ("b.csv", "thrown.csv")}
    assert [{"forest"}, set()] == [
        {row["registered_name"] for row in found if row["kind"] == "model"} for found in reached.values()
    ]


def test_a_loaded_model_leads_back_to_its_version(ask) -> None:
    """What a script that only loads a model predicts and scores is of the version that has these bytes."""
    (figure,) = json.loads(ask("show", "linear@2", "--section", "evaluations", "--json"))["evaluations"]
    assert "score" == figure["name"]
    inputs = json.loads(ask("trace", "predicted.csv", "--json"))["inputs"]
    assert {"a.csv", "linear.pickle"} == {Path(row["name"]).name for row in inputs}
    (model,) = [row for row in inputs if row["kind"] == "model"]
    assert ["a.csv"] == [Path(row["name"]).name for row in model["inputs"] if row["namespace"] == "file"]


def test_a_figure_of_the_run_is_no_model_s(ask) -> None:
    """`show` says whose it is, and neither `why` nor `changes` nor `alert` holds it against one model."""
    (row,) = json.loads(ask("show", "linear@2", "--section", "metrics", "--json"))["metrics"]
    assert ("mean_absolute_error", 2) == (row["name"], row["models"])
    assert "of the run; it made 2 models" in ask("show", "forest@2", "--section", "metrics")
    card = ask("report", "linear@2", "--kind", "model-card", "--format", "md")
    assert "Measured while training (of the run; it made 2 models)" in card
    why = json.loads(ask("why", "linear@1", "linear@2", "--json"))
    assert ["score"] == [figure["name"] for figure in why["figures"]]
    changes = json.loads(ask("show", "linear@2", "--section", "changes", "--json"))["changes"]
    assert not [change for change in changes if "mean_absolute_error" in change["path"]]
    rules = '[[rule]]\nname = "r"\nkind = "metric"\nabove = 0\nmetric = "mean_absolute_error"\n'
    Path(ask.home / "rules.toml").write_text(rules)
    assert "linear" not in ask("alert", "--rules", "rules.toml")


def test_a_model_that_went_on_from_another_of_its_run_leads_there_and_back(ask) -> None:
    """`trace` and `impact` go from a model to what was trained on from it, not to what was only beside it."""
    (ask.home / "go_on.py").write_text(GO_ON)
    ask("run", "--", sys.executable, "go_on.py")
    ask("compact")

    def models(rows: list[dict]) -> list[str]:
        return [Path(row["name"]).name for row in rows if row["kind"] == "model"]

    sources = {"more.json": ["base.json"], "more.txt": ["base.txt"], "base.json": [], "other.json": []}
    for name, expected in sources.items():
        assert expected == models(json.loads(ask("trace", name, "--json"))["inputs"]), name
    for name, expected in {"base.json": ["more.json"], "base.txt": ["more.txt"], "other.json": []}.items():
        assert expected == models(json.loads(ask("impact", name, "--json"))), name
    assert "more.json" in ask("impact", "base.json")
    assert "written over" not in ask("impact", "a.csv")


def test_a_loop_over_days_makes_each_model_of_its_own_days(tmp_path) -> None:
    """Feeds that a run writes and reads again do not come of each other, and explain what differs."""
    (tmp_path / "days.py").write_text(DAYS)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENLINEAGE_")}
    command = [str(Path(sys.executable).with_name("modeltrail"))]

    def asked(*words: str) -> str:
        done = subprocess.run(
            [*command, *words], cwd=tmp_path, env=kept, capture_output=True, text=True, check=True
        )
        return done.stdout

    asked("run", "--", sys.executable, "days.py")
    asked("compact")
    spread = json.loads(asked("impact", "day-1.csv", "--json"))
    assert {"ridge-1.joblib", "ridge-2.joblib"} == {
        Path(row["name"]).name for row in spread if row["kind"] in {"dataset", "model"}
    }
    trail = asked("trace", "ridge-3.joblib")
    assert ("day-2.csv" in trail, "day-1.csv" in trail) == (True, False)
    because = json.loads(asked("why", "ridge-2.joblib", "ridge-3.joblib", "--json"))
    assert [("data", "day-3.csv")] == [
        (cause["kind"], Path(cause["subject"]).name) for cause in because["causes"]
    ]
