"""The fits of a run, so that what is recorded of an object is told of the model that it was saved as."""

import itertools
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from modeltrail.guard import warn_once
from modeltrail.observe import holding, makers
from modeltrail.observe.origins import Origin
from modeltrail.observe.weakly import Weakly

MAX_TOLD: Final = 50
"""Of so many models of a run the parameters are told: each has some dozens, and an event has to be sent."""
MAX_STEPS: Final = 500
"""Of so many transformers, each on its own, that are gone."""


class Fit(msgspec.Struct, eq=False):
    """An object as it was fitted.

    Attributes:
        kind: the name of its class.
        number: which one of the run, from 1; of one that nothing is left of another takes it over.
        serial: the same, that no other one ever has.
        before: the fit of the same object that was saved before this one.
        goes_on: whether it goes on from that one, so that what that learned from is its own too.
        is_saved: whether a model of the run came of it.
        step: of its training, after which its object was as it is now, if that is not the last one.
        is_copied: whether there is a copy, which stays as it is whatever is fitted next.
        is_judged: whether anything was predicted by it, or measured, since it was fitted last.
        is_traced: whether it is known of all of its data where that was read from.
        parts: the fits of what it holds, or of what made the data that it learned from.
        is_holder: whether it is no model itself, but something that holds several.
        is_trial: whether it is a cross-validation, of which no model comes.
        is_search: whether it is a search, which holds what it found.
        is_step: whether it is a transformer on its own, which is told with the models that it is a part of.
        predicted: which prediction of the process was the first that it had a part in; 0 where it had none.
        lost: so many predictions of the process columns that it learned from may be any of.
        settings: what it has in common with what else is to learn in the same way, from the same columns.
    """

    kind: str
    number: int
    serial: int
    before: "Fit | None" = None
    goes_on: bool = False
    is_saved: bool = False
    step: int | None = None
    is_copied: bool = False
    is_judged: bool = False
    is_traced: bool = True
    parts: "dict[Fit, None]" = msgspec.field(default_factory=dict)
    is_holder: bool = False
    is_trial: bool = False
    is_search: bool = False
    is_step: bool = False
    predicted: int = 0
    lost: int = 0
    settings: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether it stays what it is when its object is fitted again."""
        return self.is_saved or self.is_copied

    @property
    def id(self) -> str:
        """The `modelId` of facets, unique in its run."""
        return f"{self.kind}-{self.serial}"

    @property
    def label(self) -> str:
        """What tells it from the other ones that are left, the same in each run of a job."""
        return f"{self.kind}-{self.number}"

    def whole(self) -> "list[Fit]":
        """It and its parts, and theirs."""
        found, waiting = {self: None}, [self]
        for each in waiting:  # grows as it goes
            waiting += [part for part in each.parts if part not in found]
            found |= each.parts
        return waiting

    def learned(self) -> "set[Fit]":
        """Whatever any of these was fitted on, it has learned from."""
        found = self.whole()
        for each in found:  # grows as it goes
            if each.goes_on and each.before is not None:
                found += [base for base in each.before.whole() if base not in found]
        return set(found)


class Apart(msgspec.Struct, frozen=True):
    """How the fits of a run are told.

    Attributes:
        fits: those that facets name, each by its `modelId`; none where there is only one model to tell of.
        silent: those that are one too many to be told.
        main: whose facts are the run's where a facet has room for one.
    """

    fits: frozenset[Fit] = frozenset()
    silent: frozenset[Fit] = frozenset()
    main: Fit | None = None


class Fits:
    """The fits of a run, by the objects that were fitted, as long as these live."""

    def __init__(self) -> None:
        self._known: Weakly[Fit] = Weakly()
        self._parts: Weakly[Fit] = Weakly()
        self._numbers = itertools.count(1)
        self._serials = itertools.count(1)
        self._free: list[int] = []
        self._left: dict[Fit, None] = {}
        self._tried: dict[str, Fit] = {}
        self._looked_at = MAX_TOLD

    def begin(self, kind: str, thing: object = None, *, afresh: bool = False) -> Fit:
        """An object is going to be fitted; one that is not there yet is named by `bind`.

        It goes on from where it is, unless it was saved in between, or begins `afresh`. What it predicted and
        scored before, in an earlier fold, is of another model from here on.
        """
        before = self._known.of(thing)
        if before is not None and not before.is_kept and not afresh:
            if before.is_judged:
                before.serial, before.is_judged = next(self._serials), False
            return before
        saved = before if before is None or before.is_kept else before.before
        made = self._make(kind, saved)
        made.goes_on = not afresh
        self._known.remember(thing, made)
        self._parts.forget(thing)
        return made

    def begin_trial(self, kind: str) -> Fit:
        """Models are going to be fitted to be judged, of which none is left: by a cross-validation."""
        return self._make(kind, is_trial=True)

    def tried(self, kind: str, settings: str) -> Fit:
        """What is told of a cross-validation of these settings: what it scored, and nothing else."""
        known = self._tried.get(settings)
        if known is None:
            known = Fit(kind, 0, next(self._serials), is_trial=True, settings=settings)
            self._tried[settings] = known
        return known

    def alike(self, made: Iterable[Fit | None]) -> dict[str, list[str]]:
        """Cross-validations -> which of these have their settings; by `modelId`."""
        found: dict[str, list[str]] = {}
        for fit in dict.fromkeys(made):
            if fit is not None and fit.settings in self._tried:
                found.setdefault(self._tried[fit.settings].id, []).append(fit.id)
        return found

    def begin_step(self, kind: str, thing: object) -> Fit:
        """A transformer is going to be fitted on its own: each time anew."""
        made = Fit(kind, 0, next(self._serials), is_step=True)
        self._left[made] = None
        self._known.remember(thing, made)
        return made

    def _make(self, kind: str, before: Fit | None = None, *, is_trial: bool = False) -> Fit:
        number = self._free.pop() if self._free else next(self._numbers)
        made = Fit(kind, number, next(self._serials), before, is_trial=is_trial)
        first = next((each for each in self._left if each.number == 1), None)
        if first is not None and first.is_trial and not is_trial:  # what is told first of a run is a model
            made.number, first.number = first.number, made.number
        self._left[made] = None
        return made

    def learns_from(self, fit: Fit, origin: Origin | None) -> None:
        """What made the data that a fit learns from is a part of it."""
        fit.parts |= {each: None for each in self.made(origin) if each is not fit}
        fit.lost = max(fit.lost, 0 if origin is None else makers.lost(origin.fits))

    def made(self, origin: Origin | None) -> list[Fit]:
        """Which of them made data: transformed or predicted it."""
        known = () if origin is None else origin.fits
        return [each for each in self._left if each in known]

    def came_of(self, thing: object) -> Fit | None:
        """What a thing that is saved came of, with the fits of all that it holds; None if of none.

        What was not fitted itself, and holds one model, came of that one's.
        """
        fit = self.of(thing)
        known = dict.fromkeys(self.of(each) for each in holding.within(thing))
        inside = [each for each in known if each is not None and each is not fit]
        models = [each for each in inside if not each.is_step]
        if fit is None and len(models) > 1:
            kind = type(thing).__name__
            held = (each for each in self._left if each.is_holder and each.parts.keys() == set(inside))
            fit = next(held, None) or self._make(kind)
            fit.is_holder = True
        elif fit is None:
            if not models:
                return None
            (fit,) = models
        fit.parts |= {each: None for each in inside if each is not fit}
        return fit

    def steps_of(self, fit: Fit | None) -> set[Fit]:
        """The transformers that are told with a model: its own, and of the only one of a run all."""
        are_several = sum(not each.is_step for each in self._left) > 1
        known = (fit.whole() if fit is not None else ()) if are_several else self._left
        return {each for each in known if each.is_step}

    def copied(self, original: object, copy: object) -> None:
        """A copy came of the same fit, and stays with that."""
        for known in (self._known, self._parts):
            if (fit := known.of(original)) is not None:
                known.remember(copy, fit)
                fit.is_copied = True

    def forget(self, thing: object) -> None:
        """An object was fitted as a part of another one: what it was before is no part of that."""
        self._known.forget(thing)

    def bind(self, fit: Fit, thing: object) -> None:
        """An object came of a fit: a booster, or what a search found best."""
        self._parts.remember(thing, fit)

    def replace(self, before: Fit, fit: Fit) -> None:
        """Nothing is left of a fit that the next one of its object took the place of: that has its number."""
        self._free.append(fit.number)
        fit.number = before.number
        self._left.pop(before, None)

    def too_many(self) -> list[Fit]:
        """Those that nobody can save any more, without the newest: they are forgotten here.

        It is looked at now and then: a search by hand makes one after the other.
        """
        if len(self._left) < self._looked_at:
            return []
        alive = {*self._known.all(), *self._parts.all(), *(each for each in self._left if each.is_saved)}
        alive |= {part for each in alive for part in each.whole()}
        left = [each for each in self._left if each not in alive]
        gone = [each for each in left if not each.is_step][:-MAX_TOLD]
        gone += [each for each in left if each.is_step][:-MAX_STEPS]
        for each in gone:
            del self._left[each]
        self._looked_at = len(self._left) + MAX_TOLD
        return gone

    def apart(self, made: Iterable[Fit | None]) -> Apart:
        """How the fits are told in a run whose models came of these; None is what came of none of them.

        All of them are told apart once a model came of one: what the others learned from is not its own.
        """
        came_of = list(made)
        saved = {part: None for fit in reversed(came_of) if fit is not None for part in fit.whole()}
        left = [*saved, *(each for each in reversed(self._left) if each not in saved)]
        order = [each for each in left if not each.is_step]
        silent = order[MAX_TOLD:]
        if silent:
            message = "a run fits more than %d models; the parameters of these are told"
            warn_once("many models fitted", message, MAX_TOLD)
        main = next(iter(saved), None)
        if main is None or len({*order, *came_of}) == 1:
            return Apart(silent=frozenset(silent), main=main)
        return Apart(frozenset(left) - frozenset(silent), frozenset(silent), main)

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
