"""A token that is limited to namespaces sees what their jobs said, and nothing tells it of more."""

import json

import pytest
import requests
from browsed import browsing
from marquez_asked import new_run
from served import tokens

OWN, ALL, SENDER = "own-0123456789abcdef", "all-0123456789abcdef", "ingest-0123456789abcdef"
TOKENS = tokens(
    {"name": "own", "token": OWN, "scopes": ["read"], "namespaces": ["own"]},
    {"name": "all", "token": ALL, "scopes": ["read", "ingest"]},
    {"name": "sender", "token": SENDER, "scopes": ["ingest"]},
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """Of two namespaces: `own` reads what `foreign` wrote, and `foreign` reads what `own` wrote."""
    folder = tmp_path_factory.mktemp("limits")
    (folder / "tokens.toml").write_text(TOKENS)
    with browsing(folder, "--tokens", folder / "tokens.toml") as client:
        client._session.headers["Authorization"] = f"Bearer {ALL}"
        client.namespace = "lake"
        version = {"datasetVersion": "1"}
        shared = client.dataset_of("shared", version=version, documentation={"description": "secret"})
        secret = client.dataset_of("secret-data", tags={"tags": [{"key": "secret-tag", "value": "true"}]})
        mine = client.dataset_of("mine", dataSource={"name": "own-db", "uri": "postgres://own/db"})
        link = {"identifiers": [{"namespace": "lake", "name": "mine", "type": "TABLE"}]}
        use = {"job": job("own", "use"), "inputs": [client.dataset_of("shared")], "outputs": [mine]}
        client.send(
            foreign(client, 0, inputs=[secret], outputs=[shared]),
            client.event("COMPLETE", RUN, 1, **use),
            foreign(client, 2, inputs=[mine], outputs=[client.dataset_of("secret-copy", symlinks=link)]),
        )
        yield client


def job(namespace, name):
    return {"namespace": namespace, "name": name, "facets": {}}


def foreign(client, second, **sides):
    return client.event("COMPLETE", new_run(), second, job=job("foreign", f"secret-{second}"), **sides)


def seen(client, path, token=OWN):
    return requests.get(
        f"{client.url}/api/v1/{path}", headers={"Authorization": f"Bearer {token}"}, timeout=30
    )


RUN = "00000000-0000-4000-8000-000000000001"
PATHS = [
    *("namespaces", "namespaces/own", "namespaces/lake", "jobs", "namespaces/own/jobs", f"jobs/runs/{RUN}"),
    *("namespaces/own/jobs/use", "namespaces/own/jobs/use/runs", "namespaces/lake/datasets"),
    *("namespaces/lake/datasets/shared", "namespaces/lake/datasets/shared/versions"),
    *("namespaces/lake/datasets/mine", "namespaces/lake/datasets/mine/versions"),
    *("lineage?nodeId=job:own:use", "lineage?nodeId=dataset:lake:shared"),
    *(
        "column-lineage?nodeId=dataset:lake:mine",
        "events/lineage",
        "events",
        "search?q=%25",
        "tags",
        "sources",
    ),
]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_tells_of_another_namespace(guarded, path):
    """No list, count, graph, search or event holds a name, a version or a facet of another namespace."""
    found = seen(guarded, path)
    assert 200 == found.status_code, found.text
    assert "secret" not in found.text
    assert "foreign" not in found.text


def test_what_its_jobs_said_is_all_there(guarded):
    """Its jobs, their runs, what they read and wrote, and how all that hangs together."""
    assert ["lake", "own"] == [each["name"] for each in seen(guarded, "namespaces").json()["namespaces"]]
    datasets = seen(guarded, "namespaces/lake/datasets").json()
    assert (["mine", "shared"], 2) == (
        [each["name"] for each in datasets["datasets"]],
        datasets["totalCount"],
    )
    graph = seen(guarded, "lineage?nodeId=job:own:use").json()["graph"]
    assert ["mine", "shared", "use"] == [node["data"]["name"] for node in graph]
    assert 1 == seen(guarded, "events").json()["totalCount"]
    (version,) = seen(guarded, "namespaces/lake/datasets/shared/versions").json()["versions"]
    assert version["createdByRun"] is None
    assert ["own-db"] == [each["name"] for each in seen(guarded, "sources").json()["sources"]]


def test_what_is_of_another_namespace_is_not_there(guarded):
    """Asked by name it is not found, as if it had never been sent."""
    run = seen(guarded, "jobs", ALL).json()["jobs"][0]["latestRun"]["id"]
    paths = [
        "namespaces/foreign",
        "namespaces/foreign/jobs/secret-0",
        f"jobs/runs/{run}",
        f"jobs/runs/{run}/facets",
    ]
    paths += [
        "namespaces/lake/datasets/secret-data",
        "lineage?nodeId=job:foreign:secret-0",
        "lineage?nodeId=dataset:lake:secret-copy",
    ]
    for path in paths:
        assert (200, 404) == (seen(guarded, path, ALL).status_code, seen(guarded, path).status_code), path
    assert 4 == seen(guarded, "search?q=%25&filter=dataset", ALL).json()["totalCount"] + 1


def test_its_tags_are_its_own(guarded):
    """The tag of an answer is another one for another token: nobody is told that theirs is still right."""
    tags = [seen(guarded, "jobs", token).headers["ETag"] for token in (OWN, ALL)]
    assert tags[0] != tags[1]


def test_answers_are_for_tokens_without_limits(guarded):
    """Answers walk through all namespaces: a limited token gets 403, one without limits the answer."""
    found = seen(guarded, "answers/runs")
    assert 403 == found.status_code
    assert "limited" in found.json()["message"]
    assert 3 == len(seen(guarded, "answers/runs", ALL).json())


@pytest.mark.parametrize(("token", "status"), [("unknown", 401), (SENDER, 403)])
def test_only_who_may_read_reads(guarded, token, status):
    """Without a known token 401, with one that may only send 403, and no token is in what is told."""
    for path in ("jobs", "answers/models"):
        found = seen(guarded, path, token)
        assert (status, status) == (found.status_code, found.json()["code"])
        assert token not in json.dumps(found.json())
    assert ("WWW-Authenticate" in found.headers) is (status == 401)
