"""Questions about many things: models, runs, differences, and any SQL."""

from collections.abc import Mapping
from typing import Any, Final

from modeltrail_collector.answers import names
from modeltrail_collector.answers.database import Database, Row, opened, said
from modeltrail_collector.answers.plain import plain_rows
from modeltrail_collector.answers.sources import judging
from modeltrail_collector.errors import ConfigError
from modeltrail_collector.log import Log
from modeltrail_collector.tables.differences import aligned, differences
from modeltrail_collector.tables.past import NOW
from modeltrail_collector.tables.versions import Views, preceded, version_facts

_UNENDED: Final = ("START", "RUNNING")
_NEWEST_FIRST: Final = "ORDER BY created_at DESC, namespace, name, version DESC"
_STATES: Final = ("START", "RUNNING", "COMPLETE", "FAIL", "ABORT", "OTHER")


def models(of: Log | Database, *, limit: int | None = None) -> list[Row]:
    """The model versions, newest first and at most so many: rows of table `models`.

    What its registry deleted is there and has `deleted_at`. A file that was also registered is shown once,
    under its registered name.
    """
    with opened(of) as db:
        if limit is not None:
            return _newest_models(db, limit)
        db.attach("models")
        return db.rows(
            f"""SELECT * EXCLUDE (bucket) FROM models
            WHERE registered_name IS NOT NULL OR digest IS NULL
                OR digest NOT IN (
                    SELECT digest FROM models WHERE registered_name IS NOT NULL AND digest IS NOT NULL)
            {_NEWEST_FIRST}"""  # noqa: S608  ours
        )


def _newest_models(db: Database, limit: int) -> list[Row]:
    """The newest of `models`: few columns of all say which they are, and the rest is read of these only."""
    names.keep_versions(db)
    asked = limit
    while True:
        asked *= 2
        newest = db.rows(f"FROM versions {_NEWEST_FIRST} LIMIT $asked", asked=asked)
        files = {row["digest"] for row in newest if row["registered_name"] is None} - {None}
        registered = db.rows(
            """SELECT DISTINCT digest FROM versions
            WHERE registered_name IS NOT NULL AND list_contains($files, digest)""",
            files=sorted(files),
        )
        twice = {row["digest"] for row in registered}
        shown = [row for row in newest if row["registered_name"] or row["digest"] not in twice][:limit]
        if len(shown) == limit or len(newest) < asked:
            break
    wanted = {(row["namespace"], row["name"]) for row in shown}
    known = db.read(
        "models",
        "* EXCLUDE (bucket)",
        models=wanted,
        where="list_contains($versions, version)",
        versions=sorted({row["version"] for row in shown}),
    )
    rows = {_version(row): row for row in known}
    return [rows[_version(row)] for row in shown]


def _version(row: Row) -> tuple[str, str, str]:
    return row["namespace"], row["name"], row["version"]


_BELOW: Final = """(starts_with(parent_run_id, $parent) OR ends_with(parent_run_id, $parent)
    OR starts_with(root_run_id, $parent) OR ends_with(root_run_id, $parent))"""
"""Answers name a run by the end of its id: its beginning is the time, and of many runs the same."""


def runs(
    of: Log | Database,
    *,
    job: str | None = None,
    state: str | None = None,
    parent: str | None = None,
    limit: int | None = None,
) -> list[Row]:
    """Runs, newest first: rows of table `runs`, and `over_since` of each.

    That is when the run above ended, its parent or the root, where this run was last heard of before and
    never said that it did: RFC 3339, or None. It was killed, or its producer does not end its runs.

    `job` is a name, a part of it or its stem; `state` one of START, RUNNING, COMPLETE, FAIL, ABORT, OTHER;
    `parent` the id of a parent or root run, its beginning or its end. Raises ConfigError for another state.
    """
    if state is not None and state.upper() not in _STATES:
        raise ConfigError(f"{state!r} is no state of a run: one of {', '.join(_STATES)}")
    wanted = {
        "job": (job, "(contains(job_name, $job) OR job_stem = $job)"),
        "state": (state and state.upper(), "state = $state"),
        "parent": (parent, _BELOW),
    }
    given = {name: value for name, (value, _) in wanted.items() if value is not None}
    where = " AND ".join(wanted[name][1] for name in given) or "true"
    with opened(of) as db:
        return _and_over(db, _all(db, where, given) if limit is None else _newest(db, limit, where, given))


def _and_over(db: Database, rows: list[Row]) -> list[Row]:
    above = {
        row["run_id"]: {row["parent_run_id"], row["root_run_id"]} - {None, row["run_id"]}
        for row in rows
        if row["state"] in _UNENDED
    }
    wanted = set().union(*above.values())
    found = db.read("runs", "run_id, ended_at", runs=wanted, where="ended_at IS NOT NULL") if wanted else []
    ended = {row["run_id"]: row["ended_at"] for row in found}
    for row in rows:
        ends = [ended[run] for run in above.get(row["run_id"], ()) if run in ended]
        row["over_since"] = min((end for end in ends if end >= row["last_event_at"]), default=None)
    return rows


def _all(db: Database, where: str, given: Mapping[str, str]) -> list[Row]:
    db.attach("runs")
    return db.rows(
        f"""SELECT * EXCLUDE (bucket) FROM runs WHERE {where}
        ORDER BY coalesce(started_at, last_event_at) DESC, run_id""",  # noqa: S608  ours
        **given,
    )


def _newest(db: Database, limit: int, where: str, given: Mapping[str, str]) -> list[Row]:
    """The newest runs: of the files that may hold them only what chooses is read, and the rest of the few."""
    chosen: list[Row] = []
    for part, later in db.newest_first("runs", "started_at", "last_event_at"):
        chosen += db.rows(
            f"""SELECT run_id, coalesce(started_at, last_event_at) AS began FROM ({part}) WHERE {where}
            ORDER BY began DESC, run_id LIMIT $limit""",  # noqa: S608  ours
            **given,
            limit=limit,
        )
        chosen.sort(key=lambda row: row["run_id"])
        chosen.sort(key=lambda row: row["began"], reverse=True)
        del chosen[limit:]
        if later is None or (len(chosen) == limit and all(row["began"] > later for row in chosen)):
            break
    ids = [row["run_id"] for row in chosen]
    by_id = {row["run_id"]: row for row in db.read("runs", "* EXCLUDE (bucket)", runs=ids)}
    return [by_id[run_id] for run_id in ids]


def changes(of: Log | Database, before: str, after: str) -> list[Row]:
    """What differs between two model versions (`NAME[@VERSION]`): section, path, before, after.

    Raises NotFound for a model that is not in the log.
    """
    with opened(of) as db:
        return _compared(db, *names.models(db, before, after))


def changed(db: Database, model: Row) -> list[Row]:
    """What differs between a version and the one made before it, its `base_version`: rows as of `changes`."""
    of: dict[str, Any] = {"models": [(model["namespace"], model["name"])], "namespace": model["namespace"]}
    if db.moment == NOW:
        columns = "base_version, section, path, before, after"
        where = "namespace = $namespace AND version = $version"
        return db.read("changes", columns, where=where, version=model["version"], **of)
    # Of a past the table would have to be derived for all versions of this name.
    versions = db.read(
        "models",
        "* EXCLUDE (bucket)",
        where="namespace = $namespace",
        then="ORDER BY created_at, version",
        **of,
    )
    return [
        {"base_version": before["version"]} | row
        for before, after in preceded(versions)
        if after["version"] == model["version"]
        for row in _compared(db, before, after)
    ]


def _compared(db: Database, before: Row, after: Row) -> list[Row]:
    pair = (before, after)
    versions = db.read(
        "models", "* EXCLUDE (bucket)", models={(one["namespace"], one["name"]) for one in pair}
    )
    made = {one["run_id"] for one in pair}
    judged = made.union(*judging(db, [*pair]))
    db.attach("facets", runs=made)
    for table in ("metrics", "run_datasets", "runs"):
        db.attach(table, runs=judged)
    views = Views("near_facets", "near_metrics", "near_run_datasets", "near_runs")
    facts = version_facts(db.connection, versions, views)
    was, now = (facts[one["namespace"], one["name"], one["version"]] for one in pair)
    return [
        {"section": one.section, "path": one.path, "before": one.before, "after": one.after}
        for one in differences(*aligned(was, now))
    ]


def sql(of: Log | Database, query: str) -> list[Row]:
    """The rows of one SELECT over the tables: see `Database.sql`."""
    with opened(of) as db, said():
        return plain_rows(db.sql(query))
