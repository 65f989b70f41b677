"""Feast and OpenMetadata, recorded: what they take of our shape, and that all of ours has it.

`make interop` asks the real ones the same (data/consumers/README.md).
"""

import json
from pathlib import Path

import pytest

import modeltrail
from modeltrail_collector.judge import judge

DATA = Path(__file__).parents[1] / "data"
CASES = [json.loads(line) for line in (DATA / "consumers" / "cases.jsonl").read_text().splitlines()]
TOLD = sorted((DATA / "recorded").glob("*.ndjson"))
READ = {"START", "RUNNING", "COMPLETE"}  # by OpenMetadata; what it reads of others, it passes over


def is_taken(event: dict) -> bool:
    """Whether an event is one that both take: no null where the schemas want none, and nothing absent."""
    whole = event.keys() >= {"eventType", "run", "job", "inputs", "outputs"}
    return whole and judge(json.dumps(event).encode()).verdict == "accepted"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_what_the_judge_accepts_is_taken(case: dict) -> None:
    """No event with all its parts that the judge accepts was refused by Feast or passed over or failed on."""
    if is_taken(case["event"]):
        assert 201 == case["feast"]
        assert (case["event"]["eventType"] in READ) is (case["openmetadata"] is not None)
        assert "error" not in (case["openmetadata"] or {})


def test_what_they_do_not_take_is_known() -> None:
    """Each event that was refused, failed on or passed over for what it lacks is one that we do not send."""
    taken = {case["case"] for case in CASES if is_taken(case["event"])}
    refused = {case["case"] for case in CASES if case["feast"] != 201}
    failed = {case["case"] for case in CASES if "error" in (case["openmetadata"] or {})}
    unread = {case["case"] for case in CASES if case["openmetadata"] is None}
    assert {"eventType null", "symlinks null", "run.facets null", "outputs null"} < refused
    assert {"inputs null", "outputs null"} == failed
    assert {"without inputs", "without outputs", "without eventType", "a JobEvent"} < unread
    assert {f"eventType {state}" for state in ("FAIL", "ABORT", "OTHER")} == taken & (
        refused | failed | unread
    )
    assert {"whole", "parent", "inputs and outputs empty", "names with spaces and umlauts"} < taken


@pytest.mark.parametrize("file", TOLD, ids=lambda file: file.name)
def test_what_our_runs_told_is_taken(file: Path) -> None:
    """Each event of ours that was recorded below other tools is one that both take."""
    told = [json.loads(line) for line in file.read_bytes().splitlines()]
    ours = [event for event in told if "/modeltrail/" in event["producer"]]
    assert ours
    assert [] == [event for event in ours if not is_taken(event)]


def test_whatever_a_run_says_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that say all that can be said, nothing at all, or fail, send events that both take."""
    monkeypatch.chdir(tmp_path)
    with modeltrail.testing.captured_events() as told:
        say_everything(tmp_path)
        with modeltrail.run("nothing"):
            pass
        with pytest.raises(ZeroDivisionError), modeltrail.run("fails"):
            raise ZeroDivisionError
    assert {"START", "COMPLETE", "FAIL"} <= {event["eventType"] for event in told}
    assert {"train.deploy", "train.evaluate"} <= {event["job"]["name"] for event in told}
    assert [] == [event for event in told if not is_taken(event)]


def say_everything(folder: Path) -> None:
    (folder / "rows.csv").write_text("a,b\n1,\n2,3\n")
    (folder / "model.bin").write_bytes(b"weights")
    with modeltrail.run("above"), modeltrail.run("train") as run:
        run.input("rows.csv", role="train")
        run.params({"depth": None, "rate": float("nan"), "layers": [1, None]})
        run.metric("loss", float("nan"), step=1)
        run.transform("scale", "rows.csv", "rows.parquet", params={"with_mean": None})
        run.tag(team="shop", note=None)
        run.output("rows.csv", name="rows")
        run.output_model("model.bin", name="churn")
        run.evaluate("model.bin", "rows.csv", {"auc": 0.5}, {"b": {None: {"auc": float("inf")}}})
        run.register("churn", version="1", alias="champion")
        run.deploy("churn", "1", "k8s://prod/endpoints/churn")
