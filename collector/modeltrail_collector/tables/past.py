"""The tables as they would be, had only those records been in the log that a moment knows.

::

    runs that ended before it    their rows as they are
    runs that began after it     nothing
    runs in between              reduced from `flat` again, from the records of before it

So what has to be derived at a question is little: the runs that were under way. Which those are, `runs` says;
buckets that lie on one side as a whole are not looked into.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final

import duckdb
import msgspec

from modeltrail_collector.tables import reduce, scan
from modeltrail_collector.tables.schema import BY_MODEL, BY_NAME, BY_RUN, TABLES
from modeltrail_collector.tables.snapshot import Near, Snapshot

Open = Callable[[str], Snapshot]
Name = tuple[str, str]

_MIXED: Final = "past.unsettled"


class Moment(msgspec.Struct, frozen=True):
    """Up to when records count: by the time of their events, by the time they arrived, or by both."""

    event_time: datetime | None = None
    arrival: datetime | None = None

    def before(self, event_time: str, arrival: str) -> str:
        """SQL that is true where these two times are not later."""
        pairs = ((event_time, self.event_time), (arrival, self.arrival))
        limits = [f"{column} <= '{at.isoformat()}'::TIMESTAMPTZ" for column, at in pairs if at is not None]
        return f"({' AND '.join(limits) or 'true'})"

    @property
    def settled(self) -> str:
        """SQL over the times of `runs` or `models`: whether all was said before."""
        return f"coalesce({self.before('last_event_at', 'last_ingested_at')}, false)"

    @property
    def begun(self) -> str:
        """SQL over them: whether something may have been said before; true of a row without such times."""
        return f"coalesce({self.before('first_event_at', 'first_ingested_at')}, true)"


NOW: Final = Moment()


class Past:
    """The tables of a log at a moment, in a connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, open_table: Open, moment: Moment) -> None:
        """Look which runs were under way then, and derive their rows."""
        self._moment, self._open = moment, open_table
        self._work = connection.cursor()
        self._has_models = False
        self._work.execute("CREATE SCHEMA IF NOT EXISTS past")
        self._view("runs_now", "runs")
        self._classify()
        self._reduce()

    def _classify(self) -> None:
        """Fill `past.unsettled` with the runs of mixed buckets that were not over."""
        self._work.execute(f"""CREATE OR REPLACE TEMP TABLE bucket_side AS
            SELECT bucket, bool_and({self._moment.settled}) AS settled,
                bool_or({self._moment.begun}) AS begun
            FROM runs_now GROUP BY bucket""")  # noqa: S608  times of ours
        sides = self._work.execute("SELECT * FROM bucket_side").fetchall()
        self._settled = {bucket for bucket, settled, _ in sides if settled}
        self._later = {bucket for bucket, _, begun in sides if not begun}
        self._work.execute(f"""CREATE OR REPLACE TABLE {_MIXED} AS
            SELECT run_id, bucket, {self._moment.begun} AS begun
            FROM runs_now SEMI JOIN (FROM bucket_side WHERE begun AND NOT settled) AS mixed USING (bucket)
            WHERE NOT {self._moment.settled}""")  # noqa: S608

    def _reduce(self) -> None:
        """Derive the rows by run of what was under way, and of what has no run."""
        flat = self._open("flat")
        under_way = self._work.execute(f"SELECT DISTINCT bucket FROM {_MIXED} WHERE begun").fetchall()  # noqa: S608
        # What has no run lies in buckets of a hash, which runs may not have touched.
        buckets = {bucket for (bucket,) in under_way} | {b for b in flat.buckets if b.startswith("x")}
        self._view("flat_now", "flat", buckets)
        self._work.execute(f"""CREATE OR REPLACE TEMP TABLE flat AS FROM flat_now
            WHERE (run_id IS NULL OR run_id IN (SELECT run_id FROM {_MIXED} WHERE begun))
                AND {self._moment.before("happened_at", "ingested_at")}""")  # noqa: S608
        for name, query in reduce.by_run_queries(self._work, (BY_RUN.keys() | BY_NAME.keys()) - {"events"}):
            self._keep(name, query)
        self._work.execute("DROP TABLE flat")

    def _view(self, called: str, name: str, buckets: Collection[str] | None = None) -> None:
        query = self._open(name).query(None, buckets)
        self._work.execute(f"CREATE OR REPLACE TEMP VIEW {called} AS {query}")

    def _keep(self, name: str, query: str) -> None:
        columns = ", ".join(f'"{column}"' for column in TABLES[name].names)
        self._work.execute(f"CREATE OR REPLACE TABLE past.{name} AS SELECT {columns} FROM ({query})")  # noqa: S608

    def query(self, name: str, near: Near | None = None, models: Collection[Name] | None = None) -> str:
        """The query of a table's rows then.

        `near` and `models` (None: all) say of which rows it is at least.
        """
        match name:
            case "events":
                within = self._moment.before("coalesce(event_time, ingested_at)", "ingested_at")
                return f"FROM ({self._open(name).query(near)}) WHERE {within}"
            case "rejected":  # such a record has no time but that of its arrival
                within = self._moment.before("ingested_at", "ingested_at")
                return f"FROM ({self._open(name).query(near)}) WHERE {within}"
            case "mentions":
                rows = self._open(name).query(near)
                return f"FROM ({rows}) WHERE {self._moment.settled} UNION ALL FROM past.mentions"
            case "models":
                self._derive_models()
                return f"""FROM ({self._open(name).query(near)}) WHERE {self._moment.settled}
                    AND (namespace, name) NOT IN (SELECT (namespace, name) FROM past.touched)
                    UNION ALL FROM past.models"""  # noqa: S608  names and times of ours
            case "changes":
                self._derive_changes(models)
                return "FROM past.changes"
            case _:
                return self._by_run(name, near)

    def _by_run(self, name: str, near: Near | None = None, buckets: Collection[str] | None = None) -> str:
        table = self._open(name)
        wanted = set(table.buckets) - self._later
        if buckets is not None:
            wanted &= set(buckets)
        mixed = {bucket for bucket in wanted if bucket not in self._settled or bucket.startswith("x")}
        return f"""FROM ({table.query(near, wanted - mixed)})
            UNION ALL FROM ({table.query(near, mixed)}) ANTI JOIN {_MIXED} USING (run_id)
                WHERE run_id IS NOT NULL
            UNION ALL FROM past.{name}"""

    def _derive_models(self) -> None:
        """Fill `past.models` with the rows of the names of which something was said about that time."""
        if self._has_models:
            return
        work = self._work
        self._view("models_now", "models")
        work.execute(f"""CREATE OR REPLACE TABLE past.touched AS
            SELECT namespace, name FROM models_now WHERE {self._moment.begun} AND NOT {self._moment.settled}
            UNION SELECT namespace, name FROM past.run_datasets WHERE kind = 'model'
            UNION SELECT m.namespace, m.name FROM models_now AS m
                JOIN past.run_datasets AS d ON m.digest = d.fingerprint AND d.kind = 'model'""")  # noqa: S608
        self._relevant("FROM past.touched")
        self._keep("models", reduce.models_query(work))
        self._has_models = True

    def _derive_changes(self, models: Collection[Name] | None) -> None:
        """Fill `past.changes` with the rows of these models, or all."""
        work = self._work
        if models is None:
            work.execute(f"CREATE OR REPLACE TEMP VIEW models_then AS {self.query('models')}")
            self._relevant("SELECT DISTINCT namespace, name FROM models_then")
        else:
            scan.fill(work, "wanted_name", ("namespace", "name"), models)
            self._relevant("FROM wanted_name")
        versions = work.sql(
            f"SELECT namespace, name, version, run_id, digest FROM ({reduce.models_query(work)})"  # noqa: S608
        )
        found = reduce.changes_of(work, versions.to_arrow_table().to_pylist())
        columns = tuple(BY_MODEL["changes"].names)
        scan.fill(work, "change", columns, (tuple(row.get(column) for column in columns) for row in found))
        self._keep("changes", "FROM change")

    def _relevant(self, names: str) -> None:
        """Make these model names `touched`, and attach what they are derived from."""
        work = self._work
        work.execute(f"CREATE OR REPLACE TEMP TABLE touched AS {names}")
        work.execute(f"CREATE OR REPLACE TEMP VIEW run_datasets_all AS {self._by_run('run_datasets')}")
        buckets = reduce.relevant_runs(work)
        for name in ("runs", "facets", "metrics"):
            work.execute(f"CREATE OR REPLACE TEMP VIEW {name}_all AS {self._by_run(name, buckets=buckets)}")

    def close(self) -> None:
        """Let go of what was derived."""
        self._work.close()
