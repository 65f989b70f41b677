"""What the records of removals say, held against what is left of the files."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from modeltrail_collector.log import removals
from modeltrail_collector.log.heads import Change, PartitionHead
from modeltrail_collector.log.log import Log
from modeltrail_collector.log.removals import Removal
from modeltrail_collector.log.retention import unfinished
from modeltrail_collector.log.segment import Segment
from modeltrail_collector.model import LogPartition

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Link(NamedTuple):
    """What somebody says a chain's link before an offset is; `source` and `of` are for people."""

    offset: int
    link: str
    of: str
    source: str


class RemovalReport(msgspec.Struct, frozen=True):
    """What was removed, when, by which rule and by whom, as its record says.

    `signed_by` is the SHA-256 of the key that the record names, `trusted` that the signature was checked with
    the key to be trusted. Not `finished`: some of the records are still there.
    """

    record: str
    first_offset: int
    next_offset: int
    records: int
    chain_start: str
    chain_end: str
    removed_at: str
    removed_by: str
    keep_seconds: int
    sealed_before: str
    signed_by: str | None
    trusted: bool
    finished: bool


def report(removal: Removal, trusted: "Ed25519PublicKey | None", *, finished: bool) -> RemovalReport:
    """What a record says."""
    said = removal.statement
    return RemovalReport(
        removal.name,
        *(said.first_offset, said.next_offset, said.records, said.chain_start, said.chain_end),
        *(said.removed_at, said.removed_by, said.keep_seconds, said.sealed_before),
        signed_by=removal.signed_by,
        trusted=trusted is not None and not removal.distrusted(trusted),
        finished=finished,
    )


class Account:
    """The records of a partition's removals; takes what is found of the chain, then judges."""

    def __init__(self, log: Log, partition: LogPartition) -> None:
        self.unrecorded_before = 0
        self._log = log
        self._partition = partition
        self._problems: list[str] = []
        self._read()

    def _read(self) -> None:
        self._records, self._unsound = removals.read(self._log, self._partition)
        self._known = {removal.sha256: removal for removal in self._records}

    def links(self) -> Iterator[Link]:
        """What the records say of the chain."""
        for removal in self._records:
            said = removal.statement
            source = f"the record {removal.name} speaks of offset"
            yield Link(said.first_offset, said.chain_start, f"the record {removal.name}", source)
            yield Link(said.next_offset, said.chain_end, f"the record {removal.name}", source)

    def emptied(self, file: Segment) -> None:
        """Take a file without records; one that no record names as it was is a problem."""
        where = f"offsets {file.first_offset} to {file.next_offset - 1}: "
        if file.removal and file.removal not in self._known:
            self._read()  # it may have been removed since
        removal = self._known.get(file.removal)
        if removal is None and file.removal:
            self._problems.append(
                f"{where}the record of their removal (SHA-256 {file.removal[:16]}…) is missing or was altered"
            )
        elif removal is None:
            self.unrecorded_before = max(self.unrecorded_before, file.next_offset)
            if self._records and file.next_offset > self._records[0].statement.unrecorded_before:
                self._problems.append(
                    f"{where}{file.name} says that retention removed them, but there is no record of that"
                )
        elif (file.name, file.replaces, file.rows) not in {
            (named.name, named.sha256, named.records) for named in removal.statement.files
        }:
            self._problems.append(f"{where}{removal.name} does not speak of {file.name} as it says it was")

    def judged(self, earlier: Sequence[PartitionHead], trusted: "Ed25519PublicKey | None") -> Iterator[str]:
        """What is wrong; with a trusted key also each removal that it did not sign and no head knows."""
        yield from self._unsound
        yield from self._problems
        if trusted is None:
            return
        if self.unrecorded_before and not _known(0, self.unrecorded_before, earlier):
            yield (
                f"offsets 0 to {self.unrecorded_before - 1}: removed by retention without a record, "
                "which the trusted key would have signed"
            )
        for removal in self._records:
            said = removal.statement
            problem = removal.distrusted(trusted)
            if problem and not _known(said.first_offset, said.next_offset, earlier):
                yield f"offsets {said.first_offset} to {said.next_offset - 1}: {problem}"

    def told(self, trusted: "Ed25519PublicKey | None") -> tuple[RemovalReport, ...]:
        """What the records say."""
        return tuple(
            report(removal, trusted, finished=not unfinished(self._log, removal)) for removal in self._records
        )


def _known(first_offset: int, next_offset: int, earlier: Sequence[PartitionHead]) -> bool:
    """Whether a head that speaks of all these offsets lists their removal."""
    change = Change(first_offset, next_offset, "removed", "")
    return any(head.next_offset >= next_offset and change.known_to(head) for head in earlier)
