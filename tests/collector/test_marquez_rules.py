"""The rules of what Marquez takes, held to its recorded answers and, over many events, to its fake."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marquez_asked import FACET, Client

from modeltrail_collector.relay.marquez import problems
from modeltrail_collector.testing import MarquezServer
from modeltrail_collector.testing.fake_marquez.server import Answer

CASES = {
    case["label"]: case
    for line in (Path(__file__).parents[1] / "data" / "marquez" / "cases.jsonl").read_text().splitlines()
    if (case := json.loads(line))["method"] == "POST" and case["status"] != 415 and case["body"] is not None
}
OF_NO_JSON = {"empty body", "not json"}


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
