"""The tables of a log as views of a DuckDB, and rows that are plain JSON."""

import contextlib
import datetime as dt
import decimal
import math
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from modeltrail_collector.log import Log
from modeltrail_collector.tables import PUBLIC, scan, table_store

Row = dict[str, Any]

_HELD_BYTES: Final = 8 << 20


class Database(msgspec.Struct, frozen=True):
    """An open DuckDB over some tables of a log."""

    connection: duckdb.DuckDBPyConnection

    def rows(self, query: str, **params: object) -> list[Row]:
        """The rows of a query as plain JSON values; `$name` stands for a parameter.

        Times become RFC 3339 text.
        """
        found = self.connection.sql(query, params=params or None)
        table = found.to_arrow_table()
        for number, field in enumerate(table.schema):
            if pa.types.is_timestamp(field.type):
                # As text here: to turn a time into Python's, pyarrow imports pandas, which takes a second.
                zone = "Z" if field.type.tz else ""
                naive = table[number].cast(pa.timestamp("us"))
                table = table.set_column(number, field.name, pc.strftime(naive, f"%Y-%m-%dT%H:%M:%S{zone}"))
        return [{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()]

    def fill(self, table: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
        """Make a temporary table of text columns, to join with."""
        scan.fill(self.connection, table, columns, rows)


@contextlib.contextmanager
def database(log: Log, *names: str, held: bool = False) -> Iterator[Database]:
    """A database with these tables of a log as views (none named: all). A table not yet written is empty.

    `held` reads the small ones into memory first: right for an answer that asks many questions.
    """
    tables = table_store(log)
    with scan.connect() as connection:
        for name in names or PUBLIC:
            table = tables.open(name)
            small = held and table is not None and _bytes(table) <= _HELD_BYTES
            scan.attach(connection, f"{name}_files" if small else name, table, PUBLIC[name])
            if small:
                connection.execute(f"CREATE TEMP TABLE {name} AS FROM {name}_files")
        yield Database(connection)


def _bytes(table: DeltaTable) -> int:
    return sum(table.get_add_actions()["size_bytes"].to_pylist())


def _plain(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case decimal.Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
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
