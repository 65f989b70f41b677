"""deltalake: from which version of which Delta table a frame came, and of what a version was written."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from modeltrail.integrations import _deltatables, _frames, _patch
from modeltrail.integrations._frames import Function

NAME: Final = "deltalake"


def activate() -> None:
    """Observe readers and the writer."""
    library: Any = sys.modules["deltalake"]
    for name in ("to_pandas", "to_pyarrow_table", "to_pyarrow_dataset"):
        _patch.follow(NAME, library.DeltaTable, name, observe_read)
    writers = _frames.functions(library, "write_deltalake")
    _patch.surround_functions(NAME, writers, expect_write, observe_write)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def observe_read(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What was read of a table at the version that the object stands at."""
    del kwargs
    _deltatables.record_read(result, args[0])


def expect_write(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A table that is added to holds what lay in it before."""
    given = _frames.named(function, args, kwargs)
    where = _deltatables.place(given["table_or_uri"])
    _frames.expect_written(where, is_added=given.get("mode") == "append")


def observe_write(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A version that was written is an output; by the mode `ignore` nobody knows whether one was."""
    given = _frames.named(function, args, kwargs)
    if given.get("mode") != "ignore":
        where = _deltatables.place(given["table_or_uri"])
        _frames.record_written(given["data"], where, is_added=given.get("mode") == "append")
