"""What Marquez refuses or, worse, is spoilt by: rules over an event, for whoever is about to send it one.

Marquez 0.51.1 checks names after it has written them. An output whose namespace has a space is answered by
400, and from then on lists of namespaces and jobs by 500, for everybody and for ever. That answer comes too
late: an event has to be looked at before it is sent.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from modeltrail_schemas import encoding

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?(Z|[+-]\d\d(:?\d\d)?)?)?")
_NOT_IN_A_URI: Final = re.compile(r"[\s\"<>\\^`{|}]|%(?![0-9A-Fa-f]{2})")

# Of each facet that Marquez has a type for: what must be there, and what need not but must be text.
_RUN_FACETS: Final = {"nominalTime": (("nominalStartTime",), ("nominalEndTime",))}
_JOB_FACETS: Final = {
    "documentation": (("description",), ()),
    "jobType": (("processingType", "integration", "jobType"), ()),
    "sourceCodeLocation": ((), ("type", "url")),
    "sql": (("query",), ()),
}
_DATASET_FACETS: Final = {
    "columnLineage": ((), ()),
    "dataSource": (("name",), ("uri",)),
    "documentation": (("description",), ()),
    "lifecycleStateChange": ((), ("lifecycleStateChange",)),
    "schema": ((), ()),
    "symlinks": ((), ()),
}
_URIS: Final = frozenset({"_producer", "_schemaURL", "uri"})
_Facets = Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]


class Problem(NamedTuple):
    """One thing that Marquez would not take.

    Attributes:
        path: Where it is, as `outputs[0].namespace`.
        message: What is wrong there.
        repairable: Whether the event would still be about the same run and job without it: a facet that is
            left out, a character that is replaced as Marquez itself does in namespaces of jobs.
    """

    path: str
    message: str
    repairable: bool


def problems(event: object) -> list[Problem]:
    """All that Marquez would refuse of an event, or be spoilt by; none means that it takes it.

    Args:
        event: A RunEvent, JobEvent or DatasetEvent as parsed from its JSON.
    """
    return list(_problems(event))


def _problems(event: object) -> Iterator[Problem]:
    if not isinstance(event, dict):
        yield Problem("", "no JSON object", repairable=False)
        return
    yield from _values(event, "")
    if not _is_time(event.get("eventTime")):
        yield Problem("eventTime", "no time that Marquez reads", repairable=False)
    if _text(event.get("producer")) is None:
        yield Problem("producer", "missing", repairable=False)
    if event.get("schemaURL") is not None and not _fits("_schemaURL", event["schemaURL"]):
        yield Problem("schemaURL", "no URI", repairable=False)
    kind = str(event.get("schemaURL")).rpartition("/")[2]
    if kind == "DatasetEvent":
        yield from _dataset(event.get("dataset"), "dataset")
        return
    if kind != "JobEvent":
        yield from _run(event)
    yield from _job(
        event.get("job"), child=_at(event, "run.facets.parent") is not None and kind != "JobEvent"
    )
    for side in ("inputs", "outputs"):
        yield from _datasets(event.get(side), side)


def _run(event: dict[str, Any]) -> Iterator[Problem]:
    run = event.get("run")
    if not isinstance(run, dict) or _text(run.get("runId")) is None:
        yield Problem("run.runId", "missing", repairable=False)
        return
    if isinstance(event.get("eventType"), (dict, list)):
        yield Problem("eventType", "no text", repairable=False)
    if event.get("eventType") is None and run.get("facets") is not None:
        yield Problem("eventType", "missing, where the run has facets", repairable=True)
    yield from _facets(run.get("facets"), "run.facets", _RUN_FACETS)
    parent = run["facets"].get("parent") if isinstance(run.get("facets"), dict) else None
    if parent is not None:
        # Without it the job would have another name; a blank one is given to a job.
        for step in ("_producer", "_schemaURL", "run.runId", "job.namespace", "job.name"):
            value = _at(parent, step)
            if not _fits(step, value) or (step == "job.name" and not str(value).strip()):
                yield Problem(f"run.facets.parent.{step}", "missing or blank", repairable=False)


def _job(job: object, *, child: bool) -> Iterator[Problem]:
    namespace, name = _text(_at(job, "namespace")), _text(_at(job, "name"))
    if not namespace or len(namespace) > encoding.LONGEST_NAMESPACE:
        yield Problem(
            "job.namespace", f"missing, empty or longer than {encoding.LONGEST_NAMESPACE}", repairable=False
        )
    if name is None or not child:  # the name of a child begins with its parent's
        yield from _name(name, "job.name")
    yield from _facets(_at(job, "facets"), "job.facets", _JOB_FACETS)


def _datasets(datasets: object, path: str) -> Iterator[Problem]:
    if datasets is not None and not isinstance(datasets, list):
        yield Problem(path, "no list", repairable=False)
        return
    for index, dataset in enumerate(datasets or ()):
        yield from _dataset(dataset, f"{path}[{index}]")


def _dataset(dataset: object, path: str) -> Iterator[Problem]:
    yield from _identity(dataset, path)
    facets = _at(dataset, "facets")
    yield from _facets(facets, f"{path}.facets", _DATASET_FACETS)
    for key in ("inputFacets", "outputFacets"):
        yield from _facets(_at(dataset, key), f"{path}.{key}", {})
    yield from _facets(_at(facets, "columnLineage.fields"), f"{path}.facets.columnLineage.fields", {})
    if (symlinks := _at(facets, "symlinks")) is not None:
        links = _at(symlinks, "identifiers")
        where = f"{path}.facets.symlinks.identifiers"
        if links is None:
            yield Problem(where, "missing", repairable=True)
        yield from _rows(links, where, ("namespace", "name"), ("type",))
        for index, link in enumerate(links if isinstance(links, list) else ()):
            if isinstance(link, dict):
                found = _identity(link, f"{where}[{index}]")
                yield from (problem._replace(repairable=True) for problem in found)
    yield from _rows(
        _at(facets, "schema.fields"), f"{path}.facets.schema.fields", ("name",), ("type", "description")
    )


def _identity(dataset: object, path: str) -> Iterator[Problem]:
    namespace = _text(_at(dataset, "namespace"))
    if not namespace or not encoding.NAMESPACE.fullmatch(namespace):
        kept = (
            bool(namespace)
            and len(namespace or "") <= encoding.LONGEST_NAMESPACE
            and "\0" not in (namespace or "")
        )
        allowed = "letters, digits and _@+:;=/.- (1 to 1024)"
        yield Problem(f"{path}.namespace", f"{namespace!r} is not made of {allowed}", repairable=kept)
    yield from _name(_text(_at(dataset, "name")), f"{path}.name")


def _name(name: str | None, path: str) -> Iterator[Problem]:
    if not (name or "").strip():
        yield Problem(path, "missing or blank", repairable=False)


def _facets(facets: object, path: str, typed: _Facets) -> Iterator[Problem]:
    if facets is not None and not isinstance(facets, dict):
        yield Problem(path, "no object", repairable=True)
        return
    for key, (needed, known) in typed.items():
        facet = (facets or {}).get(key)
        if facet is not None:
            yield from _fields(facet, f"{path}.{key}", ("_producer", "_schemaURL", *needed), known)


def _rows(rows: object, path: str, needed: tuple[str, ...], known: tuple[str, ...]) -> Iterator[Problem]:
    if rows is not None and not isinstance(rows, list):
        yield Problem(path, "no list", repairable=True)
        return
    for index, row in enumerate(rows or ()):
        yield from _fields(row, f"{path}[{index}]", needed, known)


def _fields(thing: object, path: str, needed: tuple[str, ...], known: tuple[str, ...]) -> Iterator[Problem]:
    for key in needed + known:
        value = _at(thing, key)
        if value is None and key in known and isinstance(thing, dict):
            continue
        if not _fits(key, value):
            yield Problem(f"{path}.{key}", "missing, or not of its type", repairable=True)


def _fits(key: str, value: object) -> bool:
    if key.startswith("nominal"):
        return _is_time(value)
    text = _text(value)
    return text is not None and (key not in _URIS or _NOT_IN_A_URI.search(text) is None)


def _values(value: object, path: str) -> Iterator[Problem]:
    """NaN and Infinity, which are no JSON, and NUL, which PostgreSQL does not keep, wherever they are."""
    if isinstance(value, float) and not math.isfinite(value):
        yield Problem(path, f"{value} is no JSON", repairable=True)
    elif isinstance(value, str) and "\0" in value:
        yield Problem(path, "has a NUL", repairable=True)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(key, f"{path}.{key}")
            yield from _values(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _values(inner, f"{path}[{index}]")


def _at(thing: object, path: str) -> Any:
    for step in path.split("."):
        thing = thing.get(step) if isinstance(thing, dict) else None
    return thing


def _text(value: object) -> str | None:
    """What Marquez reads as text: numbers and booleans too."""
    return None if value is None or isinstance(value, (dict, list)) else str(value)


def _is_time(value: object) -> bool:
    if isinstance(value, str):
        return _TIME.fullmatch(value) is not None
    return isinstance(value, (int, float)) and not isinstance(value, bool)
