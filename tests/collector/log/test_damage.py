"""Whatever happens to the files of the log is noticed: by whoever reads them, and by `verify`."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from modeltrail_collector.errors import CollectorError, NotVerified
from modeltrail_collector.log import Batch, Log, open_log, verify
from modeltrail_collector.log import segment as segments
from modeltrail_collector.log.heads import PartitionHead
from modeltrail_collector.model import LogPartition
from modeltrail_collector.testing import MemoryStore

EDITS = 500


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


def edit(log: Log, chance: random.Random) -> str:
    """One change to the files; says which."""
    contents = log.store.contents
    names = sorted(contents)
    name, other = chance.sample(names, 2)
    data = bytearray(contents[name])
    at = chance.randrange(len(data))
    kind = chance.choice(("bit", "cut", "swap", "delete", "insert", "grow", "zero", "move"))
    if kind == "bit":
        data[at] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        del data[at:]
    elif kind == "insert":
        data[at:at] = chance.randbytes(chance.randint(1, 9))
    elif kind == "grow":
        data += chance.choice((bytes(4096), contents[other]))
    elif kind == "zero":
        length = chance.randint(1, 600)
        if not any(data[at : at + length]):
            data[at] ^= 1
        data[at : at + length] = bytes(len(data[at : at + length]))
    contents[name] = bytes(data)
    if kind == "swap":
        contents[name], contents[other] = contents[other], contents[name]
    elif kind == "delete":
        del contents[chance.choice(names[:-1])]  # the last one takes a head to miss: see below
    elif kind == "move":
        contents[names[-1].replace("30.avro", "31.avro")] = contents.pop(names[-1])
    return f"{kind} of {name} at {at}"


def read_everything(log: Log, partition: LogPartition) -> None:
    for segment in log.segments(partition):
        list(log.read(segment))


def test_no_damage_goes_unnoticed(log: Log, partition: LogPartition) -> None:
    """Bits, cuts, swaps, removals, insertions: of 500 random edits each is found by reading and by verify."""
    before = dict(log.store.contents)
    for seed in range(EDITS):
        damaged = copy(log)
        what = edit(damaged, random.Random(seed))
        assert damaged.store.contents != before, f"seed {seed}: {what} changed nothing"
        assert not verify(damaged).ok, f"seed {seed}: {what} is not found by verify"
        with pytest.raises(CollectorError):  # if it is not raised, `seed` and `what` say which edit it was
            read_everything(damaged, partition)
    assert before == log.store.contents


def test_every_cut_of_a_segment_is_noticed(log: Log, partition: LogPartition) -> None:
    """A segment that ends early is refused wherever it ends, also on a block's boundary."""
    last = max(log.store.contents)
    whole = log.store.contents[last]
    for length in range(0, len(whole), 7):
        log.store.contents[last] = whole[:length]
        with pytest.raises(NotVerified):
            read_everything(copy(log), partition)


def test_the_error_names_the_place(log: Log, partition: LogPartition) -> None:
    """Of a damaged segment one learns topic, partition and offsets."""
    name = sorted(log.store.contents)[1]
    log.store.contents[name] = log.store.contents[name][:-1] + b"?"
    with pytest.raises(NotVerified, match=r"topic events, partition 0, offsets 10 to 19 .*SHA-256"):
        read_everything(copy(log), partition)


def reseal(log: Log, partition: LogPartition, start: int, changed: Batch) -> None:
    """What a forger with our code can do: a perfect segment in the place of another."""
    name = segments.name_of(partition, start)
    old = log.header(name)
    _, data = segments.encode(partition, changed, old.chain_start)
    log.store.contents[name] = data


@pytest.mark.parametrize(
    "forgery", ["changed value", "removed record", "reordered", "foreign", "changed verdict"]
)
def test_a_forged_segment_breaks_the_chain(
    log: Log, partition: LogPartition, batch: Callable[..., Batch], forgery: str
) -> None:
    """A segment that is rewritten with a right digest does not fit into the chain."""
    import msgspec

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
    else:
        entries[3] = replace(entries[3], verdict="warned")
    reseal(log, partition, 10, Batch(10, 20, entries))
    report = verify(copy(log))
    assert not report.ok
    if forgery != "changed value":  # found in the segment itself: its record keeps the old hash
        with pytest.raises(NotVerified, match="does not continue the chain"):
            list(copy(log).segments(partition))


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
    """In an object store nothing is torn, so a bad last segment was changed: a person has to look."""
    last = max(log.store.contents)
    log.store.contents[last] = log.store.contents[last][:-1]
    monkeypatch.setattr(log.store, "set_aside", lambda name, expected: None)
    with pytest.raises(NotVerified, match="by hand"):
        log.recover(partition)
