"""Jobs in Marquez's shape, under the names that they were sent with.

Marquez calls a job with a parent `parent.job`; here such a name finds the job too.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.web.reading import facets as facets_
from modeltrail_collector.web.reading import runs
from modeltrail_collector.web.reading.facets import Facets, text
from modeltrail_collector.web.reading.seen import LATEST_RUNS, Name, Seen, id_of, name_of

_TYPES: Final = {"STREAMING": "STREAM", "SERVICE": "SERVICE"}


def page(seen: Seen, namespace: str | None, limit: int, offset: int) -> dict[str, Any]:
    """The jobs of a namespace, or all."""
    query = "SELECT * FROM job WHERE $namespace IS NULL OR namespace = $namespace"
    rows, total = seen.page(query, "namespace, name", limit, offset, namespace=namespace)
    return {"jobs": views(seen, rows), "totalCount": total}


def find(seen: Seen, name: Name) -> Row | None:
    """The job of this name, or the one that Marquez calls so."""
    found = seen.rows(
        """FROM job WHERE namespace = $namespace AND (name = $name OR concat(parent, '.', name) = $name)
        ORDER BY name = $name DESC, name LIMIT 1""",
        namespace=name[0],
        name=name[1],
    )
    return found[0] if found else None


def views(seen: Seen, rows: Sequence[Row], latest: int = LATEST_RUNS) -> list[dict[str, Any]]:
    """These rows of `job`, each with so many of its latest runs, and what the last of them read and wrote."""
    ids = {run for row in rows for run in row["latest"][:latest]}
    shown = {run["id"]: run for run in runs.views(seen, seen.runs(ids))}
    facets = Facets(seen, ids, "job")
    names = [name_of(row) for row in rows]
    told = seen.told("job", names)
    used = _used(seen, names)
    found = []
    for row, name in zip(rows, names, strict=True):
        recent = [shown[run] for run in row["latest"][:latest] if run in shown]
        said = (facets.of(run, "job", name) for run in row["latest"][:latest])
        own = {**facets_.told(told.get(name, [])), **next(filter(None, said), {})}
        found.append(
            {
                "id": id_of(name),
                "type": _TYPES.get(text(own, "jobType", "processingType") or "", "BATCH"),
                "name": name[1],
                "simpleName": name[1].removeprefix(f"{row['parent']}."),
                "parentJobName": row["parent"],
                "createdAt": row["first_at"],
                "updatedAt": row["last_at"],
                "namespace": name[0],
                "inputs": used.get((*name, "input"), []),
                "outputs": used.get((*name, "output"), []),
                "location": text(own, "sourceCodeLocation", "url"),
                "description": text(own, "documentation", "description"),
                "latestRun": recent[0] if recent else None,
                "latestRuns": recent,
                "facets": own,
            }
        )
    return found


def _used(seen: Seen, jobs: Collection[Name]) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """What the last runs of these jobs read and wrote, by job and role."""
    seen.db.fill("wanted", ("job_namespace", "job_name"), jobs)
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in seen.rows(
        """SELECT job_namespace, job_name, role, namespace, name
        FROM use SEMI JOIN wanted USING (job_namespace, job_name) WHERE current ORDER BY ALL"""
    ):
        key = row["job_namespace"], row["job_name"], row["role"]
        found.setdefault(key, []).append(id_of(name_of(row)))
    return found
