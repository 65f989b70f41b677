"""What moved in the evaluations, per metric, data and slice; and whether it was measured on the same data."""

import math
from typing import Any, Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.why.facts import Story
from modeltrail_collector.tables import pairing
from modeltrail_collector.tables.pairing import IN_MEMORY, Content, Metric

# Which way is better where nobody says: by the last word of a metric's name, as libraries call them.
_MORE: Final = frozenset({"accuracy", "auc", "precision", "recall", "f1", "r2", "ap", "ndcg", "map", "mcc"})
_LESS: Final = frozenset({"loss", "error", "rmse", "mse", "mae", "mape", "logloss", "perplexity", "wer"})

NOT_WELL: Final = frozenset({"FAIL", "ABORT"})
"""How a run ends that did not do all it was to do."""


def moved(before: Story, after: Story) -> list[Row]:
    """One row per figure that either version has; those that moved most first.

    A row: name, split, dataset, slice, source (evaluation, or summary for what a run said of itself), before,
    after, delta, better (None where nothing says which way is better), `same_data` (None: not recorded),
    `dataset_before` where the older version's data has another name, `rows` (and `rows_before`, of the older
    version's) of the data where it was only in memory, and the runs, how these ended, and the places.

    Which figures are held against each other, `tables.pairing` says.
    """
    old, new = ({_metric(story, row): row for row in story.figures} for story in (before, after))
    rows = [
        _row(before, old[was] if was else None, after, new[now] if now else None)
        for was, now in pairing.figures([*old], [*new])
    ]
    return sorted(rows, key=_order)


def _metric(story: Story, row: Row) -> Metric:
    told = {field: row[field] for field in ("name", "value", "split", "dataset", "slice", "source", "run_id")}
    read = _read(story, row)
    return Metric(**told, namespace=read["namespace"] if read else None, content=content(story, row))


def has_moved(row: Row) -> bool:
    """Whether both versions have the figure, and it differs by more than a rounding error."""
    was, now = row["before"], row["after"]
    if was is None or now is None:
        return False
    if isinstance(was, str) or isinstance(now, str):  # no finite number
        return bool(was != now)
    return not math.isclose(was, now, rel_tol=1e-9, abs_tol=1e-12)


def of_failed_runs(rows: list[Row], side: str) -> dict[str, list[str]]:
    """How a run ended that did not end well -> the figures of the version `before` or `after` it measured."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row["source"] == "evaluation" and row[f"state_{side}"] in NOT_WELL:
            found.setdefault(row[f"state_{side}"], set()).add(row["name"])
    return {state: sorted(names) for state, names in sorted(found.items())}


def of_unknown_data(rows: list[Row]) -> dict[str, list[str]]:
    """Data -> the figures that both versions have on it, where nobody told whether it is the same content."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if None not in (row["before"], row["after"], row["dataset"]) and row["same_data"] is None:
            found.setdefault(row["dataset"], set()).add(row["name"])
    return {dataset: sorted(names) for dataset, names in sorted(found.items())}


def is_own(story: Story, run_id: str | None) -> bool:
    """Whether the run that made a version measured a figure, itself or as a run below it."""
    said = story.find("parent", run_id) if run_id else None
    ids = [run_id]
    for above in (said.value, said.value.get("root")) if said else ():
        run = above.get("run") if isinstance(above, dict) else None
        ids.append(run.get("runId") if isinstance(run, dict) else None)
    return story.run_id in ids


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


def _in_memory(story: Story, figure: Row) -> Row | None:
    """The data that a figure was measured on, where it existed only inside of a run."""
    read = _read(story, figure)
    return read if read and read["namespace"] == IN_MEMORY else None


def _read(story: Story, figure: Row) -> Row | None:
    """The data that a figure was measured on, as its run read it; of several versions nobody says which."""
    reads = story.datasets.get(figure["run_id"], ())
    of_it = [read for read in reads if read["role"] == "input" and read["name"] == figure["dataset"]]
    is_one = len({read["namespace"] for read in of_it}) == len(of_it)
    return of_it[0] if of_it and is_one else None


def _row(before: Story, was: Row | None, after: Story, now: Row | None) -> Row:
    told = now or was or {}
    values = [row["value"] if row else None for row in (was, now)]
    delta = _delta(*values)
    up = _more_is_better(after, now) if now else None
    row: Row = {
        **{field: told[field] for field in ("name", "split", "dataset", "slice", "source")},
        "before": values[0],
        "after": values[1],
        "delta": delta,
        "better": None if up is None or not delta else (delta > 0) == up,
        "same_data": None,
        "dataset_before": None,
        "rows": None,
        "rows_before": None,
        "run_before": was and was["run_id"],
        "run_after": now and now["run_id"],
        "state_before": was and was["state"],
        "state_after": now and now["state"],
        "place_before": was and _place(before, was),
        "place_after": now and _place(after, now),
    }
    if was and now and (was["dataset"] or now["dataset"]):
        row["same_data"] = pairing.same_content(content(before, was), content(after, now))
        if was["dataset"] != now["dataset"]:
            row |= {"same_data": row["same_data"] or False, "dataset_before": was["dataset"]}
    held = _in_memory(after, now) if now else was and _in_memory(before, was)
    if was and (earlier := _in_memory(before, was)):
        row["rows_before"] = earlier["rows"]
    if held:
        row["rows"] = held["rows"]
        if row["same_data"] is False and pairing.is_unnamed(held["namespace"], held["name"]):
            row["better"] = None  # neither content nor name say that the two are to be compared
    return row


def _delta(was: Any, now: Any) -> float | None:
    both = isinstance(was, float | int) and isinstance(now, float | int)  # NaN comes as text
    return now - was if both else None


def content(story: Story, figure: Row) -> Content | None:
    """Which content the data had that a figure was measured on; None where it is not recorded."""
    read = _read(story, figure)
    if read is None:
        return None
    return pairing.content(read["namespace"], read["name"], read["fingerprint"], read["version"])


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
