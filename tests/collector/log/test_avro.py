"""Our writer of Avro blocks against fastavro's: the same bytes for every entry."""

import io
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrail_collector.log import Batch, avro, segment
from modeltrail_collector.log.avro import _append, blocks
from modeltrail_collector.model import LOCAL, Entry, Header, Reason

longs = st.integers(-(2**63), 2**63 - 1)
texts = st.text(max_size=200)
optional_texts = st.none() | texts
datas = st.none() | st.binary(max_size=300)
entries = st.builds(
    Entry,
    topic=texts,
    partition=st.integers(-(2**31), 2**31 - 1),
    offset=longs,
    source=optional_texts,
    timestamp_ms=longs,
    ingested_at_ms=longs,
    key=datas,
    headers=st.lists(st.builds(Header, texts, datas), max_size=70).map(tuple),
    value=datas,
    verdict=st.sampled_from(("accepted", "warned", "rejected")),
    reasons=st.lists(st.builds(Reason, texts, texts, texts), max_size=3).map(tuple),
    event_kind=optional_texts,
    event_type=optional_texts,
    event_time=optional_texts,
    run_id=optional_texts,
    job_namespace=optional_texts,
    job_name=optional_texts,
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
)

ROW = Entry("t", 0, 0, None, 1, 2, None, (), b"{}", "rejected", (), *[None] * 6, sha256="0" * 64)


def plain(entry: Entry) -> dict[str, Any]:
    return msgspec.to_builtins(entry, builtin_types=(bytes,))


@settings(max_examples=300)
@given(entries)
def test_a_record_is_what_fastavro_writes(entry: Entry) -> None:
    """Every entry is written byte for byte as fastavro writes it."""
    expected = io.BytesIO()
    fastavro.schemaless_writer(expected, avro.record_schema(), plain(entry), disable_tuple_notation=True)
    parts: list[bytes] = []
    _append(parts, entry)
    assert expected.getvalue() == b"".join(parts)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(texts.map("modeltrail.{}".format), texts), st.binary(min_size=16, max_size=16))
def test_a_header_is_what_fastavro_writes(metadata: dict[str, str], sync: bytes) -> None:
    """The header of a file is byte for byte that of fastavro's own container files."""
    expected = io.BytesIO()
    fastavro.writer(
        *(expected, avro.record_schema(), []), codec="zstandard", metadata=dict(metadata), sync_marker=sync
    )
    assert expected.getvalue() == avro.header(metadata, sync)


def test_bytes_behind_the_records_of_a_block_are_refused() -> None:
    """A block that holds more bytes than those of its records is not read as if it were whole."""
    (whole,) = blocks([msgspec.structs.replace(ROW, offset=n) for n in range(2)], bytes(16))
    data = avro.header({}, bytes(16)) + whole
    assert [0, 1] == [found.offset for found in avro.entries(data)]
    one_less = avro.header({}, bytes(16)) + b"\x02" + whole[1:]
    with pytest.raises(ValueError, match="does not end with its 1 records"):
        list(avro.entries(one_less))


def test_the_schema_is_the_entry() -> None:
    """`record.avsc` has the fields of `Entry`, in their order: the writer goes by it."""
    assert list(Entry.__struct_fields__) == [field["name"] for field in avro.record_schema()["fields"]]


def test_large_batches_are_several_blocks() -> None:
    """A batch of many megabytes is cut into blocks that a reader can take one at a time."""
    rows = [msgspec.structs.replace(ROW, offset=n, value=bytes(400_000)) for n in range(10)]
    _, data = segment.encode(LOCAL, Batch(0, 10, rows), "00" * 32)
    found = [block.num_records for block in fastavro.block_reader(io.BytesIO(data))]
    assert [3, 3, 3, 1] == found
    assert 4 == len(list(blocks(rows, bytes(16))))
