"""`python -m benchmarks.read`: how long `modeltrail serve` takes for what a client of Marquez browses with.

The log holds a busy job (2 inputs, 1 output, START and COMPLETE, about 4.5 kB an event) and some quiet ones.
A real server process answers one client, one question after the other; both share the cores of this machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from benchmarks.serve import MODELTRAIL, server

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
QUIET_RUNS = 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.read")
    parser.add_argument("--runs", type=int, default=5_000, help="of the busy job")
    parser.add_argument("--jobs", type=int, default=1, help="the busy one and so many less one quiet ones")
    parser.add_argument("--rounds", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modeltrail-bench-read-", dir=".") as directory:
        events = Path(directory, "events.ndjson")
        with events.open("w") as file:
            file.writelines(json.dumps(event) + "\n" for event in _events(given.runs, given.jobs))
        log = Path(directory, "log")
        for command in (["collect", "--from-files", events], ["compact"], ["maintain"]):
            subprocess.run([MODELTRAIL, *command, "--log", log], check=True, capture_output=True)
        with server(directory, []) as (_, port):
            _measure(f"http://127.0.0.1:{port}/api/v1", given.rounds)
    print(f"{given.runs} runs of one job, {given.jobs} jobs; load average {os.getloadavg()[0]:.1f}")


def _events(runs: int, jobs: int) -> Iterator[dict]:
    padding = {f"parameter_{number}": number / 7 for number in range(120)}
    many = [("busy", number) for number in range(runs)]
    many += [(f"quiet-{job}", number) for job in range(1, jobs) for number in range(QUIET_RUNS)]
    for place, (job, number) in enumerate(many):
        at = BEGAN + timedelta(minutes=place)
        milliseconds = f"{int(at.timestamp() * 1000):012x}"
        run_id = f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-{place:012x}"
        for kind, seconds in (("START", 0), ("COMPLETE", 30)):
            yield {
                "eventType": kind,
                "eventTime": (at + timedelta(seconds=seconds)).isoformat(),
                "producer": "https://example.com/benchmark",
                "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
                "run": {"runId": run_id, "facets": {"parameters": _facet(**padding)}},
                "job": {"namespace": "bench", "name": job, "facets": {}},
                "inputs": [_dataset(f"{job}/in-{side}") for side in range(2)],
                "outputs": [_dataset(f"{job}/out", version=_facet(datasetVersion=str(number)))],
            }


def _facet(**fields: object) -> dict:
    return {"_producer": "https://example.com/benchmark", "_schemaURL": "https://example.com/f.json"} | fields


def _dataset(name: str, **facets: dict) -> dict:
    schema = _facet(fields=[{"name": f"column_{number}", "type": "double"} for number in range(12)])
    return {"namespace": "file", "name": name, "facets": {"schema": schema} | facets}


def _measure(url: str, rounds: int) -> None:
    session = requests.Session()
    runs = session.get(f"{url}/namespaces/bench/jobs/busy/runs?limit=1", timeout=60).json()["runs"]
    out = "namespaces/file/datasets/busy%2Fout"
    questions = [
        "namespaces/bench/jobs?limit=100",
        "namespaces/bench/jobs/busy",
        "namespaces/bench/jobs/busy/runs?limit=100",
        f"jobs/runs/{runs[0]['id']}",
        "namespaces/file/datasets?limit=100",
        f"{out}/versions?limit=100",
        f"{out}/versions/{runs[0]['outputDatasetVersions'][0]['datasetVersionId']['version']}",
        "lineage?nodeId=job:bench:busy",
        "events/lineage?limit=100",
        "search?q=busy",
        "answers/runs?limit=100",
    ]
    for question in questions:
        times, size = [], 0
        for _ in range(rounds):
            started = time.perf_counter()
            answer = session.get(f"{url}/{question}", timeout=60)
            times.append(1000 * (time.perf_counter() - started))
            size = len(answer.content)
            assert answer.ok, answer.text
        shown = question if len(question) < 60 else f"{question[:56]} …"
        ninth = statistics.quantiles(times, n=10)[-1]
        print(f"{shown:60} p50 {statistics.median(times):7.1f} ms  p90 {ninth:7.1f} ms  {size:9,} bytes")


if __name__ == "__main__":
    main()
