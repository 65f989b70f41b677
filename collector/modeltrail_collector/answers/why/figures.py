"""What moved in the evaluations, per metric, data and slice; and whether it was measured on the same data."""

import math
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.recipe import IN_MEMORY
from modeltrail_collector.answers.why.facts import Story

# Which way is better where nobody says: by the last word of a metric's name, as libraries call them.
_MORE: Final = frozenset({"accuracy", "auc", "precision", "recall", "f1", "r2", "ap", "ndcg", "map", "mcc"})
_LESS: Final = frozenset({"loss", "error", "rmse", "mse", "mae", "mape", "logloss", "perplexity", "wer"})

# What the emitter calls data in memory that has no name (`runs.facts.Facts.called`). The number, from the
# second on, says in which order it came, and not what it is.
_UNNAMED: Final = re.compile(
    r"/(?:train|validation|test|calibration|reference|inference|prompt|other|data)(-\d+)?$"
)

_Key = tuple[str, str, str, str]


def moved(before: Story, after: Story) -> list[Row]:
    """One row per figure that either version has; those that moved most first.

    A row: name, split, dataset, slice, source (evaluation, or summary for what a run said of itself), before,
    after, delta, better (None where nothing says which way is better), `same_data` (None: not recorded),
    `dataset_before` where the older version's data has another name, `rows` of the data where it was only in
    memory, and the runs and places.

    Figures are held against each other where they were measured on the same content, else on data of the same
    name, else where each side has one left over. A running number (`train/test-2`) is no name.
    """
    old, new = _by_key(before), _by_key(after)
    rows = []
    for key in sorted(old.keys() | new.keys()):
        for was, now in _pairs(before, old.get(key, []), after, new.get(key, [])):
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
        None in (row["before"], row["after"]),
        not has_moved(row),
        row["slice"] is not None,
        -abs(delta) if delta is not None else 0.0,
        row["name"],
        row["slice"] or "",
        row["dataset"] or "",
    )


def _by_key(story: Story) -> dict[_Key, list[Row]]:
    found: dict[_Key, list[Row]] = defaultdict(list)
    for row in story.figures:
        found[row["source"], row["name"], row["split"] or "", row["slice"] or ""].append(row)
    return found


def _pairs(
    before: Story, old: list[Row], after: Story, new: list[Row]
) -> list[tuple[Row | None, Row | None]]:
    """One rule after the other, each for what the one before it left over."""
    rules: tuple[Callable[[Story, Row], object], ...] = (
        lambda story, row: (row["dataset"], known) if (known := content(story, row)) else None,
        content,
        lambda story, row: None if _is_numbered(story, row) else row["dataset"] or "",
    )
    pairs: list[tuple[Row | None, Row | None]] = []
    for rule in rules:
        right = {key: row for row in new if (key := rule(after, row)) is not None}
        found = [(row, right.pop(key)) for row in old if (key := rule(before, row)) in right]
        pairs += found
        done = {id(row) for pair in found for row in pair}
        old, new = ([row for row in side if id(row) not in done] for side in (old, new))
    left = [*((before, row) for row in old), *((after, row) for row in new)]
    if len(old) == len(new) == 1 and not any(_is_numbered(*one) for one in left):
        return [*pairs, (old[0], new[0])]
    return [*pairs, *((row, None) for row in old), *((None, row) for row in new)]


def _is_numbered(story: Story, figure: Row) -> bool:
    read = _in_memory(story, figure)
    unnamed = _UNNAMED.search(read["name"]) if read else None
    return bool(unnamed and unnamed[1])


def _in_memory(story: Story, figure: Row) -> Row | None:
    """The data that a figure was measured on, where it existed only inside of a run."""
    read = _read(story, figure)
    return read if read and read["namespace"] == IN_MEMORY else None


def _read(story: Story, figure: Row) -> Row | None:
    """The data that a figure was measured on, as its run read it."""
    reads = story.datasets.get(figure["run_id"], ())
    of_it = (read for read in reads if read["role"] == "input" and read["name"] == figure["dataset"])
    return next(of_it, None)


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
        "rows": None,
        "run_before": was and was["run_id"],
        "run_after": now and now["run_id"],
        "place_before": was and _place(before, was),
        "place_after": now and _place(after, now),
    }
    if was and now and (was["dataset"] or now["dataset"]):
        row["same_data"] = _same_content(before, was, after, now)
        if was["dataset"] != now["dataset"]:
            row |= {"same_data": row["same_data"] or False, "dataset_before": was["dataset"]}
    held = _in_memory(after, now) if now else was and _in_memory(before, was)
    if held:
        row["rows"] = held["rows"]
        if row["same_data"] is False and _UNNAMED.search(held["name"]):
            row["better"] = None  # neither content nor name say that the two are to be compared
    return row


def _delta(was: Any, now: Any) -> float | None:
    both = isinstance(was, float | int) and isinstance(now, float | int)  # NaN comes as text
    return now - was if both else None


def _same_content(before: Story, was: Row, after: Story, now: Row) -> bool | None:
    contents = [content(story, row) for story, row in ((before, was), (after, now))]
    return None if None in contents else contents[0] == contents[1]


def content(story: Story, figure: Row) -> str | None:
    """The fingerprint of the data that a figure was measured on; None where it is not recorded."""
    read = _read(story, figure)
    found: str | None = (read["fingerprint"] or read["version"]) if read else None
    return found


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
