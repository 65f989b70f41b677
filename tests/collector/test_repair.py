"""Repair: what is damaged is collected again from the topic, wherever it is in the chain, and says so."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from modeltrail_collector.log import Batch, Gap, Log, open_log, verify
from modeltrail_collector.log import segment as segments
from modeltrail_collector.log.rollup import RollUp
from modeltrail_collector.model import LOCAL, Entry, LogPartition
from modeltrail_collector.pump import Limits, Pump, seal_files
from modeltrail_collector.pump.recollect import Recollector
from modeltrail_collector.pump.repair import Outcome, repair
from modeltrail_collector.testing import MemorySource, MemoryStore, MemoryTopic

EVENT = b'{"eventType": "START", "run": {"runId": "%d"}}'
SMALL = Limits(rows=4)
Spoil = Callable[[Log, str], None]


@pytest.fixture
def topic() -> MemoryTopic:
    """One partition: 40 records, with a hole."""
    topic = MemoryTopic()
    for number in range(40):
        if number == 21:
            topic.add_hole(0, 2)
        topic.append(0, EVENT % number)
    return topic


def collect(log: Log, topic: MemoryTopic) -> None:
    source = MemorySource(topic, max_records=4)
    pump = Pump(source, log, until_end=True, limits=SMALL)
    while not pump.done:
        pump.turn()
    source.close()


@pytest.fixture
def log(topic: MemoryTopic) -> Log:
    """What was collected of it, in segments of four."""
    log = Log(MemoryStore())
    collect(log, topic)
    return log


def mend(log: Log, topic: MemoryTopic, **options: bool) -> list[Outcome]:
    recollector = Recollector(lambda _: MemorySource(topic, max_records=4), limits=Limits(rows=100))
    try:
        return list(repair(Log(log.store), recollector, log.partitions(), **options))
    finally:
        recollector.close()


def records(log: Log) -> dict[LogPartition, list[tuple[object, ...]]]:
    """All that the records say but when they came."""
    fresh = Log(log.store)
    return {
        partition: [without_arrival(entry) for s in fresh.segments(partition) for entry in fresh.read(s)]
        for partition in fresh.partitions()
    }


def without_arrival(entry: Entry) -> tuple[object, ...]:
    return tuple(getattr(entry, name) for name in entry.__struct_fields__ if name != "ingested_at_ms")


def names(log: Log) -> list[str]:
    return sorted(name for name in log.store.contents if name.endswith(".avro"))


def flip(log: Log, name: str, at: int = -40) -> None:
    data = bytearray(log.store.contents[name])
    data[at] ^= 1
    log.store.contents[name] = bytes(data)


@pytest.mark.parametrize("places", [[0], [5], [-1], [3, 4, 5], [0, -1], [2, 7]])
@pytest.mark.parametrize("how", ["flip", "header", "torn", "empty", "delete", "swap"])
def test_what_is_damaged_is_collected_again(
    log: Log, topic: MemoryTopic, places: list[int], how: str
) -> None:
    """Flipped, torn, emptied, deleted or exchanged segments anywhere: afterwards all records are there."""
    before, kept = records(log), dict(log.store.contents)
    chosen = [names(log)[place] for place in places]
    for name in chosen:
        if how == "flip":
            flip(log, name)
        elif how == "header":
            flip(log, name, 40)
        elif how == "torn":
            log.store.contents[name] = kept[name][:-30]
        elif how == "empty":
            log.store.contents[name] = b""
        elif how == "delete":
            del log.store.contents[name]
        else:
            log.store.contents[name] = kept[names(log)[1]]
    damaged = {n: log.store.contents[n] for n in chosen if kept[n] != log.store.contents.get(n, kept[n])}
    if how == "delete" and places[-1] == -1:
        collect(log, topic)  # an end that is gone is no damage: it is collected again
    outcomes = mend(log, topic)
    assert all(outcome.outcome == "repaired" for outcome in outcomes)
    report = verify(Log(log.store))
    assert report.ok, report.problems
    assert before == records(log)
    assert set(names(log)) <= set(kept)
    evidence = {o.segment: log.store.contents[o.evidence] for o in outcomes if o.evidence}
    assert evidence == damaged
    assert [] == mend(log, topic)
    collect(log, topic)
    topic.append(0, EVENT % 99)
    collect(log, topic)
    assert verify(Log(log.store)).ok


def test_a_repair_is_named_for_ever(log: Log, topic: MemoryTopic) -> None:
    """Verify lists what was collected again; the segments behind it are as they were."""
    kept = dict(log.store.contents)
    name = names(log)[4]
    flip(log, name)
    (outcome,) = mend(log, topic)
    assert (16, 20, 4) == (outcome.first_offset, outcome.next_offset, outcome.records)
    found = verify(Log(log.store)).partitions[0]
    assert [(16, 20, "repaired")] == [(c.first_offset, c.next_offset, c.what) for c in found.repaired]
    header = Log(log.store).header(name)
    assert header.repair.replaces == hashlib.sha256(log.store.contents[outcome.evidence]).hexdigest()
    assert "SHA-256" in header.repair.problem
    assert (2, header.chain_end) == (header.format_version, Log(whole(kept)).header(name).chain_end)
    changed = {each for each, data in log.store.contents.items() if kept.get(each) != data}
    assert {name, outcome.evidence} == changed


def whole(contents: dict[str, bytes]) -> MemoryStore:
    store = MemoryStore()
    store.contents = dict(contents)
    return store


def test_no_edit_hides_as_a_repair(log: Log, topic: MemoryTopic) -> None:
    """Who holds a head sees every repair made since, and every change of one that the head lists."""
    heads = verify(log).heads()
    flip(log, names(log)[4])
    mend(log, topic)
    assert verify(Log(log.store)).ok
    problems = verify(Log(log.store), heads).problems
    assert ["offsets 16 to 19: repaired since"] == [p[p.index("offsets") :][:32] for p in problems]

    later = verify(Log(log.store)).heads()
    assert verify(Log(log.store), later).ok
    old = Log(log.store).header(names(log)[4])
    entries = list(Log(log.store).read(old))
    forged = msgspec.structs.replace(entries[0], verdict="warned")
    log.store.contents[old.name] = segments.encode(
        old.partition,
        Batch(old.first_offset, old.next_offset, [forged, *entries[1:]]),
        old.chain_start,
        repair=old.repair,
        chain_end=old.chain_end,
    )[1]
    assert verify(Log(log.store)).ok
    assert "repaired since" in verify(Log(log.store), later).problems[0]


def test_a_dry_run_changes_nothing(log: Log, topic: MemoryTopic) -> None:
    """--dry-run says what would be done, reading the topic, and writes nothing."""
    flip(log, names(log)[2])
    del log.store.contents[names(log)[6]]
    before = dict(log.store.contents)
    outcomes = mend(log, topic, dry_run=True)
    assert [("would be repaired", 4), ("would be repaired", 4)] == [(o.outcome, o.records) for o in outcomes]
    assert before == log.store.contents


def test_what_kafka_has_no_more_is_left_and_named(log: Log, topic: MemoryTopic) -> None:
    """Without --write-off damage that cannot be mended stays, with its offsets and what to do."""
    flip(log, names(log)[2])
    flip(log, names(log)[6])
    topic.remove_before(0, 10)
    before = log.store.contents[names(log)[2]]
    lost, mended = mend(log, topic)
    assert ("not repaired", [(8, 10)]) == (lost.outcome, [(g.first_offset, g.next_offset) for g in lost.lost])
    assert "offsets 8 to 9 any more" in lost.message
    assert "--write-off" in lost.message
    assert "repaired" == mended.outcome
    assert before == log.store.contents[names(log)[2]]
    assert not verify(Log(log.store)).ok

    (outcome,) = mend(log, topic, write_off=True)
    assert ("repaired", 2) == (outcome.outcome, outcome.records)
    header = Log(log.store).header(names(log)[2])
    assert (Gap(8, 10, "damaged"),) == header.gaps
    assert verify(Log(log.store)).ok
    assert [10, 11] == [row.offset for row in Log(log.store).read(header)]


def test_a_gap_of_the_damaged_segment_stays_one() -> None:
    """What Kafka had already removed when it was collected is not lost now: its reason stays."""
    topic = MemoryTopic()
    for number in range(12):
        topic.append(0, EVENT % number)
    topic.remove_before(0, 5)
    log = Log(MemoryStore())
    collect(log, topic)
    flip(log, names(log)[0])
    (outcome,) = mend(log, topic)
    assert ("repaired", ()) == (outcome.outcome, outcome.lost)
    assert (Gap(0, 5, "retention"),) == Log(log.store).header(names(log)[0]).gaps


def test_a_topic_that_was_made_again_has_nothing(log: Log, topic: MemoryTopic) -> None:
    """The same offsets of another incarnation of the topic never take the place of a damaged segment."""
    flip(log, names(log)[2])
    topic.recreate()
    for number in range(40):
        topic.append(0, b"other %d" % number)
    (outcome,) = mend(log, topic)
    assert "not repaired" == outcome.outcome
    assert "deleted and made again" in outcome.message


def test_records_of_files_are_not_in_kafka(topic: MemoryTopic, tmp_path: Path) -> None:
    """Damage of the local chain is named with what can be done; --write-off makes it a gap."""
    log = open_log(tmp_path / "lineage")
    file = tmp_path / "events.ndjson"
    for number in range(3):
        with file.open("ab") as opened:
            opened.write(EVENT % number + b"\n")
        seal_files(log, [str(file)])
    second = tmp_path / "lineage" / segments.name_of(LOCAL, 1)
    second.write_bytes(b"torn")
    (outcome,) = mend(open_log(tmp_path / "lineage"), topic)
    assert "not repaired" == outcome.outcome
    assert "from a backup" in outcome.message
    (outcome,) = mend(open_log(tmp_path / "lineage"), topic, write_off=True)
    assert ("repaired", (Gap(1, 2, "damaged"),)) == (outcome.outcome, outcome.lost)
    assert verify(open_log(tmp_path / "lineage")).ok
    assert 0 == seal_files(open_log(tmp_path / "lineage"), [str(file)]).records


@pytest.mark.parametrize("place", [0, 3, -2])
def test_an_exchanged_segment_is_found_by_its_neighbours(log: Log, topic: MemoryTopic, place: int) -> None:
    """A perfect segment with other records is the one that is replaced, not the sound ones beside it."""
    before = records(log)
    name = names(log)[place]
    old = log.header(name)
    entries = [msgspec.structs.replace(entry, verdict="warned") for entry in log.read(old)]
    batch = Batch(old.first_offset, old.next_offset, entries)
    log.store.contents[name] = segments.encode(old.partition, batch, old.chain_start)[1]
    (outcome,) = mend(log, topic)
    assert (name, "repaired") == (outcome.segment, outcome.outcome)
    assert before == records(log)


def test_a_stray_file_is_left_to_a_person(log: Log, topic: MemoryTopic) -> None:
    """A file within the range of a sound segment is named and never touched."""
    before = dict(log.store.contents)
    stray = names(log)[3].replace("12.avro", "13.avro")
    log.store.contents[stray] = log.store.contents[names(log)[3]]
    (outcome,) = mend(log, topic)
    assert (stray, "not repaired") == (outcome.segment, outcome.outcome)
    assert "by hand" in outcome.message
    assert before | {stray: log.store.contents[stray]} == log.store.contents


def test_a_large_range_becomes_several_segments(log: Log, topic: MemoryTopic) -> None:
    """A range that is too large for one segment is split, and the last piece joins what follows."""
    before = records(log)
    for name in names(log)[1:7]:
        del log.store.contents[name]
    recollector = Recollector(lambda _: MemorySource(topic, max_records=3), limits=Limits(rows=5))
    (outcome,) = repair(Log(log.store), recollector, log.partitions())
    lost = sum(
        row[2] in range(outcome.first_offset, outcome.next_offset) for row in before[log.partitions()[0]]
    )
    assert ("repaired", lost) == (outcome.outcome, outcome.records)
    assert verify(Log(log.store)).ok
    assert before == records(log)
    assert 3 < len(verify(Log(log.store)).partitions[0].repaired)


def test_a_collector_that_runs_on_fits_behind_a_repair(log: Log, topic: MemoryTopic) -> None:
    """The last segment is repaired under a collector that knows its links: what it seals next fits."""
    running = Log(log.store)
    assert 42 == running.end(log.partitions()[0])
    flip(log, names(log)[-1])
    mend(log, topic)
    topic.append(0, EVENT % 77)
    source = MemorySource(topic)
    running.append(
        log.partitions()[0],
        Batch(42, 43, [msgspec.structs.replace(next(log.read(log.header(names(log)[0]))), offset=42)]),
    )
    source.close()
    assert verify(Log(log.store)).ok


def test_random_damage_is_mended(log: Log, topic: MemoryTopic) -> None:
    """Of 150 logs with one to three damaged or missing segments each is whole again, and stays so."""
    before, kept = records(log), dict(log.store.contents)
    for seed in range(150):
        chance = random.Random(seed)
        log.store.contents = dict(kept)
        for name in chance.sample(names(log)[:-1], chance.randint(1, 3)):
            data = bytearray(kept[name])
            kind = chance.randrange(4)
            if kind == 0:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            elif kind == 1:
                del data[chance.randrange(len(data)) :]
            elif kind == 2:
                data[chance.randrange(len(data)) :] = b"?" * 50
            log.store.contents[name] = bytes(data)
            if kind == 3:
                del log.store.contents[name]
        outcomes = mend(log, topic)
        assert {"repaired"} == {outcome.outcome for outcome in outcomes}, f"seed {seed}: {outcomes}"
        report = verify(Log(log.store))
        assert report.ok, f"seed {seed}: {report.problems}"
        assert before == records(log), f"seed {seed}"
        assert [] == mend(log, topic), f"seed {seed}"


def roll_up(log: Log) -> None:
    fresh = Log(log.store)
    with log.store.lease("raw") as lease:
        RollUp(fresh, log.partitions()[0], lease, lambda _: None).run()
    assert verify(Log(log.store)).partitions[0].rolled_up


@pytest.mark.parametrize("how", ["flip", "delete"])
def test_a_damaged_rollup_is_collected_again(log: Log, topic: MemoryTopic, how: str) -> None:
    """The records of a bad or missing roll-up come back in the places of its stubs; it is set aside."""
    for number in range(20):
        topic.append(0, EVENT % number)
    collect(log, topic)
    before = records(log)
    roll_up(log)
    (name,) = (each for each in log.store.contents if each.startswith("rolled/"))
    if how == "flip":
        flip(log, name)
    else:
        del log.store.contents[name]
    outcomes = mend(log, topic)
    assert {"repaired"} == {outcome.outcome for outcome in outcomes}
    report = verify(Log(log.store))
    assert report.ok, report.problems
    assert before == records(log)
    assert name not in log.store.contents
    assert (how == "flip") == any(each.startswith(f"{name}.bad-") for each in log.store.contents)
    assert [] == mend(log, topic)
    with log.store.lease("raw") as lease:
        RollUp(Log(log.store), log.partitions()[0], lease, lambda _: None).run()
    assert verify(Log(log.store)).ok


@pytest.mark.parametrize("how", ["flip", "delete"])
def test_a_damaged_stub_is_made_again_without_kafka(log: Log, topic: MemoryTopic, how: str) -> None:
    """What a stub said stands in its roll-up too: it comes back to the byte, and nothing is repaired."""
    for number in range(20):
        topic.append(0, EVENT % number)
    collect(log, topic)
    roll_up(log)
    kept = dict(log.store.contents)
    topic.recreate()
    for name in names(log)[2:4]:
        if how == "flip":
            flip(log, name, -5)
        else:
            del log.store.contents[name]
    outcomes = mend(log, topic)
    assert ["repaired", "repaired"] == [outcome.outcome for outcome in outcomes]
    assert kept == {name: data for name, data in log.store.contents.items() if ".bad-" not in name}
    assert () == verify(Log(log.store)).partitions[0].repaired


def delete(log: Log, name: str) -> None:
    del log.store.contents[name]


@pytest.mark.parametrize("stub", [flip, delete])
@pytest.mark.parametrize("plain", [flip, delete])
def test_damage_up_to_a_rollup_whose_first_stub_is_damaged(
    log: Log, topic: MemoryTopic, plain: Spoil, stub: Spoil
) -> None:
    """What is collected again ends with the link that the roll-up goes on from, though its stub is bad."""
    places = names(log)[3:5]
    flip(log, places[0])
    mend(log, topic)  # what was repaired is rolled up with no other
    for number in range(40, 60):
        topic.append(0, EVENT % number)
    collect(log, topic)
    before = records(log)
    roll_up(log)
    for spoil, name in zip((plain, stub), places, strict=True):
        spoil(log, name)
    assert {"repaired"} == {outcome.outcome for outcome in mend(log, topic)}
    report = verify(Log(log.store))
    assert report.ok, report.problems
    assert before == records(log)
