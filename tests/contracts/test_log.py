"""One suite for every place a log can lie: memory, a directory, and S3 (moto's, spoken to over HTTP)."""

import hashlib
import io
import json
import threading

import fastavro
import pytest
from logs import P0, again, all_entries, batch, entry

from modeltrail_collector.errors import LogFormatError, NotVerified, OwnershipLost, Unavailable
from modeltrail_collector.log import Batch, Gap, Log, verify
from modeltrail_collector.log.segment import PREFIX
from modeltrail_collector.model import FileProgress
from modeltrail_collector.testing import MemoryStore


def test_a_new_log_is_empty(log: Log) -> None:
    """A log that was never written to has no partitions, and every partition ends at 0."""
    assert [] == log.partitions()
    assert 0 == log.end(P0) == log.recover(P0).next_offset
    assert [] == list(log.segments(P0))
    assert verify(log).ok


def test_what_is_appended_is_read(log: Log) -> None:
    """Every field of every entry comes back, also nulls, empty bytes, odd text and repeated headers."""
    entries = [
        entry(0, None),
        entry(1, b""),
        entry(2, b"\xff\x00", key=None, headers=(), reasons=(), verdict="accepted", run_id="x"),
        entry(5, b"x" * 3_000_000, source="inbox/a.ndjson:7"),
    ]
    log.append(P0, Batch(0, 9, entries))
    assert entries == all_entries(again(log))
    assert 9 == again(log).end(P0)
    assert [P0] == again(log).partitions()


def test_segments_follow_each_other(log: Log) -> None:
    """Each segment begins where the one before ended, in range and in chain, and its header says the rest."""
    files = (FileProgress("ä.ndjson", "ab" * 32, 77),)
    gaps = (Gap(3, 5, "retention"),)
    written = [
        log.append(P0, batch(0, 3, judge_id="judge/1")),
        log.append(P0, Batch(3, 7, [entry(6)], files, gaps)),
        log.append(P0, Batch(7, 8, [])),
    ]
    other = again(log)
    assert written == list(other.segments(P0))
    assert [(0, 3), (3, 7), (7, 8)] == [(found.first_offset, found.next_offset) for found in written]
    assert [3, 1, 0] == [found.rows for found in written]
    assert written[0].chain_end == written[1].chain_start != written[1].chain_end
    assert (files, gaps, "judge/1") == (written[1].files, written[1].gaps, written[0].judge_id)
    assert written[1:] == list(other.segments(P0, 3)) == list(other.segments(P0, 6))
    assert [] == list(other.segments(P0, 8))


def test_offsets_are_sealed_once(log: Log) -> None:
    """Of two that seal the same offsets one loses, whatever it holds, and the log is not changed."""
    slow, fast = again(log), again(log)
    slow.append(P0, batch(0, 2))
    fast.end(P0)
    fast.append(P0, batch(2, 4))
    for start, end in ((2, 4), (2, 3), (2, 9), (0, 4), (1, 3), (5, 6)):
        late = [entry(offset, ingested_at_ms=7) for offset in range(start, end)]
        with pytest.raises(OwnershipLost):
            slow.append(P0, Batch(start, end, late))
    assert [0, 1, 2, 3] == [found.offset for found in all_entries(again(log))]
    slow.append(P0, batch(4, 5))


def test_concurrent_writers_make_one_chain(log: Log) -> None:
    """Six writers at once: every offset is sealed by one of them, in one chain."""

    def write(name: bytes) -> None:
        mine = again(log)
        while (end := mine.end(P0)) < 12:
            try:
                mine.append(P0, Batch(end, end + 2, [entry(n, name) for n in range(end, end + 2)]))
            except OwnershipLost:
                continue

    threads = [threading.Thread(target=write, args=(b"w%d" % n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = verify(again(log))
    assert report.ok, report.problems
    assert list(range(12)) == [found.offset for found in all_entries(again(log))]


def test_appending_again_after_an_unknown_outcome_is_safe(log: Log) -> None:
    """A segment that was written although the answer was lost is recognised as one's own."""
    store = log.store
    create, lost = store.create, []

    def lose_the_answer(name: str, data: bytes) -> bool:
        lost.append(create(name, data))
        return create(name, data)

    store.create = lose_the_answer
    segment = log.append(P0, batch(0, 2))
    assert [True] == lost
    assert [segment] == list(again(log).segments(P0))


def test_a_store_that_never_answers_a_put_in_time_is_appended_to(log: Log) -> None:
    """Each put is carried out and none is answered: the second attempt finds what the first one wrote."""
    create = log.store.create

    def answer_too_late(name: str, data: bytes) -> bool:
        create(name, data)
        raise Unavailable("cannot write: no answer in time")

    log.store.create = answer_too_late
    for start in (0, 2, 4):
        mine = batch(start, start + 2)
        with pytest.raises(Unavailable):
            log.append(P0, mine)
        assert start + 2 == log.append(P0, mine).next_offset
    assert 6 == log.end(P0)


def test_plain_fastavro_reads_a_segment(log: Log) -> None:
    """A segment is an Avro file for any reader: our header fields are text, our records plain values."""
    segment = log.append(P0, batch(0, 2))
    reader = fastavro.reader(io.BytesIO(log.content(segment)))
    rows = list(reader)
    meta = {
        key.removeprefix(PREFIX): value for key, value in reader.metadata.items() if key.startswith(PREFIX)
    }
    assert [0, 1] == [row["offset"] for row in rows]
    assert {"key": "trace", "value": None} == rows[0]["headers"][1]
    assert ("events", "0", "0", "2", "2", "1") == tuple(
        meta[name] for name in ("topic", "partition", "first_offset", "next_offset", "rows", "format")
    )
    assert segment.sha256 == meta["sha256"]
    assert [] == json.loads(meta["gaps"]) == json.loads(meta["files"])


def test_a_header_of_any_length_is_read(log: Log) -> None:
    """Progress in ten thousand files fits into one header, and the log's end is still found."""
    files = tuple(FileProgress(f"events/{n}.json", "ab" * 32, n) for n in range(10_000))
    segment = log.append(P0, batch(0, 1, files=files))
    assert files == again(log).header(segment.name).files
    assert 1 == again(log).end(P0)


def test_a_newer_format_is_refused(log: Log) -> None:
    """A log of a newer modeltrail is refused, and the message says what to do."""
    segment = log.append(P0, batch(0, 1))
    data = log.store.read(segment.name)
    newer = data.replace(b"modeltrail.format\x021", b"modeltrail.format\x023")
    assert newer != data
    digest = hashlib.sha256(newer.replace(segment.sha256.encode(), b"0" * 64)).hexdigest()
    newer = newer.replace(segment.sha256.encode(), digest.encode())
    name = segment.name.replace("0.avro", "1.avro")
    log.store.create(name, newer)
    with pytest.raises(LogFormatError, match="pip install --upgrade"):
        again(log).end(P0)
    with pytest.raises(LogFormatError):
        verify(again(log))


def test_a_missing_segment_is_noticed(log: Log) -> None:
    """A segment that does not begin where the one before it ended is not handed out."""
    other = Log(MemoryStore())
    other.append(P0, batch(0, 2))
    other.append(P0, batch(2, 4))
    last = other.append(P0, batch(4, 6))
    log.append(P0, batch(0, 2))
    log.store.create(last.name, other.store.read(last.name))
    with pytest.raises(NotVerified, match="offsets 2 to 3"):
        list(again(log).segments(P0))
    assert any("offsets 2 to 3" in problem for problem in verify(again(log)).problems)


def test_a_moved_segment_is_noticed(log: Log) -> None:
    """A segment under another name is not what its name says."""
    segment = log.append(P0, batch(0, 2))
    name = segment.name.replace("0.avro", "2.avro")
    log.store.create(name, log.store.read(segment.name))
    with pytest.raises(NotVerified, match="moved"):
        again(log).end(P0)


def test_a_file_is_replaced_only_by_who_knows_it(log: Log) -> None:
    """What a name holds is exchanged if it is what the caller expects, else not; the name stays taken."""
    store = log.store
    assert store.create("raw/a", b"1")
    assert not store.replace("raw/a", b"0", b"2")
    assert not store.replace("raw/b", b"", b"2")
    assert store.replace("raw/a", b"1", b"2")
    assert not store.create("raw/a", b"3")
    assert (b"2", ["a"]) == (store.read("raw/a"), store.files("raw"))
    store.remove("raw/a")
    store.remove("raw/a")
    assert [] == store.files("raw")
