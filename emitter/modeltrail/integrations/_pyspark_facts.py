"""What estimators and models of pyspark.ml say about themselves. Nothing here starts a job of Spark."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from modeltrail.facets import param_entries, params_sha256
from modeltrail.observe import model, redact

MAX_COLUMNS: Final = 1000
MAX_STEPS: Final = 1000
_PREDICTED: Final = ("predictionCol", "topicDistributionCol")
_READ: Final = ("inputCol", "inputCols", "featuresCol", "userCol", "itemCol", "itemsCol")
_MADE: Final = ("outputCol", "outputCols")
Params = tuple[str | None, dict[str, Any], Literal["explicit", "default"]]


def is_model(part: Any) -> bool:
    """Whether an estimator or what it gave predicts; a transformer alone does not."""
    return any(hasattr(each, name) for each in stages(part) for name in _PREDICTED)


def learns(estimator: Any) -> bool:
    """Whether a fit teaches something that predicts: a pipeline of what is fitted already learns nothing."""
    return any(is_model(each) and hasattr(each, "fit") for each in stages(estimator))


def stages(part: Any) -> list[Any]:
    """The steps of a pipeline, one after the other; of a search those of what it tries or has found."""
    if hasattr(part, "bestModel"):
        return stages(part.bestModel)
    if hasattr(part, "getEstimator"):
        return stages(part.getEstimator())
    inner = part.getStages() if hasattr(part, "getStages") else getattr(part, "stages", None)
    if isinstance(inner, list):
        return [each for stage in inner for each in stages(stage)]
    return [part]


def predictor(part: Any) -> Any:
    """The step that predicts, of a pipeline or a search; the last one where none does."""
    inner = stages(part)
    return next((each for each in reversed(inner) if is_model(each)), inner[-1] if inner else part)


def components(root: Any) -> dict[str, tuple[str, Any]]:
    """(name, part) of an estimator, whose name is empty, and of all parts within it, by uid.

    A part goes by its class, numbered where there are several (`Imputer_1`, `Imputer_2`): uids are others in
    each run.
    """
    found: dict[str, Any] = {}
    _collect(root, found)
    classes = [type(part).__name__ for part in found.values()]
    several, seen = Counter(classes), Counter[str]()
    named: dict[str, tuple[str, Any]] = {}
    for (uid, part), kind in zip(found.items(), classes, strict=True):
        seen[kind] += 1
        named[uid] = (f"{kind}_{seen[kind]}" if several[kind] > 1 else kind, part)
    named[root.uid] = ("", root)
    return named


def _collect(part: Any, found: dict[str, Any]) -> None:
    if part.uid in found:
        return
    found[part.uid] = part
    for value in part.extractParamMap().values():
        for each in value if isinstance(value, list) else [value]:
            if hasattr(each, "extractParamMap"):
                _collect(each, found)


def params(estimator: Any) -> Iterator[Params]:
    """(component, parameters by full name, origin): `explicit` where they were set."""
    for name, part in components(estimator).values():
        found: dict[Literal["explicit", "default"], dict[str, Any]] = {"explicit": {}, "default": {}}
        for param, value in part.extractParamMap().items():
            if not _holds_parts(value):
                found["explicit" if part.isSet(param) else "default"][_full(name, param)] = value
        for origin, values in found.items():
            if values:
                yield name or None, values, origin


def _holds_parts(value: Any) -> bool:
    """Whether a value is other parts, which are listed themselves, or what a search tries of them."""
    if not isinstance(value, list):
        return hasattr(value, "extractParamMap")
    return any(hasattr(each, "extractParamMap") or isinstance(each, Mapping) for each in value)


def _full(name: str, param: Any) -> str:
    return f"{name}.{param.name}" if name else str(param.name)


class Search(msgspec.Struct, frozen=True):
    """What a search found.

    Attributes:
        metric: what its candidates were compared by.
        direction: which way is better.
        scores: of the candidates, in their order.
        best: (component, values by full name) of the best one.
    """

    metric: str
    direction: Literal["max", "min"]
    scores: Sequence[float]
    best: Sequence[tuple[str | None, dict[str, Any]]]

    @property
    def score(self) -> float:
        """That of the best one."""
        return max(self.scores) if self.direction == "max" else min(self.scores)


def search(estimator: Any, fitted: Any) -> Search | None:
    """What a search found; None of an estimator that is none."""
    if (found := _best(estimator, fitted)) is None:
        return None
    scores, best = found
    names = {uid: name for uid, (name, _) in components(estimator).items()}
    values = [
        (names.get(param.parent), {_full(names.get(param.parent, ""), param): value})
        for param, value in best.items()
        if not _holds_parts(value)
    ]
    evaluator = estimator.getEvaluator()
    direction: Literal["max", "min"] = "max" if evaluator.isLargerBetter() else "min"
    return Search(metric_name(evaluator), direction, scores, values)


def winner(estimator: Any, fitted: Any) -> Any:
    """The estimator that the model came of: of a search what it tried with the best values."""
    found = _best(estimator, fitted)
    return estimator if found is None else estimator.getEstimator().copy(found[1])


def _best(estimator: Any, fitted: Any) -> tuple[list[float], Mapping[Any, Any]] | None:
    """The scores of a search's candidates, and the values of the best one; None of what is no search."""
    given = getattr(fitted, "avgMetrics", None) or getattr(fitted, "validationMetrics", None)
    if not given or not hasattr(estimator, "getEvaluator"):
        return None
    scores = [float(score) for score in given]
    choose = max if estimator.getEvaluator().isLargerBetter() else min
    return scores, estimator.getEstimatorParamMaps()[choose(range(len(scores)), key=scores.__getitem__)]


def metric_name(evaluator: Any) -> str:
    """What an evaluator measures; its class where it does not say."""
    name = value_of(evaluator, "metricName")
    return name if isinstance(name, str) else type(evaluator).__name__


def training(estimator: Any, fitted: Any) -> dict[str, Any]:
    """The arguments of `run.training`."""
    final = predictor(estimator)
    view = model.describe(final)
    seeds = [value_of(part, "seed") for _, part in components(estimator).values()]
    seed = next((value for value in seeds if isinstance(value, int)), None)
    found = {
        "framework": view.framework,
        "framework_version": view.framework_version,
        "algorithm": view.algorithm,
        "task": view.task,
        "seeds": None if seed is None else {"framework": seed},
        "steps": _summed(fitted, "totalIterations") or None,
    }
    return {key: value for key, value in found.items() if value is not None}


def objective(fitted: Any) -> Sequence[float]:
    """What the training minimised, at each of its steps, where the model kept it."""
    if not _summed(fitted, "totalIterations"):  # trees have a history too: of a single zero
        return []
    return [float(value) for value in list(_summed(fitted, "objectiveHistory") or ())[:MAX_STEPS]]


def _summed(fitted: Any, name: str) -> Any:
    """A part of the training's summary that is known without a job of Spark; None without it."""
    final = predictor(fitted)
    return getattr(final.summary, name, None) if getattr(final, "hasSummary", False) else None


def value_of(part: Any, name: str) -> Any:
    """The value of a parameter by name; None where there is no such parameter, or no value."""
    return part.getOrDefault(name) if part.hasParam(name) and part.isDefined(name) else None


def _columns(part: Any, names: Sequence[str]) -> list[str]:
    values = {name: value_of(part, name) for name in names}
    for name in ("inputCol", "outputCol"):  # which have defaults where the several are set
        if values.get(f"{name}s"):
            del values[name]
    several = [value if isinstance(value, list) else [value] for value in values.values()]
    return [each for some in several for each in some if isinstance(each, str)]


def used(estimator: Any, frame: Any) -> dict[str, Any]:
    """Which columns of a frame an estimator learns from: `features` and `label_column` of `run.input`.

    They are followed through the steps of a pipeline; and where those do not lead back to the frame, or the
    frame holds vectors that say nothing of their parts, nothing is said.
    """
    final, available = predictor(estimator), list(frame.columns)
    inner = stages(estimator)
    before = inner[: inner.index(final)] if final in inner else []
    features = _traced(_columns(final, _READ), before, available)
    label = value_of(final, "labelCol")
    labels = _traced([label], before, available) if label else None
    one = labels[0] if labels and len(labels) == 1 else None
    found = {"features": _unpacked(features, frame), "label_column": one}
    return {key: value for key, value in found.items() if value}


def _traced(wanted: Sequence[str], before: Sequence[Any], available: Sequence[str]) -> list[str] | None:
    """The columns of the frame that these are made from; None where that cannot be followed."""
    needed = set(wanted)
    for stage in reversed(before):
        read, made = _columns(stage, _READ), _columns(stage, _MADE)
        if len(read) == len(made):  # each of its own, as indexers do
            pairs = dict(zip(made, read, strict=True))
            needed = {pairs.get(name, name) for name in needed}
        elif needed.intersection(made):
            needed = needed.difference(made).union(read)
    return [name for name in available if name in needed] if needed <= set(available) else None


def _unpacked(features: Sequence[str] | None, frame: Any) -> list[str] | None:
    """The parts of vectors by name, as the assembler noted them in the frame's schema."""
    found: list[str] = []
    for name in features or ():
        field = frame.schema[name]
        groups = field.metadata.get("ml_attr", {}).get("attrs", {}).values()
        parts = sorted((each for group in groups for each in group), key=lambda each: each["idx"])
        found += [str(each.get("name", f"{name}[{each['idx']}]")) for each in parts] or [name]
    return found[:MAX_COLUMNS] or None


def steps(estimator: Any, fitted: Any, source: Mapping[str, str]) -> list[dict[str, Any]]:
    """The transformers of a pipeline, in order, as entries of `modelTrail_featureTransformations`."""
    names = {uid: name for uid, (name, _) in components(estimator).items()}
    made_by: dict[str, str] = {}
    found = []
    for stage, after in zip(stages(estimator), stages(fitted), strict=False):
        if is_model(stage):
            continue
        step = names.get(stage.uid) or type(stage).__name__
        found.append(_step(step, stage, after, _inputs(_columns(stage, _READ), made_by, source)))
        made_by.update(dict.fromkeys(_columns(stage, _MADE), step))
    return found


def _inputs(
    columns: Sequence[str], made_by: Mapping[str, str], source: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What a step reads, one entry for each step before it, and one for the data."""
    found: dict[str | None, list[str]] = {}
    for column in columns:
        found.setdefault(made_by.get(column), []).append(column)
    return [
        {**({"step": step} if step else source), "columns": some[:MAX_COLUMNS]}
        for step, some in found.items()
    ]


def _step(name: str, stage: Any, after: Any, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    values = {
        param.name: value for param, value in stage.extractParamMap().items() if not _holds_parts(value)
    }
    entries = param_entries(redact.mapping(values)[0])
    seen = model.describe(stage)
    outputs = _columns(stage, _MADE)[:MAX_COLUMNS]
    entry = {
        "id": name,
        "op": model.qualified_name(type(stage)),
        "library": " ".join(filter(None, (seen.framework, seen.framework_version))),
        "params": {entry["name"]: entry["value"] for entry in entries},
        "paramsSha256": params_sha256(entries),
        "inputs": inputs,
        "fittedOn": "train" if type(after) is not type(stage) else None,
        "outputs": outputs or None,
        "columnsAdded": outputs or None,
        "capture": "observed",
    }
    return {key: value for key, value in entry.items() if value is not None}
