"""Values that are meant to hurt: each is rejected, soon, and none raises."""

import json
import sys

import pytest

from modeltrail_collector.judge import MAX_BYTES, MAX_DEPTH, MAX_KEYS, judge
from modeltrail_collector.judge.reasons import MAX_REASONS

BASE = {"_producer": "a:b", "_schemaURL": "a:b"}


def only(value: bytes) -> tuple[str, str]:
    found = judge(value)
    (reason,) = found.reasons
    return found.verdict, reason.code


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 10_000, 1_000_000])
def test_deep_nesting_is_rejected(opening, depth):
    """A value nested deeper than the limit is rejected with code `too_deep`, however deep."""
    closing = b"]" if opening == b"[" else b"}"
    assert ("rejected", "too_deep") == only(opening * depth + b"0" + closing * depth)
    assert ("rejected", "too_deep") == only(opening * depth)


def test_the_deepest_nesting_allowed_is_accepted(event_with):
    """An event nested exactly as deep as the limit is accepted; one deeper is rejected."""
    levels = MAX_DEPTH - 4  # the event, its run, the facets and the facet are the others
    for more, expected in ((0, "accepted"), (1, "rejected")):
        value = json.loads("[" * (levels + more) + "]" * (levels + more))
        event = event_with("minimal", {"run.facets": {"acme_x": {**BASE, "deep": value}}})
        assert expected == judge(json.dumps(event).encode()).verdict


def test_the_verdict_does_not_depend_on_the_stack_of_the_caller(event_with):
    """A deep value has the same verdict near the end of Python's stack."""
    deep = event_with("minimal", {"run.facets": {"x": {"deep": json.loads("[" * 100 + "]" * 100)}}})
    value = json.dumps(deep).encode()

    def below(frames):
        return judge(value) if frames == 0 else below(frames - 1)

    judge(value)
    used = 0
    frame = sys._getframe()
    while frame is not None:
        used, frame = used + 1, frame.f_back
    assert judge(value) == below(sys.getrecursionlimit() - used - 200)


def test_a_value_over_the_size_limit_is_rejected():
    """30 MB are rejected with code `too_large` without being looked into."""
    assert ("rejected", "too_large") == only(b" " * 30_000_000)
    assert ("rejected", "too_large") == only(b'"' + b"a" * (MAX_BYTES - 1) + b'"')


def test_a_value_at_the_size_limit_is_read(event_with):
    """An event of just the largest size is accepted."""
    event = event_with("minimal", {"run.facets": {"acme_x": {**BASE, "text": ""}}})
    room = MAX_BYTES - len(json.dumps(event))
    event["run"]["facets"]["acme_x"]["text"] = "a" * room
    value = json.dumps(event).encode()
    assert (MAX_BYTES, "accepted") == (len(value), judge(value).verdict)


def test_a_million_keys_are_rejected(event_with):
    """An object with more members than the limit is rejected with code `too_many_keys`."""
    facet = {**BASE, **{f"k{number}": 0 for number in range(1_000_000)}}
    event = event_with("minimal", {"run.facets": {"acme_x": facet}})
    found = judge(json.dumps(event).encode())
    assert [("too_many_keys", "$")] == [(reason.code, reason.path) for reason in found.reasons]
    assert "train" == found.job_name


def test_keys_just_below_the_limit_are_accepted(event_with):
    """As many members as the limit allows are accepted."""
    event = event_with("minimal", {"run.facets": {"acme_x": {**BASE}}})
    members = 5 + 2 + 2 + 1 + 2  # the event's, the run's, the job's, the facets', the facet's
    facet = event["run"]["facets"]["acme_x"]
    facet.update((f"k{number}", 0) for number in range(MAX_KEYS - members))
    assert "accepted" == judge(json.dumps(event).encode()).verdict
    facet["one more"] = 0
    assert "rejected" == judge(json.dumps(event).encode()).verdict


def many_broken(event_with) -> dict[str, bytes]:
    condition = {"type": "location", "locations": ["a"]}
    for _ in range(12):
        condition = {"type": "binary", "operator": "AND", "left": condition, "right": condition}
    wide = {**BASE, "inputCondition": {**condition, "right": {"type": "magic"}}}
    events = {
        "facets of no base": {"run.facets": {f"f{number}": {} for number in range(50_000)}},
        "tags that are numbers": {"run.facets": {"tags": {**BASE, "tags": [1] * 200_000}}},
        "inputs that are numbers": {"inputs": [1] * 200_000},
        "inputs, the last one broken": {"inputs": [{"namespace": "n", "name": "n"}] * 50_000 + [1]},
        "a long key": {"run.facets": {"k" * 1_000_000: 1}},
        "a long text": {"producer": "é" * 1_000_000},
        "a nest of unions": {
            "inputs": [{"namespace": "n", "name": "n", "inputFacets": {"subset": wide}}],
        },
    }
    return {name: json.dumps(event_with("minimal", values)).encode() for name, values in events.items()}


def test_an_event_full_of_errors_costs_no_more_than_a_few(event_with):
    """However much is broken, at most 20 reasons of bounded length are given."""
    for name, value in many_broken(event_with).items():
        found = judge(value)
        assert "accepted" != found.verdict, name
        assert 1 <= len(found.reasons) <= MAX_REASONS
        assert all(len(reason.path) + len(reason.message) < 1_000 for reason in found.reasons)


def test_nan_before_a_large_rest_is_found_cheaply():
    """What follows a NaN is not gathered to find it."""
    rest = b",".join([b"0"] * 1_000_000)
    assert ("rejected", "not_finite") == only(b"[" * 100 + b"[NaN]," + rest + b"]" * 100)
    assert ("rejected", "not_finite") == only(b"[" + rest + b",NaN]")


def test_a_rejection_is_never_crowded_out_by_warnings(event_with):
    """A broken core is found behind any number of broken facets."""
    facets = {f"f{number}": {"text": "it has no producer"} for number in range(100)}
    event = event_with("minimal", {"run.facets": facets, "outputs": [{"namespace": "n", "name": 5}]})
    found = judge(json.dumps(event).encode())
    assert "rejected" == found.verdict
    assert "$.outputs[0].name" in {reason.path for reason in found.reasons}


def dense(**fields: object) -> bytes:
    """A small event of very many tiny arrays, which is not taken apart."""
    event = {
        "eventType": "START",
        "eventTime": "2026-11-20T08:30:00Z",
        "producer": "https://example.com/",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": "0190a5d3-6f0f-7c5e-9d7b-0d6b8f4c2a11", "facets": {}},
        "job": {"namespace": "n", "name": "train"},
        "x": [[]] * 2_000,
    }
    return json.dumps(event | fields, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"schemaURL": "https://example.com/"}, []),
        ({"eventType": "FINISHED"}, ["enum $.eventType"]),
        ({"eventType": [1] * 100}, ["enum $.eventType"]),
        ({"run": 1}, ["type $.run"]),
        ({"run": {"runId": [1], "facets": 1}}, ["type $.run.facets", "type $.run.runId"]),
        ({"producer": "feast"}, ["format $.producer"]),
        ({"inputs": {}}, ["type $.inputs"]),
        ({"inputs": [{"namespace": "n", "name": "n"}, 1]}, ["type $.inputs[1]"]),
        ({"inputs": [{"namespace": "n"}]}, ["type $"]),
        ({"run": {"runId": "0190a5d3-6f0f-7c5e-9d7b-0d6b8f4c2a11", "facets": {"f": {}}}}, ["facet_schema $"]),
    ],
)
def test_a_dense_event_is_judged_like_any_other(fields, expected):
    """What has too many values for its size has the verdict of its schema, and reasons for its own fields."""
    found = judge(dense(**fields))
    assert expected == sorted(f"{reason.code} {reason.path}" for reason in found.reasons)
    kept = all(reason.split(" ")[0] in {"format", "facet_schema"} for reason in expected)
    assert found.verdict == ("accepted" if not expected else "warned" if kept else "rejected")
    assert "train" == found.job_name


def test_of_a_field_given_twice_in_a_dense_event_the_last_counts():
    """Datasets and types that a later field of the same name replaces are not looked at."""
    value = dense().replace(b"{", b'{"inputs":[1],"eventType":"FINISHED","run":2,', 1)
    assert "accepted" == judge(value[:-1] + b',"inputs":[]}').verdict


def test_a_number_of_thousands_of_digits_is_told_as_too_large():
    """A whole number too large for a double has the code and the path of one, however long it is."""
    for digits in (400, 5_000):
        found = judge(b'{"run": {"facets": {"x": [1, ' + b"9" * digits + b"]}}}")
        assert ["not_finite $.run.facets.x[1]"] == [f"{each.code} {each.path}" for each in found.reasons]


@pytest.mark.parametrize("broken", [[0], [999], [0, 1, 2], [5, 6, 500, 998, 999]])
def test_the_broken_datasets_among_many_are_found(event_with, broken):
    """Each broken dataset and facet is named, wherever it lies among a thousand."""
    inputs = [{"namespace": "file", "name": f"data/{number}_of_a_thousand.csv"} for number in range(1_000)]
    facets = {f"f{number}": {**BASE, "text": "a longer text"} for number in range(1_000)}
    for index in broken:
        inputs[index]["name"] = index
        facets[f"f{index}"] = {}
    found = judge(json.dumps(event_with("minimal", {"inputs": inputs, "run.facets": facets})).encode())
    names = [f"$.inputs[{index}].name" for index in broken]
    lacking = [f"$.run.facets.f{index}.{name}" for index in broken for name in ("_producer", "_schemaURL")]
    assert [*names, *lacking] == [reason.path for reason in found.reasons]


def test_a_short_value_has_fewer_reasons(event_with):
    """A reason costs as much as some hundred valid bytes: half a kilobyte has eight at most, not twenty."""
    event = event_with("minimal", {"run.facets": {f"f{number}": 1 for number in range(20)}})
    value = json.dumps(event, separators=(",", ":")).encode()
    assert len(judge(value).reasons) == 6 + len(value) // 200 < MAX_REASONS
