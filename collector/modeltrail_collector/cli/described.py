"""How a run, a job or a dataset looks to a person: what is known of it, then facet by facet what was said."""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import click

from modeltrail_collector.cli import story
from modeltrail_collector.cli.story import Line
from modeltrail_collector.cli.trail import began, bold, dim, duration, label, short
from modeltrail_schemas.printable import all_printable, printable
from modeltrail_schemas.words import counted

FACETS: Final = "facets"
_INDENT: Final = "  "
_GAP: Final = "  "
_SHOWN_LINES: Final = 12
_SHOWN_CELL: Final = 40
_ANY: Final = 1 << 30
_SHOWN_DATASETS: Final = 50
_SCOPES: Final = ("job", "run", "dataset", "input_facet", "output_facet", "input", "output")
_OF_THE_DATASET: Final = frozenset({"input", "output"})


def sections(answer: dict[str, Any]) -> list[str]:
    """What of an answer can be asked for alone: its entries, and of the facets each key."""
    keys = dict.fromkeys(facet["key"] for facet in answer.get(FACETS, ()))
    return [*(name for name in answer if name != FACETS), *keys]


def chosen(answer: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """These sections of an answer."""
    found = {name: answer[name] for name in names if name in answer and name != FACETS}
    facets = [facet for facet in answer.get(FACETS, ()) if facet["key"] in names]
    return found | ({FACETS: facets} if facets else {})


def print_described(answer: dict[str, Any], *, whole: bool) -> None:
    """Print an answer of `answers.described.find`, or some sections of it.

    Where it is not the whole that is asked for, what a run says of a dataset itself (its schema, its owner)
    is left to that dataset, and what is long is cut.
    """
    blank = False
    for name, value in answer.items():
        if name == FACETS:
            continue
        if blank:
            click.echo()
        blank = True
        told = _SECTIONS[name](all_printable(value or []))
        nothing = "its events are in the log no more" if value is None else "none"
        click.echo(bold(_HEADINGS.get(name, name)) + ("" if told else f"{_GAP}{dim(nothing)}"))
        story.print_lines(told)
    facets = answer.get(FACETS, ())
    shown = [
        facet for facet in facets if whole or "run" not in answer or facet["scope"] not in _OF_THE_DATASET
    ]
    for facet in sorted(shown, key=_order):
        if blank:
            click.echo()
        blank = True
        _print_facet(facet, whole=whole)
    if left := len(facets) - len(shown):
        click.echo(
            dim(f"\n{counted(left, 'facet')} of its datasets themselves: modeltrail show DATASET, or --json")
        )


def _order(facet: dict[str, Any]) -> tuple[Any, ...]:
    return _SCOPES.index(facet["scope"]), facet["key"].startswith("modelTrail_"), facet["key"]


def _print_facet(facet: dict[str, Any], *, whole: bool) -> None:
    value = facet["value"]
    of = [facet["scope"].removesuffix("_facet")]
    if facet["scope"].startswith(("input", "output")):
        of.append(label(printable(facet["namespace"]), printable(facet["name"])))
    capture = value.get("capture") if isinstance(value, dict) else None
    said = story.learned({"source": facet["source"], "capture": capture})
    click.echo(bold(printable(facet["key"])) + _GAP + dim(" ".join([*of, "·", printable(said)])))
    lines = [printable(_INDENT + line) for line in _lines(value)]
    shown = lines if whole else _cut([printable(_INDENT + line) for line in _lines(value, _SHOWN_CELL)])
    click.echo("\n".join(shown) if lines else dim(f"{_INDENT}nothing"))
    if shown != lines:
        left = len(lines) - len(shown)
        more = counted(left, "more line") if left else "cut"
        click.echo(dim(f"{_INDENT}… {more}: --section {printable(facet['key'])} shows all"))


def _cut(lines: list[str]) -> list[str]:
    """As many lines as are read at a glance, no wider than the terminal."""
    width = shutil.get_terminal_size().columns
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines[:_SHOWN_LINES]]


def _lines(value: Any, most: int = _ANY) -> list[str]:
    """Any JSON as lines; of a facet without the fields that every one has, of a cell `most` characters."""
    if not isinstance(value, dict):
        return _block(value, most)
    fields = {
        name: item
        for name, item in value.items()
        if name not in _EACH_HAS and item is not None and item not in ([], {})
    }
    if len(fields) == 1 and isinstance((only := next(iter(fields.values()))), str | list | dict):
        return _block(only, most)
    short_ones = {name: _text(item) for name, item in fields.items() if _is_short(item)}
    width = max(map(len, short_ones), default=0)
    lines = [f"{name.ljust(width)}{_GAP}{text}" for name, text in short_ones.items()]
    for name, item in fields.items():
        if name not in short_ones:
            lines += [name, *(_INDENT + line for line in _block(item, most))]
    return lines


_EACH_HAS: Final = ("_producer", "_schemaURL", "_deleted", "capture")


def _is_short(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return not isinstance(value, str) or "\n" not in value


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list) and "\n" not in str(value)


def _text(value: Any) -> str:
    """A value on one line."""
    match value:
        case str():
            return value
        case dict() if _is_short(value):
            return ", ".join(f"{name} {_text(item)}" for name, item in value.items() if item is not None)
        case list() if _is_short(value):
            return ", ".join(map(_text, value))
        case _:
            return json.dumps(value, ensure_ascii=False)


def _block(value: Any, most: int) -> list[str]:
    """A value on lines of its own: a text as it is, objects that are alike as a table."""
    if isinstance(value, str):
        return value.expandtabs(4).rstrip("\n").split("\n")
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return _table(value, most)
    if isinstance(value, list) and not _is_short(value):
        return [_text(item) for item in value]
    if isinstance(value, dict) and value and all(isinstance(item, dict) for item in value.values()):
        return _table([{"": name} | item for name, item in value.items()], most)
    return _lines(value, most) if isinstance(value, dict) else [_text(value)]


def _table(rows: list[dict[str, Any]], most: int) -> list[str]:
    """What something is called comes first, what is wide last: there it is cut."""
    names = dict.fromkeys(name for row in rows for name, item in row.items() if item is not None)
    columns = [[printable(name), *(_cell(row.get(name), most) for row in rows)] for name in names]
    called = next((name for name in _CALLED if name in names), None)
    columns.sort(key=lambda column: (column[0] != called, max(map(len, column))))
    laid = [[cell.ljust(max(map(len, column))) for cell in column] for column in columns]
    return [_GAP.join(cells).rstrip() for cells in zip(*laid, strict=True)]


_CALLED: Final = ("", "name", "key", "assertion")


def _cell(value: Any, most: int) -> str:
    text = "" if value is None else printable(" ".join(_text(value).split()))
    return text if len(text) <= most else text[: most - 1] + "…"


def _run(run: dict[str, Any]) -> list[Line]:
    return _runs([run])


def _runs(runs: Iterable[dict[str, Any]]) -> list[Line]:
    lines: list[Line] = []
    for run in runs:
        took = duration(run["started_at"], run["ended_at"])
        when = began(run) + (f" ({took})" if took else "")
        above = run["parent_job_name"] or run["parent_run_id"]
        error = (run["error"] or "").partition("\\n")[0][:80]
        cells = (run["job_name"], run["state"], when, f"run {run['run_id']}")
        lines.append((*cells, f"below {above}" if above else "", error, ""))
    return lines


def _named(thing: dict[str, Any]) -> list[Line]:
    known_as = ", ".join(name for _, name in thing.get("as", ()))
    last = f"known as {known_as}" if known_as else ""
    return [(thing["name"], f"in {thing['namespace']}", thing.get("kind", ""), last)]


def _copied(model: dict[str, Any]) -> list[Line]:
    return [(story.title(model), short(model["digest"]), f"run {model['run_id']}", "")]


def _datasets(rows: list[dict[str, Any]]) -> list[Line]:
    lines: list[Line] = [
        (
            label(row["namespace"], row["name"]),
            row["use"] or "",
            counted(row["rows"], "row") if row["rows"] is not None else "",
            short(row["version"] or row["fingerprint"] or ""),
            row["capture"] or "",
        )
        for row in rows[:_SHOWN_DATASETS]
    ]
    left = len(rows) - _SHOWN_DATASETS
    return [*lines, (f"and {left:,} more: --json", "", "", "", "")] if left > 0 else lines


_HEADINGS: Final = {
    "copy_of": "the same bytes as",
    "written_by": "written by",
    "read_by": "read by",
    "runs": "latest runs",
}
_SECTIONS: Final[dict[str, Callable[[Any], list[Line]]]] = {
    "run": _run,
    "job": _named,
    "dataset": _named,
    "copy_of": _copied,
    "runs": _runs,
    "written_by": _runs,
    "read_by": _runs,
    "inputs": _datasets,
    "outputs": _datasets,
}
