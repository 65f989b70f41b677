"""A recorded training is made again from what the log says of it, by the script that `reproduce` writes."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "energy"
NAMED = """
import json
import joblib
import ourlib
CONFIG = json.load(open("config.json"))
"""
TRAIN = """
import sys

import joblib
import numpy
import pandas
from sklearn.ensemble import RandomForestClassifier

import modeltrail

modeltrail.autolog()
numpy.random.seed(4)
with modeltrail.run("train-churn") as run:
    frame = pandas.read_csv("data/churn.csv")
    run.input("data/churn.csv", role="train")
    model = RandomForestClassifier(2).fit(frame[["tenure", "spend"]], frame["churned"])
    joblib.dump(model, sys.argv[1])
    run.output_model(sys.argv[1], name="churn")
    run.register("churn", version="1")
"""
ROWS = "tenure,spend,churned\n" + "".join(
    f"{n % 60},{20 + n * 7 % 90},{int(n % 60 < 20)}\n" for n in range(240)
)


def git(folder: Path, *command: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *command], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A training in a git repository with an uncommitted change and data that git does not hold."""
    root = tmp_path / "churn"
    for folder in ("data", "models"):
        (root / folder).mkdir(parents=True)
    (root / ".gitignore").write_text("data/\nmodels/\nlineage/\n")
    (root / "train.py").write_text(TRAIN)
    (root / "data" / "churn.csv").write_text(ROWS)
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    (root / "train.py").write_text(TRAIN.replace("Classifier(2)", "Classifier(3)"))
    subprocess.run([sys.executable, "train.py", "models/churn.joblib"], cwd=root, check=True)
    return root


@pytest.fixture
def energy(tmp_path: Path) -> Path:
    """The example of that name in a repository that ignores its data and its configuration."""
    root, library = tmp_path / "energy", tmp_path / "library"
    shutil.copytree(EXAMPLE, root)
    library.mkdir()
    (library / "ourlib.py").write_text("def alpha(read):\n    return read['alpha']\n")
    text = (root / "train.py").read_text()
    for was, now in (("Ridge(alpha=0.5)", "Ridge(alpha=ourlib.alpha(CONFIG))"), ("\nimport joblib", NAMED)):
        assert was in text
        text = text.replace(was, now)
    (root / "train.py").write_text(text)
    (root / "config.json").write_text('{"alpha": 0.5}')
    (root / ".gitignore").write_text("raw/\n*.csv\n*.json\n*.joblib\nlineage/\n__pycache__/\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    environment = {**os.environ, "PYTHONPATH": str(library)}
    for command in (["make_data.py"], ["train.py", "1"]):
        subprocess.run([sys.executable, *command], cwd=root, check=True, env=environment)
    return root


def run_script(script: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """The script with the present interpreter: no network."""
    scripts = Path(sys.executable).parent
    environment = {"REPRODUCE_PYTHON": sys.executable, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", script, folder],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(900)
def test_a_recorded_training_is_made_again(modeltrail_command, project: Path, tmp_path: Path) -> None:
    """The script makes the same bytes in a fresh clone; of data with one byte changed it says which."""
    modeltrail_command("compact", cwd=project)
    again = tmp_path / "again.sh"
    modeltrail_command("reproduce", "churn@1", "--script", str(again), cwd=project)
    recipe = tmp_path / "recipe.json"
    recipe.write_text(modeltrail_command("reproduce", "churn@1", "--json", cwd=project).stdout)
    assert (
        "nothing differs" in modeltrail_command("reproduce", "churn@1", "--check", "now", cwd=project).stdout
    )

    result = run_script(again, tmp_path / "new")
    assert 0 == result.returncode, result.stdout + result.stderr
    assert "churn@1 was made again: the same bytes." in result.stdout
    old, new = (
        hashlib.sha256((root / "models" / "churn.joblib").read_bytes()).hexdigest()
        for root in (project, tmp_path / "new" / "src")
    )
    assert old == new
    assert new in modeltrail_command("models", "--json", "--log", str(tmp_path / "new" / "lineage")).stdout

    was = hashlib.sha256(ROWS.encode()).hexdigest()
    changed = ROWS.replace("0,20,1", "0,21,1", 1)
    (project / "data" / "churn.csv").write_text(changed)
    now = hashlib.sha256(changed.encode()).hexdigest()
    checked = modeltrail_command("reproduce", "churn@1", "--check", "now", cwd=project, expected=1).stdout
    stopped = run_script(again, tmp_path / "other")
    assert 1 == stopped.returncode
    for told in (checked, stopped.stdout):
        assert {was, now} <= set(told.split())
        assert "data: " in told
        assert "data/churn.csv" in told
    assert not (tmp_path / "other" / "lineage").exists()

    shutil.rmtree(
        project
    )  # a colleague has the recipe, a clone and the data, and neither the log nor the tree
    clone = tmp_path / "new" / "src"
    call = ("reproduce", "--recipe", str(recipe), "--check", str(clone))
    assert json.loads(modeltrail_command(*call, "--json").stdout)["equal"]
    told = json.loads(recipe.read_text())
    package = next(each for each in told["environment"]["packages"] if each["name"] == "scikit-learn")
    found, package["version"] = package["version"], "0.1"
    recipe.write_text(json.dumps(told))
    answer = json.loads(modeltrail_command(*call, "--section", "environment", "--json", expected=1).stdout)
    assert [{"section": "environment", "name": "scikit-learn", "recorded": "0.1", "found": found}] == answer[
        "differences"
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_energy_example_is_made_again_from_a_clone(modeltrail_command, energy, tmp_path) -> None:
    """With what it evaluates on and its configuration, which git ignores, and a library from elsewhere.

    Another content of that library or configuration is told before anything runs.
    """
    modeltrail_command("compact", cwd=energy)
    again = tmp_path / "again.sh"
    modeltrail_command("reproduce", "energy@1", "--script", str(again), cwd=energy)
    result = run_script(again, tmp_path / "new")
    assert 0 == result.returncode, result.stdout + result.stderr
    assert "energy@1 was made again: the same bytes." in result.stdout

    (energy / "config.json").write_text('{"alpha": 0.6}')
    with (tmp_path / "library" / "ourlib.py").open("a") as library:
        library.write("# a fix\n")
    stopped = run_script(again, tmp_path / "other")
    assert 1 == stopped.returncode
    for told in ("2 of 9 things differ", "code: config.json", "code: ourlib", "nothing was run"):
        assert told in stopped.stdout + stopped.stderr
