"""What takes the place of a function of the host's: it runs the original, and tells `_patch` of it.

It knows us by name only, so that it can be pickled by value, and does nothing where we are not installed.
"""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final

from modeltrail.guard import is_kept  # noqa: F401  what follows a call finds it here, by name
from modeltrail.integrations import _calls
from modeltrail.integrations._stand_in import StandIn

PATCH: Final = "modeltrail.integrations._patch"
UNCOUNTED: Final = str(Path(__file__).with_name("<modeltrail, beside importlib._bootstrap>"))
"""Where the frames are told to be that we put around the host's: those of a file with both words the module
`warnings` passes over as Python's own, so that `stacklevel` counts as without us."""

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
    here, where = PATCH, _registered(integration, after)

    def following(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if (ours := sys.modules.get(here)) is not None and not ours.work.depth:
            ours.followed(where, function, result, args, kwargs)
        return result

    return _of_its_library(integration, function, following)


def simple_follower(integration: str, function: Callable[..., Any], after: Callable[..., None]) -> Any:
    """As `follower`, of what happens at each step of a training: `after` is called without a detour."""
    here, where = __name__, _registered(integration, after)

    def following(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if (ours := sys.modules.get(here)) is not None and (after := ours.afters.get(where)) is not None:
            try:
                after(args, kwargs)
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
    here, first = PATCH, _registered(integration, before)
    then = None if after is None else _registered(integration, after)

    def following(*args: Any, **kwargs: Any) -> Any:
        if (ours := sys.modules.get(here)) is not None and not ours.work.depth:
            ours.followed(first, function, None, args, kwargs)
        result = function(*args, **kwargs)
        if then is not None and (ours := sys.modules.get(here)) is not None and not ours.work.depth:
            ours.followed(then, function, result, args, kwargs)
        return result

    return _of_its_library(integration, function, following)


def whole_follower(integration: str, function: Callable[..., Any], after: Callable[..., None]) -> Any:
    """As `follower`; what the original calls inside is as little followed as what we call."""
    here, where = PATCH, _registered(integration, after)

    def following(*args: Any, **kwargs: Any) -> Any:
        ours = sys.modules.get(here)
        if ours is None or ours.work.depth:
            return function(*args, **kwargs)
        ours.work.depth = 1
        try:
            result = function(*args, **kwargs)
        finally:
            ours.work.depth = 0
        ours.followed(where, function, result, args, kwargs)
        return result

    return _of_its_library(integration, function, following)


def forget_followers(integration: str) -> None:
    """Have nothing follow the calls of an integration any more."""
    for where in [each for each in afters if each.startswith(f"{integration}:")]:
        del afters[where]


def _registered(integration: str, after: Callable[..., None]) -> str:
    where = f"{integration}:{after.__module__}.{after.__qualname__}"
    afters[where] = after
    return where


def _of_its_library(integration: str, function: Callable[..., Any], following: Any) -> Any:
    """Told to be of a file of the library.

    pandas and polars look for the first frame that is in none to say at which line of the host's something is
    deprecated.
    """
    place = _place((function.__module__ or "").partition(".")[0])
    following.__code__ = _placed(following.__code__, place)
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
