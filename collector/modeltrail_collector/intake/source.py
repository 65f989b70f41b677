"""What the pump asks of whatever records are read from; see `kafka` and `testing.MemorySource`."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from modeltrail_collector.errors import ConfigError
from modeltrail_collector.model import LogPartition, Record


class Fetched(msgspec.Struct, frozen=True):
    """All records of the offsets `start` <= offset < `end` of a partition: topics have holes.

    `gap` says why the offsets before `start` that were asked for cannot be had: `retention` removed them, or
    they are `unreadable`.
    """

    partition: LogPartition
    start: int
    end: int
    records: Sequence[Record] = ()
    gap: Literal["retention", "unreadable"] | None = None


class Polled(msgspec.Struct, frozen=True):
    """What one poll brought: a new assignment, or records; never both.

    `assigned` is None while nothing changed. Else it is everything that is ours from now on, and whoever
    polls must drop what is not sealed and seek *each* partition before its records count.
    """

    assigned: frozenset[LogPartition] | None = None
    fetched: Sequence[Fetched] = ()


def cut_short(partition: LogPartition, offset: int, known: str) -> ConfigError:
    """The error of a topic with less than the log, which ends at `offset`; `known` is what is known of it."""
    return ConfigError(
        f"topic {partition.topic}, partition {partition.partition}: the log ends at offset {offset}, "
        f"but Kafka ends before it ({known}): the topic lost records that the log has. "
        "Collect into another log, or make the topic anew"
    )


class Source(Protocol):
    """A group's member, or a reader of everything, that hands out records by partition."""

    def poll(self, timeout_s: float) -> Polled:
        """The next records, waiting for them at most so long. Keeps the membership alive.

        Raises:
            Unavailable: Nothing can be read now; polling again may help.
        """

    def seek(self, partition: LogPartition, offset: int) -> None:
        """Read on from this offset; a partition that is not ours any more is ignored."""

    def pause(self) -> None:
        """Hand out no records (but changes of the assignment) until `resume`."""

    def resume(self) -> None:
        """Hand out records again."""

    def commit(self, offsets: Mapping[LogPartition, int]) -> None:
        """Say how far the log is, for lag tools. Best effort: nothing is ever read back from it."""

    def ends(self, partitions: Sequence[LogPartition]) -> dict[LogPartition, int]:
        """Where partitions end now: the offset of the next record to come.

        Raises:
            Unavailable: It cannot be asked now.
        """

    def known_ends(self) -> Mapping[LogPartition, int]:
        """Where partitions ended when last heard of, as far as is known. Asks nobody."""

    def close(self) -> None:
        """Leave the group and release everything."""
