"""The event's fields in the verdict: whatever can be read is there, whatever the verdict is."""

import json

from modeltrail_collector.judge import judge

RUN_ID = "0190a5d3-6f0f-7c5e-9d7b-0d6b8f4c2a11"
TIME = "2026-11-20T08:30:00.5Z"


def fields(value: bytes) -> tuple[str | None, ...]:
    found = judge(value)
    return (
        found.event_kind,
        found.event_type,
        found.event_time,
        found.run_id,
        found.job_namespace,
        found.job_name,
    )


def test_an_accepted_run_event_has_all_fields(bases):
    """An accepted run event gives its kind, type, time, run and job."""
    value = json.dumps(bases["run"]).encode()
    assert ("run", "COMPLETE", TIME, RUN_ID, "ml", "train") == fields(value)


def test_a_run_event_without_type_has_none(bases):
    """A field that the event leaves out is None."""
    assert ("run", None, TIME, RUN_ID, "ml", "train") == fields(json.dumps(bases["minimal"]).encode())


def test_a_job_event_has_no_run(bases):
    """A job event gives its job, and no run or type even if it has stray ones."""
    event = {**bases["job"], "eventType": "START"}
    assert ("job", None, TIME, None, "ml", "train") == fields(json.dumps(event).encode())
    rejected = {**event, "run": {"runId": RUN_ID}}
    assert ("job", None, TIME, None, "ml", "train") == fields(json.dumps(rejected).encode())


def test_a_dataset_event_has_neither_run_nor_job(bases):
    """A dataset event gives its time alone; a stray job is not its own."""
    stray = {**bases["dataset"], "job": {"namespace": "n", "name": "n"}, "eventType": "START"}
    assert ("dataset", None, TIME, None, None, None) == fields(json.dumps(stray).encode())
    broken = {**stray, "dataset": {}}
    assert ("dataset", None, TIME, None, None, None) == fields(json.dumps(broken).encode())


def test_a_warned_event_has_the_same_fields(event_with):
    """The slow path reads what the fast one does."""
    event = event_with("run", {"producer": "feast"})
    assert ("run", "COMPLETE", TIME, RUN_ID, "ml", "train") == fields(json.dumps(event).encode())


def test_a_rejected_event_keeps_what_can_be_read(event_with):
    """Of a rejected event the fields that are text are given, the others None."""
    event = event_with("run", {"job.name": 5, "eventType": "WHATEVER"}, ("run.runId",))
    assert ("run", "WHATEVER", TIME, None, "ml", None) == fields(json.dumps(event).encode())


def test_an_event_with_nan_keeps_its_fields(event_with):
    """NaN makes a value invalid JSON, but the run that sent it is still named."""
    event = event_with("run", {"run.facets.acme_free.anything": float("nan")})
    assert ("run", "COMPLETE", TIME, RUN_ID, "ml", "train") == fields(json.dumps(event).encode())


def test_an_event_in_latin_1_keeps_its_fields(event_with):
    """A value that is not UTF-8 still names its run; a field that is itself not UTF-8 is None."""
    event = event_with("run", {"job.name": "größe"})
    value = json.dumps(event, ensure_ascii=False).encode("latin-1")
    assert ("run", "COMPLETE", TIME, RUN_ID, "ml", None) == fields(value)


def test_half_a_surrogate_pair_is_no_field(event_with):
    """Text that no log can hold is not given as a field."""
    event = event_with("run", {"job.name": "\ud800"})
    assert ("run", "COMPLETE", TIME, RUN_ID, "ml", None) == fields(json.dumps(event).encode())


def test_what_is_no_event_has_no_fields():
    """Garbage has no kind and no fields."""
    for value in (b"", b"hello", b"[]", b"{}", b"\xff", b'{"eventTime": 5}'):
        assert (None,) * 6 == fields(value)


def test_of_a_field_given_twice_the_last_counts(bases):
    """Fields given twice, in the event or in its job, are read as by any JSON reader: the last value."""
    job = '{"name": "a", "namespace": "n", "name": "b"}'
    twice = (json.dumps(bases["run"])[:-1] + f', "eventType": "FAIL", "job": {job}}}').encode()
    assert "accepted" == judge(twice).verdict
    kind, event_type, _, _, namespace, name = fields(twice)
    assert ("run", "FAIL", "n", "b") == (kind, event_type, namespace, name)
