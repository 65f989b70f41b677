"""What a Marquez is sent in place of what it would refuse, or be spoilt by.

An event is repaired where that is no lie: nothing is made up, the run, the job and the datasets stay those it
is about, and what is left out is left out whole. What cannot be repaired so is held back. `marquez.problems`
are the rules, and what leaves here has none.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from modeltrail_collector.relay.marquez import Problem, problems
from modeltrail_schemas import encoding

RULES: Final = {
    "event_type_other": "eventType was missing: OTHER",
    "namespace_characters": "what Marquez does not take in a namespace of datasets: = and hexadecimal digits",
    "facet_left_out": "a facet that Marquez cannot read: left out",
    "facet_base_filled": "_producer of a facet was missing: the event's; _schemaURL: that of any facet",
    "job_type_unknown": "jobType.jobType was missing: UNKNOWN",
    "source_named_by_uri": "dataSource had no name: its uri",
    "uri_encoded": "characters that no URI has: percent-encoded",
    "one_symlink": "several other names of one dataset: the first alone",
    "nul_replaced": "NUL: U+FFFD, the replacement character",
    "number_as_text": "a number that JSON has not, as 1e999: its text",
    "end_kept": "START, RUNNING or OTHER behind the end of its run: the type of that end",
}
"""Every repair, and what it does."""

_PASSES: Final = 4
_FACET: Final = re.compile(
    r"(?P<facets>.+?\.(?:facets|inputFacets|outputFacets))(?:\.(?P<key>\w+)(?:\.(?P<field>.+))?)?"
)
_ANY_FACET: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/BaseFacet"
_ENDS: Final = frozenset({"COMPLETE", "FAIL", "ABORT"})
_RUNS: Final = 100_000


class Repair(NamedTuple):
    """One thing that was changed: the rule (see `RULES`) and where."""

    rule: str
    path: str


class Guarded(NamedTuple):
    """What may be sent, None where the event is held back because of `problems`."""

    event: dict[str, Any] | None
    repairs: tuple[Repair, ...] = ()
    problems: tuple[Problem, ...] = ()


def guarded(event: dict[str, Any]) -> Guarded:
    """An event as Marquez takes it; one that it takes as it is comes back as it is.

    Args:
        event: A RunEvent, JobEvent or DatasetEvent as parsed from its JSON.
    """
    if not problems(event) and not any(_has_several_symlinks(facets) for _, facets in _dataset_facets(event)):
        return Guarded(event)
    repairs: list[Repair] = []
    mended = _cleaned(event, "", repairs)
    for path, facets in _dataset_facets(mended):
        _keep_one_symlink(facets, f"{path}.facets.symlinks", repairs)
    renamed: dict[str, str] = {}
    for turn in range(_PASSES):
        found = problems(mended)
        if not found or not all(problem.repairable for problem in found):
            break
        for problem in found:
            _repair(mended, problem.path, repairs, renamed, gently=turn == 0)
    if found := problems(mended):
        return Guarded(
            None, problems=tuple(problem for problem in found if not problem.repairable) or (*found,)
        )
    _rename_in_column_lineage(mended, renamed)
    return Guarded(mended, tuple(dict.fromkeys(repairs)))


class Ends:
    """How runs ended, of the last 100,000: to Marquez a run is in the state of whatever arrives last.

    An OTHER behind the end, which OpenLineage allows, makes it run again for ever there. In the log, too, an
    end stays one.
    """

    def __init__(self) -> None:
        self._types: dict[str, str] = {}

    def note(self, run_id: str | None, event_type: str | None) -> None:
        """Note an event of a run."""
        if run_id and event_type in _ENDS:
            self._types[run_id] = event_type
            if len(self._types) > _RUNS:
                del self._types[next(iter(self._types))]

    def kept(self, event: dict[str, Any], run_id: str | None) -> Guarded:
        """An event of a run, or what leaves the run ended."""
        end = self._types.get(run_id or "")
        if end is None or event.get("eventType") in _ENDS:
            return Guarded(event)
        return Guarded(event | {"eventType": end}, (Repair("end_kept", "eventType"),))


def _repair(
    event: dict[str, Any], path: str, repairs: list[Repair], renamed: dict[str, str], *, gently: bool
) -> None:
    """Mend what is wrong at a path; gently is with as little loss as may be."""
    if path == "eventType":
        event["eventType"] = "OTHER"
        repairs.append(Repair("event_type_other", path))
    elif path.endswith(".namespace"):
        named = _at(event, path.removesuffix(".namespace"))
        if isinstance(named, dict):
            told = str(named["namespace"])
            named["namespace"] = renamed[told] = encoding.namespace(told)
            repairs.append(Repair("namespace_characters", path))
    elif found := _FACET.fullmatch(path):
        facets = _at(event, found["facets"])
        if not isinstance(facets, dict):
            owner, _, key = found["facets"].rpartition(".")
            _at(event, owner).pop(key, None)
            repairs.append(Repair("facet_left_out", found["facets"]))
        elif found["key"] in facets:
            rule = _mended(event, facets, found["key"], found["field"]) if gently else None
            if rule is None:
                del facets[found["key"]]
            where = path if rule else f"{found['facets']}.{found['key']}"
            repairs.append(Repair(rule or "facet_left_out", where))


def _mended(event: dict[str, Any], facets: dict[str, Any], key: str, field: str | None) -> str | None:
    """Mend a field of a facet; gives the rule, None if the facet has to go."""
    facet = facets[key]
    if not isinstance(facet, dict):
        return None
    match key, field:
        case _, "_producer":
            facet["_producer"] = event["producer"]
            return "facet_base_filled"
        case _, "_schemaURL":
            facet["_schemaURL"] = _ANY_FACET
            return "facet_base_filled"
        case "jobType", "jobType":
            facet["jobType"] = "UNKNOWN"
            return "job_type_unknown"
        case "dataSource", "name" if isinstance(facet.get("uri"), str):
            facet["name"] = facet["uri"]
            return "source_named_by_uri"
        case "dataSource", "uri" if isinstance(facet.get("uri"), str):
            facet["uri"] = encoding.uri(facet["uri"])
            return "uri_encoded"
    return None


def _dataset_facets(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The facets of each dataset of an event, with the dataset's path."""
    found = [("dataset", event.get("dataset"))]
    for side in ("inputs", "outputs"):
        told = event.get(side)
        found += ((f"{side}[{n}]", one) for n, one in enumerate(told if isinstance(told, list) else ()))
    for path, dataset in found:
        facets = dataset.get("facets") if isinstance(dataset, dict) else None
        if isinstance(facets, dict):
            yield path, facets


def symlinks(facets: object) -> list[dict[str, Any]]:
    """The other names of a dataset, as its facets tell them."""
    told = facets.get("symlinks") if isinstance(facets, dict) else None
    found = told.get("identifiers") if isinstance(told, dict) else None
    return [link for link in found if isinstance(link, dict)] if isinstance(found, list) else []


def _has_several_symlinks(facets: dict[str, Any]) -> bool:
    """Nothing is refused because of it, but each one more is one more row for each version."""
    return len(symlinks(facets)) > 1


def _keep_one_symlink(facets: dict[str, Any], path: str, repairs: list[Repair]) -> None:
    told = symlinks(facets)
    kept = [link for link in told if _names_something(link)][:1]
    if told and kept != told:
        if kept:
            facets["symlinks"]["identifiers"] = kept
        else:
            del facets["symlinks"]
        repairs.append(Repair("one_symlink" if kept else "facet_left_out", path))


def _names_something(link: dict[str, Any]) -> bool:
    namespace, name = link.get("namespace"), link.get("name")
    return (
        isinstance(namespace, str)
        and 0 < len(namespace) <= encoding.LONGEST_NAMESPACE
        and isinstance(name, str)
        and bool(name.strip())
    )


def _rename_in_column_lineage(event: dict[str, Any], renamed: dict[str, str]) -> None:
    """Columns come from datasets that are called as the event calls them."""
    for path, _ in _dataset_facets(event) if renamed else ():
        fields = _at(event, f"{path}.facets.columnLineage.fields")
        for field in fields.values() if isinstance(fields, dict) else ():
            told = field.get("inputFields") if isinstance(field, dict) else None
            for source in told if isinstance(told, list) else ():
                if isinstance(source, dict) and isinstance(source.get("namespace"), str):
                    source["namespace"] = renamed.get(source["namespace"], source["namespace"])


def _cleaned(value: Any, path: str, repairs: list[Repair]) -> Any:
    """A copy without what neither JSON nor PostgreSQL has: infinite numbers and NUL."""
    if isinstance(value, float) and not math.isfinite(value):
        repairs.append(Repair("number_as_text", path))
        return str(value)
    if isinstance(value, str) and "\0" in value:
        repairs.append(Repair("nul_replaced", path))
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, dict):
        return {
            _cleaned(key, path, repairs): _cleaned(inner, f"{path}.{key}" if path else key, repairs)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_cleaned(inner, f"{path}[{index}]", repairs) for index, inner in enumerate(value)]
    return value


def _at(event: Any, path: str) -> Any:
    """What is at a path, as `outputs[0].facets`; None if nothing is any more."""
    found = event
    for step in re.findall(r"[^.\[\]]+", path):
        if isinstance(found, list):
            found = found[int(step)] if step.isdecimal() and int(step) < len(found) else None
        else:
            found = found.get(step) if isinstance(found, dict) else None
    return found
