"""`modeltrail collect`: from the topic, or from files, into the log."""

import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

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
from modeltrail_schemas.words import counted

_logger = logging.getLogger(__name__)

INTERRUPTED = 130
LINE_S = 10.0


@click.command()
@click.option("--bootstrap-servers", metavar="HOST:PORT,…", help="The Kafka cluster.")
@click.option("--topic", help="The topic.  [default: openlineage.events]")
@click.option("--group", help="The consumer group to share the work with.  [default: modeltrail]")
@log_option
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes, each with partitions of its own.",
)
@click.option("--until-end", is_flag=True, help="Collect what is there now, then end.")
@click.option(
    "--from-files",
    "patterns",
    multiple=True,
    metavar="GLOB",
    help="Collect NDJSON files, or JSON files of one event each, instead of a topic; then end.",
)
@click.option(
    "--dead-letter-topic",
    metavar="NAME",
    help="Publish every rejected record there too, with the reason in its headers.",
)
@click.option("--strict", is_flag=True, help="Reject what would only be warned about.")
@metrics_option
@log_format_option
@json_option
def collect(  # noqa: PLR0917  click gives them by name
    bootstrap_servers: str | None,
    topic: str | None,
    group: str | None,
    log_uri: str,
    workers: int,
    patterns: tuple[str, ...],
    metrics: str | None,
    log_format: Any,
    dead_letter_topic: str | None,
    *,
    until_end: bool,
    strict: bool,
    as_json: bool,
) -> int:
    """Collect events into the log, every one exactly once.

    Goes on until it is stopped: SIGTERM and Ctrl-C seal what was read and end in order, within 25 seconds; a
    second one ends at once, which loses nothing either. Start it again, or on another machine, or many of
    them: the log itself knows how far it is. Broken events are kept too, with the verdict `rejected` and the
    reasons (`modeltrail rejected list`).

    \b
    modeltrail collect --bootstrap-servers localhost:9092
    modeltrail collect --until-end && modeltrail compact
    modeltrail collect --workers 4 --metrics 0.0.0.0:9464 --log-format json
    modeltrail collect --from-files 'events/*.json'
    """
    from modeltrail_collector.config import kafka_config
    from modeltrail_collector.telemetry.logs import configure

    started = time.monotonic()
    configure(log_format)
    _check_patterns(patterns, dead_letter_topic, metrics)
    interrupted = False
    with told_as_json(log_format):
        if patterns:
            totals = _collect_files(log_uri, patterns, strict=strict)
        else:
            found = kafka_config(bootstrap_servers, topic, group)
            more = {"dead_letter_topic": dead_letter_topic, "until_end": until_end, "strict": strict}
            job = _job(found, log_uri, workers, log_format, **more)
            with _reports(metrics, workers, log_format) as report:
                totals, interrupted = _collect_topic(job, report)
    _tell(totals, time.monotonic() - started, log_uri, as_json=as_json)
    return INTERRUPTED if interrupted else 0


def _check_patterns(patterns: tuple[str, ...], dead_letter_topic: str | None, metrics: str | None) -> None:
    """What goes with a topic only."""
    for option, value in (("--dead-letter-topic", dead_letter_topic), ("--metrics", metrics)):
        if patterns and value:
            raise click.UsageError(f"{option} goes with a topic, not with --from-files")


def _tell(totals: Any, seconds: float, log_uri: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**_as_dict(totals), "seconds": round(seconds, 3), "log": log_uri})
    else:
        click.echo(_summary(totals, seconds))


def _job(
    config: Any,
    log_uri: str,
    workers: int,
    log_format: Any,
    *,
    dead_letter_topic: Any,
    until_end: Any,
    strict: Any,
) -> Any:
    from modeltrail_collector.intake.kafka import Connection
    from modeltrail_collector.pump.run import Job
    from modeltrail_collector.relay.kafka import check_topic
    from modeltrail_collector.telemetry.logs import configure

    servers, name, group = config.bootstrap_servers, config.topic, config.group
    text = (
        f"Collecting {name.value} ({name.origin}) at {servers.value} ({servers.origin}) into {log_uri}, "
        f"group {group.value} ({group.origin})"
    )
    if log_format == "json":
        found = {
            "bootstrap_servers": servers.value,
            "topic": name.value,
            "group": group.value,
            "log": log_uri,
        }
        _logger.info(text, extra={"event": "collecting", **found, "workers": workers})
    else:
        click.echo(text, err=True)
    connection = Connection(servers.value, name.value, group.value, config.options)
    if dead_letter_topic:
        check_topic(dead_letter_topic, connection)
    return Job(
        connection,
        log_uri,
        until_end=until_end,
        strict=strict,
        workers=workers,
        dead_letter_topic=dead_letter_topic,
        prepare=partial(configure, log_format),
    )


def _collect_topic(job: Any, report: Any) -> tuple[Any, bool]:
    """What was collected, and whether Ctrl-C ended it."""
    from modeltrail_collector.pump.run import run, run_workers
    from modeltrail_collector.pump.stop import Stop

    stop = Stop()
    stop.install()
    totals = run(job, stop, report) if job.workers == 1 else run_workers(job, stop, report)
    return totals, stop.wanted == signal.SIGINT


def _collect_files(log_uri: str, patterns: tuple[str, ...], *, strict: bool) -> Any:
    from modeltrail_collector.log import open_log
    from modeltrail_collector.pump import seal_files

    return seal_files(open_log(log_uri), patterns, strict=strict)


@contextmanager
def _reports(metrics: str | None, workers: int, log_format: str) -> Iterator[Callable[[Any], None]]:
    """Everybody who wants to know how the workers are."""
    with ExitStack() as stack:
        reports = [stack.enter_context(_progress(log_format))]
        if metrics:
            from modeltrail_collector.telemetry.boards import CollectorBoard

            board = CollectorBoard(workers)
            stack.enter_context(metrics_at(metrics, board))
            reports.append(board.update)

        def tell(statuses: Any) -> None:
            for report in reports:
                report(statuses)

        yield tell


@contextmanager
def _progress(log_format: str) -> Iterator[Callable[[Any], None]]:
    """A live line on a terminal; elsewhere one line every ten seconds in which something happened."""
    if log_format == "json" or not sys.stderr.isatty():
        yield _Lines(log_format).report
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(Text("waiting for records"), console=Console(stderr=True), transient=True) as live:
        yield lambda statuses: live.update(Text(_state(*_sums(statuses))))


class _Lines:
    """Progress for a log file."""

    def __init__(self, log_format: str) -> None:
        self._json = log_format == "json"
        self._last = time.monotonic()
        self._said = ""

    def report(self, statuses: Any) -> None:
        totals, waiting = _sums(statuses)
        state = _state(totals, waiting)
        if time.monotonic() - self._last < LINE_S or state == self._said:
            return
        self._last, self._said = time.monotonic(), state
        if self._json:
            _logger.info(state, extra={"event": "progress", **_as_dict(totals), "waiting": waiting})
        else:
            click.echo(state, err=True)


def _sums(statuses: Any) -> tuple[Any, int]:
    from modeltrail_collector.pump import total

    return total(statuses.values()), sum(status.waiting_records for status in statuses.values())


def _state(totals: Any, waiting: int) -> str:
    return f"{_counts(totals)}; {waiting} not sealed yet"


def _counts(totals: Any) -> str:
    counts = (
        f"{counted(totals.records, 'record')} ({totals.accepted} accepted, {totals.warned} warned, "
        f"{totals.rejected} rejected) in {counted(totals.segments, 'segment')}"
    )
    return f"{counts}, {counted(totals.missing, 'offset')} missing" if totals.missing else counts


def _summary(totals: Any, seconds: float) -> str:
    return f"Collected {_counts(totals)} in {seconds:.1f} s"


def _as_dict(totals: Any) -> dict[str, Any]:
    import msgspec

    return msgspec.structs.asdict(totals)
