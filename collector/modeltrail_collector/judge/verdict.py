"""Bytes to verdict: a fast yes on the bytes themselves, and a slow, exact look at all else."""

import json
import math
from functools import cache
from typing import Any, Final

import corvus_json_schema_rs as corvus
import msgspec
import orjson

from modeltrail_collector.judge import schema
from modeltrail_collector.judge.codes import WARNINGS, Code
from modeltrail_collector.judge.reasons import find_reasons, json_path, not_an_object
from modeltrail_collector.model import EventKind, Level, Reason, Verdict

MAX_BYTES: Final = 16 * 2**20
"""Bytes of the largest value that is looked into. The largest real event known to us has 23 MB, of which a
Kafka broker takes 1 MB unless it is told otherwise."""

MAX_DEPTH: Final = 127
"""Arrays and objects in one another; the depth at which corvus stops parsing."""

MAX_KEYS: Final = 500_000
"""Object members of one value, repeated ones included."""

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
    verdict = _fast(value) if value else None
    if verdict is not None:
        return verdict
    try:
        verdict = _slow(value)
    except Exception as error:  # the validators are not ours; whatever they do, the record is kept
        reason = Reason(
            Code.UNJUDGED, "$", f"could not be judged: {type(error).__name__}: {str(error)[:200]}"
        )
        verdict = Verdict("rejected", (reason,))
    if strict and verdict.verdict == "warned":
        return msgspec.structs.replace(verdict, verdict="rejected")
    return verdict


def _fast(value: bytes) -> Verdict | None:
    """The verdict on a valid event; None for all that needs a closer look."""
    if len(value) > _FEW_KEYS:
        return None
    validators = _validators()
    try:
        event = _read_envelope(value)
        kind = _kind_by_url(event.schemaURL)
        if kind is None or not validators[kind].is_valid_json(value):
            return None
    except Exception:  # no event, no JSON, nested too deep: the closer look tells which
        return None
    if kind == "dataset":  # a stray run or job is not its own
        return Verdict("accepted", (), kind, None, event.eventTime)
    run, job = event.run, event.job
    return Verdict(
        "accepted",
        (),
        kind,
        event.eventType if kind == "run" else None,
        event.eventTime,
        run.runId if run else None,
        job.namespace if job else None,
        job.name if job else None,
    )


def _slow(value: bytes | None) -> Verdict:
    if value is None:
        return _rejected(Code.NULL_VALUE, "the record has no value")
    if len(value) > MAX_BYTES:
        return _rejected(Code.TOO_LARGE, f"has {len(value)} bytes, the limit is {MAX_BYTES}")
    if not value.strip():
        return _rejected(Code.EMPTY, f"has {len(value)} bytes, none of them an event")
    try:
        _parser().is_valid_json(value)
    except ValueError as error:
        return _unreadable(value, str(error))
    event = orjson.loads(value)
    if not isinstance(event, dict):
        return Verdict("rejected", (not_an_object(event),))
    if len(value) > _FEW_KEYS and (keys := _count_keys(event)) > MAX_KEYS:
        reason = Reason(Code.TOO_MANY_KEYS, "$", f"has {keys} object members, the limit is {MAX_KEYS}")
        return _verdict("rejected", (reason,), event)
    reasons = find_reasons(event, _kind(event) or "run")
    if not reasons:
        return _verdict("accepted", (), event)
    kept = all(reason.code in WARNINGS for reason in reasons)
    return _verdict("warned" if kept else "rejected", reasons, event)


def _unreadable(value: bytes, error: str) -> Verdict:
    """Why the parser refused the value, and what a lenient one can still read of it."""
    try:
        text = value.decode()
    except UnicodeDecodeError as found:
        return _rejected(Code.NOT_UTF8, f"byte {found.start} is no UTF-8: {found.reason}")
    if "recursion limit" in error:
        return _rejected(Code.TOO_DEEP, f"nested deeper than {MAX_DEPTH}")
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return _rejected(Code.NOT_JSON, error)
    path = _not_finite(event)
    if path is None:
        return _verdict("rejected", (Reason(Code.NOT_JSON, "$", error),), event)
    message = "NaN, Infinity and numbers too large for a double are not JSON; write null"
    return _verdict("rejected", (Reason(Code.NOT_FINITE, json_path(path), message),), event)


def _not_finite(event: object) -> tuple[str | int, ...] | None:
    """The path of the first number that is NaN or infinite."""
    stack: list[tuple[tuple[str | int, ...], object]] = [((), event)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return path
        if isinstance(value, dict):
            stack.extend(((*path, key), value[key]) for key in reversed(value))
        elif isinstance(value, list):
            stack.extend(((*path, index), value[index]) for index in range(len(value) - 1, -1, -1))
    return None


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
    return Verdict("rejected", (Reason(code, "$", message),))


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
def _validators() -> dict[EventKind, corvus.Validator]:
    return {kind: corvus.compile(schema.event_schema(kind), assert_format=True) for kind in schema.EVENTS}


@cache
def _parser() -> corvus.Validator:
    return corvus.compile({})
