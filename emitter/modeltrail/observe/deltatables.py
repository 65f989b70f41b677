"""Delta tables: which version of one a folder holds, and how that is shaped.

The commit of a version is `_delta_log/<version, 20 digits>.json` (Delta's protocol). The files of older ones
stay in the folder, so that what lies there is no version's content.
"""

import hashlib
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

_LOG: Final = "_delta_log"
_DIGITS: Final = 20


class Version(msgspec.Struct, frozen=True):
    """A version of a Delta table.

    Attributes:
        number: as text.
        commit: SHA-256 of its commit, lower hex; empty where that was cleaned up.
        fields: (column, type) pairs, in Delta's words, and rows and bytes of its files: where the program has
            loaded deltalake, which can tell.
    """

    number: str
    commit: str = ""
    fields: tuple[tuple[str, str | None], ...] = ()
    rows: int | None = None
    size_bytes: int | None = None


def look(path: Path, version: str | None = None) -> Version | None:
    """A version of the table in a folder, the newest where none is given; None where there is none."""
    number = (version or newest(path)) if (path / _LOG).is_dir() else None
    if number is None or not number.isdigit():
        return None
    with suppress(OSError):
        commit = (path / _LOG / f"{number:0>{_DIGITS}}.json").read_bytes()
        return Version(number, hashlib.sha256(commit).hexdigest(), *_shape(path, int(number)))
    return Version(number, "", *_shape(path, int(number)))


def newest(path: Path) -> str | None:
    """The number of the newest version; None of a folder that holds no Delta table."""
    numbers = [file.name[:_DIGITS] for file in (path / _LOG).glob("*.json")]
    return max((str(int(number)) for number in numbers if number.isdigit()), key=int, default=None)


def _shape(path: Path, version: int) -> tuple[Any, ...]:
    library: Any = sys.modules.get("deltalake")
    if library is None:
        return ()
    table = library.DeltaTable(str(path), version=version)
    # A field of several parts has no word for its type.
    fields = tuple((field.name, getattr(field.type, "type", None)) for field in table.schema().fields)
    files = table.get_add_actions(flatten=True)
    rows, sizes = (files[name].to_pylist() for name in ("num_records", "size_bytes"))
    known = [count for count in rows if isinstance(count, int)]
    return fields, sum(known) if len(known) == len(rows) else None, sum(sizes)
