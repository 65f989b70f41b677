"""How a model came about in one run, told by another that saves, logs or registers it."""

from modeltrail import naming
from modeltrail.event import Dataset
from modeltrail.observe.weakly import Weakly
from modeltrail.runs.datasets import Input
from modeltrail.runs.facts import LEARNED_FROM, Facts
from modeltrail.runs.fits import Fit

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
    facts.params.take_over_fit(other.params, fit, mine)
    facts.training.take_over_fit(other.training, fit, mine)
    facts.steps += other.steps
    facts.fitted_steps.take_over_fit(other.fitted_steps, fit, mine)
    return mine


def data_of(facts: Facts, fit: Fit | None) -> list[Input]:
    """What a run learned from, as far as this fit may have."""
    return [
        used for used in list(facts.inputs.values()) if used.role in LEARNED_FROM and _may_be_of(used, fit)
    ]


def _may_be_of(used: Input, fit: Fit | None) -> bool:
    if fit is None or not used.fits or fit in used.fits:
        return True
    return not fit.is_traced and used.dataset.namespace != naming.IN_MEMORY
