"""`PYTHONPATH=tests python -m benchmarks.airflow`: what OpenLineage costs a task of a real Airflow.

Tasks that do nothing, and such that hold an empty run of ours, two at a time, by the scheduler's own count
from taking a task up to its end. Now and then Airflow notices the end of a task only at its next look, five
seconds later, with any transport and with none: those are left out, and counted. Needs what `make interop`
installs.
"""

import re
import statistics
import tempfile
import time
from pathlib import Path

from interop.airflow_home import Airflow

from benchmarks import broker

DAG = """
from datetime import UTC, datetime
from airflow.sdk import DAG, task
import modeltrail

@task
def nothing(number):
    return number

@task
def a_run(number):
    with modeltrail.run("empty"):
        return number

for number, each in enumerate((nothing, a_run)):
    with DAG("bench-%d" % number, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        each.expand(number=list(range({tasks})))
"""
TASKS = 20
DAGS = ("bench-0", "bench-1")
LOOK_S = 5.0
"""How often Airflow looks whether a task still runs."""
_TOOK = re.compile(r"Workload finished.*duration=([\d.]+)")


def main() -> None:
    """Print a line for each transport: medians in seconds."""
    print(f"{'':32} {'nothing':>9} {'a run':>9} {'late':>6}")
    with broker.broker(pinned=False) as servers:
        kafka = {"config": {"bootstrap.servers": servers}}
        for name, transport in {
            "OpenLineage switched off": None,
            "console": {"type": "console"},
            "modeltrail.KafkaTransport": {"type": "modeltrail.KafkaTransport", **kafka},
        }.items():
            if transport and "config" in transport:
                transport["topic"] = broker.create_topic(servers)
            took = _measure(transport)
            empty, ours = took[:TASKS], took[TASKS:]
            late = sum(seconds > LOOK_S for seconds in took)
            print(f"{name:32} {_median(empty):9.2f} {_median(ours):9.2f} {late:3} of {len(took)}")


def _measure(transport: dict | None) -> list[float]:
    """Seconds of each task, in the order of their ends."""
    with tempfile.TemporaryDirectory(prefix="modeltrail-bench-airflow-") as directory:
        dags = Path(directory) / "dags"
        dags.mkdir()
        (dags / "bench.py").write_text(DAG.format(tasks=TASKS))
        airflow = Airflow(
            Path(directory) / "airflow",
            dags,
            transport or {"type": "noop"},
            AIRFLOW__CORE__PARALLELISM="2",
            AIRFLOW__OPENLINEAGE__DISABLED=str(transport is None),
            MODELTRAIL_LOG=f"{directory}/log",
            MODELTRAIL_SPOOL=f"{directory}/spool",
        )
        with airflow.services(*DAGS):
            for dag in DAGS:
                airflow.run("dags", "trigger", dag)
                airflow.wait(dag)
                time.sleep(LOOK_S + 1)
        return [float(found) for found in _TOOK.findall((airflow.home / "scheduler.log").read_text())]


def _median(seconds: list[float]) -> float:
    return statistics.median(each for each in seconds if each < LOOK_S)


if __name__ == "__main__":
    main()
