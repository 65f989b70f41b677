"""Polling by bytes: a batch unpacked piece by piece is the same batch, and a poll ends when it is full."""

import random
import types

import pytest
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords, MemoryRecordsBuilder

from modeltrail_collector.intake import bounded

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def packed(codec: int, values: list[bytes | None]) -> bytes:
    """A batch as it is in Kafka."""
    builder = MemoryRecordsBuilder(magic=2, compression_type=codec, batch_size=1 << 30)
    for number, value in enumerate(values):
        builder.append(1000 + number, b"k%d" % number, value, [("h", b"v")])
    builder.close()
    return bytes(builder.buffer())


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_batch_read_in_pieces_is_the_same(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets, times, keys, values and headers are the client's own, whatever the codec and the pieces."""
    chance = random.Random(1)
    values = [chance.randbytes(chance.choice((0, 1, 700, 5000))) for _ in range(200)] + [None]
    data = packed(CODECS[codec], values)
    expected = [describe(record) for record in MemoryRecords(data).next_batch()]
    assert 201 == len(expected)
    for piece in (1, 100, 1 << 20):
        monkeypatch.setattr(bounded, "PIECE_BYTES", piece)
        batch = bounded._Batches(MemoryRecords(data)).next_batch()
        assert batch.validate_crc()
        assert expected == [describe(record) for record in batch]


def describe(record) -> tuple[object, ...]:
    return (record.offset, record.timestamp, record.key, record.value, tuple(record.headers))


def test_only_a_piece_is_unpacked() -> None:
    """Of fifty megabytes in one batch no more than two pieces are in memory at once."""
    batch = bounded._Batches(MemoryRecords(packed(4, [b"y" * 20_000] * 2500))).next_batch()
    largest = 0
    for _ in batch:
        largest = max(largest, len(batch._buffer))
    assert largest <= 2 * bounded.PIECE_BYTES


def test_a_record_that_no_memory_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that is too large once it is unpacked is an unreadable one, before it is unpacked."""
    monkeypatch.setattr(bounded, "MAX_RECORD_BYTES", 1_000_000)
    batch = bounded._Batches(MemoryRecords(packed(4, [b"x", b"y" * 2_000_000]))).next_batch()
    records = iter(batch)
    assert b"x" == next(records).value
    with pytest.raises(CorruptRecordError, match="the limit is 1000000"):
        next(records)


def test_what_cannot_be_unpacked_is_unreadable() -> None:
    """A broken stream inside a batch is a corrupt record, which the collector passes over and says so."""
    data = bytearray(packed(4, [b"y" * 1000] * 10))
    data[70:80] = b"\x00" * 10
    batch = bounded._Batches(MemoryRecords(bytes(data))).next_batch()
    with pytest.raises(CorruptRecordError):
        list(batch)


def test_a_poll_ends_when_its_bytes_are_there() -> None:
    """A fetch is handed out in polls of so many bytes each, and of one record at least; none is lost."""
    from kafka import TopicPartition
    from kafka.consumer.fetcher import Fetcher

    fetcher = types.SimpleNamespace(_append=lambda drained, part, n, update: len(part.take(n)))
    consumer = types.SimpleNamespace(_fetcher=fetcher)
    poll = bounded.BoundedPoll(consumer, 10_000)
    records = MemoryRecords(packed(4, [b"y" * 3000] * 9 + [b"z" * 50_000] * 2))
    part = fetcher.PartitionRecords(0, TopicPartition("t", 0), records)
    assert isinstance(part, Fetcher.PartitionRecords)
    taken = []
    while part:
        poll.left = poll._limit
        taken.append(len(part.take(2000)))
    assert [3, 3, 3, 1, 1] == taken[:5]
    assert 11 == sum(taken)


def test_a_full_poll_wants_no_more() -> None:
    """When the bytes are there the client is told that it has as many records as it wanted."""
    fetcher = types.SimpleNamespace(_append=lambda *_: 3)
    poll = bounded.BoundedPoll(types.SimpleNamespace(_fetcher=fetcher), 100)
    assert 3 == fetcher._append({}, None, 2000, True)
    poll.left = 0
    assert 2000 == fetcher._append({}, None, 2000, True)
