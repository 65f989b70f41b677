"""What we show is in the shapes of Marquez: held against the fake that is held to recorded answers of one."""

import json
from pathlib import Path

import pytest
from browsed import browsing, compacted
from marquez_asked import Client

from modeltrail_collector.testing import marquez

DATA = Path(__file__).parents[2] / "data"
OURS_ALONE = {
    "nominalStartTime",  # Marquez has them where a run has the facet; ours are always there, and may be null
    "nominalEndTime",
    "totalCount",  # of namespaces: every other list of Marquez tells how many there are, and so does this
}
"""Keys that Marquez does not have there."""


def recorded():
    """The bodies that Marquez took, and what real tools sent."""
    cases = map(json.loads, (DATA / "marquez" / "cases.jsonl").read_text().splitlines())
    bodies = [case["body"].encode() for case in cases if case["status"] == 201 and case["body"]]
    for file in sorted((DATA / "real-events").glob("*.ndjson")):
        bodies += file.read_bytes().splitlines()
    return bodies


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A Marquez and a server of ours that were sent the same."""
    header = {"Content-Type": "application/json"}
    with marquez() as fake, browsing(tmp_path_factory.mktemp("shapes")) as ours:
        theirs = Client(fake.url)
        for body in recorded():
            if theirs.request("POST", "lineage", data=body, headers=header).status_code == 201:
                ours.request("POST", "lineage", data=body, headers=header)
        compacted(ours.log)
        yield theirs, ours
        theirs.close()


def differences(theirs, ours, where=""):
    """The keys that one of two answers lacks, or has with another type; facets are as they came."""
    if where == "facets" or theirs is None or ours is None:
        return set()
    if isinstance(theirs, dict) and isinstance(ours, dict):
        found = theirs.keys() ^ ours.keys()
        return found.union(*(differences(theirs[key], ours[key], key) for key in theirs.keys() & ours.keys()))
    if isinstance(theirs, list) and isinstance(ours, list):
        if where == "graph":
            known = {node["id"]: node for node in theirs}
            pairs = [(known[node["id"]], node) for node in ours if node["id"] in known]
        else:
            pairs = list(zip(theirs[:1], ours[:1], strict=False))
        return {key for pair in pairs for key in differences(*pair)}
    return set() if type(theirs) is type(ours) else {where}


def paths(ours):
    """Every path that leads to something of what we hold."""
    yield ("namespaces",), {}
    yield ("jobs",), {}
    yield ("events", "lineage"), {}
    for name in (each["name"] for each in ours.get("namespaces", limit=1000)["namespaces"]):
        yield ("namespaces", name), {}
        for job in ours.get("namespaces", name, "jobs", limit=1000)["jobs"]:
            yield ("namespaces", name, "jobs", job["name"]), {}
            yield ("namespaces", name, "jobs", job["name"], "runs"), {}
            yield ("lineage",), {"nodeId": f"job:{name}:{job['name']}"}
            for run in job["latestRuns"]:
                yield ("jobs", "runs", run["id"]), {}
                yield ("jobs", "runs", run["id"], "facets"), {"type": "job"}
        for dataset in ours.get("namespaces", name, "datasets", limit=1000)["datasets"]:
            yield ("namespaces", name, "datasets", dataset["name"]), {}
            yield ("namespaces", name, "datasets", dataset["name"], "versions"), {}


def test_answers_have_the_keys_and_types_of_marquez(both):
    """Of the same events both show jobs, runs, datasets, versions, facets and graphs in one shape."""
    theirs, ours = both
    compared, found = 0, set()
    for parts, query in paths(ours):
        there = theirs.ask(*parts, **query)
        if there.status_code == 200:  # a job with a parent has another name there
            compared += 1
            found |= differences(there.json(), ours.get(*parts, **query))
    assert 300 < compared
    assert OURS_ALONE == found


REWRITTEN = {"a_20b", "a_b", "a_b_", "a_b_c", "_n_", "ml_x"}
"""Namespaces of jobs that Marquez writes otherwise than they were sent."""

OF_NOBODY = {
    ("dbt-ns", "dbt-run-mlp"),
    ("ml-ns", "child"),
    ("ml-ns", "mldag.train"),
    ("rules", "p"),
}
"""Jobs that Marquez makes up from the parent facet of a child, whose own events never came."""


def test_every_job_of_marquez_is_here(both):
    """Marquez knows no job that is not found here by its name, but for those that the judge rejects."""
    theirs, ours = both
    jobs = {(job["namespace"], job["name"]) for job in theirs.get("jobs", limit=1000)["jobs"]}
    missing = {job for job in jobs if ours.ask("namespaces", job[0], "jobs", job[1]).status_code != 200}
    rejected = {job for job in missing if job[0] == "rules" and "/" in job[1]}
    assert OF_NOBODY == {job for job in missing - rejected if job[0] not in REWRITTEN}
    assert 10 == len(rejected)


def test_a_run_of_several_jobs_is_shown_by_each(both):
    """Dagster has one run for all assets that it makes: each of these jobs lists it."""
    _, ours = both
    lists = [ours.get("namespaces", "dag-ns", "jobs", job, "runs")["runs"] for job in ("features", "model")]
    assert [["7f1945c0-2ac8-41a9-90db-3d17e78a2f73"]] * 2 == [[run["id"] for run in each] for each in lists]
