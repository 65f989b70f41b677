"""What keeps a log small and quick without losing anything: roll-up of small segments, then retention."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from modeltrail_collector.log import parts, retention, rollup
from modeltrail_collector.log.log import Log
from modeltrail_collector.log.segment import Segment
from modeltrail_collector.log.store import Lease
from modeltrail_collector.model import LogPartition


class Progress(msgspec.Struct, frozen=True):
    """So many steps of some work on a partition are done."""

    partition: LogPartition
    work: str
    done: int


class Upkeep(msgspec.Struct, frozen=True):
    """What was done in one partition, or would be.

    `rolled_up` segments became `rollups` files. Retention has taken the records of the offsets before
    `removed_before`, `records_removed` of them now.
    """

    topic: str
    topic_id: str
    partition: int
    rolled_up: int
    rollups: int
    records_removed: int
    removed_before: int
    problems: tuple[str, ...]


OnProgress = Callable[[Progress], None]


def maintain(
    log: Log, *, keep: timedelta | None = None, dry_run: bool = False, on_progress: OnProgress | None = None
) -> list[Upkeep]:
    """Roll up small segments, and remove the records that are older than `keep`; partition by partition.

    One at a time: a second one waits. With `dry_run` nothing is changed, and nobody waited for.

    Raises:
        OwnershipLost: Another one took over, as this one was stopped for long.
        Unavailable: The store does not answer; the next run goes on.
    """
    tell = on_progress or _silent
    if dry_run:
        return [_plan(log, partition, keep) for partition in log.partitions()]
    with log.store.lease("raw") as lease:
        return [_maintain(log, partition, keep, lease, tell) for partition in log.partitions()]


def _maintain(
    log: Log, partition: LogPartition, keep: timedelta | None, lease: Lease, tell: OnProgress
) -> Upkeep:
    work = rollup.RollUp(log, partition, lease, lambda done: tell(Progress(partition, "rolled up", done)))
    work.run()
    segments = rollup.followed(log, partition, work.problems)
    old = retention.too_old(segments, _now(log), keep) if keep else []
    retention.remove(log, old, lease, lambda done: tell(Progress(partition, "removed", done)))
    return _upkeep(partition, segments, old, work.problems, (work.segments, work.rollups))


def _plan(log: Log, partition: LogPartition, keep: timedelta | None) -> Upkeep:
    """What `_maintain` would do, from the headers alone."""
    problems: list[str] = []
    segments = rollup.followed(log, partition, problems)
    groups = list(rollup.groups(segments))
    segments = list(_rolled_up(segments, groups))
    old = retention.too_old(segments, _now(log), keep) if keep else []
    return _upkeep(partition, segments, old, problems, (sum(map(len, groups)), len(groups)))


def _rolled_up(segments: list[Segment], groups: list[list[Segment]]) -> Iterator[Segment]:
    """The segments as they would be."""
    begins = {group[0].name: group for group in groups}
    inside = {segment.name for group in groups for segment in group}
    for segment in segments:
        if group := begins.get(segment.name):
            yield parts.rollup(group, ())[0]
        elif segment.name not in inside:
            yield segment


def _now(log: Log) -> datetime:
    return datetime.fromtimestamp(log.wall() / 1000, UTC)


def _upkeep(
    partition: LogPartition,
    segments: list[Segment],
    old: list[Segment],
    problems: list[str],
    rolled_up: tuple[int, int],
) -> Upkeep:
    gone = [segment for segment in segments if segment.removed] + old
    return Upkeep(
        *(partition.topic, partition.topic_id, partition.partition),
        *rolled_up,
        records_removed=sum(segment.rows for segment in old),
        removed_before=max((segment.next_offset for segment in gone), default=0),
        problems=tuple(dict.fromkeys(problems)),
    )


def _silent(_: Progress) -> None:
    pass
