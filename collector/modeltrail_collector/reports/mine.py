"""What the runs of a trail say of this version, and not of other models that they had to do with."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.reports.document import Step
from modeltrail_collector.tables.differences import Facet
from modeltrail_collector.tables.own import OF_MAKING, Own, own

MONITORED: Final = "monitored it"


class Mine(msgspec.Struct, frozen=True, kw_only=True):
    """Which of what was recorded is of one version.

    `own` tells it from the other models of the run that made it. `is_made` says that this run is known: else
    the one of the model only registered it. `monitoring` are the runs that measured it in use.
    """

    model: Row
    own: Own | None
    is_made: bool
    monitoring: frozenset[str]

    def facets(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The facets without what they say of others."""
        for row in rows:
            if self._is_of_another(row):
                continue
            if self.own is None or row["run_id"] != self.model["run_id"]:
                yield row
            elif self.own.read(row["scope"], row["namespace"], row["name"]):
                value = row["value"]
                yield row | {"value": self.own.part(row["key"], value) if isinstance(value, dict) else value}

    def step(self, step: Step) -> Step:
        """The same, of the making run without what only its other models learned from."""
        if self.own is None or step.run_id != self.model["run_id"]:
            return step
        reads = tuple(thing for thing in step.reads if self.own.read("input", thing.namespace, thing.name))
        return msgspec.structs.replace(step, reads=reads)

    def _is_of_another(self, row: Row) -> bool:
        if row["key"] == "modelTrail_monitoring":
            return row["run_id"] not in self.monitoring
        if row["key"] == "modelTrail_evaluation" and isinstance(row["value"], dict):
            return not self._was_evaluated(row)
        return not self.is_made and row["run_id"] == self.model["run_id"] and row["key"] in OF_MAKING

    def _was_evaluated(self, row: Row) -> bool:
        """Whether an evaluation is of this version: the digest decides where both sides know it."""
        said, model = row["value"], self.model
        if said.get("modelDigest") and model["digest"]:
            return bool(str(said["modelDigest"]).rpartition(":")[2] == model["digest"])
        judged = (row["namespace"], row["name"], str(said.get("modelVersion")))
        return judged == (model["namespace"], model["name"], str(model["version"]))


def of(db: Database, story: Mapping[str, Any], roles: Mapping[str, Sequence[str]]) -> Mine:
    """What tells the version of an answer of `show` from others; `roles` are what each run did."""
    return Mine(
        model=story["model"],
        own=_own(db, story["model"]),
        is_made=not (story["run"] or {}).get("only_registered"),
        monitoring=frozenset(run for run, several in roles.items() if MONITORED in several),
    )


def _own(db: Database, model: Row) -> Own | None:
    said = db.rows(
        """SELECT scope, namespace, name, "key", "value", part FROM near_facets
        WHERE run_id = $run AND "value" IS NOT NULL
            AND "key" IN ('modelTrail_model', 'modelTrail_modelArtifact', 'modelTrail_dataUse', 'lineage')""",
        run=model["run_id"],
    )
    return own([Facet(**row | {"value": json.loads(row["value"])}) for row in said], model)
