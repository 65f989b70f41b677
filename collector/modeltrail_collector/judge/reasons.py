"""Why an event is not plainly accepted: the slow, exact look at what the fast one refused.

The event is taken apart along its known structure, and each part is checked alone: the event, its run, its
job and its datasets without what lies inside, then each facet. So a reason tells core from facet by where it
was found, and an event full of errors costs no more than MAX_REASONS of them.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import corvus_json_schema_rs as corvus
import jsonschema_rs
from jsonschema_rs import Draft202012Validator as Validator

from modeltrail_collector.judge import schema
from modeltrail_collector.judge.codes import Code
from modeltrail_collector.judge.derive import Schema
from modeltrail_collector.judge.large import Array
from modeltrail_collector.judge.messages import reason, seen, step_into
from modeltrail_collector.model import EventKind, Reason

MAX_REASONS: Final = 20
"""Reasons listed for one record; the core's come first, so a rejection is never crowded out."""

_CHUNK: Final = 32
"""Datasets and facets are looked at in groups: one by one takes three times as long to find none broken."""

_FEW: Final = 16

_HOLDERS: Final[dict[EventKind, tuple[tuple[str, str], ...]]] = {
    "run": (("run", "base.Run"), ("job", "base.Job")),
    "job": (("job", "base.Job"),),
    "dataset": (("dataset", "base.StaticDataset"),),
}
_PUTS: Final = (("inputs", "base.InputDataset"), ("outputs", "base.OutputDataset"))

_KEYWORDS: Final = {"required": Code.REQUIRED, "type": Code.TYPE, "enum": Code.ENUM, "format": Code.FORMAT}
_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "string": str,
    "object": dict,
    "array": (list, Array),
    "boolean": bool,
}
_FORMATS: Final = {"uri": "a URI", "date-time": "an RFC 3339 date-time with an offset", "uuid": "a UUID"}


def find_reasons(event: dict[str, Any], kind: EventKind, limit: int = MAX_REASONS) -> tuple[Reason, ...]:
    """All that is wrong with an event, rejections before warnings of facets; none if nothing is.

    Args:
        event: the parsed value.
        kind: which of OpenLineage's three events it is to be.
        limit: the most reasons that are listed.
    """
    found = itertools.chain(_core(event, kind), _facets(event, kind))
    return tuple(itertools.islice(found, limit))


def outer_reasons(event: dict[str, Any], kind: EventKind, show: Callable[[Any], str] = seen) -> list[Reason]:
    """What is wrong with an event, its run and its job, whatever lies in their facets and in the datasets.

    Args:
        event: the parsed value, or its outline.
        kind: which of OpenLineage's three events it is to be.
        show: how a message shows a value.
    """
    found = _check(_shell(f"base.{schema.EVENTS[kind]}"), "$", event, show)
    for name, definition in _HOLDERS[kind]:
        if name in event:
            found += _check(_shell(definition), f"$.{name}", event[name], show)
    return found


def _core(event: dict[str, Any], kind: EventKind) -> Iterator[Reason]:
    """The event with the contents of its facets left out, against the core schema."""
    if _whole_core(kind).is_valid(event):
        return
    yield from outer_reasons(event, kind)
    for definition, path, dataset in _datasets(event, kind, _list_of_cores):
        yield from _check(_shell(definition), path, dataset)


def _facets(event: dict[str, Any], kind: EventKind) -> Iterator[Reason]:
    for name, definition in _HOLDERS[kind]:
        yield from _facets_of(definition, f"$.{name}", event.get(name))
    for definition, path, dataset in _datasets(event, kind, _list_of):
        yield from _facets_of(definition, path, dataset)


def _datasets(
    event: dict[str, Any], kind: EventKind, list_of: Callable[[str], Validator]
) -> Iterator[tuple[str, str, Any]]:
    """The datasets that are not valid, and some of the others: (definition, path, value)."""
    for put, definition in _PUTS if kind != "dataset" else ():
        datasets = event.get(put)
        if not isinstance(datasets, list):
            continue
        for start in range(0, len(datasets), _CHUNK):
            some = datasets[start : start + _CHUNK]
            if len(some) < _FEW or not list_of(definition).is_valid(some):
                for index, dataset in enumerate(some, start):
                    yield definition, f"$.{put}[{index}]", dataset


def _facets_of(definition: str, path: str, holder: Any) -> Iterator[Reason]:
    if not isinstance(holder, dict):
        return
    for name, entity in schema.FACET_MAPS[definition].items():
        facets = holder.get(name)
        if isinstance(facets, dict) and facets:
            yield from _facet_map(entity, f"{path}.{name}", facets)


def _facet_map(entity: str, path: str, facets: dict[str, Any]) -> Iterator[Reason]:
    own, validator = schema.known().facets[entity], _all_facets(entity)
    for some in [facets] if len(facets) <= _CHUNK else _groups(facets):
        if validator.is_valid(some):
            continue
        for key, facet in some.items():
            if not _facet(entity, key if key in own else None).is_valid(facet):
                yield from _facet_reasons(entity, key, step_into(path, key), facet, known=key in own)


def _groups(facets: dict[str, Any]) -> Iterator[dict[str, Any]]:
    items = iter(facets.items())
    while some := dict(itertools.islice(items, _CHUNK)):
        yield some


def _facet_reasons(entity: str, key: str, path: str, facet: Any, *, known: bool) -> Iterator[Reason]:
    for found in _check(_facet_base(entity), path, facet):
        yield _recoded(found, Code.FACET_BASE)
    if known and isinstance(facet, dict) and not schema.is_tombstone(entity, facet):
        yield from _own_facet(_own_part(entity, key), path, facet)


def _own_facet(validator: Validator, path: str, facet: dict[str, Any]) -> Iterator[Reason]:
    # The first error only: listing all of a hostile facet's takes seconds and gigabytes.
    try:
        validator.validate(facet)
    except jsonschema_rs.ValidationError as error:
        yield _recoded(_reason(error, path, facet), Code.FACET_SCHEMA)


class _Field(NamedTuple):
    """A field of a definition: its type, what else it must be, and how that is told."""

    name: str
    type: type | tuple[type, ...]
    type_name: str
    is_allowed: Callable[[Any], bool] | None
    code: Code
    must: str


class _Shell(NamedTuple):
    """One definition without what lies in it.

    jsonschema-rs needs some microseconds for each error that it tells of, which is the time to judge a
    valid event of a kilobyte: what is wrong with the few fields of the core is looked for here.
    """

    fields: tuple[_Field, ...]
    required: tuple[str, ...]
    forbidden: tuple[str, ...]


_ABSENT: Final = object()


def _check(shell: _Shell, path: str, value: Any, show: Callable[[Any], str] = seen) -> list[Reason]:
    if not isinstance(value, dict):
        return [reason(Code.TYPE, f"must be of type object, found {show(value)}", path)]
    found = [
        reason(Code.REQUIRED, f"{name} is missing", f"{path}.{name}")
        for name in shell.required
        if name not in value
    ]
    for name, type_, type_name, is_allowed, code, must in shell.fields:
        field = value.get(name, _ABSENT)
        if field is _ABSENT:
            continue
        if not isinstance(field, type_):
            message = f"must be of type {type_name}, found {show(field)}"
            found.append(reason(Code.TYPE, message, f"{path}.{name}"))
        elif is_allowed and not is_allowed(field):
            found.append(reason(code, f"{must}, found {show(field)}", f"{path}.{name}"))
    if shell.forbidden and all(name in value for name in shell.forbidden):
        message = f"this kind of event has no {' and '.join(shell.forbidden)}"
        found.append(reason(Code.FORBIDDEN, message, f"{path}.run"))
    return found


def _recoded(found: Reason, code: Code) -> Reason:
    """What was found in a facet only warns, whatever its kind; a broken format stays one."""
    return found if found.code == Code.FORMAT else Reason(str(code), found.path, found.message)


def _reason(error: jsonschema_rs.ValidationError, path: str, value: Any) -> Reason:
    keyword = error.kind.name
    details = error.kind.as_dict()
    for step in error.instance_path:
        path = step_into(path, step)
        # The library's path lacks a step whose name is empty: what it names next is not there.
        with contextlib.suppress(KeyError, TypeError, IndexError):
            value = value[step]
    match keyword:
        case "required":
            path = step_into(path, details["property"])
            message = f"{details['property']} is missing"
        case "type":
            message = f"must be of type {' or '.join(details['types'])}, found {seen(value)}"
        case "enum":
            message = f"must be one of {', '.join(map(str, details['options']))}, found {seen(value)}"
        case "format":
            message = f"must be {_FORMATS.get(details['format'], details['format'])}, found {seen(value)}"
        case _:
            message = f"breaks {keyword} of its schema, found {seen(value)}"
    return reason(_KEYWORDS.get(keyword, Code.FORBIDDEN), message, path)


@cache
def _whole_core(kind: EventKind) -> Validator:
    return _compiled(schema.core_schema(kind))


@cache
def _shell(name: str) -> _Shell:
    return _shell_of(schema.shell(name))


@cache
def _list_of(definition: str) -> Validator:
    return _compiled(schema.list_schema(definition))


@cache
def _list_of_cores(definition: str) -> Validator:
    return _compiled({"items": schema.shell(definition)})


@cache
def _all_facets(entity: str) -> Validator:
    return _compiled(schema.facet_map_schema(entity))


@cache
def _facet(entity: str, key: str | None) -> Validator:
    return _compiled(schema.facet_schema(entity, key))


@cache
def _facet_base(entity: str) -> _Shell:
    return _shell_of(schema.facet_base_schema(entity))


def _shell_of(rules: Schema) -> _Shell:
    fields = tuple(_field(name, rule) for name, rule in rules["properties"].items() if rule)
    return _Shell(fields, tuple(rules["required"]), tuple(rules.get("not", {}).get("required", ())))


def _field(name: str, rule: Schema) -> _Field:
    match rule:
        case {"enum": allowed, **rest} if not rest:
            return _Field(
                name, object, "", _one_of(allowed), Code.ENUM, f"must be one of {', '.join(allowed)}"
            )
        case {"type": type_, "format": format_, **rest} if not rest and type_ in _TYPES:
            must = f"must be {_FORMATS.get(format_, format_)}"
            return _Field(name, _TYPES[type_], type_, _format(format_), Code.FORMAT, must)
        case {"type": type_, **rest} if not rest and type_ in _TYPES:
            return _Field(name, _TYPES[type_], type_, None, Code.TYPE, "")
    return _Field(name, object, "", _compiled(rule).is_valid, Code.FORBIDDEN, "breaks its schema")


def _one_of(allowed: list[Any]) -> Callable[[Any], bool]:
    return lambda value: value in allowed


@cache
def _format(name: str) -> Callable[[Any], bool]:
    if name == "date-time":
        return _date_time().is_valid
    return _compiled({"format": name}).is_valid


@cache
def _date_time() -> corvus.Validator:
    """jsonschema-rs 0.60 takes "2,20-01-01T00:00:00Z" for a date-time; corvus does not."""
    return corvus.compile({"format": "date-time"}, assert_format=True)


@cache
def _own_part(entity: str, key: str) -> Validator:
    return _compiled(schema.own_part(entity, key))


def _compiled(rules: Schema) -> Validator:
    return Validator(rules, validate_formats=True, formats={"date-time": _date_time().is_valid})
