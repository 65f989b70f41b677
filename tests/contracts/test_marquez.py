"""One suite for Marquez: the fake, and a real server where MARQUEZ_URL names one (data/marquez/README.md).

A real server has to be fresh and is spoilt afterwards: some of what is posted makes its lists unreadable for
ever. The tests that do so stand last.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from marquez_asked import FACET, Client, new_run, parent_of, run_with

from modeltrail_collector.testing import marquez

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "marquez" / "cases.jsonl").read_text().splitlines()
]


SERVERS = ["fake", pytest.param("real", marks=pytest.mark.marquez)]


@contextlib.contextmanager
def serving(which: str) -> Iterator[Client]:
    with contextlib.ExitStack() as stack:
        fake = which == "fake"
        url = stack.enter_context(marquez()).url if fake else os.environ["MARQUEZ_URL"].rstrip("/")
        yield stack.enter_context(contextlib.closing(Client(url)))


@pytest.fixture(params=SERVERS)
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    with serving(request.param) as client:
        yield client


# Runs


def test_a_run_facet_is_kept_whole_and_the_latest_by_its_time_wins(client: Client) -> None:
    """Custom facets come back as sent, merged by key; an older event that arrives later changes none."""
    run = new_run()
    deep = {"metrics": {"loss": [0.5, {"step": 1}]}, "flag": None}
    client.send(
        client.event("START", run, 1, run=run_with(run, modelTrail_x=deep, modelTrail_y={"n": 1})),
        client.event("COMPLETE", run, 3, run=run_with(run, modelTrail_y={"n": 3})),
        client.event("RUNNING", run, 2, run=run_with(run, modelTrail_y={"n": 2})),
    )
    assert {"modelTrail_x": FACET | deep, "modelTrail_y": FACET | {"n": 3}} == client.run(run)["facets"]
    assert client.run(run)["facets"] == client.get("jobs", "runs", run, "facets", type="run")["facets"]


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (["START"], "RUNNING"),
        (["START", "COMPLETE"], "COMPLETED"),
        (["START", "FAIL"], "FAILED"),
        (["START", "ABORT"], "ABORTED"),
        (["complete"], "COMPLETED"),
        (["COMPLETE", "START"], "RUNNING"),
        (["FAIL", "COMPLETE"], "COMPLETED"),
        (["COMPLETE", "OTHER"], "RUNNING"),
        (["WHATEVER"], "RUNNING"),
    ],
)
def test_a_run_is_in_the_state_that_arrived_last(client: Client, states: list[str], state: str) -> None:
    """The last event to arrive gives the state, whatever was before; what is no end is running."""
    run = new_run()
    client.send(*(client.event(each, run, second) for second, each in enumerate(states)))
    assert state == client.run(run)["state"]


def test_times_of_a_run_are_those_of_what_arrived(client: Client) -> None:
    """RUNNING and OTHER move the start, even behind the end; COMPLETE alone has no start."""
    run, alone = new_run(), new_run()
    client.send(
        client.event("START", run), client.event("RUNNING", run, 5), client.event("COMPLETE", run, 10)
    )
    assert 5000 == client.run(run)["durationMs"]
    client.send(client.event("OTHER", run, 11), client.event("COMPLETE", alone))
    assert -1000 == client.run(run)["durationMs"]
    assert client.run(alone)["startedAt"] is None


def test_a_run_without_event_type_and_facets_is_new(client: Client) -> None:
    """An event without eventType is taken if its run has no facets at all, and its run is NEW."""
    run = new_run()
    client.send(client.event("", run, eventType=None, run={"runId": run}))
    assert "NEW" == client.run(run)["state"]


def test_sending_a_run_again_changes_only_the_event_store(client: Client) -> None:
    """The same events in the same order leave run and versions as they were; the store has them twice."""
    run = new_run()
    events = [
        client.event(state, run, second, "twice", outputs=[client.dataset_of("out")])
        for second, state in enumerate(["START", "COMPLETE"])
    ]
    client.send(*events)
    before = client.run(run), client.dataset("out")["currentVersion"]
    client.send(*events)
    assert before == (client.run(run), client.dataset("out")["currentVersion"])
    assert 1 == len(client.versions("out"))
    assert 4 == len(client.stored("twice"))


def test_a_job_shows_its_facets_when_a_run_has_ended(client: Client) -> None:
    """Facets of the job, those of START too, are on the job from COMPLETE on; before, the run has them."""
    run = new_run()
    facets = {"modelTrail_j": FACET | {"n": 1}}
    job = {"namespace": client.namespace, "name": "job", "facets": facets}
    client.send(client.event("START", run, job=job))
    assert not client.job("job")["facets"]
    client.send(client.event("COMPLETE", run, 1))
    assert facets == client.job("job")["facets"]
    assert facets == client.get("jobs", "runs", run, "facets", type="job")["facets"]


# Jobs


def test_a_child_has_the_name_of_its_parent_before_its_own(client: Client) -> None:
    """A job with a parent is found as parent.job alone, once prefixed where its name has it already."""
    parent = new_run()
    client.send(client.event("START", parent, job="dag"))
    link = parent_of(parent, client.namespace, "dag")
    for name in ("task", "dag.other"):
        run = new_run()
        client.send(client.event("COMPLETE", run, job=name, run=run_with(run, parent=link)))
    assert {"dag", "dag.task", "dag.other"} == client.jobs()
    assert "task" == client.job("dag.task")["simpleName"]
    missing = client.ask("namespaces", client.namespace, "jobs", "task")
    assert (404, {"code": 404, "message": "Job 'task' not found."}) == (missing.status_code, missing.json())


def test_a_parent_in_one_event_alone_splits_the_job(client: Client) -> None:
    """Where only START names the parent, one run leaves two jobs."""
    run = new_run()
    link = parent_of(new_run(), client.namespace, "dag")
    client.send(
        client.event("START", run, job="task", run=run_with(run, parent=link)),
        client.event("COMPLETE", run, 1, job="task"),
    )
    assert {"dag", "dag.task", "task"} == client.jobs()


def test_a_parent_elsewhere_must_come_first(client: Client) -> None:
    """A parent of another namespace keeps its runs only if its own event came before its child's."""
    for first in (True, False):
        parent, run, other = new_run(), new_run(), f"{client.namespace}-{first}"
        link = parent_of(parent, other, f"dag-{first}")
        whole = client.event("START", parent, job={"namespace": other, "name": f"dag-{first}", "facets": {}})
        child = client.event("COMPLETE", run, job="task", run=run_with(run, parent=link))
        client.send(*([whole, child] if first else [child, whole]))
        runs = client.get("namespaces", other, "jobs", f"dag-{first}", "runs")["runs"]
        assert ([parent] if first else []) == [each["id"] for each in runs]
        assert (f"dag-{first}" in client.jobs()) is not first


def test_names_with_slashes_are_found_encoded(client: Client) -> None:
    """A name with slashes, colons or spaces is asked for percent-encoded."""
    client.send(client.event("COMPLETE", new_run(), job="a/b c", outputs=[client.dataset_of("/x/y:z")]))
    assert "a/b c" == client.job("a/b c")["name"]
    assert "/x/y:z" == client.dataset("/x/y:z")["name"]


def test_odd_characters_of_a_jobs_namespace_are_replaced(client: Client) -> None:
    """A job namespace may have any characters: those that Marquez does not allow become underscores."""
    odd = f"a b,ü-{client.namespace}"
    client.send(client.event("COMPLETE", new_run(), job={"namespace": odd, "name": "job"}))
    assert "job" == client.get("namespaces", f"a_b__-{client.namespace}", "jobs", "job")["name"]
    assert 404 == client.ask("namespaces", odd, "jobs", "job").status_code


def test_inputs_and_outputs_are_those_of_all_events_of_a_run(client: Client) -> None:
    """What START read and COMPLETE wrote is one run's; an empty list of a later event takes nothing away."""
    run = new_run()
    client.send(
        client.event("START", run, inputs=[client.dataset_of("in")]),
        client.event("RUNNING", run, 1, outputs=[client.dataset_of("out")]),
        client.event("COMPLETE", run, 2),
    )
    shown = client.job("job")
    assert [["in"], ["out"]] == [[each["name"] for each in shown[side]] for side in ("inputs", "outputs")]
    node = f"job:{client.namespace}:job"
    (job,) = [each for each in client.get("lineage", nodeId=node)["graph"] if each["id"] == node]
    assert [1, 1] == [len(job[side]) for side in ("inEdges", "outEdges")]


def test_a_run_that_starts_leaves_the_inputs_and_outputs_of_its_job(client: Client) -> None:
    """The START of a next run, which says nothing yet, takes nothing from what the last one told."""
    client.send(client.event("COMPLETE", new_run(), inputs=[client.dataset_of("in")]))
    client.send(client.event("START", new_run(), 1))
    assert ["in"] == [each["name"] for each in client.job("job")["inputs"]]


def test_a_job_event_leaves_edges_alone(client: Client) -> None:
    """A JobEvent makes a job without inputs, outputs and facets, whose edges are in the graph."""
    job = {"namespace": client.namespace, "name": "told", "facets": {"modelTrail_j": FACET}}
    client.send(client.told("JobEvent", job=job, inputs=[client.dataset_of("in")], outputs=[]))
    shown = client.job("told")
    assert ([], [], False) == (shown["inputs"], shown["outputs"], bool(shown["facets"]))
    graph = client.get("lineage", nodeId=f"job:{client.namespace}:told")["graph"]
    assert [f"dataset:{client.namespace}:in", f"job:{client.namespace}:told"] == [
        each["id"] for each in graph
    ]


# Datasets


def test_each_run_that_writes_makes_one_version(client: Client) -> None:
    """A run's events make one version of what it writes, START the first; each further run one more."""
    for count in (1, 2):
        run = new_run()
        for second, state in enumerate(["START", "RUNNING", "COMPLETE"]):
            client.send(client.event(state, run, second, outputs=[client.dataset_of("out")]))
            assert count == len(client.versions("out"))
        assert run == client.versions("out")[0]["createdByRun"]["id"]


def test_a_schema_that_comes_late_makes_a_second_version(client: Client) -> None:
    """Where only COMPLETE has the schema facet, one run makes two versions."""
    run = new_run()
    late = client.dataset_of("out", schema={"fields": [{"name": "a", "type": "INT"}]})
    client.send(client.event("START", run, outputs=[client.dataset_of("out")]))
    client.send(client.event("COMPLETE", run, 1, outputs=[late]))
    assert 2 == len(client.versions("out"))
    assert ["a"] == [field["name"] for field in client.dataset("out")["fields"]]


def test_what_is_read_keeps_one_version(client: Client) -> None:
    """An input has one version for ever, whose facets the next event overwrites: `snap-1` is lost."""
    for second, name in enumerate(["snap-1", "snap-2"]):
        read = client.dataset_of("in", version={"datasetVersion": name})
        client.send(client.event("COMPLETE", new_run(), second, inputs=[read]))
    (version,) = client.versions("in")
    assert "snap-2" == version["facets"]["version"]["datasetVersion"]


def test_a_dataset_shows_the_facets_of_its_last_version(client: Client) -> None:
    """Facets of an earlier version are not on the dataset; each version keeps its own."""
    for second, facets in enumerate(
        [{"version": {"datasetVersion": "7"}, "modelTrail_m": {"n": 1}}, {"modelTrail_o": {"n": 2}}]
    ):
        written = client.dataset_of("out", **facets)
        client.send(client.event("COMPLETE", new_run(), second, outputs=[written]))
    assert {"modelTrail_o"} == set(client.dataset("out")["facets"])
    assert ["7"] == [
        each["facets"]["version"]["datasetVersion"]
        for each in client.versions("out")
        if "version" in each["facets"]
    ]


def test_facets_of_reading_and_writing_are_the_runs_and_the_datasets(client: Client) -> None:
    """Input and output facets stand in the run, and among the dataset's own."""
    run, facet = new_run(), {"modelTrail_use": FACET | {"n": 1}}
    read = {**client.dataset_of("in"), "inputFacets": facet}
    written = {**client.dataset_of("out"), "outputFacets": facet}
    client.send(client.event("COMPLETE", run, inputs=[read], outputs=[written]))
    for side, name in (("inputDatasetVersions", "in"), ("outputDatasetVersions", "out")):
        (version,) = client.run(run)[side]
        assert (name, facet) == (version["datasetVersionId"]["name"], version["facets"])
        assert facet == client.dataset(name)["facets"]


def test_the_version_that_a_run_names_leads_nowhere(client: Client) -> None:
    """The version of a dataset is found by what its list says, not by what the run says."""
    run = new_run()
    client.send(client.event("COMPLETE", run, outputs=[client.dataset_of("out")]))
    (named,) = client.run(run)["outputDatasetVersions"]
    path = "namespaces", client.namespace, "datasets", "out", "versions"
    assert 404 == client.ask(*path, named["datasetVersionId"]["version"]).status_code
    (listed,) = client.versions("out")
    assert listed["version"] == client.get(*path, listed["version"])["version"]


def test_a_dataset_event_makes_a_version_of_its_own(client: Client) -> None:
    """A DatasetEvent makes a version without a run, and the dataset shows that event's facets alone."""
    client.send(
        client.event("COMPLETE", new_run(), outputs=[client.dataset_of("out", modelTrail_m={"n": 1})])
    )
    client.send(client.told("DatasetEvent", dataset=client.dataset_of("out", modelTrail_d={"n": 2})))
    assert {"modelTrail_d"} == set(client.dataset("out")["facets"])
    assert [None] == [each["createdByRun"] for each in client.versions("out") if not each["createdByRun"]]
    assert 2 == len(client.versions("out"))


def test_a_dropped_dataset_is_listed(client: Client) -> None:
    """DROP hides nothing: the dataset is listed, as deleted."""
    dropped = client.dataset_of("out", lifecycleStateChange={"lifecycleStateChange": "DROP"})
    client.send(client.event("COMPLETE", new_run(), outputs=[dropped]))
    (listed,) = client.get("namespaces", client.namespace, "datasets")["datasets"]
    assert listed["deleted"]


def test_a_symlink_joins_and_costs_the_look_at_a_version(client: Client) -> None:
    """Who reads another name of a dataset is joined to it; the name is listed, and a version answers 500."""
    links = [{"namespace": client.namespace, "name": "alias", "type": "LOCATION"}]
    linked = client.dataset_of("model", symlinks={"identifiers": links})
    client.send(client.event("COMPLETE", new_run(), job="train", outputs=[linked]))
    client.send(client.event("COMPLETE", new_run(), 1, "serve", inputs=[client.dataset_of("alias")]))
    graph = client.get("lineage", nodeId=f"job:{client.namespace}:train")["graph"]
    assert f"job:{client.namespace}:serve" in {each["id"] for each in graph}
    listed = client.get("namespaces", client.namespace, "datasets")
    assert ({"alias", "model"}, 2) == ({each["name"] for each in listed["datasets"]}, listed["totalCount"])
    assert [] == client.versions("alias")
    (version,) = client.versions("model")
    path = "namespaces", client.namespace, "datasets", "model", "versions", version["version"]
    assert 500 == client.ask(*path).status_code


# Questions


def test_the_graph_is_all_that_hangs_together(client: Client) -> None:
    """The graph holds siblings too, sorted, with edges and without facets; depth bounds it."""
    for name, inputs, outputs in (("a", [], ["d"]), ("b", ["d"], []), ("c", ["d"], ["e"])):
        read, written = ([client.dataset_of(each) for each in side] for side in (inputs, outputs))
        client.send(client.event("COMPLETE", new_run(), job=name, inputs=read, outputs=written))
    graph = client.get("lineage", nodeId=f"job:{client.namespace}:b", depth=20)["graph"]
    nodes = [
        *(f"dataset:{client.namespace}:{n}" for n in "de"),
        *(f"job:{client.namespace}:{n}" for n in "abc"),
    ]
    assert nodes == [each["id"] for each in graph]
    assert all("facets" not in each["data"] for each in graph)
    assert [{"origin": nodes[2], "destination": nodes[0]}] == graph[0]["inEdges"]


def test_a_node_that_is_none_is_told(client: Client) -> None:
    """An unknown job is 404 with its name, a run is no node, and a version of a dataset breaks the server."""
    missing = client.ask("lineage", nodeId=f"job:{client.namespace}:x")
    assert (404, {"code": 404, "message": "Job 'x' not found."}) == (missing.status_code, missing.json())
    run = client.ask("lineage", nodeId=f"run:{new_run()}")
    assert 404 == run.status_code
    assert "must be of type dataset or job" in run.json()["message"]
    client.send(client.event("COMPLETE", new_run(), outputs=[client.dataset_of("d")]))
    assert 500 == client.ask("lineage", nodeId=f"dataset:{client.namespace}:d#{new_run()}").status_code


def test_the_event_store_has_run_events_with_nulls_for_facets_it_knows(client: Client) -> None:
    """Events come newest first or oldest, between two times, RunEvents alone, with null for absent facets."""
    run = new_run()
    for second, state in enumerate(["START", "RUNNING", "COMPLETE"]):
        client.send(client.event(state, run, second, "kept", eventTime=f"2001-01-01T00:00:0{second}Z"))
    client.send(client.told("DatasetEvent", dataset=client.dataset_of("d"), eventTime="2001-01-01T00:00:01Z"))
    window = {"after": "2001-01-01T00:00:00Z", "before": "2001-01-01T00:00:03Z"}
    told = client.get("events", "lineage", sortDirection="asc", **window)["events"]
    assert ["START", "RUNNING", "COMPLETE"] == [each["eventType"] for each in told]
    assert {"nominalTime": None, "parent": None} == told[0]["run"]["facets"]
    (last,) = client.get("events", "lineage", limit=1, **window)["events"]
    assert "COMPLETE" == last["eventType"]


def test_lists_come_in_pages(client: Client) -> None:
    """A list is cut by limit and offset, and totalCount is the whole."""
    client.send(*(client.event("COMPLETE", new_run(), job=f"job-{n}") for n in range(3)))
    told = client.get("namespaces", client.namespace, "jobs", limit=2, offset=1)
    assert (2, 3) == (len(told["jobs"]), told["totalCount"])
    found = client.get("namespaces", limit=1000)["namespaces"]
    assert {"default", client.namespace} <= {each["name"] for each in found}


def test_what_is_not_there_and_what_is_broken(client: Client) -> None:
    """There is no batch endpoint, what is unknown is 404, and the list of sources always fails."""
    assert 404 == client.ask("lineage", "batch").status_code
    assert 404 == client.ask("jobs", "runs", new_run()).status_code
    assert 404 == client.ask("namespaces", client.namespace, "jobs").status_code
    client.send(client.event("COMPLETE", new_run()))
    assert 404 == client.ask("namespaces", client.namespace, "datasets", "x").status_code
    assert 500 == client.ask("sources").status_code


# What is refused, and what stays of it


def test_what_lacks_something_leaves_nothing(client: Client) -> None:
    """A 422 leaves no job, no run and no raw event."""
    assert 422 == client.post(client.event("COMPLETE", new_run(), job="gone", producer=None))
    client.send(client.event("COMPLETE", new_run(), job="here"))
    assert {"here"} == client.jobs()
    assert [] == client.stored("gone")


def test_a_bad_input_leaves_the_raw_event_alone(client: Client) -> None:
    """A bad namespace of an input is a 400 that leaves neither job nor run, only the raw event."""
    run = new_run()
    bad = {"namespace": "a b", "name": "d"}
    assert 400 == client.post(client.event("COMPLETE", run, job="bad", inputs=[bad]))
    client.send(client.event("COMPLETE", new_run(), job="here"))
    assert {"here"} == client.jobs()
    assert 404 == client.ask("jobs", "runs", run).status_code
    assert 1 == len(client.stored("bad"))


def test_a_source_without_a_name_leaves_half_a_run(client: Client) -> None:
    """A dataSource without name is a 500 that leaves the run, completed, with its inputs and no outputs."""
    run = new_run()
    bad = client.dataset_of("out", dataSource={"uri": "x://y"})
    assert 500 == client.post(client.event("COMPLETE", run, inputs=[client.dataset_of("in")], outputs=[bad]))
    shown = client.run(run)
    assert "COMPLETED" == shown["state"]
    assert [1, 0] == [len(shown[side]) for side in ("inputDatasetVersions", "outputDatasetVersions")]


def test_no_event_type_leaves_a_new_run(client: Client) -> None:
    """A run with facets and no eventType is a 500 that leaves the run in the state NEW."""
    run = new_run()
    assert 500 == client.post(client.event("", run, eventType=None))
    assert "NEW" == client.run(run)["state"]


POISONS = {
    "bad namespace of an output": ({"outputs": [{"namespace": "p q", "name": "d"}]}, "jobs"),
    "empty namespace of an output": ({"outputs": [{"namespace": "", "name": "d"}]}, "jobs"),
    "empty name of an output": ({"outputs": [{"name": ""}]}, "datasets"),
    "empty name of a job": ({"job": {"name": ""}}, "jobs"),
}


@pytest.mark.parametrize("poison", POISONS)
def test_one_event_spoils_the_lists_of_its_namespace(client: Client, poison: str) -> None:
    """A 400 leaves a row that its lists cannot read: they answer 500 from then on, whatever comes after."""
    client.send(client.event("COMPLETE", new_run(), job="healthy", outputs=[client.dataset_of("fine")]))
    parts, broken = POISONS[poison]
    spoilt = client.event("COMPLETE", new_run(), job="bad")
    for key, part in parts.items():
        own = {"namespace": client.namespace}
        spoilt[key] = [own | each for each in part] if isinstance(part, list) else own | part
    assert 200 == client.ask("namespaces", client.namespace, broken).status_code
    assert 400 == client.post(spoilt)
    assert 500 == client.ask("namespaces", client.namespace, broken).status_code
    client.send(client.event("COMPLETE", new_run(), job="healthy"))
    assert 500 == client.ask("namespaces", client.namespace, broken).status_code
    assert "healthy" == client.job("healthy")["name"]


@pytest.mark.parametrize(
    "parts",
    [
        {"outputs": [{"namespace": "p q", "name": "d"}]},
        {"job": {"namespace": "", "name": "job"}},
        {"job": {"namespace": "x" * 1025, "name": "job"}},
    ],
    ids=["bad namespace of an output", "empty namespace of a job", "long namespace of a job"],
)
def test_one_event_spoils_the_lists_of_everybody(client: Client, parts: dict) -> None:
    """A bad namespace that was written makes the lists of all namespaces and of all jobs answer 500."""
    assert 400 == client.post(client.event("COMPLETE", new_run(), **parts))
    assert [500, 500] == [client.ask(each).status_code for each in ("namespaces", "jobs")]


# These two are read in its source (0.51.2-SNAPSHOT) and not yet seen on a server.


@pytest.mark.parametrize("state", ["START", "RUNNING", "OTHER"])
def test_what_ends_no_run_spoils_and_is_taken(client: Client, state: str) -> None:
    """Names of outputs are read again when a run ends: before, a bad one spoils the list and is a 201."""
    client.send(client.event(state, new_run(), outputs=[{"namespace": "p q", "name": "d"}]))
    assert 500 == client.ask("namespaces").status_code


def test_a_symlink_can_spoil_the_list_of_namespaces(client: Client) -> None:
    """The namespace of another name is written unread."""
    linked = client.dataset_of("out", symlinks={"identifiers": [{"namespace": "p q", "name": "alias"}]})
    client.send(client.event("COMPLETE", new_run(), outputs=[linked]))
    assert 500 == client.ask("namespaces").status_code


# The recorded answers


@pytest.fixture(scope="module", params=SERVERS)
def answers(request: pytest.FixtureRequest) -> list[requests.Response]:
    """All cases in their order, on one server: one of them depends on what came before."""
    with serving(request.param) as client:
        return [
            client.request(
                case["method"], "lineage", data=body_of(case), headers={"Content-Type": case["content_type"]}
            )
            for case in CASES
        ]


def body_of(case: dict) -> bytes:
    """What was sent; of the facets that are large the size alone is on record."""
    if case["body"] is not None:
        return case["body"].encode()
    event = json.loads(CASES[0]["body"])
    event["run"]["facets"]["modelTrail_large"] = {**FACET, "text": "x" * (case["body_bytes"] - 500)}
    return json.dumps(event).encode()


def said(text: str, content_type: str | None) -> str:
    """What can be equal of an answer: pages are on record as empty, long messages as their beginning."""
    if "html" in (content_type or ""):
        return ""
    cut = "\\n at [Source"  # where in the body: those with a time were sent with their keys in another order
    return text.partition(cut)[0] if "ZonedDateTime" in text else text


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case["label"][:60] for case in CASES])
def test_an_event_is_answered_as_on_record(answers: list[requests.Response], number: int) -> None:
    """Status, content type and body of the answer are those that Marquez 0.51.1 gave."""
    case, answer = CASES[number], answers[number]
    assert (case["status"], case["response_type"]) == (answer.status_code, answer.headers.get("Content-Type"))
    kind = case["response_type"]
    assert said(case["response"], kind) == said(answer.text, kind)
