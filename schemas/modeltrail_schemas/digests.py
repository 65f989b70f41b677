"""Digests of files and directories, read once and remembered until the file changes.

Who records a digest and who checks it later work it out here.
"""

import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

CHUNK: Final = 1 << 20
FULL_DIGEST_BYTES: Final = 16 << 30
"""Files up to this size are read whole; of a larger one 256 blocks of 1 MiB, evenly spaced, stand for it."""
SAMPLED_BLOCKS: Final = 256
MAX_TREE_FILES: Final = 20_000
_REMEMBERED: Final = 4096
GIT_DIFF: Final = (
    "diff",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-relative",
    "--no-renames",
    "--full-index",
    "--unified=3",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
)
"""What a digest of a diff is over: the same change is the same text, whatever the user configured."""

_cache: dict[tuple[str, int, int, int], tuple[str, str]] = {}


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
    `unreadable` as its digest.
    """
    try:
        return _tree(path) if path.is_dir() else _file(path)
    except OSError:
        return None


def sha256(path: Path) -> str | None:
    """The SHA-256 of a file's bytes in lower hex; None if it cannot be read, or not whole."""
    try:
        found = _file(path)
    except OSError:
        return None
    return found.digest if found.scope == "full" else None


def moved(path: Path) -> Path | None:
    """Where the file is now whose digest was taken at `path`, if it was renamed within its folder; else None.

    It is the same file, of the same number (inode): untouched, of the same size and time, or written on.
    """
    key = next((each for each in reversed(_cache) if each[0] == str(path)), None)
    if key is None:
        return None
    _, size, changed_at, number = key
    try:
        with os.scandir(path.parent) as entries:
            for entry in itertools.islice(entries, MAX_TREE_FILES):
                if entry.inode() == number and entry.is_file(follow_symlinks=False):
                    found, place = entry.stat(follow_symlinks=False), Path(entry.path)
                    is_same = (found.st_size, found.st_mtime_ns) == (size, changed_at)
                    return place if is_same or is_written_on(place, _cache[key][1], size) else None
    except OSError:  # the folder is gone too
        return None
    return None


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
    key = (str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino)
    found = _cache.get(key)
    if found is None:
        found = _read(path, stat.st_size)
        if len(_cache) >= _REMEMBERED:
            _cache.clear()
        _cache[key] = found
    scope, value = found
    how = None if scope == "full" else f"size and {SAMPLED_BLOCKS} evenly spaced blocks of {CHUNK} bytes"
    return Digest("sha256", value, scope, stat.st_size, how)


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
    paths = sorted(walk(root), key=lambda found: found[0])
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
