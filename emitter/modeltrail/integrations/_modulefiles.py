"""Files of modules of PyTorch: which trained module went to one, and which file one was loaded from.

Whichever function writes them: what is saved, or read from, is the first argument, and the file the second.
"""

import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from modeltrail import api
from modeltrail.integrations import _calls, _saving
from modeltrail.integrations import _modules as modules
from modeltrail.integrations import _states as states
from modeltrail.integrations import _training as training
from modeltrail.integrations._frames import Function, argument, record_read
from modeltrail.observe import code, origins, paths
from modeltrail.observe import model as observed
from modeltrail.observe.model import ModelView
from modeltrail.observe.weakly import weak
from modeltrail.runs import Run

_taken: dict[str, tuple[training.Training, Callable[[], Any], int | None]] = {}
"""Mark of a state -> the training and module that it was taken from, and after which step."""
_MAX_TAKEN: Final = 100
_MARKED_S: Final = 0.05
_MARKING: Final = 0.01
"""So many seconds, and so much of the time of a training, it may take to look at its states."""
_TRAINERS: Final = (
    "accelerate",
    "lightning",
    "lightning_fabric",
    "peft",
    "pytorch_lightning",
    "transformers",
)
"""What these load for a call that is told as a whole is no read of its own, as that of a dataset in it is."""


def observe_load(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Remembers the file of all that was in it."""
    given = argument(function, args, kwargs)
    if _calls.is_observing() and _calls.caller().partition(".")[0] in _TRAINERS:
        return
    record_read(result, given)
    remember_loaded(result, paths.places(given))


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
        _saving.record_loaded(place, followed=False)


def observe_save(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A trained module that is saved, or its state, alone or among other things, is a model."""
    if not _calls.is_observing():
        record_file(argument(function, args, kwargs), argument(function, args, kwargs, 1))


def observe_form(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What was scripted, traced or exported of a module is that module in another form."""
    form, place = argument(function, args, kwargs), _place(argument(function, args, kwargs, 1))
    if place is not None and not _calls.is_observing():
        numbers = {**dict(form.named_parameters()), **dict(form.named_buffers())}
        if not record_trained(numbers, place):
            _saving.record_saved(form, place, is_model=True)


def holds_module(thing: Any, held: Sequence[Any] = ()) -> bool:
    """Whether something is a module, the state of one, or holds these as a checkpoint does.

    Unless several models are `held` by it, or one that is no module.
    """
    found = list(modules.candidates(thing))
    if any(each is thing and not isinstance(each, Mapping) for each in found):
        return True
    is_one = not held or (len(held) == 1 and hasattr(held[0], "named_parameters"))
    return is_one and any(not isinstance(each, Mapping) or _is_state(each) for each in found)


def _is_state(thing: Mapping[str, Any]) -> bool:
    return hasattr(thing, "_metadata") or bool(states.trained_so(thing))


def _place(target: Any) -> str | os.PathLike[str] | None:
    """Where something was saved; None in memory, or where another process tells."""
    place = target if isinstance(target, str | os.PathLike) else getattr(target, "name", None)
    if not isinstance(place, str | os.PathLike) or modules.follows():
        return None
    if hasattr(target, "flush"):  # what lies in the buffer is part of the file
        target.flush()
    return place


def record_file(saved: Any, target: Any) -> None:
    """Record a file that modules or states were saved to, or other things."""
    if (place := _place(target)) is None:
        return
    found = list(modules.candidates(saved))
    run = api.current_run()
    if run is not None and _record_several(run, found, place):
        return
    if any(record_trained(each, place) for each in found):
        return
    part = _part_of_fitted(run, found) if run is not None else None
    whole = [each for each in found if not isinstance(each, Mapping)]
    is_model = bool(whole) or any(map(_is_state, found))
    if whole:
        _saving.record_saved(modules.inner(whole[0]), place, is_model=True)
    elif run is not None and is_model:
        run.output_model(place, of=part)
    elif run is not None:
        run.output(place)


def _record_several(run: Run, saved: Sequence[Any], place: str | os.PathLike[str]) -> bool:
    """Record a file that holds several trained modules, as they are now, none of them a part of another."""
    now = [(known, model) for known, model, is_now, _ in filter(None, map(of, saved)) if is_now]
    parts = {id(part) for _, model in now for part in itertools.islice(modules.parts(model), 1, None)}
    several = {id(model): model for _, model in now if id(model) not in parts}
    if len(several) < 2:
        return False
    for known, model in now:
        known.is_saved = True
        if known.run is run:
            run.facts.fits.bind(known.fit(run), model)
    _saving.record_holder(dict(several), list(several.values()), place)
    return True


def _part_of_fitted(run: Run, saved: Sequence[Any]) -> Any:
    """What of a module that a trainer fitted is saved, or has this state; None if nothing of any.

    Of several that a copied state may be of, nobody knows; of one the fit is returned: it is not so now.
    """
    fits, found = run.facts.fits, []
    fitted = [each for each in fits.things() if hasattr(each, "named_parameters")]
    for module, state in itertools.product(fitted, saved):
        part, fit = states.meant(module, state), fits.of(module)
        if part is not None and fit is not None:
            found.append((fit, part, states.is_now(part, state)))
    sure = [each for each in found if each[2]]
    if not sure and max(map(states.trained_so, saved), default=0) > 1:
        return None
    if len({fit for fit, *_ in sure or found}) != 1:
        return None
    fit, part, is_now = (sure or found)[0]
    fits.bind(fit, part)
    return part if is_now else fit


def record_trained(saved: Any, place: str | os.PathLike[str] | ModelView) -> bool:
    """Record where a module went, or its state, if it was seen to be trained; whether it was.

    Without a run the training is told now, as one of its own.
    """
    if (found := of(saved)) is None:
        return False
    known, model, is_now, step = found
    known.is_saved = True
    run = api.current_run()
    if run is not None:
        if known.run is run and model is not None:
            run.facts.fits.bind(known.fit(run), model)
        _record(run, known, place, model, is_now=is_now, step=step)
        return True
    with api.run(f"{code.script_name()}.{known.kind}", job_type="TRAIN") as own:
        known.close_whole()
        known.tell(own)
        _record(own, known, place, model, is_now=is_now, step=step)
    return True


def _record(
    run: Run, known: training.Training, place: Any, model: Any, *, is_now: bool, step: int | None
) -> None:
    """What was saved is the module as it is now, or as it was: then no score of the module is its own."""
    if not isinstance(place, ModelView) and model is not None:
        (states.saved if is_now else observed.saved)(model, place)
    fit = known.fit(run) if known.is_told_to(run) else None
    run.output_model(place, of=model if is_now else fit, step=step)


def of(saved: Any) -> tuple[training.Training, Any, bool, int | None] | None:
    """The last training of a module, or of one with this state; the module; whether it is so now; its step.

    A state that no module has now is of the one that it was taken from; where nobody saw that, of the only
    one that was trained with such a state.
    """
    found = [
        (each, part)
        for each in training.by_model.all()
        if (part := states.meant(each.model(), saved)) is not None
    ]
    now = [pair for pair in found if states.shares_memory(pair[1], saved)]
    now = now or [pair for pair in found if states.is_now(pair[1], saved)]
    if not now and isinstance(saved, Mapping):
        seen = _taken.get(states.mark(states.plain(saved)) or "")
        if seen is not None or states.trained_so(saved) > 1:
            return None if seen is None else (seen[0], seen[1](), False, seen[2])
    last = max(now or found, key=lambda pair: pair[0].ended, default=None)
    return None if last is None else (*last, bool(now), last[0].at_step if now else None)


def taken(module: Any, state: Mapping[str, Any]) -> None:
    """Remember of which training a state is: a copy of it may be saved when all has gone on."""
    *_, whole = modules.with_parents(module)
    known = training.by_model.of(modules.inner(whole))
    began = time.perf_counter()
    if known is None or known.marking > _MARKED_S + _MARKING * (began - known.began):
        return
    if (mark := states.mark(states.plain(state))) is not None:
        _taken.pop(mark, None)
        if len(_taken) >= _MAX_TAKEN:
            _taken.pop(next(iter(_taken)))
        _taken[mark] = known, weak(modules.inner(module)), known.at_step
    known.marking += time.perf_counter() - began


def given_back(module: Any, state: Mapping[str, Any]) -> None:
    """A module is given a state: of its training it may be that of an earlier step."""
    *_, whole = modules.with_parents(module)
    if (known := training.by_model.of(modules.inner(whole))) is not None:
        seen = _taken.get(states.mark(states.plain(state)) or "")
        known.give_back(seen[2] if seen is not None and seen[0] is known else None)
