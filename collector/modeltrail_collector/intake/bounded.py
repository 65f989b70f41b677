"""Polling kafka-python by bytes: it counts records only, and unpacks a batch whole.

2000 records may be a megabyte or sixty gigabytes, and a megabyte of zstd may hold one of either. So records
are taken until so many bytes are there, and compressed batches are unpacked a piece at a time. Nothing public
of the client offers either: its fetcher gets its parts from here.
"""

import functools
import gzip
import io
import itertools
from typing import Any, Final

from kafka import errors
from kafka.consumer.fetcher import Fetcher
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint

PIECE_BYTES: Final = 1 << 20
MAX_RECORD_BYTES: Final = (
    256 << 20
)  # a broker takes what it packs to a megabyte, however large it is unpacked
RECORD_OVERHEAD_BYTES: Final = 600
_VARINT_BYTES: Final = 5
_read_msg: Final = DefaultRecordBatch._read_msg  # noqa: SLF001
_GZIP, _ZSTD = DefaultRecordBatch.CODEC_GZIP, DefaultRecordBatch.CODEC_ZSTD


class BoundedPoll:
    """The polls of one consumer, each of about `limit` bytes, and of at least one record."""

    def __init__(self, consumer: Any, limit: int) -> None:
        self.left = limit
        self._limit = limit
        self._consumer = consumer
        fetcher = consumer._fetcher  # noqa: SLF001
        self._append = fetcher._append  # noqa: SLF001
        fetcher._append = self._bounded_append  # noqa: SLF001
        fetcher.PartitionRecords = functools.partial(_Records, self)

    def poll(self, timeout_ms: int) -> dict[Any, list[Any]]:
        """As the consumer's own."""
        self.left = self._limit
        found: dict[Any, list[Any]] = self._consumer.poll(timeout_ms)
        return found

    def _bounded_append(self, drained: Any, part: Any, max_records: int, update_offsets: bool) -> int:
        """The client stops when it has as many records as it wanted: so it has, when the bytes are there."""
        count: int = self._append(drained, part, max_records, update_offsets)
        return count if self.left > 0 else max_records


class _Records(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python has no types
    """What was fetched of one partition."""

    def __init__(self, budget: BoundedPoll, offset: int, partition: Any, records: Any, **more: Any) -> None:
        super().__init__(offset, partition, _Batches(records), **more)
        self._budget = budget

    def take(self, n: int | None = None) -> list[Any]:
        """As the client's, but no more than the poll has bytes left."""
        self._maybe_raise_next_inline_exception()
        budget = self._budget
        taken: list[Any] = []
        try:
            for record in itertools.islice(self.record_iterator, n):
                taken.append(record)
                size = record.serialized_value_size + record.serialized_key_size
                budget.left -= size + RECORD_OVERHEAD_BYTES
                if budget.left <= 0:
                    break
        except Exception as error:
            if not taken:
                raise
            # For the next call: what came before it counts.
            self._next_inline_exception = error
        return taken


class _Batches:
    """The batches of a fetch; those that can be unpacked piece by piece are."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        if isinstance(batch, DefaultRecordBatch) and batch.compression_type in {_GZIP, _ZSTD}:
            return _StreamedBatch(batch._buffer)  # noqa: SLF001
        return batch


class _StreamedBatch(DefaultRecordBatch):  # type: ignore[misc]
    """A compressed batch of which only the next piece is unpacked."""

    _buffer: bytearray
    _pos: int
    _decompressed: bool

    def _maybe_uncompress(self) -> None:
        if self._decompressed:
            return
        self._assert_has_codec(self.compression_type)
        packed = io.BytesIO(memoryview(self._buffer)[self._pos :])
        self._stream = (
            _zstd_reader(packed) if self.compression_type == _ZSTD else gzip.GzipFile(fileobj=packed)
        )
        self._buffer, self._pos = bytearray(), 0
        self._decompressed = True

    def _read_msg(self) -> Any:
        if len(self._buffer) - self._pos < _VARINT_BYTES:
            self._unpack(_VARINT_BYTES)
        length, start = decode_varint(self._buffer, self._pos)
        if start + length > len(self._buffer):
            if length > MAX_RECORD_BYTES:
                raise errors.CorruptRecordError(
                    f"a record of {length} bytes: the limit is {MAX_RECORD_BYTES}"
                )
            self._unpack(start - self._pos + length)
        return _read_msg(self)

    def _unpack(self, size: int) -> None:
        """Have so many bytes ready, if there are so many."""
        del self._buffer[: self._pos]
        self._pos = 0
        try:
            while (missing := size - len(self._buffer)) > 0:
                piece = self._stream.read(max(PIECE_BYTES, missing))
                if not piece:
                    return
                self._buffer += piece
        except Exception as error:
            raise errors.CorruptRecordError(f"a batch that cannot be unpacked: {error}") from error


def _zstd_reader(packed: io.BytesIO) -> Any:
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
