"""Reading a range of offsets from the topic once more, to repair the log."""

import time
from collections.abc import Callable, Iterator

from modeltrail_collector import judge
from modeltrail_collector.clock import WallClock, wall_ms
from modeltrail_collector.errors import NotFound, Unavailable
from modeltrail_collector.intake import Source
from modeltrail_collector.log import Batch
from modeltrail_collector.model import LogPartition
from modeltrail_collector.pump.builder import Builder, entry
from modeltrail_collector.pump.pump import Limits

PATIENCE_S = 60.0

Connect = Callable[[str], Source]
"""Opens a source of all partitions of a topic."""


class Recollector:
    """Reads ranges again. One source is open at a time; close it at the end.

    Args:
        connect: Opens a topic.
        strict: Reject what the judge would warn about, as the collector did.
        limits: How much one segment may hold.
        wall: What time it is.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        strict: bool = False,
        limits: Limits | None = None,
        wall: WallClock = wall_ms,
    ) -> None:
        self._connect = connect
        self._strict = strict
        self._limits = limits or Limits()
        self._wall = wall
        self._judge_id = judge.judge_id()
        self._open: tuple[LogPartition, Source] | None = None

    def close(self) -> None:
        """Let go of the source."""
        if self._open:
            self._open[1].close()
            self._open = None

    def batches(self, partition: LogPartition, start: int, end: int | None) -> Iterator[Batch]:
        """The offsets from `start` to before `end`, or to where the topic ends: a batch for each segment.

        Offsets that cannot be had are gaps of the batches, with the reason.

        Raises:
            NotFound: The topic has none of it any more; the message says why.
            Unavailable: Kafka cannot be read.
        """
        source = self._source(partition)
        last = source.ends([partition])[partition]
        stop = last if end is None else min(last, end)
        if stop <= start:
            raise NotFound(f"Kafka ends at offset {last}, before them")
        source.seek(partition, start)
        builder = Builder(partition, start, now=0.0)
        patience = time.monotonic() + PATIENCE_S
        while builder.end < stop:
            before = builder.end
            self._fill(builder, source, stop)
            if builder.end > before:
                patience = time.monotonic() + PATIENCE_S
            elif time.monotonic() > patience:
                raise Unavailable(
                    f"Kafka handed out nothing of topic {partition.topic}, partition {partition.partition} "
                    f"from offset {builder.end} on for {PATIENCE_S:g} s"
                )
            full = builder.bytes >= self._limits.bytes or len(builder.entries) >= self._limits.rows
            if full and builder.end < stop:
                yield builder.batch(self._judge_id)
                builder = Builder(partition, builder.end, now=0.0)
        if end is not None and last < end:
            builder.skip(end, "retention")
        yield builder.batch(self._judge_id)

    def _source(self, partition: LogPartition) -> Source:
        """A source that is at home with the partition; another one than the last needs a new one."""
        if self._open and self._open[0] == partition:
            return self._open[1]
        self.close()
        source = self._connect(partition.topic)
        self._open = partition, source
        patience = time.monotonic() + PATIENCE_S
        while (assigned := source.poll(0.5).assigned) is None:
            if time.monotonic() > patience:
                raise Unavailable(f"Kafka did not hand out the topic {partition.topic} for {PATIENCE_S:g} s")
        if partition not in assigned:
            ids = sorted({other.topic_id for other in assigned})
            raise NotFound(
                f"the topic {partition.topic} was deleted and made again: its id was {partition.topic_id}, "
                f"now it is {', '.join(ids)}"
                if ids != [partition.topic_id]
                else f"the topic {partition.topic} has no partition {partition.partition}"
            )
        return source

    def _fill(self, builder: Builder, source: Source, stop: int) -> None:
        for fetched in source.poll(self._limits.poll_s).fetched:
            if fetched.partition != builder.partition:
                continue
            if fetched.gap and fetched.start > builder.end:
                builder.skip(min(fetched.start, stop), fetched.gap)
            if fetched.start != builder.end:
                continue
            now_ms = self._wall()
            for record in fetched.records:
                if record.offset < stop:
                    verdict = judge.judge(record.value, strict=self._strict)
                    builder.add(entry(record, verdict, now_ms))
            builder.advance(min(fetched.end, stop))
