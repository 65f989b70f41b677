"""Entries and batches for the tests of the log."""

import hashlib
import random
from collections.abc import Callable

import pytest

from modeltrail_collector.log import Batch
from modeltrail_collector.model import Entry, Header, LogPartition, Reason

PARTITION = LogPartition("events", "6f2f3f4e-0000-4000-8000-000000000001", 0)


@pytest.fixture
def partition() -> LogPartition:
    return PARTITION


@pytest.fixture
def batch() -> Callable[..., Batch]:
    """A factory: entries of all kinds for a range of offsets, from a seed."""

    def make(start: int, end: int, seed: int = 1) -> Batch:
        chance = random.Random(f"{seed} {start}")
        return Batch(start, end, [_entry(offset, chance) for offset in range(start, end)])

    return make


def _entry(offset: int, chance: random.Random) -> Entry:
    value = chance.choice((None, b"", b'{"eventType": "START"}', chance.randbytes(200)))
    return Entry(
        *(PARTITION.topic, PARTITION.partition, offset, None, 1_700_000_000_000, 1_700_000_000_001),
        key=chance.choice((None, b"run:a/b")),
        headers=chance.choice(((), (Header("a", None), Header("b", b"\xff")))),
        value=value,
        verdict=chance.choice(("accepted", "rejected")),
        reasons=chance.choice(((), (Reason("type", "$.run", 'no "run" \u2028 \x7f \x02 ä'),))),
        event_kind="run",
        event_type="START",
        event_time=None,
        run_id="r",
        job_namespace="a",
        job_name="ü/b",
        sha256=hashlib.sha256(value or b"").hexdigest(),
    )
