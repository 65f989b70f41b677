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

import jsonschema_rs

from modeltrail_collector.judge import schema
from modeltrail_collector.judge.codes import Code
from modeltrail_collector.model import EventKind, Reason

MAX_REASONS: Final = 20
"""Reasons listed for one record; the core's come first, so a rejection is never crowded out."""

_MAX_SEEN: Final = 80
_MAX_PATH: Final = 300

Path = tuple[str | int, ...]
Part = tuple[Path, Any]

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


def not_an_object(value: object) -> Reason:
    """The reason against a value that is JSON but no event."""
    return Reason(Code.TYPE, "$", f"an event is an object, found {seen(value)}")


def seen(value: object) -> str:
    """A value as a message shows it: JSON, cut at 80 characters."""
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, str) and len(value) > _MAX_SEEN:
        return json.dumps(value[:_MAX_SEEN], ensure_ascii=False) + f"... ({len(value)} characters)"
    return json.dumps(value, ensure_ascii=False)


def json_path(path: Path) -> str:
    """`$.inputs[0].facets['a.b']`; cut at 300 characters."""
    text = "$"
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.isidentifier():
            text += f".{step}"
        else:
            text += "['" + step[:_MAX_PATH].replace("\\", "\\\\").replace("'", "\\'") + "']"
    return text if len(text) <= _MAX_PATH else text[:_MAX_PATH] + "..."


def _core(event: dict[str, Any], kind: EventKind) -> Iterator[Reason]:
    """The event with the contents of its facets left out, against the core schema."""
    name = schema.EVENTS[kind]
    yield from _check(_shell(f"base.{name}", "run", "job", "dataset", "inputs", "outputs"), (), event)
    for _, definition, path, part in _holders(event, kind):
        yield from _check(_shell(definition, "facets", "inputFacets", "outputFacets"), path, part)


def _facets(event: dict[str, Any], kind: EventKind) -> Iterator[Reason]:
    for entity, _, path, part in _holders(event, kind):
        if not isinstance(part, dict):
            continue
        yield from _facet_map(entity, (*path, "facets"), part.get("facets"))
        if entity == "dataset" and path[0] in {"inputs", "outputs"}:
            put = str(path[0]).removesuffix("s")
            yield from _facet_map(f"{put}_dataset", (*path, f"{put}Facets"), part.get(f"{put}Facets"))


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
    if not isinstance(facets, dict):
        return
    own = schema.known().facets[entity]
    base = _shell(schema.facet_base(entity))
    deletable = entity in {"job", "dataset"}
    for key, facet in facets.items():
        for reason in _check(base, (*path, key), facet):
            yield reason if reason.code == Code.FORMAT else _recoded(reason, Code.FACET_BASE)
        deleted = deletable and isinstance(facet, dict) and facet.get("_deleted") is True
        if key in own and isinstance(facet, dict) and not deleted:
            yield from _own_facet(entity, key, (*path, key), facet)


def _own_facet(entity: str, key: str, path: Path, facet: dict[str, Any]) -> Iterator[Reason]:
    # The first error only: listing all of a hostile facet's takes seconds and gigabytes.
    try:
        _own(entity, key).validate(facet)
    except jsonschema_rs.ValidationError as error:
        reason = _reason(error, path, facet)
        yield reason if reason.code == Code.FORMAT else _recoded(reason, Code.FACET_SCHEMA)


def _check(validator: jsonschema_rs.Draft202012Validator, path: Path, value: Any) -> Iterator[Reason]:
    if not validator.is_valid(value):
        for error in validator.iter_errors(value):
            yield _reason(error, path, value)


def _recoded(reason: Reason, code: Code) -> Reason:
    return Reason(code, reason.path, reason.message)


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
            message = "a DatasetEvent has not both job and run; a JobEvent has no run"
        case _:
            message = f"breaks {keyword} of its schema, found {seen(value)}"
    return Reason(_KEYWORDS.get(keyword, Code.FORBIDDEN), json_path(where), message)


@cache
def _shell(name: str, *opaque: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema.shell(name, *opaque), validate_formats=True)


@cache
def _own(entity: str, key: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema.own_part(entity, key), validate_formats=True)
