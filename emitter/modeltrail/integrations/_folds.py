"""What scikit-learn fits again and again to judge it: the scores of cross-validations, what they predict."""

from typing import Any, Final

from modeltrail import api
from modeltrail.guard import guarded
from modeltrail.integrations import _imports, _patch
from modeltrail.integrations import _sklearn_facts as facts
from modeltrail.integrations._call import Call, Finish
from modeltrail.observe import origins
from modeltrail.runs import Run, learned
from modeltrail.runs.fits import Fit

_CROSS: Final = ("cross_val_score", "cross_validate")
_REPEAT: Final = ("learning_curve", "validation_curve", "permutation_test_score")
"""They fit again and again; nothing that comes of it is kept."""


def observe(integration: str) -> None:
    """Observe cross-validations and their like, once they are imported."""
    _imports.when_imported("sklearn.model_selection", lambda module: _observe_repeats(integration, module))
    _imports.when_imported(
        "sklearn.inspection",
        lambda module: _patch.wrap_function(integration, module.permutation_importance, observe_repeat),
    )


def _observe_repeats(integration: str, module: Any) -> None:
    for names, seen in ((_CROSS, observe_cross_validation), (_REPEAT, observe_repeat)):
        for name in names:
            _patch.wrap_function(integration, getattr(module, name), seen)
    _patch.wrap_function(integration, module.cross_val_predict, observe_predicted)


def observe_cross_validation(call: Call) -> Finish:
    """The scores of the folds are its own, their mean is told of what was fitted with the same settings.

    What is fitted for them is no model that stays.
    """
    given = call.arguments()
    run = api.current_run()
    fit: Fit | None = None
    with guarded("looking at a cross-validation"):
        if run is not None:
            estimator: Any = given.get("estimator")
            settings = facts.settings(estimator, facts.params(estimator), given.get("X"))
            fit = run.facts.fits.tried(type(estimator).__name__, settings)

    def finish(result: Any, error: BaseException | None) -> None:
        if error is None and run is not None:
            scoring = given.get("scoring")
            name = f"test_{scoring}" if isinstance(scoring, str) else "test_score"
            found = result if isinstance(result, dict) else {name: result}
            for key, values in found.items():
                if key.startswith("test_"):
                    told = [float(each) for each in values]
                    _record_folds(run, fit, name if key == "test_score" else key, told)

    return finish


def _record_folds(run: Run, fit: Fit | None, name: str, values: list[float]) -> None:
    for fold, value in enumerate(values):
        run.metric(name, value, step=fold, split="validation", of=fit)
    run.metric(f"mean_{name}", sum(values) / len(values), split="validation", of=fit)


def observe_predicted(call: Call) -> Finish:
    """What was predicted fold by fold came from where the data of the folds did; of the models none stays."""
    given = call.arguments()
    known = [each for name in ("X", "y") if (each := given.get(name)) is not None]

    def finish(result: Any, error: BaseException | None) -> None:
        if error is None:
            origins.recognize(known[0])
            origins.carry(result, *known)
            run, origin = api.current_run(), origins.of(result)
            if run is not None and origin is not None:
                learned.predicts(run.facts, None, origin.sources)

    return finish


def observe_repeat(_: Call) -> None:
    """Nothing: but what it calls inside is not told either."""
