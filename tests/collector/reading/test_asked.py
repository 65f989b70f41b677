"""The answers of the command line by HTTP are those of the command line."""

import json

import pytest

NOON = "2026-03-03T12:00:00Z"
COMPLETE = {"job": "train", "state": "complete", "limit": 5}
SAME = {
    "models": ("models", {}, ["--limit=100"]),
    "models, the newest": ("models", {"limit": 2}, ["--limit=2"]),
    "runs": ("runs", {}, ["--limit=100"]),
    "runs of a job": ("runs", COMPLETE, ["--job=train", "--state=complete", "--limit=5"]),
    "show": ("show", {"model": "churn@2"}, ["churn@2"]),
    "show, then": ("show", {"model": "churn", "as_of": NOON}, ["churn", f"--as-of={NOON}"]),
    "trace": ("trace", {"name": "churn@3"}, ["churn@3"]),
    "trace a column": (
        "trace",
        {"name": "features.parquet", "column": "age"},
        ["features.parquet", "--column=age"],
    ),
    "impact": ("impact", {"dataset": "raw/customers.csv"}, ["raw/customers.csv"]),
    "why": ("why", {"first": "churn@2", "second": "churn@3"}, ["churn@2", "churn@3"]),
    "why, in production": (
        "why",
        {"first": "churn@3", "against": "production"},
        ["churn@3", "--against=production"],
    ),
    "reproduce": ("reproduce", {"model": "churn@3"}, ["churn@3"]),
    "as-of": ("as-of", {"time": "2026-03-04"}, ["2026-03-04"]),
    "as-of, of a model": ("as-of", {"time": "2026-03-04", "name": "churn"}, ["2026-03-04", "churn"]),
    "as-of, known": ("as-of", {"time": "2026-03-04", "known_at": NOON}, ["2026-03-04", f"--known-at={NOON}"]),
}
"""The path and its parameters, and the arguments of the command of that name."""


@pytest.mark.parametrize("case", SAME)
def test_an_answer_is_that_of_the_command(real, modeltrail_command, tmp_path, case):
    """The same JSON, whichever way it is asked."""
    name, parameters, arguments = SAME[case]
    printed = modeltrail_command(name, *arguments, "--json", "--log", str(real.log), cwd=tmp_path).stdout
    answer = real.get("answers", name, **parameters)
    assert json.loads(printed) == answer
    assert answer or "known" in case


def test_changes_are_those_of_the_tables(real):
    """What differs between two versions, as `changes` of the Python API tells it."""
    found = real.get("answers", "changes", before="churn@2", after="churn@3")
    assert {"section", "path", "before", "after"} == set(found[0])
    assert "dataInputs" in {row["section"] for row in found}


def test_an_answer_about_a_time_has_no_tag(real):
    """What is asked about a time may be relative to now, so it is never said to be still right."""
    assert "ETag" not in real.ask("answers", "models", as_of="7d").headers
    assert "ETag" in real.ask("answers", "models").headers
