"""Prove that the log is what was sealed: every digest, every record, every link of every chain, again."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from modeltrail_collector.log.heads import PartitionHead
from modeltrail_collector.log.log import Log
from modeltrail_collector.log.segment import Segment
from modeltrail_collector.log.walk import PartitionReport, Walk
from modeltrail_collector.model import Entry, LogPartition

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Report(msgspec.Struct, frozen=True):
    """What was found in the log; `ok` is the answer."""

    log: str
    ok: bool
    partitions: tuple[PartitionReport, ...]
    problems: tuple[str, ...]

    def heads(self) -> list[PartitionHead]:
        """The ends of all chains, to compare with later."""
        return [
            PartitionHead(
                p.topic, p.topic_id, p.partition, p.next_offset, p.chain_end, (*p.removed, *p.repaired)
            )
            for p in self.partitions
        ]


def verify(
    log: Log, earlier: Iterable[PartitionHead] = (), *, trusted: "Ed25519PublicKey | None" = None
) -> Report:
    """Recompute everything. Never raises for a bad log: that is the answer.

    Others may collect, maintain and repair the log meanwhile.

    Args:
        log: The log.
        earlier: Heads of an earlier `Report`: the chains must still lead through them (no rollback).
        trusted: Who must have signed the record of each removal that no earlier head knows of.

    Raises:
        LogFormatError: A newer modeltrail wrote a part of the log.
        Unavailable: The store does not answer.
    """
    heads: dict[LogPartition, list[PartitionHead]] = {}
    for head in earlier:
        heads.setdefault(LogPartition(head.topic, head.topic_id, head.partition), []).append(head)
    known = log.partitions()
    reports = tuple(Walk(log, partition, heads.get(partition, ())).report(trusted) for partition in known)
    problems = [
        f"{head.topic}/{head.partition} (topic id {head.topic_id}): an earlier head says it reached offset "
        f"{head.next_offset}, but it is gone"
        for partition in heads.keys() - set(known)
        for head in heads[partition]
        if head.next_offset > 0
    ]
    problems += [problem for report in reports for problem in report.problems]
    return Report(log.uri, not problems, reports, tuple(problems))


class SegmentReport(msgspec.Struct, frozen=True):
    """What was found in one segment, looked at alone, and the records of it that were asked for.

    Without `problems` it is byte for byte what was sealed, and its records lead from its `chain_start` to its
    `chain_end`; whether its neighbours are there and join it, only `verify` knows.
    """

    segment: Segment
    entries: tuple[Entry, ...]
    problems: tuple[str, ...]


def verify_segments(log: Log, partition: LogPartition, offsets: Iterable[int]) -> Iterator[SegmentReport]:
    """Recompute the segments that hold these offsets, in order.

    Raises:
        NotVerified: A segment is missing, or a header that leads to one of them cannot be read.
        LogFormatError: A newer modeltrail wrote a part of the log.
        Unavailable: The store does not answer.
    """
    wanted = frozenset(offsets)
    reached = 0
    for offset in sorted(wanted):
        if offset < reached:
            continue
        segment = next(log.segments(partition, offset), None)
        if segment is None:
            return
        reached = segment.next_offset
        walk = Walk(log, partition, (), keep=wanted)
        walk.alone(segment)
        yield SegmentReport(segment, tuple(walk.kept), tuple(walk.problems))
