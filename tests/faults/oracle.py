"""What the broker acknowledged, and whether the log holds just that: every fault is judged by `compare`.

With `FAULTS_TALLY=FILE` in the environment each judgement and each kill is also written there, a JSON object
a line: `python -m faults` adds them up.
"""

import contextlib
import hashlib
import json
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from modeltrail_collector.log import Segment, open_log, verify
from modeltrail_collector.pump import Pump
from modeltrail_collector.testing import MemoryTopic

Oracle = dict[tuple[int, int], str]
"""Partition and offset of an acknowledged record, and the SHA-256 of its value."""

TALLY = "FAULTS_TALLY"


class Judgement(NamedTuple):
    """How produced and stored records compare; `segments` hold the stored ones, `removed` were there."""

    produced: int
    stored: int
    lost: int
    twice: int
    segments: int
    removed: int = 0


def note(**numbers: int) -> None:
    """Add to the tally of the whole run, where there is one."""
    if path := os.environ.get(TALLY):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(numbers) + "\n")


def sealed_to(log: str | Path) -> int:
    """How many offsets the log holds, over all partitions."""
    opened = open_log(log)
    return sum(opened.end(partition) for partition in opened.partitions())


def all_sealed(log: str | Path, acked: Mapping[tuple[int, int], str]) -> Callable[[], bool]:
    """The condition that each partition is sealed beyond its last acknowledged record."""
    lasts = dict(sorted(acked))

    def sealed() -> bool:
        opened = open_log(log)
        ends = {partition.partition: opened.end(partition) for partition in opened.partitions()}
        return all(ends.get(partition, 0) > offset for partition, offset in lasts.items())

    return sealed


def compare(log: str | Path, acked: Mapping[tuple[int, int], str], maybe: Collection[str] = ()) -> Judgement:
    """Every acknowledged record is in the log once, in order, where the broker put it; and nothing else is.

    `maybe` are the digests of records whose sending has an unknown outcome: they may be there. Where
    retention has removed the records, their number must be that of the acknowledged ones.
    """
    opened = open_log(log)
    found: Oracle = {}
    segments = twice = removed = 0
    for partition in opened.partitions():
        last = -1
        for segment in opened.segments(partition):
            segments += 1
            if segment.removed:
                gone = _gone(segment, acked)
                found |= {key: acked[key] for key in gone}
                assert len(gone) <= segment.rows <= len(gone) + len(maybe), f"of {segment.name} {len(gone)}"
                removed += segment.rows
            for entry in opened.read(segment):
                twice += entry.offset <= last
                last = max(last, entry.offset)
                found[entry.partition, entry.offset] = entry.sha256
    lost = [key for key, digest in acked.items() if found.get(key) != digest]
    stored = len(found) + twice
    note(produced=len(acked), stored=stored, lost=len(lost), twice=twice)
    assert [] == sorted(lost)[:20], f"{len(lost)} of {len(acked)} acknowledged records are not in the log"
    assert 0 == twice, f"{twice} records are in the log twice, or out of order"
    alien = [key for key, digest in found.items() if key not in acked and digest not in maybe]
    assert [] == sorted(alien)[:20], "records that nobody sent"
    report = verify(opened)
    assert report.ok, report.problems
    return Judgement(len(acked), stored, len(lost), twice, segments, removed)


def _gone(segment: Segment, acked: Mapping[tuple[int, int], str]) -> list[tuple[int, int]]:
    """The acknowledged records of a segment's range."""
    partition = segment.partition.partition
    offsets = range(segment.first_offset, segment.next_offset)
    return [(partition, offset) for offset in offsets if (partition, offset) in acked]


def until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def growth(log: str | Path, more: int = 20, seconds: float = 60.0) -> float:
    """Wait until so many more records are sealed; returns after how many seconds they were."""
    start, began = sealed_to(log), time.monotonic()
    until(lambda: sealed_to(log) >= start + more, f"{more} more records are sealed", seconds)
    return time.monotonic() - began


def turn_until(pump: Pump, condition: Callable[[], object]) -> None:
    def turned() -> bool:
        pump.turn()
        return bool(condition())

    until(turned, "the collector works")


def event(job: str = "job", **fields: object) -> bytes:
    """A valid OpenLineage event of a run of its own."""
    content = {
        "eventTime": "2026-03-02T09:00:00Z",
        "producer": "https://example.com/faults",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "eventType": "COMPLETE",
        "run": {"runId": str(uuid.uuid4())},
        "job": {"namespace": "faults", "name": job},
    }
    return json.dumps(content | fields).encode()


def topic_of(records: int) -> tuple[MemoryTopic, Oracle]:
    """A topic in memory, so that the store is all that can fail."""
    topic, acked = MemoryTopic(), {}
    for number in range(records):
        value = b"%d" % number
        acked[0, topic.append(0, value)] = hashlib.sha256(value).hexdigest()
    return topic, acked


class Producer(threading.Thread):
    """Sends events and rubbish until it is stopped, and remembers what the broker acknowledged."""

    def __init__(self, servers: str, topic: str, seed: int, *, partitions: int = 3, per_s: int = 400) -> None:
        super().__init__(daemon=True)
        from kafka import KafkaProducer

        self.acked: Oracle = {}
        self.failed: dict[str, object] = {}
        self._died: Exception | None = None
        self._topic = topic
        self._partitions = partitions
        self._per_turn = max(per_s // 50, 1)
        self._chance = random.Random(seed)
        self._producer = KafkaProducer(
            bootstrap_servers=servers, acks="all", linger_ms=5, reconnect_backoff_max_ms=500
        )
        self._stopped = threading.Event()

    def run(self) -> None:
        try:
            while not self._stopped.wait(0.02):
                for _ in range(self._per_turn):
                    self._send(self._value())
        except Exception as error:
            self._died = error

    def _value(self) -> bytes:
        size = self._chance.choice((None, 0, 20, 2000))
        return self._event() if size is None else self._chance.randbytes(size)

    def _event(self) -> bytes:
        """Now and then with a facet that nobody has seen before, of any type."""
        chance, facets = self._chance, {}
        if chance.random() < 0.1:
            facets[f"facet_{chance.randrange(1000)}"] = chance.choice([1, "x", [], {"a": [1, {"b": None}]}])
        return event(f"job-{chance.randrange(9)}", run={"runId": str(uuid.uuid4()), "facets": facets})

    def _send(self, value: bytes) -> None:
        digest = hashlib.sha256(value).hexdigest()
        future = self._producer.send(self._topic, value, partition=self._chance.randrange(self._partitions))
        future.add_callback(self._note, digest)
        future.add_errback(lambda error: self.failed.__setitem__(digest, error))

    def _note(self, digest: str, metadata) -> None:
        self.acked[metadata.partition, metadata.offset] = digest

    def stop(self) -> None:
        """Send what waits and end; what the thread died of is raised here."""
        self._stopped.set()
        self.join()
        self._producer.flush(60)
        self._producer.close()
        if self._died:
            raise self._died

    def halt(self) -> None:
        """End at once, at the end of a test that failed; after `stop` nothing is left to do."""
        from kafka.errors import KafkaTimeoutError

        self._stopped.set()
        self.join()
        with contextlib.suppress(KafkaTimeoutError):  # what it has not sent yet is not waited for
            self._producer.close(timeout=0)


def temporaries(log: Path) -> list[Path]:
    """What writers have left half written."""
    return [path for path in log.glob("**/.*.tmp") if path.is_file()]
