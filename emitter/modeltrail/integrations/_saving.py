"""What a library's save is, whichever library it is of."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from typing import Any, Final, Unpack

from modeltrail import api, naming, standard
from modeltrail.event import Dataset
from modeltrail.integrations import _calls
from modeltrail.observe import code, model
from modeltrail.runs import Run, learned, moved
from modeltrail.runs.arguments import Use
from modeltrail.runs.models import Model

MODEL: Final = standard.dataset_type("MODEL", "ML_MODEL")
"""The facet of a dataset that is a model."""


def is_told_by_mlflow(module: str, function: str) -> bool:
    """Whether MLflow is in this function, and is going to tell what it does to the bridge."""
    mlflow = sys.modules.get("mlflow")
    return (
        mlflow is not None
        and _calls.is_within(module, function)
        and str(mlflow.get_tracking_uri()).startswith("modeltrail+")
    )


def record_saved(
    fitted: object | None,
    place: str | PathLike[str] | model.ModelView,
    *,
    is_model: bool,
    known: str | Model | None = None,
) -> bool:
    """A saved model is an output of the current run, with what is known of it from memory.

    Without a run it is one of its own, from the fitted model, where there is one, to its place; or from where
    that was `known` to lie. How a model was made that a run of its own fitted is told once more: questions
    about the file are asked of the run that wrote it. In a run it leads to the fitted model too, if that was
    fitted outside of it: in a thread, or before. What is saved and no model, a transformer, is data of the
    run, if there is one.

    Returns:
        Whether that is told here: what MLflow is about to log its bridge tells of.
    """
    if is_told_by_mlflow("mlflow.models.model", "log"):  # from a temporary folder
        return False
    run = api.current_run()
    if not is_model:
        if run is not None:
            before = list(run.facts.outputs)
            run.facts.reads.write_of_all(run.output(place).identity, list(run.facts.inputs), before)
    elif run is not None:
        _lead_back(run, fitted)
        run.output_model(place, of=fitted)
    else:
        with api.run(f"{code.script_name()}.save", job_type="JOB") as own:
            origin = fitted if known is None else known
            if origin is not None:
                made = origin if isinstance(origin, Model) else Model(model.look(origin))
                facets: dict[str, Any] = {"datasetType": MODEL}
                if made.view.digest is not None:  # by which a trail finds the training
                    facets["version"] = standard.dataset_version(made.view.digest)
                own.input(Dataset(*made.identity, facets), role="train")
            if known is None and (alone := learned.known_alone(fitted)) is not None:
                learned.take_over(own.facts, alone[1])
            own.output_model(place, of=fitted)
    return True


def record_holder(holder: object, models: Sequence[object], place: str | PathLike[str]) -> None:
    """A file that holds fitted models, and is none itself: a dict, a tuple, an object of the user's class.

    Of one model it is that one, stored in another way, so that what it scores is the file's.
    """
    current = api.current_run()
    if current is not None:
        moved.before_again(current.facts, naming.identity(place))
    view = model.holder(holder, models, place)
    if len(models) == 1:
        record_saved(models[0], view, is_model=True)
        return
    with (
        api.run(f"{code.script_name()}.save", job_type="JOB")
        if current is None
        else nullcontext(current) as run
    ):
        for fitted in models:
            _lead_back(run, fitted)
        run.output_model(view, of=holder)


def _lead_back(run: Run, fitted: object) -> None:
    """What was fitted outside of the run came of that model, and no other one of the run did."""
    if (alone := learned.known_alone(fitted)) is not None:
        if run.facts.fits.of(fitted) is None:
            run.facts.fits.begin(type(fitted).__name__, fitted)
        run.input(alone[0], role="train", of=fitted)


def record_loaded(place: str | PathLike[str] | Model, **use: Unpack[Use]) -> None:
    """A model that was loaded is an input of the current run, if there is one."""
    if (run := api.current_run()) is not None:
        identity = place.identity if isinstance(place, Model) else naming.identity(place)
        run.facts.reads.load(identity)
        run.input(Dataset(*identity, {"datasetType": MODEL}), role="other", **use)


def record_going_on(run: Run, base: model.ModelView | None, of: object) -> None:
    """What was loaded and goes on from there: what the run itself has saved is no input of it."""
    if base is not None and run.facts.find_model(Path(base.name)) is None:
        record_base(run, Model(base), of)


def record_base(run: Run, base: Model, of: object = None) -> None:
    """A model to go on with is an input that shapes the new one."""
    run.facts.reads.load(base.identity)
    run.input(Dataset(*base.identity, {"datasetType": MODEL}), role="train", of=of)
    run.training(base_model=base.reference(), of=of)
