"""Files and the inbox into the log: sealing twice adds nothing, and nothing half written counts."""

import fcntl
import json
import logging
import time
from pathlib import Path

import pytest

from modeltrail_collector.errors import ConfigError
from modeltrail_collector.log import Log, open_log, verify
from modeltrail_collector.model import LOCAL, Entry
from modeltrail_collector.pump import files as sealing
from modeltrail_collector.pump import local, seal_files, seal_inbox
from modeltrail_collector.testing import MemoryStore

EVENT = {
    "eventType": "START",
    "eventTime": "2026-01-01T00:00:00Z",
    "producer": "https://a.example/b",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": "0194c5a0-0000-7000-8000-000000000001"},
    "job": {"namespace": "a", "name": "b"},
}


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return open_log(tmp_path / "lineage")


@pytest.fixture
def inbox(log: Log) -> Path:
    log.inbox.mkdir(parents=True)
    return log.inbox


def entries(log: Log) -> list[Entry]:
    return [entry for segment in open_log(log.uri).segments(LOCAL) for entry in log.read(segment)]


def values(log: Log) -> list[bytes | None]:
    return [entry.value for entry in entries(log)]


def line(number: int) -> bytes:
    return json.dumps(EVENT | {"eventTime": f"2026-01-01T00:00:{number:02}Z"}).encode() + b"\n"


def test_the_inbox_is_sealed_and_emptied(log: Log, inbox: Path) -> None:
    """What writers that are gone left is sealed with file and line, and their files are removed."""
    (inbox / "a.ndjson").write_bytes(line(1) + b"\n" + line(2))
    (inbox / "b.ndjson").write_bytes(b"garbage\n")
    assert 3 == seal_inbox(log)
    found = entries(log)
    assert [line(1)[:-1], line(2)[:-1], b"garbage"] == [entry.value for entry in found]
    assert ["inbox/a.ndjson:1", "inbox/a.ndjson:3", "inbox/b.ndjson:1"] == [entry.source for entry in found]
    assert ["accepted", "accepted", "rejected"] == [entry.verdict for entry in found]
    assert ([0, 1, 2], {"local"}) == ([e.offset for e in found], {e.topic for e in found})
    assert [] == list(inbox.iterdir())
    assert 0 == seal_inbox(log)
    assert verify(log).ok


def test_a_living_writers_file_stays(log: Log, inbox: Path) -> None:
    """A file whose writer lives is sealed as far as it is written, stays, and is sealed on from there."""
    path = inbox / "a.ndjson"
    with path.open("ab", buffering=0) as writer:
        fcntl.flock(writer, fcntl.LOCK_SH)
        writer.write(line(1) + line(2)[:10])
        assert 1 == seal_inbox(log)
        assert 0 == seal_inbox(log)
        writer.write(line(2)[10:] + line(3))
        assert 2 == seal_inbox(log)
        assert path.exists()
    assert 0 == seal_inbox(log)
    assert not path.exists()
    assert ["inbox/a.ndjson:1", "inbox/a.ndjson:2", "inbox/a.ndjson:3"] == [e.source for e in entries(log)]


def test_half_a_line_is_not_thrown_away(log: Log, inbox: Path) -> None:
    """A file that ends in the middle of a line stays, whoever wrote it."""
    (inbox / "a.ndjson").write_bytes(line(1) + b'{"half')
    assert 1 == seal_inbox(log)
    assert (inbox / "a.ndjson").read_bytes().endswith(b'{"half')


def test_the_emitters_inbox_is_understood(log: Log) -> None:
    """What modeltrail's own LocalSender writes is sealed while it lives and removed when it is closed."""
    from modeltrail.transports.local import LocalSender

    sender = LocalSender(log.inbox)
    sender.send(None, b'{"a":1}')
    assert 1 == seal_inbox(log)
    sender.send(None, b'{"a":2}')
    assert sender.close(1)
    assert 1 == seal_inbox(log)
    assert [b'{"a":1}', b'{"a":2}'] == values(log)
    assert [] == list(log.inbox.iterdir())


def test_an_interrupted_removal_adds_nothing(log: Log, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between sealing and removing, the next one only removes."""
    (inbox / "a.ndjson").write_bytes(line(1))
    with monkeypatch.context() as patched:
        patched.setattr(sealing.files, "remove_if_done", lambda *_: False)
        assert 1 == seal_inbox(log)
    assert 0 == seal_inbox(log)
    assert [] == list(inbox.iterdir())


def test_a_log_that_was_moved_knows_its_inbox(log: Log, inbox: Path, tmp_path: Path) -> None:
    """Inbox files are named from the log on, so that moving the log seals nothing again."""
    with (inbox / "a.ndjson").open("ab", buffering=0) as writer:
        fcntl.flock(writer, fcntl.LOCK_SH)
        writer.write(line(1))
        assert 1 == seal_inbox(log)
        (tmp_path / "lineage").rename(tmp_path / "moved")
        assert 0 == seal_inbox(open_log(tmp_path / "moved"))


def test_a_log_without_an_inbox_has_nothing_to_seal() -> None:
    """In an object store there is no inbox, and a directory need not have one."""
    assert 0 == seal_inbox(Log(MemoryStore()))


def test_no_inbox_yet_is_no_error(log: Log) -> None:
    """Before the first event nothing is there, and nothing is made."""
    assert 0 == seal_inbox(log)
    assert not Path(log.uri).exists()


def test_files_are_sealed_once(log: Log, tmp_path: Path) -> None:
    """A growing NDJSON file is sealed from where it was left; twice adds nothing; blank lines count not."""
    path = tmp_path / "events.ndjson"
    path.write_bytes(line(1) + b"  \r\n" + line(2))
    assert 2 == seal_files(log, [str(path)]).records
    assert 0 == seal_files(log, [str(tmp_path / "*.ndjson")]).records
    with path.open("ab") as file:
        file.write(line(3))
    totals = seal_files(log, [str(path), str(tmp_path / "*")])
    assert (1, 1, 1) == (totals.records, totals.accepted, totals.segments)
    assert [f"{path}:1", f"{path}:3", f"{path}:4"] == [entry.source for entry in entries(log)]
    assert path.exists()


def test_a_rotated_file_is_a_new_one(log: Log, tmp_path: Path) -> None:
    """A file with another first line under the same name is read from its beginning."""
    path = tmp_path / "events.ndjson"
    path.write_bytes(line(1) + line(2))
    seal_files(log, [str(path)])
    path.write_bytes(line(7))
    assert 1 == seal_files(log, [str(path)]).records
    path.write_bytes(line(1) + line(2))
    assert 0 == seal_files(log, [str(path)]).records
    assert [line(1)[:-1], line(2)[:-1], line(7)[:-1]] == values(log)


def test_a_file_that_shrank_is_reported(log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that begins as before but has fewer bytes than were sealed is an error message."""
    path = tmp_path / "events.ndjson"
    path.write_bytes(line(1) + line(2))
    seal_files(log, [str(path)])
    path.write_bytes(line(1))
    assert 0 == seal_files(log, [str(path)]).records
    assert "shorter" in caplog.text


def test_one_event_a_file(log: Log, tmp_path: Path) -> None:
    """JSON files of one event count when the whole of them parses: on one line, without an end, or pretty."""
    (tmp_path / "ol-1.json").write_text(json.dumps(EVENT) + "\n")
    (tmp_path / "ol-2.json").write_text(json.dumps(EVENT))
    (tmp_path / "ol-3.json").write_text(json.dumps(EVENT, indent=2) + "\n")
    assert 3 == seal_files(log, [str(tmp_path / "*.json")]).accepted
    assert 0 == seal_files(log, [str(tmp_path / "*.json")]).records
    assert [f"{tmp_path}/ol-{n}.json:1" for n in (1, 2, 3)] == [entry.source for entry in entries(log)]
    assert EVENT == json.loads(entries(log)[2].value)


def test_half_a_json_file_waits(log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A JSON file that is still being written is left for the next time, with a word about it."""
    path = tmp_path / "ol-1.json"
    text = json.dumps(EVENT, indent=2)
    path.write_text(text[:50])
    assert 0 == seal_files(log, [str(path)]).records
    assert "no whole JSON document" in caplog.text
    path.write_text(text)
    assert 1 == seal_files(log, [str(path)]).records


@pytest.mark.parametrize("append", [True, False])
@pytest.mark.parametrize("debug_mode", [True, False])
def test_the_stock_file_transport_is_collected(
    log: Log, tmp_path: Path, *, append: bool, debug_mode: bool
) -> None:
    """What openlineage-python writes by its `file` transport, appended or one a file, is accepted."""
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.transport.file import FileConfig, FileTransport

    folder = tmp_path / "events"
    folder.mkdir()
    name = folder / ("all.ndjson" if append else "ol")
    config = FileConfig(str(name), append=append, debug_mode=debug_mode and not append)
    client = OpenLineageClient(transport=FileTransport(config))
    for number in range(5):
        run = Run("0194c5a0-0000-7000-8000-00000000000" + str(number))
        at = f"2026-01-01T00:00:0{number}Z"
        client.emit(
            RunEvent(
                eventType=RunState.COMPLETE,
                eventTime=at,
                run=run,
                job=Job("ns", f"job {number}"),
                producer="https://a.example/b",
            )
        )
    totals = seal_files(log, [str(folder / "*")])
    assert (5, 5) == (totals.records, totals.accepted)
    assert [f"job {number}" for number in range(5)] == [entry.job_name for entry in entries(log)]


def test_a_pattern_without_files_is_an_error(log: Log, tmp_path: Path) -> None:
    """A glob that matches nothing is more likely a slip than a wish."""
    with pytest.raises(ConfigError, match="no file matches"):
        seal_files(log, [str(tmp_path / "*.ndjson")])


def test_two_sealers_add_nothing_twice(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is overtaken while reading files reads the progress again, and seals the rest only."""
    path = tmp_path / "events.ndjson"
    path.write_bytes(line(1) + line(2))
    unsealed, overtaken = sealing.files.unsealed, []

    def overtake(*arguments):
        yield from unsealed(*arguments)
        if not overtaken:
            overtaken.append(True)
            time.sleep(0.002)  # the same records, ingested at another time
            assert 2 == seal_files(open_log(log.uri), [str(path)]).records
            with path.open("ab") as file:
                file.write(line(3))

    monkeypatch.setattr(sealing.files, "unsealed", overtake)
    assert 1 == seal_files(log, [str(path)]).records
    assert [line(n)[:-1] for n in (1, 2, 3)] == values(log)


def test_many_records_are_many_segments(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file is sealed in pieces, each with how far it went; killed in between, it goes on there."""
    monkeypatch.setattr(local, "SEGMENT_ROWS", 10)
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"".join(b'{"n":%d}\n' % number for number in range(35)))
    assert 4 == seal_files(log, [str(path)]).segments
    last = max((tmp_path / "lineage").glob("raw/**/*.avro"))
    last.unlink()
    assert 5 == seal_files(open_log(log.uri), [str(path)]).records
    assert 35 == len(set(values(log)))


def test_a_file_of_empty_lines_is_nothing(log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Empty files and files of blank lines hold no records, and no segment is made."""
    caplog.set_level(logging.INFO)
    (tmp_path / "a.ndjson").write_bytes(b"")
    (tmp_path / "b.ndjson").write_bytes(b"\n\n")
    assert 0 == seal_files(log, [str(tmp_path / "*.ndjson")]).segments
    assert [] == log.partitions()
