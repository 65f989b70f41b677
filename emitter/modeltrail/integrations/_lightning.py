"""What a Trainer of Lightning does, of either package that has one.

The outermost call of `fit`, `validate` and `test` is recorded. What a fit goes on with and logs is seen where
its loop begins and where an epoch is over. A callback of ours would be called several times a batch, told on
the host's terminal if it came by entry point, and missing in Trainers that were made before.
"""

import inspect
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

from modeltrail.guard import guarded
from modeltrail.integrations import _around, _frames, _optimizers, _passes, _patch, _trainers, _training
from modeltrail.integrations import _sources as sources
from modeltrail.integrations._call import Call, Finish
from modeltrail.integrations._frames import Function
from modeltrail.integrations._runs import Params, by_origin, current_or_own, record_params
from modeltrail.runs import Run, outcome
from modeltrail.runs.arguments import Role
from modeltrail.runs.fits import Fit
from modeltrail.runs.models import Model

# Arguments of a Trainer -> the attributes that hold what came of them.
_SETTINGS: Final = {
    "max_epochs": "max_epochs",
    "min_epochs": "min_epochs",
    "max_steps": "max_steps",
    "min_steps": "min_steps",
    "precision": "precision",
    "devices": "num_devices",
    "num_nodes": "num_nodes",
    "accumulate_grad_batches": "accumulate_grad_batches",
    "gradient_clip_val": "gradient_clip_val",
    "gradient_clip_algorithm": "gradient_clip_algorithm",
    "fast_dev_run": "fast_dev_run",
    "overfit_batches": "overfit_batches",
    "limit_train_batches": "limit_train_batches",
    "limit_val_batches": "limit_val_batches",
    "val_check_interval": "val_check_interval",
    "check_val_every_n_epoch": "check_val_every_n_epoch",
    "reload_dataloaders_every_n_epochs": "reload_dataloaders_every_n_epochs",
}

_asked: WeakKeyDictionary[Any, Mapping[str, Any]] = WeakKeyDictionary()
"""Trainer -> the arguments that it was made with."""


class _Fit(msgspec.Struct):
    """A fit that goes on.

    Attributes:
        run: what it is recorded in.
        fit: what the model is to that.
        base: where the module was loaded from.
        has_begun: whether it came to its loop.
        saved: the files that it left so far, and after how many steps.
        began: when, in seconds of the clock.
    """

    run: Run
    fit: Fit
    base: str | Model | None
    has_begun: bool = False
    saved: dict[str, int] = msgspec.field(default_factory=dict)
    began: float = msgspec.field(default_factory=time.time)


_going_on: WeakKeyDictionary[Any, _Fit] = WeakKeyDictionary()
"""By Trainer."""


def activate(name: str, library: Any) -> None:
    """Observe the trainers and modules of one of the packages."""
    trainer = library.Trainer
    _patch.wrap(name, trainer, "__init__", observe_made)
    _patch.wrap(name, trainer, "fit", observe_fit)
    _patch.wrap(name, trainer, "validate", observe_validate)
    _patch.wrap(name, trainer, "test", observe_test)
    _patch.wrap(name, trainer, "predict", observe_predict)
    inside = library.trainer.trainer
    _patch.wrap_inside(name, inside._FitLoop, "on_run_start", observe_begin)  # noqa: SLF001  no public one sees it
    _patch.wrap_inside(name, inside._LoggerConnector, "on_epoch_end", observe_epoch)  # noqa: SLF001
    _patch.follow(name, trainer, "save_checkpoint", observe_save)
    _patch.wrap(name, library.LightningModule, "load_from_checkpoint", observe_load)
    _around.observe(name)


def observe_made(call: Call) -> None:
    """Remembers what a Trainer was asked for."""
    given = call.arguments()
    if "self" in given:
        _asked[given["self"]] = {**given, **given.get("kwargs", {})}


# --- a fit ------------------------------------------------------------


def observe_fit(call: Call) -> Finish | None:
    """Records a training from its first step to the checkpoints that it left."""
    given = call.arguments()
    trainer, module = given.get("self"), _plain(given.get("model"))
    if trainer is None or module is None or trainer.global_rank != 0:
        return None
    run, own = current_or_own(type(module).__name__)
    run.learns(module)
    begun = run.facts.fits.begin(type(module).__name__, module)
    fit = _going_on[trainer] = _Fit(run, begun, next(iter(_trainers.bases(module)), None))

    def finish(_: Any, error: BaseException | None) -> None:
        _going_on.pop(trainer, None)
        with guarded("recording what a fit made"):
            is_elsewhere = _is_elsewhere(trainer)
            has_files = (_record_elsewhere if is_elsewhere else _record_fitted)(fit, trainer, module, given)
            if own is not None and error is None and not has_files and fit.has_begun:
                _trainers.record_made(own, module)
        outcome.leave(error)  # Lightning makes an exit of Ctrl-C
        if own is not None:
            own.end(error)

    return finish


def _plain(module: Any) -> Any:
    """What `torch.compile` made of a module keeps that inside."""
    return getattr(module, "_orig_mod", module)


def observe_begin(call: Call, _: Any) -> None:
    """All is there now: data, optimizers, the checkpoint that it goes on with."""
    trainer = call.args[0].trainer
    if (fit := _going_on.get(trainer)) is not None:
        fit.has_begun = True
        _record_asked(fit, trainer, trainer.lightning_module)


def observe_epoch(call: Call, _: Any) -> None:
    """What was logged for callbacks by the end of an epoch of training or validation."""
    connector = call.args[0]
    trainer = connector.trainer
    if (fit := _going_on.get(trainer)) is None or trainer.sanity_checking:
        return
    split: Role = "validation" if trainer.validating else "train"
    at: Any = {"step": trainer.global_step, "epoch": trainer.current_epoch, "split": split, "of": fit.fit}
    for name, value in connector.metrics["callback"].items():
        fit.run.metric(name, float(value), **at)


def _record_asked(begun: _Fit, trainer: Any, module: Any) -> None:
    _record_data(begun, trainer.train_dataloader, trainer.val_dataloaders)
    _record_settings(begun, trainer, module, trainer.ckpt_path)


def _record_data(begun: _Fit, train: Any, judge: Any) -> None:
    trained = [sources.see(each) for each in _loaders(train)]
    judged = [sources.see(each) for each in _loaders(judge)]
    for number, each in enumerate(trained):
        sources.record_data(begun.run, each, [] if number else judged, begun.fit)
    for each in (each for each in _loaders(train) if hasattr(each, "batch_sampler")):
        for settings in _passes.settings(each):
            record_params(begun.run, by_origin(*settings), begun.fit)


def _record_settings(begun: _Fit, trainer: Any, module: Any, resumed: Any) -> None:
    run, fit = begun.run, begun.fit
    record_params(run, [*_hparams(module), *_settings(trainer)], fit)
    for each in trainer.optimizers:
        record_params(run, _optimizers.params(each), fit)
    for each in trainer.lr_scheduler_configs:
        _trainers.record_settings(run, fit, each.scheduler, last_epoch=-1)  # it counts on
    for each in trainer.early_stopping_callbacks:
        _trainers.record_settings(run, fit, each, min_delta=abs(each.min_delta))
    if (base := resumed or begun.base) is not None:
        _trainers.record_base(run, base, fit)
    package = type(trainer.strategy).__module__.partition(".")[0]
    version = sys.modules[package].__version__
    seen = {**_training.facts(module), "framework": package, "framework_version": version}
    run.training(**seen | _distributed(trainer), of=fit)


def _hparams(module: Any) -> list[Params]:
    """What the module keeps of its own arguments."""
    given = dict(getattr(module, "hparams", {}))
    known = inspect.signature(type(module)).parameters
    left = {name for name, value in given.items() if name in known and known[name].default == value}
    return [
        (None, {name: value for name, value in given.items() if name not in left}, "explicit"),
        (None, {name: value for name, value in given.items() if name in left}, "default"),
    ]


def _settings(trainer: Any) -> list[Params]:
    """Of a Trainer that was made before `autolog` nobody knows what it was given."""
    values = {name: getattr(trainer, attribute) for name, attribute in _SETTINGS.items()}
    values["accelerator"] = type(trainer.accelerator).__name__.removesuffix("Accelerator").lower()
    values["strategy"] = type(trainer.strategy).__name__
    asked = _asked.get(trainer)
    if asked is None:
        return [("Trainer", values, None)]
    given = {name: value for name, value in values.items() if name in asked}
    set_outside = {name for name in values if f"PL_TRAINER_{name.upper()}" in os.environ} - given.keys()
    left = values.keys() - given.keys() - set_outside
    return [
        ("Trainer", given, "explicit"),
        ("Trainer", {name: values[name] for name in set_outside}, "env"),
        ("Trainer", {name: values[name] for name in sorted(left)}, "default"),
    ]


def _distributed(trainer: Any) -> dict[str, Any]:
    if trainer.world_size == 1:
        return {}
    strategy = type(trainer.strategy).__name__
    known = {"worldSize": trainer.world_size, "rank": trainer.global_rank, "strategy": strategy}
    return {"distributed": known}


def _loaders(given: Any) -> Iterator[Any]:
    """Those of a mapping, of a list, of a list of lists; or the only one."""
    if isinstance(given, Mapping | list | tuple):
        for each in given.values() if isinstance(given, Mapping) else given:
            yield from _loaders(each)
    elif given is not None and not hasattr(
        given, "prepare_data"
    ):  # of a data module nobody asks for them here
        yield given


def _is_elsewhere(trainer: Any) -> bool:
    """Whether processes are started for each call, as by `ddp_spawn`: what they do is not seen here."""
    kinds = type(trainer.strategy.launcher).__mro__
    return any(each.__name__ == "_MultiProcessingLauncher" for each in kinds)


def _record_elsewhere(fit: _Fit, trainer: Any, module: Any, given: Mapping[str, Any]) -> bool:
    """What was given to processes of their own, and the best file that they left: no more is known here."""
    _record_data(fit, given.get("train_dataloaders"), given.get("val_dataloaders"))
    resumed = given.get("ckpt_path")
    is_file = resumed is not None and Path(resumed).is_file()  # else a word: `best`, `last`
    _record_settings(fit, trainer, module, str(resumed) if is_file else None)
    fit.has_begun = True
    best = [Path(each.best_model_path) for each in trainer.checkpoint_callbacks]
    kept = {str(each): None for each in best if each.is_file() and each.stat().st_mtime >= fit.began}
    return _trainers.record_kept(fit.run, fit.fit, module, kept, None)


def _record_fitted(fit: _Fit, trainer: Any, module: Any, _: Mapping[str, Any]) -> bool:
    """How far it came, and what it left; also where it failed. Whether it left files."""
    fit.run.training(epochs=trainer.current_epoch, steps=trainer.global_step, of=fit.fit)
    for each in trainer.early_stopping_callbacks:
        if each.stopped_epoch:
            fit.run.metric("stopped_epoch", each.stopped_epoch, of=fit.fit)
    names = ("last_model_path", "best_model_path")
    kept = [getattr(each, name, "") for name in names for each in trainer.checkpoint_callbacks]
    steps = {each: fit.saved[each] for each in kept if each in fit.saved}
    current = [each for each, step in steps.items() if step == trainer.global_step]
    return _trainers.record_kept(fit.run, fit.fit, module, steps, current[-1] if current else None)


# --- evaluations ------------------------------------------------------------


def observe_validate(call: Call) -> Finish | None:
    """The scores of a validation are an evaluation of the module."""
    return _observe_evaluation(call, "validation", "val_dataloaders")


def observe_test(call: Call) -> Finish | None:
    """The scores of a test are an evaluation of the module."""
    return _observe_evaluation(call, "test", "test_dataloaders")


def observe_predict(_: Call) -> None:
    """Nothing: but what it calls inside is not told either."""


def _observe_evaluation(call: Call, role: Role, loaders: str) -> Finish | None:
    given = call.arguments()
    trainer = given.get("self")
    if trainer is None or trainer.global_rank != 0:
        return None

    def finish(results: Any, error: BaseException | None) -> None:
        if error is None and isinstance(results, Sequence):
            module, judging = trainer.lightning_module, getattr(trainer, loaders)
            if _is_elsewhere(trainer):
                judging = None if given.get("ckpt_path") else given.get("dataloaders")
            if trainer.ckpt_path:  # its weights are those of the module now
                _trainers.lies_in(module, trainer.ckpt_path)
            judged = [sources.see(each) for each in _loaders(judging)]
            scored = list(zip(judged, results, strict=False))
            _trainers.record_evaluation(module, call.function.__name__, scored, role)

    return finish


# --- files ------------------------------------------------------------


def observe_save(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Of a fit the steps after which it saved are remembered; a checkpoint that the host saves is a model."""
    trainer, place = args[0], _frames.argument(function, args, kwargs, 1)
    if trainer.global_rank != 0:
        return
    if (fit := _going_on.get(trainer)) is not None:
        fit.saved[os.fspath(place)] = trainer.global_step
    else:
        _trainers.record_saved(trainer.lightning_module, place)


def observe_load(call: Call) -> Finish | None:
    """A loaded checkpoint is an input; the module is known by it."""
    place = call.arguments().get("checkpoint_path")
    if not isinstance(place, str | os.PathLike):
        return None

    def finish(module: Any, error: BaseException | None) -> None:
        if error is None:
            _trainers.record_loaded(module, os.fspath(place))

    return finish
