"""Flat rows -> the reduced tables, in DuckDB; the SQL of each table lies in `sql/<table>.sql`."""

from collections.abc import Collection, Iterator, Mapping
from importlib import resources
from typing import Final

import duckdb
import msgspec
import pyarrow as pa
from deltalake import DeltaTable

from modeltrail_collector.model import LogPartition
from modeltrail_collector.tables.scan import attach, connect, fetch, fill
from modeltrail_collector.tables.schema import BY_NAME, BY_RUN, FLAT
from modeltrail_collector.tables.store import among

_STEPS: Final = (("events", "event"), ("facets", "facet"), ("runs", "runs"), ("run_datasets", "run_datasets"))
"""Tables that later ones read, under the names their SQL uses."""

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
    flat: DeltaTable | pa.Table, touched: Touched | None = None, wanted: Collection[str] = FROM_FLAT.keys()
) -> Iterator[tuple[str, pa.RecordBatchReader]]:
    """Each wanted table of `BY_RUN` and `BY_NAME` with its rows for what was touched (None: all of `flat`).

    The rows of one have to be read before the next is asked for.
    """
    with connect() as connection:
        if isinstance(flat, DeltaTable):
            attach(connection, "flat", flat, FLAT, touched.buckets if touched else None)
        else:
            connection.register("flat", flat)
        if touched and touched.runs is not None:
            fill(connection, "touched_run", ("run_id",), ((run_id,) for run_id in touched.runs))
            connection.execute("""CREATE TEMP TABLE flat_touched AS
                FROM flat SEMI JOIN touched_run USING (run_id) UNION ALL FROM flat WHERE run_id IS NULL""")
            connection.execute("CREATE OR REPLACE TEMP VIEW flat AS FROM flat_touched")
        for name, query in by_run_queries(connection, wanted):
            yield name, fetch(connection, query, FROM_FLAT[name])


def by_run_queries(
    connection: duckdb.DuckDBPyConnection, wanted: Collection[str] = FROM_FLAT.keys()
) -> Iterator[tuple[str, str]]:
    """Each wanted table and the query of its rows, which come from what is `flat` there."""
    for name, step in _STEPS:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {step} AS {sql_of(name)}")
    steps = dict(_STEPS)
    for name in (name for name in FROM_FLAT if name in wanted):
        yield name, f"SELECT * FROM {steps[name]}" if name in steps else sql_of(name)  # noqa: S608  names of ours


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
