"""Why a version behaves differently: a small project in which one thing changes at a time, and strangers."""

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

import modeltrail_collector
from modeltrail_collector import answers
from modeltrail_collector.answers.rules import Metric, Rules
from modeltrail_collector.cli.why import why as command
from modeltrail_collector.errors import ConfigError, NotFound
from modeltrail_collector.log import open_log
from modeltrail_collector.pump import seal_inbox
from modeltrail_collector.tables import compact

PROJECT = Path(__file__).parent / "project"
STEPS = {"first": 1, "same": 2, "param": 3, "code": 4, "library": 5, "unit": 6}


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """The project's folder after all its trainings; its log is compacted."""
    folder = tmp_path_factory.mktemp("why") / "project"
    shutil.copytree(PROJECT, folder)
    log = folder / "lineage"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENLINEAGE_")}
    environment = kept | {"MODELTRAIL_LOG": str(log), "OPENLINEAGE_NAMESPACE": "ml"}
    done = subprocess.run(
        [sys.executable, "story.py", str(folder)],
        cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    seal_inbox(open_log(str(log)))
    compact(open_log(str(log)))
    return folder


@pytest.fixture(scope="session")
def told(project):
    """`told(step)`: the answer for the version of that step against the first one."""
    log = open_log(str(project / "lineage"))

    def told(step: str) -> dict:
        return answers.why(log, "churn@1", f"churn@{STEPS[step]}", repository=project)

    return told


def first(answer: dict) -> tuple[str, str, str]:
    cause = answer["causes"][0]
    return cause["strength"], cause["kind"], cause["subject"]


def said(cause: dict, mark: str = "evidence") -> str:
    return "\n".join(entry["text"] for entry in cause[mark])


def test_a_feed_that_changed_its_unit(told, project) -> None:
    """The raw feed and its column come first, with the unit; what was made from it only shows it."""
    answer = told("unit")
    cause = answer["causes"][0]
    assert ("strong", "data", str(project / "raw/payments.csv")) == first(answer)
    assert ["amount"] == cause["columns"]
    assert "amount: all values about 1/100 of what they were" in said(cause)
    assert "shows in train.csv: amount PSI" in said(cause)
    assert "shows in train-churn/train: amount PSI" in said(cause)
    assert "as many rows as before" in said(cause, "against")
    assert 1 == len(answer["causes"])
    assert any(place["offset"] >= 0 for entry in cause["evidence"] for place in entry["sources"])
    feeds = {Path(pair["name"]).name: pair["change"] for pair in answer["changes"]["data"]}
    assert {
        "customers.csv": "same",
        "payments.csv": "changed",
        "train.csv": "changed",
        "train": "changed",
    } == feeds
    moved = {(row["name"], row["slice"]): row for row in answer["figures"]}
    assert moved["accuracy", None]["delta"] < -0.2
    assert moved["accuracy", None]["better"] is False
    assert moved["accuracy", None]["same_data"] is True
    assert 3 == len(moved)


def test_only_a_parameter(told) -> None:
    """A parameter is told with both values and where they came from, and as the only difference."""
    answer = told("param")
    assert ("strong", "parameters", "logisticregression__C") == first(answer)
    assert 1 == len(answer["causes"])
    assert "1.0 → 0.001 (default → explicit)" in said(answer["causes"][0])
    assert "nothing else that was recorded differs" in said(answer["causes"][0])
    for same in ("code: commit", "environment: all", "transformations: all", "data: "):
        assert any(line.startswith(same) for line in answer["unchanged"])


def test_only_a_library(told) -> None:
    """Another version of a library that computes is told, with what it did to the data in the run."""
    answer = told("library")
    assert ("strong", "environment", "feature-engine 1.0.0 → 1.1.0") == first(answer)
    assert 1 == len(answer["causes"])
    assert "changed inside of the run (amount PSI" in said(answer["causes"][0])
    assert any(line.startswith("code: commit") for line in answer["unchanged"])


def test_only_the_code(told) -> None:
    """An uncommitted edit is told with its diff, which git makes, and with what it did to the data."""
    answer = told("code")
    assert ("strong", "code", "train.py +1 −1") == first(answer)  # noqa: RUF001
    assert 1 == len(answer["causes"])
    assert "changed inside of the run (columns visits)" in said(answer["causes"][0])
    assert (
        '-FEATURES = ["age", "amount", "visits"]\n+FEATURES = ["age", "amount"]\n'
        in answer["changes"]["code"]["diff"]
    )
    assert "repository" == answer["changes"]["code"]["diff_from"]


def test_nothing_changed(told) -> None:
    """Where nothing that was recorded changed it says so, names what is the same, and invents no cause."""
    answer = told("same")
    assert [] == answer["causes"]
    assert "Nothing that was recorded of how they were made changed." in answer["notes"]
    assert "The two models are the same bytes." in answer["notes"]
    assert ["files that the code opens by a name that it puts together"] == answer["not_recorded"]
    assert {"data", "parameters", "transformations", "environment", "code"} <= {
        line.partition(":")[0] for line in answer["unchanged"]
    }


def test_as_a_person_reads_it(project) -> None:
    """The text fits a hundred columns, begins with what was compared, and says each piece of evidence."""
    found = CliRunner().invoke(
        command, ["churn@1", "churn@6", "--log", str(project / "lineage")], catch_exceptions=False
    )
    lines = found.stdout.splitlines()
    assert "churn@1 → churn@6  both versions were given" == lines[0]
    assert all(len(line) <= 100 for line in lines if not line.startswith("  1 "))
    text = " ".join(found.stdout.split())
    assert "1 strong data: " in text
    assert "raw/payments.csv column amount + amount: all values about 1/100" in text
    assert "Ruled out: the same on both sides" in text


def test_json(project) -> None:
    """`--json` is the answer of the Python call."""
    arguments = ["churn@6", "--log", str(project / "lineage"), "--repository", str(project), "--json"]
    found = CliRunner().invoke(command, arguments, catch_exceptions=False)
    log = open_log(str(project / "lineage"))
    assert json.loads(found.stdout) == json.loads(json.dumps(answers.why(log, "churn@6", repository=project)))


def test_the_version_before_and_the_one_in_production(churn) -> None:
    """Without another version it is the one before, or the one that served when this one was made."""
    answer = answers.why(churn, "churn@3")
    assert ("churn@2", "previous") == (answer["before"]["label"], answer["chosen"]["how"])
    answer = answers.why(churn, "churn@3", against="production")
    assert "churn@2" == answer["before"]["label"]
    assert (
        "in production at k8s://prod/endpoints/churn-api since 2026-03-03 11:00:00"
        in answer["chosen"]["reason"]
    )
    with pytest.raises(NotFound, match="is the first of its name"):
        answers.why(churn, "churn@1")
    with pytest.raises(NotFound, match="known to have been in production when churn@2 was made"):
        answers.why(churn, "churn@2", against="production")
    with pytest.raises(ConfigError, match="compared with itself"):
        answers.why(churn, "churn@3", "churn@latest")


@pytest.mark.parametrize("named", ["1", None])
def test_in_production_is_the_version_that_was_deployed(make, log_of, named) -> None:
    """Of versions of the same bytes it is the one that the deployment names, else the one made before it."""
    days = [make.base + timedelta(days=number) for number in range(5)]
    again = make.train(2, days[2], features="f", strength=1.0)
    again = json.loads(json.dumps(again).replace(make.digest("model 2"), make.digest("model 1")))
    deployed = make.deploy(1, days[1])
    model = deployed[1]["run"]["facets"]["modelTrail_deployment"]["model"]
    model |= {"version": named, "digest": make.digest("model 1")}
    log = log_of([
        *make.train(1, days[0], features="f", strength=1.0), *deployed, *again,
        *make.train(3, days[3], features="f", strength=1.0),
    ])  # fmt: skip
    answer = answers.why(log, "churn@3", against="production")
    assert "churn@1" == answer["before"]["label"]
    assert [0.81] == [row["before"] for row in answer["figures"] if row["name"] == "accuracy"]


def test_in_production_is_what_was_left_there(make, log_of) -> None:
    """A canary that was taken back leaves the version before it in production."""
    days = [make.base + timedelta(days=number) for number in range(5)]
    deployed = []
    for hour, number, said in ((0, 1, {}), (1, 2, {"trafficPercent": 5}), (2, 2, {"action": "retire"})):
        start, done = make.deploy(number, days[3] + timedelta(hours=hour))
        done["run"]["facets"]["modelTrail_deployment"] |= said
        deployed += [start, done]
    trained = [
        event
        for number, day in ((1, 0), (2, 1), (3, 4))
        for event in make.train(number, days[day], features="f", strength=1.0)
    ]
    answer = answers.why(log_of([*trained, *deployed]), "churn@3", against="production")
    assert "churn@1" == answer["before"]["label"]


def test_several_things_at_once(churn) -> None:
    """Candidates are ordered by strength; what is not known in which way it differs is only possible."""
    answer = answers.why(churn, "churn@3")
    assert [("transformations", "strong"), ("data", "possible"), ("code", "possible")] == [
        (cause["kind"], cause["strength"]) for cause in answer["causes"]
    ]
    data = answer["causes"][1]
    assert data["subject"].endswith("features.parquet")
    assert "no profile of its columns was recorded" in said(data, "against")
    assert any("features.parquet are distributed" in line for line in answer["not_recorded"])
    assert "git diff 222222222222 333333333333" == answer["changes"]["code"]["ask"]


def plain(make, number: int, **facets):
    """A run of somebody who knows no facet of ours, and writes a model."""
    at = make.base + timedelta(days=number)
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")
    version = make.facet("version", datasetVersion=str(number))
    return make.run_event(
        "COMPLETE", at, make.uuid7(at, number), "their-training",
        run_facets=facets, inputs=[make.dataset("/theirs/table")],
        outputs=[make.dataset("theirs", namespace="mlflow://host", datasetType=kind, version=version)],
    )  # fmt: skip


def test_models_of_plain_openlineage(make, log_of) -> None:
    """Of models whose producer knows no facet of ours it says what was not recorded."""
    answer = answers.why(log_of([plain(make, 1), plain(make, 2)]), "theirs@2")
    assert [] == answer["causes"]
    assert {
        f"{word} of theirs@{number}" for word in ("parameters", "environment", "code") for number in (1, 2)
    } <= set(answer["not_recorded"])
    assert "which content of /theirs/table was read" in answer["not_recorded"]
    assert any("No figure was recorded for both versions" in note for note in answer["notes"])


def test_standard_facets_are_enough_for_something(make, log_of) -> None:
    """Parameters and engine of the standard facets are compared where ours are not there."""
    told = [
        plain(
            make, number,
            executionParameters=make.facet(
                "executionParameters", parameters=[{"key": "depth", "name": "depth", "value": str(number)}]
            ),
            processing_engine=make.facet("processing_engine", name="spark", version=f"4.{number}.0"),
        )
        for number in (1, 2)
    ]  # fmt: skip
    causes = answers.why(log_of(told), "theirs@2")["causes"]
    assert [("parameters", "depth"), ("environment", "spark 4.1.0 → 4.2.0")] == [
        (cause["kind"], cause["subject"]) for cause in causes
    ]


def test_other_evaluation_data(make, log_of) -> None:
    """Figures that were measured on other data are told as that, and it is the strong candidate."""
    events = make.story()
    for event in events:
        for dataset in event["inputs"]:
            use = dataset.get("inputFacets", {}).get("modelTrail_dataUse")
            if use and use["role"] == "test" and event["run"]["runId"].endswith("cb"):
                use["fingerprint"]["digest"] = make.digest("another hold-out")
    answer = answers.why(log_of(events), "churn@3")
    assert ("strong", "evaluation data", "/data/churn/holdout.parquet") == first(answer)
    assert [False] == [row["same_data"] for row in answer["figures"] if row["source"] == "evaluation"]
    assert any("do not compare like with like" in note for note in answer["notes"])


BROKEN = (
    "nonsense",
    7,
    None,
    ["a"],
    {"columns": 3},
    {"columns": {"x": [1]}, "fingerprint": "no", "packages": 1},
)


@pytest.mark.parametrize("value", BROKEN, ids=repr)
def test_broken_facets_do_no_harm(make, log_of, value) -> None:
    """Facets that break their schema, and are kept, are no facts: the answer comes all the same."""
    events = make.story()
    for event in events[2:]:
        facets = event["run"]["facets"]
        for key in list(facets):
            if key not in {"modelTrail_training", "modelTrail_deployment"}:
                facets[key] = value
        for dataset in event["inputs"]:
            dataset["inputFacets"] = {"modelTrail_featureProfile": value, "modelTrail_dataUse": value}
            dataset["facets"] = {"schema": value}
    answer = answers.why(log_of(events), "churn@3")
    assert json.loads(json.dumps(answer)) == answer


def profiled(make, number: int, columns: int):
    """A training on a table of so many columns, one of which moves."""
    events = make.train(number, make.base + timedelta(days=number), features=f"f{number}", strength=1.0)
    flat = {"edges": [0, 1, 2, 3, 4], "counts": [250, 250, 250, 250]}
    moved = {"edges": [0, 1, 2, 3, 4], "counts": [10, 10, 10, 970]}
    profile = {
        f"column {n}": {"count": 1000, "nulls": 0, "histogram": moved if n == 7 and number == 2 else flat}
        for n in range(columns)
    }
    for event in events:
        facets = event["inputs"][0]["inputFacets"]
        facets["modelTrail_featureProfile"] = make.facet("modelTrail_featureProfile", columns=profile)
        facets["modelTrail_dataUse"]["features"] = list(profile)
    return events


def test_a_thousand_columns(make, log_of) -> None:
    """Of a thousand columns the one that moved is named, in seconds."""
    log = log_of([*profiled(make, 1, 1000), *profiled(make, 2, 1000)])
    started = time.process_time()
    answer = answers.why(log, "churn@2")
    assert time.process_time() - started < 20
    cause = next(cause for cause in answer["causes"] if cause["kind"] == "data")
    assert ["column 7"] == cause["columns"]
    assert "strong" == cause["strength"]


def test_what_others_write_is_shown_harmless(make, log_of) -> None:
    """Names that steer a terminal are escaped in the text, in evidence and in the diff."""
    events = make.story()
    for event in events:
        if state := event["run"]["facets"].get("modelTrail_codeState"):
            state |= {
                "commit": "1" * 40,
                "diff": f"diff --git a/\x1b[2J b/x\n+{event['run']['runId']}\x1b[2J\n",
            }
            state["diffSha256"] = make.digest(event["run"]["runId"])
        for dataset in event["inputs"]:
            dataset["name"] = dataset["name"].replace("features", "fea\x1b[2Jtures")
    log = log_of(events)
    found = CliRunner().invoke(command, ["churn@3", "--log", log.uri, "--diff"], catch_exceptions=False)
    assert "\x1b" not in found.stdout
    assert "\\u001b[2J" in found.stdout


def test_usage(churn) -> None:
    """--against with two versions is refused: it would be ignored."""
    with pytest.raises(ConfigError, match="here both are"):
        CliRunner().invoke(
            command, ["churn@2", "churn@3", "--against", "production", "--log", churn.uri],
            catch_exceptions=False,
        )  # fmt: skip


def test_scripts_that_only_registered_two_models_made_neither(make, log_of) -> None:
    """What differs between them is no cause and no change: with what the models were made is not recorded."""

    def registered(number: int):
        digest = make.digest(f"theirs {number}")
        model = make.dataset(
            "models/risk",
            namespace="modeltrail://registry",
            modelTrail_registration=make.facet("modelTrail_registration", name="risk", version=str(number)),
            outputFacets__modelTrail_modelArtifact=make.facet(
                "modelTrail_modelArtifact", digest=digest, written=False
            ),
        )
        facets = {
            "modelTrail_codeState": make.facet("modelTrail_codeState", entryPoint=f"register{number}.py"),
            "modelTrail_hyperparameters": make.facet(
                "modelTrail_hyperparameters", params=[{"name": "note", "value": number, "type": "int"}]
            ),
        }
        at = make.base + timedelta(days=number)
        return make.run_event("COMPLETE", at, f"r{number}", "register", run_facets=facets, outputs=[model])

    log = log_of([registered(1), registered(2)])
    told = answers.why(log, "risk@1", "risk@2")
    assert [] == told["causes"]
    assert not answers.show(log, "risk@2")["changes"]


def test_a_training_that_failed_before_it_registered_is_no_version_before_the_next(make, log_of) -> None:
    """What it saved are the bytes of the version that was made again: this is held against the one before."""
    first = make.train(1, make.base, features="f", strength=1.0)
    again = make.train(2, make.base + timedelta(days=1), features="f", strength=2.0)
    failed = json.loads(json.dumps(again[1]))
    failed |= {"eventType": "FAIL", "eventTime": f"{make.base + timedelta(hours=20):%Y-%m-%dT%H:%M:%SZ}"}
    failed["run"]["runId"] = make.uuid7(make.base + timedelta(hours=20), 777)
    saved, known = failed["outputs"]
    del known["facets"]["modelTrail_registration"]
    known["facets"]["version"] = saved["facets"]["version"]
    failed["outputs"] = [known | {"outputFacets": saved["outputFacets"]}]
    log = log_of([*first, failed, *again])
    assert "1" == answers.why(log, "churn@2")["before"]["version"]
    ago = make.base + timedelta(days=2)
    for handle in (modeltrail_collector.open(log.uri), modeltrail_collector.open(log.uri, as_of=ago)):
        with handle as db:
            versions = db.sql("SELECT version FROM models WHERE name = 'models/churn'").fetchall()
            assert [("1",), ("2",), (make.digest("model 2")[:12],)] == sorted(versions)
            assert {"1"} == {row["base_version"] for row in answers.show(db, "churn@2")["changes"]}


def test_what_a_run_measured_before_it_registered_is_of_its_version(make, log_of) -> None:
    """It names the model by its digest, as does a version of the same bytes that a run before had left."""
    again = make.train(2, make.base + timedelta(days=1), features="f", strength=2.0)
    saved, known = again[1]["outputs"]
    judged = next(one for one in again[1]["inputs"] if one["name"] == saved["name"])
    judged |= {"namespace": known["namespace"], "name": known["name"]}
    judged["inputFacets"]["modelTrail_evaluation"]["modelVersion"] = make.digest("model 2")[:12]
    judged["facets"]["version"] = make.facet("version", datasetVersion=make.digest("model 2")[:12])
    failed = json.loads(json.dumps(again[1]))
    failed |= {"eventType": "FAIL", "eventTime": f"{make.base + timedelta(hours=20):%Y-%m-%dT%H:%M:%SZ}"}
    failed["run"]["runId"] = make.uuid7(make.base + timedelta(hours=20), 777)
    failed["inputs"] = failed["inputs"][:1]
    left = json.loads(json.dumps(known))
    del left["facets"]["modelTrail_registration"]
    left["facets"]["version"] = saved["facets"]["version"]
    failed["outputs"] = [left | {"outputFacets": saved["outputFacets"]}]
    log = log_of([failed, *again])
    assert ["accuracy"] == [row["name"] for row in answers.show(log, "churn@2")["evaluations"]]
    floor = Metric(name="floor", metric="accuracy", below=1.0, versions="all")
    assert ["churn@2"] == [one.subject for one in answers.alert(log, Rules(rule=[floor]))]
