"""The rules of what Marquez takes, and the guard: held to recorded answers and, for any event, the fake."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marquez_asked import FACET, Client

from modeltrail_collector.relay.guard import RULES, Repair, guarded
from modeltrail_collector.relay.marquez import problems
from modeltrail_collector.testing import MarquezServer
from modeltrail_collector.testing.fake_marquez.server import Answer

CASES = {
    case["label"]: case
    for line in (Path(__file__).parents[1] / "data" / "marquez" / "cases.jsonl").read_text().splitlines()
    if (case := json.loads(line))["method"] == "POST" and case["status"] != 415 and case["body"] is not None
}
OF_NO_JSON = {"empty body", "not json"}
OF_NO_OBJECT = {*OF_NO_JSON, "json array", "json string"}
REFUSED = {label for label, case in CASES.items() if case["status"] != 201} - OF_NO_OBJECT
LEFT_OUT = ["facet_left_out"]
MENDED = {
    "missing eventType": ["event_type_other"],
    "null eventType": ["event_type_other"],
    "jobType without jobType": ["job_type_unknown"],
    "jobType without integration": LEFT_OUT,
    "jobType without processingType": LEFT_OUT,
    "typed facet without _producer/_schemaURL": ["facet_base_filled"],
    **{
        f"{side} dataset namespace '{name}' len {len(name)}": ["namespace_characters"]
        for side in ("INPUT", "OUTPUT")
        for name in ("a b", "ünï", "a,b", "a?b=c")
    },
    **{f"{of} 'a\\x00b' len 3": ["nul_replaced"] for of in ("job name", "output dataset name")},
    "nominalTime empty": LEFT_OUT,
    "dataSource without name": ["source_named_by_uri"],
    "dataSource uri not uri": ["uri_encoded"],
    "schema field no name": LEFT_OUT,
    "symlinks without identifiers": LEFT_OUT,
    "dataset documentation without description": LEFT_OUT,
    "sql without query": LEFT_OUT,
    "job documentation w/o description": LEFT_OUT,
    "NaN value": ["number_as_text"],
}
HELD_BACK = REFUSED - set(MENDED)


@pytest.mark.parametrize("label", sorted(set(CASES) - OF_NO_JSON))
def test_the_rules_agree_with_the_recorded_answers(label: str) -> None:
    """An event has a problem exactly where Marquez answered otherwise than 201."""
    case = CASES[label]
    assert (case["status"] != 201) is bool(problems(json.loads(case["body"])))


@pytest.mark.parametrize(
    ("label", "path", "repairable"),
    [
        ("OUTPUT dataset namespace 'a b' len 3", "outputs[0].namespace", True),
        ("OUTPUT dataset namespace '' len 0", "outputs[0].namespace", False),
        ("output dataset name '' len 0", "outputs[0].name", False),
        ("job namespace '' len 0", "job.namespace", False),
        ("missing eventType", "eventType", True),
        ("jobType without jobType", "job.facets.jobType.jobType", True),
        ("dataSource uri not uri", "outputs[0].facets.dataSource.uri", True),
        ("symlinks without identifiers", "outputs[0].facets.symlinks.identifiers", True),
        ("parent without job", "run.facets.parent.job.namespace", False),
        ("NaN value", "job.facets.m.v", True),
        ("eventTime 'yesterday'", "eventTime", False),
    ],
)
def test_a_problem_says_where_it_is_and_whether_it_can_be_repaired(
    label: str, path: str, repairable: bool
) -> None:
    """What can be left out or replaced without another run or job coming of it is repairable."""
    first = problems(json.loads(CASES[label]["body"]))[0]
    assert (path, repairable) == (first.path, first.repairable)


def whole_event() -> dict[str, Any]:
    """An event with all facets that Marquez has types for."""
    client = Client("")
    link = {"run": {"runId": "p"}, "job": {"namespace": client.namespace, "name": "parent"}}
    facets = {
        "dataSource": {"name": "s", "uri": "s3://b"},
        "documentation": {"description": "d"},
        "lifecycleStateChange": {"lifecycleStateChange": "CREATE"},
        "schema": {"fields": [{"name": "a", "type": "INT", "description": "d"}]},
        "symlinks": {"identifiers": [{"namespace": "n", "name": "alias", "type": "T"}]},
    }
    job_facets = {
        "documentation": {"description": "d"},
        "jobType": {"processingType": "BATCH", "integration": "X", "jobType": "J"},
        "sourceCodeLocation": {"type": "git", "url": "https://e.org"},
        "sql": {"query": "select"},
    }
    run_facets = {"nominalTime": {"nominalStartTime": "2026-11-23T10:00:00Z"}, "parent": link}
    return client.event(
        "COMPLETE",
        "r",
        run={"runId": "r", "facets": {key: FACET | facet for key, facet in run_facets.items()}},
        job={
            "namespace": client.namespace,
            "name": "job",
            "facets": {key: FACET | facet for key, facet in job_facets.items()},
        },
        inputs=[client.dataset_of("in", **facets)],
        outputs=[client.dataset_of("out", **facets | {"symlinks": {"identifiers": []}})],
    )


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The paths of all parts of an event."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


def replaced(part: Any, path: tuple, junk: object) -> Any:
    """The same with something else at a path, if there still is such a place."""
    if not path:
        return junk
    key, *rest = path
    if isinstance(part, dict):
        return part | {key: replaced(part.get(key), rest, junk)}
    if isinstance(part, list) and key in range(len(part)):
        return [*part[:key], replaced(part[key], rest, junk), *part[key + 1 :]]
    return part


WHOLE = whole_event()
PLACES = sorted(places(WHOLE), key=str)
TEXTS = [
    "",
    " ",
    "a b",
    "ünï",
    "a\0b",
    "x" * 1025,
    "yesterday",
    "2026-11-23",
    "https://e.org/spec#/$defs/JobEvent",
]
JUNK = [None, *TEXTS, 5, 1.5, True, {}, [], [None], ["a"]]


@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(JUNK)), max_size=2))
@settings(max_examples=500)
def test_the_rules_agree_with_the_fake_about_any_event(junk: list) -> None:
    """An event has a problem exactly where it is not taken, or taken and a list is then unreadable."""
    event = WHOLE
    for path, value in junk:
        event = replaced(event, path, value)
    server = MarquezServer()
    body = json.dumps(event).encode()
    taken = server.answer("POST", "/api/v1/lineage", "application/json", body).status == 201
    assert (taken and readable(server)) is not bool(problems(event)), (taken, problems(event))


def readable(server: MarquezServer) -> bool:
    """Whether its lists can be read: of namespaces, of jobs, and within each namespace."""

    def asked(path: str) -> Answer:
        return server.answer("GET", f"/api/v1/{path}", "", b"")

    if (namespaces := asked("namespaces")).status != 200:
        return False
    within = [f"namespaces/{quote(each['name'], safe='')}" for each in namespaces.content["namespaces"]]
    lists = ["jobs", *(f"{each}/{kind}" for each in within for kind in ("jobs", "datasets"))]
    return all(asked(each).status == 200 for each in lists)


@pytest.mark.parametrize("label", sorted(REFUSED))
def test_nothing_that_is_refused_on_record_leaves_the_guard(label: str) -> None:
    """Of each event that Marquez refused comes one that it takes and is not spoilt by, or none."""
    found = guarded(json.loads(CASES[label]["body"]))
    assert (found.event is None) is (label in HELD_BACK)
    assert bool(found.problems) is (found.event is None)
    assert tuple(MENDED.get(label, ())) == tuple(dict.fromkeys(repair.rule for repair in found.repairs))
    assert found.event is None or is_taken(found.event)


def test_what_marquez_takes_leaves_the_guard_as_it_came() -> None:
    """An event without a problem is the same object, unrepaired."""
    for case in CASES.values():
        if case["status"] == 201:
            event = json.loads(case["body"])
            assert guarded(event).event is event
            assert () == guarded(event).repairs


@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(JUNK)), max_size=3))
@settings(max_examples=300)
def test_what_leaves_the_guard_is_taken_and_about_the_same(junk: list) -> None:
    """Whatever is wrong with an event: it is taken and spoils nothing, or held back; the original stays."""
    event = WHOLE
    for path, value in junk:
        event = replaced(event, path, value)
    before = json.dumps(event)
    found = guarded(event)
    assert before == json.dumps(event)
    if found.event is None:
        assert any(not problem.repairable for problem in found.problems)
        return
    assert is_taken(found.event)
    assert {repair.rule for repair in found.repairs} <= set(RULES)
    assert bool(found.repairs) is (found.event != event)


def test_a_repair_says_what_and_where_and_loses_no_more_than_it_must() -> None:
    """Every rule, on one event: what is wrong is mended in its place and the rest is as it was."""
    event = whole_event()
    read, written = event["inputs"][0], event["outputs"][0]
    del event["eventType"]
    del event["job"]["facets"]["jobType"]["jobType"]
    del event["job"]["facets"]["sql"]["query"]
    del event["job"]["facets"]["documentation"]["_schemaURL"]
    event["run"]["facets"]["modelTrail_x"] = FACET | {"text": "a\0b", "most": float("inf")}
    read["namespace"] = "my team"
    read["facets"]["dataSource"] = FACET | {"uri": "s3://b/my key"}
    read["facets"]["symlinks"]["identifiers"] *= 3
    sources = [{"namespace": "my team", "name": "in", "field": "a"}]
    written["facets"]["columnLineage"] = FACET | {"fields": {"a": {"inputFields": sources}}}
    found = guarded(event)
    assert found.event is not None
    assert is_taken(found.event)
    job, run = found.event["job"]["facets"], found.event["run"]["facets"]
    read, written = found.event["inputs"][0], found.event["outputs"][0]
    assert ("OTHER", "UNKNOWN", False) == (found.event["eventType"], job["jobType"]["jobType"], "sql" in job)
    assert "d" == job["documentation"]["description"]
    assert ("a\ufffdb", "inf") == (run["modelTrail_x"]["text"], run["modelTrail_x"]["most"])
    source = read["facets"]["dataSource"]
    assert ("my=20team", "s3://b/my key", "s3://b/my%20key") == (
        read["namespace"],
        source["name"],
        source["uri"],
    )
    assert 1 == len(read["facets"]["symlinks"]["identifiers"])
    (source,) = written["facets"]["columnLineage"]["fields"]["a"]["inputFields"]
    assert "my=20team" == source["namespace"]
    assert set(RULES) - {"end_kept"} == {repair.rule for repair in found.repairs}
    assert Repair("namespace_characters", "inputs[0].namespace") in found.repairs
    assert Repair("facet_left_out", "job.facets.sql") in found.repairs


def is_taken(event: dict[str, Any]) -> bool:
    """Whether the fake takes an event, and can still be read afterwards."""
    server = MarquezServer()
    body = json.dumps(event).encode()
    return server.answer("POST", "/api/v1/lineage", "application/json", body).status == 201 and readable(
        server
    )
