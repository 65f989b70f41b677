"""What must hold in every world, by what the broker acknowledged: nothing lost, nothing twice, and so on."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec

from modeltrail_collector.errors import CollectorError, NotVerified
from modeltrail_collector.log import Log, Segment, verify
from modeltrail_collector.log.heads import PartitionHead
from modeltrail_collector.log.log import HEADER_BYTES
from modeltrail_collector.model import Entry, LogPartition
from modeltrail_collector.pump import Pump
from simulation.broker import FENCED, TRUNCATED, Broker, Incarnation
from simulation.process import Process
from simulation.store import Media, ProcessStore


class Failure(AssertionError):  # noqa: N818  named after what it is
    """A world is not as it must be; `oracle` says which rule was broken."""

    def __init__(self, oracle: str, detail: str) -> None:
        super().__init__(f"{oracle}: {detail}")
        self.oracle = oracle
        self.lost = self.twice = 0


class StillLog(Log):
    """A log that nobody writes any more: what was read and checked once is not read again."""

    def __init__(self, media: Media) -> None:
        super().__init__(ProcessStore(media))
        self._headers: dict[str, Segment] = {}
        self._entries: dict[tuple[str, int, int], list[Entry]] = {}

    def header(self, name: str, length: int = HEADER_BYTES) -> Segment:
        if name not in self._headers:
            self._headers[name] = super().header(name, length)
        return self._headers[name]

    def read(self, segment: Segment) -> Iterator[Entry]:
        what = (segment.name, segment.first_offset, segment.next_offset)
        if what not in self._entries:
            self._entries[what] = list(super().read(segment))
        return iter(self._entries[what])


class Stored(NamedTuple):
    """What the log holds of a partition, and the offsets whose records its own retention removed."""

    entries: list[Entry]
    removed: set[int]


class Oracle:
    """Watches a world, and judges it at its end."""

    def __init__(self, media: Media, broker: Broker, keep_s: int | None) -> None:
        self.media = media
        self.keep_s = keep_s
        self.latest_ms = 0
        self.clock_was_wrong = False
        self.broker = broker
        self.heads: dict[tuple[LogPartition, int], str] = {}
        """Every end of a chain that somebody was told is safe."""
        self.stored = 0

    def acknowledged(self, partition: LogPartition, next_offset: int, chain_end: str) -> None:
        known = self.heads.setdefault((partition, next_offset), chain_end)
        if known != chain_end:
            raise Failure(
                "two chains", f"two segments of {partition} end at {next_offset}, both acknowledged"
            )

    def all_sealed(self, pump: Pump) -> None:
        """Who says that everything until the end is sealed has said so of each partition's end."""
        if pump.done:
            for partition in pump._builders:
                head = self.open().head(partition)
                self.acknowledged(partition, head.next_offset, head.chain_end)

    def no_problems(self, process: Process, problems: list[str]) -> None:
        """Nothing is damaged in a world, but what a power cut tore and nobody has read since."""
        if problems and not self.media.torn:
            raise Failure("false alarm", f"{process.name} says {problems[0]}")

    def after_turn(self, process: Process) -> None:
        """Memory is bounded: what waits is at most the limit and what one more poll brings."""
        if process.about["member"].idle:
            return  # nothing came
        pump, bound = process.about["pump"], process.about["bound"]
        waiting = sum(builder.bytes for builder in [*pump._orphans, *pump._builders.values()])
        if waiting > bound:
            raise Failure("memory", f"{process.name} holds {waiting} bytes, at most {bound} are allowed")

    def ended(self, process: Process) -> None:
        """A process ends in an orderly way, or for a reason that is none of ours."""
        error = process.error
        if isinstance(error, Failure):
            raise error
        foreseen = FENCED in str(error)
        if any(any(life.truncated) for life in self.broker.lives):
            foreseen = foreseen or TRUNCATED in str(error)
        reads_torn = self.media.torn and "pump" not in process.about and isinstance(error, NotVerified)
        if error is not None and not foreseen and not reads_torn:
            raise Failure("crash", f"{process.name} ended with {type(error).__name__}: {error}") from error
        self.totals(process)

    def totals(self, process: Process) -> None:
        """What a collector says it did is what the segments say that the log gave it."""
        if "pump" not in process.about:
            return
        totals, acked = process.about["pump"].totals, process.about["log"].acked
        claimed = (totals.segments, totals.records, totals.missing)
        gaps = (gap for segment in acked for gap in segment.gaps)
        held = (
            len(acked),
            sum(segment.rows for segment in acked),
            sum(gap.next_offset - gap.first_offset for gap in gaps),
        )
        if claimed != held or totals.accepted + totals.warned + totals.rejected != totals.records:
            raise Failure("totals", f"{process.name} counts {totals}, its segments hold {held}")

    def open(self) -> Log:
        return Log(ProcessStore(self.media))

    def recover(self) -> None:
        """What a power cut tore is set aside, also of a topic that nobody reads any more."""
        log = self.open()
        for partition in log.partitions():
            log.recover(partition)

    def unsealed(self) -> int:
        """How many offsets lie between the ends of the log and the last records that can be read now."""
        log, records = self.open(), self.broker.records
        return sum(
            max(0, max(held, default=-1) + 1 - log.end(self.broker.partition(number)))
            for number, held in enumerate(records)
        )

    def final(self) -> dict[LogPartition, "Stored"]:
        """Everything, at the end of a world; returns what the log holds."""
        log = StillLog(self.media)
        self._verify(log)
        stored = {}
        for life in self.broker.lives:
            for number in range(len(life.ends)):
                partition = LogPartition(self.broker.name, life.topic_id, number)
                stored[partition] = self._partition(log, life, partition)
        return stored

    def _verify(self, log: Log) -> None:
        """The log verifies, through every end that was acknowledged, and knows what it does not keep."""
        heads = [
            PartitionHead(p.topic, p.topic_id, p.partition, offset, link)
            for (p, offset), link in self.heads.items()
        ]
        report = verify(log, heads)
        if not report.ok and self.keep_s is not None:
            removed = {(p.topic_id, p.partition): p.removed for p in report.partitions}
            heads = [
                msgspec.structs.replace(head, changes=removed.get((head.topic_id, head.partition), ()))
                for head in heads
            ]
            report = verify(log, heads)
        if not report.ok:
            raise Failure("verify", "; ".join(report.problems[:3]))

    def _partition(self, log: Log, life: Incarnation, partition: LogPartition) -> "Stored":
        try:
            segments = list(log.segments(partition))
            entries = [entry for segment in segments for entry in log.read(segment)]
        except CollectorError as error:
            raise Failure("read", str(error)) from error
        self.stored += len(entries)
        sent = life.sent[partition.partition]
        offsets = [entry.offset for entry in entries]
        gone = {
            offset: gap.reason
            for segment in segments
            for gap in segment.gaps
            for offset in range(gap.first_offset, gap.next_offset)
        }
        end = segments[-1].next_offset if segments else 0
        twice = [offset for offset, count in Counter(offsets).items() if count > 1]
        removed = self._removed(segments)
        accounted = gone.keys() | set(offsets) | removed | life.truncated[partition.partition]
        lost = [offset for offset in sent if offset < end and offset not in accounted]
        if twice or lost:
            failure = Failure("twice" if twice else "lost", f"offsets {(twice or lost)[:5]} of {partition}")
            failure.lost, failure.twice = len(lost), len(twice)
            raise failure
        if offsets != sorted(offsets):
            raise Failure("order", f"{partition} holds {offsets}")
        _bytes_equal(partition, entries, sent)
        self._gaps(life, partition, gone, set(offsets))
        if life is self.broker.life:
            unsealed = [offset for offset in self.broker.records[partition.partition] if offset >= end]
            if unsealed:
                raise Failure("unsealed", f"{partition} ends at {end}, Kafka holds {unsealed[:5]}")
        return Stored(entries, removed)

    def _removed(self, segments: list[Segment]) -> set[int]:
        """The offsets whose records retention took from the log, none of which was too young."""
        removed = [segment for segment in segments if segment.removed]
        for segment in removed:
            age_s = self.latest_ms / 1000 - datetime.fromisoformat(segment.sealed_at).timestamp()
            young = age_s < self.keep_s and not self.clock_was_wrong if self.keep_s else True
            if young or segment is segments[-1]:
                raise Failure("retention", f"{segment.name} was removed, {age_s} s old, kept {self.keep_s} s")
        return {n for segment in removed for n in range(segment.first_offset, segment.next_offset)}

    def _gaps(self, life: Incarnation, partition: LogPartition, gone: dict[int, str], held: set[int]) -> None:
        """A gap is claimed only where records were really removed, or cannot be read."""
        begin, spoiled = life.begins[partition.partition], life.spoiled[partition.partition]
        for offset, reason in gone.items():
            true = offset < begin if reason == "retention" else offset in spoiled
            if not true or offset in held:
                raise Failure(
                    "gap", f"{partition} claims a gap at {offset} for {reason}, which did not happen"
                )


def _bytes_equal(partition: LogPartition, entries: list[Entry], sent: dict) -> None:
    for entry in entries:
        if (entry.key, entry.headers, entry.value) not in sent.get(entry.offset, ()):
            raise Failure("bytes", f"{partition} holds {entry.value!r} at {entry.offset}, which nobody sent")
