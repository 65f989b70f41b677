"""`modeltrail as-of`: what was in production at a time."""

from datetime import UTC, datetime
from typing import Any

import click

from modeltrail_collector.cli.asking import asking, known_at_option
from modeltrail_collector.cli.output import json_option, log_option, print_json
from modeltrail_collector.cli.since import then
from modeltrail_schemas.words import counted


@click.command("as-of")
@click.argument("time", metavar="TIME", callback=then)
@click.argument("name", required=False)
@log_option
@json_option
@known_at_option
def as_of(
    time: datetime | None, name: str | None, log_uri: str, *, as_json: bool, known_at: datetime | None
) -> None:
    """Which model version answered where at a time, what made it and from what data.

    With a NAME only at the endpoint (name or URI) or of the model (NAME or NAME@VERSION) that is called so.

    TIME is now, a date (its midnight), a time (UTC where no zone is given) or how long ago: 12h, 7d. It is
    held against the times of events, however late they arrived; with --known-at only what the log held by
    then counts, also of what was to come: `now` means now.

    \b
    modeltrail as-of now
    modeltrail as-of 2026-03-01
    modeltrail as-of 2026-03-01T12:00:00Z --known-at 2026-03-02
    modeltrail as-of 7d churn --json
    """
    from modeltrail_collector import answers

    # What was known at a moment is not all of it over: that may speak of later ones, up to now.
    at = time if time or known_at is None else datetime.now(UTC)
    with asking(log_uri, at, known_at) as db:
        rows = answers.as_of(db, name)
        if as_json:
            print_json(rows)
        elif rows:
            _print(rows)
        else:
            what = f"No deployment of {name} was" if name else "No deployment was"
            known = f", as far as was known at {known_at:%Y-%m-%d %H:%M:%S} UTC" if known_at else ""
            click.echo(f"{what} in force {'then' if time else 'now'}{known}.", err=True)


def _print(rows: list[dict[str, Any]]) -> None:
    from modeltrail_collector.cli import trail
    from modeltrail_schemas.printable import all_printable

    for row in all_printable(rows):
        where = f"{row['endpoint'] or 'an endpoint not recorded'} ({row['platform'] or 'not recorded'})"
        version = trail.short(row["model_version"] or row["model_digest"] or "not recorded")
        name = row["model_name"] or "model not recorded"
        share = trail.of_traffic(row["traffic_percent"])
        click.echo(f"{row['environment'] or 'environment not recorded'}  {where}")
        click.echo(
            f"  {trail.bold(f'{name}@{version}')}  since {trail.time(row['since'])}{share and ' · ' + share}"
        )
        run = row["run"]
        if run is None:
            click.echo("  made by: not recorded")
            continue
        click.echo(f"  made by: {run['job_name']}  {trail.began(run)}  run {trail.short_run(run['run_id'])}")
        for data in run["data"] or [None]:
            click.echo(f"  from:    {_data(data) if data else 'data not recorded'}")


def _data(row: dict[str, Any]) -> str:
    from modeltrail_collector.cli import trail

    facts = [row["use"], counted(row["rows"], "row") if row["rows"] is not None else None]
    facts += trail.content(row) or ["version not recorded"]
    told = trail.dim(" · ".join(fact for fact in facts if fact))
    return f"{trail.label(row['namespace'], row['name'])}  {told}"
