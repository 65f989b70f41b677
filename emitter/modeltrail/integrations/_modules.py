"""Modules of PyTorch: whose parameters an optimizer has, what is in which, whose state a mapping is."""

import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from modeltrail.observe.weakly import Weakly, weak

_MAX_DEPTH: Final = 50

_given: "Weakly[Callable[[], Any]]" = Weakly()
"""Optimizer -> the module that gave it its parameters."""
_parents: "Weakly[Callable[[], Any]]" = Weakly()


def given(optimizer: Any, parameters: Any) -> None:
    """Remember who gave an optimizer its parameters: a generator that was not begun yet knows it."""
    frame = getattr(parameters, "gi_frame", None)
    module = frame.f_locals.get("self") if frame is not None else None
    if isinstance(module, sys.modules["torch"].nn.Module):
        _given.remember(optimizer, weak(module))


def put_into(parent: Any, child: Any) -> None:
    """Remember that a module is a part of another one."""
    if child is not None:
        _parents.remember(child, weak(parent))


def owner(optimizer: Any) -> Any:
    """The module that an optimizer trains, without what is wrapped around it; None where it is not found."""
    module = (_given.of(optimizer) or (lambda: None))()
    if module is None:
        module = _with_parameters(optimizer)
    *_, whole = [None, *with_parents(module)]
    return inner(whole)


def _with_parameters(optimizer: Any) -> Any:
    """The largest module that has all of its parameters: a look at all objects, some 30 ms."""
    wanted = {id(each) for group in optimizer.param_groups for each in group["params"]}
    kind = sys.modules["torch"].nn.Module
    found = None
    most = 0
    for module in [each for each in gc.get_objects() if issubclass(type(each), kind)]:
        has = {id(each) for each in module.parameters()}
        count = sum(1 for _ in module.modules())
        if wanted <= has and count > most:
            found, most = module, count
    return found


def inner(module: Any) -> Any:
    """What is compiled, or trained on several devices; of `torch.compile`, DataParallel and their like."""
    for _ in range(_MAX_DEPTH):
        kind = type(module)
        if kind.__module__.startswith("torch._dynamo") and hasattr(module, "_orig_mod"):
            module = module._orig_mod  # noqa: SLF001  there is no public way
        elif kind.__module__.startswith("torch.nn.parallel"):
            module = module.module
        else:
            break
    return module


def with_parents(module: Any) -> Iterator[Any]:
    """A module, and what it is a part of."""
    for _ in range(_MAX_DEPTH):
        if module is None:
            return
        yield module
        module = (_parents.of(module) or (lambda: None))()


def parts(module: Any) -> Iterator[Any]:
    """The module and all that it is made of."""
    yield from module.modules() if module is not None else ()


def is_state(thing: Any) -> bool:
    """Whether something may be the state of a module: names to tensors, or to arrays of numpy."""
    if not isinstance(thing, Mapping) or not thing:
        return False
    return all(isinstance(key, str) for key in thing) and any(
        hasattr(each, "shape") for each in thing.values()
    )


def candidates(thing: Any, depth: int = 2) -> Iterator[Any]:
    """Modules and states in something that is saved: itself, and parts of a checkpoint."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return
    if isinstance(thing, torch.nn.Module) or is_state(thing):
        yield thing
    if isinstance(thing, Mapping) and depth:
        for each in islice(thing.values(), 100):
            yield from candidates(each, depth - 1)


def follows() -> bool:
    """Whether another process of several that train together tells, or the one that loads data for us."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.utils.data.get_worker_info() is not None:
        return True
    if torch is not None and _is_distributed(torch):
        return bool(torch.distributed.get_rank() != 0)
    return os.environ.get("RANK", "0") != "0" and "WORLD_SIZE" in os.environ  # of torchrun


def distributed() -> dict[str, Any] | None:
    """How many processes train together."""
    torch: Any = sys.modules["torch"]
    if not _is_distributed(torch):
        return None
    return {"worldSize": torch.distributed.get_world_size(), "rank": torch.distributed.get_rank()}


def _is_distributed(torch: Any) -> bool:
    return bool(torch.distributed.is_available() and torch.distributed.is_initialized())
