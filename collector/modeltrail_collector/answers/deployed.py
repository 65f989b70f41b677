"""Endpoints: which one is meant, and which model versions are in force there."""

from collections.abc import Iterable

from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.errors import NotFound


def deployments(db: Database, text: str) -> list[Row]:
    """The deployments to the endpoint that is called so by its name or URI, oldest first; none: no such one.

    `namespace` and `dataset` are its name among the datasets. Raises NotFound where several are called so.
    """
    rows = db.rows(
        """SELECT d.*, o.namespace, o.name AS dataset
        FROM deployments AS d
        LEFT JOIN run_datasets AS o ON o.run_id = d.run_id AND o.role = 'output' AND o.kind = 'endpoint'
        WHERE endpoint = $text OR uri = $text OR o.name = $text
            OR concat(o.namespace, '/', o.name) = $text OR concat(o.namespace, ':', o.name) = $text
        ORDER BY effective_at, d.run_id""",
        text=text,
    )
    places = sorted({place(row) for row in rows})
    if len(places) > 1:
        raise NotFound(f"{text!r} is not one endpoint: {', '.join(places[:5])}. Say its URI.")
    return rows


def place(row: Row) -> str:
    """What tells an endpoint from others: its URI, else its platform and name."""
    return str(row["uri"] or f"{row['platform']}:{row['endpoint']}")


def in_force(rows: Iterable[Row]) -> list[Row]:
    """Of the deployments to one endpoint, oldest first, the ones whose model version serves there now.

    One that takes all traffic (100 percent, or none said) ends the others; a part of the traffic leaves the
    rest to them. What failed changed nothing.
    """
    serving: dict[tuple[str | None, ...], Row] = {}
    for row in rows:
        version = (row["model_digest"] or row["model_name"], row["model_version"])
        share = row["traffic_percent"]
        if row["state"] in ("FAIL", "ABORT"):
            continue
        if row["action"] == "retire" or (share is not None and share <= 0):
            serving.pop(version, None)
        elif share is None or share >= 100:
            serving = {version: row}
        else:
            serving[version] = row
    return list(serving.values())
