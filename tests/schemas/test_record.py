"""The Avro record of the log."""

import hashlib
import io
from typing import get_args

import fastavro
import msgspec
from hypothesis import given
from hypothesis import strategies as st

import modeltrail_schemas
from modeltrail_collector.model import Entry, EventKind, Header, Level, Reason

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
MAYBE_TEXT = st.none() | st.text()
MAYBE_BYTES = st.none() | st.binary()

ENTRIES = st.builds(
    Entry,
    topic=st.text(),
    partition=INT32,
    offset=INT64,
    source=MAYBE_TEXT,
    timestamp_ms=INT64,
    ingested_at_ms=INT64,
    key=MAYBE_BYTES,
    headers=st.lists(st.builds(Header, key=st.text(), value=MAYBE_BYTES), max_size=3).map(tuple),
    value=MAYBE_BYTES,
    verdict=st.sampled_from(get_args(Level)),
    reasons=st.lists(st.builds(Reason, st.text(), st.text(), st.text()), max_size=3).map(tuple),
    event_kind=st.none() | st.sampled_from(get_args(EventKind)),
    event_type=MAYBE_TEXT,
    event_time=MAYBE_TEXT,
    run_id=MAYBE_TEXT,
    job_namespace=MAYBE_TEXT,
    job_name=MAYBE_TEXT,
    sha256=st.binary().map(lambda value: hashlib.sha256(value).hexdigest()),
)


def names(kind: type[msgspec.Struct]) -> list[str]:
    return list(kind.__struct_fields__)


def test_field_for_field() -> None:
    """The Avro record has the fields of `Entry` in its order, headers and reasons included."""
    fields = {field["name"]: field for field in modeltrail_schemas.record_schema()["fields"]}
    assert names(Entry) == list(fields)
    for name, kind in (("headers", Header), ("reasons", Reason)):
        assert names(kind) == [field["name"] for field in fields[name]["type"]["items"]["fields"]]


def test_every_field_is_described() -> None:
    """Every field of the record says in a sentence what it is."""
    assert all(field["doc"].endswith(".") for field in modeltrail_schemas.record_schema()["fields"])


@given(ENTRIES)
def test_a_record_survives_avro(entry: Entry) -> None:
    """What is written with fastavro reads back the same with fastavro alone, times as integers."""
    schema = fastavro.parse_schema(modeltrail_schemas.record_schema())
    written = msgspec.to_builtins(entry, builtin_types=(bytes,))
    buffer = io.BytesIO()
    fastavro.writer(buffer, schema, [written], validator=True)
    buffer.seek(0)
    (read,) = fastavro.reader(buffer)
    assert entry == msgspec.convert(read, Entry)
    assert int is type(read["timestamp_ms"]) is type(read["ingested_at_ms"])
