"""lightgbm: what a booster was trained on, how each round scored, and where the model went.

`train`, `cv` and every `fit` of its estimators are observed, whether scikit-learn is or not; the outermost
call is recorded. A dataset is looked at when lightgbm makes bins of it, after which its frame may be gone.
Which of several processes that train together this one is cannot be seen: each of them tells.
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

NAME: Final = "lightgbm"


def activate() -> None:
    """Observe datasets, trainings, estimators and files; and what a program does around them."""
    library = sys.modules["lightgbm"]
    _patch.wrap(NAME, library.Dataset, "construct", observe_construct)
    _patch.surround(NAME, library.Dataset, "save_binary", expect_binary, observe_binary)
    _patch.wrap_function(NAME, library.train, observe_train)
    _patch.wrap_function(NAME, library.cv, observe_cv)
    for method in ("eval_train", "eval_valid"):
        _patch.follow(NAME, library.Booster, method, observe_round)
    _patch.wrap(NAME, library.Booster, "__init__", observe_load)
    _patch.wrap(NAME, library.Booster, "predict", observe_predict)
    _patch.wrap(NAME, library.Booster, "save_model", observe_save)
    _patch.follow(NAME, library.Booster, "__deepcopy__", observe_copy)
    _patch.on_subclass(NAME, library.LGBMModel, lambda kind: _patch.wrap(NAME, kind, "fit", observe_fit))
    _around.observe(NAME)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def observe_construct(call: Call) -> None:
    """Remembers what a dataset is made of, before it makes bins of it."""
    _known(call.args[0])


def _known(dataset: Any) -> sources.Source:
    """What it is made of: looked at once, since its bins stay as they are."""
    if sources.known(dataset).data is None and dataset.data is not None:
        sources.remember(dataset, dataset.data, dataset.label, dataset.weight)
    return sources.known(dataset)


def observe_train(call: Call) -> Finish | None:
    """Records a training."""
    given = call.arguments()
    if "train_set" not in given:
        return None  # the original is about to complain
    return _boosting.observe_train(call, given, _asked(given))


def observe_cv(call: Call) -> Finish | None:
    """Records a cross-validation."""
    given = call.arguments()
    if "train_set" not in given:
        return None
    return _boosting.observe_cv(call, given, _asked(given))


def _asked(given: Mapping[str, Any]) -> Asked:
    sets: Any = given.get("valid_sets") or ()
    names: Any = given.get("valid_names") or ()
    sets = sets if isinstance(sets, list | tuple) else [sets]
    names = [names] if isinstance(names, str) else names
    judged = [
        (names[number] if number < len(names) else _name(number, each, given["train_set"]), _known(each))
        for number, each in enumerate(sets)
    ]
    params, dataset = given.get("params") or {}, given["train_set"]
    return Asked(NAME, params, _known(dataset), judged, given.get("init_model"), _beside(dataset))


def _beside(dataset: Any) -> dict[str, Any]:
    """What a dataset has beside features and labels, as lightgbm keeps it once it has made bins."""
    asarray = sys.modules["numpy"].asarray
    found: dict[str, Any] = {}
    for name, kind in _BESIDE.items():
        with guarded("looking at a dataset"):
            if (values := getattr(dataset, name, None)) is not None:
                found[name] = asarray(values, dtype=kind)
                if name == "weight":
                    sources.trace_weights(dataset, found[name])
    return found


_BESIDE: Final = {"weight": "float32", "init_score": "float64", "group": "int32", "position": "int32"}


def _name(number: int, dataset: Any, trained: Any) -> str:
    """What lightgbm calls a set that nobody gave a name."""
    return "training" if dataset is trained else f"valid_{number}"


def observe_round(_: Function, scores: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Tells what a round scored on each set."""
    del kwargs
    _boosting.tell(args[0].current_iteration() - 1, scores)
