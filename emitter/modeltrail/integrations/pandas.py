"""pandas: from which files a frame came, and which files a frame went to.

What is read is remembered beside the frame, and passed on by `__finalize__`, which pandas calls for nearly
all that it makes of a frame; what is made without it is followed by itself. Nothing is written into a frame
or its `attrs`. Methods that can work in place are left alone: pandas counts who holds a frame in them.
"""

import sys
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from modeltrail.integrations import _databases, _frames, _layouts, _patch
from modeltrail.integrations._frames import Function
from modeltrail.observe import makers, origins

NAME: Final = "pandas"
_OTHER_READERS: Final = frozenset(
    {
        "read_clipboard",
        "read_gbq",
        "read_iceberg",
        "read_pickle",
        "read_sql",
        "read_sql_query",
        "read_sql_table",
    }
)
"""Those of no file, and of what may be no data."""
_DELIMITED: Final = {
    "read_csv": _layouts.observe_pandas,
    "read_table": _layouts.observe_pandas,
    "read_fwf": _layouts.observe_fixed,
}
_FORMATS: Final = ("excel", "feather", "hdf", "json", "orc", "parquet", "pickle", "stata", "xml")
_MAKE: Final = (
    "crosstab",
    "cut",
    "factorize",
    "from_dummies",
    "get_dummies",
    "lreshape",
    "melt",
    "pivot",
    "pivot_table",
    "qcut",
    "to_datetime",
    "to_numeric",
    "to_timedelta",
    "wide_to_long",
)
_JOIN: Final = ("merge_asof", "merge_ordered")
_WHOLE: Final = (
    *("all", "any", "count", "first", "last", "max", "mean", "median", "min", "nunique", "prod", "sem"),
    *("size", "std", "sum", "var", "cumcount", "cummax", "cummin", "cumprod", "cumsum", "ngroup"),
    *("agg", "aggregate", "transform"),
)
"""Methods of groups that make several frames for one."""
_GROUPED: Final = {
    "pandas.core.groupby": ("DataFrameGroupBy", "SeriesGroupBy"),
    "pandas.core.resample": ("Resampler",),
    "pandas.core.window": ("Expanding", "ExponentialMovingWindow", "Rolling"),
}
"""With all that these derive from; groups of windows derive from the windows."""

_drawn: deque[tuple["weakref.ref[Any]", Mapping[str, Any]]] = deque(maxlen=16)
"""The index of what was drawn last, and how it was."""

_called: dict[int, int] = {}
"""Arguments of a call that is under way -> how many predictions had been made when it began."""


def activate() -> None:
    """Observe readers, writers, and how one frame is made of another."""
    pandas: Any = sys.modules["pandas"]
    readers = [name for name in vars(pandas) if name.startswith("read_")]
    readers = [name for name in readers if name not in _OTHER_READERS and name not in _DELIMITED]
    _patch.follow_functions(NAME, _frames.functions(pandas, *readers), _frames.observe_read)
    for name, after in _DELIMITED.items():
        _patch.follow_functions(NAME, _frames.functions(pandas, name), after)
    _patch.follow_functions(NAME, _frames.functions(pandas, "read_pickle"), observe_unpickled)
    _patch.follow_whole_functions(NAME, _frames.functions(pandas, *_MAKE), _frames.observe_made)
    _patch.follow_whole_functions(NAME, _frames.functions(pandas, *_JOIN), _frames.observe_joined)
    _patch.follow_whole_functions(NAME, _frames.functions(pandas, "merge"), observe_merged)
    _patch.follow_whole(NAME, pandas.DataFrame, "merge", observe_merged)
    _follow_frames(pandas.DataFrame, pandas.Series)
    _follow_parts()
    _follow_databases()


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def _follow_frames(frame: type, series: type) -> None:
    for kind in dict.fromkeys((*frame.__mro__, *series.__mro__)):
        _patch.surround(NAME, kind, "to_csv", _layouts.expect_write, _layouts.observe_write_pandas)
        for form in _FORMATS:
            _patch.surround(NAME, kind, f"to_{form}", expect_write, observe_write)
        for name in ("values", "to_numpy", "__array__", "unstack", "value_counts"):
            _patch.follow_simply(NAME, kind, name, _frames.observe_own)
        for name in ("combine", "combine_first"):
            _patch.follow_simply(NAME, kind, name, _frames.observe_joined)
        _patch.follow_simply(NAME, kind, "__finalize__", observe_finalize)
        _patch.follow(NAME, kind, "sample", observe_sampled)
        _patch.follow_simply(NAME, kind, "_drop_axis", observe_dropped)  # `drop` can work in place
        for name in ("astype", "describe", "drop_duplicates", "dropna", "stack"):
            _patch.follow_whole(NAME, kind, name, _frames.observe_own)
        _patch.surround(NAME, kind, "_set_axis", expect_renamed)
        for name in ("apply", "map"):
            _patch.surround(NAME, kind, name, expect_called, observe_called)
    for name in ("_set_item", "insert", "isetitem"):
        _patch.follow_simply(NAME, frame, name, observe_column)
    located = sys.modules["pandas.core.indexing"]._iLocIndexer  # noqa: SLF001
    _patch.follow_simply(NAME, located, "_setitem_with_indexer", observe_located)
    for kind in (frame, series):
        _patch.follow_simply(NAME, kind, "__init__", _frames.observe_built)


def _follow_parts() -> None:
    """Groups, windows, and the chunks of a large file."""
    classes = [vars(sys.modules[module])[name] for module, names in _GROUPED.items() for name in names]
    for kind in dict.fromkeys(base for each in classes for base in each.__mro__):
        if kind.__module__.startswith("pandas."):
            for name in _WHOLE:
                _patch.follow_whole(NAME, kind, name, observe_grouped)
            _frames.follow_methods(NAME, kind, observe_grouped)
    splitters: Any = sys.modules["pandas.core.groupby.ops"]
    for kind in (splitters.FrameSplitter, splitters.SeriesSplitter):
        _patch.follow_simply(NAME, kind, "_chop", observe_group)
    reader = sys.modules["pandas.io.parsers.readers"].TextFileReader
    _patch.follow(NAME, reader, "read", _frames.observe_made)


def _follow_databases() -> None:
    """Where `read_sql` and `to_sql` have a connection, whatever they were given."""
    module: Any = sys.modules["pandas.io.sql"]
    for kind in (module.SQLDatabase, module.SQLiteDatabase):
        _patch.follow(NAME, kind, "read_query", _databases.observe_query)
        _patch.surround(NAME, kind, "to_sql", _databases.expect_table, _databases.observe_write)
    _patch.follow(NAME, module.SQLDatabase, "read_table", _databases.observe_table)


def observe_finalize(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What was made of a frame, or of several."""
    other = args[1] if len(args) > 1 else kwargs.get("other")
    if kwargs.get("method") == "rename" and origins.of(result) is not None:
        return  # it began as a copy, whose columns have other names by now
    if origins.hand_on(result, other) or hasattr(type(other), "__finalize__"):
        return
    if not hasattr(other, "__dict__"):  # a number
        return
    for names in (("input_objs",), ("objs",), ("left", "right")):  # the latter two before pandas 3
        parts = [vars(other)[name] for name in names if name in vars(other)]
        if parts:
            put_together = origins.stack if len(names) == 1 else origins.join
            put_together(result, parts[0] if len(names) == 1 else parts)
            return


def observe_merged(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What was merged came from where either frame came from."""
    left = args[0] if args else kwargs["left"]
    origins.join(result, (left, args[1] if len(args) > 1 else kwargs["right"]))


def expect_renamed(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """The columns of a frame, or its rows, are about to have other labels."""
    frame, axis, labels = args
    del kwargs
    if frame.ndim == 2 and axis == 0 and len(labels) == frame.shape[1]:
        origins.rename(frame, labels)


def observe_column(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A frame that is given a column also comes from where that came from."""
    given = _frames.named(function, args, kwargs)
    columns = [given[name] for name in ("key", "column") if name in given]
    origins.put(args[0], columns or _columns(args[0], given["loc"]), given["value"], whole=True)


def observe_located(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """As `observe_column` of some rows of a frame or series, by `.loc` or `.iloc`."""
    given, target = _frames.named(function, args, kwargs), args[0].obj
    if type(given["value"]) in origins.NO_DATA:
        return
    where = given["indexer"][1] if isinstance(given["indexer"], tuple) and target.ndim == 2 else slice(None)
    if not isinstance(where, dict):  # of a column that is new: given as one
        columns = _columns(target, where) if target.ndim == 2 else (target.name,)
        origins.put(target, columns, given["value"], whole=False)


def _columns(frame: Any, where: Any) -> Any:
    """The names of columns by a number, several, a slice or a mask."""
    found = frame.columns[where]
    return found if isinstance(where, slice) or hasattr(where, "__len__") else (found,)


def observe_sampled(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Rows that were drawn of a frame, by whose index the others may be found."""
    _frames.observe_sampled(function, result, args, kwargs)
    origin = origins.of(result)
    if origin is not None and origin.split and hasattr(result, "index"):
        _drawn.append((weakref.ref(result.index), origin.split))


def observe_dropped(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """The rows that a draw left over, `frame.drop(drawn.index)`, were chosen by it too."""
    labels = args[1] if len(args) > 1 else kwargs.get("labels")
    for index, split in tuple(_drawn):
        if labels is not None and index() is labels and split["strategy"] != "bootstrap":
            _frames.choose(result, args[0], split["strategy"], split.get("seed"))
            return


def expect_called(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A function of the host's is about to be called for each row or value, and may predict."""
    del kwargs
    _called[id(args)] = origins.predictions.made


def observe_called(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What a function that predicted gave may be any of that: nobody sees what it does with it."""
    del kwargs
    if _called.pop(id(args), origins.predictions.made) < origins.predictions.made:
        origins.lose(result, [makers.names(result)])


def observe_grouped(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What groups or windows came to is made of the frame that they are of."""
    del kwargs
    origins.hand_on(result, getattr(args[0], "obj", None))


def observe_group(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A group, of many that are looked at one by one."""
    del kwargs
    origins.hand_on(result, args[0].data)


def observe_unpickled(
    function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """What is pickled may be anything: data has a shape."""
    if hasattr(result, "shape"):
        _frames.observe_read(function, result, args, kwargs)


def expect_write(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What lies where a file is about to be written may have been read."""
    where = _frames.argument(function, args, kwargs, 1)
    is_added = _layouts.is_behind(_frames.named(function, args, kwargs), where)
    _frames.expect_written(where, is_added=is_added)


def observe_write(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A file that was written is an output of the current run."""
    _frames.record_written(args[0], _frames.argument(function, args, kwargs, 1))
