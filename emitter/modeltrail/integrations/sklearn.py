"""scikit-learn: what an estimator was fitted on, with which parameters, and what its steps had learned.

Every `fit`, `fit_transform` and `fit_predict` of every estimator class is observed, those of other libraries
that derive from `BaseEstimator` and those defined later too. The outermost call is recorded, what it calls
inside is not. Without a current run a model's fit makes one of its own; a transformer alone does not. Metric
functions are left as they are: scikit-learn pickles scorers by the functions' identity, and replacing them
would break that.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from modeltrail import api, naming
from modeltrail.event import Dataset
from modeltrail.guard import guarded
from modeltrail.integrations import _patch
from modeltrail.integrations import _sklearn_facts as facts
from modeltrail.integrations._patch import Call, Finish
from modeltrail.integrations._saving import record_saved
from modeltrail.observe import code, data, model, origins
from modeltrail.runs import Run

NAME: Final = "sklearn"
METHODS: Final = ("fit", "fit_transform", "fit_predict")
MAX_CANDIDATES: Final = 200
_SEED_BITS: Final = 64

Named = Dataset | data.DataView
UNKNOWN: Final = Dataset(naming.IN_MEMORY, "unknown")

_seeds: dict[str, int] = {}
"""Of the generators that a process shares; an estimator without a `random_state` draws from numpy's."""


def activate() -> None:
    """Observe estimators, `train_test_split`, dumps and the seeding of generators, once they are imported."""
    _patch.on_subclass(NAME, sys.modules["sklearn.base"].BaseEstimator, _observe_class)
    _patch.when_imported("sklearn.model_selection", _observe_split)
    for module in ("joblib", "pickle"):
        _patch.when_imported(module, _observe_dump)
    _patch.when_imported(
        "random", lambda module: _patch.wrap_function(NAME, module.seed, observe_random_seed)
    )
    _patch.when_imported(
        "numpy.random", lambda module: _patch.wrap_function(NAME, module.seed, observe_numpy_seed)
    )


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def _observe_class(kind: type) -> None:
    for method in (*METHODS, "transform"):
        found = vars(kind).get(method)
        # available_if: a method that is there on a condition
        owner, name = (found, "fn") if hasattr(found, "fn") and hasattr(found, "check") else (kind, method)
        if method == "transform":
            _patch.follow(NAME, owner, name, observe_transform)
        elif found is not None:
            _patch.wrap(NAME, owner, name, observe_fit)


def _observe_split(module: Any) -> None:
    _patch.wrap_function(NAME, module.train_test_split, observe_split)


def _observe_dump(module: Any) -> None:
    _patch.wrap_function(NAME, module.dump, observe_dump)


def observe_fit(call: Call) -> Finish | None:
    """Records what goes in, then what came out."""
    given = call.arguments()
    if len(given) < 2:
        return None  # the original is about to complain
    estimator, features, *_ = given.values()
    is_model = facts.is_model(estimator)
    own: Run | None = None
    if (run := api.current_run()) is None:
        if not is_model:
            return lambda result, _: origins.carry(result, features)
        final = type(model.final_estimator(estimator)).__name__
        run = own = api.run(f"{code.script_name()}.{final}", job_type="TRAIN")
        own.start()
    source: Named = UNKNOWN
    with guarded("looking at a fit"):  # whatever fails here, the run of our own must end
        source = _record_input(run, features, given.get("y")) if is_model else data.look(features)
        for component, params, origin in facts.params(estimator):
            run.params(params, origin=origin, component=component)

    def finish(result: Any, error: BaseException | None) -> None:
        if error is None:
            if result is not estimator:
                origins.carry(result, features)
            _record_fitted(run, estimator, source, facts.rows(features))
            if own is not None:
                own.output_model(estimator)
        if own is not None:
            own.end(error)

    return finish


def observe_transform(
    _: Callable[..., Any], result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """What was transformed came from where the data came from."""
    origins.carry(result, *args[1:2], *kwargs.values())


def _record_input(run: Run, features: Any, labels: Any) -> Dataset:
    table, label = data.labelled(features, labels)
    columns = [str(name) for name in features.columns] if hasattr(features, "columns") else None
    use: Any = {"label_column": label, "features": columns}
    return run.input(table, role="train", **{key: value for key, value in use.items() if value is not None})


def _record_fitted(run: Run, estimator: Any, source: Named, rows: int | None) -> None:
    if facts.is_model(estimator):
        training = facts.training(estimator)
        if seeds := {**_seeds, **training.get("seeds", {})}:
            training["seeds"] = seeds
        run.training(**training)
    if steps := facts.steps(estimator, {"namespace": source.namespace, "name": source.name}, rows):
        run.transformations(steps)
    best = getattr(estimator, "best_params_", None)
    if isinstance(best, dict):
        for name, value in best.items():  # in the place of the value that the search began with
            component, _, _ = f"estimator__{name}".rpartition("__")
            run.params({f"estimator__{name}": value}, origin="search", component=component)
        for step, score in enumerate(facts.scores(estimator)[:MAX_CANDIDATES]):
            run.metric("mean_test_score", score, step=step, split="validation")
        if hasattr(estimator, "best_score_"):
            run.metric("best_score", float(estimator.best_score_), split="validation")


def observe_random_seed(call: Call) -> None:
    """Remembers the seed of `random`."""
    _remember_seed("python", call)


def observe_numpy_seed(call: Call) -> None:
    """Remembers the seed of numpy's global generator."""
    _remember_seed("numpy", call)


def _remember_seed(source: str, call: Call) -> None:
    """The last one counts; what is no whole number, or none of 64 bits, cannot be told."""
    given: Any = next(iter((*call.args, *call.kwargs.values())), None)
    _seeds.pop(source, None)
    if hasattr(given, "__index__") and int(given).bit_length() < _SEED_BITS:
        _seeds[source] = int(given)


def observe_split(call: Call) -> Finish:
    """Remembers of each part of a split how it came about, for the fit that it goes into."""

    def finish(parts: Any, error: BaseException | None) -> None:
        if error is not None:
            return
        options = {key: value for key, value in call.kwargs.items() if value is not None}
        shuffled = options.get("shuffle", True)
        how = "stratified" if "stratify" in options else "random" if shuffled else "sequential"
        seed: Any = options.get("random_state")
        for whole, *pair in zip(call.args, parts[::2], parts[1::2], strict=True):
            for part in pair:
                share = (facts.rows(part) or 0) / (facts.rows(whole) or 1)
                found: dict[str, Any] = {"strategy": how, "fraction": round(share, 6)}
                origins.carry(part, whole)
                origins.choose(part, found | ({"seed": int(seed)} if hasattr(seed, "__index__") else {}))

    return finish


def observe_dump(call: Call) -> Finish | None:
    """A saved model is an output, with what is known of it from memory; a saved transformer is data."""
    base = sys.modules["sklearn.base"].BaseEstimator
    if not any(isinstance(argument, base) for argument in (*call.args, *call.kwargs.values())):
        return None
    given = call.arguments()
    estimator = given.get("value", given.get("obj"))
    target: Any = given.get("filename", given.get("file"))
    path = target if isinstance(target, str | os.PathLike) else getattr(target, "name", None)
    if not isinstance(estimator, base) or not isinstance(path, str | os.PathLike):
        return None

    def finish(_: Any, error: BaseException | None) -> None:
        if error is None:
            if hasattr(target, "flush"):  # what lies in the buffer is part of the file
                target.flush()
            record_saved(estimator, Path(path), is_model=facts.is_model(estimator))

    return finish
