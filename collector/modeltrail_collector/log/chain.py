"""The hash chain over the records of a partition: an edit, a removal or a reorder breaks every later link.

::

    link(0)  = SHA-256("modeltrail log v1\\n" + topic id + "\\n" + partition)          the genesis
    link(n)  = SHA-256(link(n-1) as 32 bytes + canonical(record n))

The canonical form of a record is one compact JSON array (UTF-8; what `json.dumps(..., ensure_ascii=False,
separators=(",", ":"))` writes), bytes as padded standard base64::

    [topic, partition, offset, source, timestamp_ms, ingested_at_ms, key, [[header key, header value], …],
     SHA-256 of the value or null for a null value, verdict, [[code, path, message], …],
     event_kind, event_type, event_time, run_id, job_namespace, job_name]

Links are written as 64 hexadecimal characters.
"""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256

import msgspec

from modeltrail_collector.model import Entry, LogPartition

_encode = msgspec.json.Encoder().encode


@lru_cache(1 << 10)
def genesis(partition: LogPartition) -> str:
    """The link before the first record: two chains never share one."""
    seed = f"modeltrail log v1\n{partition.topic_id}\n{partition.partition}"
    return sha256(seed.encode()).hexdigest()


def canonical(entry: Entry) -> bytes:
    """The whole record in one deterministic form; its value is represented by its digest."""
    return _encode(
        (
            entry.topic,
            entry.partition,
            entry.offset,
            entry.source,
            entry.timestamp_ms,
            entry.ingested_at_ms,
            entry.key,
            [(header.key, header.value) for header in entry.headers],
            None if entry.value is None else entry.sha256,
            entry.verdict,
            [(reason.code, reason.path, reason.message) for reason in entry.reasons],
            entry.event_kind,
            entry.event_type,
            entry.event_time,
            entry.run_id,
            entry.job_namespace,
            entry.job_name,
        )
    )


def extend(link: str, entries: Iterable[Entry]) -> str:
    """The link after `entries`, from the link before them."""
    previous = bytes.fromhex(link)
    for entry in entries:
        previous = sha256(previous + canonical(entry)).digest()
    return previous.hex()
