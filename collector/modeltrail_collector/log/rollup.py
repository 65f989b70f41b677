"""Roll-up: the records of many small segments in one file, and a stub in each segment's place.

::

    write     the roll-up is created, whole, under its own name; the segments are as they were
    check     it is read back from the store: digest, every record hash, every part's link
    stub      segment after segment, the oldest first, is exchanged for its stub, if it still is that segment

Who reads goes by the segments' names and finds each record once wherever this stops. The next run checks a
roll-up that has no stubs yet, or not all, and goes on. Two that work at once (one had stopped, lost its lease
and woke up) only make roll-ups that overlap: each segment is exchanged once, for a stub of one of them, and a
roll-up that no stub names is removed when nobody can make one any more: when all its segments are stubs.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from itertools import islice, pairwise
from typing import Final

from modeltrail_collector.errors import NotVerified
from modeltrail_collector.failpoints import reached
from modeltrail_collector.log import chain, parts
from modeltrail_collector.log.log import ROLLUP_HEADER_BYTES, Log
from modeltrail_collector.log.segment import (
    Part,
    Segment,
    folder_of,
    folder_of_rollups,
    name_of,
    name_of_rollup,
    not_verified,
    read_header,
)
from modeltrail_collector.log.store import Lease
from modeltrail_collector.model import Entry, LogPartition

ROWS: Final = 50_000
BYTES: Final = 64 << 20
"""A roll-up is no larger than a segment may be: who reads needs no more memory than before."""
PARTS: Final = 1_000
FEW: Final = 10
"""Fewer segments at the end of a log wait for more, so that frequent runs do not make small roll-ups."""

OnProgress = Callable[[int], None]


class RollUp:
    """The roll-up of one partition. `segments` and `rollups` count what was done, `problems` what was not."""

    def __init__(self, log: Log, partition: LogPartition, lease: Lease, on_progress: OnProgress) -> None:
        self.segments = 0
        self.rollups = 0
        self.problems: list[str] = []
        self._log = log
        self._partition = partition
        self._lease = lease
        self._tell = on_progress

    def run(self) -> None:
        """Finish what an earlier run left, then roll up what is worth it.

        Raises:
            OwnershipLost: Another one took over.
            Unavailable: The store does not answer; the next run goes on.
        """
        for folder in (folder_of, folder_of_rollups):
            self._log.store.clean(folder(self._partition))
        for name in unfinished(self._log, self._partition):
            self._finish(name)
        for group in list(groups(followed(self._log, self._partition, self.problems))):
            self._roll_up(group)

    def _roll_up(self, group: Sequence[Segment]) -> None:
        """As many roll-ups as it takes: one is bounded, and a bad segment is in none."""
        while len(group) > 1:
            self._lease.check()
            taken, data = self._gather(group)
            group = group[max(1, len(taken)) :]
            if len(taken) > 1:
                name = name_of_rollup(self._partition, taken[0].first_offset, taken[-1].next_offset)
                self._lease.check()
                self._log.store.create(name, data)
                del data
                reached("rollup_written")
                self._finish(name)

    def _gather(self, group: Sequence[Segment]) -> tuple[list[Segment], bytes]:
        """The first segments of a group that are sound and fit, and their roll-up."""
        taken: list[Segment] = []

        def entries() -> Iterator[Entry]:
            size = 0
            for segment in group:
                try:
                    found = _sound(self._log, segment)
                except NotVerified as error:
                    if not taken:
                        self.problems.append(str(error))
                    return
                size += sum(len(entry.value or b"") + len(entry.key or b"") for entry in found)
                if size > BYTES:
                    return
                taken.append(segment)
                yield from found

        body = BytesIO()
        body.writelines(parts.blocks(group[0], entries()))
        return taken, parts.rollup(taken, (body.getvalue(),))[1] if len(taken) > 1 else b""

    def _finish(self, name: str) -> None:
        """Exchange what is left of a roll-up's segments for stubs; remove it if others had them all."""
        before = self.segments
        try:
            rolled = check(self._log, name)
            named = [self._stub(part, rolled) for part in rolled.parts]
        except (NotVerified, FileNotFoundError) as error:
            if parts.offsets_of(name.rpartition("/")[2]) in self._log.rollups(self._partition):
                self.problems.append(str(error))
            return  # else another one, who took over, has removed it: no stub names it
        self.rollups += self.segments > before
        if not any(named):
            self._lease.check()
            self._log.store.remove(name)
            reached("rollup_removed")

    def _stub(self, part: Part, rolled: Segment) -> bool:
        """Put a stub in the place of a segment; whether the place names this roll-up now."""
        name = name_of(self._partition, part.first_offset)
        try:
            data = self._log.store.read(name)
        except FileNotFoundError as error:
            raise NotVerified(f"{name} is missing; its records are in {rolled.name}") from error
        segment = read_header(name, data)
        if segment.replaces:
            return segment.rolled_into == rolled.name
        if rolled.removed:
            return True
        if segment.sha256 != part.sha256:
            raise not_verified(segment, f"{rolled.name} was made from another segment")
        self._lease.check()
        if not self._log.store.replace(name, data, parts.stub(segment, rolled.name)[1]):
            return self._log.header(name).rolled_into == rolled.name
        reached("part_stubbed")
        self.segments += 1
        self._tell(self.segments)
        return True


def groups(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Of all segments of a partition those neighbours that are worth a roll-up each; never the last one.

    A group ends with the day (of `sealed_at`), so that retention, which removes whole roll-ups, is exact to a
    day.
    """
    group: list[Segment] = []
    rows = 0
    for segment, _ in pairwise(segments):
        plain = not (segment.parts or segment.removed or segment.repair)
        if group and not (
            plain
            and rows + segment.rows <= ROWS
            and len(group) < PARTS
            and segment.sealed_at[:10] == group[0].sealed_at[:10]
        ):
            if len(group) > 1:
                yield group
            group, rows = [], 0
        if plain:
            group.append(segment)
            rows += segment.rows
    if len(group) >= FEW:
        yield group


def followed(log: Log, partition: LogPartition, problems: list[str]) -> list[Segment]:
    """The segments as far as the chain can be followed; where it cannot is a problem."""
    found: list[Segment] = []
    try:
        found.extend(log.segments(partition))
    except NotVerified as error:
        problems.append(str(error))
    return found


def unfinished(log: Log, partition: LogPartition) -> list[str]:
    """The roll-ups that lack stubs, or that no stub names.

    The stub of its last segment comes last, so it tells of a roll-up that all is done.
    """
    rollups = log.rollups(partition)
    names = log.store.files(folder_of(partition)) if rollups else []
    found = []
    for first, end in rollups:
        rolled = name_of_rollup(partition, first, end)
        index = bisect_left(names, name_of(partition, end).rpartition("/")[2]) - 1
        try:
            done = index >= 0 and log.header(f"{folder_of(partition)}/{names[index]}").rolled_into == rolled
        except NotVerified:
            done = False
        if not done:
            found.append(rolled)
    return found


def _sound(log: Log, segment: Segment) -> list[Entry]:
    """The records of a segment, their chain recomputed."""
    entries = list(log.read(segment))
    if chain.extend(segment.chain_start, entries) != segment.chain_end:
        raise not_verified(segment, "the chain is broken")
    return entries


def check(log: Log, name: str) -> Segment:
    """Read a roll-up back wholly; of an emptied one there is only the header.

    Raises:
        NotVerified: It is not what was written.
    """
    rolled = log.header(name, ROLLUP_HEADER_BYTES)
    if rolled.removed:
        log.content(rolled)
        return rolled
    entries, link = log.read(rolled), rolled.chain_start
    for part in rolled.parts:
        link = chain.extend(link, islice(entries, part.rows))
        if link != part.chain_end:
            raise not_verified(rolled, f"the chain is broken at offset {part.next_offset - 1}")
    for _ in entries:
        raise not_verified(rolled, "it has more records than its parts")
    return rolled
