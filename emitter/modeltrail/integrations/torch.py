"""PyTorch: a training loop that somebody wrote, by what its optimizer, loaders and files show.

The hooks are PyTorch's own where it has some: after each step of any optimizer, and where a module becomes a
part of another. Loaders, `backward`, `save` and `load` are followed. No call that computes is: neither a
forward nor what makes a tensor.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

from modeltrail.guard import guarded
from modeltrail.integrations import _around, _calls, _exports, _optimizers, _patch
from modeltrail.integrations import _modules as modules
from modeltrail.integrations import _states as states
from modeltrail.integrations import _training as training
from modeltrail.integrations._call import Call
from modeltrail.integrations._frames import Function, argument
from modeltrail.integrations._modulefiles import (
    given_back,
    observe_form,
    observe_load,
    observe_save,
    record_loaded,
    taken,
)
from modeltrail.integrations._passes import Pass
from modeltrail.integrations._training import now
from modeltrail.observe import choices, origins
from modeltrail.observe.weakly import Weakly

NAME: Final = "torch"
_passes: WeakKeyDictionary[Any, Pass] = WeakKeyDictionary()
"""What goes through a loader -> where it is."""


def activate() -> None:
    """Observe steps, loaders, losses and files; and what a program does around them."""
    torch: Any = sys.modules["torch"]
    data, optim = torch.utils.data, torch.optim
    _patch.hook(
        NAME, sys.modules["torch.optim.optimizer"].register_optimizer_step_post_hook, training.on_step
    )
    _patch.hook(NAME, torch.nn.modules.module.register_module_module_registration_hook, on_part)
    _patch.wrap(NAME, optim.Optimizer, "__init__", observe_optimizer)
    for kind in (optim.lr_scheduler.LRScheduler, optim.lr_scheduler.ReduceLROnPlateau):
        _patch.follow(NAME, kind, "__init__", observe_scheduler)
    _patch.follow(NAME, data.DataLoader, "__iter__", observe_pass)
    _patch.follow_simply(NAME, data.dataloader._BaseDataLoaderIter, "__next__", observe_batch)  # noqa: SLF001  public has none
    _patch.follow_simply(NAME, torch.Tensor, "backward", observe_backward)
    _patch.follow(NAME, torch.amp.GradScaler, "scale", observe_scale)
    _patch.follow(NAME, torch.nn.Module, "state_dict", observe_taken)
    _patch.follow(NAME, torch.nn.Module, "load_state_dict", observe_state)
    _patch.follow_functions(NAME, [data.random_split], observe_split)
    _patch.follow_functions(NAME, [torch.load], observe_load)
    _patch.follow_functions(NAME, [torch.save], observe_save)
    for kind in (torch.jit.RecursiveScriptModule, torch.jit.ScriptModule):  # scripted, and traced
        _patch.follow(NAME, kind, "save", observe_form)
    _patch.follow_whole_functions(NAME, [torch.jit.save, torch.export.save], observe_form)
    _exports.observe(NAME)
    _around.observe(NAME)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


# --- the loop ------------------------------------------------------------


def on_part(module: Any, _: str, part: Any) -> None:
    """Remembers what a module is made of."""
    with guarded("observing a module"):
        modules.put_into(module, part)


def observe_optimizer(call: Call) -> None:
    """Remembers whose parameters an optimizer got."""
    given = [*call.args[1:2], *(value for name, value in call.kwargs.items() if name == "params")]
    if given:
        modules.given(call.args[0], given[0])


def observe_scheduler(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Remembers that an optimizer has a scheduler."""
    del kwargs
    _optimizers.scheduled(args[0])


def observe_pass(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Somebody begins to go through a loader."""
    del kwargs
    if not _calls.is_observing():
        _passes[result] = Pass.through(args[0], result)


def observe_batch(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A batch was taken."""
    del kwargs
    thread = now()
    at = thread.batch
    if at is None or at.iterator() is not args[0]:
        at = _passes.get(args[0])
    if at is not None:
        at.batches += 1
        if at.batches == 1:
            at.first_step = thread.steps
        if sys.modules["torch"].is_grad_enabled():
            if at is not thread.batch:
                thread.turn(at)
            at.at_step = thread.steps
        elif at.batches == 1:
            training.judged(at)


def observe_backward(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Adds up what the next step makes smaller; on a device it stays there."""
    loss = args[0]
    if (len(args) > 1 or kwargs) and loss.numel() != 1:  # without a gradient it has to be one number
        return
    if _unscaled.known and (unscaled := _unscaled.of(loss)) is not None:
        loss = unscaled
    value = loss.item() if loss.is_cpu else loss.detach().float().reshape(())
    thread = now()
    thread.loss = value if thread.loss is None else thread.loss + value
    thread.parts += 1


_unscaled: "Weakly[Any]" = Weakly()
"""A loss multiplied so that its gradients keep their digits -> the loss."""


def observe_scale(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Remembers which loss was scaled."""
    del kwargs
    if hasattr(result, "detach"):
        _unscaled.remember(result, args[1].detach())


def observe_split(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Remembers of the parts of a dataset that they were drawn by chance."""
    generator = argument(function, args, kwargs, 2) if len(args) > 2 or "generator" in kwargs else None
    seed: dict[str, int] = {}
    if generator is not None and generator is not sys.modules["torch"].default_generator:
        seed["seed"] = generator.initial_seed()
    whole = argument(function, args, kwargs)
    known = origins.of(whole)
    for part in result:
        found = {"strategy": "random", "fraction": round(len(part) / (len(whole) or 1), 6), **seed}
        origins.choose(part, choices.after(known.split if known else None, found))


# --- files ------------------------------------------------------------


def observe_taken(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A state is taken of a module, not of a part of it for the state of the whole."""
    if not args[1:] and kwargs.get("destination") is None and isinstance(result, Mapping):
        taken(args[0], result)


def observe_state(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A module that is given a state from a file is loaded from there."""
    state = args[1] if len(args) > 1 else kwargs["state_dict"]
    if _calls.is_observing():
        return
    states.changed(args[0])
    given_back(args[0], state)
    for each in (state, *list(state.values())[:1]):
        origin = origins.of(each)
        if origin is not None and origin.sources:
            for part in modules.parts(args[0]) if kwargs.get("strict", (*args[2:3], True)[0]) else ():
                training.loaded.forget(part)  # nothing is left of what that was loaded from before
            training.loaded.remember(args[0], origin.sources[0].place)
            record_loaded(origin.sources[0].place)
            return
