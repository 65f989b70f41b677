"""What a program consists of beyond what its repository tracks, as a program of its own tells it."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from modeltrail.observe import elsewhere

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
TELLS = """
import json
from modeltrail.observe import code
first = code.state().to_dict()
{}
print(json.dumps([first, code.with_imported(first, code.imported())]))
"""


def git(folder: Path, *command: str) -> str:
    done = ["git", "-C", str(folder), *IDENTITY, *command]
    return subprocess.run(done, check=True, capture_output=True, text=True).stdout.strip()


def committed(folder: Path) -> str:
    """All of a folder in a commit."""
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return git(folder, "rev-parse", "HEAD")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def told(tmp_path):
    """`told(program)`: its code at first and then, in a git repository, with `path` as PYTHONPATH."""
    (tmp_path / "project").mkdir()

    def run(program: str, *, path: tuple[Path, ...] = (), tracked: bool = True) -> tuple[dict, dict]:
        (tmp_path / "project" / "train.py").write_text(program)
        if tracked:
            (tmp_path / "project" / ".gitignore").write_text("*.json\n__pycache__\n")
            committed(tmp_path / "project")
        found = subprocess.run(
            [sys.executable, "train.py"],
            cwd=tmp_path / "project",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
            check=True,
            capture_output=True,
            text=True,
        )
        first, then = json.loads(found.stdout)
        return first, then

    return run


def test_modules_from_elsewhere_are_told_with_their_digest_and_repository(told, tmp_path):
    """What PYTHONPATH or an editable install brings is told by name, place, bytes, commit and changes."""
    for name in ("ours", "edited"):
        (tmp_path / name / "lib" / name).mkdir(parents=True)
        (tmp_path / name / "lib" / name / "__init__.py").write_text("x = 1\n")
    commit = committed(tmp_path / "edited")
    (tmp_path / "edited" / "lib" / "edited" / "__init__.py").write_text("x = 2\n")
    program = "import edited\n" + TELLS.format("import ours")
    first, then = told(program, path=(tmp_path / "ours" / "lib", tmp_path / "edited" / "lib"))
    files = [
        {"name": name, "path": str(file), "sha256": sha256(file)}
        for name in ("edited", "ours")
        for file in [tmp_path / name / "lib" / name / "__init__.py"]
    ]
    assert (files[:1], 1) == (first["elsewhere"], first["elsewhereCount"])
    assert (files, 2) == (then["elsewhere"], then["elsewhereCount"])
    assert [{"root": str(tmp_path / "edited"), "commit": commit, "dirty": True}] == then["repositories"]
    assert (first["dirty"], then["modules"]) == (False, [])


def test_a_loaded_module_stays_what_it_was(told, tmp_path):
    """The digest is that of the first look: who edits the file later does not change what was loaded."""
    (tmp_path / "ours.py").write_text("x = 1\n")
    was = sha256(tmp_path / "ours.py")
    edit = "open(ours.__file__, 'w').write('x = 2')"
    _, then = told("import ours\n" + TELLS.format(edit), path=(tmp_path,))
    assert [was] == [file["sha256"] for file in then["elsewhere"]]


def test_an_archive_of_modules_is_one_file(told, tmp_path):
    """Modules out of a zip are told as that zip, once."""
    with zipfile.ZipFile(tmp_path / "ours.zip", "w") as archive:
        archive.writestr("one.py", "")
        archive.writestr("two.py", "")
    (first, _) = told("import one, two\n" + TELLS.format(""), path=(tmp_path / "ours.zip",))
    path = tmp_path / "ours.zip"
    assert [{"name": "ours.zip", "path": str(path), "sha256": sha256(path)}] == first["elsewhere"]


def test_without_version_control_all_that_is_imported_is_told(told, tmp_path):
    """Beside a script in no repository its modules are told, and the configuration that its text names."""
    for name in ("helper.py", "config.json", "unnamed.json"):
        (tmp_path / "project" / name).touch()
    first, _ = told("import helper\nopen('config.json')\n" + TELLS.format(""), tracked=False)
    assert ["config.json", "helper"] == [file["name"] for file in first["elsewhere"]]
    assert "vcs" not in first


def test_a_script_that_imports_multiprocessing_is_no_module_of_its_own(told):
    """The script, which multiprocessing knows by a name of its own, is what runs, and nothing beside that."""
    for tell in told("import multiprocessing\n" + TELLS.format(""), tracked=False):
        assert not tell.get("elsewhere")


def test_a_long_list_is_cut_and_says_so(tmp_path, monkeypatch):
    """Of more files than are listed it is told how many there are."""
    monkeypatch.setattr(elsewhere, "FILES", 2)
    used = {str(tmp_path / name): name for name in "abc"}
    found = elsewhere.look(None, used)
    assert (2, 3) == (len(found.files), found.count)


def test_a_configuration_that_git_ignores_is_told_where_the_text_names_it(told, tmp_path):
    """Also by its name alone, beside the text; what the program wrote itself is not told."""
    for name in ("config.json", "scores.json", "same.json", "other.json"):
        (tmp_path / "project" / name).write_text("{}")
    program = """
import json
from pathlib import Path
config = json.loads((Path(__file__).parent / "config.json").read_text())
""" + TELLS.format(
        "for name, text in (('scores.json', '[0.8]'), ('same.json', '{}'), ('new.json', '1')):\n"
        "    Path(name).write_text(text)"
    )
    first, then = told(program)
    assert {"config.json", "same.json", "scores.json"} == {file["path"] for file in first["untracked"]}
    config = {"path": "config.json", "sizeBytes": 2, "sha256": sha256(tmp_path / "project" / "config.json")}
    assert ([config], 1) == (then["untracked"], then["untrackedCount"])
    assert ([], False) == (then["elsewhere"], then["dirty"])
