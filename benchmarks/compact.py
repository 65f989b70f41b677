"""Sealed segments -> the tables that answer questions."""

import json
import os
import pickle
import shutil
import tempfile
from pathlib import Path

from benchmarks.harness import Prepare, Side, Table, compare

SEGMENT_ROWS = 5000
EVENTS = 10_000
ROUNDS = 3  # each of them is long


def tables(corpora: dict[str, Path], event_bytes: dict[str, float], *, rounds: int) -> list[Table]:
    """One table for each corpus."""
    found = []
    for variant, path in corpora.items():
        sides = [
            Side(
                "modeltrail: segments -> Delta tables (checked, flattened)",
                f"{__name__}:ours",
                {"corpus": path},
            ),
            Side(
                "DuckDB: NDJSON -> Parquet, typed, nothing validated", f"{__name__}:duckdb", {"corpus": path}
            ),
        ]
        what = f"segments -> tables, {variant} corpus"
        found.append(
            compare("compact", what, sides, rounds=min(rounds, ROUNDS), event_bytes=event_bytes[variant])
        )
    return found


def ours(corpus: Path) -> Prepare:
    from modeltrail_collector import tables as tables_
    from modeltrail_collector.log import open_log

    records = pickle.loads(corpus.read_bytes())[:EVENTS]
    sealed = Path(tempfile.mkdtemp(prefix="sealed-", dir=corpus.parent))
    _seal(sealed, records)

    def prepare(directory: Path):
        shutil.copytree(sealed / "raw", directory / "raw", copy_function=os.link)
        log = open_log(directory)

        def work() -> int:
            taken = tables_.compact(log)
            assert taken.records == len(records), taken
            return len(records)

        return work

    return prepare


def _seal(directory: Path, records: list[tuple[bytes, bytes]]) -> None:
    """A log as `collect` would have sealed it."""
    import hashlib

    import msgspec

    from modeltrail_collector.judge import judge, judge_id
    from modeltrail_collector.log import Batch, open_log
    from modeltrail_collector.model import Entry, LogPartition

    log, partition = open_log(directory), LogPartition("bench", "00000000-0000-0000-0000-000000000001", 0)
    entries = []
    for offset, (key, value) in enumerate(records):
        verdict = msgspec.structs.asdict(judge(value))
        entries.append(
            Entry(
                topic="bench",
                partition=0,
                offset=offset,
                source=None,
                timestamp_ms=1_767_225_600_000 + offset,
                ingested_at_ms=1_767_225_601_000 + offset,
                key=key,
                headers=(),
                value=value,
                sha256=hashlib.sha256(value).hexdigest(),
                **verdict,
            )
        )
    for start in range(0, len(entries), SEGMENT_ROWS):
        rows = entries[start : start + SEGMENT_ROWS]
        log.append(partition, Batch(start, start + len(rows), rows, judge_id=judge_id()))


def duckdb(corpus: Path) -> Prepare:
    """Top level typed, facets as maps of JSON: the best reading of such events DuckDB has."""
    import duckdb as engine

    source = corpus.with_suffix(".ndjson")
    records = pickle.loads(corpus.read_bytes())[:EVENTS]
    source.write_bytes(b"".join(json.dumps(json.loads(value)).encode() + b"\n" for _, value in records))
    facets = "MAP(VARCHAR, JSON)"
    dataset = f"STRUCT(namespace VARCHAR, name VARCHAR, facets {facets}"
    columns = {
        "eventType": "VARCHAR",
        "eventTime": "VARCHAR",
        "producer": "VARCHAR",
        "schemaURL": "VARCHAR",
        "run": f"STRUCT(runId VARCHAR, facets {facets})",
        "job": f"STRUCT(namespace VARCHAR, name VARCHAR, facets {facets})",
        "inputs": f"{dataset}, inputFacets {facets})[]",
        "outputs": f"{dataset}, outputFacets {facets})[]",
    }

    def prepare(directory: Path):
        connection = engine.connect()
        connection.execute("SET threads = 1")
        connection.execute("SET enable_progress_bar = false")

        def work() -> int:
            connection.execute(
                f"COPY (SELECT * FROM read_json('{source}', format = 'newline_delimited', "
                f"columns = {columns})) TO '{directory}/events.parquet' (FORMAT parquet, COMPRESSION zstd)"
            )
            return len(records)

        return work

    return prepare
