"""`modeltrail compact --watch`: turn after turn, and how it says what it does."""

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from modeltrail_collector.errors import Unavailable
from modeltrail_collector.log import Log
from modeltrail_collector.pump.notices import Outage

if TYPE_CHECKING:
    from modeltrail_collector.alerts.status import AlertsStatus
    from modeltrail_collector.tables import CompactResult
    from modeltrail_collector.telemetry.boards import TablesBoard

_logger = logging.getLogger(__name__)


def watch(
    log: Log,
    turn: Callable[[], "CompactResult"],
    interval: float,
    metrics: str | None,
    tell: Callable[["CompactResult"], None],
    *,
    alerts: "AlertsStatus | None" = None,
) -> None:
    """Turn after turn until SIGTERM; a turn that has begun is finished.

    A store that is away is waited for.
    """
    with contextlib.ExitStack() as stack:
        board = stack.enter_context(_board(metrics, interval, alerts)) if metrics else None
        stop = stack.enter_context(_until_sigterm())
        text = f"Looking every {interval:g} s; Ctrl-C or SIGTERM ends it."
        if _logger.isEnabledFor(logging.INFO):
            _logger.info(text, extra={"event": "watching", "log": log.uri})
        else:
            click.echo(text, err=True)
        outage: Outage | None = None
        while not stop.is_set():
            try:
                result = turn()
                if board:
                    _note(board, log, result)
            except Unavailable as error:
                outage = outage or Outage("store", time.monotonic(), time.time())
                outage.failed(time.monotonic(), str(error), f"trying again in {interval:g} s")
                if board:
                    board.failed(str(error))
            else:
                if outage:
                    outage.ended(time.monotonic())
                    outage = None
                if result.segments or result.buckets:
                    tell(result)
            stop.wait(interval)


def _note(board: "TablesBoard", log: Log, result: "CompactResult") -> None:
    from modeltrail_collector.tables import newest_ingested_at, segments_behind

    newest = newest_ingested_at(log)
    board.compacted(result.records, segments_behind(log), newest.timestamp() if newest else None)


@contextlib.contextmanager
def _board(address: str, interval: float, alerts: "AlertsStatus | None") -> Iterator["TablesBoard"]:
    from modeltrail_collector.telemetry.boards import TablesBoard
    from modeltrail_collector.telemetry.server import serve

    board = TablesBoard(interval, alerts=alerts)
    with serve(address, board) as url:
        _logger.info("metrics at %s/metrics", url, extra={"event": "metrics", "url": url})
        yield board


@contextlib.contextmanager
def _until_sigterm() -> Iterator[threading.Event]:
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
