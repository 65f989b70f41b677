"""Fitted models that are loaded from a file, whichever library they are of."""

from pathlib import Path

from modeltrail import api
from modeltrail.integrations import _around, _imports, _patch, _saving
from modeltrail.integrations import _sklearn_facts as facts
from modeltrail.integrations._frames import record_read
from modeltrail.integrations._patch import Call, Finish
from modeltrail.observe import boosters, loads, origins


def observe(integration: str) -> None:
    """Observe loads at once: the library of a model is often imported by nothing else."""
    for name in ("joblib", "pickle"):
        _imports.when_imported(
            name, lambda module: _patch.wrap_function(integration, module.load, observe_load)
        )


def observe_load(call: Call) -> Finish:
    """A loaded model is an input of the run, a loaded transformer is data that it read."""

    def finish(loaded: object, error: BaseException | None) -> None:
        if error is not None or not _around.is_fitted_thing(loaded):
            return
        given = next(iter((*call.args, *call.kwargs.values())), None)
        if not (boosters.is_native(loaded) or facts.is_model(loaded)):
            record_read(loaded, given)
            return
        for place in origins.places(given):
            record_model(loaded, place)

    return finish


def record_model(loaded: object, place: str) -> None:
    """A model was loaded from a file; what the run itself has saved is no input of it."""
    origins.read(loaded, [place])
    loads.remember(loaded, place)
    run = api.current_run()
    if run is not None and run.facts.find_model(Path(place)) is None:
        _saving.record_loaded(place)
