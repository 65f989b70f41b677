"""Retention of the tables by age: old runs are forgotten, and stay forgotten.

A run is old when its last event arrived before the horizon, a UTC midnight. An old run is kept for a model
version that was registered or deployed, or that a younger run speaks of: all runs stay that made, judged,
registered or deployed it, and all that wrote what those had read, from the raw data on. Every other old run
goes with all that came of it, model versions that only such runs knew included. Events without a run, and
rejected records, go by their own arrival.

The horizon is a mark in the tables. What arrived before it may still be in the log, and no rebuild brings it
back: of that time, only what the tables know of a run is kept.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final

import duckdb
import msgspec
import pyarrow as pa
from deltalake import DeltaTable

from modeltrail_collector.failpoints import reached
from modeltrail_collector.log import Log
from modeltrail_collector.tables import scan, store
from modeltrail_collector.tables.compaction import compact_now
from modeltrail_collector.tables.derivation import FORGOTTEN, derive
from modeltrail_collector.tables.reduce import sql_of
from modeltrail_collector.tables.schema import FLAT, REJECTED, TABLES
from modeltrail_collector.tables.store import TableDamaged
from modeltrail_collector.tables.work import OnProgress, Work, alone, table_store

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US: Final = 86_400_000_000
_READS: Final = ("flat", "rejected", "runs", "run_datasets", "models", "deployments")


class Forgotten(msgspec.Struct, frozen=True):
    """What `forget` took out of the tables, or would.

    `before` is the horizon. `models` counts model versions that go with their runs; `kept` the old runs that
    stay, as a model version needs them.
    """

    before: str
    runs: int = 0
    events: int = 0
    rejected: int = 0
    models: int = 0
    kept: int = 0


def forget(
    log: Log, keep: timedelta, *, dry_run: bool = False, on_progress: OnProgress | None = None
) -> Forgotten:
    """Take out of all tables what is older than `keep`, after bringing them up to the log.

    A horizon never goes back: what was forgotten once stays so, if more is to be kept from now on. A dry run
    looks at the tables as they are and changes nothing. Raises as `compact`.
    """
    return alone(log, on_progress, lambda work: _forget(work, keep, dry_run=dry_run))


def _forget(work: Work, keep: timedelta, *, dry_run: bool) -> Forgotten:
    if not dry_run:
        compact_now(work)
    tables = {name: work.tables.open(name) for name in _READS}
    now = datetime.fromtimestamp(work.log.wall() / 1000, UTC)
    day = max((now - keep - _EPOCH).days, _day_of(tables["flat"]))
    with scan.connect() as connection:
        for name, table in tables.items():
            scan.attach(connection, name, table, TABLES[name])
        found = _find(connection, day)
        if dry_run:
            return found
        flat, rejected = tables["flat"], tables["rejected"]
        if flat is not None and found.events:
            _forget_rows(work, connection, flat, day)
        if rejected is not None and found.rejected:
            where = f"arrival_date < '{found.before}'"
            work.replace(rejected, REJECTED.empty_table(), where, {FORGOTTEN: day})
            reached("rows_forgotten")
    derive(work)
    return found


def _find(connection: duckdb.DuckDBPyConnection, day: int) -> Forgotten:
    """Fill `forgotten` with the rows to forget (their buckets and runs); counts."""
    horizon = _EPOCH + timedelta(days=day)
    connection.execute("CREATE TEMP TABLE horizon AS SELECT ?::TIMESTAMPTZ AS horizon", [horizon.isoformat()])
    for statement in sql_of("forget/seeds").split(";"):
        if statement.strip():
            connection.execute(statement)
    while connection.execute(sql_of("forget/upstream")).fetchone() != (0,):
        pass
    connection.execute("CREATE TEMP TABLE forgotten AS FROM old ANTI JOIN kept USING (run_id)")
    connection.execute("""CREATE TEMP VIEW forgotten_row AS SELECT bucket, run_id FROM flat
        WHERE ingested_at < (FROM horizon) AND (run_id IS NULL OR run_id IN (FROM forgotten))""")
    counts = connection.execute(sql_of("forget/counts")).fetchone()
    assert counts is not None  # noqa: S101  it aggregates
    return Forgotten(horizon.date().isoformat(), *counts)


def _forget_rows(work: Work, connection: duckdb.DuckDBPyConnection, flat: DeltaTable, day: int) -> None:
    """Write the buckets of forgotten rows again without them, in one commit."""
    buckets = [row[0] for row in connection.execute("SELECT DISTINCT bucket FROM forgotten_row").fetchall()]
    within = store.among("bucket", buckets)
    kept = f"""FROM flat WHERE {within} AND NOT (
        ingested_at < (FROM horizon) AND (run_id IS NULL OR run_id IN (FROM forgotten)))"""
    work.replace(flat, scan.fetch(connection, kept, FLAT), within, {FORGOTTEN: day})
    reached("rows_forgotten")


def horizon(log: Log) -> str:
    """The day before which old runs were forgotten, 1970-01-01 where none ever was."""
    return (_EPOCH + timedelta(days=_day_of(table_store(log).open("flat")))).date().isoformat()


class Memory(msgspec.Struct, frozen=True):
    """What a rebuild has to know: the horizon's day (0: none), and the runs known from before (None: any).

    Of each run since when: one that was forgotten, and spoke again later, is known from that time on.
    """

    day: int = 0
    runs: dict[str, int] | None = None

    def keep(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Of rows of `flat` or `rejected`, those that were not forgotten."""
        if not self.day or self.runs is None:
            return rows
        horizon = self.day * _DAY_US
        arrived = rows["ingested_at"].cast(pa.int64()).to_pylist()
        of_run = rows["run_id"].to_pylist() if "run_id" in rows.schema.names else [None] * rows.num_rows
        known = [at >= self.runs.get(run, horizon) for at, run in zip(arrived, of_run, strict=True)]
        return rows if all(known) else rows.filter(pa.array(known, pa.bool_()))


def recall(work: Work) -> Memory:
    """What the tables, as far as they can be read, know of what was forgotten.

    `runs` is asked last: it does not say when events arrived, so that it takes a run that was forgotten, and
    spoke again later, for one that was kept.
    """
    tables: dict[str, DeltaTable] = {}
    for name in TABLES:
        try:
            found = work.tables.open(name)
        except TableDamaged:
            continue
        if found is not None:
            tables[name] = found
    day = max(map(_day_of, tables.values()), default=0)
    if day:
        known = [name for name in ("flat", "events", "runs") if name in tables]
        for name in sorted(known, key=lambda name: -_day_of(tables[name])):
            try:
                return Memory(day, _runs(tables[name], name, day))
            except TableDamaged:
                continue
    return Memory(day)


def _runs(table: DeltaTable, name: str, day: int) -> dict[str, int]:
    """The runs of before the horizon that a table knows, with the first arrival that it knows of each."""
    first = "SELECT run_id, epoch_us(min(ingested_at)) FROM known WHERE ingested_at < make_timestamptz(?)"
    with scan.connect() as connection:
        scan.attach(connection, "known", table, TABLES[name])
        if name == "runs":
            found = connection.execute("SELECT run_id, 0 FROM known")
        else:
            found = connection.execute(f"{first} AND run_id IS NOT NULL GROUP BY run_id", [day * _DAY_US])
        return dict(found.fetchall())


def _day_of(table: DeltaTable | None) -> int:
    return (table.transaction_version(FORGOTTEN) or 0) if table is not None else 0


def forgotten_before(log: Log) -> date | None:
    """The day before whose begin the tables forgot what arrived; None where they know all of the log."""
    day = _day_of(table_store(log).open("flat"))
    return datetime.fromtimestamp(day * 86_400, UTC).date() if day else None
