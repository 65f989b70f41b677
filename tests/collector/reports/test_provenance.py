"""How far back the reports tell: to the raw data, the runs that prepared it, and their code."""

import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from spdx_python_model import v3_0_1 as spdx

from modeltrail_collector.log import open_log
from modeltrail_collector.reports import cyclonedx_bom

PREPARE = """
import pandas as pd

import modeltrail

modeltrail.autolog()
with modeltrail.run("prepare"):
    table = pd.read_csv("raw.csv")
    table = table[table.age < 70]
    table.to_csv("clean.csv", index=False)
"""
TRAIN = """
import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, train_test_split

import modeltrail

modeltrail.autolog()
with modeltrail.run("train") as run:
    table = pd.read_csv("clean.csv")
    train, test = train_test_split(table, test_size=0.25, random_state=8)
    model = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=3).fit(train[["age"]], train["label"])
    features = test[["age"]]
    accuracy_score(test["label"], model.predict(features))
    joblib.dump(model, "model.joblib")
    run.register("risk", version="1", model=model)
"""
CHANGE = "diff --git a/{0} b/{0}\n--- a/{0}\n+++ b/{0}\n@@ -1 +1,2 @@\n-a\n+b\n+c\n"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with a log: raw.csv is filtered by a script with an uncommitted change, then learned from."""
    folder = tmp_path_factory.mktemp("prepared")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENLINEAGE", "MODELTRAIL"))}
    environment = {**kept, "MODELTRAIL_LOG": str(folder / "log"), "MODELTRAIL_STRICT": "1"}

    def call(*command) -> None:
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, timeout=240)

    rows = [f"{n % 90},{int(n % 7 < 3)}" for n in range(360)]
    (folder / "raw.csv").write_text("\n".join(["age,label", *rows, ""]), encoding="utf-8")
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    (folder / "prepare.py").write_text(PREPARE, encoding="utf-8")
    (folder / ".gitignore").write_text("log\n*.csv\n*.joblib\n__pycache__\n", encoding="utf-8")
    call("git", "init", "-q")
    call("git", "add", ".")
    call("git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "first")
    (folder / "prepare.py").write_text(PREPARE.replace("70", "40"), encoding="utf-8")
    call(sys.executable, "prepare.py")
    call(sys.executable, "train.py")
    call(Path(sys.executable).parent / "modeltrail", "compact")
    return folder


@pytest.fixture
def sections(prepared, ask):
    """The sections of a report about it, by number or title."""

    def sections(kind: str) -> dict[str, dict]:
        text = ask(open_log(str(prepared / "log")), "risk@1", kind, "json").text
        return {one["number"] or one["title"]: one for one in json.loads(text)["sections"]}

    return sections


def rows(section: dict, title: str) -> list[dict]:
    """A table of a section as records."""
    table = next(one for one in section["tables"] if one["title"].startswith(title))
    names = [column["name"] for column in table["columns"]]
    return [dict(zip(names, row, strict=True)) for row in table["rows"]]


def digest(file: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(("kind", "part"), [("annex-iv", "2(d)"), ("model-card", "Training data")])
def test_training_data_is_told_from_the_raw_data_on(prepared, sections, kind, part) -> None:
    """The raw file with its digest, and the run that prepared it, stand where the training data is told."""
    section = sections(kind)[part]
    (raw,) = rows(section, "Raw data")
    assert (str(prepared / "raw.csv"), digest(prepared / "raw.csv")) == (raw["data"], raw["fingerprint"])
    assert (["prepare"], "observed", 360) == (raw["read by"], raw["how"], raw["rows"])
    (step,) = section["steps"]
    assert ("prepare", "raw.csv") == (step["job"], Path(step["reads"][0]["name"]).name)
    assert digest(prepared / "clean.csv") == step["writes"][0]["digest"]
    assert section["in_part"]


@pytest.mark.parametrize(("kind", "part"), [("annex-iv", "2(a)"), ("audit", "Code"), ("model-card", "Code")])
def test_the_code_is_told_with_its_uncommitted_changes(prepared, sections, kind, part) -> None:
    """The recorded diff stands in the report once for all runs that had it, with the files it changes."""
    section = sections(kind)[part]
    (diff,) = section["texts"]
    assert "Uncommitted changes of train, prepare" == diff["title"]
    assert "+    table = table[table.age < 40]" in diff["text"]
    facts = {one["name"]: one["value"] for one in section["facts"]}
    assert ["prepare.py +1 −1"] == facts["changed files"]  # noqa: RUF001
    assert [] == facts["untracked files"]
    assert f"{prepared} (it has no remote)" == facts["repository"]
    where = sections("annex-iv")["2(d)"] if part == "2(a)" else section
    (code,) = rows(where, "Code of the runs that prepared the data")
    assert ("prepare", "prepare.py", facts["commit"]) == (code["job"], code["entry point"], code["commit"])


def test_an_empty_list_reads_as_none_and_a_diff_as_code(prepared, ask) -> None:
    """In Markdown a recorded empty list is `none`, and a diff a block; HTML has it as preformatted text."""
    log = open_log(str(prepared / "log"))
    text = ask(log, "risk@1", "audit", "md").text
    assert "| untracked files | none | observed | local/0/" in text
    assert re.search(r"### Uncommitted changes of train, prepare\n\n```\ndiff --git (?s:.)*?\n```\n", text)
    assert "<pre>diff --git" in ask(log, "risk@1", "audit", "html").text


def test_what_a_model_was_tested_on_is_told_as_the_part_that_it_was(sections) -> None:
    """Rows of the test split have the split, their file says which of its rows; cross-validation is there."""
    section = sections("annex-iv")["2(g)"]
    told = {Path(row["dataset"]).name: row["which of them"] for row in rows(section, "Validation and test")}
    (split,) = told["test"]
    assert (0.25, 8) == (split["fraction"], split["seed"])
    assert [split, "those in train/test", "the same content was read for training"] == told["clean.csv"]
    assert {"best_score"} <= {row["metric"] for row in rows(section, "Measured while training on")}


def test_a_bill_of_materials_has_the_raw_data_and_the_preparing_run(prepared, ask) -> None:
    """What was learned from depends on the raw data, which has its digest; the preparation is a workflow."""
    text = ask(open_log(str(prepared / "log")), "risk@1", "cyclonedx").text
    bom = json.loads(text)
    assert cyclonedx_bom.validator(SchemaVersion.V1_6).is_valid(bom)
    data = {Path(one["name"]).name: one for one in bom["components"] if one["type"] == "data"}
    assert digest(prepared / "raw.csv") == data["raw.csv"]["hashes"][0]["content"]
    needs = {one["ref"]: one.get("dependsOn", []) for one in bom["dependencies"]}
    assert [data["raw.csv"]["bom-ref"]] == needs[data["clean.csv"]["bom-ref"]]
    assert data["clean.csv"]["bom-ref"] in needs["model"]
    assert data["raw.csv"]["bom-ref"] not in needs["model"]
    prepare, train = bom["formulation"][0]["workflows"]
    assert ["prepare", "train"] == [prepare["name"], train["name"]]
    assert [{"resource": {"ref": data["raw.csv"]["bom-ref"]}}] == prepare["inputs"]
    assert data["clean.csv"]["bom-ref"] == prepare["outputs"][0]["resource"]["ref"]
    assert "prepare.py" in {one["value"] for one in prepare["properties"]}
    assert "modeltrail:digest" not in {one["name"] for one in bom["metadata"]["component"]["properties"]}


def test_an_spdx_document_has_the_raw_data_and_the_preparing_build(prepared, ask) -> None:
    """The build that prepared the data has the raw data as its input and the training data as its output."""
    found = spdx.SHACLObjectSet()
    text = ask(open_log(str(prepared / "log")), "risk@1", "spdx").text
    spdx.JSONLDDeserializer().deserialize_data(json.loads(text), found)
    build = next(one for one in found.foreach_type(spdx.build_Build) if one.name == "prepare")
    ends = {
        one.relationshipType.rpartition("/")[2]: [Path(end.name).name for end in one.to]
        for one in found.foreach_type(spdx.Relationship)
        if one.from_ is build
    }
    assert {"hasInput": ["raw.csv"], "hasOutput": ["clean.csv"]} == ends
    assert "changed files: prepare.py" in build.comment
    (trained,) = (
        one for one in found.foreach_type(spdx.Relationship) if one.relationshipType.endswith("trainedOn")
    )
    assert "raw.csv" not in [Path(one.name).name for one in trained.to]


def test_an_attestation_has_the_preparing_run_and_no_foreign_digest(prepared, ask) -> None:
    """The preparing run is an extension with its own dependencies; no package has a digest of our making."""
    statement = json.loads(ask(open_log(str(prepared / "log")), "risk@1", "slsa").text)
    definition = statement["predicate"]["buildDefinition"]
    (run,) = definition["modeltrail_preparedBy"]
    digests = {Path(one["name"]).name: one["digest"] for one in run["resolvedDependencies"]}
    assert {"sha256": digest(prepared / "raw.csv")} == digests["raw.csv"]
    assert {"gitCommit"} == digests["source"].keys()
    assert ("prepare", ["clean.csv"]) == (run["job"], [Path(one["name"]).name for one in run["outputs"]])
    packages = [one for one in definition["resolvedDependencies"] if "pkg:" in one.get("uri", "")]
    assert packages
    assert [one for one in packages if "installationRecordSha256" in one["annotations"]]
    assert not [one for one in packages if "digest" in one]


def test_item_6_names_the_files_that_changed(make, log_of, ask) -> None:
    """The files of the code that changed since the version before are named, of the preparing run too."""
    events = make.story()
    for number, file in ((3, "train.py"), (5, "helpers.py")):  # both trainings are of one commit
        events[number]["run"]["facets"]["modelTrail_codeState"] |= state(CHANGE.format(file))
    log = log_of(events)
    text = json.loads(ask(log, "churn@2", "annex-iv", "json").text)
    item = next(one for one in text["sections"] if one["number"] == "6")
    assert [("train-churn", "train.py"), ("train-churn", "helpers.py")] == [
        (row["job"], row["file"]) for row in rows(item, "Changed files of the code since version 1")
    ]
    events[1]["run"]["facets"]["modelTrail_codeState"] = make.facet("modelTrail_codeState", **state(""))
    events[9]["run"]["facets"]["modelTrail_codeState"] = make.facet(
        "modelTrail_codeState", **state(CHANGE.format("prepare.py"))
    )
    text = json.loads(ask(log_of(events), "churn@3", "annex-iv", "json").text)
    item = next(one for one in text["sections"] if one["number"] == "6")
    found = rows(item, "Changed files of the code since version 2")
    assert ("prepare-churn", "prepare.py", 2, 1) in [tuple(row.values()) for row in found]


def test_a_job_whose_code_is_the_same_is_told_beside_one_that_changed(make, log_of, ask) -> None:
    """Of each job it is said what is known: the training's code is the same, the preparation's another."""
    events = make.story()
    for number, commit in ((1, "a"), (5, "c"), (9, "b"), (11, "c")):  # prepared, trained 2, prepared, trained
        facts = state("") | {"commit": commit * 40}
        events[number]["run"]["facets"]["modelTrail_codeState"] = make.facet("modelTrail_codeState", **facts)
    (table,) = (
        table
        for section in json.loads(ask(log_of(events), "churn@3", "audit", "json").text)["sections"]
        for table in section["tables"]
        if table["title"].startswith("Changed files of the code since version 2")
    )
    assert [] == table["rows"]
    assert (
        "train-churn: none, the code is the same. prepare-churn: not recorded; what lies between the two "
        "commits, the repository tells: git diff aaaaaaaaaaaa bbbbbbbbbbbb."
    ) == table["missing"]


def state(diff: str) -> dict:
    """Fields of `modelTrail_codeState` of a commit with this diff."""
    said = {"commit": "a" * 40, "dirty": bool(diff), "untracked": [], "entryPoint": "main.py"}
    told = {"diff": diff, "diffSha256": hashlib.sha256(diff.encode()).hexdigest(), "diffTruncated": False}
    return said | (told if diff else {})


def test_a_script_under_no_version_control_has_no_changes_to_speak_of(make, log_of, ask) -> None:
    """That nothing differs from a commit is said only where there is one."""
    events = make.train(1, make.base, features="f", strength=1.0)
    code = {"dirty": False, "untracked": [], "entryPoint": "main.py"}
    for said, is_told in ((code, False), (code | {"vcs": "git"}, True), (state(""), True)):
        events[1]["run"]["facets"]["modelTrail_codeState"] = make.facet("modelTrail_codeState", **said)
        text = ask(log_of(events), "churn@1", "audit", "md").text
        assert is_told == ("| uncommitted changes | no |" in text)
        assert is_told == ("| changed files | none |" in text)


def test_a_diff_is_no_markup(make, log_of, ask) -> None:
    """Whatever a diff holds, it ends where its block ends."""
    events = make.story()[:4]
    diff = CHANGE.format("x.py") + "+```\n+<script>alert(1)</script>\n+\x1b[31m\u202e\n"
    events[3]["run"]["facets"]["modelTrail_codeState"] |= state(diff)
    log = log_of(events)
    html = ask(log, "churn@1", "audit", "html").text
    assert "<script>" not in html
    text = ask(log, "churn@1", "audit", "md").text
    assert re.search(r"\n````\ndiff --git (?s:.)*?\n````\n", text)
    assert not re.search("[\x1b\u202e]", html + text)


def test_what_other_producers_tell_of_a_preparation_is_in_the_reports(make, log_of, ask) -> None:
    """Its query and the assertions on its data stand there; what it wrote is known by each of its names."""
    table = {"namespace": "hive://meta", "name": "default.features"}
    query = make.facet("sql", query="SELECT age, label FROM raw")
    checked = [
        {"assertion": "unique", "column": "id", "success": False},
        {"assertion": "row_count", "success": True},
    ]
    raw = make.dataset(
        "raw", inputFacets__dataQualityAssertions=make.facet("dataQualityAssertions", assertions=checked)
    )
    links = make.facet("symlinks", identifiers=[table | {"type": "TABLE"}])
    made = make.dataset("features", namespace="s3://lake", symlinks=links)
    trained = make.train(1, make.base + timedelta(hours=1), features="f", strength=1.0)
    for event in trained:
        event["inputs"] = [event["inputs"][0] | table]
    prepared = make.run_event(
        "COMPLETE", make.base, "p", "prepare", job_facets={"sql": query}, inputs=[raw], outputs=[made]
    )
    log = log_of([prepared, *trained])
    told = {
        one["number"]: one for one in json.loads(ask(log, "churn@1", "annex-iv", "json").text)["sections"]
    }
    assert [("Query of prepare", query["query"])] == [
        (one["title"], one["text"]) for one in told["2(a)"]["texts"] if "Query" in one["title"]
    ]
    assert [("unique (id)", "raw", "fail"), ("row_count", "raw", "pass")] == [
        (row["test"], row["data"], row["status"]) for row in rows(told["2(g)"], "Tests")
    ]
    bom = json.loads(ask(log, "churn@1", "cyclonedx").text)
    refs = {one["name"]: one["bom-ref"] for one in bom["components"]}
    needs = {one["ref"]: one.get("dependsOn", []) for one in bom["dependencies"]}
    assert [refs["raw"]] == needs[refs["default.features"]]
    definition = json.loads(ask(log, "churn@1", "slsa").text)["predicate"]["buildDefinition"]
    (step,) = definition["modeltrail_preparedBy"]
    assert ["default.features"] == [one["name"] for one in step["outputs"]]
