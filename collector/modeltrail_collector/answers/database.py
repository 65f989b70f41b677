"""The tables of a log, open for questions: views of a DuckDB, and rows that are plain JSON."""

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, Self

import duckdb
import msgspec

from modeltrail_collector.answers.plain import fetched, plain
from modeltrail_collector.errors import ConfigError
from modeltrail_collector.log import Log
from modeltrail_collector.tables import PUBLIC, scan, table_store
from modeltrail_collector.tables.past import NOW, READS, Moment, Past
from modeltrail_collector.tables.schema import BY_MODEL, DERIVED, SORTED_BY
from modeltrail_collector.tables.snapshot import Near, Snapshot, near_to

Row = dict[str, Any]

_HELD_BYTES: Final = 8 << 20
_KEPT_BYTES: Final = 1 << 30
"""Of a table up to this size what is kept is some tens of MB."""


class Database:
    """The tables of a log, open for questions: read-only, DuckDB inside.

    Each question looks whether a table has a newer version, which costs microseconds, and opens only what
    changed: a handle that stays open answers fast. It belongs to one thread; another opens its own.
    """

    def __init__(self, log: Log, moment: Moment = NOW) -> None:
        """Opens nothing yet: a table is opened by the first question that needs it.

        At another moment than now all tables are as they would be, had nothing been in the log but what that
        moment knows.
        """
        self.log = log
        self.connection = scan.connected()
        self.moment = moment
        self._past: Past | None = None
        self._past_of: tuple[Snapshot, ...] = ()
        self._store = table_store(log)
        self._opened: dict[str, _Opened] = {}
        self._looked_at: set[str] | None = None
        self._views: dict[str, tuple[object, ...]] = {}
        self._kept: dict[str, _Kept] = {}
        scan.confine(self.connection, self._store.root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of everything; relations of this handle cannot be read any more."""
        self.connection.close()

    def attach(
        self,
        *names: str,
        held: bool = False,
        runs: Collection[str] | None = None,
        models: Collection[tuple[str, str]] | None = None,
        keys: Collection[str] | None = None,
    ) -> None:
        """Make these tables, at their newest version, views of their names (none named: all public ones).

        A table not yet written is empty. `held` reads small ones into memory: right for an answer that asks
        many questions. With `runs` (ids), `models` (namespace and name) or `keys` (of `mentions`) the view is
        called `near_<table>` and holds at least the rows of these, read from the files that have them.
        """
        with scan.translated():
            for name in names or PUBLIC:
                self._attach(name, held, near_to(name, runs, models, keys), models)

    def _attach(
        self, name: str, held: bool, near: Near | None, models: Collection[tuple[str, str]] | None
    ) -> None:
        past = self._look_back() if self.moment != NOW else None
        called = name if near is None and models is None else f"near_{name}"
        table, stamp = self._open(name), self._opened[name].stamp
        small = held and near is None and table.bytes <= _HELD_BYTES
        view = (past, stamp or object(), small or near, models if name in BY_MODEL else None)
        if self._views.get(called) == view:
            return
        query = past.query(name, near, models) if past is not None else table.query(near)
        if small:
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {called}_held AS {query}")
            query = f"FROM {called}_held"
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {called} AS {query}")
        self._views[called] = view

    def keep(self, view: str, name: str, query: str) -> None:
        """Make `view` what a query says of a table; from the second question on it lies in memory.

        Until the table has a newer version. A command, which asks one question, is not held up.
        """
        self.attach(name)
        with scan.translated():
            state, known = (self._past, self._open(name).version), self._kept.get(view)
            again = known is not None and known.state == state
            asked_before = self._looked_at is None or known is None or known.asked is not self._looked_at
            if known is not None and again and (known.is_kept or not asked_before):
                return
            is_kept = again and self._open(name).bytes <= _KEPT_BYTES
            if is_kept:
                self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {view}_kept AS {query}")
                query = f"FROM {view}_kept"
            self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {query}")
            if not is_kept:
                self.connection.execute(f"DROP TABLE IF EXISTS {view}_kept")
            self._kept[view] = _Kept(state, is_kept, self._looked_at)

    @contextlib.contextmanager
    def question(self) -> Iterator[None]:
        """For as long as the block lasts, a table stays as it was when the block first looked at it."""
        outer = self._looked_at
        self._looked_at = set() if outer is None else outer
        try:
            yield
        finally:
            self._looked_at = outer

    def _open(self, name: str) -> Snapshot:
        """A table at its newest version."""
        known = self._opened.get(name)
        if known is not None and self._looked_at is not None and name in self._looked_at:
            return known.table
        stamp = self._store.stamp(name)
        if known is None or stamp is None or known.stamp != stamp:
            known = self._opened[name] = _Opened(stamp, Snapshot(name, self._store.open(name)))
        if self._looked_at is not None:
            self._looked_at.add(name)
        return known.table

    def _look_back(self) -> Past:
        """What was under way at the moment, by the newest version of the tables that tell."""
        made_of = tuple(map(self._open, READS))
        if self._past is None or made_of != self._past_of:
            if self._past is not None:
                self._past.close()
            self._past, self._past_of = Past(self.connection, self._open, self.moment), made_of
        return self._past

    def version(self, *names: str) -> str:
        """The newest versions of these tables (none named: all) as a text, another once one of them is."""
        with scan.translated():
            return " ".join(self._open(name).version for name in names or (*DERIVED, "rejected"))

    def table(self, name: str) -> duckdb.DuckDBPyRelation:
        """A public table as it is now: a DuckDB relation, with `.arrow()`, `.df()`, `.pl()`, `.fetchall()`.

        Raises ConfigError for another name.
        """
        if name not in PUBLIC:
            raise ConfigError(f"{name!r} is no table: there are {', '.join(PUBLIC)}")
        self.attach(name)
        return self.connection.view(name)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The relation of one SELECT over the public tables (DuckDB's SQL).

        Nothing outside the tables can be read and nothing written. Raises ConfigError with what the database
        says.
        """
        self.attach(*(name for name in PUBLIC if re.search(rf"\b{name}\b", query, re.IGNORECASE)))
        with said():
            statements = self.connection.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise ConfigError(
                    "Ask one SELECT: the tables are derived from the log and cannot be written to."
                )
            return self.connection.sql(query)

    def rows(self, query: str, **params: object) -> list[Row]:
        """The rows of a query as plain JSON values; `$name` stands for a parameter.

        Times become RFC 3339 text.
        """
        return fetched(self.connection.execute(query, params or None))

    def read(
        self,
        name: str,
        columns: str,
        /,
        *,
        runs: Collection[str] | None = None,
        models: Collection[tuple[str, str]] | None = None,
        keys: Collection[str] | None = None,
        where: str = "true",
        then: str = "",
        **params: object,
    ) -> list[Row]:
        """Columns of the rows of these runs, of models of these names, or of `mentions` with these keys.

        Of those the rows where `where` (SQL) is true; of `models` those of the same name in another namespace
        count too. `then` is what comes behind that: GROUP BY, QUALIFY, ORDER BY, LIMIT. One plain query over
        few files: an answer that goes on from what it found asks many.
        """
        with scan.translated():
            near = near_to(name, runs, models, keys)
            past = self._look_back() if self.moment != NOW else None
            table = self._open(name)
            if near is None or not near.places or (past is None and not table.files(near)):
                return []
            source = f"({past.query(name, near, models)})" if past is not None else table.source(near)
            if not near.is_literal:
                self.fill("near_value", ("value",), ((value,) for value in near.values))
                found = f'{source} WHERE "{SORTED_BY[name]}" IN (SELECT value FROM near_value)'  # noqa: S608
            elif past is not None:
                found = f"{source} WHERE {table.among(near)}"
            else:
                found = table.rows(near)
            query = f"SELECT {columns} FROM {found} AND ({where}) {then}"  # noqa: S608
            return self.rows(query, **params)

    def newest_first(self, name: str, *times: str) -> Iterator[tuple[str, str | None]]:
        """The SELECTs of a table's rows in parts, those of the latest times first.

        With each the latest of these times (RFC 3339) that may be in what is left; None: nothing is left.
        """
        with scan.translated():
            if self.moment != NOW:
                yield self._look_back().query(name), None
                return
            for part in self._open(name).newest_first(*times):
                yield part.query, plain(part.later)

    def fill(self, table: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
        """Make a temporary table of text columns, to join with."""
        scan.fill(self.connection, table, columns, rows)


class _Opened(msgspec.Struct, frozen=True):
    """A table, and the stamp of its version."""

    stamp: object | None
    table: Snapshot


class _Kept(msgspec.Struct, frozen=True):
    """Of which state of a table the rows of a view are, whether they lie in memory, and who asked last."""

    state: tuple[object, ...]
    is_kept: bool
    asked: set[str] | None


@contextlib.contextmanager
def opened(of: Log | Database) -> Iterator[Database]:
    """An open database, for one question; of a log one that lasts for the block."""
    with contextlib.ExitStack() as stack:
        db = of if isinstance(of, Database) else stack.enter_context(Database(of))
        stack.enter_context(scan.translated())
        stack.enter_context(db.question())
        yield db


@contextlib.contextmanager
def database(of: Log | Database, *names: str, held: bool = False) -> Iterator[Database]:
    """`opened`, with these tables attached: see `Database.attach`."""
    with opened(of) as db:
        db.attach(*names, held=held)
        yield db


@contextlib.contextmanager
def said() -> Iterator[None]:
    """What DuckDB says of somebody's SQL, as ConfigError."""
    try:
        with scan.translated():
            yield
    except duckdb.Error as error:
        raise ConfigError(f"{str(error).strip()}\nTables: {', '.join(PUBLIC)}.") from error
