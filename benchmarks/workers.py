"""`python -m benchmarks.workers`: how `collect --workers N` scales, the command itself on a real broker."""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

from benchmarks import broker, corpus

PARTITIONS = 4
COMMAND = [sys.executable, "-W", "ignore", "-c", "from modeltrail.cli import main; main()", "collect"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--workers", default="1,2", help="numbers of workers, with commas")
    given = parser.parse_args()
    few = corpus.records("mixed", min(given.events, 20_000))
    records = [few[number % len(few)] for number in range(given.events)]
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, {PARTITIONS} partitions")
    with broker.broker(pinned=False) as servers:
        topic = broker.fill(servers, records, PARTITIONS)
        for workers in given.workers.split(","):
            wall, cpu = collect(servers, topic, workers, len(records))
            print(
                f"{workers} workers: {wall:6.1f} s from start to end, {len(records) / wall:8,.0f} events/s, "
                f"{cpu / len(records) * 1e6:5.1f} us CPU/event"
            )


def collect(servers: str, topic: str, workers: str, count: int) -> tuple[float, float]:
    """Seconds of wall and of CPU for one run into an empty log."""
    with tempfile.TemporaryDirectory(prefix="modeltrail-bench-") as log:
        arguments = ["--bootstrap-servers", servers, "--topic", topic, "--log", log, "--until-end", "--json"]
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        result = subprocess.run([*COMMAND, *arguments, "--workers", workers], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if json.loads(result.stdout)["records"] != count:
            raise AssertionError(f"{count} events in the topic, sealed: {result.stdout.decode()}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return time.perf_counter() - started, cpu


if __name__ == "__main__":
    main()
