"""Flat rows -> the reduced tables, in DuckDB; the SQL of each table lies in `sql/<table>.sql`."""

import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from modeltrail_collector.tables.differences import Facet, Facts, Metric, change_rows, facts, with_metrics
from modeltrail_collector.tables.flatten import model_bucket
from modeltrail_collector.tables.schema import BY_MODEL, BY_RUN, FLAT, TEXT, TIME
from modeltrail_collector.tables.store import Changed, among

_STEPS: Final = (("events", "event"), ("facets", "facet"), ("runs", "runs"), ("run_datasets", "run_datasets"))
"""Tables that later ones read, under the names their SQL uses."""


_SQL_TYPES: Final = {
    TEXT: "VARCHAR",
    TIME: "TIMESTAMPTZ",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.bool_(): "BOOLEAN",
    pa.float64(): "DOUBLE",
    pa.list_(TEXT): "VARCHAR[]",
    FLAT.field("facets").type: 'STRUCT(scope VARCHAR, namespace VARCHAR, "name" VARCHAR, "key" VARCHAR, '
    'part VARCHAR, "value" VARCHAR)[]',
}


def connect() -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory, in UTC, that prints nothing."""
    connection = duckdb.connect(
        config={"temp_directory": str(Path(tempfile.gettempdir(), "modeltrail-duckdb"))}
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def attach(
    connection: duckdb.DuckDBPyConnection,
    view: str,
    table: DeltaTable | None,
    schema: pa.Schema,
    buckets: Iterable[str] | None = None,
    *,
    files: Iterable[str] | None = None,
) -> None:
    """Make a Delta table, some of its buckets, or (on a local disk) some files a view; none is an empty one.

    Local files are read in place (filters reach the Parquet statistics); other stores through delta-rs.
    """
    uris = [] if table is None else _uris(table, schema.names[0], buckets)
    if files is not None and uris and Path(uris[0]).exists():
        uris = list(files)
    if not uris:
        columns = ", ".join(f'NULL::{_SQL_TYPES[field.type]} AS "{field.name}"' for field in schema)
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS SELECT {columns} WHERE false")
    elif Path(uris[0]).exists():
        columns = ", ".join(f'"{name}"' for name in schema.names)
        files = ", ".join(_quoted(uri) for uri in uris)
        connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {view} AS SELECT {columns} FROM read_parquet([{files}], "  # noqa: S608
            "hive_partitioning = true, hive_types_autocast = false, union_by_name = true)"
        )
    else:
        assert table is not None  # noqa: S101
        connection.register(view, _read_remote(table, schema, buckets))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _uris(table: DeltaTable, column: str, buckets: Iterable[str] | None) -> list[str]:
    if buckets is None:
        return table.file_uris()
    chosen = list(buckets)
    return table.file_uris(partition_filters=[(column, "in", chosen)]) if chosen else []


def _read_remote(table: DeltaTable, schema: pa.Schema, buckets: Iterable[str] | None) -> pa.Table:
    where = "" if buckets is None else f" WHERE {schema.names[0]} IN ({', '.join(repr(b) for b in buckets)})"
    found = QueryBuilder().register("t", table).execute(f"SELECT * FROM t{where}")  # noqa: S608  names of ours
    return pa.table(found.read_all())


def sql_of(name: str) -> str:
    """The statement that derives a table."""
    return resources.files("modeltrail_collector.tables").joinpath(f"sql/{name}.sql").read_text()


class Touched(msgspec.Struct, frozen=True):
    """What has to be derived again: in these buckets, these runs (None: all) and what has no run."""

    buckets: set[str]
    runs: set[str] | None

    @property
    def predicate(self) -> str:
        """SQL that is true for the rows of a table by run that are derived again."""
        buckets = among("bucket", self.buckets)
        return (
            buckets
            if self.runs is None
            else f"{buckets} AND ({among('run_id', self.runs)} OR run_id IS NULL)"
        )


def by_run(
    flat: DeltaTable | pa.Table, touched: Touched | None = None, wanted: Collection[str] = BY_RUN.keys()
) -> Iterator[tuple[str, pa.RecordBatchReader]]:
    """Each wanted table of `BY_RUN` with its rows for what was touched (None: all of `flat`).

    The rows of one have to be read before the next is asked for.
    """
    with connect() as connection:
        if isinstance(flat, DeltaTable):
            attach(connection, "flat", flat, FLAT, touched.buckets if touched else None)
        else:
            connection.register("flat", flat)
        if touched and touched.runs is not None:
            fill(connection, "touched_run", ("run_id",), ((run_id,) for run_id in touched.runs))
            connection.execute("""CREATE TEMP TABLE flat_touched AS
                FROM flat SEMI JOIN touched_run USING (run_id) UNION ALL FROM flat WHERE run_id IS NULL""")
            connection.execute("CREATE OR REPLACE TEMP VIEW flat AS FROM flat_touched")
        for name, step in _STEPS:
            connection.execute(f"CREATE TEMP TABLE {step} AS {sql_of(name)}")
        steps = dict(_STEPS)
        for name in (name for name in BY_RUN if name in wanted):
            source = f"SELECT * FROM {steps[name]}" if name in steps else sql_of(name)  # noqa: S608  names of ours
            yield name, fetch(connection, source, BY_RUN[name])


def fetch(connection: duckdb.DuckDBPyConnection, query: str, schema: pa.Schema) -> pa.RecordBatchReader:
    """The rows of a query in the declared shape, streamed: read them before the connection's next query."""
    columns = ", ".join(f'"{name}"' for name in schema.names)
    return connection.sql(f"SELECT {columns} FROM ({query})").to_arrow_reader(100_000).cast(schema)  # noqa: S608


def runs_of(flat: DeltaTable, changed: Changed) -> set[str]:
    """The runs that the new files speak of."""
    with connect() as connection:
        root = flat.table_uri.removeprefix("file://").rstrip("/")
        files = [f"{root}/{path}" for path in changed.added]
        attach(connection, "flat", flat, FLAT, changed.buckets, files=files)
        found = connection.execute("SELECT DISTINCT run_id FROM flat WHERE run_id IS NOT NULL").fetchall()
        return {row[0] for row in found}


class ByModel(msgspec.Struct, frozen=True):
    """Rows of `models` and `changes`, whole for these buckets."""

    buckets: set[str]
    tables: dict[str, pa.Table]


BY_MODEL_READS: Final = ("run_datasets", "facets", "metrics", "models")


def by_model(reduced: Mapping[str, DeltaTable | None], runs: set[str] | None = None) -> ByModel:
    """Derive `models` and `changes` for all that these runs (None: any) may concern.

    `reduced` holds the tables `BY_MODEL_READS`; of `models` only what it says now. A bucket of models is
    written as a whole, so all names of a touched bucket are derived.
    """
    with connect() as connection:
        attach(connection, "run_datasets_all", reduced["run_datasets"], BY_RUN["run_datasets"])
        attach(connection, "models_before", reduced["models"], BY_MODEL["models"])
        targets = _touched(connection, runs)
        buckets = _relevant_runs(connection)
        attach(connection, "facets_all", reduced["facets"], BY_RUN["facets"], buckets)
        attach(connection, "metrics_all", reduced["metrics"], BY_RUN["metrics"], buckets)
        connection.execute("""CREATE TEMP TABLE model_facet AS
            SELECT * EXCLUDE (bucket) FROM facets_all SEMI JOIN run_datasets USING (run_id)""")
        models = fetch(connection, sql_of("models"), BY_MODEL["models"]).read_all()
        # No times in here: to turn one into Python, pyarrow imports pandas, which takes a second.
        versions = models.select(["namespace", "name", "version", "run_id", "digest"]).to_pylist()
        changes = pa.Table.from_pylist(_changes(connection, versions), schema=BY_MODEL["changes"])
        return ByModel(targets, {"models": models, "changes": changes})


def _touched(connection: duckdb.DuckDBPyConnection, runs: set[str] | None) -> set[str]:
    """Fill `touched` with the model names to derive, and return their buckets.

    A run concerns the names it mentions (or that were derived from it before), and every name that shares a
    digest with those: a registration elsewhere.
    """
    names = connection.execute("""SELECT DISTINCT namespace, name, run_id, fingerprint FROM run_datasets_all
        WHERE kind = 'model'""").fetchall()
    before = connection.execute("""SELECT namespace, name, run_id, digest FROM models_before
        UNION SELECT namespace, name, registered_run_id, digest FROM models_before""").fetchall()
    direct = [row for row in names + before if runs is None or row[2] in runs]
    digests = {row[3] for row in direct if row[3]}
    mentioned = {row[:2] for row in direct}
    targets = {model_bucket(*row[:2]) for row in names + before if row[:2] in mentioned or row[3] in digests}
    touched = sorted({row[:2] for row in names if model_bucket(*row[:2]) in targets})
    fill(connection, "touched", ("namespace", "name"), touched)
    return targets


def _relevant_runs(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Fill `run_datasets` with the runs in which a touched name or its digest occurs; their buckets."""
    connection.execute("""CREATE TEMP TABLE run_datasets AS
        WITH named AS (
            SELECT run_id, fingerprint FROM run_datasets_all
            WHERE kind = 'model' AND (namespace, name) IN (SELECT (namespace, name) FROM touched)
        ),
        alike AS (
            SELECT run_id FROM named
            UNION SELECT run_id FROM run_datasets_all
            WHERE kind = 'model' AND fingerprint IN (
                SELECT fingerprint FROM named WHERE fingerprint IS NOT NULL)
        )
        SELECT * FROM run_datasets_all WHERE run_id IN (SELECT run_id FROM alike)""")
    return [row[0] for row in connection.execute("SELECT DISTINCT bucket FROM run_datasets").fetchall()]


def fill(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: tuple[str, ...],
    rows: Iterable[tuple[str, ...]],
) -> None:
    """Make a temporary table of text columns: a registered Arrow table would do, but imports pandas."""
    lists = list(zip(*rows, strict=True)) or [()] * len(columns)
    values = ", ".join(f'unnest(?::VARCHAR[]) AS "{column}"' for column in columns)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {values}", [list(one) for one in lists]
    )


def _changes(
    connection: duckdb.DuckDBPyConnection, models: list[dict[str, Any]]
) -> list[dict[str, str | None]]:
    """Rows of `changes` for these model versions, which come ordered by name and time."""
    by_name: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for model in models:
        by_name[model["namespace"], model["name"]].append(model)
    compared = [model for versions in by_name.values() if len(versions) > 1 for model in versions]
    made = version_facts(connection, compared, facets="model_facet", metrics="metrics_all")
    rows: list[dict[str, str | None]] = []
    for (namespace, name), versions in by_name.items():
        if len(versions) > 1:
            found = [(model["version"], made[namespace, name, model["version"]]) for model in versions]
            rows += change_rows(namespace, name, found)
    return rows


def version_facts(
    connection: duckdb.DuckDBPyConnection, models: list[dict[str, Any]], *, facets: str, metrics: str
) -> dict[tuple[str, str, str], Facts]:
    """The facts of model versions (rows of `models`), by (namespace, name, version).

    `facets` and `metrics` name the views to read. Figures of an evaluation belong to the version it names, by
    digest or by name and version; the others to the run's own model.
    """
    connection.register(
        "run_wanted", pa.table({"run_id": pa.array([m["run_id"] for m in models], pa.string())})
    )
    said: dict[str, list[Facet]] = defaultdict(list)
    for run_id, *rest, value in connection.execute(f"""
        SELECT run_id, scope, namespace, name, key, value FROM {facets} SEMI JOIN run_wanted USING (run_id)
        WHERE value IS NOT NULL ORDER BY ALL""").fetchall():  # noqa: S608  names of ours
        scope, namespace, name, key = rest
        said[run_id].append(Facet(scope, namespace, name, key, msgspec.json.decode(value)))
    own: dict[str, list[Metric]] = defaultdict(list)
    judged: dict[tuple[str | None, ...], list[Metric]] = defaultdict(list)
    for run_id, namespace, name, version, digest, *rest in connection.execute(f"""
        SELECT run_id, model_namespace, model_name, model_version, model_digest,
            name, value, split, dataset, slice
        FROM {metrics} WHERE source <> 'series' ORDER BY step NULLS FIRST, happened_at""").fetchall():  # noqa: S608
        if name is None:
            own[run_id].append(Metric(*rest))
        else:
            judged[(digest,) if digest else (namespace, name, version)].append(Metric(*rest))
    of_run = {run_id: facts(found, own[run_id]) for run_id, found in said.items()}
    return {
        (model["namespace"], model["name"], model["version"]): with_metrics(
            of_run.get(model["run_id"]) or facts([], own[model["run_id"]]),
            judged[model["namespace"], model["name"], model["version"]]
            + (judged[(model["digest"],)] if model["digest"] else []),
        )
        for model in models
    }
