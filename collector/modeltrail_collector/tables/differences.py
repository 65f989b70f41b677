"""What differs between two versions of a model: pure functions over the reduced facets of their runs.

A version's facts are sections of plain paths, so that the difference of two versions is a comparison of two
mappings::

    {"parameters": {"C": "0.1"}, "dataInputs": {"/data/features.parquet#fingerprint": "9f2c…"}, …}
"""

import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from modeltrail_collector.tables import pairing
from modeltrail_collector.tables.flatten import model_bucket
from modeltrail_collector.tables.pairing import IN_MEMORY, Content, Metric, Step

SECTIONS: Final = ("dataInputs", "parameters", "transformations", "code", "environment", "evaluations")

JOB: Final = ("modeltrail", "model-changes")
"""The job whose runs tell of these: they read a model version to compare it, and learn nothing from it."""

Sections = dict[str, dict[str, str]]
"""Section -> path -> value."""

_One = TypeVar("_One")
_Place = tuple[str | None, str | None]

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode

# Left out: what differs at every run and says nothing about the model, and what another field already says.
_CODE_NOISE: Final = frozenset({
    "command", "cwd", "diff", "diffUri", "diffTruncated", "untrackedTruncated", "untrackedCount", "modules",
    "elsewhere", "elsewhereCount", "repositories", "capture", "vcs",
})  # fmt: skip
_ENVIRONMENT_NOISE: Final = frozenset({"packagesSha256", "imported", "capture"})
_ADDING: Final = frozenset({"modelTrail_registration", "lineage"})
"""Several of one thing add up, and are compared nowhere."""
_QUERY: Final = "sql"
"""The step that the query of a job is, by the standard facet."""
_TRAINING_FIELDS: Final = ("algorithm", "seeds", "deterministic", "epochs", "steps", "baseModel")
_DATA_FIELDS: Final = (
    "labelColumn",
    "labelColumns",
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
    part: str = ""


class Input(msgspec.Struct, frozen=True):
    """A dataset that a run read; `said` is what is compared of it, by field."""

    namespace: str
    name: str
    use: str | None
    content: Content | None
    said: dict[str, str]


class Change(msgspec.Struct, frozen=True):
    """One path that differs; `before` is None where it was added, `after` where it was removed."""

    section: str
    path: str
    before: str | None
    after: str | None


class Facts(msgspec.Struct, frozen=True):
    """What a version was made of and how it did.

    `plain` are the sections that are names and values, those that anybody recorded.
    """

    plain: Sections
    inputs: list[Input]
    steps: list[Step]
    metrics: list[Metric]


def facts(facets: Iterable[Facet], metrics: Iterable[Metric]) -> Facts:
    """The facts of one model version."""
    found = Facts({}, [], [], [*metrics])
    inputs: dict[tuple[*_Place, str], dict[str, Any]] = {}
    steps: list[Any] = []
    for facet in facets:
        if not isinstance(facet.value, dict) or facet.key in _ADDING:
            continue
        if facet.scope in ("input", "input_facet"):
            inputs.setdefault((facet.namespace, facet.name, facet.part), {})[facet.key] = facet.value
        elif (facet.scope, facet.key) == ("run", "modelTrail_featureTransformations"):
            steps += as_list(facet.value.get("steps"))
        elif (facet.scope, facet.key) == ("job", "sql") and isinstance(facet.value.get("query"), str):
            found.steps.append(Step(_QUERY, "", facet.value["query"]))
        else:
            _read(facet, facet.value, found)
    data = {place: said for place, said in inputs.items() if "modelTrail_evaluation" not in said}  # no model
    found.inputs.extend(_read_input(place[0], place[1], said) for place, said in data.items())
    whole = {(namespace, name): _learned_from(said) for (namespace, name, _), said in data.items()}
    found.steps.extend(_read_steps([step for step in steps if isinstance(step, dict)], whole))
    return found


def aligned(before: Facts, after: Facts) -> tuple[Sections, Sections]:
    """Both as sections of paths, of which one path is one thing on both sides (`pairing`)."""
    nothing: Sections = {section: {} for section in SECTIONS}
    sides = (nothing | before.plain, nothing | after.plain)
    for section in before.plain.keys() ^ after.plain.keys():
        for side in sides:  # what nobody recorded on one side did not come or go
            side[section] = {"all of it": "recorded"} if side[section] else {}
    for section, pairs in (
        ("dataInputs", _lines(pairing.datasets(before.inputs, after.inputs), _input_path, _input_text)),
        ("transformations", _lines(pairing.steps(*_told_by_both(before, after)), _step_path, _step_text)),
        ("evaluations", _lines(pairing.figures(before.metrics, after.metrics), _metric_path, _metric_text)),
    ):
        for side, lines in zip(sides, pairs, strict=True):
            side[section] = lines
    return sides


def _told_by_both(before: Facts, after: Facts) -> list[list[Step]]:
    """The steps of either side; the query of a job only where both told one."""
    sides = [before.steps, after.steps]
    both = all(any(step.id == _QUERY for step in steps) for steps in sides)
    return [[step for step in steps if both or step.id != _QUERY] for steps in sides]


def _lines(
    pairs: Sequence[tuple[_One | None, _One | None]],
    path: Callable[[_One | None, _One | None, bool], str],
    text: Callable[[_One, _One | None], Mapping[str, str]],
) -> tuple[dict[str, str], dict[str, str]]:
    """The lines of either side; `path` names a pair, shortly or, where that names several, precisely."""
    sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
    short = Counter(path(*pair, False) for pair in pairs)
    seen: Counter[str] = Counter()
    for was, now in pairs:
        called = path(was, now, False)
        called = called if short[called] == 1 else path(was, now, True)
        seen[called] += 1
        called += f" ({seen[called]})" if seen[called] > 1 else ""
        for side, one, other in ((sides[0], was, now), (sides[1], now, was)):
            if one is not None:
                side |= {f"{called}{field}": said for field, said in text(one, other).items()}
    return sides


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
        rows += [identity | msgspec.structs.asdict(change) for change in differences(*aligned(before, after))]
    return rows


def _read(facet: Facet, value: dict[str, Any], found: Facts) -> None:
    match facet.scope, facet.key:
        case "run", "modelTrail_hyperparameters":
            _read_parameters(value, found.plain.setdefault("parameters", {}))
        case "run", "modelTrail_training":
            said = {f"training.{field}": value.get(field) for field in _TRAINING_FIELDS}
            _flatten("", said, found.plain.setdefault("parameters", {}))
        case "run", "modelTrail_environment":
            _flatten("", _without(value, _ENVIRONMENT_NOISE), found.plain.setdefault("environment", {}))
        case "run", "modelTrail_codeState":
            _flatten("", _code(value), found.plain.setdefault("code", {}))
        case "job", "sourceCode":
            _flatten("", {"sourceCode": value.get("sourceCode")}, found.plain.setdefault("code", {}))
        case "job", "sourceCodeLocation":
            _flatten(
                "source",
                {key: value.get(key) for key in ("version", "branch", "tag")},
                found.plain.setdefault("code", {}),
            )
        case _:
            pass


def _code(value: dict[str, Any]) -> dict[str, Any]:
    """Modules from elsewhere by name and content, wherever they lie; repositories by their folder."""
    named = {
        "elsewhere": [_without(one, frozenset({"path"})) for one in _named(value.get("elsewhere"))],
        "repositories": [
            _without(one, frozenset({"root"})) | {"name": one.get("root")}
            for one in as_list(value.get("repositories"))
            if isinstance(one, dict)
        ],
    }
    return _without(value, _CODE_NOISE) | {key: lines for key, lines in named.items() if lines}


def _read_parameters(value: dict[str, Any], into: dict[str, str]) -> None:
    for param in _named(value.get("params")):
        into[full_name(param["name"], param.get("component"))] = _typed(param.get("value"))


def _typed(value: Any) -> str:
    """A value as text; a text that would pass for another type (`1`, `null`) stands in quotes."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError, RecursionError):
            json.loads(value)
            return _encode(value)
    return _text(value)


def full_name(name: str, component: object) -> str:
    """A parameter's name with its component, where the name does not begin with it (`scaler__with_mean`)."""
    return f"{component}.{name}" if component and not name.startswith(str(component)) else name


def _read_steps(steps: list[dict[str, Any]], whole: Mapping[_Place, set[str]]) -> Iterator[Step]:
    does = [_does(step, whole) for step in steps]
    by_id = {str(step["id"]): line for step, line in zip(steps, does, strict=True) if "id" in step}
    for step, line in zip(steps, does, strict=True):
        before = (each.get("step") for each in as_list(step.get("inputs")) if isinstance(each, dict))
        after = tuple(sorted({by_id[str(one)] for one in before if str(one) in by_id}))
        yield Step(str(step["id"]) if "id" in step else None, str(step.get("op", "")), line, after)


def _does(step: dict[str, Any], whole: Mapping[_Place, set[str]]) -> str:
    """What a step does, with which parameters, fitted on what, of which columns."""
    params = step.get("params")
    told = params.items() if isinstance(params, dict) else ()
    operation = str(step.get("op", ""))
    fitted = f" fitted on {step['fittedOn']}" if step.get("fittedOn") else ""
    arguments = ", ".join(f"{key}={_text(item)}" for key, item in sorted(told))
    columns = _chosen(step.get("inputs"), whole)
    of = f" of {', '.join(columns)}" if columns else ""
    return f"{operation.rpartition('.')[2]}({arguments}){fitted}{of}"


def _chosen(inputs: Any, whole: Mapping[_Place, set[str]]) -> list[str]:
    """The columns of data that a step reads, where these are not all: all follow from the data."""
    found: dict[str, None] = {}
    for each in as_list(inputs):
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            columns = [str(name) for name in as_list(each.get("columns"))]
            known = whole.get((each.get("namespace"), each["name"]))
            if not known or not known.issubset(columns):
                found |= dict.fromkeys(columns)
    return [*found]


def _learned_from(said: dict[str, Any]) -> set[str]:
    features = {str(name) for name in as_list(said.get("modelTrail_dataUse", {}).get("features"))}
    return features or {column["name"] for column in _named(said.get("schema", {}).get("fields"))}


def _step_path(was: Step | None, now: Step | None, _: bool) -> str:
    one = now or was
    return (one.id or one.op.rpartition(".")[2]) if one else ""


def _step_text(one: Step, other: Step | None) -> dict[str, str]:
    """What it does; and after what, where it is there that two differ."""
    if other and other.does == one.does and other.after != one.after:
        return {"": f"{one.does} after {' and '.join(one.after) or 'no other step'}"}
    return {"": one.does}


def _read_input(namespace: str | None, name: str | None, facets: dict[str, Any]) -> Input:
    use = facets.get("modelTrail_dataUse", {})
    fingerprint = use.get("fingerprint")
    fingerprint = fingerprint if isinstance(fingerprint, dict) else {}
    columns = _named(facets.get("schema", {}).get("fields"))
    said = {
        "use": use.get("role"),
        "fingerprint": fingerprint.get("digest") or None,
        "rows": fingerprint.get("rows"),
        "columns": ", ".join(f"{c['name']}: {c.get('type') or '?'}" for c in columns) or None,
        **{field: use.get(field) for field in _DATA_FIELDS},
    }
    version = facets.get("version", {}).get("datasetVersion")
    if version != said["fingerprint"]:
        said["version"] = version
    how = f"{fingerprint.get('algorithm')} {fingerprint.get('scope')}"
    texts = {field: _text(item) for field, item in said.items() if item is not None}
    content = pairing.content(namespace, name, texts.get("fingerprint"), texts.get("version"), how)
    is_model = facets.get("datasetType", {}).get("datasetType") == "MODEL"  # that no data stands beside
    return Input(namespace or "", name or "", "model" if is_model else texts.get("use"), content, texts)


def _input_path(was: Input | None, now: Input | None, precisely: bool) -> str:
    """What never had a name goes by its use."""
    one = now or was
    if one is None:
        return ""
    if one.namespace == IN_MEMORY:
        return f"in memory, {one.use or 'other'}" + (f", {one.name}" if precisely else "")
    return _whole_name(one) if precisely else one.name


def _whole_name(one: Input) -> str:
    return f"{one.namespace.rstrip('/')}/{one.name.lstrip('/')}"


def _input_text(one: Input, other: Input | None) -> dict[str, str]:
    said = {f"#{field}": text for field, text in one.said.items()}
    if other is None or one.namespace == other.namespace == IN_MEMORY:
        return said
    return {"#name": one.name if one.namespace == other.namespace else _whole_name(one), **said}


def _metric_path(was: Metric | None, now: Metric | None, precisely: bool) -> str:
    one = now or was
    if one is None:
        return ""
    data = one.dataset
    if was and now and was.dataset and data and not pairing.same_content(was.content, now.content):
        other = pairing.same_content(was.content, now.content) is False
        renamed = was.dataset != data
        data = f"{was.dataset} → {data}" if renamed else f"{data}, other content" if other else data
    if precisely and one.content:
        data = f"{data}, content {one.content[1][:12]}"
    where = ", ".join(part for part in (one.split, data, one.slice) if part)
    return f"{one.name} [{where}]" if where else one.name


def _metric_text(one: Metric, _: Metric | None) -> dict[str, str]:
    return {"": _text(one.value)}


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


def as_list(value: Any) -> list[Any]:
    """A producer may break a facet's schema and be kept (`warned`): what should be a list may be anything."""
    return value if isinstance(value, list) else []


def _named(items: Any) -> list[dict[str, Any]]:
    return [item for item in as_list(items) if isinstance(item, dict) and isinstance(item.get("name"), str)]


def _without(value: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in names}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _encode(value)
