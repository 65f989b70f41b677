"""Notebooks: real kernels, below `modeltrail run` and by themselves."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from told import edges, facet, uses

BIN = Path(sys.executable).parent
JUPYTER = str(BIN / "jupyter-execute")
LAUNCH = (str(BIN / "modeltrail"), "run", "--")

DATA = """
import pandas as pd
pd.DataFrame({"x": [0.0, 1, 2, 3], "y": [0, 0, 1, 1]}).to_csv("data.csv", index=False)
frame = pd.read_csv("data.csv")
"""
FIT = """
from sklearn.linear_model import LogisticRegression
model = LogisticRegression(C=0.5).fit(frame[["x"]], frame["y"])
"""
SAVE = "import joblib; joblib.dump(model, 'model.joblib')"


@pytest.fixture
def notebook(tmp_path: Path) -> Callable[..., Path]:
    """`notebook(*cells)` writes train.ipynb."""

    def write(*sources: str) -> Path:
        cells = [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(sources)
        ]
        kernel = {"name": "python3", "display_name": "Python", "language": "python"}
        document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        path = tmp_path / "train.ipynb"
        path.write_text(json.dumps(document))
        return path

    return write


@pytest.fixture
def execute(tmp_path: Path) -> Callable[..., int]:
    """`execute(*command)` runs it where the notebook lies; its exit code."""

    def run(*command: str, **environment: str) -> int:
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            check=False,
            timeout=100,
        )
        return done.returncode

    return run


def ends(events: list[dict]) -> list[tuple[str, str]]:
    return [(event["job"]["name"], event["eventType"]) for event in events]


def test_a_notebook_is_one_run_of_its_own_code(notebook, execute, inbox, tmp_path):
    """`jupyter execute` below us: one run, whose code is the notebook's, with all that its cells did."""
    path = notebook(DATA, FIT, SAVE)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert 0 == execute(*LAUNCH, JUPYTER, "--inplace", "train.ipynb")
    assert hashlib.sha256(path.read_bytes()).hexdigest() != digest  # what ran is what was there before
    events = inbox(tmp_path / "lineage")
    assert [("train", "START"), ("train", "COMPLETE")] == ends(events)
    code = facet(events[-1], "codeState")
    assert {"path": str(path), "sha256": digest, "cell": 2} == code["notebook"]
    assert ("train.ipynb", digest) == (code["entryPoint"], code["sourceSha256"])
    assert ["modeltrail", "run", "--", JUPYTER, "--inplace", "train.ipynb"] == code["command"]
    assert code["argv"] == code["command"][3:]
    assert {"train"} == {use["role"] for use in uses(events[-1]).values()}
    assert {"data.csv", "train"} == edges(events[-1])["model.joblib"]
    assert "LogisticRegression" in facet(events[-1], "training")["algorithm"]


def test_scores_of_a_notebook_are_told_before_what_its_kernel_waits_for(notebook, execute, inbox, tmp_path):
    """What is told at the end comes before other things that a kernel does then, until it is killed."""
    wait = "import atexit, time; atexit.register(time.sleep, 100)"
    score = "from sklearn.metrics import f1_score; f1_score(frame['y'], model.predict(held))"
    notebook(wait, DATA, FIT, "held = frame[['x']].copy()", score, SAVE)
    assert 0 == execute(*LAUNCH, JUPYTER, "train.ipynb")
    assert ("train.evaluate", "COMPLETE") in ends(inbox(tmp_path / "lineage"))


def test_a_notebook_in_git_has_its_commit(notebook, execute, inbox, tmp_path):
    """The state of the repository and the place of the notebook in it are told."""
    notebook("1")
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "train.ipynb"), ("commit", "-qm", "start")):
        assert 0 == execute(*git, *words)
    assert 0 == execute(*LAUNCH, sys.executable, "-m", "jupyter", "execute", "train.ipynb")
    last = inbox(tmp_path / "lineage")[-1]
    code = facet(last, "codeState")
    assert (False, "git", str(tmp_path)) == (code["dirty"], code["vcs"], code["root"])
    assert "train.ipynb" == last["job"]["facets"]["sourceCodeLocation"]["path"]


def test_a_cell_that_fails_fails_the_run(notebook, execute, inbox, tmp_path):
    """The error is the cell's own, and what was recorded before it stays."""
    notebook(DATA, "raise ValueError('no rows; password=hunter22')", FIT)
    assert 1 == execute(*LAUNCH, JUPYTER, "train.ipynb")
    events = inbox(tmp_path / "lineage")
    assert [("train", "START"), ("train", "FAIL")] == ends(events)
    error = events[-1]["run"]["facets"]["errorMessage"]
    assert "ValueError: no rows; password=[redacted]" == error["message"]
    assert 1 == facet(events[-1], "codeState")["notebook"]["cell"]
    assert [str(tmp_path / "data.csv")] == [each["name"] for each in events[-1]["outputs"]]


def test_a_kernel_that_is_killed_has_told_its_cell(notebook, execute, inbox, tmp_path):
    """Jupyter kills one that takes two seconds to end, as it may on a busy machine."""
    path = notebook(DATA, FIT, f"{SAVE}\nimport os; os.kill(os.getpid(), 9)")
    assert 0 != execute(*LAUNCH, JUPYTER, "train.ipynb")
    last = inbox(tmp_path / "lineage")[-1]
    notebook = facet(last, "codeState")["notebook"]
    assert ("FAIL", str(path), 2) == (last["eventType"], notebook["path"], notebook["cell"])
    assert {"data.csv", "train"} == edges(last)["model.joblib"]


def test_ctrl_c_aborts_a_notebook(notebook, inbox, tmp_path):
    """Jupyter makes an exit code of it, and the kernel knows better."""
    notebook("open('began', 'w').close(); import time; time.sleep(60)")
    process = subprocess.Popen([*LAUNCH, JUPYTER, "train.ipynb"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not (tmp_path / "began").exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(2)
    assert 1 == process.wait(60)
    last = inbox(tmp_path / "lineage")[-1]
    assert ("ABORT", "KeyboardInterrupt") == (
        last["eventType"],
        last["run"]["facets"]["errorMessage"]["message"],
    )


OWN = """
import modeltrail; modeltrail.autolog()
open("part.py", "w").write("with modeltrail.run('mine') as run: run.params({'a': 1})")
"""


@pytest.mark.parametrize("known", ["file", "vscode", "nothing"])
def test_a_kernel_by_itself_tells_of_its_notebook(known, notebook, execute, inbox, tmp_path):
    """Where Jupyter or VS Code says which it is; cells run again, and `%run`, are code of it too."""
    said = f"__vsc_ipynb_file__ = {str(tmp_path / 'train.ipynb')!r}" if known == "vscode" else ""
    path = notebook(
        said, OWN, DATA + FIT, "get_ipython().run_cell('1', store_history=True)", "%run -i part.py"
    )
    session = {"JPY_SESSION_NAME": str(path)} if known == "file" else {}
    assert 0 == execute(JUPYTER, "train.ipynb", **session)
    fitted, own = inbox(tmp_path / "lineage")[1::2]
    name = "notebook" if known == "nothing" else "train"
    assert [(f"{name}.LogisticRegression", "COMPLETE"), ("mine", "COMPLETE")] == ends([fitted, own])
    codes = [facet(event, "codeState") for event in (fitted, own)]
    if known == "nothing":
        assert [("<notebook>", None)] * 2 == [(code["entryPoint"], code.get("notebook")) for code in codes]
    else:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        told = {"path": str(path), "sha256": digest}
        first = 2 if said else 1  # an empty cell is not run
        assert [told | {"cell": first}, told | {"cell": first + 3}] == [code["notebook"] for code in codes]
    assert not any("argv" in code or "command" in code for code in codes)
    assert [[], []] == [[file for file in code["elsewhere"] if file["name"] != "part.py"] for code in codes]


def test_runs_within_a_launched_notebook_are_below_its_own(notebook, execute, inbox, tmp_path):
    """`modeltrail.run` in a cell is a child, with the same notebook as its code."""
    path = notebook("import modeltrail", "with modeltrail.run('mine'): pass")
    assert 0 == execute(*LAUNCH, JUPYTER, "train.ipynb")
    events = inbox(tmp_path / "lineage")
    (own,) = [each for each in events if ("mine", "COMPLETE") == (each["job"]["name"], each["eventType"])]
    assert events[0]["run"]["runId"] == own["run"]["facets"]["parent"]["run"]["runId"]
    assert (str(path), 1) == tuple(facet(own, "codeState")["notebook"][key] for key in ("path", "cell"))


def test_a_kernel_of_another_program_leaves_the_run_to_it(notebook, execute, inbox, tmp_path):
    """A script that has a notebook run is the script; what the notebook tells of itself is below it."""
    notebook("import modeltrail", "with modeltrail.run('mine'): pass")
    (tmp_path / "nightly.py").write_text(
        "import nbformat, nbclient, modeltrail\n"
        "modeltrail.current_run().params({'a': 1})\n"
        "nbclient.NotebookClient(nbformat.read('train.ipynb', 4)).execute()\n"
    )
    assert 0 == execute(*LAUNCH, sys.executable, "nightly.py")
    events = inbox(tmp_path / "lineage")
    assert ["nightly", "mine", "mine", "nightly"] == [name for name, _ in ends(events)]
    assert "nightly.py" == facet(events[-1], "codeState")["entryPoint"]
