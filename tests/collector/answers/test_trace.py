"""The path back to raw data."""

import importlib
import json
from datetime import timedelta

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.answers.endpoints import in_force
from modeltrail_collector.answers.places import models_of
from modeltrail_collector.cli.answers import trace as command
from modeltrail_collector.cli.trail import _thing
from modeltrail_collector.errors import NotFound

answers_trace = importlib.import_module("modeltrail_collector.answers.trace")


@pytest.mark.parametrize(("namespace", "is_said"), [("inmemory://", False), ("file", True)])
def test_a_version_that_is_a_digest_is_the_content(namespace, is_said) -> None:
    """Of a model in memory, whose version is its digest, it is not said that its content is not recorded."""
    absent = dict.fromkeys(("column", "deployment", "rows", "run", "fingerprint"))
    told = {"namespace": namespace, "name": "t/m", "kind": "model", "version": "3" * 64, "use": "train"}
    told["inputs"] = []
    assert is_said == (
        "content not recorded" in _thing({**absent, **told, "how": [], "possible": False, "symlinks": []})
    )


def path(node) -> list:
    """A tree as nested lists: name, job, inputs."""
    return [
        node["name"].rpartition("/")[2],
        node["run"] and node["run"]["run_id"][-3:],
        *map(path, node["inputs"]),
    ]


def chain(make, *steps):
    """Runs one after another: (inputs, outputs) of each, run ids 000000, 000001 and so on."""
    return [
        make.run_event(
            "COMPLETE", make.base + timedelta(minutes=n), f"{n:06}", f"job {n}",
            inputs=[make.dataset(name) for name in inputs], outputs=[make.dataset(name) for name in outputs],
        )
        for n, (inputs, outputs) in enumerate(steps)
    ]  # fmt: skip


def test_from_model_to_raw_data(churn) -> None:
    """A model's trail goes through its training run and what wrote its inputs, to raw data."""
    told = answers.trace(churn, "churn@3")
    assert told == json.loads(json.dumps(told))
    raw = ["customers.csv", None]
    assert ["churn", "0cb", ["features.parquet", "066", raw], ["holdout.parquet", "066", raw]] == path(told)


def test_the_content_that_was_read_decides(churn) -> None:
    """Features written again later do not mislead: an older model leads to the run whose content it read."""
    assert ["features.parquet", "065", ["customers.csv", None]] == path(answers.trace(churn, "churn@2"))[2]


def test_a_fingerprint_decides_against_time(make, log_of) -> None:
    """A reader that saw older content (a copy put back) leads to the run that wrote that content."""
    old = make.prepare(1, make.base, raw="c", features="old")
    new = make.prepare(2, make.base + timedelta(1), raw="c", features="new")
    log = log_of([*old, *new, *make.train(3, make.base + timedelta(2), features="old", strength=1.0)])
    assert ["features.parquet", "065"] == path(answers.trace(log, "churn"))[2][:2]


def test_content_that_no_run_wrote_has_no_writer(make, log_of) -> None:
    """What was read and differs from all that any run wrote comes from outside the log."""
    events = make.prepare(1, make.base, raw="c", features="written")
    log = log_of([*events, *make.train(3, make.base + timedelta(2), features="edited by hand", strength=1.0)])
    assert ["features.parquet", None] == path(answers.trace(log, "churn"))[2]


def test_a_run_that_goes_on_while_another_reads_wrote_what_that_read(make, log_of) -> None:
    """A shell that ends after its next step made what that read, not the one that wrote the same later."""
    shell = make.prepare(1, make.base, raw="c", features="same")
    shell[-1]["eventTime"] = (make.base + timedelta(hours=9)).isoformat()
    train = make.train(3, make.base + timedelta(hours=1), features="same", strength=1.0)
    again = make.prepare(2, make.base + timedelta(1), raw="c", features="same")
    trail = answers.trace(log_of([*shell, *train, *again]), "churn")
    assert ["features.parquet", "065"] == path(trail)[2][:2]


def test_who_gave_an_alias_did_not_make_the_version(make, log_of) -> None:
    """A version that is read leads to what it is a copy of, past what its registry did since."""

    def version(name: str, number: str, action: str | None = None):
        told = {"version": make.facet("v", datasetVersion=number)}
        if action:
            told["modelTrail_registration"] = make.facet("r", name=name, version=number, action=action)
        return make.dataset(f"models/{name}", namespace="modeltrail://registry", **told)

    kind = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
    trained = version("dev", "1", "register")
    trained["facets"]["datasetType"] = kind
    steps = [
        ([make.dataset("raw")], [trained]),
        ([], [version("dev", "1", "stage_change")]),
        ([version("dev", "1")], [version("prod", "1", "register")]),
        ([], [version("prod", "1", "alias_set")]),
        ([], [version("prod", "2", "alias_set")]),
        ([version("prod", "1")], [make.dataset("scores")]),
        ([version("prod", "2")], [make.dataset("others")]),
    ]
    events = [
        make.run_event(
            "COMPLETE", make.base + timedelta(minutes=n), f"{n:06}", f"job {n}", inputs=read, outputs=written
        )
        for n, (read, written) in enumerate(steps)
    ]
    log = log_of(events)
    made = ["prod", "002", ["dev", "000", ["raw", None]]]
    assert ["scores", "005", made] == path(answers.trace(log, "scores"))
    assert ["others", "006", ["prod", "004"]] == path(answers.trace(log, "others"))


def test_from_endpoint_to_raw_data(churn) -> None:
    """An endpoint's trail goes through the deployment to the version that serves."""
    told = answers.trace(churn, "endpoints/churn-api")
    assert ["churn-api", "12e", "churn", "0ca"] == [*path(told)[:2], *path(told)[2][:2]]
    assert ("model", "2") == (told["inputs"][0]["kind"], told["inputs"][0]["version"])


def test_a_model_does_not_come_from_its_own_evaluation(churn) -> None:
    """A run that trains a model and reads it to evaluate it does not make the model its own source."""
    assert "churn.joblib" not in json.dumps(answers.trace(churn, "churn@3")["inputs"])


def two_models(make, *edges: tuple[str, str]) -> dict:
    """A run that puts out the models `a` and `b`, and reads both; what it says went (from, to) where."""
    model = {"datasetType": make.facet("t", datasetType="MODEL", subType="ML_MODEL")}
    both = [make.dataset(name, **model) for name in "ab"]
    entries = [
        {
            "namespace": "file",
            "name": to,
            "type": "DATASET",
            "inputs": [{"namespace": "file", "name": source}],
        }
        for source, to in edges
    ]
    facets = {"lineage": make.facet("lineage", entries=entries)} if edges else {}
    inputs = [make.dataset("raw"), *both]
    return make.run_event("COMPLETE", make.base, "000", "j", job_facets=facets, inputs=inputs, outputs=both)


def test_only_what_a_run_says_makes_its_model_a_source_of_another(make, log_of) -> None:
    """Of a run that does not say what went where a model that it put out and read is no source; rings end."""
    unsaid, raw = log_of([two_models(make)]), ["raw", None]
    assert ["b", "000", raw] == path(answers.trace(unsaid, "b"))
    assert [] == answers.impact(unsaid, "a")
    said = log_of([two_models(make, ("raw", "a"), ("a", "b"), ("raw", "b"))])
    assert ["a", "000", raw] == path(answers.trace(said, "a"))
    assert ["b", "000", ["a", "000", raw], raw] == path(answers.trace(said, "b"))
    assert ["j", "b"] == [row.get("name") or row["job_name"] for row in answers.impact(said, "a")]
    assert [] == answers.impact(said, "b")
    over = log_of([two_models(make, ("raw", "a"), ("a", "a"))])
    assert ["a", "000", raw] == path(answers.trace(over, "a"))
    ring = log_of([two_models(make, ("a", "b"), ("b", "a"))])
    assert ["a", "000", ["b", "000", ["a", "000"]]] == path(answers.trace(ring, "a"))
    assert {"a", "b", None} == {row.get("name") for row in answers.impact(ring, "a")}


def test_cycles_end(make, log_of) -> None:
    """Rings of runs end, what is told elsewhere is marked; what a run read is not what it wrote there."""
    ring = log_of(chain(make, ("c", "a"), ("a", "b"), ("b", "c"), ("c", "a")))
    # Nobody had written what the first one read.
    assert ["c", "002", ["b", "001", ["a", "000", ["c", None]]]] == path(answers.trace(ring, "c"))
    events = chain(make, ("c", "a"), ("a", "b"), ("b", "c"))
    begun = [event | {"eventType": "START", "eventTime": make.base.isoformat()} for event in events]
    told = answers.trace(log_of([*begun, *events]), "c")
    assert ["c", "002", ["b", "001", ["a", "000", ["c", "002"]]]] == path(told)
    assert told["inputs"][0]["inputs"][0]["inputs"][0]["repeated"]
    alone = log_of(chain(make, ("a", "a")))
    assert ["a", "000", ["a", None]] == path(answers.trace(alone, "a"))  # what it wrote over is not its own


def test_diamonds_are_told_once(make, log_of) -> None:
    """A thing that is reached on many ways has its inputs listed once, so that a tree never explodes."""
    steps = [(f"a{n} b{n}".split(), [f"a{n + 1}", f"b{n + 1}"]) for n in range(12)]
    told = json.dumps(answers.trace(log_of(chain(make, *steps)), "a12"))
    assert told.count('"name"') < 60


def test_the_trail_is_at_most_a_hundred_runs_long(make, log_of, monkeypatch) -> None:
    """A chain of 120 runs is followed for 100, and the last thing says that more would follow."""
    steps = [([f"d{n}"], [f"d{n + 1}"]) for n in range(120)]
    log = log_of(chain(make, *steps))
    told = answers.trace(log, "d120")
    depth = 0
    while told["inputs"]:
        assert told["cut"] is None
        (told,) = told["inputs"]
        depth += 1
    assert (100, "d20", "depth", "019") == (depth, told["name"], told["cut"], told["run"]["run_id"][-3:])
    monkeypatch.setattr(answers_trace, "DEPTH", 2)
    told = answers.trace(log, "d2")["inputs"][0]["inputs"][0]
    assert ("d0", None, None) == (told["name"], told["cut"], told["run"])


@pytest.mark.parametrize("many", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_fan_out_is_told_whole(make, log_of, many) -> None:
    """A run that reads 10,000 parts, which one run made of one thing: each is told, with what wrote it."""
    parts = [f"/lake/table/part-{n:05}" for n in range(many)]
    told = answers.trace(log_of(chain(make, (["raw"], parts), (["/lake/table"], ["b"]), (parts, ["m"]))), "m")
    assert parts == [one["name"] for one in told["inputs"]]
    assert {"000"} == {one["run"]["run_id"][-3:] for one in told["inputs"]}
    assert {("raw", None)} == {(one["inputs"][0]["name"], one["cut"]) for one in told["inputs"]}
    assert (None, 0) == (told["cut"], told["more"])


def test_what_does_not_fit_is_said(make, log_of, monkeypatch) -> None:
    """Where an answer is full, the things whose inputs are left out say so, and how many they are."""
    log = log_of(chain(make, (["x"], ["a"]), (["y"], ["b"]), (["a", "b", "c", "d"], ["m"])))
    monkeypatch.setattr(answers_trace, "THINGS", 3)
    told = answers.trace(log, "m")
    assert (["a", "b", "c"], "size", 1) == (
        [one["name"] for one in told["inputs"]],
        told["cut"],
        told["more"],
    )
    assert ["size", "size", None] == [one["cut"] for one in told["inputs"]]
    monkeypatch.setattr(answers_trace, "THINGS", 5)
    told = answers.trace(log, "m")
    assert ["x"] == [one["name"] for one in told["inputs"][0]["inputs"]]
    assert (None, "size") == (told["inputs"][0]["cut"], told["inputs"][1]["cut"])


def deployed(make, number, version, *, action="create", share=None, state="COMPLETE", uri="k8s://prod/x"):
    at = make.base + timedelta(days=3 + number)
    said = make.facet(
        "modelTrail_deployment", action=action, trafficPercent=share, effectiveAt=at.isoformat(),
        endpoint={"platform": "k8s", "name": "churn-api", "uri": uri}, environment="production",
        model={"namespace": "modeltrail://registry", "name": "models/churn", "version": str(version)},
    )  # fmt: skip
    return make.run_event(
        state, at, make.uuid7(at, 400 + number), "deploy", run_facets={"modelTrail_deployment": said}
    )


@pytest.mark.parametrize(
    ("steps", "serving"),
    [
        ([(1, {}), (2, {})], ["2"]),
        ([(1, {}), (2, {"traffic_percent": 10})], ["1", "2"]),
        ([(1, {}), (2, {"traffic_percent": 10}), (2, {"traffic_percent": 100})], ["2"]),
        ([(1, {}), (2, {"traffic_percent": 10}), (1, {"action": "rollback"})], ["1"]),
        ([(1, {}), (2, {"traffic_percent": 10}), (2, {"action": "retire"})], ["1"]),
        ([(1, {}), (2, {"traffic_percent": 10}), (1, {"traffic_percent": 0})], ["2"]),
        ([(1, {}), (1, {"action": "retire"})], []),
    ],
)
def test_what_is_in_force_at_an_endpoint(steps, serving) -> None:
    """All traffic replaces, a part of it stands beside, retiring ends."""
    place = {"platform": "k8s", "endpoint": "e", "environment": None}
    row = place | {"model_digest": None, "model_namespace": None, "model_name": "m"}
    row |= {"traffic_percent": None, "action": "create"}
    rows = [{**row, "model_version": str(version), **how} for version, how in steps]
    assert serving == [one["model_version"] for one in in_force(rows)]


def test_from_an_endpoint_that_two_versions_share(make, log_of) -> None:
    """By name or URI an endpoint leads to the versions in force there, each with its share, and back."""
    day = timedelta(days=1)
    log = log_of(
        [
            *make.prepare(1, make.base, raw="c", features="f"),
            *make.train(1, make.base + day, features="f", strength=1.0),
            *make.train(2, make.base + 2 * day, features="f", strength=2.0),
            deployed(make, 1, 1),
            deployed(make, 2, 2, share=10),
            deployed(make, 3, 1, state="FAIL"),
        ]
    )
    told = answers.trace(log, "k8s://prod/x")
    assert told == answers.trace(log, "churn-api")
    assert ("endpoint", "192") == (told["kind"], told["run"]["run_id"][-3:])
    first, second = told["inputs"]
    assert [("1", None), ("2", 10.0)] == [
        (one["version"], one["deployment"]["traffic_percent"]) for one in (first, second)
    ]
    assert ["churn", "0c9", ["features.parquet", "065", ["customers.csv", None]]] == [
        *(told["inputs"][0]["name"].rpartition("/")[2], first["run"]["run_id"][-3:]),
        path(first)[2],
    ]
    assert ("0ca", True) == (second["run"]["run_id"][-3:], second["inputs"][0]["repeated"])


def test_two_endpoints_of_one_name_are_told_apart(make, log_of) -> None:
    """A name that two endpoints have is refused with their URIs; each URI is found."""
    log = log_of([deployed(make, n, n, uri=f"k8s://{n}/x") for n in (1, 2)])
    with pytest.raises(NotFound, match="k8s://1/x, k8s://2/x"):
        answers.trace(log, "churn-api")
    assert ["2"] == [one["version"] for one in answers.trace(log, "k8s://2/x")["inputs"]]


def from_fields(make, **fields):
    """A `columnLineage` facet: column -> (dataset, column) pairs."""
    how = [{"type": "DIRECT", "subtype": "IDENTITY"}]
    told = {
        name: {
            "inputFields": [
                {"namespace": "file", "name": d, "field": c, "transformations": how} for d, c in pairs
            ]
        }
        for name, pairs in fields.items()
    }
    return make.facet("columnLineage", fields=told)


def column_story(make):
    """f.x is made from a.p and b.q, f.y from b.q alone; f trains a model; of g no columns are told."""
    step = from_fields(make, x=[("a", "p"), ("b", "q")], y=[("b", "q")])
    digest = make.digest("m")
    artifact = make.facet(
        "modelTrail_modelArtifact", digest=digest, digestAlgorithm="sha256", uri="file:///m", sizeBytes=1
    )
    return [
        make.run_event("COMPLETE", make.base, "000", "join", inputs=[make.dataset("a"), make.dataset("b")],
                       outputs=[make.dataset("f", columnLineage=step)]),
        make.run_event("COMPLETE", make.base + timedelta(1), "001", "copy", inputs=[make.dataset("f")],
                       outputs=[make.dataset("g")]),
        make.run_event("COMPLETE", make.base + timedelta(2), "002", "train",
                       inputs=[make.used("f", "f", role="train", rows=3, columns="x,y")],
                       outputs=[make.dataset("m", outputFacets__modelTrail_modelArtifact=artifact)]),
    ]  # fmt: skip


def columns_of(node) -> list:
    return [f"{node['name']}.{node['column']}", *map(columns_of, node["inputs"])]


def test_one_column_is_followed_to_its_raw_columns(make, log_of) -> None:
    """A feature of a model leads to the columns that its column was made from, and to no others."""
    log = log_of(column_story(make))
    assert ["m.x", ["f.x", ["a.p"], ["b.q"]]] == columns_of(answers.trace(log, "m", column="x"))
    assert ["f.y", ["b.q"]] == columns_of(told := answers.trace(log, "f", column="y"))
    assert (["direct identity"], None) == (told["inputs"][0]["how"], told["inputs"][0]["run"])


def test_a_run_that_does_not_tell_its_columns_is_the_end(make, log_of) -> None:
    """Where a run says nothing of a column the way ends there, and says so: nothing is guessed by name."""
    log = log_of(column_story(make))
    told = answers.trace(log, "g", column="x")
    assert ([], "columns", "001") == (told["inputs"], told["cut"], told["run"]["run_id"])


def test_columns_of_the_lineage_facet(make, log_of) -> None:
    """The facet `lineage` of a job tells columns too, what filters all rows among them."""
    source = {"namespace": "file", "name": "r", "type": "DATASET"}
    filtered = source | {"field": "deleted", "transformations": [{"type": "INDIRECT", "subtype": "FILTER"}]}
    fields = {"x": {"inputs": [source | {"field": "p"}]}}
    entry = {"namespace": "file", "name": "t", "type": "DATASET", "inputs": [filtered], "fields": fields}
    jobs = {"lineage": make.facet("lineage", entries=[entry])}
    data = {"inputs": [make.dataset("r")], "outputs": [make.dataset("t")]}
    log = log_of([make.run_event("COMPLETE", make.base, "000", "j", job_facets=jobs, **data)])
    told = answers.trace(log, "t", column="x")
    assert [("deleted", ["indirect filter"]), ("p", [])] == [(i["column"], i["how"]) for i in told["inputs"]]


def test_only_what_was_written_before_counts(make, log_of) -> None:
    """Without fingerprints the last run that wrote a thing before it was read is its source."""
    log = log_of(chain(make, ("r", "d"), ("d", "m"), ("o", "d")))
    assert ["m", "001", ["d", "000", ["r", None]]] == path(answers.trace(log, "m"))


def test_other_names_and_folders_lead_on(make, log_of) -> None:
    """A thing read by its symlink, or as the folder whose parts were written, has its writer too."""
    written = make.dataset(
        "t", symlinks={"identifiers": [{"namespace": "s3://b", "name": "k", "type": "TABLE"}]}
    )
    events = [
        make.run_event("COMPLETE", make.base, "000", "j",
                       outputs=[written, make.dataset("/m/part-0"), make.dataset("/m/part-1")]),
        make.run_event("COMPLETE", make.base + timedelta(1), "001", "j", outputs=[make.dataset("out")],
                       inputs=[make.dataset("k", namespace="s3://b"), make.dataset("/m")]),
    ]  # fmt: skip
    assert ["out", "001", ["m", "000"], ["k", "000"]] == path(answers.trace(log_of(events), "out"))


def test_the_names_that_its_reader_knows_lead_on(known_to_the_reader) -> None:
    """A table whose reader alone says where it lies has the writer of that place, also for one column."""
    assert ["m", "002", ["t", "001", ["raw", "000", ["feed", None]]]] == path(
        answers.trace(known_to_the_reader, "m")
    )
    asked = answers.trace(known_to_the_reader, "t")
    assert (["t", "001"], [{"namespace": "file", "name": "/lake/t"}]) == (path(asked)[:2], asked["symlinks"])
    told = answers.trace(known_to_the_reader, "m", column="x")
    assert ["m", "002", ["t", "001", ["raw", "000"]]] == path(told)
    assert "columns" == told["inputs"][0]["inputs"][0]["cut"]


def test_what_was_written_after_it_was_read_is_no_source(make, log_of) -> None:
    """What a run read by its name, and only a later run wrote, was written by no run in the log."""
    log = log_of(chain(make, (["d"], ["m"]), (["raw"], ["d"])))
    assert ["m", "000", ["d", None]] == path(answers.trace(log, "m"))
    assert ["job 1"] == [row["job_name"] for row in answers.impact(log, "raw") if row["kind"] == "run"]


def test_a_folder_is_what_each_run_wrote_in_it(make, log_of) -> None:
    """Of a folder that was read each part leads to the run that wrote it last before, and to none after."""
    steps = [
        (["a"], ["/t/1"]),
        (["b"], ["/t/1"]),
        (["c"], ["/t/n/2", "/t/n/3"]),
        (["/t"], ["m"]),
        (["d"], ["/t/4"]),
    ]
    log = log_of(chain(make, *steps))
    parts = [["1", "001", ["b", None]], ["n", "002", ["c", None]]]
    assert ["m", "003", ["t", None, *parts]] == path(answers.trace(log, "m"))
    assert ["t", None, parts[0], ["4", "004", ["d", None]], parts[1]] == path(answers.trace(log, "/t"))
    for asked, line, part in (("/t", 0, "/t/4"), ("m", 2, "/t/n")):
        printed = CliRunner().invoke(command, [asked, "--log", log.uri], catch_exceptions=False).stdout
        assert "runs wrote in it" in printed.splitlines()[line]
        assert part in printed


def test_a_folder_in_which_one_run_wrote_is_what_that_run_wrote(make, log_of) -> None:
    """Whatever it wrote there; what no run wrote in time has the run that wrote in it later, by its name."""
    log = log_of(chain(make, (["a"], ["/t/1", "/t/2"]), (["/t"], ["m"])))
    found = answers.trace(log, "m")
    assert ["m", "001", ["t", "000", ["a", None]]] == path(found)
    assert found["inputs"][0]["by_name"]


def test_a_column_is_followed_into_a_folder(make, log_of) -> None:
    """Of a folder in which several runs wrote each part is asked for the column."""
    steps = [(["a"], ["/t/1"]), (["b"], ["/t/2"]), (["/t"], ["m"])]
    log = log_of(chain(make, *steps))
    found = answers.trace(log, "/t", column="x")
    assert ["x", "x", "x"] == [node["column"] for node in (found, *found["inputs"])]
    assert ["columns", "columns"] == [node["cut"] for node in found["inputs"]]


def test_of_the_parts_of_a_folder_no_more_are_told_than_things(make, log_of, monkeypatch) -> None:
    """What is left out of the parts of a folder is counted, as what is left out of the inputs of a run."""
    monkeypatch.setattr(answers_trace, "THINGS", 2)
    steps = [([], [f"/t/{part}"]) for part in range(4)]
    found = answers.trace(log_of(chain(make, *steps, (["/t"], ["m"]))), "/t")
    assert (2, 2, "size") == (len(found["inputs"]), found["more"], found["cut"])


@pytest.mark.parametrize("version", [None, "2"])
def test_a_table_may_be_written_by_name_and_by_path(make, log_of, version) -> None:
    """Who reads a table that one run wrote by its name and a later one by its place read the later one."""
    links = make.facet("symlinks", identifiers=[{"namespace": "file", "name": "/lake/t", "type": "TABLE"}])
    said = {"version": make.facet("version", datasetVersion=version)} if version else {}
    table = make.dataset("t", namespace="hive", symlinks=links)
    events = chain(make, (["a"], []), (["b"], []), ([], ["m"]))
    events[0]["outputs"], events[1]["outputs"] = [table], [make.dataset("/lake/t", **said)]
    events[2]["inputs"] = [make.dataset("t", namespace="hive", symlinks=links, **said)]
    assert ["m", "002", ["t", "001", ["b", None]]] == path(answers.trace(log_of(events), "m"))


def test_a_name_goes_before_other_names(make, log_of) -> None:
    """Of two files that are both called as the model is, one that is read by its own name is that one."""
    links = make.facet("symlinks", identifiers=[{"namespace": "registry", "name": "m", "type": "MODEL"}])
    one, two = make.dataset("one", symlinks=links), make.dataset("two", symlinks=links)
    events = chain(make, ([], []), ([], []), ([], ["scores"]))
    events[0]["outputs"], events[1]["outputs"], events[2]["inputs"] = [one], [two], [one]
    assert ["scores", "002", ["one", "000"]] == path(answers.trace(log_of(events), "scores"))


def test_what_spark_saved_of_a_model_is_the_model(saved_by_spark) -> None:
    """Who reads a part of a saved model leads back to what trained it, not to the job that wrote the part."""
    part = "/lake/churn/stages/1_LogisticRegression_ab/data"
    assert ["train-churn", "/lake/features"] == jobs_and_leaf(answers.trace(saved_by_spark, part))
    scores = answers.trace(saved_by_spark, "/lake/scores")
    assert ["scoring.scores", "train-churn", "/lake/features"] == jobs_and_leaf(scores)
    assert ["train.orders", "/lake/orders/data"] == jobs_and_leaf(
        answers.trace(saved_by_spark, "/lake/orders/data")
    )
    other = answers.trace(saved_by_spark, "/lake/other")  # of data that only lies in the folder of a model
    assert ["train-other", "prepare", "/lake/raw"] == jobs_and_leaf(other)
    exported = answers.trace(
        saved_by_spark, "/lake/torch/data"
    )  # and in that of a model that Spark did not save
    assert ["export", "/lake/torch/data"] == jobs_and_leaf(exported)


def jobs_and_leaf(node: dict) -> list[str]:
    """The jobs on the way back by each thing's only input, and the name of the last thing."""
    below = jobs_and_leaf(node["inputs"][0]) if node["inputs"] else [node["name"]]
    return [*([node["run"]["job_name"]] if node["run"] else []), *below]


def test_nothing_is_called_so(churn) -> None:
    """What no run mentions is not found; of a known model it says which versions there are."""
    with pytest.raises(NotFound, match="No dataset"):
        answers.trace(churn, "nowhere.csv")
    with pytest.raises(NotFound, match="It has: 3, 2, 1"):
        answers.trace(churn, "churn@4")


def test_what_a_run_calls_the_same_is_one_model() -> None:
    """A search and the best that it found, in two files, count as one; without names each content does."""
    for ids, count in ((("GridSearchCV-1", "GridSearchCV-1"), 1), (("A-1", "B-2"), 2), ((None, None), 2)):
        rows = [
            {"run_id": "r", "role": "output", "kind": "model", "namespace": "file", "name": str(number)}
            | {"fingerprint": f"sha256:{number}", "model_id": model_id}
            for number, model_id in enumerate(ids)
        ]
        assert {"r": count} == models_of(rows)
