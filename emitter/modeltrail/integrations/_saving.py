"""What a library's save is, whichever library it is of."""

from os import PathLike
from typing import Any, Final

from modeltrail import api, naming, standard
from modeltrail.event import Dataset
from modeltrail.observe import code, model

MODEL: Final = standard.dataset_type("MODEL", "ML_MODEL")
"""The facet of a dataset that is a model."""


def record_saved(
    fitted: object | None, place: str | PathLike[str] | model.ModelView, *, is_model: bool
) -> None:
    """A saved model is an output of the current run, with what is known of it from memory.

    Without a run it is one of its own, from the fitted model, where that is known, to its place. What is
    saved and no model, a transformer, is data of the run, if there is one.
    """
    run = api.current_run()
    if not is_model:
        if run is not None:
            run.output(place)
    elif run is not None:
        run.output_model(place, of=fitted)
    else:
        with api.run(f"{code.script_name()}.save", job_type="JOB") as own:
            if fitted is not None:
                seen = model.look(fitted)
                facets: dict[str, Any] = {"datasetType": MODEL}
                if seen.digest is not None:  # by which a trail finds the training
                    facets["version"] = standard.dataset_version(seen.digest)
                own.input(Dataset(seen.namespace, seen.name, facets), role="train")
            own.output_model(place, of=fitted)


def record_loaded(place: str | PathLike[str]) -> None:
    """A model that was loaded is an input of the current run, if there is one."""
    if (run := api.current_run()) is not None:
        run.input(Dataset(*naming.identity(place), {"datasetType": MODEL}), role="other")
