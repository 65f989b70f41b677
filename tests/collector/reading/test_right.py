"""Where Marquez 0.51.1 is broken or loses something, and we are not and do not."""

import pytest
from marquez_asked import FACET, new_run, parent_of, run_with


def shown(client, name, version):
    return client.get("namespaces", client.namespace, "datasets", name, "versions", version)


def test_sources_are_listed(client):
    """Each data source that events name is listed, one without an address too: Marquez answers 500."""
    named = client.dataset_of("t", dataSource={"name": f"db-{client.namespace}", "uri": "postgres://db/t"})
    bare = client.dataset_of("u", dataSource={"name": f"bare-{client.namespace}"})
    client.send(client.event("COMPLETE", new_run(), inputs=[named], outputs=[bare]))
    sources = {each["name"]: each for each in client.get("sources")["sources"]}
    found = [sources[f"{kind}-{client.namespace}"] for kind in ("db", "bare")]
    assert [("POSTGRES", "postgres://db/t"), ("DEFAULT", None)] == [
        (each["type"], each["connectionUrl"]) for each in found
    ]


def test_a_version_of_a_dataset_with_other_names_is_shown(client):
    """One symlink, or a hundred: each version is found by its id, where Marquez answers 500."""
    link = {"namespace": "s3://b", "name": f"art/{client.namespace}", "type": "LOCATION"}
    model = client.dataset_of("model", symlinks={"identifiers": [link]})
    run = new_run()
    client.send(client.event("COMPLETE", run, outputs=[model]))
    (version,) = client.versions("model")
    assert run == shown(client, "model", version["version"])["createdByRun"]["id"]


def test_what_reads_another_name_reads_the_dataset(client):
    """A reader of a symlink is joined to the dataset, which is listed once and found by both names."""
    link = {"namespace": "s3://b", "name": f"art/{client.namespace}", "type": "LOCATION"}
    model = client.dataset_of("model", symlinks={"identifiers": [link]})
    reads = {"namespace": link["namespace"], "name": link["name"]}
    client.send(
        client.event("COMPLETE", new_run(), job="train", outputs=[model]),
        client.event("COMPLETE", new_run(), 1, job="score", inputs=[reads]),
    )
    graph = client.get("lineage", nodeId=f"job:{client.namespace}:score")["graph"]
    ends = ["dataset:{}:model", "job:{}:score", "job:{}:train"]
    assert [each.format(client.namespace) for each in ends] == [each["id"] for each in graph]
    assert "model" == client.get("namespaces", "s3://b", "datasets", link["name"])["name"]
    assert 404 == client.ask("namespaces", "s3://b", "datasets").status_code


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (["COMPLETE", "START"], "COMPLETED"),
        (["COMPLETE", "OTHER"], "COMPLETED"),
        (["FAIL", "COMPLETE"], "FAILED"),
        (["ABORT", "RUNNING"], "ABORTED"),
        (["START", "RUNNING"], "RUNNING"),
    ],
)
def test_a_run_that_ended_has_ended(client, states, state):
    """What arrives after its end takes a run back to nothing, and FAIL and ABORT beat COMPLETE."""
    run = new_run()
    client.send(*(client.event(each, run, second) for second, each in enumerate(states)))
    assert state == client.run(run)["state"]


def test_a_run_lasts_from_its_start_to_its_end(client):
    """RUNNING and OTHER move neither end: ten seconds are ten seconds."""
    run = new_run()
    states = [("START", 0), ("RUNNING", 5), ("COMPLETE", 10), ("OTHER", 11)]
    client.send(*(client.event(state, run, second) for state, second in states))
    assert 10_000 == client.run(run)["durationMs"]


def test_a_run_is_one_jobs(client):
    """A parent facet in one event alone splits no run: it has one job, known by both of its names."""
    run = new_run()
    link = parent_of(new_run(), client.namespace, "dag")
    client.send(
        client.event("START", run, job="task", run=run_with(run, parent=link)),
        client.event("COMPLETE", run, 1, job="task"),
    )
    assert {"task"} == client.jobs()
    assert client.job("task") == client.job("dag.task")
    assert ("task", "dag") == (client.job("task")["simpleName"], client.job("task")["parentJobName"])


def test_each_version_that_was_read_is_kept(client):
    """An input whose version changes leaves one version of each, and each run names the one that it read."""
    runs = [new_run() for _ in range(3)]
    for second, (run, name) in enumerate(zip(runs, ["snap-1", "snap-2", "snap-1"], strict=True)):
        read = client.dataset_of("in", version={"datasetVersion": name})
        client.send(client.event("COMPLETE", run, second, inputs=[read]))
    said = [version["facets"]["version"]["datasetVersion"] for version in client.versions("in")]
    assert ["snap-2", "snap-1"] == said
    for run, name in zip(runs, ["snap-1", "snap-2", "snap-1"], strict=True):
        (used,) = client.run(run)["inputDatasetVersions"]
        version = shown(client, "in", used["datasetVersionId"]["version"])
        assert name == version["facets"]["version"]["datasetVersion"]


def test_a_run_names_versions_that_can_be_asked_for(client):
    """What a run wrote, and what the next one read of it, are one version: by its content, else by time."""
    first, second, pinned, reader = (new_run() for _ in range(4))

    def table(version):
        return client.dataset_of("t", version={"datasetVersion": version})

    client.send(
        client.event("COMPLETE", first, 1, job="write", outputs=[table("v1")]),
        client.event("COMPLETE", second, 2, job="write", outputs=[table("v2")]),
        client.event("COMPLETE", pinned, 3, job="read", inputs=[table("v1")]),
        client.event("COMPLETE", reader, 4, job="read", inputs=[client.dataset_of("t")]),
    )
    for run, writer in ((pinned, first), (reader, second)):
        (used,) = client.run(run)["inputDatasetVersions"]
        assert writer == shown(client, "t", used["datasetVersionId"]["version"])["createdByRun"]["id"]
    assert [second, first] == [each["createdByRun"]["id"] for each in client.versions("t")]
    assert client.dataset("t")["currentVersion"] == client.versions("t")[0]["version"]


def test_facets_that_stand_in_start_alone_are_shown(client):
    """A job shows the facets that its run has said so far, before it has ended too."""
    facets = {"documentation": FACET | {"description": "nightly"}}
    job = {"namespace": client.namespace, "name": "job", "facets": facets}
    client.send(client.event("START", new_run(), job=job))
    assert (facets, "nightly") == (client.job("job")["facets"], client.job("job")["description"])


def test_what_no_event_can_spoil(client):
    """A namespace with odd characters is kept as it is, and every list goes on."""
    odd = f"a b,ü-{client.namespace}"
    written = {"namespace": odd, "name": "x"}
    job = {"namespace": odd, "name": "job 1", "facets": {}}
    client.send(client.event("COMPLETE", new_run(), job=job, outputs=[written]))
    assert "job 1" == client.get("namespaces", odd, "jobs", "job 1")["name"]
    assert odd in {each["name"] for each in client.get("namespaces", limit=1000)["namespaces"]}
    assert ["x"] == [each["name"] for each in client.get("namespaces", odd, "datasets")["datasets"]]


def test_an_event_sent_twice_is_shown_once(client):
    """The list of events leaves out copies, and shows the others as they came."""
    event = client.event("COMPLETE", new_run(), job="twice")
    client.send(event, event)
    assert [event] == client.stored("twice")
    client.send(client.event("START", new_run(), 1))
    assert [event] == client.get("events", client.namespace, sortDirection="asc", limit=1)["events"]


def test_a_link_that_moves_makes_no_two_datasets_one(client):
    """What a path led to in one run is another name of it there: each file is a dataset, and stays one."""

    def file(name, at=None):
        source = {"name": "file", "uri": f"file:///{client.namespace}/{at or name}"}
        made = {"_producer": "https://github.com/modeltrail/modeltrail/tree/0.1.0"}
        return {
            "namespace": "file",
            "name": f"/{client.namespace}/{name}",
            "facets": {"dataSource": FACET | source | made},
        }

    for second, month in enumerate(("10", "11")):
        client.send(
            client.event("COMPLETE", new_run(), 2 * second, job=f"export-{month}", outputs=[file(month)]),
            client.event("COMPLETE", new_run(), 2 * second + 1, job="train", inputs=[file("current", month)]),
        )
    for name in ("10", "11", "current"):
        path = f"/{client.namespace}/{name}"
        assert path == client.get("namespaces", "file", "datasets", path)["name"]
