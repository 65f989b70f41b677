"""A compacted log with the churn story, and one where others speak."""

from datetime import timedelta

import pytest

from modeltrail_collector.log import Batch, Log, open_log
from modeltrail_collector.model import LOCAL, Reason
from modeltrail_collector.tables import compact


@pytest.fixture(scope="session")
def log_of(make, tmp_path_factory):
    """Make a compacted log of these events."""

    def log_of(events) -> Log:
        log = open_log(str(tmp_path_factory.mktemp("answers") / "log"))
        entries = make.entries(events)
        entries.append(make.rejected(len(entries), b"nope", Reason("not_json", "$", "no JSON")))
        log.append(LOCAL, Batch(0, len(entries), entries))
        compact(log)
        return log

    return log_of


@pytest.fixture(scope="session")
def churn(make, log_of) -> Log:
    """The churn story: three versions, the second one deployed."""
    return log_of(make.story())


@pytest.fixture(scope="session")
def saved_by_spark(make, log_of) -> Log:
    """A model that our run trained and Spark saved, as jobs of their own; two jobs that load it; a folder."""
    parts = ["metadata", "stages/1_LogisticRegression_ab/metadata", "stages/1_LogisticRegression_ab/data"]
    model = make.dataset(
        "models/churn",
        namespace="modeltrail://registry",
        datasetType=make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL"),
        symlinks=make.facet(
            "symlinks", identifiers=[{"namespace": "file", "name": "/lake/churn", "type": "LOCATION"}]
        ),
    )
    model["facets"]["modelTrail_model"] = make.facet(
        "modelTrail_model", framework="pyspark", format="spark-ml", capture="observed"
    )
    torch = make.dataset("/lake/torch", datasetType=model["facets"]["datasetType"])
    features, saved = make.dataset("/lake/features"), [make.dataset(f"/lake/churn/{part}") for part in parts]
    runs = [
        ("train-churn", [features], [model]),
        *((f"train.save_{number}", [], [part]) for number, part in enumerate(saved)),
        ("train.orders", [], [make.dataset("/lake/orders/data")]),
        ("scoring.load", [saved[0]], []),
        ("scoring.scores", [saved[2]], [make.dataset("/lake/scores")]),
        ("audit", [make.dataset("/lake/orders/metadata")], []),
        ("prepare", [make.dataset("/lake/raw")], [make.dataset("/lake/churn/data")]),
        ("train-other", [make.dataset("/lake/churn/data")], [make.dataset("/lake/other")]),
        ("train-torch", [features], [torch]),
        ("export", [], [make.dataset("/lake/torch/data")]),
    ]
    return log_of(
        make.run_event(
            "COMPLETE",
            make.base + timedelta(minutes=n),
            make.uuid7(make.base, n),
            job,
            inputs=inputs,
            outputs=outputs,
        )
        for n, (job, inputs, outputs) in enumerate(runs)
    )


@pytest.fixture(scope="session")
def known_to_the_reader(make, log_of) -> Log:
    """A feed, raw data, a table that is written by its place and read by its name, and what came of it."""
    links = make.facet("symlinks", identifiers=[{"namespace": "file", "name": "/lake/t", "type": "LOCATION"}])
    table = make.dataset("t", namespace="hive://meta", symlinks=links)
    model = make.dataset("m", columnLineage=_column(make, "hive://meta", "t"))
    runs = [
        ([make.dataset("feed")], [make.dataset("raw")]),
        ([make.dataset("raw")], [make.dataset("/lake/t", columnLineage=_column(make, "file", "raw"))]),
        ([table], [model]),
    ]
    return log_of(
        make.run_event(
            "COMPLETE",
            make.base + timedelta(minutes=n),
            f"{n:06}",
            f"job {n}",
            inputs=inputs,
            outputs=outputs,
        )
        for n, (inputs, outputs) in enumerate(runs)
    )


def _column(make, namespace: str, name: str) -> dict:
    field = {"namespace": namespace, "name": name, "field": "x"}
    return make.facet("columnLineage", fields={"x": {"inputFields": [field]}})
