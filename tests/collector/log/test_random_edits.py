"""Random edits of random logs: none goes unnoticed, neither by `verify` nor by whoever reads on.

`EDITS` of them in `make test`, 20,000 and more in `make faults`; the seed is printed, and `MODELTRAIL_SEED`
makes the same ones again.
"""

import hashlib
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec
import pytest
from logs import forged

from modeltrail_collector.errors import CollectorError, LogFormatError
from modeltrail_collector.log import Batch, Gap, Log, maintain, rollup, verify
from modeltrail_collector.log import segment as segments
from modeltrail_collector.log.heads import PartitionHead
from modeltrail_collector.model import Entry, FileProgress, Header, LogPartition, Reason
from modeltrail_collector.testing import MemoryStore

EDITS = 1_000
MANY_EDITS = 20_000
EDITS_PER_LOG = 50
DAY_MS = 86_400_000


@dataclass
class World:
    """A sound log, another one of the same chains with other records, and a copy that is edited."""

    chance: random.Random
    before: dict[str, bytes]
    heads: list[PartitionHead]
    other: dict[str, bytes]
    contents: dict[str, bytes] = field(default_factory=dict)

    def pick(self) -> str:
        return self.chance.choice(sorted(self.contents))

    def chain(self, name: str) -> list[str]:
        folder = name.rpartition("/")[0]
        return sorted(each for each in self.contents if each.startswith(f"{folder}/"))


def entry(partition: LogPartition, offset: int, chance: random.Random) -> Entry:
    value = chance.choice((None, b"", b'{"eventType": "START"}', chance.randbytes(chance.randint(1, 90))))
    return Entry(
        *(partition.topic, partition.partition, offset, None, 1_700_000_000_000, 1_700_000_000_001),
        key=chance.choice((None, b"run:a/b")),
        headers=chance.choice(((), (Header("a", None), Header("b", b"\xff")))),
        value=value,
        verdict=chance.choice(("accepted", "rejected")),
        reasons=chance.choice(((), (Reason("type", "$.run", "no run"),))),
        event_kind="run",
        event_type="START",
        event_time=None,
        run_id=chance.choice(("r", "s")),
        job_namespace="a",
        job_name="b",
        sha256=hashlib.sha256(value or b"").hexdigest(),
    )


def grow(log: Log, partitions: list[LogPartition], chance: random.Random) -> None:
    """Segments of 0 to 9 records, two or three a day, some with holes, gaps and progress in files."""
    for partition in partitions:
        for number in range(chance.randint(2, 5)):
            log.wall = lambda day=number * 2 // 5: (20_000 + day) * DAY_MS
            start = log.end(partition)
            end = start + chance.randint(1, 9)
            entries = [entry(partition, n, chance) for n in range(start, end) if chance.random() < 0.8]
            gaps = (Gap(start, end, "retention"),) if not entries else ()
            files = (FileProgress("a.ndjson", "ab" * 32, end),) if chance.random() < 0.2 else ()
            log.append(partition, Batch(start, end, entries, files, gaps, "judge/1"))


def world(seed: str) -> World:
    chance = random.Random(seed)
    ids = [f"6f2f3f4e-0000-4000-8000-00000000000{n}" for n in range(2)]
    partitions = [
        LogPartition("events", chance.choice(ids), number) for number in range(chance.randint(1, 3))
    ]
    logs = Log(MemoryStore()), Log(MemoryStore())
    for log in logs:
        grow(log, partitions, chance)
    if chance.random() < 0.5:
        roll_up(logs[0], chance)
    if chance.random() < 0.3:
        maintain(Log(logs[0].store, lambda: 20_003 * DAY_MS), keep=timedelta(days=chance.randint(1, 2)))
    if chance.random() < 0.5:
        repair(logs[0], chance)
    sound, other = (log.store.contents for log in logs)
    report = verify(Log(logs[0].store))
    assert report.ok, report.problems
    return World(chance, sound, report.heads(), other)


def roll_up(log: Log, chance: random.Random) -> None:
    """What maintenance leaves; sometimes it died before all stubs were in their places."""
    before = dict(log.store.contents)
    with log.store.lease("raw") as lease:
        for partition in log.partitions():
            rollup.RollUp(Log(log.store), partition, lease, lambda _: None).run()
    stubs = [name for name in before if before[name] != log.store.contents[name]]
    if chance.random() < 0.3:
        last = chance.randint(0, len(stubs))
        log.store.contents |= {name: before[name] for name in sorted(stubs)[last:]}


def repair(log: Log, chance: random.Random) -> None:
    """One segment was collected again."""
    name = chance.choice(sorted(name for name in log.store.contents if name.startswith("raw/")))
    old = Log(log.store).header(name)
    if not (old.rolled_into or old.removed):
        entries = [msgspec.structs.replace(entry, ingested_at_ms=7) for entry in log.read(old)]
        log.store.contents[name] = sealed_as_repair(old, entries)


def sealed_as_repair(old: segments.Segment, entries: list[Entry]) -> bytes:
    batch = Batch(old.first_offset, old.next_offset, entries, old.files, old.gaps, old.judge_id)
    told = segments.Repair("a test", old.sha256)
    return segments.encode(old.partition, batch, old.chain_start, repair=told, chain_end=old.chain_end)[1]


def flip(world: World, name: str, limit: int | None = None) -> None:
    data = bytearray(world.contents[name])
    data[world.chance.randrange(min(limit or len(data), len(data)))] ^= 1 << world.chance.randrange(8)
    world.contents[name] = bytes(data)


def bit(world: World) -> None:
    flip(world, world.pick())


def header_bit(world: World) -> None:
    flip(world, world.pick(), 1200)


def splice(world: World, make: Callable[[bytes], bytes]) -> None:
    """Something else in the place of some bytes."""
    name = world.pick()
    data = world.contents[name]
    at = world.chance.randrange(len(data))
    end = at + world.chance.choice((0, 1, 8, 64, 600))
    world.contents[name] = data[:at] + make(data[at:end]) + data[end:]


def zero(world: World) -> None:
    splice(world, lambda old: bytes(len(old)))


def remove_bytes(world: World) -> None:
    splice(world, lambda _: b"")


def double_bytes(world: World) -> None:
    splice(world, lambda old: old * 2)


def random_bytes(world: World) -> None:
    splice(world, lambda old: world.chance.randbytes(len(old)))


def insert(world: World) -> None:
    splice(world, lambda old: world.chance.randbytes(world.chance.randint(1, 9)) + old)


def cut(world: World) -> None:
    name = world.pick()
    world.contents[name] = world.contents[name][: world.chance.randrange(len(world.contents[name]))]


def append(world: World) -> None:
    tail = world.chance.choice((b"\0", bytes(4096), world.contents[world.pick()]))
    world.contents[world.pick()] += tail


def exchange(world: World) -> None:
    one, two = world.pick(), world.pick()
    world.contents[one], world.contents[two] = world.contents[two], world.contents[one]


def copy_over(world: World) -> None:
    world.contents[world.pick()] = world.contents[world.pick()]


def delete(world: World) -> None:
    del world.contents[world.pick()]


def delete_end(world: World) -> None:
    chain = world.chain(world.pick())
    for name in chain[world.chance.randrange(len(chain)) :]:
        del world.contents[name]


def rename(world: World) -> None:
    name = world.pick()
    to = f"{name.rpartition('/')[0]}/{world.chance.randrange(60):020}.avro"
    world.contents[to] = world.contents.pop(name)


def duplicate(world: World) -> None:
    name = world.pick()
    world.contents[f"{name.rpartition('/')[0]}/{world.chance.randrange(60):020}.avro"] = world.contents[name]


def exchange_partitions(world: World) -> None:
    one = world.pick().rpartition("/")[0]
    top = one.partition("/")[0]
    two = world.chance.choice([name for name in sorted(world.contents) if name.startswith(f"{top}/")])
    two = two.rpartition("/")[0]
    swapped = {one: two, two: one}
    moved = {
        f"{swapped.get(name.rpartition('/')[0], name.rpartition('/')[0])}/{name.rpartition('/')[2]}": data
        for name, data in world.contents.items()
    }
    world.contents = moved


def replay(world: World) -> None:
    """A segment that was sealed for the same chain at another time, by another writer."""
    name = world.chance.choice(sorted(world.other))
    world.contents[name] = world.other[name]


def replace_end(world: World) -> None:
    """From some record on another history of the same chain: perfect in itself, only a head tells."""
    chain = world.chain(world.pick())
    start = world.chance.randrange(len(chain))
    log = Log(MemoryStore())
    log.store.contents = {name: data for name, data in world.contents.items() if name not in chain[start:]}
    partition = Log(whole(world.before)).header(chain[0]).partition
    grow(log, [partition], world.chance)
    world.contents = log.store.contents


def forge(world: World) -> None:
    """A segment made by our own code, with a right digest, from changed records."""
    name = world.pick()
    log = Log(whole(world.contents))
    old = log.header(name)
    entries = list(log.read(old))
    if len(entries) < 2:
        return
    at = world.chance.randrange(len(entries) - 1)
    kind = world.chance.randrange(5)
    if kind == 0:
        entries[at] = msgspec.structs.replace(entries[at], verdict="warned")
    elif kind == 1:
        del entries[at]
    elif kind == 2:
        offsets = entries[at].offset, entries[at + 1].offset
        entries[at : at + 2] = [
            msgspec.structs.replace(entries[at + 1], offset=offsets[0]),
            msgspec.structs.replace(entries[at], offset=offsets[1]),
        ]
    elif kind == 3:  # the chain is over the digest of the value, so nothing but the value tells
        entries[at] = msgspec.structs.replace(entries[at], value=world.chance.randbytes(9))
    else:
        value = world.chance.randbytes(9)
        digest = hashlib.sha256(value).hexdigest()
        entries[at] = msgspec.structs.replace(entries[at], value=value, sha256=digest)
    batch = Batch(old.first_offset, old.next_offset, entries, old.files, old.gaps, old.judge_id)
    sealed = segments.encode(old.partition, batch, old.chain_start)[1]
    world.contents[name] = world.chance.choice((sealed, forged(old, batch)))


def forge_repair(world: World) -> None:
    """An edit that calls itself a repair: verify says where, and a head refuses it."""
    name = world.pick()
    log = Log(whole(world.contents))
    old = log.header(name)
    entries = list(log.read(old))
    if entries and not old.rolled_into:
        at = world.chance.randrange(len(entries))
        entries[at] = msgspec.structs.replace(entries[at], job_name="forged")
        world.contents[name] = sealed_as_repair(old, entries)


KINDS: tuple[Callable[[World], None], ...] = (
    *(
        bit,
        header_bit,
        zero,
        remove_bytes,
        double_bytes,
        random_bytes,
        insert,
        cut,
        append,
        exchange,
        copy_over,
    ),
    *(delete, delete_end, rename, duplicate, exchange_partitions, replay, replace_end, forge, forge_repair),
)
# The log alone cannot know of these: they leave a shorter chain, or another that is as good.
NEED_A_HEAD = {
    "delete",
    "delete_end",
    "replace_end",
    "rename",
    "replay",
    "forge",
    "exchange",
    "copy_over",
    "forge_repair",
}


def whole(contents: dict[str, bytes]) -> MemoryStore:
    store = MemoryStore()
    store.contents = dict(contents)
    return store


def edits(seed: int) -> Iterator[tuple[str, World]]:
    """Edited logs without end: `world.contents`; one edit in ten is of two kinds at once."""
    for number in itertools.count():
        base = world(f"{seed} {number}")
        for _ in range(EDITS_PER_LOG):
            base.contents = dict(base.before)
            kinds = base.chance.sample(KINDS, 1 if base.chance.random() < 0.9 else 2)
            try:
                for kind in kinds:
                    kind(base)
            except (CollectorError, FileNotFoundError, IndexError, ValueError):
                continue  # the second had nothing left to work on
            if base.contents != base.before:
                yield " and ".join(kind.__name__ for kind in kinds), base


def read_everything(log: Log) -> None:
    for partition in log.partitions():
        for segment in log.segments(partition):
            list(log.read(segment))


def is_read_without_an_error(log: Log) -> bool:
    try:
        read_everything(log)
    except CollectorError:
        return False
    return True


def is_sound(log: Log) -> bool:
    """Whether nothing is found without a head; an edit may make a file look as if of a newer version."""
    try:
        return verify(log).ok
    except LogFormatError:
        return False


def has_the_same_records(log: Log, edited: World) -> bool:
    """The same records in other files up to the heads (as when two equal ones change places) are no edit."""
    before = Log(whole(edited.before))
    for head in edited.heads:
        partition = LogPartition(head.topic, head.topic_id, head.partition)
        now, then = (
            [
                entry
                for segment in some.segments(partition)
                for entry in some.read(segment)
                if entry.offset < head.next_offset
            ]
            for some in (log, before)
        )
        if now != then:
            return False
    return True


def check(seed: int, count: int) -> str:
    """Make so many edits; the line that says how many were noticed, and by what."""
    began = time.monotonic()
    by = Counter()
    for what, edited in edits(seed):
        if by.total() - by["harmless"] == count:
            break
        log = Log(whole(edited.contents))
        if not is_sound(log):
            by["alone"] += 1
        elif not verify(log, edited.heads).ok:
            by["head"] += 1
            assert NEED_A_HEAD & set(what.split(" and ")), f"seed {seed}: {what} is found only with a head"
        elif has_the_same_records(log, edited):
            by["harmless"] += 1
        else:
            by["undetected"] += 1
            print(f"undetected, seed {seed}: {what}")
        if is_read_without_an_error(log):
            # Of what verify finds alone reading misses a forged value, and what no record is read from.
            only_by_head = NEED_A_HEAD & set(what.split(" and "))
            good = is_sound(log) or only_by_head or has_the_same_records(log, edited)
            assert good, f"seed {seed}: {what} is read as if whole"
    return (
        f"seed {seed}: {by.total() - by['harmless']:,} edits, {by['alone']:,} found by the log alone, "
        f"{by['head']:,} with a head, "
        f"{by['undetected']} undetected; {time.monotonic() - began:.0f} s"
    )


def seed() -> int:
    return int(os.environ.get("MODELTRAIL_SEED") or random.SystemRandom().randrange(10**6))


@pytest.fixture(autouse=True)
def small_rollups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also short logs are rolled up."""
    monkeypatch.setattr(rollup, "FEW", 2)


def test_no_random_edit_goes_unnoticed() -> None:
    """Of 1,000 random edits each is found by verify, with a head where only that can tell."""
    line = check(seed(), EDITS)
    print(line)
    assert " 0 undetected" in line


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_edit_of_many_goes_unnoticed(capsys: pytest.CaptureFixture[str]) -> None:
    """The same of 20,000 edits; the line with the seed is printed."""
    line = check(seed(), MANY_EDITS)
    with capsys.disabled():
        print(f"\nrandom edits: {line}")
    assert " 0 undetected" in line
