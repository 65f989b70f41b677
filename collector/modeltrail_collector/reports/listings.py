"""Tables of a dossier, for every kind of report to choose from."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from modeltrail_collector.answers.show import OF_RUN, is_of_another
from modeltrail_collector.reports.document import Column, Table
from modeltrail_collector.reports.facts import items, place, slice_
from modeltrail_collector.reports.gather import Dossier


def packages(dossier: Dossier) -> Table:
    """The packages it was trained with."""
    said = dossier.story["environment"] or {}
    rows = [one for one in items(said.get("packages")) if isinstance(one, dict)]
    return Table(
        title="Packages",
        columns=(Column("package"), Column("version", "code"), Column("from", "code")),
        rows=tuple((one.get("name"), one.get("version"), one.get("source")) for one in rows),
        captures=(said.get("capture"),),
    )


def params(dossier: Dossier) -> Table:
    """The parameters of the training."""
    rows = dossier.story["params"] or ()
    return Table(
        title="Parameters",
        columns=(Column("parameter"), Column("value", "code"), Column("origin"), Column("of")),
        rows=tuple(
            (row["name"], "null" if row["type"] == "null" else row["value"], row["origin"], row["component"])
            for row in rows
        ),
        captures=captures(rows),
    )


def metrics(dossier: Dossier, *splits: str) -> Table:
    """What the run itself measured (with `splits`: on those), of this model or of the run as a whole."""
    own = [row for row in dossier.story["metrics"] or () if not is_of_another(row)]
    rows = [row for row in own if not splits or row["split"] in splits]
    several = [row["models"] for row in rows if row["models"]][:1]
    return Table(
        title=" ".join([
            "Measured while training", *(["on", " and ".join(splits), "data"] if splits else []),
            *(f"({OF_RUN.format(models)})" for models in several),
        ]),
        columns=(
            Column("metric"), Column("value", "number"), Column("step", "number"), Column("split"),
            Column("slice"), Column("how"), Column("event", "code"),
        ),
        rows=tuple(
            (row["name"], row["value"], row["step"], row["split"], slice_(row["slice"]), row.get("capture"),
             place(dossier, row))
            for row in rows
        ),
        captures=captures(rows),
    )  # fmt: skip


def metrics_of_others(dossier: Dossier) -> Table | None:
    """What the run measured of other models that it fitted, for folds for instance; None if nothing."""
    rows = [row for row in dossier.story["metrics"] or () if is_of_another(row)]
    if not rows:
        return None
    return Table(
        title=f"Measured of {'' if rows[0]['own'] is None else 'other '}models that the run fitted",
        columns=(
            Column("metric"), Column("value", "number"), Column("model", "code"), Column("step", "number"),
            Column("split"), Column("slice"), Column("how"), Column("event", "code"),
        ),
        rows=tuple(
            (row["name"], row["value"], row["model_id"], row["step"], row["split"], slice_(row["slice"]),
             row.get("capture"), place(dossier, row))
            for row in rows
        ),
        captures=captures(rows),
    )  # fmt: skip


def evaluations(dossier: Dossier, *, sliced: bool | None = None) -> Table:
    """What evaluations of this version gave, first on all of the data; with `sliced` only (not) on a part."""
    rows = [
        row
        for row in sorted(
            dossier.story["evaluations"] or (), key=lambda row: slice_(row["slice"]) is not None
        )
        if sliced is None or sliced == bool(slice_(row["slice"]))
    ]
    said = _said_of_figures(dossier)
    more = [_more(row, said.get(_figure(row), {})) for row in rows]
    is_any = any(more)
    return Table(
        title="Evaluations of parts of the data" if sliced else "Evaluations",
        columns=(
            Column("metric"), Column("value", "number"), *([Column("more")] if is_any else []), Column("on"),
            Column("rows", "number"), Column("slice"), Column("at", "time"), Column("how"),
            Column("event", "code"),
        ),
        rows=tuple(
            (row["name"], row["value"], *([told] if is_any else []), row["dataset"],
             None if slice_(row["slice"]) else row["rows"], slice_(row["slice"]), row["happened_at"],
             row["capture"], place(dossier, row))
            for row, told in zip(rows, more, strict=True)
        ),
        captures=captures(rows),
    )  # fmt: skip


def _figure(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["run_id"], row["dataset"], row["name"], slice_(row["slice"])


def _said_of_figures(dossier: Dossier) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The entries of evaluations, by what tells their figures apart."""
    return {
        _figure({
            "run_id": row["run_id"],
            "dataset": (value["dataset"] if isinstance(value.get("dataset"), dict) else {}).get("name"),
            "name": one.get("name"),
            "slice": json.dumps(one["slice"]) if one.get("slice") else None,
        }): one
        for row, value in dossier.everywhere("modelTrail_evaluation")
        for one in items(value.get("metrics"))
        if isinstance(one, dict)
    }  # fmt: skip


def _more(row: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a figure had to reach, how sure it is, and that the run that measured it has not completed."""
    words = {"unit": "unit", "direction": "better", "threshold": "needed", "ci": "confidence interval"}
    told = {word: said[name] for name, word in words.items() if said.get(name) is not None}
    told |= {"run": row["state"]} if row["state"] not in {None, "COMPLETE"} else {}
    return told or None


def tests(dossier: Dossier) -> Table:
    """Gates and other tests that runs reported (the standard facets `test` and `dataQualityAssertions`)."""
    rows = [
        (one.get("name"), None, one.get("status"), one.get("severity"), one.get("expected"),
         one.get("actual"), row["happened_at"], row["place"])
        for row, value in dossier.everywhere("test")
        for one in items(value.get("tests"))
        if isinstance(one, dict)
    ]  # fmt: skip
    rows += [
        (_asserted(one), row["name"], _PASSED.get(str(one.get("success"))),
         one.get("severity"), one.get("expected"), one.get("actual"), row["happened_at"], row["place"])
        for row, value in dossier.everywhere("dataQualityAssertions")
        for one in items(value.get("assertions"))
        if isinstance(one, dict)
    ]  # fmt: skip
    return Table(
        title="Tests",
        columns=(
            Column("test"), Column("data"), Column("status"), Column("severity"), Column("expected"),
            Column("actual"), Column("at", "time"), Column("event", "code"),
        ),
        rows=tuple(rows),
    )  # fmt: skip


_PASSED: Final = {"True": "pass", "False": "fail"}


def _asserted(one: Mapping[str, Any]) -> str:
    column = one.get("column")
    return f"{one.get('assertion')} ({column})" if column else str(one.get("assertion"))


def deployments(dossier: Dossier) -> Table:
    """Where it was put to use."""
    rows = dossier.story["deployments"] or ()
    approvals = {
        row["run_id"]: value.get("approval") or None
        for row, value in dossier.everywhere("modelTrail_deployment")
    }
    return Table(
        title="Deployments of this version",
        columns=(
            Column("at", "time"), Column("action"), Column("endpoint"), Column("environment"),
            Column("traffic (%)", "number"), Column("replaces"), Column("by"), Column("approval"),
            Column("how"), Column("event", "code"),
        ),
        rows=tuple(
            (row["effective_at"], row["action"], row["uri"] or row["endpoint"], row["environment"],
             row["traffic_percent"], row["previous_version"], row["actor"],
             approvals.get(row["run_id"]), row["capture"], place(dossier, row))
            for row in rows
        ),
        captures=captures(rows),
    )  # fmt: skip


def changes(dossier: Dossier) -> Table:
    """What the version before it was not."""
    rows = dossier.story["changes"] or ()
    base = rows[0]["base_version"] if rows else None
    is_first = [row["version"] for row in dossier.versions][:1] == [dossier.model["version"]]
    return Table(
        title=f"Changes since version {base}" if base is not None else "Changes since the version before",
        columns=(Column("in"), Column("what"), Column("before", "code"), Column("now", "code")),
        rows=tuple((row["section"], row["path"], row["before"], row["after"]) for row in rows),
        note="Computed by the collector from what both versions recorded.",
        missing=f"none: {'no earlier version is in the log' if is_first else 'nothing recorded differs'}",
        captures=("inferred",),
    )


def versions(dossier: Dossier) -> Table:
    """All versions of this name that the log knows."""
    is_any = any(row["deleted_at"] for row in dossier.versions)
    return Table(
        title="Versions",
        columns=(
            Column("version"), Column("created at", "time"), Column("digest", "code"), Column("run", "code"),
            Column("aliases"), *([Column("deleted at", "time")] if is_any else []),
        ),
        rows=tuple(
            (row["version"], row["created_at"], row["digest"], row["run_id"], row["aliases"] or None,
             *([row["deleted_at"]] if is_any else []))
            for row in dossier.versions
        ),
    )  # fmt: skip


def in_registry(dossier: Dossier) -> Table | None:
    """What was done to it in its registry; None where it was only registered."""
    history = (dossier.story["registration"] or {}).get("history", ())
    if len(history) < 2:
        return None
    return Table(
        title="In its registry",
        columns=(
            Column("at", "time"), Column("action"), Column("aliases afterwards"), Column("stage"),
            Column("before"), Column("by"), Column("how"), Column("record", "code"),
        ),
        rows=tuple(
            (row["at"], row["action"], row["aliases"] or None, row["stage"], row["previous"], row["actor"],
             row["capture"], place(dossier, row))
            for row in history
        ),
        captures=captures(history),
    )  # fmt: skip


def monitoring(dossier: Dossier) -> tuple[Table, Table]:
    """What was measured, and what drifted, while it was in use."""
    metrics_, drift = [], []
    for row, value in dossier.everywhere("modelTrail_monitoring"):
        window = value["window"] if isinstance(value.get("window"), dict) else {}
        when = f"{window.get('start')} to {window.get('end')}"
        metrics_ += [
            (when, one.get("name"), one.get("expected"), one.get("observed"), one.get("tolerance"),
             one.get("breached"), row["place"])
            for one in items(value.get("metrics")) if isinstance(one, dict)
        ]  # fmt: skip
        drift += [
            (when, one.get("column"), one.get("method"), one.get("statistic"), one.get("threshold"),
             one.get("breached"), row["place"])
            for one in items(value.get("drift")) if isinstance(one, dict)
        ]  # fmt: skip
    return (
        Table(
            title="Performance in use",
            columns=(
                Column("window"), Column("metric"), Column("expected", "number"), Column("seen", "number"),
                Column("tolerance", "number"), Column("breached"), Column("event", "code"),
            ),
            rows=tuple(metrics_),
        ),
        Table(
            title="Drift",
            columns=(
                Column("window"), Column("column"), Column("method"), Column("statistic", "number"),
                Column("threshold", "number"), Column("breached"), Column("event", "code"),
            ),
            rows=tuple(drift),
        ),
    )  # fmt: skip


def captures(rows: Iterable[Mapping[str, Any]]) -> tuple[str | None, ...]:
    """How rows were learned."""
    return tuple(dict.fromkeys(row.get("capture") for row in rows))
