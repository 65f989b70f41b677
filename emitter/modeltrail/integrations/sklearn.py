"""scikit-learn: what an estimator was fitted on, with which parameters, and what its steps had learned.

Every `fit`, `fit_transform` and `fit_predict` of every estimator class is observed, those of other libraries
that derive from `BaseEstimator` and those defined later too. The outermost call is recorded, what it calls
inside is not. Without a current run a model's fit makes one of its own; a transformer alone does not. Metric
functions are left as they are: scikit-learn pickles scorers by the functions' identity, and replacing them
would break that.
"""

import sys
from typing import Final

from modeltrail.integrations import _around, _patch
from modeltrail.integrations._estimators import observe_fit

NAME: Final = "sklearn"
METHODS: Final = ("fit", "fit_transform", "fit_predict")


def activate() -> None:
    """Observe estimators, `train_test_split`, dumps and the seeding of generators, once they are imported."""
    _patch.on_subclass(NAME, sys.modules["sklearn.base"].BaseEstimator, _observe_class)
    _around.observe(NAME)


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
