"""Entries, batches and what a log holds, for the tests that work on one."""

import hashlib
from collections.abc import Sequence

from modeltrail_collector.log import Batch, Log, open_log
from modeltrail_collector.model import Entry, Header, LogPartition, Reason
from modeltrail_collector.testing import MemoryStore

P0 = LogPartition("events", "6f2f3f4e-0000-4000-8000-000000000001", 0)


def again(log: Log) -> Log:
    """The same log, opened by somebody else."""
    return Log(log.store) if isinstance(log.store, MemoryStore) else open_log(log.uri)


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


def all_entries(log: Log, partition: LogPartition = P0) -> Sequence[Entry]:
    return [found for segment in log.segments(partition) for found in log.read(segment)]
