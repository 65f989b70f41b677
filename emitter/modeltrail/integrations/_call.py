"""What an integration is told of a call of the host's, and what it may be to see one."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

Finish = Callable[[Any, BaseException | None], None]
"""Called after the original with (result, None) or (None, what it raised)."""


class Call(msgspec.Struct, frozen=True):
    """One call of a wrapped function, as the host made it."""

    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]

    def arguments(self) -> dict[str, Any]:
        """The arguments by name, without defaults; for a method `self` is among them.

        None at all when they do not fit: the original is about to say so.
        """
        try:
            return dict(inspect.signature(self.function).bind(*self.args, **self.kwargs).arguments)
        except TypeError:
            return {}

    def defaults(self) -> dict[str, Any]:
        """What the function takes where nobody gives an argument."""
        parameters = inspect.signature(self.function).parameters.items()
        return {name: each.default for name, each in parameters if each.default is not each.empty}


Observe = Callable[[Call], Finish | None]
"""Called before the original; what it returns is called afterwards."""

After = Callable[[Callable[..., Any], Any, Sequence[Any], Mapping[str, Any]], None]
"""Called after the original with (the original, its result, positional arguments, named arguments)."""

ObserveInside = Callable[[Call, Any], None]
"""Called after the original, with what it returned."""
