"""scikit-learn: what an estimator was fitted on, with which parameters, and what its steps had learned.

Every `fit`, `fit_transform` and `fit_predict` of every estimator class is observed, those of other libraries
that derive from `BaseEstimator` and those defined later too. The outermost call is recorded, what it calls
inside is not. Without a current run a model's fit makes one of its own; a transformer alone does not. Metric
functions are left as they are: scikit-learn pickles scorers by the functions' identity, and replacing them
would break that.
"""

import os
import sys
import threading
from typing import Any, Final
from weakref import ref

from modeltrail import api, context
from modeltrail.integrations import _patch
from modeltrail.integrations import _sklearn_facts as facts
from modeltrail.integrations._patch import Call, Finish
from modeltrail.observe import data, model

NAME: Final = "sklearn"
METHODS: Final = ("fit", "fit_transform", "fit_predict")
MAX_CANDIDATES: Final = 200

_splits: dict[int, tuple[ref[Any], dict[str, Any]]] = {}
_lock = threading.Lock()


def activate() -> None:
    """Observe estimators, `train_test_split`, `joblib.dump` and `pickle.dump`, once they are imported."""
    _patch.on_subclass(NAME, sys.modules["sklearn.base"].BaseEstimator, _observe_class)
    _patch.when_imported("sklearn.model_selection", _observe_split)
    for module in ("joblib", "pickle"):
        _patch.when_imported(module, _observe_dump)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def _observe_class(kind: type) -> None:
    for method in METHODS:
        found = vars(kind).get(method)
        if hasattr(found, "fn") and hasattr(
            found, "check"
        ):  # available_if: a method that is there on a condition
            _patch.wrap(NAME, found, "fn", observe_fit)
        elif found is not None:
            _patch.wrap(NAME, kind, method, observe_fit)


def _observe_split(module: Any) -> None:
    modules = ("sklearn.model_selection", "sklearn.model_selection._split")
    _patch.wrap_function(NAME, module.train_test_split, modules, observe_split)


def _observe_dump(module: Any) -> None:
    _patch.wrap_function(NAME, module.dump, (module.__name__, module.dump.__module__), observe_dump)


def observe_fit(call: Call) -> Finish | None:
    """Records what goes in, then what came out."""
    estimator, *_ = call.args
    given = call.arguments()
    run, own = context.current(), None
    if run is None:
        if not facts.is_model(estimator):
            return None
        run = own = api.run(f"{_script()}.{type(model.final_estimator(estimator)).__name__}")
        own.start()
    features, labels = given.get("X"), given.get("y")
    view = _record_input(run, features, labels) if facts.is_model(estimator) else data.look(features)
    for component, params, origin in facts.params(estimator):
        run.params(params, origin=origin, component=component)

    def finish(_: Any, error: BaseException | None) -> None:
        if error is None:
            _record_fitted(run, estimator, view)
            if own is not None:
                own.output_model(estimator)
        if own is not None:
            own.end(error)

    return finish


def _record_input(run: Any, features: Any, labels: Any) -> data.DataView:
    view, label = data.labelled(features, labels)
    columns = [str(name) for name in features.columns] if hasattr(features, "columns") else None
    use = {"split": _split_of(features), "label_column": label, "features": columns}
    run.input(view, role="train", **{key: value for key, value in use.items() if value is not None})
    return view


def _record_fitted(run: Any, estimator: Any, view: data.DataView) -> None:
    if facts.is_model(estimator):
        run.training(**facts.training(estimator))
    steps = facts.steps(estimator, view)
    if steps:
        run.transformations(steps)
    best = getattr(estimator, "best_params_", None)
    if isinstance(best, dict):
        run.params({f"estimator__{name}": value for name, value in best.items()}, origin="search")
        run.metric("best_score", float(estimator.best_score_))
        for step, score in enumerate(facts.scores(estimator)[:MAX_CANDIDATES]):
            run.metric("mean_test_score", score, step=step)


def observe_split(call: Call) -> Finish:
    """Remembers of each part of a split how it came about, for the fit that it goes into."""

    def finish(parts: Any, error: BaseException | None) -> None:
        if error is not None:
            return
        options = {key: value for key, value in call.kwargs.items() if value is not None}
        shuffled = options.get("shuffle", True)
        how = "stratified" if "stratify" in options else "random" if shuffled else "sequential"
        seed = options.get("random_state")
        for whole, *pair in zip(call.args, parts[::2], parts[1::2], strict=True):
            for part in pair:
                found: dict[str, Any] = {"strategy": how, "fraction": round(_rows(part) / _rows(whole), 6)}
                _remember(part, found | ({"seed": int(seed)} if hasattr(seed, "__index__") else {}))

    return finish


def _rows(whole: Any) -> int:
    return int(whole.shape[0]) if hasattr(whole, "shape") else len(whole)


def _remember(part: Any, split: dict[str, Any]) -> None:
    key = id(part)
    try:
        found = ref(part, lambda _: _splits.pop(key, None))
    except TypeError:  # a list
        return
    with _lock:
        _splits[key] = (found, split)


def _split_of(part: Any) -> dict[str, Any] | None:
    known = _splits.get(id(part))
    return known[1] if known is not None and known[0]() is part else None


def observe_dump(call: Call) -> Finish | None:
    """A saved estimator is an output, with what is known of it from memory."""
    given = call.arguments()
    estimator = given.get("value", given.get("obj"))
    target = given.get("filename", given.get("file"))
    if not isinstance(estimator, sys.modules["sklearn.base"].BaseEstimator):
        return None
    path = target if isinstance(target, str | os.PathLike) else getattr(target, "name", None)
    if not isinstance(path, str | os.PathLike):
        return None

    def finish(_: Any, error: BaseException | None) -> None:
        if error is not None:
            return
        if hasattr(target, "flush"):  # what lies in the buffer is part of the file
            target.flush()
        model.saved(estimator, path)
        _record_saved(context.current(), estimator, path)

    return finish


def _record_saved(run: Any, estimator: Any, path: str | os.PathLike[str]) -> None:
    if run is not None:
        run.output_model(path)
        return
    with api.run(f"{_script()}.save") as own:
        own.input(model.look(estimator), role="other")
        own.output_model(path)


def _script() -> str:
    """The name of the script, as the first half of an implicit run's name."""
    from modeltrail.observe import code

    entry = code.entry_point()
    path = entry.notebook or entry.path
    return (
        path.stem if path is not None and not entry.name.startswith("-m ") else entry.name.removeprefix("-m ")
    )
