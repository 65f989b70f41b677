"""The fits of a run, so that what is recorded of an object is told of the model that it was saved as."""

import itertools
from typing import Any

import attrs

from modeltrail.observe.weakly import Weakly


@attrs.define(eq=False)
class Fit:
    """An object as it was fitted; one that is fitted again is the same until it has been saved.

    Attributes:
        kind: the name of its class.
        number: which one of the run, from 1; of one that nothing is left of another takes it over.
        serial: the same, that no other one ever has.
        before: the fit of the same object that was saved before this one.
        is_saved: whether a model of the run came of it.
        is_judged: whether anything was predicted by it, or measured, since it was fitted last.
        is_traced: whether it is known of all of its data where that was read from.
    """

    kind: str
    number: int
    serial: int
    before: "Fit | None" = None
    is_saved: bool = False
    is_judged: bool = False
    is_traced: bool = True

    @property
    def id(self) -> str:
        """The `modelId` of facets, unique in its run."""
        return f"{self.kind}-{self.serial}"

    @property
    def label(self) -> str:
        """What tells it from the other ones that are left, the same in each run of a job."""
        return f"{self.kind}-{self.number}"


class Fits:
    """The fits of a run, by the objects that were fitted, as long as these live."""

    def __init__(self) -> None:
        self._known: Weakly[Fit] = Weakly()
        self._parts: Weakly[Fit] = Weakly()
        self._numbers = itertools.count(1)
        self._serials = itertools.count(1)
        self._free: list[int] = []

    def begin(self, kind: str, thing: object = None) -> Fit:
        """An object is going to be fitted; one that is not there yet is named by `bind`.

        What it predicted and scored before, in an earlier fold, is of another model from here on.
        """
        before = self._known.of(thing)
        if before is not None and not before.is_saved:
            if before.is_judged:
                before.serial, before.is_judged = next(self._serials), False
            return before
        number = self._free.pop() if self._free else next(self._numbers)
        made = Fit(kind, number, next(self._serials), before)
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

    def things(self) -> list[Any]:
        """What was fitted and still lives."""
        return self._known.things()

    def judged(self, thing: object) -> str | None:
        """The `modelId` of what is measured of an object as it is now; None if the run has not fitted it."""
        if (fit := self.of(thing)) is None:
            return None
        fit.is_judged = True
        return fit.id
