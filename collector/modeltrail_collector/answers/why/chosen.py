"""Candidates among what somebody chose: algorithm, seeds, parameters, arguments, which rows and columns."""

import re
from typing import Any, Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.why import arguments, made, shares
from modeltrail_collector.answers.why.arguments import Changed
from modeltrail_collector.answers.why.cause import (
    POSSIBLE,
    STRONG,
    UNLIKELY,
    Cause,
    Found,
    decoded,
    named,
    said_by_both,
    same_value,
    shown,
)

_SPEED: Final = re.compile(
    r"(^|_|\.)(n_jobs|nthread|num_threads|verbose|verbosity|copy|copy_X|memory|cache_size)$"
)
_UNSET: Final = frozenset({None, "null", "deprecated", "warn"})
"""What libraries have as the default of a parameter that they renamed, or will give another one."""

_USES: Final = {
    "use": "use", "split": "split", "features": "features", "labelColumn": "label column",
    "labelColumns": "label columns", "weightColumn": "weight column", "entityKey": "entity key",
    "asOf": "as of", "timeRange": "time range", "query": "query",
}  # fmt: skip
"""What a run says of how it used data, as fields and as words."""

ABLE: Final = frozenset(
    {"command line", "split", "features", "label column", "label columns", "weight column"}
)
"""What may change data inside of a run whose files are the same."""

_ROWS: Final = frozenset({"seed", "indexSha256"})
"""What of a split says which rows, and not how."""


def candidates(found: Found) -> list[Cause]:
    """One for each choice that differs."""
    rows = found.made.parameters()
    training = [row for row in found.made.training() if not row["is_result"]]
    other_algorithm = any(row["name"] == "algorithm" for row in training)
    foreign = [row for row in rows if other_algorithm and None in (row["before"], row["after"])]
    parameters = [row for row in rows if row not in foreign]
    return [
        *_training(found, training, parameters, foreign),
        *_uses(found),
        *choices(found, parameters),
        *arguments.candidates(found, _changed(found, [*rows, *training]), nothing_else=not rows),
    ]


def _changed(found: Found, rows: list[Row]) -> list[Changed]:
    """What was chosen and differs, with the values by which an argument may have said it."""
    changed = [Changed(row["name"], row["before"], row["after"]) for row in rows]
    for change in found.made.section("dataInputs"):
        field = change.path.rpartition("#")[2]
        if field in _USES:
            changed += _values(field, decoded(change.before), decoded(change.after))
    return changed


def _values(field: str, before: Any, after: Any) -> list[Changed]:
    """A value that differs; of an object its parts, as the seed of a split."""
    old, new = (value if isinstance(value, dict) else {field: value} for value in map(_flat, (before, after)))
    return [
        Changed(key, *(None if side.get(key) is None else str(side[key]) for side in (old, new)))
        for key in old.keys() | new.keys()
        if old.get(key) != new.get(key)
    ]


def _training(found: Found, training: list[Row], parameters: list[Row], foreign: list[Row]) -> list[Cause]:
    """Algorithm, seeds and the like; a seed that is a parameter too is told as that."""
    causes = []
    sides = {"before": found.before, "after": found.after}
    values = [(row["before"], row["after"]) for row in parameters if made.is_seed(row["name"])]
    known = [[None if one == "null" else one for one in pair] for pair in values]
    for row in training:
        seed = row["name"].startswith("seeds")
        if seed and [row["before"], row["after"]] in known:
            continue
        absent = {
            side: "not fixed" if seed and made.seeds(story) is not None else "not recorded"
            for side, story in sides.items()
        }
        what = " → ".join(shown(row[side], absent[side]) for side in sides)
        cause = Cause("training", row["name"], what, POSSIBLE if seed else STRONG)
        cause.paths = frozenset({("parameters", f"training.{row['name']}")})
        cause.for_(f"{row['name']}: {what}", *said_by_both(found, "modelTrail_training"))
        if seed:
            cause.but("a seed moves a stable model little")
        elif row["name"] == "algorithm" and foreign:
            cause.for_(f"parameters that only one of the two has: {named([row['name'] for row in foreign])}")
        causes.append(cause)
    return causes


def _uses(found: Found) -> list[Cause]:
    """How data was used that both versions read; the same said of several datasets is told once."""
    sides = (found.made.old["dataInputs"], found.made.new["dataInputs"])
    read_by_both = set.intersection(*({path.rpartition("#")[0] for path in side} for side in sides))
    changes = found.made.section("dataInputs")
    other_columns = any(change.path.endswith("#columns") for change in changes)
    causes: dict[tuple[str, str | None, str | None], Cause] = {}
    for change in changes:
        dataset, _, field = change.path.rpartition("#")
        if field not in _USES or dataset not in read_by_both:
            continue
        if field == "features" and other_columns:
            continue  # data has other columns: that is the candidate
        parts = _parts(change.before, change.after)
        only_rows = field == "split" and {part.rpartition(" ")[2] for part in parts} <= _ROWS
        strength = POSSIBLE if only_rows else STRONG
        what = ", ".join(f"{part}{' ' if part else ''}{way}" for part, way in parts.items())
        cause = causes.setdefault(
            (field, change.before, change.after), Cause("training", _USES[field], what, strength)
        )
        cause.paths |= {("dataInputs", change.path)}
        cause.for_(f"{dataset}: {what}", *said_by_both(found, "modelTrail_dataUse"))
    return [*causes.values()]


def _parts(before: str | None, after: str | None) -> dict[str, str]:
    """What of a value differs: by field where both are objects, else as a whole."""
    old, new = (_flat(decoded(value)) for value in (before, after))
    if isinstance(old, dict) and isinstance(new, dict):
        return {
            key: _way(*(None if side.get(key) is None else str(side[key]) for side in (old, new)))
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key)
        }
    if isinstance(old, list) and isinstance(new, list):
        words = {
            "without": [one for one in old if one not in new],
            "with": [one for one in new if one not in old],
        }
        found = {word: named([str(one) for one in some]) for word, some in words.items() if some}
        return found or {"": "in another order"}
    return {"": _way(before, after)}


def _flat(value: Any) -> Any:
    """A split without the earlier ones in it, whose fields say of which they are: `split 1 seed`."""
    if not isinstance(value, dict) or "earlier" not in value:
        return value
    *earlier, last = shares.choices(value)
    found = {key: part for key, part in last.items() if key != "earlier"}
    for number, choice in enumerate(earlier, 1):
        found |= {f"split {number} {key}": part for key, part in choice.items()}
    return found


def _way(before: str | None, after: str | None) -> str:
    return f"{shown(before, 'not recorded')} → {shown(after, 'not recorded')}"


def choices(found: Found, rows: list[Row]) -> list[Cause]:
    """One for each parameter that differs."""
    causes = []
    where = said_by_both(found, "modelTrail_hyperparameters", "executionParameters")
    for row in rows:
        what = f"{shown(row['before'])} → {shown(row['after'])}"
        cause = Cause("parameters", row["name"], what, STRONG)
        cause.paths = frozenset({("parameters", row["name"])})
        origins = [row["origin_before"], row["origin_after"]]
        text = f"{row['name']}: {what}"
        known = [origin for origin in dict.fromkeys(origins) if origin]
        cause.for_(text + (f" ({' → '.join(known)})" if known else ""), *where)
        _weigh(found, cause, row)
        causes.append(cause)
    return causes


def _weigh(found: Found, cause: Cause, row: Row) -> None:
    """What speaks against a parameter as a cause."""
    if _SPEED.search(row["name"]):
        cause.strength = UNLIKELY
        cause.but("it says how fast and not what is computed")
    elif made.is_seed(row["name"]):
        cause.strength = POSSIBLE
        cause.but("a seed moves a stable model little")
    elif same_value(row["before"], row["after"]):
        cause.strength = POSSIBLE
        cause.but("the same value of another type")
    elif is_default(row):
        is_new = None in (row["before"], row["after"])
        whose = "a default that only one side knows" if is_new else "a default on both sides"
        if library_differs(found):
            cause.strength = UNLIKELY
            cause.but(f"{whose}: see the environment")
        else:
            cause.strength = POSSIBLE if is_new else STRONG
            cause.but(whose)


def library_differs(found: Found) -> bool:
    """Whether some package is there in another version: what may have other defaults."""
    rows = found.made.environment()
    return any(row["kind"] == "package" and None not in (row["before"], row["after"]) for row in rows)


def is_default(row: Row) -> bool:
    """Whether nobody chose a parameter that differs: it is a default wherever it is known."""
    known = {row[f"origin_{side}"] for side in ("before", "after") if row[side] is not None}
    return known == {"default"}


def acts(row: Row) -> bool:
    """Whether both values say what is computed, and not the same: no speed, and none that is not set."""
    before, after = row["before"], row["after"]
    if before in _UNSET or after in _UNSET or _SPEED.search(row["name"]):
        return False
    return not same_value(before, after)
