"""/openapi.json describes what is answered, all of it and nothing else."""

import json

import jsonschema
import pytest

from modeltrail_collector.web.reading.asked import QUESTIONS
from modeltrail_collector.web.reading.look import LOOKS
from modeltrail_schemas import openapi

DESCRIPTION = json.loads(openapi())
READS = {path: each["get"] for path, each in DESCRIPTION["paths"].items() if "get" in each and "/v1/" in path}
RUN = "7f1945c0-2ac8-41a9-90db-3d17e78a2f73"
ASKED = {
    "/namespaces": {},
    "/namespaces/{namespace}": {"namespace": "ml"},
    "/namespaces/{namespace}/jobs": {"namespace": "spark-ns"},
    "/namespaces/{namespace}/jobs/{job}": {"namespace": "ml", "job": "train-churn"},
    "/namespaces/{namespace}/jobs/{job}/runs": {"namespace": "ml", "job": "train-churn"},
    "/namespaces/{namespace}/jobs/{job}/versions": {"namespace": "ml", "job": "train-churn"},
    "/namespaces/{namespace}/jobs/{job}/versions/{version}": {"namespace": "ml", "job": "train-churn"},
    "/jobs": {"limit": 1000},
    "/jobs/runs/{run}": {"run": RUN},
    "/jobs/runs/{run}/facets": {"run": RUN, "type": "job"},
    "/namespaces/{namespace}/datasets": {"namespace": "file"},
    "/namespaces/{namespace}/datasets/{dataset}": {"namespace": "file", "dataset": "/data/d40/features"},
    "/namespaces/{namespace}/datasets/{dataset}/versions": {
        "namespace": "modeltrail://registry",
        "dataset": "models/churn",
    },
    "/namespaces/{namespace}/datasets/{dataset}/versions/{version}": {
        "namespace": "modeltrail://registry",
        "dataset": "models/churn",
    },
    "/lineage": {"nodeId": "job:ml:train-churn"},
    "/column-lineage": {"nodeId": "dataset:file:/data/d40/features"},
    "/events/lineage": {},
    "/events": {},
    "/events/{namespace}": {"namespace": "ml"},
    "/search": {"q": "churn"},
    "/tags": {},
    "/sources": {},
    "/answers/models": {},
    "/answers/runs": {},
    "/answers/show": {"model": "churn@3"},
    "/answers/trace": {"name": "churn@3"},
    "/answers/impact": {"dataset": "raw/customers.csv"},
    "/answers/why": {"first": "churn@3"},
    "/answers/reproduce": {"model": "churn"},
    "/answers/report": {"model": "churn@3", "format": "json"},
    "/answers/changes": {"before": "churn@2", "after": "churn@3"},
    "/answers/as-of": {"time": "2026-03-04"},
}
"""What is asked of each path."""


def resolved(part):
    """A part of the description, itself or what it refers to."""
    while "$ref" in part:
        found = DESCRIPTION
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def test_every_path_is_described():
    """What can be asked is in the description, with all that may be answered."""
    assert {
        f"/api/v1{path}" for path in [*LOOKS, *(f"/answers/{name}" for name in QUESTIONS)]
    } == READS.keys()
    assert {f"/api/v1{path}" for path in ASKED} == READS.keys()
    for name, question in QUESTIONS.items():
        described = READS[f"/api/v1/answers/{name}"]["parameters"]
        known = {resolved(each)["name"] for each in described}
        assert question.parameters | ({"If-None-Match"} if name != "report" else set()) == known


@pytest.mark.parametrize("path", sorted(ASKED))
def test_an_answer_is_as_described(real, path):
    """The answers about real events, and the refusals, have the shapes that the description gives them."""
    asked = dict(ASKED[path])
    if path.endswith("{version}"):
        kind = "jobs" if "job" in asked else "datasets"
        found = real.get("namespaces", asked["namespace"], kind, asked[kind[:-1]], "versions")
        asked["version"] = found["versions"][0]["version"]
    parts = [asked.pop(part[1:-1]) if part[0] == "{" else part for part in path.strip("/").split("/")]
    for query in (asked, asked | {"limit": "x", "depth": "x"}):
        answer = real.ask(*parts, **query)
        described = resolved(READS[f"/api/v1{path}"]["responses"][str(answer.status_code)])
        schema = described["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator(schema | {"components": DESCRIPTION["components"]}).validate(
            answer.json()
        )
        for name in described.get("headers", ()):
            assert name in answer.headers or (name, path) == ("ETag", "/answers/as-of")
