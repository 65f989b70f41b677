"""The fits of a run, so that what is recorded of an object is told of the model that it was saved as."""

import itertools

import msgspec

from modeltrail.observe.weakly import Weakly


class Fit(msgspec.Struct, eq=False):
    """An object as it was fitted; one that is fitted again is the same until it has been saved.

    Attributes:
        kind: the name of its class.
        number: which one of the run, from 1.
        before: the fit of the same object that was saved before this one.
        is_saved: whether a model of the run came of it.
        is_traced: whether it is known of all of its data where that was read from.
    """

    kind: str
    number: int
    before: "Fit | None" = None
    is_saved: bool = False
    is_traced: bool = True

    @property
    def id(self) -> str:
        """The `modelId` of facets, unique in its run."""
        return f"{self.kind}-{self.number}"


class Fits:
    """The fits of a run, by the objects that were fitted, as long as these live."""

    def __init__(self) -> None:
        self._known: Weakly[Fit] = Weakly()
        self._parts: Weakly[Fit] = Weakly()
        self._numbers = itertools.count(1)
        self._free: list[int] = []

    def begin(self, kind: str, thing: object = None) -> Fit:
        """An object is going to be fitted; one that is not there yet is named by `bind`."""
        before = self._known.of(thing)
        if before is not None and not before.is_saved:
            return before
        made = Fit(kind, self._free.pop() if self._free else next(self._numbers), before)
        self._known.remember(thing, made)
        self._parts.forget(thing)
        return made

    def bind(self, fit: Fit, thing: object) -> None:
        """An object came of a fit: a booster, or what a search found best."""
        self._parts.remember(thing, fit)

    def replace(self, before: Fit, fit: Fit) -> None:
        """Nothing is left of a fit that the next one of its object took the place of: that has its number."""
        self._free.append(fit.number)
        fit.number = before.number

    def of(self, thing: object) -> Fit | None:
        """The fit of an object; a fit is its own; None of an object that the run has not fitted."""
        return thing if isinstance(thing, Fit) else self._known.of(thing) or self._parts.of(thing)
