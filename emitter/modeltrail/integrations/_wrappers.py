"""What takes the place of a function of the host's: it runs the original, and tells `_patch` of it.

It knows us by name only, so that it can be pickled by value, and does nothing where we are not installed.
"""

import functools
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from threading import get_ident
from types import CodeType, FunctionType
from typing import Any, Final

from modeltrail.guard import at_work, is_kept
from modeltrail.integrations import _calls
from modeltrail.integrations._stand_in import StandIn

PATCH: Final = "modeltrail.integrations._patch"
UNCOUNTED: Final = str(Path(__file__).with_name("<modeltrail, beside importlib._bootstrap>"))
"""Where the frames are told to be that we put around the host's: those of a file with both words the module
`warnings` passes over as Python's own, so that `stacklevel` counts as without us."""

_BY_FILE: Final = frozenset({"pandas", "polars"})
"""They look for the first frame that is in none of their files; others say how many frames up it is."""

MAX_HELD: Final = 100
_PLAIN: Final = frozenset({bool, int, float, str, bytes, type(None)})
_HOLDERS: Final = (list, tuple, set, frozenset, dict)
_CALL_NOBODY: Final = frozenset({"builtins", "numpy", "pathlib", "pathlib._local"})
"""Where functions and classes are that call nothing of the host's."""

afters: Final[dict[str, Callable[..., None]]] = {}
"""What follows calls, by its integration and its own name, while that integration is active."""


def is_wrapper(function: Any) -> bool:
    """Whether a function is one of these."""
    return isinstance(function, FunctionType | StandIn) and "__modeltrail__" in vars(function)


def wrapper(
    integration: str, function: Callable[..., Any], observe: Callable[..., Any], way: str = "observed"
) -> Any:
    """A plain function, so that it binds, pickles and shows its signature as the original does.

    It knows us by name only: cloudpickle takes it by value with a class of the script, to where we may not be
    installed.
    """
    here, home, name = PATCH, observe.__module__, observe.__qualname__

    def observing(*args: Any, **kwargs: Any) -> Any:
        ours = sys.modules.get(here)
        return (
            function(*args, **kwargs)
            if ours is None
            else getattr(ours, way)(integration, function, (home, name), args, kwargs)
        )

    observing.__code__ = _placed(observing.__code__, UNCOUNTED)
    made = functools.update_wrapper(observing, function)
    vars(made)["__modeltrail__"] = integration
    return made if isinstance(function, FunctionType) else StandIn(made)


def starter(integration: str, function: Callable[..., Any]) -> Any:
    """`Thread.start`, that tells which thread starts which."""
    calls = _calls.__name__

    @functools.wraps(function)
    def start(self: Any, *args: Any, **kwargs: Any) -> Any:
        if (ours := sys.modules.get(calls)) is not None:
            ours.starts(self)
        return function(self, *args, **kwargs)

    vars(start)["__modeltrail__"] = integration
    return start


def follower(integration: str, function: Callable[..., Any], after: Callable[..., None]) -> Any:
    """As `wrapper`, with no other frame of ours around the original."""
    here, where = __name__, _registered(integration, after)

    def following(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        ours = sys.modules.get(here)
        if ours is not None and (not ours.at_work or ours.get_ident() not in ours.at_work):
            ours.followed(where, function, result, args, kwargs)
        return result

    return _of_its_library(integration, function, following)


def simple_follower(integration: str, function: Callable[..., Any], after: Callable[..., None]) -> Any:
    """As `follower`, of what happens very often: `after` calls nothing followed, and without a detour."""
    here, where = __name__, _registered(integration, after)

    def following(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        ours = sys.modules.get(here)
        if ours is not None and (not ours.at_work or ours.get_ident() not in ours.at_work):
            try:
                if (after := ours.afters.get(where)) is not None:
                    after(function, result, args, kwargs)
            except Exception as error:
                if not ours.is_kept("following a call", error):
                    raise
        return result

    return _of_its_library(integration, function, following)


def surrounder(
    integration: str,
    function: Callable[..., Any],
    before: Callable[..., None],
    after: Callable[..., None] | None,
) -> Any:
    """As `follower`; `before` is called too, as `after` is, with None in the place of a result."""
    here, first = __name__, _registered(integration, before)
    then = None if after is None else _registered(integration, after)

    def following(*args: Any, **kwargs: Any) -> Any:
        if (ours := sys.modules.get(here)) is not None and ours.get_ident() not in ours.at_work:
            ours.followed(first, function, None, args, kwargs)
        result = function(*args, **kwargs)
        if (
            then is not None
            and (ours := sys.modules.get(here)) is not None
            and ours.get_ident() not in ours.at_work
        ):
            ours.followed(then, function, result, args, kwargs)
        return result

    return _of_its_library(integration, function, following)


def whole_follower(integration: str, function: Callable[..., Any], after: Callable[..., None]) -> Any:
    """As `follower`; what the original calls inside is as little followed as what we call.

    Unless it is given a function: that may be the host's.
    """
    here, where = __name__, _registered(integration, after)

    def following(*args: Any, **kwargs: Any) -> Any:
        ours = sys.modules.get(here)
        if ours is None or (me := ours.get_ident()) in ours.at_work:
            return function(*args, **kwargs)
        if not ours.may_call_back((*args[1:], *kwargs.values())):  # the first one is what it is about
            ours.at_work[me] = 1
        try:
            result = function(*args, **kwargs)
        finally:
            ours.at_work.pop(me, None)
        ours.followed(where, function, result, args, kwargs)
        return result

    return _of_its_library(integration, function, following)


def followed(
    where: str, function: Callable[..., Any], result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """What is ours beside a call that is not ours too; `where` is a key of `afters`."""
    if (after := afters.get(where)) is None:
        return
    me = get_ident()
    at_work[me] = 1  # as `guarded`, which takes longer than all the rest
    try:
        after(function, result, args, kwargs)
    except Exception as error:
        if not is_kept("following a call", error):
            raise
    finally:
        at_work.pop(me, None)


def may_call_back(given: Collection[Any]) -> bool:
    """Whether any of these, or what they hold, is neither plain, nor data, nor Python's or numpy's own.

    It may be a function of the host's, or hold one. What holds many is not looked through.
    """
    try:
        for each in given:
            kind = type(each)
            if kind in _PLAIN:
                continue
            if issubclass(kind, _HOLDERS):  # `isinstance` also asks the object, and a frame takes long
                held = each.values() if issubclass(kind, dict) else each
                if len(held) > MAX_HELD or may_call_back(held):
                    return True
            elif getattr(each, "__module__", None) not in _CALL_NOBODY and not hasattr(kind, "shape"):
                return True
    except Exception:  # a list within itself, a strange object of the host's
        return True
    return False


def forget_followers(integration: str) -> None:
    """Have nothing follow the calls of an integration any more."""
    for where in [each for each in afters if each.startswith(f"{integration}:")]:
        del afters[where]


def _registered(integration: str, after: Callable[..., None]) -> str:
    where = f"{integration}:{after.__module__}.{after.__qualname__}"
    afters[where] = after
    return where


def _of_its_library(integration: str, function: Callable[..., Any], following: Any) -> Any:
    """Told to be where the library does not count it when it says of which line of the host's it warns."""
    package = (function.__module__ or "").partition(".")[0]
    following.__code__ = _placed(following.__code__, _place(package) if package in _BY_FILE else UNCOUNTED)
    made = functools.update_wrapper(following, function)
    vars(made)["__modeltrail__"] = integration
    return made


@functools.cache
def _placed(code: CodeType, place: str) -> CodeType:
    """The same code, told to be of that file.

    One for all wrappers of a kind: of hundreds none would be in the processor's caches when it is called.
    """
    return code.replace(co_filename=place)


@functools.cache
def _place(package: str) -> str:
    """A file that its folder could have: a path takes longer to make than a follower."""
    home = getattr(sys.modules.get(package), "__file__", None) or ""
    return str(Path(home).parent / "<followed by modeltrail>")
