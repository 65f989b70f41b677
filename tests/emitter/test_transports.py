"""The way out of a process: one sender, local files, forks, the end of the program."""

import json
import os
import resource
import signal
import subprocess
import sys

import pytest

from modeltrail import guard, settings, testing, transports
from modeltrail.errors import ConfigError, DeliveryError
from modeltrail.transports.lines import LineFile
from modeltrail.transports.local import LocalSender

EVENT = {"eventType": "START", "run": {"runId": "x"}, "job": {"namespace": "n", "name": "j"}}


@pytest.fixture(autouse=True)
def fresh():
    testing.reset()
    yield
    testing.reset()


def lines(directory):
    return [line for path in sorted(directory.glob("*.ndjson")) for line in path.read_bytes().splitlines()]


def test_nothing_configured_goes_to_the_inbox(tmp_path):
    """Without configuration an event is a line of canonical JSON in the inbox of the log."""
    assert transports.emit(EVENT)
    expected = b'{"eventType":"START","job":{"name":"j","namespace":"n"},"run":{"runId":"x"}}'
    assert [expected] == lines(tmp_path / "lineage" / "inbox")


def test_the_inbox_takes_events_of_any_size(monkeypatch, tmp_path, caplog):
    """`max_event_bytes` is what Kafka is sent at most: the inbox takes a larger event."""
    monkeypatch.setenv("MODELTRAIL_MAX_EVENT_BYTES", "100")
    assert transports.emit({**EVENT, "run": {"runId": "x" * 500}})
    assert 1 == len(lines(tmp_path / "lineage" / "inbox"))
    assert "" == caplog.text


def test_disabled_emits_nothing(monkeypatch, tmp_path):
    """With OPENLINEAGE_DISABLED, and with a noop transport, nothing is written."""
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    assert not transports.emit(EVENT)
    monkeypatch.delenv("OPENLINEAGE_DISABLED")
    settings.configure(transport={"type": "noop"})
    assert not transports.emit(EVENT)
    assert not (tmp_path / "lineage").exists()


def test_a_new_configuration_holds_at_once(monkeypatch, tmp_path):
    """A change of the settings moves the next event, in the same process."""
    transports.emit(EVENT)
    monkeypatch.setenv("MODELTRAIL_LOG", str(tmp_path / "other"))
    transports.emit(EVENT)
    assert (1, 1) == (len(lines(tmp_path / "lineage" / "inbox")), len(lines(tmp_path / "other" / "inbox")))


def test_a_broken_transport_loses_nothing(tmp_path, caplog):
    """A transport that cannot be set up is warned of, and its events go to the local inbox."""
    settings.configure(transport={"type": "modeltrail.KafkaTransport"})
    assert transports.emit(EVENT)
    assert transports.emit(EVENT)
    assert 2 == len(lines(tmp_path / "lineage" / "inbox"))
    assert 1 == caplog.text.count("bootstrap.servers")


def test_a_broken_transport_is_an_error_when_strict():
    """Under strictness the same is a ConfigError for the caller."""
    settings.configure(transport={"type": "modeltrail.KafkaTransport"}, strict=True)
    with pytest.raises(ConfigError):
        transports.emit(EVENT)


def test_an_event_that_cannot_be_written_is_counted():
    """An event without a job is not emitted; the host goes on and the failure is counted."""
    assert not transports.emit({"run": {}})
    assert {"emitting an event: EncodingError": 1} == guard.failures()


def test_captured_events():
    """`captured_events` sees what is emitted in its block as the wire has it, and nothing after it."""
    with testing.captured_events() as events:
        transports.emit(EVENT | {"value": float("nan")})
        assert [EVENT | {"value": None}] == events
    transports.emit(EVENT)
    assert 1 == len(events)


def test_captured_events_are_strict():
    """Inside `captured_events` modeltrail's own failures are raised."""
    with testing.captured_events(), pytest.raises(Exception, match="names no job"):
        transports.emit({})


def test_a_file_per_process(tmp_path):
    """Parent and child write files of their own, also where the parent wrote before the fork."""
    transports.emit(EVENT | {"who": "parent"})
    child = os.fork()
    if child == 0:
        transports.emit(EVENT | {"who": "child"})
        os._exit(0)
    os.waitpid(child, 0)
    transports.emit(EVENT | {"who": "parent"})
    files = {path: path.read_bytes() for path in (tmp_path / "lineage" / "inbox").glob("*.ndjson")}
    assert 2 == len(files)
    for path, content in files.items():
        who = "child" if f"-{child}-" in path.name else "parent"
        assert {who} == {json.loads(line)["who"] for line in content.splitlines()}


def test_a_sender_used_on_both_sides_of_a_fork(tmp_path):
    """A sender that wrote before the fork gives the child a file of its own, even while its lock is held."""
    sender = LocalSender(tmp_path)
    sender.send(None, b"parent")
    with sender._file._lock:  # as if another thread of the parent were writing
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # a child that waits for the lock for ever shall not stay
            sender.send(None, b"child")
            os._exit(0)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sender.send(None, b"parent")
    assert {b"parent\nparent\n", b"child\n"} == {path.read_bytes() for path in tmp_path.glob("*.ndjson")}


@pytest.mark.parametrize(
    ("state", "flushes"), [("START", 0), ("RUNNING", 0), ("COMPLETE", 1), ("FAIL", 1), ("ABORT", 1)]
)
def test_the_end_of_a_run_is_flushed(state, flushes):
    """An event that ends a run is made durable before emit returns; others are not waited for."""
    flushed = []

    class Counting(testing.MemorySender):
        def flush(self, timeout):
            flushed.append(timeout)
            return super().flush(timeout)

    with transports.using(Counting()):
        assert transports.emit(EVENT | {"eventType": state})
    assert flushes == len(flushed)


def test_a_file_that_was_taken_away_is_begun_anew(tmp_path):
    """A writer whose file was removed writes its next line to a new file, not into the void."""
    sender = LocalSender(tmp_path)
    sender.send(None, b"1")
    [path] = tmp_path.glob("*.ndjson")
    path.unlink()
    sender.send(None, b"2")
    assert [b"2"] == lines(tmp_path)


def test_a_living_writer_holds_its_file(tmp_path):
    """While its writer lives a file cannot be locked for removal; after close it can."""
    import fcntl

    sender = LocalSender(tmp_path)
    sender.send(None, b"1")
    [path] = tmp_path.glob("*.ndjson")
    with path.open("rb") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sender.close(1)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_disk_that_fills_up_leaves_whole_lines(tmp_path):
    """A line that the disk takes only in part is an error and leaves no trace; a shorter one still fits."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        sender = LocalSender(tmp_path)
        sender.send(None, b"a" * 59)
        try:
            sender.send(None, b"b" * 59)
        except DeliveryError as error:
            sender.send(None, b"c" * 39)
            os._exit(0 if "40 of 60 bytes" in str(error) else 2)
        os._exit(1)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert [b"a" * 59, b"c" * 39] == lines(tmp_path)


def test_sync_without_anything(tmp_path):
    """A file that nothing was written to is synced and closed without being made."""
    file = LineFile(tmp_path / "never")
    file.sync()
    file.close()
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    "end", ["", "import sys; sys.exit(3)", "raise SystemExit", "os._exit(0)", "os.kill(os.getpid(), 9)"]
)
def test_no_end_of_the_program_loses_an_event(tmp_path, end):
    """An event is in the inbox when emit has returned, however the program ends then."""
    program = f"""
import os
from modeltrail import transports
transports.emit({EVENT!r})
{end}
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert "" == result.stderr
    assert 1 == len(lines(tmp_path / "lineage" / "inbox"))


def test_local_events_cost_no_imports():
    """An event into the inbox loads neither kafka-python nor the OpenLineage client nor a data library."""
    program = f"""
import sys
from modeltrail import transports
assert transports.emit({EVENT!r})
heavy = ("kafka", "openlineage", "numpy", "pandas", "requests", "yaml", "confluent_kafka")
print([name for name in heavy if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[]\n" == result.stdout
