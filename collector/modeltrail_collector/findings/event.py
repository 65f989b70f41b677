"""The event that says what changed in a model version: the facet `modelTrail_changes` on the model.

The model is an input, since to compare is to read: no output comes of it, so that no table takes the run for
one that made a version. Everything in the event follows from the version and the one before it, the run's id
and the time too: told again, it is the same event, and counts once.
"""

import importlib.metadata
import json
import uuid
from typing import Any, Final

import msgspec

from modeltrail_collector.answers.database import Row
from modeltrail_collector.tables.differences import JOB, SECTIONS
from modeltrail_schemas import schema_url

KEY: Final = "modelTrail_changes"
_RUN: Final = uuid.uuid5(uuid.NAMESPACE_URL, schema_url(KEY).partition("#")[0].rpartition("/")[0])
_STANDARD: Final = "https://openlineage.io/spec/facets"
_SECTION_CHARACTERS: Final = 64_000
"""Of each section so much is told: a version of which everything is other is no event of megabytes."""
_MOST_CAUSES: Final = 20
_LONGEST: Final = 1_000


class Version(msgspec.Struct, frozen=True):
    """A model version, and the one before it (None: the first)."""

    namespace: str
    name: str
    version: str
    created_at: str
    base: str | None

    @property
    def run_id(self) -> str:
        """The id of the run that tells what changed: the same whoever tells it, and whenever."""
        parts = [self.namespace, self.name, self.version, self.base]
        return str(uuid.uuid5(_RUN, json.dumps(parts)))


def make(version: Version, changes: list[Row], causes: list[Row] | None) -> dict[str, Any]:
    """The RunEvent about a version.

    `changes` are its rows of table `changes`, `causes` those of `answers.why`
    (None: they are not known). What is left out for its
    length is counted, and so are unlikely causes.
    """
    facet: dict[str, Any] = {
        **_base(schema_url(KEY)),
        **{section: _section(changes, section) for section in SECTIONS},
        "capture": "inferred",
    }
    if causes is not None:
        facet["likelyCauses"] = _causes(causes)
    if version.base is not None:
        facet["baseVersion"] = version.base
    dataset = {
        "namespace": version.namespace,
        "name": version.name,
        "facets": {
            "version": {
                **_base(
                    f"{_STANDARD}/1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet"
                ),
                "datasetVersion": version.version,
            },
            KEY: facet,
        },
    }
    return {
        "eventType": "COMPLETE",
        "eventTime": version.created_at,
        "producer": _producer(),
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": version.run_id, "facets": {}},
        "job": {"namespace": JOB[0], "name": JOB[1], "facets": {"jobType": _job_type()}},
        "inputs": [dataset],
        "outputs": [],
    }


def _producer() -> str:
    return f"https://github.com/modeltrail/modeltrail/tree/{importlib.metadata.version('modeltrail')}"


def _base(url: str) -> dict[str, str]:
    return {"_producer": _producer(), "_schemaURL": url}


def _job_type() -> dict[str, str]:
    return {
        **_base(f"{_STANDARD}/2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet"),
        "processingType": "BATCH",
        "integration": "MODELTRAIL",
        "jobType": "COMPARE",
    }


def _section(changes: list[Row], section: str) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {"added": [], "removed": [], "changed": []}
    left = _SECTION_CHARACTERS
    rows = [row for row in changes if row["section"] == section]
    for number, row in enumerate(rows):
        kind = "added" if row["before"] is None else "removed" if row["after"] is None else "changed"
        told = {field: _cut(row[field]) for field in ("path", "before", "after") if row[field] is not None}
        left -= sum(map(len, told.values()))
        if left < 0:
            found["changed"].append({"path": f"{len(rows) - number} more, too long to be told here"})
            break
        found[kind].append(told)
    return found


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _causes(causes: list[Row]) -> list[dict[str, str]]:
    likely = [cause for cause in causes if cause["strength"] != "unlikely"]
    told = [_cause(cause) for cause in likely[:_MOST_CAUSES]]
    for left, what in ((len(likely) - len(told), "likely"), (len(causes) - len(likely), "unlikely")):
        if left > 0:
            told.append({"path": f"{left} more", "evidence": f"{what}: `modeltrail why` tells them"})
    return told


def _cause(cause: Row) -> dict[str, str]:
    told = "; ".join(entry["text"] for entry in cause["evidence"])
    against = "; ".join(entry["text"] for entry in cause["against"])
    text = f"{cause['strength']}: {told}" + (f". Against it: {against}" if against else "")
    return {"path": _cut(f"{cause['kind']}: {cause['subject']}"), "evidence": _cut(text)}
