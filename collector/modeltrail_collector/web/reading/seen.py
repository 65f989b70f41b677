"""What somebody may see of a log: its jobs and datasets, held ready as long as the tables stay the same."""

import time
from collections.abc import Collection, Iterable
from importlib import resources
from typing import Any, Final

from modeltrail_collector.answers import Database
from modeltrail_collector.answers.database import Row
from modeltrail_collector.log import Log
from modeltrail_collector.tables.scan import quoted, translated

Name = tuple[str, str]
"""A namespace and a name in it."""

LATEST_RUNS: Final = 10
"""So many of its runs a job shows."""

_LONG_S: Final = 1.0
_RESTS: Final = 10
_READ: Final = ("runs", "run_datasets", "facets", "mentions", "events")


class Seen:
    """One handle on the tables of a log, for one thread.

    Args:
        log: The log.
        namespaces: Of jobs whose runs may be seen; None is all.
    """

    def __init__(self, log: Log, namespaces: frozenset[str] | None) -> None:
        self.db = Database(log)
        self._namespaces = namespaces
        self._version = ""
        self._until = 0.0
        self._aliases: dict[Name, Name] = {}
        self._called: dict[Name, set[str]] = {}

    def close(self) -> None:
        """Let go of the tables."""
        self.db.close()

    def refresh(self) -> str:
        """Go on with the newest version of the tables, and say which it is.

        What takes long to make ready, of a million runs, is made anew only after ten times as long.
        """
        version = self.db.version(*_READ)
        began = time.monotonic()
        if version != self._version and began >= self._until:
            self._build()
            self._version = version
            took = time.monotonic() - began
            self._until = began + _RESTS * took if took > _LONG_S else 0.0
        return f"{version} {self._version}"

    def _build(self) -> None:
        self.db.attach(*_READ)
        text = resources.files(__package__).joinpath("sql/seen.sql").read_text()
        statements = text.format(
            visible=self._among("job_namespace"),
            told_visible=self._among("namespace"),
            mention_visible=self.mention_visible,
            latest=LATEST_RUNS,
        )
        with translated():
            self.db.connection.execute(statements)
        rows = self.rows("SELECT * FROM alias")
        self._aliases = {name_of(row, "alias_"): name_of(row) for row in rows}
        self._called = {}
        for alias, meant in self._aliases.items():
            self._called.setdefault(meant, {meant[1]}).add(alias[1])

    def _among(self, column: str) -> str:
        if self._namespaces is None:
            return "true"
        return f"{column} IN ({', '.join(map(quoted, sorted(self._namespaces))) or 'NULL'})"

    @property
    def visible(self) -> str:
        """SQL that is true of a row of `runs`, or of `events`, that may be seen."""
        return self._among("job_namespace")

    @property
    def mention_visible(self) -> str:
        """SQL that is true of a row of `mentions`, or of `facets`, whose run may be seen."""
        return "true" if self._namespaces is None else "run_id IN (SELECT run_id FROM run)"

    def rows(self, query: str, **params: object) -> list[Row]:
        """The rows of a query over what is held ready: tables `job`, `dataset`, `use`, `alias`, `told`."""
        with translated():
            return self.db.rows(query, **params)

    def page(
        self, query: str, order: str, limit: int, offset: int, **params: object
    ) -> tuple[list[Row], int]:
        """A part of the rows of a query, and how many there are."""
        found = self.rows(
            f"""SELECT *, count(*) OVER () AS total FROM ({query})
            ORDER BY {order} LIMIT $limit OFFSET $offset""",  # noqa: S608  ours
            limit=limit,
            offset=offset,
            **params,
        )
        if found:
            return found, found[0]["total"]
        (count,) = self.rows(f"SELECT count(*) AS total FROM ({query})", **params)  # noqa: S608
        return [], count["total"]

    def meant(self, name: Name) -> Name:
        """The dataset that is called so: another name of one is that one."""
        return self._aliases.get(name, name)

    def called(self, datasets: Collection[Name]) -> set[str]:
        """What these datasets may be called in an event, without the namespace."""
        return {called for dataset in datasets for called in self._called.get(dataset, {dataset[1]})}

    def runs(self, ids: Iterable[str]) -> list[Row]:
        """Those of these runs that may be seen, the latest first."""
        return self.db.read(
            "runs",
            "* EXCLUDE (bucket), coalesce(started_at, first_event_at) AS began",
            runs=set(ids),
            where=self.visible,
            then="ORDER BY began DESC, run_id DESC",
        )

    def told(self, scope: str, names: Collection[Name]) -> dict[Name, list[Row]]:
        """What events without a run say of jobs or datasets."""
        self.db.fill("wanted", ("namespace", "name"), names)
        rows = self.rows(
            """SELECT * FROM told SEMI JOIN wanted USING (namespace, name)
            WHERE scope = $scope ORDER BY happened_at""",
            scope=scope,
        )
        found: dict[Name, list[Row]] = {}
        for row in rows:
            found.setdefault((row["namespace"], row["name"]), []).append(row)
        return found


def name_of(row: Row, prefix: str = "") -> Name:
    """The namespace and the name in a row."""
    return row[f"{prefix}namespace"], row[f"{prefix}name"]


def id_of(name: Name) -> dict[str, Any]:
    """A name as Marquez writes it."""
    return {"namespace": name[0], "name": name[1]}
