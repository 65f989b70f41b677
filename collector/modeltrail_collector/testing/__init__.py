"""Fakes for tests, ours and yours: a topic with a consumer group, a store, a dead-letter topic, a Marquez.

They pass the same suites as Kafka, the disk, S3 and Marquez (tests/contracts). `MemoryStore` can be told to
fail like a real one::

    log = Log(MemoryStore())
    topic = MemoryTopic("openlineage.events", partitions=3)
    topic.append(0, b"{}")
    pump = Pump(MemorySource(topic), log, until_end=True)
    while not pump.done:
        pump.turn()

`marquez()` serves HTTP::

    with marquez() as server:
        requests.post(f"{server.url}/api/v1/lineage", json=event)
"""

from modeltrail_collector.testing.fake_marquez.server import MarquezServer, marquez
from modeltrail_collector.testing.memory import (
    MemoryLease,
    MemoryPublisher,
    MemorySource,
    MemoryStore,
    MemoryTopic,
)

__all__ = [
    "MarquezServer",
    "MemoryLease",
    "MemoryPublisher",
    "MemorySource",
    "MemoryStore",
    "MemoryTopic",
    "marquez",
]
