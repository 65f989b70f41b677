"""The client of Marquez for Python, against our server."""

import pytest
from marquez_client import MarquezClient
from marquez_client.errors import APIError

CHURN = "train-churn"


@pytest.fixture(scope="module")
def marquez(real):
    return MarquezClient(url=real.url)


def test_namespaces_are_listed_and_found(marquez):
    """Namespaces of jobs and of datasets are listed, and each is found, with slashes and colons too."""
    names = [each["name"] for each in marquez.list_namespaces(limit=50)["namespaces"]]
    assert {"ml", "file", "modeltrail://registry", "feast-ns/mlp", "spark-ns"} <= set(names)
    assert names == [marquez.get_namespace(name)["name"] for name in names]


def test_jobs_and_runs_are_listed_and_found(marquez):
    """Jobs and their runs, the latest first, each found by its name or id."""
    names = [job["name"] for job in marquez.list_jobs("ml")["jobs"]]
    assert ["deploy-churn", "prepare-churn", CHURN] == names
    job = marquez.get_job("ml", CHURN)
    runs = marquez.list_job_runs("ml", CHURN, limit=2)
    assert (3, 2) == (runs["totalCount"], len(runs["runs"]))
    assert runs["runs"] == job["latestRuns"][:2]
    run = marquez.get_job_run(runs["runs"][0]["id"])
    assert run == job["latestRun"]
    assert "modelTrail_training" in run["facets"]


def test_datasets_and_versions_are_listed_and_found(marquez):
    """Datasets and their versions, the latest first, with the run that wrote each."""
    names = {each["name"] for each in marquez.list_datasets("file", limit=100)["datasets"]}
    assert {"/data/churn/features.parquet", "/data/churn/raw/customers.csv"} <= names
    found = marquez.get_dataset("modeltrail://registry", "models/churn")
    versions = marquez.list_dataset_versions("modeltrail://registry", "models/churn")["versions"]
    assert ["3", "2", "1"] == [each["facets"]["version"]["datasetVersion"] for each in versions]
    assert found["currentVersion"] == versions[0]["version"]
    for each in versions:
        same = marquez.get_dataset_version("modeltrail://registry", "models/churn", each["version"])
        assert same == each
        assert CHURN == each["createdByRun"]["job"]["name"]


def test_columns_are_followed(marquez):
    """Where a column came from, by the `columnLineage` facets of Spark and dbt, and where it went."""
    graph = marquez.get_column_lineage_by_dataset("file", "/data/d40/features")["graph"]
    nodes = {node["id"]: node for node in graph}
    total = nodes["datasetField:file:/data/d40/features:total"]
    (source,) = total["data"]["inputFields"]
    assert ("/data/d40/orders", "amount") == (source["dataset"], source["field"])
    assert total["inEdges"][0]["origin"] in nodes
    for downstream in (True, False):
        graph = marquez.get_column_lineage_by_dataset_field(
            "file", "/data/d40/orders", "amount", with_downstream=downstream
        )["graph"]
        assert (total["id"] in {node["id"] for node in graph}) is downstream


def test_tags_sources_and_events_are_listed(marquez):
    """Tags that events give, data sources that they name, and the events."""
    assert "openlineage_client_version:1.54.0" in {tag["name"] for tag in marquez.list_tags()["tags"]}
    assert "file" in {source["name"] for source in marquez.list_sources()["sources"]}
    events = marquez.list_events("ml", limit=3)["events"]
    assert [CHURN] * 2 == [event["job"]["name"] for event in events[:2]]


def test_nothing_can_be_made(marquez):
    """All is derived from the log: what would be written is refused, and the client says why."""
    for make in (lambda: marquez.create_namespace("n", "me"), lambda: marquez.create_tag("secret")):
        with pytest.raises(APIError) as refused:
            make()
        response = refused.value.__cause__.response
        assert 405 == response.status_code
        assert "send events instead" in response.json()["message"]
