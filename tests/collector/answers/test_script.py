"""The script that makes a model again: whatever a stranger said, it does what it says and nothing else."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

from modeltrail_collector.answers import obstacles, script
from modeltrail_collector.answers.recipe import Recipe
from modeltrail_collector.answers.reproduce import _code
from modeltrail_schemas import digests

BIN = Path(sys.executable).parent
SHELLCHECK = BIN / "shellcheck"
TRAIN = """
import json, os, sys
from pathlib import Path
said = {"argv": sys.argv[1:], "seed": os.environ.get("PYTHONHASHSEED"), "cwd": os.getcwd(),
        "python": sys.executable, "openlineage": sorted(n for n in os.environ if n.startswith("OPENLINEAGE"))}
Path(os.environ["SAID"]).write_text(json.dumps(said))
Path("m.bin").write_bytes(b"model")
"""
HOSTILE = (
    "$(touch SPRUNG)",
    "`touch SPRUNG`",
    "'; touch SPRUNG; '",
    '"; touch SPRUNG; "',
    "\n touch SPRUNG \n",
    "x\nEND\ntouch SPRUNG",
    "\\'; touch SPRUNG #",
    "--upload-pack=touch SPRUNG",
    "-rf",
    "*",
    "a\u001b[2Kb\u202ec\r\n",
    "é \\ % $HOME \t!",
    "",
)


def git(folder: Path, *command: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    answer = subprocess.run(
        ["git", "-C", str(folder), *identity, *command], check=True, capture_output=True, text=True
    )
    return answer.stdout


@pytest.fixture
def recipe_of(tmp_path):
    """The recipe of a committed script in a repository, with further fields of the code state and recipe."""
    root = tmp_path / "work"
    root.mkdir()
    (root / "train.py").write_text(TRAIN)
    git(root, "init", "-q")
    git(root, "add", "train.py")
    git(root, "commit", "-qm", "first")

    def recipe_of(state=None, **fields):
        code = {
            "commit": git(root, "rev-parse", "HEAD").strip(),
            "dirty": False,
            "entryPoint": "train.py",
            "command": ["python", "train.py"],
            "root": str(root),
            "cwd": str(root),
            "source": None,
            **(state or {}),
        }
        artifact = {
            "digest": hashlib.sha256(b"model").hexdigest(),
            "algorithm": "sha256",
            "uri": (root / "m.bin").as_uri(),
        }
        whole = {
            "model": {"name": "m", "version": "1"},
            "run": None,
            "data": None,
            "params": None,
            "seeds": [],
            "environment": {"packages": []},
            "training": None,
            "artifact": artifact,
            "outputs": [],
            **fields,
        }
        recipe = msgspec.convert({**whole, "code": msgspec.to_builtins(_code(code))}, Recipe)
        recipe.problems = obstacles.problems(recipe)
        return msgspec.to_builtins(recipe)

    recipe_of.root = root
    return recipe_of


@pytest.fixture
def sh(tmp_path):
    """Run the script of a recipe; its result, what the training said, and that nothing sprang."""

    def sh(recipe, *, expected=0, python=sys.executable, **environment):
        file = tmp_path / "again.sh"
        file.write_text(script(recipe), encoding="utf-8")
        checked = subprocess.run(
            [SHELLCHECK, "--severity=warning", file], capture_output=True, text=True, check=False
        )
        assert 0 == checked.returncode, checked.stdout
        here = tmp_path / "here"
        here.mkdir(exist_ok=True)
        said = tmp_path / "said.json"
        said.unlink(missing_ok=True)
        number = len(list(here.glob("new*")))
        result = subprocess.run(
            ["sh", file, f"new{number}"],
            cwd=here,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("REPRODUCE_")},
                "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
                "SAID": str(said),
                **({"REPRODUCE_PYTHON": python} if python else {}),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert expected == result.returncode, result.stdout + result.stderr
        assert [] == list(tmp_path.rglob("SPRUNG"))
        return result, json.loads(said.read_text()) if said.exists() else None

    return sh


def test_it_runs_what_was_recorded_where_it_belongs(recipe_of, sh, tmp_path):
    """The command runs in a fresh clone with its variables; paths in the old tree become the new one's."""
    root = recipe_of.root
    (root / "sub").mkdir()
    (root / "sub" / ".keep").write_text("")
    git(root, "add", ".")
    git(root, "commit", "-qm", "sub")
    command = [
        "/old/bin/python3.9",
        "-u",
        "../train.py",
        f"--data={root}/d.csv",
        f"{root}/e.csv",
        "/etc/hosts",
    ]
    recipe = recipe_of(
        {"command": command, "cwd": str(root / "sub")},
        environment={"packages": [], "variables": {"PYTHONHASHSEED": "7", "LD_PRELOAD": "/evil.so"}},
        artifact=None,
    )
    result, said = sh(recipe, OPENLINEAGE_URL="http://production", OPENLINEAGE__TRANSPORT__TYPE="http")
    new = tmp_path / "here" / "new0"
    assert [f"--data={new}/src/d.csv", f"{new}/src/e.csv", "/etc/hosts"] == said["argv"]
    assert ("7", str(new / "src" / "sub"), sys.executable) == (said["seed"], said["cwd"], said["python"])
    assert ["OPENLINEAGE_CONFIG"] == said["openlineage"]
    assert "LD_PRELOAD" not in script(recipe).replace(json.dumps("LD_PRELOAD"), "")
    assert "cannot be compared" in result.stdout


def test_arguments_arrive_as_they_were(recipe_of, sh):
    """An argument of any text reaches the program byte for byte, and reaches nothing else."""
    arguments = [*HOSTILE, *("--x=" + hostile for hostile in HOSTILE)]
    _, said = sh(recipe_of({"command": ["python", "train.py", *arguments]}))
    assert arguments == said["argv"]


def test_no_name_of_a_stranger_is_run(recipe_of, sh):
    """Model, data, outputs, packages, variables and reasons may be called anything: nothing of it is run."""
    root = recipe_of.root
    recipe = recipe_of(
        {"untracked": [{"path": hostile, "sha256": hostile} for hostile in HOSTILE if hostile]},
        model=dict.fromkeys(("name", "version", "registered_name"), "".join(HOSTILE)),
        data=[
            {
                "namespace": "file",
                "name": f"{root}/{hostile}",
                "how": hostile,
                "fingerprint": {"digest": hostile, "algorithm": hostile},
            }
            for hostile in HOSTILE
        ],
        outputs=[{"namespace": "file", "name": f"{root}/out/{hostile}/x"} for hostile in HOSTILE]
        + [{"namespace": "file", "name": f"/outside/{hostile}"} for hostile in HOSTILE],
        environment={
            "python": "".join(HOSTILE),
            "packages": [{"name": hostile, "version": hostile} for hostile in HOSTILE],
            "variables": {hostile: hostile for hostile in HOSTILE} | {"XLA_FLAGS": "".join(HOSTILE)},
        },
    )
    result, said = sh(recipe, REPRODUCE_ANYWAY="1")
    assert "was made again: the same bytes" in result.stdout
    assert said is not None
    for text in (result.stdout, script(recipe)):
        assert "\u001b" not in text
        assert "\u202e" not in text


@pytest.mark.parametrize("hostile", [*HOSTILE, "ext::sh -c 'touch SPRUNG'"])
def test_no_place_of_a_stranger_is_run(recipe_of, sh, hostile):
    """A repository, a root and a commit of any name are only ever looked for."""
    recipe = recipe_of({"root": f"/nowhere/{hostile}", "cwd": f"/nowhere/{hostile}/{hostile}"})
    recipe["code"]["location"] = {"repository": hostile}
    sh(recipe, expected=2, REPRODUCE_ANYWAY="1")
    recipe["code"]["commit"] = hostile
    result, _ = sh(recipe, expected=2, REPRODUCE_ANYWAY="1")
    assert "Without a commit there is nothing to fetch" in result.stderr


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"diff": "x", "diffSha256": "0" * 64, "dirty": True}, "secrets that were taken out"),
        ({"diff": "x", "diffTruncated": True, "dirty": True}, "were cut"),
    ],
)
def test_what_cannot_be_done_ends_it_before_anything_is_done(recipe_of, sh, tmp_path, state, said):
    """A diff that cannot be applied stops the script with the reason, unless the reader goes on knowingly."""
    recipe = recipe_of(state)
    result, ran = sh(recipe, expected=2)
    assert said in result.stderr
    assert (None, []) == (ran, list((tmp_path / "here").iterdir()))
    _, ran = sh(recipe, REPRODUCE_ANYWAY="1")
    assert ran is not None


def test_what_cannot_be_started_is_not(recipe_of, sh):
    """Without a command there is nothing to run, whatever the reader says."""
    typed = {"command": ["python", "-"], "entryPoint": "<stdin>"}
    for state in ({"command": None}, {"notebook": {"path": "t.ipynb"}}, {"command": ["python", "\0"]}, typed):
        result, _ = sh(recipe_of(state), expected=2, REPRODUCE_ANYWAY="1")
        assert "Without a command there is nothing to run" in result.stderr


def test_a_secret_is_asked_for(recipe_of, sh):
    """An argument that was taken out of the record is asked for by number, and put in its place."""
    recipe = recipe_of({"command": ["python", "train.py", "--token=[redacted]", "--key", "[redacted]"]})
    result, _ = sh(recipe, expected=2)
    assert "REPRODUCE_SECRET_1" in result.stderr
    _, said = sh(recipe, REPRODUCE_SECRET_1="$(touch SPRUNG)", REPRODUCE_SECRET_2="b c")
    assert ["--token=$(touch SPRUNG)", "--key", "b c"] == said["argv"]


def test_another_model_is_not_the_same(recipe_of, sh):
    """A new model with another digest ends the script with exit code 1, and both digests are told."""
    artifact = {"digest": "0" * 64, "algorithm": "sha256", "uri": (recipe_of.root / "m.bin").as_uri()}
    result, said = sh(recipe_of(artifact=artifact), expected=1)
    assert "0" * 64 in result.stdout
    assert hashlib.sha256(b"model").hexdigest() in result.stdout
    assert "was NOT made again" in result.stderr
    assert said is not None


def test_an_old_model_does_not_pass_for_the_new_one(recipe_of, sh):
    """A model that is committed is removed from the clone before the run: one that writes none fails."""
    root = recipe_of.root
    (root / "m.bin").write_bytes(b"model")
    (root / "nothing.py").write_text("")
    git(root, "add", ".")
    git(root, "commit", "-qm", "with a model")
    result, _ = sh(recipe_of({"command": ["python", "nothing.py"]}), expected=1)
    assert "no such file" in result.stdout


def test_a_failing_program_fails_the_script(recipe_of, sh):
    """The exit code of the program is the script's when it fails."""
    root = recipe_of.root
    (root / "fails.py").write_text("raise SystemExit(7)")
    git(root, "add", ".")
    git(root, "commit", "-qm", "fails")
    sh(recipe_of({"command": ["python", "fails.py"]}), expected=7)


def test_changes_of_any_text_are_applied(recipe_of, sh):
    """A diff with control characters, quotes and the end of a document, without a last newline, applies."""
    root = recipe_of.root
    (root / "odd.txt").write_text("END\n$(touch SPRUNG) `'\"\\ \u001b[2K\f\r\n\tü no newline", newline="")
    git(root, "add", "odd.txt")
    raw = subprocess.run(
        ["git", "-C", str(root), *digests.GIT_DIFF, "HEAD", "--"], check=True, capture_output=True
    ).stdout
    recipe = recipe_of({"dirty": True, "diff": raw.decode(), "diffSha256": hashlib.sha256(raw).hexdigest()})
    assert "whole" == recipe["code"]["diff_state"]
    result, _ = sh(recipe)
    assert "with the uncommitted changes" in result.stdout
    assert "\u001b" not in script(recipe)


def test_a_commit_that_was_never_pushed_is_fetched_from_where_it_was_made(recipe_of, sh, tmp_path):
    """Where the remote lacks the commit the old working tree has it; without that the script says so."""
    git(tmp_path, "clone", "-q", "--bare", str(recipe_of.root), "remote.git")
    git(recipe_of.root, "commit", "--allow-empty", "-qm", "second")
    recipe = recipe_of()
    recipe["code"]["location"] = {"repository": str(tmp_path / "remote.git")}
    sh(recipe)
    recipe["code"]["root"] = None
    recipe["artifact"] = None
    result, _ = sh(recipe, expected=2)
    assert "set REPRODUCE_REPOSITORY" in result.stderr
    result, _ = sh(recipe, REPRODUCE_REPOSITORY=str(recipe_of.root))
    assert "m@1 was made again: whether it is the same is not recorded." in result.stdout


@pytest.mark.timeout(900)  # venv and pip write thousands of files
def test_the_environment_is_built_from_files_without_a_network(recipe_of, sh, tmp_path):
    """The recorded versions go into a virtual environment, from a folder where there is no index.

    A package that no index has is asked for by name before anything runs.
    """
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name, number in (("tinything", "1.0"), ("tinything", "2.0"), ("mine", "1")):
        info = f"{name}-{number}.dist-info"
        with zipfile.ZipFile(wheels / f"{name}-{number}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", f"version = {number!r}\n")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    packages = [
        {"name": "tinything", "version": "1.0", "install": "tinything==1.0"},
        {"name": "mine", "version": "1", "install": None},
    ]
    recipe = recipe_of({"command": ["python", "-c", "import tinything; exec(open('train.py').read())"]})
    recipe["environment"]["packages"] = packages
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    stopped, said = sh(recipe, python=None, expected=2, **pip)
    assert ("Not from an index: mine." in stopped.stdout, said) == (True, None)
    assert "mine is not from an index: name its folder or wheel in REPRODUCE_PACKAGES" in stopped.stderr
    mine = wheels / "mine-1-py3-none-any.whl"
    result, said = sh(recipe, python=None, REPRODUCE_PACKAGES=str(mine), **pip)
    python = str(tmp_path / "here" / "new1" / "venv" / "bin" / "python")
    assert (python, f"run, with {python}: python -c" in result.stdout) == (said["python"], True)
