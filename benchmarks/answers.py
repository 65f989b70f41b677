"""How long the questions take: `python -m benchmarks.answers [--runs N]`.

A world of so many runs is generated once (see `world`) and kept for the next time. Each question is asked in
one warm process, of another thing each time; each command is started anew. Wall time includes what else the
machine does; CPU time is all threads of the asking process.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import modeltrail_collector
from benchmarks import world
from modeltrail_collector import answers
from modeltrail_collector.answers import Database
from modeltrail_collector.answers.rules import Forbidden, Metric, Rules
from modeltrail_collector.log import open_log

RUNS: Final = 1_000_000
TARGET_MS: Final = 100
COMMAND_TARGET_MS: Final = 1000
Ask = Callable[[Database, int], object]


def questions(runs: int) -> dict[str, Ask]:
    """Each question, asked of another thing each time."""
    often = world.parameters(runs)["often"]
    seldom = world.parameters(runs)["seldom"]

    def heavy(n: int) -> str:
        return f"models/p{n * 7 % often}"

    def light(n: int) -> str:
        return f"models/p{often + n * 7 % seldom}"

    return {
        "models: one of hundreds of versions, shown": lambda db, n: answers.show(
            db, f"{heavy(n)}@{n % 9 + 1}"
        ),
        "show: the newest version": lambda db, n: answers.show(db, light(n)),
        "trace: a model back to raw data": lambda db, n: answers.trace(db, light(n)),
        "trace: an endpoint": lambda db, n: answers.trace(db, f"endpoints/p{often + n * 7 % seldom}"),
        "trace: a dataset by its full name": lambda db, n: answers.trace(
            db, f"teams/t{(often + n) % 50}/p{often + n}/features.parquet"
        ),
        "trace: a chain of 20 runs": lambda db, n: answers.trace(db, f"chain/{20 + n % 5}.parquet"),
        "trace: a chain of 100 runs": lambda db, _: answers.trace(db, "chain/100.parquet"),
        "trace: a dataset by the end of its name": lambda db, n: answers.trace(
            db, f"p{often + n}/features.parquet"
        ),
        "changes: two versions": lambda db, n: answers.changes(db, f"{heavy(n)}@3", f"{heavy(n)}@4"),
        "why: two versions": lambda db, n: answers.why(db, f"{heavy(n)}@3", f"{heavy(n)}@4"),
        "reproduce: the newest version": lambda db, n: answers.reproduce(db, light(n)),
        "impact: a source": lambda db, n: answers.impact(db, f"raw/source_{n + 50}.csv"),
        "impact: a column": lambda db, n: answers.impact(db, f"p{often + n}/prepared.parquet", column="age"),
        "models: the newest 20": lambda db, _: answers.models(db, limit=20),
        "runs: the newest 20": lambda db, _: answers.runs(db, limit=20),
        "runs: the newest 20 of a job": lambda db, n: answers.runs(db, job=f"train-p{n}", limit=20),
        "as-of: now": lambda db, _: answers.as_of(db),
        "as-of: now, of a model": lambda db, n: answers.as_of(db, light(n)),
        "as-of: now, of an endpoint": lambda db, n: answers.as_of(db, f"endpoints/p{often + n * 7 % seldom}"),
        "alert: a figure of each version below a floor": lambda db, _: answers.alert(db, FLOOR),
        "alert: what learned from a forbidden source": lambda db, n: answers.alert(
            db, Rules(rule=[Forbidden(name="forbidden", dataset=f"raw/source_{n + 50}.csv", versions="all")])
        ),
        "sql: count of runs by state": lambda db, _: answers.sql(
            db, "SELECT state, count(*) AS n FROM runs GROUP BY state"
        ),
    }


FLOOR: Final = Rules(rule=[Metric(name="floor", metric="accuracy", below=0.5, versions="all")])
PAST: Final = ("show: the newest version", "trace: a model back to raw data", "as-of: now")
COMMANDS: Final = {
    "modeltrail --version": ["--version"],
    "modeltrail show": ["show", "models/p3@2"],
    "modeltrail trace": ["trace", "models/p3@2"],
    "modeltrail runs": ["runs", "--limit", "20"],
    "modeltrail as-of": ["as-of", "2025-06-01"],
    "modeltrail show --as-of": ["show", "models/p3", "--as-of", "2025-06-01"],
    "modeltrail sql": ["sql", "SELECT count(*) FROM runs"],
}


def _measure(name: str, rounds: int, ask: Callable[[int], object]) -> dict[str, Any]:
    wall, cpu = [], []
    ask(0)
    for number in range(1, rounds + 1):
        before, began = time.process_time(), time.perf_counter()
        ask(number)
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((time.process_time() - before) * 1000)
    return _row(name, wall, cpu)


def _row(name: str, wall: list[float], cpu: list[float]) -> dict[str, Any]:
    def at(values: list[float], share: float) -> float:
        return round(sorted(values)[min(int(len(values) * share), len(values) - 1)], 1)

    row = {"what": name, "p50_ms": at(wall, 0.5), "p95_ms": at(wall, 0.95), "cpu_p50_ms": at(cpu, 0.5)}
    print(f"{name:48} {row['p50_ms']:9.1f} {row['p95_ms']:9.1f} {row['cpu_p50_ms']:9.1f}", flush=True)
    return row


def _warm(uri: str, runs: int, rounds: int) -> Iterator[dict[str, Any]]:
    asked = questions(runs)
    with modeltrail_collector.open(uri) as db:
        for name, ask in asked.items():
            yield _measure(name, rounds, lambda n, ask=ask: ask(db, n))
    middle = datetime(2025, 6, 1, tzinfo=UTC)
    with modeltrail_collector.open(uri, as_of=middle) as db:
        for name in PAST:
            yield _measure(f"{name}, as of June", rounds, lambda n, ask=asked[name]: ask(db, n))

    def opened(number: int) -> None:
        with modeltrail_collector.open(uri, known_at=middle + timedelta(hours=number)) as db:
            asked["show: the newest version"](db, number)

    yield _measure("show: of a moment not asked for before", max(rounds // 4, 1), opened)


def _commands(uri: str, rounds: int) -> Iterator[dict[str, Any]]:
    # An installed package has its bytecode; to compile it each time takes a quarter of a second.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = Path(sys.executable).with_name("modeltrail")
    subprocess.run(
        [command, "runs", "--limit", "1", "--log", uri], check=True, capture_output=True, env=environment
    )
    for name, arguments in COMMANDS.items():
        wall, cpu = [], []
        log = [] if arguments == ["--version"] else ["--log", uri]
        for _ in range(rounds):
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run([command, *arguments, *log], check=True, capture_output=True, env=environment)
            wall.append((time.perf_counter() - began) * 1000)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
        yield _row(name, wall, cpu)


def _world(directory: Path, runs: int) -> tuple[str, float]:
    """Where the world lies, and how long it took to make it; 0 where it was there."""
    if (directory / "complete").exists():
        return str(directory), 0.0
    shutil.rmtree(directory, ignore_errors=True)
    began = time.monotonic()
    world.generate(open_log(directory), runs, lambda said: print(f"  {said}", file=sys.stderr, flush=True))
    (directory / "complete").touch()
    return str(directory), time.monotonic() - began


def _size(directory: str) -> int:
    files = (Path(at, name) for at, _, names in os.walk(directory) for name in names)
    return sum(file.stat().st_size for file in files)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answers", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of the world; ten events each")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--directory", type=Path, help="where the world is kept; default: .cache/world-RUNS")
    parser.add_argument("--output", type=Path, help="where the JSON goes; default: stdout's last line")
    given = parser.parse_args()
    uri, took = _world(given.directory or Path(".cache", f"world-{given.runs}").resolve(), given.runs)
    size = _size(uri)
    print(f"{given.runs:,} runs, {given.runs * world.EVENTS_A_RUN:,} events, {size / 1e9:.2f} GB", end="")
    print(f", generated in {took:.0f} s" if took else ", generated before")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"\n{'a question in a warm process':48} {'p50 ms':>9} {'p95 ms':>9} {'CPU ms':>9}")
    warm = list(_warm(uri, given.runs, given.rounds))
    print(f"\n{'a command, its start included':48} {'p50 ms':>9} {'p95 ms':>9} {'CPU ms':>9}")
    commands = list(_commands(uri, max(given.rounds // 4, 1)))
    report = {
        "machine": {"platform": platform.platform(), "cores": os.cpu_count(), "load": os.getloadavg()[0]},
        "world": {"runs": given.runs, "bytes": size, "generated_s": round(took, 1)},
        "questions": warm,
        "commands": commands,
    }
    if given.output:
        given.output.write_text(json.dumps(report, indent=2) + "\n")
    else:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
