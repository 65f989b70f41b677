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
    _patch.surround_functions(NAME, writers, _deltatables.expect_write, _deltatables.observe_write)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def observe_read(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What was read of a table at the version that the object stands at."""
    del kwargs
    _deltatables.record_read(result, args[0])
