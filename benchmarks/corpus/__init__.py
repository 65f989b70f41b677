"""A deterministic corpus of OpenLineage events: five producers, mixed as one company's topic would be.

Two variants come out of the same builders. In `mixed` a job's names, columns, parameters and texts come back
in each of its runs: zstd finds much to share, a memo finds much to reuse. In `unique` every event has its own
names, columns, numbers and texts: nothing is gained from having seen something like it before.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence

from benchmarks.corpus import airflow, dbt, ml, spark
from benchmarks.corpus.values import Values

Builder = Callable[[Values, Values], dict]

# family -> (share of the events, jobs in the mixed variant, builder)
FAMILIES: dict[str, tuple[float, int, Builder]] = {
    "ml": (0.40, 400, ml.event),
    "airflow": (0.25, 384, airflow.event),
    "spark": (0.16, 384, spark.event),
    "cll": (0.04, 108, spark.column_lineage_event),
    "dbt": (0.15, 2592, dbt.event),
}
VARIANTS = ("mixed", "unique")


def events(variant: str, count: int) -> Iterator[tuple[str, dict]]:
    """`count` pairs of family and event; the same ones for the same arguments, on any machine."""
    rng = random.Random(f"{variant}-mix")
    names, shares = list(FAMILIES), [share for share, _, _ in FAMILIES.values()]
    for index in range(count):
        family = rng.choices(names, shares)[0]
        _, jobs, build = FAMILIES[family]
        fresh = Values(f"{variant}-{index}", unique=True)
        values = fresh if variant == "unique" else Values(f"{family}-{rng.randrange(jobs)}", unique=False)
        yield family, build(values, fresh)


def encode(event: dict) -> bytes:
    """One event as its producer writes it: Spark and modeltrail compact, the Python client with spaces."""
    if event["producer"] in {spark.PRODUCER.uri, ml.PRODUCER.uri}:
        return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    return json.dumps(event, sort_keys=True).encode()


def records(variant: str, count: int) -> list[tuple[bytes, bytes]]:
    """`count` pairs of Kafka key and value."""
    return [(_key(event), encode(event)) for _, event in events(variant, count)]


def _key(event: dict) -> bytes:
    root = event["run"]["facets"].get("parent", {}).get("root", {}).get("job", event["job"])
    return f"run:{root['namespace']}/{root['name']}".encode()


def compression_ratio(values: Sequence[bytes], *, block: int = 1_000_000) -> float:
    """How much zstd -1 makes of the corpus in blocks of about 1 MB, as a broker's batches would be."""
    import zstandard

    compressor = zstandard.ZstdCompressor(level=1)
    whole = b"".join(values)
    packed = sum(len(compressor.compress(whole[at : at + block])) for at in range(0, len(whole), block))
    return len(whole) / packed
