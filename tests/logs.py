"""Entries, batches and what a log holds, for the tests that work on one."""

import hashlib
from collections.abc import Sequence

import msgspec
from simulation.store import ProcessStore

from modeltrail_collector.log import Batch, Log, Segment, avro, open_log, segment
from modeltrail_collector.log.store import LocalStore
from modeltrail_collector.model import Entry, Header, LogPartition, Reason
from modeltrail_collector.testing import MemoryStore

WRITES = frozenset({"create", "replace", "remove"})
P0 = LogPartition("events", "6f2f3f4e-0000-4000-8000-000000000001", 0)


def again(log: Log) -> Log:
    """The same log, opened by somebody else."""
    return Log(log.store) if isinstance(log.store, MemoryStore | ProcessStore) else open_log(log.uri)


def entry(offset: int, value: bytes | None = b"{}", **changes: object) -> Entry:
    fields = {
        "topic": P0.topic,
        "partition": P0.partition,
        "offset": offset,
        "source": None,
        "timestamp_ms": 1_700_000_000_000 + offset,
        "ingested_at_ms": 1_700_000_000_500,
        "key": b"run:a/b",
        "headers": (Header("trace", b"\x00\xff"), Header("trace", None)),
        "value": value,
        "verdict": "rejected",
        "reasons": (Reason("type", "$.run", 'an object, found ä " \\ \x01 \u2028 \x7f'),),
        "event_kind": "run",
        "event_type": "START",
        "event_time": "2026-01-01T00:00:00Z",
        "run_id": None,
        "job_namespace": "a",
        "job_name": "b",
        "sha256": hashlib.sha256(value or b"").hexdigest(),
    }
    return Entry(**(fields | changes))


def batch(start: int, end: int, **changes: object) -> Batch:
    return Batch(start, end, [entry(offset) for offset in range(start, end)], **changes)


def forged(old: Segment, batch: Batch) -> bytes:
    """Another segment in the place of one, with a right digest and the old link at its end."""
    made, _ = segment.encode(old.partition, batch, old.chain_start)
    sync = bytes(range(16))
    blocks = avro.blocks(batch.entries, sync)
    return segment.seal(msgspec.structs.replace(made, chain_end=old.chain_end), blocks, sync)[1]


def all_entries(log: Log, partition: LogPartition = P0) -> Sequence[Entry]:
    return [found for segment in log.segments(partition) for found in log.read(segment)]


def fill(log: Log, segments: int = 6, rows: int = 3) -> Log:
    for start in range(0, segments * rows, rows):
        log.append(P0, batch(start, start + rows))
    return log


def in_order(log: Log, start: int = 0) -> list[int]:
    return [found.offset for segment in log.segments(P0, start) for found in log.read(segment)]


def names(log: Log) -> list[str]:
    return [
        f"{folder}/{name}"
        for folder in (
            f"{top}/{P0.topic}/{P0.topic_id}/{P0.partition}" for top in ("raw", "rolled", "removals")
        )
        for name in log.store.files(folder)
    ]


def restore(log: Log, original: dict[str, bytes]) -> None:
    for name in names(log):
        log.store.remove(name)
    for name, data in original.items():
        log.store.create(name, data)


def slow(log: Log) -> bool:
    """Whether each operation is a request over HTTP, of which a test makes no thousands."""
    return not isinstance(log.store, LocalStore | MemoryStore)


class Died(BaseException):
    """The process is gone."""


class Mortal:
    """A store whose process dies at its nth operation (0: never): just before it, or just after it."""

    def __init__(self, store: object, n: int = 0, *, after: bool = False, of: frozenset[str] = frozenset()):
        self.store, self.n, self.after, self.of = store, n, after, of or {"files", "read", *WRITES}
        self.done = 0

    def __getattr__(self, name: str) -> object:
        method = getattr(self.store, name)
        if name not in self.of:
            return method

        def call(*arguments: object) -> object:
            self.done += 1
            if self.done == self.n and not self.after:
                raise Died
            answer = method(*arguments)
            if self.done == self.n:
                raise Died
            return answer

        return call


class Forever:
    """A lease that was lost without being noticed."""

    def check(self) -> None:
        """Say nothing."""
