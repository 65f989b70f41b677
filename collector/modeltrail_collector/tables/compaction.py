"""Sealed segments -> Delta tables: once, or again and again.

::

    segments ──flatten──▶ flat (append-only) ──reduce──▶ runs, params, … (touched runs) ──▶ models, changes
             └─rejected─▶ rejected

Every table remembers, in the commit that wrote it, how far it is: the next offset of each partition of the
log. So a compactor that dies anywhere leaves some tables behind and none wrong; the next one goes on from
each table's own marks.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import pyarrow as pa
from deltalake import DeltaTable

from modeltrail_collector.failpoints import reached
from modeltrail_collector.log import Log, Segment
from modeltrail_collector.log.segment import folder_of
from modeltrail_collector.model import Entry, LogPartition
from modeltrail_collector.tables import flatten
from modeltrail_collector.tables.derivation import FORGOTTEN, ROWS, ROWS_VERSION, derive
from modeltrail_collector.tables.schema import DERIVED, FLAT, REJECTED
from modeltrail_collector.tables.store import TableDamaged
from modeltrail_collector.tables.upkeep import tend
from modeltrail_collector.tables.work import (
    OnProgress,
    Progress,
    Work,
    alone,
    mark_of,
    offset_of,
    table_store,
)

_COMMIT_ROWS: Final = 50_000
_COMMIT_BYTES: Final = 32 << 20
"""What is held of flat rows before they are committed: whichever of the two is reached first."""

_READ_ROWS: Final = 500


class CompactResult(msgspec.Struct, frozen=True):
    """What was taken up: segments, records, rejected ones among them, buckets written again.

    Of a rebuild also `carried`: records whose segments were removed, taken over from the tables as they were.
    """

    segments: int = 0
    records: int = 0
    rejected: int = 0
    buckets: int = 0
    carried: int = 0


class SourceTable(msgspec.Struct, frozen=True):
    """A table that is made of the log's records directly."""

    name: str
    schema: pa.Schema
    derive: Callable[[pa.RecordBatch], pa.RecordBatch]


SOURCES: Final = (
    SourceTable("flat", FLAT, flatten.flatten),
    SourceTable("rejected", REJECTED, flatten.rejected),
)


def compact(log: Log, *, on_progress: OnProgress | None = None) -> CompactResult:
    """Bring all tables up to the sealed end of the log.

    Safe beside other compactors: they take turns.

    Raises:
        NotVerified: A segment is not what was sealed.
        TableDamaged: A table has to be made anew; says so.
        Unavailable: The store cannot be reached.
    """
    return alone(log, on_progress, compact_now)


def compact_now(work: Work) -> CompactResult:
    """What `compact` does in its turn."""
    handles = {source.name: _open(work, source) for source in SOURCES}
    before = {name: (table, table.version()) for name, table in handles.items()}
    taken = _absorb(work, [_Appending(source, handles[source.name]) for source in SOURCES])
    derived = derive(work)
    tend(work, before | derived.tables)
    return msgspec.structs.replace(taken, buckets=derived.buckets)


def segments_behind(log: Log) -> int:
    """How many sealed segments the tables do not hold yet; only their headers are read."""
    flat = table_store(log).open("flat")
    return sum(
        1
        for partition in log.partitions()
        for _ in segments_from(log, partition, offset_of(flat, partition) if flat else 0)
    )


def rows_version(log: Log) -> int | None:
    """By which rules the rows of the tables were made: `ROWS_VERSION` of that time; None without tables."""
    flat = table_store(log).open("flat")
    return (flat.transaction_version(ROWS) or 1) if flat is not None else None


def _open(work: Work, source: SourceTable) -> DeltaTable:
    """The table, made empty where there is none and all that belongs in it is still in the log."""
    found = work.tables.open(source.name)
    if found is not None:
        return found
    others = (work.tables.open(name) for name in DERIVED)
    if any(other is not None and other.transaction_version(FORGOTTEN) for other in others):
        raise _gone(work, source, "what retention removed from it is still in the log")
    removed = (
        segment
        for partition in work.partitions
        for segment in segments_from(work.log, partition, 0)
        if segment.removed
    )
    if segment := next(removed, None):
        raise _gone(work, source, f"{segment.name}, of which it was made, was removed from the log")
    nothing = pa.RecordBatchReader.from_batches(source.schema, [])
    work.tables.create_with(source.name, source.schema, nothing, {ROWS: ROWS_VERSION})
    return work.tables.open_or_create(source.name, source.schema)


def _gone(work: Work, source: SourceTable, reason: str) -> TableDamaged:
    return TableDamaged(work.tables.uri(source.name), f"it is not there, and {reason}")


class Counter:
    """Counts what is read, and tells."""

    def __init__(self, tell: OnProgress) -> None:
        self.tell = tell
        self.records = self.rejected = 0

    def add(self, entries: list[Entry]) -> None:
        """Count some records."""
        self.records += len(entries)
        self.rejected += sum(entry.verdict == "rejected" for entry in entries)
        self.tell(Progress("read", self.records))


class _Appending:
    """One append-only table, with the rows and marks of its next commit."""

    def __init__(self, source: SourceTable, table: DeltaTable) -> None:
        self.source, self.table = source, table
        self.rows: list[pa.RecordBatch] = []
        self.ends: dict[str, int] = {}
        self._starts: dict[LogPartition, int] = {}

    def start(self, partition: LogPartition) -> int:
        """Where this table stood before."""
        if partition not in self._starts:
            self._starts[partition] = offset_of(self.table, partition)
        return self._starts[partition]

    def take(self, batch: pa.RecordBatch, segment: Segment) -> None:
        """Hold the rows of what this table does not have yet: a roll-up may begin before its mark."""
        import pyarrow.compute as pc

        start = self.start(segment.partition)
        if start > segment.first_offset:
            batch = batch.filter(pc.greater_equal(batch["offset"], start))
        self.rows.append(self.source.derive(batch))

    def commit(self, work: Work) -> None:
        if self.ends:
            rows = pa.Table.from_batches(self.rows, self.source.schema)
            work.append(self.table, rows, self.ends)
            reached(f"{self.source.name}_committed")
            work.tell(Progress(self.source.name, rows.num_rows))
        self.rows, self.ends = [], {}


def _absorb(work: Work, sources: list[_Appending]) -> CompactResult:
    """Append what the log has beyond the marks of `flat` and `rejected`, so many rows per commit."""
    counter = Counter(work.tell)
    read = rows = size = 0
    for partition in work.partitions:
        start = min(source.start(partition) for source in sources)
        for segment in segments_from(work.log, partition, start):
            lacking = [source for source in sources if source.start(partition) < segment.next_offset]
            for batch in batches(work.log, segment, counter):
                rows, size = rows + batch.num_rows, size + batch.nbytes
                for source in lacking:
                    source.take(batch, segment)
            for source in lacking:
                source.ends[mark_of(partition)] = segment.next_offset
            read += 1
            if rows >= _COMMIT_ROWS or size >= _COMMIT_BYTES:
                for source in sources:
                    source.commit(work)
                rows = size = 0
    for source in sources:
        source.commit(work)
    return CompactResult(read, counter.records, counter.rejected)


def batches(log: Log, segment: Segment, counter: Counter) -> Iterator[pa.RecordBatch]:
    """The records of a segment, as the batches that tables are made of."""
    entries = log.read(segment)
    while some := list(itertools.islice(entries, _READ_ROWS)):
        counter.add(some)
        yield flatten.entries_batch(segment.partition, some)


def segments_from(log: Log, partition: LogPartition, start: int) -> Iterator[Segment]:
    """The segments of a partition that reach beyond an offset.

    Their names last: else a power cut could take from the log what its tables have.
    """
    lasting = False
    for segment in log.segments(partition, start):
        if segment.next_offset > start:
            if not lasting:
                log.store.clean(folder_of(partition))
                lasting = True
            yield segment
