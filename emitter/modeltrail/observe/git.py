"""What git says about a folder: asked of the git executable, read-only, with a deadline."""

import hashlib
import os
import subprocess
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from modeltrail.observe import redact
from modeltrail_schemas import digests

TIMEOUT: Final = 3.0
"""Seconds one question to git may take; what was not answered is not known."""
KEPT: Final = 10.0
"""Seconds that commit, branch, tag and remote are taken to stay where no file of git's says otherwise."""
_TELLING: Final = ("HEAD", "logs/HEAD", "config", "packed-refs", "refs/heads", "refs/tags")
DIFF_BYTES: Final = 32 << 10

# No external diff, no monitor and no prompt: asking must not run what a repository configures.
_SAFE: Final = (
    "git",
    "--no-pager",
    "--no-optional-locks",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.quotePath=false",
)
_ENVIRONMENT: Final = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


class Diff(msgspec.Struct, frozen=True):
    """Tracked files against the commit: SHA-256 of the whole, its redacted beginning, whether cut."""

    sha256: str
    text: str
    truncated: bool


class Repository(msgspec.Struct, frozen=True):
    """A work tree.

    Attributes:
        root: its top folder.
        commit: the commit checked out; None before the first one.
        branch: its branch; None when detached.
        url: the remote's URL without credentials: `origin`, else the first one.
        tag: a tag that names this commit exactly.
    """

    root: Path
    commit: str | None
    branch: str | None
    url: str | None
    tag: str | None


def repository(folder: Path) -> Repository | None:
    """The work tree around `folder`; None without git, outside of one, or in a bare repository.

    Where none of the files was touched that say so, it is as it was some seconds ago, which takes no git.
    """
    asked = (folder, *map(os.environ.get, ("GIT_DIR", "GIT_WORK_TREE")))
    known = _known.get(asked)
    if known is not None and known.is_fresh:
        return known.repository
    answer = _ask(folder, "rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-common-dir")
    top, *places = answer.splitlines()[:3] or [""]
    if not top:
        return None
    found = _Known(tuple(folder / place / name for place in places for name in _TELLING))
    found.repository = _repository(Path(top))
    _known[asked] = found
    return found.repository


def _repository(root: Path) -> Repository:
    commit, branch = _ask(root, "rev-parse", "HEAD", "--abbrev-ref", "HEAD").splitlines() or ("", "")
    if not commit:  # before the first one the branch has only a name
        branch = _ask(root, "symbolic-ref", "--quiet", "--short", "HEAD")
    return Repository(
        root,
        commit or None,
        branch=None if branch in {"", "HEAD"} else branch,
        url=_remote(root),
        tag=_ask(root, "describe", "--exact-match", "--tags", "HEAD") or None if commit else None,
    )


class _Known:
    """What was found out of a work tree, and how the files were that say so."""

    repository: Repository

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._files = files
        self._state = _state(files)
        self._at = time.monotonic()

    @property
    def is_fresh(self) -> bool:
        """Whether none of these files was touched since, and not much time has gone by."""
        return time.monotonic() - self._at < KEPT and self._state == _state(self._files)


_known: dict[tuple[Path | str | None, ...], _Known] = {}


def _state(files: tuple[Path, ...]) -> list[tuple[int, int, int] | None]:
    found: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            seen = file.stat()
            found.append((seen.st_ino, seen.st_size, seen.st_mtime_ns))
        except OSError:
            found.append(None)
    return found


def lines(folder: Path, *question: str) -> list[str] | None:
    """The parts of an answer that git ends with NUL each; None when git does not answer."""
    answer = _answer(folder, *question)
    return None if answer is None else [part for part in answer.split("\0") if part]


def _ask(folder: Path, *question: str) -> str:
    """Git's answer without the last newline; empty when it has none, is missing or takes too long."""
    return (_answer(folder, *question) or "").removesuffix("\n")


def _answer(folder: Path, *question: str) -> str | None:
    try:
        answer = subprocess.run(
            [*_SAFE, "-C", str(folder), *question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            env=os.environ | _ENVIRONMENT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return os.fsdecode(answer.stdout) if answer.returncode == 0 else None


def _remote(root: Path) -> str | None:
    lines = _ask(root, "config", "--get-regexp", r"^remote\..*\.url$").splitlines()
    urls = dict(line.split(" ", 1) for line in lines if " " in line)
    url = urls.get("remote.origin.url") or next((urls[name] for name in sorted(urls)), "")
    return redact.text(url) or None


def diff(repository: Repository) -> Diff | None:
    """Tracked files against the commit; None when they are as committed, or when git does not answer in time.

    Read as it comes: it can be larger than memory. Before the first commit it is against the empty tree.
    """
    root = repository.root
    base = repository.commit or _ask(root, "hash-object", "-t", "tree", os.devnull)
    question = (*digests.GIT_DIFF, base, "--")
    try:
        process = subprocess.Popen(
            [*_SAFE, "-C", str(root), *question],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | _ENVIRONMENT,
        )
    except OSError:
        return None
    timer = threading.Timer(TIMEOUT, process.kill)
    timer.start()
    with process:
        assert process.stdout is not None  # noqa: S101  asked for with PIPE
        hasher, start, size = hashlib.sha256(), b"", 0
        while chunk := process.stdout.read(digests.CHUNK):
            hasher.update(chunk)
            size += len(chunk)
            start += chunk[: 2 * DIFF_BYTES - len(start)]
    timer.cancel()
    if process.returncode != 0 or size == 0:
        return None
    if size > len(start):  # a secret cut in two has no shape: leave out the line that was cut
        start = start[: start.rfind(b"\n") + 1]
    shown = _shown(start)
    cut = shown[:DIFF_BYTES].decode(errors="ignore")
    return Diff(hasher.hexdigest(), cut, truncated=size > len(start) or len(shown) > DIFF_BYTES)


@lru_cache(maxsize=1)
def _shown(diff: bytes) -> bytes:
    """Without secrets; each fit outside of a run asks, and mostly nothing has changed."""
    return redact.text(diff.decode(errors="replace")).encode()
