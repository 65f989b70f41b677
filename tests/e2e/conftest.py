"""The console script as a user calls it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


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
