"""A seeded fuzz: events mutated by structure, bytes blindly, segments with their digests made right again.

    python tests/security/fuzzing.py TARGET SEED SECONDS

runs one target for so long and prints how often; any seed runs the same inputs again.
"""

import contextlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from modeltrail_collector import answers
from modeltrail_collector.errors import ConfigError, LogFormatError, NotFound, NotVerified
from modeltrail_collector.intake import files
from modeltrail_collector.judge import Code, judge
from modeltrail_collector.log import Batch, digest, open_log
from modeltrail_collector.log import segment as segments
from modeltrail_collector.model import Entry, Header, LogPartition, Reason, Record
from modeltrail_collector.pump.builder import entry
from modeltrail_collector.tables import compact
from modeltrail_collector.tables.flatten import entries_batch, flatten, rejected

REAL = Path(__file__).parents[1] / "data" / "real-events"
PARTITION = LogPartition("fuzz", "id", 0)
SLOWEST_S = 20.0
ODD_TEXTS = (
    "", " ", "\0", "\ud800", "\U0001f600", "é", "'", '"', "\\", "a/b", "..", "$ref", "\x1b[2J", "x" * 3000,
    "NaN", "0", "null", "true", "1e400", "2026-13-45T99:99:99Z", "9999-12-31T23:59:59.999999999+23:59",
    "0001-01-01T00:00:00Z", "00000000-0000-7000-8000-000000000000", "ffffffff-ffff-7fff-bfff-ffffffffffff",
    "2026-01-01T00:00:00", "https://openlineage.io/x#/$defs/RunEvent", "#/$defs/DatasetEvent", "/JobEvent",
    "START", "COMPLETE", "FAIL", "OTHER", "model", "1970-01-01T00:00:00Z", "-1", "sha256", "observed",
)  # fmt: skip
ODD_KEYS = ("", "_deleted", "_producer", "facets", "inputs", "seq", "name", "value", "runId", "é", "\ud800",
            "a.b", "lineage", "modelTrail_metricSeries", "version", "symlinks", "parent",
            "jobType")  # fmt: skip
ODD_NUMBERS = (
    0,
    -1,
    1,
    2**31,
    2**53,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**30,
    0.1,
    1e308,
    -1e308,
    5e-324,
)


def real_events() -> list[dict]:
    """Events of the known producers, and our own facets' examples in events."""
    lines = [line for path in sorted(REAL.glob("*.ndjson")) for line in path.read_bytes().splitlines()]
    return [json.loads(line) for line in lines if line.strip()] + _ours()


def _ours() -> list[dict]:
    import modeltrail_schemas

    places = {"run": ("run", "facets"), "dataset": ("facets",), "input_dataset": ("inputFacets",),
              "output_dataset": ("outputFacets",)}  # fmt: skip
    found = []
    for number, spec in enumerate(modeltrail_schemas.FACETS):
        for example in modeltrail_schemas.examples(spec.key):
            dataset = {"namespace": "file", "name": f"models/m{number}.joblib"}
            event = {
                "eventType": "COMPLETE",
                "eventTime": "2026-01-01T00:00:00Z",
                "producer": "https://a.example/b",
                "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
                "run": {"runId": f"0194c5a0-0000-7000-8000-{number:012}", "facets": {}},
                "job": {"namespace": "n", "name": f"j{number}"},
                "inputs": [dict(dataset)],
                "outputs": [dict(dataset)],
            }
            holder = event["run"] if spec.entity == "run" else event[
                "inputs" if spec.entity == "input_dataset" else "outputs"
            ][0]  # fmt: skip
            holder[places[spec.entity][-1]] = {spec.key: example.facet}
            found.append(event)
    return found


def odd(chance: random.Random, depth: int = 0) -> object:
    match chance.randrange(7 if depth < 3 else 5):
        case 0:
            return chance.choice(ODD_TEXTS)
        case 1:
            return chance.choice(ODD_NUMBERS)
        case 2:
            return chance.choice((None, True, False))
        case 3:
            return []
        case 4:
            return {}
        case 5:
            return [odd(chance, depth + 1) for _ in range(chance.randrange(4))]
        case _:
            return {chance.choice(ODD_KEYS): odd(chance, depth + 1) for _ in range(chance.randrange(4))}


def mutate(value: object, chance: random.Random) -> object:
    """The value with something in it replaced, removed, doubled, added or taken from elsewhere."""
    holders: list[dict | list] = []
    stack = [value]
    while stack:
        found = stack.pop()
        if isinstance(found, dict | list) and found:
            holders.append(found)
            stack += found.values() if isinstance(found, dict) else found
    if not holders:
        return odd(chance)
    holder = chance.choice(holders)
    key = chance.choice(list(holder)) if isinstance(holder, dict) else chance.randrange(len(holder))
    match chance.randrange(6):
        case 0 | 1:
            holder[key] = odd(chance)
        case 2:
            del holder[key]
        case 3:
            other = chance.choice(holders)
            holder[key] = json.loads(json.dumps(other))
        case 4 if isinstance(holder, dict):
            holder[chance.choice(ODD_KEYS)] = odd(chance)
        case 5 if isinstance(holder, dict):
            holder[chance.choice(ODD_KEYS)] = holder.pop(key)
        case _:
            if isinstance(holder, list):
                holder += [odd(chance)] * chance.choice((1, 3))
    return value


def encoded(value: object, chance: random.Random) -> bytes:
    """JSON as producers write it: escaped or not, and at times with what is no JSON."""
    if chance.random() < 0.5:
        return json.dumps(value).encode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")


def mutated_bytes(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        if not changed:
            return bytes(chance.randbytes(chance.randrange(64)))
        at = chance.randrange(len(changed))
        match chance.randrange(5):
            case 0:
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                del changed[at : at + chance.choice((1, 4, 64, len(changed)))]
            case 2:
                changed[at:at] = chance.randbytes(chance.choice((1, 4, 9)))
            case 3:
                changed[at:at] = changed[chance.randrange(len(changed)) :][: chance.choice((1, 16, 256))]
            case _:
                changed[at : at + 1] = chance.choice(
                    (b"\xff" * 9 + b"\x01", b"\x80\x80\x80\x80\x08", b"\0", b'"', b"{")
                )
    return bytes(changed)


class Fuzz:
    """What all targets share: the chance, the corpus, how many were tried."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.corpus = [json.dumps(event) for event in real_events()]
        self.tried = 0
        self.kept = 0

    def value(self) -> bytes:
        chance = self.chance
        if chance.random() < 0.1:
            return mutated_bytes(chance.choice(self.corpus).encode(), chance)
        event = json.loads(chance.choice(self.corpus))
        for _ in range(chance.choice((1, 1, 2, 3, 8))):
            event = mutate(event, chance)
        return encoded(event, chance)

    def entry(self, offset: int, value: bytes) -> Entry:
        started = time.process_time()
        verdict = judge(value)
        assert time.process_time() - started < SLOWEST_S, value[:500]
        codes = [reason.code for reason in verdict.reasons]
        assert Code.UNJUDGED not in codes, (verdict, value)
        assert (verdict.verdict == "accepted") == (not codes), (verdict, value)
        self.tried += 1
        self.kept += verdict.verdict != "rejected"
        return entry(Record("fuzz", 0, offset, None, 1, None, (), value), verdict, 1_700_000_000_000)


def fuzz_judge(fuzz: Fuzz, _: Path) -> None:
    """The judge: a verdict for whatever bytes, which the log can hold and the tables take apart."""
    entries = [fuzz.entry(offset, fuzz.value()) for offset in range(100)]
    segment, data = segments.encode(PARTITION, Batch(0, 100, entries), "0" * 64)
    assert entries == list(segments.entries(segment, data))
    batch = entries_batch(PARTITION, entries)
    assert flatten(batch).num_rows + len({row["offset"] for row in rejected(batch).to_pylist()}) == 100


def fuzz_tables(fuzz: Fuzz, directory: Path) -> None:
    """Compaction and every question: neither may die of an event that was kept."""
    log = open_log(directory)
    for _ in range(3):
        start = log.end(PARTITION)
        kept: list[Entry] = []
        while len(kept) < 150:
            found = fuzz.entry(start + len(kept), fuzz.value())
            if found.verdict != "rejected" or fuzz.chance.random() < 0.1:
                kept.append(found)
        log.append(PARTITION, Batch(start, start + len(kept), kept))
        compact(log)
    answers.runs(log)
    answers.rejected_list(log)
    for model in answers.models(log)[:20]:
        for ask, name in (
            (answers.show, f"{model['name']}@{model['version']}"),
            (answers.trace, model["name"]),
        ):
            with contextlib.suppress(NotFound, ConfigError):  # two may have the name, or none any more
                ask(log, name)


def _a_segment(chance: random.Random) -> bytes:
    entries = [
        Entry("fuzz", 0, offset, "f:1", 1, 1, b"k", (Header("h", None),), b"{}" * chance.randrange(90),
              "warned", (Reason("format", "$", "m"),), "run", "START", None, "r", "n", "j",
              sha256(b"").hexdigest())
        for offset in range(chance.choice((0, 1, 5)))
    ]  # fmt: skip
    return segments.encode(PARTITION, Batch(0, 5, entries), "0" * 64)[1]


def fuzz_segment(fuzz: Fuzz, _: Path) -> None:
    """The segment reader: foreign bytes, with a digest that is right again, end in one of its own errors."""
    whole = _a_segment(fuzz.chance)
    for _ in range(100):
        data = mutated_bytes(whole, fuzz.chance)
        if fuzz.chance.random() < 0.7:
            data = with_digest(data)
        fuzz.tried += 1
        started = time.process_time()
        try:
            segment = segments.read_header(segments.name_of(PARTITION, 0), data)
            segments.check_digest(segment, data)
            list(segments.entries(segment, data))
            fuzz.kept += 1
        except (NotVerified, LogFormatError, EOFError):
            pass
        assert time.process_time() - started < SLOWEST_S


def with_digest(data: bytes) -> bytes:
    """The file with the digest that it would need."""
    mark = digest.KEY.encode() + b"\x80\x01"
    at = data.find(mark) + len(mark)
    if at < len(mark) or len(data) < at + 64:
        return data
    zeroed = data[:at] + b"0" * 64 + data[at + 64 :]
    return data[:at] + sha256(zeroed).hexdigest().encode() + data[at + 64 :]


def fuzz_files(fuzz: Fuzz, directory: Path) -> None:
    """The file intake: whatever bytes, under whatever progress, it yields lines or nothing."""
    path = directory / "f.ndjson"
    for _ in range(50):
        lines = [fuzz.value() for _ in range(fuzz.chance.randrange(4))]
        content = b"\n".join(lines) + fuzz.chance.choice((b"", b"\n", b"\r\n", b"\n\n"))
        if fuzz.chance.random() < 0.5:
            content = mutated_bytes(content, fuzz.chance)
        path.write_bytes(content)
        first = content.partition(b"\n")[0] + b"\n"
        name = fuzz.chance.choice(("f.ndjson", "f.json"))
        progress = {
            (name, sha256(first).hexdigest()): fuzz.chance.choice((0, 1, len(content), len(content) + 9))
        }
        for found in files.unsealed(path, name, progress):
            assert found.progress.next_byte <= len(content)
            assert b"\n" not in found.value or name == "f.json"
            fuzz.kept += 1
        fuzz.tried += 1


TARGETS: dict[str, Callable[[Fuzz, Path], None]] = {
    "judge": fuzz_judge,
    "segment": fuzz_segment,
    "tables": fuzz_tables,
    "files": fuzz_files,
}


def run(target: str, seed: int, *, rounds: int = 0, seconds: float = 0.0) -> Fuzz:
    """So many rounds, or so long; each round has its own seed, so that a failure names a short way to it."""
    total = Fuzz(seed)
    ends = time.monotonic() + seconds
    number = 0
    while number < rounds or time.monotonic() < ends:
        fuzz = Fuzz(seed + number)
        with tempfile.TemporaryDirectory() as directory:
            try:
                TARGETS[target](fuzz, Path(directory))
            except BaseException as error:
                error.add_note(f"again by: python tests/security/fuzzing.py {target} {seed + number} 0")
                raise
        total.tried, total.kept, number = total.tried + fuzz.tried, total.kept + fuzz.kept, number + 1
    return total


if __name__ == "__main__":
    name, given, lasting = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    done = run(name, given, rounds=1, seconds=lasting)
    print(f"{name}: {done.tried} inputs tried, {done.kept} kept, no crash")
