"""Which version of a Delta table a frame was read from."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from modeltrail import naming
from modeltrail.integrations import _frames
from modeltrail.integrations._frames import Function
from modeltrail.observe import deltatables


def observe_read(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What polars read: of the version that it was told, else of the newest."""
    given = _frames.named(function, args, kwargs)
    record_read(result, given["source"], given.get("version"))


def record_read(result: Any, table: Any, version: Any = None) -> None:
    """A frame came from a version of a table, which is given as an object, a path or a URI."""
    _frames.record_read(result, place(table), version=_version(table, version))


def place(table: Any) -> Any:
    """Where a table lies."""
    return getattr(table, "table_uri", table)


def _version(table: Any, version: Any) -> str | None:
    """The number of a version that was asked for by it, or by a time; where nobody said one that of now."""
    if isinstance(version, int):
        return str(version)
    if hasattr(table, "version"):
        return str(table.version())
    path = naming.local_path(table)
    if path is None:
        return None
    if version is None:
        return deltatables.newest(path)
    opened = sys.modules["deltalake"].DeltaTable(str(path))
    opened.load_as_version(version)
    return str(opened.version())
