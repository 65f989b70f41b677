"""The fast validator, the exact one and an independent one agree on anything that looks like an event."""

import copy
import json
from functools import cache

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modeltrail_collector.judge import judge, schema
from modeltrail_collector.judge.codes import WARNINGS
from modeltrail_collector.judge.reasons import find_reasons
from modeltrail_collector.judge.verdict import _kind, _validators

RELAXED = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
ODD = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        -1.5,
        1e300,
        2**70,
        "",
        "file",
        "a:b",
        "START",
        "DATASET",
        "JOB",
        "location",
        "binary",
        "2026-11-20T08:30:00Z",
        "0190a5d3-6f0f-7c5e-9d7b-0d6b8f4c2a11",
        "größe",
        [],
        [1],
        [{}],
        {},
        {"type": "JOB"},
        {"_deleted": True},
        {"_producer": "a:b", "_schemaURL": "a:b"},
        {"_producer": "a:b", "_schemaURL": "a:b", "_deleted": True},
        {"namespace": "n", "name": "n"},
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def places(node, path=()):
    """Every place in an event: (path of its holder, key)."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield path, key
        yield from places(value, (*path, key))


@st.composite
def mutants(draw, events):
    event = copy.deepcopy(draw(st.sampled_from(events)))
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(event))
        if not found:
            break
        path, key = draw(st.sampled_from(found))
        holder = event
        for step in path:
            holder = holder[step]
        match draw(st.sampled_from(["set", "remove", "add", "move"])):
            case "set":
                holder[key] = copy.deepcopy(draw(ODD))
            case "remove":
                del holder[key]
            case "add" if isinstance(holder, dict):
                holder[draw(st.sampled_from(["_deleted", "run", "job", "type", "x", "facets"]))] = (
                    copy.deepcopy(draw(ODD))
                )
            case _:
                other_path, other_key = draw(st.sampled_from(found))
                holder[key] = copy.deepcopy(value_at(event, (*other_path, other_key)))
    return event


def value_at(node, path):
    for step in path:
        node = node[step]
    return node


@cache
def reference(kind, part):
    """An independent validator: `core` without facets and formats, `all` without formats."""
    return jsonschema.Draft202012Validator(
        schema.core_schema(kind) if part == "core" else schema.event_schema(kind)
    )


@cache
def with_formats(kind):
    return jsonschema_rs.Draft202012Validator(schema.event_schema(kind), validate_formats=True)


def expected_verdict(event):
    kind = _kind(event) or "run"
    if not reference(kind, "core").is_valid(event):
        return "rejected"
    if reference(kind, "all").is_valid(event) and with_formats(kind).is_valid(event):
        return "accepted"
    return "warned"


def check(event):
    value = json.dumps(event).encode()
    found = judge(value)
    exact = find_reasons(json.loads(value), _kind(event) or "run")
    assert found.verdict == expected_verdict(event)
    assert found.verdict == level(exact)
    if kind := _kind(event):
        assert _validators()[kind].is_valid_json(value) == (exact == ())


def level(reasons):
    if not reasons:
        return "accepted"
    return "warned" if all(reason.code in WARNINGS for reason in reasons) else "rejected"


@pytest.fixture(scope="module")
def events(bases, real_events):
    return [*bases.values(), *(json.loads(line) for lines in real_events.values() for line in lines[:8])]


@RELAXED
@given(data=st.data())
def test_mutated_events_have_the_verdict_of_the_schemas(data, bases):
    """On random mutants of whole events, corvus, jsonschema-rs, jsonschema and the judge agree."""
    check(data.draw(mutants(list(bases.values()))))


@RELAXED
@given(data=st.data())
def test_mutated_real_events_have_the_verdict_of_the_schemas(data, events):
    """On random mutants of real events, corvus, jsonschema-rs, jsonschema and the judge agree."""
    check(data.draw(mutants(events)))


def test_unmutated_events_have_the_verdict_of_the_schemas(bases, real_events):
    """On every real event the validators agree."""
    for event in bases.values():
        check(event)
    for lines in real_events.values():
        for line in lines:
            check(json.loads(line))


@RELAXED
@given(st.binary(max_size=200))
def test_bytes_never_raise(value):
    """Any bytes have a verdict, and those of no event are rejected with a reason."""
    found = judge(value)
    assert "rejected" == found.verdict
    assert found.reasons
    assert found == judge(value)


@RELAXED
@given(JSON, st.sampled_from(["utf-8", "utf-16", "latin-1", "cp1252"]))
def test_json_never_raises(value, encoding):
    """Any JSON in any encoding has a verdict, twice the same, whose texts any log can hold."""
    text = json.dumps(value, ensure_ascii=False).encode(encoding, errors="replace")
    found = judge(text)
    assert found == judge(text)
    assert "unjudged" not in {reason.code for reason in found.reasons}
    for reason in found.reasons:
        (reason.path + reason.message).encode()


@RELAXED
@given(data=st.data())
def test_damaged_events_never_raise(data, bases):
    """An event with bytes cut, swapped or repeated has a verdict, twice the same."""
    value = json.dumps(bases["run"]).encode()
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(value))] * 2)))
    damaged = value[:start] + data.draw(st.binary(max_size=8)) + value[stop:]
    found = judge(damaged)
    assert found == judge(damaged)
    assert "unjudged" not in {reason.code for reason in found.reasons}
    for reason in found.reasons:
        (reason.path + reason.message).encode()


def test_a_failing_validator_rejects_and_says_so(monkeypatch, bases):
    """Whatever the validators raise, the record is kept as rejected with code `unjudged`."""

    def broken(event, kind, limit):
        raise MemoryError("no room")

    monkeypatch.setattr("modeltrail_collector.judge.verdict.find_reasons", broken)
    found = judge(json.dumps({**bases["run"], "producer": "feast"}).encode())
    assert [("unjudged", "$", "MemoryError while judging: no room")] == [
        (reason.code, reason.path, reason.message) for reason in found.reasons
    ]
