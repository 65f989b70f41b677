"""Retention: the oldest records go, their headers stay: the chain leads over them, and no name is freed.

A roll-up, or a segment that nobody rolled up, loses its records in one step: the file is exchanged for its
header. The stubs of a roll-up's segments stay as they are. A crash leaves less removed, and the next run goes
on.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from modeltrail_collector.failpoints import reached
from modeltrail_collector.log import parts
from modeltrail_collector.log.log import Log
from modeltrail_collector.log.segment import Segment, name_of_rollup, read_header
from modeltrail_collector.log.store import Lease


def too_old(segments: Iterable[Segment], now: datetime, keep: timedelta) -> list[Segment]:
    """Of the segments and roll-ups of a partition those at the beginning that are older than `keep`.

    Only a beginning: behind the first that is younger nothing is asked. One goes only if the one behind it is
    too old as well, so that a single stamp of a clock that was wrong removes nothing; a stamp from the future
    says nothing. The last one always stays.
    """
    found = []
    for segment, behind in pairwise(segments):
        sealed = (_time(segment.sealed_at), _time((behind.parts or (behind,))[0].sealed_at))
        said = [moment for moment in sealed if moment <= now]
        if not segment.removed:
            if not said or max(said) > now - keep:
                break
            found.append(segment)
    return found


def _time(text: str) -> datetime:
    """When; a stamp that cannot be read is as good as one from the future."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.max.replace(tzinfo=UTC)


def remove(log: Log, segments: Sequence[Segment], lease: Lease, on_progress: Callable[[int], None]) -> None:
    """Remove the records of what `too_old` found, the oldest first.

    Raises:
        OwnershipLost: Another one took over.
        Unavailable: The store does not answer; the next run goes on.
    """
    for done, name in enumerate(_files(log, segments), 1):
        lease.check()
        with contextlib.suppress(FileNotFoundError):  # a roll-up that no stub names, and another one removed
            data = log.store.read(name)
            segment = read_header(name, data)
            if not segment.replaces:
                log.store.replace(name, data, parts.removed(segment)[1])
                reached("records_removed")
        on_progress(done)


def _files(log: Log, segments: Sequence[Segment]) -> list[str]:
    """Also roll-ups that overlap with these: each copy of a record goes."""
    if not segments:
        return []
    partition, start, end = segments[0].partition, segments[0].first_offset, segments[-1].next_offset
    files = {segment.name: segment.first_offset for segment in segments}
    for first, next_ in log.rollups(partition):
        if start < next_ <= end:
            files[name_of_rollup(partition, first, next_)] = first
    return sorted(files, key=lambda name: files[name])
