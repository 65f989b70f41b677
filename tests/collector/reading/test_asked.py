"""The answers of the command line by HTTP are those of the command line."""

import json
import time
from datetime import timedelta

import msgspec
import pytest
from browsed import browsing

from modeltrail_collector.log import Batch, open_log
from modeltrail_collector.model import LOCAL
from modeltrail_collector.reports import FORMATS
from modeltrail_collector.tables import compact, forget

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
    "as-of, now": ("as-of", {"time": "now"}, ["now"]),
    "as-of, of a model": ("as-of", {"time": "2026-03-04", "name": "churn"}, ["2026-03-04", "churn"]),
    "as-of, known": ("as-of", {"time": "2026-03-04", "known_at": NOON}, ["2026-03-04", f"--known-at={NOON}"]),
}
"""The path and its parameters, and the arguments of the command of that name."""


@pytest.mark.parametrize("case", SAME)
def test_an_answer_is_that_of_the_command(real, modeltrail_here, case):
    """The same JSON, whichever way it is asked."""
    name, parameters, arguments = SAME[case]
    printed = modeltrail_here(name, *arguments, "--json", "--log", str(real.log)).stdout
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
    assert "ETag" not in real.ask("events", "lineage", after="7d").headers


MADE_AT = "2026-03-10T12:00:00Z"
FORMS = [(kind, form) for kind, forms in FORMATS.items() for form in (*forms, None)]
TYPES = {"html": "text/html; charset=utf-8", "md": "text/markdown; charset=utf-8", "json": "application/json"}


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_a_report_is_that_of_the_command(real, modeltrail_here, kind, form):
    """The same bytes in each kind and format, as what they are; no browser takes them for anything else."""
    options = ["--kind", kind, "--made-at", MADE_AT, *(["--format", form] if form else [])]
    written = modeltrail_here("report", "churn@2", *options, "--log", str(real.log)).stdout
    asked = {"kind": kind, "made_at": MADE_AT} | ({"format": form} if form else {})
    answer = real.ask("answers", "report", model="churn@2", **asked)
    assert (written, TYPES[form or FORMATS[kind][0]]) == (answer.text, answer.headers["Content-Type"])
    assert ("nosniff", None) == (answer.headers["X-Content-Type-Options"], answer.headers.get("ETag"))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"kind": "audit"}, "say which with the parameter 'model'"),
        ({"model": "churn", "kind": "novel"}, "kind is 'novel': write audit or annex-iv"),
        ({"model": "churn", "kind": "slsa", "format": "html"}, "format is 'html': write json"),
        ({"model": "churn", "statements": "/etc/passwd"}, "'statements' is no parameter of this"),
    ],
)
def test_a_report_that_cannot_be_asked_for_says_why(real, asked, why):
    """Neither an unknown kind, nor a format of another kind, nor a file of the server's."""
    answer = real.ask("answers", "report", **asked)
    assert 400 == answer.status_code
    assert why in answer.json()["message"]


def test_machines_get_no_report_of_what_was_not_sealed(make, tmp_path):
    """Where the log is not what was sealed a document says so, and no statement for machines is made."""
    with browsing(tmp_path) as server:
        server.send(*make.story())
        segment = next((tmp_path / "log" / "raw").rglob("*.avro"))
        segment.chmod(0o600)
        segment.write_bytes(segment.read_bytes()[:-1] + b"?")
        assert "Not verified" in server.ask("answers", "report", model="churn@2", format="md").text
        refused = server.ask("answers", "report", model="churn@2", kind="slsa")
    assert (409, True) == (refused.status_code, "not what was sealed" in refused.json()["message"])


def test_what_was_forgotten_is_said_by_http_too(tmp_path, make) -> None:
    """Of what follows data by a header, of what is not found in the message; of other answers not at all."""
    log = open_log(str(tmp_path / "log"))
    lonely = make.run_event("COMPLETE", make.base, make.uuid7(make.base, 950), "lonely")
    entries = make.entries([*make.story(), lonely])
    long_ago = (int(time.time()) - 700 * 86_400) * 1000
    aged = [msgspec.structs.replace(one, ingested_at_ms=long_ago) for one in entries]
    log.append(LOCAL, Batch(0, len(aged), aged))
    compact(log)
    before = forget(log, timedelta(days=365)).before
    with browsing(tmp_path) as server:
        asked = [
            ("impact", {"dataset": "raw/customers.csv"}),
            ("trace", {"name": "churn@3"}),
            ("show", {"model": "churn@3"}),
        ]
        told = [server.request("GET", f"answers/{name}", params=params) for name, params in asked]
        assert [before, before, None] == [one.headers.get("Modeltrail-Forgotten-Before") for one in told]
        lost = server.request("GET", "answers/show", params={"model": "lonely"})
    assert (404, True) == (lost.status_code, f"What arrived before {before} was forgotten" in lost.text)
