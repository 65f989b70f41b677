"""Events into the inbox of a log: a file of this process, which `modeltrail compact` takes in.

The rules of the inbox: one file per writer, a line counts when its newline is there, and a living writer
holds a shared lock (`flock`) on its file, so that nobody removes it.
"""

import contextlib
import fcntl
import os
import re
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from modeltrail_collector.errors import Unavailable

ROTATE_BYTES: Final = 64 << 20
"""A file is removed only when its writer has left it, and a server lives long."""


class InboxSink:
    """See `Sink`. Not thread-safe; a failure leaves no torn line that the next one would be appended to."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory
        self._descriptor: int | None = None
        self._size = 0

    def put(self, values: Sequence[bytes]) -> list[None]:
        """See `Sink`."""
        # JSON has line ends between its tokens only.
        lines = [value.replace(b"\n", b" ").replace(b"\r", b" ") for value in values]
        try:
            self._append(self._opened(), b"\n".join([*lines, b""]))
        except OSError as error:
            raise Unavailable(f"cannot write to {self._path}: {error.strerror or error}") from error
        return [None] * len(values)

    def _append(self, descriptor: int, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):
                written += os.write(descriptor, data[written:] if written else data)
            os.fsync(descriptor)
        except OSError:
            if written:
                self._leave(descriptor, self._size + data.rfind(b"\n", 0, written) + 1)
            raise
        self._size += written

    def _leave(self, descriptor: int, whole: int) -> None:
        """Go on in another file: whole lines of this one may have been sealed, so they must stay."""
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, whole)
        self.close()

    def _opened(self) -> int:
        if self._descriptor is not None and (self._size >= ROTATE_BYTES or not self._is_at_its_name()):
            self.close()
        while self._descriptor is None:
            self._create()
            if not self._is_at_its_name():  # it was taken away between its making and its locking
                self.close()
        return self._descriptor

    def _create(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        host = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())
        self._path = self._directory / f"{host}-{os.getpid()}-{time.time_ns()}.ndjson"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor, self._size = os.open(self._path, flags, 0o640), 0
        with contextlib.suppress(OSError):  # some network file systems know no locks
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)  # a new name is only safe then
        finally:
            os.close(directory)

    def _is_at_its_name(self) -> bool:
        assert self._descriptor is not None  # noqa: S101  asked of an open file only
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except OSError:
            return False

    def close(self) -> None:
        """See `Sink`. All that was acknowledged is on the disk already."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
