"""The log: per partition one chain of sealed segments without gap or overlap, whoever writes.

What is sealed is the truth about progress: the next segment's name is the offset where the last one ended,
and a name can be created only once. Who reads goes by these names too: where a stub has taken a segment's
place it says which roll-up holds the records, and the reader goes on with that one, from there on.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from modeltrail_collector.clock import WallClock, wall_ms
from modeltrail_collector.errors import ConfigError, LogFormatError, NotVerified, OwnershipLost, Unavailable
from modeltrail_collector.log import parts as parts_
from modeltrail_collector.log import segment as segments_
from modeltrail_collector.log.chain import extend, genesis
from modeltrail_collector.log.segment import Batch, Head, Segment
from modeltrail_collector.log.store import LocalStore, Store
from modeltrail_collector.model import Entry, LogPartition

_logger = logging.getLogger(__name__)
_SHOWN: Final = 3

HEADER_BYTES = 1 << 14
ROLLUP_HEADER_BYTES = 1 << 19


class Aside(NamedTuple):
    """A bad last segment that `recover` moved out of the way."""

    name: str
    problem: str


class Log:
    """A log in a store. Any number of processes may read and append at once.

    Args:
        store: Where it lies.
        wall: What time it is; all times that the log keeps come from here.
    """

    def __init__(self, store: Store, wall: WallClock = wall_ms) -> None:
        self.store = store
        self.wall = wall
        self._heads: dict[LogPartition, Segment] = {}

    @property
    def uri(self) -> str:
        """Where the log lies."""
        return self.store.uri

    @property
    def inbox(self) -> Path | None:
        """The directory that takes events without a broker; None for an object store."""
        return self.store.root / "inbox" if isinstance(self.store, LocalStore) else None

    @property
    def exists(self) -> bool:
        """Whether anybody wrote to it."""
        return not {"raw", "inbox", "tables"}.isdisjoint(self.store.folders(""))

    def must_be_no_other(self) -> None:
        """For who may be there first: a folder that holds something else is a mistyped one.

        Raises:
            ConfigError: It is a file, or a folder with something in it and no log.
        """
        if not isinstance(self.store, LocalStore) or self.exists or "relay" in self.store.folders(""):
            return
        root = self.store.root
        found = "a file" if root.is_file() else ""
        if root.is_dir() and (names := sorted(each.name for each in root.iterdir() if each.name[0] != ".")):
            more = ", …" if len(names) > _SHOWN else ""
            found = f"a folder with {', '.join(names[:_SHOWN])}{more} in it"
        if found:
            raise ConfigError(f"{self.uri} is no log: it is {found}. A log has folders raw, inbox or tables.")

    def must_exist(self) -> None:
        """For who only asks: a log that nobody wrote to, a mistyped one mostly, answers as if all were well.

        Raises:
            ConfigError: There is none.
        """
        if not self.exists:
            raise ConfigError(
                f"There is no log at {self.uri}: nothing was ever recorded there. "
                "Where it lies is said by --log or MODELTRAIL_LOG."
            )

    def partitions(self) -> list[LogPartition]:
        """Every chain in the log, sorted."""
        return sorted(
            LogPartition(topic, topic_id, int(partition))
            for topic in self.store.folders("raw")
            for topic_id in self.store.folders(f"raw/{topic}")
            for partition in self.store.folders(f"raw/{topic}/{topic_id}")
            if partition.isdecimal()
        )

    def end(self, partition: LogPartition) -> int:
        """The next offset to collect; 0 for a partition that the log does not know."""
        return self.head(partition).next_offset

    def head(self, partition: LogPartition) -> Head:
        """Where a partition's log ends now.

        Raises:
            NotVerified: The last segment's header cannot be read; see `recover`.
        """
        last = self._last(partition)
        return Head(last.next_offset, last.chain_end) if last else Head(0, genesis(partition))

    def _last(self, partition: LogPartition) -> Segment | None:
        """The last segment: looked for after the last one known, as names are never freed."""
        known = self._heads.get(partition)
        folder = segments_.folder_of(partition)
        while (
            names := self._names(partition, Path(known.name).name) if known else self._last_names(partition)
        ):
            with contextlib.suppress(FileNotFoundError):  # another collector has set it aside just now
                found = self._heads[partition] = self.header(f"{folder}/{names[-1]}")
                return found
        return known

    def _last_names(self, partition: LogPartition) -> list[str]:
        """The names of the last segments: of a long log only those behind its roll-ups are listed."""
        ends = [end for _, end in self.rollups(partition)]
        behind = self._names(partition, f"{max(ends) - 1:020}{segments_.SUFFIX}") if ends else []
        return behind or self._names(partition)

    def _names(self, partition: LogPartition, after: str = "") -> list[str]:
        files = self.store.files(segments_.folder_of(partition), after)
        return [name for name in files if name.endswith(segments_.SUFFIX)]

    def rollups(self, partition: LogPartition) -> list[tuple[int, int]]:
        """The first and the next offset of every roll-up, sorted; two may overlap, see `log.rollup`."""
        names = self.store.files(segments_.folder_of_rollups(partition))
        return [offsets for name in names if (offsets := parts_.offsets_of(name))]

    def header(self, name: str, length: int = HEADER_BYTES) -> Segment:
        """The header of a segment, by its name; `length` bytes are read first, more if it is longer."""
        while True:
            data = self.store.read(name, length)
            try:
                return segments_.read_header(name, data)
            except EOFError as error:
                if len(data) < length:
                    raise segments_.torn(name) from error
                length *= 8
            except LogFormatError:
                segments_.check_format(name, self.store.read(name))
                raise

    def append(self, partition: LogPartition, batch: Batch) -> Segment:
        """Seal a batch as the partition's next segment.

        Raises:
            OwnershipLost: The batch does not start where the log ends: somebody else sealed these offsets.
            Unavailable: The store does not answer; appending the same batch again is safe.
        """
        assert batch.start < batch.end, f"an empty range: {batch.start} to {batch.end}"  # noqa: S101
        last = self._heads.get(partition)
        if last is None or last.next_offset != batch.start:
            last = self._last(partition)
        head = Head(last.next_offset, last.chain_end) if last else Head(0, genesis(partition))
        if head.next_offset == batch.start:
            segment, data = segments_.encode(partition, batch, head.chain_end, self.wall)
            # Until it answers nobody knows where the log ends; the next attempt has to ask: where each put
            # is carried out, and answered too late, to put again would never end.
            self._heads.pop(partition, None)
            if self.store.create(segment.name, data):
                self._heads[partition] = segment
                return segment
        return self._already_sealed(partition, batch)

    def _already_sealed(self, partition: LogPartition, batch: Batch) -> Segment:
        """The segment if it holds just these entries: an earlier attempt was written, its answer was lost.

        Another collector's entries differ at least in the time when they were ingested.
        """
        self._heads.pop(partition, None)
        try:
            found = self.header(segments_.name_of(partition, batch.start))
        except FileNotFoundError:
            found = None
        same = found is not None and found.next_offset == batch.end
        if found and same and found.chain_end == extend(found.chain_start, batch.entries):
            self.store.clean(segments_.folder_of(partition))  # the sync of its name may be what failed
            return found
        raise OwnershipLost(
            f"another collector has sealed offsets of {partition.topic}/{partition.partition}: "
            f"the batch starts at {batch.start}, the log ends at {self.end(partition)}"
        )

    def segments(self, partition: LogPartition, start: int = 0) -> Iterator[Segment]:
        """The segments that hold offsets from `start` on, in order; reads headers only.

        Raises:
            NotVerified: A segment is missing, or does not continue the chain of the one before it.
        """
        folder = segments_.folder_of(partition)
        before: Segment | None = None
        inside: set[str] = set()
        for name in self._names_from(partition, start):
            if name in inside:
                continue
            try:
                found = self._resolved(self.header(f"{folder}/{name}"))
            except FileNotFoundError:
                continue  # it was the last one, torn, and set aside; else the next one tells what is missing
            if before is not None:
                expected = Head(before.next_offset, before.chain_end)
            elif found.first_offset == 0 or found.first_offset > start:
                expected = Head(0, genesis(partition))
            else:
                expected = Head(found.first_offset, found.chain_start)
            _check_follows(found, expected)
            before = found
            inside = {f"{part.first_offset:020}{segments_.SUFFIX}" for part in found.parts}
            if found.next_offset > start:
                yield found

    def _names_from(self, partition: LogPartition, start: int) -> list[str]:
        """The names of the segments from the one on that holds `start`."""
        if start > 0:
            names = self._names(partition, f"{start - 1:020}{segments_.SUFFIX}")
            if names and int(names[0][:20]) == start:
                return names
            if not names and self.end(partition) <= start:
                return []
        names = self._names(partition)
        return names[max((i for i, name in enumerate(names) if int(name[:20]) <= start), default=0) :]

    def _resolved(self, segment: Segment, *, alone: bool = False) -> Segment:
        """The segment, or for a stub its roll-up from there on (`alone`: its part of the roll-up)."""
        if not segment.rolled_into:
            return segment
        try:
            rolled = self.header(segment.rolled_into, ROLLUP_HEADER_BYTES)
        except FileNotFoundError as error:
            raise segments_.not_verified(segment, f"{segment.rolled_into} is missing") from error
        return parts_.view(rolled, segment, alone=alone)

    def content(self, segment: Segment) -> bytes:
        """A segment's whole file, checked against its digest: an Avro container for any reader.

        Raises:
            NotVerified: The file is not what was sealed.
        """
        try:
            data = self.store.read(segment.name)
        except FileNotFoundError as error:
            raise NotVerified(f"{segment.name} is missing") from error
        segments_.check_digest(segment, data)
        return data

    def read(self, segment: Segment) -> Iterator[Entry]:
        """The records of a segment, checked: its digest, their number, their order and their range.

        None if retention removed them.

        Raises:
            NotVerified: The segment is not what was sealed; names topic, partition and offsets.
            Unavailable: Retention removed it just now.
        """
        if segment.removed:
            return iter(())
        try:
            data = self.content(segment)
        except NotVerified:
            if (moved := self._moved(segment)) is None:
                raise
            return self.read(moved)
        return segments_.entries(segment, data)

    def _moved(self, segment: Segment) -> Segment | None:
        """Where the records of a segment are that was replaced since its header was read."""
        try:
            now = self.header(segment.name)
        except (FileNotFoundError, NotVerified):
            return None
        if now.replaces != segment.sha256:
            return None
        found = self._resolved(now, alone=True)
        if found.removed:
            raise Unavailable(f"retention removed {segment.name} while it was about to be read: read again")
        return found

    def recover(self, partition: LogPartition) -> Head:
        """Make a partition ready for a new writer, and say where it ends.

        Removes what dead writers left, and checks the last segment wholly: one torn by a power cut is set
        aside under another name, so that its offsets are collected again.

        Raises:
            NotVerified: The last segment is bad and could not be set aside.
        """
        self.store.clean(segments_.folder_of(partition))
        self._heads.pop(partition, None)
        while names := self._last_names(partition):
            name = f"{segments_.folder_of(partition)}/{names[-1]}"
            try:
                data = self.store.read(name)
            except FileNotFoundError:
                continue  # another collector has set it aside just now
            try:
                self._check(name, data)
            except NotVerified as error:
                self._set_aside(name, data, error)
            else:
                break
        return self.head(partition)

    @staticmethod
    def _check(name: str, data: bytes) -> None:
        segments_.check_digest(segments_.read_whole(name, data), data)

    def _set_aside(self, name: str, data: bytes, problem: NotVerified) -> None:
        moved = self.store.set_aside(name, data)
        if moved is None and self._holds(name, data):
            raise NotVerified(
                f"{problem}. It cannot be set aside in {self.uri}: `modeltrail repair` collects it again"
            )
        if moved:
            _logger.error("%s. It is set aside as %s; its offsets are collected again", problem, moved)

    def _holds(self, name: str, data: bytes) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return self.store.read(name) == data
        return False


def _check_follows(found: Segment, before: Head) -> None:
    partition = found.partition
    where = f"topic {partition.topic}, partition {partition.partition}"
    if found.first_offset != before.next_offset:
        raise NotVerified(
            f"{where}, offsets {before.next_offset} to {found.first_offset - 1}: "
            f"their segment is missing before {found.name}"
        )
    if found.chain_start != before.chain_end:
        raise NotVerified(
            f"{where}, offset {found.first_offset}: {found.name} does not continue the chain before it"
        )
