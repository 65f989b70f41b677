"""What changed in the code: commits, uncommitted changes, scripts and notebooks, and the diff itself."""

import difflib
import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.recipe import diff_state, unlisted
from modeltrail_collector.answers.why import elsewhere, git
from modeltrail_collector.answers.why.facts import Said, Story
from modeltrail_schemas.sources import SOURCE_SUFFIXES

_WORDS: Final = frozenset({".md", ".rst", ".txt", ".adoc"})
_PYTHON: Final = frozenset({".py", ".pyx", ".ipynb"})
_DATA: Final = frozenset({
    ".csv", ".tsv", ".parquet", ".arrow", ".feather", ".orc", ".avro", ".jsonl", ".ndjson", ".geojson",
    ".xls", ".xlsx", ".npy", ".npz", ".h5", ".hdf5", ".db", ".sqlite", ".gz", ".zst", ".zip", ".joblib",
    ".pkl", ".onnx", ".pt", ".safetensors",
})  # fmt: skip
"""Tracked files with these endings are no code; nor are those that a run read as data."""


def compare(
    before: Story,
    after: Story,
    repository: Path | None,
    runs: tuple[str, str] | tuple[None, None] = (None, None),
) -> Row:
    """The code of the two making runs, or of two others in their trails.

    `change` is same (in another commit too, where the repository says so), changed, data (of all tracked
    files only data differs), or unknown: one side's code was not recorded, or nothing differs and not all
    untracked files were looked at, or `entry_only`, under no version control all that is known of the code is
    its entry point, which is the same. Where nobody said whether there
    were uncommitted changes it is never same. `diff` is the unified diff from the one state to the other, and
    `diff_from` says how it was had: `repository` (git built both states there), `recorded` (both uncommitted
    diffs are on one commit, and in the log), `parts` (what is recorded on either side), or None; `ask` is
    then the command that tells it where the repository is. `cut`: the diff is not whole. `files` of it are
    code, `data_files` data; `others` are Python, untracked or not, that neither program had imported, where
    it is known what it had. `elsewhere` are the modules from outside of the repository that differ, and
    `repositories` what the repositories differ in that they lie in, in words.
    """
    read = {row["name"] for rows in after.datasets.values() for row in rows if row["kind"] == "dataset"}
    return _compare(_state(before, runs[0]), _state(after, runs[1]), repository, read)


def _state(story: Story, run_id: str | None) -> Row | None:
    said = story.find("modelTrail_codeState", run_id)
    location = story.find("sourceCodeLocation", run_id)
    text = story.find("sourceCode", run_id)
    either = said or location or text
    if either is None:
        return None
    value = said.value if said else {"commit": _text(location, "version"), "sourceSha256": _sha256(text)}
    commit, notebook = value.get("commit"), value.get("notebook")
    return {
        "commit": commit if isinstance(commit, str) else None,
        "dirty": value.get("dirty"),
        "diff": value["diff"] if isinstance(value.get("diff"), str) else "",
        "diff_sha256": value.get("diffSha256"),
        "diff_truncated": bool(value.get("diffTruncated")),
        "changes_known": value.get("diffSha256") is not None
        or diff_state(value, _text(location, "path")) == "none",
        "entry_point": value.get("entryPoint"),
        "source_sha256": value.get("sourceSha256"),
        "notebook_sha256": notebook.get("sha256") if isinstance(notebook, dict) else None,
        "untracked": _untracked(value.get("untracked")),
        "unlisted": unlisted(
            value.get("untracked"), value.get("untrackedTruncated"), value.get("untrackedCount")
        ),
        "consists_of": _consists_of(value.get("modules"), _text(location, "path")),
        "elsewhere": elsewhere.files(value),
        "unread": elsewhere.unread(value),
        "repositories": elsewhere.repositories(value),
        "repository": _text(location, "repoUrl"),
        "source": either.place,
    }


def _text(said: Said | None, field: str) -> str | None:
    value = said.value.get(field) if said else None
    return value if isinstance(value, str) else None


def _sha256(text: Said | None) -> str | None:
    """The digest of the source that the standard facet holds."""
    source = _text(text, "sourceCode")
    return hashlib.sha256(source.encode()).hexdigest() if source is not None else None


def _untracked(told: Any) -> dict[str, str | None]:
    return {
        entry["path"]: entry.get("sha256")
        for entry in (told if isinstance(told, list) else ())
        if isinstance(entry, dict)
        and isinstance(entry.get("path"), str)
        and Path(entry["path"]).suffix.lower() in SOURCE_SUFFIXES
    }


def _consists_of(modules: Any, entry_point: str | None) -> list[str] | None:
    """The files of the program; None where that is not known."""
    if not isinstance(modules, list):
        return None
    return [*map(str, modules), *([entry_point] if entry_point else [])]


_MOST_CHARACTERS: Final = 64 << 10
_COMPARED: Final = ("commit", "diff_sha256", "entry_point", "source_sha256", "notebook_sha256")


_TRACKED: Final = frozenset({"commit", "diff_sha256"})
"""What differs where tracked files do, and where the same files are another commit."""


def _compare(was: Row | None, now: Row | None, repository: Path | None, read: Collection[str] = ()) -> Row:
    answer: Row = {"change": "unknown", "before": was, "after": now, "entry_only": False, "diff": None,
                   "diff_from": None, "files": [], "data_files": [], "others": [], "elsewhere": [],
                   "repositories": [], "cut": False, "ask": None}  # fmt: skip
    if was is None or now is None or not _tells(was) or not _tells(now):
        return answer
    untracked, others = _loose(was, now, read), elsewhere.differing(was, now)
    is_known = was["changes_known"] and now["changes_known"]
    compared = [field for field in _COMPARED if is_known or field != "diff_sha256"]
    differing = [field for field in compared if was[field] != now[field]]
    differing += [name for name, found in (("untracked", untracked), ("elsewhere", others)) if found]
    if not differing:
        return answer | _sameness(was, now)
    answer |= {"change": "changed", "differs": differing, "elsewhere": others}
    answer["repositories"] = elsewhere.moved(was, now) if others else []
    for source, made in _WAYS:
        diff = made(was, now, repository)
        if diff == "" and source == "repository" and is_known and {*differing} <= _TRACKED:
            return answer | {"change": "same"}  # what was uncommitted was committed, mostly
        if diff:
            answer |= {"diff": diff, "diff_from": source}
            break
    commits = (was["commit"], now["commit"])
    if all(commits) and commits[0] != commits[1] and answer["diff_from"] != "repository":
        answer["ask"] = f"git diff {was['commit'][:12]} {now['commit'][:12]}"
    answer |= {"untracked": untracked, "cut": _is_cut(was, now, answer["diff"] or "")}
    answer |= _told_apart(_changed_files(was, now, answer), read)
    answer["others"] = _others(was, now, [*(file["path"] for file in answer["files"]), *untracked])
    only_data = answer["data_files"] and not answer["files"] and not untracked and _is_whole(answer)
    return answer | ({"change": "data"} if only_data and {*differing} <= _TRACKED else {})


def _sameness(was: Row, now: Row) -> Row:
    """Nothing is known to differ: whether all of the code is known."""
    sides = (was, now)
    if any(side["unlisted"] or side["unread"] for side in sides):
        return {}
    if now["commit"] and not all(side["changes_known"] for side in sides):
        return {}
    if now["commit"] or all(side["elsewhere"] is not None for side in sides):
        return {"change": "same"}
    return {"entry_only": True}


def _loose(was: Row, now: Row, read: Collection[str]) -> list[str]:
    """Untracked files that differ and are not data; of a list that is cut nobody knows what is not on it."""
    paths = {
        path
        for path in was["untracked"].keys() | now["untracked"].keys()
        if not any(name.endswith(f"/{path}") for name in read)
    }
    known = {
        path
        for path in paths
        if all(path in side["untracked"] or not side["unlisted"] for side in (was, now))
    }
    return sorted(path for path in known if was["untracked"].get(path) != now["untracked"].get(path))


def _others(was: Row, now: Row, paths: list[str]) -> list[str]:
    if was["consists_of"] is None or now["consists_of"] is None:
        return []
    own = {*was["consists_of"], *now["consists_of"]}
    return [path for path in paths if Path(path).suffix.lower() in _PYTHON and path not in own]


def only_others(change: Row) -> bool:
    """Whether all that differs is known, and is Python that neither program had imported, or data."""
    if not change["others"] or change["cut"] or change["ask"]:
        return False
    if any(change[side]["unlisted"] for side in ("before", "after")):
        return False
    left = {*(file["path"] for file in change["files"]), *change["untracked"]}.difference(change["others"])
    differs = {*change["differs"]}
    return not left and differs <= _OF_FILES and (bool(change["diff_from"]) or differs == {"untracked"})


_OF_FILES: Final = frozenset({"commit", "diff_sha256", "untracked"})


def _is_cut(was: Row, now: Row, diff: str = "") -> bool:
    if not was["changes_known"] or not now["changes_known"]:
        return True
    return was["diff_truncated"] or now["diff_truncated"] or len(diff.encode()) >= git.MOST_BYTES


def _is_whole(change: Row) -> bool:
    return change["diff_from"] in {"repository", "recorded"} and not change["cut"]


def _changed_files(was: Row, now: Row, change: Row) -> list[Row]:
    """The files of the diff; of one that is cut, or of two patches, nobody knows how many lines."""
    if _is_whole(change):
        return files(change["diff"])
    if change["diff_from"] == "parts":
        patches = [_patches(side["diff"]) for side in (was, now)]
        on_one = was["commit"] == now["commit"]  # then the same patch is no difference
        paths = [
            path
            for path in dict.fromkeys([*patches[0], *patches[1]])
            if not on_one or patches[0].get(path) != patches[1].get(path)
        ]
    else:
        paths = list(dict.fromkeys(file["path"] for file in files(change["diff"] or "")))
    return [{"path": path, "added": None, "removed": None} for path in paths]


def _patches(diff: str) -> dict[str, str]:
    """The part of a diff that each file has in it."""
    found: dict[str, str] = {}
    path = ""
    for kind, line in diff_lines(diff):
        if kind == "head" and (header := _FILE.match(line)):
            path = header[2]
        found[path] = f"{found.get(path, '')}{line}\n"
    return {path: patch for path, patch in found.items() if path}


def _told_apart(found: list[Row], read: Collection[str]) -> dict[str, list[Any]]:
    """Code and data."""
    parts = [name.split("/") for name in read]
    tails = {"/".join(several[number:]) for several in parts for number in range(len(several))}
    known = {path for file in found if Path(path := file["path"]).suffix.lower() in _DATA or path in tails}
    return {"files": [one for one in found if one["path"] not in known], "data_files": sorted(known)}


def _tells(state: Row) -> bool:
    """Whether it says which code it was, and not only where."""
    return any(state[field] for field in ("commit", "source_sha256", "notebook_sha256"))


def _by_git(was: Row, now: Row, repository: Path | None) -> str | None:
    if repository is None or not was["commit"] or not now["commit"]:
        return None
    if was["diff_truncated"] or now["diff_truncated"]:
        return None
    return _between(repository, git.State(was["commit"], was["diff"]), git.State(now["commit"], now["diff"]))


_between = lru_cache(maxsize=16)(git.between)  # the runs of a pipeline mostly ran the same two states


def _recorded(was: Row, now: Row, _: Path | None) -> str | None:
    """Where one of two states on one commit is clean, the other's patch is the difference."""
    if was["commit"] != now["commit"] or _is_cut(was, now):
        return None
    if not was["diff"]:
        return str(now["diff"])
    return None if now["diff"] else _reversed(was["diff"])


def _reversed(patch: str) -> str:
    """The patch that takes a patch back."""
    swap = {"+": "-", "-": "+"}
    lines, held = [], ""
    for kind, line in diff_lines(patch):
        if header := _HUNK.match(line) if kind == "hunk" else None:
            lines.append(f"@@ -{header[2]} +{header[1]} @@{header[3]}")
        elif kind == "body":
            lines.append(swap[line[0]] + line[1:] if line[:1] in swap else line)
        elif line.startswith("--- "):
            held = line[4:]
        elif line.startswith("+++ "):
            lines += [f"--- {line[4:].replace('b/', 'a/', 1)}", f"+++ {held.replace('a/', 'b/', 1)}"]
        else:
            lines.append(_swapped(line))
    return "\n".join(lines) + "\n"


def _swapped(line: str) -> str:
    for here, there in (("new file", "deleted file"), ("deleted file", "new file")):
        if line.startswith(here):
            return there + line.removeprefix(here)
    return line


_FILE: Final = re.compile(r"diff --git a/(.+) b/(.+)$")
_HUNK: Final = re.compile(r"@@ -(\d+(?:,\d+)?) \+(\d+(?:,\d+)?) @@(.*)")


def diff_lines(diff: str) -> Iterator[tuple[str, str]]:
    """(head, hunk or body, line): a removed line may itself begin with two dashes."""
    left = [0, 0]
    for line in diff.splitlines():
        if any(count > 0 for count in left) and line[:1] in {"+", "-", " ", "\\", ""}:
            left[0] -= line[:1] in {"-", " ", ""}
            left[1] -= line[:1] in {"+", " ", ""}
            yield "body", line
        elif header := _HUNK.match(line):
            left = [int([*header[side].split(","), "1"][1]) for side in (1, 2)]
            yield "hunk", line
        else:
            left = [0, 0]
            yield "head", line


def _parts(was: Row, now: Row, _: Path | None) -> str | None:
    """The difference of the two recorded patches, as texts."""
    if max(len(side["diff"]) for side in (was, now)) > _MOST_CHARACTERS:
        return None  # nobody of ours records more than half of that; to compare it takes minutes
    lines = difflib.unified_diff(
        was["diff"].splitlines(), now["diff"].splitlines(), "uncommitted before", "uncommitted after",
        lineterm="",
    )  # fmt: skip
    return "\n".join(lines) or None


_WAYS: Final[tuple[tuple[str, Callable[[Row, Row, Path | None], str | None]], ...]] = (
    ("repository", _by_git),
    ("recorded", _recorded),
    ("parts", _parts),
)


def files(diff: str) -> list[Row]:
    """The files of a diff, with how many lines came and went."""
    found: list[Row] = []
    for kind, line in diff_lines(diff):
        if kind == "head" and (header := _FILE.match(line)):
            found.append({"path": header[2], "added": 0, "removed": 0})
        elif kind == "body" and found:
            found[-1]["added"] += line.startswith("+")
            found[-1]["removed"] += line.startswith("-")
    return found


def only_words(change: Row) -> bool:
    """Whether all that differs is known, and is documentation or a test."""
    paths = [file["path"] for file in change["files"]]
    whole = _is_whole(change) and not change["untracked"]
    return bool(paths) and whole and all(_is_word(Path(path)) for path in paths)


def _is_word(path: Path) -> bool:
    return path.suffix.lower() in _WORDS or "tests" in path.parts or path.name.startswith("test_")
