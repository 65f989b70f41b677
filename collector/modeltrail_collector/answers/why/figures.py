"""What moved in the evaluations, per metric, data and slice; and whether it was measured on the same data."""

import math
from collections import defaultdict
from typing import Any, Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.why.facts import Story

# Which way is better where nobody says: by the last word of a metric's name, as libraries call them.
_MORE: Final = frozenset({"accuracy", "auc", "precision", "recall", "f1", "r2", "ap", "ndcg", "map", "mcc"})
_LESS: Final = frozenset({"loss", "error", "rmse", "mse", "mae", "mape", "logloss", "perplexity", "wer"})

_Key = tuple[str, str, str, str]


def moved(before: Story, after: Story) -> list[Row]:
    """One row per figure that either version has; those that moved most first.

    A row: name, split, dataset, slice, source (evaluation, or summary for what a run said of itself), before,
    after, delta, better (None where it is not known which way is better), `same_data` (None: not recorded),
    `dataset_before` where the older version was measured on another dataset, and the runs and places.
    """
    old, new = _by_key(before), _by_key(after)
    rows = []
    for key in sorted(old.keys() | new.keys()):
        for was, now in _pairs(old.get(key, {}), new.get(key, {})):
            rows.append(_row(key, before, was, after, now))
    return sorted(rows, key=_order)


def has_moved(row: Row) -> bool:
    """Whether both versions have the figure, and it differs by more than a rounding error."""
    was, now = row["before"], row["after"]
    if was is None or now is None:
        return False
    if isinstance(was, str) or isinstance(now, str):  # no finite number
        return bool(was != now)
    return not math.isclose(was, now, rel_tol=1e-9, abs_tol=1e-12)


def _order(row: Row) -> tuple[object, ...]:
    delta = row["delta"]
    return (
        row["source"] != "evaluation",
        not has_moved(row),
        row["slice"] is not None,
        -abs(delta) if delta is not None else 0.0,
        row["name"],
        row["slice"] or "",
        row["dataset"] or "",
    )


def _by_key(story: Story) -> dict[_Key, dict[str, Row]]:
    found: dict[_Key, dict[str, Row]] = defaultdict(dict)
    for row in story.figures:
        key = (row["source"], row["name"], row["split"] or "", row["slice"] or "")
        found[key][row["dataset"] or ""] = row
    return found


def _pairs(old: dict[str, Row], new: dict[str, Row]) -> list[tuple[Row | None, Row | None]]:
    """By dataset; where each side has one dataset left over, these two: a comparison on different data."""
    pairs: list[tuple[Row | None, Row | None]] = [(old[name], new[name]) for name in old if name in new]
    gone = [row for name, row in old.items() if name not in new]
    come = [row for name, row in new.items() if name not in old]
    if len(gone) == len(come) == 1:
        return [*pairs, (gone[0], come[0])]
    return [*pairs, *((row, None) for row in gone), *((None, row) for row in come)]


def _row(key: _Key, before: Story, was: Row | None, after: Story, now: Row | None) -> Row:
    source, name, split, slice_ = key
    told = now or was or {}
    values = [row["value"] if row else None for row in (was, now)]
    delta = _delta(*values)
    up = _more_is_better(after, now) if now else None
    row: Row = {
        "name": name,
        "split": split or None,
        "dataset": told["dataset"],
        "slice": slice_ or None,
        "source": source,
        "before": values[0],
        "after": values[1],
        "delta": delta,
        "better": None if up is None or not delta else (delta > 0) == up,
        "same_data": None,
        "dataset_before": None,
        "run_before": was and was["run_id"],
        "run_after": now and now["run_id"],
        "place_before": was and _place(before, was),
        "place_after": now and _place(after, now),
    }
    if was and now:
        if was["dataset"] != now["dataset"]:
            row |= {"same_data": False, "dataset_before": was["dataset"]}
        elif was["dataset"]:
            row["same_data"] = _same_content(before, was, after, now)
    return row


def _delta(was: Any, now: Any) -> float | None:
    both = isinstance(was, float | int) and isinstance(now, float | int)  # NaN comes as text
    return now - was if both else None


def _same_content(before: Story, was: Row, after: Story, now: Row) -> bool | None:
    contents = [content(story, row) for story, row in ((before, was), (after, now))]
    return None if None in contents else contents[0] == contents[1]


def content(story: Story, figure: Row) -> str | None:
    """The fingerprint of the data that a figure was measured on; None where it is not recorded."""
    for read in story.datasets.get(figure["run_id"], ()):
        if read["role"] == "input" and read["name"] == figure["dataset"]:
            found: str | None = read["fingerprint"] or read["version"]
            return found
    return None


def _more_is_better(story: Story, row: Row) -> bool | None:
    for entry in _entries(story, row):
        if entry.get("name") == row["name"] and entry.get("direction") in ("max", "min"):
            return bool(entry["direction"] == "max")
    words = row["name"].lower().replace("-", "_").split("_")
    if _LESS.intersection(words):
        return False
    return True if _MORE.intersection(words) else None


def _entries(story: Story, row: Row) -> list[dict[str, Any]]:
    said = story.find(_key(row), row["run_id"])
    metrics = said.value.get("metrics") if said else None
    return [entry for entry in metrics if isinstance(entry, dict)] if isinstance(metrics, list) else []


def _place(story: Story, row: Row) -> dict[str, Any] | None:
    said = story.find(_key(row), row["run_id"])
    return said.place if said else None


def _key(row: Row) -> str:
    return "modelTrail_evaluation" if row["source"] == "evaluation" else "modelTrail_metrics"
