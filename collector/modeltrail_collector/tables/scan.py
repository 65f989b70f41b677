"""Delta tables in DuckDB: a snapshot's Parquet files as a view, wherever they lie; rows as Arrow again."""

import contextlib
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from modeltrail_collector import scratch
from modeltrail_collector.errors import Unavailable
from modeltrail_collector.tables.schema import FLAT, TEXT, TIME
from modeltrail_collector.tables.store import TableDamaged, files_by_bucket, place, statistics

_MEMORY: Final = "320MB"
"""What DuckDB holds before it goes on in temporary files."""

_BATCH_ROWS: Final = 10_000
_FILE: Final = re.compile(r"(?P<table>(?:(?<=['\"])[^'\"\n]*|[^\s'\"]*)/tables/\w+)/[^\s'\"]*\.parquet")

_SQL_TYPES: Final = {
    TEXT: "VARCHAR",
    TIME: "TIMESTAMPTZ",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.bool_(): "BOOLEAN",
    pa.float64(): "DOUBLE",
    pa.list_(TEXT): "VARCHAR[]",
    FLAT.field("facets").type: 'STRUCT(scope VARCHAR, namespace VARCHAR, "name" VARCHAR, "key" VARCHAR, '
    'part VARCHAR, "value" VARCHAR)[]',
}


@contextlib.contextmanager
def connect() -> Iterator[duckdb.DuckDBPyConnection]:
    """`connected` for as long as a block lasts, with `translated` errors."""
    with connected() as connection, translated():
        yield connection


def connected() -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory, in UTC, that prints nothing and keeps its temporary files to itself."""
    own = scratch.folder() / f"duckdb-{secrets.token_hex(4)}"
    config: dict[str, Any] = {"temp_directory": str(own), "memory_limit": _MEMORY}
    connection = duckdb.connect(config=config)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    # Files of a table never change: what was learned of one holds for as long as it is there.
    connection.execute("SET parquet_metadata_cache = true")
    return connection


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """DuckDB's errors in our words. Raises TableDamaged for a Parquet file that cannot be read."""
    try:
        yield
    except duckdb.Error as error:
        raise _in_our_words(error) or error from error


def confine(connection: duckdb.DuckDBPyConnection, root: str) -> None:
    """From now on the connection reads what lies below `root` (a directory or a URI) and nothing else.

    Its settings stand: no statement widens this again.
    """
    reach(connection, root)
    connection.execute(f"SET allowed_directories = [{quoted(root)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def reach(connection: duckdb.DuckDBPyConnection, root: str) -> None:
    """Let the connection read what lies below `root` also where that is in an object store."""
    if "://" in root:
        from modeltrail_collector.tables import remote

        remote.reach(connection, root.partition("://")[0])


def _in_our_words(error: duckdb.Error) -> Unavailable | None:
    """What DuckDB says of a Parquet file: an object store's errors come as a Python traceback."""
    said = str(error).strip()
    found = _FILE.search(said)
    if found is None:
        return None
    lines = [line for line in said.splitlines() if line.strip()]
    if lines[0].startswith("Traceback") and "FileNotFoundError" not in said:
        return Unavailable(f"table {found['table']} cannot be reached: {said}")
    return TableDamaged(found["table"], lines[0])


def attach(
    connection: duckdb.DuckDBPyConnection,
    view: str,
    table: DeltaTable | None,
    schema: pa.Schema,
    buckets: Iterable[str] | None = None,
    *,
    files: Iterable[str] | None = None,
) -> None:
    """Make a Delta table, some of its buckets or some of its files (URIs) a view; none is an empty one.

    The files are read where they lie: filters reach the Parquet statistics. A view stays at the version it
    was made of for as long as `upkeep` keeps that version's files.
    """
    query = reading(list(files), schema) if files is not None else reading_table(table, schema, buckets)
    if table is not None:
        reach(connection, place(table))
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {query}")


def reading_table(table: DeltaTable | None, schema: pa.Schema, buckets: Iterable[str] | None = None) -> str:
    """The SELECT of all rows of a table, or of some buckets, in the declared shape."""
    if table is None:
        return reading((), schema)
    files = files_by_bucket(table)
    chosen = files if buckets is None else [bucket for bucket in buckets if bucket in files]
    uris = [uri for bucket in chosen for uri in sorted(files[bucket])]
    return reading(uris, schema, same=are_same(statistics(table), schema))


def reading(uris: Sequence[str], schema: pa.Schema, *, same: bool = False) -> str:
    """The SELECT of all rows of Parquet files of one table, in the declared shape; `same` as of `source`."""
    return f"SELECT {names(schema)} FROM {source(uris, schema, same=same)}"  # noqa: S608  names of ours


def source(uris: Sequence[str], schema: pa.Schema, *, same: bool = False) -> str:
    """Parquet files of one table as what a SELECT is FROM, with the declared columns and no other.

    `same` says that all files have just these; else each is opened to look, which takes a millisecond. A
    column that no file has yet (written by an older version) is empty.
    """
    files = f"[{', '.join(map(quoted, uris))}], hive_partitioning = true, hive_types_autocast = false"
    if uris and same:
        return f"read_parquet({files})"
    nulls = ", ".join(f"NULL::{_SQL_TYPES[field.type]} AS {_name(field.name)}" for field in schema)
    none = f"(SELECT {nulls} WHERE false)"
    if not uris:
        return none
    return (
        f"(SELECT {names(schema)} FROM "  # noqa: S608
        f"(FROM {none} UNION ALL BY NAME FROM read_parquet({files}, union_by_name = true)))"
    )


def are_same(found: pa.Table, schema: pa.Schema) -> bool:
    """Whether every file of a table has just the columns of the schema: its `statistics` count nulls of each.

    They need not count those of lists: a version that adds one adds another column beside it.
    """
    prefix = "null_count."
    told = {name.removeprefix(prefix) for name in found.column_names if name.startswith(prefix)}
    plain = {field.name for field in schema.remove(0) if not pa.types.is_nested(field.type)}
    counted = not any(found[prefix + name].null_count for name in plain & told)
    return plain <= told <= set(schema.names) and counted


def fetch(connection: duckdb.DuckDBPyConnection, query: str, schema: pa.Schema) -> pa.RecordBatchReader:
    """The rows of a query in the declared shape, streamed: read them before the connection's next query."""
    return connection.sql(f"SELECT {names(schema)} FROM ({query})").to_arrow_reader(_BATCH_ROWS).cast(schema)  # noqa: S608


def fill(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: tuple[str, ...],
    rows: Iterable[tuple[str | None, ...]],
) -> None:
    """Make a temporary table of text columns: a registered Arrow table would do, but imports pandas."""
    lists: list[tuple[Any, ...]] = list(zip(*rows, strict=True)) or [()] * len(columns)
    values = ", ".join(f'unnest(?::VARCHAR[]) AS "{column}"' for column in columns)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {values}", [list(one) for one in lists]
    )


def _name(text: str) -> str:
    return f'"{text}"'


def names(schema: pa.Schema) -> str:
    """The columns of a schema as SQL lists them."""
    return ", ".join(map(_name, schema.names))


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
