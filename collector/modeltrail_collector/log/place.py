"""One record of the log by its name: `TOPIC/PARTITION/OFFSET`.

Where a topic was deleted and made again, the log holds chains of one name: then `TOPIC/TOPIC_ID/PARTITION/
OFFSET`.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple

from modeltrail_collector.errors import ConfigError, NotFound
from modeltrail_collector.log.log import Log
from modeltrail_collector.log.segment import Segment
from modeltrail_collector.model import Entry, LogPartition


class Place(NamedTuple):
    """Where a record lies."""

    partition: LogPartition
    offset: int

    def name(self, *, full: bool = False) -> str:
        """What people call it; `full` where the topic's name alone is not enough."""
        topic, topic_id, number = self.partition.topic, self.partition.topic_id, self.partition.partition
        return f"{topic}/{topic_id}/{number}/{self.offset}" if full else f"{topic}/{number}/{self.offset}"


def ambiguous(log: Log) -> set[str]:
    """Topics that were made more than once: their records need the topic's id."""
    known = {(partition.topic, partition.topic_id) for partition in log.partitions()}
    return {topic for topic, count in Counter(topic for topic, _ in known).items() if count > 1}


def place(log: Log, text: str) -> Place:
    """The place that a name means; whether a record lies there is not looked at.

    Raises:
        ConfigError: It is no name of a record, or means several.
        NotFound: The log knows no such partition.
    """
    parts = text.split("/")
    if len(parts) not in {3, 4} or not (parts[-1].isdecimal() and parts[-2].isdecimal()):
        raise ConfigError(
            f"{text!r} names no record: write TOPIC/PARTITION/OFFSET as `modeltrail rejected list` prints "
            "it, or TOPIC/TOPIC_ID/PARTITION/OFFSET"
        )
    topic, *ids, number, offset = parts
    known = [
        one for one in log.partitions() if one.topic == topic and one.topic_id in (ids or [one.topic_id])
    ]
    found = [Place(one, int(offset)) for one in known if one.partition == int(number)]
    if not found:
        there = ", ".join(sorted({f"{one.topic}/{one.partition}" for one in log.partitions()})) or "nothing"
        raise NotFound(f"{text}: no such partition in {log.uri}, which holds {there}")
    if len(found) > 1:
        found = [one for one in found if one.offset < log.end(one.partition)] or found
    if len(found) > 1:
        names = ", ".join(one.name(full=True) for one in found)
        raise ConfigError(f"{text} may be several records, as {topic} was made anew: write one of {names}")
    return found[0]


def entry_at(log: Log, where: Place) -> tuple[Segment, Entry]:
    """The record at a place, and the segment that holds it.

    Raises:
        NotFound: There is none; says why.
        NotVerified: Its segment is not what was sealed.
    """
    why = f"the log ends at offset {log.end(where.partition)}"
    for segment in log.segments(where.partition, where.offset):
        if segment.first_offset > where.offset:
            break
        for entry in log.read(segment):
            if entry.offset == where.offset:
                return segment, entry
        if segment.removed:
            raise NotFound(f"{where.name()} is gone: retention removed it from {log.uri}")
        gaps = [gap for gap in segment.gaps if gap.first_offset <= where.offset < gap.next_offset]
        why = f"it could not be collected ({gaps[0].reason})" if gaps else "Kafka has no record there either"
        break
    raise NotFound(f"{where.name()} is no record of the log: {why}")


def entries_at(log: Log, partition: LogPartition, offsets: Collection[int]) -> Iterator[Entry]:
    """The records at these offsets, in their order; those that retention removed are left out."""
    if not offsets:
        return
    last = max(offsets)
    for segment in log.segments(partition, min(offsets)):
        if segment.first_offset > last:
            return
        if any(segment.first_offset <= offset < segment.next_offset for offset in offsets):
            yield from (entry for entry in log.read(segment) if entry.offset in offsets)


def judge_of(segment: Segment, offset: int) -> str:
    """The judge that gave the verdict at an offset: segments of a roll-up may have had several."""
    parts = [part for part in segment.parts if part.first_offset <= offset < part.next_offset]
    return parts[0].judge_id if parts else segment.judge_id
