"""polars: from which files a frame came, and which files a frame went to.

Frames, lazy ones too, are made of others by their public methods: what one returns came from where the frame
and the other arguments came from.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from modeltrail.integrations import _databases, _deltatables, _frames, _layouts, _patch
from modeltrail.integrations._frames import Function
from modeltrail.observe import origins
from modeltrail.observe.weakly import Weakly

NAME: Final = "polars"
_READERS: Final = (
    *(f"read_{form}" for form in ("avro", "excel", "ipc", "ipc_stream", "json")),
    *(f"read_{form}" for form in ("lines", "ndjson", "ods", "parquet")),
    *(f"scan_{form}" for form in ("ipc", "lines", "ndjson", "parquet")),
)
_MAKE: Final = (
    "align_frames",
    "from_arrow",
    "from_dict",
    "from_numpy",
    "from_pandas",
    "scan_pyarrow_dataset",
)
_KINDS: Final = ("DataFrame", "LazyFrame", "Series")
_GROUPED: Final = (
    ("polars.dataframe.group_by", "GroupBy"),
    ("polars.dataframe.group_by", "DynamicGroupBy"),
    ("polars.dataframe.group_by", "RollingGroupBy"),
    ("polars.lazyframe.group_by", "LazyGroupBy"),
)
_JOIN: Final = frozenset(
    ["append", "extend", "hstack", "join", "join_asof", "join_where", "merge_sorted", "update", "vstack"]
)
_OPERATORS: Final = frozenset(
    f"__{name}__"
    for name in (
        *("getitem", "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "neg", "abs", "and", "or"),
        *("radd", "rsub", "rmul", "rtruediv", "invert", "eq", "ne", "lt", "le", "gt", "ge"),
        *("array", "array_ufunc"),
    )
)
_ELSEWHERE: Final = frozenset({"write_database", "write_delta", "sink_delta"})
"""What pandas and deltalake are seen to do for polars."""
_AFTER: Final = re.compile(r'\b(?:from|join)\s+"?(\w+)', re.IGNORECASE)


def activate() -> None:
    """Observe readers, writers, and how one frame is made of another."""
    polars: Any = sys.modules["polars"]
    _patch.follow_functions(NAME, _frames.functions(polars, *_READERS), _frames.observe_read)
    delimited = _frames.functions(polars, "read_csv", "scan_csv")
    _patch.follow_functions(NAME, delimited, _layouts.observe_polars)
    versioned = _frames.functions(polars, "read_delta", "scan_delta")
    _patch.follow_functions(NAME, versioned, _deltatables.observe_read)
    databases = _frames.functions(polars, "read_database", "read_database_uri")
    _patch.follow_functions(NAME, databases, observe_query)
    _patch.follow_functions(NAME, _frames.functions(polars, *_MAKE), _frames.observe_made)
    _patch.follow_functions(NAME, _frames.functions(polars, "concat"), _frames.observe_joined)
    _patch.follow_functions(NAME, _frames.functions(polars, "collect_all"), observe_collected)
    for name in _KINDS:
        _follow(vars(polars)[name])
    _patch.follow(NAME, polars.SQLContext, "register", observe_registered)
    _patch.follow(NAME, polars.SQLContext, "execute", observe_queried)
    for module, name in _GROUPED:
        grouped: Any = vars(sys.modules[module])[name]
        _patch.follow_simply(NAME, grouped, "__init__", observe_grouped)
        _frames.follow_methods(NAME, grouped, _frames.observe_made)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def _follow(kind: type) -> None:
    for name in vars(kind):
        if name in {"write_csv", "sink_csv"}:
            _patch.surround(NAME, kind, name, _layouts.expect_write, _layouts.observe_write_polars)
        elif name.startswith(("write_", "sink_")) and name not in _ELSEWHERE:
            _patch.surround(NAME, kind, name, expect_write, observe_write)
        elif name in _JOIN:
            _patch.follow_simply(NAME, kind, name, _frames.observe_joined)
        elif name == "sample":
            _patch.follow(NAME, kind, name, _frames.observe_sampled)
    built = observe_series if kind.__name__ == "Series" else _frames.observe_built
    _patch.follow_simply(NAME, kind, "__init__", built)
    _frames.follow_methods(NAME, kind, _frames.observe_made, also=_OPERATORS)


def observe_series(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A series is mostly given a name, and then its values: without a name these come first."""
    origins.carry(args[0], *args[1:3], kwargs.get("name"), kwargs.get("values"))


def observe_grouped(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Groups are of the frame that they are made of."""
    origins.carry(args[0], *args[1:2], kwargs.get("df"))


def observe_query(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What a database gave for a query, or for several parts of one."""
    given = _frames.named(function, args, kwargs)
    connection = given["connection"] if "connection" in given else given["uri"]
    queries = given["query"] if isinstance(given["query"], list) else [given["query"]]
    _databases.record_query(result, connection, *queries)


class _Table:
    """What stands for a frame that has a name in a context of SQL, to carry where it came from."""


_tables: Weakly[dict[str, _Table]] = Weakly()
"""Context -> the tables in it, by their names."""


def observe_registered(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A context of SQL has a table of this name now."""
    given = _frames.named(function, args, kwargs)
    tables = _tables.of(args[0])
    if tables is None:
        _tables.remember(args[0], tables := {})
    table = tables[given["name"]] = _Table()
    origins.carry(table, given["frame"])


def observe_queried(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What a query gives came from the tables that it names."""
    tables = _tables.of(args[0]) or {}
    query = _frames.argument(function, args, kwargs, 1)
    parse = getattr(args[0]._ctxt, "table_identifiers", None)  # noqa: SLF001  polars' own; older ones have none
    named = _AFTER.findall(query) if parse is None else parse(query, include_schema=False, unique=True)
    origins.join(result, [tables[name] for name in named if name in tables])


def observe_collected(
    function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Of several queries each gives the frame that came of it."""
    for lazy, frame in zip(_frames.argument(function, args, kwargs), result, strict=False):
        origins.carry(frame, lazy)


def expect_write(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What lies where a file is about to be written may have been read."""
    _frames.expect_written(_frames.argument(function, args, kwargs, 1))


def observe_write(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A file that was written is an output of the current run; a sink that is still to run wrote none."""
    if hasattr(result, "collect"):
        return
    _frames.record_written(args[0], _frames.argument(function, args, kwargs, 1))
