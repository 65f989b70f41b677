"""What others would write: topic -> validated Avro files. Each is fair code of its kind, none of it ours."""

import contextlib
import gc
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.harness import Prepare

FILE_ROWS = 5000

RECORD = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "topic", "type": "string"},
        {"name": "partition", "type": "int"},
        {"name": "offset", "type": "long"},
        {"name": "timestamp_ms", "type": "long"},
        {"name": "key", "type": ["null", "bytes"]},
        {"name": "value", "type": "bytes"},
        {"name": "valid", "type": "boolean"},
        {"name": "event_type", "type": ["null", "string"]},
        {"name": "event_time", "type": ["null", "string"]},
        {"name": "run_id", "type": ["null", "string"]},
        {"name": "job_namespace", "type": ["null", "string"]},
        {"name": "job_name", "type": ["null", "string"]},
    ],
}


def _row(
    *, topic: str, offset: int, timestamp: int, key: bytes, value: bytes, event: dict, valid: bool
) -> dict:
    return {
        "topic": topic,
        "partition": 0,
        "offset": offset,
        "timestamp_ms": timestamp,
        "key": key,
        "value": value,
        "valid": valid,
        "event_type": event.get("eventType"),
        "event_time": event.get("eventTime"),
        "run_id": event["run"]["runId"],
        "job_namespace": event["job"]["namespace"],
        "job_name": event["job"]["name"],
    }


def good_python(servers: str, topic: str, count: int) -> Prepare:
    """confluent-kafka, orjson, jsonschema-rs, fastavro zstandard; the offset is committed after each file."""
    import fastavro
    import jsonschema_rs
    import orjson
    from confluent_kafka import Consumer, TopicPartition

    from modeltrail_collector.judge import schema

    validator = jsonschema_rs.Draft202012Validator(schema.event_schema("run"))
    parsed = fastavro.parse_schema(RECORD)

    def prepare(directory: Path) -> Callable[[], int]:
        consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": directory.name,
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
            }
        )
        consumer.assign([TopicPartition(topic, 0, 0)])
        consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)

        def work() -> int:
            rows: list[dict] = []
            done = 0
            while done < count:
                for message in consumer.consume(500, timeout=1):
                    value = message.value()
                    event = orjson.loads(value)
                    valid = validator.is_valid(event)
                    _, timestamp = message.timestamp()
                    rows.append(
                        _row(
                            topic=topic,
                            offset=message.offset(),
                            timestamp=timestamp,
                            key=message.key(),
                            value=value,
                            event=event,
                            valid=valid,
                        )
                    )
                if len(rows) >= FILE_ROWS or done + len(rows) >= count:
                    done += len(rows)
                    with (directory / f"{done}.avro").open("wb") as file:
                        fastavro.writer(file, parsed, rows, codec="zstandard", codec_compression_level=1)
                    consumer.commit(offsets=[TopicPartition(topic, 0, done)], asynchronous=False)
                    rows = []
            consumer.close()
            return count

        return work

    return prepare


def naive(servers: str, topic: str, count: int) -> Prepare:
    """The first version of anybody: kafka-python's loop, json, jsonschema, fastavro deflate."""
    import fastavro
    import jsonschema
    from kafka import KafkaConsumer

    from modeltrail_collector.judge import schema

    validator = jsonschema.Draft202012Validator(schema.event_schema("run"))
    parsed = fastavro.parse_schema(RECORD)

    def prepare(directory: Path) -> Callable[[], int]:
        consumer = KafkaConsumer(
            topic,
            bootstrap_servers=servers,
            group_id=directory.name,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        consumer.poll(timeout_ms=1)

        def work() -> int:
            rows = []
            for message in consumer:
                event = json.loads(message.value)
                valid = validator.is_valid(event)
                rows.append(
                    _row(
                        topic=topic,
                        offset=message.offset,
                        timestamp=message.timestamp,
                        key=message.key,
                        value=message.value,
                        event=event,
                        valid=valid,
                    )
                )
                if len(rows) == count:
                    break
            with (directory / "events.avro").open("wb") as file:
                fastavro.writer(file, parsed, rows, codec="deflate")
            consumer.commit()
            consumer.close()
            return count

        return work

    return prepare


@contextlib.contextmanager
def _no_gc() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def ceiling(servers: str, topic: str, count: int) -> Prepare:
    """The stages alone, with nothing of a product around them: what Python can do with these libraries.

    kafka-python's poll in large fetches, corvus on the bytes, SHA-256, fastavro zstd -1, fsync; the garbage
    collector off, no envelope, no reasons, no offsets kept, no exactly once.
    """
    import corvus_json_schema_rs as corvus
    import fastavro
    from kafka import KafkaConsumer, TopicPartition

    from modeltrail_collector.judge import schema

    validator = corvus.compile(schema.event_schema("run"))
    fields = [
        {"name": "offset", "type": "long"},
        {"name": "key", "type": ["null", "bytes"]},
        {"name": "value", "type": "bytes"},
        {"name": "valid", "type": "boolean"},
        {"name": "sha256", "type": "string"},
    ]
    parsed = fastavro.parse_schema({"type": "record", "name": "Event", "fields": fields})
    partition = TopicPartition(topic, 0)

    def prepare(directory: Path) -> Callable[[], int]:
        consumer = KafkaConsumer(
            bootstrap_servers=servers,
            enable_auto_commit=False,
            fetch_max_bytes=64 << 20,
            max_partition_fetch_bytes=64 << 20,
            fetch_max_wait_ms=20,
        )
        consumer.assign([partition])
        consumer.seek(partition, 0)

        def work() -> int:
            rows: list[dict] = []
            done = 0
            with _no_gc():
                while done < count:
                    for message in consumer.poll(timeout_ms=1000, max_records=2000).get(partition, ()):
                        value = message.value
                        rows.append(
                            {
                                "offset": message.offset,
                                "key": message.key,
                                "value": value,
                                "valid": validator.is_valid_json(value),
                                "sha256": hashlib.sha256(value).hexdigest(),
                            }
                        )
                    if len(rows) >= FILE_ROWS or done + len(rows) >= count:
                        done += len(rows)
                        with (directory / f"{done}.avro").open("wb") as file:
                            fastavro.writer(file, parsed, rows, codec="zstandard", codec_compression_level=1)
                            file.flush()
                            os.fsync(file.fileno())
                        rows = []
            consumer.close()
            return count

        return work

    return prepare
