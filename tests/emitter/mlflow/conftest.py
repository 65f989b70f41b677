"""The real MLflow: stores on disk, and its own server on this machine."""

import contextlib
import functools
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import requests

from modeltrail import guard

HERE = Path(__file__).parent
QUIET = "MLFLOW_DISABLE_TELEMETRY"
os.environ[QUIET] = "true"  # of servers too, which live longer than a test
PATIENCE_S = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What MLflow and the libraries below it warn of is theirs: of ours nothing may be among it."""
    for item in items:
        if item.path.is_relative_to(HERE):
            for ignored in ("ignore::Warning", "error:.*modeltrail.*"):
                item.add_marker(pytest.mark.filterwarnings(ignored))


@pytest.fixture(autouse=True)
def own_mlflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MLflow as in a fresh process: no run or experiment is active, no URI is set; it reports to nobody."""
    for name in list(os.environ):
        if name.startswith("MLFLOW_") and name != QUIET:
            monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow
    yield
    while mlflow.active_run() is not None:
        mlflow.end_run()
    mlflow.set_tracking_uri(None)
    sys.modules["mlflow.tracking.fluent"]._active_experiment_id = None


@pytest.fixture
def mlflow(own_mlflow: None) -> ModuleType:
    """The module `mlflow`, which takes seconds to import: nobody else shall wait for it."""
    return sys.modules["mlflow"]


@pytest.fixture
def told(events):
    """The events of the test, valid each; nothing of ours may have failed."""
    yield events
    assert {} == guard.failures()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: MLflow puts artifacts into the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a new store: MLflow makes one in seconds, by dozens of migrations, and all are alike.

    But for the experiment `Default`, which knows where it lies: who opens a store without any makes it.
    """
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM experiments")
    return path


@pytest.fixture
def sqlite(here: Path, empty_store: Path) -> str:
    """A store in a database, to be bridged or not."""
    return f"sqlite:///{shutil.copy(empty_store, here)}"


@pytest.fixture
def bridged(sqlite: str):
    """The module `mlflow`, with the bridge over a database and the experiment `churn`."""
    import mlflow

    mlflow.set_tracking_uri(f"modeltrail+{sqlite}")
    mlflow.set_experiment("churn")
    return mlflow


@contextlib.contextmanager
def serving(uri: str, folder: Path, **environment: str) -> Iterator[str]:
    """`mlflow server` over a store, ended by its id."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)),
                *("--backend-store-uri", uri, "--artifacts-destination", str(folder / "artifacts")),
            ],
            cwd=folder,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait(process, address, folder / "server.log")
            yield address
        finally:
            os.killpg(process.pid, 15)  # the group of its own: server and worker
            process.wait(PATIENCE_S)


def _wait(process: subprocess.Popen, address: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(f"{address}/health", timeout=5).ok:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[str]:
    """The address of an MLflow server that knows nothing of the bridge."""
    folder = tmp_path_factory.mktemp("server")
    with serving(f"sqlite:///{shutil.copy(empty_store, folder)}", folder) as address:
        yield address


@pytest.fixture
def plain_server(tmp_path: Path, empty_store: Path) -> Callable[..., contextlib.AbstractContextManager[str]]:
    """`plain_server(**environment)`: a server of the test's own, that knows nothing of the bridge."""
    folder = tmp_path / "plain"
    folder.mkdir()
    return functools.partial(serving, f"sqlite:///{shutil.copy(empty_store, folder)}", folder)


@pytest.fixture
def bridging_server(tmp_path: Path) -> Callable[..., contextlib.AbstractContextManager[str]]:
    """`bridging_server(log=…)`: a server whose own store is bridged, and made by way of the bridge."""
    folder = tmp_path / "bridging"
    folder.mkdir()

    def start(log: Path) -> contextlib.AbstractContextManager[str]:
        uri = f"modeltrail+sqlite:///{folder}/mlflow.db"
        return serving(uri, folder, MODELTRAIL_LOG=str(log), MODELTRAIL_STRICT="1")

    return start
