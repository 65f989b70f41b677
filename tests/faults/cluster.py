"""Three brokers of one cluster, each of them a controller too, so that any one may die."""

import json
import shutil
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from faults.oracle import until
from kafka_broker import SCRIPT, Broker

sys.path.insert(0, str(SCRIPT.parent))
import jars
import node

NAMES = ("PLAINTEXT", "CONTROLLER")
REPLICATED = (
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
)


class Cluster:
    """Brokers numbered from 1."""

    def __init__(self, directory: Path, size: int) -> None:
        self._cluster_id = node.random_id()
        numbers = range(1, size + 1)
        self._brokers = {number: Broker(directory / str(number)) for number in numbers}
        ports = node.choose_ports([f"{name}{number}" for number in numbers for name in NAMES], {})
        self._ports = {number: {name: ports[f"{name}{number}"] for name in NAMES} for number in numbers}
        voters = ",".join(
            f"{number}@127.0.0.1:{found['CONTROLLER']}" for number, found in self._ports.items()
        )
        self._properties = {
            **dict.fromkeys(REPLICATED, str(size)),
            "min.insync.replicas": "2",
            "controller.quorum.voters": voters,
            "controller.quorum.election.timeout.ms": "1000",
            "replica.lag.time.max.ms": "5000",
        }
        for number, broker in self._brokers.items():
            self._format(broker.directory, number)

    def _format(self, directory: Path, number: int) -> None:
        data = directory / "data"
        data.mkdir(parents=True)
        shutil.copy(jars.prepare() / "bootstrap.checkpoint", data)
        (data / "meta.properties").write_text(
            f"version=1\nnode.id={number}\ncluster.id={self._cluster_id}\ndirectory.id={node.random_id()}\n"
        )
        (directory / "ports.json").write_text(json.dumps(self._ports[number]))

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(f"127.0.0.1:{found['PLAINTEXT']}" for found in self._ports.values())

    def start(self) -> None:
        """All at once: one alone has no quorum."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.restart, self._brokers))

    def restart(self, number: int) -> None:
        self._brokers[number].start(properties={**self._properties, "node.id": str(number)})
        time.sleep(1)  # it is in sync again soon after

    def kill(self, number: int) -> None:
        self._brokers[number].kill()

    def stop(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(Broker.stop, self._brokers.values()))

    def create_topic(self, partitions: int) -> str:
        """A topic on all brokers, known to all of them."""
        from kafka.admin import KafkaAdminClient, NewTopic

        name = f"test-{uuid.uuid4().hex[:12]}"
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        try:
            admin.create_topics([NewTopic(name, partitions, len(self._brokers))], wait_for_metadata=True)
            until(lambda: not admin.describe_topics([name])[0]["error_code"], "the topic is known")
            time.sleep(1)
        finally:
            admin.close()
        return name

    def coordinator(self, group: str) -> int:
        """The number of the broker that coordinates a group."""
        from kafka.admin import KafkaAdminClient

        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        try:
            return admin._manager.run(admin._find_coordinator_id, group)
        finally:
            admin.close()
