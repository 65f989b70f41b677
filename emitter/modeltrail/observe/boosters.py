"""What the boosters of xgboost and lightgbm say about themselves; neither library is imported for it."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final
from weakref import WeakSet

_NATIVE: Final = frozenset({"xgboost.core.Booster", "lightgbm.basic.Booster"})
_ESTIMATORS: Final = frozenset({"xgboost.sklearn.XGBModel", "lightgbm.sklearn.LGBMModel"})
# How objectives begin, in the words of either library; others are of a task that nobody named.
_TASKS: Final = (
    ("classification", ("binary", "multi", "cross_entropy", "xentropy")),
    ("ranking", ("rank:", "lambdarank", "rank_xendcg")),
    ("regression", ("reg", "count:", "l1", "l2", "huber", "fair", "poisson")),
    ("regression", ("quantile", "mape", "gamma", "tweedie")),
)

_own: WeakSet[Any] = WeakSet()
"""Boosters that were trained for an objective of the user's own; xgboost says the default one of those."""


def is_native(model: object) -> bool:
    """Whether it is a booster itself."""
    return not _NATIVE.isdisjoint(lineage(model))


def is_booster(model: object) -> bool:
    """Whether it is a booster, or an estimator that is about to fit one or has."""
    return not (_NATIVE | _ESTIMATORS).isdisjoint(lineage(model))


def native(model: object) -> Any | None:
    """The booster that a model is, or that its fit has made; None without one."""
    if is_native(model):
        return model
    return getattr(model, "_Booster", None) if is_booster(model) else None


def lineage(model: object) -> set[str]:
    """The classes that it is of, by their full names."""
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in type(model).__mro__}


def task(booster: Any) -> str | None:
    """What it is for, by its objective; None where that is one of the user's own."""
    return task_of(objective(booster))


def task_of(objective: object) -> str | None:
    """The same of an objective by name."""
    name = objective if isinstance(objective, str) else ""
    return next((found for found, begins in _TASKS if name.startswith(begins)), None)


def trained_for_own(booster: Any) -> None:
    """Remember that the objective was the user's own."""
    _own.add(booster)


def objective(booster: Any) -> str | None:
    """The objective that it was trained for, as its library calls it; None for one of the user's own."""
    if booster in _own:
        return None
    if hasattr(booster, "save_config"):  # of xgboost
        return str(json.loads(booster.save_config())["learner"]["objective"]["name"])
    for line in booster.model_to_string(num_iteration=1).splitlines():  # of lightgbm
        if line.startswith("objective="):
            return str(line.removeprefix("objective=").partition(" ")[0])
    return None


def overruled(given: Iterable[str]) -> set[str]:
    """The other names that lightgbm has for these parameters: their defaults do not count any more."""
    aliases = getattr(sys.modules.get("lightgbm.basic"), "_ConfigAliases", None)
    names = set(given)
    return set() if aliases is None else set(aliases.get_by_alias(*names)) - names


def features(booster: Any) -> Sequence[str] | None:
    """The names of what it reads; None where nobody gave it names."""
    if hasattr(booster, "save_config"):
        names = booster.feature_names
        return None if names is None else list(names)
    return list(booster.feature_name())


def rounds(booster: Any) -> int:
    """How many rounds it was boosted in all."""
    count = getattr(booster, "num_boosted_rounds", None) or booster.current_iteration
    return int(count())


def best(booster: Any) -> dict[str, float]:
    """The best round and its scores, of a training that was to stop early; else nothing."""
    if hasattr(booster, "attributes"):  # of xgboost, which counts rounds from 0
        kinds = {"best_iteration": int, "best_score": float}
        return {name: kinds[name](value) for name, value in booster.attributes().items() if name in kinds}
    if booster.best_iteration <= 0:
        return {}
    scores = {
        f"best_{place}-{metric}": float(value)
        for place, values in booster.best_score.items()
        for metric, value in values.items()
    }
    return {"best_iteration": booster.best_iteration, **scores}
