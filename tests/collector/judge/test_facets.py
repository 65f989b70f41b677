"""Every known facet, OpenLineage's and ours: a valid one is accepted, a broken one warned about."""

import json
import typing
from importlib import import_module
from typing import Any

import attrs
import pytest
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.serde import Serde

import modeltrail_schemas
from modeltrail_collector.judge import judge, schema
from modeltrail_collector.judge.schema import BASE_FIELDS

RUN_ID = "0190a5d3-6f0f-7c5e-9d7b-0d6b8f4c2a11"
TEXTS = ("https://example.com/", "2026-11-20T08:30:00Z", RUN_ID)
PLACES = {
    "run": "run.facets",
    "job": "job.facets",
    "dataset": "inputs.0.facets",
    "input_dataset": "inputs.0.inputFacets",
    "output_dataset": "outputs.0.outputFacets",
}
SPECIFIED = [
    (entity, key, name)
    for entity, keys in schema.known().facets.items()
    for key, name in keys.items()
    if not name.startswith("modeltrail.")
]
OURS = [
    (spec, example) for spec in modeltrail_schemas.FACETS for example in modeltrail_schemas.examples(spec.key)
]


def class_of(name: str) -> type:
    module, _, class_name = name.rpartition(".")
    return getattr(import_module(f"openlineage.client.generated.{module}"), class_name)


def instance(cls: type, depth: int = 0) -> Any:
    """An instance with every field given, by the client's own types and validators."""
    hints = typing.get_type_hints(cls)
    values = {
        field.alias: text(field) if field.validator else sample(hints[field.name], depth)
        for field in attrs.fields(cls)
        if field.init and not field.name.startswith("_") and not is_tag(field)
    }
    return cls(**values)


def is_tag(field) -> bool:
    return isinstance(field.default, str)


def text(field) -> str:
    """The first text that the client takes for a field with a format."""
    for candidate in TEXTS:
        try:
            field.validator(None, field, candidate)
        except ValueError:
            continue
        except AttributeError:  # dependentRequired asks for other fields: any text does
            return "text"
        return candidate
    raise AssertionError(field)


def sample(hint: Any, depth: int) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return arguments[0]
    if origin is list:
        return [sample(arguments[0], depth + 1)] if depth < 4 else []
    if origin is dict:
        return {"a key": sample(arguments[1], depth + 1)} if depth < 4 else {}
    if arguments:  # a union: nested ones end in the option that nests no further
        option = next(argument for argument in arguments if argument is not type(None))
        return sample(option, depth)
    if attrs.has(hint):
        return instance(hint, depth + 1)
    if hasattr(hint, "__members__"):
        return next(iter(hint))
    return {str: "text", int: 3, float: 1.5, bool: True, Any: {"any": [1]}}[hint]


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
