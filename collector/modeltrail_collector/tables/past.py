"""The tables as they would be, had only those records been in the log that a moment knows.

::

    runs that ended before it    their rows as they are
    runs that began after it     nothing
    runs in between              reduced from `flat` again, from the records of before it

So what has to be derived at a question is little: the runs that were under way. Which those are, `runs` says;
buckets that lie on one side as a whole, by the statistics of their files, are not looked into.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final

import duckdb
import msgspec

from modeltrail_collector.tables import reduce, scan
from modeltrail_collector.tables.models import (
    FEW,
    Name,
    attach_relevant,
    fill_changes,
    groups,
    insert,
    models_query,
    speaking,
    with_aliases,
)
from modeltrail_collector.tables.schema import BY_MODEL, BY_NAME, BY_RUN, TABLES
from modeltrail_collector.tables.snapshot import Near, Snapshot, near_to

Open = Callable[[str], Snapshot]

READS: Final = ("flat", "runs", "mentions", "models")
"""The tables that say what was under way at a moment, and of which models something was said then."""

_MIXED: Final = "past.unsettled"

_OTHERWISE_CALLED: Final = "given_aliases IS NULL OR ends_with(version, concat('+', digest[:12]))"
"""True of a row of `models` that may have been called otherwise before: other bytes have its version by now.
And of one that an older modeltrail wrote, which does not say what aliases the version was given."""

_AT_ONCE: Final = 25_000
"""So many versions are derived in one go: what was said of them is held in memory, some 5 kB of each."""


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
    def limits(self) -> list[tuple[datetime, str, str]]:
        """Each time that is given, with the columns of `runs` for the first and the last of what was said."""
        event = (self.event_time, "first_event_at", "last_event_at")
        arrival = (self.arrival, "first_ingested_at", "last_ingested_at")
        return [(at, first, last) for at, first, last in (event, arrival) if at is not None]

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
        # Whose rows of `models` and `changes` are derived; None: all.
        self._looked_at: set[Name] | None = set()
        self._changed: set[Name] | None = set()
        self._work.execute("CREATE SCHEMA IF NOT EXISTS past")
        self._classify()
        self._reduce()
        for name in BY_MODEL:
            self._keep(name, scan.reading([], TABLES[name]))
        self._work.execute("CREATE OR REPLACE TABLE past.touched (namespace VARCHAR, name VARCHAR)")

    def _classify(self) -> None:
        """Fill `past.unsettled` with the runs that were not over, of the buckets that may hold any."""
        runs = self._open("runs")
        sides = [(at, runs.limits(first), runs.limits(last)) for at, first, last in self._moment.limits]
        self._settled = {
            bucket
            for bucket in runs.buckets
            if all(bucket in last and last[bucket][1] <= at for at, _, last in sides)
        }
        self._later = {
            bucket
            for bucket in runs.buckets
            if any(bucket in first and first[bucket][0] > at for at, first, _ in sides)
        }
        mixed = runs.query(None, set(runs.buckets) - self._settled - self._later)
        self._work.execute(f"""CREATE OR REPLACE TABLE {_MIXED} AS
            SELECT run_id, bucket, first_event_at, {self._moment.begun} AS begun
            FROM ({mixed}) WHERE NOT {self._moment.settled}""")  # noqa: S608  times of ours

    def _reduce(self) -> None:
        """Derive the rows by run of what was under way, and of what has no run."""
        work, flat = self._work, self._open("flat")
        under_way = f"FROM {_MIXED} WHERE begun"
        buckets = {bucket for (bucket,) in work.execute(f"SELECT DISTINCT bucket {under_way}").fetchall()}
        # As a text the first time is one that the files are asked for before their rows are read.
        ((first,),) = work.execute(f"""
            SELECT min(coalesce(first_event_at, '-infinity'::TIMESTAMPTZ))::VARCHAR {under_way}""").fetchall()
        then = self._moment.before("happened_at", "ingested_at")
        work.execute(f"""CREATE OR REPLACE TEMP TABLE flat AS
            FROM ({flat.query(None, buckets)}) SEMI JOIN ({under_way}) AS under_way USING (run_id)
                WHERE {then} AND happened_at >= '{first or "infinity"}'::TIMESTAMPTZ
            UNION ALL FROM ({flat.lacking("run_id")}) WHERE run_id IS NULL AND {then}""")
        for name, query in reduce.by_run_queries(work, (BY_RUN.keys() | BY_NAME.keys()) - {"events"}):
            self._keep(name, query)
        work.execute("DROP TABLE flat")

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
                if self._derive_models(near, models):
                    return "FROM past.models"
                return f"FROM ({with_aliases(self._said_before(near))}) UNION ALL FROM past.models"
            case "changes":
                self._derive_changes(models)
                return "FROM past.changes"
            case "deployments" if self._moment.event_time is not None:
                return self._deployments(near)
            case _:
                return self._by_run(name, near)

    def _by_run(self, name: str, near: Near | None = None, buckets: Collection[str] | None = None) -> str:
        table = self._open(name)
        over = {bucket for bucket in self._settled if not bucket.startswith("x")}
        if near is not None and over.issuperset(bucket for bucket, _ in near.places):
            return table.query(near)
        wanted = set(table.buckets) - self._later
        if buckets is not None:
            wanted &= set(buckets)
        return f"""FROM ({table.query(near, wanted & over)})
            UNION ALL FROM ({table.query(near, wanted - over)}) ANTI JOIN {_MIXED} USING (run_id)
                WHERE run_id IS NOT NULL
            UNION ALL FROM past.{name}"""

    def _deployments(self, near: Near | None) -> str:
        """A deployment counts from when it took effect, which may have been told later."""
        said = f"FROM ({self._open('deployments').query(near)})"
        if self._moment.arrival is not None:
            known = Moment(arrival=self._moment.arrival).settled
            runs = f"(SELECT run_id FROM ({self._open('runs').query(near)}) WHERE {known}) AS known"  # noqa: S608
            said = f"""{said} SEMI JOIN {runs} USING (run_id)
                UNION ALL FROM past.deployments ANTI JOIN {runs} USING (run_id)"""
        return f"FROM ({said}) WHERE effective_at <= '{self._moment.event_time}'::TIMESTAMPTZ"

    def _derive_models(self, near: Near | None, models: Collection[Name] | None) -> bool:
        """Derive the rows of the models, of these or of all, of which something was said about that time.

        They go to `past.models`, with those of a few models of which nothing was, and their names to
        `past.touched`. Whether all rows that are asked for are there now.
        """
        few = models if models is not None and len(models) <= FEW else None
        done = self._looked_at
        if done is None:
            return False
        if models is not None and done.issuperset(models):
            return few is not None
        if few is not None:
            done = done | set(few)
            scan.fill(self._work, "wanted", ("name",), {(name,) for _, name in few})
            touched = self._touched(self._open("models").query(near), "name IN (FROM wanted)")
        else:
            done = None
            touched = self._touched(self._open("models").query(), "true")
        scan.fill(self._work, "touched", ("namespace", "name"), touched)
        attach_relevant(self._work, self._said, "run_datasets", "runs", "facets")
        query = models_query(self._work)
        for some in groups(touched, _AT_ONCE):
            self._insert(some, query)
        if few is not None:
            settled = with_aliases(self._said_before(near))
            self._insert(few, f"FROM ({settled}) SEMI JOIN touched USING (namespace, name)")
        self._looked_at = done
        return few is not None

    def _said_before(self, near: Near | None) -> str:
        """The query of the rows of `models` that are as they were then, but for their aliases."""
        return f"""FROM ({self._open("models").query(near)}) WHERE {self._moment.settled}
            AND (namespace, name) NOT IN (SELECT (namespace, name) FROM past.touched)"""  # noqa: S608  times of ours

    def _insert(self, models: Collection[Name], query: str) -> None:
        """Add the rows of a query, which reads `touched`, to `past.models`, and these names to its names.

        All of it or, where it ends in an error, nothing.
        """
        scan.fill(self._work, "touched", ("namespace", "name"), models)
        self._work.begin()
        try:
            insert(self._work, "models", "past.models", query)
            self._work.execute("INSERT INTO past.touched FROM touched")
        except BaseException:
            self._work.rollback()
            raise
        self._work.commit()

    def _touched(self, models: str, wanted: str) -> dict[Name, int]:
        """The names that have to be derived and were not yet, each with how many versions it had then.

        `models` is a query of their rows now, `wanted` SQL that is true of a name that is asked for.
        """
        digests = self._work.execute("""SELECT DISTINCT fingerprint FROM past.run_datasets
            WHERE kind = 'model' AND fingerprint IS NOT NULL""").fetchall()
        alike = speaking(self._work, self._said, "digest", {digest for (digest,) in digests})
        scan.fill(self._work, "alike", ("namespace", "name"), {row[:2] for row in alike})
        found = self._work.execute(f"""
            WITH models_now AS (FROM ({models})),
            found AS (
                SELECT namespace, name FROM models_now
                WHERE {self._moment.begun} AND (NOT {self._moment.settled} OR {_OTHERWISE_CALLED})
                UNION SELECT namespace, name FROM past.run_datasets WHERE kind = 'model'
                UNION FROM alike
            )
            SELECT namespace, name, count(version)
            FROM (FROM found WHERE {wanted} EXCEPT FROM past.touched)
            LEFT JOIN (FROM models_now WHERE {self._moment.begun}) USING (namespace, name)
            GROUP BY ALL ORDER BY ALL""")  # noqa: S608  times of ours
        return {(namespace, name): count for namespace, name, count in found.fetchall()}

    def _derive_changes(self, models: Collection[Name] | None) -> None:
        """Derive the rows of `changes` of these models, or of all, into `past.changes`."""
        done = self._changed
        if done is None or (models is not None and done.issuperset(models)):
            return
        then = self.query("models", near_to("models", models=models), models)
        if models is None:
            names = set(self._work.execute(f"SELECT DISTINCT namespace, name FROM ({then})").fetchall())  # noqa: S608
        else:
            names = set(models)
        scan.fill(self._work, "touched", ("namespace", "name"), names - done)
        attach_relevant(self._work, self._said, "facets", "metrics", "run_datasets", "runs")
        fill_changes(self._work, then, facets="facets_all")
        insert(self._work, "changes", "past.changes", "FROM change")
        self._changed = None if models is None else done | names

    def _said(self, name: str, near: Near | None = None, buckets: Collection[str] | None = None) -> str:
        return self.query(name, near) if name in BY_NAME else self._by_run(name, near, buckets)

    def close(self) -> None:
        """Let go of what was derived."""
        self._work.close()
