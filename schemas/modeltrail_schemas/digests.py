"""Digests of files and directories, read once and remembered until the file changes.

Who records a digest and who checks it later work it out here.
"""

import contextlib
import hashlib
import itertools
import os
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

CHUNK: Final = 1 << 20
FULL_DIGEST_BYTES: Final = 16 << 30
"""Files up to this size are read whole; of a larger one 256 blocks of 1 MiB, evenly spaced, stand for it."""
SAMPLED_BLOCKS: Final = 256
MAX_TREE_FILES: Final = 20_000
MLFLOW_MARK: Final = ("MLmodel", "registered_model_meta")
"""What makes a folder a model of MLflow; and what MLflow adds when it is loaded by a registered name."""
_REMEMBERED: Final = 4096
GIT_DIFF: Final = (
    "-c",
    "core.quotePath=false",
    "-c",
    "diff.suppressBlankEmpty=false",
    "diff",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-relative",
    "--no-renames",
    "--full-index",
    "--unified=3",
    "--inter-hunk-context=0",
    "--diff-algorithm=myers",
    "--indent-heuristic",
    "-O/dev/null",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
)
"""What a digest of a diff is over: the same change is the same text, whatever the user configured."""

_BELOW_HERE: Final = 3
"""So deep below the working directory it is looked for what was moved."""

_cache: dict[tuple[str, int, int, int], tuple[str, str]] = {}
_noted: dict[str, tuple[int, int, int]] = {}
"""Path -> size, time and number of the file that was seen there last."""


class FileDigest(msgspec.Struct, frozen=True):
    """One file of a directory: path relative to it (POSIX), lower-hex SHA-256 and size in bytes."""

    path: str
    sha256: str
    size_bytes: int


class Digest(msgspec.Struct, frozen=True):
    """The digest of a file (`algorithm` sha256) or a directory (sha256-tree), and how much of it was read."""

    algorithm: str
    digest: str
    scope: str
    size_bytes: int
    canonicalisation: str | None = None
    files: tuple[FileDigest, ...] = ()


def digest(path: Path) -> Digest | None:
    """The digest of a file (SHA-256 of its bytes) or directory (`sha256-tree`); None if it cannot be read.

    `sha256-tree` is the SHA-256 over one line ``<sha256>  <relative path>\\n`` for every file below the
    directory, sorted by path: what `sha256sum` prints, hashed. A file that cannot be read has the word
    `unreadable` as its digest. What MLflow leaves in a model's folder when it loads it, and
    datasets of Hugging Face in that of a dataset, is none of its files.
    """
    try:
        if not path.is_dir():
            return _file(path)
        note(path)
        return _tree(path)
    except OSError:
        return None


def sha256(path: Path) -> str | None:
    """The SHA-256 of a file's bytes in lower hex; None if it cannot be read, or not whole."""
    try:
        found = _file(path)
    except OSError:
        return None
    return found.digest if found.scope == "full" else None


def recall(path: Path, size: int, changed_at: int) -> Digest | None:
    """The digest of a file as it was with this size and time (in ns), if it was worked out then."""
    states = (key for key in reversed([*_cache]) if key[:3] == (str(path), size, changed_at))
    return next((_of_file(*_cache[key], size) for key in states), None)


def note(path: Path) -> None:
    """Remember which file lies at a path, as it is now, without reading it."""
    try:
        _remember(path, path.stat())
    except OSError:
        _noted.pop(str(path), None)


def is_there(path: Path) -> bool:
    """Whether a path leads to the file that was seen there last, whatever was done to it since."""
    try:
        number = path.stat().st_ino
    except OSError:
        return False
    known = _noted.get(str(path))
    return known is None or number == known[2]


def moved(paths: Iterable[Path], among: int = MAX_TREE_FILES) -> dict[Path, Path]:
    """Where files and folders are now that were seen at these paths, if they were renamed nearby.

    Each is the same file, of the same number (inode): untouched, of the same size and time, or written on.
    Looked for is in its folder, beside that and right below, and below the working directory, among so many
    entries.
    """
    wanted = {state[2]: (path, state) for path in paths if (state := _noted.get(str(path))) is not None}
    found: dict[Path, Path] = {}
    folders = [path.parent for path, _ in wanted.values()]
    for entry in itertools.islice(_near(folders), among) if folders else ():
        known = wanted.get(entry.inode())
        if known is None or known[0] in found or entry.is_symlink():
            continue
        path, state = known
        if _state(entry.stat(follow_symlinks=False)) == state or _is_longer(Path(entry.path), path, state):
            found[path] = Path(entry.path)
        if len(found) == len(wanted):
            break
    return found


def _near(folders: Sequence[Path]) -> Iterator[os.DirEntry[str]]:
    """What lies in folders, and around them, the nearest first; hidden folders are not entered."""
    around = [*folders, *(folder.parent for folder in folders)]
    waiting = deque((os.fspath(folder), 1) for folder in around)
    with contextlib.suppress(OSError):  # the working directory may be gone
        waiting.append((os.fspath(Path.cwd()), _BELOW_HERE))
    seen: dict[str, int] = {}
    while waiting:
        folder, depth = waiting.popleft()
        if seen.get(folder, -1) >= depth:
            continue
        seen[folder] = depth
        try:
            with os.scandir(folder) as entries:
                found = list(itertools.islice(entries, MAX_TREE_FILES))
        except OSError:  # it is gone too, or somebody else's
            continue
        yield from found
        if depth:
            waiting += [
                (each.path, depth - 1)
                for each in found
                if not each.name.startswith(".") and each.is_dir(follow_symlinks=False)
            ]


def _state(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _remember(path: Path, stat: os.stat_result) -> None:
    if len(_noted) >= _REMEMBERED:
        _noted.clear()
    _noted[str(path)] = _state(stat)


def _is_longer(place: Path, path: Path, state: tuple[int, int, int]) -> bool:
    """Whether a file is the one that was seen at `path` in this state, and more."""
    scope, value = _cache.get((str(path), *state), ("none", ""))
    return scope == "full" and is_written_on(place, value, state[0])


def is_written_on(path: Path, digest: str, size: int) -> bool:
    """Whether a file begins with the `size` bytes that had this SHA-256, and has more."""
    try:
        if path.stat().st_size <= size or not path.is_file():
            return False
        hasher = hashlib.sha256()
        with path.open("rb") as file:
            while size > 0 and (block := file.read(min(size, CHUNK))):
                hasher.update(block)
                size -= len(block)
    except OSError:
        return False
    return hasher.hexdigest() == digest


def _file(path: Path) -> Digest:
    stat = path.stat()
    if not path.is_file():  # a pipe or a device would block, or never end
        raise OSError(path)
    _remember(path, stat)
    key = (str(path), *_state(stat))
    found = _cache.get(key)
    if found is None:
        found = _read(path, stat.st_size)
        if len(_cache) >= _REMEMBERED:
            _cache.clear()
        _cache[key] = found
    return _of_file(*found, stat.st_size)


def _of_file(scope: str, value: str, size: int) -> Digest:
    how = None if scope == "full" else f"size and {SAMPLED_BLOCKS} evenly spaced blocks of {CHUNK} bytes"
    return Digest("sha256", value, scope, size, how)


def _read(path: Path, size: int) -> tuple[str, str]:
    with path.open("rb") as file:
        if size <= FULL_DIGEST_BYTES:
            return "full", hashlib.file_digest(file, "sha256").hexdigest()
        hasher = hashlib.sha256(str(size).encode())
        for block in range(SAMPLED_BLOCKS):
            file.seek(block * (size - CHUNK) // (SAMPLED_BLOCKS - 1))
            hasher.update(file.read(CHUNK))
        return "sampled", hasher.hexdigest()


def _tree(root: Path) -> Digest:
    paths = sorted(_own(walk(root)), key=lambda found: found[0])
    size = sum(file_size for _, _, file_size in paths)
    if len(paths) > MAX_TREE_FILES or size > FULL_DIGEST_BYTES:
        lines = "".join(f"{file_size}  {name}\n" for name, _, file_size in paths)
        value = hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()
        return Digest("sha256-tree", value, "metadata", size, "sizes and paths of the files, sorted by path")
    files = tuple(
        FileDigest(name, sha256(Path(path)) or "unreadable", file_size) for name, path, file_size in paths
    )
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in files)
    value = hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()
    return Digest("sha256-tree", value, "full", size, "sha256sum lines sorted by path", files)


def _own(found: Iterable[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """The files of a folder without what libraries leave there that read it: it is the same afterwards."""
    files = list(found)
    names = {name for name, *_ in files}
    described, mark = MLFLOW_MARK
    left = {mark} if described in names else set()
    return [each for each in files if each[0] not in left and not _is_cache(each[0], names)]


def _is_cache(name: str, names: Collection[str]) -> bool:
    """Whether a file is what `map` or `filter` made of a dataset of Hugging Face that was read from there."""
    folder, last = name[: name.rfind("/") + 1], name.rpartition("/")[2]
    return last.startswith("cache-") and last.endswith(".arrow") and f"{folder}state.json" in names


def walk(root: Path) -> Iterator[tuple[str, str, int]]:
    """All files below `root`: (relative POSIX path, path, bytes); linked directories are not entered.

    Plain texts: of a directory of a million files each `Path` would cost more than its `stat`.
    """
    begin = len(os.path.join(root, ""))  # noqa: PTH118
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118
            try:
                size = os.stat(path).st_size  # noqa: PTH116
            except OSError:  # a broken link has a name all the same
                size = 0
            yield path[begin:].replace(os.sep, "/"), path, size
