"""xgboost: what a booster was trained on, how each round scored, and where the model went.

`train`, `cv` and every `fit` of its estimators are observed, whether scikit-learn is or not; the outermost
call is recorded. A matrix is looked at when it is made. Of processes that train together that of rank 0
tells.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from modeltrail.guard import guarded
from modeltrail.integrations import _around, _boosting, _patch
from modeltrail.integrations import _sources as sources
from modeltrail.integrations._boosting import (
    Asked,
    expect_binary,
    observe_binary,
    observe_load,
    observe_predict,
    observe_save,
)
from modeltrail.integrations._call import Call, Finish
from modeltrail.integrations._copies import observe_copy
from modeltrail.integrations._estimators import observe_fit
from modeltrail.integrations._frames import Function

NAME: Final = "xgboost"
MATRICES: Final = ("DMatrix", "QuantileDMatrix", "ExtMemQuantileDMatrix")


def activate() -> None:
    """Observe matrices, trainings, estimators and files; and what a program does around them."""
    library = sys.modules["xgboost"]
    for name in MATRICES:
        if hasattr(library, name):
            _patch.wrap(NAME, getattr(library, name), "__init__", observe_matrix)
    _patch.surround(NAME, library.DMatrix, "save_binary", expect_binary, observe_binary)
    _patch.wrap_function(NAME, library.train, observe_train)
    _patch.wrap_function(NAME, library.cv, observe_cv)
    _patch.follow(NAME, library.callback.CallbackContainer, "after_iteration", observe_round)
    _patch.wrap(NAME, library.Booster, "__init__", observe_load)
    for method in ("predict", "inplace_predict"):
        _patch.wrap(NAME, library.Booster, method, observe_predict)
    _patch.follow(NAME, library.Booster, "__deepcopy__", observe_copy)
    for kind in (library.Booster, library.XGBModel):
        _patch.wrap(NAME, kind, "save_model", observe_save)
        _patch.wrap(NAME, kind, "load_model", observe_load)
    _patch.on_subclass(NAME, library.XGBModel, lambda kind: _patch.wrap(NAME, kind, "fit", observe_fit))
    _around.observe(NAME)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def observe_matrix(call: Call) -> Finish | None:
    """Remembers what a matrix is made of."""
    given = call.arguments()
    if "data" not in given:
        return None  # the original is about to complain
    features = given["data"]
    if isinstance(features, str):  # a path with options: train.csv?format=csv#cache
        features = features.partition("#")[0].partition("?")[0]
    sources.remember(given["self"], features, given.get("label"), given.get("weight"))
    return None


def observe_train(call: Call) -> Finish | None:
    """Records a training."""
    given = call.arguments()
    if "dtrain" not in given or _boosting.follows():
        return None
    return _boosting.observe_train(call, given, _asked(given))


def observe_cv(call: Call) -> Finish | None:
    """Records a cross-validation."""
    given = call.arguments()
    if "dtrain" not in given or _boosting.follows():
        return None
    return _boosting.observe_cv(call, given, _asked(given))


def _asked(given: Mapping[str, Any]) -> Asked:
    evals: Any = given.get("evals")  # what can be gone through only once is the library's
    judged = (
        [(name, sources.known(matrix)) for matrix, name in evals] if isinstance(evals, list | tuple) else []
    )
    params, matrix = _by_name(given.get("params")), given["dtrain"]
    return Asked(NAME, params, sources.known(matrix), judged, given.get("xgb_model"), _beside(matrix))


def _beside(matrix: Any) -> dict[str, Any]:
    """What a matrix has beside features and labels, as xgboost keeps it: it may have been set at any time."""
    found: dict[str, Any] = {}
    for name, field in _BESIDE.items() if hasattr(matrix, "get_float_info") else ():
        with guarded("looking at a matrix"):
            values = matrix.get_uint_info(field) if name == "group" else matrix.get_float_info(field)
            if values.size:
                found[name] = values
        if name == "weight" and name in found:
            sources.trace_weights(matrix, found[name])
    return found


_BESIDE: Final = {
    "weight": "weight",
    "base_margin": "base_margin",
    "group": "group_ptr",
    "label_lower_bound": "label_lower_bound",
    "label_upper_bound": "label_upper_bound",
    "feature_weights": "feature_weights",
}
"""What can be given to a matrix, and what xgboost calls it inside."""


def _by_name(params: Any) -> Mapping[str, Any]:
    """Parameters may come as pairs, of which several may have one name."""
    if not isinstance(params, list):
        return params if isinstance(params, Mapping) else {}
    several: dict[str, list[Any]] = {}
    for name, value in params:
        several.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in several.items()}


def observe_round(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Tells what a round scored on each set."""
    del kwargs
    rounds, _model, step, *_rest = args
    history = rounds.history.items()
    _boosting.tell(
        step, [(place, name, found[-1]) for place, each in history for name, found in each.items()]
    )
