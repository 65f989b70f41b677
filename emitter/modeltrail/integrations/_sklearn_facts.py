"""What scikit-learn's estimators say about themselves."""

import copy
import inspect
import math
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from modeltrail.facets import param_entries, params_sha256
from modeltrail.observe import boosters, model, redact

MAX_COLUMNS: Final = 1000
MAX_DEPTH: Final = 8
Params = tuple[str | None, dict[str, Any], Literal["explicit", "default"]]
Inputs = list[dict[str, Any]]
# Parameters that hold the components, which are listed themselves.
_HOLDERS: Final = frozenset({"steps", "transformers", "transformer_list", "estimators"})


def is_model(estimator: Any) -> bool:
    """Whether it learns something to predict with; a transformer alone does not."""
    return any(
        hasattr(type(estimator), name) for name in ("predict", "fit_predict", "score_samples")
    ) and not (hasattr(estimator, "steps") and not _predicts(estimator))


def is_blank(estimator: Any) -> bool:
    """Whether an estimator has nothing but its parameters, as a `clone` has: it has learned nothing yet."""
    return hasattr(estimator, "get_params") and all(
        vars(part).keys() <= part.get_params(deep=False).keys() for _, part in components(estimator)
    )


def _predicts(pipeline: Any) -> bool:
    final = pipeline.steps[-1][1] if pipeline.steps else None
    return final not in (None, "passthrough") and is_model(final)


def components(estimator: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """(path, estimator) of the estimator itself (path empty) and of all estimators within it."""
    yield path, estimator
    if depth >= MAX_DEPTH or not hasattr(estimator, "get_params"):
        return
    for name, value in _given(estimator).items():
        inner = [(name, value)]
        if name in _HOLDERS and isinstance(value, list):
            inner = [(str(each[0]), each[1]) for each in value if isinstance(each, tuple) and len(each) > 1]
        for step, part in inner:
            if hasattr(part, "get_params") and not isinstance(part, type):
                yield from components(part, f"{path}__{step}" if path else step, depth + 1)


def params(estimator: Any) -> Iterator[Params]:
    """(component, parameters by full name, origin): `explicit` where they differ from the defaults."""
    for path, part in components(estimator):
        defaults = _defaults(type(part))
        found: dict[Literal["explicit", "default"], dict[str, Any]] = {"explicit": {}, "default": {}}
        for name, value in _given(part).items():
            if name in _HOLDERS or hasattr(value, "get_params"):
                continue
            origin: Literal["explicit", "default"] = (
                "default" if name in defaults and _same(value, defaults[name]) else "explicit"
            )
            found[origin][name] = value
        if "lightgbm.sklearn.LGBMModel" in boosters.lineage(part):
            for name in boosters.overruled(found["explicit"]):
                found["default"].pop(name, None)
        for origin, values in found.items():
            if values:
                named = {f"{path}__{name}" if path else name: value for name, value in values.items()}
                yield path or None, named, origin


def settings(estimator: Any, asked: Iterable[Params], features: Any) -> str:
    """What an estimator has in common with one that is to learn in the same way, from the same columns."""
    kinds = {path: model.qualified_name(type(part)) for path, part in components(estimator)}
    entries = [entry for _, values, _ in asked for entry in param_entries(values)]
    columns = list(map(str, getattr(features, "columns", ()))) or getattr(features, "shape", ())[1:]
    return params_sha256([*param_entries({**kinds, "columns": columns}), *entries])


def _given(part: Any) -> dict[str, Any]:
    """The parameters as they are; xgboost's own answer draws a seed from a generator, which we must not."""
    state = getattr(part, "random_state", None)
    if state is None or hasattr(state, "__index__"):
        return dict(part.get_params(deep=False))
    asked = copy.copy(part)
    asked.random_state = None
    return {**asked.get_params(deep=False), "random_state": state}


def _defaults(kind: type) -> dict[str, Any]:
    """Of the class, and of those that it hands other parameters on to."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if "__init__" not in vars(base) or base is object:
            continue
        for name, parameter in inspect.signature(vars(base)["__init__"]).parameters.items():
            found.pop(name, None)
            if parameter.default is not parameter.empty:
                found[name] = parameter.default
    return found


def _same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    if isinstance(value, float) and isinstance(default, float) and math.isnan(value):
        return math.isnan(default)
    try:
        return type(value) is type(default) and bool(value == default)
    except (TypeError, ValueError):  # arrays do not say yes or no
        return False


def training(estimator: Any) -> dict[str, Any]:
    """The arguments of `run.training`."""
    view = model.describe(estimator)
    found = {
        "framework": view.framework,
        "framework_version": view.framework_version,
        "algorithm": view.algorithm,
        "task": view.task,
        "seeds": _seeds(estimator),
    }
    return {key: value for key, value in found.items() if value is not None}


def _seeds(estimator: Any) -> dict[str, int] | None:
    """The first whole-number `random_state`, the estimator's own before its parts'."""
    for _, part in components(estimator):
        seed: Any = getattr(part, "random_state", None)
        if hasattr(seed, "__index__"):
            return {"framework": int(seed)}
    return None


def scores(search: Any) -> list[float]:
    """The mean test score of each candidate of a finished search."""
    results = getattr(search, "cv_results_", {})
    return [float(score) for score in results.get("mean_test_score", ())]


def chosen(search: Any) -> tuple[int, float] | None:
    """The number of the best candidate of a finished search, and its mean test score."""
    number, found = getattr(search, "best_index_", None), scores(search)
    return (int(number), found[number]) if number is not None and found else None


def rows(table: Any) -> int | None:
    """How many rows a table or list has."""
    try:
        return int(table.shape[0]) if hasattr(table, "shape") else len(table)
    except (TypeError, IndexError):
        return None


def steps(estimator: Any, source: dict[str, Any], rows: int | None) -> list[dict[str, Any]]:
    """The fitted transformers, in order, as entries of `modelTrail_featureTransformations`.

    What one on its own learned from may be all rows, those of a test too: nobody said what for they were.
    """
    fitted = getattr(estimator, "best_estimator_", estimator)
    found: list[dict[str, Any]] = []
    _walk(fitted, "", [source], rows, found, ends=True)
    return [each | {"fittedOn": "train"} for each in found] if is_model(estimator) else found


def _walk(
    part: Any, path: str, before: Inputs, rows: int | None, found: list[dict[str, Any]], *, ends: bool = False
) -> Inputs:
    """Append the transformers of `part`, fed from `before`; returns where its output comes from.

    What it ends with may be its model; what stands before that transforms, also where it is a model by itself
    (a `PCA`).
    """
    if isinstance(getattr(part, "steps", None), list):  # one after the other
        for number, (name, inner) in enumerate(part.steps, 1):
            is_last = ends and number == len(part.steps)
            before = _walk(inner, _join(path, name), before, rows, found, ends=is_last)
        return before
    if hasattr(part, "transformers_") or hasattr(part, "transformer_list"):  # side by side
        after: Inputs = []
        for name, inner, *columns in getattr(part, "transformers_", None) or part.transformer_list:
            some = _named(columns[0]) if columns else None
            after += _walk(inner, _join(path, name), [_of(each, some) for each in before], rows, found)
        return after
    if not hasattr(part, "transform") or not hasattr(part, "get_params") or (ends and is_model(part)):
        return before  # the model itself, "drop" or "passthrough"
    entry = _step(path or type(part).__name__.lower(), part, before, rows)
    found.append(entry)
    return [{"step": entry["id"]}]


def _join(path: str, name: str) -> str:
    return f"{path}__{name}" if path else name


def _of(source: dict[str, Any], columns: list[str] | None) -> dict[str, Any]:
    return source | ({"columns": columns} if columns else {})


def in_place(estimator: Any) -> Iterator[Any]:
    """The parts of a pipeline that are fitted with it, and are no copies of what it was given."""
    steps = getattr(estimator, "steps", None)
    for _, part in steps if isinstance(steps, list) else ():
        if type(part).__name__ != "FrozenEstimator":
            yield part
            yield from in_place(part)


def _named(columns: Any) -> list[str] | None:
    """Columns by name; positions, slices and masks are no names."""
    names = columns.tolist() if hasattr(columns, "tolist") else columns
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        return None
    return list(names[:MAX_COLUMNS])


def _step(path: str, transformer: Any, before: Inputs, rows: int | None) -> dict[str, Any]:
    columns = _named(getattr(transformer, "feature_names_in_", None))
    weighed = model.save_digest(transformer)
    outputs = _outputs(transformer, columns)
    given = {name: value for _, some, _ in params(transformer) for name, value in some.items()}
    entries = param_entries(redact.mapping(given)[0])
    seen = model.describe(transformer)
    entry: dict[str, Any] = {
        "id": path,
        "op": model.qualified_name(type(transformer)),
        "library": " ".join(filter(None, (seen.framework, seen.framework_version))),
        "params": {entry["name"]: entry["value"] for entry in entries},
        "paramsSha256": params_sha256(entries),
        "inputs": [_of(each, each.get("columns") or columns) for each in before],
        "rowsIn": rows,
        "rowsOut": rows,
        "outputs": outputs,
        "stateSha256": weighed[0] if weighed else None,
        "capture": "observed",
    }
    if columns and outputs:
        entry["columnsAdded"] = [name for name in outputs if name not in columns]
        entry["columnsRemoved"] = [name for name in columns if name not in outputs]
    return {key: value for key, value in entry.items() if value is not None}


def _outputs(transformer: Any, columns: list[str] | None) -> list[str] | None:
    for given in ((), (columns,)):
        try:
            return [str(name) for name in transformer.get_feature_names_out(*given)][:MAX_COLUMNS]
        except Exception:  # not every transformer knows, and each fails in its own way  # noqa: S112
            continue
    return None
