"""Run a pump until it is done or told to stop, and many of them side by side."""

import gc
import logging
import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType

import msgspec

from modeltrail_collector.errors import CollectorError, Unavailable
from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import Log, open_log
from modeltrail_collector.pump.pump import Limits, Pump
from modeltrail_collector.pump.totals import Totals
from modeltrail_collector.relay import DeadLetters
from modeltrail_collector.relay.kafka import KafkaPublisher

_logger = logging.getLogger(__name__)

DRAIN_ATTEMPTS = 3
REPORT_S = 1.0
LETTERS_S = 10.0
# At Python's own thresholds collections take a tenth of the time, and nearly everything is freed by counting.
GC_THRESHOLD = 50_000

Report = Callable[[Totals, int], None]
"""Called about once a second with what is sealed and how many records wait."""


class Job(msgspec.Struct, frozen=True):
    """What one collector process does. `workers` are so many processes in all."""

    connection: Connection
    log_uri: str
    until_end: bool = False
    strict: bool = False
    workers: int = 1
    dead_letter_topic: str | None = None
    limits: Limits = Limits()


class Stop:
    """SIGTERM and SIGINT ask for an orderly end: what is read is sealed first."""

    def __init__(self) -> None:
        self.wanted: int | None = None

    def install(self) -> None:
        """Listen to the signals."""
        signal.signal(signal.SIGTERM, self._note)
        signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.wanted = number


def run(job: Job, stop: Stop, report: Report, index: int = 0) -> Totals:
    """Collect in this process until the end (`until_end`) or until told to stop; then drain.

    Raises:
        CollectorError: It cannot go on; what was sealed before stays.
    """
    connection = job.connection.of_worker(index) if job.workers > 1 else job.connection
    source = KafkaSource(connection, (index, job.workers) if job.until_end else None)
    log = open_log(job.log_uri)
    letters = _letters(job, log)
    try:
        pump = Pump(
            source, log, until_end=job.until_end, strict=job.strict, limits=job.limits, letters=letters
        )
        _calm_the_collector()
        reported = time.monotonic()
        while not pump.done and stop.wanted is None:
            pump.turn()
            _count_letters(letters, pump.totals)
            if time.monotonic() - reported >= REPORT_S:
                reported = time.monotonic()
                report(pump.totals, pump.waiting)
        _drain(pump)
        _finish_letters(letters, pump.totals)
        report(pump.totals, pump.waiting)
        return pump.totals
    finally:
        source.close()
        if letters is not None:
            letters.close()


def _letters(job: Job, log: Log) -> DeadLetters | None:
    topic = job.dead_letter_topic
    return DeadLetters(log, KafkaPublisher(job.connection, topic), topic) if topic else None


def _count_letters(letters: DeadLetters | None, totals: Totals) -> None:
    if letters is not None:
        totals.letters, totals.letters_failures = letters.published, letters.failures
        totals.letters_behind = letters.behind


def _finish_letters(letters: DeadLetters | None, totals: Totals) -> None:
    if letters is None:
        return
    if left := letters.finish(LETTERS_S):
        _logger.warning(
            "%d sealed offsets are not looked through for dead letters yet: the next collector that is "
            "started with --dead-letter-topic goes on there",
            left,
        )
    _count_letters(letters, totals)


def _calm_the_collector() -> None:
    """What is loaded by now lives to the end: never look at it again; look at the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)


def _drain(pump: Pump) -> None:
    for attempt in range(1, DRAIN_ATTEMPTS + 1):
        try:
            pump.drain()
        except Unavailable:
            if attempt == DRAIN_ATTEMPTS:
                raise
            time.sleep(attempt)
        else:
            return


def run_workers(job: Job, stop: Stop, report: Report) -> Totals:
    """Collect in `job.workers` processes. When one dies the others drain, and its error is raised here.

    Raises:
        CollectorError: A worker ended with an error; its exit code is this error's.
    """
    context = multiprocessing.get_context("spawn")
    workers: dict[Pipe, BaseProcess] = {}
    for index in range(job.workers):
        ours, theirs = context.Pipe(duplex=False)
        process: BaseProcess = context.Process(
            target=_work, args=(job, index, theirs), name=f"collector-{index}"
        )
        process.start()
        theirs.close()
        workers[ours] = process
    sums = dict.fromkeys(workers, (Totals(), 0))
    first_failure: BaseProcess | None = None
    open_ = set(workers)
    told = False
    while open_:
        for pipe in wait(open_, timeout=REPORT_S):
            assert isinstance(pipe, Pipe)  # noqa: S101  nothing else was waited for
            try:
                sums[pipe] = pipe.recv()
            except EOFError:
                open_.discard(pipe)
                workers[pipe].join()
                if workers[pipe].exitcode and first_failure is None:
                    first_failure = workers[pipe]
        if (stop.wanted or first_failure) and not told:
            told = True
            for process in workers.values():
                if process.is_alive():
                    process.terminate()
        report(*_sum(list(sums.values())))
    if first_failure is not None:
        raise _worker_error(first_failure)
    return _sum(list(sums.values()))[0]


def _sum(all_: list[tuple[Totals, int]]) -> tuple[Totals, int]:
    total = Totals()
    for totals, _ in all_:
        total.add(totals)
    return total, sum(waiting for _, waiting in all_)


def _work(job: Job, index: int, pipe: Pipe) -> None:
    """The body of a worker process: its exit code is the error's."""
    stop = Stop()
    stop.install()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent tells us
    try:
        run(job, stop, lambda totals, waiting: pipe.send((totals, waiting)), index)
    except CollectorError as error:
        _logger.error("%s", error)  # noqa: TRY400  foreseen: the message says what to do
        raise SystemExit(error.exit_code) from error


def _worker_error(process: BaseProcess) -> CollectorError:
    code = process.exitcode or 0
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    error = CollectorError(
        f"the worker {process.name} (process {process.pid}) {how}; the others were stopped"
    )
    error.exit_code = 128 - code if code < 0 else code  # type: ignore[misc]  # its own, not the class's
    return error
