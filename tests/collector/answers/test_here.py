"""A recipe against what is here: each difference with both values, and what cannot be compared."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from modeltrail_collector.answers import check
from modeltrail_collector.answers.here import _changes
from modeltrail_collector.answers.recipe import Recipe
from modeltrail_collector.answers.reproduce import _code
from modeltrail_collector.cli.recipe import print_check
from modeltrail_collector.errors import ConfigError
from modeltrail_schemas import digests
from modeltrail_schemas.variables import RESULT_VARIABLES


def git(folder: Path, *command: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    answer = subprocess.run(
        ["git", "-C", str(folder), *identity, *command], check=True, capture_output=True, text=True
    )
    return answer.stdout


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def place(tmp_path):
    """A repository with a change, an untracked file and data; and the recipe of it."""
    root = tmp_path / "work"
    (root / "data").mkdir(parents=True)
    (root / "train.py").write_text("x = 1\n")
    git(root, "init", "-q")
    git(root, "add", "train.py")
    git(root, "commit", "-qm", "first")
    (root / "train.py").write_text("x = 2\n")
    (root / "notes.txt").write_text("notes")
    (root / "data" / "a.csv").write_text("a,b\n1,2\n")
    (root / "m.joblib").write_bytes(b"model")
    diff = git(root, *digests.GIT_DIFF, "HEAD", "--")
    code = _code(
        {
            "commit": git(root, "rev-parse", "HEAD").strip(),
            "dirty": True,
            "diff": diff,
            "diffSha256": sha256(diff.encode()),
            "untracked": [{"path": "notes.txt", "sha256": sha256(b"notes")}, {"path": "big.bin"}],
            "elsewhere": [],
            "entryPoint": "train.py",
            "command": ["python", "train.py"],
            "root": str(root),
            "cwd": str(root),
            "source": None,
        }
    )
    recipe = Recipe(
        model={"name": "m", "version": "1", "registered_name": None},
        run=None,
        data=None,
        code=code,
        params=None,
        seeds=[],
        environment=None,
        training=None,
        artifact=None,
        outputs=[],
    )
    import msgspec

    return root, msgspec.to_builtins(recipe)


def data(name: str, digest: str | None, namespace: str = "file", **more):
    fingerprint = {"digest": digest, "algorithm": "sha256", "scope": "full", **more} if digest else None
    return {"namespace": namespace, "name": name, "how": "", "fingerprint": fingerprint}


def compare(answer, folder, *sections, **more):
    found = check(answer, folder, python=sys.executable, sections=sections, **more)
    assert found["equal"] == (not found["differences"])
    differences = {each["name"]: (each["recorded"], each["found"]) for each in found["differences"]}
    return differences, {each["name"]: each["why"] for each in found["not_compared"]}, found["compared"]


def test_the_same_code_is_equal_anywhere(place, tmp_path):
    """Code, changes and untracked files are equal where they were recorded, and in a clone with the same."""
    root, recipe = place
    assert ({}, 3) == compare(recipe, root, "code")[::2]
    git(tmp_path, "clone", "-q", str(root), "clone")
    (tmp_path / "clone" / "notes.txt").write_text("notes")
    differences, _, _ = compare(recipe, tmp_path / "clone", "code")
    assert {"uncommitted changes": (recipe["code"]["diff_sha256"], "none")} == differences
    (tmp_path / "changes").write_text(recipe["code"]["diff"])
    git(tmp_path / "clone", "apply", "--index", str(tmp_path / "changes"))
    differences, why, _ = compare(recipe, tmp_path / "clone", "code")
    assert ({}, {"big.bin": "its digest was not recorded"}) == (differences, why)


def test_changes_are_the_same_however_git_is_configured(place, tmp_path):
    """A change of many lines and of a file with an umlaut is equal, whatever git is told of diffs."""
    root, recipe = place
    text = [f"def f{n}():\n\n    return {n}\n\n\n" for n in range(9)]
    for name, lines in (("grün.py", text), ("train.py", text)):
        (root / name).write_text("".join(lines))
    git(root, "add", "grün.py", "train.py")
    git(root, "commit", "-qm", "functions")
    for name in ("grün.py", "train.py"):
        (root / name).write_text("".join([text[5], *text[1:3], *text[:2], *text[6:], text[5]]))
    diff = _changes(root)
    (tmp_path / "order").write_text("train.py\n")
    for name, value in (
        ("core.quotePath", "true"),
        ("diff.algorithm", "patience"),
        ("diff.indentHeuristic", "false"),
        ("diff.interHunkContext", "9"),
        ("diff.suppressBlankEmpty", "true"),
        ("diff.orderFile", str(tmp_path / "order")),
        ("diff.noprefix", "true"),
    ):
        git(root, "config", name, value)
        assert diff == _changes(root), name
        git(root, "config", "--unset", name)
    recipe["code"] |= {"commit": git(root, "rev-parse", "HEAD").strip(), "diff_sha256": diff}
    assert {} == compare(recipe, root, "code")[0]
    assert diff == sha256(git(root, "-c", "core.quotePath=false", *digests.GIT_DIFF, "HEAD").encode())


def test_other_code_is_told_with_both_values(place):
    """Another commit, other changes, an edited and a missing untracked file are differences."""
    root, recipe = place
    was = recipe["code"]["commit"]
    (root / "notes.txt").write_text("other")
    assert {"notes.txt": (sha256(b"notes"), sha256(b"other"))} == compare(recipe, root, "code")[0]
    (root / "notes.txt").unlink()
    assert {"notes.txt": (sha256(b"notes"), "no such file")} == compare(recipe, root, "code")[0]
    git(root, "commit", "-qam", "second")
    now = git(root, "rev-parse", "HEAD").strip()
    differences = compare(recipe, root, "code")[0]
    assert ((was, now), "none") == (differences["commit"], differences["uncommitted changes"][1])


def test_where_not_all_was_looked_at_it_is_not_said_that_nothing_differs(place, capsys):
    """Untracked files that nobody looked at are named among what was not compared, and in the verdict."""
    folder, recipe = place
    left_out = "50 of 51 untracked files were not looked at"
    cut = {**recipe, "code": {**recipe["code"], "untracked_left_out": left_out}}
    found = check(cut, folder, python=sys.executable, sections=["code"])
    assert {"section": "code", "name": "more untracked files", "why": left_out} in found["not_compared"]
    print_check(found)
    printed = capsys.readouterr().out
    assert "not all of the code was compared; no difference among" in printed
    assert "nothing differs" not in printed


def test_new_source_files_are_named(place):
    """A module that came to the working tree since is named, whatever it is imported as; packages are not."""
    root, recipe = place
    for name in ("new.py", "env/pyvenv.cfg", "env/lib/x.py", "new.txt", "no.py", "lineage/_delta_log/0.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / ".git" / "info" / "exclude").write_text("no.py\n")
    differences, why, _ = compare(recipe, root, "code")
    told = "1 that git does not track were not there: new.py"
    assert ({}, told) == (differences, why["more source files"])
    recipe["code"]["untracked"].append({"path": "new.py", "sha256": sha256(b"")})
    assert {"big.bin"} == compare(recipe, root, "code")[1].keys()
    recipe["code"]["untracked"] = None
    assert {"untracked files": "not recorded"} == compare(recipe, root, "code")[1]


def test_modules_from_elsewhere_are_compared_where_they_lay(place, tmp_path):
    """A module outside of the tree is looked for at its place; of what has no digest it is said."""
    root, recipe = place
    (tmp_path / "ours.py").write_text("x = 1\n")
    module = {"name": "ours", "path": str(tmp_path / "ours.py"), "sha256": sha256(b"x = 1\n")}
    code = recipe["code"] | {"elsewhere": [module], "elsewhere_unread": "the content of 1 of 2 files"}
    assert {} == compare(recipe | {"code": code}, root, "code")[0]
    (tmp_path / "ours.py").write_text("x = 2\n")
    differences, why, _ = compare(recipe | {"code": code}, root, "code")
    assert {"ours": (module["sha256"], sha256(b"x = 2\n"))} == differences
    assert "the content of 1 of 2 files" == why["more from outside of the repository"]
    unknown = recipe | {"code": recipe["code"] | {"elsewhere": None}}
    assert "not recorded" == compare(unknown, root, "code")[1]["modules from outside of the repository"]


def test_without_a_repository_modules_beside_the_script_lie_in_the_folder(place, tmp_path):
    """The folder stands for the working directory, and what the script imported is compared in it."""
    root, recipe = place
    (tmp_path / "new").mkdir()
    for folder in (root, tmp_path / "new"):
        (folder / "helper.py").write_text("x = 1\n")
    helper = {"name": "helper", "path": str(root / "helper.py"), "sha256": sha256(b"x = 1\n")}
    script = {"entry_point": "train.py", "cwd": str(root), "source_sha256": sha256(b"x = 2\n")}
    (tmp_path / "new" / "train.py").write_text("x = 2\n")
    code = recipe | {"code": {**script, "elsewhere": [helper]}}
    (root / "helper.py").unlink()
    assert ({}, {}, 2) == compare(code, tmp_path / "new", "code")


def test_code_without_a_repository_goes_by_its_digest(place, tmp_path):
    """Without version control the entry point's digest decides; without that nothing can be compared."""
    root, recipe = place
    script = {"commit": None, "source_sha256": sha256(b"x = 2\n"), "elsewhere": None}
    alone = {**recipe, "code": {**recipe["code"], **script}}
    assert {} == compare(alone, root, "code")[0]
    assert compare(alone, root, "code")[1]["imported modules"].startswith("not recorded")
    (root / "train.py").write_text("x = 3\n")
    assert {"train.py": (sha256(b"x = 2\n"), sha256(b"x = 3\n"))} == compare(alone, root, "code")[0]
    alone["code"]["source_sha256"] = None
    assert "neither" in compare(alone, root, "code")[1]["code"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no git repository" in compare(recipe, empty, "code")[1]["commit"]
    assert "not recorded" == compare({**recipe, "code": None}, root, "code")[1]["code"]


def test_a_byte_of_the_data_is_a_difference(place, tmp_path):
    """Data is compared by its bytes: in the folder where it lay in the working tree, else where it lay."""
    root, recipe = place
    path, digest = root / "data" / "a.csv", sha256(b"a,b\n1,2\n")
    recipe["data"] = [data(str(path), digest)]
    assert ({}, 1) == compare(recipe, root, "data")[::2]
    path.write_text("a,b\n1,3\n")
    assert {str(path): (digest, sha256(b"a,b\n1,3\n"))} == compare(recipe, root, "data")[0]
    copy = tmp_path / "copy" / "data" / "a.csv"
    copy.parent.mkdir(parents=True)
    copy.write_text("a,b\n1,2\n")
    assert {} == compare(recipe, tmp_path / "copy", "data")[0]
    copy.unlink()
    assert f"no such file: {copy}" == compare(recipe, tmp_path / "copy", "data")[0][str(path)][1]
    recipe["data"] = [data(str(tmp_path / "outside.csv"), digest)]
    (tmp_path / "outside.csv").write_text("a,b\n1,2\n")
    assert {} == compare(recipe, root, "data")[0]


def test_folders_and_large_files_are_compared_as_they_were_recorded(place, monkeypatch):
    """A folder goes by its tree digest, a sampled file by its sample; another way of digesting says so."""
    root, recipe = place
    folder = root / "data"
    recipe["data"] = [data(str(folder), digests.digest(folder).digest, algorithm="sha256-tree")]
    assert ({}, 1) == compare(recipe, root, "data")[::2]
    (folder / "b.csv").write_text("")
    assert [str(folder)] == list(compare(recipe, root, "data")[0])
    monkeypatch.setattr(digests, "FULL_DIGEST_BYTES", 4)
    monkeypatch.setattr(digests, "CHUNK", 2)
    file = folder / "a.csv"
    file.touch()
    digests._cache.clear()
    sampled = digests.digest(file)
    recipe["data"] = [data(str(file), sampled.digest, scope="sampled")]
    assert ("sampled", {}) == (sampled.scope, compare(recipe, root, "data")[0])
    digests._cache.clear()
    recipe["data"] = [data(str(file), "0" * 32, algorithm="modeltrail-rows-128")]
    assert "made in another way" in compare(recipe, root, "data")[1][str(file)]


def test_what_evaluations_read_is_compared_as_data(place):
    """The same script needs it: a byte of it is a difference, though the model did not learn from it."""
    root, recipe = place
    file = data(str(root / "data" / "a.csv"), sha256(b"a,b\n1,3\n"))
    assert [file["name"]] == [*compare(recipe | {"judged_on": [file]}, root, "data")[0]]


def test_what_is_not_here_is_not_compared(place):
    """Data elsewhere, in memory or without a fingerprint is named, with the reason."""
    root, recipe = place
    recipe["data"] = [
        data("x", "0" * 64, "s3://lake"),
        data("train/data", "0" * 64, "inmemory://"),
        data("/nowhere", None),
    ]
    differences, why, compared = compare(recipe, root, "data")
    assert ({}, 0) == (differences, compared)
    assert "s3://lake" in why["x"]
    assert "only inside of the run" in why["train/data"]
    assert "not recorded" in why["/nowhere"]


def test_what_was_in_memory_is_compared_with_a_new_run(place, make, log_of):
    """With the log of a new run, data and models that never were files are compared too."""
    root, recipe = place
    recipe["data"] = [data("train/data", make.digest("rows"), "inmemory://")]
    recipe["artifact"] = {"digest": make.digest("model"), "algorithm": "sha256-pickle", "uri": "inmemory://m"}
    kind = make.facet("t", datasetType="MODEL", subType="ML_MODEL")

    def new_run(rows, model):
        used = make.used("train/data", rows, role="train", rows=3)
        made = make.facet(
            "modelTrail_modelArtifact", digest=make.digest(model), digestAlgorithm="sha256-pickle"
        )
        output = make.dataset("m", namespace="inmemory://", datasetType=kind)
        output["outputFacets"] = {"modelTrail_modelArtifact": made}
        used["namespace"] = "inmemory://"
        return log_of([make.run_event("COMPLETE", make.base, "r", "train", inputs=[used], outputs=[output])])

    same = new_run("rows", "model")
    assert ({}, 2) == compare(recipe, root, "data", "model", result=same)[::2]
    assert {
        "train/data": (make.digest("rows"), make.digest("other")),
        "m@1": (make.digest("model"), make.digest("other")),
    } == compare(recipe, root, "data", "model", result=new_run("other", "other"))[0]
    assert "no file on this machine" in compare(recipe, root, "model")[1]["m@1"]


def test_the_model_in_the_folder_is_compared(place, tmp_path):
    """Section `model` compares the file that lies where the recorded model lay; so does a plain check.

    One that is missing is a difference only to who asks for it: else it is still to be made.
    """
    root, recipe = place
    recipe["artifact"] = {
        "digest": sha256(b"model"),
        "algorithm": "sha256",
        "uri": (root / "m.joblib").as_uri(),
    }
    assert ({}, 1) == compare(recipe, root, "model")[::2]
    (root / "m.joblib").write_bytes(b"other")
    assert {"m@1": (sha256(b"model"), sha256(b"other"))} == compare(recipe, root, "model")[0]
    other = {"section": "model", "name": "m@1", "recorded": sha256(b"model"), "found": sha256(b"other")}
    assert other in check(recipe, root, python=sys.executable)["differences"]
    (root / "m.joblib").unlink()
    assert ["m@1"] == [*compare(recipe, root, "model")[0]]
    missing = {"section": "model", "name": "m@1", "why": f"no such file: {root / 'm.joblib'}"}
    assert missing in check(recipe, root, python=sys.executable)["not_compared"]
    recipe["artifact"] = None
    assert "not recorded" == compare(recipe, root, "model")[1]["digest"]


def test_packages_and_python_are_those_of_the_interpreter(place, monkeypatch):
    """Another version, a missing package and another Python are differences; further packages are named."""
    for name in RESULT_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    root, recipe = place
    import platform
    from importlib.metadata import version

    recipe["environment"] = {
        "python": "3.4.0",
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "packages": [
            {"name": "attrs", "version": version("attrs")},
            {"name": "click", "version": "0.1"},
            {"name": "gone", "version": "1"},
        ],
        "variables": {"PYTHONHASHSEED": "0"},
    }
    differences, why, _ = compare(recipe, root, "environment")
    assert {
        "python": ("3.4.0", platform.python_version()),
        "click": ("0.1", version("click")),
        "gone": ("1", "not installed"),
        "PYTHONHASHSEED": ("0", "not set"),
    } == differences
    assert "more are installed here" in why["more packages"]
    assert "they go by their versions alone" == why["files of the packages"]
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.setenv("TZ", "UTC")
    assert ("not set", "UTC") == compare(recipe, root, "environment")[0]["TZ"]
    recipe["environment"] |= {"packages": None, "variables": None, "python": None}
    differences, why, _ = compare(recipe, root, "environment")
    assert ({}, {"python", "packages", "variables"}) == (differences, set(why))


def test_a_module_beside_us_does_not_answer_for_python(place, monkeypatch):
    """What lies in the current folder under the name of a standard module is not imported."""
    root, recipe = place
    (root / "json.py").write_text("raise SystemExit('sprung')")
    monkeypatch.chdir(root)
    recipe["environment"] = {"python": "3.4.0", "packages": []}
    assert "python" in compare(recipe, root, "environment")[0]


def test_what_cannot_be_asked_is_an_error(place, tmp_path):
    """No folder, and an interpreter that is none, are errors that say what to name."""
    root, recipe = place
    with pytest.raises(ConfigError, match="no folder"):
        check(recipe, tmp_path / "gone", python=sys.executable)
    recipe["environment"] = {"python": "3.4.0"}
    for program in ("/bin/false", str(tmp_path / "none"), "/bin/echo"):
        with pytest.raises(ConfigError, match="does not answer as a Python"):
            check(recipe, root, python=program)


def test_the_answer_is_plain_json(place):
    """The answer of a check survives JSON."""
    root, recipe = place
    found = check(recipe, root, python=sys.executable)
    assert found == json.loads(json.dumps(found))
    assert "m@1" == found["model"]
