"""Questions about many things: models, runs, differences, and any SQL."""

import json
import re
from typing import Final

import duckdb

from modeltrail_collector.answers import names
from modeltrail_collector.answers.database import Row, database
from modeltrail_collector.errors import ConfigError
from modeltrail_collector.log import Log
from modeltrail_collector.tables import PUBLIC, table_store
from modeltrail_collector.tables.differences import differences
from modeltrail_collector.tables.reduce import version_facts

_STATES: Final = ("START", "RUNNING", "COMPLETE", "FAIL", "ABORT", "OTHER")


def models(log: Log) -> list[Row]:
    """Every model version, newest first: rows of table `models`.

    A file that was also registered is shown once, under its registered name.
    """
    with database(log, "models") as db:
        return db.rows("""SELECT * EXCLUDE (bucket) FROM models AS m
            WHERE registered_name IS NOT NULL OR digest IS NULL
                OR digest NOT IN (
                    SELECT digest FROM models WHERE registered_name IS NOT NULL AND digest IS NOT NULL)
            ORDER BY created_at DESC, namespace, name, version DESC""")


def runs(
    log: Log,
    *,
    job: str | None = None,
    state: str | None = None,
    parent: str | None = None,
    limit: int | None = None,
) -> list[Row]:
    """Runs, newest first: rows of table `runs`.

    `job` is a name, a part of it or its stem; `state` one of START, RUNNING, COMPLETE, FAIL, ABORT, OTHER;
    `parent` the id of a parent or root run. Raises ConfigError for another state.
    """
    if state is not None and state.upper() not in _STATES:
        raise ConfigError(f"{state!r} is no state of a run: one of {', '.join(_STATES)}")
    with database(log, "runs") as db:
        return db.rows(
            """SELECT * EXCLUDE (bucket) FROM runs
            WHERE ($job IS NULL OR contains(job_name, $job) OR job_stem = $job)
                AND ($state IS NULL OR state = $state)
                AND ($parent IS NULL OR starts_with(parent_run_id, $parent)
                    OR starts_with(root_run_id, $parent))
            ORDER BY coalesce(started_at, last_event_at) DESC, run_id LIMIT $limit""",
            job=job,
            state=state and state.upper(),
            parent=parent,
            limit=limit if limit is not None else 1 << 40,
        )


def changes(log: Log, before: str, after: str) -> list[Row]:
    """What differs between two model versions (`NAME[@VERSION]`): section, path, before, after.

    Raises NotFound for a model that is not in the log.
    """
    with database(log, "models", "facets", "metrics") as db:
        old, new = names.model(db, before), names.model(db, after)
        facts = version_facts(db.connection, [old, new], facets="facets", metrics="metrics")
        was, now = (facts[row["namespace"], row["name"], row["version"]] for row in (old, new))
        return [
            {"section": one.section, "path": one.path, "before": one.before, "after": one.after}
            for one in differences(was, now)
        ]


def sql(log: Log, query: str) -> list[Row]:
    """The rows of a SELECT over the tables.

    Nothing outside the tables can be read and nothing written. Raises ConfigError with what the database
    says.
    """
    used = [name for name in PUBLIC if re.search(rf"\b{name}\b", query, re.IGNORECASE)]
    with database(log, *used) as db:
        try:
            _only_select(db.connection, query)
            # The views read our Parquet files; the statement itself reaches no other file and no network.
            root = table_store(log).root
            db.connection.execute(f"SET allowed_directories = [{json.dumps(root).replace(chr(34), chr(39))}]")
            db.connection.execute("SET enable_external_access = false")
            db.connection.execute("SET lock_configuration = true")
            return db.rows(query)
        except duckdb.Error as error:
            raise ConfigError(f"{str(error).strip()}\nTables: {', '.join(PUBLIC)}.") from error


def _only_select(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    statements = connection.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ConfigError("Ask one SELECT: the tables are derived from the log and cannot be written to.")
