"""How the answer of `modeltrail why` looks to a person: what moved, the likely causes, what is ruled out."""

import shutil
import textwrap
from pathlib import Path
from typing import Any, Final

import click

from modeltrail_collector.answers.why.code import diff_lines
from modeltrail_collector.cli.trail import bold, coloured, dim, ended, label, time
from modeltrail_schemas.printable import all_printable, printable
from modeltrail_schemas.words import counted

_COLOURS: Final = {"strong": "red", "possible": "yellow", "unlikely": "white"}
_UNLIKELY_TOLD: Final = 3
_FIGURES_TOLD: Final = 12
_DIFF_LINES: Final = 24
_DIFF_SPARED: Final = 8
"""A diff is cut where that saves more lines than these."""


def print_why(answer: dict[str, Any], *, with_diff: bool) -> None:
    """Print the answer of `answers.why`; `with_diff` prints all of the code's diff, else its beginning."""
    diff = answer["changes"]["code"]["diff"]
    answer = all_printable(answer)
    before, after = answer["before"], answer["after"]
    click.echo(f"{bold(before['label'] + ' → ' + after['label'])}  {dim(answer['chosen']['reason'])}")
    click.echo(dim(f"created {time(before['created_at'])} and {time(after['created_at'])}"))
    _print_notes(answer["notes"])
    _print_figures(answer["figures"])
    _print_causes(answer["causes"])
    _print_list("Ruled out: the same on both sides", answer["unchanged"])
    _print_list("Not recorded: cannot be ruled out", answer["not_recorded"])
    if diff:
        came = answer["changes"]["code"]["diff_from"]
        _print_diff(diff, came, _moved(answer["changes"]["data"]), whole=with_diff)


def _print_notes(notes: list[str]) -> None:
    for note in notes:
        _wrapped(note, "")


def _print_figures(rows: list[dict[str, Any]]) -> None:
    both = [row for row in rows if row["before"] is not None or row["after"] is not None]
    if not both:
        return
    click.echo(f"\n{bold('What moved')}")
    shown = both[:_FIGURES_TOLD]
    lines = [_figure_line(row) for row in shown]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    for row, line in zip(shown, lines, strict=True):
        cells = [cell.ljust(width) if at < 2 else cell.rjust(width)
                 for at, (cell, width) in enumerate(zip(line, widths, strict=False))]  # fmt: skip
        click.echo(f"  {cells[0]}  {dim(cells[1])}  {cells[2]} → {cells[3]}  {cells[4]}{_verdict(row)}")
    if len(both) > len(shown):
        click.echo(dim(f"  {len(both) - len(shown)} more figures: --json"))


def _figure_line(row: dict[str, Any]) -> tuple[str, ...]:
    where = [label("file", row["dataset"])] if row["dataset"] else [row["split"] or "of the run"]
    rows = dict.fromkeys(f"{row[side]:,}" for side in ("rows_before", "rows") if row[side] is not None)
    where += [f"({' → '.join(rows)} rows)"] if rows else []
    where += [row["slice"]] if row["slice"] else []
    delta = row["delta"]
    moved = "" if delta is None else "=" if not delta else f"{delta:+.4g}"
    text = " ".join(where)
    text = text if len(text) <= 48 else "…" + text[-47:]
    return row["name"][:32], text, _number(row["before"]), _number(row["after"]), moved


def _verdict(row: dict[str, Any]) -> str:
    said = []
    if row["better"] is not None:
        said.append(coloured("better", "green") if row["better"] else coloured("worse", "red"))
    if row["dataset_before"] and not row["same_data"]:
        said.append(dim(f"before on {label('file', row['dataset_before'])}"))
    elif row["same_data"] is False:
        said.append(coloured("on other data", "yellow"))
    for word, side in (("before ", "before"), ("", "after")):
        if row["source"] == "evaluation" and (how := ended(row[f"state_{side}"])):
            said.append(coloured(f"{word}by a run that {how}", "yellow"))
    return f"  {', '.join(said)}" if said else ""


def _number(value: Any) -> str:
    if value is None:
        return "not recorded"
    return value if isinstance(value, str) else f"{value:.4g}"


def _print_causes(causes: list[dict[str, Any]]) -> None:
    if not causes:
        return
    click.echo(f"\n{bold('Likely causes')}")
    told = [cause for cause in causes if cause["strength"] != "unlikely"]
    unlikely = [cause for cause in causes if cause["strength"] == "unlikely"]
    for cause in told + unlikely[:_UNLIKELY_TOLD]:
        _print_cause(cause)
    if len(unlikely) > _UNLIKELY_TOLD:
        click.echo(dim(f"  {len(unlikely) - _UNLIKELY_TOLD} more unlikely ones: --json"))


def _print_cause(cause: dict[str, Any]) -> None:
    strength = coloured(cause["strength"].ljust(8), _COLOURS[cause["strength"]])
    subject = label("file", cause["subject"]) if cause["subject"].startswith("/") else cause["subject"]
    what = "" if cause["what"] == cause["subject"] else cause["what"]
    fits = len(f"{cause['kind']}: {subject}  {what}") + 14 <= _width()
    head = f"  {cause['rank']} {strength}  {cause['kind']}: {bold(subject)}"
    click.echo(f"{head}  {what}" if what and fits else head)
    if what and not fits:
        _wrapped(what, " " * 14)
    for mark, entries in (("+", cause["evidence"]), ("-", cause["against"])):
        for entry in entries:
            text = entry["text"].replace(f"{Path.cwd()}/", "")
            _wrapped(text + _sources(entry["sources"]), " " * 14, f"{' ' * 12}{mark} ")


def _sources(sources: list[dict[str, Any]]) -> str:
    places = dict.fromkeys(f"{one['topic']}/{one['partition']}@{one['offset']}" for one in sources)
    return f"  [{', '.join(places)}]" if places else ""


def _print_list(title: str, sentences: list[str]) -> None:
    if not sentences:
        return
    click.echo(f"\n{bold(title)}")
    for sentence in sentences:
        _wrapped(sentence.replace(f"{Path.cwd()}/", ""), "    ", "  ")


def _print_diff(diff: str, diff_from: str, names: set[str], *, whole: bool) -> None:
    came = {
        "repository": "made in this repository from both recorded states",
        "recorded": "as recorded",
        "parts": "of the two recorded uncommitted changes, as texts",
    }[diff_from]
    click.echo(f"\n{bold('Diff of the code')}  {dim(came)}")
    lines = diff.splitlines()
    told = lines if whole else _in_short(diff, names)
    for line in told:
        colour = {"+": "green", "-": "red"}.get(line[:1])
        text = printable(line.expandtabs())
        click.echo(f"  {coloured(text, colour) if colour else dim(text)}")
    if len(told) < len(lines):
        click.echo(dim(f"  {counted(len(lines) - len(told), 'more line')}: --diff"))


def _moved(data: list[dict[str, Any]]) -> set[str]:
    """The columns that moved, came or went, in any data."""
    lists = [[*pair["columns_added"], *pair["columns_removed"]] for pair in data]
    return {name for names in lists for name in names} | {
        one["column"] for pair in data for one in pair["drift"]
    }


def _in_short(diff: str, names: set[str]) -> list[str]:
    """All of a diff that is not much longer; else the lines that changed, first where they name these."""
    lines = diff.splitlines()
    if len(lines) <= _DIFF_LINES + _DIFF_SPARED:
        return lines
    head, hunks = "", []
    for kind, line in diff_lines(diff):
        if kind == "hunk":
            hunks.append((head, [line]))
        elif kind == "body" and line[:1] in {"+", "-"} and hunks:
            hunks[-1][1].append(line)
        elif line.startswith("diff "):
            head = line
    hunks.sort(key=lambda hunk: not any(name in line for line in hunk[1] for name in names))
    told: list[str] = []
    for head, hunk in hunks:
        told += [*([] if head in told else [head]), *hunk]
    return told[:_DIFF_LINES]


def _wrapped(text: str, rest: str, first: str | None = None) -> None:
    lines = textwrap.wrap(
        text,
        _width(),
        initial_indent=rest if first is None else first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines:
        click.echo(line)


def _width() -> int:
    return shutil.get_terminal_size(fallback=(100, 24)).columns
