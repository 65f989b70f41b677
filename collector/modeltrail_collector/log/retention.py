"""Retention: the oldest records go, their headers stay: the chain leads over them, and no name is freed.

::

    record    what goes is written down, see `removals`; nothing is gone yet
    empty     file after file, the oldest first, is exchanged for its header

A roll-up, or a segment that nobody rolled up, loses its records in one step. The stubs of a roll-up's
segments stay as they are. A crash leaves less removed than is recorded, and the next run finishes that before
anything else: until then the files are those of the record.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from modeltrail_collector.errors import NotVerified, OwnershipLost
from modeltrail_collector.failpoints import reached
from modeltrail_collector.log import parts, removals, rollup
from modeltrail_collector.log.log import ROLLUP_HEADER_BYTES, Log
from modeltrail_collector.log.removals import Removal, RemovedFile, Rule
from modeltrail_collector.log.segment import Segment, name_of_rollup, read_header
from modeltrail_collector.log.store import Lease
from modeltrail_collector.model import LogPartition


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


class Retention:
    """The retention of one partition. `rows` were taken to finish a removal, `problems` say what was not."""

    def __init__(
        self, log: Log, partition: LogPartition, lease: Lease, on_progress: Callable[[int], None]
    ) -> None:
        self.rows = 0
        self._log = log
        self._partition = partition
        self._lease = lease
        self._tell = on_progress
        self._records, self.problems = removals.read(log, partition)

    def finish(self) -> None:
        """Finish the removal that an earlier run recorded.

        Raises:
            OwnershipLost: Another one took over.
            Unavailable: The store does not answer; the next run goes on.
        """
        self._log.store.clean(removals.folder_of(self._partition))
        if self._records and not self.problems:
            files = unfinished(self._log, self._records[-1])
            if files:
                self.rows = sum(segment.rows for segment in held(self._log, self._partition, files))
                self._empty(self._records[-1], files)

    def remove(self, segments: Sequence[Segment], rule: Rule) -> list[Segment]:
        """Of all segments of the partition remove those that are too old, and return them.

        Raises as `finish`.
        """
        old = too_old(segments, rule.now, rule.keep)
        if not old or self.problems:
            return []
        unrecorded = [segment.next_offset for segment in segments if segment.removed and not segment.removal]
        removal, data = removals.written(
            *(self._log, old, _files(self._log, old), rule),
            before=self._records,
            unrecorded_before=max(unrecorded, default=0),
        )
        self._lease.check()
        if not self._log.store.create(removal.name, data) and self._log.store.read(removal.name) != data:
            raise OwnershipLost(
                f"another process has recorded {removal.name}: run `modeltrail maintain` again"
            )
        reached("removal_recorded")
        self._empty(removal, removal.statement.files)
        return old

    def _empty(self, removal: Removal, files: Sequence[RemovedFile]) -> None:
        """Exchange each file that still is the one of the record for its header."""
        for done, file in enumerate(files, 1):
            self._lease.check()
            with contextlib.suppress(
                FileNotFoundError
            ):  # a roll-up that no stub names, and another one removed
                data = self._log.store.read(file.name)
                segment = read_header(file.name, data)
                if segment.sha256 == file.sha256:
                    self._log.store.replace(file.name, data, parts.removed(segment, removal.sha256)[1])
                    reached("records_removed")
            self._tell(done)


def unfinished(log: Log, removal: Removal) -> list[RemovedFile]:
    """Of the files of a removal those that still hold their records."""
    found = []
    for file in removal.statement.files:
        with contextlib.suppress(FileNotFoundError, NotVerified):
            if log.header(file.name).sha256 == file.sha256:
                found.append(file)
    return found


def pending(log: Log, partition: LogPartition) -> list[Segment]:
    """The segments that a recorded removal has yet to take."""
    records, problems = removals.read(log, partition)
    files = unfinished(log, records[-1]) if records and not problems else []
    return held(log, partition, files) if files else []


def held(log: Log, partition: LogPartition, files: Iterable[RemovedFile]) -> list[Segment]:
    """The segments whose records lie in these files: each record once, though roll-ups overlap."""
    names = {file.name for file in files}
    return [segment for segment in rollup.followed(log, partition, []) if segment.name in names]


def _files(log: Log, segments: Sequence[Segment]) -> list[Segment]:
    """What holds their records, in order; also roll-ups that overlap: each copy of a record goes."""
    partition, start, end = segments[0].partition, segments[0].first_offset, segments[-1].next_offset
    names = {segment.name: segment.first_offset for segment in segments}
    for first, next_ in log.rollups(partition):
        if start < next_ <= end:
            names[name_of_rollup(partition, first, next_)] = first
    found = []
    for name in sorted(names, key=lambda name: names[name]):
        with contextlib.suppress(FileNotFoundError):  # as above
            file = log.header(name, ROLLUP_HEADER_BYTES)
            if not file.replaces:
                found.append(file)
    return found
