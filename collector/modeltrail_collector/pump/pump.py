"""The loop of the collector, one step at a time: poll, judge, gather, seal, commit.

The log is the truth about progress. Whatever happens - a rebalance, another collector that was faster, a
store that does not answer - what is not sealed is dropped and read again from where the log ends.
"""

import logging
import time
from collections.abc import Callable, Mapping

import msgspec

from modeltrail_collector import judge as judge_
from modeltrail_collector.errors import OwnershipLost, Unavailable
from modeltrail_collector.failpoints import reached
from modeltrail_collector.intake import Fetched, Source
from modeltrail_collector.log import Log
from modeltrail_collector.model import LogPartition, Record, Verdict
from modeltrail_collector.pump.builder import Builder, entry
from modeltrail_collector.pump.totals import Totals
from modeltrail_collector.relay import DeadLetters

_logger = logging.getLogger(__name__)

Judge = Callable[[bytes | None], Verdict]


class Limits(msgspec.Struct, frozen=True):
    """When a partition's records are sealed, whichever comes first; and how much may wait in all."""

    rows: int = 50_000
    bytes: int = 64 << 20
    age_s: float = 10.0
    total_bytes: int = 256 << 20
    poll_s: float = 0.5
    backoff_s: float = 0.5
    backoff_max_s: float = 15.0


class Pump:
    """Moves records from a source into a log; `turn` is one step.

    Args:
        source: Where records come from.
        log: Where they go.
        until_end: Stop at the offsets where the partitions end when they are first assigned.
        strict: Reject what the judge would warn about.
        limits: When to seal.
        letters: Is told what is ours and what was sealed, and publishes what was rejected of it.
        clock: Monotonic seconds; ages are never measured by the wall clock.
    """

    def __init__(
        self,
        source: Source,
        log: Log,
        *,
        until_end: bool = False,
        strict: bool = False,
        limits: Limits | None = None,
        letters: DeadLetters | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.totals = Totals()
        self.done = False
        self._source = source
        self._log = log
        self._limits = limits or Limits()
        self._letters = letters
        self._clock = clock
        self._strict = strict
        self._judge_id = judge_.judge_id()
        self._builders: dict[LogPartition, Builder] = {}
        self._orphans: list[Builder] = []
        self._unsought: set[LogPartition] = set()
        self._until_end = until_end
        self._targets: dict[LogPartition, int] | None = None
        self._failures = 0
        self._retry_at: float | None = None

    @property
    def waiting(self) -> int:
        """Records that are read but not sealed."""
        return sum(len(builder.entries) for builder in self._builders.values())

    def turn(self) -> None:
        """One step. Returns after at most about `poll_s`, whether or not anything came.

        Raises:
            ConfigError: The source or the log cannot be used at all.
            NotVerified: The log is damaged where it cannot be mended.
        """
        try:
            polled = self._source.poll(self._poll_seconds())
            if polled.assigned is not None:
                self._assigned(polled.assigned)
            for fetched in polled.fetched:
                self._gather(fetched)
                reached("polled")
            if self._retry_at is None or self._clock() >= self._retry_at:
                self._seek_unsought()
                self._seal_due()
                self._recovered()
        except Unavailable as error:
            self._back_off(error)
        if self._until_end:
            self._check_end()

    def drain(self) -> None:
        """Seal what waits, before the end.

        Raises:
            Unavailable: The store does not answer. Nothing is lost: the next collector reads it again.
        """
        for builder in [*self._orphans, *self._builders.values()]:
            self._seal(builder)

    def _poll_seconds(self) -> float:
        """Not longer than the next thing to do can wait."""
        now = self._clock()
        wait = self._limits.poll_s
        if self._retry_at is not None:
            wait = min(wait, self._retry_at - now)
        elif self._builders:
            oldest = max(builder.age(now) for builder in self._builders.values())
            wait = min(wait, self._limits.age_s - oldest)
        return max(wait, 0.0)

    def _assigned(self, assigned: frozenset[LogPartition]) -> None:
        """Drop everything and seek everything: also what stays ours may have moved meanwhile.

        Only of a topic that was made again under a new id, what was read is still sealed: nobody else can.
        """
        ids = {partition.topic: partition.topic_id for partition in assigned}
        self._orphans += [
            builder
            for partition, builder in self._builders.items()
            if ids.get(partition.topic, partition.topic_id) != partition.topic_id
        ]
        self._builders.clear()
        self._unsought = set(assigned)
        self._targets = None
        if self._letters:
            self._letters.own(assigned)
        self._source.resume()

    def _seek_unsought(self) -> None:
        for partition in sorted(self._unsought):
            end = self._log.recover(partition).next_offset
            self._builders[partition] = Builder(partition, end, now=self._clock())
            self._source.seek(partition, end)
            self._unsought.discard(partition)

    def _seek_again(self, partition: LogPartition) -> None:
        self._builders.pop(partition, None)
        self._unsought.add(partition)

    def _gather(self, fetched: Fetched) -> None:
        builder = self._builders.get(fetched.partition)
        if builder is None:
            return  # not sought yet: it is read again from the right place
        if fetched.gap and fetched.start > builder.end:
            begin = builder.end
            if builder.skip(fetched.start, fetched.gap):
                _note_missing(fetched, begin)
        if fetched.start != builder.end:
            _logger.warning(
                "read %s from %s, wanted %s: seeking again", fetched.partition, fetched.start, builder.end
            )
            self._seek_again(fetched.partition)
            return
        now_ms = self._log.wall()
        for record in fetched.records:
            builder.add(entry(record, self._verdict(record), now_ms))
        builder.advance(fetched.end)

    def _verdict(self, record: Record) -> Verdict:
        return judge_.judge(record.value, strict=self._strict)

    def _seal_due(self) -> None:
        now, limits = self._clock(), self._limits
        while self._orphans:
            self._seal(self._orphans[0])
        for builder in list(self._builders.values()):
            full = builder.bytes >= limits.bytes or len(builder.entries) >= limits.rows
            if full or builder.age(now) >= limits.age_s:
                self._seal(builder)
        while sum(builder.bytes for builder in self._builders.values()) > limits.total_bytes:
            self._seal(max(self._builders.values(), key=lambda builder: builder.bytes))

    def _seal(self, builder: Builder) -> None:
        """Append, then begin anew behind it. If somebody else was faster his records are as good as ours."""
        partition = builder.partition
        if not builder.is_empty:
            try:
                segment = self._log.append(partition, builder.batch(self._judge_id))
            except OwnershipLost as error:
                _logger.info("%s: reading on from there", error)
                self._seek_again(partition)
            else:
                self.totals.add_segment(segment, builder.entries)
                if self._letters:
                    rejected = any(entry.verdict == "rejected" for entry in builder.entries)
                    self._letters.sealed(segment, rejected=rejected)
                reached("before_commit")
                self._source.commit({partition: builder.end})
        if builder in self._orphans:
            self._orphans.remove(builder)
            self._unsought.discard(partition)
        elif partition in self._builders:
            self._builders[partition] = Builder(partition, builder.end, now=self._clock())

    def _back_off(self, error: Unavailable) -> None:
        """Read nothing more (but stay a member) until the next attempt."""
        self._failures += 1
        limits = self._limits
        wait = min(limits.backoff_s * 2 ** min(self._failures - 1, 10), limits.backoff_max_s)
        self._retry_at = self._clock() + wait
        _logger.warning("%s; trying again in %.1f s", error, wait)
        self._source.pause()

    def _recovered(self) -> None:
        if self._retry_at is not None:
            self._retry_at, self._failures = None, 0
            self._source.resume()

    def _check_end(self) -> None:
        """Done when all that was there at the start is read; then it is sealed."""
        if self._unsought or self._retry_at is not None or not self._builders:
            return
        try:
            if self._targets is None:
                self._targets = self._source.ends(list(self._builders))
            if self._positions_reached(self._targets):
                self.drain()
                self.done = not self._unsought
        except Unavailable as error:
            self._back_off(error)

    def _positions_reached(self, targets: Mapping[LogPartition, int]) -> bool:
        ends = {partition: builder.end for partition, builder in self._builders.items()}
        return all(ends.get(partition, 0) >= end for partition, end in targets.items())


def _note_missing(fetched: Fetched, begin: int) -> None:
    """Say aloud that offsets from `begin` on cannot be collected."""
    partition = fetched.partition
    where = f"topic {partition.topic}, partition {partition.partition}"
    if fetched.gap == "unreadable":
        _logger.error(
            "%s: the record at offset %d breaks Kafka's own format. "
            "It and the rest of its batch cannot be read, and the log says so",
            *(where, begin),
        )
    elif begin == 0:
        _logger.warning("%s begins at offset %d: retention removed older records", where, fetched.start)
    else:
        _logger.error(
            "%s: %d offsets (%d to %d) were removed by Kafka's retention before they were collected. "
            "They are gone, and the log says so. Collect more often, or raise retention.ms",
            *(where, fetched.start - begin, begin, fetched.start - 1),
        )
