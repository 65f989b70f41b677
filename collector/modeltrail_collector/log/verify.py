"""Prove that the log is what was sealed: every digest, every record, every link of every chain, again."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice

import msgspec

from modeltrail_collector.errors import CollectorError, LogFormatError, NotVerified, Unavailable
from modeltrail_collector.log import chain
from modeltrail_collector.log.heads import Change, PartitionHead
from modeltrail_collector.log.log import Log
from modeltrail_collector.log.parts import view
from modeltrail_collector.log.segment import (
    Segment,
    check_digest,
    entries,
    folder_of,
    name_of,
    name_of_rollup,
    not_verified,
    read_whole,
)
from modeltrail_collector.model import Entry, LogPartition


class PartitionReport(msgspec.Struct, frozen=True):
    """What was found in one chain. `problems` is empty when all of it is what was sealed.

    Of its segments so many are `rolled_up`; of the offsets in `removed` retention took the records, and the
    headers that are left vouch for the chain over them. `unfinished` roll-ups double what segments hold.
    `repaired` offsets were collected again: they are sound, but not the original records.
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
    repaired: tuple[Change, ...]
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
            PartitionHead(
                p.topic, p.topic_id, p.partition, p.next_offset, p.chain_end, (*p.removed, *p.repaired)
            )
            for p in self.partitions
        ]


def verify(log: Log, earlier: Iterable[PartitionHead] = ()) -> Report:
    """Recompute everything. Never raises for a bad log: that is the answer.

    Others may collect, maintain and repair the log meanwhile.

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
        walk = _Walk(log, partition, (), keep=wanted)
        walk.alone(segment)
        yield SegmentReport(segment, tuple(walk.kept), tuple(walk.problems))


class _Walk:
    """One chain from its genesis to its end; goes on behind a problem, to find the others.

    The files are listed first, and may be others when their turn comes. So each is read once, header and
    records together. A roll-up that is gone was one that no stub named; one that came since is read when the
    first stub names it; and what a repair wrote beside its place is looked for where the listing has a hole.
    """

    def __init__(
        self,
        log: Log,
        partition: LogPartition,
        earlier: Sequence[PartitionHead],
        keep: Container[int] = (),
    ) -> None:
        self.log = log
        self.partition = partition
        self.keep = keep
        self.kept: list[Entry] = []
        self.earlier = earlier
        self.waiting = sorted(earlier, key=lambda head: head.next_offset)
        self.link = chain.genesis(partition)
        self.next_offset = 0
        self.segments = 0
        self.records = 0
        self.stubs: Counter[str] = Counter()
        self.rollups: dict[str, Segment | None] = {}
        self.gone: set[str] = set()
        self.removed: list[Change] = []
        self.repaired: list[Change] = []
        self.unreadable = ""
        self.problems: list[str] = []

    def report(self) -> PartitionReport:
        folder = folder_of(self.partition)
        rollups = self.log.rollups(self.partition)  # before the segments, so that theirs are among these
        files = self.log.store.files(folder)
        for name in files:
            if name.endswith(".avro"):
                self._fill_hole(name.removesuffix(".avro"))
                for first, end in rollups:
                    if name == f"{first:020}.avro":
                        self._rollup(name_of_rollup(self.partition, first, end))
                self._segment(f"{folder}/{name}")
        for first, end in rollups:
            name = name_of_rollup(self.partition, first, end)
            if name not in self.rollups and name not in self.gone:
                self._problem(f"offset {first}: no segment begins there, but {name}")
        if self.unreadable:
            self._problem(f"offset {self.next_offset} on: {self.unreadable}")
        for head in self.waiting:
            self._compare(head)
        for head in self.earlier:
            self._compare_changes(head)
        return PartitionReport(
            *(self.partition.topic, self.partition.topic_id, self.partition.partition),
            segments=self.segments,
            records=self.records,
            next_offset=self.next_offset,
            chain_end=self.link,
            rolled_up=self.stubs.total(),
            removed=tuple(self.removed),
            repaired=tuple(self.repaired),
            unfinished=tuple(name for name in self.rollups if not self.stubs[name]),
            set_aside=tuple(f"{folder}/{name}" for name in files if ".avro.bad-" in name),
            problems=tuple(self.problems),
        )

    def alone(self, segment: Segment) -> None:
        """One segment, as if the chain began with it."""
        try:
            if segment.removed:
                self.log.content(segment)
                self._removed(segment)
            else:
                self._records(segment, self.log.read(segment))
        except (Unavailable, LogFormatError):
            raise
        except CollectorError as error:
            self.problems.append(str(error))

    def _fill_hole(self, number: str) -> None:
        """Read the segments that came since the listing and lie before the next one of it."""
        while number.isdecimal() and self.next_offset < int(number) and not self.unreadable:
            reached = self.next_offset
            self._segment(name_of(self.partition, reached))
            if self.next_offset == reached:
                return

    def _segment(self, name: str) -> None:
        try:
            data = self.log.store.read(name)
            segment = read_whole(name, data)
        except FileNotFoundError:
            return  # it was the last one, torn, and set aside; else the next one tells what is missing
        except NotVerified as error:
            self.segments += 1
            number = name.rpartition("/")[2].removesuffix(".avro")
            if self.unreadable and number.isdecimal():
                self._follow(int(number))
            self.unreadable = str(error)
            return
        self.segments += 1
        try:
            self._follow(segment.first_offset)
            if self.link not in {"", segment.chain_start}:
                self._problem(f"offset {self.next_offset}: {name} does not continue the chain before it")
            self.link = segment.chain_start
            self._content(segment, data)
        except (Unavailable, LogFormatError):
            raise
        except CollectorError as error:
            self.problems.append(str(error))

    def _follow(self, offset: int) -> None:
        """Go on at an offset; what lies before it and was not read is missing, or had a broken header."""
        if self.unreadable or offset != self.next_offset:
            problem = self.unreadable or "their segment is missing"
            self._problem(f"offsets {self.next_offset} to {offset - 1}: {problem}")
            self.link = ""
        self.next_offset, self.unreadable = offset, ""

    def _content(self, segment: Segment, data: bytes) -> None:
        try:
            check_digest(segment, data)
            if segment.rolled_into:
                self._stub(segment)
            elif segment.removed:
                self._removed(segment)
            else:
                self._records(segment, entries(segment, data))
                self.records += segment.rows
        finally:
            self.link, self.next_offset = segment.chain_end, segment.next_offset

    def _records(self, segment: Segment, found: Iterator[Entry]) -> None:
        """Every record and every link, of a segment or of all parts of a roll-up."""
        link = segment.chain_start
        for part in segment.parts or (segment,):
            for entry in islice(found, part.rows):
                self._pass(entry.offset, link)
                link = chain.extend(link, (entry,))
                self._value(entry)
            if segment.repair:
                link = self._repaired(segment, link)
            self._pass(part.next_offset, link)
            if link != part.chain_end:
                self._problem(f"offsets {part.first_offset} to {part.next_offset - 1}: the chain is broken")
        for _ in found:  # it says so where there are more than the header promises
            pass

    def _repaired(self, segment: Segment, link: str) -> str:
        """The link behind a repair: the one that its neighbours join, if its records lead where it says."""
        self.repaired.append(Change(segment.first_offset, segment.next_offset, "repaired", link))
        return segment.chain_end if link == segment.records_end else link

    def _rollup(self, name: str) -> None:
        """A roll-up; None of it is kept when it is bad."""
        try:
            data = self.log.store.read(name)
        except FileNotFoundError:
            self.gone.add(name)
            return
        self.rollups[name] = None
        try:
            rolled = read_whole(name, data)
            if rolled.first_offset == self.next_offset and rolled.chain_start != self.link:
                self._problem(f"offset {self.next_offset}: {name} does not continue the chain before it")
            check_digest(rolled, data)
            if not rolled.removed:
                self._records(rolled, entries(rolled, data))
            self.rollups[name] = rolled
        except (Unavailable, LogFormatError):
            raise
        except CollectorError as error:
            self.problems.append(str(error))

    def _stub(self, stub: Segment) -> None:
        """A stub stands for a part of a roll-up; that one's records were read, or are now."""
        name = stub.rolled_into
        self.stubs[name] += 1
        if name not in self.rollups and name not in self.gone:
            self._rollup(name)
        if name in self.gone:
            raise not_verified(stub, f"{name} is missing")
        rolled = self.rollups[name]
        if rolled is None:
            return
        view(rolled, stub, alone=True)
        if rolled.removed:
            self._removed(stub)
        else:
            self.records += stub.rows

    def _removed(self, stub: Segment) -> None:
        """Only the header vouches for what is gone: earlier heads at its ends are still compared."""
        self._pass(stub.first_offset, stub.chain_start)
        first = stub.first_offset
        if self.removed and self.removed[-1].next_offset == first:
            first = self.removed.pop().first_offset
        self.removed.append(Change(first, stub.next_offset, "removed", stub.chain_end))
        self._pass(stub.next_offset, stub.chain_end)

    def _value(self, entry: Entry) -> None:
        if entry.offset in self.keep:
            self.kept.append(entry)
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

    def _compare_changes(self, head: PartitionHead) -> None:
        """What was changed on purpose since the head was written is not what it speaks of."""
        for change in (*self.removed, *self.repaired):
            if change.first_offset < head.next_offset and not _was_known(change, head):
                self._problem(
                    f"offsets {change.first_offset} to {change.next_offset - 1}: {change.what} since the "
                    "earlier head was written. If that was on purpose, write a new head"
                )

    def _compare(self, head: PartitionHead) -> None:
        self._problem(
            f"rolled back: an earlier head says it reached offset {head.next_offset}, "
            f"now it ends at {self.next_offset}"
        )

    def _problem(self, text: str) -> None:
        self.problems.append(f"topic {self.partition.topic}, partition {self.partition.partition}, {text}")


def _was_known(change: Change, head: PartitionHead) -> bool:
    """Whether a head lists a change; what retention removed may have been in several pieces then."""
    if change.what == "repaired":
        return change in head.changes
    reached = change.first_offset
    for known in sorted(head.changes, key=lambda known: known.first_offset):
        if known.what == "removed" and known.first_offset <= reached:
            reached = max(reached, known.next_offset)
    return reached >= min(change.next_offset, head.next_offset)
