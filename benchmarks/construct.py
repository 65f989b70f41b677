"""Events as the Python source that makes them: construction is measured, not how a benchmark describes it.

`stock(event)` and `ours(event)` each compile one function with the event's contents as constants: the calls a
user of openlineage-python, or modeltrail's own run, would make for it.
"""

import functools
import importlib
import pkgutil
import re
import types
import typing
from collections.abc import Callable, Mapping

import attr

JsonObject = dict[str, typing.Any]
BASE_FIELDS = {"_producer", "_schemaURL"}


class Source:
    """Python source under construction, with the objects it names."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._objects: dict[str, object] = {}

    def name(self, value: object) -> str:
        """The name under which the compiled code knows an object."""
        name = self._names.setdefault(id(value), f"name_{len(self._names)}")
        self._objects[name] = value
        return name

    def call(self, function: object, arguments: Mapping[str, str]) -> str:
        """A call by keywords."""
        return f"{self.name(function)}({', '.join(f'{key}={value}' for key, value in arguments.items())})"

    def compile(self, expression: str) -> Callable[[], typing.Any]:
        """A function that evaluates the expression anew at each call."""
        namespace = dict(self._objects)
        exec(f"def build():\n    return {expression}\n", namespace)
        return namespace["build"]


def _mapping(items: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key!r}: {value}" for key, value in items.items()) + "}"


def significant(value: object) -> object:
    """The event without nulls and what is empty, which says nothing in OpenLineage: for comparing."""
    if isinstance(value, dict):
        found = {key: significant(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item not in (None, {}, [])}
    if isinstance(value, list):
        return [significant(item) for item in value]
    return value


# --- openlineage-python: attrs classes -------------------------------------------------------------------


def stock(event: JsonObject) -> Callable[[], typing.Any]:
    """A function that makes the event's `RunEvent`."""
    from openlineage.client import event_v2

    source = Source()
    run, job = event["run"], event["job"]
    run_facets, job_facets = (
        _stock_facets(source, "Run", run["facets"]),
        _stock_facets(source, "Job", job["facets"]),
    )
    arguments = {
        "eventType": source.name(event_v2.RunState[event["eventType"]]),
        "eventTime": repr(event["eventTime"]),
        "producer": repr(event["producer"]),
        "run": source.call(event_v2.Run, {"runId": repr(run["runId"]), "facets": run_facets}),
        "job": source.call(
            event_v2.Job,
            {"namespace": repr(job["namespace"]), "name": repr(job["name"]), "facets": job_facets},
        ),
        "inputs": _stock_datasets(source, event_v2.InputDataset, "input", event["inputs"]),
        "outputs": _stock_datasets(source, event_v2.OutputDataset, "output", event["outputs"]),
    }
    return source.compile(source.call(event_v2.RunEvent, arguments))


def _stock_datasets(source: Source, kind: type, place: str, datasets: list[JsonObject]) -> str:
    calls = []
    for dataset in datasets:
        own = dataset.get(f"{place}Facets", {})
        arguments = {
            "namespace": repr(dataset["namespace"]),
            "name": repr(dataset["name"]),
            "facets": _stock_facets(source, "Dataset", dataset.get("facets", {})),
            f"{place}Facets": _stock_facets(source, f"{place.title()}Dataset", own),
        }
        calls.append(source.call(kind, arguments))
    return f"[{', '.join(calls)}]"


def _stock_facets(source: Source, entity: str, facets: Mapping[str, JsonObject]) -> str:
    made = {}
    for key, facet in facets.items():
        fields = tuple(name for name in facet if name not in BASE_FIELDS)
        kind = _client_facets().get(facet["_schemaURL"]) or _own_facet(entity, facet["_schemaURL"], fields)
        hints = _hints(kind)
        arguments = {name: _stock_value(source, facet[name], hints.get(name)) for name in fields}
        made[key] = source.call(kind, {"producer": repr(facet["_producer"]), **arguments})
    return _mapping(made)


@functools.cache
def _client_facets() -> dict[str, type]:
    """The client's facet classes by their schema URL."""
    from openlineage.client import facet_v2, generated

    found = {}
    for module in pkgutil.iter_modules(generated.__path__):
        if module.name == "base":
            continue
        for value in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, facet_v2.BaseFacet):
                found[value._get_schema()] = value  # noqa: SLF001  its only source
    return {url: kind for url, kind in found.items() if "/facets/" in url}


@functools.cache
def _own_facet(entity: str, url: str, fields: tuple[str, ...]) -> type:
    """A user's own facet class, as the client's documentation says to write it."""
    from openlineage.client import facet_v2

    methods = {"_get_schema": staticmethod(lambda: url)}
    base = types.new_class(
        "Base", (getattr(facet_v2, f"{entity}Facet"),), {}, lambda body: body.update(methods)
    )
    return attr.make_class("Own", {name: attr.field() for name in fields}, bases=(base,), kw_only=True)


@functools.cache
def _hints(kind: type) -> dict[str, object]:
    try:
        return typing.get_type_hints(kind)
    except NameError:  # a class made here, whose bases' annotations name the client's modules
        return {}


def _stock_value(source: Source, value: typing.Any, hint: object) -> str:
    """The value as source: nested attrs objects where the client's annotations ask for them."""
    union = typing.get_origin(hint) in {types.UnionType, typing.Union}
    for option in typing.get_args(hint) if union else [hint]:
        origin, inner = typing.get_origin(option), typing.get_args(option)
        if isinstance(value, list) and origin is list:
            return f"[{', '.join(_stock_value(source, item, inner[0]) for item in value)}]"
        if isinstance(value, dict) and origin is dict:
            return _mapping({key: _stock_value(source, item, inner[1]) for key, item in value.items()})
        if isinstance(value, dict) and isinstance(option, type) and attr.has(option):
            hints = _hints(option)
            arguments = {key: _stock_value(source, item, hints.get(key)) for key, item in value.items()}
            return source.call(option, arguments)
    return repr(value)


# --- modeltrail: facet classes, plain functions, plain dicts ---------------------------------------------


def ours(event: JsonObject) -> Callable[[], typing.Any]:
    """A function that makes the event as modeltrail's run does; all facets carry modeltrail's producer."""
    from modeltrail import event as events

    source = Source()
    run, job = event["run"], event["job"]
    arguments = {
        "event_type": repr(event["eventType"]),
        "event_time": repr(event["eventTime"]),
        "run_id": repr(run["runId"]),
        "job_namespace": repr(job["namespace"]),
        "job_name": repr(job["name"]),
        "run_facets": _our_facets(source, run["facets"]),
        "job_facets": _our_facets(source, job["facets"]),
        "inputs": _our_datasets(source, "input", event["inputs"]),
        "outputs": _our_datasets(source, "output", event["outputs"]),
    }
    return source.compile(source.call(events.run_event, arguments))


def _our_datasets(source: Source, place: str, datasets: list[JsonObject]) -> str:
    from modeltrail import event as events

    calls = []
    for dataset in datasets:
        arguments = {
            "namespace": repr(dataset["namespace"]),
            "name": repr(dataset["name"]),
            "facets": _our_facets(source, dataset.get("facets", {})),
            f"{place}_facets": _our_facets(source, dataset.get(f"{place}Facets", {})),
        }
        calls.append(f"{source.call(events.Dataset, arguments)}.as_{place}()")
    return f"[{', '.join(calls)}]"


# The facets that modeltrail has a function for: key -> (function, {argument: path in the facet}).
STANDARD: dict[str, tuple[str, dict[str, str]]] = {
    "dataSource": ("data_source", {"name": "name", "uri": "uri"}),
    "datasetType": ("dataset_type", {"type_": "datasetType", "sub_type": "subType"}),
    "documentation": ("documentation", {"description": "description"}),
    "inputStatistics": ("input_statistics", {"rows": "rowCount", "size": "size"}),
    "jobType": (
        "job_type",
        {"job_type": "jobType", "processing_type": "processingType", "integration": "integration"},
    ),
    "nominalTime": ("nominal_time", {"start": "nominalStartTime", "end": "nominalEndTime"}),
    "outputStatistics": ("output_statistics", {"rows": "rowCount", "size": "size", "files": "fileCount"}),
    "parent": (
        "parent",
        {
            "run_id": "run.runId",
            "namespace": "job.namespace",
            "name": "job.name",
            "root_run_id": "root.run.runId",
            "root_namespace": "root.job.namespace",
            "root_name": "root.job.name",
        },
    ),
    "processing_engine": (
        "processing_engine",
        {"version": "version", "name": "name", "adapter_version": "openlineageAdapterVersion"},
    ),
    "schema": ("schema", {"fields": "fields"}),
    "sourceCodeLocation": (
        "source_code_location",
        {
            "url": "url",
            "type_": "type",
            "repo_url": "repoUrl",
            "path": "path",
            "version": "version",
            "branch": "branch",
        },
    ),
    "version": ("dataset_version", {"version": "datasetVersion"}),
}


def _our_facets(source: Source, facets: Mapping[str, JsonObject]) -> str:
    from modeltrail import standard
    from modeltrail.facets import CLASSES

    made = {}
    for key, facet in facets.items():
        if key in CLASSES:
            fields = {_snake(name): repr(value) for name, value in facet.items() if name not in BASE_FIELDS}
            made[key] = f"{source.call(CLASSES[key], fields)}.to_dict()"
        elif key in STANDARD:
            name, paths = STANDARD[key]
            arguments = {argument: repr(_at(facet, path)) for argument, path in paths.items()}
            made[key] = source.call(getattr(standard, name), arguments)
        else:
            made[key] = repr(facet)
    return _mapping(made)


def _at(facet: JsonObject, path: str) -> object:
    return functools.reduce(lambda value, name: (value or {}).get(name), path.split("."), facet)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
