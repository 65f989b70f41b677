"""Values over steps, until they are sent."""

import pytest

from modeltrail.runs import series
from modeltrail.runs.metrics import Metrics


@pytest.fixture
def metrics(monkeypatch):
    monkeypatch.setattr(series, "CHUNK_SECONDS", 0.0)  # a chunk is due with each value
    return Metrics()


def read(scores):
    return [("loss", score, {"split": "train"}) for score in scores]


def test_what_was_kept_leaves_with_the_chunk_that_is_due(metrics):
    """Values that were kept to be written down later go in the chunk of the next, however late."""
    assert all(metrics.keep(0.0, step, [float(step), step / 2], read) for step in range(3))
    chunk = metrics.add("loss", 9.0, 3, split="train")
    assert [0, 0, 1, 1, 2, 2, 3] == [point["step"] for point in chunk["points"]]
    assert (0, None) == (chunk["seq"], metrics.pending())


def test_a_score_that_is_no_number_costs_no_other_one(metrics, caplog):
    """The others of its step are told, and the failure is logged."""
    metrics.keep(0.0, 0, [1.0, "much", 2.0], read)
    assert [1.0, 2.0] == [point["value"] for point in metrics.pending()["points"]]
    assert "'much' is no number" in caplog.text
