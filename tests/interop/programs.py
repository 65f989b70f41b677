"""Programs of the environments that `make interop` installs, run as a user does."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
DBT, SPARK = (ROOT / venv for venv in (".venv-dbt", ".venv-spark"))


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
