"""Roll-ups and stubs as files: the records of many segments in one, the headers left in their places."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec

from modeltrail_collector.log import avro
from modeltrail_collector.log.segment import (
    NEWEST_FORMAT,
    SUFFIX,
    Part,
    Segment,
    name_of,
    name_of_rollup,
    not_verified,
    seal,
)
from modeltrail_collector.model import Entry

_ROLLUP = re.compile(rf"(\d{{20}})-(\d{{20}}){re.escape(SUFFIX)}")


def offsets_of(name: str) -> tuple[int, int] | None:
    """The first and the next offset by the last part of a roll-up's name; None if it is no roll-up's."""
    found = _ROLLUP.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def rollup(parts: Sequence[Segment], blocks: Iterable[bytes]) -> tuple[Segment, bytes]:
    """The roll-up of neighbouring segments, from the blocks of their records."""
    first, last = parts[0], parts[-1]
    header = msgspec.structs.replace(
        first,
        name=name_of_rollup(first.partition, first.first_offset, last.next_offset),
        next_offset=last.next_offset,
        chain_end=last.chain_end,
        format_version=NEWEST_FORMAT,
        **_summed([_part(segment) for segment in parts]),
    )
    return seal(header, blocks, _sync(first))


def blocks(first: Segment, entries: Iterable[Entry]) -> Iterable[bytes]:
    """The records of a roll-up that begins with `first`, as they stand in its file."""
    return avro.blocks(entries, _sync(first))


def _sync(first: Segment) -> bytes:
    """The marker between blocks: any 16 bytes do that nobody else uses."""
    return sha256(first.sha256.encode()).digest()[:16]


def _part(segment: Segment) -> Part:
    return Part(**{name: getattr(segment, name) for name in Part.__struct_fields__})


def _summed(parts: Sequence[Part]) -> dict[str, object]:
    """What parts say as one: the header fields of a roll-up, or of a view of it."""
    return {
        "parts": tuple(parts),
        "rows": sum(part.rows for part in parts),
        "judge_id": ", ".join(dict.fromkeys(part.judge_id for part in parts)),
        "sealed_at": max(part.sealed_at for part in parts),
        "files": tuple({(f.path, f.first_line_sha256): f for part in parts for f in part.files}.values()),
        "gaps": tuple(gap for part in parts for gap in part.gaps),
    }


def stub(segment: Segment, rolled_into: str) -> tuple[Segment, bytes]:
    """What stays in the place of a segment whose records are in a roll-up."""
    return _emptied(segment, rolled_into=rolled_into)


def stub_of(rolled: Segment, first_offset: int) -> tuple[Segment, bytes]:
    """The stub of a part of a roll-up, made from the roll-up: the same bytes as from the segment."""
    index = bisect_left(rolled.parts, first_offset, key=lambda part: part.first_offset)
    part = rolled.parts[index]
    said = {name: getattr(part, name) for name in Part.__struct_fields__}
    start = rolled.parts[index - 1].chain_end if index else rolled.chain_start
    segment = msgspec.structs.replace(
        rolled,
        name=name_of(rolled.partition, first_offset),
        chain_start=start,
        parts=(),
        removed=False,
        removal="",
        **said,
    )
    return stub(segment, rolled.name)


def removed(segment: Segment, removal: str) -> tuple[Segment, bytes]:
    """What stays in the place of a segment, or of a whole roll-up, whose records retention removed.

    `removal` is the SHA-256 of the record of that.
    """
    return _emptied(segment, removed=True, removal=removal)


def _emptied(segment: Segment, **where: object) -> tuple[Segment, bytes]:
    header = msgspec.structs.replace(segment, format_version=NEWEST_FORMAT, replaces=segment.sha256, **where)
    return seal(header, (), _sync(segment))


def view(rolled: Segment, stub: Segment, *, alone: bool = False) -> Segment:
    """A roll-up from the place of a stub on, or only that place: what `Log.read` reads instead of it.

    Raises:
        NotVerified: The stub does not stand for a part of the roll-up.
    """
    index = bisect_left(rolled.parts, stub.first_offset, key=lambda part: part.first_offset)
    start = rolled.parts[index - 1].chain_end if index else rolled.chain_start
    if (
        rolled.partition != stub.partition
        or start != stub.chain_start
        or not any(stands_for(stub, part) for part in rolled.parts[index : index + 1])
    ):
        raise not_verified(stub, f"its records are not in {rolled.name}")
    chosen = rolled.parts[index : index + 1 if alone else None]
    return msgspec.structs.replace(
        rolled,
        first_offset=stub.first_offset,
        next_offset=chosen[-1].next_offset,
        chain_start=start,
        chain_end=chosen[-1].chain_end,
        **_summed(chosen),
    )


def stands_for(stub: Segment, part: Part) -> bool:
    """Whether a stub stands for this part of a roll-up."""
    mine = (stub.first_offset, stub.next_offset, stub.rows, stub.chain_end, stub.replaces)
    return mine == (part.first_offset, part.next_offset, part.rows, part.chain_end, part.sha256)
