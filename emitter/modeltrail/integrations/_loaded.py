"""Fitted models that were loaded from a file, whichever library they are of."""

from pathlib import Path
from typing import Unpack

from modeltrail import api
from modeltrail.integrations import _around, _saving
from modeltrail.integrations import _sklearn_facts as facts
from modeltrail.integrations._frames import record_read
from modeltrail.observe import boosters, holding, loads, model, paths
from modeltrail.runs.arguments import Use


def record(loaded: object, given: object) -> None:
    """Record what was loaded from a path or an open file: a model or a transformer, or what holds models."""
    if (modules := _around.module_files()) is not None and modules.holds_module(loaded):
        modules.remember_loaded(loaded, paths.places(given))
        for place in paths.places(given):
            record_input(place, followed=False)
    elif not _around.is_fitted_thing(loaded):
        held = [each for each in holding.within(loaded, _is_fitted) if _is_fitted(each)]
        for place in paths.places(given) if held else ():
            for each in held:
                record_model(each, place, is_part=len(held) > 1)
    elif not (boosters.is_native(loaded) or facts.is_model(loaded)):
        record_read(loaded, given)
    else:
        for place in paths.places(given):
            record_model(loaded, place)


def record_model(loaded: object, place: str, *, is_part: bool = False) -> None:
    """A model was loaded from a file, and is known by that."""
    loads.remember(loaded, place, is_part=is_part)
    record_input(place)


def record_input(place: str, **use: Unpack[Use]) -> None:
    """A model was loaded from a file by the current run, unless that wrote it."""
    run = api.current_run()
    if run is not None and run.facts.find_model(Path(place)) is None:
        _saving.record_loaded(place, **use)


def _is_fitted(thing: object) -> bool:
    """Whether something is a model that has learned: the attributes that it has from that end with `_`."""
    if not _around.is_fitted_thing(thing) or not (boosters.is_native(thing) or facts.is_model(thing)):
        return False
    learned = {*vars(thing), *vars(model.final_estimator(thing))}
    return boosters.native(thing) is not None or any(name.endswith("_") for name in learned)
