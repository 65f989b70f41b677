"""OpenMetadata's Kafka source, its real class on a real broker: what it reads of ours, and makes of it.

That it looks for tables in an OpenMetadata server, and writes lineage there, is not tried: there is no server
to be had without its containers.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from interop.consumers import asked_openmetadata, read_by_openmetadata, recorded, train_credit
from interop.programs import kafka, start
from kafka_broker import read

pytestmark = [pytest.mark.interop, pytest.mark.kafka, pytest.mark.timeout(600)]


def test_it_reads_a_training(kafka_bootstrap, kafka_topic, tmp_path) -> None:
    """Each event of a training is yielded, children as their parent's pipeline, all data named."""
    topic = kafka_topic(1)
    train_credit(tmp_path / "credit", **kafka(kafka_bootstrap, topic))
    sent = [json.loads(value) for _, _, value in read(kafka_bootstrap, topic)]
    told = read_by_openmetadata(kafka_bootstrap, topic)
    assert [(event["eventType"], event["job"]["name"]) for event in sent] == [
        (event["state"], event["job"]) for event in told
    ]
    assert Counter(START=4, RUNNING=1, COMPLETE=4) == Counter(event["state"] for event in told)
    assert {"ml-train-credit"} == {event["pipeline"] for event in told}
    for side in ("inputs", "outputs"):
        names = [[dataset["name"] for dataset in event[side]] for event in sent]
        assert names == [list(event[side]) for event in told]
    assert ["models/credit"] == list(told[-1]["outputs"])


def test_what_it_may_find(kafka_bootstrap, kafka_topic, tmp_path) -> None:
    """Tables and topics that a run read are looked for as such, the model that it made as nothing."""
    topic = kafka_topic(1)
    (tmp_path / "train.py").write_text(PROGRAM)
    start([sys.executable, "train.py"], tmp_path, Path(sys.prefix), **kafka(kafka_bootstrap, topic))
    last = read_by_openmetadata(kafka_bootstrap, topic)[-1]
    found = {"churn.main.features": ["table features of main of churn"], "clicks": ["topic clicks"]}
    assert found == last["inputs"]
    assert {"models/churn": []} == last["outputs"]


PROGRAM = """
import modeltrail
with modeltrail.run("train") as run:
    run.input("duckdb:///srv/churn.duckdb/churn.main.features")
    run.input("kafka://broker:9092/clicks")
    open("model.bin", "wb").write(b"weights")
    run.output_model("model.bin", name="churn")
"""


def test_it_reads_as_recorded(kafka_bootstrap) -> None:
    """What it makes of the cases of `data/consumers`, which `make test` works with, is what it makes now."""
    assert recorded() == asked_openmetadata(recorded(), kafka_bootstrap)
