"""Loads by joblib and pickle are observed at once: the library of a model is often imported by nothing else.

What a run needs is loaded only once something of such a library was.
"""

import importlib
import sys
from typing import Final

from modeltrail.integrations import _imports, _patch
from modeltrail.integrations._call import Call, Finish

LIBRARIES: Final = ("sklearn", "xgboost", "lightgbm", "torch")
"""Whose objects are looked for."""


def observe(integration: str) -> None:
    """Observe loads for one of these libraries."""
    for name in ("joblib", "pickle"):
        _imports.when_imported(
            name, lambda module: _patch.wrap_function(integration, module.load, observe_load)
        )


def observe_load(call: Call) -> Finish:
    """A loaded model is an input of the run, a loaded transformer is data that it read."""

    def finish(loaded: object, error: BaseException | None) -> None:
        if error is None and not sys.modules.keys().isdisjoint(LIBRARIES):
            given = next(iter((*call.args, *call.kwargs.values())), None)
            importlib.import_module("modeltrail.integrations._loaded").record(loaded, given)

    return finish
