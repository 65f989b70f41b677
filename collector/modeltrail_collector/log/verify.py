"""Prove that the log is what was sealed: every digest, every record, every link of every chain, again."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from modeltrail_collector.errors import CollectorError, LogFormatError, NotVerified, Unavailable
from modeltrail_collector.log import chain
from modeltrail_collector.log.account import Account, Link, RemovalReport
from modeltrail_collector.log.heads import Change, PartitionHead
from modeltrail_collector.log.log import ROLLUP_HEADER_BYTES, Log
from modeltrail_collector.log.parts import view
from modeltrail_collector.log.segment import Segment, folder_of, name_of_rollup, not_verified
from modeltrail_collector.model import Entry, LogPartition

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class PartitionReport(msgspec.Struct, frozen=True):
    """What was found in one chain. `problems` is empty when all of it is what was sealed.

    Of its segments so many are `rolled_up`; of the offsets in `removed` retention took the records, and the
    headers that are left vouch for the chain over them. `removals` are the records of that; of what lies
    before `unrecorded_before` there is none, as an older modeltrail removed it. `unfinished` roll-ups double
    what segments hold. `repaired` offsets were collected again: they are sound, but not the original records.
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
    removals: tuple[RemovalReport, ...]
    unrecorded_before: int
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


def verify(
    log: Log, earlier: Iterable[PartitionHead] = (), *, trusted: "Ed25519PublicKey | None" = None
) -> Report:
    """Recompute everything. Never raises for a bad log: that is the answer.

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
    reports = tuple(_Walk(log, partition, heads.get(partition, ())).report(trusted) for partition in known)
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
    """One chain from its genesis to its end; goes on behind a problem, to find the others."""

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
        self.waiting: list[Link] = []
        self.account: Account | None = None
        self.link = chain.genesis(partition)
        self.next_offset = 0
        self.segments = 0
        self.records = 0
        self.stubs: Counter[str] = Counter()
        self.rollups: dict[str, Segment | None] = {}
        self.removed: list[Change] = []
        self.repaired: list[Change] = []
        self.unreadable = ""
        self.problems: list[str] = []

    def report(self, trusted: "Ed25519PublicKey | None" = None) -> PartitionReport:
        self.account = account = Account(self.log, self.partition)
        self.waiting = sorted([*map(_link_of, self.earlier), *account.links()], key=lambda link: link.offset)
        folder = folder_of(self.partition)
        files = self.log.store.files(folder)
        self._chain([f"{folder}/{name}" for name in files if name.endswith(".avro")])
        for link in self.waiting:
            self._problem(f"rolled back: {link.source} {link.offset}, now it ends at {self.next_offset}")
        for head in self.earlier:
            self._compare_changes(head)
        for problem in account.judged(self.earlier, trusted):
            self._problem(problem)
        return PartitionReport(
            *(self.partition.topic, self.partition.topic_id, self.partition.partition),
            segments=self.segments,
            records=self.records,
            next_offset=self.next_offset,
            chain_end=self.link,
            rolled_up=self.stubs.total(),
            removed=tuple(self.removed),
            removals=account.told(trusted),
            unrecorded_before=account.unrecorded_before,
            repaired=tuple(self.repaired),
            unfinished=tuple(name for name in self.rollups if not self.stubs[name]),
            set_aside=tuple(f"{folder}/{name}" for name in files if ".avro.bad-" in name),
            problems=tuple(self.problems),
        )

    def _chain(self, names: Iterable[str]) -> None:
        """Every segment, and each roll-up where it begins."""
        rollups = self.log.rollups(self.partition)
        for name in names:
            for first, end in rollups:
                if first == self.next_offset:
                    self._rollup(name_of_rollup(self.partition, first, end))
            self._segment(name)
        for first, end in rollups:
            if (name := name_of_rollup(self.partition, first, end)) not in self.rollups:
                self._problem(f"offset {first}: no segment begins there, but {name}")
        if self.unreadable:
            self._problem(f"offset {self.next_offset} on: {self.unreadable}")

    def alone(self, segment: Segment) -> None:
        """One segment, as if the chain began with it."""
        try:
            if segment.removed:
                self._removed(segment)
            else:
                self._records(segment)
        except (Unavailable, LogFormatError):
            raise
        except CollectorError as error:
            self.problems.append(str(error))

    def _segment(self, name: str) -> None:
        self.segments += 1
        try:
            segment = self.log.header(name)
        except NotVerified as error:
            number = name.rpartition("/")[2].removesuffix(".avro")
            if self.unreadable and number.isdecimal():
                self._follow(int(number))
            self.unreadable = str(error)
            return
        try:
            self._follow(segment.first_offset)
            if self.link not in {"", segment.chain_start}:
                self._problem(f"offset {self.next_offset}: {name} does not continue the chain before it")
            self.link = segment.chain_start
            self._content(segment)
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

    def _content(self, segment: Segment) -> None:
        try:
            if segment.rolled_into:
                self._stub(segment)
            elif segment.removed:
                self._removed(segment)
                self._emptied(segment)
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
            if segment.repair:
                link = self._repaired(segment, link)
            self._pass(part.next_offset, link)
            if link != part.chain_end:
                self._problem(f"offsets {part.first_offset} to {part.next_offset - 1}: the chain is broken")
        for _ in entries:  # `read` says so where there are more than the header promises
            pass

    def _repaired(self, segment: Segment, link: str) -> str:
        """The link behind a repair: the one that its neighbours join, if its records lead where it says."""
        self.repaired.append(Change(segment.first_offset, segment.next_offset, "repaired", link))
        return segment.chain_end if link == segment.records_end else link

    def _rollup(self, name: str) -> None:
        """A roll-up that begins here; None of it is kept when it is bad."""
        self.rollups[name] = None
        try:
            rolled = self.log.header(name, ROLLUP_HEADER_BYTES)
            if rolled.chain_start != self.link:
                self._problem(f"offset {self.next_offset}: {name} does not continue the chain before it")
            if rolled.removed:
                self.log.content(rolled)
                self._emptied(rolled)
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
        """Only the header vouches for what is gone: earlier heads at its ends are still compared."""
        self.log.content(stub)
        self._pass(stub.first_offset, stub.chain_start)
        first = stub.first_offset
        if self.removed and self.removed[-1].next_offset == first:
            first = self.removed.pop().first_offset
        self.removed.append(Change(first, stub.next_offset, "removed", stub.chain_end))
        self._pass(stub.next_offset, stub.chain_end)

    def _emptied(self, file: Segment) -> None:
        """A file that retention emptied, whose header is sound."""
        if self.account:
            self.account.emptied(file)

    def _value(self, entry: Entry) -> None:
        if entry.offset in self.keep:
            self.kept.append(entry)
        if sha256(entry.value or b"").hexdigest() != entry.sha256:
            self._problem(f"offset {entry.offset}: the value is not the one that was hashed")
        if (entry.topic, entry.partition) != (self.partition.topic, self.partition.partition):
            self._problem(f"offset {entry.offset}: it belongs to {entry.topic}/{entry.partition}")

    def _pass(self, offset: int, link: str) -> None:
        """Compare with what others say of the link before the record at `offset`, or at the end."""
        while self.waiting and self.waiting[0].offset <= offset:
            said = self.waiting.pop(0)
            if said.link != link:
                self._problem(f"offset {said.offset}: the records before it are not those of {said.of}")

    def _compare_changes(self, head: PartitionHead) -> None:
        """What was changed on purpose since the head was written is not what it speaks of."""
        for change in (*self.removed, *self.repaired):
            if change.first_offset < head.next_offset and not change.known_to(head):
                self._problem(
                    f"offsets {change.first_offset} to {change.next_offset - 1}: {change.what} since the "
                    "earlier head was written. If that was on purpose, write a new head"
                )

    def _problem(self, text: str) -> None:
        self.problems.append(f"topic {self.partition.topic}, partition {self.partition.partition}, {text}")


def _link_of(head: PartitionHead) -> Link:
    said = "an earlier head says it reached offset"
    return Link(head.next_offset, head.chain_end, "the earlier head", said)
