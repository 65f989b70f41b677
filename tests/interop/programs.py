"""Programs of the environments that `make interop` installs, run as a user does."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
DBT, FEAST, OPENMETADATA, SPARK = (
    ROOT / f".venv-{name}" for name in ("dbt", "feast", "openmetadata", "spark")
)
PATIENCE_S = 300


def start(
    command: Sequence[str | Path], cwd: Path, venv: Path, expected: int = 0, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a program, which finds those of an environment before all others; another exit code fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert expected == done.returncode, done.stdout[-4000:] + done.stderr[-4000:]
    return done


def kafka(bootstrap: str, topic: str) -> dict[str, str]:
    """OpenLineage's own configuration, which other tools and our runs read."""
    return {
        "OPENLINEAGE__TRANSPORT__TYPE": "modeltrail.KafkaTransport",
        "OPENLINEAGE__TRANSPORT__TOPIC": topic,
        "OPENLINEAGE__TRANSPORT__CONFIG": json.dumps({"bootstrap.servers": bootstrap}),
        "OPENLINEAGE_NAMESPACE": "ml",
    }


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def answers(port: int) -> bool:
    """Whether somebody takes connections there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.5)
