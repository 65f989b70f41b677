"""What learned from a dataset, forwards through runs, models and endpoints."""

import json
import re
from datetime import timedelta

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.cli import answers as cli
from modeltrail_collector.cli.impact import impact as command
from modeltrail_collector.errors import NotFound


def of_kind(rows, kind: str) -> list:
    """Name and version of the rows of a kind, in order; runs by job and the end of their id."""
    if kind == "run":
        return [(row["job_name"], row["run_id"][-3:]) for row in rows if row["kind"] == kind]
    name = "endpoint" if kind == "endpoint" else "name"
    return [(row[name].rpartition("/")[2], row["version"]) for row in rows if row["kind"] == kind]


def registered(rows) -> list[str]:
    """The versions of models that have a registered name."""
    return [row["version"] for row in rows if row["kind"] == "model" and row["registered_name"]]


def chain(make, *steps):
    """Runs one after another: (inputs, outputs) of each, run ids 000000, 000001 and so on."""
    return [
        make.run_event(
            "COMPLETE", make.base + timedelta(minutes=n), f"{n:06}", f"job {n}",
            inputs=[make.dataset(name) for name in inputs], outputs=[make.dataset(name) for name in outputs],
        )
        for n, (inputs, outputs) in enumerate(steps)
    ]  # fmt: skip


def test_everything_that_learned_from_raw_data(churn, make) -> None:
    """From raw data lead runs, features, all versions and the endpoint, each with its time and distance."""
    rows = answers.impact(churn, "raw/customers.csv")
    assert rows == json.loads(json.dumps(rows))
    assert {"prepare-churn", "train-churn"} == {
        name for name, _ in of_kind(rows, "run") if "deploy" not in name
    }
    assert {"1", "2", "3"} == set(registered(rows))
    assert [("churn-api", "2")] == of_kind(rows, "endpoint")
    first = next(row for row in rows if row["kind"] == "model")
    assert (2, (make.base + timedelta(hours=1, minutes=5)).isoformat()[:19]) == (
        first["depth"],
        first["since"][:19],
    )


def test_a_version_of_data_reaches_only_what_read_it(churn, make) -> None:
    """Of one content of the features only the versions that learned from it are told, however it is named."""
    old, new = make.digest("features 1"), make.digest("features 2")
    assert ["1", "2"] == sorted(registered(answers.impact(churn, f"features.parquet@{old}")))
    assert ["3"] == registered(answers.impact(churn, f"features.parquet@{new[:8]}"))
    assert ["3"] == registered(answers.impact(churn, fingerprint=new[:10]))
    assert [] == of_kind(answers.impact(churn, fingerprint=new), "endpoint")
    has = f"It has: {new[:12]}, {old[:12]}"
    with pytest.raises(NotFound, match=rf"^No version 99 of features.parquet is known. {has}\.$"):
        answers.impact(churn, "features.parquet@99")
    with pytest.raises(NotFound, match=rf"^No features.parquet with fingerprint 000 is known. {has}\.$"):
        answers.impact(churn, "features.parquet", fingerprint="000")
    with pytest.raises(NotFound, match=r"^No data with fingerprint 0{64} is known\.$"):
        answers.impact(churn, fingerprint="0" * 64)
    with pytest.raises(NotFound, match="Nearest"):
        answers.impact(churn, "featurs.parquet")


def test_an_erasure_retrains_what_serves_and_withdraws_the_rest(churn) -> None:
    """The plan names the endpoint in force, the version behind it and the versions that answer nowhere."""
    plan = answers.erase_plan(churn, "raw/customers.csv")
    named = {
        (row["action"], row.get("endpoint") or row["registered_name"], row["version"])
        for row in plan
        if row["kind"] == "endpoint" or row["registered_name"]
    }
    assert {
        ("withdraw", "churn-api", "2"),
        ("retrain", "churn", "2"),
        ("withdraw", "churn", "1"),
        ("withdraw", "churn", "3"),
    } == named


def test_an_erasure_rewrites_what_retraining_needs_and_deletes_the_rest(churn, make, log_of) -> None:
    """Data that training the version in force anew reads is to be written anew, other data to be deleted."""

    def planned(log, of):
        plan = [row for row in answers.erase_plan(log, of) if row["kind"] == "dataset"]
        return {row["name"].rpartition("/")[2]: row["action"] for row in plan}

    read = {"features.parquet": "rewrite", "holdout.parquet": "rewrite"}
    assert read == planned(churn, "raw/customers.csv")
    unused = log_of(chain(make, (["raw"], ["table"]), (["table"], ["sums"])))
    assert {"table": "delete", "sums": "delete"} == planned(unused, "raw")
    told = CliRunner().invoke(
        command, ["raw/customers.csv", "--erase-plan", "--log", churn.uri], catch_exceptions=False
    )
    assert "retrain what answers somewhere" in told.output


def test_an_erasure_says_of_a_path_each_content_that_is_meant(churn, make) -> None:
    """Of features written twice each content came of the raw data: the one that retraining reads, too."""
    old, new = make.digest("features 1"), make.digest("features 2")
    plan = answers.erase_plan(churn, "raw/customers.csv")
    (row,) = [row for row in plan if row["kind"] == "dataset" and "features" in row["name"]]
    assert ("rewrite", [old, new]) == (row["action"], row["contents"])
    told = CliRunner().invoke(
        command, ["raw/customers.csv", "--erase-plan", "--log", churn.uri], catch_exceptions=False
    )
    assert f"{old[:12]}, {new[:12]}" in told.output


def test_an_erasure_says_of_a_path_that_it_holds_something_else_by_now(make, log_of) -> None:
    """What was written over since, from other data, is not what is to be deleted where it lies."""

    def written(version: str, *sources: str) -> dict:
        table = make.dataset("table", version=make.facet("version", datasetVersion=version))
        at = make.base + timedelta(hours=int(version))
        return make.run_event(
            "COMPLETE", at, version, "prepare", inputs=[*map(make.dataset, sources)], outputs=[table]
        )

    for last, replaced_by in (("good.csv", "2"), ("wrong.csv", None)):
        log = log_of([written("1", "wrong.csv", "good.csv"), written("2", last)])
        (row,) = answers.erase_plan(log, "wrong.csv")
        assert ("delete", replaced_by) == (row["action"], row["replaced_by"])
        asked = ["wrong.csv", "--erase-plan", "--log", log.uri]
        told = CliRunner().invoke(command, asked, catch_exceptions=False).output
        assert bool(replaced_by) == ("by now, which did not come of it: table." in told)


def test_a_model_of_two_runs_is_reached_through_each(make, log_of) -> None:
    """What only the second of two runs that tell of a version read leads to it; all else has it once."""
    facets = {
        "datasetType": make.facet("t", datasetType="MODEL", subType="ML_MODEL"),
        "outputFacets__modelTrail_modelArtifact": make.facet("a", digest=make.digest("model")),
    }
    log = log_of([
        make.run_event(
            "COMPLETE", make.base + timedelta(minutes=number), f"run {number}", f"job {number}",
            inputs=[make.dataset(name) for name in names], outputs=[make.dataset("m", **facets)],
        )
        for number, names in enumerate((("x",), ("x", "y")))
    ])  # fmt: skip
    for name in ("x", "y"):
        asked = CliRunner().invoke(command, [name, "--erase-plan", "--log", log.uri], catch_exceptions=False)
        assert 1 == len(re.findall(r"withdraw\s+m\b", asked.stdout)), asked.output
    made = [row["run_id"] for row in answers.impact(log, "x") if row["kind"] == "model"]
    assert ["run 0"] == made, "a run around the one that made it tells of it too"


def test_what_was_read_in_place_may_have_been_any_content(make, log_of) -> None:
    """A run that replaced what it read, unseen, may have read the version that is asked for, and says so."""
    unseen = {"algorithm": "none", "digest": "", "scope": "none"}
    use = make.facet("modelTrail_dataUse", role="other", fingerprint=unseen, capture="observed")
    clean = make.dataset("/d/raw.csv", inputFacets__modelTrail_dataUse=use)
    written = make.dataset("/d/raw.csv", version=make.facet("version", datasetVersion=make.digest("new")))
    runs = [
        ("train", [make.used("/d/raw.csv", "old", role="train", rows=9)], [make.dataset("/d/m1")]),
        ("clean", [clean], [written]),
        ("train", [make.used("/d/raw.csv", "new", role="train", rows=8)], [make.dataset("/d/m2")]),
    ]
    log = log_of(
        make.run_event("COMPLETE", make.base + timedelta(hours=n), f"{n:06}", job, inputs=read, outputs=made)
        for n, (job, read, made) in enumerate(runs)
    )
    old = f"raw.csv@{make.digest('old')[:8]}"
    rows = answers.impact(log, old)
    through = [(row["job_name"], [each["recorded"] for each in row["through"]]) for row in rows[:2]]
    assert [("train", [True]), ("clean", [False])] == through
    assert {"/d/m1", "/d/m2", "/d/raw.csv"} == {row["name"] for row in rows if row["kind"] != "run"}
    told = CliRunner().invoke(command, [old, "--log", log.uri], catch_exceptions=False).output
    assert "Which content it read is not recorded, it may be another: clean." in told
    planned = CliRunner().invoke(command, [old, "--erase-plan", "--log", log.uri], catch_exceptions=False)
    assert "Which content went into it is not recorded, it may be another: /d/raw.csv." in planned.stdout
    read = answers.trace(log, "/d/m2")["inputs"][0]["inputs"]
    assert [(None, None)] == [(each["fingerprint"], each["run"]) for each in read]


def test_of_two_registries_versions_what_serves_is_trained_again(make, log_of) -> None:
    """Of churn@2 of two registries the one that answers is to be trained again, the other to be withdrawn."""
    one, other = (make.train(2, make.base + timedelta(hours=n), features="f", strength=1) for n in (1, 2))
    text = json.dumps(other).replace("modeltrail://registry", "mlflow://host")
    other = json.loads(text.replace(make.digest("model 2"), make.digest("another")))
    prepared = make.prepare(1, make.base, raw="r", features="f")
    log = log_of([*prepared, *one, *other, *make.deploy(2, make.base + timedelta(hours=3))])
    plan = answers.erase_plan(log, "raw/customers.csv")
    assert {"modeltrail://registry": "retrain", "mlflow://host": "withdraw"} == {
        row["namespace"]: row["action"] for row in plan if row["kind"] == "model" and row["registered_name"]
    }


def test_data_is_to_be_rewritten_since_it_was_first_written(churn, make) -> None:
    """The plan says of data of several contents since when there is any of it, not since the last."""
    plan = [row for row in answers.erase_plan(churn, "raw/customers.csv") if row["kind"] == "dataset"]
    (row,) = (row for row in plan if row["name"].endswith("features.parquet"))
    first = (make.base + timedelta(minutes=1)).isoformat()
    assert (2, first[:19]) == (len(row["contents"]), row["since"][:19])


def test_deployments_end(make, log_of) -> None:
    """A version is at an endpoint until another takes its place or it is retired; what failed never was."""

    def deployed(hour, version, action="update", state="COMPLETE", **more):
        at = make.base + timedelta(hours=hour)
        said = make.facet(
            "modelTrail_deployment",
            action=action,
            endpoint={"platform": "k8s", "name": "api"},
            environment="production",
            model={"namespace": "modeltrail://registry", "name": "models/churn", "version": version},
            effectiveAt=at.isoformat(),
            **more,
        )
        return make.run_event(state, at, f"d{hour:05}", "deploy", run_facets={"modelTrail_deployment": said})

    trained = [
        event
        for number in (1, 2)
        for event in make.train(number, make.base + timedelta(minutes=number), features="f", strength=1)
    ]
    steps = [(3, "1"), (4, "2", "create", "FAIL"), (5, "2"), (6, "2"), (7, "2", "retire")]
    shares = [deployed(8, "1", trafficPercent=10), deployed(9, "1", trafficPercent=100)]
    log = log_of([*trained, *(deployed(*step) for step in steps), *shares])
    ends = [
        (row["version"], row["until"] and row["until"][11:13], row["since"][11:13])
        for row in answers.impact(log, "features.parquet")
        if row["kind"] == "endpoint"
    ]
    hour = [f"{(make.base + timedelta(hours=n)).hour:02}" for n in range(10)]
    assert [
        ("1", hour[5], hour[3]),
        ("2", hour[4], hour[4]),
        ("2", hour[7], hour[5]),
        ("2", hour[7], hour[6]),
        ("2", hour[7], hour[7]),
        ("1", hour[9], hour[8]),
        ("1", None, hour[9]),
    ] == ends
    told = CliRunner().invoke(command, ["features.parquet", "--log", log.uri], catch_exceptions=False).output
    assert f"version 1 since {make.base:%Y-%m-%d} {hour[3]}" in told
    assert f"until {make.base:%Y-%m-%d} {hour[5]}" in told
    assert "version 2 create at" in told
    assert 2 == told.count(", not in force")


def test_what_another_run_registered_is_what_was_trained(make, log_of) -> None:
    """Bytes that a registry's runs call by other names and versions are these, with where they answer."""
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")
    artifact = make.facet("modelTrail_modelArtifact", digest=make.digest("bytes"))
    path = make.dataset("models/1", datasetType=kind, outputFacets__modelTrail_modelArtifact=artifact)
    events = [
        make.run_event("COMPLETE", make.base, "t", "train", inputs=[make.dataset("raw")], outputs=[path])
    ]
    for number in ("1", "2"):
        registered = make.dataset(
            "models/churn",
            namespace="modeltrail://registry",
            modelTrail_registration=make.facet("modelTrail_registration", name="churn", version=number),
            outputFacets__modelTrail_modelArtifact=artifact,
        )
        at = make.base + timedelta(hours=int(number))
        events.append(make.run_event("COMPLETE", at, f"r{number}", "register", outputs=[registered]))
    log = log_of([*events, *make.deploy(1, make.base + timedelta(days=1))])
    rows = answers.impact(log, "raw")
    assert [("churn", "1"), ("churn", "2")] == [
        (row["registered_name"], row["version"]) for row in rows if row["kind"] == "model"
    ]
    assert ["1"] == [row["version"] for row in rows if row["kind"] == "endpoint"]
    assert [("withdraw", "endpoint", "1"), ("retrain", "model", "1"), ("withdraw", "model", "2")] == [
        (row["action"], row["kind"], row["version"]) for row in answers.erase_plan(log, "raw")
    ]


def test_what_is_of_a_run_is_not_of_each_of_its_models(make, log_of) -> None:
    """Of a run that made several models impact, trace and show say so; copies of the same bytes are one."""

    def model(name, content):
        artifact = make.facet(
            "modelTrail_modelArtifact",
            digest=make.digest(content),
            digestAlgorithm="sha256",
            uri=f"file://{name}",
            sizeBytes=1,
        )
        kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")
        return make.dataset(name, datasetType=kind, outputFacets__modelTrail_modelArtifact=artifact)

    runs = [
        ("two", [model("/d/m1", "one"), model("/d/m2", "two")]),
        ("one", [model("/d/m3", "three"), model("/d/copy", "three")]),
    ]
    log = log_of(
        make.run_event(
            "COMPLETE",
            make.base + timedelta(hours=n),
            f"{n:06}",
            job,
            inputs=[make.dataset("/d/raw.csv")],
            outputs=made,
        )
        for n, (job, made) in enumerate(runs)
    )
    rows = [row for row in answers.impact(log, "raw.csv") if row["kind"] == "model"]
    assert {"/d/m1": 2, "/d/m2": 2, "/d/m3": 1, "/d/copy": 1} == {row["name"]: row["of_run"] for row in rows}
    assert (2, 1) == tuple(answers.trace(log, name)["run"]["models"] for name in ("/d/m1", "/d/m3"))
    assert (2, 1) == tuple(answers.show(log, name)["run"]["models"] for name in ("/d/m1", "/d/m3"))
    for ask, of in ((command, "raw.csv"), (cli.trace, "/d/m1"), (cli.show, "/d/m1")):
        told = CliRunner().invoke(ask, [of, "--log", log.uri], catch_exceptions=False).output
        assert "several models" in told or "it made 2 models" in told


def test_content_written_again_is_not_the_old_one(make, log_of) -> None:
    """Data that was overwritten before a run read it did not reach that run."""
    steps = (["raw a"], ["features"]), (["raw b"], ["features"]), (["features"], ["table"])
    log = log_of(chain(make, *steps))
    assert [("job 0", "000")] == of_kind(answers.impact(log, "raw a"), "run")
    assert [("job 1", "001"), ("job 2", "002")] == of_kind(answers.impact(log, "raw b"), "run")


def test_cycles_end_and_chains_are_followed_to_their_end(make, log_of) -> None:
    """A job that reads what it writes ends the walk, and nothing else does: what is far away learned too."""
    log = log_of(
        [*chain(make, *([(["state"], ["state"])] * 5), (["x"], ["y"]), (["y"], ["x"]), (["x"], ["z"]))]
    )
    assert 5 == len(of_kind(answers.impact(log, "state"), "run"))
    assert ["job 5", "job 7", "job 6"] == [name for name, _ in of_kind(answers.impact(log, "x"), "run")]
    long = log_of(chain(make, *[([f"d{n}"], [f"d{n + 1}"]) for n in range(120)]))
    rows = answers.impact(long, "d0")
    assert (120, 120) == (len(of_kind(rows, "run")), max(row["depth"] for row in rows))
    told = CliRunner().invoke(command, ["d0", "--log", long.uri], catch_exceptions=False).output
    assert 241 == len(told.splitlines())


def test_a_fan_out_of_ten_thousand_is_told(make, log_of) -> None:
    """Ten thousand runs that read one dataset are all told, on one line for people."""
    events = [
        make.run_event(
            "COMPLETE",
            make.base + timedelta(seconds=n),
            f"{n:06}",
            "score",
            inputs=[make.dataset("/d/raw.csv")],
            outputs=[make.dataset("/d/scores.csv")],
        )
        for n in range(10_000)
    ]
    log = log_of(events)
    assert 10_000 == len(of_kind(answers.impact(log, "raw.csv"), "run"))
    told = CliRunner().invoke(command, ["raw.csv", "--log", log.uri], catch_exceptions=False).output
    assert "raw.csv  10,000 runs, 1 dataset\n" in told
    assert 3 == len(told.splitlines())


def test_a_column_reaches_what_came_of_it(make, log_of) -> None:
    """With a column only outputs whose columns came of it count, and trainings that used one of them."""

    def prepared(**fields):
        said = {
            name: {"inputFields": [{"namespace": "file", "name": "/d/raw.csv", "field": field}]}
            for name, field in fields.items()
        }
        return make.facet("columnLineage", fields=said)

    def trained(number, features):
        use = make.facet(
            "modelTrail_dataUse",
            role="train",
            features=features,
            labelColumn="churned",
            fingerprint={"algorithm": "none", "digest": "", "scope": "none"},
            capture="observed",
        )
        kind = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
        return make.run_event(
            "COMPLETE",
            make.base + timedelta(hours=number),
            f"{number:06}",
            f"train {number}",
            inputs=[make.dataset("/d/features.csv", inputFacets__modelTrail_dataUse=use)],
            outputs=[make.dataset(f"/d/m{number}", datasetType=kind)],
        )

    outputs = [
        make.dataset("/d/features.csv", columnLineage=prepared(rate="income", years="age")),
        make.dataset("/d/ages.csv", columnLineage=prepared(years="age")),
    ]
    prepare = make.run_event(
        "COMPLETE", make.base, "000000", "prepare", inputs=[make.dataset("/d/raw.csv")], outputs=outputs
    )
    log = log_of([prepare, trained(1, ["rate", "years"]), trained(2, ["years"]), trained(3, [])])
    rows = answers.impact(log, "raw.csv", column="income")
    assert [("/d/features.csv", ["rate"])] == [
        (row["name"], row["columns"]) for row in rows if row["kind"] == "dataset"
    ]
    assert ["/d/m1", "/d/m3"] == sorted(row["name"] for row in rows if row["kind"] == "model")
    assert ["/d/m1", "/d/m2", "/d/m3"] == sorted(
        row["name"] for row in answers.impact(log, "raw.csv", column="age") if row["kind"] == "model"
    )
    told = (
        CliRunner()
        .invoke(command, ["raw.csv", "--column", "income", "--log", log.uri], catch_exceptions=False)
        .output
    )
    assert "features.csv  columns rate" in told


def test_other_names_and_folders_lead_on(make, log_of) -> None:
    """A reader that knows what was written by another name, or by its folder, is reached."""
    links = make.facet("symlinks", identifiers=[{"namespace": "db", "name": "t", "type": "TABLE"}])
    events = chain(make, (["raw"], []), ([], ["a"]), ([], ["b"]))
    events[0]["outputs"] = [make.dataset("/out/parts/p0.parquet", symlinks=links)]
    events[1]["inputs"] = [make.dataset("t", namespace="db")]
    events[2]["inputs"] = [make.dataset("/out/parts")]
    assert {"job 0", "job 1", "job 2"} == {
        name for name, _ in of_kind(answers.impact(log_of(events), "raw"), "run")
    }


def test_who_reads_a_folder_learned_from_all_that_lies_in_it(make, log_of) -> None:
    """The last content of each part is read with the folder, whoever wrote it; what was before is not."""
    steps = [
        (["a"], ["/t/1"]),
        (["b"], ["/t/1", "/t/2"]),
        (["c"], ["/t/3"]),
        (["/t"], ["m"]),
        (["d"], ["/t/4"]),
    ]
    log = log_of(chain(make, *steps))
    reached = {raw: [run for run, _ in of_kind(answers.impact(log, raw), "run")] for raw in "abcd"}
    assert {"a": ["job 0"], "b": ["job 1", "job 3"], "c": ["job 2", "job 3"], "d": ["job 4"]} == reached


def test_a_table_may_be_written_by_name_and_by_path(make, log_of) -> None:
    """Who reads a table by its name learned from what the last run wrote, by its place, and from no other."""
    links = make.facet("symlinks", identifiers=[{"namespace": "file", "name": "/lake/t", "type": "TABLE"}])
    table = make.dataset("t", namespace="hive", symlinks=links)
    events = chain(make, (["a"], []), (["b"], []), ([], ["m"]))
    events[0]["outputs"], events[1]["outputs"], events[2]["inputs"] = (
        [table],
        [make.dataset("/lake/t")],
        [table],
    )
    log = log_of(events)
    assert [("job 0", "000")] == of_kind(answers.impact(log, "a"), "run")
    assert [("job 1", "001"), ("job 2", "002")] == of_kind(answers.impact(log, "b"), "run")


def test_the_names_that_its_reader_knows_lead_on(known_to_the_reader) -> None:
    """Who reads a table, and alone says where it lies, learned from what was written there."""
    assert [("job 0", "000"), ("job 1", "001"), ("job 2", "002")] == of_kind(
        answers.impact(known_to_the_reader, "feed"), "run"
    )


def test_who_loads_a_model_by_spark_uses_it(saved_by_spark) -> None:
    """Spark begins with the folder `metadata` in it; what has only such a name is no part of a model."""
    found = answers.impact(saved_by_spark, "/lake/features")
    jobs = {row["job_name"] for row in found if row["kind"] == "run"}
    assert {"train-churn", "train-torch", "scoring.load"} == jobs
    (loaded,) = [row for row in found if row.get("job_name") == "scoring.load"]
    assert ["models/churn"] == [each["name"] for each in loaded["through"]]


def test_people_see_a_tree_with_counts(churn) -> None:
    """For people runs of a job are one line, versions of a model another, and the endpoint stands below."""
    asked = ["raw/customers.csv", "--log", churn.uri]
    told = CliRunner().invoke(command, asked, catch_exceptions=False).output
    assert "1 endpoint" in told.splitlines()[0]
    assert "prepare-churn  2 runs since 2026-03-02 09:00:00" in told
    assert "churn-api (production)  version 2 since" in told
    plan = CliRunner().invoke(command, [*asked, "--erase-plan"], catch_exceptions=False).output
    assert "withdraw\tmodels/churn from endpoint churn-api\t2" in plan
    assert 2 == CliRunner().invoke(command, ["--log", churn.uri]).exit_code


def test_a_dataset_that_several_runs_wrote_is_counted_once(make, log_of) -> None:
    """The line of counts has as many datasets as the tree below it has names of them."""
    log = log_of(chain(make, (["raw"], ["table"]), (["raw"], ["table", "sums"]), (["table"], ["sums"])))
    told = CliRunner().invoke(command, ["raw", "--log", log.uri], catch_exceptions=False).output
    assert "raw  3 runs, 2 datasets" == told.splitlines()[0]


def test_a_job_that_writes_over_what_it_reads_is_told_once(make, log_of) -> None:
    """Of a job in place the data is marked; what reads what it wrote stands below that."""
    steps = [(["a.csv"], ["data.csv"]), (["data.csv"], ["data.csv"]), (["data.csv"], ["m.joblib"])]
    log = log_of(chain(make, *steps))
    told = CliRunner().invoke(command, ["a.csv", "--log", log.uri], catch_exceptions=False).output
    assert [
        "└─ job 0", "   └─ data.csv", "      └─ job 1", "         └─ data.csv  written over",
        "            └─ job 2", "               └─ m.joblib",
    ] == [line.partition("  1 run")[0] for line in told.splitlines()[1:7]]  # fmt: skip


def test_a_model_stands_below_the_data_that_it_learned_from(make, log_of) -> None:
    """And not below what its run read for a test, where the run is told as that."""
    split, train = (
        make.run_event(
            *("COMPLETE", make.base + timedelta(minutes=n), f"{n:06}", name), inputs=read, outputs=made
        )
        for n, (name, read, made) in enumerate([
            ("split", [make.dataset("raw.csv")], [make.dataset("a.csv"), make.dataset("b.csv")]),
            (
                "train",
                [make.used("a.csv", "a", role="test", rows=1), make.used("b.csv", "b", role="train", rows=1)],
                [make.dataset("m.joblib")],
            ),
        ])
    )  # fmt: skip
    asked = ["raw.csv", "--log", log_of([split, train]).uri]
    told = CliRunner().invoke(command, asked, catch_exceptions=False).output.splitlines()
    assert [
        "└─ split", "   ├─ a.csv", "   │  └─ train", "   └─ b.csv", "      └─ train", "         └─ m.joblib"
    ] == [line.partition("  1 run")[0] for line in told[1:7]]  # fmt: skip
    assert told[3].endswith("for a test")


def test_what_reads_only_what_a_job_wrote_over_stands_below_it(make, log_of) -> None:
    """Of one version of the data in place is the way to what read the other version."""
    old, new = ({"version": make.facet("version", datasetVersion=n)} for n in "12")
    log = log_of([
        make.run_event(
            "COMPLETE", make.base + timedelta(minutes=n), f"{n:06}", f"job {n}",
            inputs=[make.dataset("data.csv", **read)], outputs=outputs,
        )
        for n, (read, outputs) in enumerate([
            (old, [make.dataset("data.csv", **new)]), (new, [make.dataset("m.joblib")]),
        ])
    ])  # fmt: skip
    told = CliRunner().invoke(command, ["data.csv@1", "--log", log.uri], catch_exceptions=False).output
    assert ["└─ job 0", "   └─ data.csv  written over", "      └─ job 1", "         └─ m.joblib"] == [
        line.partition("  1 run")[0] for line in told.splitlines()[1:5]
    ]


def test_a_run_that_did_not_tell_its_start_learned_by_the_first_that_is_heard_of_it(make, log_of) -> None:
    """Of a run with two ends and no start the first one is told, not when it spoke last."""
    ends = [
        make.run_event(kind, make.base + timedelta(minutes=n), "late", "train", inputs=[make.dataset("raw")])
        for n, kind in enumerate(("COMPLETE", "FAIL"))
    ]
    (run,) = answers.impact(log_of(ends), "raw")
    assert f"{make.base:%Y-%m-%dT%H:%M:%S}" == run["since"][:19]


def test_a_file_behind_a_link_is_asked_for_with_its_version_too(make, log_of) -> None:
    """By the file that a link led to, with the digest that was read, as by its name."""
    source = make.facet("dataSource", uri="file:///d/2026-11/o.csv")
    model = make.dataset(
        "models/m",
        namespace="modeltrail://registry",
        datasetType=make.facet("t", datasetType="MODEL", subType="ML_MODEL"),
        symlinks=make.facet(
            "s", identifiers=[{"namespace": "file", "name": "/x/m.joblib", "type": "LOCATION"}]
        ),
        outputFacets__modelTrail_modelArtifact=make.facet(
            "a", digest=make.digest("m"), uri="file:///x/m.joblib"
        ),
    )
    read = make.used("/d/current/o.csv", "november", role="train", rows=3)
    read["facets"]["dataSource"] = source
    scored = make.dataset("scores")
    log = log_of(
        [
            make.run_event("COMPLETE", make.base, "1", "train", inputs=[read], outputs=[model]),
            make.run_event(
                "COMPLETE", make.base + timedelta(hours=1), "2", "score", inputs=[model], outputs=[scored]
            ),
        ]
    )
    digest = make.digest("november")
    for asked in ("/d/2026-11/o.csv", f"/d/2026-11/o.csv@{digest}", f"/d/2026-11/o.csv@{digest[:8]}"):
        assert "models/m" in [row.get("name") for row in answers.impact(log, asked)]
    for asked in ("m", "/x/m.joblib"):
        assert "scores" in [
            row.get("name") for row in answers.impact(log, f"models/{asked}" if asked == "m" else asked)
        ]
