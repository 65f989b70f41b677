"""Never run: what type checkers see of the public API. `make check` reads it with mypy's peers."""

from pathlib import Path
from typing import assert_type

import modeltrail
from modeltrail import Dataset, Run, facets


def runs() -> None:
    """The verbs take what they say and give what they say."""
    with modeltrail.run("train", namespace="fraud", job_type="TRAIN") as run:
        assert_type(run, Run)
        raw = run.input("raw.csv", role="train", label_column="y")
        assert_type(raw, Dataset)
        run.transform("split", inputs=[raw], outputs=["train", "test"], params={"seed": 1})
        run.params({"C": 1.0}, origin="cli")
        run.metric("loss", 0.5, step=3, split="validation")
        model = run.output_model(Path("model.joblib"), name="churn")
        run.evaluate(model, "holdout.csv", {"auc": 0.9}, slices={"sex": {"f": {"auc": 0.8}}})
        run.register("churn", version=3, alias="champion")
        run.deploy("churn", 3, target="kserve://cluster/endpoints/churn")
        run.declare(owner="team-a", intended_use="triage")
        run.tag(team="a")
        run.add_facet(facets.ModelTrailMetricsRunFacet(metrics=[]))
    assert_type(modeltrail.current_run(), Run | None)
    assert_type(modeltrail.flush(timeout=1.0), bool)


@modeltrail.track
def tracked(depth: int, *, rate: float = 0.1) -> list[float]:
    """A tracked function keeps its signature."""
    return [rate] * depth


@modeltrail.track(name="named", job_type="FEATURE")
async def awaited(text: str) -> bytes:
    """So does a coroutine function."""
    return text.encode()


def signatures() -> None:
    """What comes back from a tracked function is what the function returns."""
    assert_type(tracked(3, rate=0.2), list[float])
