"""What the processes of a world do: production code, in the loops in which the command line runs it."""

import contextlib
from datetime import timedelta

from modeltrail_collector.errors import OwnershipLost, Unavailable
from modeltrail_collector.log import Batch, Log, Segment
from modeltrail_collector.log.maintenance import maintain
from modeltrail_collector.model import Entry, LogPartition
from modeltrail_collector.pump import Pump
from modeltrail_collector.tables.compaction import segments_from
from simulation.oracle import Failure, Oracle, Stored
from simulation.process import Process
from simulation.store import Media, ProcessStore


class WatchedLog(Log):
    """The log, and what it said is sealed."""

    def __init__(self, media: Media, process: Process, oracle: Oracle, wall) -> None:
        super().__init__(ProcessStore(media, process), wall)
        self.acked: list[Segment] = []
        self._oracle = oracle

    def append(self, partition: LogPartition, batch: Batch) -> Segment:
        segment = super().append(partition, batch)
        self.acked.append(segment)
        self._oracle.acknowledged(partition, segment.next_offset, segment.chain_end)
        return segment


def collect(process: Process, oracle: Oracle) -> None:
    """`collect`: turns until it is done or told to end, then what waits is sealed."""
    pump: Pump = process.about["pump"]
    with contextlib.closing(process.about["member"]):
        while not pump.done and not process.terminating:
            pump.turn()
            oracle.after_turn(process)
        oracle.all_sealed(pump)
        with contextlib.suppress(Unavailable):
            pump.drain()


def keep(process: Process, oracle: Oracle, keep_s: int | None) -> None:
    """`maintain`: roll up what is worth it, remove what is too old; nothing is damaged, so no problems."""
    with contextlib.suppress(Unavailable, OwnershipLost):
        for done in maintain(process.about["log"], keep=keep_s and timedelta(seconds=keep_s)):
            oracle.no_problems(process, done.problems)


class Table:
    """Rows with a mark for each partition in the same commit, as Delta's transactions give them."""

    def __init__(self) -> None:
        self.rows: dict[LogPartition, list[Entry]] = {}
        self.marks: dict[LogPartition, int] = {}

    def commit(self, partition: LogPartition, seen: int, mark: int, rows: list[Entry]) -> None:
        """Compare and swap: refused when another follower was faster."""
        if self.marks.get(partition, 0) != seen:
            raise OwnershipLost("another compactor committed first")
        self.rows.setdefault(partition, []).extend(rows)
        self.marks[partition] = mark


def follow(process: Process, table: Table) -> None:
    """What `compact` asks of the log: each record once, from the table's own mark on, while others work."""
    log: Log = process.about["log"]
    with contextlib.suppress(Unavailable, OwnershipLost):
        for partition in log.partitions():
            mark = table.marks.get(partition, 0)
            for segment in segments_from(log, partition, mark):
                rows = [entry for entry in log.read(segment) if entry.offset >= mark]
                process.pause(f"commit {partition.partition} to {segment.next_offset}")
                table.commit(partition, mark, segment.next_offset, rows)
                mark = segment.next_offset


def check_table(table: Table, stored: dict[LogPartition, Stored]) -> None:
    """A table holds of each partition what the log holds or held up to its mark, once and in order."""
    for partition, mark in table.marks.items():
        found = [entry.offset for entry in table.rows[partition]]
        removed = stored[partition].removed
        expected = [entry.offset for entry in stored[partition].entries if entry.offset < mark]
        expected = sorted({*expected, *(offset for offset in found if offset in removed)})
        if expected != found:
            raise Failure("table", f"{partition} up to {mark}: {found[:20]}, the log has {expected[:20]}")
