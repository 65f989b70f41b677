"""Entries as Avro blocks, written by hand.

A general Avro writer resolves nine unions a record at run time and took a fifth of the collector's time; this
one knows the record. It writes what fastavro would write for `record.avsc` (a test compares the bytes).

Reading is left to fastavro, one record at a time, after a look at what their block claims to be: a file that
somebody else made may promise 2^60 items, or hold gigabytes in a few kilobytes.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from io import BytesIO
from typing import Any, Final

import fastavro
import orjson

import modeltrail_schemas
from modeltrail_collector.model import Entry, Header, Reason

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# 1 MiB blocks: smaller ones compress worse, larger ones no better and cost a reader memory.
BLOCK_BYTES = 1 << 20
ZSTD_LEVEL = 1
MAX_BLOCK_BYTES: Final = 256 << 20
"""A block holds a record of any size that Kafka may bring, and is else little larger than BLOCK_BYTES."""

MAGIC: Final = b"Obj\x01"
HEADER: Final = fastavro.parse_schema(
    {
        "type": "record",
        "name": "org.apache.avro.file.Header",
        "fields": [
            {"name": "magic", "type": {"type": "fixed", "name": "magic", "size": 4}},
            {"name": "meta", "type": {"type": "map", "values": "bytes"}},
            {"name": "sync", "type": {"type": "fixed", "name": "sync", "size": 16}},
        ],
    }
)
_LONG: Final = fastavro.parse_schema({"type": "long"})
_CODEC: Final = "zstandard"
_NONE = _EMPTY = b"\x00"
_SHA256_LENGTH = b"\x80\x01"


def blocks(entries: Iterable[Entry], sync: bytes) -> Iterator[bytes]:
    """The blocks of a container file with the codec `zstandard`, each with the sync marker behind it."""
    compressor = zstd.ZstdCompressor(level=ZSTD_LEVEL)
    parts: list[bytes] = []
    count = size = 0
    for entry in entries:
        _append(parts, entry)
        count += 1
        size += len(entry.value or b"") + len(entry.key or b"") + 300
        if size >= BLOCK_BYTES:
            yield _block(compressor, parts, count, sync)
            parts.clear()
            count = size = 0
    if count:
        yield _block(compressor, parts, count, sync)


def header(metadata: Mapping[str, str], sync: bytes) -> bytes:
    """The beginning of a container file, byte for byte as fastavro writes it (a test compares them)."""
    parts = [MAGIC, _long(len(metadata) + 2)]
    for key, value in metadata.items():
        data = value.encode()
        parts += (_string(key), _long(len(data)), data)
    parts.append(_kind())
    return b"".join((*parts, _EMPTY, sync))


def entries(data: bytes) -> Iterator[Entry]:
    """The records of a container file that `blocks` filled.

    Raises:
        Exception: Of many kinds, as fastavro's: it is something else.
    """
    file = BytesIO(data)
    found: Any = fastavro.schemaless_reader(file, HEADER, None)
    meta, sync = found["meta"], found["sync"]
    if meta["avro.codec"] != _CODEC.encode() or not _is_own(meta["avro.schema"]):
        raise ValueError("its records are of another kind")
    schema: Any = record_schema()
    while (at := file.tell()) < len(data):
        count, content = _opened_block(file, at, sync)
        block = BytesIO(content)
        for _ in range(count):
            yield _entry(fastavro.schemaless_reader(block, schema, None))
        if block.tell() != len(content):
            raise ValueError(f"the block at byte {at} does not end with its {count} records")


def _entry(row: Any) -> Entry:
    row["headers"] = tuple(Header(header["key"], header["value"]) for header in row["headers"])
    row["reasons"] = tuple(
        Reason(reason["code"], reason["path"], reason["message"]) for reason in row["reasons"]
    )
    return Entry(**row)


def _opened_block(file: BytesIO, at: int, sync: bytes) -> tuple[int, bytes]:
    """How many records the block at a place has, and their bytes."""
    count: Any = fastavro.schemaless_reader(file, _LONG, None)
    size: Any = fastavro.schemaless_reader(file, _LONG, None)
    compressed = file.read(size) if size > 0 else b""
    if len(compressed) != size or file.read(len(sync)) != sync:
        raise ValueError(f"the block at byte {at} does not end where it should")
    length = zstd.get_frame_info(compressed).decompressed_size
    if length is None or length > MAX_BLOCK_BYTES or not 0 < count <= length:
        raise ValueError(f"the block at byte {at} claims {count} records of {length} bytes")
    decompressor = zstd.ZstdDecompressor()
    content = decompressor.decompress(compressed, max_length=length)
    if len(content) != length or not decompressor.eof or decompressor.unused_data:
        raise ValueError(f"the block at byte {at} is not the {length} bytes that it claims")
    return count, content


@cache
def record_schema() -> Any:
    """The Avro schema of an entry, parsed."""
    return fastavro.parse_schema(modeltrail_schemas.record_schema())


@cache
def _own_schema() -> bytes:
    """The schema in the header of every file that fastavro begins for us."""
    file = BytesIO()
    fastavro.writer(file, record_schema(), [])
    found: Any = fastavro.schemaless_reader(BytesIO(file.getvalue()), HEADER, None)
    schema: bytes = found["meta"]["avro.schema"]
    return schema


@cache
def _kind() -> bytes:
    """What every header ends with: how the records are compressed, and what they are."""
    schema = _own_schema()
    return b"".join(
        (_string("avro.codec"), _string(_CODEC), _string("avro.schema"), _varint(len(schema)), schema)
    )


@lru_cache(8)
def _is_own(schema: bytes) -> bool:
    """Whether it is that schema, also as another writer spells it."""
    return bool(orjson.loads(schema) == orjson.loads(_own_schema()))


def _block(compressor: "zstd.ZstdCompressor", parts: list[bytes], count: int, sync: bytes) -> bytes:
    data = compressor.compress(b"".join(parts), zstd.ZstdCompressor.FLUSH_FRAME)
    return b"".join((_long(count), _long(len(data)), data, sync))


def _append(parts: list[bytes], entry: Entry) -> None:
    """One record, field by field in the order of the schema."""
    key, value = entry.key, entry.value
    parts += (
        _string(entry.topic),
        _long(entry.partition),
        _varint(entry.offset),
        _NONE if entry.source is None else b"\x02" + _varstring(entry.source),
        _varint(entry.timestamp_ms),
        _long(entry.ingested_at_ms),
        _NONE if key is None else b"\x02" + _long(len(key)) + key,
        _headers(entry.headers) if entry.headers else _EMPTY,
    )
    if value is None:
        parts.append(_NONE)
    else:
        parts += (b"\x02" + _long(len(value)), value)
    parts += (
        _string(entry.verdict),
        _reasons(entry.reasons) if entry.reasons else _EMPTY,
        _optional(entry.event_kind),
        _optional(entry.event_type),
        _NONE if entry.event_time is None else b"\x02" + _varstring(entry.event_time),
        _optional(entry.run_id),
        _optional(entry.job_namespace),
        _optional(entry.job_name),
        _SHA256_LENGTH,
        entry.sha256.encode(),
    )


def _headers(headers: tuple[Header, ...]) -> bytes:
    parts = [_long(len(headers))]
    for header in headers:
        value = header.value
        parts += (
            _varstring(header.key),
            _NONE if value is None else b"\x02" + _varint(len(value)) + value,
        )
    return b"".join((*parts, _EMPTY))


def _reasons(reasons: tuple[Reason, ...]) -> bytes:
    parts = [_long(len(reasons))]
    for reason in reasons:
        parts += (_varstring(reason.code), _varstring(reason.path), _varstring(reason.message))
    return b"".join((*parts, _EMPTY))


def _varint(number: int) -> bytes:
    """A long: zigzag, then seven bits a byte, the lowest first."""
    rest = (number << 1) ^ (number >> 63)
    if rest < 128:
        return bytes((rest,))
    out = bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _varstring(text: str) -> bytes:
    data = text.encode()
    return _varint(len(data)) + data


# What comes back record after record is encoded once.
_long = lru_cache(1 << 15)(_varint)
_string = lru_cache(1 << 10)(_varstring)


@lru_cache(1 << 14)
def _optional(text: str | None) -> bytes:
    return _NONE if text is None else b"\x02" + _varstring(text)
