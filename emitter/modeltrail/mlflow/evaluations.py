"""What was scored of logged models on datasets that a run reads: MLflow keeps it with the models.

`mlflow.models.evaluate` says of its data no more than that: it was for a test, and no model learned from it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from modeltrail.event import Dataset
from modeltrail.facets import metric_entry
from modeltrail.mlflow import models, names
from modeltrail.mlflow.datasets import Entity
from modeltrail.runs.facts import LEARNED_FROM, Facts
from modeltrail.runs.scenes import Evaluation

JOB_TYPE = "EVALUATE"
_Moment = tuple[str, int, int]


class Scores(NamedTuple):
    """What a logged model scored on a dataset, in one run."""

    model: Any
    data: Entity
    metrics: list[Any]


def found(run: Any, logged: Iterable[Any]) -> list[Scores]:
    """The scores of a run, by the logged models that it made or read."""
    known: dict[tuple[str, Entity], Scores] = {}
    for model in logged:
        for metric in model.metrics or ():
            if metric.run_id == run.info.run_id and metric.dataset_name:
                data = (metric.dataset_name, metric.dataset_digest)
                key = (model.model_id, data)
                known.setdefault(key, Scores(model, data, [])).metrics.append(metric)
    return list(known.values())


def moments(scores: Iterable[Scores]) -> dict[_Moment, Entity]:
    """Which dataset a metric of the run was measured on: a run's own record does not say it everywhere."""
    return {moment(metric): each.data for each in scores for metric in each.metrics}


def moment(metric: Any) -> _Moment:
    """What a metric has that is the same in the record of the run and in that of the model."""
    return metric.key, metric.step, metric.timestamp


def runs(
    run: Any, scores: Iterable[Scores], facts: Facts, known: Mapping[Entity, Dataset], registry: str
) -> Iterator[tuple[str, Facts]]:
    """Each evaluation as a run of its own, by its id; scores on what a model learned from are none.

    Args:
        run: that scored.
        scores: what it scored.
        facts: of it.
        known: its datasets.
        registry: the namespace of the server's models.
    """
    for each in scores:
        dataset = known.get(each.data)
        data = facts.inputs.get(dataset.identity) if dataset is not None else None
        if data is None or data.role in LEARNED_FROM:
            continue
        run_id = names.made_id("evaluation", run.info.run_id, each.model.model_id, *each.data)
        entries = [
            metric_entry(
                metric.key, metric.value, step=metric.step, at=names.time(metric.timestamp, live=False)
            )
            for metric in each.metrics
        ]
        used = msgspec.structs.replace(data, fits=frozenset())
        model = models.logged(each.model, registry, None, fetch=None)
        judged = Facts(JOB_TYPE, "declared")
        Evaluation(model, used, data.role or "test", entries, "declared").put_into(judged, model, run_id)
        yield run_id, judged
