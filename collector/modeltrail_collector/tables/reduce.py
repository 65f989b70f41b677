"""Flat rows -> the reduced tables, in DuckDB; the SQL of each table lies in `sql/<table>.sql`."""

import math
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Final

import duckdb
import msgspec
import pyarrow as pa
from deltalake import DeltaTable

from modeltrail_collector import scratch
from modeltrail_collector.model import LogPartition
from modeltrail_collector.tables.scan import attach, connect, fetch, fill, quoted
from modeltrail_collector.tables.schema import BY_NAME, BY_RUN, FLAT, ORDER
from modeltrail_collector.tables.store import among, statistics

_STEPS: Final = {
    "events": "event",
    "facets": "facet",
    "runs": "runs",
    "moves": "moved",
    "places": "places",
    "edges": "edges",
}
"""What others read, in this order, and what their SQL calls it."""

PART_ROWS: Final = 60_000
PART_BYTES: Final = 8 << 20
"""So much of `flat` is derived at once, whichever is reached first; in memory it is ten times its files."""

FROM_FLAT: Final = {**BY_RUN, **BY_NAME}
"""What is derived from `flat` alone, in this order."""


def sql_of(name: str) -> str:
    """The statement that derives a table."""
    return resources.files("modeltrail_collector.tables").joinpath(f"sql/{name}.sql").read_text()


class Touched(msgspec.Struct, frozen=True):
    """What has to be derived again: in these buckets, these runs (None: all) and what has no run."""

    buckets: set[str]
    runs: set[str] | None

    def predicate(self, name: str) -> str:
        """SQL that is true for the rows of a table by run, or by name, that are derived again."""
        buckets = among("run_bucket" if name in BY_NAME else "bucket", self.buckets)
        return (
            buckets
            if self.runs is None
            else f"{buckets} AND ({among('run_id', self.runs)} OR run_id IS NULL)"
        )


def by_run(
    flat: DeltaTable | pa.Table,
    touched: Touched | None = None,
    wanted: Collection[str] = FROM_FLAT.keys(),
    tell: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[str, pa.RecordBatchReader]]:
    """Each wanted table of `BY_RUN` and `BY_NAME` with its rows for what was touched (None: all of `flat`).

    The rows of one have to be read before the next is asked for. Of much that was touched a part is derived
    after the other: `tell` is told its number.
    """
    with connect() as connection:
        parts: list[str] = []
        if isinstance(flat, DeltaTable):
            attach(connection, "flat", flat, FLAT, touched.buckets if touched else None)
            if touched is None or touched.runs is None:
                parts = _parts(connection, flat, touched.buckets if touched else None)
        else:
            connection.register("flat", flat)
        if touched and touched.runs is not None:
            fill(connection, "touched_run", ("run_id",), ((run_id,) for run_id in touched.runs))
            connection.execute("""CREATE TEMP TABLE flat_touched AS
                FROM flat SEMI JOIN touched_run USING (run_id) UNION ALL FROM flat WHERE run_id IS NULL""")
            connection.execute("CREATE OR REPLACE TEMP VIEW flat AS FROM flat_touched")
        if len(parts) > 1:
            yield from _by_parts(connection, parts, wanted, tell)
            return
        for name, query in by_run_queries(connection, wanted):
            yield name, fetch(connection, query, FROM_FLAT[name])


def _by_parts(
    connection: duckdb.DuckDBPyConnection,
    parts: list[str],
    wanted: Collection[str],
    tell: Callable[[int], None],
) -> Iterator[tuple[str, pa.RecordBatchReader]]:
    """The same, by way of files: a table is written in one commit, and made of many parts."""
    connection.execute("ALTER VIEW flat RENAME TO flat_all")
    with tempfile.TemporaryDirectory(prefix="parts-", dir=scratch.folder()) as folder:
        files: dict[str, list[str]] = defaultdict(list)
        for number, part in enumerate(parts, 1):
            connection.execute(f"CREATE OR REPLACE TEMP VIEW flat AS FROM flat_all WHERE {part}")
            for name, query in by_run_queries(connection, wanted):
                files[name].append(quoted(str(Path(folder, f"{name}-{number}.parquet"))))
                connection.execute(f"COPY ({query}) TO {files[name][-1]} (FORMAT parquet, COMPRESSION zstd)")
            tell(number)
        for name, some in files.items():
            rows = f"FROM read_parquet([{', '.join(some)}], hive_partitioning = false)"
            # The buckets of a part are its own, but not those of names.
            order = f"ORDER BY bucket, {ORDER[name]}" if name in BY_NAME else ""
            yield name, fetch(connection, f"{rows} {order}", FROM_FLAT[name])


def _parts(connection: duckdb.DuckDBPyConnection, flat: DeltaTable, buckets: set[str] | None) -> list[str]:
    """The buckets in parts that fit into memory, in their order, as SQL over what is `flat` there."""
    loads: dict[str, float] = defaultdict(float)
    found = statistics(flat).select(["partition.bucket", "num_records", "size_bytes"]).to_pylist()
    for bucket, rows, size in map(dict.values, found):
        if buckets is None or bucket in buckets:
            loads[bucket] += max((rows or 0) / PART_ROWS, size / PART_BYTES)
    parts: list[str] = []
    group: list[str] = []
    for bucket, load in sorted(loads.items()):
        if group and sum(loads[one] for one in group) + load > 1:
            parts.append(among("bucket", group))
            group = []
        if load > 1:
            parts += _ranges(connection, bucket, math.ceil(load))
        else:
            group.append(bucket)
    return [*parts, among("bucket", group)] if group else parts


def _ranges(connection: duckdb.DuckDBPyConnection, bucket: str, count: int) -> Iterator[str]:
    """One bucket in so many parts, by run; what has no run is in the last."""
    at = [number / count for number in range(1, count)]
    query = f"SELECT quantile_disc(run_id, {at}) FROM flat WHERE bucket = $bucket"  # noqa: S608  numbers
    (found,) = connection.execute(query, {"bucket": bucket}).fetchall()[0]
    one, after = among("bucket", [bucket]), ""
    for run_id in sorted(set(found or ())):
        yield f"{one}{after} AND run_id <= {quoted(run_id)}"
        after = f" AND run_id > {quoted(run_id)}"
    rest = f" AND (run_id IS NULL OR true{after})"
    yield f"{one}{rest}"


def by_run_queries(
    connection: duckdb.DuckDBPyConnection, wanted: Collection[str] = FROM_FLAT.keys()
) -> Iterator[tuple[str, str]]:
    """Each wanted table and the query of its rows, which come from what is `flat` there."""
    for name, step in _STEPS.items():
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {step} AS {sql_of(name)}")
    for name in (name for name in FROM_FLAT if name in wanted):
        yield name, f"SELECT * FROM {_STEPS[name]}" if name in _STEPS else sql_of(name)  # noqa: S608  names of ours


def new_rows(flat: DeltaTable, files: Collection[str], seen: Mapping[LogPartition, int]) -> Touched:
    """Whom the rows of these files (URIs) speak of that lie at or after the offsets seen so far."""
    with connect() as connection:
        attach(connection, "flat", flat, FLAT, files=files)
        rows = ((of.topic, of.topic_id, str(of.partition), str(offset)) for of, offset in seen.items())
        fill(connection, "seen", ("topic", "topic_id", "partition", "next_offset"), rows)
        found = connection.execute("""SELECT DISTINCT bucket, run_id FROM flat
            LEFT JOIN seen ON (flat.topic, flat.topic_id, flat."partition")
                = (seen.topic, seen.topic_id, seen."partition"::INTEGER)
            WHERE flat."offset" >= coalesce(next_offset::BIGINT, 0)""").fetchall()
    return Touched({row[0] for row in found}, {row[1] for row in found if row[1] is not None})
