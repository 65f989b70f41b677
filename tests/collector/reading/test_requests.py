"""How questions are asked: pages, tags, errors, and a log that has no tables yet."""

import pytest
from browsed import browsing
from marquez_asked import new_run


def test_a_log_without_tables_is_empty(tmp_path):
    """Before the first `compact` every list is empty, and what is asked by name is not found."""
    with browsing(tmp_path) as client:
        for path in ("namespaces", "jobs", "tags", "sources"):
            assert {path: [], "totalCount": 0} == client.get(path)
        assert [[], []] == [client.get("answers", name) for name in ("models", "runs")]
        assert 0 == client.get("search", q="%")["totalCount"]
        assert [] == client.get("events", "lineage")["events"]
        for path in ("namespaces/x", "namespaces/x/jobs", "jobs/runs/x", "lineage?nodeId=job:a:b"):
            assert 404 == client.request("GET", path).status_code


def test_lists_come_in_pages_in_one_order(client):
    """`limit` and `offset` cut one order, and the total is that of all."""
    datasets = [client.dataset_of(f"d{number}") for number in range(5)]
    client.send(client.event("COMPLETE", new_run(), outputs=datasets))
    pages = [
        client.get("namespaces", client.namespace, "datasets", limit=2, offset=offset)
        for offset in (0, 2, 4, 6)
    ]
    assert [5] * 4 == [page["totalCount"] for page in pages]
    names = [[each["name"] for each in page["datasets"]] for page in pages]
    assert [["d0", "d1"], ["d2", "d3"], ["d4"], []] == names


def test_runs_come_the_latest_first(client):
    """The runs of a job by when they began, in pages too."""
    runs = [new_run() for _ in range(4)]
    client.send(*(client.event("START", run, second) for second, run in enumerate(runs)))
    path = ("namespaces", client.namespace, "jobs", "job", "runs")
    found = client.get(*path, limit=3)
    assert (runs[:0:-1], 4) == ([run["id"] for run in found["runs"]], found["totalCount"])
    assert runs[:1] == [run["id"] for run in client.get(*path, limit=3, offset=3)["runs"]]
    assert runs[::-1] == [run["id"] for run in client.job("job")["latestRuns"]]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("jobs?limit=0", "limit is '0': write a whole number from 1 to 1000"),
        ("jobs?limit=1001", "1001"),
        ("jobs?limit=ten", "ten"),
        ("jobs?offset=-1", "-1"),
        ("lineage?nodeId=job:a:b&depth=101", "depth"),
        ("lineage", "nodeId"),
        ("events/lineage?before=soon", "'soon' is no time"),
        ("events/lineage?sortDirection=up", "asc or desc"),
        ("search", "q"),
        ("search?q=a&filter=run", "JOB or DATASET"),
        ("answers/show?model=a&sections=data", "'sections' is no parameter of this"),
        ("answers/impact", "`dataset` or a `fingerprint`"),
        ("answers/runs?state=gone", "'gone' is no state of a run"),
    ],
)
def test_what_cannot_be_asked_says_why(client, path, says):
    """A parameter that cannot be used is named, with the value and what to write."""
    found = client.request("GET", path)
    assert (400, 400) == (found.status_code, found.json()["code"])
    assert says in found.json()["message"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("namespaces/nope", "Namespace 'nope' not found."),
        ("namespaces/{}/jobs/nope", "Job 'nope' not found."),
        ("namespaces/{}/datasets/no%2Fpe", "Dataset 'no/pe' not found."),
        ("namespaces/{}/datasets/d/versions/nope", "Dataset version 'nope' not found."),
        ("jobs/runs/nope", "Run 'nope' not found."),
        ("lineage?nodeId=job:{}:nope", "Job 'nope' not found."),
        ("lineage?nodeId=run:nope", "must be of type dataset or job"),
        ("column-lineage?nodeId=dataset:{}:nope", "not found"),
        ("answers/show?model=nope", "No model, dataset, job or run is called 'nope'."),
    ],
)
def test_what_is_not_there_is_told_as_marquez_does(client, path, says):
    """404, and a body with the code and a sentence."""
    client.send(client.event("COMPLETE", new_run(), outputs=[client.dataset_of("d")]))
    found = client.request("GET", path.format(client.namespace))
    assert (404, 404) == (found.status_code, found.json()["code"])
    assert says in found.json()["message"]


def test_an_answer_is_sent_again_only_when_it_may_be_another(client):
    """With its tag a client gets 304 as long as the tables are the same; another question has another."""
    client.send(client.event("START", new_run()))
    for path in ("jobs?limit=1", "answers/runs?limit=1"):
        first = client.request("GET", path)
        tag = first.headers["ETag"]
        assert tag.startswith('W/"')
        assert "private, no-cache" == first.headers["Cache-Control"]
        again = client.request("GET", path, headers={"If-None-Match": f'"x", {tag}'})
        assert (304, b"", tag) == (again.status_code, again.content, again.headers["ETag"])
        other = client.request("GET", path.replace("1", "2"), headers={"If-None-Match": tag})
        assert 200 == other.status_code
        client.send(client.event("COMPLETE", new_run(), 1, job=f"new-{new_run()}"))
        changed = client.request("GET", path, headers={"If-None-Match": tag})
        assert (200, True) == (changed.status_code, tag != changed.headers["ETag"])


def test_names_are_found_by_any_part(client):
    """A search finds jobs and datasets by a part of their name, in any case, of one kind or everywhere."""
    name = f"/Lake/{client.namespace}"
    client.send(client.event("COMPLETE", new_run(), job=f"load {name}", outputs=[client.dataset_of(name)]))
    found = client.get("search", q=f"lake/{client.namespace}")
    assert 2 == found["totalCount"]
    assert {"JOB", "DATASET"} == {each["type"] for each in found["results"]}
    (one,) = client.get("search", q="/lake/%", filter="dataset", namespace=client.namespace)["results"]
    assert f"dataset:{client.namespace}:{name}" == one["nodeId"]
    assert client.get("lineage", nodeId=one["nodeId"])["graph"]


def test_odd_names_are_found_encoded(client):
    """Names with slashes, colons, newlines, quotes and percent signs are found percent-encoded."""
    odd = "a/b:c\n'd' \"e\" 100% ü#?"
    client.send(client.event("COMPLETE", new_run(), job=odd, outputs=[client.dataset_of(odd)]))
    assert (odd, odd) == (client.job(odd)["name"], client.dataset(odd)["name"])
    assert client.versions(odd)
    assert 2 == len(client.get("lineage", nodeId=f"job:{client.namespace}:{odd}")["graph"])


def test_events_are_listed_by_their_time(client):
    """The RunEvents of a namespace between two times, in both directions, as they came."""
    events = [client.event("RUNNING", new_run(), second) for second in range(4)]
    client.send(*events, client.told("JobEvent", job={"namespace": client.namespace, "name": "told"}))
    span = {"after": "2026-11-23T10:00:01Z", "before": "2026-11-23T10:00:03Z"}
    found = client.get("events", client.namespace, **span)
    assert (events[2:0:-1], 2) == (found["events"], found["totalCount"])
    assert events[:2] == client.get("events", client.namespace, sortDirection="ASC", limit=2)["events"]


def test_the_graph_goes_so_far(client):
    """A depth is so many edges, in both directions."""
    client.send(
        client.event("COMPLETE", new_run(), job="a", outputs=[client.dataset_of("x")]),
        client.event(
            "COMPLETE",
            new_run(),
            1,
            job="b",
            inputs=[client.dataset_of("x")],
            outputs=[client.dataset_of("y")],
        ),
    )
    for depth, names in ((0, "x"), (1, "abx"), (2, "abxy")):
        graph = client.get("lineage", nodeId=f"dataset:{client.namespace}:x", depth=depth)["graph"]
        assert list(names) == sorted(node["data"]["name"] for node in graph)
    edges = [(edge["origin"][-1], edge["destination"][-1]) for node in graph for edge in node["outEdges"]]
    assert [("a", "x"), ("b", "y"), ("x", "b")] == sorted(edges)


def test_a_job_has_a_version_for_what_its_runs_read_and_wrote(client):
    """Runs that read and write the same are one version; the one that ran last comes first."""
    a, b, out = (client.dataset_of(name) for name in "abo")
    runs = [new_run() for _ in range(3)]
    for second, (run, read) in enumerate(zip(runs, (a, b, a), strict=True)):
        client.send(client.event("COMPLETE", run, second, inputs=[read], outputs=[out]))
    path = ("namespaces", client.namespace, "jobs", "job", "versions")
    found = client.get(*path)["versions"]
    assert [["a"], ["b"]] == [[each["name"] for each in version["inputs"]] for version in found]
    assert [runs[2], runs[1]] == [version["latestRun"]["id"] for version in found]
    assert found == [client.get(*path, version["version"]) for version in found]


def test_events_without_a_run_are_shown(client):
    """A DatasetEvent makes a dataset, with one version and no run; a JobEvent a job without runs."""
    client.send(
        client.told("DatasetEvent", dataset=client.dataset_of("t", documentation={"description": "all"})),
        client.told("JobEvent", job=client.dataset_of("told", documentation={"description": "nightly"})),
    )
    (version,) = client.versions("t")
    assert ("all", None) == (version["description"], version["createdByRun"])
    assert version["version"] == client.dataset("t")["currentVersion"]
    assert version == client.get(
        "namespaces", client.namespace, "datasets", "t", "versions", version["version"]
    )
    job = client.job("told")
    assert ("nightly", None, []) == (job["description"], job["latestRun"], job["latestRuns"])
    assert 0 == client.get("namespaces", client.namespace, "jobs", "told", "runs")["totalCount"]
    graph = client.get("lineage", nodeId=f"dataset:{client.namespace}:t")["graph"]
    assert ["t"] == [node["data"]["name"] for node in graph]


def test_tags_are_those_that_events_give(client):
    """Tags of a dataset and of its columns, whatever their values, and a list of all of them."""
    given = [
        {"key": f"pii-{client.namespace}", "value": "true"},
        {"key": "level", "value": client.namespace},
        {"key": "odd", "value": [1]},
        {"key": "masked", "value": "true", "field": "mail"},
    ]
    fields = {"fields": [{"name": "mail", "type": "text"}]}
    client.send(
        client.event(
            "COMPLETE", new_run(), outputs=[client.dataset_of("t", tags={"tags": given}, schema=fields)]
        )
    )
    shown = client.dataset("t")
    assert [f"pii-{client.namespace}", f"level:{client.namespace}", "odd"] == shown["tags"]
    assert ["masked"] == shown["fields"][0]["tags"]
    assert {*shown["tags"], "masked"} <= {tag["name"] for tag in client.get("tags", limit=1000)["tags"]}


def test_a_job_keeps_its_facets_while_its_next_run_says_none(client):
    """The START of a next run that says nothing of its job takes nothing from what the last one said."""
    said = {"documentation": {"_producer": "p://p", "_schemaURL": "s://s", "description": "nightly"}}
    client.send(
        client.event(
            "COMPLETE", new_run(), job={"namespace": client.namespace, "name": "job", "facets": said}
        ),
        client.event("START", new_run(), 1),
    )
    assert ("nightly", "RUNNING") == (
        client.job("job")["description"],
        client.job("job")["latestRun"]["state"],
    )


def test_columns_are_followed_from_both_ends(client):
    """From what only is read downstream, from what is written back; what cannot be read is passed over."""
    raw, out = f"raw#{client.namespace}", f"out#{client.namespace}"
    source = {"namespace": client.namespace, "name": raw, "field": "a"}
    odd = [{"namespace": client.namespace, "name": [raw], "field": "a"}, "a", {"field": "b"}]
    facet = {"fields": {"x": {"inputFields": [source, *odd]}, "y": "odd"}}
    read, written = client.dataset_of(raw), client.dataset_of(out, columnLineage=facet)
    client.send(client.event("COMPLETE", new_run(), inputs=[read], outputs=[written]))
    for node, downstream, found in (
        (f"dataset:{client.namespace}:{raw}", "true", ["a", "x"]),
        (f"dataset:{client.namespace}:{raw}", "false", ["a"]),
        (f"datasetField:{client.namespace}:{out}:x", "false", ["a", "x"]),
        (f"job:{client.namespace}:job", "false", ["a", "x"]),
        (f"dataset:{client.namespace}:{out}#{new_run()}", "false", ["a", "x"]),
    ):
        graph = client.get("column-lineage", nodeId=node, withDownstream=downstream)["graph"]
        assert found == sorted(each["data"]["field"] for each in graph)
