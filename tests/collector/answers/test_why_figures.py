"""Which figures count for which version, and which of them are held against each other."""

from datetime import timedelta

import pytest

from modeltrail_collector import answers
from modeltrail_collector.answers import firing
from modeltrail_collector.answers.rules import read_rules

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
        file, registered = made[1]["outputs"]
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
