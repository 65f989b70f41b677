"""Bytes to verdict: a fast yes on the bytes themselves, and a slower, exact look at all else."""

import gc
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import corvus_json_schema_rs as corvus
import msgspec
import orjson

from modeltrail_collector.judge import large, schema
from modeltrail_collector.judge.codes import WARNINGS, Code
from modeltrail_collector.judge.messages import json_path, reason, seen
from modeltrail_collector.judge.reasons import MAX_REASONS, find_reasons, outer_reasons
from modeltrail_collector.model import EventKind, Level, Reason, Verdict

MAX_BYTES: Final = 16 * 2**20
"""Bytes of the largest value that is looked into; a Kafka broker takes 1 MiB unless it is told otherwise."""

MAX_DEPTH: Final = 127
"""Arrays and objects in one another; the depth at which corvus stops parsing."""

MAX_KEYS: Final = 500_000
"""Object members and array items of one value, in all its objects and arrays together."""

MAX_EXAMINED_BYTES: Final = 2 * 2**20
"""An event with something wrong with it is taken apart up to here; of a larger one only the verdict is told.

A value becomes Python's objects only there: these take ten times the room of the validator's, and forty times
that of the bytes.
"""

_LEAST_REASONS: Final = 6
_BYTES_A_REASON: Final = 200
"""A short value has fewer reasons, as each takes as long as to accept some hundred bytes."""

_UNTOLD: Final = "it has too many values for its size, or is too large, to be told where"

_EVENT_KINDS: Final[dict[str, EventKind]] = {name: kind for kind, name in schema.EVENTS.items()}
_NAMES: Final = tuple((f'/{name}"'.encode(), kind) for name, kind in _EVENT_KINDS.items())


class _Run(msgspec.Struct, gc=False):
    runId: str  # noqa: N815  OpenLineage's names


class _Job(msgspec.Struct, gc=False):
    namespace: str
    name: str


class _Envelope(msgspec.Struct, gc=False):
    """What the log keeps beside the bytes; all else of the event is skipped over."""

    eventTime: str  # noqa: N815
    schemaURL: str  # noqa: N815
    eventType: str | None = None  # noqa: N815
    run: _Run | None = None
    job: _Job | None = None


_read_envelope = msgspec.json.Decoder(_Envelope).decode


def judge(value: bytes | None, *, strict: bool = False) -> Verdict:
    """Judge one record's value. Pure, and never raises for any value.

    *Rejected*: the value is no JSON object, or the event with the contents of its facets left out breaks
    OpenLineage's core schema. *Warned*: it is kept, but a facet breaks its schema or the facet base, or some
    `format` is broken. *Accepted*: all else; unknown facets and unknown fields pass. Which kind of event it
    is to be follows from the last segment of `schemaURL`, else from the fields it has. Of a key that is given
    twice in one object the last value counts, as for every reader of the log.

    Args:
        value: the bytes of the Kafka record, or the line of the file.
        strict: reject what would be warned about.
    """
    validators = _validators()
    try:
        verdict = _judge(value, validators)
    except Exception as error:  # the validators are not ours; whatever they do, the record is kept
        verdict = _rejected(Code.UNJUDGED, f"{type(error).__name__} while judging: {str(error)[:200]}")
    if strict and verdict.verdict == "warned":
        return msgspec.structs.replace(verdict, verdict="rejected")
    return verdict


def _judge(value: bytes | None, validators: Mapping[EventKind | None, corvus.Validator]) -> Verdict:
    if value is None:
        return _rejected(Code.NULL_VALUE, "the record has no value")
    if len(value) > MAX_BYTES:
        return _rejected(Code.TOO_LARGE, f"has {len(value)} bytes, the limit is {MAX_BYTES}")
    if len(value) > MAX_KEYS and large.has_more_values(value, MAX_KEYS):
        return _too_many(value)
    kind = _kind_named(value)
    try:
        valid = validators[kind].is_valid_json(value)
    except ValueError as error:  # no JSON that corvus reads
        return _unreadable(value, str(error))
    except (corvus.SchemaEvaluationDepthError, corvus.PatternMatchLimitError):
        valid = False
    if valid and kind and (envelope := _envelope(value)) and kind == _kind_by_url(envelope.schemaURL):
        return _accepted(envelope, kind)
    is_large = len(value) > MAX_EXAMINED_BYTES
    if is_large or large.is_dear(value, large.SPARSE):
        found = _outlined(value, None if valid else kind)
        if found.verdict != "warned" or is_large or large.is_dear(value, large.DENSE):
            return found
    collecting = gc.isenabled()
    gc.disable()  # it would go through all the new objects again and again; they hold no cycle
    try:
        return _examined(
            orjson.loads(value), min(MAX_REASONS, _LEAST_REASONS + len(value) // _BYTES_A_REASON)
        )
    finally:
        if collecting:
            gc.enable()


def _examined(event: object, limit: int) -> Verdict:
    if not isinstance(event, dict):
        return _rejected(Code.TYPE, f"an event is an object, found {seen(event)}")
    return _with_reasons(find_reasons(event, _kind(event) or "run", limit), event)


def _outlined(value: bytes, broken: EventKind | None) -> Verdict:
    """The verdict on an event that is too dear to be taken apart: is it the core, or a facet or a format?

    `broken` is the kind of event that it is known to be no valid one of.
    """
    outline = large.outline(value)
    if outline is None:
        return _rejected(Code.TYPE, f"an event is an object, found {large.told(value)}")
    event, lists = outline
    kind = _kind(event) or "run"
    reasons = tuple(outer_reasons(event, kind, large.seen))
    if any(found.code not in WARNINGS for found in reasons):
        return _with_reasons(reasons, event)
    if kind != "dataset" and (path := large.no_object(lists)):
        reasons = (reason(Code.TYPE, "must be of type object", path), *reasons)
    elif not _is_valid(_core(kind), msgspec.json.encode(event | lists)):
        message = f"breaks the schema of a {schema.EVENTS[kind]}; {_UNTOLD}"
        reasons = (reason(Code.TYPE, message), *reasons)
    elif not reasons and (kind == broken or not _is_valid(_validators()[kind], value)):
        reasons = (reason(Code.FACET_SCHEMA, f"breaks the schema of a facet, or a format; {_UNTOLD}"),)
    return _with_reasons(reasons, event)


def _is_valid(validator: corvus.Validator, value: bytes) -> bool:
    try:
        return bool(validator.is_valid_json(value))
    except (corvus.SchemaEvaluationDepthError, corvus.PatternMatchLimitError):
        return False


def _with_reasons(reasons: tuple[Reason, ...], event: dict[str, Any]) -> Verdict:
    kept = all(found.code in WARNINGS for found in reasons)
    return _verdict("rejected" if not kept else "warned" if reasons else "accepted", reasons, event)


def _too_many(value: bytes) -> Verdict:
    if found := large.unreadable(value):
        return _rejected(*found)
    message = f"has more than {MAX_KEYS} object members and array items"
    return _verdict("rejected", (reason(Code.TOO_MANY_KEYS, message),), _fields(value))


def _fields(value: bytes) -> dict[str, Any] | None:
    outline = large.outline(value)
    return outline[0] if outline else None


def _envelope(value: bytes) -> _Envelope | None:
    """The event's fields; None for what needs a closer look whatever its schema says."""
    try:
        return _read_envelope(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _accepted(event: _Envelope, kind: EventKind) -> Verdict:
    if kind == "dataset":  # a stray run or job is not its own
        return Verdict("accepted", (), kind, None, event.eventTime)
    run = event.run if kind == "run" else None
    return Verdict(
        "accepted",
        (),
        kind,
        event.eventType if kind == "run" else None,
        event.eventTime,
        run.runId if run else None,
        event.job.namespace if event.job else None,
        event.job.name if event.job else None,
    )


def _unreadable(value: bytes, error: str) -> Verdict:
    """Why the parser refused the value, and what a lenient one can still read of it."""
    if "recursion limit" in error:
        return _rejected(Code.TOO_DEEP, f"nested deeper than {MAX_DEPTH}")
    if not value.strip():
        return _rejected(Code.EMPTY, f"has {len(value)} bytes, none of them an event")
    code, message = large.why(value, error)
    if code is Code.NOT_JSON and "surrogate" not in error:
        return _rejected(code, message)
    if len(value) > MAX_EXAMINED_BYTES or large.is_dear(value, large.SPARSE):
        return _verdict("rejected", (reason(code, message),), _fields(value))
    return _read_leniently(value, code, error)


def _read_leniently(value: bytes, code: Code, error: str) -> Verdict:
    try:
        event = json.loads(
            value.decode(errors="surrogateescape"), parse_int=float if "range" in error else None
        )
    except (ValueError, RecursionError):
        event = None
    if code is Code.NOT_UTF8:
        return _verdict("rejected", (reason(code, large.not_utf8(value)),), event)
    path = _not_finite(event)
    if path is None:
        return _verdict("rejected", (reason(Code.NOT_JSON, error),), event)
    message = "NaN, Infinity and numbers too large for a double are not JSON; write null"
    return _verdict("rejected", (reason(Code.NOT_FINITE, message, path),), event)


def _not_finite(event: object) -> str | None:
    """The path of the first number that is NaN or infinite."""
    path: list[str | int] = []
    open_: list[Iterator[tuple[str | int, object]]] = [iter(_members([event]))]
    while open_:
        for step, value in open_[-1]:
            kind = type(value)
            if kind is float:
                if not math.isfinite(value):  # type: ignore[arg-type]
                    return json_path((*path, step)[1:])
            elif kind is dict or kind is list:
                path.append(step)
                open_.append(iter(_members(value)))  # type: ignore[arg-type]
                break
        else:
            open_.pop()
            path[-1:] = []
    return None


def _members(value: dict[str, object] | list[object]) -> Iterable[tuple[str | int, object]]:
    return value.items() if isinstance(value, dict) else enumerate(value)


def _kind_named(value: bytes) -> EventKind | None:
    """The first kind that the bytes name, as the schema's URL does: a guess that spares a pass over them."""
    for name, kind in _NAMES:
        if value.find(name) >= 0:  # `in` takes twice as long
            return kind
    return None


def _kind_by_url(url: object) -> EventKind | None:
    return _EVENT_KINDS.get(url.rpartition("/")[2]) if isinstance(url, str) else None


def _kind(event: dict[str, Any]) -> EventKind | None:
    """What schemaURL says, else what the fields say; a job alone with an eventType has lost its run."""
    if kind := _kind_by_url(event.get("schemaURL")):
        return kind
    if "run" in event or "eventType" in event:
        return "run"
    if "dataset" in event:
        return "dataset"
    return "job" if "job" in event else None


def _rejected(code: Code, message: str) -> Verdict:
    return Verdict("rejected", (reason(code, message),))


def _verdict(level: Level, reasons: tuple[Reason, ...], event: object) -> Verdict:
    """The verdict with the event's fields, as far as they are there and are text."""
    if not isinstance(event, dict):
        return Verdict(level, reasons)
    kind = _kind(event)
    time = _text(event, "eventTime")
    if kind == "dataset":
        return Verdict(level, reasons, kind, None, time)
    event_type = None if kind == "job" else _text(event, "eventType")
    run, job = event.get("run"), event.get("job")
    return Verdict(
        level,
        reasons,
        kind,
        event_type,
        time,
        None if kind == "job" else _text(run, "runId"),
        _text(job, "namespace"),
        _text(job, "name"),
    )


def _text(holder: object, key: str) -> str | None:
    value = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: no log can hold it
        return None
    return value


@cache
def _validators() -> dict[EventKind | None, corvus.Validator]:
    """The check on each kind of event; under None the one that only asks for JSON."""
    found: dict[EventKind | None, corvus.Validator] = {None: corvus.compile({})}
    for kind in schema.EVENTS:
        found[kind] = corvus.compile(schema.event_schema(kind), assert_format=True)
    return found


@cache
def _core(kind: EventKind) -> corvus.Validator:
    """The check on one kind of event with the contents of its facets and its formats left out."""
    return corvus.compile(schema.core_schema(kind))
