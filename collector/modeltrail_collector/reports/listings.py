"""Tables of a dossier, for every kind of report to choose from."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from modeltrail_collector.answers import carried
from modeltrail_collector.answers.places import led_to
from modeltrail_collector.answers.show import OF_RUN, is_of_another
from modeltrail_collector.reports.document import Column, Step, Table, Thing, called
from modeltrail_collector.reports.facts import items, place, slice_
from modeltrail_collector.reports.gather import EVALUATED, IN_MEMORY, Dossier

TESTED: Final = ("test", "validation")


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
        captures=_captures(rows),
    )


def data(dossier: Dossier, *roles: str, title: str = "Data that the run read") -> Table:
    """The inputs of the run that made the model (with `roles`: those used so)."""
    rows = [row for row in dossier.story["data"] or () if not roles or row["use"] in roles]
    return Table(
        title=title,
        columns=(
            Column("dataset"), Column("role"), Column("rows", "number"), Column("columns", "number"),
            Column("version", "code"), Column("fingerprint", "code"), Column("how"), Column("event", "code"),
        ),
        rows=tuple(
            (
                called(row["name"], led_to(row)), row["use"], row["rows"], len(row["columns"]) or None,
                row["version"] if row["version"] != row["fingerprint"] else None,
                row["fingerprint"], row["capture"], place(dossier, row),
            )
            for row in rows
        ),
        captures=_captures(rows),
    )  # fmt: skip


def test_data(dossier: Dossier) -> Table:
    """What it was validated and tested on, in the run that made it and in those that evaluated it."""
    splits = {
        (row["run_id"], row["namespace"], row["name"]): value.get("split")
        for row, value in dossier.everywhere("modelTrail_dataUse")
    }
    found = {
        (thing.namespace, thing.name, thing.digest): (
            called(thing.name, thing.led_to),
            thing.role,
            thing.rows,
            _which(dossier, step, thing, splits.get((step.run_id, thing.namespace, thing.name))),
            thing.digest,
            step.job,
            thing.capture,
            list(step.events),
        )
        for step in dossier.steps
        if EVALUATED in step.what or step.run_id == dossier.model["run_id"]
        for thing in step.reads
        if thing.role in TESTED
    }
    return Table(
        title="Validation and test data",
        columns=(
            Column("dataset"), Column("role"), Column("rows", "number"), Column("which of them"),
            Column("fingerprint", "code"), Column("read by"), Column("how"), Column("events", "code"),
        ),
        rows=tuple(found.values()),
        captures=_captures([{"capture": row[6]} for row in found.values()]),
    )  # fmt: skip


def _which(dossier: Dossier, step: Step, thing: Thing, split: object) -> list[object]:
    """Which rows were used: how they were chosen, and of a file those that were in memory.

    The last word is whether that content was trained on too.
    """
    in_memory = [one.name for one in step.reads if one.namespace == IN_MEMORY and one.role == thing.role]
    learned = {row["fingerprint"] for row in dossier.story["data"] or () if row["use"] == "train"}
    told = {
        f"those in {' and '.join(in_memory)}": in_memory and thing.namespace != IN_MEMORY,
        "the same content was read for training": thing.digest and thing.digest in learned,
    }
    return [*([split] if split else []), *(words for words, holds in told.items() if holds)]


def data_uses(dossier: Dossier, *roles: str) -> Table:
    """How the inputs were chosen: split, period, query, label."""
    rows = [
        (row["name"], ", ".join(carried.labels(value)) or None, value.get("split"), value.get("timeRange"),
         value.get("query"), value.get("asOf"), row["place"])
        for row, value in dossier.about("modelTrail_dataUse")
        if not roles or value.get("role") in roles
    ]  # fmt: skip
    return Table(
        title="How it was selected",
        columns=(
            Column("dataset"), Column("label"), Column("split"), Column("period"), Column("query", "code"),
            Column("as of", "time"), Column("event", "code"),
        ),
        rows=tuple(row for row in rows if any(part is not None for part in row[1:-1])),
    )  # fmt: skip


def columns(dossier: Dossier, *roles: str) -> Table:
    """The columns of the inputs."""
    rows = [row for row in dossier.story["data"] or () if not roles or row["use"] in roles]
    return Table(
        title="Columns",
        columns=(Column("dataset"), Column("columns and their types")),
        rows=tuple(
            (
                row["name"],
                [f"{one['name']} ({one['type']})" if one["type"] else one["name"] for one in row["columns"]],
            )
            for row in rows
            if row["columns"]
        ),
    )


def transformations(dossier: Dossier) -> Table:
    """The steps from data to features, of all runs of the trail, in order."""
    jobs = {step.run_id: step.job for step in dossier.steps}
    order = list(jobs)
    said = sorted(
        dossier.everywhere("modelTrail_featureTransformations"),
        key=lambda found: order.index(found[0]["run_id"]),
    )
    rows = [
        (jobs[row["run_id"]], step.get("id"), step.get("op"), step.get("params") or None,
         step.get("fittedOn"), step.get("capture") or value.get("capture"), row["place"])
        for row, value in said
        for step in items(value.get("steps"))
        if isinstance(step, dict)
    ]  # fmt: skip
    return Table(
        title="Transformations",
        columns=(
            Column("job"), Column("step"), Column("operation", "code"), Column("parameters", "code"),
            Column("fitted on"), Column("how"), Column("event", "code"),
        ),
        rows=tuple(rows),
        captures=_captures([{"capture": row[5]} for row in rows]),
    )  # fmt: skip


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
        captures=_captures(rows),
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
        captures=_captures(rows),
    )  # fmt: skip


def evaluations(dossier: Dossier, *, sliced: bool | None = None) -> Table:
    """What evaluations of this version gave; with `sliced` only those (not) about a part of the data."""
    rows = [
        row
        for row in dossier.story["evaluations"] or ()
        if sliced is None or sliced == bool(slice_(row["slice"]))
    ]
    return Table(
        title="Evaluations of parts of the data" if sliced else "Evaluations",
        columns=(
            Column("metric"), Column("value", "number"), Column("on"), Column("rows", "number"),
            Column("slice"), Column("at", "time"), Column("how"), Column("event", "code"),
        ),
        rows=tuple(
            (row["name"], row["value"], row["dataset"], row["rows"], slice_(row["slice"]), row["happened_at"],
             row["capture"], place(dossier, row))
            for row in rows
        ),
        captures=_captures(rows),
    )  # fmt: skip


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
    return Table(
        title="Deployments of this version",
        columns=(
            Column("at", "time"), Column("action"), Column("endpoint"), Column("environment"),
            Column("traffic (%)", "number"), Column("replaces"), Column("by"), Column("how"),
            Column("event", "code"),
        ),
        rows=tuple(
            (row["effective_at"], row["action"], row["uri"] or row["endpoint"], row["environment"],
             row["traffic_percent"], row["previous_version"], row["actor"], row["capture"],
             place(dossier, row))
            for row in rows
        ),
        captures=_captures(rows),
    )  # fmt: skip


def changes(dossier: Dossier) -> Table:
    """What the version before it was not."""
    rows = dossier.story["changes"] or ()
    base = rows[0]["base_version"] if rows else None
    return Table(
        title=f"Changes since version {base}" if base is not None else "Changes since the version before",
        columns=(Column("in"), Column("what"), Column("before", "code"), Column("now", "code")),
        rows=tuple((row["section"], row["path"], row["before"], row["after"]) for row in rows),
        note="Computed by the collector from what both versions recorded.",
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
            (row["version"], row["created_at"], row["digest"], row["run_id"], list(row["aliases"] or ()),
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
        captures=_captures(history),
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


def _captures(rows: Iterable[Mapping[str, Any]]) -> tuple[str | None, ...]:
    """How rows were learned."""
    return tuple(dict.fromkeys(row.get("capture") for row in rows))
