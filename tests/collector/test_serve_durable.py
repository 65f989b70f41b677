"""What `modeltrail serve` acknowledged is there, whatever happens to it; what it cannot keep it refuses."""

import asyncio
import json
import resource
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import requests
from kafka_broker import create_topic, read
from served import JSON, MODELTRAIL, event, lines, refused, serving

from modeltrail_collector.errors import Unavailable
from modeltrail_collector.intake.files import remove_if_done, unsealed
from modeltrail_collector.intake.kafka import Connection
from modeltrail_collector.log import open_log
from modeltrail_collector.web import inbox
from modeltrail_collector.web.broker import BrokerSink
from modeltrail_collector.web.commit import Committer
from modeltrail_collector.web.inbox import InboxSink
from modeltrail_collector.web.status import ServeStatus
from modeltrail_schemas.keys import event_key


def asked(log, query):
    """The rows of a query over the tables, once all is compacted."""
    for arguments in (["compact"], ["sql", query, "--json"]):
        command = [MODELTRAIL, *arguments, "--log", log]
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(found.stdout)


def test_kill_9_under_load_loses_nothing_acknowledged(tmp_path):
    """Of eight senders that a SIGKILL interrupts every acknowledged event is in the tables, once."""
    log, acknowledged = tmp_path / "log", []
    with serving(log) as server:

        def send(sender):
            session = requests.Session()
            with suppress(requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                for number in range(sender * 100_000, sender * 100_000 + 100_000):
                    data = json.dumps(event(number))
                    url = f"{server.url}/api/v1/lineage"
                    assert session.post(url, data=data, headers=JSON, timeout=30).status_code == 201
                    acknowledged.append(event(number)["run"]["runId"])
                    if len(acknowledged) >= 500:
                        server.process.kill()

        with ThreadPoolExecutor(8) as pool:
            for sender in [pool.submit(send, sender) for sender in range(8)]:
                sender.result()
    rows = asked(log, "select run_id, count(*) as events from events group by run_id")
    stored = {row["run_id"]: row["events"] for row in rows}
    assert len(acknowledged) >= 500
    assert set(acknowledged) <= stored.keys()
    assert set(stored.values()) == {1}
    assert list((log / "inbox").iterdir()) == []  # its writer is dead: nothing keeps the file


def test_the_same_event_twice_changes_no_answer(tmp_path):
    """A sender that heard no answer sends again: the log has both, marks one, and there is one run."""
    log = tmp_path / "log"
    with serving(log) as server:
        for _ in range(2):
            assert server.post(event(1)).status_code == 201
        assert asked(log, 'select duplicate from events order by "offset"') == [
            {"duplicate": False},
            {"duplicate": True},
        ]
        assert len(asked(log, "select * from runs")) == 1


def test_servers_side_by_side_share_a_log(tmp_path):
    """Each has a file of its own in the inbox: all of what was sent to either is in the tables, once."""
    log = tmp_path / "log"
    with serving(log) as one, serving(log) as other:
        for number in range(20):
            assert (one, other)[number % 2].post(event(number)).status_code == 201
        assert len(list((log / "inbox").iterdir())) == 2
        stored = asked(log, "select run_id from events")
    assert sorted(row["run_id"] for row in stored) == [event(number)["run"]["runId"] for number in range(20)]


def takes_connections(host, port):
    try:
        socket.create_connection((host, int(port))).close()
    except ConnectionRefusedError:
        return False
    return True


def test_sigterm_finishes_what_is_under_way(tmp_path):
    """A request whose body is still coming is answered and kept; nobody new comes in, and the end is 0."""
    log = tmp_path / "log"
    body = json.dumps(event(1)).encode()
    with serving(log) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            head = f"POST /api/v1/lineage HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            slow.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:20])
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            while takes_connections(host, port):
                time.sleep(0.02)
            slow.sendall(body[20:])
            assert b"201" in slow.recv(4096).split(b"\r\n")[0]
        assert server.process.wait(30) == 0
    assert lines(log) == [event(1)]


def test_ctrl_c_ends_with_130(tmp_path):
    """Ctrl-C is an orderly end, too."""
    with serving(tmp_path / "log") as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 130


def test_a_full_disk_is_503_and_takes_nothing_back(tmp_path):
    """What the disk does not take is refused, to be sent again; what was acknowledged before stays whole."""
    log, limit = tmp_path / "log", 10_000

    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    taken = []
    with serving(log, preexec_fn=small_disk) as server:
        large = event(0, producer="https://example.com/" + "x" * limit)
        for number in range(1, 60):
            found = server.post(event(number))
            if found.status_code == 503:
                break
            taken.append(event(number))
        assert found.headers["Retry-After"] == "1"
        assert not found.json()["kept"]
        assert str(tmp_path) not in found.text  # where our disk is does not concern the sender
        assert requests.get(f"{server.url}/healthz", timeout=10).status_code == 503
        time.sleep(1.1)
        assert server.post(event(100)).status_code == 201  # into another file
        time.sleep(0.1)
        assert server.post([event(101), large, event(102)], "/batch").status_code == 503
    stored = lines(log)
    assert all(each in stored for each in [*taken, event(100)])
    assert large not in stored


def test_what_comes_together_shares_one_commit(tmp_path):
    """While one commit lasts others wait, and the next one takes all of them."""
    groups, first, go_on = [], threading.Event(), threading.Event()

    class Slow(InboxSink):
        def put(self, values):
            groups.append(list(values))
            first.set()
            go_on.wait(30)
            return super().put(values)

    async def send():
        committer = Committer(Slow(tmp_path), ServeStatus())
        committer.start()
        waiting = [asyncio.create_task(committer.commit([b"0"]))]
        await asyncio.to_thread(first.wait, 30)
        waiting += [asyncio.create_task(committer.commit([b"%d" % number])) for number in range(1, 20)]
        await asyncio.sleep(0.1)
        assert not any(each.done() for each in waiting)
        go_on.set()
        assert await asyncio.gather(*waiting) == [[None]] * 20
        committer.close()

    asyncio.run(send())
    assert groups == [[b"0"], [b"%d" % number for number in range(1, 20)]]


def test_after_a_failure_nobody_waits_for_the_next_one(tmp_path):
    """A sink that is away is tried once a second; who comes meanwhile is told at once; then all is well."""
    tries, told = [], []

    class Away(InboxSink):
        def put(self, values):
            tries.append(values)
            if len(tries) == 1:
                raise Unavailable("away")
            return super().put(values)

    async def send():
        status = ServeStatus()
        committer = Committer(Away(tmp_path), status)
        committer.start()
        for _ in range(5):
            with pytest.raises(Unavailable) as raised:
                await committer.commit([b"1"])
            told.append(raised.value)
        assert (len(tries), status.commit_failures) == (1, 1)
        assert len({id(each) for each in told}) == 5  # else one would hold what all of them had sent
        await asyncio.sleep(1.1)
        assert await committer.commit([b"2"]) == [None]
        committer.close()

    asyncio.run(send())


def test_a_file_of_the_inbox_is_left_when_it_is_large(tmp_path, monkeypatch):
    """A server that lives long begins new files, so that compacting can remove the ones before."""
    monkeypatch.setattr(inbox, "ROTATE_BYTES", 10)
    sink = InboxSink(tmp_path)
    for value in (b'{"a": 1}', b'{"b": 2}', b'{"c": 3}'):
        sink.put([value, value])
    first, *_, last = sorted(tmp_path.iterdir())
    progress = {
        (path.name, line.progress.first_line_sha256): line.progress.next_byte
        for path in (first, last)
        for line in unsealed(path, path.name, {})
    }
    assert remove_if_done(first, first.name, progress)
    assert not remove_if_done(last, last.name, progress)  # it is still written
    sink.close()
    assert remove_if_done(last, last.name, progress)


def test_a_file_that_is_taken_away_is_written_anew(tmp_path):
    """Somebody moves the log's folder under a server: what comes next lies in the folder that is there."""
    log = open_log(tmp_path / "log")
    sink = InboxSink(log.inbox)
    sink.put([b"1"])
    (tmp_path / "log").rename(tmp_path / "moved")
    sink.put([b"2"])
    assert lines(tmp_path / "moved") == [1]
    assert lines(tmp_path / "log") == [2]


@pytest.mark.kafka
def test_with_a_broker_events_are_in_the_topic(tmp_path, kafka_bootstrap, kafka_topic):
    """Acknowledged events are in the topic as they came, in order, keyed as every OpenLineage client does."""
    topic = kafka_topic(3)
    with serving(tmp_path / "log", "--bootstrap-servers", kafka_bootstrap, "--topic", topic) as server:
        assert server.post(event(1)).status_code == 201
        assert server.post([event(number) for number in range(2, 50)], "/batch").status_code == 204
        assert server.post({"job": None}).status_code == 422
    found = [(key, json.loads(value)) for _, key, value in read(kafka_bootstrap, topic)]
    assert [value for key, value in found if key] == [event(number) for number in range(1, 50)]
    assert {key for key, _ in found} == {event_key(event(1)), None}
    assert not (tmp_path / "log" / "inbox").exists()


@pytest.mark.kafka
def test_what_a_topic_does_not_take_is_413_for_that_event_only(tmp_path, kafka_bootstrap):
    """An event larger than the topic's limit fails alone, and sending it again would not help."""
    topic = create_topic(kafka_bootstrap, **{"max.message.bytes": 20_000})
    large = event(2, producer="https://example.com/" + "x" * 30_000)
    with serving(tmp_path / "log", "--bootstrap-servers", kafka_bootstrap, "--topic", topic) as server:
        told = server.post([event(1), large, event(3)], "/batch").json()
        assert server.post(large).status_code == 413
    assert [failed["index"] for failed in told["failed_events"]] == [1]
    assert "max.message.bytes" in told["failed_events"][0]["reason"]
    assert [json.loads(value) for *_, value in read(kafka_bootstrap, topic)] == [event(1), event(3)]


@pytest.mark.kafka
def test_a_broker_that_is_away_is_503_within_the_time_that_clients_wait(tmp_path, private_broker):
    """The stock clients hear of it before their 5 seconds end; once it is back all goes on by itself."""
    servers = private_broker.bootstrap_servers
    topic = create_topic(servers)
    with serving(tmp_path / "log", "--bootstrap-servers", servers, "--topic", topic) as server:
        with private_broker.paused():
            started = time.monotonic()
            assert server.post(event(1)).status_code == 503
            assert time.monotonic() - started < 5
        while server.post(event(2)).status_code == 503:
            time.sleep(0.2)
    assert event(2) in [json.loads(value) for *_, value in read(servers, topic)]


@pytest.mark.kafka
def test_a_topic_that_is_not_there_ends_the_server(tmp_path, kafka_bootstrap):
    """A mistyped name is told at the start, with what makes the topic."""
    options = ("--bootstrap-servers", kafka_bootstrap, "--topic", "nowhere")
    code, told = refused(tmp_path / "log", *options)
    assert code == 4
    assert "modeltrail topic create --topic nowhere" in told


def test_no_broker_is_told_within_the_time_that_clients_wait():
    """Where nobody listens a server does not start; one that lost its broker answers in time."""
    started = time.monotonic()
    with pytest.raises(Unavailable, match="nothing listens there"):
        BrokerSink(Connection("127.0.0.1:1", "events", "group"))
    assert time.monotonic() - started < 5
