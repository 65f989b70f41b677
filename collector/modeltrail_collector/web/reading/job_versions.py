"""Versions of jobs: what their runs read and wrote, where that changed."""

import json
import uuid
from collections.abc import Sequence
from importlib import resources
from typing import Any

from modeltrail_collector.answers.database import Row
from modeltrail_collector.web.reading import runs
from modeltrail_collector.web.reading.facets import Facets, text
from modeltrail_collector.web.reading.seen import Seen, name_of


def page(seen: Seen, job: Row, limit: int, offset: int) -> dict[str, Any]:
    """The versions of a job, the one that ran last first."""
    found = _all(seen, job)
    return {"versions": _views(seen, job, found[offset : offset + limit]), "totalCount": len(found)}


def find(seen: Seen, job: Row, version: str) -> dict[str, Any] | None:
    """The version of this id."""
    found = [row for row in _all(seen, job) if _id(job, row) == version]
    return _views(seen, job, found)[0] if found else None


def _all(seen: Seen, job: Row) -> list[Row]:
    query = resources.files(__package__).joinpath("sql/job_versions.sql").read_text()
    rows = seen.rows(query, namespace=job["namespace"], name=job["name"])
    return sorted(rows, key=lambda row: (row["last_at"], row["run_id"]), reverse=True)


def _id(job: Row, row: Row) -> str:
    """Made of the names alone: the same after every rebuild."""
    return str(
        uuid.uuid5(
            uuid.NAMESPACE_URL,
            json.dumps([job["namespace"], job["name"], row["inputs"], row["outputs"]], sort_keys=True),
        )
    )


def _views(seen: Seen, job: Row, found: Sequence[Row]) -> list[dict[str, Any]]:
    ids = [row["run_id"] for row in found]
    last = {run["id"]: run for run in runs.views(seen, seen.runs(ids))}
    facets = Facets(seen, ids, "job")
    shown = []
    for row in found:
        own = facets.of(row["run_id"], "job", name_of(job))
        shown.append(
            {
                "id": {"namespace": job["namespace"], "name": job["name"], "version": _id(job, row)},
                "name": job["name"],
                "namespace": job["namespace"],
                "version": _id(job, row),
                "createdAt": row["first_at"],
                "inputs": row["inputs"],
                "outputs": row["outputs"],
                "location": text(own, "sourceCodeLocation", "url"),
                "latestRun": last.get(row["run_id"]),
                "facets": own,
            }
        )
    return shown
