"""What wrote a dataset, and what went into it: the two steps back, each for many datasets at once.

All of it joins by equality, so that a run that reads or writes ten thousand datasets costs as much as they
are many, not as their pairs are.
"""

from collections.abc import Collection
from typing import Final

from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.answers.statements import sql_of

Name = tuple[str, str]
Made = tuple[str, str, str]
"""Run id, namespace, name."""

RUN: Final = """runs.run_id, job_namespace, job_name, state, started_at, ended_at,
    coalesce(ended_at, last_event_at) AS wrote_at"""

_TRAINED_FIRST: Final = """coalesce(list_position(['train', 'validation', 'test'], use), 9), use IS NULL"""

# The folders above a name, nearest last: `/a/b/c` lies in `/a/b`, `/a` and ''.
_FOLDERS: Final = """list_transform(range(1, len(string_split({name}, '/'))),
    lambda n: array_to_string(string_split({name}, '/')[:n], '/'))"""


def writers(db: Database, names: set[Name]) -> dict[Name, list[Row]]:
    """What wrote each of these, oldest first: run_id, when, and what that run calls it.

    `exact` says that the run called it so too; `kind`, `version` and `fingerprint` are what it wrote.

    A reader may know a thing by another name (symlinks), or by the folder whose parts were written (Spark):
    each counts where the one before it found nothing.
    """
    db.fill("wanted", ("namespace", "name"), sorted(names))
    db.attach("mentions", keys=[name for _, name in names])
    rows = db.rows("""
        SELECT DISTINCT wanted.*, run_id, wrote_at, m.kind, version, fingerprint, how = 'name' AS exact
        FROM wanted JOIN near_mentions AS m ON m.key = wanted.name AND m.key_namespace = wanted.namespace
        WHERE role = 'output' AND how IN ('name', 'identity', 'folder')
        QUALIFY dense_rank() OVER (PARTITION BY wanted.namespace, wanted.name
            ORDER BY list_position(['name', 'identity', 'folder'], how)) = 1
        ORDER BY wrote_at, run_id""")
    found: dict[Name, list[Row]] = {}
    for row in rows:
        found.setdefault((row.pop("namespace"), row.pop("name")), []).append(row)
    return found


def runs_of(db: Database, ids: Collection[str]) -> dict[str, Row]:
    """The columns `RUN` of these runs, by id."""
    if not ids:
        return {}
    db.attach("runs", runs=ids)
    db.fill("wanted_run", ("run_id",), ((run_id,) for run_id in ids))
    rows = db.rows(f"SELECT {RUN} FROM near_runs AS runs SEMI JOIN wanted_run USING (run_id)")  # noqa: S608
    return {row["run_id"]: row for row in rows}


def find_made(db: Database, exact: set[Made], other: set[Made]) -> None:
    """Make table `made`: what each run itself calls what its readers know by these names.

    And `placed`: the rows of `run_datasets` of these runs.

    `exact` has that very name. Of the others a model asked for by its registered name was put out as a file:
    all models of the run.
    """
    columns = ("run_id", "to_namespace", "to_name", "namespace", "name")
    runs = {run_id for run_id, *_ in exact | other}
    db.attach("run_datasets", "edges", "deployments", runs=runs)
    db.fill("wanted_run", ("run_id",), ((run_id,) for run_id in runs))
    db.connection.execute("""CREATE OR REPLACE TEMP TABLE placed AS
        SELECT run_id, role, namespace, name, kind, version, fingerprint, use, rows, identities
        FROM near_run_datasets SEMI JOIN wanted_run USING (run_id)""")
    db.fill("made", columns, [(*one, *one[1:]) for one in sorted(exact)])
    if not other:
        return
    db.fill("wanted", columns[:3], sorted(other))
    db.connection.execute(f"""INSERT INTO made
        WITH output AS (SELECT * FROM placed SEMI JOIN wanted USING (run_id) WHERE role = 'output'),
        called AS (
            SELECT run_id, namespace, name, namespace AS to_namespace, name AS to_name FROM output
            UNION ALL
            SELECT run_id, namespace, name, split_part(identity, chr(9), 1), split_part(identity, chr(9), 2)
            FROM (SELECT *, unnest(identities) AS identity FROM output)
            UNION ALL
            SELECT run_id, namespace, name, namespace, unnest({_FOLDERS.format(name="name")}) FROM output
        )
        SELECT wanted.*, namespace, name FROM wanted JOIN called USING (run_id, to_namespace, to_name)
        UNION
        SELECT wanted.*, namespace, name FROM wanted JOIN output USING (run_id) WHERE kind = 'model'
        """)  # noqa: S608


def inputs(db: Database, most: int) -> list[Row]:
    """What went into each of `made`, at most so many; `total` is how many went into that one.

    `kind` is what its reader takes it for.

    What a run itself put out as a model (an evaluation inside the training run reads it) is no source. The
    model that a run deployed is one, listed among its inputs or not.
    """
    return db.rows(
        f"""
        WITH found AS (
            SELECT DISTINCT m.run_id, m.to_namespace, m.to_name, e.from_namespace AS namespace,
                e.from_name AS name, coalesce(i.kind, 'dataset') AS kind,
                i.version, i.fingerprint, i.use, i.rows
            FROM made AS m
            JOIN near_edges AS e ON e.run_id = m.run_id
                AND (e.to_namespace, e.to_name) = (m.namespace, m.name)
            LEFT JOIN placed AS i ON i.run_id = e.run_id AND i.role = 'input'
                AND (i.namespace, i.name) = (e.from_namespace, e.from_name)
            WHERE (e.run_id, e.from_namespace, e.from_name) NOT IN (
                SELECT (run_id, namespace, name) FROM placed WHERE role = 'output' AND kind = 'model')
            UNION
            SELECT m.run_id, to_namespace, to_name, model_namespace, model_name, 'model', model_version,
                model_digest, NULL, NULL
            FROM made AS m JOIN near_deployments AS d USING (run_id)
            WHERE model_namespace IS NOT NULL AND model_name IS NOT NULL
                AND (m.run_id, model_namespace, model_name) NOT IN (
                    SELECT (run_id, namespace, name) FROM placed WHERE role = 'input')
        )
        SELECT *, count(*) OVER (PARTITION BY run_id, to_namespace, to_name) AS total FROM found
        ORDER BY run_id, to_namespace, to_name, {_TRAINED_FIRST}, name, namespace LIMIT $most""",  # noqa: S608
        most=most,
    )


def columns(db: Database, wanted: set[tuple[str, str, str, str]], most: int) -> list[Row]:
    """From which columns each column of `made` (run id, namespace, name, column) was made; as `inputs`."""
    db.attach("facets", runs={run_id for run_id, *_ in wanted})
    db.fill("wanted_column", ("run_id", "to_namespace", "to_name", "to_column"), sorted(wanted))
    return db.rows(sql_of("columns"), most=most)


def steps(db: Database, runs: set[str]) -> dict[str, list[str]]:
    """The names of each run's transformations, in order."""
    if not runs:
        return {}
    db.attach("facets", runs=runs)
    db.fill("told", ("run_id",), [(run_id,) for run_id in sorted(runs)])
    rows = db.rows("""
        SELECT run_id, json_extract_string(value, '$.steps[*].id') AS steps
        FROM near_facets JOIN told USING (run_id)
        WHERE scope = 'run' AND key = 'modelTrail_featureTransformations'""")
    return {row["run_id"]: [step for step in row["steps"] if step] for row in rows}


def judging(db: Database, model: Row) -> list[str]:
    """The runs that judged this version (a row of `models`), and perhaps others that judged another one."""
    keys = [key for key in (model["name"], model["digest"]) if key is not None]
    db.attach("mentions", keys=keys)
    rows = db.rows(
        """SELECT DISTINCT run_id FROM near_mentions WHERE how = 'evaluated'
        AND (key = $digest OR (key, key_namespace, version) = ($name, $namespace, $version))""",
        **{name: model[name] for name in ("digest", "namespace", "name", "version")},
    )
    return [row["run_id"] for row in rows]
