"""Versions of one model: each but the first differs from it in one thing, which is the name of its step.

Every step is a process of its own, forked once scikit-learn is imported: that takes longer than to train.
"""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import joblib  # noqa: F401
import numpy as np
import pandas as pd
import sklearn.linear_model
import sklearn.pipeline  # noqa: F401

import modeltrail.integrations.sklearn
import modeltrail.runs  # noqa: F401

STEPS = ("first", "same", "param", "code", "library", "unit")
CAPPED = "def capped(column, most=20_000):\n    return column.clip(upper=most)\n"


def feeds(seed: int, rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Customers and their payments, in cents."""
    random = np.random.default_rng(seed)
    age, visits = random.integers(18, 80, rows), random.poisson(4, rows)
    amount = (random.lognormal(8, 0.6, rows)).round()
    churned = (amount / 3000 + visits / 4 - age / 40 + random.normal(0, 0.4, rows) < 1).astype(int)
    plan = np.where(random.random(rows) < 0.3, "b", "a")
    ids = np.arange(rows)
    customers = pd.DataFrame({"customer": ids, "age": age, "plan": plan, "churned": churned})
    return customers, pd.DataFrame({"customer": ids, "amount": amount, "visits": visits})


def lay_out(project: Path) -> None:
    """The raw feeds, the hold-out, and a repository."""
    for folder in ("raw", "data", "models", "packages"):
        (project / folder).mkdir()
    write_library(project, "1.0.0", CAPPED)
    customers, payments = feeds(1, 600)
    customers.to_csv(project / "raw/customers.csv", index=False)
    payments.to_csv(project / "raw/payments.csv", index=False)
    holdout = feeds(2, 400)[0].merge(feeds(2, 400)[1], on="customer").drop(columns="customer")
    holdout.to_csv(project / "data/holdout.csv", index=False)
    (project / ".gitignore").write_text("raw/\ndata/\nmodels/\npackages/\n")
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for words in (("init", "-q"), ("add", "prepare.py", "train.py"), (*who, "commit", "-qm", "start")):
        subprocess.run(("git", *words), cwd=project, check=True, capture_output=True)


def write_library(project: Path, version: str, text: str) -> None:
    """A package as pip would install it."""
    (project / "packages" / "feature_engine.py").write_text(text)
    for old in (project / "packages").glob("*.dist-info"):
        (old / "METADATA").unlink()
        old.rmdir()
    info = project / "packages" / f"feature_engine-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: feature-engine\nVersion: {version}\n")


def change(project: Path, step: str) -> list[str]:
    """Do the one thing that is different; the arguments of the training."""
    match step:
        case "param":
            return ["--C", "0.001"]
        case "code":
            script = project / "train.py"
            script.write_text(script.read_text().replace('"amount", "visits"]', '"amount"]'))
        case "library":
            write_library(project, "1.1.0", CAPPED.replace("20_000", "2_000"))
        case "unit":
            feed = pd.read_csv(project / "raw/payments.csv")
            feed["amount"] = feed["amount"] / 100
            feed.to_csv(project / "raw/payments.csv", index=False)
        case _:
            pass
    return []


def run(project: Path, words: list[str]) -> None:
    """Run a script in a child process."""
    child = os.fork()
    if child == 0:
        os.chdir(project)
        sys.path.insert(0, str(project / "packages"))
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, f"{words} failed"


def tell(project: Path) -> None:
    """Make all versions; after each the project is as it was."""
    lay_out(project)
    for number, step in enumerate(STEPS, 1):
        kept = {path: path.read_text() for path in (project / "train.py", project / "raw/payments.csv")}
        arguments = change(project, step)
        if step in {"first", "unit"}:  # else its inputs are as they were, and so is what it wrote
            run(project, ["prepare.py"])
        run(project, ["train.py", "--version", str(number), *arguments])
        for path, text in kept.items():
            path.write_text(text)
        write_library(project, "1.0.0", CAPPED)


if __name__ == "__main__":
    tell(Path(sys.argv[1]))
