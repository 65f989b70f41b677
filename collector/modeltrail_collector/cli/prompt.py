"""The prompt of `modeltrail sql`: one SELECT after another over tables that are opened once."""

import contextlib
import os
import readline
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

import modeltrail_schemas
from modeltrail_collector.cli.output import print_rows
from modeltrail_collector.errors import CollectorError

if TYPE_CHECKING:
    from modeltrail_collector.answers import Database

_HELP: Final = """A SELECT ends with a semicolon and may take several lines.
.tables        what tables there are
.columns NAME  the columns of one
.quit          or Ctrl-D; quit, exit and help do without the dot"""
_WORDS: Final = {"quit": ".quit", "exit": ".quit", ".exit": ".quit", ".quit": ".quit", "help": ".help"}
_KEPT_LINES: Final = 1000


def prompt(db: "Database", ask: Callable[[str], None]) -> None:
    """Read statements until the input ends; `ask` answers one. An error is said and asked again after."""
    history = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state", "modeltrail", "sql")
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    readline.set_completer(_completer(db))
    readline.parse_and_bind("tab: complete")
    click.echo("Tables of " + db.log.uri + "; .help says more.")
    try:
        while (text := _statement()) is not None:
            try:
                _command(db, text) if text.startswith(".") else ask(text.rstrip().rstrip(";"))
            except CollectorError as error:
                click.echo(str(error), err=True)
    finally:
        with contextlib.suppress(OSError):
            history.parent.mkdir(parents=True, exist_ok=True)
            readline.set_history_length(_KEPT_LINES)
            readline.write_history_file(history)


def _statement() -> str | None:
    """What is typed up to a semicolon, or a command; None at the end of the input. Ctrl-C begins anew."""
    lines: list[str] = []
    while True:
        try:
            lines.append(input("... " if lines else "sql> "))
        except EOFError:
            click.echo()
            return None
        except KeyboardInterrupt:
            click.echo()
            lines = []
            continue
        text = "\n".join(lines).strip()
        text = _WORDS.get(text.rstrip("; ").casefold(), text)
        if text == ".quit":
            return None
        if text.startswith(".") or text.endswith(";"):
            return text
        if not text:
            lines = []


def _command(db: "Database", text: str) -> None:
    name, _, of = text.partition(" ")
    if name == ".tables":
        tables = modeltrail_schemas.tables()
        rows = [{"table": table, "what": tables.get(table, {}).get("doc", "")} for table in _names()]
        print_rows(rows, ("table", "what"), nothing="")
    elif name == ".columns" and of:
        table = db.table(of.strip())
        told = {column["name"]: column["doc"] for column in _described(of.strip())}
        columns = zip(table.columns, map(str, table.types), strict=True)
        rows = [{"column": column, "type": kind, "what": told.get(column, "")} for column, kind in columns]
        print_rows(rows, ("column", "type", "what"), nothing="")
    else:
        click.echo(_HELP)


def _described(table: str) -> list[dict[str, str]]:
    found = modeltrail_schemas.tables().get(table)
    columns: list[dict[str, str]] = found["columns"] if found else []
    return columns


def _names() -> list[str]:
    from modeltrail_collector.tables import PUBLIC

    return list(PUBLIC)


def _completer(db: "Database") -> Callable[[str, int], str | None]:
    words = [*_names(), "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", ".tables", ".columns"]
    words += sorted({column for name in _names() for column in db.table(name).columns})

    def complete(text: str, state: int) -> str | None:
        found = [word for word in words if word.casefold().startswith(text.casefold())]
        return found[state] if state < len(found) else None

    return complete
