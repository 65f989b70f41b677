"""`modeltrail compact` and `modeltrail rebuild`: from the log to the tables."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from modeltrail_collector.cli.output import (
    json_option,
    log_format_option,
    log_option,
    metrics_option,
    print_json,
    told_as_json,
)
from modeltrail_collector.cli.watch import watch as watch_

if TYPE_CHECKING:
    from modeltrail_collector.tables import CompactResult, Progress


_TOLD_A_TURN = 200
"""Model versions: an old log that is watched for the first time has many, and the tables must not wait."""


@click.command()
@log_option
@json_option
@click.option("--watch", is_flag=True, help="Go on: compact whenever something new is sealed, until SIGTERM.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(min=0.05),
    default=30.0,
    show_default=True,
    help="How often --watch looks.",
)
@click.option(
    "--changes/--no-changes",
    default=None,
    help="Tell in the log, once of each new model version, what changed in it (facet modelTrail_changes). "
    "Done with --watch; without it only where asked for.",
)
@metrics_option
@log_format_option
def compact(
    log_uri: str,
    metrics: str | None,
    log_format: Any,
    *,
    as_json: bool,
    watch: bool,
    interval: float,
    changes: bool | None,
) -> None:
    """Bring the tables up to the end of the log.

    Seals what lies in the log's inbox, then derives the tables (Delta, below LOG/tables) from what was
    sealed since the last time. Any number of these may run: they take turns.

    With --watch (or --changes) it also tells of each new model version what changed from the one before
    it, and the likely causes: an OpenLineage event of job modeltrail/model-changes in the log's local
    chain, which others can read as any other event. It is told once, whoever compacts and however often.

    \b
    modeltrail compact
    modeltrail compact --changes
    modeltrail compact --log s3://ml/lineage --watch
    modeltrail compact --watch --metrics 9465 --log-format json
    """
    from modeltrail_collector import findings, tables
    from modeltrail_collector.log import open_log
    from modeltrail_collector.pump import seal_inbox
    from modeltrail_collector.telemetry.logs import configure

    if metrics and not watch:
        raise click.UsageError("--metrics needs --watch: there is nobody to ask when it has ended")
    configure(log_format)
    log = open_log(log_uri)
    tell = watch if changes is None else changes

    def turn() -> "CompactResult":
        seal_inbox(log)
        if not tell:
            return tables.compact(log, on_progress=_progress())
        most = _TOLD_A_TURN if watch else None
        return findings.compact_and_tell(log, most=most, on_progress=_progress())

    with told_as_json(log_format):
        if watch:
            watch_(log, turn, interval, metrics, lambda result: _tell(result, as_json=as_json))
        else:
            _tell(turn(), as_json=as_json)


@click.command()
@log_option
@json_option
def rebuild(log_uri: str, *, as_json: bool) -> None:
    """Derive all tables anew from the log.

    Readers see each table as it was until its new version is whole. Nothing in the log changes.

    \b
    modeltrail rebuild
    modeltrail rebuild --log /srv/lineage --json
    """
    from modeltrail_collector import tables
    from modeltrail_collector.log import open_log

    _tell(tables.rebuild(open_log(log_uri), on_progress=_progress()), as_json=as_json)


def _tell(result: "CompactResult", *, as_json: bool) -> None:
    if as_json:
        print_json(result)
    elif not result.segments and not result.buckets:
        click.echo("The tables are up to date.")
    else:
        records = _count(result.records, "record")
        turned_away = f", {result.rejected:,} of them rejected" if result.rejected else ""
        click.echo(
            f"{records} of {_count(result.segments, 'segment')}{turned_away}; "
            f"{_count(result.buckets, 'bucket')} of the tables written."
        )
        if told := getattr(result, "changes", 0):
            click.echo(f"What changed was told of {_count(told, 'model version')}.")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _progress() -> "Callable[[Progress], None] | None":
    """One line on a terminal that says where it is; nothing elsewhere."""
    if not sys.stderr.isatty():
        return None

    def tell(step: "Progress") -> None:
        text = f"{step.rows:,} records read" if step.stage == "read" else f"writing {step.stage}"
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)
        if step.stage == "models":
            click.echo("\r\x1b[K", nl=False, err=True)

    return tell
