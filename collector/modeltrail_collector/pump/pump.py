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
from modeltrail_collector.log import Log, Segment
from modeltrail_collector.model import LogPartition, Record, Verdict
from modeltrail_collector.pump.builder import OVERHEAD_BYTES, Builder, entry
from modeltrail_collector.pump.notices import Outage, note_missing, where
from modeltrail_collector.pump.totals import Activity, PartitionStatus, Status, Totals
from modeltrail_collector.relay import DeadLetters

_logger = logging.getLogger(__name__)

ASK_ENDS_S = 15.0  # the client says neither that Kafka is away nor, while we rest, how partitions grow


class Limits(msgspec.Struct, frozen=True):
    """When a partition's records are sealed, whichever comes first; and how much may wait in all."""

    rows: int = 50_000
    bytes: int = 64 << 20
    age_s: float = 10.0
    total_bytes: int = 160 << 20
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
        self.activity = Activity()
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
        self._resting = False
        self._outages: dict[str, Outage] = {}
        self._assigned_once = False
        self._polled_at: float | None = None
        self._sealed_at: float | None = None
        self._asked_ends: Mapping[LogPartition, int] = {}
        self._ask_at = 0.0

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
        upstream = "kafka"
        try:
            polled = self._source.poll(self._poll_seconds())
            self._polled_at = self._log.wall() / 1000
            if polled.assigned is not None:
                self._assigned(polled.assigned)
            for fetched in polled.fetched:
                self._gather(fetched)
                reached("polled")
            upstream = "store"
            if self._retry_at is None or self._clock() >= self._retry_at:
                self._seek_unsought()
                behind = self._seal_due()
                self._recovered()
                self._rest(behind)
        except Unavailable as error:
            self._back_off(upstream, error)
        if self._until_end:
            self._check_end()

    def status(self) -> Status:
        """How it is now. Now and then this asks Kafka where the partitions end."""
        self._ask_ends()
        outage = next(iter(self._outages.values()), None)
        return Status(
            totals=self.totals,
            activity=self.activity,
            waiting_records=self.waiting,
            waiting_bytes=sum(builder.bytes for builder in self._builders.values()),
            partitions=self._partitions(),
            assigned=self._assigned_once,
            polled_at=self._polled_at,
            sealed_at=self._sealed_at,
            failing_since=outage.began_at if outage else None,
            error=outage.error if outage else None,
        )

    def _ask_ends(self) -> None:
        if not self._builders or self._clock() < self._ask_at:
            return
        try:
            self._asked_ends = self._source.ends(list(self._builders))
        except Unavailable as error:
            self._failed("kafka", error, "asking again")
        else:
            self._answered("kafka")
        self._ask_at = self._clock() + ASK_ENDS_S

    def _partitions(self) -> list[PartitionStatus]:
        known = self._source.known_ends()
        found = []
        for partition, builder in sorted(self._builders.items()):
            ends = [ends[partition] for ends in (known, self._asked_ends) if partition in ends]
            found.append(PartitionStatus(partition, builder.start, max(ends, default=None)))
        return found

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
        if self._retry_at is None and (self._resting or self._unsought):
            return 0.0  # more is to be sealed, or sought
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
        self._assigned_once = True
        self.activity.rebalances += 1
        self._asked_ends = {}
        _logger.info(
            "assigned %d partitions", len(assigned), extra={"event": "assigned", "partitions": len(assigned)}
        )
        if self._letters:
            self._letters.own(assigned)
        self._source.resume()
        self._resting = False

    def _seek_unsought(self) -> None:
        """Find each partition's end in the log; those that take long are left for the next turn."""
        began = self._clock()
        for partition in sorted(self._unsought):
            if self._clock() - began >= self._limits.poll_s:
                return
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
                note_missing(fetched, begin)
        if fetched.start != builder.end:
            _logger.warning(
                *("read %s from %s, wanted %s: seeking again", fetched.partition, fetched.start, builder.end),
                extra={"event": "seek_again", **where(fetched.partition)},
            )
            self._seek_again(fetched.partition)
            return
        now_ms = self._log.wall()
        before = builder.bytes
        for record in fetched.records:
            builder.add(entry(record, self._verdict(record), now_ms))
        builder.advance(fetched.end)
        self.activity.consumed += len(fetched.records)
        self.activity.consumed_bytes += builder.bytes - before - len(fetched.records) * OVERHEAD_BYTES

    def _verdict(self, record: Record) -> Verdict:
        return judge_.judge(record.value, strict=self._strict)

    def _seal_due(self) -> bool:
        """Seal what is due; returns whether more is.

        A slow store must not keep us from polling: who does not poll holds up every rebalance of the group,
        and is put out of it in the end.
        """
        began = self._clock()
        while (builder := self._due()) is not None:
            if self._clock() - began >= self._limits.poll_s:
                return True
            self._seal(builder)
        return False

    def _due(self) -> Builder | None:
        """What has to be sealed next."""
        if self._orphans:
            return self._orphans[0]
        now, limits, builders = self._clock(), self._limits, self._builders.values()
        for builder in builders:
            full = builder.bytes >= limits.bytes or len(builder.entries) >= limits.rows
            if full or (builder.age(now) >= limits.age_s and not builder.is_empty):
                return builder
        if sum(builder.bytes for builder in builders) > limits.total_bytes:
            return max(builders, key=lambda builder: builder.bytes)
        return None

    def _seal(self, builder: Builder) -> None:
        """Append, then begin anew behind it. If somebody else was faster his records are as good as ours."""
        partition = builder.partition
        if not builder.is_empty:
            began = self._clock()
            try:
                segment = self._log.append(partition, builder.batch(self._judge_id))
            except OwnershipLost as error:
                self.activity.conflicts += 1
                _logger.info(
                    *("%s: reading on from there", error), extra={"event": "put_conflict", **where(partition)}
                )
                self._seek_again(partition)
            else:
                self.totals.add_segment(segment, builder.entries)
                self._note_sealed(segment, self._clock() - began)
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

    def _note_sealed(self, segment: Segment, seconds: float) -> None:
        self.activity.sealed(seconds)
        self._sealed_at = self._log.wall() / 1000
        if _logger.isEnabledFor(logging.INFO):
            said = {
                "event": "segment_sealed",
                **where(segment.partition),
                "first_offset": segment.first_offset,
                "next_offset": segment.next_offset,
                "rows": segment.rows,
                "seconds": round(seconds, 3),
            }
            _logger.info("sealed %s: %d records", segment.name, segment.rows, extra=said)

    def _rest(self, wanted: bool) -> None:
        """Read nothing more, but stay a member; or read on."""
        if wanted and not self._resting:
            self._source.pause()
        elif self._resting and not wanted:
            self._source.resume()
        self._resting = wanted

    def _back_off(self, upstream: str, error: Unavailable) -> None:
        """Read nothing more until the next attempt."""
        limits = self._limits
        wait = min(limits.backoff_s * 2 ** min(self._failures, 10), limits.backoff_max_s)
        self._failures += 1
        self._retry_at = self._clock() + wait
        self._failed(upstream, error, f"trying again in {wait:.1f} s")
        self._rest(True)

    def _recovered(self) -> None:
        if self._retry_at is not None:
            self._retry_at, self._failures = None, 0
            for upstream in list(self._outages):
                self._answered(upstream)

    def _failed(self, upstream: str, error: Unavailable, plan: str) -> None:
        self.activity.failed(upstream)
        now = self._clock()
        if upstream not in self._outages:
            self._outages[upstream] = Outage(upstream, now, self._log.wall() / 1000)
        self._outages[upstream].failed(now, str(error), plan)

    def _answered(self, upstream: str) -> None:
        if outage := self._outages.pop(upstream, None):
            outage.ended(self._clock())

    def _check_end(self) -> None:
        """Done when all that was there at the start is read; then it is sealed."""
        if self._unsought or self._retry_at is not None or not self._builders:
            return
        try:
            if self._targets is None:
                targets = self._source.ends(list(self._builders))
                if any(targets[partition] < builder.start for partition, builder in self._builders.items()):
                    return  # it lost records, or is another topic by now: a poll behind its end says which
                self._targets = self._asked_ends = targets
                self._ask_at = self._clock() + ASK_ENDS_S
            if self._positions_reached(self._targets):
                self.drain()
                self.done = not self._unsought
            else:
                self._lower(self._targets)
        except Unavailable as error:
            self._back_off("store", error)

    def _lower(self, targets: Mapping[LogPartition, int]) -> None:
        """What an unclean election cut off never comes; where it cut what we have read, a poll says so."""
        self._ask_ends()
        ends = {p: end for p, end in self._asked_ends.items() if end >= self._builders[p].end}
        self._targets = {partition: min(end, ends.get(partition, end)) for partition, end in targets.items()}

    def _positions_reached(self, targets: Mapping[LogPartition, int]) -> bool:
        ends = {partition: builder.end for partition, builder in self._builders.items()}
        return all(ends.get(partition, 0) >= end for partition, end in targets.items())
