"""Why an event is not plainly accepted: the slow, exact look at what the fast one refused.

The event is taken apart along its known structure, and each part is checked alone: the event, its run, its
job and its datasets without what lies inside, then each facet. So a reason tells core from facet by where it
was found, and an event full of errors costs no more than MAX_REASONS of them.
"""

import itertools
import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import corvus_json_schema_rs as corvus
import jsonschema_rs
from jsonschema_rs import Draft202012Validator as Validator

from modeltrail_collector.judge import schema
from modeltrail_collector.judge.codes import Code
from modeltrail_collector.judge.derive import Schema
from modeltrail_collector.model import EventKind, Reason

MAX_REASONS: Final = 20
"""Reasons listed for one record; the core's come first, so a rejection is never crowded out."""

_MAX_SEEN: Final = 80
_MAX_PATH: Final = 300

Path = tuple[str | int, ...]

_KEYWORDS: Final = {"required": Code.REQUIRED, "type": Code.TYPE, "enum": Code.ENUM, "format": Code.FORMAT}
_FORMATS: Final = {"uri": "a URI", "date-time": "an RFC 3339 date-time with an offset", "uuid": "a UUID"}


def find_reasons(event: dict[str, Any], kind: EventKind) -> tuple[Reason, ...]:
    """All that is wrong with an event, rejections before warnings of facets; none if nothing is.

    Args:
        event: the parsed value.
        kind: which of OpenLineage's three events it is to be.
    """
    found = itertools.chain(_core(event, kind), _facets(event, kind))
    return tuple(itertools.islice(found, MAX_REASONS))


def reason(code: Code, message: str, path: Path = ()) -> Reason:
    """One reason; the empty path is the whole value's."""
    return Reason(code.value, json_path(path), message)


_show = json.JSONEncoder(ensure_ascii=False).encode


def seen(value: object) -> str:
    """A value as a message shows it: JSON, cut at 80 characters."""
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, str) and len(value) > _MAX_SEEN:
        return _show(value[:_MAX_SEEN]) + f"... ({len(value)} characters)"
    return _show(value)


def json_path(path: Path) -> str:
    """`$.inputs[0].facets['a.b']`; cut at 300 characters."""
    text = "$"
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.isidentifier():
            text += f".{step}"
        else:
            # A key may hold half of a surrogate pair, which no log can.
            name = step[:_MAX_PATH].encode(errors="replace").decode()
            text += "['" + name.replace("\\", "\\\\").replace("'", "\\'") + "']"
    return text if len(text) <= _MAX_PATH else text[:_MAX_PATH] + "..."


def _core(event: dict[str, Any], kind: EventKind) -> Iterator[Reason]:
    """The event with the contents of its facets left out, against the core schema."""
    if _whole_core(kind).is_valid(event):
        return
    yield from _check(_shell(f"base.{schema.EVENTS[kind]}"), (), event)
    for _, definition, path, part in _holders(event, kind):
        yield from _check(_shell(definition), path, part)


def _facets(event: dict[str, Any], kind: EventKind) -> Iterator[Reason]:
    for entity, _, path, part in _holders(event, kind):
        if not isinstance(part, dict):
            continue
        if facets := part.get("facets"):
            yield from _facet_map(entity, (*path, "facets"), facets)
        if entity == "dataset" and path[0] != "dataset":
            put = "input" if path[0] == "inputs" else "output"
            if facets := part.get(f"{put}Facets"):
                yield from _facet_map(f"{put}_dataset", (*path, f"{put}Facets"), facets)


def _holders(event: dict[str, Any], kind: EventKind) -> Iterator[tuple[str, str, Path, Any]]:
    """What has facets: (entity, definition, path, value) of the run, the job and each dataset."""
    if kind == "dataset":
        if "dataset" in event:
            yield "dataset", "base.StaticDataset", ("dataset",), event["dataset"]
        return
    if kind == "run" and "run" in event:
        yield "run", "base.Run", ("run",), event["run"]
    if "job" in event:
        yield "job", "base.Job", ("job",), event["job"]
    for put, definition in (("inputs", "base.InputDataset"), ("outputs", "base.OutputDataset")):
        datasets = event.get(put)
        for index, dataset in enumerate(datasets if isinstance(datasets, list) else ()):
            yield "dataset", definition, (put, index), dataset


def _facet_map(entity: str, path: Path, facets: object) -> Iterator[Reason]:
    if not isinstance(facets, dict) or _all_facets(entity).is_valid(facets):
        return
    own = schema.known().facets[entity]
    for key, facet in facets.items():
        if _facet(entity, key if key in own else None).is_valid(facet):
            continue
        where = (*path, key)
        for found in _check(_facet_base(entity), where, facet):
            yield _recoded(found, Code.FACET_BASE)
        if key in own and isinstance(facet, dict) and not schema.is_tombstone(entity, facet):
            yield from _own_facet(_own_part(entity, key), where, facet)


def _own_facet(validator: Validator, path: Path, facet: dict[str, Any]) -> Iterator[Reason]:
    # The first error only: listing all of a hostile facet's takes seconds and gigabytes.
    try:
        validator.validate(facet)
    except jsonschema_rs.ValidationError as error:
        yield _recoded(_reason(error, path, facet), Code.FACET_SCHEMA)


def _check(validator: Validator, path: Path, value: Any) -> Iterator[Reason]:
    if not validator.is_valid(value):
        for error in validator.iter_errors(value):
            yield _reason(error, path, value)


def _recoded(found: Reason, code: Code) -> Reason:
    """What was found in a facet only warns, whatever its kind; a broken format stays one."""
    return found if found.code == Code.FORMAT else Reason(code.value, found.path, found.message)


def _reason(error: jsonschema_rs.ValidationError, path: Path, value: Any) -> Reason:
    keyword = error.kind.name
    details = error.kind.as_dict()
    where = (*path, *error.instance_path)
    for step in error.instance_path:
        value = value[step]
    match keyword:
        case "required":
            where = (*where, details["property"])
            message = f"{details['property']} is missing"
        case "type":
            message = f"must be of type {' or '.join(details['types'])}, found {seen(value)}"
        case "enum":
            message = f"must be one of {', '.join(map(str, details['options']))}, found {seen(value)}"
        case "format":
            message = f"must be {_FORMATS.get(details['format'], details['format'])}, found {seen(value)}"
        case "not":
            where = (*where, "run")
            message = f"this kind of event has no {' and '.join(details['schema']['required'])}"
        case _:
            message = f"breaks {keyword} of its schema, found {seen(value)}"
    return reason(_KEYWORDS.get(keyword, Code.FORBIDDEN), message, where)


@cache
def _whole_core(kind: EventKind) -> Validator:
    return _compiled(schema.core_schema(kind))


@cache
def _shell(name: str) -> Validator:
    return _compiled(schema.shell(name))


@cache
def _all_facets(entity: str) -> Validator:
    return _compiled(schema.facet_map_schema(entity))


@cache
def _facet(entity: str, key: str | None) -> Validator:
    return _compiled(schema.facet_schema(entity, key))


@cache
def _facet_base(entity: str) -> Validator:
    return _compiled(schema.facet_base_schema(entity))


@cache
def _own_part(entity: str, key: str) -> Validator:
    return _compiled(schema.own_part(entity, key))


def _compiled(rules: Schema) -> Validator:
    # jsonschema-rs 0.60 takes "2,20-01-01T00:00:00Z" for a date-time; corvus does not.
    date_time = corvus.compile({"format": "date-time"}, assert_format=True).is_valid
    return Validator(rules, validate_formats=True, formats={"date-time": date_time})
