"""Measuring sides against each other: each in its own process on one core, in turns, medians of the rounds.

A side is a function `setup(**arguments) -> prepare`, where `prepare(directory) -> work` gets an empty
directory for each round and `work() -> int` is what is measured: it returns how many events it did.
CPU seconds of the process are compared, all its threads on the one core: a neighbour on the machine or a slow
disk moves them less than wall time, which is shown beside them.
"""

import contextlib
import dataclasses
import importlib
import multiprocessing
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

Prepare = Callable[[Path], Callable[[], int]]

# One core each: a library's thread pool would only queue on it.
THREADS = (
    "OMP_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
    "POLARS_MAX_THREADS",
    "OPENBLAS_NUM_THREADS",
)


@dataclasses.dataclass(frozen=True)
class Side:
    """What to measure: `target` is `module:function` of a setup, `arguments` must be picklable."""

    name: str
    target: str
    arguments: Mapping[str, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Measure:
    """One round: seconds of CPU and of wall time."""

    events: int
    cpu: float
    wall: float
    peak_mb: float


@dataclasses.dataclass(frozen=True)
class Row:
    """A side's medians: microseconds per event, on one core."""

    side: str
    cpu_us: float
    wall_us: float
    events_per_second: float
    mb_per_second: float
    peak_mb: float
    spread: float
    ratio: float


@dataclasses.dataclass(frozen=True)
class Table:
    """One comparison; `ratio` of a row is its CPU time over that of the first side."""

    case: str
    what: str
    events: int
    rows: list[Row]


def cores() -> tuple[int | None, int | None]:
    """The core that is measured and the core of the broker; the same one where there is only one."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    available = sorted(os.sched_getaffinity(0))
    return available[-1], available[0]


def pin(core: int | None) -> None:
    """Keep this process, and what it starts, on one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def compare(case: str, what: str, sides: Sequence[Side], *, rounds: int, event_bytes: float) -> Table:
    """Measure all sides in turns; the first one is what the others are held against."""
    print(f"\n{case}: {what}", flush=True)
    measures: dict[str, list[Measure]] = {side.name: [] for side in sides}
    with contextlib.ExitStack() as stack:
        workers = [(side.name, stack.enter_context(_worker(side))) for side in sides]
        for _ in range(rounds):
            for name, connection in workers:
                connection.send("round")
                measures[name].append(_answer(name, connection))
    rows = [_row(name, taken, event_bytes) for name, taken in measures.items()]
    rows = [dataclasses.replace(row, ratio=row.cpu_us / rows[0].cpu_us) for row in rows]
    table = Table(case, what, measures[sides[0].name][0].events, rows)
    print(render(table), flush=True)
    return table


def _row(name: str, taken: Sequence[Measure], event_bytes: float) -> Row:
    cpu = [measure.cpu / measure.events * 1e6 for measure in taken]
    wall = [measure.wall / measure.events * 1e6 for measure in taken]
    middle = statistics.median(cpu)
    return Row(
        side=name,
        cpu_us=middle,
        wall_us=statistics.median(wall),
        events_per_second=1e6 / middle,
        mb_per_second=event_bytes / middle,
        peak_mb=max(measure.peak_mb for measure in taken),
        spread=(max(cpu) - min(cpu)) / middle,
        ratio=1.0,
    )


def render(table: Table) -> str:
    """The table as text; `x` is the CPU time over that of the first side."""
    head = ["us/event", "wall", "events/s", "MB/s", "RSS MB", "spread", "x"]
    lines = [" " * 60 + "".join(f"{name:>10}" for name in head)]
    for row in table.rows:
        figures = [
            f"{row.cpu_us:.1f}",
            f"{row.wall_us:.1f}",
            f"{row.events_per_second:.0f}",
            f"{row.mb_per_second:.0f}",
        ]
        figures += [f"{row.peak_mb:.0f}", f"{row.spread:.0%}", f"{row.ratio:.2f}"]
        lines.append(f"  {row.side:58}" + "".join(f"{figure:>10}" for figure in figures))
    return "\n".join(lines)


@contextlib.contextmanager
def _worker(side: Side) -> Iterator[Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(side, theirs, cores()[0]), daemon=True)
    process.start()
    theirs.close()
    try:
        _answer(side.name, ours)
        yield ours
        ours.send("end")
        process.join(30)
    finally:
        process.kill()
        process.join()


def _answer(name: str, connection: Connection) -> Measure:
    try:
        said = connection.recv()
    except EOFError:
        raise RuntimeError(f"{name}: its process died; see above") from None
    if isinstance(said, str):
        raise RuntimeError(f"{name} failed:\n{said}")  # noqa: TRY004  the text of its traceback
    return said


def _serve(side: Side, connection: Connection, core: int | None) -> None:
    """The life of a side's process: set up, then one round for each message."""
    try:
        pin(core)
        os.environ.update(dict.fromkeys(THREADS, "1"))
        module, _, function = side.target.partition(":")
        prepare = getattr(importlib.import_module(module), function)(**side.arguments)
        connection.send(None)
        while connection.recv() == "round":
            connection.send(_round(prepare))
    except Exception:
        connection.send(traceback.format_exc())


def _round(prepare: Prepare) -> Measure:
    directory = Path(tempfile.mkdtemp(prefix="modeltrail-bench-"))
    try:
        work = prepare(directory)
        cpu, wall = time.process_time(), time.perf_counter()
        events = work()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return Measure(events, cpu, wall, _peak_mb())


def _peak_mb() -> float:
    """The process's own peak: Linux's getrusage starts from the parent's, whose pages are gone after exec."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
