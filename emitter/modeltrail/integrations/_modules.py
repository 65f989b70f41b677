"""Modules of PyTorch: whose parameters an optimizer has, what is in which, whose state a mapping is."""

import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from modeltrail.observe.model import qualified_name
from modeltrail.observe.weakly import Weakly, weak

_MAX_DEPTH: Final = 50

_given: "Weakly[Callable[[], Any]]" = Weakly()
"""Optimizer -> the module that gave it its parameters."""
_parents: "Weakly[Callable[[], Any]]" = Weakly()
_groups: "Weakly[Together]" = Weakly()
"""Module -> those that it was trained together with last."""


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
    """The module that an optimizer trains, without what is wrapped around it; None where it is not found.

    Of modules that are no parts of one it is all of them together.
    """
    module = (_given.of(optimizer) or (lambda: None))()
    wholes: list[Any] = []
    for each in _with_parameters(optimizer) if module is None else [module]:
        *_, whole = _upwards(each)
        if all(inner(whole) is not known for known in wholes):
            wholes.append(inner(whole))
    return _together(wholes) if wholes else None


def _together(wholes: list[Any]) -> Any:
    known = _groups.of(wholes[0])
    if known is not None and all(any(each is part for part in known.children()) for each in wholes):
        return known
    if len(wholes) == 1:
        return wholes[0]
    made = Together(wholes)
    for each in wholes:
        _groups.remember(each, made)
    return made


def _with_parameters(optimizer: Any) -> list[Any]:
    """The largest module that has all of its parameters, else those that have some of them and no others.

    A look at all objects, some 30 ms.
    """
    given = (each for group in optimizer.param_groups for each in group["params"])
    wanted = {id(each): place for place, each in enumerate(given)}
    kind = sys.modules["torch"].nn.Module
    found = []
    for module in [each for each in gc.get_objects() if issubclass(type(each), kind)]:
        has = {id(each) for each in module.parameters()}
        if has and (has <= wanted.keys() or wanted.keys() <= has):
            found.append((module, has, sum(1 for _ in module.modules())))
    found.sort(key=lambda each: (len(each[1] & wanted.keys()), each[2]), reverse=True)
    left, several = set(wanted), {}
    for module, has, _ in found:
        if has & left:
            several[min(wanted[each] for each in has if each in wanted)] = module
            left -= has
    return [module for _, module in sorted(several.items())]


class Together:
    """Modules that one optimizer trains as if they were parts of one; none is kept alive."""

    def __init__(self, several: Sequence[Any]) -> None:
        self._several = [weak(each) for each in several]
        self.algorithm = " + ".join(qualified_name(type(each)) for each in several)

    def children(self) -> Iterator[Any]:
        """Those that live."""
        yield from (module for each in self._several if (module := each()) is not None)

    def modules(self) -> Iterator[Any]:
        """These, and all that they are made of."""
        yield from (part for each in self.children() for part in each.modules())

    def named_parameters(self, *, remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
        """As of a list of modules."""
        return self._named("named_parameters", remove_duplicate)

    def named_buffers(self, *, remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
        """As of a list of modules."""
        return self._named("named_buffers", remove_duplicate)

    def parameters(self) -> Iterator[Any]:
        """Those of all."""
        yield from (each for _, each in self.named_parameters())

    def _named(self, what: str, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        for number, module in enumerate(self.children()):
            for name, each in getattr(module, what)(remove_duplicate=remove_duplicate):
                yield f"{number}.{name}", each


def algorithm(module: Any) -> str | None:
    """The class of a module, or those of several."""
    if isinstance(module, Together):
        return module.algorithm
    return None if module is None else qualified_name(type(module))


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
    """A module, and what it is a part of, or trained together with others as."""
    whole = None
    for whole in _upwards(module):
        yield whole
    if (group := _groups.of(inner(whole))) is not None:
        yield group


def _upwards(module: Any) -> Iterator[Any]:
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
