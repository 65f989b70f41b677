"""What the trainers of Lightning and transformers have in common.

Which file holds what a module is in memory, settings of what is trained with, and evaluations of a model by
its trainer.
"""

import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from modeltrail import api, naming
from modeltrail.event import Dataset
from modeltrail.integrations import _saving, _training
from modeltrail.integrations import _sources as sources
from modeltrail.integrations._runs import by_origin, record_params
from modeltrail.integrations._sources import Source
from modeltrail.observe import code, data, model
from modeltrail.observe.model import ModelView
from modeltrail.runs import Run, learned
from modeltrail.runs.arguments import Role
from modeltrail.runs.fits import Fit
from modeltrail.runs.models import Model

PLAIN: Final = (str, int, float, bool, type(None))

_WEIGHTS: Final = (".safetensors", ".bin", ".pt", ".h5")

_folders: WeakKeyDictionary[Run, dict[str, dict[str, tuple[int, int]]]] = WeakKeyDictionary()
"""Run -> the folders that it saved models to, and what lay in each then."""
_lies: WeakKeyDictionary[Any, tuple[str | Model, int]] = WeakKeyDictionary()
"""Module -> the file, folder or model that it was saved to or loaded from, and its stamp then."""


# --- where a module lies ------------------------------------------------------------


def place(module: Any) -> str | Model | None:
    """What holds the module as it is now, if that is known."""
    where, stamp = _lies.get(module, (None, None))
    return where if stamp == _stamp(module) else None


def bases(module: Any) -> list[str | Model]:
    """What a training of the module goes on with: what it, or its parts, were loaded from or saved to last.

    It may have been changed since. Of an adapter of PEFT it is what that adapts, too.
    """
    found = [_lies[each][0] for each in module.modules() if each in _lies]
    return [place for number, place in enumerate(found) if place not in found[:number]]


def lies_nowhere(module: Any) -> None:
    """The module is changed by other means than the steps of an optimizer."""
    _lies.pop(module, None)


def lies_in(module: Any, where: str | os.PathLike[str] | Model) -> None:
    """The module was just saved there, or just loaded from there."""
    if (stamp := _stamp(module)) is not None:
        _lies[module] = (where if isinstance(where, Model) else _absolute(where)), stamp


def _stamp(module: Any) -> int | None:
    """Each step of an optimizer, and each load, counts the versions of parameters up."""
    try:
        return sum(int(each._version) for each in module.parameters())  # noqa: SLF001  documented by PyTorch
    except RuntimeError:  # made in inference mode, where nothing is counted
        return None


def _absolute(where: str | os.PathLike[str]) -> str:
    path = naming.local_path(where)
    return os.fspath(where) if path is None else str(path)


def record_saved(module: Any, where: str | os.PathLike[str]) -> None:
    """A save by the host is an output, made of what the module was known as before."""
    if (current := api.current_run()) is not None and current.facts.fits.of(module) is None:
        _bind_part(current, module)
    _saving.record_saved(module, _absolute(where), is_model=True, known=place(module))
    lies_in(module, where)
    run, folder = api.current_run(), _absolute(where)
    if run is not None and Path(folder).is_dir():
        if run not in _folders:
            run.when_ending(lambda: _look_again(run))
        _folders.setdefault(run, {})[folder] = _listing(folder)


def _bind_part(run: Run, module: Any) -> None:
    """A part of what was trained is saved: it is of that training."""
    wholes = [each for each in run.facts.fits.things() if hasattr(each, "named_parameters")]
    found = [fit for each in wholes if any(part is module for part in each.modules())
             if (fit := run.facts.fits.of(each)) is not None]  # fmt: skip
    if len(found) == 1:
        run.facts.fits.bind(found[0], module)


def _look_again(run: Run) -> None:
    """What was put beside the weights of a model since it was saved (labels, a card) is in its folder too."""
    for folder, listing in _folders.pop(run, {}).items():
        made = run.facts.find_model(folder)
        if made is None or not Path(folder).is_dir() or _listing(folder) == listing:
            continue
        seen = model.look(folder)
        known, now = ({each.path: each.sha256 for each in view.files} for view in (made.view, seen))
        if all(now.get(name) == digest for name, digest in known.items() if name.endswith(_WEIGHTS)):
            made.look_again(seen)


def _listing(folder: str) -> dict[str, tuple[int, int]]:
    """Its files, how large and of when."""
    files = ((each, each.stat()) for each in Path(folder).rglob("*") if each.is_file())
    return {str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in files}


def record_loaded(module: Any, where: str | Model) -> None:
    """A load by the host; the module is known by where it came from, also to a loop that goes on with it."""
    lies_in(module, where)
    _training.loaded.remember(module, where)
    _saving.record_loaded(where, followed=False)


def record_base(run: Run, where: str | Model, fit: Fit) -> None:
    """What a training goes on with; of several the last one is what it is based on."""
    _saving.record_base(run, where if isinstance(where, Model) else Model(model.look(where)), fit)


def record_source(run: Run, where: str, fit: Fit) -> None:
    """A model of another training whose weights the module was given."""
    made = Model(model.look(_absolute(where)))
    run.input(Dataset(*made.identity, {"datasetType": _saving.MODEL}), role="train", of=fit)


def on_hub(name: str | os.PathLike[str], commit: str | None = None) -> Model:
    """A model, or an adapter, of the hub."""
    return Model(ModelView(naming.HUB, os.fspath(name)), version=commit)


def record_kept(run: Run, fit: Fit, module: Any, kept: Mapping[str, int | None], current: str | None) -> bool:
    """Checkpoints that a training left, the best one last, each with its step, if that is known.

    `current` is the one that the module equals.

    Returns:
        Whether there are any.
    """
    found = {place: step for each, step in kept.items() if Path(place := _absolute(each)).exists()}
    for each, step in found.items():
        is_current = current is not None and each == _absolute(current)
        model.saved(module, each)
        run.output_model(each, of=module if is_current else fit, step=step)
        if is_current:
            fit.step = step
            lies_in(module, each)
    return bool(found)


def record_made(own: Run, module: Any) -> None:
    """A training of its own that left no file made what the module is."""
    own.output_model(module)
    lies_in(module, own.facts.model(module))


# --- settings ------------------------------------------------------------


def record_settings(run: Run, fit: Fit, thing: Any, **values: Any) -> None:
    """How something was made: `values`, else its attributes that are called as its arguments are."""
    kind = type(thing)
    found = {
        name: getattr(thing, name) for name in inspect.signature(kind).parameters if hasattr(thing, name)
    }
    plain = {name: value for name, value in {**found, **values}.items() if is_plain(value)}
    record_params(run, by_origin(kind, plain), fit)


def is_plain(value: Any) -> bool:
    """Whether a value says itself: a number, a text, or a few of them."""
    if isinstance(value, list | tuple):
        return all(isinstance(each, PLAIN) for each in value)
    return isinstance(value, PLAIN)


# --- evaluations ------------------------------------------------------------


def record_evaluation(
    module: Any, what: str, judged: Sequence[tuple[Source, Mapping[str, float]]], role: Role
) -> None:
    """What a module scored on some data; without a run each is one of its own."""
    for source, scores in judged:
        if not scores:
            continue
        if (run := api.current_run()) is not None:
            _evaluate(run, module, source, scores, role)
        else:
            with api.run(f"{code.script_name()}.{what}", job_type="EVALUATE") as own:
                _evaluate(own, module, source, scores, role)


def _evaluate(run: Run, module: Any, source: Source, scores: Mapping[str, float], role: Role) -> None:
    if isinstance(source.data, data.DataView):
        role = "train" if learned.role_of(run.facts, source.data, module) == "train" else role
    where = place(module)
    judged: Any = module if where is None else Path(where) if isinstance(where, str) else where
    run.evaluate(judged, sources.found(run, source, role), scores, role=role, capture="observed")
