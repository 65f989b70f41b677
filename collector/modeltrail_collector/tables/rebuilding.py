"""All tables anew from the log; the rows whose segments retention removed are carried over.

What only the old tables know is read from them while the new ones are written, and takes their place in the
same commit as what comes from the log. So a crash leaves the old table or the new one, and a second rebuild
finds as much as the first. Of a table whose Delta log is damaged the Parquet files are still read.
"""

from collections.abc import Iterator

import pyarrow as pa
from deltalake import DeltaTable

from modeltrail_collector.errors import CollectorError
from modeltrail_collector.failpoints import reached
from modeltrail_collector.log import Log, Segment
from modeltrail_collector.tables import scan
from modeltrail_collector.tables.compaction import (
    SOURCES,
    CompactResult,
    Counter,
    SourceTable,
    batches,
    segments_from,
)
from modeltrail_collector.tables.derivation import FORGOTTEN, GENERATION, ROWS, ROWS_VERSION, derive
from modeltrail_collector.tables.retention import Memory, recall
from modeltrail_collector.tables.schema import DERIVED
from modeltrail_collector.tables.store import TableDamaged
from modeltrail_collector.tables.work import OnProgress, Progress, Work, alone, mark_of


def rebuild(log: Log, *, on_progress: OnProgress | None = None) -> CompactResult:
    """Derive every table anew from the log, whatever state the tables are in.

    The new files are written beside the old ones and each table is swapped by one Delta commit, so that
    readers see the old table or the new one. A crash between two swaps leaves a mixture that the next
    `compact` repairs. Rows whose segments retention removed are carried over, and what retention took out of
    the tables stays out.

    Raises as `compact`.
    """
    return alone(log, on_progress, _rebuild)


def _rebuild(work: Work) -> CompactResult:
    memory = recall(work)
    handles = {name: _usable(work, name) for name in (*(one.name for one in SOURCES), *DERIVED)}
    segments = [segment for partition in work.partitions for segment in segments_from(work.log, partition, 0)]
    before = (table.transaction_version(GENERATION) or 0 for table in handles.values() if table is not None)
    marks = {GENERATION: max(before, default=0) + 1, FORGOTTEN: memory.day, ROWS: ROWS_VERSION}
    marks |= {mark_of(segment.partition): segment.next_offset for segment in segments}
    counted, carried = Counter(work.tell), 0
    for source in SOURCES:
        rows = _Rows(work, source, segments, memory)
        counter = counted if source is SOURCES[0] else Counter(_silent)
        _swap(work, handles[source.name], rows, counter, marks)
        reached("generation_swapped")
        work.tell(Progress(source.name, counter.records))
        carried += rows.carried
    for name in DERIVED:
        if handles[name] is None:
            _clear(work, name)
    buckets = derive(work).buckets
    return CompactResult(len(segments), counted.records, counted.rejected, buckets, carried)


def _swap(
    work: Work, table: DeltaTable | None, rows: "_Rows", counter: Counter, marks: dict[str, int]
) -> None:
    """Write a table anew; an error in what it is made from is raised as it is: Delta only has its text."""
    source = rows.source
    stream = pa.RecordBatchReader.from_batches(source.schema, rows.all(table, counter))
    try:
        if table is None:
            _clear(work, source.name)
            work.lease.check()
            work.tables.create_with(source.name, source.schema, stream, marks)
        else:
            work.replace(table, stream, None, marks)
    except CollectorError:
        if rows.failure is not None:
            raise rows.failure from None
        raise


def _silent(_: Progress) -> None:
    pass


def _usable(work: Work, name: str) -> DeltaTable | None:
    try:
        return work.tables.open(name)
    except TableDamaged:
        return None


def _clear(work: Work, name: str) -> None:
    """Remove a damaged Delta log. The table's Parquet files stay until `upkeep` removes what none knows."""
    work.lease.check()
    folder = f"tables/{name}/_delta_log"
    for file in work.log.store.files(folder):
        work.log.store.remove(f"{folder}/{file}")
    reached("damage_cleared")


class _Rows:
    """The rows of a table made of the log's records: from its segments, and from the table as it was."""

    def __init__(self, work: Work, source: SourceTable, segments: list[Segment], memory: Memory) -> None:
        self.source = source
        self.carried = 0
        self.failure: BaseException | None = None
        self._work, self._segments, self._memory = work, segments, memory

    def all(self, old: DeltaTable | None, counter: Counter) -> Iterator[pa.RecordBatch]:
        """All rows, to be read once; what ends them early is kept as `failure`."""
        try:
            yield from self._all(old, counter)
        except GeneratorExit:  # Delta wants no more of them: the failure is its own
            raise
        except BaseException as error:
            self.failure = error
            raise

    def _all(self, old: DeltaTable | None, counter: Counter) -> Iterator[pa.RecordBatch]:
        for segment in self._segments:
            for batch in batches(self._work.log, segment, counter):
                yield self._memory.keep(self.source.derive(batch))
        if any(segment.removed for segment in self._segments):
            for batch in self._old(old):
                kept = self._memory.keep(batch)
                self.carried += kept.num_rows
                yield kept

    def _old(self, old: DeltaTable | None) -> Iterator[pa.RecordBatch]:
        """The rows of removed segments in the table as it was.

        Without its Delta log nobody knows which of its files count: all do, and what is there twice is equal.
        """
        with scan.connect() as connection:
            scan.reach(connection, self._work.tables.root)
            files = None if old is not None else self._files()
            scan.attach(connection, "old", old, self.source.schema, files=files)
            columns = ("topic", "topic_id", "partition", "first_offset", "next_offset")
            scan.fill(connection, "removed", columns, _ranges(self._segments))
            each = "" if old is not None else "DISTINCT"
            yield from scan.fetch(
                connection,
                f"""SELECT {each} old.* FROM old JOIN removed
                    ON (old.topic, old.topic_id, old."partition")
                        = (removed.topic, removed.topic_id, removed."partition"::INTEGER)
                    AND old."offset" >= first_offset::BIGINT AND old."offset" < next_offset::BIGINT""",  # noqa: S608
                self.source.schema,
            )

    def _files(self) -> list[str]:
        store, folder = self._work.log.store, f"tables/{self.source.name}"
        return [
            f"{self._work.tables.uri(self.source.name)}/{bucket}/{file}"
            for bucket in store.folders(folder)
            for file in store.files(f"{folder}/{bucket}")
            if file.endswith(".parquet") and "=" in bucket
        ]


def _ranges(segments: list[Segment]) -> Iterator[tuple[str, str, str, str, str]]:
    for one in segments:
        if one.removed:
            of = one.partition
            yield of.topic, of.topic_id, str(of.partition), str(one.first_offset), str(one.next_offset)
