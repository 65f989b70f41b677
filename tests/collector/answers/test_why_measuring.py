"""What `why` says of runs that only evaluate."""

from datetime import timedelta

import pytest

from modeltrail_collector import answers

DAY = timedelta(days=1)


def judge(make, number: int, *, parent: str | None = None, said: dict | None = None) -> dict:
    """A run that judges churn@<number> as it was trained; each version scores a tenth less."""
    at = make.base + number * DAY + DAY / 2
    holdout = make.used(f"{make.data}/holdout.parquet", "holdout", role="test", rows=1000)
    model = make.dataset(
        "models/churn",
        namespace="modeltrail://registry",
        version=make.facet("version", datasetVersion=str(number)),
        inputFacets__modelTrail_evaluation=make.facet(
            "modelTrail_evaluation",
            modelDigest=make.digest(f"model {number}"),
            modelVersion=str(number),
            dataset={"namespace": "file", "name": f"{make.data}/holdout.parquet"},
            metrics=[{"name": "auc", "value": 0.9 - number / 10}],
        ),
    )
    facets = {key: make.facet(key, **fields) for key, fields in (said or {}).items()}
    if parent:
        job = {"namespace": "ml", "name": "judge"}
        facets["parent"] = make.facet("parent", run={"runId": parent}, job=job)
    run_id = make.uuid7(at, 500 + number)
    return make.run_event("COMPLETE", at, run_id, "judge", run_facets=facets, inputs=[model, holdout])


def trained(make, number: int) -> list[dict]:
    """A training that is the same each time, and measures nothing itself."""
    events = make.train(number, make.base + number * DAY, features="f", strength=1.0)
    events[1]["inputs"].pop()
    facets = events[1]["run"]["facets"]
    facets["modelTrail_metrics"]["metrics"] = []
    facets["modelTrail_codeState"] |= {"commit": "1" * 40, "dirty": False}
    return events


def program(number: int, commit: str = "a", *words: str) -> dict:
    """The code of a run that judges."""
    argv = ["judge.py", "--version", f"{number}", *words]
    return {"dirty": False, "commit": commit * 40, "entryPoint": "judge.py", "argv": argv}


def told(answer: dict) -> list[tuple]:
    return [
        (one["strength"], one["subject"], one["what"])
        for one in answer["causes"]
        if one["kind"] == "evaluation"
    ]


CODE = f"commit {'a' * 12} → {'b' * 12}"
LIMIT = "--threshold not there → 0.9"
KEYS = ("modelTrail_codeState", "modelTrail_hyperparameters", "modelTrail_environment")


def environment(numpy: str) -> dict:
    return {
        "python": {"version": "3.11.9"},
        "packages": [{"name": "numpy", "version": numpy}],
        "imported": ["numpy"],
    }


@pytest.mark.parametrize("child", [False, True])
@pytest.mark.parametrize(
    ("second", "found"),
    [
        ({}, []),
        ({0: program(2, "b")}, [("strong", CODE, CODE)]),
        ({0: program(2, "a", "--threshold", "0.9")}, [("strong", "command line", LIMIT)]),
        ({1: {"params": [{"name": "k", "value": 5}]}}, [("strong", "k", "3 → 5")]),
        ({2: environment("2.0")}, [("strong", "numpy 1.0 → 2.0", "another version of what computes")]),
    ],
)  # fmt: skip
def test_what_only_evaluates_is_compared_too(make, log_of, child, second, found) -> None:
    """Its code, arguments, parameters and environment, said by itself or by the run that it is a child of."""
    events = []
    for number in (1, 2):
        said = [program(number), {"params": [{"name": "k", "value": 3}]}, environment("1.0")]
        for at, value in (second if number == 2 else {}).items():
            said[at] = value
        facets = dict(zip(KEYS, said, strict=True))
        one = judge(make, number, said={} if child else facets, parent="above" * number if child else None)
        if child:
            above = {key: make.facet(key, **fields) for key, fields in facets.items()}
            at = make.base + number * DAY + DAY / 3
            events.append(make.run_event("START", at, "above" * number, "judge", run_facets=above))
        events += [*trained(make, number), one]
    answer = answers.why(log_of(events), "churn@1", "churn@2")
    assert found == told(answer)
    for cause in answer["causes"]:
        texts = [entry["text"] for entry in cause["evidence"]]
        assert {"it measured auc", "nothing else that was recorded differs"} <= {*texts}
        told_in = [source["offset"] for source in cause["evidence"][0]["sources"]]
        assert ([0, 4] if child else [2, 5]) == told_in
    (row,) = answer["changes"]["evaluation"]
    assert ["auc"] == row["figures"]


def test_what_an_evaluation_did_not_measure_speaks_against_it(make, log_of) -> None:
    """A figure of the training that moved too is evidence that it is not the evaluation alone."""
    events = []
    for number, commit in ((1, "a"), (2, "b")):
        made = trained(make, number)
        made[1]["run"]["facets"]["modelTrail_metrics"]["metrics"] = [{"name": "loss", "value": number}]
        events += [*made, judge(make, number, said={KEYS[0]: program(number, commit)})]
    (cause,) = answers.why(log_of(events), "churn@1", "churn@2")["causes"]
    assert "loss moved too, which it did not measure" in [entry["text"] for entry in cause["against"]]


def test_an_evaluation_that_moved_nothing_is_no_cause(make, log_of) -> None:
    """Code of a run that measured the same figure as before made no difference."""
    events = []
    for number, commit in ((1, "a"), (2, "b")):
        one = judge(make, number, said={KEYS[0]: program(number, commit)})
        one["inputs"][0]["inputFacets"]["modelTrail_evaluation"]["metrics"][0]["value"] = 0.5
        events += [*trained(make, number), one]
    answer = answers.why(log_of(events), "churn@1", "churn@2")
    assert [] == answer["causes"]
    assert ["changed"] == [row["code"]["change"] for row in answer["changes"]["evaluation"]]


def test_what_an_evaluation_ran_with_may_not_be_recorded(make, log_of) -> None:
    """Where one side did not tell its code that is said; where both are the same it is ruled out."""
    said = {KEYS[0]: program(1)}
    events = [*trained(make, 1), judge(make, 1, said=said), *trained(make, 2), judge(make, 2)]
    answer = answers.why(log_of(events), "churn@1", "churn@2")
    assert "code that measured auc of churn@2" in answer["not_recorded"]
    known = {"modules": [], "elsewhere": []}
    events = [
        event
        for number in (1, 2)
        for event in (*trained(make, number), judge(make, number, said={KEYS[0]: program(number) | known}))
    ]
    answer = answers.why(log_of(events), "churn@1", "churn@2")
    assert any(line.startswith("evaluation of auc: code: commit aaaa") for line in answer["unchanged"])


def test_a_run_that_made_the_same_bytes_again_measured_with_no_parameter_of_them(make, log_of) -> None:
    """What the version was trained with is its own parameter, also where it was made and judged once more."""

    def again(number: int, day: int, strength: float) -> list[dict]:
        events = make.train(number, make.base + day * DAY, features="f", strength=strength)
        code = events[1]["run"]["facets"]["modelTrail_codeState"]
        code |= {"commit": "1" * 40, "dirty": False}
        return events

    log = log_of([*again(1, 1, 1.0), *again(1, 2, 1.0), *again(2, 3, 2.0)])
    answer = answers.why(log, "churn@1", "churn@2")
    assert {"accuracy"} <= {row["name"] for row in answer["figures"]}
    assert [] == told(answer)
    assert [("parameters", "C")] == [(one["kind"], one["subject"]) for one in answer["causes"]]


def test_a_champion_that_a_later_training_judges_is_not_measured_by_that_ones_parameters(
    make, log_of
) -> None:
    """A run that trains a challenger and judges the champion tells with what it trained, not measured."""
    events = []
    for number in (1, 2, 3):
        events += trained(make, number)
        facets = events[-1]["run"]["facets"]
        facets["modelTrail_hyperparameters"] = make.facet("h", params=[{"name": "C", "value": number}])
        if number > 1:
            run_id = events[-1]["run"]["runId"]
            events.append(judge(make, number - 1, parent=run_id))
    events.append(judge(make, 3))
    log = log_of(events)
    for before, after in ((1, 2), (2, 3)):
        answer = answers.why(log, f"churn@{before}", f"churn@{after}")
        assert {"auc"} <= {row["name"] for row in answer["figures"]}
        assert [] == [one for one in told(answer) if one[1] == "C"]
        assert [("parameters", "C")] == [
            (one["kind"], one["subject"]) for one in answer["causes"] if one["subject"] == "C"
        ]
