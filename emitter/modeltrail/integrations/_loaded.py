"""Fitted models that were loaded from a file, whichever library they are of."""

from pathlib import Path

from modeltrail import api
from modeltrail.integrations import _around, _saving
from modeltrail.integrations import _sklearn_facts as facts
from modeltrail.integrations._frames import record_read
from modeltrail.observe import boosters, loads, origins


def record(loaded: object, given: object) -> None:
    """Record what was loaded from a path or an open file, if it is a model or a transformer."""
    if not _around.is_fitted_thing(loaded):
        return
    if not (boosters.is_native(loaded) or facts.is_model(loaded)):
        record_read(loaded, given)
        return
    for place in origins.places(given):
        record_model(loaded, place)


def record_model(loaded: object, place: str) -> None:
    """A model was loaded from a file; what the run itself has saved is no input of it."""
    loads.remember(loaded, place)
    run = api.current_run()
    if run is not None and run.facts.find_model(Path(place)) is None:
        _saving.record_loaded(place)
