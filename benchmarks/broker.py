"""The broker of the log and transport cases: a real one, on the core that is not measured."""

import contextlib
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.harness import cores

SCRIPT = Path(__file__).parents[1] / "tools" / "kafka" / "broker.py"


@contextlib.contextmanager
def broker(*, pinned: bool = True) -> Iterator[str]:
    """Start a broker, on its core if `pinned`; yields its address. KAFKA_BOOTSTRAP_SERVERS names another."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    subprocess.run([sys.executable, SCRIPT, "prepare"], check=True)
    core = cores()[1] if pinned else None
    prefix = ["taskset", "--cpu-list", str(core)] if core is not None else []
    with tempfile.TemporaryDirectory(
        prefix="modeltrail-bench-kafka-", ignore_cleanup_errors=True
    ) as directory:
        command = [*prefix, sys.executable, str(SCRIPT), "run", directory]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as keeper:
            address = keeper.stdout.readline().strip()
            if not address:
                raise RuntimeError("the Kafka broker did not start: its message is on stderr, above")
            yield address
            keeper.stdin.close()


def create_topic(servers: str, partitions: int = 1) -> str:
    """A fresh topic for batches of up to 4 MB."""
    from kafka.admin import KafkaAdminClient, NewTopic

    name = f"bench-{uuid.uuid4().hex[:8]}"
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
        topic = NewTopic(name, partitions, 1, topic_configs={"max.message.bytes": "4000000"})
        admin.create_topics([topic], wait_for_metadata=True)
    return name


def fill(servers: str, records: Sequence[tuple[bytes, bytes]], partitions: int = 1) -> str:
    """A fresh topic holding the records in order, in zstd batches of up to 1 MB."""
    from confluent_kafka import Producer

    topic = create_topic(servers, partitions)
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "compression.type": "zstd",
            "linger.ms": 20,
            "batch.size": 1_000_000,
            "message.max.bytes": 4_000_000,
            "enable.idempotence": True,
        }
    )
    for key, value in records:
        while True:
            try:
                producer.produce(topic, key=key, value=value)
                break
            except BufferError:
                producer.poll(1)
        producer.poll(0)
    if producer.flush(120):
        raise RuntimeError(f"{topic}: not all events were delivered to {servers}")
    return topic
