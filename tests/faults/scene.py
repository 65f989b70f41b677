"""A producer and the collectors at work behind it: what most rows begin with and end with."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from faults.kafka_proxy import KafkaProxy
from faults.members import Members, Task, collect
from faults.oracle import Judgement, Producer, all_sealed, compare, growth, until
from faults.proxy import Proxy
from kafka.admin import KafkaAdminClient
from kafka_broker import SCRIPT, Broker

sys.path.insert(0, str(SCRIPT.parent))
import node

PARTITIONS = 3


class Scene(NamedTuple):
    """A producer, and members that collect what it sends."""

    members: Members
    producer: Producer
    log: str | Path

    def finish(self) -> Judgement:
        """Let the members collect the rest, end them in order, and compare."""
        self.producer.stop()
        assert {} == self.producer.failed
        acked = self.producer.acked
        until(all_sealed(self.log, acked), "everything is sealed", 240)
        self.members.drain()
        return compare(self.log, acked)


@contextmanager
def at_work(
    task: Task,
    seed: int,
    *,
    members: int = 2,
    partitions: int = PARTITIONS,
    work: Callable[[Task], None] = collect,
) -> Iterator[Scene]:
    """So many members at work on the task, and a producer; nothing of them is left however it ends."""
    scene = Scene(
        Members(task, work), Producer(task.servers, task.topic, seed, partitions=partitions), task.log
    )
    scene.producer.start()
    for _ in range(members):
        scene.members.start()
    try:
        yield scene
    finally:
        scene.members.kill_all()
        scene.producer.halt()


@contextmanager
def at_work_behind(address: str, task: Task, seed: int) -> Iterator[Scene]:
    """Two members that reach the broker only at this address; the producer reaches it directly.

    Both are in the group before it goes on: a collector that meets a bad network at its start ends with an
    error, as it should.
    """
    with at_work(task, seed, members=0) as scene:
        scene.members.task = replace(task, servers=address)
        scene.members.start()
        scene.members.start()
        growth(scene.log)
        until(lambda: len(ids_of_members(task)) == 2, "both are members")
        yield scene


class Wire(NamedTuple):
    """A broker; a network that may fail; and something that answers for it with errors."""

    broker: Broker
    network: Proxy
    answers: KafkaProxy


@contextmanager
def broker_behind_proxies(directory: Path) -> Iterator[Wire]:
    """A broker where dead members are soon forgotten; who reaches it through a proxy stays behind it."""
    ports = node.choose_ports(["PLAINTEXT", "CONTROLLER", "NETWORK", "ANSWERS"], {})
    (directory / "ports.json").write_text(json.dumps(ports))
    network, answers = (
        proxy(("127.0.0.1", ports[name])) for proxy, name in ((Proxy, "NETWORK"), (KafkaProxy, "ANSWERS"))
    )
    addresses = f"PLAINTEXT://127.0.0.1:{ports['PLAINTEXT']},NETWORK://{network.address}"
    properties = {
        "group.min.session.timeout.ms": "1000",
        "advertised.listeners": f"{addresses},ANSWERS://{answers.address}",
    }
    broker = Broker(directory)
    try:
        broker.start(listeners={"NETWORK": "PLAINTEXT", "ANSWERS": "PLAINTEXT"}, properties=properties)
        yield Wire(broker, network, answers)
    finally:
        broker.stop()
        network.close()
        answers.close()


def ids_of_members(task: Task) -> set[str]:
    """Who is in the group, as the broker sees it."""
    admin = KafkaAdminClient(bootstrap_servers=task.servers)
    try:
        described = admin.describe_groups([task.group])
    finally:
        admin.close()
    group = next(iter(described.values())) if isinstance(described, dict) else described[0]
    return {member["member_id"] for member in group["members"]}
