"""Reports for machines: CycloneDX, SPDX and SLSA, each valid by what its makers publish."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_python_model import v3_0_1 as spdx

from modeltrail_collector.errors import NotFound, NotVerified
from modeltrail_collector.log import open_log
from modeltrail_collector.reports import FORMATS, cyclonedx_bom

MACHINES = sorted(kind for kind, formats in FORMATS.items() if formats == ("json",))
BOMS = {"cyclonedx": SchemaVersion.V1_6, "cyclonedx-1.7": SchemaVersion.V1_7}
HOSTILE = ["<script>", "\u202egnp.exe \x1b[31m", "a/b?c#d%e@f", "ü " * 300, '"}]}']


def read(found) -> dict:
    """The document of a report."""
    return json.loads(found.text)


@pytest.mark.parametrize("kind", BOMS)
def test_a_bill_of_materials_is_valid(recorded, churn, ask, kind) -> None:
    """Both versions of the bill are valid by the schema that the library brings."""
    for log, model in ((recorded, "churn@1"), (churn, "churn@2")):
        text = ask(log, model, kind).text
        assert JsonStrictValidator(BOMS[kind]).validate_str(text) is None
        assert read(ask(log, model, kind))["specVersion"] == kind.partition("-")[2] or "1.6" in text


@pytest.mark.parametrize("kind", BOMS)
def test_what_breaks_the_schema_of_a_bill_of_materials_is_seen(recorded, ask, kind) -> None:
    """Our validator refuses what the library's refuses: in its schema, in one beside it, and a format."""
    ours, theirs = cyclonedx_bom.validator(BOMS[kind]), JsonStrictValidator(BOMS[kind])
    for broken in (
        {"hashes": [{"alg": "SHA-0", "content": "0" * 64}]},
        {"licenses": [{"license": {"id": "No-Such-Licence"}}]},
        {"externalReferences": [{"type": "vcs", "url": "no reference"}]},
        {"unknown": 1},
    ):
        bom = read(ask(recorded, "churn@1", kind))
        assert ours.is_valid(bom)
        bom["metadata"]["component"] |= broken
        assert not ours.is_valid(bom)
        assert theirs.validate_str(json.dumps(bom)) is not None


def test_a_bill_of_materials_is_checked_without_the_validator_that_takes_seconds(recorded) -> None:
    """The command never imports jsonschema, whose grammars of IRIs took most of its time."""
    program = (
        "import sys; from modeltrail.cli import main; sys.argv[0] = 'modeltrail'\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('jsonschema' in sys.modules, file=sys.stderr)"
    )
    asked = ["report", "churn@1", "--kind", "cyclonedx", "--log", recorded.uri]
    found = subprocess.run(
        [sys.executable, "-c", program, *asked], capture_output=True, text=True, check=True
    )
    assert "CycloneDX" == json.loads(found.stdout)["bomFormat"]
    assert "False" == found.stderr.strip()


def test_a_bill_of_materials_lists_what_the_model_was_made_of(recorded, ask) -> None:
    """The model with its digest and card, its data with theirs, its packages, and the run that made it."""
    bom = read(ask(recorded, "churn@1", "cyclonedx"))
    model = bom["metadata"]["component"]
    assert ("machine-learning-model", "churn", "1") == (model["type"], model["name"], model["version"])
    assert re.fullmatch("[0-9a-f]{64}", model["hashes"][0]["content"])
    assert "Apache-2.0" in json.dumps(model["licenses"])
    card = model["modelCard"]
    assert "classification" == card["modelParameters"]["task"]
    assert ["Ranks customers for a call."] == card["considerations"]["useCases"]
    slices = {one.get("slice") for one in card["quantitativeAnalysis"]["performanceMetrics"]}
    assert {"holdout.csv", "holdout.csv: plan = basic", "holdout.csv: plan = family"} <= {
        one.rpartition("/")[2] for one in slices if one
    }
    told = {(one["name"], one["value"]) for one in card["properties"]}
    assert ("modeltrail:param:C", "0.5") in told
    assert ("modeltrail:not-recorded", "trade_offs") in told
    said = dict(told)["modeltrail:declared:intended_use"]
    assert said.startswith("by Ada Example on 2026-03-01T00:00:00Z (local/0/")
    names = {one["name"].rpartition("/")[2]: one["type"] for one in bom["components"]}
    assert "data" == names["train.csv"] == names["holdout.csv"]
    assert "library" == names["scikit-learn"]
    (workflow,) = bom["formulation"][0]["workflows"]
    assert "train-churn" == workflow["name"]


def test_an_spdx_document_is_read_by_its_library(recorded, ask) -> None:
    """The AI package was trained on and tested on its data, and each property passes the library's checks."""
    found = spdx.SHACLObjectSet()
    text = ask(recorded, "churn@1", "spdx").text
    spdx.JSONLDDeserializer().deserialize_data(json.loads(text), found)
    (model,) = found.foreach_type(spdx.ai_AIPackage)
    assert ("churn", "1") == (model.name, model.software_packageVersion)
    assert "0.5" == next(one.value for one in model.ai_hyperparameter if one.key == "C")
    (basic,) = (one.key for one in model.ai_metric if one.key.endswith("holdout.csv: plan = basic)"))
    assert basic.startswith("accuracy (")
    assert "Ada Example" in model.ai_informationAboutApplication
    assert "seeds: not recorded" in model.ai_informationAboutTraining
    relations = {
        one.relationshipType.rpartition("/")[2]: one for one in found.foreach_type(spdx.Relationship)
    }
    assert {"trainedOn", "testedOn", "dependsOn", "hasDeclaredLicense", "hasInput", "hasOutput"} == set(
        relations
    )
    data = {one.name.rpartition("/")[2]: one for one in found.foreach_type(spdx.dataset_DatasetPackage)}
    assert data["holdout.csv"] in [*relations["testedOn"].to]
    assert data["holdout.csv"] not in [*relations["trainedOn"].to]
    assert not found.missing_ids


def test_provenance_is_an_in_toto_statement(churn, ask, make) -> None:
    """The subject is the model's digest; data, code and packages are resolved dependencies of the run."""
    statement = read(ask(churn, "churn@3", "slsa"))
    assert "https://in-toto.io/Statement/v1" == statement["_type"]
    assert "https://slsa.dev/provenance/v1" == statement["predicateType"]
    assert [{"name": "churn@3", "digest": {"sha256": make.digest("model 3")}}] == statement["subject"]
    definition, details = (statement["predicate"][part] for part in ("buildDefinition", "runDetails"))
    assert {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"} == {
        name for name in definition if not name.startswith("modeltrail_")
    }
    assert {"C": 0.1} == definition["externalParameters"]["parameters"]
    assert {"max_iter": 500} == definition["internalParameters"]["parameters"]
    digests = [one.get("digest") for one in definition["resolvedDependencies"]]
    assert {"sha256": make.digest("features 2")} in digests
    assert {"gitCommit": "3" * 40} in digests
    assert "pkg:pypi/scikit-learn@1.7.0" in [one.get("uri") for one in definition["resolvedDependencies"]]
    for one in definition["resolvedDependencies"]:
        assert one.get("uri") or one.get("digest"), one
    assert details["metadata"]["invocationId"].endswith("0000000000cb")
    assert "2026-03-05T09:00:00Z" == details["metadata"]["startedOn"][:19] + "Z"
    assert details["builder"]["id"].startswith("https://")
    sealed = {f"local/0/{entry.offset}": entry.sha256 for entry in make.entries(make.story())}
    for one in details["byproducts"]:
        assert {"sha256": sealed[one["name"]]} == one["digest"]


@pytest.mark.parametrize("kind", MACHINES)
def test_a_machine_is_told_nothing_of_an_edited_log(churn, ask, tmp_path, kind) -> None:
    """Where the records are not what was sealed there is no document at all."""
    shutil.copytree(churn.uri, tmp_path / "log")
    segment = min((tmp_path / "log" / "raw").rglob("*.avro"))
    data = bytearray(segment.read_bytes())
    data[-30] ^= 1
    segment.write_bytes(data)
    with pytest.raises(NotVerified, match=f"no {kind} is made of records that are not what was sealed"):
        ask(open_log(str(tmp_path / "log")), "churn@2", kind)


@pytest.fixture(scope="module")
def hostile(make, log_of):
    """Hostile name -> the log of a training in which all names are that."""

    def log(name):
        events = make.story()[:4]
        facets = events[3]["run"]["facets"]
        facets["modelTrail_hyperparameters"]["params"] = [{"name": name, "value": name, "type": "string"}]
        facets["modelTrail_environment"]["packages"] = [{"name": name, "version": name}]
        facets["modelTrail_training"] |= {"learningApproach": name, "task": name, "algorithm": [name]}
        events[3]["job"]["name"] = events[2]["job"]["name"] = name
        events[3]["inputs"][0]["name"] = events[2]["inputs"][0]["name"] = name
        events[3]["outputs"][1]["facets"]["modelTrail_model"] = make.facet(
            "modelTrail_model", framework="f", license=name, card={"intendedUse": name}
        )
        return log_of(events)

    return {name: log(name) for name in HOSTILE}


@pytest.mark.parametrize("kind", MACHINES)
def test_hostile_names_stay_values(hostile, ask, kind) -> None:
    """Names of any characters are values of a valid document, and nothing in it steers a terminal."""
    for name, log in hostile.items():
        text = ask(log, "churn@1", kind).text
        assert not re.search("[\x1b\u202e]", text)
        assert name in str(json.loads(text)) or json.dumps(name)[1:-1] in text


@pytest.mark.parametrize("kind", MACHINES)
def test_a_stranger_without_our_facets(make, ask, log_of, kind) -> None:
    """Without our facets there is a bill with what is known, and no attestation, which is about a digest."""
    model = make.dataset(
        "models/risk",
        namespace="mlflow://host:5000",
        datasetType=make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL"),
        version=make.facet("version", datasetVersion="7"),
    )
    table = make.dataset("lake.loans", namespace="iceberg://cat")
    event = make.run_event(
        "COMPLETE", make.base, make.uuid7(make.base, 1), "fit", inputs=[table], outputs=[model]
    )
    log = log_of([event])
    if kind == "slsa":
        with pytest.raises(NotFound, match=r"no digest of risk@7 was recorded"):
            ask(log, "risk@7", kind)
    else:
        assert "iceberg://cat/lake.loans" in ask(log, "risk@7", kind).text


@pytest.mark.parametrize("kind", MACHINES)
def test_a_document_can_be_made_again(churn, kind) -> None:
    """Another process makes the same bytes at the same time of making."""
    arguments = ["report", "churn@2", "--kind", kind, "--log", churn.uri, "--made-at", "2026-03-10"]
    program = "import sys; from modeltrail.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", program, *arguments]
    made = {
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=240).stdout
        for _ in range(2)
    }
    assert 1 == len(made)


@pytest.mark.parametrize("kind", ["cyclonedx", "spdx", "annex-iv"])
def test_two_versions_of_a_table_without_digests_are_two_components(make, log_of, ask, kind) -> None:
    """Where no digest was told the version tells data apart: each run read its own of the two."""

    def table(name: str, version: str | None = None):
        told = {"version": make.facet("v", datasetVersion=version)} if version else {}
        return make.dataset(name, namespace="lake://shop", **told)

    artifact = make.facet("modelTrail_modelArtifact", digest=make.digest("m"))
    kind_of = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
    model = make.dataset("m", datasetType=kind_of, outputFacets__modelTrail_modelArtifact=artifact)
    events = [
        make.run_event(
            "COMPLETE", make.base, f"prepare {number}", f"prepare-{number}",
            inputs=[table("raw", number)], outputs=[table(f"part-{number}")],
        )
        for number in ("7", "8")
    ]  # fmt: skip
    parts = [table("part-7"), table("part-8")]
    events.append(make.run_event("COMPLETE", make.base, "t", "train", inputs=parts, outputs=[model]))
    log = log_of(events)
    if kind == "annex-iv":
        sections = read(ask(log, "m", kind, "json"))["sections"]
        (raw,) = [one for each in sections for one in each.get("tables", ()) if "Raw" in one["title"]]
        assert [("7", ["prepare-7"]), ("8", ["prepare-8"])] == [(row[2], row[4]) for row in raw["rows"]]
        return
    if kind == "spdx":
        assert [("raw", "7"), ("raw", "8")] == [
            (one["name"], one["software_packageVersion"])
            for one in read(ask(log, "m", kind))["@graph"]
            if one.get("name") == "raw"
        ]
        return
    bom = read(ask(log, "m", kind))
    refs = {one["version"]: one["bom-ref"] for one in bom["components"] if one["name"] == "raw"}
    assert {"7", "8"} == refs.keys()
    read_by = {
        one["name"]: [each["resource"]["ref"] for each in one["inputs"]]
        for one in bom["formulation"][0]["workflows"]
    }
    assert ([refs["7"]], [refs["8"]]) == (read_by["prepare-7"], read_by["prepare-8"])


def test_who_only_registered_a_model_is_no_builder(make, log_of, ask) -> None:
    """Where the run that made it is not recorded there is no attestation, and no training in the bills."""
    artifact = make.facet("modelTrail_modelArtifact", digest=make.digest("theirs"), written=False)
    said = make.facet("modelTrail_registration", name="risk", version="1")
    model = make.dataset(
        "models/risk",
        namespace="modeltrail://registry",
        modelTrail_registration=said,
        outputFacets__modelTrail_modelArtifact=artifact,
    )
    log = log_of([make.run_event("COMPLETE", make.base, "r", "register", outputs=[model])])
    with pytest.raises(NotFound, match="which run made risk@1 is not recorded"):
        ask(log, "risk@1", "slsa")
    bom = read(ask(log, "risk@1", "cyclonedx"))
    assert "formulation" not in bom
    properties = {one["name"]: one["value"] for one in bom["metadata"]["component"]["properties"]}
    assert "not recorded" == properties["modeltrail:run"]
    assert "build_Build" not in ask(log, "risk@1", "spdx").text
    (step,) = [one for one in read(ask(log, "risk@1", "audit", "json"))["sections"] if one.get("steps")]
    assert ["registered it, told of it as registered"] == [one["what"] for one in step["steps"]]
