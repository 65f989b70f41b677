"""Which run a training is recorded in."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from modeltrail import api
from modeltrail.observe import code
from modeltrail.runs import Run, learned
from modeltrail.runs.arguments import Origin
from modeltrail.runs.fits import Fit

Params = tuple[str | None, Mapping[str, Any], Origin | None]
"""The part of a model that they belong to, parameters, where from, if that is known."""


def current_or_own(what: str) -> tuple[Run, Run | None]:
    """The current run; without one, one of the training's own twice: it is started, and has to be ended."""
    if (run := api.current_run()) is not None:
        return run, None
    own = api.run(f"{code.script_name()}.{what}", job_type="TRAIN")
    own.start()
    return own, own


def made_alone(fitted: object, own: Run | None) -> None:
    """What is fitted now is the model of a run of its own, or belongs to the current one."""
    if own is not None:
        learned.made_alone(fitted, own.output_model(fitted), own.facts)
    else:
        learned.made_within(fitted)


@contextmanager
def ended_when_interrupted(own: Run | None) -> Iterator[None]:
    """What interrupts us before the host's own call (Ctrl-C) ends the run that was made for that."""
    try:
        yield
    except BaseException as error:
        if own is not None:
            own.end(error)
        raise


def record_params(run: Run, found: Iterable[Params], fit: Fit | None) -> None:
    """Record parameters: of a model's fit, or of the run as a whole."""
    run.facts.forget_gone()
    for component, params, origin in found:
        run.params(params, origin=origin, component=component, of=fit)


def by_origin(kind: type, values: dict[str, Any]) -> list[Params]:
    """(component, values, origin): explicit are those that differ from what the class takes by default."""
    defaults = {name: each.default for name, each in inspect.signature(kind).parameters.items()}
    left = {name: value for name, value in values.items() if _is_same(value, defaults.get(name, ...))}
    explicit = {key: value for key, value in values.items() if key not in left}
    if explicit.get("sampler") in {"RandomSampler", "SequentialSampler"}:  # it follows from `shuffle`
        left["sampler"] = explicit.pop("sampler")
    found: list[Params] = [(kind.__name__, explicit, "explicit"), (kind.__name__, left, "default")]
    return [each for each in found if each[1]]


def _is_same(value: Any, default: Any) -> bool:
    if default is None and value is False:  # shuffle
        return True
    return type(value) is type(default) and bool(value == default)
