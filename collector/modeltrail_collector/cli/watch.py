"""`--watch`: turn after turn, until SIGTERM; a store that is away is waited for."""

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from modeltrail_collector.errors import Unavailable
from modeltrail_collector.log import Log
from modeltrail_collector.pump.notices import Outage

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])

_logger = logging.getLogger(__name__)


def interval_option(default: float) -> Callable[[Function], Function]:
    """`--interval SECONDS`: how often `--watch` looks."""
    return click.option(
        "--interval",
        metavar="SECONDS",
        type=click.FloatRange(min=0.05),
        default=default,
        show_default=True,
        help="How often --watch looks.",
    )


def check_metrics(metrics: str | None, *, watch: bool) -> None:
    """Raises UsageError where nobody would be there to be asked."""
    if metrics and not watch:
        raise click.UsageError("--metrics needs --watch: there is nobody to ask when it has ended")


def watch(
    log: Log,
    turn: Callable[[threading.Event], T],
    interval: float,
    done: Callable[[T], None],
    failed: Callable[[str], None],
    *,
    upstream: str = "store",
) -> None:
    """Turn after turn until SIGTERM; a turn that has begun is finished, or sees the event and ends.

    What is away is waited for.

    Args:
        log: The log, for what is said.
        turn: The work; it may look at the event that SIGTERM sets.
        interval: How long to wait between two, in seconds.
        done: What to do with what came of it.
        failed: What to do when something is away.
        upstream: What that may be.
    """
    with until_sigterm() as stop:
        text = f"Looking every {interval:g} s; Ctrl-C or SIGTERM ends it."
        if _logger.isEnabledFor(logging.INFO):
            _logger.info(text, extra={"event": "watching", "log": log.uri})
        else:
            click.echo(text, err=True)
        outage: Outage | None = None
        while not stop.is_set():
            try:
                result = turn(stop)
            except Unavailable as error:
                outage = outage or Outage(upstream, time.monotonic(), time.time())
                outage.failed(time.monotonic(), str(error), f"trying again in {interval:g} s")
                failed(str(error))
            else:
                if outage:
                    outage.ended(time.monotonic())
                    outage = None
                done(result)
            stop.wait(interval)


@contextlib.contextmanager
def until_sigterm() -> Iterator[threading.Event]:
    """An event that SIGTERM sets, within the block."""
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
