"""What all commands share: `--log`, `--json`, and how an answer reaches stdout.

stdout is the answer, stderr everything else. A terminal gets rich tables; a pipe gets tab-separated lines.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from modeltrail_schemas.printable import printable, printable_lines

if TYPE_CHECKING:
    from modeltrail_collector.telemetry.boards import Board

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


def metrics_option(function: Function) -> Function:
    """`--metrics HOST:PORT`: where to answer Prometheus."""
    return click.option(
        "--metrics",
        metavar="HOST:PORT",
        help="Serve /metrics (Prometheus) and /health there; a PORT alone is for this machine only.",
    )(function)


@contextmanager
def metrics_at(address: str | None, board: "Board") -> Iterator[None]:
    """/metrics and /health within the block, if anybody asked for them."""
    if not address:
        yield
        return
    from modeltrail_collector.telemetry.server import serve

    with serve(address, board) as url:
        said = {"event": "metrics", "url": url}
        logging.getLogger(__name__).info("metrics at %s/metrics", url, extra=said)
        yield


def log_format_option(function: Function) -> Function:
    """`--log-format`: how stderr speaks."""
    return click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        envvar="MODELTRAIL_LOG_FORMAT",
        default="text",
        show_default=True,
        help="json: one JSON object a line on stderr, sealed segments included.",
    )(function)


@contextmanager
def told_as_json(log_format: str) -> Iterator[None]:
    """With the format `json` the error that ends the command is a line of the log too, and said once."""
    from modeltrail_collector.errors import CollectorError

    try:
        yield
    except CollectorError as error:
        if log_format != "json" or error.exit_code == CollectorError.exit_code:
            raise
        said = {"event": "failed", "error": type(error).__name__, "exit_code": error.exit_code}
        logging.getLogger(__name__).error("%s", error, extra=said)  # noqa: TRY400  foreseen
        click.get_current_context().exit(error.exit_code)


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
