"""Flat rows -> the reduced tables, in DuckDB; the SQL of each table lies in `sql/<table>.sql`."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from importlib import resources
from typing import Any, Final

import duckdb
import msgspec
import pyarrow as pa
from deltalake import DeltaTable

from modeltrail_collector.model import LogPartition
from modeltrail_collector.tables.differences import Facet, Facts, Metric, change_rows, facts, with_metrics
from modeltrail_collector.tables.flatten import model_bucket
from modeltrail_collector.tables.scan import attach, connect, fetch, fill
from modeltrail_collector.tables.schema import BY_MODEL, BY_NAME, BY_RUN, FLAT
from modeltrail_collector.tables.store import among

_STEPS: Final = (("events", "event"), ("facets", "facet"), ("runs", "runs"), ("run_datasets", "run_datasets"))
"""Tables that later ones read, under the names their SQL uses."""

FROM_FLAT: Final = {**BY_RUN, **BY_NAME}
"""What is derived from `flat` alone, in this order."""


def sql_of(name: str) -> str:
    """The statement that derives a table."""
    return resources.files("modeltrail_collector.tables").joinpath(f"sql/{name}.sql").read_text()


class Touched(msgspec.Struct, frozen=True):
    """What has to be derived again: in these buckets, these runs (None: all) and what has no run."""

    buckets: set[str]
    runs: set[str] | None

    def predicate(self, name: str) -> str:
        """SQL that is true for the rows of a table by run, or by name, that are derived again."""
        buckets = among("run_bucket" if name in BY_NAME else "bucket", self.buckets)
        return (
            buckets
            if self.runs is None
            else f"{buckets} AND ({among('run_id', self.runs)} OR run_id IS NULL)"
        )


def by_run(
    flat: DeltaTable | pa.Table, touched: Touched | None = None, wanted: Collection[str] = FROM_FLAT.keys()
) -> Iterator[tuple[str, pa.RecordBatchReader]]:
    """Each wanted table of `BY_RUN` and `BY_NAME` with its rows for what was touched (None: all of `flat`).

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
        for name, query in by_run_queries(connection, wanted):
            yield name, fetch(connection, query, FROM_FLAT[name])


def by_run_queries(
    connection: duckdb.DuckDBPyConnection, wanted: Collection[str] = FROM_FLAT.keys()
) -> Iterator[tuple[str, str]]:
    """Each wanted table and the query of its rows, which come from what is `flat` there."""
    for name, step in _STEPS:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {step} AS {sql_of(name)}")
    steps = dict(_STEPS)
    for name in (name for name in FROM_FLAT if name in wanted):
        yield name, f"SELECT * FROM {steps[name]}" if name in steps else sql_of(name)  # noqa: S608  names of ours


def new_rows(flat: DeltaTable, files: Collection[str], seen: Mapping[LogPartition, int]) -> Touched:
    """Whom the rows of these files (URIs) speak of that lie at or after the offsets seen so far."""
    with connect() as connection:
        attach(connection, "flat", flat, FLAT, files=files)
        rows = ((of.topic, of.topic_id, str(of.partition), str(offset)) for of, offset in seen.items())
        fill(connection, "seen", ("topic", "topic_id", "partition", "next_offset"), rows)
        found = connection.execute("""SELECT DISTINCT bucket, run_id FROM flat
            LEFT JOIN seen ON (flat.topic, flat.topic_id, flat."partition")
                = (seen.topic, seen.topic_id, seen."partition"::INTEGER)
            WHERE flat."offset" >= coalesce(next_offset::BIGINT, 0)""").fetchall()
    return Touched({row[0] for row in found}, {row[1] for row in found if row[1] is not None})


class ByModel(msgspec.Struct, frozen=True):
    """Rows of `models` and `changes`, whole for these buckets."""

    buckets: set[str]
    tables: dict[str, pa.Table]


BY_MODEL_READS: Final = ("runs", "run_datasets", "facets", "metrics", "models")


def by_model(reduced: Mapping[str, DeltaTable | None], runs: set[str] | None = None) -> ByModel:
    """Derive `models` and `changes` for all that these runs (None: any) may concern.

    `reduced` holds the tables `BY_MODEL_READS`; of `models` only what it says now. A bucket of models is
    written as a whole, so all names of a touched bucket are derived.
    """
    with connect() as connection:
        attach(connection, "run_datasets_all", reduced["run_datasets"], BY_RUN["run_datasets"])
        attach(connection, "models_before", reduced["models"], BY_MODEL["models"])
        targets = _touched(connection, runs)
        buckets = relevant_runs(connection)
        for name in ("runs", "facets", "metrics"):
            attach(connection, f"{name}_all", reduced[name], BY_RUN[name], buckets)
        models = fetch(connection, models_query(connection), BY_MODEL["models"]).read_all()
        # No times in here: to turn one into Python, pyarrow imports pandas, which takes a second.
        versions = models.select(["namespace", "name", "version", "run_id", "digest"]).to_pylist()
        changes = changes_of(connection, versions, facets="model_facet")
        rows = pa.Table.from_pylist(changes, schema=BY_MODEL["changes"])
        return ByModel(targets, {"models": models, "changes": rows})


def models_query(connection: duckdb.DuckDBPyConnection) -> str:
    """The query of the rows of `models` of the names in `touched`.

    `relevant_runs` came before, and what it found is to be seen in `runs_all` and `facets_all`.
    """
    connection.execute("""CREATE OR REPLACE TEMP TABLE model_facet AS
        SELECT * EXCLUDE (bucket) FROM facets_all SEMI JOIN run_datasets USING (run_id)""")
    connection.execute("""CREATE OR REPLACE TEMP TABLE run_times AS
        SELECT run_id, first_event_at, last_event_at, first_ingested_at, last_ingested_at
        FROM runs_all SEMI JOIN run_datasets USING (run_id)""")
    return sql_of("models")


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


def relevant_runs(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Fill `run_datasets` with the runs in which a touched name or its digest occurs; their buckets."""
    connection.execute("""CREATE OR REPLACE TEMP TABLE run_datasets AS
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


def changes_of(
    connection: duckdb.DuckDBPyConnection, models: list[dict[str, Any]], *, facets: str
) -> list[dict[str, str | None]]:
    """Rows of `changes` for these model versions, which come ordered by name and time.

    `facets` names the view to read those of their runs from; `metrics_all` has their figures.
    """
    by_name: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for model in models:
        by_name[model["namespace"], model["name"]].append(model)
    compared = [model for versions in by_name.values() if len(versions) > 1 for model in versions]
    made = version_facts(connection, compared, facets=facets, metrics="metrics_all")
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
    fill(connection, "run_wanted", ("run_id",), {(model["run_id"],) for model in models})
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
