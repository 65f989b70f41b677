"""pyarrow: from which files a table came, and which files a table went to.

Tables are written in C++: what their methods make of them cannot be observed, but for those that call Python
(`filter`, `join`, `group_by`). What most of the others make is known by the memory that it shares with what
it was made of: see `modeltrail.observe.buffers`.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from modeltrail.integrations import _frames, _imports, _layouts, _patch
from modeltrail.integrations._frames import Function
from modeltrail.observe import origins

NAME: Final = "pyarrow"
_READERS: Final = {
    "pyarrow.feather": ("read_table", "read_feather"),
    "pyarrow.json": ("read_json",),
    "pyarrow.orc": ("read_table",),
    "pyarrow.parquet": ("read_table", "read_pandas"),
}
_WRITERS: Final = {
    "pyarrow.feather": ("write_feather",),
    "pyarrow.orc": ("write_table",),
}


def activate() -> None:
    """Observe readers and writers, each format once it is imported, and how tables become frames."""
    pyarrow: Any = sys.modules["pyarrow"]
    _patch.follow_functions(NAME, [pyarrow.concat_tables], _frames.observe_joined)
    _patch.follow_functions(NAME, [pyarrow.table], _frames.observe_made)
    _imports.when_imported("pyarrow.csv", _follow_csv)
    _imports.when_imported("pyarrow.dataset", _follow_dataset)
    for module in _READERS:
        _imports.when_imported(module, _follow_format)
    _imports.when_imported("pyarrow.parquet", _follow_parquet)
    _imports.when_imported("pyarrow.pandas_compat", _follow_pandas)
    _imports.when_imported("pyarrow.acero", _follow_acero)
    _imports.when_imported("pyarrow.compute", _follow_compute)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def _follow_format(module: Any) -> None:
    readers, writers = (each.get(module.__name__, ()) for each in (_READERS, _WRITERS))
    _patch.follow_functions(NAME, _frames.functions(module, *readers), _frames.observe_read)
    _patch.surround_functions(NAME, _frames.functions(module, *writers), expect_write, observe_write)


def _follow_acero(module: Any) -> None:
    """What the methods of tables and datasets call that go through many rows."""
    made = _frames.functions(module, "_filter_table", "_group_by", "_sort_source")
    _patch.follow_functions(NAME, made, _frames.observe_made)
    joined = _frames.functions(module, "_perform_join", "_perform_join_asof")
    _patch.follow_functions(NAME, joined, _frames.observe_joined)


def _follow_compute(module: Any) -> None:
    """As methods of tables these are the same functions."""
    made = _frames.functions(module, "filter", "take", "drop_null")
    _patch.follow_functions(NAME, made, observe_chosen)


def _follow_csv(module: Any) -> None:
    _patch.follow_functions(NAME, [module.read_csv], _layouts.observe_arrow)
    _patch.surround_functions(NAME, [module.write_csv], _layouts.expect_write, _layouts.observe_write_arrow)


def _follow_dataset(module: Any) -> None:
    _patch.follow_functions(NAME, [module.dataset], _layouts.observe_dataset)
    _patch.surround_functions(NAME, [module.write_dataset], expect_write, observe_write)


def _follow_pandas(module: Any) -> None:
    _patch.follow_functions(NAME, [module.table_to_dataframe], _frames.observe_made)
    _patch.follow_functions(NAME, [module.dataframe_to_arrays], observe_arrays)


def _follow_parquet(module: Any) -> None:
    """A file that is open is read part by part; what `write_table` writes goes through a writer."""
    _patch.follow(NAME, module.ParquetFile, "__init__", observe_opened)
    _patch.follow(NAME, module.ParquetDataset, "__init__", observe_opened)
    for name in ("read", "read_row_group", "read_row_groups", "read_pandas"):
        for kind in (module.ParquetFile, module.ParquetDataset):
            _patch.follow(NAME, kind, name, _frames.observe_made)
    _patch.surround(NAME, module.ParquetWriter, "__init__", expect_write)
    for name in ("write_table", "write_batch"):
        _patch.follow(NAME, module.ParquetWriter, name, observe_part)
    _patch.follow(NAME, module.ParquetWriter, "close", observe_closed)


def observe_opened(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What is read of an open file comes from it."""
    _frames.record_read(args[0], _frames.argument(function, args, kwargs, 1))


def observe_chosen(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Rows that were chosen came from where the table came from, whatever said which ones."""
    origins.carry(result, *args[:1], *(kwargs[name] for name in ("input", "data") if name in kwargs))


def observe_arrays(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What `Table.from_pandas` puts together, which is not seen itself."""
    origins.carry(result[0], *args[:1], kwargs.get("df"))


def observe_part(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What a writer has written comes from where its tables came from."""
    origins.carry(args[0], *args[1:2], *kwargs.values())


def observe_closed(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A file that is complete is an output of the current run."""
    del kwargs
    _frames.record_written(args[0], args[0].where)


def expect_write(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What lies where a file is about to be written may have been read."""
    _frames.expect_written(_frames.argument(function, args, kwargs, 1))


def observe_write(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A file that was written is an output of the current run."""
    table, place = (_frames.argument(function, args, kwargs, position) for position in (0, 1))
    _frames.record_written(table, place)
