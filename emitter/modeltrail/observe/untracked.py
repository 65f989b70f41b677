"""Which files git does not track: what ran is named first, then other code, then the rest, up to a limit."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from modeltrail import settings
from modeltrail.observe import git, redact
from modeltrail_schemas import digests
from modeltrail_schemas.sources import SOURCE_SUFFIXES

FILES: Final = 100
"""So many are listed; more only of what the program itself consists of."""
BYTES: Final = 16 << 20
"""A file above this size is listed without a digest."""
_OF_VENV: Final = (
    "bin/", "Scripts/", "lib/", "lib64", "Lib/", "include/", "Include/", "share/", "pyvenv.cfg"
)  # fmt: skip
_OF_LOG: Final = (
    "inbox/", "raw/", "rolled/", "tables/", "relay/", "dead-letters/", "removals/", "alerts/", ".raw.",
    ".tables.", ".relay-", ".alerts.",
)  # fmt: skip
_BYTECODE: Final = re.compile(r"(.*/)?__pycache__/[^/]+\.pyc")
_SEGMENT: Final = re.compile(r"((?:.*/)?)raw/[^/]+/[^/]+/\d+/\d{20}\.avro")


class Untracked(msgspec.Struct, frozen=True):
    """Files that git does not track, and how many of them there are; None: git did not say in time.

    Each is `{"path", "sizeBytes", "sha256"}`; their content is never read out. `own` are the names of those
    among what runs; None where git did not say.
    """

    files: list[dict[str, Any]]
    count: int | None
    own: list[str] | None = None

    @property
    def is_cut(self) -> bool:
        """Whether there are more than are listed."""
        return self.count is None or self.count > len(self.files)


def look(root: Path, running: Sequence[str]) -> Untracked:
    """What git neither tracks nor ignores in a work tree, and of what runs also what it ignores.

    But for the packages of a virtual environment, which are told by name and version, what modeltrail itself
    writes, and Python's bytecode, which is another one for each copy of the same source.
    """
    asked = git.ask(root, "ls-files", "--others", "--exclude-standard", "-z")
    mine = among(root, running)
    told, own = git.parts(git.said(asked)), mine or ()
    if told is None:
        return Untracked(_files(root, own), None, mine)
    no_code = _not_code(root, told)
    code = (name for name in told if not name.startswith(no_code) and not _BYTECODE.fullmatch(name))
    others = set(code).difference(own)
    rest = sorted(others, key=lambda name: (not _is_source(name), name))
    room = max(FILES - len(own), 0)
    files = _files(root, [*own, *rest[:room]])
    return Untracked(files, None if mine is None else len(files) + len(rest[room:]), mine)


def among(root: Path, names: Sequence[str]) -> list[str] | None:
    """Those of these files that git does not track, ignored or not, in this order; None: it did not say."""
    if not names:
        return []
    asked = git.ask(root, "--literal-pathspecs", "ls-files", "--others", "-z", "--", *names)
    found = git.parts(git.said(asked))
    return None if found is None else [name for name in names if name in frozenset(found)]


def add(told: Untracked, root: Path, own: Sequence[str]) -> Untracked:
    """The same with what came to run later."""
    listed = {file["path"] for file in told.files}
    mine = among(root, own)
    more = [file for file in _files(root, mine or ()) if file["path"] not in listed]
    files = [*told.files, *more]
    return Untracked(files, None if told.count is None or mine is None else max(told.count, len(files)))


def _files(root: Path, names: Iterable[str]) -> list[dict[str, Any]]:
    return [file for name in names if (file := _file(root, name)) is not None]


def _file(root: Path, name: str) -> dict[str, Any] | None:
    path = root / name
    try:
        size = path.lstat().st_size
    except OSError:  # gone meanwhile
        return None
    digest = digests.sha256(path) if size <= BYTES and not path.is_symlink() else None
    return {"path": redact.text(name), "sizeBytes": size} | ({"sha256": digest} if digest else {})


def _is_source(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SOURCE_SUFFIXES


def _not_code(root: Path, listed: Iterable[str]) -> tuple[str, ...]:
    """How the paths of what is no code of the user's begin: virtual environments, and logs of modeltrail.

    A log shows by its segments; one that has none yet is known by the settings.
    """
    names = list(listed)
    venvs = {name.removesuffix("pyvenv.cfg") for name in names if name.endswith("/pyvenv.cfg")}
    logs = {found[1] for name in names if (found := _SEGMENT.fullmatch(name))}
    now = settings.current()
    sent_to = (now.transport or {}).get("log")
    logs.update(_below(root, [now.log, *([now.resolve(sent_to)] if isinstance(sent_to, str) else [])]))
    kept = _below(root, [now.spool, *([now.subjects_index] if now.subjects_index else [])])
    return (
        *(f"{venv}{part}" for venv in venvs for part in _OF_VENV),
        *(f"{log}{part}" for log in logs for part in _OF_LOG),
        *(place for place in kept if place),
    )


def _below(root: Path, places: Iterable[Path]) -> list[str]:
    """Folders below the work tree, as the beginning of the paths in them; empty for the top itself."""
    real = [Path(os.path.realpath(place)) for place in places]
    top = Path(os.path.realpath(root))
    found = [place.relative_to(top).as_posix() for place in real if place.is_relative_to(top)]
    return ["" if name == "." else f"{name}/" for name in found]
