"""What takes the place of a function that is not Python's own."""

from types import ModuleType
from typing import Any


class StandIn:
    """In the place of a builtin or a bound method: like these it binds to no class, and pickles."""

    def __init__(self, wrapper: Any) -> None:
        vars(self).update(vars(wrapper))  # `__wrapped__`, and whose it is
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(self, name, getattr(wrapper, name))
        self._wrapper = wrapper

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the wrapper."""
        return self._wrapper(*args, **kwargs)

    def __reduce__(self) -> Any:
        """By name: of its module, or of the object that the method is bound to."""
        owner = getattr(vars(self)["__wrapped__"], "__self__", None)
        name = vars(self)["__name__"]
        return name if owner is None or isinstance(owner, ModuleType) else (getattr, (owner, name))
