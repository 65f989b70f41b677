"""Logs to report about: the churn story, one recorded by scikit-learn, one of a stranger."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modeltrail_collector.log import Batch, Log, open_log
from modeltrail_collector.model import LOCAL
from modeltrail_collector.reports.report import Report, report
from modeltrail_collector.tables import compact

MADE_AT = "2026-03-10T12:00:00Z"
SCRIPT = """
import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

import modeltrail

modeltrail.autolog()

frame = pd.DataFrame({"age": [n % 60 for n in range(240)], "plan": ["basic", "family"] * 120})
frame["label"] = [int(n % 60 < 20) for n in range(240)]
frame.to_csv("train.csv", index=False)
frame[:80].to_csv("holdout.csv", index=False)

with modeltrail.run("train-churn") as run:
    run.declare(
        description="Who is about to leave.", owner="growth", license="Apache-2.0",
        intended_use="Ranks customers for a call.", limitations="Not for minors.",
        author="Ada Example", at="2026-03-01T00:00:00Z",
    )
    run.input("train.csv", role="train")
    data = pd.read_csv("train.csv")
    model = LogisticRegression(C=0.5).fit(data[["age"]], data["label"])
    for step in range(5):
        run.metric("loss", 1 / (step + 1), step=step, split="train")
    joblib.dump(model, "churn.joblib")
    run.output_model("churn.joblib", name="churn")
    test = pd.read_csv("holdout.csv")
    score = accuracy_score(test["label"], model.predict(test[["age"]]))
    run.evaluate("churn", "holdout.csv", {"accuracy": score},
                 slices={"plan": {"basic": {"accuracy": 0.7}, "family": {"accuracy": 0.9}}})
    run.register("churn", version="1", alias="candidate")
    run.deploy("churn", "1", target="k8s://prod/endpoints/churn")
"""


@pytest.fixture(scope="session")
def log_of(make, tmp_path_factory):
    """Make a compacted log of these events, in segments of so many."""

    def log_of(events, size: int = 5) -> Log:
        log = open_log(str(tmp_path_factory.mktemp("reports") / "log"))
        entries = make.entries(events)
        for start in range(0, len(entries), size):
            part = entries[start : start + size]
            log.append(LOCAL, Batch(start, start + len(part), part))
        compact(log)
        return log

    return log_of


@pytest.fixture(scope="session")
def churn(make, log_of) -> Log:
    """The churn story: three versions, the second one deployed."""
    return log_of(make.story())


@pytest.fixture(scope="session")
def recorded(tmp_path_factory) -> Log:
    """A real training with scikit-learn, recorded and compacted."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "train.py").write_text(SCRIPT, encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENLINEAGE", "MODELTRAIL"))}
    environment = {**kept, "MODELTRAIL_LOG": str(folder / "log"), "MODELTRAIL_STRICT": "1"}
    command = Path(sys.executable).parent / "modeltrail"
    for arguments in ([sys.executable, "train.py"], [command, "compact"]):
        subprocess.run(arguments, cwd=folder, env=environment, check=True, capture_output=True, timeout=240)
    return open_log(str(folder / "log"))


@pytest.fixture(scope="session")
def ask():
    """Make a report at the fixed time."""

    def ask(log: Log, model: str, kind: str, format_: str | None = None, **more) -> Report:
        return report(log, model, kind=kind, format_=format_, made_at=MADE_AT, **more)

    return ask
