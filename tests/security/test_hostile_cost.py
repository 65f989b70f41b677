"""What a hostile value costs: as much a byte as a few valid events, and little memory, whatever it holds."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = {
    "nesting of 8 million": "too_deep",
    "one million keys": "too_many_keys",
    "the same, broken": "type",
    "one key a million times": "too_many_keys",
    "numbers too large": "too_many_keys",
    "NUL, escaped": "",
    "empty arrays": "too_many_keys",
    "ones, then NaN": "not_finite",
    "a text with one wide character": "type",
}


def test_hostile_values_cost_little_more_than_valid_ones_and_64_mib():
    """Depth, keys, numbers, doubles, NUL, surrogates cost some valid events' CPU a byte and 64 MiB at most.

    `python -m benchmarks.hostile` measures the 5 times that are promised; the limit here leaves room for
    neighbours on the machine. Before values were looked at as bytes these took up to 200 times and 750 MiB.
    """
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.hostile", "--json", *CASES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)
    assert 0 == done.returncode, done.stderr
    found = json.loads(done.stdout)
    assert {row["case"]: row["code"] for row in found} == CASES
    assert not [row for row in found if row["memory_mib"] > 64]
    assert not [row for row in found if row["ratio"] > 12]
