"""The facet classes and the entries of parameters and metrics."""

import datetime as dt
import decimal
import enum
import importlib.metadata
import json
import math
import pickle
import re
import subprocess
import sys
import uuid
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import jsonschema_rs
import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openlineage.client import event_v2
from openlineage.client.serde import Serde

import modeltrail_schemas
from modeltrail import facets, wire
from modeltrail.facets import CLASSES, PRODUCER, metric_entry, param_entries, params_sha256
from modeltrail.version import __version__
from modeltrail_schemas import FACETS

EACH = pytest.mark.parametrize("key", CLASSES)
SHA = "0" * 64


def snake(name: str) -> str:
    """A wire name as the attribute's, worked out another way than the product does."""
    special = {"energyKWh": "energy_kwh", "from": "from_"}
    return special.get(name) or re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[1].lower(), name)


def definition(key: str) -> dict[str, Any]:
    return modeltrail_schemas.facet_schema(key)["$defs"][CLASSES[key].__name__]


def is_valid(facet: dict[str, Any], key: str) -> bool:
    return jsonschema_rs.Draft202012Validator(definition(key), validate_formats=True).is_valid(facet)


def built_from(key: str, document: dict[str, Any]) -> facets.Facet:
    fields = {snake(name): value for name, value in document.items() if not name.startswith("_")}
    return CLASSES[key](**fields)


def instances(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Whatever a schema of ours allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type", ["null", "boolean", "integer", "string"])
    return st.one_of([of_type(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def of_type(kind: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    low, high = schema.get("minimum"), schema.get("maximum")
    match kind:
        case "string":
            return texts(schema)
        case "integer":
            return st.integers(-(2**63) if low is None else low, 2**63 - 1 if high is None else high)
        case "number":
            return st.floats(low, high, allow_nan=False, allow_infinity=False)
        case "array":
            return st.lists(instances(schema["items"]), max_size=2)
        case "object" if "additionalProperties" in schema:
            return st.dictionaries(st.text(max_size=4), instances(schema["additionalProperties"]), max_size=2)
        case "object":
            needed = {*schema.get("required", ())} or {*list(schema.get("properties", ()))[:1]}
            fields = {name: instances(field) for name, field in schema.get("properties", {}).items()}
            optional = {name: fields.pop(name) for name in list(fields) if name not in needed}
            return st.fixed_dictionaries(fields, optional=optional)
    return {"boolean": st.booleans(), "null": st.none()}[kind]


def texts(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"), fullmatch=False).filter(str.isalnum)
    formats = {
        "uri": st.sampled_from(["https://acme.example/a?b=c", "file:///srv/m.joblib", "s3://bucket/key"]),
        "uuid": st.uuids().map(str),
        "date-time": st.datetimes(timezones=st.just(dt.UTC)).map(dt.datetime.isoformat),
    }
    return formats.get(schema.get("format"), st.text(max_size=8))


def test_a_class_for_every_facet() -> None:
    """Each facet that is published has its class, under the published name, key, entity and schema URL."""
    published = [(spec.key, spec.class_name, spec.entity) for spec in FACETS]
    assert published == [(key, kind.__name__, kind.ENTITY) for key, kind in CLASSES.items()]
    for key, kind in CLASSES.items():
        assert (key, modeltrail_schemas.schema_url(key)) == (kind.KEY, kind.SCHEMA_URL)
        assert getattr(facets, kind.__name__) is kind


@EACH
def test_fields_are_the_schemas(key: str) -> None:
    """A class has exactly the fields of its schema, and asks for exactly the required ones."""
    schema = definition(key)
    fields = {field.name: field for field in msgspec.structs.fields(CLASSES[key])}
    wire_names = {snake(name): name for name in schema["properties"] if not name.startswith("_")}
    assert set(wire_names) == set(fields)
    required = {snake(name) for name in schema["required"] if not name.startswith("_")}
    worked_out = {"sha256"} if key == "modelTrail_hyperparameters" else set()
    assert required - worked_out == {name for name, field in fields.items() if field.required}


@EACH
def test_classes_are_values(key: str) -> None:
    """Facets are frozen, slotted and keyword-only, compare by value and survive pickle."""
    kind = CLASSES[key]
    (rich,) = (example.facet for example in modeltrail_schemas.examples(key) if "ok-rich" == example.name)
    facet = built_from(key, rich)
    assert not hasattr(facet, "__dict__")
    with pytest.raises(TypeError, match="positional"):
        kind(*rich.values())
    assert facet == built_from(key, rich) == pickle.loads(pickle.dumps(facet))
    with pytest.raises(AttributeError, match="immutable"):
        facet.capture = "declared"


@EACH
def test_examples_round_trip(key: str) -> None:
    """Every good example is what `to_dict` gives for its fields; a minimal facet adds how it is known."""
    for example in modeltrail_schemas.examples(key):
        if example.ok:
            facet = built_from(key, example.facet)
            assert {"capture": facet.capture, **example.facet, "_producer": PRODUCER} == facet.to_dict()
            assert is_valid(facet.to_dict(), key)


@EACH
def test_any_instance_is_valid(key: str) -> None:
    """Whatever a schema allows in a facet's fields is valid on the wire, and comes back as it was."""

    @settings(max_examples=40)
    @given(instances(definition(key)))
    def check(document: dict[str, Any]) -> None:
        written = built_from(key, document).to_dict()
        expected = {name: value for name, value in document.items() if value is not None and name[0] != "_"}
        assert expected.items() <= written.items()
        assert is_valid(json.loads(wire.encode(written)), key)

    check()


def test_none_is_left_out() -> None:
    """A field that is None is no field on the wire."""
    facet = facets.ModelTrailModelDatasetFacet(framework="sklearn", format=None)
    assert ["_producer", "_schemaURL", "framework", "capture"] == list(facet.to_dict())


def test_nested_values() -> None:
    """Nested structs and attrs objects are written in wire names, mappings as objects, tuples as arrays."""

    @attrs.frozen
    class File:
        path: str
        sha256: str
        size_bytes: int | None = None

    class Other(msgspec.Struct):
        path: str
        sha256: str
        size_bytes: int | None = None

    artifact = facets.ModelTrailModelArtifactOutputDatasetFacet(
        digest=SHA,
        digest_algorithm="sha256-tree",
        uri="file:///srv/m",
        size_bytes=5,
        files=(File("a", SHA, 5), Other("b", SHA), {"path": "c", "sha256": SHA}),
        signature_bundle=MappingProxyType({"type": "oms", "uri": "file:///srv/m.sig"}),
    )
    written = artifact.to_dict()
    files = [{"path": "a", "sha256": SHA, "sizeBytes": 5}, {"path": "b", "sha256": SHA}]
    assert [*files, {"path": "c", "sha256": SHA}] == written["files"]
    assert {"type": "oms", "uri": "file:///srv/m.sig"} == written["signatureBundle"]
    assert is_valid(written, artifact.KEY)


def test_the_version_stands_once() -> None:
    """The producer names the version of the installed distribution."""
    assert importlib.metadata.version("modeltrail") == __version__
    assert f"https://github.com/modeltrail/modeltrail/tree/{__version__}" == PRODUCER


def test_facets_are_light() -> None:
    """Importing the facets loads neither openlineage-python nor Kafka nor any ML library."""
    code = "import sys, modeltrail.facets, modeltrail.standard; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {"openlineage", "kafka", "numpy", "pandas", "sklearn", "pyarrow"}
    assert not heavy & {name.partition(".")[0] for name in loaded.split()}


def openlineage_event(facet: Any) -> Any:
    """The run facets of an event of openlineage-python, as it writes them."""
    event = event_v2.RunEvent(
        eventType=event_v2.RunState.COMPLETE,
        eventTime="2026-10-02T04:00:00Z",
        run=event_v2.Run(runId=str(uuid.uuid4()), facets={"modelTrail_training": facet}),
        job=event_v2.Job(namespace="acme", name="train"),
        producer="https://acme.example",
    )
    return json.loads(Serde.to_json(event))["run"]["facets"]["modelTrail_training"]


TRAINING = facets.ModelTrailTrainingRunFacet(
    framework="sklearn", framework_version="1.7.2", algorithm="sklearn.svm.SVC"
)


def test_in_an_event_of_openlineage_python() -> None:
    """The JSON form of a facet passes through openlineage-python's own events unchanged."""
    assert TRAINING.to_dict() == openlineage_event(TRAINING.to_dict())


def test_the_object_itself_in_an_event_of_openlineage_python() -> None:
    """A facet object in place of its JSON form is not written: openlineage-python says that it cannot."""
    assert "<<non-serializable: ModelTrailTrainingRunFacet>>" == openlineage_event(TRAINING)


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "written", "kind"),
    [
        (None, None, "null"),
        (True, True, "bool"),
        (7, 7, "int"),
        (2**80, 2**80, "int"),
        (0.5, 0.5, "float"),
        ("auc", "auc", "string"),
        ("NaN", "NaN", "string"),
        (math.nan, "NaN", "float"),
        (math.inf, "Infinity", "float"),
        (-math.inf, "-Infinity", "float"),
        (np.float64("nan"), "NaN", "float"),
        (np.float32("-inf"), "-Infinity", "float"),
        (np.float32(0.5), 0.5, "float"),
        (np.int64(3), 3, "int"),
        (np.bool_(True), True, "bool"),
        (np.str_("NaN"), "NaN", "string"),
        (np.array(1.5), 1.5, "float"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]], "array"),
        (pd.Series([1.0, math.inf]), [1.0, "Infinity"], "array"),
        ((1, "a"), [1, "a"], "array"),
        (range(3), [0, 1, 2], "array"),
        ({3, 1, 2}, [1, 2, 3], "array"),
        ({"b": (1,), 2: math.nan}, {"b": [1], "2": "NaN"}, "object"),
        (Colour.RED, "red", "string"),
        (Path("data") / "x.csv", str(Path("data/x.csv")), "string"),
        (dt.date(2026, 10, 2), "2026-10-02", "string"),
        (decimal.Decimal("0.10"), "0.10", "string"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000", "string"),
        (math.sqrt, "math.sqrt", "string"),
        (dict, "dict", "string"),
        (attrs.Factory, "attr._make.Factory", "string"),
        (decimal.Context(), {"class": "decimal.Context"}, "object"),
        (np.log1p, {"class": "numpy.ufunc", "name": "log1p"}, "object"),
    ],
    ids=repr,
)
def test_what_a_parameter_becomes(value: object, written: object, kind: str) -> None:
    """Each kind of parameter value has one JSON form and one type name."""
    assert [{"name": "p", "value": written, "type": kind}] == param_entries({"p": value})


def test_where_a_parameter_comes_from() -> None:
    """Entries keep the order of the mapping, and say origin and component where these are given."""
    entries = param_entries({"b": 1, "a": 2}, origin="default", component="sklearn.svm.SVC")
    assert ["b", "a"] == [entry["name"] for entry in entries]
    assert {("default", "sklearn.svm.SVC")} == {(entry["origin"], entry["component"]) for entry in entries}


def test_data_is_no_parameter() -> None:
    """Long values become class, length and digest, large arrays class and shape, deep ones a class."""
    (array,) = param_entries({"weights": np.zeros((2, 501))})
    assert {"class": "numpy.ndarray", "shape": [2, 501]} == array["value"]
    (long,) = param_entries({"weights": [0.0] * 1001})
    assert ("object", "list", 1001) == (long["type"], long["value"]["class"], long["value"]["length"])
    (other,) = param_entries({"weights": [0.0] * 1000 + [1.0]})
    assert long["value"]["sha256"] != other["value"]["sha256"]
    loop: list[object] = []
    loop.append(loop)
    (entry,) = param_entries({"loop": loop})
    assert '"class": "list"' in json.dumps(entry["value"])


def test_the_hash_of_parameters() -> None:
    """The hash is of names, types, values and components, not of order and origin."""
    one = param_entries({"a": 1, "b": math.nan}, origin="cli")
    two = param_entries({"b": math.nan, "a": 1}, origin="default")
    assert params_sha256(one) == params_sha256(two)
    assert params_sha256(one) != params_sha256(param_entries({"a": 1.0, "b": math.nan}))
    assert params_sha256(one) != params_sha256(param_entries({"a": 1, "b": math.nan}, component="svc"))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.dates()
    | st.uuids()
    | st.decimals(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_any_parameters_are_valid(params: dict[str, Any]) -> None:
    """Whatever the parameters are, their facet is valid JSON on the wire and loses no name."""
    facet = facets.ModelTrailHyperparametersRunFacet(params=param_entries(params))
    written = json.loads(wire.encode(facet.to_dict()))
    assert is_valid(written, facet.KEY)
    assert len(params) == len(written["params"])


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.5, {"value": 0.5}),
        (np.float32(0.5), {"value": 0.5}),
        (np.int64(3), {"value": 3}),
        (math.nan, {"value": None, "nonFinite": "nan"}),
        (np.float64("inf"), {"value": None, "nonFinite": "inf"}),
        (-math.inf, {"value": None, "nonFinite": "-inf"}),
    ],
    ids=repr,
)
def test_what_a_metric_becomes(value: object, written: dict[str, Any]) -> None:
    """A metric is a number, or null with the name of the value that JSON cannot write."""
    assert {"name": "loss", **written} == metric_entry("loss", value)


def test_a_metric_with_everything() -> None:
    """All that can be said of a metric is written in wire names, and is valid."""
    entry = metric_entry(
        "auc",
        0.87,
        step=0,
        epoch=0.0,
        at="2026-10-02T04:00:00Z",
        split="test",
        dataset={"name": "test.parquet"},
        slice_={"region": "south"},
        unit="1",
        direction="max",
        ci={"low": 0.86, "high": 0.88, "level": 0.95},
        threshold=0.0,
        model_id="LogisticRegression-1",
        capture="declared",
    )
    (metrics,) = [definition("modelTrail_metrics")["properties"]["metrics"]]
    assert set(metrics["items"]["properties"]) - {"nonFinite"} == set(entry)
    assert is_valid(facets.ModelTrailMetricsRunFacet(metrics=[entry]).to_dict(), "modelTrail_metrics")


@pytest.mark.parametrize("value", ["0.5", None, True, [1.0], math.sqrt], ids=repr)
def test_a_metric_is_a_number(value: object) -> None:
    """What is no number is no metric: a TypeError names the metric and the value."""
    with pytest.raises(TypeError, match=r"metric 'loss': .* is no number"):
        metric_entry("loss", value)
