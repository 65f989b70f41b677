"""Which model version answered where at a moment, what made it, and from what data."""

from datetime import UTC, datetime
from typing import Any

from modeltrail_collector.answers.database import Database, Row, database
from modeltrail_collector.log import Log

_Place = tuple[str | None, ...]


def as_of(of: Log | Database) -> list[Row]:
    """The model versions in force at the handle's moment, a row per place and version.

    `platform`, `endpoint`, `uri` and `environment` say where; `model_namespace`, `model_name`,
    `model_version` and `model_digest` which; `since` and `deployment` (a run id) by what, `actor` by whom;
    `traffic_percent` is what was said of it last, None where others took a share since. `run` is the run that
    made the version, with `data`, its inputs; None where that is not recorded. What failed to be deployed is
    not in force.
    """
    with database(of, "deployments", held=True) as db:
        found = [_row(one) for one in in_force(deployed(db))]
        _find_makers(db, found)
        return found


def deployed(db: Database) -> list[Row]:
    """The deployments that did not fail up to the handle's moment, oldest first: rows of their table."""
    at = db.moment.event_time or db.moment.arrival or datetime.now(UTC)
    return db.rows(
        """SELECT * EXCLUDE (bucket) FROM deployments
        WHERE effective_at <= $at::TIMESTAMPTZ AND coalesce(state, '') NOT IN ('FAIL', 'ABORT')
        ORDER BY effective_at, run_id""",
        at=at.isoformat(),
    )


def in_force(said: list[Row]) -> list[Row]:
    """What is left at each place of the deployments that were said, oldest first."""
    places: dict[_Place, dict[_Place, Row]] = {}
    for row in said:
        at = places.setdefault((row["platform"], row["endpoint"], row["environment"]), {})
        version = (row["model_namespace"], row["model_name"], row["model_version"] or row["model_digest"])
        share = row["traffic_percent"]
        if row["action"] == "retire" or share == 0:
            at.pop(version, None)
        elif share is None or share >= 100:
            at.clear()
            at[version] = row
        else:
            at.update({other: one | {"traffic_percent": None} for other, one in at.items()})
            at[version] = row
    found = [row for _, at in sorted(places.items(), key=str) for row in at.values()]
    return sorted(found, key=lambda row: (row["environment"] or "", row["endpoint"] or ""))


def _row(said: Row) -> Row:
    where = ("environment", "endpoint", "platform", "uri")
    which = ("model_namespace", "model_name", "model_version", "model_digest", "traffic_percent", "actor")
    row = {name: said[name] for name in (*where, *which)}
    return row | {"since": said["effective_at"], "deployment": said["run_id"], "run": None}


def _find_makers(db: Database, found: list[Row]) -> None:
    """Tell each the run that made its version, and what that run read."""
    if not found:
        return
    db.attach("models", held=True)
    columns = ("number", "namespace", "name", "version", "digest")
    db.fill("sought", columns, (
        (str(number), *(row[f"model_{column}"] for column in columns[1:])) for number, row in enumerate(found)
    ))  # fmt: skip
    makers = db.rows("""
        SELECT s.number::INTEGER AS number, m.run_id FROM sought AS s JOIN models AS m
            ON CASE WHEN s.digest IS NOT NULL AND m.digest IS NOT NULL THEN s.digest = m.digest
                ELSE s.version = m.version AND s.name IN (m.name, m.registered_name)
                    AND coalesce(s.namespace, m.namespace) = m.namespace END
        QUALIFY row_number() OVER (
            PARTITION BY number ORDER BY m.registered_name IS NULL, m.created_at) = 1""")
    ids = [row["run_id"] for row in makers]
    db.attach("runs", "run_datasets", runs=ids, held=True)
    db.fill("maker", ("run_id",), {(run_id,) for run_id in ids})
    runs = _by_run(db.rows("SELECT * EXCLUDE (bucket) FROM near_runs SEMI JOIN maker USING (run_id)"))
    data = _by_run(
        db.rows("""
        SELECT run_id, namespace, name, use, version, fingerprint, rows, capture FROM near_run_datasets AS d
        SEMI JOIN maker USING (run_id)
        WHERE role = 'input' AND NOT EXISTS (
            FROM near_run_datasets AS made WHERE made.run_id = d.run_id AND made.role = 'output'
                AND made.kind = 'model' AND (made.namespace, made.name) = (d.namespace, d.name))
        ORDER BY coalesce(list_position(['train', 'validation', 'test'], use), 9), use IS NULL, name""")
    )
    for maker in makers:
        for run in runs.get(maker["run_id"], []):
            inputs: list[dict[str, Any]] = [
                {name: value for name, value in row.items() if name != "run_id"}
                for row in data.get(maker["run_id"], [])
            ]
            found[maker["number"]]["run"] = run | {"data": inputs}


def _by_run(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["run_id"], []).append(row)
    return found
