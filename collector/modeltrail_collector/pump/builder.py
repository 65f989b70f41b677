"""What is read but not sealed yet: one builder per partition."""

from hashlib import sha256

from modeltrail_collector.log import Batch, Gap
from modeltrail_collector.model import Entry, FileProgress, LogPartition, Record, Verdict

OVERHEAD_BYTES = 600
"""What an entry costs in memory beside its key and value, roughly."""


class Builder:
    """Gathers the entries of one partition from `start`, where its log ends.

    Offsets travel along: `end` is where the next fetch has to begin.
    """

    def __init__(self, partition: LogPartition, start: int, *, now: float) -> None:
        self.partition = partition
        self.start = start
        self.end = start
        self.bytes = 0
        self.entries: list[Entry] = []
        self._gaps: list[Gap] = []
        self._since = now

    def add(self, entry: Entry) -> None:
        """Take the next entry. Its offset must be behind all before it: else something was read twice."""
        if entry.offset < self.end:
            raise AssertionError(f"offset {entry.offset} of {self.partition} again, after {self.end - 1}")
        self.end = entry.offset + 1
        self.bytes += len(entry.value or b"") + len(entry.key or b"") + OVERHEAD_BYTES
        self.entries.append(entry)

    def advance(self, end: int) -> None:
        """Offsets before `end` hold no more records: they were markers, or aborted, or compacted away."""
        if end < self.end:
            raise AssertionError(f"{self.partition} goes back from {self.end} to {end}")
        self.end = end

    def skip(self, end: int, reason: str) -> bool:
        """Offsets before `end` cannot be collected; the log says so. Returns whether that is news."""
        last = self._gaps[-1] if self._gaps else None
        goes_on = last is not None and (last.next_offset, last.reason) == (self.end, reason)
        begin = self._gaps.pop().first_offset if goes_on else self.end
        self._gaps.append(Gap(begin, end, reason))
        self.advance(end)
        return not goes_on

    @property
    def is_empty(self) -> bool:
        """Nothing to seal yet: an empty range alone is not worth a segment."""
        return not self.entries and not self._gaps

    def age(self, now: float) -> float:
        """Seconds since the oldest thing that waits; 0 when nothing does."""
        if self.is_empty:
            self._since = now
        return now - self._since

    def batch(self, judge_id: str, files: tuple[FileProgress, ...] = ()) -> Batch:
        """All of it, to be sealed."""
        return Batch(self.start, self.end, tuple(self.entries), files, tuple(self._gaps), judge_id)


def entry(record: Record, verdict: Verdict, ingested_at_ms: int) -> Entry:
    """A record and its verdict, as the log keeps them."""
    return Entry(
        record.topic,
        record.partition,
        record.offset,
        record.source,
        record.timestamp_ms,
        ingested_at_ms,
        record.key,
        record.headers,
        record.value,
        verdict.verdict,
        verdict.reasons,
        verdict.event_kind,
        verdict.event_type,
        verdict.event_time,
        verdict.run_id,
        verdict.job_namespace,
        verdict.job_name,
        sha256(record.value or b"").hexdigest(),
    )
