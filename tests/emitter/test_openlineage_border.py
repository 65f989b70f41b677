"""Our transports in the OpenLineage client, and the client's transports under our events."""

import copy
import datetime as dt
import json
import os
import uuid

import numpy as np
import pytest

from modeltrail import guard, settings, testing, transports, wire
from modeltrail.errors import ConfigError, DeliveryError
from modeltrail.transports.openlineage import (
    ForeignSender,
    KafkaConfig,
    KafkaTransport,
    LocalConfig,
    LocalTransport,
    client_event,
    plain,
)

RUN_ID = "018d5b3e-0000-7000-8000-000000000001"


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    testing.reset()
    yield
    testing.reset()


def stock_event(state="COMPLETE", facets=None):
    """An event made of the client's own classes, with standard facets of every entity."""
    from openlineage.client import event_v2 as ol
    from openlineage.client.facet_v2 import (
        data_quality_metrics_input_dataset,
        job_type_job,
        nominal_time_run,
        output_statistics_output_dataset,
        parent_run,
        schema_dataset,
    )

    ol.set_producer("https://example.com/producer")
    parent = parent_run.ParentRunFacet(
        run=parent_run.Run(runId=RUN_ID),
        job=parent_run.Job(namespace="pns", name="pjob"),
        root=parent_run.Root(
            run=parent_run.RootRun(runId=RUN_ID), job=parent_run.RootJob(namespace="rns", name="rjob")
        ),
    )
    nominal = nominal_time_run.NominalTimeRunFacet(nominalStartTime="2026-01-31T00:00:00Z")
    columns = [
        schema_dataset.SchemaDatasetFacetFields(name="é", type="int"),
        schema_dataset.SchemaDatasetFacetFields("b"),
    ]
    quality = data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
        rowCount=3, columnMetrics={"a": data_quality_metrics_input_dataset.ColumnMetrics(nullCount=1)}
    )
    return ol.RunEvent(
        eventTime="2026-01-31T00:00:00Z",
        eventType=getattr(ol.RunState, state),
        run=ol.Run(runId=RUN_ID, facets={"parent": parent, "nominalTime": nominal} | (facets or {})),
        job=ol.Job(
            namespace="ns",
            name="job",
            facets={
                "jobType": job_type_job.JobTypeJobFacet(processingType="BATCH", integration="X", jobType="T")
            },
        ),
        inputs=[
            ol.InputDataset(
                namespace="file",
                name="/a",
                facets={"schema": schema_dataset.SchemaDatasetFacet(fields=columns)},
                inputFacets={"dataQualityMetrics": quality},
            )
        ],
        outputs=[
            ol.OutputDataset(
                namespace="file",
                name="/b",
                outputFacets={
                    "s": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=5)
                },
            )
        ],
    )


def stock_wire(event):
    from openlineage.client.serde import Serde

    return json.loads(Serde.to_json(event))


def test_plain_events_are_written_as_the_client_writes_them():
    """Events of the client's classes have the same content on our wire as through its serializer."""
    from openlineage.client import event_v2 as ol

    run = stock_event()
    job = ol.JobEvent(eventTime="2026-01-31T00:00:00Z", job=ol.Job("ns", "job"))
    dataset = ol.DatasetEvent(eventTime="2026-01-31T00:00:00Z", dataset=ol.StaticDataset("file", "/a"))
    for event in (run, job, dataset):
        assert stock_wire(event) == json.loads(wire.encode(plain(event)))


def test_nulls_and_empty_items_go_as_they_go_in_the_client():
    """None entries are dropped everywhere, and None and {} in lists, as in the client's serializer."""
    content = {"a": None, "b": [1, None, {}, {"c": None}, [None]], "d": {"e": None}, "f": (1, None), "g": {}}
    expected = stock_wire({**content, "f": list(content["f"])})
    assert expected == json.loads(wire.encode(plain(content)))


def test_what_the_client_breaks_is_whole_here():
    """NaN, numpy and dates inside a facet, which the client's serializer breaks, are valid JSON here."""
    facet = {
        "_producer": "p",
        "_schemaURL": "s",
        "auc": np.float32(0.5),
        "missing": float("nan"),
        "at": dt.date(2026, 1, 31),
    }
    written = wire.encode(plain(stock_event(facets={"ml": facet})))
    found = json.loads(written, parse_constant=pytest.fail)["run"]["facets"]["ml"]
    assert {"_producer": "p", "_schemaURL": "s", "auc": 0.5, "missing": None, "at": "2026-01-31"} == found


def test_our_events_survive_the_clients_classes():
    """An event of the JSON form, made an object of the client and serialised by it, is the same event."""
    for event in (plain(stock_event()), plain(stock_event("START"))):
        assert json.loads(wire.encode(event)) == stock_wire(client_event(event))


@pytest.mark.kafka
@pytest.mark.parametrize("source", ["yaml", "environment", "stock shape"])
def test_the_stock_client_sends_through_us(monkeypatch, tmp_path, kafka_bootstrap, kafka_topic, source):
    """`type: modeltrail.KafkaTransport` works in an OpenLineageClient that reads YAML or the environment."""
    from openlineage.client import OpenLineageClient

    topic = kafka_topic()
    kafka = {
        "type": "modeltrail.KafkaTransport",
        "topic": topic,
        "config": {"bootstrap.servers": kafka_bootstrap},
    }
    if source == "environment":
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", kafka["type"])
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TOPIC", topic)
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__MESSAGEKEY", "mine")
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__CONFIG", json.dumps(kafka["config"]))
    else:
        more = {"messageKey": "mine", "flush": True} if source == "stock shape" else {"message_key": "mine"}
        (tmp_path / "openlineage.yml").write_text(json.dumps({"transport": kafka | more}))
    client = OpenLineageClient()
    assert isinstance(client.transport, KafkaTransport)
    event = stock_event()
    client.emit(event)
    assert client.transport.wait_for_completion() is True
    assert client.close() is True
    [record] = records(kafka_bootstrap, topic)
    assert b"mine" == record.key
    assert stock_wire(event) == json.loads(record.value)


def records(bootstrap, topic):
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=bootstrap, fetch_max_wait_ms=50)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end = consumer.end_offsets([partition])[partition]
    found = []
    while consumer.position(partition) < end:
        for each in consumer.poll(timeout_ms=200).values():
            found += each
    consumer.close()
    return found


@pytest.mark.kafka
def test_a_client_in_a_forked_child(kafka_bootstrap, kafka_topic):
    """A client made before the fork sends from a child that ends by os._exit, as Airflow's listener does."""
    from openlineage.client import OpenLineageClient

    topic = kafka_topic()
    kafka = {
        "type": "modeltrail.KafkaTransport",
        "topic": topic,
        "config": {"bootstrap.servers": kafka_bootstrap},
    }
    client = OpenLineageClient(config={"transport": kafka})
    client.emit(stock_event("START"))
    child = os.fork()
    if child == 0:
        client.emit(stock_event("RUNNING"))
        os._exit(0)
    os.waitpid(child, 0)
    client.emit(stock_event("COMPLETE"))
    assert client.close() is True
    states = [json.loads(record.value)["eventType"] for record in records(kafka_bootstrap, topic)]
    assert ["START", "RUNNING", "COMPLETE"] == states


def test_composite_falls_back_for_real(tmp_path):
    """With `on_failure: raise` a composite transport notices a dead Kafka and uses its next member."""
    from openlineage.client import OpenLineageClient

    kafka = {
        "type": "modeltrail.KafkaTransport",
        "config": {"bootstrap.servers": "127.0.0.1:1"},
        "on_failure": "raise",
        "timeout": 0.3,
    }
    local = {"type": "modeltrail.LocalTransport", "log": str(tmp_path / "log")}
    composite = {"type": "composite", "transports": [kafka, local], "continue_on_success": False}
    OpenLineageClient(config={"transport": composite}).emit(stock_event())
    [file] = (tmp_path / "log" / "inbox").glob("*.ndjson")
    assert RUN_ID == json.loads(file.read_bytes())["run"]["runId"]
    assert not list((tmp_path / "spool").glob("*"))


def test_spooling_never_raises_into_the_client(tmp_path):
    """With `on_failure: spool` emit returns whatever happens, and close says that not all was delivered."""
    config = KafkaConfig.from_dict({"config": {"bootstrap.servers": "127.0.0.1:1"}, "timeout": 0.3})
    transport = KafkaTransport(config)
    transport.emit(stock_event())
    transport.emit({"no": "event"})
    assert {"emitting an event: EncodingError": 1} == guard.failures()
    assert transport.wait_for_completion(1) is False
    assert transport.close(1) is False
    assert 1 == len(list((tmp_path / "spool").rglob("*.ndjson")))


def test_kinds_are_set():
    """Both transports have a kind, which Airflow names metrics after, and are found as modeltrail's own."""
    import modeltrail

    assert ("modeltrail_kafka", "modeltrail_local") == (KafkaTransport.kind, LocalTransport.kind)
    assert (KafkaTransport, LocalTransport) == (modeltrail.KafkaTransport, modeltrail.LocalTransport)


def test_local_transport_configuration(tmp_path):
    """LocalTransport writes into the configured log, by default the one of the settings."""
    assert tmp_path / "lineage" / "inbox" == LocalConfig.from_dict({"type": "x"}).inbox
    assert tmp_path / "mine" / "inbox" == LocalConfig.from_dict({"log": "mine"}).inbox
    with pytest.raises(ConfigError, match="directory"):
        LocalConfig.from_dict({"log": "s3://bucket"})


def our_event():
    return plain(stock_event()) | {"run": {"runId": str(uuid.uuid4()), "facets": {}}}


def test_a_foreign_transport_gets_our_events(tmp_path):
    """With `type: file` configured our events leave through the client's file transport."""
    settings.configure(
        transport={"type": "file", "log_file_path": str(tmp_path / "events.ndjson"), "append": True}
    )
    event = our_event()
    before = copy.deepcopy(settings.current().transport)
    assert transports.emit(event)
    assert event == json.loads((tmp_path / "events.ndjson").read_bytes())
    assert before == settings.current().transport
    assert transports.close() is True


def test_what_a_foreign_transport_refuses_is_kept(tmp_path):
    """An event that a transport of the client refuses goes to the spool, and the next do not wait for it."""
    from openlineage.client.transport import Config, Transport, get_default_factory

    class Refusing(Transport):
        kind = "refusing"
        config_class = Config
        tried = 0

        def __init__(self, config):
            pass

        def emit(self, event):
            Refusing.tried += 1
            raise RuntimeError("no backend")

    get_default_factory().register_transport("refusing", Refusing)
    sender = ForeignSender({"type": "refusing"}, tmp_path / "spool")
    for _ in range(3):
        sender.send(b"k", wire.encode(our_event()))
    assert 1 == Refusing.tried
    assert sender.close(1) is False
    [file] = (tmp_path / "spool").rglob("*.ndjson")
    assert 3 == len(file.read_bytes().splitlines())


def test_a_foreign_transport_that_cannot_be_made_falls_back(tmp_path, caplog):
    """A transport class that does not exist is warned of, and events go to the local inbox."""
    settings.configure(transport={"type": "nowhere.Transport"})
    assert transports.emit(our_event())
    assert "events go to the local inbox instead" in caplog.text
    assert 1 == len(list((tmp_path / "lineage" / "inbox").glob("*.ndjson")))


def test_raising_transport_tells_the_caller():
    """With `on_failure: raise` the client's emit raises our DeliveryError."""
    config = KafkaConfig.from_dict(
        {"config": {"bootstrap.servers": "127.0.0.1:1"}, "timeout": 0.3, "on_failure": "raise"}
    )
    with pytest.raises(DeliveryError):
        KafkaTransport(config).emit(stock_event())
