"""transformers: what its Trainer trains, on what, how it scored, and where models came from and went to.

`Trainer.train` is observed as a call, and what it logs at `Trainer.log`: no callback of ours is among the
host's.
"""

import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from modeltrail.guard import guarded
from modeltrail.integrations import _adapters, _around, _imports, _patch, _trainers, _training
from modeltrail.integrations import _sources as sources
from modeltrail.integrations._call import Call, Finish
from modeltrail.integrations._frames import Function
from modeltrail.integrations._runs import (
    Params,
    current_or_own,
    ended_when_interrupted,
    record_params,
)
from modeltrail.runs import Run
from modeltrail.runs.arguments import Origin, Role
from modeltrail.runs.fits import Fit
from modeltrail.runs.models import Model

NAME: Final = "transformers"
_SPEEDS: Final = ("runtime", "_per_second", "_preparation_time", "total_flos", "epoch", "step")
"""How what is logged ends that is no score."""

_going_on: WeakKeyDictionary[Any, tuple[Run, Fit]] = WeakKeyDictionary()
"""Trainer that trains -> the run that it is recorded in, and what the model is to that."""
_waiting: WeakKeyDictionary[Any, Callable[[], None]] = WeakKeyDictionary()
"""Trainer that is about to make its model -> what records its training from then on."""
_in_folder: dict[str, ref[Any]] = {}
"""Folder -> the model that was saved there last: a tokenizer that is saved there too is part of it."""


def activate() -> None:
    """Observe models that are loaded and saved; and trainers, once they are imported."""
    kind = sys.modules["transformers.modeling_utils"].PreTrainedModel
    _patch.follow(NAME, kind, "from_pretrained", observe_load)
    _patch.wrap(NAME, kind, "save_pretrained", observe_save)
    _imports.when_imported("transformers.trainer", lambda module: _observe_trainers(module.Trainer))
    _imports.when_imported(
        "transformers.tokenization_utils_base",
        lambda module: _patch.wrap(
            NAME, module.PreTrainedTokenizerBase, "save_pretrained", observe_tokenizer
        ),
    )
    _adapters.observe(NAME, observe_save)
    _around.observe(NAME)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def _observe_trainers(trainer: Any) -> None:
    _patch.wrap(NAME, trainer, "train", observe_train)
    _patch.wrap_inside(NAME, trainer, "_inner_training_loop", observe_loop)
    _patch.wrap_inside(NAME, trainer, "log", observe_log)
    _patch.wrap(NAME, trainer, "evaluate", observe_evaluate)
    _patch.wrap(NAME, trainer, "predict", observe_predict)
    _patch.wrap(NAME, trainer, "save_model", observe_save_model)


# --- a training ------------------------------------------------------------


def observe_train(call: Call) -> Finish | None:
    """Records what goes in, then the checkpoints and the model that came out.

    A model that a function makes (`model_init`) is there when the loop begins, and so is what a trial sets.
    """
    given = call.arguments()
    trainer = given.get("self")
    if trainer is None or not trainer.is_world_process_zero():
        return None
    before = _checkpoints(trainer)
    owned: list[Run | None] = []

    def begin() -> None:
        kind = type(trainer.model).__name__
        run, own = current_or_own(kind)
        owned.append(own)
        bases = _trainers.bases(trainer.model)
        run.learns(trainer.model)
        fit = run.facts.fits.begin(kind, trainer.model)
        _going_on[trainer] = run, fit
        with ended_when_interrupted(own), guarded("looking at a training"):
            resumed = _resumed(trainer, given.get("resume_from_checkpoint"))
            _record_asked(run, fit, trainer, bases if resumed is None else [resumed])

    if trainer.model_init is None:
        begin()
    else:
        _waiting[trainer] = begin

    def finish(_: Any, error: BaseException | None) -> None:
        _waiting.pop(trainer, None)
        if (going_on := _going_on.pop(trainer, None)) is None:
            return
        (own,) = owned
        with guarded("recording what a training made"):
            has_files = _record_trained(*going_on, trainer, before)
            if own is not None and error is None and not has_files:
                _trainers.record_made(own, trainer.model)
        if own is not None:
            own.end(error)

    return finish


def observe_loop(call: Call, _: Any) -> None:
    """The model is made now, and all is set; a batch that did not fit has the loop begin anew."""
    if (begin := _waiting.pop(call.args[0], None)) is not None:
        begin()


def _resumed(trainer: Any, given: Any) -> str | None:
    if given is True:
        last: str | None = sys.modules["transformers.trainer_utils"].get_last_checkpoint(
            trainer.args.output_dir
        )
        return last
    return given if isinstance(given, str) else None


def _record_asked(run: Run, fit: Fit, trainer: Any, bases: Sequence[str | Model]) -> None:
    args = trainer.args
    judged = _sets(trainer.eval_dataset).values() if _value(args.eval_strategy) != "no" else ()
    sources.record_data(run, sources.see(trainer.train_dataset), [sources.see(each) for each in judged], fit)
    found: list[Params] = [("TrainingArguments", values, origin) for origin, values in _arguments(args)]
    config: Any = getattr(trainer.model, "config", None)
    if hasattr(config, "to_diff_dict"):
        said = config.to_diff_dict().items()
        values = {name: value for name, value in said if name[0] != "_" and _trainers.is_plain(value)}
        found.append((type(config).__name__, values, None))
    if (tokenizer := trainer.processing_class) is not None:
        known = {name: getattr(tokenizer, name, None) for name in ("name_or_path", "vocab_size")}
        found.append(
            (type(tokenizer).__name__, {name: each for name, each in known.items() if each}, "explicit")
        )
    for adapter in getattr(trainer.model, "peft_config", {}).values():
        found += [(type(adapter).__name__, values, origin) for origin, values in _arguments(adapter)]
    record_params(run, found, fit)
    for base in bases:
        _trainers.record_base(run, base, fit)
    seen = {**_training.facts(trainer.model), "framework": NAME}
    run.training(**{**seen, "framework_version": sys.modules[NAME].__version__}, of=fit)


def _arguments(args: Any) -> Iterable[tuple[Origin, dict[str, Any]]]:
    """The fields of a dataclass of settings by origin: explicit where they differ from their default."""
    found: dict[Origin, dict[str, Any]] = {"explicit": {}, "default": {}}
    for field in dataclasses.fields(args):
        value = getattr(args, field.name, None)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        value, default = _value(value), _value(default)
        if _trainers.is_plain(value) or isinstance(value, dict):
            is_default = value == default or (not value and not default)  # no list is made of no text
            found["default" if is_default else "explicit"][field.name] = value
    return found.items()


def _value(given: Any) -> Any:
    if isinstance(given, set):
        return sorted(given, key=str)
    return given.value if isinstance(given, Enum) else given


def _sets(given: Any) -> dict[str | None, Any]:
    """Datasets to be judged by, by name; one that is alone has none."""
    return dict(given) if isinstance(given, Mapping) else {} if given is None else {None: given}


def observe_log(call: Call, _: Any) -> None:
    """Tells what a training logged."""
    trainer, logs = call.args[0], call.arguments().get("logs")
    if (going_on := _going_on.get(trainer)) is None or not isinstance(logs, Mapping):
        return
    run, fit = going_on
    at: Any = {"step": trainer.state.global_step, "epoch": trainer.state.epoch, "of": fit}
    for name, value in _scores(logs).items():
        split: Role = "validation" if name.startswith("eval_") else "train"
        run.metric(name, value, split=split, **at)


def _scores(logs: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    return {
        name: float(value)
        for name, value in logs.items()
        if name.startswith(prefix) and isinstance(value, int | float) and not name.endswith(_SPEEDS)
    }


def _checkpoints(trainer: Any) -> dict[str, int]:
    """The checkpoints in the folder of a trainer, by whichever training, and when they were written."""
    found = Path(trainer.args.output_dir).absolute().glob("checkpoint-*/trainer_state.json")
    return {str(each.parent): each.stat().st_mtime_ns for each in found}


def _step(checkpoint: str) -> int | None:
    """The step after which it was saved, as its name says."""
    number = checkpoint.rpartition("-")[2]
    return int(number) if number.isdigit() else None


def _record_trained(run: Run, fit: Fit, trainer: Any, before: Mapping[str, int]) -> bool:
    """How far it came, and what it left; also where it failed. Whether it left files.

    An earlier training may have left checkpoints there, of the same step; and the best may be one of its own.
    """
    state, args = trainer.state, trainer.args
    run.training(epochs=int(state.epoch or 0), steps=state.global_step, of=fit)
    last, best = f"{args.output_dir}/checkpoint-{state.global_step}", state.best_model_checkpoint
    current = best if best and args.load_best_model_at_end else last
    written = _checkpoints(trainer).items() - before.items()
    made = {folder for folder, _ in written}
    steps = {each: _step(each) for each in (last, best) if each and str(Path(each).absolute()) in made}
    if current not in {last, *steps} and Path(current).exists():  # an earlier training wrote the best one
        fit.step = _step(current)
        _trainers.record_source(run, current, fit)
        _trainers.lies_in(trainer.model, current)
    return _trainers.record_kept(run, fit, trainer.model, steps, current)


# --- evaluations ------------------------------------------------------------


def observe_evaluate(call: Call) -> Finish | None:
    """What a model scored after its training is an evaluation of it."""
    given = call.arguments()
    trainer, asked = given.get("self"), given.get("eval_dataset")
    if trainer is None or not trainer.is_world_process_zero():
        return None
    known = trainer.eval_dataset
    chosen = known.get(asked) if isinstance(asked, str) and isinstance(known, Mapping) else asked
    judged = _sets(known if asked is None else chosen)
    has_shaped = any(each is one for each in judged.values() for one in _sets(known).values())
    role: Role = "validation" if has_shaped and _value(trainer.args.eval_strategy) != "no" else "test"
    prefix = given.get("metric_key_prefix", "eval")
    return _observed_scores(
        call, trainer, {_prefix(prefix, name): each for name, each in judged.items()}, role
    )


def observe_predict(call: Call) -> Finish | None:
    """A prediction of what has labels is scored too."""
    given = call.arguments()
    trainer, judged = given.get("self"), given.get("test_dataset")
    if trainer is None or judged is None or not trainer.is_world_process_zero():
        return None
    return _observed_scores(call, trainer, {f"{given.get('metric_key_prefix', 'test')}_": judged}, "test")


def _observed_scores(call: Call, trainer: Any, judged: Mapping[str, Any], role: Role) -> Finish:
    def finish(result: Any, error: BaseException | None) -> None:
        if error is None:
            metrics = getattr(result, "metrics", result) or {}
            scored = [(sources.see(each), _scores(metrics, prefix)) for prefix, each in judged.items()]
            _trainers.record_evaluation(trainer.model, call.function.__name__, scored, role)

    return finish


def _prefix(prefix: str, name: str | None) -> str:
    return f"{prefix}_" if name is None else f"{prefix}_{name}_"


# --- files ------------------------------------------------------------


def observe_save_model(call: Call) -> Finish | None:
    """What a Trainer saves is its model."""
    given = call.arguments()
    trainer = given.get("self")
    if trainer is None or not trainer.args.should_save:
        return None
    return _observed_save(trainer.model, given.get("output_dir") or trainer.args.output_dir)


def observe_save(call: Call) -> Finish | None:
    """A saved model is an output."""
    given = call.arguments()
    where = given.get("save_directory")
    if not isinstance(where, str | os.PathLike) or not given.get("is_main_process", True):
        return None
    return _observed_save(given["self"], where)


def _observed_save(saved: Any, where: str | os.PathLike[str]) -> Finish:
    def finish(_: Any, error: BaseException | None) -> None:
        if error is None:
            _trainers.record_saved(saved, where)
            _in_folder[os.path.abspath(where)] = ref(saved)  # noqa: PTH100  resolve() follows links

    return finish


def observe_tokenizer(call: Call) -> Finish | None:
    """A tokenizer that is saved to where a model lies changes what lies there."""
    where = call.arguments().get("save_directory")
    if not isinstance(where, str | os.PathLike):
        return None
    held = _in_folder.get(os.path.abspath(where))  # noqa: PTH100
    saved = None if held is None else held()
    return None if saved is None else _observed_save(saved, where)


def observe_load(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A loaded model is an input; it is known by where it came from: a folder, or the hub with its commit."""
    del function
    loaded = result[0] if isinstance(result, tuple) else result
    given = args[1] if len(args) > 1 else kwargs.get("pretrained_model_name_or_path")
    if not isinstance(given, str | os.PathLike):
        return
    place = Path(given, kwargs.get("subfolder") or "")
    if place.exists():
        _trainers.record_loaded(loaded, str(place.absolute()))
    else:
        name = os.fspath(given)
        _trainers.record_loaded(loaded, _trainers.on_hub(name, _commit(name, kwargs)))


def _commit(name: str, kwargs: Mapping[str, Any]) -> str | None:
    """The commit of a model of the hub, by where its configuration was just put into the cache."""
    where = {key: kwargs[key] for key in ("cache_dir", "revision") if kwargs.get(key)}
    found = sys.modules["huggingface_hub"].try_to_load_from_cache(name, "config.json", **where)
    return Path(found).parent.name if isinstance(found, str) else None
