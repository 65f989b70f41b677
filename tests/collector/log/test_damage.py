"""Whatever happens to the files of the log is noticed: by whoever reads them, and by `verify`."""

import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from logs import forged

from modeltrail_collector.errors import NotVerified
from modeltrail_collector.log import Batch, Log, open_log, verify
from modeltrail_collector.log import segment as segments
from modeltrail_collector.log.heads import PartitionHead
from modeltrail_collector.model import LOCAL, Header, LogPartition
from modeltrail_collector.tables import PUBLIC, compact, table_store
from modeltrail_collector.testing import MemoryStore


@pytest.fixture
def log(partition: LogPartition, batch: Callable[..., Batch]) -> Log:
    """Four segments in memory."""
    log = Log(MemoryStore())
    for start in range(0, 40, 10):
        log.append(partition, batch(start, start + 10))
    return log


def copy(log: Log) -> Log:
    store = MemoryStore()
    store.contents = dict(log.store.contents)
    return Log(store)


def read_everything(log: Log, partition: LogPartition) -> None:
    for segment in log.segments(partition):
        list(log.read(segment))


def test_every_cut_of_a_segment_is_noticed(partition: LogPartition, batch: Callable[..., Batch]) -> None:
    """A segment that ends early is refused at whichever byte it ends, also on a block's boundary."""
    log = Log(MemoryStore())
    name = log.append(partition, batch(0, 5)).name
    whole = log.store.contents[name]
    for length in range(len(whole)):
        log.store.contents[name] = whole[:length]
        with pytest.raises(NotVerified):
            read_everything(log, partition)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_no_flipped_bit_is_read_as_if_whole(log: Log, partition: LogPartition, place: int) -> None:
    """Of 200 flipped bits of the first, a middle or the last segment each is an error for whoever reads."""
    name = sorted(log.store.contents)[place]
    whole = log.store.contents[name]
    for at in random.Random(place).sample(range(len(whole) * 8), 200):
        log.store.contents[name] = flipped(whole, at)
        with pytest.raises(NotVerified):
            read_everything(copy(log), partition)


def flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def test_a_flipped_bit_of_the_format_is_damage_not_news(log: Log, partition: LogPartition) -> None:
    """A number of the format that no digest vouches for does not ask anybody to upgrade."""
    last = max(log.store.contents)
    data = log.store.contents[last]
    log.store.contents[last] = data.replace(b"modeltrail.format\x021", b"modeltrail.format\x029")
    with pytest.raises(NotVerified, match="SHA-256"):
        read_everything(copy(log), partition)
    assert not verify(copy(log)).ok
    assert 30 == copy(log).recover(partition).next_offset


def test_no_damage_reaches_the_tables(tmp_path: Path, make: type) -> None:
    """Of 30 flipped bits and 30 cuts of a segment each stops the compaction, and no table changes."""
    log = open_log(tmp_path)
    story = make.entries(make.story())
    log.append(LOCAL, Batch(0, 4, story[:4]))
    compact(log)
    before = rows_of_tables(log)
    path = tmp_path / log.append(LOCAL, Batch(4, len(story), story[4:])).name
    whole = path.read_bytes()
    chance = random.Random(1)
    damaged = [flipped(whole, at) for at in chance.sample(range(len(whole) * 8), 30)]
    damaged += [whole[:length] for length in chance.sample(range(len(whole)), 30)]
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(NotVerified):
            compact(open_log(tmp_path))
    assert before == rows_of_tables(log)
    path.write_bytes(whole)
    compact(open_log(tmp_path))
    assert before != rows_of_tables(log)


def rows_of_tables(log: Log) -> dict[str, list[object]]:
    return {
        name: sorted(table_store(log).open(name).to_pyarrow_table().to_pylist(), key=repr)
        for name in ("flat", "rejected", *PUBLIC)
    }


def test_the_error_names_the_place(log: Log, partition: LogPartition) -> None:
    """Of a damaged segment one learns topic, partition and offsets."""
    name = sorted(log.store.contents)[1]
    log.store.contents[name] = flipped(log.store.contents[name], -8)
    with pytest.raises(NotVerified, match=r"topic events, partition 0, offsets 10 to 19 .*SHA-256"):
        read_everything(copy(log), partition)


def test_verify_names_the_offsets_of_a_broken_header(log: Log, partition: LogPartition) -> None:
    """Also of segments whose headers cannot be read, verify says topic, partition and offsets, and once."""
    for name in sorted(log.store.contents)[1:3]:
        log.store.contents[name] = b"Obj?" + log.store.contents[name][4:]
    problems = verify(copy(log)).problems
    where = "topic events, partition 0, offsets"
    assert [f"{where} 10 to 19: ", f"{where} 20 to 29: "] == [text[: len(where) + 11] for text in problems]
    last = max(log.store.contents)
    log.store.contents[last] = b""
    assert "partition 0, offset 30 on: " in verify(copy(log)).problems[2]


FORGERIES = ("changed value", "removed record", "reordered", "foreign", "changed verdict", "changed headers")


def forge(batch: Callable[..., Batch], forgery: str) -> Batch:
    """The second segment's records with some of them changed."""
    entries = list(batch(10, 20).entries)
    replace = msgspec.structs.replace
    if forgery == "changed value":
        entries[3] = replace(entries[3], value=b"forged")
    elif forgery == "removed record":
        del entries[3]
    elif forgery == "reordered":
        entries[3], entries[4] = replace(entries[4], offset=13), replace(entries[3], offset=14)
    elif forgery == "foreign":
        entries = list(batch(10, 20, seed=2).entries)
    elif forgery == "changed verdict":
        entries[3] = replace(entries[3], verdict="warned")
    else:
        entries[3] = replace(entries[3], headers=(*entries[3].headers, Header("c", b"forged")))
    return Batch(10, 20, entries)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_segment_breaks_the_chain(
    log: Log, partition: LogPartition, batch: Callable[..., Batch], forgery: str
) -> None:
    """A segment that is rewritten with a right digest does not fit into the chain."""
    old = log.header(segments.name_of(partition, 10))
    log.store.contents[old.name] = segments.encode(partition, forge(batch, forgery), old.chain_start)[1]
    report = verify(copy(log))
    assert not report.ok
    if forgery != "changed value":  # found in the segment itself: its record keeps the old hash
        with pytest.raises(NotVerified, match="does not continue the chain"):
            list(copy(log).segments(partition))


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_records_do_not_lead_to_the_old_link(
    log: Log, partition: LogPartition, batch: Callable[..., Batch], forgery: str
) -> None:
    """Where also the header says that it ends as before, and all segments join, the records tell."""
    old = log.header(segments.name_of(partition, 10))
    log.store.contents[old.name] = forged(old, forge(batch, forgery))
    assert 4 == len(list(copy(log).segments(partition)))
    report = verify(copy(log))
    (problem,) = report.problems
    said = "offset 13: the value" if forgery == "changed value" else "offsets 10 to 19: the chain is broken"
    assert said in problem


def test_an_earlier_head_finds_what_the_log_alone_cannot(
    log: Log, partition: LogPartition, batch: Callable[..., Batch]
) -> None:
    """A log cut at its end, rewritten from some point on, or emptied, contradicts a head kept elsewhere."""
    heads = verify(log).heads()
    assert [PartitionHead(*vars_of(partition), 40, log.head(partition).chain_end)] == heads
    assert verify(log, heads).ok

    cut = copy(log)
    del cut.store.contents[max(cut.store.contents)]
    assert verify(cut).ok
    assert "rolled back" in verify(cut, heads).problems[0]

    rewritten = copy(cut)
    rewritten.append(partition, batch(30, 45, seed=2))
    assert verify(rewritten).ok
    assert "offset 40" in verify(rewritten, heads).problems[0]

    empty = Log(MemoryStore())
    assert "is gone" in verify(empty, heads).problems[0]


def vars_of(partition: LogPartition) -> tuple[str, str, int]:
    return partition.topic, partition.topic_id, partition.partition


def test_a_head_holds_wherever_segments_end(
    log: Log, partition: LogPartition, batch: Callable[..., Batch]
) -> None:
    """A head between two segments' ends is compared record by record, and growth is no problem."""
    heads = verify(log).heads()
    log.append(partition, batch(40, 60))
    assert verify(copy(log), heads).ok
    other = Log(MemoryStore())
    other.append(
        partition, Batch(0, 50, [entry for s in log.segments(partition) for entry in log.read(s)][:50])
    )
    assert verify(other, heads).ok


def test_a_torn_last_segment_is_set_aside(
    tmp_path: Path, partition: LogPartition, batch: Callable[..., Batch], caplog: pytest.LogCaptureFixture
) -> None:
    """What a power cut tore is moved away, loudly, and its offsets are collected again."""
    log = open_log(tmp_path)
    log.append(partition, batch(0, 10))
    torn = tmp_path / log.append(partition, batch(10, 20)).name
    torn.write_bytes(torn.read_bytes()[:-100])
    other = open_log(tmp_path)
    assert 10 == other.recover(partition).next_offset
    assert "set aside" in caplog.text
    assert not torn.exists()
    other.append(partition, batch(10, 15))
    report = verify(open_log(tmp_path))
    assert report.ok
    assert 1 == len(report.partitions[0].set_aside)


@pytest.mark.parametrize("length", [0, 3, 100, 2000])
def test_a_segment_torn_in_its_header_is_set_aside(
    tmp_path: Path, partition: LogPartition, batch: Callable[..., Batch], length: int
) -> None:
    """Also a file of no bytes, or half a header, does not stop the collector."""
    log = open_log(tmp_path)
    torn = tmp_path / log.append(partition, batch(0, 10)).name
    torn.write_bytes(torn.read_bytes()[:length])
    assert 0 == open_log(tmp_path).recover(partition).next_offset


def test_only_the_last_segment_is_set_aside(
    tmp_path: Path, partition: LogPartition, batch: Callable[..., Batch]
) -> None:
    """Damage further back is never mended by moving files: it stays for verify to report."""
    log = open_log(tmp_path)
    first = tmp_path / log.append(partition, batch(0, 10)).name
    log.append(partition, batch(10, 20))
    first.write_bytes(first.read_bytes()[:-100])
    assert 20 == open_log(tmp_path).recover(partition).next_offset
    assert first.exists()
    assert not verify(open_log(tmp_path)).ok


def test_a_store_that_cannot_set_aside_says_so(
    log: Log, partition: LogPartition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an object store nothing is torn, so a bad last segment was changed: `repair` has to look."""
    last = max(log.store.contents)
    log.store.contents[last] = log.store.contents[last][:-1]
    monkeypatch.setattr(log.store, "set_aside", lambda name, expected: None)
    with pytest.raises(NotVerified, match="modeltrail repair"):
        log.recover(partition)
