"""What a collector has done so far, and how it is: plain numbers that cross a pipe to the parent process."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from modeltrail_collector.judge import cause
from modeltrail_collector.log import Segment
from modeltrail_collector.model import Entry, LogPartition

SEAL_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets for the time that sealing takes, in seconds."""


class Totals(msgspec.Struct):
    """Sealed since the start: records by verdict, segments, and offsets that were gone before us.

    `rejected_by_code` counts each rejected record once, under the reason that it was rejected for. `letters`
    are the dead letters that their topic acknowledged, `letters_behind` the offsets that are sealed but not
    looked through for dead letters yet, `letters_failures` the attempts to publish that failed.
    """

    records: int = 0
    accepted: int = 0
    warned: int = 0
    rejected: int = 0
    segments: int = 0
    missing: int = 0
    rejected_by_code: Counter[str] = msgspec.field(default_factory=Counter)
    missing_by_reason: Counter[str] = msgspec.field(default_factory=Counter)
    letters: int = 0
    letters_behind: int = 0
    letters_failures: int = 0

    def add_segment(self, segment: Segment, entries: Sequence[Entry]) -> None:
        """Count what a segment holds."""
        verdicts = [entry.verdict for entry in entries]
        rejected = verdicts.count("rejected")
        self.accepted += verdicts.count("accepted")
        self.warned += verdicts.count("warned")
        self.rejected += rejected
        self.records += len(entries)
        self.segments += 1
        if rejected:
            self.rejected_by_code.update(
                cause(entry.reasons).code for entry in entries if entry.verdict == "rejected"
            )
        for gap in segment.gaps:
            offsets = gap.next_offset - gap.first_offset
            self.missing += offsets
            self.missing_by_reason[gap.reason] += offsets

    def add(self, other: "Totals") -> None:
        """Add another collector's."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Activity(msgspec.Struct):
    """What happened since the start besides what was sealed."""

    consumed: int = 0
    consumed_bytes: int = 0
    conflicts: int = 0
    rebalances: int = 0
    failures: Counter[str] = msgspec.field(default_factory=Counter)
    seals: list[int] = msgspec.field(default_factory=lambda: [0] * (len(SEAL_BUCKETS) + 1))
    seal_seconds: float = 0.0

    def sealed(self, seconds: float) -> None:
        """Count how long a segment took."""
        self.seals[bisect_left(SEAL_BUCKETS, seconds)] += 1
        self.seal_seconds += seconds

    def failed(self, upstream: str) -> None:
        """Count that Kafka or the store did not answer."""
        self.failures[upstream] += 1


class PartitionStatus(msgspec.Struct, frozen=True):
    """One partition of a collector: where its log ends, and where it ends in Kafka as far as is known."""

    partition: LogPartition
    sealed: int
    end: int | None


class Status(msgspec.Struct):
    """A collector at a moment; times are seconds since the epoch."""

    totals: Totals = msgspec.field(default_factory=Totals)
    activity: Activity = msgspec.field(default_factory=Activity)
    waiting_records: int = 0
    waiting_bytes: int = 0
    partitions: list[PartitionStatus] = msgspec.field(default_factory=list)
    assigned: bool = False
    polled_at: float | None = None
    sealed_at: float | None = None
    failing_since: float | None = None
    error: str | None = None
    alive: bool = True


def total(statuses: Iterable[Status]) -> Totals:
    """The totals of many collectors."""
    found = Totals()
    for status in statuses:
        found.add(status.totals)
    return found
