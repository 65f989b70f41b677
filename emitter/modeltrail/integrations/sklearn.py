"""scikit-learn: what an estimator was fitted on, with which parameters, and what its steps had learned.

Every `fit`, `fit_transform` and `fit_predict` of every estimator class is observed, those of other libraries
that derive from `BaseEstimator` and those defined later too. The outermost call is recorded, what it calls
inside is not. Without a current run a model's fit makes one of its own; a transformer alone does not. What a
model scores is its evaluation, within a run.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from modeltrail import api
from modeltrail.integrations import _around, _copies, _folds, _frames, _imports, _patch, _scores
from modeltrail.integrations._chunks import observe_partial_fit
from modeltrail.integrations._estimators import observe_fit
from modeltrail.observe import origins

NAME: Final = "sklearn"
METHODS: Final = ("fit", "fit_transform", "fit_predict")
_FORMS: Final = ("toarray", "todense", "tocsr", "tocsc", "tocoo", "astype", "copy")


def activate() -> None:
    """Observe estimators, `train_test_split`, dumps and the seeding of generators, once they are imported."""
    estimator = sys.modules["sklearn.base"].BaseEstimator
    _patch.on_subclass(NAME, estimator, _observe_class)
    _patch.follow(NAME, estimator, "__setstate__", _copies.observe_state)
    _around.observe(NAME)
    _imports.when_imported("scipy.sparse", _follow_sparse)
    _folds.observe(NAME)
    _scores.observe(NAME)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def _follow_sparse(module: Any) -> None:
    """What is put together of sparse matrices, and what one becomes in another form."""
    _patch.follow_functions(NAME, _frames.functions(module, "hstack", "vstack"), _frames.observe_joined)
    kinds = (module.csr_matrix, module.csc_matrix, module.coo_matrix)
    for kind in dict.fromkeys(base for each in kinds for base in each.__mro__):
        for name in _FORMS:
            _patch.follow_simply(NAME, kind, name, _frames.observe_own)


def _observe_class(kind: type) -> None:
    for method in METHODS:
        if method in vars(kind):
            _patch.wrap(NAME, *_place(kind, method), observe_fit)
    if "partial_fit" in vars(kind):
        _patch.wrap(NAME, *_place(kind, "partial_fit"), observe_partial_fit)
    if "transform" in vars(kind):
        _patch.follow(NAME, *_place(kind, "transform"), observe_transform)
    for owner in _new_in(kind):
        for method in (*_scores.PREDICT, "score"):
            if method in vars(owner):
                _scores.observe_method(NAME, *_place(owner, method), method)


def _new_in(kind: type) -> list[type]:
    """The class, and those that it is made of but for estimators and what these are made of: seen before.

    Mixins are no estimators themselves, and of hundreds of classes each is made of several.
    """
    estimator = sys.modules["sklearn.base"].BaseEstimator
    seen = [each for base in kind.__bases__ if estimator in base.__mro__ for each in base.__mro__]
    return [each for each in kind.__mro__[:-1] if each not in seen]


def _place(kind: type, method: str) -> tuple[Any, str]:
    """Where the function of a method is: in the descriptor, of one that is there on a condition."""
    found = vars(kind)[method]
    return (found, "fn") if hasattr(found, "fn") and hasattr(found, "check") else (kind, method)


def observe_transform(
    _: Callable[..., Any], result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """What was transformed came from where the data came from, and of what had learned to."""
    given = next(iter((*args[1:2], *kwargs.values())), None)
    origins.recognize(given)
    run = api.current_run()
    origins.transform(result, given, None if run is None else run.facts.fits.of(args[0]))
