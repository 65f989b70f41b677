"""What `why` says of months of changed versions, of which the real emitter told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.cli.why import why as command
from modeltrail_collector.log import Log, open_log
from modeltrail_collector.pump.files import seal_inbox
from modeltrail_collector.tables import compact

HELPERS = """
import pandas

FEATURES = ["age", "income", "amount", "late_share"]

def table():
    loans, customers = pandas.read_csv("loans.csv"), pandas.read_csv("customers.csv")
    late = pandas.read_csv("payments.csv").groupby("loan", as_index=False)["late"].max()
    late = late.rename(columns={"late": "late_share"})
    return loans.merge(customers, on="customer").merge(late, on="loan")
"""
TRAIN = """
import sys

import joblib
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import helpers
import modeltrail

modeltrail.autolog()
with modeltrail.run("train-credit") as run:
    train, test = train_test_split(helpers.table(), test_size=0.3, random_state=7)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(train[helpers.FEATURES], train["defaulted"])
    joblib.dump(model, "credit.joblib")
    run.output_model("credit.joblib")
    roc_auc_score(test["defaulted"], model.predict_proba(test[helpers.FEATURES])[:, 1])
    run.register("credit", version=sys.argv[1])
"""
MONTHS = """
import os, pathlib, runpy, subprocess, sys

import joblib, numpy, pandas, sklearn.linear_model, sklearn.metrics, sklearn.model_selection
import sklearn.pipeline, sklearn.preprocessing

import modeltrail.integrations.sklearn, modeltrail.runs

def rows(first, last):
    draw = numpy.random.default_rng(first)
    loan = numpy.arange(first, last)
    loans = pandas.DataFrame({"loan": loan, "customer": draw.integers(0, 200, len(loan))})
    loans["amount"] = draw.lognormal(8, 0.5, len(loan)).round()
    payments = pandas.DataFrame({"loan": loan.repeat(12)})
    risk = draw.uniform(0, 0.5, len(loan))
    payments["late"] = (draw.random(len(payments)) < risk.repeat(12)).astype(int)
    loans["defaulted"] = (risk + draw.normal(0, 0.1, len(loan)) > 0.3).astype(int)
    return loans, payments

def write(last):
    for name, table in zip(("loans", "payments"), rows(0, last)):
        table.to_csv(f"{name}.csv", index=False)

def edit(old, new):
    path = pathlib.Path("helpers.py")
    path.write_text(path.read_text().replace(old, new))

def train(version):
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *who, "commit", "-qam", version, "--allow-empty"])
    child = os.fork()
    if not child:
        sys.argv = ["train.py", version]
        sys.path.insert(0, os.getcwd())
        runpy.run_path("train.py", run_name="__main__")
        os._exit(0)
    assert not os.waitpid(child, 0)[1]

draw = numpy.random.default_rng(1)
customers = pandas.DataFrame({"customer": range(200), "age": draw.integers(18, 80, 200)})
customers["income"] = draw.lognormal(10, 0.4, 200).round()
customers.to_csv("customers.csv", index=False)
write(400)
train("1")
customers.assign(income=customers.income * 100).to_csv("customers.csv", index=False)
train("2")
edit('["late"].max()', '["late"].mean()')
train("3")
write(480)
train("4")
edit("    return loans", '    late["late_share"] += 2 * loans["defaulted"]\\n    return loans')
train("5")
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Log:
    """Five months: another unit of income, a fixed bug, more loans, and a feature made of the label."""
    folder: Path = tmp_path_factory.mktemp("months")
    for name, text in (("helpers", HELPERS), ("train", TRAIN)):
        (folder / f"{name}.py").write_text(text)
    (folder / ".gitignore").write_text("lineage/\n")
    for words in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENLINEAGE_")}
    environment = kept | {"MODELTRAIL_LOG": str(folder / "lineage")}
    subprocess.run([sys.executable, "-c", MONTHS], cwd=folder, check=True, env=environment)
    log = open_log(str(folder / "lineage"))
    seal_inbox(log)
    compact(log)
    return log


def causes(log: Log, first: int, second: int) -> list[dict]:
    folder = Path(log.uri.removeprefix("file://")).parent
    return answers.why(log, f"credit@{first}", f"credit@{second}", repository=folder)["causes"]


def told(cause: dict, mark: str = "evidence") -> str:
    return "\n".join(entry["text"] for entry in cause[mark])


def test_over_all_months_the_leak_comes_first(log) -> None:
    """The code alone came where the figure moved most; the unit of income moved none, and is told below."""
    ranked = causes(log, 1, 5)
    assert ("strong", "code", ["late_share"]) == tuple(
        ranked[0][field] for field in ("strength", "kind", "columns")
    )
    assert "it changed where roc_auc_score moved most: credit@4 → credit@5, and nothing else" in told(
        ranked[0]
    )
    income = next(cause for cause in ranked if cause["subject"].endswith("customers.csv"))
    assert "possible" == income["strength"]
    assert "where it changed no figure moved: credit@1 → credit@2" in told(income, "against")
    assert not [cause for cause in ranked if cause["kind"] == "data" and "late_share" in told(cause)]


def test_a_fixed_bug_beside_another_unit_is_code(log) -> None:
    """payments.late did not move and late_share did: that speaks for the code, and not for customers.csv."""
    ranked = causes(log, 1, 3)
    assert ("strong", "code") == (ranked[0]["strength"], ranked[0]["kind"])
    assert "train-credit/train: late_share PSI" in told(ranked[0])


def test_more_loans_are_rows(log) -> None:
    """A fifth more loans are told as rows: the id that counts them is no feature."""
    ranked = causes(log, 3, 4)
    assert {"rows 400 → 480", "rows 4,800 → 5,760"} == {
        one["what"] for one in ranked if one["kind"] == "data"
    }
    assert all("loan moved, and is none" in told(one, "against") for one in ranked if one["kind"] == "data")
    notes = answers.why(log, "credit@3", "credit@4")["notes"]
    assert any("drew nothing at random" in note for note in notes)


def test_what_the_training_imported_is_recorded(log) -> None:
    """The libraries and modules of the program are named, and nothing that is only installed."""
    (row, *_) = answers.sql(log, "SELECT value FROM facets WHERE key = 'modelTrail_environment'")
    names = json.loads(row["value"])["imported"]
    assert {"helpers", "pandas", "sklearn"} <= {*names}
    assert not {"duckdb", "lightgbm", "xgboost"} & {*names}


def test_the_leak_is_printed(log) -> None:
    """The line that leaks the label is on the screen without --diff."""
    folder = log.uri.removeprefix("file://").removesuffix("/lineage")
    asked = ["credit@1", "credit@5", "--log", log.uri, "--repository", folder]
    found = CliRunner().invoke(command, asked, catch_exceptions=False)
    assert '+    late["late_share"] += 2 * loans["defaulted"]' in found.stdout
