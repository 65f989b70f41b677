"""Which rejected records were judged again and taken in: the headers of the local chain say it.

A replay appends copies of records that are no longer rejected to the local chain. The header of the same
segment lists under `files` which ones: path `replay:<topic>/<topic id>/<partition>/<first offset>`, and as
`next_byte` the offset behind the last. Whatever was rejected in between is meant, so a thousand records in a
row are one line. What counts is what is sealed: a replay that dies, or that another one outran, said nothing.
"""

from bisect import bisect_right
from typing import Final, NamedTuple

from modeltrail_collector.log.log import Log
from modeltrail_collector.log.segment import Segment
from modeltrail_collector.model import LOCAL, FileProgress, LogPartition

PREFIX: Final = "replay:"


class Replay(NamedTuple):
    """All records of a partition that were rejected at `first` <= offset < `next` lie again in `segment`."""

    first: int
    next: int
    at: str
    segment: Segment


class Replays:
    """What was replayed, by partition."""

    def __init__(self, found: dict[LogPartition, list[Replay]]) -> None:
        self.found = {
            partition: sorted(ranges, key=lambda one: one.first) for partition, ranges in found.items()
        }

    def of(self, partition: LogPartition, offset: int) -> Replay | None:
        """The replay that took a rejected record in, None while nobody did."""
        ranges = self.found.get(partition, [])
        at = bisect_right(ranges, offset, key=lambda one: one.first) - 1
        return ranges[at] if at >= 0 and offset < ranges[at].next else None


def source(partition: LogPartition, offset: int) -> str:
    """What a replayed record says about where it came from."""
    return f"{PREFIX}{partition.topic}/{partition.topic_id}/{partition.partition}/{offset}"


def mark(partition: LogPartition, first: int, end: int) -> FileProgress:
    """What the header of a segment says when all that was rejected from `first` to before `end` is in it."""
    return FileProgress(source(partition, first), "", end)


def replays(log: Log) -> Replays:
    """Everything that was ever replayed; reads headers only."""
    found: dict[LogPartition, list[Replay]] = {}
    ends: dict[str, int] = {}
    for segment in log.segments(LOCAL):
        for part in segment.parts or (segment,):
            for file in part.files:
                if not file.path.startswith(PREFIX):
                    continue
                topic, topic_id, number, first = file.path.removeprefix(PREFIX).split("/")
                begin = ends.get(file.path, int(first))
                ends[file.path] = file.next_byte
                ranges = found.setdefault(LogPartition(topic, topic_id, int(number)), [])
                ranges.append(Replay(begin, file.next_byte, part.sealed_at, segment))
    return Replays(found)
