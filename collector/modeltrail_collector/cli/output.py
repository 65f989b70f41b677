"""What all commands share: `--log`, `--json`, and how an answer reaches stdout.

stdout is the answer, stderr everything else. A terminal gets rich tables; a pipe gets tab-separated lines.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

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


def print_rows(
    rows: Sequence[Mapping[str, object]],
    columns: Sequence[str],
    *,
    nothing: str,
    shorter: Mapping[str, Callable[[str], str]] = MappingProxyType({}),
    spare: Sequence[str] = (),
) -> None:
    """Print rows: a rich table on a terminal, tab-separated lines with a header elsewhere.

    Args:
        rows: what is printed.
        columns: which fields of them.
        nothing: the sentence for an empty answer; it goes to stderr.
        shorter: how fields are shortened where a terminal is too narrow for them.
        spare: the columns that a terminal too narrow even so does without, the first of them first; that
            is said.
    """
    if not rows:
        click.echo(nothing, err=True)
        return
    table = {column: [_cell(row.get(column)) for row in rows] for column in columns}
    if sys.stdout.isatty():
        _print_table(table, shorter, spare)
        return
    for line in (columns, *zip(*table.values(), strict=True)):
        click.echo("\t".join(line))


def _print_table(
    cells: dict[str, list[str]], shorter: Mapping[str, Callable[[str], str]], spare: Sequence[str]
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if _width(cells) > console.width:
        cells |= {column: [shorten(cell) for cell in cells[column]] for column, shorten in shorter.items()}
    if _width(cells) > console.width:
        cells = {column: texts for column, texts in cells.items() if any(texts)}
    left_out = []
    for column in (one for one in spare if one in cells):
        if _width(cells) > console.width:
            del cells[column]
            left_out.append(column)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column, texts in cells.items():
        table.add_column(column, no_wrap=max(map(len, texts)) <= _ID, overflow="fold")
    for line in zip(*cells.values(), strict=True):
        table.add_row(*map(Text, line))
    console.print(table)
    if left_out:
        click.echo(f"Left out for the width: {', '.join(left_out)}; --json has all.", err=True)


_ID: Final = 36
"""So long is the id of a run: longer texts may be broken over lines, ids not."""


def _width(cells: Mapping[str, Sequence[str]]) -> int:
    """How wide a table is, its texts broken over lines."""
    widest = [max(len(column), *map(len, texts)) for column, texts in cells.items()]
    return sum(width if width <= _ID else _ID // 2 for width in widest) + 2 * len(cells)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return printable(str(value).replace("\t", " ").replace("\n", " "))
