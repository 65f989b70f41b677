"""`python -m benchmarks.hostile`: what hostile values cost the judge a byte, against a valid event.

Each kind of hostile value is made in five sizes. CPU time of the whole judge a byte, the best of some rounds,
over that of a valid event of the same size; and how much the process's peak memory grew beyond the value.
"""

import argparse
import json
import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from modeltrail_collector.judge import judge

_ROUNDS = 12
_ROUND = 0.005
BASE = {"_producer": "https://a.example/b", "_schemaURL": "https://a.example/c"}


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


SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_ROOM = len(json.dumps(event()))
_LARGE = 5_000_000


def valid(size: int) -> bytes:
    """A valid event of that size or a little smaller: a dataset of many columns, as known integrations send.

    They have one object or member in 14 bytes, denser than real events; in 22 where it would be too many.
    """
    more = {"description": "what it is measured in: EUR"} if size > _LARGE else {}
    room = len(json.dumps({"name": "column_00", "type": "double"} | more)) + 2
    names = (f"column_{number % 100:02}" for number in range((size - 520) // room))
    fields = [{"name": name, "type": "double"} | more for name in names]
    if not fields:
        return json.dumps(event()).encode()
    dataset = {"namespace": "n", "name": "d", "facets": {"schema": BASE | {"fields": fields}}}
    return json.dumps(event(inputs=[dataset])).encode()


def _with(part: bytes) -> bytes:
    """An event with a field `x` that nobody knows."""
    return json.dumps(event()).encode()[:-1] + b',"x":' + part + b"}"


def _run_facets(facets: bytes) -> bytes:
    return json.dumps(event()).encode().replace(b'"facets": {}', b'"facets": ' + facets, 1)


def _inputs(inputs: bytes) -> bytes:
    return json.dumps(event()).encode().replace(b'"inputs": []', b'"inputs": ' + inputs, 1)


def _broken(value: bytes) -> bytes:
    return value.replace(b"COMPLETE", b"FINISHED")


def _many(item: Callable[[int], bytes], size: int) -> bytes:
    """So many items, with commas between, as have room."""
    found, room, number = [], size, 0
    while room > 0:
        found.append(item(number))
        room -= len(found[-1]) + 1
        number += 1
    return b",".join(found)


def _array(item: bytes, last: bytes = b"") -> Callable[[int], bytes]:
    return lambda size: b"[" + b",".join([item] * max(1, size // (len(item) + 1))) + last + b"]"


def _object(item: Callable[[int], bytes], last: bytes = b"") -> Callable[[int], bytes]:
    return lambda size: b"{" + _many(item, size) + last + b"}"


def _text(item: bytes, last: bytes = b"") -> Callable[[int], bytes]:
    return lambda size: b'"' + item * (size // len(item)) + last + b'"'


def _unknown(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
    return lambda size: _with(make(size))


def _rejected(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """The same in an event that is rejected for its type."""
    return lambda size: _broken(_with(make(size)))


def _key(number: int) -> bytes:
    return b'"k%d":1' % number


def _key_of_one_hash(number: int) -> bytes:
    return b'"%b":1' % f"{number + (1 << 24):b}".replace("0", "Aa").replace("1", "BB").encode()


SOUND = b'{"_producer":"a:b","_schemaURL":"a:b"}'
BROKEN = b'{"_producer":"no uri","_schemaURL":"no uri"}'
WRONG = b'{"namespace":"n","name":"n","facets":{"f":{"_producer":"no uri","_schemaURL":"no uri"}}}'

# Each fills about so many bytes beside the few hundred of a small event.
REJECTED: dict[str, Callable[[int], bytes]] = {
    "arrays too deep": lambda size: b"[" * (size + _ROOM),
    "objects too deep": lambda size: b'{"a":' * ((size + _ROOM) // 5),
    "arrays 100 deep": _rejected(_array(b"[" * 100 + b"]" * 100)),
    "objects 100 deep": _rejected(_array(b'{"a":' * 100 + b"1" + b"}" * 100)),
    "many keys": _rejected(_object(_key)),
    "one key, often": _rejected(_object(lambda _: b'"a":1')),
    "keys of one hash": _rejected(_object(_key_of_one_hash)),
    "one huge number": _unknown(lambda size: b"9" * size),
    "numbers of 4,000 digits": _unknown(lambda size: _array(b"9" * min(size, 4_000))(size)),
    "numbers of 300 digits": _rejected(lambda size: _array(b"9" * min(size, 300))(size)),
    "numbers too large": _unknown(_array(b"1e999")),
    "NaN, often": _unknown(_array(b"NaN")),
    "ones, then NaN": _unknown(_array(b"1", b",NaN")),
    "keys, then NaN": _unknown(_object(_key, b',"z":NaN')),
    "ones": _rejected(_array(b"1")),
    "doubles": _rejected(_array(b"0.12345678901234567")),
    "NUL, bare": _unknown(_text(b"\0")),
    "NUL, escaped": _rejected(_text(rb"\u0000")),
    "halves of surrogate pairs": _unknown(_text(rb"\ud800")),
    "arrays of such": _unknown(_array(rb'"\ud800"')),
    "surrogate pairs": _rejected(_text(rb"\ud83d\ude00")),
    "no UTF-8": _unknown(_text(b"a", b"\xff")),
    "one wide character": _rejected(_text(b"a", "\U0001f600".encode())),
    "nothing but a type": lambda size: _broken(valid(size + _ROOM)),
    "empty arrays": _rejected(_array(b"[]")),
    "empty objects": _rejected(_array(b"{}")),
    "empty texts": _rejected(_array(b'""')),
    "inputs that are numbers": lambda size: _inputs(_array(b"1")(size)),
    "a long type": lambda size: json.dumps(event(eventType="A" * size)).encode(),
    "white space": lambda size: b" " * (size + _ROOM),
    "cut off": lambda size: _inputs(_array(WRONG)(size))[:-1],
}
# Kept, unless the judge is strict.
WARNED: dict[str, Callable[[int], bytes]] = {
    "a long time": lambda size: json.dumps(event(eventTime="2026-01-01T00:00:00." + "0" * size)).encode(),
    "a long URI": lambda size: json.dumps(event(producer="%" * size)).encode(),
    "empty facets": lambda size: _run_facets(_object(lambda number: b'"f%d":{}' % number)(size)),
    "broken formats": lambda size: _run_facets(_object(lambda number: b'"f%d":' % number + BROKEN)(size)),
    "one broken of many": lambda size: _run_facets(
        _object(lambda number: b'"f%d":' % number + SOUND, b',"z":' + BROKEN)(size)
    ),
    "broken datasets": lambda size: _inputs(_array(WRONG)(size)),
    "a tag list of numbers": lambda size: _run_facets(
        b'{"tags":{"_producer":"a:b","_schemaURL":"a:b","tags":' + _array(b"1")(size) + b"}}"
    ),
}
KINDS = REJECTED | WARNED


def seconds(values: tuple[bytes, bytes]) -> list[float]:
    """CPU seconds to judge each, the best of some rounds that take turns."""
    once = [_seconds(value, 1) for value in values]
    times = [max(1, min(200, int(_ROUND / cost))) for cost in once]
    rounds = max(3, min(_ROUNDS, int(_ROUNDS * _ROUND / max(once))))
    found = [
        [_seconds(value, often) for value, often in zip(values, times, strict=True)] for _ in range(rounds)
    ]
    return [min(costs) for costs in zip(*found, strict=True)]


def _seconds(value: bytes, times: int) -> float:
    started = time.process_time()
    for _ in range(times):
        judge(value)
    return (time.process_time() - started) / times


def peak_mib() -> float:
    """The most memory this program had; `ru_maxrss` begins with that of the process that forked it."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) / 1024


def measure(path: Path, pipe: Connection) -> None:
    """One value in this process: what it costs, and a valid event of its size in turn with it."""
    value = path.read_bytes()
    for warm in (valid(1_000), _broken(valid(1_000)), valid(1_000)[:-1]):
        judge(warm)
    before = peak_mib()
    found = judge(value)
    memory = peak_mib() - before
    peer = valid(len(value))  # made after the peak was looked at, which this would hide
    cost, peers = seconds((value, peer))
    pipe.send({
        "verdict": found.verdict,
        "code": found.reasons[0].code if found.reasons else "",
        "microseconds": round(1e6 * cost, 1),
        "ratio": round(cost / len(value) / (peers / len(peer)), 2),
        "memory_mib": round(memory),
    })  # fmt: skip


def rows(kinds: list[str], sizes: Sequence[int]) -> list[dict]:
    """One row for each kind and size; each has a process of its own."""
    context = multiprocessing.get_context("spawn")
    found = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "value"
        for kind in kinds:
            for size in sizes:
                path.write_bytes(
                    KINDS[kind](max(size - _ROOM, 1))
                )  # made here: its peak would hide the judge's
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=measure, args=(path, theirs))
                process.start()
                theirs.close()
                found.append({"case": kind, "bytes": size} | ours.recv())
                process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--size", type=int, action="append", help="bytes; default: 1 kB to 10 MB")
    parser.add_argument("kinds", nargs="*", help="default: all")
    given = parser.parse_args()
    found = rows(given.kinds or list(KINDS), given.size or SIZES)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'kind':26} {'bytes':>9} {'us':>9} {'ratio':>6} {'MiB':>4}  verdict")
    for row in found:
        print(
            f"{row['case']:26} {row['bytes']:9} {row['microseconds']:9} {row['ratio']:6}"
            f" {row['memory_mib']:4}  {row['verdict']} {row['code']}"
        )
    for kinds, verdict in ((REJECTED, "rejected"), (WARNED, "warned")):
        if ratios := [row["ratio"] for row in found if row["case"] in kinds]:
            print(f"{verdict}: at most {max(ratios)} times what a valid event of the same size costs")
    print(f"memory: at most {max(row['memory_mib'] for row in found)} MiB")


if __name__ == "__main__":
    main()
