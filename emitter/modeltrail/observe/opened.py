"""Which file stands behind an object: one that is open, or an array that is mapped to it."""

import os
import sys
from typing import Any


def file(given: Any) -> object:
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
