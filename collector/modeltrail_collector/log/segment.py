"""One segment: an Avro container file that holds the records of a range of offsets, sealed for good.

The header's metadata, all text, under keys that start with `modeltrail.`::

    format            "1", or "2" where one of the last five keys is used; a reader refuses a newer one
    topic, topic_id, partition
    first_offset      where the previous segment ended; also the file's name
    next_offset       where the next one starts
    rows              how many records follow
    gaps              JSON [{"first_offset", "next_offset", "reason"}]: offsets that could not be collected
    chain_start, chain_end    the links of the hash chain before the first and after the last record
    judge_id          which judge gave the verdicts
    files             JSON [{"path", "first_line_sha256", "next_byte"}]: progress in files, see `intake.files`
    sealed_at         RFC 3339, UTC
    sha256            of the whole file with these 64 characters written as zeros
    parts             of a roll-up: JSON, what the headers of the segments in it said
    replaces          of a file without records: the SHA-256 of the one that had this name before
    records           of a file without records: the roll-up that has them, or `removed by retention`
    removal           of one that retention emptied: the SHA-256 of the record of that, see `removals`
    repair            of records that were collected again: JSON {"problem", "replaces", "records_end"}

A *roll-up* holds the records of neighbouring segments, and each of these is replaced by a *stub*: its header
alone, so that its name stays taken. Retention leaves the header alone too, of a segment or of a roll-up.

A *repair* has the place of a segment that was damaged. Its records' chain leads from `chain_start` to its
`records_end`; its `chain_end` is what the segment behind it continues.

Offsets of the range that are neither a record nor in `gaps` hold transaction markers, or were aborted or
compacted away by Kafka.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from io import BytesIO
from typing import Any

import fastavro
import msgspec

from modeltrail_collector.clock import WallClock, rfc3339, wall_ms
from modeltrail_collector.errors import LogFormatError, NotVerified
from modeltrail_collector.log import avro, chain, digest
from modeltrail_collector.model import Entry, FileProgress, LogPartition

FORMAT = 1
NEWEST_FORMAT = 2
REMOVED = "removed by retention"
PREFIX = "modeltrail."
SUFFIX = ".avro"


class Gap(msgspec.Struct, frozen=True):
    """Offsets that could not be collected, and why (`retention`: Kafka had already removed them)."""

    first_offset: int
    next_offset: int
    reason: str


class Batch(msgspec.Struct, frozen=True):
    """What one segment is made of: all records of the offsets `start` <= offset < `end`.

    `start` is the position that was read from, not the first record's offset: topics have holes.
    """

    start: int
    end: int
    entries: Sequence[Entry]
    files: tuple[FileProgress, ...] = ()
    gaps: tuple[Gap, ...] = ()
    judge_id: str = ""


class Head(msgspec.Struct, frozen=True):
    """Where a partition's log ends: the next offset to collect and the last link of its chain."""

    next_offset: int
    chain_end: str


class Part(msgspec.Struct, frozen=True):
    """What the header of a segment said whose records are now in a roll-up."""

    first_offset: int
    next_offset: int
    rows: int
    chain_end: str
    sha256: str
    judge_id: str
    sealed_at: str
    files: tuple[FileProgress, ...]
    gaps: tuple[Gap, ...]


class Repair(msgspec.Struct, frozen=True):
    """Why records were collected again; the SHA-256 of the file they replace (empty if it was missing)."""

    problem: str
    replaces: str
    records_end: str = ""


_encode = msgspec.json.Encoder().encode
_read_files = msgspec.json.Decoder(tuple[FileProgress, ...]).decode
_read_gaps = msgspec.json.Decoder(tuple[Gap, ...]).decode
_read_parts = msgspec.json.Decoder(tuple[Part, ...]).decode
_read_repair = msgspec.json.Decoder(Repair | None).decode


class Segment(msgspec.Struct, frozen=True):
    """What a segment's header says; `name` is its place in the log.

    Or a roll-up's: it has `parts`, and may be narrowed to the last of them (see `view`). Of a `removed` one
    the records are gone, `rows` says how many there were, and `removal` is the SHA-256 of the record of that
    (empty where an older modeltrail removed them).
    """

    name: str
    partition: LogPartition
    first_offset: int
    next_offset: int
    rows: int
    chain_start: str
    chain_end: str
    sha256: str
    judge_id: str
    sealed_at: str
    format_version: int
    files: tuple[FileProgress, ...]
    gaps: tuple[Gap, ...]
    removed: bool = False
    removal: str = ""
    rolled_into: str = ""
    replaces: str = ""
    parts: tuple[Part, ...] = ()
    repair: Repair | None = None

    @property
    def records_end(self) -> str:
        """The link after the last record: `chain_end`, but of a repair."""
        return self.repair.records_end if self.repair else self.chain_end


def name_of(partition: LogPartition, first_offset: int) -> str:
    """Where a segment lies in the log."""
    return f"{folder_of(partition)}/{first_offset:020}{SUFFIX}"


def name_of_rollup(partition: LogPartition, first_offset: int, next_offset: int) -> str:
    """Where a roll-up lies in the log: the offsets it begins with and ends before."""
    return f"{folder_of_rollups(partition)}/{first_offset:020}-{next_offset:020}{SUFFIX}"


def folder_of_rollups(partition: LogPartition) -> str:
    """Where the roll-ups of a partition lie in the log."""
    return f"rolled/{partition.topic}/{partition.topic_id}/{partition.partition}"


def folder_of(partition: LogPartition) -> str:
    """Where the segments of a partition lie in the log."""
    return f"raw/{partition.topic}/{partition.topic_id}/{partition.partition}"


def encode(
    partition: LogPartition,
    batch: Batch,
    chain_start: str,
    wall: WallClock = wall_ms,
    *,
    repair: Repair | None = None,
    chain_end: str | None = None,
) -> tuple[Segment, bytes]:
    """Make a segment: its header as an object, and the whole file; the same bytes at the same time.

    Of a repair `chain_end` is what the next segment continues, if there is one.
    """
    segment = Segment(
        name=name_of(partition, batch.start),
        partition=partition,
        first_offset=batch.start,
        next_offset=batch.end,
        rows=len(batch.entries),
        chain_start=chain_start,
        chain_end=chain.extend(chain_start, batch.entries),
        sha256=digest.ZEROS.decode(),
        judge_id=batch.judge_id,
        sealed_at=rfc3339(wall()),
        format_version=FORMAT,
        files=batch.files,
        gaps=batch.gaps,
    )
    if repair:
        segment = msgspec.structs.replace(
            segment,
            chain_end=chain_end or segment.chain_end,
            format_version=NEWEST_FORMAT,
            repair=msgspec.structs.replace(repair, records_end=segment.chain_end),
        )
    # Unlike any 16 bytes of the content, as it depends on all of it.
    sync = sha256(f"{segment.name} {segment.chain_end} {segment.sealed_at}".encode()).digest()[:16]
    return seal(segment, avro.blocks(batch.entries, sync), sync)


def seal(segment: Segment, blocks: Iterable[bytes], sync: bytes) -> tuple[Segment, bytes]:
    """A header and the blocks of its records as a file, with its digest put in."""
    segment = msgspec.structs.replace(segment, sha256=digest.ZEROS.decode())
    header = avro.header(_metadata(segment), sync)
    at = digest.position(header)
    file = BytesIO()
    file.write(header)
    file.writelines(blocks)
    with file.getbuffer() as zeroed:
        found = sha256(zeroed).hexdigest()
        zeroed[at : at + 64] = found.encode()
    return msgspec.structs.replace(segment, sha256=found), file.getvalue()


def _metadata(segment: Segment) -> dict[str, str]:
    values = {
        "format": str(segment.format_version),
        "topic": segment.partition.topic,
        "topic_id": segment.partition.topic_id,
        "partition": str(segment.partition.partition),
        "first_offset": str(segment.first_offset),
        "next_offset": str(segment.next_offset),
        "rows": str(segment.rows),
        "gaps": _json(segment.gaps),
        "chain_start": segment.chain_start,
        "chain_end": segment.chain_end,
        "judge_id": segment.judge_id,
        "files": _json(segment.files),
        "sealed_at": segment.sealed_at,
        "sha256": segment.sha256,
    }
    if segment.parts:
        values["parts"] = _json(segment.parts)
    if segment.repair:
        values["repair"] = _json(segment.repair)
    if segment.replaces:
        values |= {"replaces": segment.replaces, "records": segment.rolled_into or REMOVED}
    if segment.removal:
        values["removal"] = segment.removal
    return {PREFIX + key: value for key, value in values.items()}


def _json(value: object) -> str:
    return _encode(value).decode()


def read_header(name: str, data: bytes) -> Segment:
    """The header from the first bytes of a file.

    Raises:
        EOFError: More bytes are needed.
        LogFormatError: A newer modeltrail wrote it.
        NotVerified: It is no header of ours, or that of another place in the log.
    """
    try:
        found: Any = fastavro.schemaless_reader(BytesIO(data), avro.HEADER, None)
        assert found["magic"] == avro.MAGIC  # noqa: S101  caught below, with everything else that is odd
        meta = {
            key.removeprefix(PREFIX): value.decode()
            for key, value in found["meta"].items()
            if key.startswith(PREFIX)
        }
        version = int(meta["format"])
    except EOFError:
        raise
    except Exception as error:
        raise NotVerified(f"{name} is no segment: {type(error).__name__}: {error}") from error
    if version > NEWEST_FORMAT:
        raise LogFormatError(
            f"{name} has log format {version}, this modeltrail reads up to {NEWEST_FORMAT}: "
            "pip install --upgrade 'modeltrail[collector]'"
        )
    try:
        segment = _segment(name, meta, version)
    except Exception as error:
        raise NotVerified(f"{name} has a broken header: {type(error).__name__}: {error}") from error
    place = name_of(segment.partition, segment.first_offset)
    if segment.parts:
        place = name_of_rollup(segment.partition, segment.first_offset, segment.next_offset)
    if name != place:
        raise NotVerified(f"{name} holds {place}: it was moved")
    return segment


def read_whole(name: str, data: bytes) -> Segment:
    """The header of a whole file, which nobody has compared with its digest yet. Raises as `read_header`."""
    try:
        return read_header(name, data)
    except EOFError as error:
        raise torn(name) from error
    except LogFormatError:
        check_format(name, data)
        raise


def torn(name: str) -> NotVerified:
    """The error about a file that is shorter than its header."""
    return NotVerified(f"{name} is torn: it ends inside its header")


def _segment(name: str, meta: dict[str, str], version: int) -> Segment:
    records = meta.get("records", "")
    segment = Segment(
        name=name,
        partition=LogPartition(meta["topic"], meta["topic_id"], int(meta["partition"])),
        first_offset=int(meta["first_offset"]),
        next_offset=int(meta["next_offset"]),
        rows=int(meta["rows"]),
        chain_start=meta["chain_start"],
        chain_end=meta["chain_end"],
        sha256=meta["sha256"],
        judge_id=meta["judge_id"],
        sealed_at=meta["sealed_at"],
        format_version=version,
        files=_read_files(meta["files"]),
        gaps=_read_gaps(meta["gaps"]),
        removed=records == REMOVED,
        removal=meta.get("removal", ""),
        rolled_into="" if records == REMOVED else records,
        replaces=meta.get("replaces", ""),
        parts=_read_parts(meta["parts"]) if "parts" in meta else (),
        repair=_read_repair(meta["repair"]) if "repair" in meta else None,
    )
    _check_parts(segment)
    return segment


def _check_parts(segment: Segment) -> None:
    if bool(segment.replaces) != (segment.removed or bool(segment.rolled_into)):
        raise ValueError("it does not say what it replaces, or where the records are")
    if segment.removal and not segment.removed:
        raise ValueError("it names a removal, but has its records")
    folder, _, _ = segment.rolled_into.rpartition("/")
    if segment.rolled_into and (segment.parts or folder != folder_of_rollups(segment.partition)):
        raise ValueError(f"its records cannot be in {segment.rolled_into}")
    if segment.parts:
        ends = [segment.first_offset, *(part.next_offset for part in segment.parts)]
        begins = [*(part.first_offset for part in segment.parts), segment.next_offset]
        rows = sum(part.rows for part in segment.parts)
        if (ends, rows, segment.parts[-1].chain_end) != (begins, segment.rows, segment.chain_end):
            raise ValueError("its parts do not make up the whole")


def check_digest(segment: Segment, data: bytes) -> None:
    """Compare a file with the digest in its header.

    Raises:
        NotVerified: They differ.
    """
    try:
        found = digest.check(data)
    except ValueError as error:
        raise not_verified(segment, str(error)) from error
    if found != segment.sha256:
        raise not_verified(segment, "its SHA-256 is not the one it was sealed with")


def check_format(name: str, data: bytes) -> None:
    """A file that names a newer format is one only if its digest is right: else a bit of the number flipped.

    Raises:
        NotVerified: It is damaged.
    """
    try:
        digest.check(data)
    except ValueError as error:
        raise NotVerified(f"{name} has a broken header: {error}") from error


def entries(segment: Segment, data: bytes) -> Iterator[Entry]:
    """The records of a file whose digest was checked.

    Raises:
        NotVerified: They are not the records the header promises.
    """
    rows, following = 0, segment.first_offset
    try:
        for entry in avro.entries(data):
            if segment.parts and entry.offset < segment.first_offset:
                continue
            if not following <= entry.offset < segment.next_offset:
                break
            rows, following = rows + 1, entry.offset + 1
            yield entry
    except Exception as error:
        raise not_verified(segment, f"{type(error).__name__}: {error}") from error
    if rows != segment.rows:
        raise not_verified(segment, f"{rows} records in order, its header says {segment.rows}")


def not_verified(segment: Segment, problem: str) -> NotVerified:
    """The error that names topic, partition and offsets of a bad segment."""
    partition = segment.partition
    return NotVerified(
        f"topic {partition.topic}, partition {partition.partition}, offsets {segment.first_offset} to "
        f"{segment.next_offset - 1} ({segment.name}) cannot be trusted: {problem}"
    )
