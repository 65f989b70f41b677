"""Run merging: many events, one row per key, whatever the order in which they arrive."""

import json
from datetime import timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from modeltrail_collector.model import LogPartition

REAL = Path(__file__).parents[2] / "data" / "real-events"
KINDS = ("START", "RUNNING", "COMPLETE", "FAIL", "ABORT", "OTHER", None)
PLACE = ("topic", "topic_id", "partition", "offset", "first_ingested_at", "last_ingested_at")


@st.composite
def histories(draw, make):
    """Events of a few runs at distinct times, with facets and datasets that replace each other."""
    events = []
    for second in range(draw(st.integers(1, 9))):
        number = draw(st.integers(1, 3))
        facets = {
            key: make.facet(key, said=draw(st.integers(0, 3)), params=[{"name": "C", "value": second}])
            for key in draw(st.sets(st.sampled_from(["a", "modelTrail_hyperparameters"])))
        }
        names = st.lists(st.sampled_from("xyz"), max_size=2)
        version = make.facet("version", datasetVersion=draw(st.sampled_from(["1", "2", None])))
        events.append(
            make.run_event(
                draw(st.sampled_from(KINDS)),
                make.base + timedelta(seconds=second),
                make.uuid7(make.base, number) if number < 3 else "not a uuid",
                "job",
                run_facets=facets,
                inputs=[make.dataset(name, n={"second": second}) for name in draw(names)],
                outputs=[make.dataset(name, version=version) for name in draw(names)]
                + [make.dataset("x", version=make.facet("version", datasetVersion="3"))],
            )
        )
    return events


def chains_of(make, random, events):
    """The events in any order, on two partitions, some of them twice and in another spelling."""
    told = [*events, *random.choices(events, k=random.randrange(4))]
    random.shuffle(told)
    chains = {LogPartition("t", "id", number): [] for number in (0, 1)}
    for event in told:
        keys = list(event)
        random.shuffle(keys)
        chain = random.choice(list(chains))
        spelling = json.dumps({key: event[key] for key in keys}).encode()
        chains[chain] += make.entries([spelling], chain, start=len(chains[chain]))
    return chains


def told(tables):
    """All reduced tables but `events`, which keeps every record, without where and when each fact arrived."""
    return {
        name: sorted(repr({k: v for k, v in row.items() if k not in PLACE}) for row in rows)
        for name, rows in tables.items()
        if name != "events"
    }


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), random=st.randoms(use_true_random=False))
def test_arrival_does_not_matter(make, reduced, data, random) -> None:
    """Any order, partitioning, spelling and repetition of the same events yields the same reduced tables."""
    events = data.draw(histories(make))
    assert told(reduced(make.entries(events))) == told(reduced(chains_of(make, random, events)))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), random=st.randoms(use_true_random=False))
def test_every_record_is_an_event_and_only_copies_are_duplicates(make, reduced, data, random) -> None:
    """`events` keeps each record, and of equal events all but one are marked."""
    events = data.draw(histories(make))
    chains = chains_of(make, random, events)
    rows = reduced(chains)["events"]
    assert sum(map(len, chains.values())) == len(rows)
    assert len(events) == sum(not row["duplicate"] for row in rows)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["1"], ["1"]),
        (["12"], ["1", "2"]),
        (["11"], ["1"]),
        (["1 "], ["1"]),
        (["1", "2"], ["2"]),
        (["12", "12"], ["1", "2"]),
        (["1", "12"], ["1", "2"]),
        (["3", "12"], ["1", "2"]),
        (["12", "1"], ["1", "2"]),
        (["12", " "], ["1", "2"]),
        (["12", "3"], ["1", "2", "3"]),
        (["12", "23"], ["1", "2", "3"]),
    ],
)
def test_versions_of_one_name(make, reduced, said, told) -> None:
    """Versions that one event names are a row each, with their own facets; said in turn the last counts."""
    events = [
        make.run_event(
            "RUNNING",
            make.base + timedelta(seconds=second),
            "r",
            "j",
            inputs=[
                make.dataset("t", a=make.facet("a", of=number.strip()), **(
                    {"version": make.facet("v", datasetVersion=number)} if number.strip() else {}
                ))
                for number in numbers
            ],
        )
        for second, numbers in enumerate(said)
    ]  # fmt: skip
    tables = reduced(make.entries(events))
    assert told == [row["version"] for row in tables["run_datasets"]]
    own = [json.loads(row["value"]).get("of") for row in tables["facets"] if row["key"] == "a"]
    assert len(told) == len(own)
    assert len(told) == 1 or told == own
    assert len(told) == len({row["version"] for row in tables["mentions"] if row["how"] == "name"})


def test_a_version_is_told_once_as_an_edge(make, reduced) -> None:
    """What went into what is said by name, once, however many versions of that a run read and wrote."""
    versions = [make.dataset("t", version=make.facet("v", datasetVersion=number)) for number in "12"]
    event = make.run_event("COMPLETE", make.base, "r", "j", inputs=versions, outputs=versions)
    tables = reduced(make.entries([event]))
    assert 1 == len(tables["edges"])
    assert [["file\tt"]] * 2 == [row["made_of"] for row in tables["run_datasets"] if row["role"] == "output"]


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        (["START"], "START"),
        (["START", "RUNNING"], "RUNNING"),
        (["RUNNING", "START"], "RUNNING"),
        (["START", "COMPLETE"], "COMPLETE"),
        (["COMPLETE"], "COMPLETE"),
        (["START", "COMPLETE", "RUNNING"], "COMPLETE"),
        (["START", "FAIL", "COMPLETE"], "FAIL"),
        (["ABORT", "COMPLETE", "START"], "ABORT"),
        (["FAIL", "ABORT"], "ABORT"),
        (["START", "FAIL", "START"], "FAIL"),
        (["START", "FAIL", "START", "COMPLETE"], "COMPLETE"),
        (["START", "ABORT", "START", "RUNNING", "COMPLETE", "START"], "COMPLETE"),
        (["START", "FAIL", "START", "FAIL", "COMPLETE"], "FAIL"),
        (["START", "FAIL", "START", "COMPLETE", "START", "FAIL"], "FAIL"),
        (["OTHER"], "OTHER"),
        (["OTHER", "START"], "START"),
        ([None], "OTHER"),
    ],
)
def test_state_never_goes_back(make, reduced, kinds, state) -> None:
    """FAIL and ABORT beat COMPLETE, unless the run was started anew; one that only started says START."""
    events = [
        make.run_event(kind, make.base + timedelta(seconds=n), "r", "j") for n, kind in enumerate(kinds)
    ]
    (run,) = reduced(make.entries(events))["runs"]
    assert state == run["state"]


def test_times_of_a_run(make, reduced) -> None:
    """A run started at its first START and ended when it reached its state; one without an end has none."""
    at = [make.base + timedelta(seconds=n) for n in range(4)]
    kinds = ["START", "START", "FAIL", "COMPLETE"]
    events = [make.run_event(kind, time, "r", "j") for kind, time in zip(kinds, at, strict=True)]
    (run,) = reduced(make.entries(events))["runs"]
    assert (at[0], at[2], at[3]) == (run["started_at"], run["ended_at"], run["last_event_at"])
    (begun,) = reduced(make.entries(events[:1]))["runs"]
    assert begun["ended_at"] is None


def test_facets_replace_each_other_and_absence_deletes_nothing(make, reduced) -> None:
    """The last facet of a key counts whole; an event without it, or with no datasets, takes nothing away."""
    event = make.run_event
    events = [
        event(
            "START",
            make.base,
            "r",
            "j",
            run_facets={"a": {"x": 1, "y": 1}},
            inputs=[make.dataset("d", s={"v": 1})],
        ),
        event(
            "RUNNING",
            make.base + timedelta(1),
            "r",
            "j",
            run_facets={"a": {"x": 2}},
            inputs=[make.dataset("e")],
        ),
        event("COMPLETE", make.base + timedelta(2), "r", "j"),
    ]
    tables = reduced(make.entries(events))
    found = {(row["name"], row["key"]): row["value"] for row in tables["facets"]}
    assert {"x": 2} == json.loads(found[None, "a"])
    assert {"v": 1} == json.loads(found["d", "s"])
    assert ["d", "e"] == [row["name"] for row in tables["run_datasets"]]


def test_a_copy_that_comes_late_changes_nothing(make, reduced) -> None:
    """Of two events of one moment the later record counts; a copy of the first one after it does not."""
    one, two = (make.run_event("RUNNING", make.base, "r", "j", run_facets={"a": {"v": n}}) for n in (1, 2))
    tables = reduced(make.entries([one, two, one]))
    assert [{"v": 2}] == [json.loads(row["value"]) for row in tables["facets"]]
    assert [False, False, True] == [
        row["duplicate"] for row in sorted(tables["events"], key=lambda r: r["offset"])
    ]
    assert 2 == tables["runs"][0]["events"]


def test_a_tombstone_deletes_a_facet(make, reduced) -> None:
    """A facet with `_deleted` true is gone until somebody says it again."""
    said = [{"v": 1}, {"_deleted": True, "_producer": "p"}, {"v": 2}]
    events = [
        make.run_event("RUNNING", make.base + timedelta(n), "r", "j", inputs=[make.dataset("d", s=facet)])
        for n, facet in enumerate(said)
    ]
    keys = [[row["key"] for row in reduced(make.entries(events[:n]))["facets"]] for n in (1, 2, 3)]
    assert [["", "s"], [""], ["", "s"]] == keys


def test_a_tombstone_deletes_all_parts_of_a_facet(make, reduced) -> None:
    """Of what adds up nothing is left that was said before it."""
    said = [
        {"version": "1", "action": "register", "at": "1"},
        {"version": "1", "action": "delete", "at": "2"},
    ]
    events = [
        make.run_event("RUNNING", make.base + timedelta(n), "r", "j", outputs=[
            make.dataset("m", modelTrail_registration=facet)])
        for n, facet in enumerate([*said, {"_deleted": True, "_producer": "p"}, said[0]])
    ]  # fmt: skip
    parts = [[row["key"] for row in reduced(make.entries(events[:n]))["facets"]] for n in (2, 3, 4)]
    key = "modelTrail_registration"
    assert [["", key, key], [""], ["", key]] == parts


def test_windows_are_not_merged(make, reduced) -> None:
    """Of a run whose events are windows (COMPLETE_SNAPSHOT) only the last one counts."""
    job = {"jobType": {"emissionPattern": {"eventContentMode": "COMPLETE_SNAPSHOT"}}}
    events = [
        make.run_event(
            "RUNNING", make.base + timedelta(n), "r", "j", job_facets=job, inputs=[make.dataset(name)]
        )
        for n, name in enumerate("ab")
    ]
    tables = reduced(make.entries(events))
    assert ["b"] == [row["name"] for row in tables["run_datasets"]]
    assert 2 == len(tables["events"])


def test_lineage_beats_column_lineage_beats_the_product(make, reduced) -> None:
    """Edges come from `lineage`; without it from `columnLineage`; without that all goes into all."""
    column = {
        "fields": {"c": {"inputFields": [{"namespace": "file", "name": "a", "field": "c"}]}},
        "dataset": [],
    }
    entries = [
        {"namespace": "file", "name": "x", "type": "DATASET",
         "inputs": [{"namespace": "file", "name": "b", "type": "DATASET"}],
         "fields": {"f": {"inputs": [{"namespace": "file", "name": "c", "type": "DATASET", "field": "q"}]}}},
        {"type": "JOB", "inputs": [{"namespace": "file", "name": "a", "type": "DATASET"}]},
        "nonsense",
    ]  # fmt: skip

    def edges(job_facets, columns):
        inputs = [make.dataset(name) for name in "abc"]
        outputs = [make.dataset("x", **columns), make.dataset("y")]
        event = make.run_event(
            "COMPLETE", make.base, "r", "j", job_facets=job_facets, inputs=inputs, outputs=outputs
        )
        rows = reduced(make.entries([event]))["edges"]
        return {(row["from_name"] + row["to_name"], row["via"]) for row in rows}

    product = {(name + "y", "cartesian") for name in "abc"}
    assert edges({}, {}) == product | {(name + "x", "cartesian") for name in "abc"}
    assert edges({}, {"columnLineage": column}) == product | {("ax", "columnLineage")}
    stated = {("bx", "lineage"), ("cx", "lineage")}
    assert edges({"lineage": {"entries": entries}}, {"columnLineage": column}) == stated


def test_lineage_of_several_events_adds_up(make, reduced) -> None:
    """On run events the `lineage` facet accumulates: what each event states is kept."""
    events = [
        make.run_event("RUNNING", make.base + timedelta(n), "r", "j", job_facets={"lineage": {"entries": [
            {"namespace": "file", "name": "x", "type": "DATASET",
             "inputs": [{"namespace": "file", "name": name, "type": "DATASET"}]}]}})
        for n, name in enumerate("ab")
    ]  # fmt: skip
    assert ["a", "b"] == sorted(row["from_name"] for row in reduced(make.entries(events))["edges"])


def test_series_are_appended_by_number(make, reduced) -> None:
    """All chunks of a series are kept, each once, and the summary wins over its last point."""

    def chunk(second, seq, *points):
        said = [{"name": "loss", "step": step, "value": value} for step, value in points]
        facets = {"modelTrail_metricSeries": {"seq": seq, "from": 0, "to": 1, "points": said}}
        return make.run_event("RUNNING", make.base + timedelta(seconds=second), "r", "j", run_facets=facets)

    summary = {
        "modelTrail_metrics": {
            "metrics": [
                {"name": "loss", "value": 0.1, "step": 3},
                {"name": "n", "value": None, "nonFinite": "inf"},
            ]
        }
    }
    events = [
        chunk(0, 0, (1, 0.9), (2, 0.8)),
        chunk(2, 1, (3, 0.5)),
        chunk(3, 1, (3, 0.5)),
        make.run_event("COMPLETE", make.base + timedelta(seconds=4), "r", "j", run_facets=summary),
    ]
    rows = reduced(make.entries(events))["metrics"]
    found = [(row["name"], row["step"], row["value"]) for row in rows]
    assert [("loss", 1, 0.9), ("loss", 2, 0.8), ("loss", 3, 0.1), ("n", None, float("inf"))] == found


def test_the_last_value_of_a_series_counts_once(make, reduced) -> None:
    """The summary says more of it, the split for instance; another value at that step is another row."""
    points = [{"name": "auc", "step": step, "value": value} for step, value in ((1, 0.6), (2, 0.7))]
    last = {"name": "auc", "step": 2, "value": 0.7, "split": "validation"}
    other = {"name": "auc", "step": 1, "value": 0.9, "split": "train"}
    told = {"modelTrail_metricSeries": {"seq": 0, "points": points}}
    events = [
        make.run_event("RUNNING", make.base, "r", "j", run_facets=told),
        make.run_event(
            "COMPLETE",
            make.base + timedelta(seconds=1),
            "r",
            "j",
            run_facets={"modelTrail_metrics": {"metrics": [last, other]}},
        ),
    ]
    rows = reduced(make.entries(events))["metrics"]
    found = sorted((row["step"], row["value"], row["split"] or "") for row in rows)
    assert [(1, 0.6, ""), (1, 0.9, "train"), (2, 0.7, "validation")] == found


def test_params_of_anybody(make, reduced) -> None:
    """Our hyperparameters win; a producer that only has executionParameters is shown with those."""
    mine = {
        "modelTrail_hyperparameters": {"params": [
            {"name": "C", "value": 0.5, "type": "float", "origin": "explicit", "component": "clf"},
            {"name": "C", "value": None, "type": "null", "origin": "default", "component": "scale"},
            {"value": "no name"}]},
        "executionParameters": {"parameters": [{"key": "C", "name": "C", "value": "mirror"}]},
    }  # fmt: skip
    theirs = {"executionParameters": {"parameters": [{"key": "depth", "name": "depth", "value": "3"}]}}
    tables = reduced(make.entries([
        make.run_event("START", make.base, "r1", "j", run_facets=mine),
        make.run_event("START", make.base, "r2", "j", run_facets=theirs),
    ]))  # fmt: skip
    found = [(row["run_id"], row["component"], row["name"], row["value"]) for row in tables["params"]]
    assert [("r1", "clf", "C", "0.5"), ("r1", "scale", "C", None), ("r2", None, "depth", "3")] == sorted(
        found, key=repr
    )


def test_broken_facets_break_nothing(make, reduced) -> None:
    """Facets that are kept although they break their schema leave nulls, never an error."""
    keys = [
        "modelTrail_hyperparameters", "modelTrail_metrics", "modelTrail_metricSeries",
        "modelTrail_deployment",         "parent", "errorMessage", "executionParameters",
    ]  # fmt: skip
    for broken in (
        [],
        "text",
        5,
        None,
        {"params": 5, "metrics": {"a": 1}, "points": "x", "run": []},
        {"params": [1, None]},
    ):
        places = {f"inputFacets__{key}": broken for key in ("modelTrail_dataUse", "modelTrail_evaluation")}
        data = make.dataset("d", version=broken, symlinks=broken, datasetType=broken, **places)
        facets = dict.fromkeys(keys, broken)
        event = make.run_event("START", make.base, "r", "j", run_facets=facets,
                               job_facets={"lineage": broken, "jobType": broken},
                               inputs=[data], outputs=[make.dataset("o", columnLineage=broken)])  # fmt: skip
        tables = reduced(make.entries([event]))
        assert ["START"] == [row["state"] for row in tables["runs"]]
        assert 2 == len(tables["run_datasets"])


@pytest.mark.parametrize(
    ("uri", "identity"),
    [
        ("/lake/x.parquet", "file\t/lake/x.parquet"),
        ("file:///lake/x.parquet", "file\t/lake/x.parquet"),
        ("s3a://bucket/lake/x/", "s3://bucket\tlake/x"),
        ("lake/x.parquet", None),
        ("postgres://db:5432/shop", None),
    ],
)
def test_an_asset_of_dagster_is_the_file_whose_path_it_tells(make, reduced, uri, identity) -> None:
    """Its `dataSource` is another name of it, where that is an absolute path; of others it is not."""
    theirs = "https://github.com/OpenLineage/OpenLineage/tree/0.2.1/integration"
    outputs = [
        make.dataset(name, dataSource=make.facet("dataSource", uri=uri) | {"_producer": f"{theirs}/{whose}"})
        for name, whose in (("asset", "dagster"), ("table", "spark"))
    ]
    tables = reduced(make.entries([make.run_event("COMPLETE", make.base, "r", "j", outputs=outputs)]))
    found = {row["name"]: row["identities"] for row in tables["run_datasets"]}
    assert {"asset": [identity] if identity else None, "table": None} == found


def test_job_and_dataset_events_have_no_run(make, reduced) -> None:
    """Events without a run are events, and their facets stand by job or dataset, the last one counting."""
    job = [
        {
            "eventTime": f"2026-01-0{n}T00:00:00Z",
            "job": {"namespace": "n", "name": "j", "facets": {"a": {"v": n}}},
        }
        for n in (2, 1)
    ]
    data = {
        "eventTime": "2026-01-01T00:00:00Z",
        "dataset": {"namespace": "n", "name": "d", "facets": {"s": {"v": 3}}},
    }
    tables = reduced(make.entries([*job, data]))
    assert [] == tables["runs"]
    found = {(row["scope"], row["name"], row["key"]): row["value"] for row in tables["facets"]}
    assert {
        ("job", "j", "a"): '{"v": 2}',
        ("dataset", "d", ""): None,
        ("dataset", "d", "s"): '{"v": 3}',
    } == found


@pytest.mark.parametrize("producer", ["airflow", "dagster", "dbt", "feast", "spark"])
def test_real_events_reduce_alike_in_any_order(make, reduced, producer) -> None:
    """Events of other producers, as they were recorded, give one row per key in any order of arrival."""
    lines = (REAL / f"{producer}.ndjson").read_bytes().splitlines()
    tables = reduced(make.entries(lines))
    assert told(tables) == told(reduced(make.entries([*reversed(lines), lines[0]])))
    assert {json.loads(line)["run"]["runId"] for line in lines} == {row["run_id"] for row in tables["runs"]}


def test_spark_as_recorded(make, reduced) -> None:
    """Of a recorded Spark application 8 runs only started, and two tables went into the features."""
    tables = reduced(make.entries((REAL / "spark.ndjson").read_bytes().splitlines()))
    states = [row["state"] for row in tables["runs"]]
    assert (8, 16) == (states.count("START"), states.count("COMPLETE"))
    into = {
        row["from_name"].rpartition("/")[2] for row in tables["edges"] if row["to_name"].endswith("/features")
    }
    assert {"customers.csv", "orders"} == into
    stems = {row["job_stem"] for row in tables["runs"] if "StringIndexer" in row["job_name"]}
    assert all("_StringIndexer_*_" in stem for stem in stems)


def test_a_run_that_failed_and_was_started_anew_has_no_error(make, reduced) -> None:
    """A run that completes after it began anew is complete, from its first start on, and has no error."""
    boom = {"errorMessage": {"message": "boom", "programmingLanguage": "Python"}}
    at = [make.base + timedelta(seconds=n) for n in range(4)]
    events = [
        make.run_event("START", at[0], "r", "churn"),
        make.run_event("FAIL", at[1], "r", "churn", run_facets=boom),
        make.run_event("START", at[2], "r", "churn"),
        make.run_event("COMPLETE", at[3], "r", "churn"),
    ]
    (run,) = reduced(make.entries(events))["runs"]
    assert ("COMPLETE", None, at[0], at[3]) == (
        *(run[key] for key in ("state", "error", "started_at", "ended_at")),
    )
    (failed,) = reduced(make.entries(events[:3]))["runs"]
    assert ("FAIL", "boom", at[1]) == (failed["state"], failed["error"], failed["ended_at"])


def test_spark_says_complete_after_fail(make, reduced) -> None:
    """A failed Spark run stays failed though COMPLETE follows, and its exception is the error."""
    exception = {"spark.exception": {"message": "Job aborted", "stackTrace": "…"}}
    events = [
        make.run_event("START", make.base, "r", "app.collect"),
        make.run_event("FAIL", make.base + timedelta(seconds=1), "r", "app.collect", run_facets=exception),
        make.run_event("COMPLETE", make.base + timedelta(seconds=1.069), "r", "app.collect"),
    ]
    (run,) = reduced(make.entries(events))["runs"]
    assert ("FAIL", "Job aborted") == (run["state"], run["error"])


def test_parents_and_roots(make, reduced) -> None:
    """Parent and root come from the `parent` facet; a run that names none has none."""
    parent = {
        "run": {"runId": "p"},
        "job": {"namespace": "n", "name": "dag.task"},
        "root": {"run": {"runId": "top"}},
    }
    events = [
        make.run_event("START", make.base, "r", "j", run_facets={"parent": parent}),
        make.run_event("START", make.base, "s", "j"),
    ]
    rows = {row["run_id"]: row for row in reduced(make.entries(events))["runs"]}
    assert ("p", "dag.task", "top") == tuple(
        rows["r"][key] for key in ("parent_run_id", "parent_job_name", "root_run_id")
    )
    assert rows["s"]["parent_run_id"] is None


def test_versions_of_datasets(make, reduced) -> None:
    """A dataset has its fingerprint, use and rows; an output's version may be its digest."""
    rows = {
        (row["run_id"][-3:], row["role"], row["name"].rpartition("/")[2]): row
        for row in reduced(make.entries(make.story()))["run_datasets"]
    }
    read = rows["0c9", "input", "features.parquet"]
    assert (make.digest("features 1"), "train", 4000, "observed") == tuple(
        read[key] for key in ("fingerprint", "use", "rows", "capture")
    )
    assert make.digest("features 1") == rows["065", "output", "features.parquet"]["fingerprint"]
    unseen = make.dataset("raw", inputFacets__modelTrail_dataUse=make.facet("u", fingerprint={"digest": ""}))
    (row,) = reduced(make.entries([make.run_event("START", make.base, "r", "j", inputs=[unseen])]))[
        "run_datasets"
    ]
    assert row["fingerprint"] is None
    kinds = {key[2]: row["kind"] for key, row in rows.items() if key[1] == "output"}
    assert {
        "features.parquet": "dataset",
        "holdout.parquet": "dataset",
        "churn.joblib": "model",
        "churn": "model",
        "churn-api": "endpoint",
    } == kinds


@pytest.mark.parametrize(
    ("name", "uri", "others"),
    [
        ("/data/current/d.csv", "file:///data/2026-11/d.csv", ["file\t/data/2026-11/d.csv"]),
        ("/data/a b.csv", "file:///data/a%20b.csv", None),
        ("customers", "file:///data/c.csv", ["file\t/data/c.csv"]),
        ("raw/d.csv", "s3://bucket/raw/d.csv", None),
        ("/data/caf.csv", "file:///data/caf%E9.csv", None),
    ],
)
def test_the_file_of_what_goes_by_another_name_is_a_name_of_it(make, reduced, name, uri, others) -> None:
    """Our `dataSource` tells it; its own name is no other one, and what is no text is left out."""
    outputs = [make.dataset(name, dataSource=make.facet("dataSource", uri=uri))]
    tables = reduced(make.entries([make.run_event("COMPLETE", make.base, "r", "j", outputs=outputs)]))
    found = {row["name"]: row["identities"] for row in tables["run_datasets"]}
    assert {name: others} == found
