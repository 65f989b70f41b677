"""Events on the wire: canonical JSON whatever the values, and the key of the OpenLineage clients."""

import base64
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import uuid

import attrs
import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail import wire
from modeltrail.errors import EncodingError


def parse(written):
    """Parse as strictly as anybody: UTF-8, no NaN, no doubled keys."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    def once(pairs):
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    return json.loads(written.decode("utf-8", "strict"), parse_constant=refuse, object_pairs_hook=once)


def on_the_wire(value):
    return parse(wire.encode({"v": value}))["v"]


@attrs.define
class Facet:
    _producer: str = "p"
    nothing: object = None
    sizes: tuple = (1, 2)


class Pair(msgspec.Struct):
    x: float = 1.5
    y: object = None


@dataclasses.dataclass
class Point:
    x: float = 1.5
    y: object = None


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Name(str):
    __slots__ = ()


UTC = dt.UTC
TABLE = [
    (float("nan"), None),
    ([float("inf"), {"a": -math.inf}], [None, {"a": None}]),
    (2**70, 2**70),
    (-(2**64), -(2**64)),
    (True, True),
    (np.float64("nan"), None),
    (np.float32(1.5), 1.5),
    (np.float16(2), 2.0),
    (np.longdouble("1.5"), 1.5),
    (np.int64(3), 3),
    (np.uint8(255), 255),
    (np.bool_(True), True),
    (np.str_("s"), "s"),
    (np.bytes_(b"x"), "eA=="),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array(5), 5),
    (np.array([1.0, np.nan]), [1.0, None]),
    (np.array(["a", None], dtype=object), ["a", None]),
    (np.datetime64("2026-01-31"), "2026-01-31"),
    (np.datetime64("NaT", "s"), None),
    (np.array(["2026-01-31", "NaT"], dtype="datetime64[D]"), ["2026-01-31", None]),
    (np.ma.masked, None),
    (np.float64, "numpy.float64"),
    (pd.NA, None),
    (pd.NaT, None),
    (pd.Timestamp("2026-01-31", tz="UTC"), "2026-01-31T00:00:00Z"),
    (pd.Timestamp("2026-01-31 12:00"), "2026-01-31T12:00:00"),
    (pd.Timedelta("90s"), "PT90S"),
    (pd.Series([1, 2, None]), [1.0, 2.0, None]),
    (pd.Series(pd.to_datetime(["2026-01-31", None])), ["2026-01-31", None]),
    (pd.Index(["a", "b"]), ["a", "b"]),
    (pd.DataFrame({"a": [1]}), f"<{pd.DataFrame.__module__}.DataFrame>"),
    (pl.Series([1, None]), [1, None]),
    (pa.array([1, None]), [1, None]),
    (pa.scalar(1.5), 1.5),
    (dt.datetime.fromisoformat("2026-01-31T12:00:00.000001"), "2026-01-31T12:00:00.000001"),
    (dt.datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31T00:00:00Z"),
    (dt.datetime(2026, 1, 31, tzinfo=dt.timezone(dt.timedelta(hours=2))), "2026-01-31T00:00:00+02:00"),
    (dt.date(2026, 1, 31), "2026-01-31"),
    (dt.time(12, 30), "12:30:00"),
    (dt.timedelta(days=1), "P1D"),
    (decimal.Decimal("1.10"), "1.10"),
    (decimal.Decimal("NaN"), None),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (pathlib.Path("a/b"), "a/b"),
    (b"\x00\xff", base64.b64encode(b"\x00\xff").decode()),
    (bytearray(b"ab"), "YWI="),
    (memoryview(b"ab"), "YWI="),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset("ba"), ["a", "b"]),
    ({1, "a"}, ["a", 1]),
    ((1, (2,)), [1, [2]]),
    (collections.deque([1]), [1]),
    (collections.OrderedDict(b=1, a=2), {"a": 2, "b": 1}),
    (range(3), [0, 1, 2]),
    ({"b": 1, "a": 2}.keys(), ["a", "b"]),
    ({"a": 1}.values(), [1]),
    (Colour.RED, "red"),
    (Level.HIGH, 3),
    (Name("n"), "n"),
    (Facet(), {"_producer": "p", "sizes": [1, 2]}),
    (Pair(), {"x": 1.5}),
    (Point(), {"x": 1.5}),
    ({1: 1, None: 2, 1.5: 3, (1, 2): 4, dt.date(2026, 1, 31): 5, Colour.RED: 6, Name("k"): 7}, None),
    ({float("nan"): 1}, {"nan": 1}),
    ("caf\udce9", "caf\\udce9"),
    ({"\ud800": 1}, {"\\ud800": 1}),
    ("é\u2028😀\x00", "é\u2028😀\\u0000"),
    (1j, "1j"),
    (len, "builtins.len"),
    (object(), "<builtins.object>"),
    ((item for item in [1]), "<builtins.generator>"),
]


@pytest.mark.parametrize(("value", "expected"), TABLE, ids=lambda value: type(value).__name__)
def test_the_table_of_values(value, expected):
    """Each kind of value is written as the table in the module says."""
    if expected is None and isinstance(value, dict):
        expected = {"1": 1, "null": 2, "1.5": 3, "[1,2]": 4, "2026-01-31": 5, "red": 6, "k": 7}
    assert expected == on_the_wire(value)


def test_numbers_beyond_digits():
    """An integer too long for Python to write in digits is written in hex."""
    assert hex(10**5000) == on_the_wire(10**5000)


def test_canonical():
    """Keys are sorted at every depth, there are no spaces, and text is UTF-8."""
    assert b'{"Z":{"a":1,"b":[]},"a":"\xc3\xa9"}' == wire.encode({"a": "é", "Z": {"b": [], "a": 1}})


def test_a_cycle_is_named():
    """A value that contains itself is an EncodingError that ends in its path."""
    event = {"run": {"facets": [1, {}]}}
    event["run"]["facets"][1]["self"] = event["run"]
    with pytest.raises(EncodingError, match=r"contains itself .* @ \$\.run\.facets\[1\]\.self$"):
        wire.encode(event)


def test_the_same_value_twice_is_no_cycle():
    """A value that stands in two places is written twice."""
    shared = {"a": {1}}
    assert [{"a": [1]}, {"a": [1]}] == on_the_wire([shared, shared])


def test_too_deep_is_an_encoding_error():
    """Nesting beyond the recursion limit is an EncodingError and not a crash."""
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(EncodingError, match="nested too deeply"):
        wire.encode({"deep": deep})


def test_what_the_encoder_finds_too_deep_is_an_encoding_error():
    """An event of plain values, 300 deep, is an EncodingError too: no JSON reader need take it."""
    deep: list = []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(EncodingError, match="nested too deeply"):
        wire.encode({"deep": deep})


def test_an_object_that_fails_is_named():
    """An object whose reading raises is an EncodingError that names its class and path."""

    class Broken(collections.UserList):
        def __iter__(self):
            raise RuntimeError("gone")

    with pytest.raises(EncodingError, match=r"Broken cannot be read: RuntimeError: gone @ \$\.a\[0\]$"):
        wire.encode({"a": [Broken()]})


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=25,
)
ODD = st.one_of(
    st.text(st.characters(categories=["Cs", "L"])),
    st.decimals(),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.binary(),
    st.complex_numbers(),
    st.floats(width=32).map(np.float32),
    st.floats().map(np.float64),
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
    st.sampled_from([Colour.RED, Level.HIGH, pd.NA, pd.NaT, ..., print]),
)
KEYS = st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.dates(), st.binary())
ANYTHING = st.recursive(
    PLAIN | ODD,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(st.integers() | st.text(), max_size=4)
        | st.builds(Facet, st.text(), inner, st.tuples(inner))
    ),
    max_leaves=25,
)


def reference(value):
    """What plain JSON values mean: themselves, with null for numbers that JSON has not, and NUL escaped."""
    if isinstance(value, str):
        return value.replace("\0", r"\u0000")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {reference(key): reference(item) for key, item in value.items()}
    return [reference(item) for item in value] if isinstance(value, list) else value


@given(PLAIN)
def test_plain_values_come_back(value):
    """Whatever JSON can say is read back equal by any strict parser."""
    assert reference(value) == on_the_wire(value)


@given(ANYTHING)
def test_anything_is_valid_json(value):
    """Whatever a training run holds, the wire is valid JSON, and twice the same."""
    assert parse(wire.encode({"v": value})) == parse(wire.encode({"v": value}))
    assert wire.encode({"v": value}) == wire.encode({"v": value})


@given(PLAIN)
def test_one_odd_value_does_not_change_the_rest(value):
    """Plain values beside an unusual one have the same bytes as without it: both ways of writing agree."""
    alone = wire.encode({"v": value})
    beside = wire.encode({"odd": Colour.RED, "v": value})
    assert beside == b'{"odd":"red",' + alone[1:]


def event(run=True, facets=None):
    made = {"eventTime": "2026-01-31T00:00:00Z", "job": {"namespace": "ns", "name": "job"}}
    return made | ({"run": {"runId": str(uuid.uuid4()), "facets": facets or {}}} if run else {})


PARENT = {"run": {"runId": str(uuid.UUID(int=1))}, "job": {"namespace": "pns", "name": "pjob"}}
ROOT = {"run": {"runId": str(uuid.UUID(int=2))}, "job": {"namespace": "rns", "name": "rjob/é"}}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (event(), "run:ns/job"),
        (event(facets={"parent": PARENT}), "run:pns/pjob"),
        (event(facets={"parent": PARENT | {"root": ROOT}}), "run:rns/rjob/é"),
        (
            event(facets={"parent": PARENT | {"root": ROOT | {"job": {"namespace": "", "name": "x"}}}}),
            "run:ns/job",
        ),
        (event(run=False), "job:ns/job"),
        ({"eventTime": "2026-01-31T00:00:00Z", "dataset": {"namespace": "d", "name": "n"}}, "dataset:d/n"),
    ],
)
def test_the_key_is_the_clients_key(written, expected):
    """The key names root job, parent job, job or dataset, as in the stock Kafka transport."""
    from openlineage.client.transport.kafka import KafkaTransport as Stock

    from modeltrail.transports.openlineage import client_event

    assert expected == wire.key(written).decode()
    assert expected == Stock._get_message_key(Stock.__new__(Stock), client_event(written))


@pytest.mark.parametrize("parent", ["text", [1], {"job": "text"}, {"root": 5}, {"root": {"job": []}}])
def test_a_parent_of_another_shape_is_none(parent):
    """Where the parent facet breaks its schema, which is warned of only, the key names the job."""
    assert b"run:ns/job" == wire.key(event(facets={"parent": parent}))
    assert b"run:ns/job" == wire.key({**event(), "run": {"facets": "text"}})


def test_a_key_needs_a_job():
    """An event that names neither job nor dataset has no key: EncodingError."""
    with pytest.raises(EncodingError, match="names no job"):
        wire.key({"run": {"runId": "x"}})
