"""Code state as git tells it, and without git; what it says about a script is true of that script."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from modeltrail.observe import code, git, untracked

IDENTITY = (
    "-c",
    "user.name=a",
    "-c",
    "user.email=a@b",
    "-c",
    "commit.gpgsign=false",
    "-c",
    "init.defaultBranch=main",
)


def run(folder, *command):
    subprocess.run(["git", "-C", str(folder), *IDENTITY, *command], check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path):
    """A repository with one commit of train.py, and a remote with credentials."""
    root = tmp_path / "repo"
    root.mkdir()
    run(root, "init")
    (root / "train.py").write_text("x = 1\n")
    run(root, "add", ".")
    run(root, "commit", "-m", "first")
    run(root, "remote", "add", "origin", "https://me:hunter2@github.com/org/repo.git")
    return root


def head(repo):
    command = ["git", "-C", str(repo), "rev-parse", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_clean_tree_is_its_commit(repo):
    """A clean work tree is its commit: not dirty, no diff, nothing untracked."""
    state = code.state(repo / "train.py")
    assert (False, "git", head(repo), None, [], str(repo)) == (
        state.dirty,
        state.vcs,
        state.commit,
        state.diff,
        state.untracked,
        state.root,
    )
    assert state.source_sha256 is None


def test_the_location_is_a_link_without_credentials(repo):
    """`sourceCodeLocation` links to the file at the commit, and holds no password."""
    run(repo, "tag", "v1")
    location = code.location(repo / "train.py")
    assert f"https://github.com/org/repo/blob/{head(repo)}/train.py" == location["url"]
    assert ("https://[redacted]@github.com/org/repo.git", "train.py", head(repo), "v1", "main") == tuple(
        location[key] for key in ("repoUrl", "path", "version", "tag", "branch")
    )


def test_a_detached_commit_has_no_branch_and_another_remote_counts(repo):
    """On a detached commit no branch is named; where no remote is `origin` it is the first by its name."""
    run(repo, "remote", "rename", "origin", "work")
    run(repo, "remote", "add", "home", "https://host/home.git")
    run(repo, "checkout", "-q", "--detach")
    location = code.location(repo / "train.py")
    assert (head(repo), "https://host/home.git") == (location["version"], location["repoUrl"])
    assert "branch" not in location


def test_a_change_makes_it_dirty(repo):
    """A changed tracked file makes it dirty; the diff is there, redacted, with the digest of the whole."""
    (repo / "train.py").write_text("x = 2\npassword = 'hunter3'\n")
    state = code.state(repo / "train.py")
    command = ["git", "-C", str(repo), "diff", "--full-index", "HEAD"]
    whole = subprocess.run(command, check=True, capture_output=True).stdout
    assert (True, hashlib.sha256(whole).hexdigest(), False) == (
        state.dirty,
        state.diff_sha256,
        state.diff_truncated,
    )
    assert "+x = 2" in state.diff
    assert "hunter3" not in state.diff


def test_a_diff_does_not_depend_on_what_the_user_configured(repo, tmp_path):
    """Whatever prefixes, context and names the user likes, `git apply` in a clone takes the diff."""
    run(repo, "config", "diff.noprefix", "true")
    run(repo, "config", "diff.context", "0")
    run(repo, "config", "diff.relative", "true")
    run(repo, "config", "core.abbrev", "5")
    (repo / "sub").mkdir()
    (repo / "sub" / "train.py").write_text("y = 1\n")
    run(repo, "add", "sub")
    (repo / "train.py").write_text("x = 2\n")
    state = code.state(repo / "sub" / "train.py")
    assert hashlib.sha256(state.diff.encode()).hexdigest() == state.diff_sha256
    run(tmp_path, "clone", str(repo), "clone")
    (tmp_path / "whole.diff").write_text(state.diff)
    run(tmp_path / "clone", "apply", str(tmp_path / "whole.diff"))
    assert "x = 2\n" == (tmp_path / "clone" / "train.py").read_text()
    assert "y = 1\n" == (tmp_path / "clone" / "sub" / "train.py").read_text()


def test_what_cannot_have_changed_is_not_asked_again(repo, monkeypatch):
    """A second look asks git for changes only, and tells each, of files, commit, branch, tag and remote."""
    script = repo / "train.py"
    asked = []
    original = git.ask
    monkeypatch.setattr(
        git, "ask", lambda folder, *question: asked.append(question) or original(folder, *question)
    )
    first = code.state(script)
    code.location(script)
    asked.clear()
    assert first == code.state(script)
    code.location(script)
    assert asked
    assert all("ls-files" in what for what in asked)
    script.write_text("edited = 1\n")
    assert (True, first.commit) == (code.state(script).dirty, code.state(script).commit)
    run(repo, "commit", "-qam", "more")
    assert (False, head(repo)) == (code.state(script).dirty, code.state(script).commit)
    assert first.commit != head(repo)
    run(repo, "switch", "-qc", "other")
    run(repo, "tag", "v9")
    run(repo, "remote", "set-url", "origin", "https://example.com/other.git")
    found = code.location(script)
    assert ("other", "v9", "https://example.com/other.git") == (
        found["branch"],
        found["tag"],
        found["repoUrl"],
    )


def asked_of(git_, monkeypatch):
    """What git is asked from here on: ("ask" or "answer", the question), in order."""
    told, original = [], git_.ask

    def ask(folder, *question):
        told.append(("ask", question[0]))
        answer = original(folder, *question)
        return lambda: told.append(("answer", question[0])) or answer()

    monkeypatch.setattr(git_, "ask", ask)
    return told


def test_questions_are_begun_together(repo, monkeypatch):
    """What does not need another's answer is asked before that is there."""
    told = asked_of(git, monkeypatch)
    git.repository(repo)
    assert [("ask", "rev-parse"), ("answer", "rev-parse")] == told[:2]
    assert [("ask", "rev-parse"), ("ask", "config"), ("ask", "describe")] == told[2:5]


def test_outside_of_a_work_tree_git_is_not_asked(tmp_path, monkeypatch):
    """A folder with no `.git` above it is in no work tree, unless the environment names one."""
    told = asked_of(git, monkeypatch)
    assert (None, []) == (git.repository(tmp_path), told)
    run(tmp_path, "init", "tree")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "tree/.git"))
    assert tmp_path == git.repository(tmp_path).root


def test_after_some_seconds_all_is_asked(repo, monkeypatch):
    """What is kept is kept for a short time."""
    found = git.repository(repo)
    assert found is git.repository(repo)
    monkeypatch.setattr(git, "KEPT", 0.0)
    assert (found, False) == (git.repository(repo), found is git.repository(repo))


def test_a_staged_change_counts(repo):
    """What is staged differs from the commit, too."""
    (repo / "train.py").write_text("x = 3\n")
    run(repo, "add", ".")
    assert "+x = 3" in code.state(repo / "train.py").diff


def test_a_long_diff_is_cut(repo):
    """A diff over 32 KiB is cut at that size, and its digest is still that of all of it."""
    (repo / "train.py").write_text("".join(f"x{n} = {n}\n" for n in range(20_000)) + "token = 'hunter4'\n")
    state = code.state(repo / "train.py")
    assert state.diff_truncated
    assert 30_000 < len(state.diff.encode()) <= 32 << 10
    command = ["git", "-C", str(repo), "diff", "--full-index", "HEAD"]
    whole = subprocess.run(command, check=True, capture_output=True).stdout
    assert hashlib.sha256(whole).hexdigest() == state.diff_sha256


def test_untracked_files_are_named_not_shown(repo):
    """Untracked files are listed by path, size and digest; ignored ones are not; they alone are not dirty."""
    (repo / ".gitignore").write_text("*.log\n")
    run(repo, "add", ".")
    run(repo, "commit", "-m", "second")
    (repo / "ü b.txt").write_text("hunter5")
    (repo / "x.log").write_text("ignored")
    (repo / "dangling").symlink_to("nowhere")
    state = code.state(repo / "train.py")
    assert not state.dirty
    digest = hashlib.sha256(b"hunter5").hexdigest()
    assert [
        {"path": "dangling", "sizeBytes": 7},
        {"path": "ü b.txt", "sizeBytes": 7, "sha256": digest},
    ] == state.untracked
    assert "hunter5" not in repr(state.to_dict())


def test_virtual_environments_are_no_code(repo):
    """The files of an environment that git does not ignore are not listed; those beside and in it are."""
    for name in ("env/pyvenv.cfg", "env/bin/python", "env/train.py", "envelope/a.py", "pyvenv.cfg"):
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).touch()
    listed = [file["path"] for file in code.state(repo / "train.py").untracked]
    assert ["env/train.py", "envelope/a.py", "pyvenv.cfg"] == listed
    assert code.state(repo / "env/train.py").dirty


def test_an_untracked_script_is_dirty(repo):
    """When git does not know the entry point, the commit does not tell what ran."""
    (repo / "new.py").write_text("")
    assert code.state(repo / "new.py").dirty


def test_untracked_files_are_bounded(repo, monkeypatch):
    """At most 100 untracked files are listed, and a large one is not read."""
    monkeypatch.setattr(untracked, "BYTES", 5)
    for number in range(120):
        (repo / f"{number:03}.txt").write_text("0123456" if number == 0 else "")
    state = code.state(repo / "train.py")
    assert (100, {"path": "000.txt", "sizeBytes": 7}) == (len(state.untracked), state.untracked[0])
    assert (True, 120) == (state.untracked_truncated, state.untracked_count)


def test_what_runs_is_listed_before_all_that_git_does_not_track(repo):
    """The script comes first, and what it imports, also what git ignores; then other code, then the rest."""
    (repo / ".gitignore").write_text("settings_here.py\n")
    run(repo, "add", ".")
    run(repo, "commit", "-m", "second")
    for number in range(120):
        (repo / f"{number:03}.txt").touch()
    for name in ("conf.yaml", "settings_here.py", "zz_late.py", "zz_utils.py"):
        (repo / name).touch()
    (repo / "zz_train.py").write_text(
        "import zz_utils, json\n"
        "from modeltrail.observe import code\n"
        "first = code.state().to_dict()\n"
        "import settings_here, zz_late, train\n"
        "print(json.dumps([first, code.with_imported(first, code.imported())]))\n"
    )
    command = [sys.executable, "zz_train.py"]
    answer = subprocess.run(command, cwd=repo, check=True, capture_output=True, text=True).stdout
    first, then = json.loads(answer)
    listed = ["zz_train.py", "zz_utils.py", "conf.yaml", "zz_late.py", "000.txt"]
    assert listed == [file["path"] for file in first["untracked"]][:5]
    assert (100, 124, True) == (
        len(first["untracked"]), first["untrackedCount"], first["untrackedTruncated"]
    )  # fmt: skip
    assert ["zz_utils.py"] == first["modules"]
    assert ["settings_here.py", "train.py", "zz_late.py", "zz_utils.py"] == then["modules"]
    assert "settings_here.py" in [file["path"] for file in then["untracked"]]
    assert {"settings_here.py"} == {f["path"] for f in then["untracked"]} - {
        f["path"] for f in first["untracked"]
    }


def test_what_modeltrail_writes_is_no_code(repo, monkeypatch):
    """Neither log nor spool is listed, nor a log of another time, by its segments; what lies beside is."""
    monkeypatch.setenv("MODELTRAIL_LOG", str(repo / "lineage"))
    monkeypatch.setenv("MODELTRAIL_SPOOL", str(repo / "spool"))
    segment = "raw/local/local/0/00000000000000000000.avro"
    for name in (
        "lineage/inbox/1.ndjson", "lineage/notes.py", "spool/1.ndjson", f"old/lineage/{segment}",
        "old/lineage/tables/runs/_delta_log/0.json", "old/lineage/.tables.lease", "raw/data.csv",
    ):  # fmt: skip
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).touch()
    state = code.state(repo / "train.py")
    assert ["lineage/notes.py", "raw/data.csv"] == [file["path"] for file in state.untracked]
    assert (False, 2) == (state.untracked_truncated, state.untracked_count)


def test_without_an_answer_untracked_files_are_not_said_to_be_none(repo, monkeypatch):
    """Where git does not list them in time, the list is said to be cut, of nobody knows how many."""
    original = git.ask
    monkeypatch.setattr(
        git,
        "ask",
        lambda folder, *words: original(folder, *words, *(["--no"] if "ls-files" in words else [])),
    )
    state = code.state(repo / "train.py")
    assert ([], True, None) == (state.untracked, state.untracked_truncated, state.untracked_count)


def test_before_the_first_commit(tmp_path):
    """A repository without commits has no commit, and its staged files are a diff from nothing."""
    run(tmp_path, "init")
    (tmp_path / "train.py").write_text("x = 1\n")
    run(tmp_path, "add", ".")
    state = code.state(tmp_path / "train.py")
    assert (None, "git", True) == (state.commit, state.vcs, state.dirty)
    assert "+x = 1" in state.diff
    assert (tmp_path / "train.py").as_uri() == code.location(tmp_path / "train.py")["url"]


def test_a_bare_repository_is_no_work_tree(tmp_path):
    """In a bare repository there is no code that could run."""
    run(tmp_path, "init", "--bare")
    (tmp_path / "train.py").write_text("x = 1\n")
    state = code.state(tmp_path / "train.py")
    assert (None, hashlib.sha256(b"x = 1\n").hexdigest()) == (state.vcs, state.source_sha256)
    assert None is code.location(tmp_path / "train.py")


def test_an_installed_program_runs_the_code_of_its_folder(repo, monkeypatch):
    """The like of dbt-ol lie beside Python: what they run is in the folder that they are called in."""
    monkeypatch.chdir(repo)
    program = Path(sys.executable).parent / "modeltrail"
    assert (head(repo), False) == attributes(code.state(program))
    (repo / "train.py").write_text("x = 2\n")
    assert (head(repo), True) == attributes(code.state(program))


def test_a_worktree_and_a_submodule_are_repositories(repo, tmp_path):
    """A linked work tree on a detached commit and a submodule are seen as what they are."""
    run(repo, "worktree", "add", "--detach", str(tmp_path / "linked"))
    assert (head(repo), False) == attributes(code.state(tmp_path / "linked" / "train.py"))
    assert "branch" not in code.location(tmp_path / "linked" / "train.py")
    outer = tmp_path / "outer"
    outer.mkdir()
    run(outer, "init")
    run(outer, "-c", "protocol.file.allow=always", "submodule", "add", str(repo), "sub")
    run(outer, "commit", "-m", "with a submodule")
    assert (head(repo), False) == attributes(code.state(outer / "sub" / "train.py"))
    (outer / "sub" / "train.py").write_text("x = 9\n")
    (outer / "main.py").write_text("")
    run(outer, "add", "main.py")
    run(outer, "commit", "-m", "main")
    assert (head(outer), True) == attributes(code.state(outer / "main.py"))


def attributes(state):
    return state.commit, state.dirty


def test_without_git_the_script_speaks_for_itself(repo, tmp_path, monkeypatch):
    """Without a git executable a repository's commit and changes are not known; outside there are none."""
    monkeypatch.setenv("PATH", "")
    state = code.state(repo / "train.py")
    assert (None, "git", None) == (state.dirty, state.vcs, state.commit)
    assert hashlib.sha256(b"x = 1\n").hexdigest() == state.source_sha256
    assert None is code.location(repo / "train.py")
    (tmp_path / "alone.py").write_text("x = 1\n")
    alone = code.state(tmp_path / "alone.py")
    assert (False, None, state.source_sha256) == (alone.dirty, alone.vcs, alone.source_sha256)


@pytest.fixture
def git_with(tmp_path, monkeypatch):
    """`git_with(word, script)` puts a git on the PATH that runs a line of shell where `word` is asked."""
    real = shutil.which("git")
    path = os.environ["PATH"]

    def put(word, script):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "git").write_text(
            f'#!/bin/sh\ncase " $* " in *" {word} "*) {script};; esac\nexec {real} "$@"\n'
        )
        (folder / "git").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{path}")
        monkeypatch.setattr(git, "TIMEOUT", 1.0)
        monkeypatch.setattr(git, "KEPT", 0.0)

    return put


SLOW = "exec sleep 1000"


@pytest.mark.parametrize("word", ["rev-parse", "--abbrev-ref", "--get-regexp"])
def test_a_slow_git_is_not_waited_for(repo, git_with, word):
    """Of a git that does not say in time what a repository is nothing is told, and not that all is clean."""
    git_with(word, SLOW)
    state = code.state(repo / "train.py")
    assert (None, None, "git") == (state.dirty, state.commit, state.vcs)
    assert state.source_sha256
    assert None is code.location(repo / "train.py")


@pytest.mark.parametrize("how", [SLOW, "exit 128"])
def test_without_an_answer_changes_are_not_said_to_be_none(repo, git_with, how):
    """Where git does not come to a diff, whether the tree is dirty is not known: not told, and cut."""
    (repo / "train.py").write_text("x = 2\n")
    git_with("diff", how)
    state = code.state(repo / "train.py")
    assert (None, None, None, True) == (state.dirty, state.diff, state.diff_sha256, state.diff_truncated)
    assert "dirty" not in state.to_dict()
    assert head(repo) == state.commit
    (repo / "new.py").write_text("")
    assert code.state(repo / "new.py").dirty


def test_a_diff_that_takes_too_long_is_told_as_far_as_it_came(repo, git_with):
    """What git said before the time was over is a change; a digest would be one of half of it."""
    git_with("diff", "echo 'diff --git a/train.py b/train.py'; exec sleep 1000")
    state = code.state(repo / "train.py")
    assert (True, None, True) == (state.dirty, state.diff_sha256, state.diff_truncated)
    assert "diff --git a/train.py b/train.py\n" == state.diff


def test_without_an_answer_a_script_is_not_said_to_be_tracked(repo, git_with):
    """Where git does not say whether it tracks what runs, that is not known, nor are all untracked files."""
    (repo / ".gitignore").write_text("new.py\n")
    run(repo, "add", ".")
    run(repo, "commit", "-m", "second")
    (repo / "new.py").write_text("")
    git_with("--literal-pathspecs", SLOW)
    state = code.state(repo / "new.py")
    assert (None, None, True) == (state.dirty, state.untracked_count, state.untracked_truncated)
    told = {"root": str(repo), "untracked": [], "untrackedTruncated": False, "untrackedCount": 0}
    told |= {"entryPoint": "train.py"}
    later = code.with_imported(told, {str(repo / "new.py"): "new"})
    assert (True, False) == (later["untrackedTruncated"], "untrackedCount" in later)


def test_a_repository_cannot_make_us_run_its_programs(repo):
    """External diffs and file monitors that a repository configures are not run."""
    trap = repo / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {repo}/sprung\n")
    trap.chmod(0o755)
    for key in ("diff.external", "core.fsmonitor", "core.pager"):
        run(repo, "config", key, str(trap))
    (repo / "train.py").write_text("x = 2\n")
    assert "+x = 2" in code.state(repo / "train.py").diff
    assert not (repo / "sprung").exists()


LOOK = (
    "import json, sys; from modeltrail.observe import code;"
    "print(json.dumps([code.state().to_dict(), code.entry_point().name]))"
)


@pytest.mark.parametrize(
    ("arguments", "entry"),
    [
        (["train.py"], "train.py"),
        (["-m", "train"], "-m train"),
        (["-m", "pack"], "-m pack"),
        (["-c", LOOK], "-c"),
        (["-"], "<stdin>"),
    ],
)
def test_the_entry_point_is_named_as_it_was_started(tmp_path, arguments, entry):
    """A script, a module, a package, `-c` and stdin are named as they were started, secrets taken out."""
    (tmp_path / "pack").mkdir()
    for script in ("train.py", "pack/__main__.py"):
        (tmp_path / script).write_text(LOOK)
    command = [sys.executable, *arguments, "--token", "hunter6"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    answer = subprocess.run(
        command, cwd=tmp_path, env=environment, input=LOOK, capture_output=True, text=True, check=True
    ).stdout
    assert f'"entryPoint": "{entry}"' in answer
    assert '"--token", "[redacted]"' in answer
    assert f'"cwd": "{tmp_path}"' in answer
    assert ('"sourceSha256"' in answer) == (entry not in {"-c", "<stdin>"})
    state = json.loads(answer)[0]
    assert [sys.executable, arguments[0], "--token", "[redacted]"] == [
        part for part in state["command"] if part not in arguments[1:]
    ]
    assert "root" not in state


def test_a_vanished_folder_is_survived(tmp_path, monkeypatch):
    """A process whose folder was removed still has a code state."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert None is code.state().cwd


def test_a_notebook_is_its_file_and_cell(tmp_path, monkeypatch):
    """Under ipykernel the notebook's path and digest are the entry point."""
    notebook = tmp_path / "train.ipynb"
    notebook.write_text("{}")
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    state = code.state()
    assert {"path": str(notebook), "sha256": hashlib.sha256(b"{}").hexdigest()} == state.notebook
    assert str(notebook) == state.entry_point


@pytest.mark.parametrize(
    ("url", "web"),
    [
        ("git@github.com:org/repo.git", "https://github.com/org/repo"),
        ("ssh://git@host:22/org/repo", "https://host/org/repo"),
        ("https://me:x@host:8443/org/repo.git", "https://host:8443/org/repo"),
        ("/srv/repo.git", None),
        ("../repo", None),
        (None, None),
    ],
)
def test_remotes_have_an_address_to_look_at(url, web):
    """A remote's URL in any form becomes the https address of its forge; a local path has none."""
    assert web == code._web(url)


def test_paths_of_the_repository_stay_relative(repo):
    """The path in the location is relative to the work tree, from any folder within."""
    deep = repo / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "run.py").write_text("")
    assert "a/b/run.py" == code.location(Path(deep / "run.py"))["path"]


def test_a_long_command_line_is_not_given_in_part():
    """A command line too long to keep whole is left out: a part of it would do something else."""
    assert ["python", "train.py"] == code.command(["python", "train.py"])
    assert None is code.command(["python", *map(str, range(code.MAX_ARGUMENTS))])


def test_the_file_of_an_asset_is_the_code(monkeypatch):
    """In an asset of Dagster the entry point is the file of its function, and not the program `dagster`."""
    dagster = ModuleType("dagster")
    dagster.DagsterInvariantViolationError = LookupError
    function = SimpleNamespace(decorated_fn=lambda: None)
    step = SimpleNamespace(op_def=SimpleNamespace(compute_fn=function))
    dagster.OpExecutionContext = SimpleNamespace(get=lambda: step)
    monkeypatch.setitem(sys.modules, "dagster", dagster)
    assert code.EntryPoint(__file__, Path(__file__)) == code.entry_point()
    step.op_def = SimpleNamespace(compute_fn=print)  # an op that is made in another way
    assert code.EntryPoint(__file__, Path(__file__)) != code.entry_point()
