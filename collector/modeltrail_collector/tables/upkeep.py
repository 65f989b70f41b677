"""Keeping the tables small: joining files, removing old ones, checkpoints. Only within `work.alone`.

deltalake refuses the second of two overlapping joinings (1.6.3 does, 1.6.6 doubles the rows), so a lease lost
in the middle costs the work and nothing else.
"""

from typing import Final

import msgspec
from deltalake import DeltaTable

from modeltrail_collector.failpoints import reached
from modeltrail_collector.log import Log
from modeltrail_collector.tables import scan
from modeltrail_collector.tables.schema import DERIVED, ORDER, TABLES
from modeltrail_collector.tables.store import (
    FILE_BYTES,
    PROPERTIES,
    WRITER,
    among,
    committing,
    files_by_bucket,
    statistics,
)
from modeltrail_collector.tables.work import OnProgress, Progress, Work, alone

_MANY_FILES: Final = 40
_VACUUM_EVERY: Final = 20
_KEEP_HOURS: Final = 1
"""How long a reader may go on with the version it opened: afterwards its files may be gone."""

_JOINED_BYTES: Final = 32 << 20


class Upkeep(msgspec.Struct, frozen=True):
    """What `keep_up` did: files that took the place of others, and files removed."""

    joined: int = 0
    removed: int = 0


def keep_up(log: Log, *, on_progress: OnProgress | None = None) -> Upkeep:
    """Join what small files there are, remove what no reader needs, and write checkpoints, in all tables.

    Files that a killed writer left, which no version of the table knows, go too. Raises as `compact`.
    """

    def all_tables(work: Work) -> Upkeep:
        joined = removed = 0
        for name in TABLES:
            table = work.tables.open(name)
            if table is not None:
                joined += _join(work, name, table, more_than=1)
                removed += _vacuum(work, table, full=True)
                _checkpoint(work, table)
                work.tell(Progress(name, table.version()))
        return Upkeep(joined, removed)

    return alone(log, on_progress, all_tables)


def tend(work: Work, written: dict[str, tuple[DeltaTable, int]]) -> None:
    """What a compaction does now and then to the tables it wrote, which had these versions before."""
    for name, (table, before) in written.items():
        _join(work, name, table, more_than=_MANY_FILES)
        if before // _VACUUM_EVERY != table.version() // _VACUUM_EVERY:
            _vacuum(work, table)


def _join(work: Work, name: str, table: DeltaTable, *, more_than: int) -> int:
    """Join the small files of each bucket that has many; how many new ones there are.

    Those of a derived table do not get large, since a few changed runs cost the files that they lie in, and
    the whole bucket is sorted again: what is asked for then lies in one file of it.
    """
    (column,) = table.metadata().partition_columns
    target = FILE_BYTES if name in DERIVED else _JOINED_BYTES
    files = _small_files(table, column, target // 2)
    many = [bucket for bucket, number in files.items() if number > more_than]
    if name in DERIVED:
        return _sort(work, name, table, many)
    joined = 0
    for bucket in many:
        work.lease.check()
        with committing(table.table_uri):
            done = table.optimize.compact(
                partition_filters=[(column, "=", bucket)],
                target_size=target,
                writer_properties=WRITER,
            )
        joined += done["numFilesAdded"]
        reached("files_joined")
    return joined


def _sort(work: Work, name: str, table: DeltaTable, buckets: list[str]) -> int:
    """Write buckets of a derived table again, sorted, in one commit; how many files they then have."""
    if not buckets:
        return 0
    with scan.connect() as connection:
        scan.attach(connection, "bucket_rows", table, DERIVED[name], buckets)
        rows = scan.fetch(connection, f"FROM bucket_rows ORDER BY bucket, {ORDER[name]}", DERIVED[name])
        work.replace(table, rows, among("bucket", buckets), {})
    reached("files_joined")
    return sum(len(files) for bucket, files in files_by_bucket(table).items() if bucket in set(buckets))


def _small_files(table: DeltaTable, column: str, small: int) -> dict[str, int]:
    actions = statistics(table)
    found: dict[str, int] = {}
    for bucket, size in zip(
        actions[f"partition.{column}"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True
    ):
        found[bucket] = found.get(bucket, 0) + (size < small)
    return found


def _vacuum(work: Work, table: DeltaTable, *, full: bool = False) -> int:
    """Remove files that only versions older than an hour need: readers hold younger ones."""
    work.lease.check()
    with committing(table.table_uri):
        removed = table.vacuum(
            retention_hours=_KEEP_HOURS, dry_run=False, enforce_retention_duration=False, full=full
        )
    reached("table_vacuumed")
    return len(removed)


def _checkpoint(work: Work, table: DeltaTable) -> None:
    work.lease.check()
    with committing(table.table_uri):
        if any(table.metadata().configuration.get(key) != value for key, value in PROPERTIES.items()):
            table.alter.set_table_properties(dict(PROPERTIES))
        table.create_checkpoint()
        reached("table_checkpointed")
        table.cleanup_metadata()
