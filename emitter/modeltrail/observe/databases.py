"""Which tables of a database a query reads, and what these are called in OpenLineage.

Where a connection leads is taken from itself, what a query names from OpenLineage's own parser. Of a query
that it does not understand, and of a database that is not known here, nothing is told.
"""

import os
import re
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from modeltrail.guard import warn_once

_SERVERS: Final = {
    "postgresql": ("postgres", 5432, 2),
    "mysql": ("mysql", 3306, 1),
    "mariadb": ("mysql", 3306, 1),
    "mssql": ("mssql", 1433, 2),
}
"""Of a backend of SQLAlchemy: its scheme, its port, and how many names stand before that of a table."""
_DEFAULT_SCHEMA: Final = {"postgres": "public", "mssql": "dbo"}
"""Where a table lies of which neither the query says it nor the server was asked."""
_PLACEHOLDER: Final = re.compile(r"%\(\w+\)s|%s")
"""Parameters as drivers of Python write them, which are no SQL."""
_LOWER: Final = "postgres"
"""Which turns names into lower case that are not quoted."""


class _Address(msgspec.Struct, frozen=True):
    """Where a connection leads.

    Attributes:
        dialect: as the parser calls it.
        base: the URI that a table's name is put behind.
        before: what stands before the name of a table where a query does not say it; None: not known.
    """

    dialect: str
    base: str
    before: tuple[str | None, ...]

    def place(self, *names: str | None) -> str | None:
        """The URI of a table by its database, schema and name."""
        *said, table = names
        given = said[-len(self.before) :]
        parts = [one or usual for one, usual in zip(given, self.before, strict=True)]
        if self.dialect == "sqlite" and parts != [
            "main"
        ]:  # another file, which is attached, or a temporary one
            return None
        parts.append(table)
        return None if None in parts else self.base + quote(".".join(map(str, parts)))


class Query(msgspec.Struct, frozen=True):
    """What a program asked a database.

    Attributes:
        text: the query, as it was given, without the values of its parameters.
        dialect: of SQL, as OpenLineage calls it; None of a database that is not known here.
        places: the URIs of the tables that it reads.
    """

    text: str
    dialect: str | None = None
    places: tuple[str, ...] = ()


def look(connection: object, query: object) -> Query:
    """What a query reads that is a text or a statement of SQLAlchemy."""
    text, address = str(query), _address(connection)
    if address is None:
        return Query(text)
    if (parse := _parser()) is None:
        return Query(text, address.dialect)
    said = parse([_PLACEHOLDER.sub("NULL", text)], dialect=address.dialect)
    found = () if said is None else said.in_tables
    places = [address.place(*_names(one, address)) for one in found if not _is_called(text, one.name)]
    return Query(text, address.dialect, tuple(dict.fromkeys(place for place in places if place is not None)))


def table(connection: object, name: str, schema: str | None = None) -> list[str]:
    """The URI of one table."""
    address = _address(connection)
    place = None if address is None else address.place(None, schema, name)
    return [] if place is None else [place]


def _parser() -> Callable[..., Any] | None:
    try:
        from openlineage_sql import parse
    except ImportError:
        message = "which tables a query reads is not known without a parser: pip install 'modeltrail[sql]'"
        warn_once("no parser of SQL", message)
        return None
    return parse  # type: ignore[no-any-return]


def _names(said: Any, address: _Address) -> list[str | None]:
    """Database, schema and name, as the database has them."""
    fields = ("database", "schema", "name")
    quoted = said.quote_style
    return [
        name.lower()
        if (name := getattr(said, field))
        and address.dialect == _LOWER
        and getattr(quoted, field, None) is None
        else name
        for field in fields
    ]


def _is_called(text: str, name: str) -> bool:
    """Whether it may be a function that gives rows: `generate_series(1, 9)`."""
    return re.search(rf"\b{re.escape(name)}\"?\s*\(", text) is not None


def _address(connection: Any) -> _Address | None:
    if isinstance(connection, str):
        return _of_uri(connection)
    bound = connection.get_bind() if hasattr(connection, "get_bind") else connection
    engine: Any = getattr(bound, "engine", None)
    if hasattr(engine, "url"):
        url = engine.url
        schema = getattr(engine.dialect, "default_schema_name", None)
        return _at(url.get_backend_name(), url.host, url.port, url.database, schema)
    library = type(connection).__module__.partition(".")[0]
    if library == "sqlite3":
        return _at("sqlite", None, None, _file_of(connection), None)
    if library in {"psycopg", "psycopg2"}:
        info = connection.info
        return _at("postgresql", info.host, int(info.port), info.dbname, _schema_of(connection))
    return None


def _of_uri(uri: str) -> _Address | None:
    parts = urlsplit(uri)
    backend = parts.scheme.partition("+")[0]
    backend = {"postgres": "postgresql"}.get(backend, backend)
    return _at(backend, parts.hostname, parts.port, parts.path.removeprefix("/") or None, None)


def _at(
    backend: str, host: str | None, port: int | None, database: str | None, schema: str | None
) -> _Address | None:
    if backend == "sqlite":
        is_file = database and database != ":memory:" and not database.startswith("file:")
        base = f"sqlite://{quote(os.path.abspath(database or ''))}?table="  # noqa: PTH100  links are followed by it
        return _Address(backend, base, ("main",)) if is_file else None
    if backend not in _SERVERS:
        return None
    scheme, usual_port, width = _SERVERS[backend]
    if host is None or host.startswith("/"):  # a socket
        host = "localhost"
    authority = f"[{host}]" if ":" in host else host
    before = (database, schema or _DEFAULT_SCHEMA.get(scheme))[:width]
    return _Address(scheme, f"{scheme}://{authority}:{port or usual_port}/", before)


def _file_of(connection: Any) -> str | None:
    """The file of an open database of SQLite, which only that itself can say."""
    cursor = connection.cursor()
    cursor.row_factory = None
    found: Sequence[tuple[int, str, str]] = cursor.execute("PRAGMA database_list").fetchall()
    return next((file for _, name, file in found if name == "main" and file), None)


def _schema_of(connection: Any) -> str | None:
    """Where PostgreSQL looks for a table first, within the transaction that read."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        row = cursor.fetchone()
    return str(next(iter(row.values() if isinstance(row, dict) else row)))
