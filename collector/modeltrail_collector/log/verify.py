"""Prove that the log is what was sealed: every digest, every record, every link of every chain, again."""

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import islice

import msgspec

from modeltrail_collector.errors import CollectorError, LogFormatError, Unavailable
from modeltrail_collector.log import chain
from modeltrail_collector.log.heads import Change, PartitionHead
from modeltrail_collector.log.log import ROLLUP_HEADER_BYTES, Log
from modeltrail_collector.log.parts import view
from modeltrail_collector.log.segment import Segment, folder_of, name_of_rollup, not_verified
from modeltrail_collector.model import Entry, LogPartition


class PartitionReport(msgspec.Struct, frozen=True):
    """What was found in one chain. `problems` is empty when all of it is what was sealed.

    Of its segments so many are `rolled_up`; of the offsets in `removed` retention took the records, and the
    headers that are left vouch for the chain over them. `unfinished` roll-ups double what segments hold.
    """

    topic: str
    topic_id: str
    partition: int
    segments: int
    records: int
    next_offset: int
    chain_end: str
    rolled_up: int
    removed: tuple[Change, ...]
    unfinished: tuple[str, ...]
    set_aside: tuple[str, ...]
    problems: tuple[str, ...]


class Report(msgspec.Struct, frozen=True):
    """What was found in the log; `ok` is the answer."""

    log: str
    ok: bool
    partitions: tuple[PartitionReport, ...]
    problems: tuple[str, ...]

    def heads(self) -> list[PartitionHead]:
        """The ends of all chains, to compare with later."""
        return [
            PartitionHead(p.topic, p.topic_id, p.partition, p.next_offset, p.chain_end)
            for p in self.partitions
        ]


def verify(log: Log, earlier: Iterable[PartitionHead] = ()) -> Report:
    """Recompute everything. Never raises for a bad log: that is the answer.

    Args:
        log: The log.
        earlier: Heads of an earlier `Report`: the chains must still lead through them (no rollback).

    Raises:
        LogFormatError: A newer modeltrail wrote a part of the log.
        Unavailable: The store does not answer.
    """
    heads: dict[LogPartition, list[PartitionHead]] = {}
    for head in earlier:
        heads.setdefault(LogPartition(head.topic, head.topic_id, head.partition), []).append(head)
    known = log.partitions()
    reports = tuple(_Walk(log, partition, heads.get(partition, ())).report() for partition in known)
    problems = [
        f"{head.topic}/{head.partition} (topic id {head.topic_id}): an earlier head says it reached offset "
        f"{head.next_offset}, but it is gone"
        for partition in heads.keys() - set(known)
        for head in heads[partition]
        if head.next_offset > 0
    ]
    problems += [problem for report in reports for problem in report.problems]
    return Report(log.uri, not problems, reports, tuple(problems))


class _Walk:
    """One chain from its genesis to its end; goes on behind a problem, to find the others."""

    def __init__(self, log: Log, partition: LogPartition, earlier: Sequence[PartitionHead]) -> None:
        self.log = log
        self.partition = partition
        self.waiting = sorted(earlier, key=lambda head: head.next_offset)
        self.link = chain.genesis(partition)
        self.next_offset = 0
        self.segments = 0
        self.records = 0
        self.stubs: Counter[str] = Counter()
        self.rollups: dict[str, Segment | None] = {}
        self.removed: list[Change] = []
        self.problems: list[str] = []

    def report(self) -> PartitionReport:
        folder = folder_of(self.partition)
        files = self.log.store.files(folder)
        rollups = self.log.rollups(self.partition)
        for name in files:
            if name.endswith(".avro"):
                for first, end in rollups:
                    if first == self.next_offset:
                        self._rollup(name_of_rollup(self.partition, first, end))
                self._segment(f"{folder}/{name}")
        for first, end in rollups:
            if (name := name_of_rollup(self.partition, first, end)) not in self.rollups:
                self._problem(f"offset {first}: no segment begins there, but {name}")
        for head in self.waiting:
            self._compare(head)
        return PartitionReport(
            *(self.partition.topic, self.partition.topic_id, self.partition.partition),
            segments=self.segments,
            records=self.records,
            next_offset=self.next_offset,
            chain_end=self.link,
            rolled_up=self.stubs.total(),
            removed=tuple(self.removed),
            unfinished=tuple(name for name in self.rollups if not self.stubs[name]),
            set_aside=tuple(f"{folder}/{name}" for name in files if ".avro.bad-" in name),
            problems=tuple(self.problems),
        )

    def _segment(self, name: str) -> None:
        self.segments += 1
        try:
            segment = self.log.header(name)
            if segment.first_offset != self.next_offset:
                self._problem(
                    f"offsets {self.next_offset} to {segment.first_offset - 1}: their segment is missing"
                )
            elif segment.chain_start != self.link:
                self._problem(f"offset {self.next_offset}: {name} does not continue the chain before it")
            self.link, self.next_offset = segment.chain_start, segment.first_offset
            self._content(segment)
        except (Unavailable, LogFormatError):
            raise
        except CollectorError as error:
            self.problems.append(str(error))

    def _content(self, segment: Segment) -> None:
        try:
            if segment.rolled_into:
                self._stub(segment)
            elif segment.removed:
                self._removed(segment)
            else:
                self._records(segment)
                self.records += segment.rows
        finally:
            self.link, self.next_offset = segment.chain_end, segment.next_offset

    def _records(self, segment: Segment) -> None:
        """Every record and every link, of a segment or of all parts of a roll-up."""
        link = segment.chain_start
        entries = self.log.read(segment)
        for part in segment.parts or (segment,):
            for entry in islice(entries, part.rows):
                self._pass(entry.offset, link)
                link = chain.extend(link, (entry,))
                self._value(entry)
            self._pass(part.next_offset, link)
            if link != part.chain_end:
                self._problem(f"offsets {part.first_offset} to {part.next_offset - 1}: the chain is broken")
        for _ in entries:  # `read` says so where there are more than the header promises
            pass

    def _rollup(self, name: str) -> None:
        """A roll-up that begins here; None of it is kept when it is bad."""
        self.rollups[name] = None
        try:
            rolled = self.log.header(name, ROLLUP_HEADER_BYTES)
            if rolled.chain_start != self.link:
                self._problem(f"offset {self.next_offset}: {name} does not continue the chain before it")
            if rolled.removed:
                self.log.content(rolled)
            else:
                self._records(rolled)
            self.rollups[name] = rolled
        except (Unavailable, LogFormatError):
            raise
        except CollectorError as error:
            self.problems.append(str(error))

    def _stub(self, stub: Segment) -> None:
        """A stub is what was written, and stands for a part of a roll-up; that one's records were read."""
        self.log.content(stub)
        self.stubs[stub.rolled_into] += 1
        if stub.rolled_into not in self.rollups:
            raise not_verified(stub, f"{stub.rolled_into} is missing")
        rolled = self.rollups[stub.rolled_into]
        if rolled is None:
            return
        view(rolled, stub, alone=True)
        if rolled.removed:
            self._removed(stub)
        else:
            self.records += stub.rows

    def _removed(self, stub: Segment) -> None:
        """Only the header vouches for what is gone: an earlier head at its end is still compared."""
        self.log.content(stub)
        first = stub.first_offset
        if self.removed and self.removed[-1].next_offset == first:
            first = self.removed.pop().first_offset
        self.removed.append(Change(first, stub.next_offset, "removed", stub.chain_end))
        self._pass(stub.next_offset, stub.chain_end)

    def _value(self, entry: Entry) -> None:
        if sha256(entry.value or b"").hexdigest() != entry.sha256:
            self._problem(f"offset {entry.offset}: the value is not the one that was hashed")
        if (entry.topic, entry.partition) != (self.partition.topic, self.partition.partition):
            self._problem(f"offset {entry.offset}: it belongs to {entry.topic}/{entry.partition}")

    def _pass(self, offset: int, link: str) -> None:
        """Compare with the earlier heads that lie before the record at `offset`, or at the end."""
        while self.waiting and self.waiting[0].next_offset <= offset:
            head = self.waiting.pop(0)
            if head.chain_end != link:
                self._problem(
                    f"offset {head.next_offset}: the records before it are not those of the earlier head"
                )

    def _compare(self, head: PartitionHead) -> None:
        self._problem(
            f"rolled back: an earlier head says it reached offset {head.next_offset}, "
            f"now it ends at {self.next_offset}"
        )

    def _problem(self, text: str) -> None:
        self.problems.append(f"topic {self.partition.topic}, partition {self.partition.partition}, {text}")
