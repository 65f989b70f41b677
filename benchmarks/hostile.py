"""`python -m benchmarks.hostile`: what hostile values cost the judge a byte, against a valid event.

Each case runs in a process of its own: CPU time of the best of three, over that of a valid event of the size
that real producers send; and how much the process's peak memory grew beyond the value itself.
"""

import argparse
import json
import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from modeltrail_collector.judge import MAX_BYTES, MAX_KEYS, judge

ROUNDS = 3
BASE = {"_producer": "https://a.example/b", "_schemaURL": "https://a.example/c"}
MANY = 1_000_000


def event(**changes: object) -> dict:
    return {
        "eventType": "COMPLETE",
        "eventTime": "2026-01-01T00:00:00Z",
        "producer": "https://a.example/b",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": "0194c5a0-0000-7000-8000-000000000001", "facets": {}},
        "job": {"namespace": "a", "name": "b", "facets": {}},
        "inputs": [],
        "outputs": [],
    } | changes


def valid() -> bytes:
    """About 3 kB, as the events of the known integrations on average."""
    fields = [{"name": f"column_{number}", "type": "double"} for number in range(40)]
    dataset = {"namespace": "n", "name": "d", "facets": {"schema": BASE | {"fields": fields}}}
    return json.dumps(event(inputs=[dataset])).encode()


def _with(part: bytes) -> bytes:
    """An event with a field `x` that nobody knows."""
    return json.dumps(event()).encode()[:-1] + b',"x":' + part + b"}"


def _array(item: bytes, last: bytes = b"1", size: int = 12_000_000) -> bytes:
    return b"[" + (item + b",") * (size // (len(item) + 1)) + last + b"]"


def _keys(count: int, last: bytes = b"1") -> bytes:
    return b"{" + b"".join(b'"k%d":1,' % number for number in range(count)) + b'"z":' + last + b"}"


def _run_facets(facets: bytes) -> bytes:
    return json.dumps(event()).encode().replace(b'"facets": {}', b'"facets": ' + facets, 1)


def _inputs(inputs: bytes) -> bytes:
    return json.dumps(event()).encode().replace(b'"inputs": []', b'"inputs": ' + inputs, 1)


NESTED = b"[" * 100 + b"]" * 100
WRONG = b'{"namespace":"n","name":"n","facets":{"f":{"_producer":"no uri","_schemaURL":"no uri"}}}'
CASES: dict[str, Callable[[], bytes]] = {
    "a valid event of 16 MiB": lambda: _with(b'"' + b"a" * (MAX_BYTES - 600) + b'"'),
    "nesting of 8 million": lambda: b"[" * 8_000_000 + b"]" * 8_000_000,
    "nesting of 100, often": lambda: _with(_array(NESTED)),
    "objects nested 100 deep, often": lambda: _with(_array(b'{"a":' * 100 + b"1" + b"}" * 100)),
    "one million keys": lambda: _with(_keys(MANY)),
    "keys just below the limit": lambda: _with(_keys(MAX_KEYS - 100)),
    "the same, broken": lambda: _with(_keys(MAX_KEYS - 100)).replace(b"COMPLETE", b"FINISHED"),
    "one key a million times": lambda: _with(b"{" + b'"a":1,' * MANY + b'"a":2}'),
    "keys of one hash": lambda: _with(
        b"{" + b",".join(b'"%b":1' % f"{number:b}".replace("0", "Aa").replace("1", "BB").encode()
                         for number in range(1 << 18, 1 << 19)) + b"}"
    ),
    "a number of 8 million digits": lambda: _with(b"9" * 8_000_000),
    "numbers of 4,000 digits": lambda: _with(_array(b"9" * 4000)),
    "numbers too large": lambda: _with(_array(b"1e999")),
    "NUL, escaped": lambda: _with(b'"' + rb"\u0000" * 2_000_000 + b'"'),
    "NUL, bare": lambda: _with(b'"' + b"\0" * 8_000_000 + b'"'),
    "halves of surrogate pairs": lambda: _with(b'"' + rb"\ud800" * 2_000_000 + b'"'),
    "arrays of such": lambda: _with(_array(rb'"\ud800"')),
    "no UTF-8": lambda: _with(b'"' + b"a" * 12_000_000 + b"\xff" + b'"'),
    "empty arrays": lambda: _array(b"[]"),
    "empty objects in a broken event": lambda: _with(_array(b"{}")).replace(b"COMPLETE", b"FINISHED"),
    "empty texts": lambda: _with(_array(b'""')),
    "ones, then NaN": lambda: _with(_array(b"1", b"NaN")),
    "keys, then NaN": lambda: _with(_keys(MANY, b"NaN")),
    "inputs that are numbers": lambda: _inputs(_array(b"1")),
    "100,000 broken formats": lambda: _inputs(b"[" + b",".join([WRONG] * 100_000) + b"]"),
    "60,000 broken formats": lambda: _inputs(b"[" + b",".join([WRONG] * 60_000) + b"]"),
    "a text with one wide character": lambda: _with(
        b'"' + b"a" * 12_000_000 + "\U0001f600".encode() + b'"'
    ).replace(b"COMPLETE", b"FINISHED"),
    "a time of 8 million digits": lambda: json.dumps(
        event(eventTime="2026-01-01T00:00:00." + "0" * 8_000_000)
    ).encode(),
    "a URI of 8 million signs": lambda: json.dumps(event(producer="%" * 8_000_000)).encode(),
    "a tag list of numbers": lambda: _run_facets(
        b'{"tags":{"_producer":"a:b","_schemaURL":"a:b","tags":' + _array(b"1") + b"}}"
    ),
    "white space": lambda: b" " * MAX_BYTES,
    "cut off": lambda: _inputs(b"[" + b",".join([WRONG] * 60_000) + b"]")[:-1],
}  # fmt: skip


def per_byte(value: bytes, times: int = 1) -> float:
    """CPU seconds a byte, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(times):
            judge(value)
        best = min(best, time.process_time() - started)
    return best / times / len(value)


def peak_mib() -> float:
    """The most memory this program had; `ru_maxrss` begins with that of the process that forked it."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) / 1024


def measure(name: str, path: Path, pipe: Connection) -> None:
    """One case in this process: what it costs, and what a valid event costs just before and after."""
    usual = valid()
    for warm in (usual, usual.replace(b"COMPLETE", b"FINISHED"), usual[:-1]):
        judge(warm)
    value = path.read_bytes()
    before = peak_mib()
    found = judge(value)
    memory = peak_mib() - before
    around = [per_byte(usual, 300)]
    cost = per_byte(value)
    around.append(per_byte(usual, 300))
    pipe.send({
        "case": name,
        "verdict": found.verdict,
        "code": found.reasons[0].code if found.reasons else "",
        "mb": round(len(value) / 1e6, 1),
        "mb_per_second": round(1e-6 / cost),
        "ratio": round(cost / max(around), 2),
        "memory_mib": round(memory),
    })  # fmt: skip


def rows(names: list[str]) -> list[dict]:
    context = multiprocessing.get_context("spawn")
    found = []
    with tempfile.TemporaryDirectory() as directory:
        for name in names:
            path = Path(directory) / "value"
            path.write_bytes(CASES[name]())  # made here: what that takes would hide what judging takes
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=measure, args=(name, path, theirs))
            process.start()
            theirs.close()
            found.append(ours.recv())
            process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("cases", nargs="*", help="their names; default: all")
    given = parser.parse_args()
    found = rows(given.cases or list(CASES))
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'case':34} {'MB':>5} {'MB/s':>6} {'ratio':>6} {'MiB':>5}  verdict")
    for row in found:
        print(
            f"{row['case']:34} {row['mb']:5} {row['mb_per_second']:6} {row['ratio']:6} {row['memory_mib']:5}"
            f"  {row['verdict']} {row['code']}"
        )
    print(
        f"the dearest costs {max(row['ratio'] for row in found)} times what a valid event costs a byte, "
        f"the largest takes {max(row['memory_mib'] for row in found)} MiB"
    )


if __name__ == "__main__":
    main()
