"""What xgboost and lightgbm have in common: rounds, sets to be judged by, models to go on with, files."""

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

import msgspec

from modeltrail import naming
from modeltrail.guard import guarded
from modeltrail.integrations import _around, _frames, _loaded, _saving, _scores
from modeltrail.integrations._call import Call, Finish
from modeltrail.integrations._frames import Function
from modeltrail.integrations._runs import (
    current_or_own,
    ended_when_interrupted,
    made_alone,
    record_params,
)
from modeltrail.integrations._saving import record_saved
from modeltrail.integrations._sources import Source, known, record_beside, record_data
from modeltrail.observe import boosters, model
from modeltrail.runs import Run
from modeltrail.runs.arguments import Role
from modeltrail.runs.fits import Fit
from modeltrail.runs.metrics import Measured
from modeltrail.runs.models import Model

# Arguments of `train` and `cv` that say how to train; the others say on what, and what to print.
_OPTIONS: Final[tuple[str, ...]] = (
    "num_boost_round",
    "early_stopping_rounds",
    "maximize",
    "nfold",
    "stratified",
    "shuffle",
    "metrics",
    "seed",
    "obj",
    "feval",
    "custom_metric",
)
_SEEDS: Final = ("seed", "random_seed", "random_state")

_SETTLED: Final = 1.0
"""Seconds after which what rounds scored is written down in full, and sent if that is due."""
_whole: WeakKeyDictionary[Any, ref[Any]] = WeakKeyDictionary()
"""Booster -> the estimator that holds it."""
_places: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""Booster -> the file that it was saved to, or loaded from."""


class Asked(msgspec.Struct, frozen=True):
    """What a call of `train` or `cv` asks for.

    Attributes:
        library: its import name.
        params: what the objective, the trees and so on are to be.
        trained: the data to train on.
        judged: the names of the evaluation sets, and their data.
        beside: what it learns from beside the table, by name: weights, groups of rows.
        base: the model to go on with.
    """

    library: str
    params: Mapping[str, Any]
    trained: Source
    judged: Sequence[tuple[str, Source]] = ()
    base: object = None
    beside: Mapping[str, Any] = msgspec.field(default_factory=dict)


Score = tuple[Any, ...]
"""The set, the metric, the value; of lightgbm also whether more is better."""


class _Course(msgspec.Struct):
    """A training that goes on.

    Attributes:
        run: what it is recorded in.
        roles: of the sets that it is judged by.
        model_id: what the run calls the model.
        settled: when a round was written down in full.
    """

    run: Run
    roles: Mapping[str, Role]
    model_id: str | None
    settled: float = 0.0

    def read(self, scores: Sequence[Score]) -> Iterator[Measured]:
        """What a round scored, as metrics."""
        for place, metric, value, *is_higher_better in scores:
            more: dict[str, Any] = {"split": self.roles.get(place, "validation"), "model_id": self.model_id}
            if is_higher_better:
                more["direction"] = "max" if is_higher_better[0] else "min"
            yield f"{place}-{metric}", value, more


_courses: dict[int, _Course] = {}
"""Thread -> what it trains."""


def follows() -> bool:
    """Whether another process of a distributed training is the one that tells of it."""
    collective = sys.modules.get("xgboost.collective")
    return collective is not None and collective.get_rank() != 0


# --- the course of a training ------------------------------------------------------------


def begin(run: Run, fit: Fit, roles: Mapping[str, Role]) -> None:
    """Have the rounds that this thread trains from here on told in the run."""
    _courses[threading.get_ident()] = _Course(run, roles, run.facts.fits.judged(fit))


def end() -> None:
    """No more rounds."""
    _courses.pop(threading.get_ident(), None)


def tell(step: int, scores: Sequence[Score]) -> None:
    """Record what a round scored, if the rounds of this thread are told."""
    if (course := _courses.get(threading.get_ident())) is None:
        return
    run, now = course.run, time.time()
    is_early = now - course.settled < _SETTLED
    if is_early and run.is_open and run.facts.metrics.keep(now, step, scores, course.read):
        return
    for name, value, more in course.read(scores):
        run.metric(name, value, step, **more)
    course.settled = now


# --- trainings ------------------------------------------------------------


def observe_train(call: Call, given: Mapping[str, Any], asked: Asked) -> Finish:
    """Records what goes in, then the booster that came out."""
    run, own = current_or_own("Booster")
    fit = run.facts.fits.begin("Booster")
    with ended_when_interrupted(own), guarded("looking at a training"):
        begin(run, fit, _record_asked(run, fit, call, given, asked))

    def finish(booster: Any, error: BaseException | None) -> None:
        end()
        if error is None:
            with guarded("recording what a training made"):
                if callable(given.get("obj")):
                    boosters.trained_for_own(booster)
                seen = model.describe(booster)
                run.facts.fits.bind(fit, booster)
                run.training(
                    framework=asked.library,
                    framework_version=seen.framework_version,
                    algorithm=seen.algorithm,
                    task=seen.task,
                    of=fit,
                )
                record_fitted(run, fit, booster, fresh=asked.base is None)
            made_alone(booster, own)
        if own is not None:
            own.end(error)

    return finish


def observe_cv(call: Call, given: Mapping[str, Any], asked: Asked) -> Finish:
    """Records what goes in, then what each round scored: as its library calls it, `test-rmse-mean`.

    All of it is the cross-validation's own: no model that the run saves came of it.
    """
    run, own = current_or_own("cv")
    fit = run.facts.fits.begin_trial("cv")
    with ended_when_interrupted(own), guarded("looking at a cross-validation"):
        _record_asked(run, fit, call, given, asked)

    def finish(results: Any, error: BaseException | None) -> None:
        if error is None:
            with guarded("recording a cross-validation"):
                library = sys.modules[asked.library]
                run.training(
                    framework=asked.library,
                    framework_version=library.__version__,
                    algorithm=f"{asked.library}.Booster",
                    task=boosters.task_of(asked.params.get("objective")),
                    of=fit,
                )
                for name in [each for each in results if each != "cvbooster"]:
                    for step, value in enumerate(results[name]):
                        run.metric(name, float(value), step, split=_split(name), of=fit)
        if own is not None:
            own.end(error)

    return finish


def _split(name: str) -> Role:
    return "train" if name.startswith("train") else "validation"


def _record_asked(run: Run, fit: Fit, call: Call, given: Mapping[str, Any], asked: Asked) -> dict[str, Role]:
    """Record what goes in; what is named among the parameters is not told as left to a default."""
    _, roles = record_data(run, asked.trained, [source for _, source in asked.judged], fit)
    record_beside(run, asked.beside, fit)
    defaults = call.defaults()
    left = {name: defaults[name] for name in _OPTIONS if name in defaults and name not in given}
    options = {name: given[name] for name in _OPTIONS if name in given}
    options |= stops_early(given.get("callbacks"))
    said = {*options, *asked.params}
    said |= boosters.overruled(said) if asked.library == "lightgbm" else set()
    left = {name: value for name, value in left.items() if name not in said}
    record_params(run, [(None, {**asked.params, **options}, "explicit"), (None, left, "default")], fit)
    seed: Any = next((asked.params[name] for name in _SEEDS if name in asked.params), None)
    own = {"framework": int(seed)} if hasattr(seed, "__index__") else {}
    run.training(seeds={**_around.seeds(), **own} or None, of=fit)
    record_base(run, fit, asked.base)
    return dict(zip([name for name, _ in asked.judged], roles, strict=True))


def stops_early(callbacks: object) -> dict[str, int]:
    """The rounds without progress after which a callback of either library ends a training."""
    for each in callbacks if isinstance(callbacks, list | tuple | set) else ():
        if type(each).__name__ in {"_EarlyStoppingCallback", "EarlyStopping"}:
            rounds = getattr(each, "stopping_rounds", None) or getattr(each, "rounds", None)
            return {"early_stopping_rounds": rounds} if isinstance(rounds, int) else {}
    return {}


def record_base(run: Run, fit: Fit | None, given: object) -> None:
    """A model to go on with is an input that shapes the new one."""
    if isinstance(given, str | os.PathLike):
        place: str | None = _place(given)
    elif (booster := boosters.native(given)) is not None:
        place = _places.get(booster)
    else:
        return
    _saving.record_base(run, Model(model.look(_holder(given) if place is None else place)), fit)


def record_fitted(run: Run, fit: Fit | None, fitted: Any, *, fresh: bool) -> None:
    """How far it came, and its best round; a booster that went on also keeps that of its base."""
    booster = boosters.native(fitted)
    if booster is None:
        return
    if booster is not fitted:
        _whole[booster] = ref(fitted)
        if callable(fitted.objective):
            boosters.trained_for_own(booster)
    run.training(steps=boosters.rounds(booster), of=fit)
    for name, value in boosters.best(booster).items() if fresh else ():
        run.metric(name, value, of=fit)


# --- predictions ------------------------------------------------------------


def observe_predict(call: Call) -> Finish | None:
    """Remembers whose predictions an array holds: of a matrix what that was made of, which may be gone."""
    given = call.arguments()
    if "data" not in given:
        return None  # the original is about to complain
    features = given["data"]
    made = known(features)
    if isinstance(made.data, ref):
        features = made.data()
    seen = None if made.data is None or isinstance(made.data, ref) else made
    return _scores.remember_predictions(_holder(given["self"]), features, seen, given["data"])


# --- files ------------------------------------------------------------


class _Matrix:
    """What stands for a matrix that was made of a file, to carry that it was."""


def expect_binary(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What lies where a matrix is about to be saved may have been read."""
    _frames.expect_written(_frames.argument(function, args, kwargs, 1))


def observe_binary(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A matrix in the form of its library is a file of data, made of what the matrix was made of."""
    made = known(args[0]).data
    made = made() if isinstance(made, ref) else made
    if isinstance(made, str | os.PathLike):
        _frames.record_read(matrix := _Matrix(), made)
        made = matrix
    _frames.record_written(made, _frames.argument(function, args, kwargs, 1))


def observe_save(call: Call) -> Finish | None:
    """A saved model is an output, with what is known of it from memory."""
    given = call.arguments()
    fitted, path = given.get("self"), given.get("fname", given.get("filename"))
    if follows() or not isinstance(path, str | os.PathLike):
        return None

    def finish(_: Any, error: BaseException | None) -> None:
        if error is None:
            place = _place(path)
            if record_saved(_holder(fitted), place, is_model=True):
                _places[boosters.native(fitted)] = place

    return finish


def observe_load(call: Call) -> Finish | None:
    """A loaded model is an input; remembers where it was loaded from."""
    given = call.arguments()
    path = given.get("fname", given.get("model_file"))
    if follows() or not isinstance(path, str | os.PathLike):
        return None

    def finish(_: Any, error: BaseException | None) -> None:
        if error is None:
            place = _places[boosters.native(given["self"])] = _place(path)
            _loaded.record_model(given["self"], place)

    return finish


def _place(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    return text if naming.is_uri(text) else str(Path(text).expanduser().absolute())


def _holder(fitted: Any) -> Any:
    """The estimator that a booster was fitted in, while it still has it; else the booster."""
    held = _whole.get(fitted)
    estimator = None if held is None else held()
    return fitted if estimator is None or boosters.native(estimator) is not fitted else estimator
