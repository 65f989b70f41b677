"""What differs between two versions of a model: pure functions over the reduced facets of their runs.

A version's facts are sections of plain paths, so that the difference of two versions is a comparison of two
mappings::

    {"parameters": {"C": "0.1"}, "dataInputs": {"/data/features.parquet#fingerprint": "9f2c…"}, …}
"""

import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from modeltrail_collector.tables.flatten import model_bucket

SECTIONS: Final = ("dataInputs", "parameters", "transformations", "code", "environment", "evaluations")

Facts = dict[str, dict[str, str]]

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode

# Left out: what differs at every run and says nothing about the model, and what another field already says.
_CODE_NOISE: Final = frozenset({
    "cwd", "diff", "diffUri", "diffTruncated", "untrackedTruncated", "untrackedCount", "modules", "capture",
    "vcs",
})  # fmt: skip
_ENVIRONMENT_NOISE: Final = frozenset({"packagesSha256", "capture"})
_TRAINING_FIELDS: Final = ("algorithm", "seeds", "deterministic", "epochs", "steps", "baseModel")
_DATA_FIELDS: Final = (
    "labelColumn",
    "weightColumn",
    "entityKey",
    "asOf",
    "features",
    "split",
    "timeRange",
    "query",
)


class Facet(msgspec.Struct, frozen=True):
    """One reduced facet of a run: table `facets` without its position; `value` is parsed JSON."""

    scope: str
    namespace: str | None
    name: str | None
    key: str
    value: Any


class Metric(msgspec.Struct, frozen=True):
    """One figure about a model version, from its own run or from an evaluation of it."""

    name: str
    value: float | None
    split: str | None = None
    dataset: str | None = None
    slice: str | None = None


class Change(msgspec.Struct, frozen=True):
    """One path that differs; `before` is None where it was added, `after` where it was removed."""

    section: str
    path: str
    before: str | None
    after: str | None


def facts(facets: Iterable[Facet], metrics: Iterable[Metric]) -> Facts:
    """The facts of one model version by section and path."""
    found: Facts = {section: {} for section in SECTIONS}
    inputs: dict[tuple[str | None, str | None], dict[str, Any]] = {}
    for facet in facets:
        if not isinstance(facet.value, dict):
            continue
        if facet.scope in ("input", "input_facet"):
            inputs.setdefault((facet.namespace, facet.name), {})[facet.key] = facet.value
        else:
            _read(facet, facet.value, found)
    for (namespace, name), said in inputs.items():
        _read_input(namespace, name, said, found["dataInputs"])
    return with_metrics(found, metrics)


def with_metrics(found: Facts, metrics: Iterable[Metric]) -> Facts:
    """The same facts with these figures among the evaluations."""
    figures = {_metric_path(metric): _text(metric.value) for metric in metrics}
    return found | {"evaluations": found["evaluations"] | figures}


def differences(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
) -> list[Change]:
    """Every path whose value differs, in the order of `SECTIONS`, then by path."""
    return [
        Change(section, path, was.get(path), now.get(path))
        for section in SECTIONS
        for was, now in [(before.get(section, {}), after.get(section, {}))]
        for path in sorted(was.keys() | now.keys())
        if was.get(path) != now.get(path)
    ]


def change_rows(
    namespace: str, name: str, versions: Iterable[tuple[str, Facts]]
) -> list[dict[str, str | None]]:
    """Rows of table `changes`: each version of one model name against the one before it, oldest first."""
    rows: list[dict[str, str | None]] = []
    bucket = model_bucket(namespace, name)
    ordered = list(versions)
    for (base, before), (version, after) in itertools.pairwise(ordered):
        identity = {
            "bucket": bucket,
            "namespace": namespace,
            "name": name,
            "version": version,
            "base_version": base,
        }
        rows += [identity | msgspec.structs.asdict(change) for change in differences(before, after)]
    return rows


def _read(facet: Facet, value: dict[str, Any], found: Facts) -> None:
    match facet.scope, facet.key:
        case "run", "modelTrail_hyperparameters":
            _read_parameters(value, found["parameters"])
        case "run", "modelTrail_training":
            said = {f"training.{field}": value.get(field) for field in _TRAINING_FIELDS}
            _flatten("", said, found["parameters"])
        case "run", "modelTrail_environment":
            _flatten("", _without(value, _ENVIRONMENT_NOISE), found["environment"])
        case "run", "modelTrail_codeState":
            _flatten("", _without(value, _CODE_NOISE), found["code"])
        case "job", "sourceCodeLocation":
            _flatten("source", {key: value.get(key) for key in ("version", "branch", "tag")}, found["code"])
        case "run", "modelTrail_featureTransformations":
            _read_steps(value, found["transformations"])
        case _:
            pass


def _read_parameters(value: dict[str, Any], into: dict[str, str]) -> None:
    for param in _named(value.get("params")):
        into[full_name(param["name"], param.get("component"))] = _text(param.get("value"))


def full_name(name: str, component: object) -> str:
    """A parameter's name with its component, where the name does not begin with it (`scaler__with_mean`)."""
    return f"{component}.{name}" if component and not name.startswith(str(component)) else name


def _read_steps(value: dict[str, Any], into: dict[str, str]) -> None:
    """A step is one line: what it does, with which parameters, fitted on what."""
    steps = value.get("steps")
    for number, step in enumerate(steps if isinstance(steps, list) else ()):
        if not isinstance(step, dict):
            continue
        params = step.get("params")
        told = params.items() if isinstance(params, dict) else ()
        operation = str(step.get("op", "")).rpartition(".")[2]
        fitted = f" fitted on {step['fittedOn']}" if step.get("fittedOn") else ""
        arguments = ", ".join(f"{key}={_text(item)}" for key, item in sorted(told))
        into[str(step.get("id", number))] = f"{operation}({arguments}){fitted}"


def _read_input(
    namespace: str | None, name: str | None, facets: dict[str, Any], into: dict[str, str]
) -> None:
    use = facets.get("modelTrail_dataUse", {})
    fingerprint = use.get("fingerprint")
    fingerprint = fingerprint if isinstance(fingerprint, dict) else {}
    columns = _named(facets.get("schema", {}).get("fields"))
    said = {
        "use": use.get("role"),
        "fingerprint": fingerprint.get("digest"),
        "rows": fingerprint.get("rows"),
        "columns": ", ".join(f"{c['name']}: {c.get('type') or '?'}" for c in columns) or None,
        **{field: use.get(field) for field in _DATA_FIELDS},
    }
    version = facets.get("version", {}).get("datasetVersion")
    if version != said["fingerprint"]:
        said["version"] = version
    # What never had a name is named after its content: here it goes by its use, or each version had its own.
    called = f"in memory, {use.get('role') or 'other'}" if namespace == "inmemory://" else name
    into |= {f"{called}#{field}": _text(item) for field, item in said.items() if item is not None}


def _metric_path(metric: Metric) -> str:
    where = ", ".join(part for part in (metric.split, metric.dataset, metric.slice) if part)
    return f"{metric.name} [{where}]" if where else metric.name


def _flatten(path: str, value: Any, into: dict[str, str]) -> None:
    """Nested values as dotted paths; members of a list that have a name go by it, whatever their order."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            if not key.startswith("_") and item is not None:
                _flatten(f"{path}.{key}" if path else key, item, into)
    elif (
        isinstance(value, list) and value and all(isinstance(item, dict) and "name" in item for item in value)
    ):
        for item in value:
            rest = _without(item, frozenset({"name", "source"}))
            only = rest.get("version") if rest.keys() <= {"version", "sha256"} else None
            _flatten(f"{path}.{item['name']}", only if only is not None else rest, into)
    elif value is not None:
        into[path] = _text(value)


def _named(items: Any) -> list[dict[str, Any]]:
    if not isinstance(items, list):
        return []
    return [item for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)]


def _without(value: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in names}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _encode(value)
