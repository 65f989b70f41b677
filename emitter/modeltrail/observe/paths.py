"""Which places a program means: by a path, a URI, a pattern, an open file, an array that is mapped to one."""

import glob
import os
import sys
from itertools import islice
from typing import Any, Final

import msgspec

from modeltrail import naming
from modeltrail.observe.layouts import Layout

MAX_SOURCES: Final = 200
_GLOB: Final = frozenset("*?[")


class Source(msgspec.Struct, frozen=True, cache_hash=True):
    """A file, folder or URI that was read.

    Attributes:
        place: its absolute path, or the URI.
        state: size and time of change when it was read, of a local file.
        layout: how its rows lie in it, as the reader was told; None of what is no delimited file.
        version: of a table that keeps several, the one that was read.
    """

    place: str
    state: tuple[int, int] | None = None
    layout: Layout | None = None
    version: str | None = None

    @property
    def is_unchanged(self) -> bool:
        """Whether what lies there now is what was read, as far as can be told."""
        return self.state is None or self.state == state(self.place)


def places(given: object) -> list[str]:
    """The places that an argument of a reader or writer means: a path, URI, pattern, open file, or several.

    Of what is local only what exists; what is none of these means none.
    """
    if isinstance(given, list | tuple | set | frozenset):
        return [place for each in islice(given, MAX_SOURCES + 1) for place in places(each)]
    if not isinstance(given, str | os.PathLike):
        given = _opened(given)
    try:
        text = os.fspath(given)  # type: ignore[call-overload]
    except TypeError:  # no path, nor is that of a workbook that was read from memory
        return []
    if not isinstance(text, str):
        return []
    path = naming.local_path(text)
    if path is None:
        return [text]
    if path.exists():
        return [str(path)]
    return sorted(glob.glob(str(path), recursive=True)) if _GLOB & set(text) else []  # noqa: PTH207


def _opened(given: Any) -> object:
    """The path of an open file of the system's; of what is read of an archive that of the archive."""
    try:
        given = getattr(given, "buffer", given)
        if type(given).__name__ == "ZipExtFile":
            given = given._fileobj._file  # noqa: SLF001  there is no other way to it
        elif type(given).__module__ == "tarfile":
            given = given.raw.fileobj
        name = given.name if given.fileno() >= 0 else None
        return os.readlink(f"/proc/self/fd/{name}") if isinstance(name, int) else name  # noqa: PTH115
    except Exception:  # each file that is none says so in its own way
        return None


def mapped(array: Any) -> object:
    """The path of the file whose bytes an array of numpy has for its memory; None of any other object."""
    numpy = sys.modules.get("numpy")
    return array.filename if numpy is not None and type(array) is numpy.memmap else None


def state(place: str) -> tuple[int, int] | None:
    """Size and time of change of a local file as it is now."""
    path = naming.local_path(place)
    if path is None or not path.is_file():
        return None
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
