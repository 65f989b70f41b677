"""A person asks to be erased: from the trainings as they ran to the list of what is to be made anew."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PREPARE = """
import sys

import pandas
import modeltrail

with modeltrail.run("prepare") as run:
    people, spend = pandas.read_csv("people.csv"), pandas.read_csv("spend.csv")
    run.input("people.csv", role="other", subjects="customer")
    run.input("spend.csv", role="other")
    joined = people.merge(spend, on="row").drop(columns=["customer", "row"])
    joined.to_parquet("features.parquet", index=False)
    run.output("features.parquet")
"""
TRAIN = """
import sys

import joblib
import pandas
from sklearn.linear_model import LogisticRegression
import modeltrail

version, data = sys.argv[1:]
with modeltrail.run("train") as run:
    frame = pandas.read_parquet(data) if data.endswith("parquet") else pandas.read_csv(data)
    run.input(data, role="train", **({"subjects": "customer"} if data == "people.csv" else {}))
    model = LogisticRegression().fit(frame[["tenure"]], frame["churned"])
    joblib.dump(model, f"model-{version}.joblib")
    run.output_model(f"model-{version}.joblib", name="churn")
    run.register("churn", version=version)
    if version == "2":
        run.deploy("churn", version, {"platform": "kserve", "name": "churn-api"})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "prepare.py").write_text(PREPARE)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "spend.csv").write_text("row,spend\n" + "".join(f"{n},{n * 7 % 90}\n" for n in range(60)))
    (tmp_path / "subjects.key").write_text("0123456789abcdef" * 4)
    return tmp_path


def people(folder: Path, first: int) -> None:
    """Sixty persons, from this number on."""
    rows = (f"{n},{first + n},{(first + n * 7) % 60},{int(n % 3 == 0)}\n" for n in range(60))
    (folder / "people.csv").write_text("row,customer,tenure,churned\n" + "".join(rows))


@pytest.mark.timeout(600)
def test_only_models_that_learned_from_a_person_are_to_be_made_anew(
    modeltrail_command, project: Path
) -> None:
    """Of two versions of raw data one holds the person: its models are planned, also through the join."""
    environment = {
        "MODELTRAIL_SUBJECTS_KEY": str(project / "subjects.key"),
        "MODELTRAIL_SUBJECTS_INDEX": str(project / "kept"),
    }

    def python(*arguments: str) -> None:
        subprocess.run(
            [sys.executable, *arguments], cwd=project, env={**os.environ, **environment}, check=True
        )

    for first, versions in ((0, ("1", "2")), (100, ("3", "4"))):  # 59 is in the first only, 120 in the second
        people(project, first)
        python("prepare.py")
        python("train.py", versions[0], "people.csv")
        python("train.py", versions[1], "features.parquet")
    modeltrail_command("compact", cwd=project)

    def plan(person: str) -> list[tuple[str, str, str]]:
        asked = ["impact", "--subject", person, "--subjects-key", "subjects.key", "--erase-plan", "--json"]
        rows = json.loads(modeltrail_command(*asked, cwd=project).stdout)
        found = (
            (
                row["action"],
                row["kind"],
                Path(row["name"]).name if row["kind"] == "dataset" else row["version"],
            )
            for row in rows
        )
        return sorted({each for each in found if each[1] != "model" or len(each[2]) == 1})

    of_first = [("retrain", "model", "2"), ("rewrite", "dataset", "features.parquet")]
    assert [*of_first, ("withdraw", "endpoint", "2"), ("withdraw", "model", "1")] == plan("59")
    of_second = [("delete", "dataset", "features.parquet"), ("withdraw", "model", "3")]
    assert [*of_second, ("withdraw", "model", "4")] == plan("120")
    assert [] == plan("1000")
    for index in (project / "kept").iterdir():
        index.unlink()
    asked = ["impact", "--subject", "59", "--subjects-key", "subjects.key", "--erase-plan", "--json"]
    rows = json.loads(modeltrail_command(*asked, cwd=project, expected=1).stdout)
    assert {"look"} == {row["action"] for row in rows}
