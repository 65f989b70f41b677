"""How an optimizer of PyTorch is set, and its scheduler."""

import inspect
from collections.abc import Callable
from typing import Any

from modeltrail.integrations._runs import Params, by_origin
from modeltrail.observe.weakly import Weakly, weak

_schedulers: "Weakly[Callable[[], Any]]" = Weakly()
"""Optimizer -> its last scheduler."""


def scheduled(scheduler: Any) -> None:
    """Remember the scheduler of an optimizer."""
    _schedulers.remember(scheduler.optimizer, weak(scheduler))


def params(optimizer: Any) -> list[Params]:
    """What an optimizer and its scheduler were given: (component, values, origin)."""
    groups = optimizer.param_groups
    # A state that was loaded, and who sets a rate by hand, change the groups, not the defaults.
    alone = groups[0] if len(groups) == 1 else {}
    found = {
        name: alone.get("initial_lr", alone.get(name, value)) if name == "lr" else alone.get(name, value)
        for name, value in optimizer.defaults.items()
        if name in inspect.signature(type(optimizer)).parameters
    }
    for number, group in enumerate(groups if len(groups) > 1 else ()):
        for name in list(found):
            if name not in group:
                continue
            value = group.get("initial_lr", group[name]) if name == "lr" else group[name]
            if value is not found[name]:
                found[f"param_groups.{number}.{name}"] = value
    told = by_origin(type(optimizer), found)
    scheduler = (_schedulers.of(optimizer) or (lambda: None))()
    if scheduler is not None:
        names = inspect.signature(type(scheduler)).parameters.keys() - {"optimizer", "last_epoch"}
        told += by_origin(
            type(scheduler), {name: vars(scheduler)[name] for name in names if name in vars(scheduler)}
        )
    return told
