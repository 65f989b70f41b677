"""What a `fit` in the manner of scikit-learn leaves in a run, whichever library the estimator is of."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from modeltrail import api, naming
from modeltrail.event import Dataset
from modeltrail.guard import guarded
from modeltrail.integrations import _around, _boosting, _calls, _saving, _scores
from modeltrail.integrations import _sklearn_facts as facts
from modeltrail.integrations._call import Call, Finish
from modeltrail.integrations._runs import (
    Params,
    current_or_own,
    ended_when_interrupted,
    made_alone,
    record_params,
)
from modeltrail.integrations._sources import record_beside, record_data, see
from modeltrail.observe import boosters, data, loads, model, origins
from modeltrail.runs import Run
from modeltrail.runs.arguments import Role
from modeltrail.runs.fits import Fit

MAX_CANDIDATES: Final = 200

Named = Dataset | data.DataView
UNKNOWN: Final = Dataset(naming.IN_MEMORY, "unknown")


def observe_fit(call: Call) -> Finish | None:
    """Records what goes in, then what came out."""
    given = call.arguments()
    if len(given) < 2 or _is_helper():
        return None  # the original is about to complain, or it is of no model
    estimator, features, *_ = given.values()
    origins.recognize(features)
    given = {**_passed_on(given), **given}
    boosted = _boosted(estimator)
    if boosted and _boosting.follows():
        return None
    if api.current_run() is None and not facts.is_model(estimator):
        return lambda result, _: origins.transform(result, features)
    run, own = current_or_own(type(model.final_estimator(estimator)).__name__)
    run.learns(estimator)
    fit = _begin(run, estimator)
    loads.forget(estimator)
    source: Named = UNKNOWN
    with ended_when_interrupted(own), guarded("looking at a fit"):
        source = _record_asked(run, fit, estimator, features, given)

    def finish(result: Any, error: BaseException | None) -> None:
        _boosting.end()
        if error is None:
            if result is not estimator:
                origins.transform(result, features, fit)
            _scores.remember_fit(estimator, features)
            with guarded("recording what a fit made"):
                if boosted:
                    _boosting.record_fitted(run, fit, boosted, fresh=_base(given) is None)
                _record_fitted(run, fit, estimator, source, facts.rows(features))
            made_alone(estimator, own)
        if own is not None:
            own.end(error)

    return finish


def _is_helper() -> bool:
    """Whether a function of scikit-learn fits something for itself: `silhouette_score` encodes labels.

    Those of `sklearn.preprocessing` prepare data for who calls them.
    """
    name = _calls.caller("sklearn.base", "sklearn.utils.")
    return name.startswith("sklearn.") and not name.startswith("sklearn.preprocessing.")


def _begin(run: Run, estimator: Any) -> Fit:
    """What an estimator had learned before is gone, unless it is to go on."""
    if not facts.is_model(estimator):
        return run.facts.fits.begin_step(type(estimator).__name__, estimator)
    afresh = not getattr(estimator, "warm_start", False)
    fit = run.facts.fits.begin(type(estimator).__name__, estimator, afresh=afresh)
    if not afresh:
        _saving.record_going_on(run, loads.base(estimator), fit)
    return fit


def _record_asked(run: Run, fit: Fit, estimator: Any, features: Any, given: Mapping[str, Any]) -> Named:
    booster = _boosted(estimator)
    stop = _boosting.stops_early(given.get("callbacks") or getattr(booster, "callbacks", None))
    asked = [*facts.params(estimator)]
    record_params(run, [*asked, (None, stop, "explicit")], fit)
    if fit.is_step:
        run.facts.fits.learns_from(fit, origins.of(features))
        return data.look(features)
    fit.settings = facts.settings(estimator, asked, features)
    trained = see(features, given.get("y"), given.get("sample_weight"))
    judged = [trained if table is features else see(table, y) for table, y in _evaluation_sets(given)]
    source, roles = record_data(run, trained, judged, fit)
    record_beside(run, {name: given[name] for name in _BESIDE if given.get(name) is not None}, fit)
    if booster is not None:
        _boosting.record_base(run, fit, _base(given))
        _boosting.begin(run, fit, _names(roles, given.get("eval_names") or ()))
    return source


_BESIDE: Final = ("sample_weight", "base_margin", "init_score", "group", "qid", "feature_weights")
"""Arguments of a fit, of scikit-learn, xgboost or lightgbm, that hold what it learns from beside a table."""


def _passed_on(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a pipeline or a search hands on to the fit of its model: `model__eval_set` as `eval_set`."""
    several: Any = given.get("params", given.get("fit_params"))
    found = several.items() if isinstance(several, dict) else ()
    return {str(name).rpartition("__")[2]: value for name, value in found}


def _base(given: Mapping[str, Any]) -> object:
    """The model that a fit goes on with."""
    return given.get("xgb_model", given.get("init_model"))


def _boosted(estimator: Any) -> Any | None:
    """The one estimator of xgboost or lightgbm that a fit is going to fit; None where it is none, or many."""
    steps = getattr(estimator, "steps", None)
    last = steps[-1][-1] if isinstance(steps, list) and steps else estimator
    return last if boosters.is_booster(last) else None


def _evaluation_sets(given: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """(features, labels) of each; lightgbm also takes one that is in no list, and both apart."""
    sets: Any = given.get("eval_set")
    if sets is None and given.get("eval_X") is not None:
        apart = (given["eval_X"], given["eval_y"])
        tables, labels = (each if isinstance(each, tuple) else (each,) for each in apart)
        return list(zip(tables, labels, strict=True))
    if not isinstance(sets, list | tuple) or not sets:
        return []
    return [(each[0], each[1]) for each in ([sets] if hasattr(sets[0], "shape") else sets)]


def _names(roles: Sequence[Role], given: Sequence[str]) -> dict[str, Role]:
    """The roles of evaluation sets by the names that xgboost and lightgbm give them."""
    found: dict[str, Role] = {"training": "train"}
    for number, role in enumerate(roles):
        found[f"validation_{number}"] = role
        found[given[number] if number < len(given) else f"valid_{number}"] = role
    return found


def _found(best: Mapping[str, Any]) -> Iterator[Params]:
    """What a search found, in the place of the values that it began with."""
    for name, value in best.items():
        yield f"estimator__{name}".rpartition("__")[0], {f"estimator__{name}": value}, "search"


def record_learning(run: Run, fit: Fit, estimator: Any) -> None:
    """How an estimator is to learn that goes on and on."""
    record_params(run, facts.params(estimator), fit)
    _record_training(run, fit, estimator)


def _record_training(run: Run, fit: Fit, estimator: Any) -> None:
    training = facts.training(estimator)
    if seeds := {**_around.seeds(), **training.get("seeds", {})}:
        training["seeds"] = seeds
    run.training(**training, of=fit)


def _record_fitted(run: Run, fit: Fit, estimator: Any, source: Named, rows: int | None) -> None:
    for part in facts.in_place(estimator):
        run.facts.fits.forget(part)
    if not fit.is_step:
        for part in (getattr(estimator, "best_estimator_", None), model.final_estimator(estimator)):
            run.facts.fits.bind(fit, part)
        _record_training(run, fit, estimator)
    if steps := facts.steps(estimator, {"namespace": source.namespace, "name": source.name}, rows):
        run.transformations(steps, of=fit)
    best = getattr(estimator, "best_params_", None)
    if isinstance(best, dict):
        fit.is_search = True
        record_params(run, _found(best), fit)
        for step, score in enumerate(facts.scores(estimator)[:MAX_CANDIDATES]):
            run.metric("mean_test_score", score, step=step, split="validation", of=fit)
        if (chosen := facts.chosen(estimator)) is not None:
            # The series ends with the last candidate; what is told of the search is the best one.
            told = {"split": "validation", "model_id": run.facts.fits.judged(fit)}
            run.facts.metrics.set_last("mean_test_score", chosen[1], step=chosen[0], **told)
        if hasattr(estimator, "best_score_"):
            run.metric("best_score", float(estimator.best_score_), split="validation", of=fit)
