"""`modeltrail serve` does what its description says, for requests that schemathesis makes up from it."""

import subprocess
import sys
from pathlib import Path

from served import serving

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
TOKEN = "fuzzing-0123456789"
OPTIONS = ["--seed=1", "--max-examples=20", "--generation-database=none", "--no-color"]
OPERATIONS = ("postEvent", "postEventBatch", "health")
# It does not count 413 as a refusal, which a batch of 10,001 events is answered with; and Starlette's 405
# tells the methods of one route, where a path may have several.
CONFIG = """
[checks]
allow_header_conformance.enabled = false
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 413, 415, 422]
"""


def test_schemathesis_finds_nothing(tmp_path):
    """Valid requests are taken, others refused, and every answer is one that is described.

    The same requests each time, by a seed: all edges of the description, and random ones within them.
    """
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with serving(tmp_path / "log", env={"MODELTRAIL_TOKEN": TOKEN}) as server:
        header = f"--header=Authorization: Bearer {TOKEN}"
        found = subprocess.run(
            [SCHEMATHESIS, "run", f"{server.url}/openapi.json", header, *OPTIONS]
            + [f"--include-operation-id={name}" for name in OPERATIONS],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
    assert found.returncode == 0, found.stdout[:5000]
    assert f"Tested: {len(OPERATIONS)}\n" in found.stdout
