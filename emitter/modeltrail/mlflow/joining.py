"""The object that MLflow saves as a model is the one that a run of ours saw fitted.

So the logged model is an output of that run too, what was scored of the object was scored of it, and MLflow's
run learned from what ours did.
"""

import inspect
import sys
from typing import Any

from modeltrail import context
from modeltrail.mlflow import models
from modeltrail.runs import Run
from modeltrail.runs.datasets import Input
from modeltrail.runs.facts import LEARNED_FROM


def logged(told: Any, registry: str) -> Run | None:
    """A model was logged, with the object in hand: tell it of the current run, if that is one of ours.

    Args:
        told: the `LoggedModel`.
        registry: the namespace of the server's models.

    Returns:
        The run of ours.
    """
    run, source = context.current(), _in_hand()
    if not isinstance(run, Run) or source is None:
        return None
    run.made(models.logged(told, registry, None, fetch=None), source)
    return run


def learned(run: Run) -> list[Input]:
    """What a run of ours has learned from so far."""
    return [used for used in list(run.facts.inputs.values()) if used.role in LEARNED_FROM]


def _in_hand() -> Any:
    """What is being logged, by the call that has it: the store is told no more than ids."""
    from mlflow.models import Model

    wanted = inspect.unwrap(Model.log.__func__).__code__
    frame = sys._getframe()  # noqa: SLF001  inspect.stack would read the source of each
    while frame.f_code is not wanted:
        if frame.f_back is None:
            return None
        frame = frame.f_back
    first = next(iter(inspect.signature(frame.f_locals["flavor"].save_model).parameters))
    return frame.f_locals["kwargs"].get(first)
