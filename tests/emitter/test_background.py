"""`delivery: async` on a real broker: whatever happens to the process or the broker, nothing is lost."""

import json
import os
import random
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from kafka_broker import create_topic, read

from modeltrail import guard, settings, testing, transports
from modeltrail.errors import DeliveryError, EventTooLarge
from modeltrail.transports import kafka, lines, spool
from modeltrail.transports.background import BackgroundSender
from modeltrail.transports.kafka_options import KafkaOptions
from modeltrail.transports.spool import backlog

PATIENCE_S = 60
COMMAND = "from modeltrail.cli import main; main()"
PROGRAM = """
import os, signal, sys, time
from modeltrail import settings, transports
settings.configure(transport={"type": "modeltrail.KafkaTransport", "topic": sys.argv[2], "delivery": "async",
                              "config": {"bootstrap.servers": sys.argv[1]}})
def emit(number, state="RUNNING"):
    run = {"runId": "018d5b3e-0000-7000-8000-000000000001"}
    assert transports.emit({"eventType": state, "run": run, "job": {"namespace": "n", "name": "j"},
                            "number": number})
    print(number, flush=True)
"""


@pytest.fixture(autouse=True)
def fresh():
    """Nothing of one test is left in the next; no thread either."""
    testing.reset()
    before = set(threading.enumerate())
    yield
    testing.reset()
    until(lambda: not set(threading.enumerate()) - before)


@pytest.fixture
def make(tmp_path):
    """Makes senders and closes them."""
    made = []

    def sender(bootstrap, topic="t", **options):
        options = {"delivery": "async", **options}
        made.append(
            BackgroundSender(
                KafkaOptions({"bootstrap_servers": bootstrap}, tmp_path / "spool", topic, **options)
            )
        )
        return made[-1]

    yield sender
    for each in made:
        each.close(5)


@pytest.fixture
def program(tmp_path):
    """Starts a program that emits; what it prints is what it was told is safe."""
    running = []

    def start(lines, *arguments):
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM + lines, *arguments],
                env={**os.environ, "MODELTRAIL_SPOOL": str(tmp_path / "spool")},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def event(number, name="j"):
    run = {"runId": "018d5b3e-0000-7000-8000-000000000001"}
    job = {"namespace": "n", "name": name}
    return json.dumps({"eventType": "RUNNING", "run": run, "job": job, "number": number}).encode()


def numbers(bootstrap, topic):
    """The numbers of all events of a topic, in order."""
    return [json.loads(value)["number"] for _, _, value in read(bootstrap, topic)]


def files_open():
    return len(list(Path("/proc/self/fd").iterdir()))


def until(condition):
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def flush_spool(bootstrap, topic, tmp_path):
    """What `modeltrail spool flush --json` answers, and its exit code."""
    transport = {
        "type": "modeltrail.KafkaTransport",
        "topic": topic,
        "config": {"bootstrap.servers": bootstrap},
    }
    (tmp_path / "openlineage.yml").write_text(json.dumps({"transport": transport}))
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "spool", "flush", "--json"],
        env={
            **os.environ,
            "MODELTRAIL_SPOOL": str(tmp_path / "spool"),
            "OPENLINEAGE_CONFIG": str(tmp_path / "openlineage.yml"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.kafka
def test_events_arrive_in_order_and_leave_nothing(kafka_bootstrap, kafka_topic, make, tmp_path):
    """What is sent arrives once, in order; then the spool is empty and no thread or file stays open."""
    topic = kafka_topic()
    threads, files = set(threading.enumerate()), files_open()
    sender = make(kafka_bootstrap, topic)
    for number in range(2000):
        sender.send(None, event(number))
    assert sender.wait(PATIENCE_S)
    assert list(range(2000)) == numbers(kafka_bootstrap, topic)
    assert [] == list((tmp_path / "spool").glob("*.*"))
    sender.send(None, event(2000))
    assert sender.close(PATIENCE_S)
    until(lambda: set(threading.enumerate()) <= threads and files_open() <= files)
    sender.send(None, event(2001))
    assert sender.close(PATIENCE_S)
    assert list(range(2002)) == numbers(kafka_bootstrap, topic)


def storm(broker, program, tmp_path, kills):
    """Processes that emit to one spool, two at a time, killed at any moment; the broker comes and goes."""
    bootstrap = broker.bootstrap_servers
    topic = create_topic(bootstrap)
    chance = random.Random(kills)
    told, running = [], []
    for number in range(kills):
        first = number * 1_000_000
        lines = f"for number in range({first}, {first} + 1_000_000):\n    emit(number)\n    time.sleep(0.001)"
        running.append(program(lines, bootstrap, topic))
        running[-1].stdout.readline()
        if number % 4 == 1:
            broker.stop()
        if number % 4 == 3:
            broker.start()
        time.sleep(chance.random())
        if len(running) == 2:
            told += emitted(running.pop(0))
    told += emitted(running.pop())
    if kills % 4 in {2, 3}:
        broker.start()
    assert 0 == flush_spool(bootstrap, topic, tmp_path)[0]
    found = numbers(bootstrap, topic)
    assert set() == set(told) - set(found)
    return len(told), len(set(found)), len(found)


def emitted(process):
    """What a process was told is safe, until it is killed now; its first line was read before."""
    process.kill()
    return [int(line) for line in process.communicate()[0].split()]


@pytest.mark.kafka
def test_a_storm_of_kills(private_broker, program, tmp_path):
    """Six processes on one spool, killed while they emit and deliver, with and without a broker."""
    storm(private_broker, program, tmp_path, 6)


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(1800)
def test_a_long_storm_of_kills(private_broker, program, tmp_path, capsys):
    """The same with eighty."""
    told, found, records = storm(private_broker, program, tmp_path, 80)
    with capsys.disabled():
        print(f"\nemitted {told}, delivered {found}, in {records} records, lost 0, kills 80")


@pytest.mark.kafka
def test_sending_while_others_close(kafka_bootstrap, kafka_topic, make, tmp_path):
    """Threads that send and one that closes again and again: every event arrives once, and none waits."""
    topic = kafka_topic()
    sender = make(kafka_bootstrap, topic)
    done = threading.Event()

    def send(first):
        for number in range(first, first + 500):
            sender.send(None, event(number))

    def close():
        while not done.is_set():
            sender.close(PATIENCE_S)

    threads = [threading.Thread(target=send, args=(first,)) for first in (0, 500)]
    closer = threading.Thread(target=close)
    for thread in (*threads, closer):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    closer.join()
    assert sender.close(PATIENCE_S)
    found = numbers(kafka_bootstrap, topic)
    assert list(range(1000)) == sorted(found)
    assert [list(range(500)), list(range(500, 1000))] == [
        [number for number in found if number < 500],
        [number for number in found if number >= 500],
    ]
    assert (0, 0) == (sender.undelivered, backlog(tmp_path / "spool").files)


@pytest.mark.kafka
def test_what_is_being_closed_goes_before_what_comes(private_broker, make):
    """An event that is sent while a closing still delivers arrives behind all that were sent before it."""
    bootstrap = private_broker.bootstrap_servers
    topic = create_topic(bootstrap)
    sender = make(bootstrap, topic)
    sender.send(b"run:n/j", event(0))
    assert sender.wait(PATIENCE_S)
    with private_broker.paused():
        for number in range(1, 10_000):
            sender.send(b"run:n/j", event(number))
        closer = threading.Thread(target=sender.close, args=(PATIENCE_S,))
        closer.start()
        until(lambda: sender._working is None)  # the closing has begun, and waits for the broker
        sender.send(b"run:n/j", event(10_000))
    closer.join()
    assert sender.close(PATIENCE_S)
    assert list(range(10_001)) == numbers(bootstrap, topic)


@pytest.mark.kafka
@pytest.mark.parametrize("delivery", ["sync", "async"])
def test_what_a_closed_sender_left_comes_first(private_broker, tmp_path, delivery):
    """A process that closes without its broker and goes on delivers in its order, and then says so."""
    bootstrap = private_broker.bootstrap_servers
    topic = create_topic(bootstrap)
    private_broker.stop()
    options = KafkaOptions({"bootstrap_servers": bootstrap}, tmp_path / "spool", topic, delivery=delivery)
    sender = kafka.sender(msgspec.structs.replace(options, timeout=1))
    for number in (1, 2):
        sender.send(b"run:n/j", event(number))
    assert not sender.close(3)
    assert 2 == sender.undelivered
    private_broker.start()
    for note in options.spool.rglob("unreachable-*"):  # as after half a minute
        note.unlink()
    sender.options = msgspec.structs.replace(options, timeout=30)
    again = kafka.sender(sender.options)
    for number in (3, 4):
        again.send(b"run:n/j", event(number))
    assert again.wait(PATIENCE_S)
    assert again.close(PATIENCE_S)
    assert [1, 2, 3, 4] == numbers(bootstrap, topic)
    assert (0, True) == (sender.undelivered, sender.close(1))


def test_nobody_waits_for_what_was_closed(make):
    """Who waits until Kafka has all events is told when the sender is closed."""
    sender = make("127.0.0.1:1", timeout=0.3)
    sender.send(None, event(1))
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(sender.wait(-1)))
    waiter.start()
    sender.close(5)
    waiter.join(PATIENCE_S)
    assert [False] == answers


def test_a_disk_that_cannot_sync(make, monkeypatch):
    """With `fsync_interval: 0` that is an error; a sender that could not sync closes all the same."""

    def failing(_):
        raise OSError("a fault of the test")

    sender = make("127.0.0.1:1", timeout=0.3, fsync_interval=0)
    sender.send(None, event(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(DeliveryError, match="a fault of the test"):
            sender.send(None, event(2))
        with pytest.raises(DeliveryError, match="a fault of the test"):
            sender.flush(1)
    assert not sender.close(5)
    assert not any(thread.name == "modeltrail-spool" for thread in threading.enumerate())
    assert 2 == sender.undelivered


@pytest.mark.kafka
def test_a_file_that_cannot_be_read_holds_up_nothing(kafka_bootstrap, kafka_topic, make, tmp_path):
    """What is no file of a spool is passed over; what lies behind it is delivered."""
    topic = kafka_topic()
    (tmp_path / "spool" / "a.ndjson").mkdir(parents=True)
    (tmp_path / "spool" / "b.ndjson").write_bytes(event(1) + b"\n")
    make(kafka_bootstrap, topic).send(None, event(2))
    until(lambda: [1, 2] == sorted(numbers(kafka_bootstrap, topic)))


@pytest.mark.kafka
def test_a_file_that_grows_is_cut(kafka_bootstrap, kafka_topic, make, tmp_path, monkeypatch):
    """What is delivered gives its room back also where there is always something that waits."""
    monkeypatch.setattr(spool, "_CUT_BYTES", 5_000)
    monkeypatch.setattr(spool, "_READ_BYTES", 2_000)
    cuts = []
    detach = lines.LineFile.detach
    monkeypatch.setattr(lines.LineFile, "detach", lambda self: cuts.append(self.path) or detach(self))
    topic = kafka_topic()
    sender = make(kafka_bootstrap, topic)
    for number in range(1000):
        sender.send(None, event(number))
    assert sender.wait(PATIENCE_S)
    assert cuts
    assert list(range(1000)) == numbers(kafka_bootstrap, topic)
    assert [] == list((tmp_path / "spool").glob("*.*"))


@pytest.mark.kafka
@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(3)"])
def test_a_process_that_dies_loses_nothing(kafka_bootstrap, kafka_topic, program, tmp_path, end):
    """Killed, or gone by os._exit as Airflow's children: `spool flush` delivers what it emitted."""
    topic = kafka_topic()
    dying = program(
        f"for number in range(3000):\n    emit(number)\n    if number == 1500: {end}", kafka_bootstrap, topic
    )
    told = [int(line) for line in dying.communicate(timeout=PATIENCE_S)[0].splitlines()]
    assert list(range(len(told))) == told
    code, answer = flush_spool(kafka_bootstrap, topic, tmp_path)
    assert (0, 0, 0) == (code, answer["waiting"], answer["refused"])
    found = numbers(kafka_bootstrap, topic)
    assert set(told) <= set(found)
    assert sorted(set(found)) == list(dict.fromkeys(found))  # in order, some perhaps twice
    assert 0 == backlog(tmp_path / "spool").files


@pytest.mark.kafka
def test_a_broker_that_is_away(private_broker, program, tmp_path):
    """Events wait for the broker, as many as there are, and are delivered in order when it is back."""
    bootstrap = private_broker.bootstrap_servers
    topic = create_topic(bootstrap)
    working = (
        program("for number in range(200): emit(number)\nsys.stdin.readline()", bootstrap, topic)
        if False
        else None
    )
    assert working is None
    sender = BackgroundSender(
        KafkaOptions({"bootstrap_servers": bootstrap}, tmp_path / "spool", topic, delivery="async", timeout=3)
    )
    for number in range(100):
        sender.send(None, event(number))
    assert sender.wait(PATIENCE_S)
    private_broker.stop()
    for number in range(100, 300):
        sender.send(None, event(number))
    assert not sender.wait(1)
    assert 200 == sender.undelivered == backlog(tmp_path / "spool").events
    private_broker.start()
    assert sender.wait(2 * PATIENCE_S)
    assert list(range(300)) == list(dict.fromkeys(numbers(bootstrap, topic)))
    assert sender.close(5)


def test_a_file_that_is_taken_before_it_is_locked(tmp_path, monkeypatch):
    """Between a file's making and its locking another process may remove it, as one of an ended process."""
    lock = lines.fcntl.flock
    taken = []

    def take_first(descriptor, how):
        if not taken:
            taken.extend(tmp_path.glob("*.ndjson"))
            taken[0].unlink()
        lock(descriptor, how)

    monkeypatch.setattr(lines.fcntl, "flock", take_first)
    lines.LineFile(tmp_path).append(b"kept")
    assert [b"kept\n"] == [path.read_bytes() for path in tmp_path.glob("*.ndjson")]
    assert 1 == len(taken)


def test_a_new_file_is_not_taken_for_the_old(tmp_path):
    """What was delivered of a file that somebody took away says nothing of the next, though it be as long."""
    kept = spool.Spool(tmp_path)
    kept.append(event(1))
    file = kept.own()
    lines_of_it = file.lines()
    file.path.unlink()
    kept.append(event(2))
    kept.sent(file, lines_of_it)
    assert [event(2) + b"\n"] == [path.read_bytes() for path in tmp_path.glob("*.ndjson")]
    assert [event(2)] == [line.value for line in kept.own().lines()]
    assert 1 == kept.waiting
    kept.close()


@pytest.mark.kafka
def test_a_file_that_somebody_removes(kafka_bootstrap, kafka_topic, make, tmp_path):
    """What was removed cannot be delivered; what comes afterwards is."""
    topic = kafka_topic()
    sender = make("127.0.0.1:1", topic, timeout=0.3)
    sender.send(None, event(1))
    until(lambda: sender._working.failed)
    for path in (tmp_path / "spool").glob("*.ndjson"):
        path.unlink()
    sender.options = sender._working.delivery.producer.options = KafkaOptions(
        {"bootstrap_servers": kafka_bootstrap}, tmp_path / "spool", topic
    )
    sender.send(None, event(2))
    until(lambda: 2 in numbers(kafka_bootstrap, topic))
    sender.send(None, event(3))
    until(lambda: 3 in numbers(kafka_bootstrap, topic))
    assert [] == list((tmp_path / "spool").glob("*.ndjson"))


@pytest.mark.parametrize("interval", [0.1, 0.0])
def test_a_power_cut_takes_no_more_than_the_interval(make, monkeypatch, interval):
    """What waits, and the name of its file, is synced within `fsync_interval`; at 0 before `send` returns."""
    synced, named = [0], []
    sync = os.fsync

    def syncing(descriptor):
        found = os.fstat(descriptor)
        (named if stat.S_ISDIR(found.st_mode) else synced).append(found.st_size)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", syncing)
    sender = make("127.0.0.1:1", timeout=0.3, fsync_interval=interval)
    for number in range(3):
        sender.send(None, event(number))
        if interval:
            until(lambda number=number: len(event(0)) * (number + 1) < max(synced))
            until(lambda: named)
        assert len(event(0)) * (number + 1) < max(synced)
        assert 1 == len(named)
    assert sender.flush(1)


@pytest.mark.parametrize("timeout", [0.5, PATIENCE_S])
def test_closing_without_a_broker_tells_the_truth(make, tmp_path, caplog, timeout):
    """It waits for no broker that is away and leaves no thread; what waits is on disk, which is said."""
    sender = make("127.0.0.1:1", timeout=timeout)
    sender.send(None, event(1))
    began = time.monotonic()
    assert not sender.close(PATIENCE_S)
    assert time.monotonic() < began + PATIENCE_S
    assert not any(thread.name == "modeltrail-spool" for thread in threading.enumerate())
    assert 1 == len(caplog.messages)
    assert str(tmp_path / "spool") in caplog.text
    assert (1, 1) == (sender.undelivered, backlog(tmp_path / "spool").events)


@pytest.mark.kafka
def test_the_next_process_delivers_what_was_left(kafka_bootstrap, kafka_topic, make, tmp_path):
    """What a process left is taken up by the next that emits, and what a running one has is not."""
    topic = kafka_topic()
    gone = make("127.0.0.1:1", timeout=0.5)
    gone.send(None, event(1))
    gone.close(5)
    alive = make("127.0.0.1:1", timeout=0.5)
    alive.send(None, event(2))
    sender = make(kafka_bootstrap, topic)
    sender.send(None, event(3))
    until(lambda: [1, 3] == sorted(numbers(kafka_bootstrap, topic)))
    assert 1 == backlog(tmp_path / "spool").events == alive.undelivered


def test_one_at_a_time_takes_up_what_a_writer_left(tmp_path):
    """Of two that look, one has the files of an ended writer, in their order; the other those of others."""
    for name in ("a-1-1", "a-1-2", "a-2-3"):
        (tmp_path / f"{name}.ndjson").write_bytes(event(1) + b"\n")
        os.utime(tmp_path / f"{name}.ndjson", ns=(int(name[-1]), int(name[-1])))
    one, other = (spool.Spool(tmp_path).abandoned() for _ in range(2))
    first = next(one)
    assert ["a-2-3"] == [file.path.stem for file in other]
    first.remove()
    assert ["a-1-2", "a-2-3"] == [file.path.stem for file in one]


@pytest.mark.kafka
def test_a_synchronous_sender_takes_up_what_was_left(kafka_bootstrap, kafka_topic, make, tmp_path):
    """So does one that delivers each event before it returns, in the background."""
    from modeltrail.transports.kafka import KafkaSender

    topic = kafka_topic()
    gone = make("127.0.0.1:1", timeout=0.5)
    for number in range(10):
        gone.send(None, event(number))
    gone.close(5)
    sender = KafkaSender(KafkaOptions({"bootstrap_servers": kafka_bootstrap}, tmp_path / "spool", topic))
    sender.send(b"run:n/j", event(10))
    until(lambda: 0 == backlog(tmp_path / "spool").events)
    assert sender.close(5)
    assert list(range(11)) == sorted(numbers(kafka_bootstrap, topic))


@pytest.mark.kafka
def test_two_processes_share_a_spool(kafka_bootstrap, kafka_topic, program, tmp_path):
    """Each delivers its own events, all of them once."""
    topic = kafka_topic()
    both = [
        program(f"for number in range({start}, {start + 500}): emit(number)", kafka_bootstrap, topic)
        for start in (0, 500)
    ]
    for process in both:
        process.communicate(timeout=PATIENCE_S)
    assert list(range(1000)) == sorted(numbers(kafka_bootstrap, topic))
    assert 0 == backlog(tmp_path / "spool").files


@pytest.mark.kafka
def test_children_lose_nothing(kafka_bootstrap, kafka_topic, program, tmp_path):
    """A child forked while its parent delivers has a file of its own; ended by os._exit, it loses nothing."""
    topic = kafka_topic()
    family = program(
        """
emit(0)
for child in range(1, 6):
    if os.fork() == 0:
        emit(child)
        os._exit(0)
    os.wait()
emit(6)
""",
        kafka_bootstrap,
        topic,
    )
    told, complaints = family.communicate(timeout=PATIENCE_S)
    assert ("0 1 2 3 4 5 6", "") == (" ".join(told.split()), complaints)
    flush_spool(kafka_bootstrap, topic, tmp_path)
    found = numbers(kafka_bootstrap, topic)
    assert list(range(7)) == sorted(set(found))


@pytest.mark.kafka
def test_a_disk_that_takes_nothing(kafka_bootstrap, kafka_topic, make, tmp_path):
    """Then Kafka gets the event at once; where it does not take it either, that is an error, counted."""
    topic = kafka_topic()
    (tmp_path / "spool").write_text("a file where the directory should be")
    make(kafka_bootstrap, topic).send(b"run:n/j", event(1))
    assert [1] == numbers(kafka_bootstrap, topic)
    with pytest.raises(DeliveryError, match=r"127\.0\.0\.1:1 did not take"):
        make("127.0.0.1:1", timeout=0.3).send(b"k", event(2))
    with pytest.raises(DeliveryError, match="spool"):
        make(kafka_bootstrap, topic, on_failure="raise").send(b"k", event(3))


def test_a_full_spool_is_an_error_that_is_counted(tmp_path, monkeypatch, caplog):
    """What comes when the room is used up is said and counted, not dropped in silence."""
    monkeypatch.setenv("MODELTRAIL_SPOOL", str(tmp_path / "spool"))
    config = {"bootstrap.servers": "127.0.0.1:1"}
    settings.configure(
        transport={
            "type": "modeltrail.KafkaTransport", "config": config, "delivery": "async",
            "timeout": 0.3, "spool_max_bytes": 1000,
        }
    )  # fmt: skip
    found = [transports.emit(json.loads(event(number))) for number in range(20)]
    assert found[:5] == [True] * 5
    assert not any(found[10:])
    assert sum(guard.failures().values()) == found.count(False)
    assert "did not take an event" in caplog.text
    assert found.count(True) == backlog(tmp_path / "spool").events


@pytest.mark.kafka
def test_what_kafka_never_takes_stops_nothing(kafka_bootstrap, kafka_topic, make, tmp_path, caplog):
    """Too large for us or for the topic: put aside and said; all else is delivered."""
    topic = kafka_topic(max_message_bytes=5_000)
    sender = make(kafka_bootstrap, topic, max_event_bytes=20_000)
    sender.send(None, event(1))
    sender.send(None, event("o" * 30_000))
    sender.send(None, event("t" * 10_000))
    sender.send(None, event(2))
    until(lambda: not sender._working.delivery.spool.waiting)
    assert not sender.complete
    assert {1, 2} == set(numbers(kafka_bootstrap, topic))
    assert 2 == sender.undelivered == backlog(tmp_path / "spool").refused
    assert "max_event_bytes is 20000" in caplog.text
    with pytest.raises(EventTooLarge, match="30"):
        make(kafka_bootstrap, topic, max_event_bytes=20_000, on_failure="raise").send(
            None, event("o" * 30_000)
        )


@pytest.mark.kafka
def test_what_was_acknowledged_is_not_sent_again(kafka_bootstrap, kafka_topic, make, tmp_path):
    """A process that was killed in the middle of a file noted how far it had come: the next goes on there."""
    topic = kafka_topic()
    place = tmp_path / "spool" / "left.ndjson"
    place.parent.mkdir()
    place.write_bytes(b"".join(event(number) + b"\n" for number in range(5)))
    with spool.opened(place) as file:
        file.advance(file.lines()[:2])
    assert 3 == backlog(tmp_path / "spool").events
    make(kafka_bootstrap, topic).send(None, event(5))
    until(lambda: {4, 5} <= set(numbers(kafka_bootstrap, topic)))
    assert [2, 3, 4, 5] == sorted(numbers(kafka_bootstrap, topic))


@pytest.mark.kafka
def test_a_torn_line_is_put_aside(kafka_bootstrap, kafka_topic, make, tmp_path):
    """The whole lines of a file whose writer was killed at one are delivered, the rest is kept."""
    topic = kafka_topic()
    (tmp_path / "spool").mkdir()
    torn = event(2)[:20]
    (tmp_path / "spool" / "torn.ndjson").write_bytes(event(1) + b"\n" + torn)
    make(kafka_bootstrap, topic).send(None, event(3))
    until(lambda: 1 == backlog(tmp_path / "spool").refused)
    until(lambda: [1, 3] == sorted(numbers(kafka_bootstrap, topic)))
    [refused] = (tmp_path / "spool" / "refused").glob("*.ndjson")
    assert torn + b"\n" == refused.read_bytes()
    assert not (tmp_path / "spool" / "torn.ndjson").exists()


def test_spool_commands_without_anything(tmp_path):
    """Nothing waits: exit code 0, and no Kafka is asked."""
    assert (0, {"sent": 0, "waiting": 0, "refused": 0, "failures": []}) == flush_spool(
        "127.0.0.1:1", "t", tmp_path
    )
