"""The schemas the judge goes by: OpenLineage's, derived and cached, and our own facets' beside them."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

import modeltrail_schemas
from modeltrail_collector.judge import derive
from modeltrail_collector.judge.derive import ENTITIES, Derived, Schema
from modeltrail_collector.model import EventKind

JUDGE_VERSION: Final = "4"
"""Goes up when the same bytes may get another verdict, or the derived schema another form."""

EVENTS: Final[dict[EventKind, str]] = {"run": "RunEvent", "dataset": "DatasetEvent", "job": "JobEvent"}

BASE_FIELDS: Final = ("_producer", "_schemaURL", "_deleted")
"""What every facet has, or (`_deleted`: job and dataset facets only) may have."""

_DELETABLE: Final = frozenset({"job", "dataset"})

FACET_MAPS: Final = {
    "base.Run": {"facets": "run"},
    "base.Job": {"facets": "job"},
    "base.StaticDataset": {"facets": "dataset"},
    "base.InputDataset": {"facets": "dataset", "inputFacets": "input_dataset"},
    "base.OutputDataset": {"facets": "dataset", "outputFacets": "output_dataset"},
}
"""Where facets lie in the definitions of the core: definition -> property -> whose facets."""


@cache
def client_version() -> str:
    """The version of the installed openlineage-python."""
    return metadata.version("openlineage-python")


@cache
def known() -> Derived:
    """OpenLineage's definitions and facets with ours added; read once a process."""
    definitions, facets = _cached()
    for spec in modeltrail_schemas.FACETS:
        name = f"modeltrail.{spec.class_name}"
        definitions[name] = modeltrail_schemas.facet_schema(spec.key)["$defs"][spec.class_name]
        facets[spec.entity][spec.key] = name
    return Derived(definitions, facets)


@cache
def digest() -> str:
    """SHA-256 of all definitions, the first 16 hex characters."""
    canonical = json.dumps(known(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def event_schema(kind: EventKind) -> Schema:
    """The whole of one kind of event: the core, and each known facet by its own schema."""
    return {"$ref": f"#/$defs/base.{EVENTS[kind]}", "$defs": _bundle()}


def core_schema(kind: EventKind) -> Schema:
    """One kind of event with the contents of its facets left out."""
    opaque: dict[str, Schema] = {f"facets.{entity}": {"type": "object"} for entity in ENTITIES}
    return {"$ref": f"#/$defs/base.{EVENTS[kind]}", "$defs": {**_bundle(), **opaque}}


def core_fields(definitions: Iterable[str]) -> list[str]:
    """The fields of some definitions of the core."""
    found = (known().definitions[f"base.{name}"]["properties"] for name in definitions)
    return sorted({field for properties in found for field in properties})


def facet_map_schema(entity: str) -> Schema:
    """The facets of one run, job or dataset, each known one by its own schema."""
    return {"$ref": f"#/$defs/facets.{entity}", "$defs": _bundle()}


def list_schema(definition: str) -> Schema:
    """A list of one definition of the core, with all that lies in it."""
    return {"items": {"$ref": f"#/$defs/{definition}"}, "$defs": _bundle()}


def facet_schema(entity: str, key: str | None) -> Schema:
    """One facet of an entity by its key; None stands for an unknown one."""
    facets = _bundle()[f"facets.{entity}"]
    chosen = facets["additionalProperties"] if key is None else facets["properties"][key]
    return {**chosen, "$defs": _bundle()}


def facet_base_schema(entity: str) -> Schema:
    """What every facet of an entity follows, known or not."""
    return known().definitions[f"base.{ENTITIES[entity]}"]


def shell(name: str) -> Schema:
    """One definition of the core without what lies in it; of lists and facets only that they are such."""
    definition = known().definitions[name]
    outer = {key: _outermost(value) for key, value in definition["properties"].items()}
    return {**definition, "properties": outer}


def is_tombstone(entity: str, facet: Mapping[str, object]) -> bool:
    """A deleted facet stands for any job or dataset facet, and needs none of its fields."""
    return entity in _DELETABLE and facet.get("_deleted") is True


def own_part(entity: str, key: str) -> Schema:
    """A known facet's schema without the fields of the facet base."""
    definitions, facets = known()
    definition = definitions[facets[entity][key]]
    own = dict(definition)
    own["properties"] = {k: v for k, v in definition.get("properties", {}).items() if k not in BASE_FIELDS}
    own["required"] = [k for k in definition.get("required", ()) if k not in BASE_FIELDS]
    return {**own, "$defs": definitions}


@cache
def _bundle() -> dict[str, Schema]:
    definitions, facets = known()
    bundle = {name: _with_facets(name, definition) for name, definition in definitions.items()}
    for entity, keys in facets.items():
        base = {"$ref": f"#/$defs/base.{ENTITIES[entity]}"}
        properties = {key: _unless_deleted(entity, name) for key, name in keys.items()}
        bundle[f"facets.{entity}"] = {
            "type": "object",
            "properties": properties,
            "additionalProperties": base,
        }
    return bundle


def _outermost(property_: Schema) -> Schema:
    if "$ref" in property_:
        return {}  # a run, job or dataset: it is looked at by itself
    return {"type": property_["type"]} if property_.get("type") in {"object", "array"} else property_


def _with_facets(name: str, definition: Schema) -> Schema:
    maps = FACET_MAPS.get(name)
    if maps is None:
        return definition
    properties = {key: {"$ref": f"#/$defs/facets.{entity}"} for key, entity in maps.items()}
    return {**definition, "properties": {**definition["properties"], **properties}}


def _unless_deleted(entity: str, name: str) -> Schema:
    if entity not in _DELETABLE:
        return {"$ref": f"#/$defs/{name}"}
    tombstone = {"properties": {"_deleted": {"const": True}}, "required": ["_deleted"]}
    base = {"$ref": f"#/$defs/base.{ENTITIES[entity]}"}
    return {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"allOf": [base, tombstone]}]}


def _cached() -> Derived:
    """The derived schema from the user's cache, else derived now: importing openlineage takes 0.7 s."""
    path = _cache_path()
    if path is not None and (found := _load(path)) is not None:
        return found
    derived = derive.derive()
    if path is not None:
        _save(path, derived)
    return derived


def _cache_path() -> Path | None:
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home
        return None
    return root / "modeltrail" / f"openlineage-{client_version()}-judge-{JUDGE_VERSION}.json"


def _load(path: Path) -> Derived | None:
    """None for a file that is not there, half written or not ours: its first line is the rest's digest."""
    try:
        expected, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(body).hexdigest().encode() != expected:
        return None
    return Derived(**json.loads(body))


def _save(path: Path, derived: Derived) -> None:
    body = json.dumps(derived._asdict()).encode()
    with contextlib.suppress(OSError):  # a cache that cannot be written costs 0.7 s at each start
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        Path(temporary).replace(path)
