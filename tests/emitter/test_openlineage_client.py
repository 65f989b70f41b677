"""openlineage-python's own client and our facets: what goes in comes out, whoever made it."""

import copy
import json
import keyword
import uuid

import attr
import pytest
from openlineage.client import OpenLineageClient, event_v2, facet_v2
from openlineage.client.serde import Serde
from openlineage.client.transport import get_default_factory
from served import lines, serving

import modeltrail
import modeltrail_schemas
from modeltrail.facets import CLASSES
from modeltrail.transports.openlineage import client_event
from modeltrail_collector.judge import judge

BASES = {
    "run": facet_v2.RunFacet,
    "dataset": facet_v2.DatasetFacet,
    "input_dataset": facet_v2.InputDatasetFacet,
    "output_dataset": facet_v2.OutputDatasetFacet,
}
PLACES = {  # entity -> where an event has its facets
    "run": lambda event: event["run"]["facets"],
    "dataset": lambda event: event["outputs"][0]["facets"],
    "input_dataset": lambda event: event["inputs"][0]["inputFacets"],
    "output_dataset": lambda event: event["outputs"][0]["outputFacets"],
}
EXAMPLES = [
    pytest.param(key, example.facet, id=f"{key}-{example.name}")
    for key in CLASSES
    for example in modeltrail_schemas.examples(key)
    if example.ok
]


def event_with(facets: dict[str, dict]) -> dict:
    """An event in our JSON form with these facets, each in its place."""
    dataset = {"namespace": "file", "name": "/srv/a", "facets": {}}
    event = modeltrail.event.run_event(
        "COMPLETE",
        "2026-11-27T10:00:00.000000Z",
        str(uuid.uuid4()),
        "shop",
        "train",
        inputs=[dataset | {"inputFacets": {}}],
        outputs=[{**dataset, "facets": {}, "outputFacets": {}}],
    )
    for key, facet in facets.items():
        PLACES[CLASSES[key].ENTITY](event)[key] = facet
    return event


def facets_in(event: dict) -> dict[str, dict]:
    """All facets of ours in an event."""
    found = {key: facet for place in PLACES.values() for key, facet in place(event).items()}
    return {key: found[key] for key in found.keys() & CLASSES.keys()}


ALL = event_with(dict(example.values for example in EXAMPLES))
# `from` is a field of one, and no name of an attribute: that facet goes into the client as a dict.
AS_CLASSES = [example for example in EXAMPLES if not any(map(keyword.iskeyword, example.values[1]))]


def without_null(value: object) -> object:
    """What the client's serializer leaves of a facet."""
    return Serde.remove_nulls_and_enums(value)


@pytest.mark.parametrize(("key", "facet"), EXAMPLES)
def test_a_facet_in_our_event(key: str, facet: dict) -> None:
    """A facet in an event of ours is the same behind the client's classes and its serializer, nulls too."""
    event = event_with({key: facet})
    assert event == json.loads(Serde.to_json(client_event(event)))


@pytest.mark.parametrize(("key", "facet"), AS_CLASSES)
def test_a_facet_as_a_class_of_the_client(key: str, facet: dict) -> None:
    """A subclass of the client's base with our fields and schema URL is written as our facet but for null."""
    fields = {name: value for name, value in facet.items() if not name.startswith("_")}
    made = attr.make_class(
        CLASSES[key].__name__,
        {name: attr.ib(kw_only=True) for name in fields},
        bases=(BASES[CLASSES[key].ENTITY],),
        class_body={"_get_schema": staticmethod(lambda: facet["_schemaURL"])},
    )
    written = json.loads(Serde.to_json(made(**fields, producer=facet["_producer"])))
    assert without_null(facet) == written


def test_all_facets_through_the_file_transport(tmp_path) -> None:
    """The stock client writes all our facets, given to it as dicts, into a file as they are but for nulls."""
    file = tmp_path / "events.ndjson"
    transport = {"type": "file", "log_file_path": str(file), "append": True}
    OpenLineageClient(config={"transport": transport}).emit(stock(ALL))
    assert without_null(facets_in(ALL)) == facets_in(json.loads(file.read_bytes()))


def stock(event: dict) -> event_v2.RunEvent:
    """The event as whoever uses the client by hand would make it; the client writes into what it is given."""
    event = copy.deepcopy(event)
    return event_v2.RunEvent(
        eventType=event_v2.RunState.COMPLETE,
        eventTime=event["eventTime"],
        run=event_v2.Run(**event["run"]),
        job=event_v2.Job(**event["job"]),
        inputs=[event_v2.InputDataset(**each) for each in event["inputs"]],
        outputs=[event_v2.OutputDataset(**each) for each in event["outputs"]],
        producer=event["producer"],
    )


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_all_facets_through_http(tmp_path, compression: str | None) -> None:
    """By the client's HTTP transport an event of ours is stored as it was, nulls too, and is accepted."""
    with serving(tmp_path / "log") as server:
        http = {"type": "http", "url": server.url, "compression": compression}
        transport = get_default_factory().create(http)
        transport.emit(client_event(ALL))
        transport.close()
    (stored,) = lines(tmp_path / "log")
    assert ALL == stored
    assert set(CLASSES) == facets_in(stored).keys()
    assert "accepted" == judge(json.dumps(stored).encode()).verdict


FILE = {"type": "file", "log_file_path": "events.ndjson", "append": True}
OURS = {"type": "composite", "transports": [{"type": "modeltrail.LocalTransport", "log": "log"}]}


@pytest.mark.parametrize("transport", [FILE, OURS], ids=["file", "one of ours in a composite"])
def test_what_a_run_says_of_nothing(tmp_path, monkeypatch, transport: dict) -> None:
    """A parameter that is None, one in a list and a metric that is none arrive by a stock transport."""
    monkeypatch.chdir(tmp_path)
    modeltrail.testing.reset()
    modeltrail.configure(transport=transport)
    with modeltrail.run("train") as run:
        run.params({"depth": None, "layers": [1, None]})
        run.metric("loss", float("nan"))
    modeltrail.testing.reset()
    (file,) = tmp_path.rglob("*.ndjson")
    facets = json.loads(file.read_bytes().splitlines()[-1])["run"]["facets"]
    assert [None, [1, None]] == [each["value"] for each in facets["modelTrail_hyperparameters"]["params"]]
    (loss,) = facets["modelTrail_metrics"]["metrics"]
    assert (None, "nan") == (loss["value"], loss["nonFinite"])
