"""Know where every model came from, and prove it.

::

    import modeltrail

    modeltrail.autolog()
    with modeltrail.run("train-churn") as run:
        run.input("churn.csv", role="train")
        model = fit()
        run.output_model(model, name="churn")

Everything is loaded on use, so that importing this costs a program next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from modeltrail import errors, event, facets, testing
    from modeltrail.api import configure, current_run, flush, run, track
    from modeltrail.event import Dataset
    from modeltrail.integrations import autolog
    from modeltrail.runs import Run
    from modeltrail.transports.openlineage import KafkaTransport, LocalTransport

__all__ = [
    "Dataset",
    "KafkaTransport",
    "LocalTransport",
    "Run",
    "autolog",
    "configure",
    "current_run",
    "errors",
    "event",
    "facets",
    "flush",
    "naming",
    "run",
    "testing",
    "track",
]

_HOMES: Final = {
    "Dataset": "modeltrail.event",
    "KafkaTransport": "modeltrail.transports.openlineage",
    "LocalTransport": "modeltrail.transports.openlineage",
    "Run": "modeltrail.runs",
    "autolog": "modeltrail.integrations",
    "configure": "modeltrail.api",
    "current_run": "modeltrail.api",
    "flush": "modeltrail.api",
    "run": "modeltrail.api",
    "track": "modeltrail.api",
}
_MODULES: Final = frozenset({"errors", "event", "facets", "naming", "testing"})


def __getattr__(name: str) -> object:
    """Load on use what costs time to import: the OpenLineage client alone takes half a second."""
    if name in _MODULES:
        return import_module(f"modeltrail.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with import_module("modeltrail.guard").uncollected():
        found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
