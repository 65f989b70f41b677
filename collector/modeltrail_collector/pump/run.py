"""Run a pump until it is done or told to stop, and many of them side by side."""

import gc
import logging
import multiprocessing
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

import msgspec

from modeltrail_collector.errors import CollectorError, Unavailable
from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import Log, open_log
from modeltrail_collector.pump.pump import Limits, Pump
from modeltrail_collector.pump.stop import Stop
from modeltrail_collector.pump.totals import Status, Totals, total
from modeltrail_collector.relay import DeadLetters
from modeltrail_collector.relay.kafka import KafkaPublisher
from modeltrail_schemas.words import counted

_logger = logging.getLogger(__name__)

DRAIN_PAUSE_S = 1.0
REPORT_S = 1.0
LETTERS_S = 10.0
# At Python's own thresholds collections take a tenth of the time, and nearly everything is freed by counting.
GC_THRESHOLD = 50_000

Report = Callable[[Mapping[int, Status]], None]
"""Called about once a second with how each worker is; alone, a collector is worker 0."""


class Job(msgspec.Struct, frozen=True):
    """What one collector process does. `workers` are so many processes in all.

    `prepare` is called in each worker process at its start; it has to be a function of a module.
    """

    connection: Connection
    log_uri: str
    until_end: bool = False
    strict: bool = False
    workers: int = 1
    dead_letter_topic: str | None = None
    limits: Limits = Limits()
    prepare: Callable[[], None] | None = None


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
        reported = 0.0
        while not pump.done and stop.wanted is None:
            pump.turn()
            _count_letters(letters, pump.totals)
            if time.monotonic() - reported >= REPORT_S:
                reported = time.monotonic()
                report({index: pump.status()})
        _drain(pump, stop)
        _finish_letters(letters, pump.totals, LETTERS_S if stop.wanted is None else stop.left_s())
        report({index: pump.status()})
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


def _finish_letters(letters: DeadLetters | None, totals: Totals, patience_s: float) -> None:
    if letters is None:
        return
    if left := letters.finish(min(patience_s, LETTERS_S)):
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


def _drain(pump: Pump, stop: Stop) -> None:
    """Seal the rest; a store that is away is waited for as long as `stop` grants."""
    while True:
        try:
            pump.drain()
        except Unavailable as error:
            if stop.left_s() <= DRAIN_PAUSE_S:
                raise Unavailable(
                    f"{counted(pump.waiting, 'record', 'is', 'are')} read and not sealed; "
                    f"the next collector reads them again. {error}"
                ) from error
            time.sleep(DRAIN_PAUSE_S)
        else:
            return


def run_workers(job: Job, stop: Stop, report: Report) -> Totals:
    """Collect in `job.workers` processes. When one dies the others drain, and its error is raised here.

    Raises:
        CollectorError: A worker ended with an error; its exit code is this error's.
    """
    workers = _start(job, stop)
    statuses = {index: Status() for index in range(job.workers)}
    places = {pipe: index for index, pipe in enumerate(workers)}
    first_failure: BaseProcess | None = None
    open_ = set(workers)
    told = False
    while open_:
        for pipe in wait(open_, timeout=REPORT_S):
            assert isinstance(pipe, Pipe)  # noqa: S101  nothing else was waited for
            try:
                statuses[places[pipe]] = pipe.recv()
            except EOFError:
                open_.discard(pipe)
                workers[pipe].join()
                statuses[places[pipe]].alive = False
                if workers[pipe].exitcode and first_failure is None:
                    first_failure = workers[pipe]
        if (stop.wanted or first_failure) and not told:
            told = True
            for process in workers.values():
                if process.is_alive():
                    process.terminate()
        report(statuses)
    if first_failure is not None:
        raise _worker_error(first_failure)
    return total(statuses.values())


def _start(job: Job, stop: Stop) -> dict[Pipe, BaseProcess]:
    """The workers, each with our end of its pipe, in order."""
    context = multiprocessing.get_context("spawn")
    workers: dict[Pipe, BaseProcess] = {}
    for index in range(job.workers):
        ours, theirs = context.Pipe(duplex=False)
        process: BaseProcess = context.Process(
            target=_work, args=(job, index, theirs, stop.grace_s), name=f"collector-{index}"
        )
        process.start()
        theirs.close()
        workers[ours] = process
        stop.children.append(process)
    return workers


def _work(job: Job, index: int, pipe: Pipe, grace_s: float) -> None:
    """The body of a worker process: its exit code is the error's."""
    stop = Stop(grace_s)
    stop.install(interrupt=False)  # the terminal sends SIGINT to all; the parent tells us

    def report(statuses: Mapping[int, Status]) -> None:
        try:
            pipe.send(statuses[index])
        except OSError:
            stop.ask("the process that started this one is gone")

    try:
        if job.prepare:
            job.prepare()
        run(job, stop, report, index)
    except CollectorError as error:
        _logger.error("%s", error, extra={"event": "worker_failed"})  # noqa: TRY400  foreseen: the message says what to do
        raise SystemExit(error.exit_code) from error


def _worker_error(process: BaseProcess) -> CollectorError:
    code = process.exitcode or 0
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    error = CollectorError(
        f"the worker {process.name} (process {process.pid}) {how}; the others were stopped"
    )
    error.exit_code = 128 - code if code < 0 else code  # type: ignore[misc]  # its own, not the class's
    return error
