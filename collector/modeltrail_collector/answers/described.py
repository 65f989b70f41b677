"""What was said of a run, a job or a dataset: its row, what goes in and out, and every facet, of whomever."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from modeltrail_collector.answers import designs, names, registry
from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.errors import NotFound

LATEST: Final = 5
"""So many of the latest runs of a job, or on each side of a dataset, are told, and asked for facets."""

_PART_OF_ID: Final = re.compile("[0-9a-f-]{6,36}")
_COLUMNS: Final = (
    'run_id, scope, namespace, name, "key", "value", happened_at, topic, topic_id, "partition", "offset"'
)
_SOURCE: Final = ("topic", "topic_id", "partition", "offset")
_JOBS: Final = "SELECT job_namespace AS namespace, job_name AS name FROM"
_OF_RUNS: Final = f"{_JOBS} runs"
_PLANNED: Final = f"{_JOBS} events WHERE event_kind = 'job'"
"""Jobs of runs, and those of JobEvents."""
_OF_COPY: Final = ("namespace", "name", "registered_name", "version", "digest", "run_id")
_OF_DATASET: Final = frozenset({"input", "output"})


def find(db: Database, text: str, *, in_full: bool) -> Row | None:
    """What is said of the dataset, the job or the run that is called so, or None.

    A run: `run` (its row of `runs`), `inputs`, `outputs` (rows of `run_datasets`), `facets`. A job: `job`
    (namespace, name), `runs` (the latest, rows of `runs`), `inputs`, `outputs` (of the latest run; of a job
    without runs as its JobEvents declare them, None where these are in the log no more), `facets`.
    A dataset: `dataset` (namespace, name, kind, and `as`, the names by which these runs know it, if others:
    of a link to the file for instance), `copy_of` (of a model that no run wrote by this name: the version
    whose bytes were read last), `written_by`, `read_by` (the latest, rows of `runs`), `facets`.

    Each of `facets` has `scope`, `namespace`, `name`, `key`, `value` (as it came), `run_id`, `happened_at`
    and `source`, the log record. Of a run it is all of them; of a job or a dataset the last of each key that
    its latest runs, or an event without a run, tell.

    Args:
        db: The tables.
        text: A name, `NAMESPACE/NAME`, the id of a run, or one of these behind `run:`, `job:` or `dataset:`.
        in_full: Whether that is all of it, of what runs tell; else an end of a dataset's name, or an end or
            the beginning of an id (six digits or more), or what only events without a run tell of: all of
            these are looked for among everything.

    Raises:
        NotFound: More than one is called so.
    """
    kind, _, rest = text.partition(":")
    wanted = {kind: _FINDERS[kind]} if kind in _FINDERS else _FINDERS
    for finder in wanted.values():
        if found := finder(db, rest if wanted is not _FINDERS else text, in_full):
            return found
    return None


def unknown(db: Database, text: str) -> str:
    """What to say where nothing is called so."""
    db.attach("mentions", "runs", "events")
    mentioned = "SELECT '', name FROM mentions WHERE how = 'name'"
    named = f"SELECT name FROM ({_OF_RUNS} UNION {_PLANNED} UNION {mentioned})"  # noqa: S608  ours
    near = names.nearest(db, text, named)
    return f"No model, dataset, job or run is called {text!r}.{designs.naming(db, text)}{near}"


def _dataset(db: Database, text: str, in_full: bool) -> Row | None:
    found = names.find_dataset(db, text, in_full=in_full)
    if found is None and not in_full:
        found = _alone(db, text)
    if found is None:
        return None
    dataset = {name: found[name] for name in ("namespace", "name", "kind")}
    named: dict[str, str] = {"namespace": found["namespace"], "name": found["name"]}
    uses = db.read(
        "mentions",
        "DISTINCT run_id, role, namespace, name, use",
        keys=[found["name"]],
        where="how IN ('name', 'identity') AND (key_namespace, key) = ($namespace, $name)",
        then=f"""QUALIFY row_number() OVER (PARTITION BY role ORDER BY last_event_at DESC, run_id DESC)
            <= {LATEST}""",
        namespace=found["namespace"],
        name=found["name"],
    )
    sides = {"output": "written_by", "input": "read_by"}
    runs = {told: _runs(db, [row["run_id"] for row in uses if row["role"] == role and row["use"] != "drop"])
            for role, told in sides.items()}  # fmt: skip
    called = {(row["namespace"], row["name"]) for row in uses}
    said = [
        facet
        for place in called
        for facet in _facets(db, {row["run_id"] for row in uses}, "scope <> 'job'", *place)
    ]
    is_copy = found["kind"] == "model" and not runs["written_by"]
    model = registry.of_copy(db, **named) if is_copy else None
    return {
        "dataset": dataset | {"as": sorted(called - {(found["namespace"], found["name"])})},
        **({"copy_of": {one: model[one] for one in _OF_COPY}} if model else {}),
        **runs,
        "facets": _last(said + _without_run(db, "dataset", **named)),
    }


def _alone(db: Database, text: str) -> Row | None:
    """A dataset of which only events without a run speak."""
    db.attach("facets")
    found = db.rows(
        f"""SELECT DISTINCT namespace, name, 'dataset' AS kind FROM facets
        WHERE run_id IS NULL AND scope = 'dataset' AND {names.IS_CALLED}""",  # noqa: S608  ours
        text=text,
    )
    return names.one_name(text, found) if found else None


def _job(db: Database, text: str, in_full: bool) -> Row | None:
    db.attach("runs", "events")
    jobs = _OF_RUNS if in_full else _PLANNED
    found = db.rows(f"SELECT DISTINCT * FROM ({jobs}) WHERE {names.IS_CALLED}", text=text)  # noqa: S608
    if not found:
        return None
    job = names.one_name(text, found)
    named: dict[str, str] = {"namespace": job["namespace"], "name": job["name"]}
    latest = db.rows(
        f"""SELECT run_id FROM runs WHERE (job_namespace, job_name) = ($namespace, $name)
        ORDER BY coalesce(started_at, last_event_at) DESC, run_id DESC LIMIT {LATEST}""",  # noqa: S608
        **named,
    )
    runs = _runs(db, [row["run_id"] for row in latest])
    said = _facets(db, [run["run_id"] for run in runs], "scope = 'job'", **named)
    return {
        "job": job,
        "runs": runs,
        **(_used(db, runs[:1]) if runs else designs.of_job(db, **named)),
        "facets": _last(said + _without_run(db, "job", **named)),
    }


def _run(db: Database, text: str, in_full: bool) -> Row | None:
    if in_full:
        found = _runs(db, [text])
    elif _PART_OF_ID.fullmatch(text):
        db.attach("runs")
        found = db.rows(
            """SELECT * EXCLUDE (bucket) FROM runs
            WHERE starts_with(run_id, $text) OR ends_with(run_id, $text) ORDER BY run_id LIMIT 6""",
            text=text,
        )
    else:
        return None
    if len(found) > 1:
        raise NotFound(
            f"{text!r} is not one run: {', '.join(row['run_id'] for row in found)}. Say more of it."
        )
    if not found:
        return None
    return {"run": found[0], **_used(db, found), "facets": _facets(db, [found[0]["run_id"]], "true")}


def _runs(db: Database, ids: Iterable[str]) -> list[Row]:
    """Rows of `runs`, the latest first."""
    then = "ORDER BY coalesce(started_at, last_event_at) DESC, run_id DESC"
    return db.read("runs", "* EXCLUDE (bucket)", runs=list(ids), then=then)


def _used(db: Database, runs: list[Row]) -> dict[str, list[Row]]:
    """What these runs read and wrote."""
    rows = db.read(
        "run_datasets",
        "* EXCLUDE (bucket, run_id)",
        runs=[run["run_id"] for run in runs],
        then="ORDER BY namespace, name",
    )
    return {f"{role}s": [row for row in rows if row["role"] == role] for role in ("input", "output")}


def _facets(
    db: Database, runs: Iterable[str], where: str, namespace: str | None = None, name: str | None = None
) -> list[Row]:
    """Facets of these runs, of one job or dataset if it is named, in the order in which they were said."""
    rows = db.read(
        "facets",
        _COLUMNS,
        runs=list(runs),
        where=f"""key <> '' AND value IS NOT NULL AND {where}
            AND ($namespace IS NULL OR (namespace, name) = ($namespace, $name))""",
        then="ORDER BY happened_at, key, part",
        namespace=namespace,
        name=name,
    )
    return [_told(row) for row in rows]


def _without_run(db: Database, scope: str, **named: str) -> list[Row]:
    """What JobEvents or DatasetEvents say."""
    db.attach("facets")
    rows = db.rows(
        f"""SELECT {_COLUMNS} FROM facets WHERE run_id IS NULL AND scope = $scope AND key <> ''
            AND value IS NOT NULL AND (namespace, name) = ($namespace, $name)""",  # noqa: S608  ours
        scope=scope,
        **named,
    )
    return [_told(row) for row in rows]


def _told(row: Row) -> Row:
    source = {name: row.pop(name) for name in _SOURCE}
    return row | {"value": json.loads(row["value"]), "source": source}


def _last(facets: list[Row]) -> list[Row]:
    """The last of each key; what a dataset is does not depend on who says it, what was done with it does."""
    found: dict[tuple[str, str], Row] = {}
    for row in sorted(facets, key=lambda row: row["happened_at"]):
        scope = "dataset" if row["scope"] in _OF_DATASET else row["scope"]
        found[scope, row["key"]] = row | {"scope": scope}
    return [found[place] for place in sorted(found)]


_FINDERS: Final[dict[str, Callable[[Database, str, bool], dict[str, Any] | None]]] = {
    "dataset": _dataset,
    "job": _job,
    "run": _run,
}
