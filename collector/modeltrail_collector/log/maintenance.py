"""What keeps a log small and quick without losing anything: roll-up of small segments, then retention."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from modeltrail_collector.log import parts, retention, rollup
from modeltrail_collector.log.log import Log
from modeltrail_collector.log.removals import Rule
from modeltrail_collector.log.segment import Segment
from modeltrail_collector.log.store import Lease
from modeltrail_collector.model import LogPartition

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


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
    log: Log,
    *,
    keep: timedelta | None = None,
    key: "Ed25519PrivateKey | None" = None,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Upkeep]:
    """Roll up small segments, and remove the records that are older than `keep`; partition by partition.

    Each removal leaves a record, which `key` signs (see `removals`). One at a time: a second one waits. With
    `dry_run` nothing is changed, and nobody waited for.

    Raises:
        LogFormatError: A newer modeltrail wrote a part of the log.
        OwnershipLost: Another one took over, as this one was stopped for long.
        Unavailable: The store does not answer; the next run goes on.
    """
    tell = on_progress or _silent
    rule = Rule(keep, datetime.fromtimestamp(log.wall() / 1000, UTC), key) if keep else None
    if dry_run:
        return [_plan(log, partition, rule) for partition in log.partitions()]
    with log.store.lease("raw") as lease:
        return [_maintain(log, partition, rule, lease, tell) for partition in log.partitions()]


def _maintain(log: Log, partition: LogPartition, rule: Rule | None, lease: Lease, tell: OnProgress) -> Upkeep:
    removal = retention.Retention(
        log, partition, lease, lambda done: tell(Progress(partition, "removed", done))
    )
    removal.finish()
    work = rollup.RollUp(log, partition, lease, lambda done: tell(Progress(partition, "rolled up", done)))
    work.run()
    segments = rollup.followed(log, partition, work.problems)
    old = removal.remove(segments, rule) if rule else []
    done = _upkeep(
        partition, segments, old, [*removal.problems, *work.problems], (work.segments, work.rollups)
    )
    return msgspec.structs.replace(done, records_removed=done.records_removed + removal.rows)


def _plan(log: Log, partition: LogPartition, rule: Rule | None) -> Upkeep:
    """What `_maintain` would do, from the headers alone."""
    problems: list[str] = []
    segments = rollup.followed(log, partition, problems)
    pending = {segment.name: segment for segment in retention.pending(log, partition)}
    groups = list(rollup.groups(segments))
    segments = list(_rolled_up(segments, groups))
    old = retention.too_old(segments, rule.now, rule.keep) if rule else []
    old += [segment for name, segment in pending.items() if name not in {found.name for found in old}]
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
