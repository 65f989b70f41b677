"""What an object holds: in dicts, lists and tuples, and as attributes. No code of its class is run for it."""

import inspect
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

MAX_DEPTH: Final = 4
MAX_OBJECTS: Final = 2000
"""So many objects are looked at, those nearest first: what is dumped may as well be a million numbers."""

_HOLDERS: Final[tuple[tuple[type, Callable[[Any], Iterable[Any]]], ...]] = (
    (dict, dict.values),
    (list, list.__iter__),
    (tuple, tuple.__iter__),
)
_PLAIN: Final = (type, ModuleType, FunctionType, MethodType)
_IN_PLACE: Final = frozenset({"steps", "transformer_list"})
"""Arguments that an estimator of scikit-learn fits as they are; of the others it fits copies."""


def within(thing: object, is_leaf: Callable[[Any], bool] = lambda _: False) -> Iterator[Any]:
    """What a thing holds, directly or in what it holds, the nearest first; each once, without the thing.

    It is not looked into what `is_leaf` is true of.
    """
    waiting, seen = deque([(thing, 0)]), {id(thing)}
    while waiting:
        holder, depth = waiting.popleft()
        for each in _held(holder) if depth < MAX_DEPTH else ():
            if len(seen) > MAX_OBJECTS:
                return
            if id(each) not in seen:
                seen.add(id(each))
                yield each
                if not is_leaf(each):
                    waiting.append((each, depth + 1))


def _held(thing: Any) -> Iterable[Any]:
    kind = type(thing)
    for holder, read in _HOLDERS:
        if issubclass(kind, holder):
            return read(thing)
    if issubclass(kind, _PLAIN):
        return ()
    try:
        state = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        return ()
    if type(state) is not dict:
        return ()
    copied = _copied(kind) if hasattr(kind, "get_params") else frozenset()
    return [value for name, value in list(state.items()) if name not in copied]


def _copied(kind: type) -> frozenset[str]:
    """The arguments of an estimator of which it fits copies, so that they are no part of what it learned."""
    if kind.__name__ == "FrozenEstimator":
        return frozenset()
    try:
        return frozenset(inspect.signature(kind).parameters) - _IN_PLACE
    except (TypeError, ValueError):  # of a class that says nothing of its arguments
        return frozenset()
