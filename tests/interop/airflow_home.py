"""A real Airflow in an environment of its own, which `make interop` installs: SQLite, LocalExecutor."""

import json
import os
import re
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from interop.programs import PATIENCE_S, answers, free_port, until

VENV = Path(__file__).parents[2] / ".venv-airflow"
ENDED = ("success", "failed")
_TOLD = re.compile(r"Successfully emitted OpenLineage `(\w+)` event of id `([0-9a-f-]+)`")


class Airflow:
    """An installation with a folder of DAGs, whose events go where one variable says."""

    def __init__(self, home: Path, dags: Path, transport: dict[str, object], **environment: str) -> None:
        home.mkdir()
        self.home = home
        self.environment = {
            **os.environ,
            "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__API_AUTH__JWT_SECRET": os.urandom(64).hex(),
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "airflow",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
            **environment,
        }
        self.run("db", "migrate")

    def run(self, *arguments: str) -> str:
        """Run one command of `airflow`; what it printed and logged."""
        done = subprocess.run(
            [VENV / "bin/airflow", *arguments],
            env=self.environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    @contextmanager
    def services(self, *dags: str) -> Iterator[None]:
        """Scheduler, DAG processor and API server for the block, in which these DAGs may run."""
        port = str(free_port())
        self.environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] = f"http://127.0.0.1:{port}/execution/"
        self.run("dags", "reserialize")
        for dag in dags:
            self.run("dags", "unpause", dag)
        with ExitStack() as running:
            server = ("api-server", "--host", "127.0.0.1", "--port", port, "--workers", "1")
            running.enter_context(self._service(*server))
            until(lambda: answers(int(port)))  # a task that cannot reach it fails
            running.enter_context(self._service("dag-processor"))
            running.enter_context(self._service("scheduler"))
            yield

    @contextmanager
    def _service(self, *arguments: str) -> Iterator[None]:
        with (self.home / f"{arguments[0]}.log").open("w") as log:
            process = subprocess.Popen(
                [VENV / "bin/airflow", *arguments],
                env=self.environment,
                cwd=self.home,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                yield
            finally:
                process.terminate()
                process.wait(60)

    def states(self, table: str, dag: str) -> list[str | None]:
        """The states in a table of Airflow's database, `dag_run` or `task_instance`."""
        with closing(sqlite3.connect(self.home / "airflow.db")) as database:
            query = f"SELECT state FROM {table} WHERE dag_id = ?"
            return [state for (state,) in database.execute(query, (dag,))]

    def wait(self, dag: str) -> str:
        """How the only run of a DAG ended."""
        until(lambda: self.states("dag_run", dag)[0] in ENDED)
        return self.states("dag_run", dag)[0]


def told(log: str) -> Counter[tuple[str, str]]:
    """The events, as (state, run id), that a log of Airflow says it has emitted."""
    return Counter(_TOLD.findall(log))
