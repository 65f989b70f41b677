"""Which figures count for which version, and which of them are held against each other."""

import re
from datetime import timedelta

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.answers import firing
from modeltrail_collector.answers.rules import read_rules
from modeltrail_collector.cli.answers import show as show_command
from modeltrail_collector.cli.why import why as why_command

PATH = "/data/churn/models/churn.joblib"
DAY = timedelta(days=1)


def judged(make, at, digest: str, accuracy: float, *, version: str | None = None, parent: str | None = None):
    """A run that judged these bytes, as the emitter tells it: the file by its short digest, or a version."""
    named = ("models/churn", "modeltrail://registry") if version else (PATH, "file")
    said = make.facet(
        "modelTrail_evaluation", modelDigest=digest, modelVersion=version or digest[:12],
        dataset={"namespace": "file", "name": "/data/churn/holdout.parquet"},
        metrics=[{"name": "accuracy", "value": accuracy}],
    )  # fmt: skip
    facets = {"parent": make.facet(
        "parent", run={"runId": parent}, job={"namespace": "ml", "name": "train-churn"}
    )} if parent else {}  # fmt: skip
    model = make.dataset(named[0], namespace=named[1], inputFacets__modelTrail_evaluation=said)
    holdout = make.used("/data/churn/holdout.parquet", "holdout", role="test", rows=1000)
    run_id = make.uuid7(at, round(accuracy * 1000))
    return make.run_event("COMPLETE", at, run_id, "judge", run_facets=facets, inputs=[model, holdout])


def twice(make, *later):
    """Two trainings that give the same bytes, registered as two versions; each judges its own as a child."""
    digest, events = make.digest("model 1"), []
    for number in (1, 2):
        at = make.base + number * DAY
        made = make.train(number, at, features="f", strength=1.0)
        made[1]["inputs"].pop()
        file, _ = made[1]["outputs"]
        file["facets"]["version"]["datasetVersion"] = digest
        file["outputFacets"]["modelTrail_modelArtifact"]["digest"] = digest
        child = judged(make, at + DAY / 2, digest, 0.9 - number / 10, parent=made[1]["run"]["runId"])
        events += [*made, child]
    return [*events, *later]


def figures(log, version: str) -> list[float]:
    rows = answers.show(log, f"churn@{version}")["evaluations"]
    return [row["value"] for row in rows]


def test_versions_of_the_same_bytes_keep_their_own_figures(make, log_of, tmp_path) -> None:
    """What a version's own run judged is no other version's figure, though both are the same bytes."""
    log = log_of(twice(make))
    assert [0.8] == figures(log, "1")
    assert figures(log, "2")[-1] == pytest.approx(0.7)
    answer = answers.why(log, "churn@1", "churn@2")
    assert [(0.8, pytest.approx(0.7))] == [
        (row["before"], row["after"]) for row in answer["figures"] if row["source"] == "evaluation"
    ]
    assert "The figures differ all the same: in how, or on what, they were measured." in answer["notes"]
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nname="fell"\nkind="metric"\nmetric="accuracy"\nfell_by=0.05\n')
    assert ["0.7"] == [one.actual for one in firing.alert(log, read_rules(rules))]


def test_an_evaluation_of_shared_bytes_by_another_run(make, log_of) -> None:
    """What judged the bytes alone counts for all versions of them, what names one of them for that one."""
    digest, at = make.digest("model 1"), make.base + 5 * DAY
    of_all, of_one = judged(make, at, digest, 0.5), judged(make, at + DAY, digest, 0.4, version="2")
    log = log_of(twice(make, of_all, of_one))
    assert [0.8, 0.5] == figures(log, "1")
    assert [0.5, 0.4] == figures(log, "2")[-2:]


@pytest.mark.parametrize(
    ("change", "inside", "strength"),
    [
        ("code", True, "strong"),
        ("code", False, "unlikely"),
        ("library", True, "strong"),
        ("parameter", True, "unlikely"),
        ("data", True, "unlikely"),
    ],
)
def test_what_can_only_act_by_the_model_is_unlikely_of_the_same_bytes(
    make, log_of, change, inside, strength
) -> None:
    """Code and libraries of a run that measured its own model may have moved a figure of the same bytes."""
    digest, events = make.digest("model 1"), []
    for number in (1, 2):
        at = make.base + number * DAY
        made = make.train(
            number, at, features=f"{number}" if change == "data" else "f",
            strength=float(number) if change == "parameter" else 1.0,
        )  # fmt: skip
        made[1]["inputs"].pop()
        file, _ = made[1]["outputs"]
        file["facets"]["version"]["datasetVersion"] = digest
        file["outputFacets"]["modelTrail_modelArtifact"]["digest"] = digest
        facets = made[1]["run"]["facets"]
        facets["modelTrail_metrics"]["metrics"] = []
        facets["modelTrail_codeState"] |= {"commit": f"{number if change == 'code' else 1}" * 40}
        packages = facets["modelTrail_environment"]["packages"]
        packages[0]["version"] = f"1.{number if change == 'library' else 1}.0"
        parent = made[1]["run"]["runId"] if inside else None
        version = None if inside else str(number)
        events += [
            *made, judged(make, at + DAY / 2, digest, 0.9 - number / 10, parent=parent, version=version)
        ]  # fmt: skip
    (cause,) = answers.why(log_of(events), "churn@1", "churn@2")["causes"]
    assert strength == cause["strength"]
    against = [entry["text"] for entry in cause["against"]]
    assert ("the two versions are the same bytes" in against) == (strength == "unlikely")


@pytest.mark.parametrize(("name", "is_named"), [("s3://lake/hold", True), (None, False)])
def test_data_of_unknown_content_that_figures_were_measured_on_is_not_recorded(
    make, log_of, name, is_named
) -> None:
    """Two figures on data of one name, whose content nobody told, may be of other data: that is said."""
    events = []
    for number in (1, 2):
        made = make.train(number, make.base + number * DAY, features="f", strength=1.0)
        made[1]["inputs"].pop()
        child = judged(
            make, make.base + number * DAY + DAY / 2, make.digest(f"model {number}"), 0.9 - number / 10,
            parent=made[1]["run"]["runId"],
        )  # fmt: skip
        if name:
            child["inputs"][1] = make.dataset("hold", namespace="s3://lake")
            said = child["inputs"][0]["inputFacets"]["modelTrail_evaluation"]
            said["dataset"] = {"namespace": "s3://lake", "name": "hold"}
            said["metrics"].append({"name": "auc", "value": number / 10})
        events += [*made, child]
    answer = answers.why(log_of(events), "churn@2")
    lines = [line for line in answer["not_recorded"] if "to measure" in line]
    assert (["which content of hold was read to measure accuracy, auc"] if is_named else []) == lines


def scored(make, number: int, scores: dict[str, tuple[str, float]], *, raw: str = "raw", features: str = "f"):
    """A training on a file, scored on data in memory: name -> (content, accuracy)."""
    at = make.base + number * DAY
    made = make.train(number, at, features=features, strength=1.0)
    made[1]["inputs"] = made[1]["inputs"][:1]
    parent, digest = made[1]["run"]["runId"], make.digest(f"model {number}")
    for place, (name, (content, accuracy)) in enumerate(scores.items()):
        child = judged(make, at + (place + 1) * timedelta(hours=1), digest, accuracy, parent=parent)
        model = child["inputs"][0]
        model["inputFacets"]["modelTrail_evaluation"]["dataset"] = {"namespace": "inmemory://", "name": name}
        test = make.used(name, content, role="test", rows=50 + place) | {"namespace": "inmemory://"}
        child["inputs"] = [model, test, make.used("/data/churn/raw.csv", raw, role="test", rows=1000)]
        child["run"]["runId"] = make.uuid7(at, 400 + place)
        made.append(child)
    return made


def held(answer) -> set[tuple]:
    rows = [row for row in answer["figures"] if row["source"] == "evaluation"]
    return {(row["dataset"], row["before"], row["after"], row["same_data"]) for row in rows}


def alerts(log, tmp_path, bound: str) -> list[tuple]:
    rules = tmp_path / "rules.toml"
    rules.write_text(f'[[rule]]\nname = "r"\nkind = "metric"\nmetric = "accuracy"\n{bound}\n')
    return [(one.finding, one.actual, one.expected) for one in firing.alert(log, read_rules(rules))]


def test_data_without_a_name_is_held_against_the_same_content(make, log_of, tmp_path) -> None:
    """A running number is no name: what has the same content is compared, and what has none is not."""
    before = {"t/test": ("all", 0.8), "t/test-2": ("Lima", 0.9), "t/test-3": ("Oslo", 0.6)}
    after = {"t/test": ("all", 0.8), "t/test-2": ("Bern", 0.61), "t/test-3": ("Lima", 0.9)}
    log = log_of([*scored(make, 1, before), *scored(make, 2, after)])
    answer = answers.why(log, "churn@2")
    assert {
        ("t/test", 0.8, 0.8, True), ("t/test-3", 0.9, 0.9, True),
        ("t/test-3", 0.6, None, None), ("t/test-2", None, 0.61, None),
    } == held(answer)  # fmt: skip
    assert "evaluation data" not in [cause["kind"] for cause in answer["causes"]]
    assert 51 == next(row["rows"] for row in answer["figures"] if row["after"] == 0.61)
    assert [] == alerts(log, tmp_path, "moved_by = 0.05")


def test_how_many_rows_either_figure_was_measured_on_is_told(make, log_of) -> None:
    """Where data in memory had other rows than before both counts stand beside the figures."""
    after = scored(make, 2, {"t/test": ("more", 0.8)})
    measured = after[-1]["inputs"][1]["inputFacets"]
    measured["modelTrail_dataUse"]["fingerprint"]["rows"] = measured["inputStatistics"]["rowCount"] = 1051
    log = log_of([*scored(make, 1, {"t/test": ("few", 0.9)}), *after])
    told = CliRunner().invoke(why_command, ["churn@2", "--log", log.uri], catch_exceptions=False).stdout
    assert re.search(r"accuracy +t/test \(50 → 1,051 rows\) +0\.9 → +0\.8", told)


def test_an_alert_says_that_the_data_is_another(make, log_of, tmp_path) -> None:
    """A figure on data of the same name and other content is compared, and told as on other data."""
    log = log_of([
        *scored(make, 1, {"t/test": ("a", 0.9), "t/test-2": ("b", 0.9)}),
        *scored(make, 2, {"t/test": ("c", 0.8), "t/test-2": ("d", 0.8)}),
    ])  # fmt: skip
    expected = "at most 0.05 below 0.9 (version 1), on other data"
    assert [("accuracy t/test", "0.8", expected)] == alerts(log, tmp_path, "fell_by = 0.05")


def test_a_running_number_hides_no_fall(make, log_of, tmp_path) -> None:
    """Under the same number the figure is the same, on the same content it fell: the rule fires."""
    log = log_of([
        *scored(make, 1, {"t/test-2": ("Lima", 0.9), "t/test-3": ("Oslo", 0.7)}),
        *scored(make, 2, {"t/test-2": ("Oslo", 0.9), "t/test-3": ("Lima", 0.7)}),
    ])  # fmt: skip
    expected = "at most 0.05 below 0.9 (version 1)"
    assert [("accuracy t/test-3", "0.7", expected)] == alerts(log, tmp_path, "fell_by = 0.05")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"/d/a": ("x", 0.9), "/d/b": ("y", 0.8)}, {"/d/a": ("y", 0.9), "/d/b": ("x", 0.8)}),
        ({"/d/spring": ("x", 0.9)}, {"/d/summer": ("y", 0.7)}),
        ({"/d/a": ("x", 0.9), "/d/b": ("x", 0.5)}, {"/d/a": ("x", 0.7), "/d/c": ("x", 0.6)}),
        ({"/d/a": ("x", 0.9)}, {"/d/a": ("x", 0.9), "/d/c": ("x", 0.1)}),
    ],
)
def test_an_alert_holds_the_same_against_each_other_as_why(make, log_of, tmp_path, before, after) -> None:
    """What moved by more than a rule allows is what `why` says that moved so far, with the same values."""
    log = log_of([*scored(make, 1, before), *scored(make, 2, after)])
    moved = {
        (row["dataset"], row["before"], row["after"])
        for row in answers.why(log, "churn@2")["figures"]
        if row["source"] == "evaluation" and None not in (row["before"], row["after"])
        and not (row["delta"] is not None and abs(row["delta"]) <= 0.05)
    }  # fmt: skip
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nname = "r"\nkind = "metric"\nmetric = "accuracy"\nmoved_by = 0.05\n')
    found = [one.facts for one in firing.alert(log, read_rules(rules))]
    told = {(one["dataset"], one["base_value"], one["value"]) for one in found}
    assert {tuple(map(str, one)) for one in moved} == {tuple(map(str, one)) for one in told} - {None}


def test_evaluation_data_of_the_same_files_is_a_consequence(make, log_of) -> None:
    """What the run made of the same files stands below the code that made it otherwise."""
    log = log_of([*scored(make, 1, {"t/test": ("a", 0.9)}), *scored(make, 2, {"t/test": ("b", 0.8)})])
    answer = answers.why(log, "churn@2")
    causes = answer["causes"]
    assert [("code", "strong"), ("evaluation data", "unlikely")] == [
        (cause["kind"], cause["strength"]) for cause in causes
    ]
    assert "it was made in the run from the same files" == causes[1]["against"][0]["text"]
    (row,) = [row for row in answer["figures"] if row["source"] == "evaluation"]
    assert (pytest.approx(-0.1), None, False) == (row["delta"], row["better"], row["same_data"])


def test_evaluation_data_of_a_file_that_changed_shows_the_file(make, log_of) -> None:
    """Where the file changed from which the run made the evaluation data, that file is the cause."""
    events = []
    for number, raw in ((1, "raw 1"), (2, "raw 2")):
        made = scored(make, number, {"t/test": (f"{number}", 1 - number / 10)}, raw=raw)
        made[1]["inputs"].append(make.used("/data/churn/raw.csv", raw, role="train", rows=1000))
        events += made
    causes = answers.why(log_of(events), "churn@2")["causes"]
    assert {"data", "code"} == {cause["kind"] for cause in causes}
    (feed,) = [cause for cause in causes if cause["kind"] == "data"]
    assert any("it reached the evaluation too" in entry["text"] for entry in feed["evidence"])


def test_a_file_that_only_the_evaluation_read_is_traced_too(make, log_of) -> None:
    """Where a file changed of which evaluation data in memory was made, it is told with its columns."""
    events = []
    for number, nulls in ((1, 0), (2, 500)):
        made = scored(make, number, {"t/test": (f"{number}", 1 - number / 10)}, raw=f"raw {number}")
        (file,) = [one for event in made for one in event["inputs"] if one["name"].endswith("raw.csv")]
        file["inputFacets"]["modelTrail_featureProfile"] = make.facet(
            "modelTrail_featureProfile", columns={"age": {"count": 1000, "nulls": nulls}}
        )
        events += made
    causes = answers.why(log_of(events), "churn@2")["causes"]
    (judged,) = [cause for cause in causes if cause["kind"] == "evaluation data"]
    assert ("strong", "t/test", ["age"]) == (judged["strength"], judged["subject"], judged["columns"])
    assert [
        "accuracy measured on another content of t/test",
        "the evaluation read raw.csv: column age",
        "age: missing 0.0% → 50.0%",
    ] == [entry["text"] for entry in judged["evidence"]]
    assert all(entry["sources"] for entry in judged["evidence"])


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
def test_why_and_changes_hold_the_same_against_each_other(make, log_of, numbers) -> None:
    """Slices in another order, one that came and one that went: `why`, `changes` and their table agree."""
    told = {
        1: {"t/test": ("all", 0.8), "t/test-2": ("Lima", 0.9), "t/test-3": ("Oslo", 0.6)},
        2: {"t/test": ("all", 0.8), "t/test-2": ("Bern", 0.61), "t/test-3": ("Lima", 0.7)},
    }
    log = log_of([event for place, one in enumerate(numbers, 1) for event in scored(make, place, told[one])])
    moved = {
        (row["before"], row["after"])
        for row in answers.why(log, "churn@2")["figures"]
        if row["source"] == "evaluation" and row["before"] != row["after"]
    }
    pairs = {(0.9, 0.7), (0.6, None), (None, 0.61)}
    assert moved == (pairs if numbers == (1, 2) else {pair[::-1] for pair in pairs})
    for rows in (answers.show(log, "churn@2")["changes"], answers.changes(log, "churn@1", "churn@2")):
        found = [row for row in rows if row["section"] == "evaluations" and "t/test" in row["path"]]
        assert moved == {
            tuple(None if row[side] is None else float(row[side]) for side in ("before", "after"))
            for row in found
        }


def test_changes_knows_the_figures_of_versions_of_the_same_bytes(make, log_of) -> None:
    """Of two versions of the same bytes the table of changes holds each version's own figures."""
    rows = answers.show(log_of(twice(make)), "churn@2")["changes"]
    (row,) = [row for row in rows if row["path"].startswith("accuracy")]
    assert (0.8, pytest.approx(0.7)) == (float(row["before"]), float(row["after"]))


@pytest.mark.parametrize("told", ["digests", "versions", "the same version", "nothing"])
def test_figures_of_a_run_with_several_models_are_those_of_the_run(make, log_of, told) -> None:
    """Of a producer that does not tell its models apart no figure passes for one model's own."""
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")

    def model(number: int, name: str) -> dict:
        version = {
            "digests": make.digest(f"{name} {number}"),
            "versions": f"{number}.{name}",
            "the same version": f"{number}",
        }.get(told)
        said = {"version": make.facet("version", datasetVersion=version)} if version else {}
        return make.dataset(name, datasetType=kind, **said)

    def event(number: int, *called: str) -> dict:
        at, figures = make.base + number * DAY, [{"name": "accuracy", "value": 1 - number / 10}]
        return make.run_event(
            "COMPLETE", at, f"run {number}", "train", outputs=[model(number, name) for name in called],
            run_facets={"modelTrail_metrics": make.facet("modelTrail_metrics", metrics=figures)},
        )  # fmt: skip

    log = log_of([event(1, "churn", "risk"), event(2, "churn", "risk"), event(3, "alone")])
    for name, several in (("churn", 2), ("risk", 2), ("alone", None)):
        shown = answers.show(log, name)["metrics"]
        assert [("accuracy", several)] == [(row["name"], row["models"]) for row in shown]
    doubts = [line for line in answers.why(log, "churn")["notes"] if "made 2 models" in line]
    assert 2 == len(doubts)
    assert all(line.endswith(": of which of them accuracy is, it does not say.") for line in doubts)


def test_a_figure_of_which_nobody_says_on_what_is_one_of_the_run(make, log_of) -> None:
    """What the run measured may be of data for training or of other data: neither is said."""
    kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")

    def event(number: int) -> dict:
        at, figures = make.base + number * DAY, [{"name": "mae", "value": 1 - number / 10}]
        version = make.facet("version", datasetVersion=f"{number}")
        return make.run_event(
            "COMPLETE", at, f"run {number}", "train",
            outputs=[make.dataset("/data/m.joblib", datasetType=kind, version=version)],
            run_facets={"modelTrail_metrics": make.facet("modelTrail_metrics", metrics=figures)},
        )  # fmt: skip

    log = log_of([event(1), event(2)])
    shown = CliRunner().invoke(why_command, ["m.joblib", "--log", log.uri], catch_exceptions=False).output
    (line,) = [line for line in shown.splitlines() if line.split()[:1] == ["mae"]]
    assert "of the run" in line
    assert "training" not in line


@pytest.mark.parametrize("state", ["FAIL", "ABORT", "COMPLETE"])
def test_a_figure_of_a_run_that_failed_is_told_with_it(make, log_of, state) -> None:
    """The figure counts as any other, and each answer says how the run ended that measured it."""
    events = twice(make)
    events[-1]["eventType"] = state
    log = log_of(events)
    answer = answers.why(log, "churn@1", "churn@2")
    (row,) = [row for row in answer["figures"] if row["source"] == "evaluation"]
    assert ("COMPLETE", state) == (row["state_before"], row["state_after"])
    said = f"The run that measured accuracy of churn@2 ended as {state}."
    assert (said in answer["notes"]) == (state != "COMPLETE")
    assert [state] == [one["state"] for one in answers.show(log, "churn@2")["evaluations"]]
    for command, words in ((why_command, ["churn@1", "churn@2"]), (show_command, ["churn@2"])):
        shown = CliRunner().invoke(command, [*words, "--log", log.uri], catch_exceptions=False).output
        (line,) = [line for line in shown.splitlines() if line.split()[:1] == ["accuracy"]]
        assert (f"ended as {state}" in line) == (state != "COMPLETE")
