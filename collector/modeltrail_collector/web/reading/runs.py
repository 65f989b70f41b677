"""Runs in Marquez's shape."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.web.reading import versions
from modeltrail_collector.web.reading.facets import Facets, text
from modeltrail_collector.web.reading.seen import Seen, name_of

_STATES: Final = {"COMPLETE": "COMPLETED", "FAIL": "FAILED", "ABORT": "ABORTED"}
_SIDES: Final = {"input": "inputDatasetVersions", "output": "outputDatasetVersions"}


def views(seen: Seen, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """These rows of `runs`, each with its facets and the versions of datasets that it read and wrote."""
    ids = [row["run_id"] for row in rows]
    facets = Facets(seen, ids, "run", "input_facet", "output_facet")
    shown = {row["run_id"]: _view(row, facets) for row in rows}
    for run_id, role, name, version in versions.used(seen, rows):
        shown[run_id][_SIDES[role]].append(
            {
                "datasetVersionId": versions.version_id(name, version),
                "facets": facets.of(run_id, f"{role}_facet", name),
            }
        )
    return list(shown.values())


def _view(row: Row, facets: Facets) -> dict[str, Any]:
    own = facets.of_run(row["run_id"])
    return {
        "id": row["run_id"],
        "createdAt": row["first_event_at"],
        "updatedAt": row["last_event_at"],
        "nominalStartTime": text(own, "nominalTime", "nominalStartTime"),
        "nominalEndTime": text(own, "nominalTime", "nominalEndTime"),
        "state": _STATES.get(row["state"], "RUNNING"),
        "startedAt": row["started_at"],
        "endedAt": row["ended_at"],
        "durationMs": _took(row["started_at"], row["ended_at"]),
        "job": {"namespace": row["job_namespace"], "name": row["job_name"]},
        "inputDatasetVersions": [],
        "outputDatasetVersions": [],
        "facets": own,
    }


def _took(started: str | None, ended: str | None) -> int | None:
    if started is None or ended is None:
        return None
    seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
    return int(seconds * 1000)


def of_job(seen: Seen, job: Row, limit: int, offset: int) -> dict[str, Any]:
    """The runs of a job, the latest first."""
    found, total = seen.page(
        """SELECT run_id, coalesce(started_at, first_event_at) AS began FROM run
            WHERE job_namespace = $namespace AND job_name = $name
        UNION ALL SELECT run_id, first_at FROM spoken
            WHERE job_namespace = $namespace AND job_name = $name AND run_id IS NOT NULL""",
        "began DESC, run_id DESC",
        limit,
        offset,
        namespace=job["namespace"],
        name=job["name"],
    )
    return {"runs": views(seen, seen.runs(row["run_id"] for row in found)), "totalCount": total}


def facets(seen: Seen, row: Row, of: str) -> dict[str, Any]:
    """The facets of a run, or those that it says of its job."""
    found = Facets(seen, [row["run_id"]], of)
    run_id = row["run_id"]
    shown = found.of_run(run_id) if of == "run" else found.of(run_id, "job", name_of(row, "job_"))
    return {"runId": run_id, "facets": shown}
