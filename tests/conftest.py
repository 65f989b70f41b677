"""What all tests share: a real broker on demand, and an environment that says nothing."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, settings

from modeltrail.cli import cli
from modeltrail_collector.log import rollup

pytest_plugins = ["kafka_broker", "s3_server"]

# No test depends on how fast the machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


DAY_S = 24 * 60 * 60
LAST_S = 30


def pytest_runtest_setup() -> None:
    """Midnight (UTC) falls between two tests: what a log seals on two days is kept and rolled up apart."""
    if (left := DAY_S - time.time() % DAY_S) < LAST_S:
        time.sleep(left)


BOUNDS = rollup.FEW, rollup.PARTS


@pytest.fixture(autouse=True)
def own_bounds() -> Iterator[None]:
    """Simulated worlds make roll-ups small for their process: the tests after them have the product's."""
    yield
    rollup.FEW, rollup.PARTS = BOUNDS


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests reaches them, and nothing they emit reaches that person."""
    for name in os.environ:
        if name.startswith(("OPENLINEAGE", "MODELTRAIL", "AIRFLOW")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MODELTRAIL_LOG", str(tmp_path / "lineage"))
    monkeypatch.setenv("MODELTRAIL_SPOOL", str(tmp_path / "spool"))


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A command called in this process sets up the logging of the process: undone after each test."""
    root, theirs = logging.getLogger(), logging.getLogger("kafka")
    level, propagate, before = root.level, theirs.propagate, {log: log.handlers[:] for log in (root, theirs)}
    yield
    root.setLevel(level)
    theirs.propagate = propagate
    for log, handlers in before.items():
        log.handlers[:] = handlers


@pytest.fixture
def modeltrail_command(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`call("show", "churn@1", cwd=…)` runs the installed console script; another exit fails."""
    script = Path(sys.executable).parent / "modeltrail"

    def call(
        *arguments: str, cwd: Path = tmp_path, expected: int = 0, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        result = subprocess.run(
            [script, *arguments],
            cwd=cwd,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == expected, (
            f"{arguments}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        )
        return result

    return call


@pytest.fixture
def modeltrail_here() -> Callable[..., Result]:
    """`call("show", "churn@1")` asks in this process: to start one takes longer than most answers."""

    def call(*arguments: str) -> Result:
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert result.exit_code == 0, f"{arguments}: {result.exit_code}\n{result.stdout}\n{result.stderr}"
        return result

    return call
