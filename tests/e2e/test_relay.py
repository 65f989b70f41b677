"""`modeltrail relay` as a process: killed, stopped, watched, and what it tells."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from backends import Backend, backend
from served import serving

MODELTRAIL = Path(sys.executable).with_name("modeltrail")
STATES = ["START", "RUNNING", "COMPLETE"]


@pytest.fixture
def server() -> Iterator[Backend]:
    with backend() as found:
        yield found


def tell(log: Path, runs: int, first: int = 0) -> list[tuple[str, str]]:
    """Events of so many runs, interleaved, in the inbox of the log."""
    log.joinpath("inbox").mkdir(parents=True, exist_ok=True)
    said = [
        (f"0190a0a0-0000-7000-8000-{n:012x}", state) for state in STATES for n in range(first, first + runs)
    ]
    with log.joinpath("inbox", f"{first}.ndjson").open("w") as file:
        for run, state in said:
            event = {
                "eventType": state,
                "eventTime": "2026-11-23T10:00:00Z",
                "producer": "https://example.org/tests",
                "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
                "run": {"runId": run, "facets": {}},
                "job": {"namespace": "etl", "name": f"job-{run}", "facets": {}},
                "inputs": [],
                "outputs": [],
            }
            file.write(json.dumps(event) + "\n")
    return said


def call(log: Path, server: Backend, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [MODELTRAIL, "relay", "--to", server.url, "--log", log, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


@contextmanager
def running(log: Path, server: Backend, *options: str) -> Iterator["subprocess.Popen[str]"]:
    command = [MODELTRAIL, "relay", "--to", server.url, "--log", log, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def last_states(server: Backend) -> dict[str, str]:
    return {run: state for run, state in server.said}  # noqa: C416  the last one counts


def must_be_there(server: Backend, said: list[tuple[str, str]]) -> None:
    """Every event arrived, and of each run the last one last."""
    assert set(said) == set(server.said)
    assert set(last_states(server).values()) == {"COMPLETE"}


def settled(server: Backend) -> int:
    """How many requests came, once what a killed client had on its way is there too."""
    count = -1
    while count != len(server.got):
        count = len(server.got)
        time.sleep(0.3)
    return count


def test_killed_right_after_an_answer_it_sends_again_and_in_order(tmp_path: Path, server: Backend) -> None:
    """What was taken and not noted goes once more, and behind it all that follows, each run to its end."""
    log = tmp_path / "log"
    said = tell(log, 8)
    dead = call(log, server, MODELTRAIL_FAILPOINT="event_relayed:13")
    assert -signal.SIGKILL == dead.returncode, dead.stderr
    taken = settled(server)
    assert 13 <= taken <= 21
    assert 0 == call(log, server).returncode
    must_be_there(server, said)
    assert len(said) < len(server.got) <= len(said) + taken
    assert "Nothing new." in call(log, server).stdout


def test_killed_at_any_moment_nothing_is_lost_or_out_of_order(tmp_path: Path, server: Backend) -> None:
    """Killed again and again, while answers are slow: in the end all is there, each run in its last state."""
    log = tmp_path / "log"
    said = tell(log, 60)
    chance = random.Random(11)
    server.delay = lambda: chance.uniform(0, 0.03)
    for _ in range(3):
        before = len(server.got)
        with running(log, server, "--connections", "4") as process:
            wait_for(lambda before=before: len(server.got) >= before + 20)
            time.sleep(chance.uniform(0, 0.1))
            process.kill()
    assert 0 == call(log, server).returncode
    must_be_there(server, said)


def test_sigterm_finishes_what_is_under_way(tmp_path: Path, server: Backend) -> None:
    """Asked to end it waits for the answers it waits for, remembers them, and ends with 0."""
    log = tmp_path / "log"
    said = tell(log, 40)
    server.delay = lambda: 0.05
    with running(log, server, "--connections", "2") as process:
        wait_for(lambda: len(server.got) >= 10)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=60)
    assert 0 == process.returncode, stderr
    sent = int(re.search(r"(\d+) sent", stdout)[1])
    assert (sent, f"{120 - sent} offsets behind") == (len(server.got), re.search(r"; (.*)\.", stdout)[1])
    server.delay = lambda: 0
    assert f"{120 - sent} sent." in call(log, server).stdout
    must_be_there(server, said)
    assert 120 == len(server.got)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_watching_it_follows_the_log_and_outlasts_the_backend(tmp_path: Path) -> None:
    """What is told while it runs is sent; a backend that is away is waited for; metrics say how it stands."""
    log, port, metrics = tmp_path / "log", free_port(), free_port()
    told = tell(log, 2)
    options = ["--watch", "--interval", "0.1", "--metrics", str(metrics), "--log-format", "json"]

    def shown(path: str = "metrics") -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/{path}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:  # it does not listen yet
            return "{}"

    with backend(port) as first, running(log, first, *options) as process:
        wait_for(lambda: len(first.got) == 6)
        wait_for(lambda: 'modeltrail_relay_records_total{outcome="sent"} 6.0' in shown())
        told += tell(log, 2, first=2)
        wait_for(lambda: len(first.got) == 12)
        must_be_there(first, told)
        wait_for(lambda: "ok" == json.loads(shown("health")).get("status"))
        process.terminate()  # killed, it would send again what it sent last
        process.wait(60)
    with running(log, first, *options) as process:
        told = tell(log, 2, first=4)
        wait_for(lambda: re.search(r"relay_failures_total [1-9]", shown()))
        with backend(port) as third:
            wait_for(lambda: len(third.got) == 6)
            must_be_there(third, told)
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=60)
    assert 0 == process.returncode
    lines = [json.loads(line) for line in stderr.splitlines()]
    assert any("cannot be reached" in line["message"] and line["level"] == "WARNING" for line in lines)


def test_what_it_tells_and_how_it_ends(tmp_path: Path, server: Backend) -> None:
    """A summary, a status that lists what is not there and why, a reset to begin anew; 2 for a wrong URL."""
    log = tmp_path / "log"
    tell(log, 2)
    server.answer = lambda body: (422, b'{"errors":["no"]}', {}) if b'"START"' in body else (201, b"", {})
    done = call(log, server, MODELTRAIL_RELAY_API_KEY="key")
    assert "4 sent, 2 refused." in done.stdout
    assert "modeltrail relay status" in done.stderr
    assert {"Bearer key"} == {request.headers["Authorization"] for request in server.got}

    def ask(*arguments: str) -> str:
        command = [MODELTRAIL, "relay", *arguments, "--log", log]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    (found,) = json.loads(ask("status", "--json", "--limit", "1"))
    assert ({"sent": 4, "refused": 2}, 0, 1) == (found["records"], found["behind"], len(found["aside"]))
    assert 'answered 422 {"errors":["no"]}' in ask("status", "--to", server.url)
    ask("reset", "--to", server.url)
    assert "" == ask("status")
    server.answer = lambda _: (201, b"", {})
    assert {"records": {"sent": 6}, "repaired": {}, "behind": 0} == json.loads(
        call(log, server, "--json").stdout
    )
    server.answer = lambda _: (404, b"", {})
    tell(log, 1, first=9)
    wrong = call(log, server)
    assert (2, True) == (wrong.returncode, "takes no events: answered 404" in wrong.stderr)


@pytest.mark.slow
def test_a_backend_that_is_away_ends_it_with_4(tmp_path: Path) -> None:
    """After half a minute a relay that was not to watch says that nothing was taken."""
    tell(tmp_path / "log", 1)
    away = Backend()
    away.url = f"http://127.0.0.1:{free_port()}"
    done = call(tmp_path / "log", away)
    assert (4, True) == (done.returncode, "nothing was taken for 30 s" in done.stderr)


def test_another_log_takes_it(tmp_path: Path) -> None:
    """A `modeltrail serve` with a token is a backend like any other: the events arrive byte for byte."""
    said = tell(tmp_path / "log", 3)
    told = (tmp_path / "log" / "inbox" / "0.ndjson").read_bytes().splitlines()
    other = tmp_path / "other"
    with serving(other, env={"MODELTRAIL_TOKEN": "0123456789abcdef"}) as server:
        refused = call(tmp_path / "log", server, MODELTRAIL_RELAY_API_KEY="wrong-wrong-wrong")
        assert (2, True) == (refused.returncode, "answered 401" in refused.stderr)
        done = call(
            tmp_path / "log", server, "--guard", "none", MODELTRAIL_RELAY_API_KEY="0123456789abcdef\n"
        )
        assert f"{len(said)} sent." in done.stdout, done.stderr
    kept = [line for path in other.glob("inbox/*.ndjson") for line in path.read_bytes().splitlines()]
    assert sorted(told) == sorted(kept)


@pytest.mark.kafka
def test_a_topic_is_collected_and_relayed(
    tmp_path: Path, server: Backend, kafka_bootstrap: str, kafka_topic
) -> None:
    """With a broker the topic goes into the log and on to the backend; watching, what comes later too."""
    from kafka import KafkaProducer

    log, topic = tmp_path / "log", kafka_topic()
    lines = []
    for first in (0, 5):
        tell(tmp_path / "told", 5, first)
        lines.append((tmp_path / "told" / "inbox" / f"{first}.ndjson").read_bytes().splitlines())
    options = ["--bootstrap-servers", kafka_bootstrap, "--topic", topic]
    with KafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        for line in lines[0]:
            producer.send(topic, line).get(30)
        done = call(log, server, *options)
        assert (0, True) == (done.returncode, "15 sent." in done.stdout), done.stderr
        with running(log, server, *options, "--watch", "--interval", "0.2") as process:
            for line in lines[1]:
                producer.send(topic, line).get(30)
            wait_for(lambda: len(server.got) == 30)
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=60)
    assert 0 == process.returncode, stderr
    assert sorted(lines[0] + lines[1]) == sorted(request.body for request in server.got)
    assert set(last_states(server).values()) == {"COMPLETE"}


@pytest.mark.slow
def test_a_broker_that_is_away_keeps_nothing_back(tmp_path: Path, server: Backend) -> None:
    """While the topic cannot be read, which is said, what the log has is relayed all the same."""
    log = tmp_path / "log"
    tell(log, 1)
    options = ["--watch", "--interval", "0.2", "--bootstrap-servers", f"127.0.0.1:{free_port()}"]
    with running(log, server, *options) as process:
        wait_for(lambda: len(server.got) == 3)
        time.sleep(15)
        tell(log, 1, first=1)
        wait_for(lambda: len(server.got) == 6)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
    assert (0, True) == (process.returncode, "is the broker running?" in stderr), stderr
    assert "answers again" not in stderr
