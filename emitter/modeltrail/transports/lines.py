"""One NDJSON file per writer process: how events are kept on disk, in the inbox and in the spool.

A line counts when its newline is there. A reader may remove a file that it has taken over, while it holds the
file's exclusive lock (``flock``): a living writer holds the shared one, so its file is not removed below it.
"""

import contextlib
import os
import re
import socket
import threading
import time
from pathlib import Path

from modeltrail.errors import DeliveryError
from modeltrail.transports import forks

try:
    import fcntl
except ImportError:  # Windows: no advisory locks, and an open file cannot be removed there anyway
    fcntl = None  # type: ignore[assignment]


class LineFile:
    """Appends lines to ``<directory>/<host>-<pid>-<start>.ndjson``, made at the first line.

    Thread-safe. After a fork the child writes a file of its own.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path: Path | None = None
        self._descriptor: int | None = None
        self._made: os.stat_result | None = None
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._unsynced = False
        self._unnamed = False
        forks.renew_in_children(self)

    def append(self, line: bytes) -> None:
        """Append a line, given without its newline, by one write.

        Raises:
            DeliveryError: The disk did not take it; what it took of the line is removed again.
        """
        data = line + b"\n"
        with self._lock:
            try:
                descriptor = self._open()
                written = os.write(descriptor, data)
                if written < len(data):  # a disk that fills up takes a part
                    self._take_back(descriptor, written)
                    raise OSError(f"the disk took {written} of {len(data)} bytes")  # noqa: TRY301
            except OSError as error:
                raise DeliveryError(f"cannot write to {self.path or self.directory}: {error}") from error
            self._unsynced = True

    def sync(self) -> None:
        """Have everything written so far survive a power cut; other threads can append meanwhile.

        Raises:
            DeliveryError: The disk reports an error.
        """
        with self._syncing:
            with self._lock:
                if self.path is None or self._descriptor is None or not self._unsynced:
                    return
                path, self._unsynced = self.path, False
                unnamed, self._unnamed = self._unnamed, False
            try:
                _sync(path)
                if unnamed:
                    _sync_directory(self.directory)
            except FileNotFoundError:
                return  # somebody took it away, with all that is in it
            except OSError as error:
                self._unsynced, self._unnamed = True, self._unnamed or unnamed
                raise DeliveryError(f"cannot sync {path}: {error}") from error

    def close(self) -> None:
        """Sync and close; a later line starts a new file.

        Raises:
            DeliveryError: The disk reports an error; it is closed all the same.
        """
        try:
            self.sync()
        finally:
            with self._lock:
                self._release()

    def remove(self, size: int) -> bool:
        """Remove the file if it has just this size; say whether it had. A later line starts a new one."""
        with self._lock:
            if self.path is None or self._descriptor is None or os.fstat(self._descriptor).st_size != size:
                return False
            self.path.unlink(missing_ok=True)
            self._release()
            return True

    def detach(self) -> tuple[Path, int] | None:
        """The file, and its descriptor, which holds its lock, for the caller to close; then as `close`.

        Raises:
            DeliveryError: The disk reports an error.
        """
        with self._lock:
            if self.path is None or self._descriptor is None:
                return None
            found, self._descriptor, self._unsynced = (self.path, self._descriptor), None, False
            unnamed, self._unnamed = self._unnamed, False
        try:
            os.fsync(found[1])
            if unnamed:
                _sync_directory(self.directory)
        except OSError as error:
            raise DeliveryError(f"cannot sync {found[0]}: {error}") from error
        return found

    def _open(self) -> int:
        """The descriptor of a file that is still at its name; a new one where somebody took the last away."""
        if self._descriptor is not None:
            if self._is_at_its_name():
                return self._descriptor
            self._release()
        while True:
            descriptor = self._descriptor = self._create()
            self._made = os.fstat(descriptor)
            # Who takes over what ended processes left may have come between its making and its locking.
            if self._is_at_its_name():
                return descriptor
            self._release()

    def _create(self) -> int:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.path = self.directory / own_files().replace("*", str(time.time_ns()))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(self.path, flags, 0o640)
        if fcntl is not None:
            with contextlib.suppress(OSError):  # some network file systems know no locks
                fcntl.flock(descriptor, fcntl.LOCK_SH)
        self._unnamed = True
        return descriptor

    def _is_at_its_name(self) -> bool:
        """One call of the system for each line: at each, another thread may take the interpreter over."""
        assert self.path is not None  # noqa: S101  set together with the descriptor
        assert self._made is not None  # noqa: S101  the same
        try:
            return os.path.samestat(self._made, self.path.stat())
        except OSError:
            return False

    def _take_back(self, descriptor: int, written: int) -> None:
        """Or the torn line would swallow the start of the next one; if it fails, a new file is begun."""
        try:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        except OSError:
            self._release()

    def _release(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
        self._descriptor = None
        self._unsynced = self._unnamed = False

    def after_fork(self) -> None:
        """The parent's file stays the parent's; closing our copy of the descriptor releases nothing of it."""
        self._lock, self._syncing = threading.Lock(), threading.Lock()
        self._release()


def own_files() -> str:
    """The pattern of the names of this process's files."""
    host = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())
    return f"{host}-{os.getpid()}-*.ndjson"


def lock_unless_written(descriptor: int) -> bool:
    """Lock a file whose writer has ended, for as long as the descriptor is open; say whether it has."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def _sync_directory(directory: Path) -> None:
    """A new name is only safe once its directory is synced."""
    with contextlib.suppress(OSError):
        _sync(directory)


def _sync(path: Path) -> None:
    """By a descriptor of its own: a copy of the writer's would hold its lock in a child forked meanwhile."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
