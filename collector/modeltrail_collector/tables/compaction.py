"""Sealed segments -> Delta tables: once, again and again, or all anew.

::

    segments ──flatten──▶ flat (append-only) ──reduce──▶ runs, params, … (touched buckets) ──▶ models, changes
             └─rejected─▶ rejected

Every table remembers, in the commit that wrote it, how far it is: `flat` and `rejected` the next offset of
each partition of the log, the others the version of `flat` they were derived from. So a compactor that dies
anywhere leaves some tables behind and none wrong; the next one goes on from each table's own mark.
"""

import contextlib
import gc
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec
import pyarrow as pa
from deltalake import DeltaTable

from modeltrail_collector.errors import Unavailable
from modeltrail_collector.failpoints import reached
from modeltrail_collector.log import Log, Segment
from modeltrail_collector.model import Entry, LogPartition
from modeltrail_collector.tables import flatten, reduce, store
from modeltrail_collector.tables.schema import BY_MODEL, BY_RUN, FLAT, REJECTED
from modeltrail_collector.tables.store import Outrun, TableStore

_ATTEMPTS: Final = 10
_COMMIT_ROWS: Final = 50_000
_READ_ROWS: Final = 2_000
_MANY_FILES: Final = 40
_VACUUM_EVERY: Final = 20
_KEEP_HOURS: Final = 1
_MANY_RUNS: Final = 1_000
"""So many runs are found faster as whole buckets than one by one."""


class Progress(msgspec.Struct, frozen=True):
    """One step done: `stage` is a table's name, `rows` the records read so far or the rows written to it."""

    stage: str
    rows: int


class CompactResult(msgspec.Struct, frozen=True):
    """What one compaction took up: segments, records, rejected ones among them, buckets written again."""

    segments: int = 0
    records: int = 0
    rejected: int = 0
    buckets: int = 0


OnProgress = Callable[[Progress], None]


def table_store(log: Log) -> TableStore:
    """Where the tables of a log lie."""
    return TableStore(f"{log.uri.rstrip('/')}/tables")


def compact(log: Log, *, on_progress: OnProgress | None = None) -> CompactResult:
    """Bring all tables up to the sealed end of the log.

    Safe beside other compactors: on a local disk they take turns, elsewhere the loser of a commit looks
    again.
    Raises NotVerified for a segment that is not what was sealed, Unavailable when the store cannot be
    reached.
    """
    tell = on_progress or _silent
    with _turn(log) as alone, _without_garbage_collector():
        return _until_undisputed(lambda: _compact(log, tell, alone=alone))


def rebuild(log: Log, *, on_progress: OnProgress | None = None) -> CompactResult:
    """Derive every table anew from the log.

    The new files are written beside the old ones and each table is swapped by one Delta commit, so that
    readers see the old table or the new one. A crash between two swaps leaves a mixture that the next
    `compact` repairs.
    """
    tell = on_progress or _silent
    with _turn(log) as alone, _without_garbage_collector():
        return _until_undisputed(lambda: _rebuild(log, tell, alone=alone))


def segments_behind(log: Log) -> int:
    """How many sealed segments the tables do not hold yet; only their headers are read."""
    flat = table_store(log).open("flat")
    return sum(
        1
        for partition in log.partitions()
        for _ in _segments(log, partition, _offset(flat, partition) if flat else 0)
    )


def _compact(log: Log, tell: OnProgress, *, alone: bool) -> CompactResult:
    tables = table_store(log)
    taken = _absorb(log, tables, tell)
    return msgspec.structs.replace(taken, buckets=_reduce(tables, tell, alone=alone))


def _rebuild(log: Log, tell: OnProgress, *, alone: bool) -> CompactResult:
    tables = table_store(log)
    segments = [segment for partition in log.partitions() for segment in _segments(log, partition, 0)]
    ends = {mark_of(segment.partition): segment.next_offset for segment in segments}
    counter = _Counter(tell)
    for name, schema, derive in _SOURCES:
        table = tables.open_or_create(name, schema)
        batches = (derive(batch) for segment in segments for batch in _read(log, segment, counter))
        store.replace(table, pa.RecordBatchReader.from_batches(schema, batches), None, ends)
        tell(Progress(name, counter.records))
        counter = _Counter(_silent) if name != _SOURCES[-1][0] else counter
    buckets = _reduce(tables, tell, alone=alone, everything=True)
    return CompactResult(len(segments), counter.records, counter.rejected, buckets)


_SOURCES: Final = (("flat", FLAT, flatten.flatten), ("rejected", REJECTED, flatten.rejected))


class _Counter:
    """Counts what is read, and tells."""

    def __init__(self, tell: OnProgress) -> None:
        self.tell = tell
        self.records = self.rejected = 0

    def add(self, entries: list[Entry]) -> None:
        self.records += len(entries)
        self.rejected += sum(entry.verdict == "rejected" for entry in entries)
        self.tell(Progress("read", self.records))


class _Source:
    """One append-only table, with the rows and marks of its next commit."""

    def __init__(
        self,
        name: str,
        table: DeltaTable,
        schema: pa.Schema,
        derive: Callable[[pa.RecordBatch], pa.RecordBatch],
    ) -> None:
        self.name, self.table, self.schema, self.derive = name, table, schema, derive
        self.rows: list[pa.RecordBatch] = []
        self.ends: dict[str, int] = {}

    def lacks(self, segment: Segment) -> bool:
        return segment.next_offset > _offset(self.table, segment.partition)

    def commit(self, tell: OnProgress) -> None:
        if self.ends:
            rows = pa.Table.from_batches(self.rows, self.schema)
            store.append(self.table, rows, self.ends)
            reached(f"{self.name}_committed")
            tell(Progress(self.name, rows.num_rows))
        self.rows, self.ends = [], {}


def _absorb(log: Log, tables: TableStore, tell: OnProgress) -> CompactResult:
    """Append what the log has beyond the marks of `flat` and `rejected`, so many rows per commit."""
    sources = [
        _Source(name, tables.open_or_create(name, schema), schema, derive)
        for name, schema, derive in _SOURCES
    ]
    counter = _Counter(tell)
    read = held = 0
    for partition in log.partitions():
        for segment in _segments(log, partition, min(_offset(source.table, partition) for source in sources)):
            lacking = [source for source in sources if source.lacks(segment)]
            for batch in _read(log, segment, counter):
                held += batch.num_rows
                for source in lacking:
                    source.rows.append(source.derive(batch))
            for source in lacking:
                source.ends[mark_of(partition)] = segment.next_offset
            read += 1
            if held >= _COMMIT_ROWS:
                for source in sources:
                    source.commit(tell)
                held = 0
    for source in sources:
        source.commit(tell)
    return CompactResult(read, counter.records, counter.rejected)


def _read(log: Log, segment: Segment, counter: _Counter) -> Iterator[pa.RecordBatch]:
    entries = log.read(segment)
    while some := list(itertools.islice(entries, _READ_ROWS)):
        counter.add(some)
        yield flatten.entries_batch(segment.partition, some)


def _segments(log: Log, partition: LogPartition, start: int) -> Iterator[Segment]:
    return (segment for segment in log.segments(partition, start) if segment.next_offset > start)


def mark_of(partition: LogPartition) -> str:
    """The name of a log partition's mark, topic id included: a topic made anew starts at offset 0 again."""
    return f"{partition.topic}/{partition.topic_id}/{partition.partition}"


def _offset(table: DeltaTable, partition: LogPartition) -> int:
    return table.transaction_version(mark_of(partition)) or 0


def _reduce(tables: TableStore, tell: OnProgress, *, alone: bool, everything: bool = False) -> int:
    """Derive the reduced tables for all buckets that changed since each was written; how many buckets.

    The handles are opened, and their marks compared, before rows are derived: a commit that would overwrite a
    newer one fails.
    """
    flat = tables.open_or_create("flat", FLAT)
    if alone:
        _tidy(flat)
    mark = {f"flat/{flat.metadata().id}": flat.version()}
    handles = {name: tables.open_or_create(name, schema) for name, schema in {**BY_RUN, **BY_MODEL}.items()}
    behind = {name: table for name, table in handles.items() if everything or _is_behind(table, mark)}
    changed = None if everything else _changed(flat, mark, behind.values())
    buckets = changed.buckets if changed else None
    if behind and buckets != set():
        runs = reduce.runs_of(flat, changed) if changed else None
        touched = None
        if changed and runs is not None:
            touched = reduce.Touched(changed.buckets, runs if len(runs) < _MANY_RUNS else None)
        for name, rows in reduce.by_run(flat, touched, behind.keys()):
            store.replace(handles[name], rows, touched.predicate if touched else None, mark)
            reached("table_replaced")
            tell(Progress(name, flat.version()))
        _reduce_models(tables, {name: behind[name] for name in BY_MODEL if name in behind}, runs, mark)
        tell(Progress("models", flat.version()))
    if alone:
        for table in (flat, *behind.values()):
            _vacuum(table)
    return len(store.files_by_bucket(flat) if buckets is None else buckets)


def _reduce_models(
    tables: TableStore, behind: dict[str, DeltaTable], runs: set[str] | None, mark: dict[str, int]
) -> None:
    """Derive `models` and `changes` for what these runs (None: all) may concern."""
    if not behind:
        return
    found = reduce.by_model({name: tables.open(name) for name in reduce.BY_MODEL_READS}, runs)
    for name, table in behind.items():
        if runs is None:
            store.replace(table, found.tables[name], None, mark)
        elif found.buckets:
            store.replace(table, found.tables[name], store.among("bucket", found.buckets), mark)


def _is_behind(table: DeltaTable, mark: dict[str, int]) -> bool:
    since = _since(table, mark)
    return since is None or since < next(iter(mark.values()))


def _since(table: DeltaTable, mark: dict[str, int]) -> int | None:
    """The version of `flat` a table was derived from; None for never, or from another `flat`."""
    return table.transaction_version(next(iter(mark)))


def _changed(flat: DeltaTable, mark: dict[str, int], behind: Iterable[DeltaTable]) -> store.Changed | None:
    """What these tables have not seen of `flat`; None where all of a table has to be derived."""
    buckets: set[str] = set()
    added: set[str] = set()
    for since in {_since(table, mark) for table in behind}:
        if since is None:
            return None
        found = store.changed(flat, since)
        buckets |= found.buckets
        added |= found.added
    return store.Changed(buckets, added)


def _tidy(flat: DeltaTable) -> None:
    """Join small files of a bucket.

    Only under `_turn`: deltalake lets two of these at once double the rows.
    """
    for bucket, files in store.files_by_bucket(flat).items():
        if len(files) > _MANY_FILES:
            flat.optimize.compact(partition_filters=[("bucket", "=", bucket)])


def _vacuum(table: DeltaTable) -> None:
    """Now and then remove files that only versions older than an hour need: readers hold younger ones."""
    if table.version() % _VACUUM_EVERY == 0:
        table.vacuum(retention_hours=_KEEP_HOURS, dry_run=False, enforce_retention_duration=False)


def _until_undisputed(work: Callable[[], CompactResult]) -> CompactResult:
    """Do the work again when another compactor committed first: it starts from what is then stored."""
    for _ in range(_ATTEMPTS):
        try:
            return work()
        except Outrun as error:
            last = error
    raise Unavailable(f"another compactor committed first {_ATTEMPTS} times: {last}")


@contextlib.contextmanager
def _turn(log: Log) -> Iterator[bool]:
    """One compactor at a time on a local disk.

    Elsewhere (False) nothing is locked: Delta's marks alone keep two compactors apart, and no files are
    joined or removed there.
    """
    if "://" in log.uri:
        yield False
        return
    with log.store.lease("tables"):
        yield True


@contextlib.contextmanager
def _without_garbage_collector() -> Iterator[None]:
    """Rows are many and hold no cycles: to look for some takes a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _silent(_: Progress) -> None:
    pass
