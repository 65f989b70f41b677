"""Bytes to verdict: a fast yes on the bytes themselves, and a slower, exact look at all else."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import corvus_json_schema_rs as corvus
import msgspec
import orjson

from modeltrail_collector.judge import schema
from modeltrail_collector.judge.codes import WARNINGS, Code
from modeltrail_collector.judge.reasons import Path, find_reasons, reason, seen
from modeltrail_collector.model import EventKind, Level, Reason, Verdict

MAX_BYTES: Final = 16 * 2**20
"""Bytes of the largest value that is looked into; a Kafka broker takes 1 MiB unless it is told otherwise."""

MAX_DEPTH: Final = 127
"""Arrays and objects in one another; the depth at which corvus stops parsing."""

MAX_KEYS: Final = 500_000
"""Object members of one value, in all its objects together."""

# An object member takes at least five bytes of JSON, so what is smaller has not too many.
_FEW_KEYS: Final = 5 * MAX_KEYS

_EVENT_KINDS: Final[dict[str, EventKind]] = {name: kind for kind, name in schema.EVENTS.items()}


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
    envelope = _envelope(value)
    kind = _kind_by_url(envelope.schemaURL) if envelope else None
    try:
        valid = validators[kind].is_valid_json(value)
    except ValueError as error:  # no JSON that corvus reads
        return _unreadable(value, str(error))
    except (corvus.SchemaEvaluationDepthError, corvus.PatternMatchLimitError):
        valid = False
    if valid and envelope and kind:
        return _accepted(envelope, kind)
    event = orjson.loads(value)
    if not isinstance(event, dict):
        return _rejected(Code.TYPE, f"an event is an object, found {seen(event)}")
    if len(value) > _FEW_KEYS and (keys := _count_keys(event)) > MAX_KEYS:
        message = f"has {keys} object members, the limit is {MAX_KEYS}"
        return _verdict("rejected", (reason(Code.TOO_MANY_KEYS, message),), event)
    reasons = find_reasons(event, _kind(event) or "run")
    if not reasons:
        return _verdict("accepted", (), event)
    kept = all(found.code in WARNINGS for found in reasons)
    return _verdict("warned" if kept else "rejected", reasons, event)


def _envelope(value: bytes) -> _Envelope | None:
    """The event's fields; None for what needs a closer look whatever its schema says."""
    if len(value) > _FEW_KEYS:
        return None
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
    try:
        event = json.loads(value.decode(errors="surrogateescape"))
    except (ValueError, RecursionError):
        event = None
    try:
        value.decode()
    except UnicodeDecodeError as found:
        message = f"byte {found.start} is no UTF-8: {found.reason}"
        return _verdict("rejected", (reason(Code.NOT_UTF8, message),), event)
    path = _not_finite(event)
    if path is None:
        return _verdict("rejected", (reason(Code.NOT_JSON, error),), event)
    message = "NaN, Infinity and numbers too large for a double are not JSON; write null"
    return _verdict("rejected", (reason(Code.NOT_FINITE, message, path),), event)


def _not_finite(event: object) -> Path | None:
    """The path of the first number that is NaN or infinite."""
    path: list[str | int] = []
    open_: list[Iterator[tuple[str | int, object]]] = [iter(_members([event]))]
    while open_:
        for step, value in open_[-1]:
            if isinstance(value, float) and not math.isfinite(value):
                return (*path, step)[1:]
            if isinstance(value, dict | list):
                path.append(step)
                open_.append(iter(_members(value)))
                break
        else:
            open_.pop()
            path[-1:] = []
    return None


def _members(value: dict[str, object] | list[object]) -> Iterable[tuple[str | int, object]]:
    return value.items() if isinstance(value, dict) else enumerate(value)


def _count_keys(event: object) -> int:
    count, stack = 0, [event]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            count += len(value)
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return count


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
