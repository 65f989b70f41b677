"""The log on a local disk: what its files look like, what a crash leaves, and how fast its end is found."""

import base64
import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modeltrail_collector.errors import ConfigError, Unavailable
from modeltrail_collector.log import Batch, open_log, verify
from modeltrail_collector.log import segment as segments
from modeltrail_collector.log.chain import canonical, genesis
from modeltrail_collector.log.store import LocalStore
from modeltrail_collector.model import LogPartition


def test_where_a_segment_lies(tmp_path: Path, partition: LogPartition, batch: Callable[..., Batch]) -> None:
    """raw/<topic>/<topic id>/<partition>/<first offset, 20 digits>.avro, and nothing else is left there."""
    log = open_log(tmp_path / "lineage")
    log.append(partition, batch(0, 3))
    log.append(partition, batch(3, 4))
    folder = tmp_path / "lineage" / "raw" / partition.topic / partition.topic_id / "0"
    assert ["00000000000000000000.avro", "00000000000000000003.avro"] == sorted(
        path.name for path in folder.iterdir()
    )
    assert tmp_path / "lineage" / "inbox" == log.inbox


def test_the_same_batch_at_the_same_time_is_the_same_file(
    partition: LogPartition, batch: Callable[..., Batch]
) -> None:
    """Nothing in a segment is left to chance, so that a simulation can be played again."""
    made = [
        segments.encode(partition, batch(0, 3), genesis(partition), lambda at=at: at)[1] for at in (5, 5, 6)
    ]
    assert made[0] == made[1] != made[2]


def test_the_chain_can_be_recomputed_without_our_code(
    tmp_path: Path, partition: LogPartition, batch: Callable[..., Batch]
) -> None:
    """The documented form of a record, hashed with nothing but Python's json and hashlib, gives chain_end."""
    log = open_log(tmp_path)
    segment = log.append(partition, batch(0, 50))
    link = hashlib.sha256(f"modeltrail log v1\n{partition.topic_id}\n0".encode()).digest()
    assert genesis(partition) == link.hex() == segment.chain_start
    for entry in log.read(segment):
        text = lambda data: None if data is None else base64.b64encode(data).decode()  # noqa: E731
        row = [
            *(entry.topic, entry.partition, entry.offset, entry.source),
            *(entry.timestamp_ms, entry.ingested_at_ms, text(entry.key)),
            [[header.key, text(header.value)] for header in entry.headers],
            None if entry.value is None else hashlib.sha256(entry.value).hexdigest(),
            entry.verdict,
            [[reason.code, reason.path, reason.message] for reason in entry.reasons],
            *(entry.event_kind, entry.event_type, entry.event_time),
            *(entry.run_id, entry.job_namespace, entry.job_name),
        ]
        plain = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()
        assert plain == canonical(entry)
        link = hashlib.sha256(link + plain).digest()
    assert link.hex() == segment.chain_end


def test_left_overs_of_dead_writers_are_removed(
    tmp_path: Path, partition: LogPartition, batch: Callable[..., Batch]
) -> None:
    """A half-written file of a dead process goes at the next start; that of a living one stays."""
    log = open_log(tmp_path)
    folder = (tmp_path / log.append(partition, batch(0, 1)).name).parent
    dead, living = folder / ".00001.avro.dead.tmp", folder / ".00001.avro.living.tmp"
    dead.write_bytes(b"half")
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'xb'); fcntl.flock(file, fcntl.LOCK_SH);"
        "print('ok', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, living], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert b"ok\n" == writer.stdout.readline()
        assert 1 == open_log(tmp_path).recover(partition).next_offset
        assert (False, True) == (dead.exists(), living.exists())
        writer.stdin.close()
        writer.wait(10)
    open_log(tmp_path).recover(partition)
    assert not living.exists()


def test_the_end_of_ten_thousand_segments_is_found_at_once(
    tmp_path: Path, partition: LogPartition, batch: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding the end takes the list of names and one header, whatever lies before it; and then nothing."""
    last, data = segments.encode(partition, batch(9_999, 10_000), genesis(partition))
    folder = tmp_path / segments.folder_of(partition)
    folder.mkdir(parents=True)
    for offset in range(9_999):
        (folder / f"{offset:020}.avro").touch()
    (tmp_path / last.name).write_bytes(data)
    log = open_log(tmp_path)
    read, names = log.store.read, []
    monkeypatch.setattr(log.store, "read", lambda name, length: names.append(name) or read(name, length))
    assert 10_000 == log.end(partition)
    log.append(partition, batch(10_000, 10_001))
    assert [last.name] == names


def test_a_disk_that_refuses_is_unavailable(tmp_path: Path) -> None:
    """A write that the disk refuses may work later; nothing is left of it."""
    (tmp_path / "raw").write_bytes(b"in the way")
    with pytest.raises(Unavailable, match="cannot write"):
        LocalStore(tmp_path).create("raw/a", b"x")
    assert [tmp_path / "raw"] == list(tmp_path.iterdir())


def test_what_was_named_but_not_synced_is_synced_before_it_counts(
    tmp_path: Path, partition: LogPartition, batch: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment whose name could not be synced is no success; appending it again syncs the name first.

    Else a power cut could take a segment that was acknowledged (found by the simulation, seed 3171).
    """
    log = open_log(tmp_path)
    folder = tmp_path / segments.folder_of(partition)
    folder.mkdir(parents=True)
    fsync, synced = os.fsync, []

    def sync(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == folder.stat().st_ino:
            synced.append(not synced)
            if synced == [True]:
                raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    same = batch(0, 2)
    with pytest.raises(Unavailable, match="Input/output error"):
        log.append(partition, same)
    assert 2 == log.append(partition, same).next_offset
    assert [True, False] == synced


def test_an_unknown_kind_of_store_is_refused() -> None:
    """A URI of no store of ours names what can be written."""
    with pytest.raises(ConfigError, match="s3://"):
        open_log("ftp://host/log")


def test_a_file_uri_is_a_directory(tmp_path: Path) -> None:
    """file:///path and /path are the same log; ~ is the home directory."""
    assert str(tmp_path) == open_log(f"file://{tmp_path}").uri == open_log(tmp_path).uri
    assert str(Path.home() / "lineage") == open_log("~/lineage").uri


def test_an_empty_directory_verifies(tmp_path: Path) -> None:
    """There is nothing wrong with a log that does not exist yet."""
    assert verify(open_log(tmp_path / "nowhere")).ok
