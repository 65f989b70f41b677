"""The benchmarks still run, and their corpus is what their README says."""

import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.kafka
def test_all_cases_run_and_name_their_peers(kafka_bootstrap, tmp_path):
    """A quick run gives a table with figures for each case, modeltrail first."""
    output = tmp_path / "figures.json"
    run = python("-m", "benchmarks", "--quick", "--output", output, KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap)
    assert run.returncode == 0, run.stdout + run.stderr
    tables = json.loads(output.read_text())["tables"]
    assert {table["case"] for table in tables} == {"emit", "judge", "log", "compact"}
    for table in tables:
        assert table["rows"][0]["side"].startswith("modeltrail")
        assert len(table["rows"]) > 1
        assert all(row["cpu_us"] > 0 for row in table["rows"])
        assert table["what"] in run.stdout


def test_an_unknown_case_is_a_usage_error():
    """A case that does not exist ends with exit code 2 and the names of those that do."""
    run = python("-m", "benchmarks", "--only", "emit,speed")
    assert run.returncode == 2
    assert "no such case: speed; there are emit, judge, log, compact" in run.stderr


def test_the_corpus_is_the_same_for_everybody_and_as_its_readme_says():
    """The corpus depends on its seeds alone; sizes are those of the README, and `unique` repeats less."""
    program = """
import json, sys
from benchmarks import corpus
for variant in corpus.VARIANTS:
    values = [value for _, value in corpus.records(variant, 1000)]
    print(json.dumps([list(map(len, values)), corpus.compression_ratio(values)]))
"""
    first, second = python("-c", program), python("-c", program, PYTHONHASHSEED="1")
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    (mixed, mixed_ratio), (unique, unique_ratio) = map(json.loads, first.stdout.splitlines())
    assert 7000 < statistics.fmean(mixed) < 8500
    assert 7000 < statistics.fmean(unique) < 8500
    assert unique_ratio < mixed_ratio


def test_the_benchmark_of_serve_runs():
    """A short run tells events a second, and what one costs the server and the client."""
    run = python("-m", "benchmarks.serve", "--events", "400")
    assert run.returncode == 0, run.stdout + run.stderr
    figures = re.search(r"(\d+) events/s; .*; (\d+) us of CPU an event in the server, (\d+)", run.stdout)
    assert all(int(figure) > 0 for figure in figures.groups())
