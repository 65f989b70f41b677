"""Rejected records once more before the judge: what he takes in today is appended to the local chain.

The log is never rewritten: the rejected record stays where it is, and its copy says in `source` where that
is. Which records were replayed stands in the headers of the segments that hold the copies (`log.replays`), so
that nothing is added twice, whoever replays how often and whatever kills him.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from modeltrail_collector import judge
from modeltrail_collector.errors import NotFound, OwnershipLost
from modeltrail_collector.log import Log, Place, Segment, ambiguous, entry_at, replays
from modeltrail_collector.log.replays import mark, source
from modeltrail_collector.model import LOCAL, Entry, Reason, Record, Verdict
from modeltrail_collector.pump.local import LocalWriter
from modeltrail_collector.pump.totals import Totals

_logger = logging.getLogger(__name__)


class Wanted(msgspec.Struct, frozen=True):
    """Which rejected records: those at `places`, or all that the other fields admit."""

    places: Sequence[Place] = ()
    topic: str | None = None
    codes: Sequence[str] = ()
    since: datetime | None = None

    def segment(self, segment: Segment) -> bool:
        """Whether a segment may hold some."""
        if self.places and not any(
            place.partition == segment.partition
            and segment.first_offset <= place.offset < segment.next_offset
            for place in self.places
        ):
            return False
        if self.topic not in {None, segment.partition.topic}:
            return False
        try:
            return self.since is None or datetime.fromisoformat(segment.sealed_at) >= self.since
        except ValueError:  # it is damaged, and reading it will say so
            return True

    def entry(self, place: Place, entry: Entry) -> bool:
        """Whether this rejected record is one."""
        return (
            (not self.places or place in self.places)
            and (not self.codes or any(reason.code in self.codes for reason in entry.reasons))
            and (self.since is None or entry.ingested_at_ms >= self.since.timestamp() * 1000)
        )


class Outcome(msgspec.Struct, frozen=True):
    """What the judge of today says of one record."""

    record: str
    verdict: str
    reasons: tuple[Reason, ...]


class ReplayResult(msgspec.Struct):
    """What a replay did, or would do: records that are taken in, records that are still rejected.

    What was rejected in `removed_segments` is gone: retention removed it.
    """

    judge_id: str
    dry_run: bool
    replayed: list[Outcome] = msgspec.field(default_factory=list)
    rejected: list[Outcome] = msgspec.field(default_factory=list)
    replayed_before: int = 0
    segments: int = 0
    removed_segments: int = 0


def replay(log: Log, wanted: Wanted, *, strict: bool = False, dry_run: bool = False) -> ReplayResult:
    """Judge rejected records again, and append those that are not rejected any more to the local chain.

    Args:
        log: The log; the records are read from its segments.
        wanted: Which records.
        strict: Reject what the judge would warn about.
        dry_run: Append nothing.

    Raises:
        NotFound: One of `wanted.places` is no rejected record.
        NotVerified: A segment is not what was sealed.
        Unavailable: The store cannot be read or written; to replay again is safe.
    """
    for place in wanted.places:
        _, entry = entry_at(log, place)
        if entry.verdict != "rejected":
            raise NotFound(f"{place.name()} was {entry.verdict}: there is nothing to replay")
    result = ReplayResult(judge.judge_id(), dry_run)
    if not dry_run:
        log.recover(LOCAL)
    totals = Totals()
    while True:
        try:
            _replay_once(log, wanted, result, totals, strict=strict)
        except OwnershipLost:
            _logger.info("somebody else seals into the local chain of %s: going on behind it", log.uri)
            del result.replayed[totals.records :]
        else:
            result.segments = totals.segments
            return result


def _replay_once(log: Log, wanted: Wanted, result: ReplayResult, totals: Totals, *, strict: bool) -> None:
    copies = _Copies(None if result.dry_run else LocalWriter(log, log.end(LOCAL), totals))
    known = replays(log)
    shared = ambiguous(log)
    result.rejected, result.replayed_before, result.removed_segments = [], -totals.records, 0
    for found in _rejected(log, wanted, result):
        if found is None or not wanted.entry(*found):
            copies.interrupt()
            continue
        place, entry = found
        if known.of(*place):
            copies.interrupt()
            result.replayed_before += 1
            continue
        verdict = judge.judge(entry.value, strict=strict)
        outcome = Outcome(place.name(full=place.partition.topic in shared), verdict.verdict, verdict.reasons)
        if verdict.verdict == "rejected":
            copies.interrupt()
            result.rejected.append(outcome)
        else:
            result.replayed.append(outcome)
            copies.add(place, entry, verdict)
    copies.seal()


def _rejected(log: Log, wanted: Wanted, result: ReplayResult) -> Iterator[tuple[Place, Entry] | None]:
    """Every rejected record of the segments that may hold wanted ones; None where segments are left out."""
    for partition in log.partitions():
        yield None
        for segment in log.segments(partition):
            if not wanted.segment(segment):
                yield None
                continue
            result.removed_segments += segment.removed
            for entry in log.read(segment):
                if entry.verdict == "rejected":
                    yield Place(partition, entry.offset), entry


class _Copies:
    """Copies of rejected records on their way into the local chain (None: nowhere)."""

    def __init__(self, writer: LocalWriter | None) -> None:
        self._writer = writer
        self._first: int | None = None

    def interrupt(self) -> None:
        """There is, or may be, a rejected record here that is not copied: the next mark starts behind it."""
        self._first = None

    def add(self, place: Place, entry: Entry, verdict: Verdict) -> None:
        if self._writer is None:
            return
        if self._first is None:
            self._first = place.offset
        record = Record(
            LOCAL.topic,
            LOCAL.partition,
            self._writer.end,
            source(*place),
            entry.timestamp_ms,
            entry.key,
            entry.headers,
            entry.value,
        )
        self._writer.add(record, verdict, mark(place.partition, self._first, place.offset + 1))

    def seal(self) -> None:
        if self._writer is not None:
            self._writer.seal()
