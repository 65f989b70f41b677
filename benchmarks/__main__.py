"""`python -m benchmarks`: run the cases, print the ratios, keep the figures."""

import argparse
import dataclasses
import json
import os
import pickle
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from benchmarks import compact, corpus, emit, judge, log
from benchmarks.harness import Table, cores

RESULTS = Path(__file__).with_name("results")
CASES = {"emit": emit, "judge": judge, "log": log, "compact": compact}
PACKAGES = ("kafka-python", "confluent-kafka", "openlineage-python", "fastavro", "deltalake", "duckdb")
PACKAGES += (
    "corvus-json-schema-rs",
    "jsonschema-rs",
    "jsonschema",
    "orjson",
    "msgspec",
    "pyarrow",
    "modeltrail",
)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default=",".join(CASES), help="cases to run, with commas")
    parser.add_argument("--events", type=int, default=20_000, help="events in each corpus")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: does it still run? The figures mean nothing"
    )
    parser.add_argument(
        "--output", type=Path, help="where the JSON goes; default: benchmarks/results/TIME.json"
    )
    given = parser.parse_args()
    if given.quick:
        given.events, given.rounds = 60, 1
    if unknown := set(given.only.split(",")) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    return given


def main() -> None:
    given = _arguments()
    measured, theirs = cores()
    print(f"measured on core {measured}, the broker on core {theirs}; load average {os.getloadavg()[0]:.1f}")
    started = time.monotonic()
    tables: list[Table] = []
    variants = corpus.VARIANTS[:1] if given.quick else corpus.VARIANTS
    with tempfile.TemporaryDirectory(prefix="modeltrail-bench-corpus-") as directory:
        corpora, sizes, ratios = _corpora(Path(directory), variants, given.events)
        for name in given.only.split(","):
            tables += CASES[name].tables(corpora, sizes, rounds=given.rounds)
    path = given.output or RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "machine": {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        },
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "corpus": {"events": given.events, "event_bytes": sizes, "zstd_ratio": ratios},
        "quick": given.quick,
        "tables": [dataclasses.asdict(table) for table in tables],
    }
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\n{time.monotonic() - started:.0f} s; figures in {path}")


def _corpora(
    directory: Path, variants: Sequence[str], count: int
) -> tuple[dict[str, Path], dict[str, float], dict[str, float]]:
    """Each variant in a file of its own, its mean size and what zstd makes of it."""
    paths, sizes, ratios = {}, {}, {}
    for variant in variants:
        records = corpus.records(variant, count)
        values = [value for _, value in records]
        paths[variant] = directory / f"{variant}.pickle"
        paths[variant].write_bytes(pickle.dumps(records))
        sizes[variant] = statistics.fmean(map(len, values))
        ratios[variant] = corpus.compression_ratio(values)
        print(
            f"corpus {variant}: {count} events, mean {sizes[variant]:.0f} bytes, "
            f"zstd -1 makes it {ratios[variant]:.1f} times smaller"
        )
    return paths, sizes, ratios


if __name__ == "__main__":
    main()
