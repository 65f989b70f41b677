"""Reports for people: the trail, Annex IV and the model card, as HTML, Markdown and JSON."""

import json
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import modeltrail_collector
from modeltrail_collector.errors import ConfigError, NotFound
from modeltrail_collector.log import open_log
from modeltrail_collector.reports import FORMATS
from modeltrail_collector.reports.report import report

GOLDEN = Path(__file__).parent / "golden"
DOCUMENTS = sorted(kind for kind, formats in FORMATS.items() if "html" in formats)
ANNEX = [
    *("1(a)", "1(b)", "1(c)", "1(d)", "1(e)", "1(f)", "1(g)", "1(h)"),
    *("2(a)", "2(b)", "2(c)", "2(d)", "2(e)", "2(f)", "2(g)", "2(h)"),
    *("3", "4", "5", "6", "7", "8", "9"),
]


def test_a_report_in_python_needs_a_model_and_no_more(churn):
    """The trail as HTML, made now; of a log or of an open handle."""
    with modeltrail_collector.open(churn.uri) as db:
        for of in (churn, db):
            found = report(of, "churn@2")
            assert found.text.startswith("<!doctype html>")
            assert f"made at {datetime.now(UTC):%Y-%m-%d %H:}" in found.text.replace("Made", "made")
            assert () == found.problems


def sections(found) -> dict[str, dict]:
    """Sections of a JSON report by number or title."""
    return {one["number"] or one["title"]: one for one in json.loads(found.text)["sections"]}


def rows(section: dict, title: str) -> list[dict]:
    """A table of a section as records."""
    table = next(one for one in section["tables"] if one["title"] == title)
    names = [column["name"] for column in table["columns"]]
    return [dict(zip(names, row, strict=True)) for row in table["rows"]]


def facts(section: dict) -> dict[str, object]:
    """The facts of a section."""
    return {one["name"]: one["value"] for one in section["facts"]}


def test_the_audit_trail_as_markdown_is_the_golden_one(churn, ask) -> None:
    """The audit trail of the churn story is, to the letter, what is kept beside this test."""
    text = ask(churn, "churn@2", "audit", "md").text.replace(churn.uri, "<log>")
    golden = GOLDEN / "audit.md"
    text = re.sub(r"modeltrail \d+\.\d+\.\d+", "modeltrail <version>", text)
    text = re.sub(r"(?m)^\| `raw/.*$", "| <segment> |", text)  # its digest depends on when it was sealed
    if os.environ.get("WRITE_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == text


def test_a_report_of_the_past_leaves_out_what_came_later(churn, ask) -> None:
    """As of a moment before the deployment the trail ends with the model, and the head says the moment."""
    steps = sections(ask(churn, "churn@2", "audit", "json"))["From raw data to deployment"]["steps"]
    deployed = datetime.fromisoformat(steps[-1]["started_at"])
    with modeltrail_collector.open(churn.uri, as_of=deployed - timedelta(seconds=1)) as db:
        found = ask(db, "churn@2", "audit", "json")
        assert ["prepare-churn", "train-churn"] == [
            step["job"] for step in sections(found)["From raw data to deployment"]["steps"]
        ]
        said = {fact["name"]: fact["value"] for fact in json.loads(found.text)["head"]}
        assert deployed - timedelta(seconds=1) == datetime.fromisoformat(said["as it was at"])
        assert "as it was at" in ask(db, "churn@2", "spdx").text
        assert "modeltrail:as it was at" in ask(db, "churn@2", "cyclonedx").text
    with (
        modeltrail_collector.open(churn.uri, known_at=deployed.replace(year=2020)) as db,
        pytest.raises(NotFound),
    ):
        ask(db, "churn@2", "audit")


def test_the_trail_leads_from_raw_data_to_deployment(churn, ask, make) -> None:
    """The steps are told in order of time, with the digests of what each read and wrote."""
    steps = sections(ask(churn, "churn@2", "audit", "json"))["From raw data to deployment"]["steps"]
    assert ["prepare-churn", "train-churn", "deploy-churn"] == [step["job"] for step in steps]
    assert ["made data", "made the model, registered it, evaluated it", "deployed it"] == [
        step["what"] for step in steps
    ]
    assert make.digest("customers") == steps[0]["reads"][0]["digest"]
    assert make.digest("features 1") in {thing["digest"] for thing in steps[0]["writes"]}
    assert {"local/0/4", "local/0/5"} == set(steps[1]["events"])
    assert "endpoints/churn-api" == steps[2]["writes"][0]["name"]


def test_the_deployed_model_has_the_digest_that_its_deployment_says(make, ask, log_of) -> None:
    """What a deployment reads is the bytes that it names, where its input says none."""
    events = make.story()[:8]
    digest = make.digest("model 2")
    for event in events:
        if (said := event["run"]["facets"].get("modelTrail_deployment")) is not None:
            said["model"]["digest"] = f"sha256:{digest}"
    found = sections(ask(log_of(events), "churn@2", "audit", "json"))["From raw data to deployment"]
    (model,) = found["steps"][-1]["reads"]
    assert ("models/churn", "2", digest) == (model["name"], model["version"], model["digest"])


def test_the_trail_tells_of_the_registry_and_of_a_deletion(make, ask, log_of) -> None:
    """Who set an alias and who deleted the version: in the trail, with their records, and as facts."""
    at = make.base + timedelta(days=5)
    done = [
        make.in_registry(2, at, "alias_set", aliases=["champion"], actor="ada"),
        make.in_registry(2, at + timedelta(hours=1), "delete", actor="bob"),
    ]
    found = sections(ask(log_of([*make.story(), *done]), "churn@2", "audit", "json"))
    steps = found["From raw data to deployment"]["steps"]
    assert ["set an alias of it", "deleted it from its registry"] == [step["what"] for step in steps[-2:]]
    said = facts(found["The model"])
    assert (f"{(at + timedelta(hours=1)).isoformat()}", "bob") == (
        said["deleted from its registry at"],
        said["deleted by"],
    )
    assert "champion, until it was deleted" == said["aliases"]
    history = rows(found["Changes"], "In its registry")
    assert [
        ("register", None, "local/0/5"),
        ("alias_set", "ada", "local/0/12"),
        ("delete", "bob", "local/0/13"),
    ] == [(row["action"], row["by"], row["record"]) for row in history]
    assert {"local/0/12", "local/0/13"} <= {row["record"] for row in rows(found["Proof"], "Records")}


def test_every_record_of_the_trail_is_proved(churn, ask, make) -> None:
    """Records are named with their digests and segments, and those are said to be verified."""
    proof = sections(ask(churn, "churn@2", "audit", "json"))["Proof"]
    records = rows(proof, "Records")
    sealed = {f"local/0/{entry.offset}": entry.sha256 for entry in make.entries(make.story())}
    assert 6 == len(records)
    assert {record["record"]: record["SHA-256"] for record in records}.items() <= sealed.items()
    assert {"verified"} == {record["answer"] for record in records}
    assert ["0 to 4", "5 to 9"] == [segment["offsets"] for segment in rows(proof, "Segments")]
    assert "verified" == facts(proof)["answer"]


def test_an_edited_log_is_not_verified(churn, ask, tmp_path) -> None:
    """One changed byte in a segment of the trail is named, and the report is not verified."""
    shutil.copytree(churn.uri, tmp_path / "log")
    segment = min((tmp_path / "log" / "raw").rglob("*.avro"))
    data = bytearray(segment.read_bytes())
    data[-30] ^= 1
    segment.write_bytes(data)
    found = ask(open_log(str(tmp_path / "log")), "churn@2", "audit", "html")
    assert any(segment.name in problem or "offsets 0 to 4" in problem for problem in found.problems)
    assert "Not verified." in found.text
    elsewhere = ask(open_log(str(tmp_path / "log")), "churn@3", "audit", "json")
    assert "0 to 4" not in [one["offsets"] for one in rows(sections(elsewhere)["Proof"], "Segments")]


def test_tables_that_say_what_the_log_does_not_are_found(make, ask, log_of, tmp_path) -> None:
    """A table whose facets are not those of the sealed records is contradicted by them."""
    log = log_of(make.story())
    other = make.story()
    facets = other[5]["run"]["facets"]["modelTrail_hyperparameters"]
    facets["params"][0]["value"] = 0.123
    forged = log_of(other)
    shutil.copytree(log.uri, tmp_path / "log")
    shutil.rmtree(tmp_path / "log" / "tables")
    shutil.copytree(Path(forged.uri) / "tables", tmp_path / "log" / "tables")
    found = ask(open_log(str(tmp_path / "log")), "churn@2", "audit", "json")
    assert any("modelTrail_hyperparameters" in problem for problem in found.problems)
    assert any("was not sealed there" in problem for problem in found.problems)


def test_annex_iv_has_every_item(churn, ask) -> None:
    """Every item of the Annex is there, in order, and says what it rests on."""
    found = sections(ask(churn, "churn@2", "annex-iv", "json"))
    assert [*ANNEX, "Proof"] == list(found)
    assert ["not recorded"] == found["2(e)"]["status"]
    assert ["human_oversight"] == found["2(e)"]["unsaid"]
    assert ["observed"] == found["2(c)"]["status"] or ["not recorded"] == found["2(c)"]["status"]
    assert "observed" in found["2(d)"]["status"]
    assert ["not recorded"] == found["5"]["status"]
    assert {"observed", "human"} == set(found["6"]["status"])
    assert ["1", "2", "3"] == [row["version"] for row in rows(found["6"], "Versions")]
    assert "standardscaler" not in json.dumps(found["2(f)"])


def test_nothing_is_filled_in(churn, ask) -> None:
    """What nobody recorded is null in JSON and `not recorded` for people, and no item is left out."""
    found = sections(ask(churn, "churn@3", "annex-iv", "json"))
    training = facts(found["2(a)"])
    assert training["seeds"] is None
    assert training["base model"] is None
    assert "sklearn.linear_model.LogisticRegression" == training["algorithm"]
    assert [] == rows(found["1(d)"], "Deployments of this version")
    text = ask(churn, "churn@3", "annex-iv", "md").text
    assert "| seeds | *not recorded* |" in text
    assert re.search(
        r"## 5 Risk management system\n\nStatus: not recorded\n\nRisk management system: \*not rec", text
    )


def test_a_real_training_fills_the_card(recorded, ask) -> None:
    """A recorded scikit-learn training gives figures, slices, curves, distributions and the declared card."""
    found = sections(ask(recorded, "churn@1", "model-card", "json"))
    assert "sklearn.linear_model._logistic.LogisticRegression" in str(facts(found["Model details"])) or (
        "LogisticRegression" in str(facts(found["Model details"])["algorithm"])
    )
    use = found["Intended use"]["statements"]
    assert [("Ranks customers for a call.", "Ada Example", "2026-03-01T00:00:00Z")] == [
        (one["text"], one["author"], one["date"]) for one in use
    ]
    assert re.fullmatch(r"local/0/\d+", use[0]["origin"])
    assert ["plan = basic", "plan = family"] == sorted(
        row["slice"] for row in rows(found["Quantitative analyses"], "Evaluations") if row["slice"]
    )
    kinds = {chart["kind"] for chart in found["Quantitative analyses"]["charts"]}
    assert {"bars", "lines"} == kinds
    assert "histogram" in {chart["kind"] for chart in found["Training data"]["charts"]}
    assert "holdout.csv" in rows(found["Evaluation data"], "Validation and test data")[0]["dataset"]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_html_is_one_file_that_draws(recorded, ask, kind) -> None:
    """An HTML report has its plots in it, no script and no link elsewhere, and a policy that forbids them."""
    text = ask(recorded, "churn@1", kind).text
    assert text.startswith("<!doctype html>")
    assert "<svg" in text
    assert "<rect" in text
    assert "default-src 'none'" in text
    assert not re.search(r"<script|<iframe|<img|\son\w+=|(src|href)=\"(?!#|data:,)", text)


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize("format_", ["html", "md", "json"])
def test_a_report_can_be_made_again(churn, ask, kind, format_) -> None:
    """At the same time of making two reports are the same bytes."""
    assert ask(churn, "churn@2", kind, format_).text == ask(churn, "churn@2", kind, format_).text


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_stranger_without_our_facets(make, ask, log_of, kind) -> None:
    """Of a producer that knows none of our facets the trail is told, and the rest is not recorded."""
    model = make.dataset(
        "models/risk",
        namespace="mlflow://host:5000",
        datasetType=make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL"),
        version=make.facet("version", datasetVersion="7"),
    )
    table = make.dataset(
        "lake.loans", namespace="iceberg://cat", schema=make.facet("schema", fields=[{"name": "a"}])
    )
    event = make.run_event(
        "COMPLETE", make.base, make.uuid7(make.base, 1), "fit", inputs=[table], outputs=[model]
    )
    log = log_of([event])
    found = ask(log, "risk@7", kind, "json")
    assert () == found.problems
    told = sections(found)
    if kind == "audit":
        step = told["From raw data to deployment"]["steps"][0]
        assert "lake.loans" == step["reads"][0]["name"]
        assert step["reads"][0]["digest"] is None
        assert ["not recorded"] == told["Training"]["status"]
    assert "not recorded" in ask(log, "risk@7", kind, "md").text


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]]></svg><b>",
    "[click](https://evil.example) ![](https://evil.example/x.png)",
    "a|b `c` **d** www.evil.example https://evil.example me@evil.example",
    "\u202egnp.exe \x1b[31m",
    "{{ 7*7 }}{% raw %}",
]


@pytest.fixture(scope="module", params=HOSTILE)
def hostile(request, make, log_of):
    """The log of a training in which everything is called so."""
    return log_of(hostile_story(make, request.param))


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_names_are_no_markup(hostile, ask, kind) -> None:
    """Whatever a producer calls things, a report has no element, link or control character from it."""
    html = ask(hostile, "models/x@1", kind, "html").text
    assert "<script>" not in html
    assert "<img" not in html
    assert "<b>" not in re.sub(r"<b>(Records|Not|Intended)[^<]*</b>", "", html).replace("<blockquote><b>", "")
    assert not re.search("[\x1b\u202e]", html)
    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(
        ask(hostile, "models/x@1", kind, "md").text
    )
    inline = [child for token in tokens for child in token.children or ()]
    assert not {"html_inline", "link_open", "image", "html_block"} & {
        token.type for token in (*tokens, *inline)
    }
    tables = [token for token in tokens if token.type == "table_open"]
    assert tables


def hostile_story(make, name):
    """A training in which everything that has a name has this one."""
    bad = {"name": name, "value": 0.5, "slice": {name: name}, "split": "test"}
    events = make.story()[:4]
    facets = events[3]["run"]["facets"]
    facets["modelTrail_hyperparameters"]["params"] = [{"name": name, "value": name, "type": "string"}]
    facets["modelTrail_training"]["algorithm"] = name
    facets["modelTrail_codeState"]["entryPoint"] = name
    facets["modelTrail_metrics"]["metrics"] = [bad | {"step": 1}]
    facets["modelTrail_metricSeries"] = make.facet(
        "modelTrail_metricSeries",
        seq=1,
        points=[{"name": name, "step": step, "value": step / 3} for step in range(3)],
    )
    facets["modelTrail_environment"]["packages"] = [{"name": name, "version": name}]
    events[3]["job"]["name"] = events[2]["job"]["name"] = name
    read = events[3]["inputs"][0]
    read["name"] = events[2]["inputs"][0]["name"] = name
    read["inputFacets"]["modelTrail_featureProfile"] = make.facet(
        "modelTrail_featureProfile",
        columns={name: {"count": 3, "topK": [{"value": name, "count": 3}]}},
    )
    _, registered = events[3]["outputs"]
    registered["name"] = "models/x"
    registered["facets"]["modelTrail_registration"] |= {"name": "x", "actor": name}
    registered["facets"]["modelTrail_model"] = make.facet(
        "modelTrail_model", framework="f", card={"intendedUse": name, "author": name}, license=name
    )
    events[3]["inputs"][2]["inputFacets"]["modelTrail_evaluation"]["metrics"] = [bad, bad | {"slice": {}}]
    return events


def test_the_framework_that_only_the_model_says(make, ask, log_of) -> None:
    """A model of a producer that says nothing of its training has its framework and task in its card."""
    events = make.story()[:4]
    del events[3]["run"]["facets"]["modelTrail_training"]
    about = make.facet("modelTrail_model", framework="catboost", task="regression", capture="declared")
    events[3]["outputs"][0]["facets"]["modelTrail_model"] = about
    details = sections(ask(log_of(events), "churn@1", "model-card", "json"))["Model details"]
    said = {fact["name"]: fact for fact in details["facts"]}
    assert ("catboost", "regression") == (said["framework"]["value"], said["task"]["value"])
    assert ("declared", "local/0/3") == (said["framework"]["capture"], said["framework"]["source"])


def test_figures_that_are_no_numbers(make, ask, log_of) -> None:
    """NaN and infinity are told and not drawn; a facet with broken lists is told without them."""
    events = make.story()[:4]
    facets = events[3]["run"]["facets"]
    facets["modelTrail_metrics"]["metrics"] = [{"name": "loss", "value": None, "nonFinite": "nan"}]
    facets["modelTrail_metricSeries"] = make.facet(
        "modelTrail_metricSeries",
        seq=1,
        points=[{"name": "loss", "step": n, "value": None, "nonFinite": "inf"} for n in range(3)],
    )
    facets["modelTrail_featureTransformations"]["steps"] = "none"
    events[3]["inputs"][0]["inputFacets"]["modelTrail_featureProfile"] = make.facet(
        "modelTrail_featureProfile", columns={"a": {"histogram": {"edges": [1], "counts": "x"}}, "b": 3}
    )
    found = ask(log_of(events), "churn@1", "audit", "json")
    training = sections(found)["Training"]
    assert "nan" == rows(training, "Measured while training")[0]["value"]
    assert [] == training["charts"]


def test_what_cannot_be_made_is_said(churn, ask) -> None:
    """Another kind, another format or another model is refused with what there is."""
    with pytest.raises(ConfigError, match="no kind of report: one of audit"):
        ask(churn, "churn@2", "pdf")
    with pytest.raises(ConfigError, match="is made as html or md or json, not as 'pdf'"):
        ask(churn, "churn@2", "audit", "pdf")
    with pytest.raises(NotFound, match="churn has no version '9'"):
        ask(churn, "churn@9", "audit")
    for name in ("features.parquet", "train-churn"):
        with pytest.raises(NotFound, match=f"No model is called '{name}'"):
            ask(churn, name, "audit")
