"""What chance may have done: which seeds were fixed, and whether training draws anything at random."""

from typing import Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.why import made
from modeltrail_collector.answers.why.cause import STRENGTHS, STRONG, Found, named
from modeltrail_collector.answers.why.facts import Story
from modeltrail_collector.tables.differences import full_name

_SEARCHED: Final = (
    "A search that is saved holds how long its fits took (cv_results_: mean_fit_time): its bytes differ "
    "each time."
)
_NOT_DRAWN: Final = (
    "By its parameters the training drew nothing at random: chance is what the program itself drew."
)
_SOLVERS: Final = ("solver", frozenset({"sag", "saga", "liblinear"}))
_SELECTION: Final = ("selection", frozenset({"random"}))
_DRAWING: Final = {
    "LogisticRegression": _SOLVERS,
    "Ridge": _SOLVERS,
    "RidgeClassifier": _SOLVERS,
    "Lasso": _SELECTION,
    "ElasticNet": _SELECTION,
}
"""Estimators of scikit-learn that use `random_state` for some values of one parameter, as their pages say."""


def said(found: Found, ranked: list[Row], *, alike: bool) -> list[str]:
    """What chance may have done, where no strong cause explains it; `alike`: all figures are the same."""
    if any(row["strength"] == STRENGTHS[STRONG] for row in ranked):
        return []
    stories = (found.before, found.after)
    if not ranked and alike and all(any(row["origin"] == "search" for row in one.params) for one in stories):
        return [_SEARCHED]
    fixed = [made.seeds(story) for story in stories]
    if None in fixed:
        return ["Whether seeds were fixed is not recorded: chance in training cannot be ruled out."]
    if all(set(seeds or ()) <= {made.SPLIT} for seeds in fixed) and not any(map(_draws, stories)):
        return [_NOT_DRAWN]
    if not all(fixed):
        return ["No seed was fixed: training again may well give another model by chance."]
    if any(seeds.keys() == {made.SPLIT} for seeds in fixed if seeds):
        return ["Only the split was seeded: training again may well give another model by chance."]
    if ranked:
        return []
    hidden = found.made.hidden("parameters")
    left = f"the values of {named(hidden)}, hardware" if hidden else "hardware"
    return [f"Seeds were fixed: what is left is what was not recorded, as {left}, threads or other files."]


def _draws(story: Story) -> bool:
    """Whether training draws at random, as far as is known.

    What draws in scikit-learn has a parameter `random_state`, by its glossary.
    """
    told = story.find("modelTrail_training")
    algorithm = str(told.value.get("algorithm")) if told else ""
    observed = story.params and all(row["capture"] == "observed" for row in story.params)
    if not algorithm.startswith("sklearn.") or not observed:
        return True
    values = {full_name(row["name"], row["component"]): row["value"] for row in story.params}
    if any("shuffle=True" in str(value) for value in values.values()):
        return True
    seeds = [name for name in values if made.is_seed(name)]
    decides, drawing = _DRAWING.get(algorithm.rpartition(".")[2], ("", frozenset()))
    if not seeds:
        return bool(decides)  # then not all of its parameters are known
    deciding = [values.get(f"{name.removesuffix('random_state')}{decides}") for name in seeds]
    return any(value is None or value in drawing for value in deciding)
