"""Candidates among what the making run ran on: the libraries that compute first, then all else."""

import re
from typing import Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.why import chosen
from modeltrail_collector.answers.why.cause import (
    MUCH,
    POSSIBLE,
    STRONG,
    UNLIKELY,
    Cause,
    Found,
    named,
    said_by_both,
    shown,
)
from modeltrail_collector.tables.differences import as_list

_COMPUTES: Final = frozenset({
    "numpy", "scipy", "pandas", "polars", "pyarrow", "scikit-learn", "torch", "tensorflow", "keras", "jax",
    "jaxlib", "xgboost", "lightgbm", "catboost", "transformers", "lightning", "pytorch-lightning",
    "statsmodels", "datasets", "tokenizers", "accelerate", "imbalanced-learn", "category-encoders", "optuna",
    "feature-engine", "prophet", "spacy", "gensim", "onnx", "pyspark", "h2o", "duckdb",
})  # fmt: skip
_OF_MACHINE: Final = frozenset({"PYTHONPATH", "LANG", "LC_ALL"})
"""Variables that are others on another machine: what they lead to, the code, is told by itself."""
_INSTALLED_AS: Final = {"sklearn": "scikit-learn", "imblearn": "imbalanced-learn"}
"""Libraries that are imported by another name than they are installed by."""


def candidates(found: Found) -> list[Cause]:
    """What computes, in another version; and all else.

    What is known to compute is among the rest where no run imported it. Where nobody said what was imported
    that is what one side lacks: its program did without.
    """
    own, imported = _libraries(found), _imported(found)
    rows = sorted(found.made.environment(), key=lambda row: _order(row, own, imported or frozenset()))
    near = [row for row in rows if row["kind"] != "variable" and _computes(row, own, imported)]
    acting = [row for row in rows if row["kind"] == "variable" and row["name"] not in _OF_MACHINE]
    other = [row for row in rows if row not in (*near, *acting)]
    recorded = said_by_both(found, "modelTrail_environment", "processing_engine", "environmentVariables")
    variables = said_by_both(found, "environmentVariables")
    causes = []
    for some, what, strength, where in (
        (near, "another version of what computes", POSSIBLE, recorded),
        (acting, "environment variables", POSSIBLE, variables),
        (other, "other packages or machine", UNLIKELY, recorded),
    ):
        if not some:
            continue
        told = [f"{row['name']} {shown(row['before'])} → {shown(row['after'])}" for row in some]
        cause = Cause("environment", named(told), what, strength)
        cause.paths = frozenset(
            ("environment", f"packages.{row['name']}" if row["kind"] == "package" else row["name"])
            for row in some
        )
        for text in told[:MUCH]:
            cause.for_(text, *where)
        if strength == UNLIKELY:
            cause.but("none of it is known to compute the model")
        causes.append(cause)
    if causes:
        _tell_defaults(found, causes[0])
    return causes


def _tell_defaults(found: Found, cause: Cause) -> None:
    """Parameters that differ and nobody chose: the library's doing, and as strong as chosen ones."""
    rows = [row for row in found.made.parameters() if chosen.is_default(row)]
    if rows and chosen.library_differs(found):
        told = [f"{row['name']} {shown(row['before'])} → {shown(row['after'])}" for row in rows]
        cause.for_(f"defaults that differ: {named(told)}", *said_by_both(found, "modelTrail_hyperparameters"))
        cause.strength = STRONG if any(map(chosen.acts, rows)) else POSSIBLE


def _libraries(found: Found) -> frozenset[str]:
    """The libraries that the run tells of: the model's framework, and those of its steps."""
    said = []
    for story in (found.before, found.after):
        training = story.find("modelTrail_training")
        steps = story.find("modelTrail_featureTransformations")
        said += [str(training.value.get("framework"))] if training else []
        said += [
            str(step.get("library")).partition(" ")[0]
            for step in (as_list(steps.value.get("steps")) if steps else ())
            if isinstance(step, dict)
        ]
    return frozenset(_installed_as(name) for name in said)


def _imported(found: Found) -> frozenset[str] | None:
    """The packages that either run imported; None where one of them did not say."""
    said = [story.find("modelTrail_environment") for story in (found.before, found.after)]
    names = [one.value.get("imported") if one else None for one in said]
    if any(not isinstance(one, list) for one in names):
        return None
    return frozenset(_installed_as(str(name)) for one in names for name in as_list(one))


def _installed_as(name: str) -> str:
    name = re.sub(r"[-_.]+", "-", name).lower()
    return _INSTALLED_AS.get(name, name)


def _order(row: Row, own: frozenset[str], imported: frozenset[str]) -> tuple[bool, ...]:
    """The run's own libraries, other versions, what came or went; of each what was imported first."""
    name = _installed_as(row["name"])
    return (
        name not in own,
        None in (row["before"], row["after"]),
        row["kind"] != "package",
        name not in imported,
        name not in _COMPUTES,
    )


def _computes(row: Row, own: frozenset[str], imported: frozenset[str] | None) -> bool:
    if row["kind"] != "package":
        return row["name"].lower() in {"python.version", "os.arch", "engine"}
    name = _installed_as(row["name"])
    if name in own or name not in _COMPUTES:
        return name in own
    return None not in (row["before"], row["after"]) if imported is None else name in imported
