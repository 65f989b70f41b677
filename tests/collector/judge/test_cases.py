"""Events and their verdicts, stated by hand in `tests/data/judge/cases.ndjson`."""

import json
from pathlib import Path

import pytest

from modeltrail_collector.judge import Code, judge

CASES = [
    json.loads(line)
    for line in (Path(__file__).resolve().parents[2] / "data" / "judge" / "cases.ndjson")
    .read_text(encoding="utf-8")
    .splitlines()
]


def value_of(case, event_with) -> bytes:
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    if "raw" in case:
        return case["raw"].encode()
    return json.dumps(event_with(case["base"], case.get("set"), case.get("remove", ()))).encode()


@pytest.mark.parametrize("case", CASES, ids=[case["fact"] for case in CASES])
def test_each_case_has_its_verdict_and_reasons(case, event_with):
    """A value has the verdict, the codes and the paths that are written beside it."""
    found = judge(value_of(case, event_with))
    assert case["verdict"] == found.verdict, found.reasons
    assert case.get("reasons", []) == [f"{reason.code} {reason.path}" for reason in found.reasons]


@pytest.mark.parametrize("case", CASES, ids=[case["fact"] for case in CASES])
def test_strict_rejects_what_else_is_warned(case, event_with):
    """Strict mode rejects warned records with the same reasons, and changes nothing else."""
    value = value_of(case, event_with)
    usual, strict = judge(value), judge(value, strict=True)
    assert strict.verdict == ("accepted" if usual.verdict == "accepted" else "rejected")
    assert (strict.reasons, strict.run_id, strict.job_name) == (usual.reasons, usual.run_id, usual.job_name)


def test_the_cases_state_every_code_that_a_small_value_can_have():
    """Every code is in the cases, but those that need a large, deep or absent value or a broken validator."""
    stated = {reason.split(" ")[0] for case in CASES for reason in case.get("reasons", [])}
    large = {Code.NULL_VALUE, Code.TOO_LARGE, Code.TOO_DEEP, Code.TOO_MANY_KEYS, Code.UNJUDGED}
    assert set(Code) - large == stated


def test_messages_say_what_was_seen(event_with):
    """A reason's message names the value that was found, cut to a bounded length."""
    event = event_with("run", {"run.runId": "r" * 10_000, "eventType": "WHATEVER", "job.name": 5})
    messages = [reason.message for reason in judge(json.dumps(event).encode()).reasons]
    assert messages == [
        'must be one of START, RUNNING, COMPLETE, ABORT, FAIL, OTHER, found "WHATEVER"',
        f'must be a UUID, found "{"r" * 80}"... (10000 characters)',
        "must be of type string, found 5",
    ]


def test_a_null_value_is_rejected():
    """A record without a value is rejected with code `null_value`."""
    found = judge(None)
    assert ("rejected", "null_value", "$") == (found.verdict, found.reasons[0].code, found.reasons[0].path)
