"""What all commands share: `--log`, `--json`, and how an answer reaches stdout.

stdout is the answer, stderr everything else. A terminal gets rich tables; a pipe gets tab-separated lines.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from modeltrail_schemas.printable import printable, printable_lines

Function = TypeVar("Function", bound=Callable[..., Any])


def log_option(function: Function) -> Function:
    """`--log URI`: where the log lies."""
    return click.option(
        "--log",
        "log_uri",
        metavar="URI",
        envvar="MODELTRAIL_LOG",
        default="./lineage",
        show_default=True,
        help="The log: a directory, or an object store URI (s3://, gs://, az://).",
    )(function)


def json_option(function: Function) -> Function:
    """`--json`: the answer as one JSON document."""
    return click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")(function)


def print_json(answer: object) -> None:
    """Print one JSON document; times as RFC 3339, bytes as base64."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(answer), indent=2 if sys.stdout.isatty() else 0)
    click.echo(printable_lines(text.decode()))


def print_rows(rows: Sequence[Mapping[str, object]], columns: Sequence[str], *, nothing: str) -> None:
    """Print rows: a rich table on a terminal, tab-separated lines with a header elsewhere.

    `nothing` is the sentence for an empty answer; it goes to stderr.
    """
    if not rows:
        click.echo(nothing, err=True)
        return
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    if not sys.stdout.isatty():
        for line in ([*columns], *cells):
            click.echo("\t".join(line))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for line in cells:
        table.add_row(*(Text(cell) for cell in line))
    Console().print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return printable(str(value).replace("\t", " ").replace("\n", " "))
