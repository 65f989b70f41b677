"""What git says about a folder: asked of the git executable, read-only, with a deadline.

Questions that do not need each other's answers are begun together: an answer takes git some milliseconds, of
which the host waits only for the longest.
"""

import contextlib
import hashlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from modeltrail.observe import redact
from modeltrail_schemas import digests

TIMEOUT: Final = 3.0
"""Seconds that an answer of git is waited for; what was not answered is not known, see `UnansweredError`."""
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


class UnansweredError(Exception):
    """Git is not there, refuses or takes too long: what was asked is not known."""


class Diff(msgspec.Struct, frozen=True):
    """Tracked files against the commit: SHA-256 of the whole, its redacted beginning, whether cut.

    `sha256` is None where git did not come to the end of it in time.
    """

    sha256: str | None
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
    """The work tree around `folder`; None outside of one, or in a bare repository.

    Where none of the files was touched that say so, it is as it was some seconds ago, which takes no git; nor
    does a folder that lies in no work tree.

    Raises:
        UnansweredError: there is a repository, and git tells nothing of it: it is not installed, too slow, or
            the folder is somebody else's (`safe.directory`).
    """
    directory, work_tree = os.environ.get("GIT_DIR"), os.environ.get("GIT_WORK_TREE")
    if not directory and not _has_above(folder, ".git"):
        return None
    asked = (folder, directory, work_tree)
    known = _known.get(asked)
    if known is not None and known.is_fresh:
        return known.repository
    answer = said(ask(folder, "rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-common-dir"))
    if answer is None:
        raise UnansweredError
    top, *places = answer.splitlines()[:3] or [""]
    if not top:
        return None
    found = _Known(tuple(folder / place / name for place in places for name in _TELLING))
    found.repository = _repository(Path(top))
    _known[asked] = found
    return found.repository


def _has_above(folder: Path, name: str) -> bool:
    """Whether a folder has it, or one above, as git looks for it: past symbolic links."""
    real = Path(os.path.realpath(folder))
    return any((each / name).exists() for each in (real, *real.parents))


def _repository(root: Path) -> Repository:
    """Raises UnansweredError, but for the tag: of many it can be long in coming, and says no more."""
    head = ask(root, "rev-parse", "HEAD", "--abbrev-ref", "HEAD")
    remotes = ask(root, "config", "--get-regexp", r"^remote\..*\.url$")
    tag = ask(root, "describe", "--exact-match", "--tags", "HEAD")
    name = said(tag)
    checked_out, urls = _all(head, remotes)
    commit, branch = (checked_out or "").splitlines() or ("", "")
    if not commit:  # before the first one the branch has only a name
        branch = (ask(root, "symbolic-ref", "--quiet", "--short", "HEAD")() or "").strip()
    return Repository(
        root,
        commit or None,
        branch=None if branch in {"", "HEAD"} else branch,
        url=_remote(urls or ""),
        tag=(name or "").removesuffix("\n") or None,
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


def parts(answer: str | None) -> list[str] | None:
    """The parts of an answer that git ends with NUL each; None when git did not answer."""
    return None if answer is None else [part for part in answer.split("\0") if part]


def said(answer: Callable[[], str | None]) -> str | None:
    """An answer that was asked for; None when there is none, whatever the reason."""
    with contextlib.suppress(UnansweredError):
        return answer()
    return None


def _all(*answers: Callable[[], str | None]) -> list[str | None]:
    """What was asked at once. Raises UnansweredError where one is missing, once none is waited for."""
    told: list[str | None] = []
    missing = None
    for answer in answers:
        try:
            told.append(answer())
        except UnansweredError as error:
            missing = error
    if missing is not None:
        raise missing
    return told


def ask(folder: Path, *question: str) -> Callable[[], str | None]:
    """Begin a question; what is returned waits for git's answer.

    That is None when git ends with an error, as where there is no such thing. It raises UnansweredError when
    git cannot be started or takes longer than `TIMEOUT`.
    """
    process = _begin(folder, question)
    if process is None:
        return _unanswered

    def answer() -> str | None:
        with process:
            try:
                told, _ = process.communicate(timeout=TIMEOUT)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise UnansweredError from error
        return os.fsdecode(told) if process.returncode == 0 else None

    return answer


def _begin(folder: Path, question: Sequence[str]) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            [*_SAFE, "-C", str(folder), *question],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | _ENVIRONMENT,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _remote(answer: str) -> str | None:
    urls = dict(line.split(" ", 1) for line in answer.splitlines() if " " in line)
    url = urls.get("remote.origin.url") or next((urls[name] for name in sorted(urls)), "")
    return redact.text(url) or None


def ask_diff(repository: Repository) -> Callable[[], Diff | None]:
    """Begin to compare tracked files with the commit; what is returned waits for it.

    None when they are as committed. Before the first commit they are compared with the empty tree. It raises
    UnansweredError when git failed, or did not say anything in time.
    """
    root = repository.root
    base = repository.commit or (said(ask(root, "hash-object", "-t", "tree", os.devnull)) or "").strip()
    process = _begin(root, (*digests.GIT_DIFF, base, "--"))
    if process is None:
        return _unanswered
    return lambda: _read_diff(process)


def _unanswered() -> None:
    raise UnansweredError


def _read_diff(process: subprocess.Popen[bytes]) -> Diff | None:
    """Read as it comes: it can be larger than memory."""
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
    is_whole = process.returncode == 0
    if size == 0:
        if not is_whole:
            raise UnansweredError
        return None
    if not is_whole or size > len(start):  # a secret cut in two has no shape: leave out the line that was cut
        start = start[: start.rfind(b"\n") + 1]
    shown = _shown(start)
    cut = shown[:DIFF_BYTES].decode(errors="ignore")
    is_cut = not is_whole or size > len(start) or len(shown) > DIFF_BYTES
    return Diff(hasher.hexdigest() if is_whole else None, cut, truncated=is_cut)


@lru_cache(maxsize=1)
def _shown(diff: bytes) -> bytes:
    """Without secrets; each fit outside of a run asks, and mostly nothing has changed."""
    return redact.text(diff.decode(errors="replace")).encode()
