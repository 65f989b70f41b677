"""Files of modules of PyTorch: which trained module went to one, and which file one was loaded from.

Whichever function writes them: what is saved, or read from, is the first argument, and the file the second.
"""

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modeltrail import api
from modeltrail.integrations import _calls, _saving
from modeltrail.integrations import _modules as modules
from modeltrail.integrations import _training as training
from modeltrail.integrations._frames import Function, argument, record_read
from modeltrail.observe import code, origins
from modeltrail.observe.model import ModelView
from modeltrail.runs import Run


def observe_load(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Remembers the file of all that was in it."""
    given = argument(function, args, kwargs)
    record_read(result, given)
    remember_loaded(result, origins.places(given))


def remember_loaded(result: Any, places: Sequence[str]) -> None:
    """Remember for modules and states which file they are from."""
    for found in modules.candidates(result) if places else ():
        origins.read(found, places)
        if isinstance(found, Mapping):
            origins.read(dict(found), places)
        else:
            training.loaded.remember(found, places[0])
            record_loaded(places[0])


def record_loaded(place: str) -> None:
    """What the run itself has saved is no input of it, nor what a call loads that is told as a whole."""
    run = api.current_run()
    if run is None or _calls.is_observing() or modules.follows():
        return
    if run.facts.find_model(Path(place)) is None:
        _saving.record_loaded(place)


def observe_save(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A trained module that is saved, or its state, alone or among other things, is a model."""
    record_file(argument(function, args, kwargs), argument(function, args, kwargs, 1))


def record_file(saved: Any, target: Any) -> None:
    """Record a file that modules or states were saved to, or other things."""
    place = target if isinstance(target, str | os.PathLike) else getattr(target, "name", None)
    if not isinstance(place, str | os.PathLike) or _calls.is_observing() or modules.follows():
        return
    if hasattr(target, "flush"):  # what lies in the buffer is part of the file
        target.flush()
    found = list(modules.candidates(saved))
    if any(record_trained(each, place) for each in found):
        return
    run = api.current_run()
    part = _part_of_fitted(run, found) if run is not None else None
    whole = [each for each in found if not isinstance(each, Mapping)]
    is_model = bool(whole) or any(hasattr(each, "_metadata") for each in found)
    if whole:
        _saving.record_saved(modules.inner(whole[0]), place, is_model=True)
    elif run is not None and is_model:
        run.output_model(place, of=part)
    elif run is not None:
        run.output(place)


def _part_of_fitted(run: Run, saved: Sequence[Any]) -> Any:
    """What of a module that a trainer fitted is saved, or has this state; None if nothing of any.

    Of several that a copied state may be of, nobody knows.
    """
    fits, found = run.facts.fits, []
    fitted = [each for each in fits.things() if hasattr(each, "named_parameters")]
    for module, state in itertools.product(fitted, saved):
        part, fit = modules.meant(module, state), fits.of(module)
        if part is not None and fit is not None:
            found.append((fit, part, modules.shares_memory(part, state)))
    sure = [each for each in found if each[2]] or found
    if len({fit for fit, *_ in sure}) != 1:
        return None
    fit, part, _ = sure[0]
    fits.bind(fit, part)
    return part


def record_trained(saved: Any, place: str | os.PathLike[str] | ModelView) -> bool:
    """Record where a module went, or its state, if it was seen to be trained; whether it was.

    Without a run the training is told now, as one of its own.
    """
    if (found := training.of(saved)) is None:
        return False
    known, model = found
    known.is_saved = True
    run = api.current_run()
    if run is not None:
        if known.run is run:
            run.facts.fits.bind(known.fit(run), model)
        run.output_model(place, of=model)
        return True
    with api.run(f"{code.script_name()}.{type(model).__name__}", job_type="TRAIN") as own:
        known.close_whole()
        known.tell(own)
        own.output_model(place, of=model)
    return True
