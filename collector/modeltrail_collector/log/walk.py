"""One chain of the log, recomputed from its genesis to its end."""

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


class Walk:
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
        self.waiting: list[Link] = []
        self.account: Account | None = None
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

    def report(self, trusted: "Ed25519PublicKey | None" = None) -> PartitionReport:
        """The whole chain; raises as `verify.verify`."""
        self.account = account = Account(self.log, self.partition)
        self.waiting = sorted([*map(_link_of, self.earlier), *account.links()], key=lambda link: link.offset)
        folder = folder_of(self.partition)
        rollups = self.log.rollups(self.partition)  # before the segments, so that theirs are among these
        files = self.log.store.files(folder)
        self._chain([name for name in files if name.endswith(".avro")], rollups)
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

    def _chain(self, names: Iterable[str], rollups: Iterable[tuple[int, int]]) -> None:
        """Every segment, and each roll-up where it begins."""
        for name in names:
            self._fill_hole(name.removesuffix(".avro"))
            for first, end in rollups:
                if name == f"{first:020}.avro":
                    self._rollup(name_of_rollup(self.partition, first, end))
            self._segment(f"{folder_of(self.partition)}/{name}")
        for first, end in rollups:
            name = name_of_rollup(self.partition, first, end)
            if name not in self.rollups and name not in self.gone:
                self._problem(f"offset {first}: no segment begins there, but {name}")
        if self.unreadable:
            self._problem(f"offset {self.next_offset} on: {self.unreadable}")

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
                self._emptied(segment)
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
            if rolled.removed:
                self._emptied(rolled)
            else:
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
