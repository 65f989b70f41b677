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
    facets = {f"f{number}": {} for number in range(100)}
    event = event_with("minimal", {"run.facets": facets, "outputs": [{"namespace": "n", "name": 5}]})
    found = judge(json.dumps(event).encode())
    assert "rejected" == found.verdict
    assert "$.outputs[0].name" in {reason.path for reason in found.reasons}
