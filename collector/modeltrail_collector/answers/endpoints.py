"""Which endpoint is meant by a name, what is in force there, and which ones versions were put behind."""

from datetime import UTC, datetime
from typing import Final

from modeltrail_collector.answers import names
from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.errors import NotFound

_WHOLE: Final = 100
_Place = tuple[str | None, ...]
_FIELDS: Final = (
    "run_id",
    "platform",
    "endpoint",
    "uri",
    "environment",
    "action",
    "traffic_percent",
    "model_namespace",
    "model_name",
    "version",
    "until",
)
_ENDPOINT: Final[Row] = {"kind": "endpoint", **dict.fromkeys(_FIELDS)}


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
    """What is left at each place of the deployments that were said, oldest first.

    Where others came or went, the share of those that stay is not known: their `traffic_percent` is None.
    """
    places: dict[_Place, list[Row]] = {}
    for row in said:
        place = _place(row)
        others = [one for one in places.get(place, ()) if not _is_of(row, one)]
        if _is_whole(row):
            others = []
        elif others != places.get(place, []) or not _is_end(row):
            others = [one | {"traffic_percent": None} for one in others]
        places[place] = others if _is_end(row) else [*others, row]
    found = [row for _, at in sorted(places.items(), key=str) for row in at]
    return sorted(found, key=lambda row: (row["environment"] or "", row["endpoint"] or ""))


def _place(row: Row) -> _Place:
    return row["platform"], row["endpoint"], row["environment"]


def _is_end(row: Row) -> bool:
    """Whether it takes a version away from its place."""
    return bool(row["action"] == "retire" or row["traffic_percent"] == 0)


def _is_whole(row: Row) -> bool:
    """Whether it gives a version the whole traffic of its place."""
    share = row["traffic_percent"]
    return not _is_end(row) and bool(share is None or share >= _WHOLE)


def _is_of(row: Row, before: Row) -> bool:
    """Whether a deployment speaks of the version of one before it at its place.

    Each may leave out the namespace, the version or the digest. What ends and says no version means all of
    that model there.
    """
    version, digest = (
        None if row[name] is None or before[name] is None else row[name] == before[name]
        for name in ("model_version", "model_digest")
    )
    if digest and version is not False:
        return True
    known = {row["model_namespace"], before["model_namespace"]} - {None}
    if row["model_name"] != before["model_name"] or len(known) > 1:
        return False
    if version is not None or digest is not None:
        return bool(digest if version is None else version)
    unsaid = [one["model_version"] is None and one["model_digest"] is None for one in (row, before)]
    return all(unsaid) or (_is_end(row) and any(unsaid))


def deployments(db: Database, text: str) -> list[Row]:
    """The deployments in force at the endpoint that is called so by its name or URI, oldest first.

    None: there is no such endpoint. `namespace` and `dataset` are its name among the datasets. Raises
    NotFound where several are called so.
    """
    rows = called(db, text)
    places = sorted({str(row["uri"] or f"{row['platform']}:{row['endpoint']}") for row in rows})
    if len(places) > 1:
        raise NotFound(f"{text!r} is not one endpoint: {', '.join(places[:5])}. Say its URI.")
    db.attach("run_datasets", runs={row["run_id"] for row in rows})
    said = db.rows("""SELECT run_id, namespace, name AS dataset FROM near_run_datasets
        WHERE role = 'output' AND kind = 'endpoint'""")
    by_run = {row.pop("run_id"): row for row in said}
    nameless: Row = {"namespace": None, "dataset": None}
    return [row | by_run.get(row["run_id"], nameless) for row in rows]


def called(db: Database, text: str) -> list[Row]:
    """What `deployed` has of the endpoints that are called so by their name or URI."""
    db.attach("deployments", held=True)
    keys = names.keys(text)
    db.attach("mentions", keys=keys)
    db.fill("called", ("key",), ((key,) for key in keys))
    db.connection.execute(
        """CREATE OR REPLACE TEMP TABLE endpoint AS
        SELECT run_id, namespace, name FROM near_mentions SEMI JOIN called USING (key)
        WHERE how = 'name' AND role = 'output' AND kind = 'endpoint'
            AND $text IN (name, concat(namespace, '/', name), concat(namespace, ':', name))""",
        {"text": text},
    )
    return deployed(db, "$text IN (endpoint, uri) OR run_id IN (SELECT run_id FROM endpoint)", text=text)


def with_endpoints(db: Database, found: list[Row]) -> list[Row]:
    """Where the model versions were put to use, since when: each deployment, and endpoints without one."""
    wanted = {
        (row["namespace"], name, row["version"] or "", row["fingerprint"] or "")
        for row in found
        if row["kind"] == "model"
        for name in (row["name"], row["registered_name"])
        if name
    }
    db.fill("made", ("namespace", "name", "version", "digest"), sorted(wanted))
    db.attach("deployments", held=True)
    db.connection.execute("""CREATE OR REPLACE TEMP TABLE used AS
        SELECT d.* FROM deployments AS d JOIN made AS m ON d.model_digest = m.digest
        UNION ALL
        SELECT d.* FROM deployments AS d JOIN made AS m
            ON (d.model_name, d.model_version) = (m.name, m.version)
        WHERE (d.model_digest IS NULL OR m.digest = '')
            AND coalesce(d.model_namespace, m.namespace) = m.namespace""")
    rows = db.rows("""SELECT DISTINCT run_id, platform, endpoint, uri, environment, action, traffic_percent,
            model_namespace, model_name, model_version AS version, effective_at AS since
        FROM used ORDER BY since, endpoint""")
    there = """SELECT d.* FROM deployments AS d SEMI JOIN used AS u
        ON d.platform IS NOT DISTINCT FROM u.platform AND d.endpoint IS NOT DISTINCT FROM u.endpoint
            AND d.environment IS NOT DISTINCT FROM u.environment
        ORDER BY effective_at, run_id"""
    ends = _ends(db.rows(there)) if rows else {}
    depth = {row["run_id"]: row["depth"] for row in found if row["kind"] == "run"}
    deepest = max((row["depth"] for row in found if row["kind"] == "model"), default=0) + 1
    told = {row["run_id"] for row in rows}
    kept = ("run_id", "version", "since", "depth")
    undeclared = [
        _ENDPOINT | {name: row[name] for name in kept} | {"endpoint": row["name"]}
        for row in found
        if row["kind"] == "endpoint" and row["run_id"] not in told
    ]
    return [
        *(row for row in found if row["kind"] != "endpoint"),
        *(
            {**_ENDPOINT, **row, "until": ends.get(_said(row)), "depth": depth.get(row["run_id"], deepest)}
            for row in rows
        ),
        *undeclared,
    ]


def _ends(said: list[Row]) -> dict[tuple[str | None, ...], str]:
    """When deployments, oldest first, were over: by a later one at their place, as `in_force` has it."""
    ends: dict[tuple[str | None, ...], str] = {}
    places: dict[_Place, list[Row]] = {}
    for row in said:
        if row["state"] in {"FAIL", "ABORT"}:  # it never was
            ends[_said(row)] = row["effective_at"]
            continue
        at = places.get(_place(row), [])
        mine = [one for one in at if _is_of(row, one)]
        if _is_end(row):
            over = [row, *mine]
        else:
            over = [one for one in mine if one["traffic_percent"] != row["traffic_percent"]]
            over += [one for one in at if _is_whole(row) and one not in mine]
        places[_place(row)] = [one for one in (*at, row) if one not in over]
        ends |= {_said(one): row["effective_at"] for one in over}
    return ends


def _said(row: Row) -> tuple[str | None, ...]:
    """What tells a deployment from others."""
    return tuple(row[name] for name in ("run_id", "platform", "endpoint", "environment"))
