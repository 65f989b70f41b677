"""`modeltrail impact`: what learned from a dataset, and what an erasure comes to."""

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from modeltrail_collector.cli.asking import asking, past_options
from modeltrail_collector.cli.output import json_option, log_option, print_json, print_rows
from modeltrail_schemas.printable import printable

_SHOWN: Final = 4
"""So many of the contents of a path, the newest, are told on a line."""
_ACTIONS: Final = (
    "retrain what answers somewhere, withdraw it until then, and what answers nowhere; "
    "rewrite data that goes into what is retrained, delete the rest."
)


@click.command()
@click.argument("dataset", metavar="[DATASET[@VERSION]]", required=False)
@log_option
@json_option
@past_options
@click.option("--fingerprint", metavar="DIGEST", help="Only data of this content: its first digits do.")
@click.option("--column", metavar="NAME", help="Only what came of this column, where producers say.")
@click.option(
    "--subject",
    metavar="ID",
    help="Instead of a dataset, a person: the value of the id column that data was recorded with.",
)
@click.option(
    "--subjects-key",
    "subjects_keys",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    multiple=True,
    help="The key that pseudonyms of persons were made with; once more for each further key.",
)
@click.option(
    "--erase-plan",
    is_flag=True,
    help="Print what to retrain, withdraw, rewrite and delete so that nothing is left of the data.",
)
def impact(
    dataset: str | None,
    log_uri: str,
    *,
    as_json: bool,
    as_of: datetime | None,
    known_at: datetime | None,
    erase_plan: bool,
    **chosen: Any,
) -> int:
    """What learned from this data, directly or through others.

    Every run, dataset, model version and endpoint, and since when. A version of the data is what stands in
    its version facet, or the beginning of its fingerprint.

    With --subject what learned from data that held a person: a subject is never guessed from DATASET, so that
    no id is taken for a name. Data counts that was recorded with `subjects=`, see docs/erasure.md. Exit code
    1 if an index of subjects could not be looked into: it is named, and there may be more than is printed.

    \b
    modeltrail impact raw/customers.csv
    modeltrail impact raw/customers.csv@2026-03 --column income
    modeltrail impact --fingerprint 9f2c61
    modeltrail impact raw/customers.csv --erase-plan --json
    modeltrail impact --subject 4711 --subjects-key subjects.key --erase-plan
    """
    from modeltrail_collector import answers
    from modeltrail_collector.cli import spread

    asked = _asked(dataset, **chosen)
    ask = answers.erase_plan if erase_plan else answers.impact
    with asking(log_uri, as_of, known_at, far_back=True) as db:
        rows = ask(db, dataset, **asked)
        unread = [row for row in rows if row["kind"] == "index"]
        told = [row for row in rows if row["kind"] != "index"]
        if as_json:
            print_json(rows)
        elif unread and not told:
            click.echo("modeltrail: what learned from it is not known.", err=True)
        elif erase_plan:
            columns = ("action", "what", "version", "since")
            nothing = "No model is known to have learned from it."
            print_rows([_planned(row) for row in told], columns, nothing=nothing, spare=("since",))
        else:
            spread.print_spread(_called(dataset, **chosen), told)
        if not as_json:
            _tell_unsaid(chosen["column"], told, is_plan=erase_plan)
        for row in unread:
            click.echo(f"modeltrail: {_unread(row)}", err=True)
    return 1 if unread else 0


def _tell_unsaid(column: str | None, rows: list[dict[str, Any]], *, is_plan: bool) -> None:
    """What is to be read with the answer: what the actions mean, and what nobody recorded."""
    if is_plan and rows:
        click.echo(_ACTIONS)
    made = [row for row in rows if row["kind"] in {"dataset", "model"} and row["columns"] is None]
    if column is not None and made:
        names = ", ".join(dict.fromkeys(map(_called_here, made)))
        click.echo(printable(f"Whether {column} went into it is not recorded: {names}."))
    possible = [row for row in rows if row["kind"] in {"dataset", "model"} and row["possible"]]
    if possible:
        names = ", ".join(dict.fromkeys(map(_called_here, possible)))
        click.echo(printable(f"Possible: its run read the data, and what for was not seen: {names}."))
    several = [row for row in rows if row["kind"] == "model" and (row["of_run"] or 1) > 1]
    if several:
        names = ", ".join(dict.fromkeys(map(_called_here, several)))
        click.echo(printable(f"Made by a run of several models, which does not say what each took: {names}."))
    runs = [row for row in rows if row["kind"] == "run"]
    if is_plan:
        made = [row for row in rows if not row["recorded"] and row["kind"] != "endpoint"]
        _tell_unrecorded("Which content went into it", [_called_here(row) for row in made])
        other = ", ".join(_called_here(row) for row in rows if row.get("replaced_by"))
        if other:
            click.echo(printable(f"Holds something else by now, which did not come of it: {other}."))
    reading = [row["job_name"] for row in runs if not all(read["recorded"] for read in row["through"])]
    _tell_unrecorded("Which content it read", reading)


def _tell_unrecorded(what: str, names: list[str]) -> None:
    if names:
        told = ", ".join(dict.fromkeys(names))
        click.echo(printable(f"{what} is not recorded, it may be another: {told}."))


def _asked(
    dataset: str | None,
    *,
    fingerprint: str | None,
    column: str | None,
    subject: str | None,
    subjects_keys: tuple[Path, ...],
) -> dict[str, Any]:
    """The arguments of the question; one that is not asked is none."""
    if subject is None:
        if dataset is None and fingerprint is None:
            raise click.UsageError("Name a DATASET, a --fingerprint or a --subject.")
        if subjects_keys:
            raise click.UsageError("--subjects-key goes with --subject ID.")
        return {"fingerprint": fingerprint, "column": column}
    if dataset or fingerprint or column:
        raise click.UsageError("--subject stands alone: without DATASET, --fingerprint and --column.")
    if not subjects_keys:
        raise click.UsageError("--subject goes with --subjects-key FILE, which pseudonyms were made with.")
    return {"subject": subject, "subjects_key": subjects_keys}


def _called(dataset: str | None, *, fingerprint: str | None, subject: str | None, **_: object) -> str:
    return f"subject {subject}" if subject is not None else dataset or f"data with fingerprint {fingerprint}"


def _unread(row: dict[str, Any]) -> str:
    return printable(
        f"not complete: the index {row['uri']} of subjects in {row['name']} (run {row['run_id']}) was not "
        f"looked into: {row['problem']}. Put right what is wrong with it, as from a "
        "backup, and ask again; else ask who recorded that run"
    )


def _planned(row: dict[str, Any]) -> dict[str, Any]:
    from modeltrail_collector.cli import trail

    endpoint = row["kind"] == "endpoint"
    contents = row.get("contents") or [row["version"] or ""]
    return {
        "action": row["action"],
        "what": f"{row['model_name']} from endpoint {row['endpoint']}" if endpoint else _called_here(row),
        "version": ("…, " if len(contents) > _SHOWN else "")
        + ", ".join(map(trail.short, contents[-_SHOWN:])),
        "since": trail.time(row["since"]),
    }


def _called_here(row: dict[str, Any]) -> str:
    """A dataset or model as other answers call it."""
    from modeltrail_collector.cli import trail

    called: str = row["registered_name"] or trail.label(row["namespace"], row["name"])
    return called
