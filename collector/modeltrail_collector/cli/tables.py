"""`modeltrail compact` and `modeltrail rebuild`: from the log to the tables."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from modeltrail_collector.cli.output import (
    json_option,
    log_format_option,
    log_option,
    metrics_at,
    metrics_option,
    print_json,
    told_as_json,
)
from modeltrail_collector.cli.watch import check_metrics, interval_option
from modeltrail_collector.cli.watch import watch as watch_
from modeltrail_schemas.printable import printable
from modeltrail_schemas.words import counted

if TYPE_CHECKING:
    from modeltrail_collector.alerts.notices import Notice
    from modeltrail_collector.alerts.watch import Alerting
    from modeltrail_collector.log import Log
    from modeltrail_collector.tables import CompactResult, Progress
    from modeltrail_collector.telemetry.boards import TablesBoard


_TOLD_A_TURN = 200
"""Model versions: an old log that is watched for the first time has many, and the tables must not wait."""


@click.command()
@log_option
@json_option
@click.option("--watch", is_flag=True, help="Go on: compact whenever something new is sealed, until SIGTERM.")
@interval_option(30.0)
@click.option(
    "--alerts",
    metavar="FILE",
    type=click.Path(),
    help="After each turn ask the rules of this file (`modeltrail alert`), and deliver what begins and ends.",
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
    alerts: str | None,
) -> None:
    """Bring the tables up to the end of the log.

    Seals what lies in the log's inbox, then derives the tables (Delta, below LOG/tables) from what was
    sealed since the last time. Any number of these may run: they take turns.

    With --watch (or --changes) it also tells of each new model version what changed from the one before
    it, and the likely causes: an OpenLineage event of job modeltrail/model-changes in the log's local
    chain, which others can read as any other event. It is told once, whoever compacts and however often.

    Exit code 2 if there is no log; with --watch it waits for one.

    \b
    modeltrail compact
    modeltrail compact --changes
    modeltrail compact --log s3://ml/lineage --watch
    modeltrail compact --watch --metrics 9465 --log-format json
    modeltrail compact --watch --alerts alerts.toml
    """
    from modeltrail_collector.log import open_log
    from modeltrail_collector.telemetry.logs import configure

    check_metrics(metrics, watch=watch)
    configure(log_format)
    log = open_log(log_uri)
    if not watch:
        log.must_exist()
    tell = watch if changes is None else changes
    with told_as_json(log_format):
        alerting = _alerting(log, alerts, as_json=as_json) if alerts else None
        told = (_TOLD_A_TURN if watch else None) if tell else 0
        if watch:
            _watch(log, interval, metrics, told, alerting, as_json=as_json)
        else:
            _tell(_turn(log, told, alerting), as_json=as_json)


def _watch(
    log: "Log",
    interval: float,
    metrics: str | None,
    told: int | None,
    alerting: "Alerting | None",
    *,
    as_json: bool,
) -> None:
    from modeltrail_collector.telemetry.boards import TablesBoard

    board = TablesBoard(interval, alerts=alerting.status if alerting else None)

    def turn() -> "CompactResult":
        result = _turn(log, told, alerting)
        if metrics:
            _note(board, log, result)
        return result

    def done(result: "CompactResult") -> None:
        if result.segments or result.buckets:
            _tell(result, as_json=as_json)

    with metrics_at(metrics, board):
        watch_(log, lambda _: turn(), interval, done, board.failed)


def _note(board: "TablesBoard", log: "Log", result: "CompactResult") -> None:
    from modeltrail_collector.tables import newest_ingested_at, segments_behind

    newest = newest_ingested_at(log)
    board.compacted(result.records, segments_behind(log), newest.timestamp() if newest else None)


def _turn(log: "Log", told: int | None, alerting: "Alerting | None") -> "CompactResult":
    """What was compacted; what changed is told of at most `told` versions (None: all)."""
    from modeltrail_collector import findings, tables
    from modeltrail_collector.pump import seal_inbox

    seal_inbox(log)
    result: CompactResult
    if told == 0:
        result = tables.compact(log, on_progress=_progress())
    else:
        result = findings.compact_and_tell(log, most=told, on_progress=_progress())
    if alerting and alerting.turn():
        result = _sum(result, tables.compact(log))
    return result


@click.command()
@log_option
@json_option
def rebuild(log_uri: str, *, as_json: bool) -> None:
    """Derive all tables anew from the log.

    Mends a damaged table, and tables that an older modeltrail made by other rules: `modeltrail doctor` tells
    of both. Readers see each table as it was until its new version is whole. Nothing in the log changes.

    \b
    modeltrail rebuild
    modeltrail rebuild --log /srv/lineage --json
    """
    from modeltrail_collector import tables
    from modeltrail_collector.log import open_log

    log = open_log(log_uri)
    log.must_exist()
    _tell(tables.rebuild(log, on_progress=_progress()), as_json=as_json)


def _alerting(log: "Log", path: str, *, as_json: bool) -> "Alerting":
    """The rules of a file over this log; what begins and ends is printed as a line."""
    from modeltrail_collector.alerts.notices import payload
    from modeltrail_collector.alerts.watch import Alerting
    from modeltrail_collector.answers.firing import check
    from modeltrail_collector.answers.rules import read_rules

    def tell(notice: "Notice") -> None:
        if as_json:
            print_json(payload(notice))
        else:
            found = notice.finding
            click.echo(printable(f"{notice.status}  {found.severity}  {found.rule}  {found.message}"))

    rules = read_rules(path)
    check(rules)
    return Alerting(log, rules, tell)


def _sum(first: "CompactResult", then: "CompactResult") -> "CompactResult":
    import msgspec

    added = {name: getattr(first, name) + getattr(then, name) for name in then.__struct_fields__}
    return msgspec.structs.replace(first, **added)


def _tell(result: "CompactResult", *, as_json: bool) -> None:
    if as_json:
        print_json(result)
    elif not result.segments and not result.buckets:
        click.echo("The tables are up to date.")
    else:
        records = counted(result.records, "record")
        turned_away = f", {result.rejected:,} of them rejected" if result.rejected else ""
        click.echo(
            f"{records} of {counted(result.segments, 'segment')}{turned_away}; "
            f"{counted(result.buckets, 'bucket')} of the tables written."
        )
        if told := getattr(result, "changes", 0):
            click.echo(f"What changed was told of {counted(told, 'model version')}.")


def _progress() -> "Callable[[Progress], None] | None":
    """One line on a terminal that says where it is; nothing elsewhere."""
    if not sys.stderr.isatty():
        return None

    def tell(step: "Progress") -> None:
        match step.stage:
            case "read":
                text = f"{counted(step.rows, 'record')} read"
            case "part":
                text = f"deriving part {step.rows:,}"
            case table:
                text = f"writing {table}"
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)
        if step.stage == "models":
            click.echo("\r\x1b[K", nl=False, err=True)

    return tell
