"""Which model version answered where at a moment, what made it, and from what data."""

from datetime import UTC, datetime

from modeltrail_collector.answers.database import Database, Row, database
from modeltrail_collector.answers.names import keep_versions
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


def deployed(db: Database, where: str = "true", **params: object) -> list[Row]:
    """The deployments that did not fail up to the handle's moment, oldest first: rows of their table.

    Of each place what was said since the last one that took its whole traffic; `where` is SQL that chooses
    among them. Needs table `deployments`.
    """
    at = db.moment.event_time or db.moment.arrival or datetime.now(UTC)
    return db.rows(
        f"""SELECT * EXCLUDE (bucket, whole) FROM (
            SELECT *, coalesce(action, '') <> 'retire' AND coalesce(traffic_percent >= 100, true) AS whole
            FROM deployments
            WHERE effective_at <= $at::TIMESTAMPTZ AND coalesce(state, '') NOT IN ('FAIL', 'ABORT')
        )
        WHERE {where}
        QUALIFY (effective_at, run_id) >= coalesce(
            max((effective_at, run_id)) FILTER (whole)
                OVER (PARTITION BY platform, endpoint, environment, uri),
            (effective_at, run_id))
        ORDER BY effective_at, run_id""",  # noqa: S608  conditions of ours
        at=at.isoformat(),
        **params,
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
    keep_versions(db)
    columns = ("number", "namespace", "name", "version", "digest")
    db.fill("sought", columns, (
        (str(number), *(row[f"model_{column}"] for column in columns[1:])) for number, row in enumerate(found)
    ))  # fmt: skip
    # By equality, a way at a time: of thousands of places and versions each pair would have to be looked at.
    makers = db.rows("""
        WITH model AS (
            SELECT namespace, name, registered_name, version, digest, run_id,
                (registered_name IS NULL, created_at) AS rank
            FROM versions
        ),
        named AS (
            SELECT number, s.namespace AS said, s.digest AS deployed, m.*
            FROM sought AS s JOIN model AS m ON (s.name, s.version) = (m.name, m.version)
            UNION ALL
            SELECT number, s.namespace, s.digest, m.*
            FROM sought AS s JOIN model AS m ON (s.name, s.version) = (m.registered_name, m.version)
        ),
        found AS (
            SELECT number, run_id, rank FROM named
            WHERE (deployed IS NULL OR digest IS NULL) AND coalesce(said, namespace) = namespace
            UNION ALL
            SELECT number, m.run_id, rank FROM sought AS s JOIN model AS m USING (digest)
        )
        SELECT number::INTEGER AS number, arg_min(run_id, rank) AS run_id FROM found GROUP BY number""")
    ids = {row["run_id"] for row in makers}
    runs = {row["run_id"]: row for row in db.read("runs", "* EXCLUDE (bucket)", runs=ids)}
    data = _inputs(db, ids)
    for maker in makers:
        if run := runs.get(maker["run_id"]):
            found[maker["number"]]["run"] = run | {"data": data.get(maker["run_id"], [])}


def _inputs(db: Database, runs: set[str]) -> dict[str, list[Row]]:
    """What each run read, what was trained on first; not what it put out as a model (and evaluated)."""
    told = ("namespace", "name", "use", "version", "fingerprint", "rows", "capture")
    placed = db.read(
        "run_datasets",
        f"run_id, role, kind, {', '.join(told)}",
        runs=runs,
        then="ORDER BY coalesce(list_position(['train', 'validation', 'test'], use), 9), use IS NULL, name",
    )
    made = {_place(row) for row in placed if row["role"] == "output" and row["kind"] == "model"}
    found: dict[str, list[Row]] = {}
    for row in placed:
        if row["role"] == "input" and _place(row) not in made:
            found.setdefault(row["run_id"], []).append({name: row[name] for name in told})
    return found


def _place(row: Row) -> _Place:
    return row["run_id"], row["namespace"], row["name"]
