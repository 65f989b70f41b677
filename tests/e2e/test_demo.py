"""`modeltrail demo`, with and without a broker."""

import hashlib
import json
from pathlib import Path

import pytest


def answer(call, demo: Path, *arguments: str):
    """The JSON answer of a question to the demo's log."""
    return json.loads(call(*arguments, "--json", "--log", "lineage", cwd=demo).stdout)


def test_demo_tells_the_whole_story(modeltrail_command, tmp_path: Path) -> None:
    """The demo prints the trail of version 3 from raw table to model, and what changed from version 2."""
    told = modeltrail_command("demo").stdout
    assert "raw/tumours.csv" in told
    assert "tumours@3" in told
    assert "QuantileTransformer" in told
    demo = tmp_path / "modeltrail-demo"
    shown = answer(modeltrail_command, demo, "show", "tumours@3")
    digest = hashlib.sha256((demo / "models" / "tumours.joblib").read_bytes()).hexdigest()
    assert digest in json.dumps(shown["artifact"])
    train = hashlib.sha256((demo / "data" / "train.csv").read_bytes()).hexdigest()
    assert train in json.dumps(shown["data"])
    assert 0 == modeltrail_command("verify", "--log", "lineage", cwd=demo).returncode
    # A second demo replaces the first.
    modeltrail_command("demo")


def test_demo_never_replaces_a_folder_of_yours(modeltrail_command, tmp_path: Path) -> None:
    """A folder that is not a demo's is refused with exit code 2 and left as it was."""
    mine = tmp_path / "modeltrail-demo"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    refused = modeltrail_command("demo", expected=2)
    assert "--directory" in refused.stderr
    assert ["thesis.tex"] == [path.name for path in mine.iterdir()]


@pytest.mark.kafka
def test_demo_through_a_real_topic(modeltrail_command, kafka_bootstrap: str, tmp_path: Path) -> None:
    """With --bootstrap-servers the same events go through a real topic, and the answers are the same."""
    told = modeltrail_command("demo", "--bootstrap-servers", kafka_bootstrap).stdout
    assert "modeltrail collect" in told
    demo = tmp_path / "modeltrail-demo"
    versions = {
        row["version"]
        for row in answer(modeltrail_command, demo, "models")
        if row["name"].endswith("tumours")
    }
    assert {"1", "2", "3"} <= versions
    assert not list((demo / "lineage").glob("inbox/*.ndjson"))
