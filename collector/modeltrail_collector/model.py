"""The few values that travel through the collector, all frozen.

::

    intake  ->  Record  ->  judge  ->  Verdict  ->  log  ->  Entry (= Record + Verdict, sealed)

Times are integers in milliseconds since the epoch (UTC); offsets are 0-based.
"""

from typing import Final, Literal

import msgspec

from modeltrail_collector.errors import ConfigError

Level = Literal["accepted", "warned", "rejected"]
EventKind = Literal["run", "job", "dataset"]


_MAX_NAME: Final = 249  # as Kafka's own


class LogPartition(msgspec.Struct, frozen=True, order=True):
    """One chain of the log: a partition of one incarnation of a topic.

    `topic_id` is Kafka's topic UUID: a topic deleted and recreated is another topic.
    What did not come from Kafka lies in the chain `LOCAL`.
    """

    topic: str
    topic_id: str
    partition: int

    def __post_init__(self) -> None:
        """Both names are folders of the log: whatever a broker or a file says, they lead nowhere else."""
        for name in (self.topic, self.topic_id):
            if name in {"", ".", ".."} or "/" in name or "\0" in name or len(name.encode()) > _MAX_NAME:
                raise ConfigError(f"{name[:300]!r} cannot be the name or id of a topic in the log")


LOCAL = LogPartition("local", "local", 0)


class Header(msgspec.Struct, frozen=True):
    """A Kafka record header; Kafka allows repeated keys and null values."""

    key: str
    value: bytes | None


class Record(msgspec.Struct, frozen=True):
    """One record as it came, before anybody looked inside.

    `offset` is Kafka's, or the place in the chain for what came from a file; then `source` is `path:line`.
    """

    topic: str
    partition: int
    offset: int
    source: str | None
    timestamp_ms: int
    key: bytes | None
    headers: tuple[Header, ...]
    value: bytes | None


class Reason(msgspec.Struct, frozen=True):
    """Why a record is not plainly accepted: a stable code, a JSON path (`$.run.runId`), a sentence."""

    code: str
    path: str
    message: str


class Verdict(msgspec.Struct, frozen=True):
    """What the judge found. The event fields are None where they could not be read."""

    verdict: Level
    reasons: tuple[Reason, ...] = ()
    event_kind: EventKind | None = None
    event_type: str | None = None
    event_time: str | None = None
    run_id: str | None = None
    job_namespace: str | None = None
    job_name: str | None = None


class Entry(msgspec.Struct, frozen=True):
    """One record of the log: field for field the Avro record of `schemas/record.avsc`.

    `timestamp_ms` is the producer's clock, `ingested_at_ms` ours; `sha256` is of `value` (null as b"").
    """

    topic: str
    partition: int
    offset: int
    source: str | None
    timestamp_ms: int
    ingested_at_ms: int
    key: bytes | None
    headers: tuple[Header, ...]
    value: bytes | None
    verdict: Level
    reasons: tuple[Reason, ...]
    event_kind: EventKind | None
    event_type: str | None
    event_time: str | None
    run_id: str | None
    job_namespace: str | None
    job_name: str | None
    sha256: str


class FileProgress(msgspec.Struct, frozen=True):
    """How far a file was sealed: kept in segment headers, so that sealing twice adds nothing.

    The identity of a file is its path plus the SHA-256 of its first line: a rotated or recreated file is
    a new one. Rejected records that were replayed are kept account of alike, see `log.replays`.
    """

    path: str
    first_line_sha256: str
    next_byte: int
