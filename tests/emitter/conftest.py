"""What the emitter's tests share: events as they leave, and the judges of what leaves."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState

import modeltrail
from modeltrail import wire
from modeltrail_collector.judge import judge
from modeltrail_schemas import facet_schemas


@pytest.fixture
def as_at_start() -> Iterator[None]:
    """No run, transport or setting is left of another test, nor to another."""
    modeltrail.testing.reset()
    yield
    modeltrail.testing.reset()


@pytest.fixture
def events() -> Iterator[list[dict]]:
    """The events of the test as parsed from the wire; each must be valid, and our failures are raised."""
    modeltrail.testing.reset()
    with modeltrail.testing.captured_events() as captured:
        yield captured
    modeltrail.testing.reset()
    for each in captured:
        must_be_valid(each)


def must_be_valid(event: dict) -> None:
    """The event is one for the OpenLineage client and the collector, each facet of ours for its schema."""
    RunEvent(
        eventTime=event["eventTime"],
        eventType=RunState[event["eventType"]],
        run=Run(event["run"]["runId"], event["run"]["facets"]),
        job=Job(event["job"]["namespace"], event["job"]["name"], event["job"]["facets"]),
        inputs=[InputDataset(**each) for each in event["inputs"]],
        outputs=[OutputDataset(**each) for each in event["outputs"]],
        producer=event["producer"],
    )
    for facets in facet_maps(event):
        for key, facet in facets.items():
            if key in facet_schemas():
                must_be_valid_facet(key, json.dumps(facet))
    verdict = judge(wire.encode(event), strict=True)
    assert "accepted" == verdict.verdict, verdict.reasons


@functools.lru_cache(1000)
def must_be_valid_facet(key: str, facet: str) -> None:
    """The facet, as JSON, is one for its schema; what all events of a process tell is judged once."""
    validator(key).validate({key: json.loads(facet)})


@functools.cache
def validator(key: str) -> jsonschema.protocols.Validator:
    """The judge of a facet of ours: to see that a schema is a valid one takes longer than to judge by it."""
    schema = facet_schemas()[key]
    found = jsonschema.validators.validator_for(schema)
    found.check_schema(schema)
    return found(schema)


def facet_maps(event: dict) -> Iterator[dict]:
    yield event["run"]["facets"]
    yield event["job"]["facets"]
    for dataset in event["inputs"] + event["outputs"]:
        for key in ("facets", "inputFacets", "outputFacets"):
            yield dataset.get(key, {})


@pytest.fixture
def inbox():
    """`inbox(log)`: the events that lie in a log's inbox, in the order of their times; each must be valid."""

    def read(log: Path) -> list[dict]:
        lines = [line for file in log.glob("inbox/*.ndjson") for line in file.read_text().splitlines()]
        found = sorted((json.loads(line) for line in lines), key=lambda event: event["eventTime"])
        for event in found:
            must_be_valid(event)
        return found

    return read
