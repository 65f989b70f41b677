"""Log records -> flat rows: a pure function of a batch."""

import json
from datetime import UTC, datetime

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given

from modeltrail_collector.model import LOCAL, Reason
from modeltrail_collector.tables import flatten
from modeltrail_collector.tables.schema import FLAT, REJECTED


def flat(entries):
    return flatten.flatten(flatten.entries_batch(LOCAL, entries)).to_pylist()


def test_a_uuid7_run_lies_in_the_bucket_of_its_day() -> None:
    """A run with a UUIDv7 lies in the bucket of the UTC date in its id, whenever its events arrive."""
    assert "2026-03-02" == flatten.run_bucket("019cadc6-9a80-7000-8000-000000000065")


@pytest.mark.parametrize(
    "run_id",
    [
        "7f1945c0-2ac8-41a9-90db-3d17e78a2f73",
        "00000000-0000-7000-8000-000000000000",
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
        "zzzzzzzz-zzzz-7zzz-8zzz-zzzzzzzzzzzz",
        "a run of a producer without UUIDs",
        "",
        "\ud800",
    ],
)
def test_any_other_run_lies_in_a_hashed_bucket(run_id: str) -> None:
    """A run id without a believable time in it lies in one of sixteen buckets that its hash decides."""
    assert flatten.run_bucket(run_id) in {f"x{digit}" for digit in "0123456789abcdef"}


@given(st.uuids())
def test_a_run_has_one_bucket(run_id) -> None:
    """The bucket is a function of the run id alone."""
    assert flatten.run_bucket(str(run_id)) == flatten.run_bucket.__wrapped__(str(run_id))


def test_an_unreadable_time_is_ordered_by_arrival(make) -> None:
    """An event whose eventTime cannot be read has none, and is ordered by its arrival."""
    entries = make.entries([make.run_event("START", "yesterday, I think", "r", "j")])
    (row,) = flat(entries)
    assert row["event_time"] is None
    assert row["happened_at"] == row["ingested_at"]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T02:00:00.5+02:00", datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-01T00:00:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+10:00", None),
        ("", None),
        (None, None),
    ],
)
def test_event_times_are_read_as_utc(text, time) -> None:
    """Event times become UTC; a time without a zone is taken as UTC, an impossible one as none."""
    assert flatten.event_time(text) == time


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=6), st.randoms())
def test_the_digest_knows_no_order_of_keys(value, random) -> None:
    """Two spellings of one JSON object (order of keys, spaces) have one digest."""
    keys = list(value)
    random.shuffle(keys)
    other = {key: value[key] for key in keys}
    one, two = json.dumps(value).encode(), json.dumps(other, indent=3, ensure_ascii=False).encode()
    assert flatten.canonical_digest(one) == flatten.canonical_digest(two)


def test_another_value_has_another_digest() -> None:
    """Events that differ anywhere differ in their digest."""
    assert flatten.canonical_digest(b'{"a": 1}') != flatten.canonical_digest(b'{"a": 2}')


def test_a_dataset_without_facets_leaves_a_row(make) -> None:
    """A dataset that says nothing about itself is still there: a row with an empty key."""
    (row,) = flat(make.entries([make.run_event("START", make.base, "r", "j", inputs=[make.dataset("d")])]))
    assert [("input", "d", "")] == [(f["scope"], f["name"], f["key"]) for f in row["facets"]]


def test_facets_keep_their_text_and_place(make) -> None:
    """A facet is kept as the JSON it came as, with where in the event it stood."""
    data = make.dataset("d", schema={"fields": []}, inputFacets__x={"y": 1.50})
    (row,) = flat(make.entries([make.run_event("START", make.base, "r", "j", inputs=[data])]))
    found = {(f["scope"], f["key"]): f["value"] for f in row["facets"]}
    assert {
        ("input", ""): None,
        ("input", "schema"): '{"fields": []}',
        ("input_facet", "x"): '{"y": 1.5}',
    } == found


def test_chunks_and_lineage_add_up(make) -> None:
    """Chunks of a metric series are told apart by their number, lineage facets by what they say."""
    chunks = [
        make.run_event("RUNNING", make.base, "r", "j", run_facets={"modelTrail_metricSeries": {"seq": n}})
        for n in (3, 4)
    ]  # fmt: skip
    odd = make.run_event(
        "RUNNING", make.base, "r", "j", run_facets={"modelTrail_metricSeries": ["no object"]}
    )
    entries = [{"entries": [{"name": name}]} for name in "ab"]
    stated = [make.run_event("RUNNING", make.base, "r", "j", job_facets={"lineage": one}) for one in entries]
    parts = [f["part"] for row in flat(make.entries([*chunks, odd, *stated])) for f in row["facets"]]
    assert ["3", "4", ""] == parts[:3]
    assert 2 == len(set(parts[3:]))


def test_what_is_json_but_not_unicode_is_kept(make) -> None:
    """A lone surrogate inside an event costs one character, not the event."""
    event = make.run_event("START", make.base, "r", "j", run_facets={"f": {"text": "a\ud800b"}})
    (row,) = flat(make.entries([json.dumps(event).encode()]))
    assert {"text": "a?b"} == json.loads(row["facets"][0]["value"])


def test_what_nobody_can_read_is_one_bare_row(make) -> None:
    """A value that a later judge admits and this reader cannot parse is a row without facets, not a crash."""
    (entry,) = make.entries([make.run_event("START", make.base, "r", "j")])
    import msgspec

    (row,) = flat(
        [
            msgspec.structs.replace(entry, value=b'{"run": 5}'),
        ]
    )
    assert [] == row["facets"]


def test_rejected_records_are_no_events(make) -> None:
    """A rejected record gives no flat row, and one row per reason in `rejected`."""
    entry = make.rejected(7, b"{", Reason("not_json", "$", "cut off"), Reason("other", "$.run", "more"))
    batch = flatten.entries_batch(LOCAL, [entry])
    assert 0 == flatten.flatten(batch).num_rows
    rows = flatten.rejected(batch).to_pylist()
    assert [("not_json", 7), ("other", 7)] == [(row["code"], row["offset"]) for row in rows]
    assert "2026-02-02" == rows[0]["arrival_date"]


def test_shapes_hold_for_nothing() -> None:
    """Batches without rows have the shapes of the tables too."""
    batch = flatten.entries_batch(LOCAL, [])
    assert FLAT == flatten.flatten(batch).schema
    assert REJECTED == flatten.rejected(batch).schema


def test_a_batch_may_be_cut_anywhere(make) -> None:
    """Flat rows do not depend on how records are cut into batches."""
    entries = make.entries(make.story())
    whole = flatten.flatten(flatten.entries_batch(LOCAL, entries))
    parts = [flatten.flatten(flatten.entries_batch(LOCAL, some)) for some in (entries[:5], [], entries[5:])]
    assert whole.to_pylist() == pa.Table.from_batches(parts).to_pylist()
