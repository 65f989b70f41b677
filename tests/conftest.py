"""What all tests share: a real broker on demand, and an environment that says nothing."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["kafka_broker", "s3_server"]

# No test depends on how fast the machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


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
