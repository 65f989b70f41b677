"""What MLflow is told that a run of ours saw: the object that is logged as a model, the frame it came of.

So the logged model is an output of that run too, what was scored of the object was scored of it, and MLflow's
run made it as ours saw. A frame that MLflow has a word for and ours the content of is told once.
"""

import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from modeltrail import context, naming
from modeltrail.mlflow import models
from modeltrail.runs import Run, learned
from modeltrail.runs.datasets import Input
from modeltrail.runs.facts import Facts
from modeltrail.runs.fits import Fit

_NO_MODEL = (str, os.PathLike, dict)
"""What MLflow takes in the place of a model: where it lies, or its parts."""
_LOADERS: Final = frozenset({"load_model", "spark_udf"})


class Made(NamedTuple):
    """How a logged model came about, as a run of ours saw."""

    model_id: str
    facts: Facts
    fit: Fit | None


class _InHand(NamedTuple):
    folder: str
    model: Any


def logged(told: Any, registry: str) -> Made | None:
    """A model was logged, with the object in hand: see it, and tell it of the run of ours that fitted it.

    Args:
        told: the `LoggedModel`.
        registry: the namespace of the server's models.

    Returns:
        How it came about: in the current run, else in one of its own.
    """
    if (found := _in_hand()) is None:
        return None
    models.see(found.folder, told.artifact_location, found.model)
    run = context.current()
    if found.model is None:
        return None
    if isinstance(run, Run):
        run.made(models.logged(told, registry, None, fetch=None), found.model)
        return Made(told.model_id, run.facts, run.facts.fits.of(found.model))
    if (alone := learned.known_alone(found.model)) is not None:
        _, facts = alone
        return Made(told.model_id, facts, facts.fits.of(found.model))
    return None


def loading() -> str | None:
    """The URI of the model that this thread loads; None where MLflow only looks something up."""
    frame = sys._getframe()  # noqa: SLF001  as below
    while (above := frame.f_back) is not None:
        frame, module = above, str(above.f_globals.get("__name__"))
        if frame.f_code.co_name in _LOADERS and module.startswith("mlflow."):
            return str(frame.f_locals.get("model_uri"))
    return None


def inputs(told: Iterable[Input], made: Iterable[Made]) -> Iterator[Input]:
    """What MLflow was told that a run read, with the content that ours saw; and what ours saw besides."""
    seen = {used.dataset.identity: used for each in made for used in learned.data_of(each.facts, each.fit)}
    for used in told:
        same = next((key for key, other in seen.items() if _is_same_frame(used, other)), None)
        yield used if same is None else _as_seen(used, seen.pop(same))
    yield from seen.values()


def _is_same_frame(told: Input, seen: Input) -> bool:
    """Whether a frame of which MLflow's word is all that is known is the one that ours saw.

    Its rows are as many, its columns among those that were seen, which have the label's too.
    """
    if {told.dataset.namespace, seen.dataset.namespace} != {naming.IN_MEMORY} or told.role != seen.role:
        return False
    rows, columns = told.fingerprint.get("rows"), _columns(told)
    return rows is not None and rows == seen.fingerprint.get("rows") and columns <= _columns(seen)


def _columns(used: Input) -> set[str]:
    return {field["name"] for field in used.dataset.facets.get("schema", {}).get("fields", ())}


def _as_seen(told: Input, seen: Input) -> Input:
    """Under MLflow's name, which an import gives it too, with the content that was seen."""
    dataset = msgspec.structs.replace(
        told.dataset,
        facets={**told.dataset.facets, **seen.dataset.facets},
        input_facets={**told.dataset.input_facets, **seen.dataset.input_facets},
    )
    return msgspec.structs.replace(seen, dataset=dataset, fits=frozenset())


def _in_hand() -> _InHand | None:
    """What is being logged, by the call that has it: the store is told no more than ids."""
    from mlflow.models import Model

    wanted = inspect.unwrap(Model.log.__func__).__code__
    frame = sys._getframe()  # noqa: SLF001  inspect.stack would read the source of each
    while frame.f_code is not wanted:
        if frame.f_back is None:
            return None
        frame = frame.f_back
    first = next(iter(inspect.signature(frame.f_locals["flavor"].save_model).parameters))
    given = frame.f_locals["kwargs"]
    made = given.get(first, given.get("python_model"))
    return _InHand(frame.f_locals["local_path"], None if isinstance(made, _NO_MODEL) else made)
