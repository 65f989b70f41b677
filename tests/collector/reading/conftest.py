"""Servers to browse: an empty one that tests fill, each its own namespace, and one with real events."""

from pathlib import Path

import pytest
from browsed import browsing, compacted
from marquez_asked import Client

REAL = Path(__file__).parents[2] / "data" / "real-events"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for all tests of a module."""
    with browsing(tmp_path_factory.mktemp("browsed")) as found:
        yield found


@pytest.fixture
def client(server):
    """The server, with a namespace that no other test uses."""
    server.namespace = Client("").namespace
    return server


@pytest.fixture(scope="session")
def real(tmp_path_factory, make):
    """What Airflow, Spark, dbt, Dagster and Feast sent, and our churn story, with a server before it."""
    folder = tmp_path_factory.mktemp("real")
    with browsing(folder) as found:
        lines = [line for file in sorted(REAL.glob("*.ndjson")) for line in file.read_bytes().splitlines()]
        for body in [*lines, *make.story()]:
            data = {"data": body} if isinstance(body, bytes) else {"json": body}
            answer = found.request("POST", "lineage", headers={"Content-Type": "application/json"}, **data)
            assert 201 == answer.status_code, answer.text
        compacted(found.log)
        yield found
