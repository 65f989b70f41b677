"""Of a run that fitted several models each is judged by its own figures, whoever answers."""

import copy
from datetime import timedelta

import pytest

from modeltrail_collector import answers
from modeltrail_collector.answers import firing
from modeltrail_collector.answers.rules import Metric, Rules, read_rules
from modeltrail_collector.cli.story import lines
from modeltrail_collector.reports.report import report

AUC, LOSS, SECONDS = "auc", "loss", "seconds"


@pytest.fixture(scope="module")
def story(make):
    """`story(number, *outputs)`: a run of three folds and the model of version `number`, `fit-4`."""

    def events(number, *outputs):
        at = make.base + timedelta(days=number)
        made = copy.deepcopy(make.train(number, at, features="f", strength=1.0))
        found = [{"name": AUC, "value": n / 10, "modelId": f"fit-{n}"} for n in (1, 2, 3)]
        found += [{"name": LOSS, "value": 0.5 / number, "modelId": "fit-4"}]
        found += [{"name": SECONDS, "value": float(number)}]
        last = made[1]
        last["run"]["facets"]["modelTrail_metrics"] = make.facet("modelTrail_metrics", metrics=found)
        said = make.facet("modelTrail_model", framework="sklearn", modelId="fit-4")
        last["outputs"][0]["facets"]["modelTrail_model"] = said
        last["outputs"] += outputs
        return made

    return events


@pytest.fixture(scope="module")
def folds(story, log_of):
    """A log of two versions, each the only model that its run saved."""
    return log_of([*story(1), *story(2)])


@pytest.fixture(scope="module")
def two_saved(make, story, log_of):
    """A log of two versions, where a model of a fold was saved too."""
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")
    said = make.facet("modelTrail_model", framework="sklearn", modelId="fit-3")
    fold = make.dataset("/data/fold.joblib", datasetType=kind, modelTrail_model=said)
    return log_of([*story(1, fold), *story(2, fold)])


def own(log):
    """The metrics of version 2 that `show` tells as its own."""
    return {row["name"] for row in answers.show(log, "churn@2")["metrics"] if row["own"]}


def alerted(log, path):
    """The metrics of the newest version that rules find."""
    rule = '[[rule]]\nname = "{0}"\nkind = "metric"\nmetric = "{0}"\nmodel = "churn"\nabove = 0\n'
    path.write_text("".join(rule.format(name) for name in (AUC, LOSS, SECONDS)))
    return {finding.rule for finding in firing.alert(log, read_rules(path))}


def compared(log):
    """The metrics that `why` and `changes` hold against each other, but the evaluation's."""
    why = {row["name"] for row in answers.why(log, "churn@1", "churn@2")["figures"]}
    changed = [row for row in answers.changes(log, "churn@1", "churn@2") if row["section"] == "evaluations"]
    told = {name for name in (AUC, LOSS, SECONDS) if any(name in row["path"] for row in changed)}
    assert told == why - {"accuracy"}
    return told


def test_figures_of_folds_are_not_the_model_s(folds, tmp_path) -> None:
    """A model that its run alone saved is judged by its own figures and by those of the run."""
    mine = {LOSS, SECONDS}
    assert (mine, mine, mine) == (own(folds), compared(folds), alerted(folds, tmp_path / "rules.toml"))


def test_of_two_saved_models_a_figure_of_the_run_is_neither_s(two_saved, tmp_path) -> None:
    """Each is judged by its own alone, and a figure of the run says how many it made."""
    found = (own(two_saved), compared(two_saved), alerted(two_saved, tmp_path / "rules.toml"))
    assert ({LOSS}, {LOSS}, {LOSS}) == found
    rows = {(row["name"], row["model_id"]): row for row in answers.show(two_saved, "churn@2")["metrics"]}
    assert rows[SECONDS, None]["models"] is not None
    fold = {row["model_id"]: row["own"] for row in answers.show(two_saved, "/data/fold.joblib")["metrics"]}
    assert {None: False, "fit-1": False, "fit-2": False, "fit-3": True, "fit-4": False} == fold


def test_show_tells_figures_of_other_models_together(folds) -> None:
    """They come last, from the least to the greatest, with how many models they are of."""
    told = lines("metrics", answers.show(folds, "churn@2")["metrics"])
    assert ["loss", "seconds", "auc"] == [line[0] for line in told]
    assert ("0.1 to 0.3", "of 3 other models of the run") == told[-1][1:3]


def test_figures_of_a_part_are_of_no_other_model(make, story, log_of) -> None:
    """What a model in the file scored is told as of its part, and of another of the run as of another."""
    events = [*story(1), *story(2)]
    for each in events[1::2]:
        each["outputs"][0]["facets"]["modelTrail_model"]["partIds"] = ["fit-1"]
    rows = answers.show(log_of(events), "churn@2")["metrics"]
    assert {"fit-1"} == {row["model_id"] for row in rows if row["is_part"]}
    told = {line[2] for line in lines("metrics", rows) if line[0] == AUC}
    assert {"of its part fit-1", "of 2 other models of the run"} == told


def test_an_evaluation_says_of_its_data_that_it_was_trained_on(make, log_of) -> None:
    """A figure on what the model had seen looks like that of a test otherwise."""
    events = [*make.train(1, make.base, features="f", strength=1.0)]
    before = answers.show(log_of(events), "churn@1")["evaluations"]
    for event in events:
        for each in event["inputs"]:
            if "holdout" in each["name"]:
                each["inputFacets"]["modelTrail_dataUse"]["role"] = "train"
    after = answers.show(log_of(events), "churn@1")["evaluations"]
    assert [["test"], ["train"]] == [[row["use"] for row in rows] for rows in (before, after)]
    assert [("", "train")] == [
        (one[3], other[3])
        for one, other in zip(lines("evaluations", before), lines("evaluations", after), strict=True)
    ]


def test_reports_tell_figures_of_other_models_apart(folds) -> None:
    """The model card has none of them, and the audit has them in a table of their own."""
    card, audit = (
        report(folds, "churn@2", kind=kind, made_at="2026-11-01T00:00:00Z", format_="md").text
        for kind in ("model-card", "audit")
    )
    assert "| loss " in card
    assert "fit-1" not in card
    assert "| auc " not in card
    assert "Measured of other models that the run fitted" in audit


def test_figures_of_the_only_model_need_no_name_of_it(make, story, log_of) -> None:
    """Where the file has no modelId, figures of one model are its own, and those of several are nobody's."""
    events = [*story(1), *story(2)]
    for each in events[1::2]:
        del each["outputs"][0]["facets"]["modelTrail_model"]
    log = log_of(events)
    assert {SECONDS} == own(log) == compared(log)
    told = answers.show(log, "churn@2")["metrics"]
    assert {None} == {row["own"] for row in told if row["name"] == AUC}
    assert "of 3 models that the run fitted" in str(lines("metrics", told))
    (one, *_) = [row for row in told if row["name"] == AUC]
    assert "of a model that the run fitted" in str(lines("metrics", [one]))
    for each in events[1::2]:
        metrics = each["run"]["facets"]["modelTrail_metrics"]["metrics"]
        metrics[:] = [entry for entry in metrics if entry["name"] != AUC]
    log = log_of(events)
    assert {LOSS, SECONDS} == own(log) == compared(log)


def test_of_two_libraries_each_model_has_its_version(make, log_of) -> None:
    """The version of a library is that of the fit, whichever model the run made last."""
    events = copy.deepcopy(make.train(1, make.base, features="f", strength=1.0))
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")
    versions = {"xgboost": "3.1.1", "lightgbm": "4.7.0"}
    last = events[1]
    last["run"]["facets"]["modelTrail_training"] |= {
        "framework": "lightgbm",
        "frameworkVersion": "4.7.0",
        "models": [{"modelId": name, "frameworkVersion": version} for name, version in versions.items()],
    }
    last["outputs"] = [
        make.dataset(
            f"/m/{name}",
            datasetType=kind,
            modelTrail_model=make.facet(
                "modelTrail_model", framework=name, modelId=name, algorithm=f"{name}.Booster"
            ),
        )
        for name in versions
    ]
    found = {row["framework"]: row["framework_version"] for row in answers.models(log_of(events))}
    assert versions == found


def test_a_rule_about_one_figure_knows_that_others_are_of_another_model(make, log_of) -> None:
    """A saved model without a modelId has the figures of a run that are all of one model, else none."""

    def found(*of):
        figures = [
            {"name": name, "value": 0.5, "modelId": model}
            for name, model in zip((AUC, LOSS), of, strict=True)
        ]
        facets = {
            "modelTrail_metrics": make.facet("modelTrail_metrics", metrics=figures),
            "modelTrail_training": make.facet("modelTrail_training", framework="x", algorithm="a.B"),
        }
        model = make.dataset(
            "/srv/m.bin",
            datasetType=make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL"),
            outputFacets__modelTrail_modelArtifact=make.facet("a", digest=make.digest("x")),
        )
        log = log_of(
            [make.run_event("COMPLETE", make.base, "1", "train", run_facets=facets, outputs=[model])]
        )
        return firing.alert(log, Rules(rule=[Metric(name="floor", metric=AUC, below=0.8)]))

    assert [1, 0] == [len(found("fit-1", "fit-1")), len(found("fit-1", "fit-2"))]


@pytest.fixture(scope="module")
def amid(make, story, log_of):
    """A log of two versions that were saved after step 2 of 4, beside what their runs left in the end."""
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")

    def events(number):
        made = story(number)
        last, facets = made[1], made[1]["run"]["facets"]
        said = make.facet("modelTrail_model", framework="torch", step=2)
        last["outputs"][0]["facets"]["modelTrail_model"] = said
        end = make.facet("modelTrail_model", framework="torch", step=4)
        last["outputs"].append(
            make.dataset(f"/data/last-{number}.pt", datasetType=kind, modelTrail_model=end)
        )
        points = [
            {"name": LOSS, "value": number / step, "step": step, "modelId": "fit-4", "split": "validation"}
            for step in (1, 2, 3, 4)
        ]
        facets["modelTrail_metrics"]["metrics"] = [points[-1], {"name": SECONDS, "value": float(number)}]
        series = make.facet("modelTrail_metricSeries", seq=1, points=points)
        running = copy.deepcopy(last) | {"eventType": "RUNNING", "eventTime": made[0]["eventTime"]}
        running |= {"inputs": [], "outputs": []}
        running["run"]["facets"] = {"modelTrail_metricSeries": series}
        return [made[0], running, last]

    return log_of([*events(1), *events(2)])


def test_figures_of_later_steps_are_not_the_model_s(amid, tmp_path) -> None:
    """A model that was saved amid its training has the last figures by then, whoever answers."""
    told = {row["name"]: row for row in answers.show(amid, "churn@2")["metrics"]}
    assert (1.0, 2, True) == tuple(told[LOSS][field] for field in ("value", "step", "own"))
    assert 2.0 == told[SECONDS]["value"]
    assert {LOSS, SECONDS} == compared(amid)
    (figure,) = (row for row in answers.why(amid, "churn@1", "churn@2")["figures"] if row["name"] == LOSS)
    assert (0.5, 1.0, "summary") == (figure["before"], figure["after"], figure["source"])
    changed = answers.changes(amid, "churn@1", "churn@2")
    (loss,) = (row for row in changed if row["section"] == "evaluations" and LOSS in row["path"])
    assert ("0.5", "1.0") == (loss["before"], loss["after"])
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nname = "l"\nkind = "metric"\nmetric = "loss"\nmodel = "churn"\nbelow = 9\n')
    assert ["1.0"] == [finding.actual for finding in firing.alert(amid, read_rules(path))]


def test_figures_of_the_last_step_are_those_of_what_was_left_in_the_end(amid) -> None:
    """Two models of one training have each its own, and differ by the step and by these."""
    told = {row["name"]: row for row in answers.show(amid, "/data/last-2.pt")["metrics"]}
    assert (0.5, 4) == (told[LOSS]["value"], told[LOSS]["step"])
    found = answers.why(amid, "/data/last-2.pt", "churn@2")
    (figure,) = (row for row in found["figures"] if row["name"] == LOSS)
    assert (0.5, 1.0) == (figure["before"], figure["after"])
    first = found["causes"][0]
    assert ("training", "step: 4 → 2") == (first["kind"], first["evidence"][0]["text"])
    assert not [said for said in found["notes"] if LOSS in said]


def test_a_report_says_after_which_step_a_model_was_saved(amid) -> None:
    """Beside the steps of the whole training, which a reader would take for its own."""
    made = report(amid, "churn@2", kind="model-card", made_at="2026-11-01T00:00:00Z", format_="md").text
    assert "| saved after step | 2 |" in made
