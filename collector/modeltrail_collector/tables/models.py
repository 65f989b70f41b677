"""From the tables by run to `models` and `changes`: for the names that some runs concern, or for all.

A version is made of what all runs say that speak of its name or of its bytes (digest). Which runs these are,
`mentions` says where the names are few; of many the whole of `run_datasets` is looked through.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Protocol

import duckdb

from modeltrail_collector.tables.differences import change_rows
from modeltrail_collector.tables.flatten import model_bucket, run_bucket
from modeltrail_collector.tables.reduce import sql_of
from modeltrail_collector.tables.scan import fill
from modeltrail_collector.tables.schema import BY_MODEL
from modeltrail_collector.tables.snapshot import Near, near_to
from modeltrail_collector.tables.versions import Views, preceded, version_facts

FEW: Final = 500
"""So many names are looked up one by one."""

GROUP: Final = 4_000
"""So often are the names named that are derived at once: what their runs said is held in memory."""

READS: Final = ("flat", "runs", "run_datasets", "facets", "metrics", "mentions", *BY_MODEL)
"""The tables that `derive` reads."""

_OF_MODELS: Final = """SELECT * EXCLUDE (bucket) FROM facets_all WHERE key IN
    ('modelTrail_model', 'modelTrail_modelArtifact', 'modelTrail_registration', 'modelTrail_training')"""
_ALL_FACETS: Final = "SELECT * EXCLUDE (bucket) FROM facets_all"

Name = tuple[str, str]
"""Namespace and name."""


class Rows(Protocol):
    """The SELECT of the rows of a table, or at least of those near something, or of those buckets."""

    def __call__(  # noqa: D102
        self, name: str, near: Near | None = None, buckets: Collection[str] | None = None, /
    ) -> str: ...


def derive(connection: duckdb.DuckDBPyConnection, rows: Rows, runs: set[str] | None) -> set[str]:
    """Fill `models_new` and `changes_new` for all that these runs (None: any) may concern.

    A bucket of these tables is written as a whole: what else is in one that is touched comes along as it is.

    Args:
        connection: where the two are made, and what `rows` selects can be read.
        rows: the tables by run and by name as they are now, `models` and `changes` as they were before.
        runs: the ids of the runs.

    Returns:
        The buckets.
    """
    names = None if runs is None else _concerned(connection, rows, runs)
    named = _named(connection, rows, names)
    buckets = {model_bucket(*name) for name in (named if names is None else names)}
    fill(connection, "touched", ("namespace", "name"), names or ())
    for table in BY_MODEL:
        kept = rows(table, None, () if names is None else buckets)
        connection.execute(f"""CREATE OR REPLACE TEMP TABLE {table}_new AS
            SELECT {_columns(table)} FROM ({kept}) ANTI JOIN touched USING (namespace, name)""")  # noqa: S608
    for some in groups(named, GROUP):
        fill(connection, "touched", ("namespace", "name"), some)
        attach_relevant(connection, rows, "run_datasets", "runs", "facets", "metrics")
        insert(connection, "models", "models_new", models_query(connection, _ALL_FACETS))
        fill_changes(connection, "FROM models_new", facets="model_facet")
        insert(connection, "changes", "changes_new", "FROM change")
    return buckets


def _view(connection: duckdb.DuckDBPyConnection, called: str, query: str) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {called} AS {query}")


def sorted_rows(table: str) -> str:
    """The query of what `derive` made of a table, by name: the order of its files."""
    numbered = f"SELECT *, row_number() OVER () AS number FROM {table}_new"  # noqa: S608  names of ours
    return f"FROM ({numbered}) ORDER BY bucket, name, namespace, number"


def insert(connection: duckdb.DuckDBPyConnection, table: str, into: str, query: str) -> None:
    """Add rows of a table to one like it."""
    connection.execute(f"INSERT INTO {into} SELECT {_columns(table)} FROM ({query})")  # noqa: S608  names of ours


def _columns(table: str) -> str:
    return ", ".join(f'"{column}"' for column in BY_MODEL[table].names)


def _concerned(connection: duckdb.DuckDBPyConnection, rows: Rows, runs: set[str]) -> set[Name]:
    """The names that these runs speak of, or spoke of, and all that share a digest with one of these."""
    fill(connection, "touched_run", ("run_id",), ((run_id,) for run_id in runs))
    _view(connection, "flat_now", rows("flat", None, {run_bucket(run_id) for run_id in runs}))
    _view(connection, "run_dataset", rows("run_datasets", near_to("run_datasets", runs=runs)))
    _view(connection, "model_before", rows("models"))
    # All that they ever said: what was taken back concerns whom it was said of.
    connection.execute("""CREATE OR REPLACE TEMP TABLE said AS
        WITH facet AS (
            SELECT unnest(facets, recursive := true) FROM flat_now SEMI JOIN touched_run USING (run_id)
        )
        SELECT DISTINCT namespace, name, false AS is_model, regexp_replace(coalesce(
            value ->> '$.digest', value ->> '$.modelDigest', value ->> '$.fingerprint.digest',
            value ->> '$.datasetVersion'), '^[A-Za-z0-9-]+:', '') AS digest
        FROM facet WHERE name IS NOT NULL
        UNION SELECT namespace, name, kind = 'model', fingerprint
        FROM run_dataset SEMI JOIN touched_run USING (run_id)""")
    digests = connection.execute("SELECT DISTINCT digest FROM said WHERE digest IS NOT NULL").fetchall()
    alike = speaking(connection, rows, "digest", {digest for (digest,) in digests})
    direct = connection.execute("""SELECT DISTINCT namespace, name FROM said
        WHERE is_model OR (namespace, name) IN (SELECT (namespace, name) FROM model_before)""").fetchall()
    return {(namespace, name) for namespace, name, *_ in (*direct, *alike)}


def _named(connection: duckdb.DuckDBPyConnection, rows: Rows, names: set[Name] | None) -> dict[Name, int]:
    """How often each model (None: any) is named by a run; one that no run names any more is left out."""
    near = None if names is None else near_to("mentions", keys={name for _, name in names})
    _view(connection, "mention", rows("mentions", near))
    found = connection.execute("""SELECT key_namespace, key, count(*) FROM mention
        WHERE how = 'name' AND kind = 'model' GROUP BY ALL ORDER BY ALL""").fetchall()
    return {
        (namespace, name): count
        for namespace, name, count in found
        if names is None or (namespace, name) in names
    }


def groups(named: Mapping[Name, int], most: int) -> Iterator[list[Name]]:
    """Names, each with how much there is of it, in groups of no more than so much, or of one name."""
    group: list[Name] = []
    size = 0
    for name, count in named.items():
        if group and size + count > most:
            yield group
            group, size = [], 0
        group.append(name)
        size += count
    if group:
        yield group


def attach_relevant(connection: duckdb.DuckDBPyConnection, rows: Rows, *tables: str) -> None:
    """Make of these tables, as `<table>_all`, what the runs say that speak of the names in `touched`.

    A run speaks of a name also by a digest that the name has.
    """
    names = set(connection.execute("SELECT namespace, name FROM touched").fetchall())
    if len(names) > FEW:
        buckets = _look_through(connection, rows)
        near = {table: rows(table, None, buckets) for table in tables}
    else:
        runs = _look_up(connection, rows, names)
        near = {table: rows(table, near_to(table, runs=runs)) for table in tables}
    for table, query in near.items():
        connection.execute(f"""CREATE OR REPLACE TEMP VIEW {table}_all AS
            FROM ({query}) SEMI JOIN relevant USING (run_id)""")


def _look_up(connection: duckdb.DuckDBPyConnection, rows: Rows, names: set[Name]) -> set[str]:
    """Fill `relevant` with the ids of the runs that speak of a few names."""
    said = speaking(connection, rows, "name", {name for _, name in names})
    named = [(run_id, digest) for *name, run_id, digest in said if tuple(name) in names]
    alike = speaking(connection, rows, "digest", {digest for _, digest in named if digest})
    runs = {run_id for run_id, _ in named} | {run_id for *_, run_id, _ in alike}
    fill(connection, "relevant", ("run_id",), ((run_id,) for run_id in runs))
    return runs


def _look_through(connection: duckdb.DuckDBPyConnection, rows: Rows) -> set[str]:
    """The same for many names; the runs' buckets."""
    _view(connection, "run_dataset", rows("run_datasets"))
    _view(connection, "mention", rows("mentions"))
    connection.execute("""CREATE OR REPLACE TEMP TABLE relevant AS
        WITH said AS (SELECT * FROM run_dataset WHERE kind = 'model'),
        named AS (SELECT * FROM said SEMI JOIN touched USING (namespace, name)),
        digest AS (SELECT DISTINCT fingerprint FROM named WHERE fingerprint IS NOT NULL)
        SELECT DISTINCT run_id, bucket FROM (
            SELECT run_id, bucket FROM named
            UNION ALL SELECT run_id, bucket FROM said SEMI JOIN digest USING (fingerprint)
            UNION ALL SELECT run_id, run_bucket FROM mention
            WHERE how = 'evaluated' AND (key IN (FROM digest)
                OR (key_namespace, key) IN (SELECT (namespace, name) FROM touched)))""")
    return {bucket for (bucket,) in connection.execute("SELECT DISTINCT bucket FROM relevant").fetchall()}


def speaking(
    connection: duckdb.DuckDBPyConnection, rows: Rows, how: str, keys: Collection[str]
) -> list[tuple[str, str, str, str | None]]:
    """Who speaks of models by these names or digests (`how`), or judged them: a name, a run and a digest."""
    fill(connection, "spoken", ("key",), ((key,) for key in keys))
    _view(connection, "mention", rows("mentions", near_to("mentions", keys=keys)))
    return connection.execute(
        """SELECT DISTINCT namespace, name, run_id, fingerprint FROM mention SEMI JOIN spoken USING (key)
        WHERE (how = $how AND kind = 'model') OR how = 'evaluated'""",
        {"how": how},
    ).fetchall()


def models_query(connection: duckdb.DuckDBPyConnection, facets: str = _OF_MODELS) -> str:
    """The query of the rows of `models` of the names in `touched`.

    `attach_relevant` came before, with `run_datasets`, `runs` and `facets`. What `facets` selects, at least
    those of models, is in memory from here on, as `model_facet`.
    """
    # Aggregates keep what they are ordered by for each group: a number is a tenth of a time and an id.
    connection.execute("""CREATE OR REPLACE TEMP TABLE model_output AS
        SELECT run_id, namespace, name, version, fingerprint AS digest, happened_at, registered_name,
            registered_version, coalesce(registered_version, version) AS part,
            dense_rank() OVER (ORDER BY happened_at, run_id, namespace, name) AS place
        FROM run_datasets_all WHERE role = 'output' AND kind = 'model' AND use IS DISTINCT FROM 'drop'""")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE model_facet AS {facets}")
    connection.execute("""CREATE OR REPLACE TEMP TABLE run_times AS
        SELECT run_id, first_event_at, last_event_at, first_ingested_at, last_ingested_at FROM runs_all""")
    return f"{with_aliases(sql_of('models'))} ORDER BY namespace, name, created_at, version"


def with_aliases(models: str) -> str:
    """The query of rows of `models`, of each name all that there are or were, with the aliases they have."""
    return f"WITH told AS ({models}), {sql_of('aliases')}"


def fill_changes(connection: duckdb.DuckDBPyConnection, models: str, *, facets: str) -> None:
    """Fill `change` with the rows of `changes` of the names in `touched`.

    Args:
        connection: where `attach_relevant` came before, with `metrics`, `run_datasets` and `runs`.
        models: the query of the rows of `models`.
        facets: the view with what the runs say in facets.
    """
    _view(connection, "model", models)
    found = connection.execute("""
        SELECT namespace, name, version, run_id, registered_run_id, registered_name, digest, step
        FROM model SEMI JOIN touched USING (namespace, name)
        ORDER BY namespace, name, created_at, version""").fetchall()
    columns = (
        "namespace",
        "name",
        "version",
        "run_id",
        "registered_run_id",
        "registered_name",
        "digest",
        "step",
    )
    versions = [dict(zip(columns, row, strict=True)) for row in found]
    columns = tuple(BY_MODEL["changes"].names)
    rows = _changes(connection, versions, facets)
    fill(connection, "change", columns, (tuple(row.get(column) for column in columns) for row in rows))


def _changes(
    connection: duckdb.DuckDBPyConnection, models: list[dict[str, Any]], facets: str
) -> Iterator[dict[str, str | None]]:
    """Each version against the one before it; they come ordered by name and time."""
    by_name: dict[Name, list[dict[str, Any]]] = defaultdict(list)
    for model in models:
        by_name[model["namespace"], model["name"]].append(model)
    compared = [model for versions in by_name.values() if len(versions) > 1 for model in versions]
    made = version_facts(connection, compared, Views(facets, "metrics_all", "run_datasets_all", "runs_all"))
    for (namespace, name), versions in by_name.items():
        for pair in preceded(versions):
            found = [(model["version"], made[namespace, name, model["version"]]) for model in pair]
            yield from change_rows(namespace, name, found)
