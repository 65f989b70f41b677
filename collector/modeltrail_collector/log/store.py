"""Where the log's files lie: a directory here, an object store in `objects`, memory in `testing`.

The one write is *create*: a name that is taken is never written again, whoever asks. That, and nothing else,
keeps two collectors from sealing the same offsets twice.
"""

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from modeltrail_collector.errors import ConfigError, Unavailable
from modeltrail_collector.failpoints import reached

TEMPORARY = ".tmp"


class Lease(Protocol):
    """Being the only one who does some work."""

    def check(self) -> None:
        """Before a step that must not be done by two.

        Raises:
            OwnershipLost: Somebody else took over, as this one was silent for too long.
        """


class Store(Protocol):
    """Names are relative, with `/` between parts; contents are bytes."""

    @property
    def uri(self) -> str:
        """Where it is, for people."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a new file durably and at once; False when the name is taken, and then nothing is changed.

        Raises:
            Unavailable: It may or may not have been written; read the name back before trusting either.
        """

    def read(self, name: str, length: int | None = None) -> bytes:
        """The first `length` bytes, or all.

        Raises:
            FileNotFoundError: There is no such name.
            Unavailable: The store does not answer.
        """

    def files(self, folder: str, after: str = "") -> list[str]:
        """The sorted names of the files directly in a folder (last part only) which sort after `after`."""

    def folders(self, folder: str) -> list[str]:
        """The sorted names of the folders directly in a folder (last part only)."""

    def replace(self, name: str, expected: bytes, data: bytes) -> bool:
        """Give a file that still holds `expected` other contents, durably and at once.

        The name stays taken throughout. False when it holds something else, or nothing.

        Raises:
            Unavailable: It may or may not have been replaced; read it back before trusting either.
        """

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone already is fine."""

    def lease(self, name: str) -> "AbstractContextManager[Lease]":
        """Wait to be the only one who does the work called `name`, and be it within the block.

        A holder that dies loses it. One that stops for long may lose it too: `Lease.check` says so.

        Raises:
            Unavailable: The store does not answer.
        """

    def set_aside(self, name: str, expected: bytes) -> str | None:
        """Move a file out of the way if it still holds `expected`; returns its new name.

        None when it holds something else by now, or nothing, or when this store cannot do it safely.
        """

    def clean(self, folder: str) -> int:
        """Remove what writers that died left half written in a folder; returns how many files.

        What is there then is durable, whoever wrote it and however far he came.
        """


class LocalStore:
    """A directory. Durable: data and names are synced before `create` returns.

    A file is written under a hidden name, synced, linked to its name (which fails when that is taken), and
    the directory synced. The writer holds the hidden file's lock, so that the cleaner knows the living from
    the dead.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._durable: set[Path] = set()

    @property
    def uri(self) -> str:
        """The absolute path."""
        return str(self.root)

    def create(self, name: str, data: bytes) -> bool:
        """See `Store`. A name that is taken is synced too: whoever is told of it may count on it."""
        path = self.root / name
        with _translated(f"write {path}"):
            if path.exists():
                _sync_directory(path.parent)
                return False
            self._make_directory(path.parent)
            temporary = _temporary(path)
            try:
                return self._link(temporary, path, data)
            except FileNotFoundError as error:  # a cleaner took it before we had its lock
                self._durable.clear()  # or somebody the directory
                raise Unavailable(f"{temporary} vanished while it was written") from error
            finally:
                temporary.unlink(missing_ok=True)

    @staticmethod
    def _link(temporary: Path, path: Path, data: bytes) -> bool:
        with temporary.open("xb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            reached("temporary_written")
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            finally:
                _sync_directory(path.parent)
            reached("segment_put")
        return True

    def _make_directory(self, directory: Path) -> None:
        """A directory whose name survives a power cut; also one whose maker may have died before that."""
        if directory in self._durable:
            return
        if directory == self.root:
            _make_parents(directory.parent)
        else:
            self._make_directory(directory.parent)
        directory.mkdir(exist_ok=True)
        _sync_directory(directory.parent)
        self._durable.add(directory)

    def replace(self, name: str, expected: bytes, data: bytes) -> bool:
        """See `Store`: written beside it, synced, renamed over it, under the directory's lock."""
        path = self.root / name
        temporary = _temporary(path)
        with _translated(f"replace {path}"), _locked(path.parent):
            try:
                found = self.read(name)
            except FileNotFoundError:
                return False
            if found != expected:
                _sync_directory(path.parent)
                return False
            try:
                with temporary.open("xb") as file:
                    fcntl.flock(file, fcntl.LOCK_SH)
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                    temporary.rename(path)
            finally:
                temporary.unlink(missing_ok=True)
            _sync_directory(path.parent)
        return True

    def remove(self, name: str) -> None:
        """See `Store`."""
        path = self.root / name
        with _translated(f"remove {path}"), contextlib.suppress(FileNotFoundError):
            path.unlink()
            _sync_directory(path.parent)

    @contextlib.contextmanager
    def lease(self, name: str) -> Iterator[Lease]:
        """See `Store`: a file lock, which the system frees when its owner dies."""
        with _translated(f"lock {self.root}/.{name}.lease"):
            self._make_directory(self.root)
            descriptor = os.open(self.root / f".{name}.lease", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield _Held()
        finally:
            os.close(descriptor)

    def read(self, name: str, length: int | None = None) -> bytes:
        """See `Store`."""
        path = self.root / name
        with _translated(f"read {path}"), path.open("rb") as file:
            return file.read(-1 if length is None else length)

    def files(self, folder: str, after: str = "") -> list[str]:
        """See `Store`."""
        return sorted(
            entry.name
            for entry in self._entries(folder)
            if entry.name > after and not entry.name.startswith(".") and entry.is_file()
        )

    def folders(self, folder: str) -> list[str]:
        """See `Store`."""
        return sorted(entry.name for entry in self._entries(folder) if entry.is_dir())

    def _entries(self, folder: str) -> "list[os.DirEntry[str]]":
        path = self.root / folder
        missing = contextlib.suppress(FileNotFoundError, NotADirectoryError)
        with _translated(f"list {path}"), missing, os.scandir(path) as entries:
            return list(entries)
        return []

    def set_aside(self, name: str, expected: bytes) -> str | None:
        """See `Store`. Two that found the same bad file must not move its successor: hence the lock."""
        path = self.root / name
        with _translated(f"set aside {path}"), _locked(path.parent):
            try:
                found = self.read(name)
            except FileNotFoundError:
                return None
            if found != expected:
                return None
            aside = path.with_name(f"{path.name}.bad-{secrets.token_hex(4)}")
            path.rename(aside)
            _sync_directory(path.parent)
        return str(aside.relative_to(self.root))

    def clean(self, folder: str) -> int:
        """See `Store`."""
        removed = 0
        for entry in self._entries(folder):
            if entry.name.startswith(".") and entry.name.endswith(TEMPORARY):
                removed += _remove_if_dead(Path(entry.path))
        with _translated(f"sync {folder}"), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            _sync_directory(self.root / folder)
        return removed


class _Held:
    """A lock of the kernel's is never lost before its owner's death."""

    def check(self) -> None:
        """See `Lease`."""


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}{TEMPORARY}")


def _remove_if_dead(path: Path) -> bool:
    """A lock that can be had means that the writer is gone: the kernel releases it with the process."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
        return True
    return False


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_parents(directory: Path) -> None:
    if not directory.is_dir():
        _make_parents(directory.parent)
        directory.mkdir(exist_ok=True)
        _sync_directory(directory.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _translated(action: str) -> Iterator[None]:
    """The disk's errors in the collector's words: what a retry may mend, and what it cannot."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in {errno.EPERM, errno.EOPNOTSUPP} and error.filename2 is not None:
            raise ConfigError(
                f"cannot {action}: its file system has no hard links ({error.strerror}); "
                "put the log on one that has, or on an object store"
            ) from error
        raise Unavailable(f"cannot {action}: {error.strerror or error}") from error
