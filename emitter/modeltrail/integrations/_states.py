"""States of modules of PyTorch: of which module one is, as it is now or was, and which file holds it."""

import hashlib
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from modeltrail import api
from modeltrail.integrations import _modules as modules
from modeltrail.observe.weakly import weak

_PREFIXES: Final = ("module.", "_orig_mod.")
"""What wrappers put before the names of a state."""
_AVERAGED: Final = "n_averaged"
"""Beside the state of a module of which steps are averaged: how many."""
_SAMPLED: Final = 32
"""So many numbers of each parameter tell a state from an earlier one."""
_MAX_FILES: Final = 100

_begun: "Final[deque[tuple[Callable[[], Any], list[_Shapes]]]]" = deque(maxlen=100)
"""Modules whose training began, the last ones, and the shapes of their states: kept when they are gone."""
_lie: dict[str, str | None] = {}
"""File -> the mark of the module that was saved there."""


def meant(trained: Any, saved: Any) -> Any:
    """The part of a trained module, or all of it, that is saved, or whose state is; None if none is."""
    if not isinstance(saved, Mapping):
        wanted = modules.inner(saved)
        return wanted if any(part is wanted for part in modules.parts(trained)) else None
    state = plain(saved)
    return next((each for each in whole_parts(trained) if _Shapes(each).are_of(state)), None)


def whole_parts(module: Any) -> list[Any]:
    """A module, its parts and theirs: what is saved on its own."""
    children = [] if module is None else list(module.children())
    several = [module, *children, *(each for child in children for each in child.children())]
    return [each for each in several if each is not None]


class _Shapes:
    """Names and shapes of the parameters of a module, and of its buffers: its state may leave out some."""

    def __init__(self, module: Any) -> None:
        self._own = _shapes(dict(module.named_parameters(remove_duplicate=False)))
        self._all = {**self._own, **_shapes(dict(module.named_buffers(remove_duplicate=False)))}

    def are_of(self, state: Mapping[str, Any]) -> bool:
        """Whether a mapping is the state of the module, or a copy of what that was."""
        return bool(self._own) and self._own.items() <= _shapes(state).items() <= self._all.items()


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(each.shape) for name, each in state.items()}


def plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors of a state, under the names that they have without what is wrapped around the module."""
    found = {name: each for name, each in state.items() if hasattr(each, "shape")}
    if any(name.startswith("module.") for name in found):
        found.pop(_AVERAGED, None)
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): each for name, each in found.items()}
    return found


def begun(module: Any) -> None:
    """Remember of which shapes the state of a module is that is trained."""
    if all(known() is not module for known, _ in _begun):
        _begun.append((weak(module), [_Shapes(each) for each in whole_parts(module)]))


def trained_so(saved: Any) -> int:
    """How many modules were trained that have, or had, a state of these names and shapes."""
    state = plain(saved) if isinstance(saved, Mapping) else {}
    return sum(any(each.are_of(state) for each in several) for _, several in _begun)


def is_now(module: Any, saved: Any) -> bool:
    """Whether what is saved is the module as it is now: itself, its state, a copy with these numbers."""
    if shares_memory(module, saved):
        return True
    own = dict(module.named_parameters(remove_duplicate=False))
    state = plain(saved)
    return own.keys() <= state.keys() and (found := mark(own)) is not None and found == mark(state, own)


def mark(state: Mapping[str, Any], names: Iterable[str] | None = None) -> str | None:
    """What tells the tensors of a state, or those of these names, from what they were a step before.

    The same of arrays of numpy with these numbers. None where some are spread over processes: each of these
    would have to ask.
    """
    torch: Any = sys.modules["torch"]
    plain_kinds = {torch.Tensor, torch.nn.Parameter, getattr(sys.modules.get("numpy"), "ndarray", None)}
    several = list(state.values()) if names is None else [state[name] for name in names]
    if not several or any(type(each) not in plain_kinds for each in several):
        return None
    found = hashlib.sha256()
    for each in several:
        numbers = (each.detach() if hasattr(each, "detach") else each).reshape(-1)
        some = numbers[:: max(1, len(numbers) // _SAMPLED)]
        found.update(repr(some.tolist()).encode())
    return found.hexdigest()


def shares_memory(module: Any, saved: Any) -> bool:
    """Whether what is saved is the module, or its state and no copy of that."""
    if not isinstance(saved, Mapping):
        return True
    own = {each.data_ptr() for each in module.parameters()}
    said = [each.data_ptr for each in saved.values() if hasattr(each, "data_ptr")]
    return own <= {each() if callable(each) else each for each in said}  # safetensors says it as a number


def saved(module: Any, place: str | os.PathLike[str]) -> None:
    """Remember what numbers of a module lie in a file; of the last hundred files."""
    path = os.path.abspath(os.fspath(place))  # noqa: PTH100  resolve() follows links
    _lie.pop(path, None)
    if len(_lie) >= _MAX_FILES:
        _lie.pop(next(iter(_lie)))
    _lie[path] = _mark_of(module)


def _mark_of(module: Any) -> str | None:
    return mark(dict(module.named_parameters(remove_duplicate=False)))


def changed(module: Any) -> None:
    """A module, with what it is a part of, was given a state: it is what a file holds, or another model."""
    run = api.current_run()
    if run is None:
        return
    for each in modules.with_parents(module):
        run.learns(each)
        now = _mark_of(each) if _lie else None
        for place in [place for place, held in _lie.items() if held == now is not None]:
            made = run.facts.find_model(Path(place))
            if made is not None:
                made.remember(each, made.fit)
