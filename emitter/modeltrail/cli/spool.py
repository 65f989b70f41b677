"""`modeltrail spool`: what waits to be delivered, and its delivery."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from modeltrail import settings
from modeltrail.cli import configured
from modeltrail.errors import DeliveryError
from modeltrail.transports.drain import Drain
from modeltrail.transports.kafka_options import KafkaOptions
from modeltrail.transports.producer import Producer
from modeltrail.transports.spool import REFUSED, Backlog, Spool, backlog, collect_command
from modeltrail_schemas.words import counted

EXIT_NO, EXIT_UNREACHABLE = 1, 4


@click.group()
def spool() -> None:
    """Look at events that wait to be delivered, and deliver them.

    \b
    modeltrail spool status
    modeltrail spool flush
    """


@spool.command()
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def status(*, as_json: bool) -> None:
    """Show what waits, destination by destination, and what to do about it.

    Events of a process that runs are counted too: that process delivers them.

    \b
    modeltrail spool status
    """
    found = _found()
    if as_json:
        click.echo(json.dumps([_plain(path, waiting) for path, waiting in found.items()]))
        return
    if not found:
        click.echo(f"Nothing waits in {settings.current().spool}.")
    flushed = {options.spool for options in _configured()}
    for path, waiting in found.items():
        events = f"{counted(waiting.events, 'event')} ({waiting.bytes} bytes)"
        click.echo(f"{path}\n  {events} wait, {waiting.refused} are refused")
        if waiting.events:
            how = "modeltrail spool flush" if path in flushed else collect_command(path)
            click.echo(f"  -> {how}")
        if waiting.refused:
            click.echo(f"  -> {collect_command(path / REFUSED)}")


@spool.command()
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), help="Seconds for all of it.  [default: none]"
)
@click.pass_context
def flush(context: click.Context, *, as_json: bool, timeout: float | None) -> None:
    """Deliver what ended processes left to the configured Kafka.

    A running process keeps what is its own. What Kafka will never take (an event over the topic's limit) is
    put aside, beside the spool.

    Exit code 0: nothing waits any more. 1: something does, or was put aside. 4: Kafka cannot be reached.

    \b
    modeltrail spool flush
    """
    ends = time.monotonic() + timeout if timeout else float("inf")
    sent, aside, failures = 0, 0, []
    for options in _configured():
        try:
            done, refused_now = _flush(options, ends, quiet=as_json)
            sent += done
            aside += refused_now
        except DeliveryError as error:
            failures.append(str(error))
    left = list(_found().values())
    waiting, refused = sum(each.events for each in left), sum(each.refused for each in left)
    if as_json:
        click.echo(json.dumps({"sent": sent, "waiting": waiting, "refused": refused, "failures": failures}))
    else:
        click.echo(f"sent {counted(sent, 'event')}, {waiting} wait, {refused} are refused")
        for failure in failures:
            click.echo(failure, err=True)
        if waiting and not failures:
            click.echo(
                "They belong to running processes or to another destination: modeltrail spool status",
                err=True,
            )
    if failures:
        context.exit(EXIT_UNREACHABLE)
    if waiting or aside:
        context.exit(EXIT_NO)


def _flush(options: KafkaOptions, ends: float, *, quiet: bool) -> tuple[int, int]:
    """How many events were sent, and how many put aside."""
    waiting = backlog(options.spool).events if options.spool.is_dir() else 0
    if not waiting:
        return 0, 0
    producer = Producer(options)
    drain = Drain(producer, Spool(options.spool))
    sent = 0
    try:
        with click.progressbar(
            length=waiting, label=f"To {options.topic}", file=sys.stderr, hidden=quiet
        ) as bar:
            while some := drain.abandoned(min(ends, time.monotonic() + options.timeout), bar.update):
                sent += some
    finally:
        drain.close()
        producer.close()
    return sent - drain.refused, drain.refused


def _configured() -> list[KafkaOptions]:
    """Where events are configured to go, as far as that is Kafka."""
    now = settings.current()
    return [
        KafkaOptions.from_dict(each, now)
        for each in configured.members(now.transport)
        if configured.is_kafka(each)
    ]


def _found() -> dict[Path, Backlog]:
    """What waits or was refused, by destination; also where the transport is told of another spool."""
    now = settings.current()
    places = {options.spool for options in _configured()}
    places |= {path for path in now.spool.glob("*") if path.is_dir()} if now.spool.is_dir() else set()
    found = {path: backlog(path) for path in sorted(places) if path.is_dir()}
    return {path: waiting for path, waiting in found.items() if waiting.events or waiting.refused}


def _plain(path: Path, waiting: Backlog) -> dict[str, Any]:
    return {"path": str(path), **msgspec.structs.asdict(waiting)}
