"""Rejected records once more before the judge, in every place a log can lie: nothing is added twice."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from logs import again

from modeltrail_collector.errors import ConfigError, NotFound, NotVerified, Unavailable
from modeltrail_collector.failpoints import ENV
from modeltrail_collector.log import (
    Batch,
    Log,
    Place,
    entry_at,
    judge_of,
    open_log,
    parts,
    place,
    replays,
    rollup,
    verify,
)
from modeltrail_collector.log.rollup import RollUp
from modeltrail_collector.model import LOCAL, Entry, Header, LogPartition, Reason
from modeltrail_collector.pump import Wanted, local, replay, seal_files
from modeltrail_collector.testing import MemoryStore

P0 = LogPartition("events", "6f2f3f4e-0000-4000-8000-000000000001", 0)
ANEW = LogPartition("events", "6f2f3f4e-0000-4000-8000-000000000002", 0)
EVENT = {
    "eventType": "START",
    "eventTime": "2026-01-01T00:00:00Z",
    "producer": "https://a.example/b",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": "0194c5a0-0000-7000-8000-000000000001"},
    "job": {"namespace": "a", "name": "b"},
}
FORMAT = Reason("format", "$.producer", 'must be a URI, found "nobody"')
OLD = Reason("enum", "$.eventType", "an older judge did not know it")
NOT_UTF8 = Reason("not_utf8", "$", "no UTF-8")


def event(number: int, **changes: object) -> bytes:
    return json.dumps({**EVENT, "job": {"namespace": "a", "name": f"job {number}"}, **changes}).encode()


def rejected(offset: int, value: bytes, *reasons: Reason, **changes: object) -> Entry:
    """A record as the collector of yesterday, or one that was strict, sealed it."""
    entry = Entry(
        *("events", 0, offset, None, 1_700_000_000_000 + offset, 1_700_000_000_500 + offset),
        *(b"run:a/b", (Header("trace", b"\x00\xff"), Header("trace", None)), value, "rejected", reasons),
        *(None, None, None, None, None, None, hashlib.sha256(value).hexdigest()),
    )
    return msgspec.structs.replace(entry, **changes)


def yesterday(log: Log, partition: LogPartition = P0) -> list[Entry]:
    """Two segments: one plain record, two that pass today, one that is warned about, two that never pass."""
    entries = [
        rejected(0, event(0), verdict="accepted"),
        rejected(1, event(1), OLD),
        rejected(2, event(2, producer="nobody"), FORMAT),
        rejected(4, b"\x1b[31m nope \xff", NOT_UTF8),
        rejected(5, event(5), OLD),
        rejected(6, event(6, run=7), Reason("type", "$.run", "must be of type object")),
    ]
    log.append(partition, Batch(0, 4, entries[:3], judge_id="judge/0"))
    log.append(partition, Batch(4, 9, entries[3:], judge_id="judge/0.1"))
    return entries


@pytest.fixture
def memory() -> Log:
    return Log(MemoryStore())


def copies(log: Log) -> list[Entry]:
    return [entry for segment in log.segments(LOCAL) for entry in log.read(segment)]


def copied(log: Log) -> list[str]:
    """The sources of all copies, and a log that is whole."""
    assert verify(log).ok
    prefix = f"replay:events/{P0.topic_id}/0/"
    return [entry.source.removeprefix(prefix) for entry in copies(log)]


def test_what_passes_today_is_appended(log: Log) -> None:
    """A copy keeps value, key, headers and the producer's time, and says where it came from."""
    before = {entry.offset: entry for entry in yesterday(log)}
    result = replay(log, Wanted())
    assert ["events/0/1", "events/0/2", "events/0/5"] == [one.record for one in result.replayed]
    assert ["accepted", "warned", "accepted"] == [one.verdict for one in result.replayed]
    assert ["events/0/4", "events/0/6"] == [one.record for one in result.rejected]
    assert (["not_utf8"], ["type"]) == tuple([r.code for r in one.reasons] for one in result.rejected)
    found = copies(again(log))
    assert ["1", "2", "5"] == copied(log)
    assert [0, 1, 2] == [entry.offset for entry in found]
    assert ["job 1", "job 2", "job 5"] == [entry.job_name for entry in found]
    for entry in found:
        old = before[int(entry.source.rpartition("/")[2])]
        same = ("value", "key", "headers", "timestamp_ms", "sha256")
        assert [getattr(old, name) for name in same] == [getattr(entry, name) for name in same]
        assert entry.ingested_at_ms > old.ingested_at_ms
        assert (entry.topic, entry.partition) == (LOCAL.topic, LOCAL.partition)


def test_replaying_twice_adds_nothing(log: Log) -> None:
    """The second replay says what was replayed before, and what is still rejected."""
    yesterday(log)
    replay(log, Wanted())
    result = replay(again(log), Wanted())
    assert ([], 3, 2, 0) == (
        *(result.replayed, result.replayed_before),
        *(len(result.rejected), result.segments),
    )
    assert ["1", "2", "5"] == copied(log)


def test_replays_at_once_add_nothing_twice(log: Log) -> None:
    """Four replays race for the local chain: each record is copied once, and each copy is claimed once."""
    yesterday(log)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(replay(again(log), Wanted()))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["1", "2", "5"] == copied(log)
    assert sorted(one.record for result in results for one in result.replayed) == [
        f"events/0/{offset}" for offset in (1, 2, 5)
    ]
    assert all(3 == len(result.replayed) + result.replayed_before for result in results)


def test_a_replay_that_is_outrun_goes_on_behind(
    memory: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files sealed between two segments of a replay take their offsets; the rest is copied behind them."""
    yesterday(memory)
    monkeypatch.setattr(local, "SEGMENT_ROWS", 1)
    file = tmp_path / "x.ndjson"
    file.write_bytes(event(9) + b"\n")
    append, calls = memory.append, []

    def outrun(partition: LogPartition, batch: Batch):
        calls.append(batch)
        if len(calls) == 2:
            seal_files(again(memory), [str(file)])
        return append(partition, batch)

    monkeypatch.setattr(memory, "append", outrun)
    result = replay(memory, Wanted())
    assert ["events/0/1", "events/0/2", "events/0/5"] == [one.record for one in result.replayed]
    assert (0, 3, 4) == (result.replayed_before, result.segments, len(calls))
    assert ["1", str(file) + ":1", "2", "5"] == copied(memory)


def test_a_store_that_fails_doubles_nothing(memory: Log) -> None:
    """Half of the failed writes are there all the same: tried until it succeeds, it copies each once."""
    yesterday(memory)
    for seed in range(40):
        log = Log(MemoryStore())
        log.store.contents.update(memory.store.contents)
        log.store.faults, log.store.rate = random.Random(seed), 0.2
        while True:
            try:
                replay(again(log), Wanted())
            except Unavailable:
                continue
            break
        log.store.faults = None
        assert ["1", "2", "5"] == copied(log)


@pytest.mark.parametrize("step", ["temporary_written", "segment_put", "segment_put:2"])
def test_a_replay_that_is_killed_is_finished_by_the_next(tmp_path: Path, step: str) -> None:
    """Killed before and after a segment of copies has its name: the next replay adds what is missing."""
    log = open_log(tmp_path / "lineage")
    yesterday(log)
    program = (
        "import sys; from modeltrail_collector.pump import Wanted, local, replay; "
        "from modeltrail_collector.log import open_log; local.SEGMENT_ROWS = 2; "
        "replay(open_log(sys.argv[1]), Wanted())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "lineage")]
    died = subprocess.run(command, check=False, env=os.environ | {ENV: step}, timeout=60)
    assert -signal.SIGKILL == died.returncode
    held = {"temporary_written": [], "segment_put": ["1", "2"], "segment_put:2": ["1", "2", "5"]}[step]
    assert held == copied(again(log))
    result = replay(again(log), Wanted())
    assert (3 - len(held), len(held)) == (len(result.replayed), result.replayed_before)
    assert ["1", "2", "5"] == copied(again(log))
    assert [] == list(tmp_path.glob("**/.*.tmp"))


def test_strict_keeps_warnings_out(memory: Log) -> None:
    """With `strict` what would be warned about stays rejected; without it, later, it is taken in."""
    yesterday(memory)
    assert ["events/0/1", "events/0/5"] == [
        one.record for one in replay(memory, Wanted(), strict=True).replayed
    ]
    assert ["events/0/2"] == [one.record for one in replay(memory, Wanted()).replayed]
    assert ["1", "5", "2"] == copied(memory)


def test_a_dry_run_changes_nothing(memory: Log) -> None:
    """A dry run says the same as the replay, and writes nothing."""
    yesterday(memory)
    before = dict(memory.store.contents)
    said = replay(memory, Wanted(), dry_run=True)
    assert before == memory.store.contents
    done = replay(memory, Wanted())
    assert (said.replayed, said.rejected) == (done.replayed, done.rejected)


@pytest.mark.parametrize(
    ("wanted", "offsets"),
    [
        (Wanted(codes=["format"]), ["2"]),
        (Wanted(codes=["format", "enum"]), ["1", "2", "5"]),
        (Wanted(places=[Place(P0, 5), Place(P0, 1)]), ["1", "5"]),
        (Wanted(topic="events"), ["1", "2", "5"]),
        (Wanted(topic="other"), []),
        (Wanted(since=datetime.fromtimestamp(1_700_000_000.503, UTC)), ["5"]),
        (Wanted(since=datetime.now(UTC) + timedelta(days=1)), []),
    ],
)
def test_filters_choose(memory: Log, wanted: Wanted, offsets: list[str]) -> None:
    """Only what the filters admit is replayed; what they left out is not taken for replayed later."""
    yesterday(memory)
    replay(memory, wanted)
    assert offsets == copied(memory)
    result = replay(memory, Wanted())
    assert len(offsets) == result.replayed_before
    assert ["1", "2", "5"] == sorted(copied(memory))


def test_a_damaged_segment_ends_the_replay(memory: Log) -> None:
    """Nothing is replayed from behind a segment that cannot be trusted; the error says where it is."""
    yesterday(memory)
    first = next(memory.segments(P0))
    stamp = first.sealed_at.encode()
    memory.store.contents[first.name] = memory.store.contents[first.name].replace(stamp, b"x" * len(stamp))
    for wanted in (Wanted(), Wanted(since=datetime(2026, 1, 1, tzinfo=UTC))):
        with pytest.raises(NotVerified, match="topic events, partition 0, offsets 0 to 3"):
            replay(memory, wanted)
    assert [] == copies(memory)


def test_a_segment_left_out_is_not_taken_for_replayed(memory: Log) -> None:
    """Copies from both sides of a segment that was not read make two ranges, not one across it."""
    for offset in range(3):
        memory.append(P0, Batch(offset, offset + 1, [rejected(offset, event(offset), OLD)]))
    replay(memory, Wanted(places=[Place(P0, 0), Place(P0, 2)]))
    assert ["0", "2"] == copied(memory)
    assert None is replays(memory).of(P0, 1)
    replay(memory, Wanted())
    assert ["0", "2", "1"] == copied(memory)


def test_many_copies_in_many_segments_are_one_mark_each(memory: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range that is cut by a full segment goes on in the next one, and every record finds its own copy."""
    memory.append(P0, Batch(0, 25, [rejected(offset, event(offset), OLD) for offset in range(25)]))
    monkeypatch.setattr(local, "SEGMENT_ROWS", 10)
    result = replay(memory, Wanted())
    assert (25, 3) == (len(result.replayed), result.segments)
    assert [1, 1, 1] == [len(segment.files) for segment in memory.segments(LOCAL)]
    known = replays(memory)
    assert [0, 10, 20] == [known.of(P0, offset).segment.first_offset for offset in (9, 10, 24)]
    assert None is known.of(P0, 25)
    assert None is known.of(ANEW, 0)


def test_a_record_is_found_by_its_name(memory: Log) -> None:
    """A topic made anew needs its id in the name; a wrong name says what there is."""
    yesterday(memory)
    assert Place(P0, 5) == place(memory, "events/0/5")
    yesterday(memory, ANEW)
    for partition in (P0, ANEW):
        assert Place(partition, 5) == place(memory, f"events/{partition.topic_id}/0/5")
    with pytest.raises(ConfigError, match=rf"events/{P0.topic_id}/0/5, events/{ANEW.topic_id}/0/5"):
        place(memory, "events/0/5")
    for wrong in ("events", "events/0", "events/x/5", "a/b/c/0/5", "events/0/-1"):
        with pytest.raises(ConfigError, match="TOPIC/PARTITION/OFFSET"):
            place(memory, wrong)
    with pytest.raises(NotFound, match="holds events/0"):
        place(memory, "other/0/5")
    result = replay(memory, Wanted(), dry_run=True)
    assert f"events/{P0.topic_id}/0/1" == result.replayed[0].record


def roll_up(log: Log, partition: LogPartition) -> None:
    with log.store.lease("raw") as lease:
        RollUp(log, partition, lease, lambda _: None).run()


def test_rolled_up_records_are_replayed(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A roll-up of rejected records, and one of their copies, makes nothing twice and nothing unfindable."""
    monkeypatch.setattr(rollup, "FEW", 2)
    yesterday(log)
    log.append(P0, Batch(9, 11, [rejected(9, event(9), OLD)], judge_id="judge/0.2"))
    roll_up(log, P0)
    replay(again(log), Wanted(codes=["format"]))
    replay(again(log), Wanted(places=[Place(P0, 9)]))
    replay(again(log), Wanted(places=[Place(P0, 5)]))
    roll_up(log, LOCAL)
    result = replay(again(log), Wanted())
    assert (["events/0/1"], 3) == ([one.record for one in result.replayed], result.replayed_before)
    assert ["2", "9", "5", "1"] == copied(again(log))
    assert 0 == replay(again(log), Wanted()).segments
    for offset, judge in ((2, "judge/0"), (5, "judge/0.1"), (9, "judge/0.2")):
        segment, entry = entry_at(log, Place(P0, offset))
        assert (offset, judge) == (entry.offset, judge_of(segment, offset))


def test_what_retention_removed_is_said_to_be_gone(memory: Log) -> None:
    """Rejected records that are gone are counted by segment, and a copy that is gone is not made again."""
    yesterday(memory)
    replay(memory, Wanted(places=[Place(P0, 5)]))
    for partition in (P0, LOCAL):
        first = next(memory.segments(partition))
        memory.store.contents[first.name] = parts.removed(first, "")[1]
    result = replay(memory, Wanted())
    assert ([], 1, 2) == (result.replayed, result.replayed_before, result.removed_segments)
    for offset in (1, 2):
        with pytest.raises(NotFound, match="retention removed it"):
            replay(memory, Wanted(places=[Place(P0, offset)]))


@pytest.mark.parametrize(
    ("offset", "said"), [(0, "was accepted"), (3, "no record there"), (99, "the log ends at offset 9")]
)
def test_only_rejected_records_are_replayed(memory: Log, offset: int, said: str) -> None:
    """A name of a record that was not rejected, or of none, is refused with the cause."""
    yesterday(memory)
    with pytest.raises(NotFound, match=said):
        replay(memory, Wanted(places=[Place(P0, offset)]))
