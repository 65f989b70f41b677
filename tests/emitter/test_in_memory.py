"""What data in memory is called: the same in each run of a job, so that the graph does not grow with each."""

import pandas as pd

import modeltrail
from modeltrail.testing import captured_events


def inputs(rows: int) -> list[dict]:
    """The inputs of a run that reads a frame of so many rows."""
    with captured_events() as events, modeltrail.run("train") as run:
        run.input(pd.DataFrame({"a": range(rows)}), role="train")
    return events[-1]["inputs"]


def test_data_in_memory_is_named_after_job_and_role() -> None:
    """Frames of different content have one name in the runs of a job, and different fingerprints."""
    (first,), (second,) = inputs(3), inputs(4)
    assert ("inmemory://", "train/train") == (first["namespace"], first["name"])
    assert first["name"] == second["name"]
    assert first["facets"]["version"] != second["facets"]["version"]


def test_the_same_content_is_one_dataset() -> None:
    """A frame that is read and then split is one input; its parts are outputs with their own names."""
    frame = pd.DataFrame({"a": range(10)})
    with captured_events() as events, modeltrail.run("prepare", job_type="FEATURE") as run:
        run.input(frame, role="other")
        run.transform("split", inputs=frame.copy(), outputs=[frame[:7], frame[7:]])
    assert ["prepare/other"] == [found["name"] for found in events[-1]["inputs"]]
    assert ["prepare/data", "prepare/data-2"] == sorted(found["name"] for found in events[-1]["outputs"])


def test_a_given_name_is_kept() -> None:
    """Data in memory that somebody names is called so."""
    with captured_events() as events, modeltrail.run("train") as run:
        run.input(pd.DataFrame({"a": [1]}), name="customers")
    assert ["customers"] == [found["name"] for found in events[-1]["inputs"]]
