"""Pytest plugin: a real Kafka broker for the session, fresh topics, and brokers of one's own to kill.

`KAFKA_BOOTSTRAP_SERVERS` makes the session use a broker that is already there; `private_broker` always starts
its own. Each broker runs below `tools/kafka/broker.py run`, which stops it when our end of its stdin closes:
however pytest ends, kill -9 included, no broker stays behind.
"""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "kafka" / "broker.py"


class Broker:
    """A broker in a data directory of its own; starting it again keeps data and ports.

    `start(listeners={"TLS": "SSL"}, properties={...})` starts a stopped one with more listeners and settings,
    which stay for later starts; `port("TLS")` is the port of such a listener.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bootstrap_servers = ""
        self._listeners: dict[str, str] = {}
        self._properties: dict[str, str] = {}
        self._keeper: subprocess.Popen[str] | None = None

    def start(
        self, *, listeners: Mapping[str, str] | None = None, properties: Mapping[str, str] | None = None
    ) -> None:
        """Start it and return when it takes clients."""
        self._listeners |= listeners or {}
        self._properties |= properties or {}
        options = [f"--listener={name}={protocol}" for name, protocol in self._listeners.items()]
        options += [f"--property={key}={value}" for key, value in self._properties.items()]
        self._keeper = subprocess.Popen(
            [sys.executable, SCRIPT, "run", self.directory, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests: they still need their broker to clean up
        )
        self.bootstrap_servers = self._keeper.stdout.readline().strip()
        if not self.bootstrap_servers:
            self.stop()
            raise RuntimeError("the Kafka broker did not start: its message is on stderr, above")

    def port(self, listener: str = "PLAINTEXT") -> int:
        """The port of a listener."""
        return json.loads((self.directory / "ports.json").read_text())[listener]

    def stop(self) -> None:
        """Stop it in order; nothing is lost."""
        if self._keeper:
            self._keeper.stdin.close()
            self._wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It takes connections and answers nothing for the block."""
        pid = int((self.directory / "broker.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it as a power cut would (kill -9)."""
        subprocess.run([sys.executable, SCRIPT, "stop", "--kill", self.directory], check=True)
        self._wait()

    def _wait(self) -> None:
        self._keeper.wait(120)
        self._keeper.stdin.close()
        self._keeper.stdout.close()
        self._keeper = None


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a broker that lives as long as the session."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker.bootstrap_servers
    broker.stop()


@pytest.fixture
def private_broker(tmp_path: Path) -> Iterator[Broker]:
    """A started broker of this test's own."""
    broker = Broker(tmp_path / "kafka")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def kafka_topic(kafka_bootstrap: str) -> Callable[..., str]:
    """A factory: `make(partitions=1, **topic_configs)` creates a topic and returns its fresh name.

    Topic settings are written with underscores: `make(3, max_message_bytes=6_000_000)`.
    """
    return lambda partitions=1, **configs: create_topic(kafka_bootstrap, partitions, **configs)


def create_topic(bootstrap_servers: str, partitions: int = 1, **topic_configs: object) -> str:
    """Create a topic with a fresh name on any broker, a private one too."""
    from kafka.admin import KafkaAdminClient, NewTopic

    name = f"test-{uuid.uuid4().hex[:12]}"
    settings = {key.replace("_", "."): str(value) for key, value in topic_configs.items()}
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        topic = NewTopic(name, partitions, 1, topic_configs=settings)
        admin.create_topics([topic], wait_for_metadata=True)
    finally:
        # Held open, its threads would make every later fork of a test a warning.
        admin.close()
    return name


def read(bootstrap: str, topic: str) -> list[tuple[int, bytes | None, bytes | None]]:
    """All records of a topic as (partition, key, value), in order of partition and offset."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=bootstrap, fetch_max_wait_ms=50)
    found: list[tuple[int, bytes | None, bytes | None]] = []
    for number in sorted(consumer.partitions_for_topic(topic)):
        partition = TopicPartition(topic, number)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        while consumer.position(partition) < end:
            for records in consumer.poll(timeout_ms=200).values():
                found += [(number, record.key, record.value) for record in records]
    consumer.close()
    return found
