"""What is known of objects that say nothing of it themselves, for as long as they live."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import ref

T = TypeVar("T")


class Weakly(Generic[T]):
    """A value by object, by its identity: frames and arrays are equal to nothing, and cannot be hashed."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[ref[Any], T]] = {}

    def remember(self, thing: Any, value: T) -> None:
        """Keep a value for an object; of what has no weak references, a list, nothing is kept."""
        key = id(thing)
        try:
            found = ref(thing, lambda _: self.known.pop(key, None))
        except TypeError:
            return
        self.known[key] = (found, value)  # one step: no lock that a forked child would inherit

    def forget(self, thing: Any) -> None:
        """Nothing is known of an object any more."""
        self.known.pop(id(thing), None)

    def of(self, thing: Any) -> T | None:
        """What is known of an object."""
        found = self.known.get(id(thing))
        return found[1] if found is not None and found[0]() is thing else None

    def things(self) -> list[Any]:
        """All objects that live and of which something is known."""
        return [thing for found, _ in list(self.known.values()) if (thing := found()) is not None]

    def all(self) -> list[T]:
        """What is known of all objects that live."""
        return [value for _, value in list(self.known.values())]


def weak(thing: Any) -> Callable[[], Any]:
    """A weak reference; to what has none one that says None."""
    try:
        return ref(thing)
    except TypeError:
        return lambda: None
