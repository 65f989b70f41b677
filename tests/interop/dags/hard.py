"""DAGs of everything that can happen to a task: see `tests/interop/test_airflow.py`."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import dag, task

import modeltrail

FOLDER = Path(os.environ["HARD_FOLDER"])
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


@task
def plain() -> None:
    with modeltrail.run("in-plain") as run:
        run.params({"depth": 3})


@task(retries=1, retry_delay=timedelta(seconds=0))
def again() -> None:
    """Fails the first time."""
    mark = FOLDER / "tried"
    with modeltrail.run("in-again"):
        if not mark.exists():
            mark.touch()
            raise ValueError("the first try fails")


@task
def each(number: int) -> int:
    with modeltrail.run(f"in-each-{number}"):
        return number


@task
def fails() -> None:
    with modeltrail.run("in-fails"):
        raise ValueError("it fails each time")


@task
def killed() -> None:
    with modeltrail.run("in-killed"):
        os.kill(os.getpid(), signal.SIGKILL)


@task
def exits() -> None:
    with modeltrail.run("in-exits"):
        os._exit(3)


@task
def starts() -> None:
    """A program of its own, which finds parent and transport by itself."""
    subprocess.run([sys.executable, FOLDER / "program.py"], check=True)


@dag(schedule=None, start_date=BEGINNING)
def works() -> None:
    plain() >> again() >> each.expand(number=[1, 2, 3]) >> starts()


@dag(schedule=None, start_date=BEGINNING)
def breaks() -> None:
    fails()
    killed()
    exits()


works()
breaks()
