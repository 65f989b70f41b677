"""The path back to raw data."""

import json
from datetime import timedelta

import pytest

from modeltrail_collector import answers
from modeltrail_collector.errors import NotFound


def path(node) -> list:
    """A tree as nested lists: name, job, inputs."""
    return [
        node["name"].rpartition("/")[2],
        node["run"] and node["run"]["run_id"][-3:],
        *map(path, node["inputs"]),
    ]


def chain(make, *steps):
    """Runs one after another: (inputs, outputs) of each, run ids 000000, 000001 and so on."""
    return [
        make.run_event(
            "COMPLETE", make.base + timedelta(minutes=n), f"{n:06}", f"job {n}",
            inputs=[make.dataset(name) for name in inputs], outputs=[make.dataset(name) for name in outputs],
        )
        for n, (inputs, outputs) in enumerate(steps)
    ]  # fmt: skip


def test_from_model_to_raw_data(churn) -> None:
    """A model's trail goes through its training run and what wrote its inputs, to raw data."""
    told = answers.trace(churn, "churn@3")
    assert told == json.loads(json.dumps(told))
    raw = ["customers.csv", None]
    assert ["churn", "0cb", ["features.parquet", "066", raw], ["holdout.parquet", "066", raw]] == path(told)


def test_the_content_that_was_read_decides(churn) -> None:
    """Features written again later do not mislead: an older model leads to the run whose content it read."""
    assert ["features.parquet", "065", ["customers.csv", None]] == path(answers.trace(churn, "churn@2"))[2]


def test_a_fingerprint_decides_against_time(make, log_of) -> None:
    """A reader that saw older content (a copy put back) leads to the run that wrote that content."""
    old = make.prepare(1, make.base, raw="c", features="old")
    new = make.prepare(2, make.base + timedelta(1), raw="c", features="new")
    log = log_of([*old, *new, *make.train(3, make.base + timedelta(2), features="old", strength=1.0)])
    assert ["features.parquet", "065"] == path(answers.trace(log, "churn"))[2][:2]


def test_content_that_no_run_wrote_has_no_writer(make, log_of) -> None:
    """What was read and differs from all that any run wrote comes from outside the log."""
    events = make.prepare(1, make.base, raw="c", features="written")
    log = log_of([*events, *make.train(3, make.base + timedelta(2), features="edited by hand", strength=1.0)])
    assert ["features.parquet", None] == path(answers.trace(log, "churn"))[2]


def test_from_endpoint_to_raw_data(churn) -> None:
    """An endpoint's trail goes through the deployment to the version that serves."""
    told = answers.trace(churn, "endpoints/churn-api")
    assert ["churn-api", "12e", "churn", "0ca"] == [*path(told)[:2], *path(told)[2][:2]]
    assert ("model", "2") == (told["inputs"][0]["kind"], told["inputs"][0]["version"])


def test_a_model_does_not_come_from_its_own_evaluation(churn) -> None:
    """A run that trains a model and reads it to evaluate it does not make the model its own source."""
    assert "churn.joblib" not in json.dumps(answers.trace(churn, "churn@3")["inputs"])


def test_cycles_end(make, log_of) -> None:
    """Runs that write what they read, and rings of runs, end: what is told elsewhere is marked."""
    ring = log_of(chain(make, ("c", "a"), ("a", "b"), ("b", "c"), ("c", "a")))
    told = answers.trace(ring, "c")
    assert ["c", "002", ["b", "001", ["a", "000", ["c", "002"]]]] == path(told)
    assert told["inputs"][0]["inputs"][0]["inputs"][0]["repeated"]
    alone = log_of(chain(make, ("a", "a")))
    assert ["a", "000", ["a", "000"]] == path(answers.trace(alone, "a"))


def test_diamonds_are_told_once(make, log_of) -> None:
    """A thing that is reached on many ways has its inputs listed once, so that a tree never explodes."""
    steps = [(f"a{n} b{n}".split(), [f"a{n + 1}", f"b{n + 1}"]) for n in range(12)]
    told = json.dumps(answers.trace(log_of(chain(make, *steps)), "a12"))
    assert told.count('"name"') < 60


def test_the_trail_is_at_most_a_hundred_runs_long(make, log_of) -> None:
    """A chain of 120 runs is followed for 100."""
    steps = [([f"d{n}"], [f"d{n + 1}"]) for n in range(120)]
    told = answers.trace(log_of(chain(make, *steps)), "d120")
    depth = 0
    while told["inputs"]:
        (told,) = told["inputs"]
        depth += 1
    assert 100 == depth


def test_only_what_was_written_before_counts(make, log_of) -> None:
    """Without fingerprints the last run that wrote a thing before it was read is its source."""
    log = log_of(chain(make, ("r", "d"), ("d", "m"), ("o", "d")))
    assert ["m", "001", ["d", "000", ["r", None]]] == path(answers.trace(log, "m"))


def test_other_names_and_folders_lead_on(make, log_of) -> None:
    """A thing read by its symlink, or as the folder whose parts were written, has its writer too."""
    written = make.dataset(
        "t", symlinks={"identifiers": [{"namespace": "s3://b", "name": "k", "type": "TABLE"}]}
    )
    events = [
        make.run_event("COMPLETE", make.base, "000", "j",
                       outputs=[written, make.dataset("/m/part-0"), make.dataset("/m/part-1")]),
        make.run_event("COMPLETE", make.base + timedelta(1), "001", "j", outputs=[make.dataset("out")],
                       inputs=[make.dataset("k", namespace="s3://b"), make.dataset("/m")]),
    ]  # fmt: skip
    assert ["out", "001", ["m", "000"], ["k", "000"]] == path(answers.trace(log_of(events), "out"))


def test_nothing_is_called_so(churn) -> None:
    """What no run mentions is not found; of a known model it says which versions there are."""
    with pytest.raises(NotFound, match="No dataset"):
        answers.trace(churn, "nowhere.csv")
    with pytest.raises(NotFound, match="It has: 3, 2, 1"):
        answers.trace(churn, "churn@4")
