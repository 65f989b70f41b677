"""Fuzzed events, files and segments: no crash, no hang, no bomb. The long form runs in `make faults`."""

import json
import os
import random
import resource
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import fastavro
import pytest
from security import fuzzing

from modeltrail_collector.errors import NotVerified
from modeltrail_collector.log import Batch, avro, segment
from modeltrail_collector.log.avro import zstd
from modeltrail_schemas import record_schema

SHORT = {"judge": 8, "segment": 12, "tables": 1, "files": 10}
LONG_S = 60.0


@pytest.mark.parametrize("target", SHORT)
def test_a_short_fuzz_finds_nothing(target):
    """The same mutated inputs in each run: every one ends in a verdict, in rows, or in an error of ours."""
    assert fuzzing.run(target, 7, rounds=SHORT[target]).tried >= 300


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", SHORT)
def test_a_long_fuzz_finds_nothing(target):
    """New inputs in each run; `MODELTRAIL_FUZZ_SEED` runs the same ones again, the seed is printed."""
    seed = int(os.environ.get("MODELTRAIL_FUZZ_SEED") or random.SystemRandom().randrange(10**9))
    done = fuzzing.run(target, seed, rounds=1, seconds=LONG_S)
    print(f"{target}, seed {seed}: {done.tried} inputs tried, {done.kept} kept, no crash")
    assert done.tried


def varint(number: int) -> bytes:
    return avro._varint(number)


def a_segment(schema: object, blocks: bytes) -> bytes:
    """A file with a whole segment's header, but with this schema and these blocks; its digest is right."""
    _, data = segment.encode(fuzzing.PARTITION, Batch(0, 5, ()), "0" * 64)
    found = fastavro.schemaless_reader(BytesIO(data), avro.HEADER, None)
    found["meta"]["avro.schema"] = json.dumps(schema).encode()
    file = BytesIO()
    fastavro.schemaless_writer(file, avro.HEADER, found)
    return fuzzing.with_digest(file.getvalue() + blocks.replace(b"SYNC SYNC SYNC S", found["sync"]))


def block(count: int, content: bytes) -> bytes:
    packed = zstd.compress(content)
    return varint(count) + varint(len(packed)) + packed + b"SYNC SYNC SYNC S"


def own_schema() -> dict:
    return json.loads(avro._own_schema())


def bombs() -> dict[str, bytes]:
    gigabyte = zstd.ZstdCompressor()
    packed = b"".join([gigabyte.compress(bytes(1 << 24)) for _ in range(64)] + [gigabyte.flush()])
    unsized = varint(1) + varint(len(packed)) + packed + b"SYNC SYNC SYNC S"
    sized = zstd.compress(bytes(1 << 29))
    nothing = {"type": "array", "items": "null"}
    return {
        "2^60 records of a schema without bytes": a_segment(
            {"type": "record", "name": "n", "fields": []}, block(2**60, b"x")
        ),
        "2^60 items without bytes": a_segment(nothing, block(1, varint(2**60))),
        "2^60 records": a_segment(own_schema(), block(2**60, b"x")),
        "a text of 2^60 bytes": a_segment(own_schema(), block(1, varint(2**60))),
        "a negative size": a_segment(own_schema(), varint(1) + varint(-5)),
        "a block of 2^60 bytes": a_segment(own_schema(), varint(1) + varint(2**60)),
        "half a gigabyte in 16 kB": a_segment(
            own_schema(), varint(1) + varint(len(sized)) + sized + b"SYNC SYNC SYNC S"
        ),
        "a gigabyte that does not say so": a_segment(own_schema(), unsized),
        "records of another kind": a_segment("long", block(1, b"\x02")),
    }


def test_no_segment_is_a_bomb():
    """Files that promise 2^60 items or unfold to a gigabyte, digests right, end at once in NotVerified."""
    made = bombs()
    name = segment.name_of(fuzzing.PARTITION, 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    for data in made.values():
        header = segment.read_header(name, data)
        segment.check_digest(header, data)
        with pytest.raises(NotVerified, match="cannot be trusted"):
            list(segment.entries(header, data))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10
    assert time.process_time() - started < 20
    assert own_schema()["fields"][0]["name"] == record_schema()["fields"][0]["name"]


def test_a_header_that_promises_2_60_entries_is_no_segment():
    """A map of 2^60 entries in a header ends with the bytes that are there."""
    promised = b"Obj\x01" + varint(2**60) + b"\x02a\x02b" * 100
    with pytest.raises((NotVerified, EOFError)):
        segment.read_header(segment.name_of(fuzzing.PARTITION, 0), promised)


def test_any_seed_runs_again_from_the_command_line():
    """`fuzzing.py TARGET SEED SECONDS` is how a failure is run again."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", fuzzing.__file__, "segment", "7", "0"],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert "no crash" in done.stdout
