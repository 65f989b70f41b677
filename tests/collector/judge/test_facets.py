"""Every known facet, OpenLineage's and ours: a valid one is accepted, a broken one warned about."""

import json
from typing import Any

import attrs
import pytest
from client_facets import RUN_ID, SPECIFIED, class_of, instance
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.serde import Serde

import modeltrail_schemas
from modeltrail_collector.judge import judge
from modeltrail_collector.judge.schema import BASE_FIELDS

PLACES = {
    "run": "run.facets",
    "job": "job.facets",
    "dataset": "inputs.0.facets",
    "input_dataset": "inputs.0.inputFacets",
    "output_dataset": "outputs.0.outputFacets",
}
OURS = [
    (spec, example) for spec in modeltrail_schemas.FACETS for example in modeltrail_schemas.examples(spec.key)
]


def event_of(entity: str, key: str, facet: Any) -> dict[str, Any]:
    """A run event as the client writes it, with one facet."""
    place = {name: {} for name in PLACES} | {entity: {key: facet}}
    event = RunEvent(
        eventType=RunState.COMPLETE,
        eventTime="2026-11-20T08:30:00Z",
        producer="https://example.com/",
        run=Run(runId=RUN_ID, facets=place["run"]),
        job=Job(namespace="n", name="n", facets=place["job"]),
        inputs=[InputDataset("n", "n", facets=place["dataset"], inputFacets=place["input_dataset"])],
        outputs=[OutputDataset("n", "n", outputFacets=place["output_dataset"])],
    )
    return json.loads(Serde.to_json(event))


def facet_of(event: dict[str, Any], entity: str, key: str) -> dict[str, Any]:
    found: Any = event
    for step in PLACES[entity].split("."):
        found = found[int(step)] if step.isdigit() else found[step]
    return found[key]


def path_of(entity: str, key: str) -> str:
    return "$." + PLACES[entity].replace(".0", "[0]") + "." + key


@pytest.mark.parametrize(("entity", "key", "name"), SPECIFIED)
def test_a_facet_that_the_client_makes_is_accepted(entity, key, name):
    """An instance of each facet class with every field given, written by the client, is accepted."""
    found = judge(json.dumps(event_of(entity, key, instance(class_of(name)))).encode())
    assert ("accepted", ()) == (found.verdict, found.reasons)


@pytest.mark.parametrize(("entity", "key", "name"), SPECIFIED)
def test_a_field_of_a_facet_of_another_type_is_warned_about(entity, key, name):
    """Each field of each facet class has a type: null there breaks the facet's schema at that path."""
    for field in attrs.fields(class_of(name)):
        if field.name not in BASE_FIELDS:
            event = event_of(entity, key, instance(class_of(name)))
            facet_of(event, entity, key)[field.name] = None
            found = judge(json.dumps(event).encode())
            assert [("facet_schema", f"{path_of(entity, key)}.{field.name}")] == [
                (reason.code, reason.path) for reason in found.reasons
            ]


@pytest.mark.parametrize(("entity", "key", "name"), SPECIFIED)
def test_a_facet_without_a_required_field_is_warned_about(entity, key, name):
    """Each field that the client's class has no default for is required; the others may be left out."""
    for field in attrs.fields(class_of(name)):
        if field.name not in BASE_FIELDS:
            event = event_of(entity, key, instance(class_of(name)))
            del facet_of(event, entity, key)[field.name]
            found = judge(json.dumps(event).encode())
            assert ("warned" if field.default is attrs.NOTHING else "accepted") == found.verdict, field.name


@pytest.mark.parametrize(
    ("spec", "example"), OURS, ids=[f"{spec.key}-{example.name}" for spec, example in OURS]
)
def test_our_facets_are_judged_by_our_schemas(spec, example, event_with):
    """Each good example of our facets is accepted; each bad one is warned about where it is broken."""
    event = event_with("run", {f"{PLACES[spec.entity]}.{spec.key}": example.facet})
    found = judge(json.dumps(event).encode())
    if example.ok:
        assert ("accepted", ()) == (found.verdict, found.reasons)
    else:
        path, keyword = example.reason.rsplit(" ", 1)
        place = path_of(spec.entity, spec.key) + path.removeprefix("$")
        codes = {"format"} if keyword == "format" else {"facet_base", "facet_schema"}
        assert "warned" == found.verdict
        assert any(reason.path == place and reason.code in codes for reason in found.reasons), found.reasons
