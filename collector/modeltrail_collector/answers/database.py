"""The tables of a log as views of a DuckDB, and rows that are plain JSON."""

import contextlib
import datetime as dt
import decimal
import math
import uuid
from collections.abc import Iterator
from typing import Any

import duckdb
import msgspec

from modeltrail_collector.log import Log
from modeltrail_collector.tables import PUBLIC, reduce, table_store

Row = dict[str, Any]


class Database(msgspec.Struct, frozen=True):
    """An open DuckDB over some tables of a log."""

    connection: duckdb.DuckDBPyConnection

    def rows(self, query: str, **params: object) -> list[Row]:
        """The rows of a query as plain JSON values; `$name` stands for a parameter. Times become RFC 3339 text."""
        found = self.connection.sql(query, params=params or None)
        if found is None:
            return []
        texts = [
            f"strftime(timezone('UTC', {name}), '%Y-%m-%dT%H:%M:%S.%fZ') AS {name}"
            if str(kind) == "TIMESTAMP WITH TIME ZONE"
            else name
            for name, kind in (
                (_quoted(column), kind) for column, kind in zip(found.columns, found.types, strict=True)
            )
        ]
        # Through DuckDB's text and not through Python's times: those would need pytz, Arrow's would import pandas.
        tuples = found.project(", ".join(texts)).fetchall()
        return [
            {name: _plain(value) for name, value in zip(found.columns, row, strict=True)} for row in tuples
        ]

    def fill(self, table: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        """Make a temporary table of text columns, to join with."""
        reduce.fill(self.connection, table, columns, rows)


@contextlib.contextmanager
def database(log: Log, *names: str) -> Iterator[Database]:
    """A database with these tables of a log as views (none named: all). A table not yet written is empty."""
    tables = table_store(log)
    with reduce.connect() as connection:
        for name in names or PUBLIC:
            reduce.attach(connection, name, tables.open(name), PUBLIC[name])
        yield Database(connection)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case decimal.Decimal():
            return float(value)
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case dt.timedelta() | uuid.UUID():
            return str(value)
        case bytes():
            return value.hex()
        case _:
            return value
