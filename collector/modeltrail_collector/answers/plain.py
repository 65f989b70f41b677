"""What DuckDB answers as plain JSON values: rows as objects, times as RFC 3339 text."""

import datetime as dt
import decimal
import math
import uuid
import warnings
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa

_Row = dict[str, Any]

_Columns = Sequence[tuple[str, object]]
"""Names and types."""

_FEW: Final = 64
"""So many rows are read as they are. Of more, Arrow writes the times: DuckDB makes a datetime of each, and
that takes longer than all other values do."""

_TIME: Final = "TIMESTAMP WITH TIME ZONE"
_PLAIN_TYPES: Final = frozenset({"VARCHAR", "BIGINT", "INTEGER", "BOOLEAN"})


def fetched(found: duckdb.DuckDBPyConnection) -> list[_Row]:
    """The rows of the statement that a connection has executed."""
    columns = [column[:2] for column in found.description or ()]
    rows = _rows(columns, found.fetchmany(_FEW))
    if len(rows) < _FEW:
        return rows
    if not any(str(type_) == _TIME for _, type_ in columns):
        return [*rows, *_rows(columns, found.fetchall())]
    with warnings.catch_warnings():  # that it copies the rows: it does so faster than they are read
        warnings.simplefilter("ignore", UserWarning)
        return [*rows, *_rows_of_table(columns, found.to_arrow_table())]


def plain_rows(found: duckdb.DuckDBPyRelation) -> list[_Row]:
    """The rows of a relation as plain JSON values."""
    return _rows(list(zip(found.columns, found.types, strict=True)), found.fetchall())


def _rows(columns: _Columns, rows: list[tuple[Any, ...]]) -> list[_Row]:
    """Rows as plain JSON values: what is plain by the type of its column is not looked at."""
    return _as_rows(columns, map(_column, (str(type_) for _, type_ in columns), zip(*rows, strict=True)))


def _rows_of_table(columns: _Columns, found: pa.Table) -> list[_Row]:
    """The same of an Arrow table."""
    return _as_rows(columns, (
        _times(column) if str(type_) == _TIME else _column(str(type_), column.to_pylist())
        for (_, type_), column in zip(columns, found.columns, strict=True)
    ))  # fmt: skip


def _as_rows(columns: _Columns, values: Iterable[Iterable[Any]]) -> list[_Row]:
    names = [name for name, _ in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _column(type_: str, column: Collection[Any]) -> Collection[Any]:
    if type_ in _PLAIN_TYPES:
        return column
    if type_ == _TIME:
        return [None if value is None else _time(value) for value in column]
    return [plain(value) for value in column]


def _times(column: pa.ChunkedArray) -> list[str | None]:
    """The times of a column, whose zone is UTC, as `_time` writes them; Arrow has a space for the T."""
    texts = column.cast(pa.timestamp("us")).cast(pa.string()).to_pylist()
    return [None if text is None else f"{text[:10]}T{text[11:]}Z" for text in texts]


def _time(value: dt.datetime) -> str:
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers that are none and durations as texts, bytes in hex."""
    match value:
        case str() | int() | None:
            return value
        case float() if not math.isfinite(value):
            return str(value)
        case decimal.Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dt.datetime():
            return _time(value)
        case dt.date() | dt.time():
            return value.isoformat()
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case dt.timedelta() | uuid.UUID():
            return str(value)
        case bytes():
            return value.hex()
        case _:
            return value
