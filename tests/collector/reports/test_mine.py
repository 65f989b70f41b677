"""What a report says is of its own version: nothing that runs of its trail say of others."""

import json
import re
from datetime import timedelta

import pytest

from modeltrail_collector.reports import charts

DAY = timedelta(days=1)


@pytest.fixture
def sections(ask):
    """The sections of a report, by number or title."""

    def sections(log, model: str, kind: str = "audit") -> dict[str, dict]:
        found = json.loads(ask(log, model, kind, "json").text)["sections"]
        return {one["number"] or one["title"]: one for one in found}

    return sections


def table(section: dict, title: str) -> list[list]:
    """The rows of a table; no table has none."""
    return [row for one in section["tables"] if one["title"] == title for row in one["rows"]]


def facts(section: dict) -> dict[str, object]:
    return {one["name"]: one["value"] for one in section["facts"]}


@pytest.fixture
def only_registered(make, log_of):
    """A model that a script registered which somebody else made, with a look at other data."""
    artifact = make.facet("modelTrail_modelArtifact", digest=make.digest("theirs"), written=False)
    model = make.dataset(
        "models/risk",
        namespace="modeltrail://registry",
        modelTrail_registration=make.facet("modelTrail_registration", name="risk", version="1"),
        outputFacets__modelTrail_modelArtifact=artifact,
    )
    (_, trained) = make.train(1, make.base, features="f", strength=1.0)
    said = {key: value for key, value in trained["run"]["facets"].items() if key != "modelTrail_training"}
    event = make.run_event(
        "COMPLETE", make.base + DAY, "r", "register", run_facets=said, inputs=trained["inputs"][:1],
        outputs=[model],
    )  # fmt: skip
    return log_of([*make.prepare(1, make.base, raw="raw", features="f"), event])


def test_the_code_and_environment_of_who_only_registered_it(only_registered, sections) -> None:
    """They made nothing: what a model was made with is not recorded, nor when and of what."""
    for kind, names in {
        "audit": ["Data and features", "Training", "Code", "Environment"],
        "annex-iv": ["2(a)", "2(b)", "2(d)"],
        "model-card": ["Training data", "Training procedure", "Code"],
    }.items():
        found = sections(only_registered, "risk@1", kind)
        assert {name: ["not recorded"] for name in names} == {name: found[name]["status"] for name in names}
    audit = sections(only_registered, "risk@1")
    known = facts(audit["The model"])
    assert [None, None, None] == [known[name] for name in ("created at", "made by run", "how that run ended")]
    trail = audit["From raw data to deployment"]
    assert ["register"] == [step["job"] for step in trail["steps"]]
    assert "Which run made the model, and of what, is not recorded." == trail["about"]


def test_the_packages_of_who_only_registered_it(only_registered, ask) -> None:
    """No bill of materials has them, or what that run read, as parts of the model."""
    bom = json.loads(ask(only_registered, "risk@1", "cyclonedx").text)
    assert [] == bom.get("components", [])
    text = ask(only_registered, "risk@1", "spdx").text
    assert "scikit-learn" not in text
    assert "features.parquet" not in text


@pytest.fixture
def monitored(make, log_of):
    """Version 2 was trained in the run that found version 1 to drift, and version 1 judged beside it."""
    events = make.story()
    events[5]["run"]["facets"]["modelTrail_monitoring"] = make.facet(
        "modelTrail_monitoring",
        window={"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"},
        model={"namespace": "modeltrail://registry", "name": "models/churn", "version": "1"},
        referenceRunId=events[3]["run"]["runId"],
        metrics=[{"name": "auc", "expected": 0.9, "observed": 0.7, "breached": True}],
        drift=[{"column": "age", "method": "psi", "statistic": 0.4, "breached": True}],
    )
    own = events[5]["inputs"][2]["inputFacets"]["modelTrail_evaluation"]
    theirs = own | {"modelVersion": "1", "modelDigest": make.digest("model 1"), "reviewer": "Eve"}
    old = make.dataset("champion.joblib", inputFacets__modelTrail_evaluation=theirs)
    events[5]["inputs"].append(old)
    events[7]["run"]["facets"]["modelTrail_deployment"]["approval"] = {"by": "Ada", "ticket": "T-1"}
    return log_of(events)


@pytest.mark.parametrize(("kind", "name"), [("audit", "In use"), ("annex-iv", "9")])
def test_how_another_version_did_in_use(monitored, sections, kind, name) -> None:
    """What a run says of the version before, on the way to the next, is in the report on that alone."""
    old, new = (sections(monitored, f"churn@{version}", kind)[name] for version in "12")
    assert ["auc"] == [row[1] for row in table(old, "Performance in use")]
    assert ["age"] == [row[1] for row in table(old, "Drift")]
    assert [] == [*table(new, "Performance in use"), *table(new, "Drift")]
    assert "observed" not in new["status"]


def test_who_reviewed_another_version(monitored, sections) -> None:
    """The reviewer of a test is told of the version that was tested."""
    old, new = (sections(monitored, f"churn@{version}", "annex-iv")["2(g)"] for version in "12")
    assert "Eve" == facts(old)["reviewer of the test"]
    assert facts(new)["reviewer of the test"] is None


def test_who_approved_a_deployment(monitored, sections) -> None:
    """An approval stands beside the deployment that it is of."""
    (deployed,) = table(sections(monitored, "churn@2")["Deployment"], "Deployments of this version")
    assert {"by": "Ada", "ticket": "T-1"} in deployed


def test_a_model_of_a_run_that_failed(make, log_of, ask, sections) -> None:
    """Every report about it says so, documents why."""
    events = make.story()[:4]
    error = make.facet("errorMessage", message="disk full", programmingLanguage="PYTHON")
    events[3]["run"]["facets"]["errorMessage"] = error
    events[3]["eventType"] = "FAIL"
    log = log_of(events)
    for kind, name in {"audit": "The model", "annex-iv": "1(a)", "model-card": "Model details"}.items():
        assert "FAIL: disk full" == facts(sections(log, "churn@1", kind)[name])["how that run ended"]
    for kind, said in {
        "cyclonedx": r'"modeltrail:state",\s+"value": "FAIL"',
        "spdx": '"comment": "state: FAIL; ',
        "slsa": '"modeltrail_state": "FAIL"',
    }.items():
        assert re.search(said, ask(log, "churn@1", kind).text)


@pytest.fixture
def tuned(make, log_of):
    """churn@1, and a model that goes on from it with data in memory of which nobody knows more."""
    base = f"{make.data}/models/churn.joblib"
    read = make.used(base, "model 1", role="train", rows=None)
    read["facets"] = {"datasetType": make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")}
    memory = make.used("tune/train", "rows", role="train", rows=10)
    (start, end) = make.train(9, make.base + DAY, features="x", strength=1.0)
    for event in (start, end):
        event["job"]["name"] = "tune"
    end["inputs"] = [read, memory | {"namespace": "inmemory://"}]
    end["outputs"] = [make.dataset("tuned.bin", outputFacets__modelTrail_modelArtifact=make.facet(
        "modelTrail_modelArtifact", digest=make.digest("tuned"), digestAlgorithm="sha256", uri="file:///tuned.bin",
        sizeBytes=1))]  # fmt: skip
    end["outputs"][0]["facets"] = read["facets"]
    return log_of([*make.story()[:4], start | {"inputs": []}, end])


def test_a_model_that_it_goes_on_from_is_no_dataset(tuned, sections, ask) -> None:
    """It is a model in every report, and the run that made it made no data."""
    annex = sections(tuned, "tuned.bin", "annex-iv")
    assert [["churn.joblib", "train"]] == [
        [row[0].rpartition("/")[2], row[1]] for row in table(annex["2(a)"], "Models that the run read")
    ]
    assert ["tune/train"] == [row[0] for row in table(annex["2(d)"], "Data it learned from")]
    what = {step["job"]: step["what"] for step in annex["2(d)"]["steps"]}
    assert {"prepare-churn": "made data", "train-churn": "made a model that it came from"} == what
    bom = json.loads(ask(tuned, "tuned.bin", "cyclonedx").text)
    parts = {one["bom-ref"]: one for one in bom["components"]}
    (base,) = [one for one in parts.values() if one["name"].endswith("churn.joblib")]
    assert "machine-learning-model" == base["type"]
    learned = [one["ref"] for one in bom["metadata"]["component"]["modelCard"]["modelParameters"]["datasets"]]
    assert ["tune/train"] == [parts[ref]["name"] for ref in learned]
    graph = json.loads(ask(tuned, "tuned.bin", "spdx").text)["@graph"]
    (told,) = [one for one in graph if str(one.get("name")).endswith("churn.joblib")]
    assert ("software_Package", "model") == (told["type"], told["software_primaryPurpose"])
    to = {one["relationshipType"]: one["to"] for one in graph if one["type"] == "Relationship"}
    assert [told["spdxId"]] == to["descendantOf"]
    assert told["spdxId"] not in to["trainedOn"]


def test_what_is_known_of_the_origin_of_rows_in_memory(tuned, churn, sections) -> None:
    """That nothing is known of it is said where the raw data is told, which is not all then."""
    assert (
        "came from is not recorded" not in sections(churn, "churn@2")["From raw data to deployment"]["about"]
    )
    assert (
        "came from is not recorded"
        not in sections(tuned, "tuned.bin")["From raw data to deployment"]["about"]
    )


def test_data_that_a_run_read_nobody_saw_what_for(make, log_of, sections) -> None:
    """What a model may have come of is told where its training data is, and as that."""
    events = make.story()[:4]
    source = {"namespace": "inmemory://", "name": "t", "type": "DATASET"}
    model = {"namespace": "file", "name": f"{make.data}/models/churn.joblib", "type": "DATASET"}
    events[2]["inputs"] = []
    events[3]["job"]["facets"]["lineage"] = make.facet("lineage", entries=[model | {"inputs": [source]}])
    possible = make.used("extra.csv", "extra", role="other", rows=7)
    events[3]["inputs"] = [
        make.used("t", "rows", role="train", rows=9) | {"namespace": "inmemory://"},
        possible,
    ]
    log = log_of(events)
    for kind, name in {"annex-iv": "2(d)", "model-card": "Training data"}.items():
        found = sections(log, "churn@1", kind)[name]
        seen = table(found, "Read by the run, use not seen: it may have learned from it")
        assert [["extra.csv", 7]] == [row[:2] for row in seen]
        (raw,) = [one for one in found["tables"] if one["title"].startswith("Raw data")]
        assert "Which data the rows in t came from is not recorded." == raw["note"]


@pytest.fixture
def judged(make, log_of):
    """churn@2, judged once more elsewhere, on other data and on parts of it."""
    events = make.story()
    said = events[5]["inputs"][2]["inputFacets"]["modelTrail_evaluation"]
    values = [{"name": "accuracy", "value": 0.5, "threshold": 0.9, "ci": {"low": 0.4, "high": 0.6}}]
    values += [{"name": "accuracy", "value": 0.1 + n, "slice": {"plan": plan}} for n, plan in enumerate("ab")]
    there = make.facet(
        "modelTrail_evaluation", evaluationId="late", modelVersion="2", modelDigest=said["modelDigest"],
        dataset={"namespace": "file", "name": "late.csv"}, metrics=values,
    )  # fmt: skip
    model = make.dataset(events[5]["inputs"][2]["name"], inputFacets__modelTrail_evaluation=there)
    late = make.used("late.csv", "late", role="test", rows=77)
    return log_of([
        *events,
        make.run_event("FAIL", make.base + 5 * DAY, make.uuid7(make.base + 5 * DAY, 900), "judge",
                       inputs=[model, late]),
    ])  # fmt: skip


def test_what_it_was_judged_on_elsewhere_did_not_make_it(judged, ask) -> None:
    """Data of an evaluation is no input of the training, and nothing that the model depends on."""
    statement = json.loads(ask(judged, "churn@2", "slsa").text)["predicate"]["buildDefinition"]
    assert "late.csv" not in {one.get("name") for one in statement["resolvedDependencies"]}
    bom = json.loads(ask(judged, "churn@2", "cyclonedx").text)
    names = {one["bom-ref"]: one["name"].rpartition("/")[2] for one in bom["components"]}
    assert "late.csv" in names.values()
    (depends,) = [one["dependsOn"] for one in bom["dependencies"] if one["ref"] == "model"]
    assert {"features.parquet", "scikit-learn"} == {names[ref] for ref in depends}
    read = {
        one["name"]: {names[each["resource"]["ref"]] for each in one["inputs"]}
        for one in bom["formulation"][0]["workflows"]
    }
    assert {"features.parquet", "holdout.parquet"} == read["train-churn"]


def test_what_a_figure_had_to_reach(judged, sections) -> None:
    """Threshold, interval, and that the run that measured it has not completed stand beside the value."""
    found = table(sections(judged, "churn@2")["Evaluation"], "Evaluations")
    told = {row[1]: row[2] for row in found if row[3] == "late.csv"}
    said = {"needed": 0.9, "confidence interval": {"low": 0.4, "high": 0.6}}
    assert {0.5: said | {"run": "FAIL"}, 0.1: {"run": "FAIL"}, 1.1: {"run": "FAIL"}} == told


def test_figures_of_a_part_of_the_data(judged, sections) -> None:
    """The rows of a dataset stand beside no figure of a part, and each plot is of one dataset."""
    found = sections(judged, "churn@2")["Evaluation"]
    told = {(row[3].rpartition("/")[2], row[5]): row[4] for row in table(found, "Evaluations")}
    assert {("late.csv", None): 77, ("late.csv", "plan = a"): None, ("late.csv", "plan = b"): None} == {
        key: rows for key, rows in told.items() if key[0] == "late.csv"
    }
    (chart,) = found["charts"]
    assert "on late.csv" == chart["note"]
    assert {"all": 0.5, "plan = a": 0.1, "plan = b": 1.1} == dict(chart["series"][0]["points"])


def test_data_of_which_nobody_said_what_it_was_for(make, log_of, sections) -> None:
    """Producers that know no roles are heard too: without one it is told as what the model came from."""
    events = make.story()[:4]
    for event in events[2:]:
        for read in event["inputs"][:1]:
            read["inputFacets"].pop("modelTrail_dataUse", None)
    found = sections(log_of(events), "churn@1", "annex-iv")["2(d)"]
    (told,) = table(found, "Data it learned from")
    assert ["features.parquet", None] == [told[0].rpartition("/")[2], told[1]]


def test_the_first_version_has_no_changes(churn, sections) -> None:
    """That there is no version before it is known, and not said to be unrecorded."""
    (told,) = [
        one for one in sections(churn, "churn@1")["Changes"]["tables"] if one["title"].startswith("Changes")
    ]
    assert ([], "none: no earlier version is in the log") == (told["rows"], told["missing"])


def test_a_run_without_uncommitted_changes_changed_no_file(make, log_of, ask, sections) -> None:
    """An empty list was recorded: it is there in the table, and reads `none`."""
    events = make.story()[:4]
    clean = make.facet("modelTrail_codeState", dirty=False, commit="1" * 40, entryPoint="prepare.py")
    events[1]["run"]["facets"]["modelTrail_codeState"] = clean
    log = log_of(events)
    (row,) = table(sections(log, "churn@1")["Code"], "Code of the runs that prepared the data")
    assert [False, []] == row[3:5]
    assert "| no | none | `prepare.py` |" in ask(log, "churn@1", "audit", "md").text


def test_plots_that_are_left_out(make, log_of, ask, sections) -> None:
    """Where not all are drawn each group has its share, and its heading says how many there are."""
    events = make.story()[:4]
    shape = {"histogram": {"edges": [0, 1], "counts": [5]}}
    for read in events[3]["inputs"][:2]:
        read["inputFacets"]["modelTrail_featureProfile"] = make.facet(
            "modelTrail_featureProfile", columns={f"c{n}": shape for n in range(100)}
        )
    points = [{"name": "loss", "step": n, "value": 1 / (n + 1)} for n in range(900)]
    events[3]["run"]["facets"]["modelTrail_metricSeries"] = make.facet(
        "modelTrail_metricSeries", seq=0, points=points
    )
    log = log_of(events)
    found = sections(log, "churn@1")["Data and features"]["charts"]
    groups = [one["group"].rpartition("/")[2] for one in found]
    each = charts.MOST_PROFILES // 2
    assert {f"{name}.parquet: {each} of 100 are drawn": each for name in ("features", "holdout")} == {
        name: groups.count(name) for name in groups
    }
    assert "One in 3 of 900 points is told." in ask(log, "churn@1", "audit", "md").text


def test_what_was_read_as_a_copy_is_told_with_what_it_is_a_copy_of(make, log_of, ask) -> None:
    """Its maker is a step of the trail, and only the step that read the copy says so."""

    def of(name: str, **facets: object) -> dict:
        return make.dataset(name, version=make.facet("version", datasetVersion=make.digest("same")), **facets)

    model = make.dataset(
        "m",
        datasetType=make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL"),
        version=make.facet("version", datasetVersion=make.digest("model")),
    )
    steps = ({"outputs": [of("made")]}, {"inputs": [of("/app/copied")], "outputs": [model]})
    log = log_of(
        [
            make.run_event(
                "COMPLETE", make.base + n * DAY, make.uuid7(make.base, 600 + n), f"step {n}", **sides
            )
            for n, sides in enumerate(steps)
        ]
    )
    text = ask(log, "m", "audit", "md").text
    (told,) = (line for line in text.split("\n") if "the same bytes as" in line)
    assert told.startswith("| read | `/app/copied` (`file`), the same bytes as `made` |")
    assert "step 0" in text
    html = ask(log, "m", "audit", "html").text
    assert 1 == html.count("<br>the same bytes as made<br>")
