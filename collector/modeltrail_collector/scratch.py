"""Scratch: the one folder where a process puts what does not fit into its memory. It goes with the process.

One that is killed cannot remove its own; but the kernel lets go of the lock that it held, so the next process
that needs room finds whose owner is gone.
"""

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from modeltrail_collector.errors import Unavailable

PREFIX: Final = "modeltrail-scratch-"


def folder() -> Path:
    """This process's folder below `TMPDIR`, made when it is first asked for.

    Raises:
        Unavailable: There is no room for it, or no right to make it.
    """
    try:
        found = _folder(os.getpid())
        if not found.is_dir():  # who cleans TMPDIR up took it
            _folder.cache_clear()
            found = _folder(os.getpid())
    except OSError as error:
        raise Unavailable(
            f"cannot make a folder for temporary files: {error}. Make room, or let TMPDIR name another folder"
        ) from error
    return found


@cache
def _folder(owner: int) -> Path:  # by process: a fork has its own
    _remove_abandoned(Path(tempfile.gettempdir()))
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        with contextlib.suppress(FileNotFoundError):  # who looked in before it was locked removed it
            _lock(path, fcntl.LOCK_SH)  # never closed: the process's end lets go of it
            if path.is_dir():
                atexit.register(_remove_own, owner, path)
                return path


def _remove_own(owner: int, path: Path) -> None:
    if owner == os.getpid():
        shutil.rmtree(path, ignore_errors=True)


def _remove_abandoned(place: Path) -> None:
    for path in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # its owner lives, or is another user, or it is gone
            descriptor = _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_uid == os.geteuid():
                shutil.rmtree(path, ignore_errors=True)
            os.close(descriptor)


def _lock(path: Path, how: int) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
