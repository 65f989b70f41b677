"""The diff between two recorded states of the code: by git where it is at hand, else by what is recorded."""

import subprocess
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.answers.why import code, git
from modeltrail_collector.cli.answers import show
from modeltrail_collector.cli.reproduce import reproduce

NOBODY = ("-c", "user.name=t", "-c", "user.email=t@example.org")


def ask(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository with two commits."""
    folder = tmp_path / "repository"
    folder.mkdir()
    ask(folder, "init", "-q")
    for text in ("one\ntwo\nthree\n", "one\n2\nthree\n"):
        (folder / "train.py").write_text(text)
        ask(folder, "add", "-A")
        ask(folder, *NOBODY, "commit", "-qm", "x")
    return folder


def commits(folder: Path) -> list[str]:
    return ask(folder, "rev-list", "--reverse", "HEAD").split()


def edited(folder: Path, text: str) -> str:
    """The uncommitted diff that an edit gives; the edit is taken back."""
    (folder / "train.py").write_text(text)
    patch = ask(folder, "diff", "HEAD")
    ask(folder, "checkout", "-q", "--", ".")
    return patch


def state(commit: str | None, patch: str = "", **more) -> dict:
    found = {
        "commit": commit, "dirty": bool(patch), "diff": patch, "diff_truncated": False,
        "diff_sha256": sha256(patch.encode()).hexdigest() if patch else None, "entry_point": "train.py",
        "source_sha256": None, "notebook_sha256": None, "untracked": {}, "repository": None, "source": {},
        "unlisted": None, "consists_of": None, "changes_known": True,
        "elsewhere": None, "unread": None, "repositories": {},
    }  # fmt: skip
    return found | more


def changed(text: str) -> list[str]:
    return [line for line in text.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def test_between_commits_and_uncommitted_changes(repository) -> None:
    """Two commits, each with an uncommitted change on top, are compared as what really ran."""
    first, second = commits(repository)
    on_second = edited(repository, "one\n2\nthree\nfour\n")
    ask(repository, "checkout", "-q", first)
    on_first = edited(repository, "zero\none\ntwo\nthree\n")
    diff = git.between(repository, git.State(first, on_first), git.State(second, on_second))
    assert ["-zero", "-two", "+2", "+four"] == changed(diff)


def test_the_repository_is_left_as_it_is(repository) -> None:
    """To compare writes no object, index, reference or file there."""
    first, second = commits(repository)
    patch = edited(repository, "one\n2\nthree\nfour\n")

    def look() -> dict[Path, float]:
        return {path: path.stat().st_mtime_ns for path in repository.rglob("*")}

    before = look()
    assert git.between(repository, git.State(first), git.State(second, patch))
    assert before == look()


@pytest.mark.parametrize("commit", ["--output=/tmp/x", "HEAD", "f" * 40, "", "0" * 40 + "\n--all"])
def test_what_is_no_commit_here_is_not_asked(repository, commit: str, tmp_path) -> None:
    """A recorded commit that is none, or that this repository does not have, tells nothing."""
    assert None is git.between(repository, git.State(commit), git.State(commits(repository)[0]))
    assert None is git.between(tmp_path, git.State("a" * 40), git.State("b" * 40))


def test_a_patch_that_does_not_apply_tells_nothing(repository) -> None:
    """A diff from which a secret was taken may not apply any more: then what is recorded is told."""
    commit = commits(repository)[1]
    patch = edited(repository, "one\n2\nthree\nfour\n").replace(" three", " [redacted]")
    assert None is git.between(repository, git.State(commit), git.State(commit, patch))


def test_a_hook_of_the_repository_does_not_run(repository, tmp_path) -> None:
    """Neither a monitor nor an external diff that the repository configures is run."""
    marker = tmp_path / "ran"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {marker}\n")
    script.chmod(0o755)
    ask(repository, "config", "core.fsmonitor", str(script))
    ask(repository, "config", "diff.external", str(script))
    (repository / ".gitattributes").write_text("*.py diff=x\n")
    ask(repository, "config", "diff.x.textconv", str(script))
    first, second = commits(repository)
    assert git.between(repository, git.State(first), git.State(second))
    assert not marker.exists()


def test_on_one_commit_the_recorded_patches_suffice(repository) -> None:
    """From clean to changed the difference is the recorded patch; back it is that patch reversed."""
    commit = commits(repository)[1]
    patch = edited(repository, "one\n2\nthree\n-- four\n")
    told = code._compare(state(commit), state(commit, patch), None)
    assert ("changed", "recorded", patch) == (told["change"], told["diff_from"], told["diff"])
    assert [{"path": "train.py", "added": 1, "removed": 0}] == told["files"]
    back = code._compare(state(commit, patch), state(commit), None)
    assert [{"path": "train.py", "added": 0, "removed": 1}] == back["files"]
    (repository / "train.py").write_text("one\n2\nthree\n-- four\n")
    done = subprocess.run(["git", "apply", "-"], cwd=repository, input=back["diff"], text=True, check=False)
    assert 0 == done.returncode
    assert "one\n2\nthree\n" == (repository / "train.py").read_text()


def test_a_new_file_reversed_is_deleted(repository) -> None:
    """A patch that makes a file, reversed, takes it away."""
    (repository / "new.py").write_text("x\n")
    ask(repository, "add", "-N", "new.py")
    patch = ask(repository, "diff", "HEAD")
    commit = commits(repository)[1]
    back = code._compare(state(commit, patch), state(commit), None)["diff"]
    done = subprocess.run(["git", "apply", "-"], cwd=repository, input=back, text=True, check=False)
    assert 0 == done.returncode
    assert not (repository / "new.py").exists()


def test_without_the_repository_what_is_known_is_told(repository) -> None:
    """Two uncommitted changes are compared as texts, other commits named with the command that tells."""
    commit = commits(repository)[1]
    patches = [edited(repository, f"one\n2\nthree\n{word}\n") for word in ("four", "five")]
    told = code._compare(state(commit, patches[0]), state(commit, patches[1]), None)
    assert "parts" == told["diff_from"]
    assert {"-+four", "++five"} <= set(told["diff"].splitlines())
    apart = code._compare(state("1" * 40), state("2" * 40), None)
    assert (None, "git diff 111111111111 222222222222") == (apart["diff"], apart["ask"])


def test_what_was_committed_is_the_same_code(repository) -> None:
    """Where git says that a commit holds what was uncommitted before, no code changed."""
    first, second = commits(repository)
    sides = (state(first, ask(repository, "diff", first, second)), state(second))
    assert "same" == code._compare(*sides, repository)["change"]
    assert "changed" == code._compare(*sides, None)["change"]
    told = code._compare(sides[0], state(second, untracked={"new.py": "1"}), repository)
    assert ("changed", ["new.py"]) == (told["change"], told["untracked"])


def test_what_is_the_same_and_what_is_not_known(repository) -> None:
    """The same commit and changes are the same; a side that says nothing of its code makes it unknown."""
    commit = commits(repository)[0]
    assert "same" == code._compare(state(commit), state(commit), None)["change"]
    assert "unknown" == code._compare(state(commit), None, None)["change"]
    assert "unknown" == code._compare(state(commit), state(None), None)["change"]
    scripts = [state(None, source_sha256=digest * 64) for digest in "ab"]
    assert "changed" == code._compare(*scripts, None)["change"]


def test_without_version_control_the_same_script_is_not_the_same_code(make, log_of) -> None:
    """Of a script in no repository nothing is known of what it imports: the code is not ruled out."""
    events = [
        event
        for number in (1, 2)
        for event in make.train(number, make.base + timedelta(days=number), features="f", strength=1.0)
    ]
    for event in events[1::2]:
        told = event["run"]["facets"]["modelTrail_codeState"]
        del told["commit"]
        told |= {"dirty": False, "sourceSha256": make.digest("train.py")}
    answer = answers.why(log_of(events), "churn@2")
    assert "unknown" == answer["changes"]["code"]["change"]
    assert not [line for line in answer["unchanged"] if line.startswith("code")]
    said = "code but for train.py, which is the same: of modules that it imports nothing is known"
    assert said in answer["not_recorded"]


def test_only_source_files_count_among_the_untracked() -> None:
    """Data and models that nobody tracks differ at each run and are no code."""
    told = [{"path": "a.py", "sha256": "1"}, {"path": "m.joblib", "sha256": "2"}, {"path": 3}, "x"]
    assert {"a.py": "1"} == code._untracked(told)


def test_of_a_list_that_was_cut_the_code_is_not_ruled_out() -> None:
    """Where not all untracked files were looked at the same is not known; a file off the list is not gone."""
    cut = state("1" * 40, unlisted="50 of 152 untracked files were not looked at", untracked={"a.py": "1"})
    whole = state("1" * 40, untracked={"a.py": "1", "b.py": "2"})
    assert "unknown" == code._compare(cut, cut, None)["change"]
    assert "unknown" == code._compare(cut, whole, None)["change"]
    edited = code._compare(cut, cut | {"untracked": {"a.py": "3"}}, None)
    assert ("changed", ["a.py"]) == (edited["change"], edited["untracked"])


def test_a_list_that_was_cut_is_told(make, log_of) -> None:
    """`why` says how many files nobody looked at, and `unchanged` has no code then."""
    events = [
        event
        for number in (1, 2)
        for event in make.train(number, make.base + timedelta(days=number), features="f", strength=1.0)
    ]
    for event in events[1::2]:
        event["run"]["facets"]["modelTrail_codeState"] |= {
            "commit": "1" * 40, "dirty": False, "untracked": [{"path": "a.txt"}], "untrackedTruncated": True,
            "untrackedCount": 51,
        }  # fmt: skip
    answer = answers.why(log_of(events), "churn@2")
    assert "code of churn@2: 50 of 51 untracked files were not looked at" in answer["not_recorded"]
    assert not [line for line in answer["unchanged"] if line.startswith("code")]


def without_changes(events: list[dict], *told: dict) -> None:
    """Of each training's last event: it says a commit, and of changes no more than this."""
    for event, more in zip(events[1::2], told, strict=True):
        facet = event["run"]["facets"]["modelTrail_codeState"]
        for key in ("dirty", "diff", "diffSha256"):
            facet.pop(key, None)
        known = {"commit": "1" * 40, "vcs": "git", "elsewhere": [], "elsewhereCount": 0}
        event["run"]["facets"]["modelTrail_codeState"] = facet | known | more


CLEAN = {"dirty": False}
CHANGED = {"dirty": True, "diff": "diff --git a/x b/x\n", "diffSha256": "1" * 64}
UNKNOWN = {"diffTruncated": True}
BEGUN = {"dirty": True, "diff": "diff --git a/x b/x\n", "diffTruncated": True}


@pytest.mark.parametrize(
    "sides", [(CLEAN, UNKNOWN), (UNKNOWN, UNKNOWN), (UNKNOWN, CHANGED), (BEGUN, BEGUN), (CLEAN, {})]
)
def test_changes_that_nobody_recorded_are_no_sameness_and_no_difference(make, log_of, sides) -> None:
    """On one commit, where of one version's changes nothing is known, the code is neither cause nor out."""
    events = [
        event
        for number in (1, 2)
        for event in make.train(number, make.base + timedelta(days=number), features="f", strength=1.0)
    ]
    without_changes(events, *sides)
    log = log_of(events)
    answer = answers.why(log, "churn@2")
    assert "unknown" == answer["changes"]["code"]["change"]
    lacking = [
        f"code of churn@{n}: uncommitted changes" for n, side in ((1, sides[0]), (2, sides[1]))
        if side not in (CLEAN, CHANGED)
    ]  # fmt: skip
    assert lacking == [line for line in answer["not_recorded"] if line.startswith("code")]
    assert not [line for line in answer["unchanged"] if line.startswith("code")]
    assert not [cause for cause in answer["causes"] if cause["kind"] == "code"]


def test_changes_that_were_not_recorded_are_told_by_each_answer(make, log_of) -> None:
    """`show` and `reproduce` say that nobody knows of changes; a new entry point says nothing of others."""
    events = make.train(1, make.base, features="f", strength=1.0)
    without_changes(events, UNKNOWN | {"untracked": [{"path": "train.py"}]})
    log = log_of(events)
    recipe = answers.reproduce(log, "churn@1")
    assert "not recorded" == recipe["code"]["diff_state"]
    assert "code.diff" in recipe["not_recorded"]
    assert any(problem["text"].startswith("Whether there were") for problem in recipe["problems"])
    for command in (show, reproduce):
        shown = CliRunner().invoke(command, ["churn@1", "--log", log.uri], catch_exceptions=False).output
        (line,) = [line for line in shown.splitlines() if line.split()[:1] == ["uncommitted"]]
        assert line.split()[1:3] == ["not", "recorded"]


def outside(sha256: str | None, name: str = "ourlib") -> dict:
    return {name: {"path": f"/srv/{name}.py", "sha256": sha256}}


def test_a_module_from_outside_of_the_repository_is_code() -> None:
    """On one commit another content of it is a change, by its name wherever it lies; so is one that came."""
    commit = "1" * 40
    was = state(commit, elsewhere=outside("1"), repositories={"/srv": "aaaa"})
    moved = {"ourlib": {"path": "/home/ourlib.py", "sha256": "1"}}
    assert "same" == code._compare(was, state(commit, elsewhere=moved), None)["change"]
    now = state(commit, elsewhere=outside("2"), repositories={"/srv": "bbbb+"})
    change = code._compare(was, now, None)
    assert ("changed", ["ourlib"]) == (change["change"], change["elsewhere"])
    assert (["/srv: aaaa → bbbb+"], False) == (change["repositories"], code.only_others(change))
    came = state(commit, elsewhere=outside("1") | outside("3", "new"))
    assert ["new"] == code._compare(was, came, None)["elsewhere"]


def test_what_of_elsewhere_was_not_read_does_not_rule_the_code_out() -> None:
    """A module without a digest, or a list that was cut, leaves the code unknown where nothing differs."""
    cut = state("1" * 40, elsewhere=outside("1"), unread="the content of 1 of 2 files")
    assert "unknown" == code._compare(cut, cut, None)["change"]
    assert "unknown" == code._compare(cut, state("1" * 40, elsewhere={}), None)["change"]
    script = state(None, source_sha256="a" * 64)
    assert "unknown" == code._compare(script, script, None)["change"]
    whole = script | {"elsewhere": outside("1")}
    assert "same" == code._compare(whole, whole, None)["change"]


def test_a_fix_in_a_shared_library_is_the_cause(make, log_of) -> None:
    """It is named with its place, and the same commit alone is not called the code."""
    events = []
    for number in (1, 2, 3):
        when = make.base + timedelta(days=number)
        events += make.train(number, when, features="f", strength=1.0)
        told = events[-1]["run"]["facets"]["modelTrail_codeState"]
        file = {"name": "ourlib", "path": "/srv/ourlib.py", "sha256": make.digest(f"{min(number, 2)}")}
        told |= {"commit": "1" * 40, "dirty": False, "elsewhere": [file], "elsewhereCount": 1}
    log = log_of(events)
    (cause,) = answers.why(log, "churn@1", "churn@2")["causes"]
    assert ("code", "ourlib") == (cause["kind"], cause["subject"])
    said = "ourlib, from outside of the repository, differs: /srv/ourlib.py"
    assert said in [entry["text"] for entry in cause["evidence"]]
    answer = answers.why(log, "churn@2", "churn@3")
    assert f"code: commit {'1' * 12} and its modules from elsewhere" in answer["unchanged"]
    assert "files that the code opens by a name that it puts together" in answer["not_recorded"]


def test_data_that_is_read_is_no_code_though_git_does_not_track_it() -> None:
    """A JSON file that the run read as data is told as that."""
    sides = [state("1" * 40, untracked={"in.json": digest}) for digest in "12"]
    assert "same" == code._compare(*sides, None, {"/srv/project/in.json"})["change"]
    assert "changed" == code._compare(*sides, None)["change"]


def patch(*paths: str, to: str = "2") -> str:
    return "".join(
        f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-1\n+{to}\n"
        for path in paths
    )


def test_what_neither_program_imported_is_told_apart() -> None:
    """A Python file that was not imported is no part of the program; a configuration may be read."""
    program = {"consists_of": ["train.py", "lib/features.py"]}
    clean = state("1" * 40, **program)

    def compared(*paths: str, **more) -> tuple[list[str], bool]:
        change = code._compare(clean, state("1" * 40, patch(*paths), **program) | more, None)
        return change["others"], code.only_others(change)

    assert (["deploy.py"], True) == compared("deploy.py")
    assert (["deploy.py"], False) == compared("deploy.py", "lib/features.py")
    assert (["deploy.py"], False) == compared("deploy.py", "conf.yaml")
    assert (["deploy.py"], False) == compared("deploy.py", entry_point="other.py")
    assert ([], False) == compared("deploy.py", consists_of=None)
    assert (["deploy.py"], False) == compared("deploy.py", untracked={"conf.yaml": "1"})


def test_on_one_commit_the_same_patch_of_a_file_is_no_difference() -> None:
    """Of two uncommitted changes only the files count whose part differs."""
    sides = [state("1" * 40, patch("a.py") + patch("train.py", to=to)) for to in "23"]
    assert ["train.py"] == [file["path"] for file in code._compare(*sides, None)["files"]]


@pytest.mark.parametrize(("edited", "causes"), [("deploy.py", []), ("prepare.py", ["prepare.py +1 −1"])])  # noqa: RUF001
def test_a_preparation_is_made_differently_by_its_own_files(make, log_of, edited, causes) -> None:
    """Of a run that prepared the data its own changed files are named, and told once; others are no cause."""
    events = []
    for number in (1, 2):
        when, content = make.base + timedelta(days=number), f"features {number}"
        prepared = make.prepare(number, when, raw="customers", features=content)
        trained = make.train(number, when + timedelta(hours=1), features=content, strength=1.0)
        diff = patch(edited) if number == 2 else ""
        for event, script in ((prepared[-1], "prepare.py"), (trained[-1], "train.py")):
            event["run"]["facets"]["modelTrail_codeState"] = make.facet(
                "modelTrail_codeState",
                dirty=bool(diff), commit="1" * 40, entryPoint=script, modules=[script],
                **({"diff": diff, "diffSha256": sha256(diff.encode()).hexdigest()} if diff else {}),
            )  # fmt: skip
        events += [*prepared, *trained]
    told = answers.why(log_of(events), "churn@2")["causes"]
    found = [cause["what"] for cause in told if cause["kind"] == "preparation"]
    assert [f"was made differently: {cause}" for cause in causes] == found
    own = [cause for cause in told if cause["kind"] == "code"]
    assert ["unlikely" for _ in own if not causes] == [cause["strength"] for cause in own]
    texts = [entry["text"] for cause in own for entry in cause["against"]]
    assert (f"the program did not import {edited}" in texts) == (not causes)
