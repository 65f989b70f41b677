"""The only module that replaces attributes of foreign code, and the way back.

What it promises to the host: the original runs exactly once with exactly the arguments given; its exceptions
pass untouched (one frame of ours in the traceback, nothing chained); names, signatures, docstrings and
descriptors stay; classes, instances and functions pickle as before, by cloudpickle in another process too,
where the wrapper is inert until that process activates the integration itself. Everything of ours runs under
`guarded`.
"""

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CellType, ModuleType
from typing import Any, Final

import msgspec

from modeltrail.guard import guarded
from modeltrail.integrations import _calls, _wrappers
from modeltrail.integrations._call import After, Call, Finish, Observe, ObserveInside


class _Patch(msgspec.Struct, frozen=True, eq=False):
    owner: Any
    attribute: str
    original: Any
    replacement: Any


_MISSING: Final = object()
_lock = threading.RLock()
_patches: dict[str, list[_Patch]] = {}
_handles: dict[str, list[Any]] = {}  # of hooks that libraries offer themselves
_deferred: dict[str, list[Callable[[], None]]] = {}
"""What integrations would wrap that another one holds already: done once that one lets go."""
_gathered = threading.local()
"""`functions`: what `together` gathers, by the id of the original: that one and its wrapper."""


def wrap(integration: str, owner: Any, attribute: str, observe: Observe) -> None:
    """Let `observe` see every outermost call of ``owner.attribute``; wrapping twice changes nothing.

    Only what `owner` itself has is wrapped, a function, a builtin, a static or a class method, a property.
    `observe` is a function of a module: the wrapper refers to it by name when it is pickled. What another
    integration has wrapped stays its own until that is undone: two that want the same observe it with the
    same function.
    """
    _wrap_attribute(
        integration, owner, attribute, lambda function: _wrappers.wrapper(integration, function, observe)
    )


def wrap_inside(integration: str, owner: Any, attribute: str, observe: ObserveInside) -> None:
    """Let `observe` see the calls of ``owner.attribute`` that an observed call makes, in its own thread."""
    way = "observed_inside"
    _wrap_attribute(
        integration, owner, attribute, lambda function: _wrappers.wrapper(integration, function, observe, way)
    )


def wrap_function(integration: str, function: Any, observe: Observe) -> None:
    """Wrap a module's function wherever a loaded module has it, under any name.

    A script that says ``from joblib import dump`` before it activates us would never reach the wrapper
    otherwise; and what pickle finds under the function's name stays what everybody holds.
    """
    _wrap_functions(
        integration, [function], lambda original: _wrappers.wrapper(integration, original, observe)
    )


def follow(integration: str, owner: Any, attribute: str, after: After) -> None:
    """Let `after` see what every call of ``owner.attribute`` returned, inner ones too; else as `wrap`.

    For what is called often.
    """
    _wrap_attribute(
        integration, owner, attribute, lambda function: _wrappers.follower(integration, function, after)
    )


def follow_simply(integration: str, owner: Any, attribute: str, after: After) -> None:
    """As `follow`, of what happens very often: `after` calls nothing that is followed."""
    _wrap_attribute(
        integration,
        owner,
        attribute,
        lambda function: _wrappers.simple_follower(integration, function, after),
    )


def surround(integration: str, owner: Any, attribute: str, before: After, after: After | None = None) -> None:
    """As `follow`; `before` sees each call before it is made, with None in the place of its result."""
    _wrap_attribute(
        integration,
        owner,
        attribute,
        lambda function: _wrappers.surrounder(integration, function, before, after),
    )


def surround_functions(integration: str, functions: Sequence[Any], before: After, after: After) -> None:
    """As `follow_functions`; `before` as of `surround`."""
    _wrap_functions(
        integration, functions, lambda function: _wrappers.surrounder(integration, function, before, after)
    )


def follow_whole(integration: str, owner: Any, attribute: str, after: After) -> None:
    """As `follow`; what it calls inside is not followed by itself, unless it is given a function.

    For what calls nothing of the host's but such a function.
    """
    _wrap_attribute(
        integration, owner, attribute, lambda function: _wrappers.whole_follower(integration, function, after)
    )


def follow_whole_functions(integration: str, functions: Sequence[Any], after: After) -> None:
    """As `follow_functions` and `follow_whole`."""
    _wrap_functions(
        integration, functions, lambda function: _wrappers.whole_follower(integration, function, after)
    )


def follow_functions(integration: str, functions: Sequence[Any], after: After) -> None:
    """Let `after` see what every call of these functions returned; else as `wrap_function`."""
    _wrap_functions(integration, functions, lambda function: _wrappers.follower(integration, function, after))


def _wrap_attribute(integration: str, owner: Any, attribute: str, wrapped: Callable[[Any], Any]) -> None:
    with _lock:
        original = vars(owner).get(attribute, _MISSING)
        is_property = isinstance(original, property)
        function: Any = original.fget if is_property else getattr(original, "__func__", original)
        again = functools.partial(_wrap_attribute, integration, owner, attribute, wrapped)
        if not callable(function) or _is_held(integration, function, again):
            return
        wrapper: Any = wrapped(function)
        if is_property:
            wrapper = property(wrapper, original.fset, original.fdel, original.__doc__)
        elif isinstance(original, staticmethod | classmethod):
            wrapper = type(original)(wrapper)
        _replace(integration, owner, attribute, original, wrapper)


def _wrap_functions(integration: str, functions: Sequence[Any], wrapped: Callable[[Any], Any]) -> None:
    with _lock, together():
        gathered: dict[int, tuple[Any, Any]] = _gathered.functions
        for function in functions:
            original = vars(function)["__wrapped__"] if _wrappers.is_wrapper(function) else function
            _, found = gathered.get(id(original), (original, function))
            again = functools.partial(_wrap_functions, integration, [original], wrapped)
            if not _is_held(integration, found, again):
                gathered[id(function)] = (function, wrapped(function))


@contextmanager
def together() -> Iterator[None]:
    """Wrap the functions of the block at its end: one look at all modules takes milliseconds."""
    if getattr(_gathered, "functions", None) is not None:
        yield
        return
    wrappers: dict[int, tuple[Any, Any]] = {}
    _gathered.functions = wrappers
    try:
        yield
    finally:
        _gathered.functions = None
        if wrappers:
            _place_functions(wrappers)


def _place_functions(wrappers: Mapping[int, tuple[Any, Any]]) -> None:
    wanted = frozenset(wrappers)
    with _lock:
        for module in [each for each in sys.modules.values() if isinstance(each, ModuleType)]:
            if wanted.isdisjoint(map(id, [*vars(module).values()])):  # most have none: this says it faster
                continue
            for name, value in vars(module).copy().items():
                if id(value) in wanted:
                    function, wrapper = wrappers[id(value)]
                    _replace(vars(wrapper)["__modeltrail__"], module, name, function, wrapper)


def wrap_inner(integration: str, function: Any, name: str, observe: Observe) -> None:
    """Wrap what a decorated function calls inside, by the decorator's name for it, if it has such a one.

    The function stays the object that it is, also where others hold it and pickle looks for it.
    """
    with _lock:
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
        cell = cells.get(name)
        if cell is not None and callable(cell.cell_contents) and not _wrappers.is_wrapper(cell.cell_contents):
            inner = cell.cell_contents
            _replace(
                integration, cell, "cell_contents", inner, _wrappers.wrapper(integration, inner, observe)
            )


def on_subclass(integration: str, base: type, seen: Callable[[type], None]) -> None:
    """Call `seen` for `base`, for each of its subclasses, and for those that are yet to be defined."""
    with _lock:
        original = vars(base).get("__init_subclass__", _MISSING)

        def __init_subclass__(cls: Any, /, **kwargs: Any) -> None:  # noqa: N807  it takes that one's place
            if original is _MISSING:
                super(base, cls).__init_subclass__(**kwargs)  # type: ignore[arg-type]
            else:
                original.__get__(None, cls)(**kwargs)
            if is_active(integration):
                with guarded(f"looking at a new class for {integration}"):
                    seen(cls)

        _replace(integration, base, "__init_subclass__", original, classmethod(__init_subclass__))
    for kind in _descendants(base):
        seen(kind)


def hook(integration: str, register: Callable[[Any], Any], function: Callable[..., Any]) -> None:
    """Register a hook that a library offers itself; `register` returns a handle with a `remove`."""
    _handles.setdefault(integration, []).append(register(function))


def undo(integration: str) -> None:
    """Put back every original; a wrapper that somebody else wrapped since stays, and does nothing."""
    with _lock:
        for handle in _handles.pop(integration, []):
            handle.remove()
        for patch in reversed(_patches.pop(integration, [])):
            if _found(patch.owner, patch.attribute) is not patch.replacement:
                continue
            if patch.original is _MISSING:
                delattr(patch.owner, patch.attribute)
            else:
                setattr(patch.owner, patch.attribute, patch.original)
        gathered = getattr(_gathered, "functions", None) or {}
        for key, (_, wrapper) in list(gathered.items()):
            if vars(wrapper)["__modeltrail__"] == integration:
                del gathered[key]
        _wrappers.forget_followers(integration)
        _deferred.pop(integration, None)
        waiting = [again for several in _deferred.values() for again in several]
        _deferred.clear()
        for again in waiting:
            again()


def is_active(integration: str) -> bool:
    """Whether the integration has patches in this process."""
    return integration in _patches


def _replace(integration: str, owner: Any, attribute: str, original: Any, replacement: Any) -> None:
    try:
        setattr(owner, attribute, replacement)
    except (AttributeError, TypeError):  # a class written in C
        return
    is_first = integration not in _patches
    _patches.setdefault(integration, []).append(_Patch(owner, attribute, original, replacement))
    if is_first:
        _wrap_attribute(
            integration, threading.Thread, "start", functools.partial(_wrappers.starter, integration)
        )


def _found(owner: Any, attribute: str) -> Any:
    """What an owner itself has there, unbound; a cell has nothing else."""
    return owner.cell_contents if isinstance(owner, CellType) else vars(owner).get(attribute)


def _is_held(integration: str, function: Any, again: Callable[[], None]) -> bool:
    """Whether a function is wrapped already; by another integration, then `again` is called after that."""
    if not _wrappers.is_wrapper(function):
        return False
    if vars(function)["__modeltrail__"] != integration:
        _deferred.setdefault(integration, []).append(again)
    return True


def observed(
    integration: str,
    function: Callable[..., Any],
    observe: tuple[str, str],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """Run the original, once; before and after it what is ours, if this is the outermost call.

    Args:
        integration: whose observation it is.
        function: the original.
        observe: the module and the name of its `Observe`.
        args: of the call.
        kwargs: of the call.
    """
    if integration not in _patches or not _calls.enter():
        return function(*args, **kwargs)
    finish: Finish | None = None
    try:
        with guarded(f"observing {function.__qualname__}"):
            finish = getattr(sys.modules[observe[0]], observe[1])(Call(function, args, kwargs))
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            _finish(function, finish, None, error)
            raise
        _finish(function, finish, result, None)
        return result
    finally:
        _calls.leave()


def observed_inside(
    integration: str,
    function: Callable[..., Any],
    observe: tuple[str, str],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """Run the original, once; then what is ours, if an observed call of this thread made this one."""
    result = function(*args, **kwargs)
    if integration in _patches and _calls.is_inside():
        with guarded(f"observing {function.__qualname__}"):
            getattr(sys.modules[observe[0]], observe[1])(Call(function, args, kwargs), result)
    return result


for _each in (observed, observed_inside):
    _each.__code__ = _each.__code__.replace(co_filename=_wrappers.UNCOUNTED)


def _finish(
    function: Callable[..., Any], finish: Finish | None, result: Any, error: BaseException | None
) -> None:
    if finish is not None:
        with guarded(f"observing {function.__qualname__}"):
            finish(result, error)


def _after_fork() -> None:
    """Another thread may have held the lock: it is not here."""
    global _lock  # noqa: PLW0603  one for the process
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _descendants(base: type) -> list[type]:
    found = [base]
    for kind in found:  # grows as it goes
        below: list[type] = type.__subclasses__(kind)
        found += [each for each in below if each not in found]
    return found
