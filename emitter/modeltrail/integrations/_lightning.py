"""What a Trainer of Lightning does, of either package that has one.

The outermost call of `fit`, `validate` and `test` is recorded. While it fits, the Trainer has one callback
more, ours: a callback by entry point would be announced on the host's terminal, stay in each Trainer, and be
missing in those that were made before.
"""

import inspect
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final
from weakref import WeakKeyDictionary

from modeltrail.guard import guarded
from modeltrail.integrations import _around, _frames, _patch, _trainers, _training
from modeltrail.integrations import _sources as sources
from modeltrail.integrations._frames import Function
from modeltrail.integrations._patch import Call, Finish
from modeltrail.integrations._runs import current_or_own, ended_when_interrupted
from modeltrail.runs import Run
from modeltrail.runs.run import Role

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
_saved: WeakKeyDictionary[Any, dict[str, int]] = WeakKeyDictionary()
"""Trainer that fits -> the files that it saved since, and after how many steps."""


def activate(name: str, library: Any) -> None:
    """Observe the trainers and modules of one of the packages."""
    trainer = library.Trainer
    _patch.wrap(name, trainer, "__init__", observe_made)
    _patch.wrap(name, trainer, "fit", observe_fit)
    _patch.wrap(name, trainer, "validate", observe_validate)
    _patch.wrap(name, trainer, "test", observe_test)
    _patch.wrap(name, trainer, "predict", observe_predict)
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
    base = _trainers.place(module)
    _saved[trainer] = {}
    watch = _watch(_library(call).Callback)()
    watch.run, watch.base = run, base
    with ended_when_interrupted(own):
        trainer.callbacks.append(watch)

    def finish(_: Any, error: BaseException | None) -> None:
        if watch in trainer.callbacks:
            trainer.callbacks.remove(watch)
        with guarded("recording what a fit made"):
            has_files = _record_fitted(run, trainer, module)
            if own is not None and error is None and not has_files and watch.has_trained:
                _trainers.record_made(own, module)
        _saved.pop(trainer, None)
        if own is not None:
            own.end(_reason(error))

    return finish


def _plain(module: Any) -> Any:
    """What `torch.compile` made of a module keeps that inside."""
    return getattr(module, "_orig_mod", module)


def _library(call: Call) -> Any:
    return sys.modules[call.function.__module__.partition(".trainer.")[0]]


def _reason(error: BaseException | None) -> BaseException | None:
    """Lightning makes an exit of an interruption by Ctrl-C."""
    is_exit = isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)
    return error.__context__ if is_exit and error is not None else error


class _Watch:
    """What is ours while a Trainer fits; a copy, or a pickle for another process, is a callback that is idle.

    Attributes:
        run: what the fit is recorded in.
        base: where the module was loaded from.
        has_trained: whether it came to the first step.
        seen: the metrics that were there when last looked at: what is logged anew is another object.
        at: steps and epoch at the end of the last epoch: what is logged at its end is known after that.
    """

    run: Run
    base: Any = None
    has_trained = False
    seen: Mapping[str, Any] = {}
    at = (0, 0)

    def __reduce__(self) -> Any:
        return type(self).__bases__[1], ()

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """All is there now: data, optimizers, the checkpoint that it goes on with."""
        self.has_trained = True
        with guarded("looking at a fit"):
            _record_asked(self.run, trainer, module, trainer.ckpt_path or self.base)

    def on_validation_start(self, trainer: Any, _: Any) -> None:
        """What is there already is not of this validation."""
        with guarded("looking at a fit"):
            self.seen = dict(trainer.callback_metrics)

    def on_validation_end(self, trainer: Any, _: Any) -> None:
        """The scores of a validation, but for the one that only tries whether it works."""
        with guarded("recording a validation"):
            if not trainer.sanity_checking:
                self._tell(trainer, "validation", (trainer.global_step, trainer.current_epoch))

    def on_train_epoch_end(self, trainer: Any, _: Any) -> None:
        """The module may still log."""
        self.at = trainer.global_step, trainer.current_epoch

    def on_train_epoch_start(self, trainer: Any, _: Any) -> None:
        """What the epoch before logged."""
        with guarded("recording an epoch"):
            if self.at != (0, 0):
                self._tell(trainer, "train", self.at)

    def on_train_end(self, trainer: Any, module: Any) -> None:
        """What the last epoch logged."""
        self.on_train_epoch_start(trainer, module)

    def _tell(self, trainer: Any, split: Role, at: tuple[int, int]) -> None:
        now = dict(trainer.callback_metrics)
        for name, value in now.items():
            if value is not self.seen.get(name):
                self.run.metric(name, float(value), step=at[0], epoch=at[1], split=split)
        self.seen = now


@cache
def _watch(callback: type) -> type[Any]:
    return type("Watch", (_Watch, callback), {})


def _record_asked(run: Run, trainer: Any, module: Any, base: Any) -> None:
    judged = [sources.see(each) for each in _loaders(trainer.val_dataloaders)]
    trained, *more = [sources.see(each) for each in _loaders(trainer.train_dataloader)]
    sources.record_data(run, trained, judged)
    for each in more:
        sources.record_data(run, each, [])
    _record_hparams(run, module)
    _record_settings(run, trainer)
    for each in trainer.optimizers:
        _trainers.record_params(run, _training.optimizer_params(each))
    for each in trainer.lr_scheduler_configs:
        _trainers.record_settings(run, each.scheduler, last_epoch=-1)  # it counts on
    for each in trainer.early_stopping_callbacks:
        _trainers.record_settings(run, each, min_delta=abs(each.min_delta))
    if base is not None:
        _trainers.record_base(run, base)
    package = type(trainer.strategy).__module__.partition(".")[0]
    version = sys.modules[package].__version__
    seen = {**_training.facts(module), "framework": package, "framework_version": version}
    run.training(**seen | _distributed(trainer))


def _record_hparams(run: Run, module: Any) -> None:
    """What the module keeps of its own arguments."""
    given = dict(getattr(module, "hparams", {}))
    known = inspect.signature(type(module)).parameters
    left = {name for name, value in given.items() if name in known and known[name].default == value}
    run.params({name: value for name, value in given.items() if name not in left})
    run.params({name: value for name, value in given.items() if name in left}, origin="default")


def _record_settings(run: Run, trainer: Any) -> None:
    """Of a Trainer that was made before `autolog` nobody knows what it was given."""
    values = {name: getattr(trainer, attribute) for name, attribute in _SETTINGS.items()}
    values["accelerator"] = type(trainer.accelerator).__name__.removesuffix("Accelerator").lower()
    values["strategy"] = type(trainer.strategy).__name__
    asked = _asked.get(trainer)
    if asked is None:
        run.params(values, origin=None, component="Trainer")
        return
    given = {name: value for name, value in values.items() if name in asked}
    set_outside = {name for name in values if f"PL_TRAINER_{name.upper()}" in os.environ} - given.keys()
    run.params(given, component="Trainer")
    run.params({name: values[name] for name in set_outside}, origin="env", component="Trainer")
    left = values.keys() - given.keys() - set_outside
    run.params({name: values[name] for name in sorted(left)}, origin="default", component="Trainer")


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
    elif given is not None:
        yield given


def _record_fitted(run: Run, trainer: Any, module: Any) -> bool:
    """How far it came, and what it left; also where it failed. Whether it left files."""
    run.training(epochs=trainer.current_epoch, steps=trainer.global_step)
    for each in trainer.early_stopping_callbacks:
        if each.stopped_epoch:
            run.metric("stopped_epoch", each.stopped_epoch)
    steps = _saved.get(trainer, {})
    names = ("last_model_path", "best_model_path")
    kept = [getattr(each, name, "") for name in names for each in trainer.checkpoint_callbacks]
    kept = [each for each in kept if each in steps]
    current = [each for each in kept if steps[each] == trainer.global_step]
    return _trainers.record_kept(run, module, kept, current[-1] if current else None)


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
            module = trainer.lightning_module
            if trainer.ckpt_path:  # its weights are those of the module now
                _trainers.lies_in(module, trainer.ckpt_path)
            judged = [sources.see(each) for each in _loaders(getattr(trainer, loaders))]
            scored = list(zip(judged, results, strict=False))
            _trainers.record_evaluation(module, call.function.__name__, scored, role)

    return finish


# --- files ------------------------------------------------------------


def observe_save(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Of a fit the steps after which it saved are remembered; a checkpoint that the host saves is a model."""
    trainer, place = args[0], _frames.argument(function, args, kwargs, 1)
    if trainer.global_rank != 0:
        return
    if (steps := _saved.get(trainer)) is not None:
        steps[os.fspath(place)] = trainer.global_step
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
