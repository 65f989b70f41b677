"""`modeltrail relay`: the log to any OpenLineage HTTP backend."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from modeltrail_collector.cli.output import (
    json_option,
    log_format_option,
    log_option,
    metrics_at,
    metrics_option,
    print_json,
    print_rows,
    told_as_json,
)
from modeltrail_collector.cli.watch import check_metrics, interval_option, until_sigterm
from modeltrail_collector.cli.watch import watch as watch_
from modeltrail_schemas.words import counted

if TYPE_CHECKING:
    from collections import Counter

    from modeltrail_collector.log import Log
    from modeltrail_collector.pump.beside import Beside
    from modeltrail_collector.relay.forward import Relay
    from modeltrail_collector.relay.status import RelayStatus

GROUP: Final = "modeltrail-relay"
API_KEY: Final = "MODELTRAIL_RELAY_API_KEY"
_TO_HELP: Final = "The backend, as http://marquez:5000, or its whole endpoint (it ends with /lineage)."


@click.group(invoke_without_command=True)
@click.option("--to", metavar="URL", help=_TO_HELP)
@log_option
@click.option(
    "--bootstrap-servers",
    metavar="HOST:PORT,…",
    help="Collect from this Kafka cluster into the log first; with --watch all the time.",
)
@click.option("--topic", help="The topic.  [default: openlineage.events]")
@click.option("--group", help="The consumer group of that collecting.  [default: modeltrail-relay]")
@click.option("--watch", is_flag=True, help="Go on: send whatever is new in the log, until SIGTERM.")
@interval_option(5.0)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(["run", "job", "dataset"]),
    help="Only RunEvents, JobEvents or DatasetEvents; may be given more than once.",
)
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    help="Only events of jobs in this namespace (of datasets, where an event is about one alone); "
    "may be given more than once.",
)
@click.option(
    "--guard",
    type=click.Choice(["marquez", "none"]),
    default="marquez",
    show_default=True,
    help="marquez: repair, or hold back, what a Marquez would refuse or be spoilt by; none: all as it came.",
)
@click.option(
    "--connections",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="How many events may be under way at once, each of another root job.",
)
@click.option("--rate", metavar="N", type=click.FloatRange(min=0.01), help="At most so many events a second.")
@metrics_option
@log_format_option
@json_option
@click.pass_context
def relay(  # noqa: PLR0917  click gives them by name
    context: click.Context,
    to: str | None,
    log_uri: str,
    bootstrap_servers: str | None,
    topic: str | None,
    group: str | None,
    interval: float,
    kinds: tuple[Any, ...],
    namespaces: tuple[str, ...],
    guard: Any,
    connections: int,
    rate: float | None,
    metrics: str | None,
    log_format: Any,
    *,
    watch: bool,
    as_json: bool,
) -> None:
    """Send the events of the log to an OpenLineage HTTP backend, as Marquez.

    Seals what lies in the log's inbox, then sends everything from where the last relay to this URL ended:
    each event at least once, those of a root job and all that is below it in order, others beside them.
    Rejected records and exact repeats are not sent. What is held back or refused stays in the log, and
    modeltrail relay status lists it. A backend that is away is tried again: for half a minute, with --watch
    for ever. The variable MODELTRAIL_RELAY_API_KEY holds a key, if the backend wants one.

    \b
    modeltrail relay --to http://marquez:5000
    modeltrail relay --to http://marquez:5000 --watch --metrics 9466 --log-format json
    modeltrail relay --to http://marquez:5000 --watch --bootstrap-servers localhost:9092
    modeltrail relay --to https://catalog.example.com/openlineage --guard none --namespace etl --kind run
    """
    if context.invoked_subcommand:
        return
    if not to:
        raise click.UsageError("Missing option '--to URL'.")
    check_metrics(metrics, watch=watch)
    from modeltrail_collector.log import open_log
    from modeltrail_collector.relay.parcels import Selection
    from modeltrail_collector.telemetry.logs import configure

    configure(log_format)
    with told_as_json(log_format):
        log, selection = open_log(log_uri), Selection(frozenset(kinds), frozenset(namespaces))
        how = {"guard": guard, "connections": connections, "rate": rate, "for_ever": watch}
        made = _relay(log, to, selection=selection, **how)
        with _collecting(log, bootstrap_servers, topic, group, until_end=not watch) as collector:
            work = partial(_watch, interval=interval, metrics=metrics) if watch else _once
            work(log, made, collector, as_json=as_json)


def _relay(log: "Log", to: str, *, connections: int, **settings: Any) -> "Relay":
    from modeltrail_collector.relay.backend import Backend
    from modeltrail_collector.relay.forward import Relay

    backend = Backend(to, os.environ.get(API_KEY, "").strip(), connections)
    return Relay(log, backend, connections=connections, **settings)


@contextmanager
def _collecting(
    log: "Log", servers: str | None, topic: str | None, group: str | None, *, until_end: bool
) -> Iterator["Beside | None"]:
    """What fills the log from a topic meanwhile, if there is one to relay."""
    if not servers:
        if topic or group:
            raise click.UsageError("--topic and --group go with --bootstrap-servers")
        yield None
        return
    from modeltrail_collector.config import kafka_config
    from modeltrail_collector.intake.kafka import Connection
    from modeltrail_collector.pump.beside import Beside
    from modeltrail_collector.pump.run import Job

    found = kafka_config(servers, topic, group or GROUP)
    connection = Connection(servers, found.topic.value, found.group.value, found.options)
    with Beside(Job(connection, log.uri, until_end=until_end)) as collector:
        yield collector


def _watch(
    log: "Log",
    made: "Relay",
    collector: "Beside | None",
    *,
    interval: float,
    metrics: str | None,
    as_json: bool,
) -> None:
    from modeltrail_collector.pump import seal_inbox
    from modeltrail_collector.telemetry.boards import RelayBoard

    def turn(stop: Any) -> "Counter[str]":
        seal_inbox(log)
        records = made.turn(stop)
        if collector:
            collector.check()
        return records

    board = RelayBoard(made.status)

    def done(records: "Counter[str]") -> None:
        board.worked()
        if records:
            _tell(made.status, records, as_json=as_json)

    with metrics_at(metrics, board):
        watch_(log, turn, interval, done, board.failed, upstream="store or Kafka")


def _once(log: "Log", made: "Relay", collector: "Beside | None", *, as_json: bool) -> None:
    from modeltrail_collector.pump import seal_inbox

    with until_sigterm() as stop, _progress() as tell:
        if collector:
            collector.wait(stop)
        else:
            log.must_exist()
        seal_inbox(log)
        records = made.turn(stop, tell)
    _tell(made.status, records, as_json=as_json)


def _tell(status: "RelayStatus", records: "Counter[str]", *, as_json: bool) -> None:
    if as_json:
        print_json({"records": records, "repaired": status.repaired, "behind": status.behind})
        return
    text = _counts(records) or "Nothing new"
    click.echo(f"{text}; {counted(status.behind, 'offset')} behind." if status.behind else f"{text}.")
    if records["held_back"] or records["refused"]:
        click.echo("What was not taken, and why: modeltrail relay status", err=True)


def _counts(records: Any) -> str:
    from modeltrail_collector.relay.progress import Outcome

    outcomes = [outcome for outcome in get_args(Outcome) if records.get(outcome)]
    return ", ".join(f"{records[outcome]:,} {outcome.replace('_', ' ')}" for outcome in outcomes)


@contextmanager
def _progress() -> Iterator[Callable[["RelayStatus"], None]]:
    """A bar on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("relaying", total=None)

        def tell(status: "RelayStatus") -> None:
            done = sum(status.records.values())
            progress.update(task, completed=done, total=done + status.behind)

        yield tell


@relay.command()
@click.option("--to", metavar="URL", help="Only of this backend.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="List at most so many of the events that are not there.",
)
@log_option
@json_option
def status(to: str | None, limit: int, log_uri: str, *, as_json: bool) -> None:
    """How far the log is relayed, what was repaired on the way, and what is not at the backend, and why.

    \b
    modeltrail relay status
    modeltrail relay status --to http://marquez:5000 --json
    """
    from modeltrail_collector.log import open_log
    from modeltrail_collector.relay.standing import standings

    log = open_log(log_uri)
    log.must_exist()
    found = standings(log, to, limit)
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo(f"{log_uri} was never relayed{' there' if to else ''}.", err=True)
    for one in found:
        behind = f"{counted(one['behind'], 'offset')} behind" if one["behind"] else "up to date"
        click.echo(f"{one['to']}  {behind}; {_counts(one['records'])}")
        repaired = [
            {"repair": rule, "events": known.events, "last": known.last}
            for rule, known in sorted(one["repaired"].items())
        ]
        for rows in (repaired, one["aside"]):
            if rows:
                click.echo()
                print_rows(rows, tuple(rows[0]), nothing="")


@relay.command()
@click.option("--to", metavar="URL", required=True, help=_TO_HELP)
@log_option
def reset(to: str, log_uri: str) -> None:
    """Forget how far the log is relayed to a backend: the next relay begins at the start of the log.

    For a backend that was made anew, or that takes today what it refused. To send a run again, in order,
    leaves a Marquez as it was. Nothing in the log changes.

    \b
    modeltrail relay reset --to http://marquez:5000
    """
    from modeltrail_collector.log import open_log
    from modeltrail_collector.relay.progress import folder_of, forget

    forget(open_log(log_uri), folder_of(to))
    click.echo("The next relay begins at the start of the log.")
