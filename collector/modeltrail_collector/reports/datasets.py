"""Tables of what a model was made of and measured on: datasets, models, and the steps between them."""

from typing import Final

from modeltrail_collector.answers import carried
from modeltrail_collector.answers.places import led_to
from modeltrail_collector.reports.document import Column, Step, Table, Thing, called
from modeltrail_collector.reports.facts import items, place
from modeltrail_collector.reports.gather import EVALUATED, IN_MEMORY, Dossier
from modeltrail_collector.reports.listings import captures

TESTED: Final = ("test", "validation")


def data(dossier: Dossier, *roles: str, title: str = "Data that the run read") -> Table:
    """The inputs of the run that made the model.

    With `roles` those used so, or nobody said how, that are no models.
    """
    models = {(one.namespace, one.name) for one in dossier.bases} if roles else set()
    rows = [
        row
        for row in dossier.story["data"] or ()
        if not roles or (row["use"] in {*roles, None} and (row["namespace"], row["name"]) not in models)
    ]
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
        captures=captures(rows),
    )  # fmt: skip


def bases(dossier: Dossier) -> Table | None:
    """The models that the run read to make this one; None if there are none."""
    if not dossier.bases:
        return None
    return Table(
        title="Models that the run read",
        columns=(
            Column("model"), Column("role"), Column("version", "code"), Column("digest", "code"),
            Column("how"),
        ),
        rows=tuple(
            (one.name, one.role, one.version if one.version != one.digest else None, one.digest, one.capture)
            for one in dossier.bases
        ),
        captures=tuple(one.capture for one in dossier.bases),
    )  # fmt: skip


def possible(dossier: Dossier) -> Table | None:
    """What the run read that it may have learned from; None if nothing."""
    rows = [
        (called(thing.name, thing.led_to), thing.rows, thing.digest, thing.capture, list(step.events))
        for step in dossier.steps
        if step.run_id == dossier.maker
        for thing in step.reads
        if thing.is_possible
    ]
    if not rows:
        return None
    return Table(
        title="Read by the run, use not seen: it may have learned from it",
        columns=(
            Column("dataset"), Column("rows", "number"), Column("fingerprint", "code"), Column("how"),
            Column("events", "code"),
        ),
        rows=tuple(rows),
        captures=tuple(row[3] for row in rows),
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
        captures=captures([{"capture": row[6]} for row in found.values()]),
    )  # fmt: skip


def _which(dossier: Dossier, step: Step, thing: Thing, split: object) -> list[object] | None:
    """Which rows were used: how they were chosen, and of a file those that were in memory.

    The last word is whether that content was trained on too.
    """
    in_memory = [one.name for one in step.reads if one.namespace == IN_MEMORY and one.role == thing.role]
    learned = {row["fingerprint"] for row in dossier.story["data"] or () if row["use"] == "train"}
    told = {
        f"those in {' and '.join(in_memory)}": in_memory and thing.namespace != IN_MEMORY,
        "the same content was read for training": thing.digest and thing.digest in learned,
    }
    return [*([split] if split else []), *(words for words, holds in told.items() if holds)] or None


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
        captures=captures([{"capture": row[5]} for row in rows]),
    )  # fmt: skip
