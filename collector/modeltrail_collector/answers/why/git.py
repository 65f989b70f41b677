"""The difference of two recorded states of a repository, by git itself, which is left as it is.

A state is a commit and a patch on top. Both are built in an index and an object store of their own, in a
temporary folder that borrows the repository's objects: neither the work tree nor the repository is touched.
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from modeltrail_collector import scratch

_TIMEOUT: Final = 10.0
MOST_BYTES: Final = 256 << 10
_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")
# What a repository configures must not run: no hook, monitor, external diff or prompt.
_SAFE: Final = ("git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
                "-c", "core.quotePath=false")  # fmt: skip
_ENVIRONMENT: Final = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


class State(msgspec.Struct, frozen=True):
    """A commit and what was changed on top of it; `patch` is empty where nothing was."""

    commit: str
    patch: str = ""


def between(repository: Path, before: State, after: State) -> str | None:
    """The unified diff from one state to the other; None where this repository cannot tell it."""
    if not all(_COMMIT.fullmatch(state.commit) for state in (before, after)):
        return None
    objects = _ask(repository, {}, "rev-parse", "--path-format=absolute", "--git-path", "objects")
    if not objects:
        return None
    with tempfile.TemporaryDirectory(prefix="why-", dir=scratch.folder()) as folder:
        (Path(folder) / "objects").mkdir()
        place = {
            "GIT_OBJECT_DIRECTORY": f"{folder}/objects",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects.strip(),
        }
        trees = [
            _tree(repository, place | {"GIT_INDEX_FILE": f"{folder}/{name}"}, state)
            for name, state in (("before", before), ("after", after))
        ]
        if None in trees:
            return None
        question = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", *map(str, trees), "--")
        return _ask(repository, place, *question)


def _tree(repository: Path, place: dict[str, str], state: State) -> str | None:
    if _ask(repository, place, "read-tree", f"{state.commit}^{{commit}}") is None:
        return None
    if state.patch:
        patch = ("apply", "--cached", "--whitespace=nowarn", "-")
        if _ask(repository, place, *patch, given=state.patch) is None:
            return None
    tree = _ask(repository, place, "write-tree")
    return tree.strip() if tree else None


def _ask(repository: Path, place: dict[str, str], *question: str, given: str = "") -> str | None:
    """Git's answer, cut where it is very long; None when it has none, is missing or takes too long."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(
            [*_SAFE, "-C", str(repository), *question],
            input=given.encode("utf-8", "replace"),
            capture_output=True,
            timeout=_TIMEOUT,
            env=kept | _ENVIRONMENT | place,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return answer.stdout[:MOST_BYTES].decode(errors="replace") if answer.returncode == 0 else None
