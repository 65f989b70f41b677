"""How a model came about in one run, told by another that saves, logs or registers it."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final

from modeltrail import naming
from modeltrail.event import Dataset
from modeltrail.observe import loads, origins
from modeltrail.observe.data import DataView
from modeltrail.observe.members import Members
from modeltrail.observe.origins import Origin
from modeltrail.observe.paths import Source
from modeltrail.observe.weakly import Weakly
from modeltrail.runs import datasets
from modeltrail.runs.arguments import Role
from modeltrail.runs.datasets import Input
from modeltrail.runs.facts import LEARNED_FROM, Facts
from modeltrail.runs.fits import Fit
from modeltrail.runs.models import Model
from modeltrail.runs.transforms import Identity

_SEEN: Final[tuple[Role, ...]] = ("train", "validation")
_SOME: Final[Role] = "other"

_alone: Weakly[tuple[Dataset, Facts]] = Weakly()
"""Fitted model -> what it is in the run of its own that fitted it, and how it came about there."""


def made_alone(fitted: object, model: Dataset, own: Facts) -> None:
    """What is fitted now is the model of a run of its own."""
    made = Facts()
    take_over(made, own)
    made.fits = own.fits
    _alone.remember(fitted, (model, made))


def made_within(fitted: object) -> None:
    """What is fitted now belongs to the current run."""
    _alone.forget(fitted)


def known_alone(fitted: object) -> tuple[Dataset, Facts] | None:
    """The model of a run of its own that an object was fitted in, also in another thread, and how it was."""
    return _alone.of(fitted)


def copied(original: object, copy: object) -> None:
    """A copy is the same model."""
    if (alone := _alone.of(original)) is not None:
        _alone.remember(copy, alone)


def take_over(facts: Facts, other: Facts) -> None:
    """Write down all of how another run made its model."""
    facts.inputs.update(other.inputs)
    facts.steps = [*other.steps]
    facts.fitted_steps.take_over(other.fitted_steps)
    facts.training.take_over(other.training)
    facts.params.take_over(other.params)


def take_over_fit(facts: Facts, other: Facts, fit: Fit | None) -> Fit | None:
    """Write down how another run made the model that came of this fit, but for its data.

    Returns:
        The fit as it is known in these facts.
    """
    mine = None if fit is None else facts.fits.begin(fit.kind)
    told = {fit, *other.fits.steps_of(fit)}
    facts.params.take_over_fit(other.params, told, mine)
    facts.training.take_over_fit(other.training, fit, mine)
    facts.steps += other.steps
    facts.fitted_steps.take_over_fit(other.fitted_steps, told, mine)
    return mine


def data_of(facts: Facts, fit: Fit | None) -> list[Input]:
    """What a run learned from, as far as this fit may have."""
    others = set() if fit is None else of_others(facts, {fit})
    return [
        used
        for identity, used in list(facts.inputs.items())
        if used.role in LEARNED_FROM and identity not in others
    ]


def record_files(facts: Facts, dataset: object, role: str, of: object) -> None:
    """The files that data came from, which itself is one too many to be told, are what this was fitted on."""
    fit = facts.fits.of(of)
    fits = frozenset() if fit is None else frozenset({fit})
    for source in datasets.sources(dataset, role, {}):
        facts.add_source(source.fitted(fits, role))


def role_of(facts: Facts, view: DataView, model: object) -> Role | None:
    """What rows were to a model that the run has fitted: `train` or `validation`.

    `other` where only some of them were that; None of rows that it has not seen, as far as is known.
    """
    fit = facts.fits.of(model)
    if fit is None and loads.file(model) is not None:  # what it learned from nobody has seen
        return None
    own = None if fit is None else fit.learned()
    chunks = [Members.joined(facts.chunks[each].values()) for each in own or () if each in facts.chunks]
    shares = {each.share_of(view.members) for each in chunks if view.members is not None}
    found: set[str | None] = {"train" if share == 1 else "other" for share in shares if share}
    found |= {
        used.role if share == 1 else "other"
        for used in list(facts.inputs.values())
        if used.role in _SEEN and (own is None or not used.fits or not used.fits.isdisjoint(own))
        if (share := _share_of(used, view))
    }
    return next((role for role in (*_SEEN, _SOME) if role in found), None)


def _share_of(used: Input, view: DataView) -> float:
    digest = view.fingerprint.digest
    if digest and used.fingerprint["digest"] == digest:
        return 1.0
    return used.members.share_of(view.members) if used.members and view.members else 0.0


def behind(facts: Facts, origin: Origin | None) -> list[Input] | None:
    """What those learned from that predicted or transformed data; None where not all of that is known."""
    own = {part for each in facts.fits.made(origin) for part in each.learned()}
    if not all(fit.is_traced for fit in own):
        return None
    return [used for used in list(facts.inputs.values()) if not used.fits.isdisjoint(own)]


def elsewhere(origin: Origin | None) -> list[Dataset]:
    """The models that predicted data, each fitted in a run of its own: outside of any, or in a thread."""
    return [] if origin is None else [each for each in origin.fits if isinstance(each, Dataset)]


def predicts(facts: Facts, fit: Fit | None, sources: Iterable[Source]) -> None:
    """Something was predicted from these, or by what was loaded from there, or by what this fit made.

    From now on it may be in whatever comes from nowhere.
    """
    number = origins.predicted()
    facts.reads.predict(sources, number)
    if fit is not None and not fit.predicted:
        for each in fit.learned():
            each.predicted = each.predicted or number


def possible(facts: Facts) -> dict[Identity, list[Identity]]:
    """Which outputs each input may have gone into, where nobody could follow that.

    By a prediction; of what was only read, those that were not written before, where some were.
    """
    found = _predicted(facts)
    for identity, written in facts.reads.late().items():
        left = [each for each in facts.outputs if each not in written and each != identity]
        found[identity] = list(dict.fromkeys([*found.get(identity, ()), *left]))
    return found


def _predicted(facts: Facts) -> dict[Identity, list[Identity]]:
    """Which outputs each input may have gone into by a prediction."""
    unseen, fits = facts.writes.unseen(), {}
    for model in list(facts.models):
        own = set() if model.fit is None else model.fit.learned()
        if lost := max((each.lost for each in own), default=0):
            unseen[model.identity], fits[model.identity] = lost, own
    if not unseen:
        return {}
    inputs = list(facts.inputs.items())
    fit_on = {each for _, used in inputs for each in used.fits if each.predicted}
    untraced = min((each.predicted for each in fit_on if not each.is_traced), default=0)
    found = {}
    for identity, used in inputs:
        is_file = identity[0] != naming.IN_MEMORY
        known = [facts.reads.predicted(identity)]
        known += [each.predicted for each in used.fits if is_file or not each.is_traced]
        known += [untraced] if is_file and used.role in LEARNED_FROM | {_SOME} else []
        first = min(filter(None, known), default=0)
        found[identity] = [
            output
            for output, lost in unseen.items()
            if 0 < first <= lost and output != identity and used.fits.isdisjoint(fits.get(output, ()))
        ]
    return found


def unlearned(facts: Facts, model: Model) -> set[Identity]:
    """The inputs that only other fits of the run learned from, or only after the model was saved."""
    own = set() if model.fit is None else model.fit.learned()
    late = {
        identity
        for identity, found in list(facts.inputs.items())
        if found.fits.isdisjoint(own) and found.fits and model.saved_at and found.read_at > model.saved_at
    }
    return late | (of_others(facts, own) if own else _models(facts))


def by_name(facts: Facts) -> dict[Identity, set[Identity]]:
    """What each model of the run did not learn from; of several versions of a name what none of them did."""
    found: dict[Identity, set[Identity]] = {}
    for model in list(facts.models):
        left_out = unlearned(facts, model)
        found[model.identity] = left_out & found.get(model.identity, left_out)
    return found


def _models(facts: Facts) -> set[Identity]:
    """Models that something went on from, or was saved of: nothing else came of them."""
    return {identity for identity, found in list(facts.inputs.items()) if found.fits and found.is_model}


def of_others(facts: Facts, own: AbstractSet[Fit]) -> set[Identity]:
    """The inputs that only others than these fits learned from.

    Of a fit of which it is known of some of its data where that was read from, and not of all, that may be
    any of the files, but no model that another goes on from; of one on nothing but data in memory it is for
    the reader to say what that may be of.
    """
    learned = {identity: found for identity, found in list(facts.inputs.items()) if found.fits}
    mine = {identity for identity, found in learned.items() if not found.fits.isdisjoint(own)}
    is_known = all(fit.is_traced for fit in own) or all(each[0] == naming.IN_MEMORY for each in mine)
    return {
        identity
        for identity, found in learned.items()
        if identity not in mine and (is_known or found.is_model or identity[0] == naming.IN_MEMORY)
    }
