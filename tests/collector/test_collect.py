"""`modeltrail collect` on a real broker: hostile records, restarts, signals, workers, failures to connect."""

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from modeltrail_collector.errors import CollectorError
from modeltrail_collector.intake.kafka import Connection
from modeltrail_collector.log import open_log, verify
from modeltrail_collector.model import Entry
from modeltrail_collector.pump import Status
from modeltrail_collector.pump.run import Job, run_workers
from modeltrail_collector.pump.stop import Stop

pytestmark = pytest.mark.kafka

COMMAND = [sys.executable, "-W", "ignore", "-c", "from modeltrail.cli import main; main()"]
EVENT = {
    "eventType": "START",
    "eventTime": "2026-01-01T00:00:00Z",
    "producer": "https://a.example/b",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": "0194c5a0-0000-7000-8000-000000000001"},
    "job": {"namespace": "a", "name": "b"},
}
VALID = json.dumps(EVENT).encode()
HOSTILE = {
    "not_json": b"garbage",
    "not_utf8": b'{"a": "\xff\xfe"}',
    "too_deep": b"[" * 10_000 + b"]" * 10_000,
    "too_large": b'{"a": "' + b"x" * 30_000_000 + b'"}',
    "null_value": None,
    "required": json.dumps({k: v for k, v in EVENT.items() if k != "run"}).encode(),
    "type": json.dumps(EVENT | {"run": 7}).encode(),
    "empty": b"",
    "not_finite": json.dumps(EVENT | {"x": float("nan")}).encode(),
}


@pytest.fixture
def send(kafka_bootstrap: str) -> Iterator[Callable[..., None]]:
    """Sends records to a topic and waits until they are there."""
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=kafka_bootstrap, max_request_size=40_000_000, compression_type="zstd"
    )

    def send(topic: str, *values: bytes | None, **more) -> None:
        for future in [producer.send(topic, value, **({"key": b"k"} | more)) for value in values]:
            future.get(30)

    yield send
    producer.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "lineage"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, "collect", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
    )


def collect(servers: str, topic: str, log: Path, *more: str, **environment: str):
    """Run the command to its end on this topic."""
    return run("--bootstrap-servers", servers, "--topic", topic, "--log", str(log), *more, **environment)


def entries(log: Path) -> list[Entry]:
    opened = open_log(log)
    return [e for p in opened.partitions() for segment in opened.segments(p) for e in opened.read(segment)]


def test_hostile_records_are_kept_and_told_why(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], send: Callable[..., None], log: Path
) -> None:
    """Nothing on the topic stops the collector: each broken record is an entry with code, path and bytes."""
    topic = kafka_topic(1, max_message_bytes=40_000_000)
    send(topic, VALID, *HOSTILE.values(), VALID)
    result = collect(kafka_bootstrap, topic, log, "--until-end", "--json")
    assert 0 == result.returncode, result.stderr
    answer = json.loads(result.stdout)
    assert (len(HOSTILE) + 2, 2, len(HOSTILE)) == (
        *(answer["records"], answer["accepted"], answer["rejected"]),
    )
    assert dict.fromkeys(HOSTILE, 1) == answer["rejected_by_code"]
    found = entries(log)
    assert [VALID, *HOSTILE.values(), VALID] == [entry.value for entry in found]
    assert list(HOSTILE) == [entry.reasons[0].code for entry in found[1:-1]]
    assert all(entry.reasons[0].path.startswith("$") and entry.reasons[0].message for entry in found[1:-1])
    assert verify(open_log(log)).ok


def test_a_restart_goes_on_where_the_log_ends(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], send: Callable[..., None], log: Path
) -> None:
    """A group that committed nothing in Kafka collects what the log does not have, and nothing else."""
    topic = kafka_topic(2)
    send(topic, *[VALID] * 20)
    assert "Collected 20 records (20 accepted" in collect(kafka_bootstrap, topic, log, "--until-end").stdout
    send(topic, VALID)
    again = collect(kafka_bootstrap, topic, log, "--until-end", "--group", f"new-{uuid.uuid4()}")
    assert "Collected 1 record (1 accepted, 0 warned, 0 rejected) in 1 segment in" in again.stdout
    assert 21 == len({(entry.partition, entry.offset) for entry in entries(log)})


class Collector:
    """The command in the background."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "collect", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=60)
        return self.process.returncode, out, errors

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., Collector]]:
    with ExitStack() as stack:

        def start(*arguments: str) -> Collector:
            collector = Collector(*arguments)
            stack.callback(collector.kill)
            return collector

        yield start


def group_state(admin, group: str) -> tuple[str, int]:
    """The group as the broker sees it: its state, and the sum of its committed offsets for lag tools."""
    from kafka.errors import CoordinatorNotAvailableError

    try:
        committed = admin.list_group_offsets(group)[group]
    except CoordinatorNotAvailableError:  # the broker's first group of all: its own topic is being made
        return "no coordinator", 0
    state = admin.describe_groups([group])[group]["group_state"]
    return state, sum(offset.offset for offset in committed.values())


@pytest.fixture
def admin(kafka_bootstrap: str):
    from kafka import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    yield admin
    admin.close()


def consumed(url: str) -> float:
    """How many records all workers have read, sealed or not."""
    found = re.findall(r"^modeltrail_collector_consumed_records_total{.*} (\S+)$", scraped(url), re.MULTILINE)
    return sum(map(float, found))


@pytest.fixture
def port() -> str:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


@pytest.mark.parametrize("ending", [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_seals_what_was_read(  # noqa: PLR0917  fixtures
    kafka_bootstrap: str, kafka_topic, send, log, start, admin, port, ending
) -> None:
    """SIGTERM seals what was read, leaves the group and exits with 0; Ctrl-C the same, with 130."""
    topic = kafka_topic(2)
    where = ("--bootstrap-servers", kafka_bootstrap, "--topic", topic, "--log", str(log), "--group", topic)
    collector = start(*where, "--metrics", port)
    collector.wait_for(lambda: group_state(admin, topic)[0] == "Stable")
    send(topic, VALID, VALID, VALID, partition=0)
    send(topic, VALID, VALID, partition=1)
    collector.wait_for(lambda: consumed(f"http://127.0.0.1:{port}") == 5)
    number, expected = ending
    code, out, errors = collector.end(number)
    assert expected == code, errors
    assert "Collected 5 records" in out
    assert 5 == len(entries(log))
    assert ("Empty", 5) == group_state(admin, topic)


def test_workers_share_the_partitions(  # noqa: PLR0917  fixtures
    kafka_bootstrap: str, kafka_topic: Callable[..., str], send, log: Path, start, port: str
) -> None:
    """With --workers every record is there once, each partition by one process; SIGTERM seals the rest."""
    topic = kafka_topic(4)
    for partition in range(4):
        send(topic, *[VALID] * 25, partition=partition)
    result = collect(kafka_bootstrap, topic, log, "--until-end", "--workers", "2", "--json")
    assert 0 == result.returncode, result.stderr
    assert (100, 4) == (json.loads(result.stdout)["records"], json.loads(result.stdout)["segments"])
    collector = start(
        *("--bootstrap-servers", kafka_bootstrap, "--topic", topic, "--log", str(log), "--group", topic),
        *("--workers", "2", "--metrics", port),
    )
    collector.wait_for(lambda: '"ok"' in scraped(f"http://127.0.0.1:{port}", "/health"))
    for partition in range(4):
        send(topic, *[VALID] * 10, partition=partition)
    collector.wait_for(lambda: consumed(f"http://127.0.0.1:{port}") == 40)
    code, out, errors = collector.end()
    assert 0 == code, errors
    assert "Collected 40 records" in out
    assert 140 == len({(entry.partition, entry.offset) for entry in entries(log)})


def scraped(url: str, path: str = "/metrics") -> str:
    """What an endpoint answers, "" while it does not."""
    try:
        with urllib.request.urlopen(url + path, timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()
    except OSError:
        return ""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_metrics_and_health_of_all_workers(  # noqa: PLR0917  fixtures
    kafka_bootstrap: str, kafka_topic: Callable[..., str], send, log: Path, start, port: str, workers: str
) -> None:
    """One endpoint shows every worker's counts, each partition's lag, and that all of them work."""
    topic = kafka_topic(2)
    for partition in range(2):
        send(topic, VALID, b"garbage", partition=partition)
    url = f"http://127.0.0.1:{port}"
    where = ("--bootstrap-servers", kafka_bootstrap, "--topic", topic, "--log", str(log), "--group", topic)
    collector = start(*where, "--workers", workers, "--metrics", port, "--log-format", "json")
    collector.wait_for(lambda: '"ok"' in scraped(url, "/health"))
    collector.wait_for(lambda: len(entries(log)) == 4)
    rejected = re.compile(r'rejected_records_total{code="not_json",worker="(\d)"} (\S+)')
    collector.wait_for(lambda: sum(float(count) for _, count in rejected.findall(scraped(url))) == 2)
    assert {str(index) for index in range(int(workers))} == {
        index for index, _ in rejected.findall(scraped(url))
    }
    none = [(f'partition="{n}",topic="{topic}"', "0.0") for n in range(2)]
    lag = re.compile(r"lag_records{(.*)} (\S+)")
    collector.wait_for(lambda: sorted(lag.findall(scraped(url))) == none)
    code, _, errors = collector.end()
    said = [json.loads(line) for line in errors.splitlines()]
    assert 0 == code, errors
    assert 2 == sum(line["event"] == "segment_sealed" for line in said)


def test_workers_do_not_outlive_their_parent(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], log: Path, start
) -> None:
    """When the command itself is killed its workers notice, seal and end."""
    import psutil

    topic = kafka_topic(2)
    where = ("--bootstrap-servers", kafka_bootstrap, "--topic", topic, "--log", str(log), "--group", topic)
    collector = start(*where, "--workers", "2")
    workers = []
    collector.wait_for(lambda: len(workers.extend(spawned(collector)) or workers) >= 2)
    collector.process.kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert [] == alive


def spawned(collector: Collector) -> list:
    import psutil

    children = psutil.Process(collector.process.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_sigterm_in_a_rebalance(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], send, log: Path, start
) -> None:
    """A member that is told to end while the group is being dealt out anew ends with 0 all the same."""
    topic = kafka_topic(3)
    where = ("--bootstrap-servers", kafka_bootstrap, "--topic", topic, "--log", str(log), "--group", topic)
    first = start(*where)
    send(topic, VALID)
    first.wait_for(lambda: entries(log))
    second = start(*where)
    for wait_s in (1.2, 1.6, 2.0):  # about when the new one joins
        time.sleep(wait_s)
        code, _, errors = second.end()
        assert code in {0, -signal.SIGTERM}, errors  # before Python has begun, the system's own end
        assert "Traceback" not in errors
        second = start(*where)
    for collector in (first, second):
        code, _, errors = collector.end()
        assert code in {0, -signal.SIGTERM}, errors
        assert "Traceback" not in errors
    assert verify(open_log(log)).ok


def test_a_dead_worker_ends_the_command(  # noqa: PLR0917  fixtures
    kafka_bootstrap: str, kafka_topic: Callable[..., str], send, log: Path, start, port: str
) -> None:
    """When a worker dies the others seal what they read and end; the exit code is that of the dead one."""
    topic = kafka_topic(2)
    where = ("--bootstrap-servers", kafka_bootstrap, "--topic", topic, "--log", str(log), "--group", topic)
    collector = start(*where, "--workers", "2", "--metrics", port)
    collector.wait_for(lambda: '"ok"' in scraped(f"http://127.0.0.1:{port}", "/health"))
    for partition in range(2):
        send(topic, *[VALID] * 3, partition=partition)
    collector.wait_for(lambda: consumed(f"http://127.0.0.1:{port}") == 6)
    workers = spawned(collector)
    assert 2 == len(workers)
    workers[0].kill()
    out, errors = collector.process.communicate(timeout=60)
    assert 128 + signal.SIGKILL == collector.process.returncode, (out, errors)
    assert "killed by signal 9" in errors
    assert len(entries(log)) in {3, 6}  # all six where the machine was too slow to kill it before it sealed


def test_a_dead_worker_is_shown_while_the_others_end(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], log: Path
) -> None:
    """From the moment when a worker is gone its metric and /health say so, until the last one has ended."""
    stop, seen = Stop(), []

    def report(statuses: Mapping[int, Status]) -> None:
        seen.append([status.alive for status in statuses.values()])
        if all(status.assigned for status in statuses.values()) and stop.children[1].is_alive():
            stop.children[1].kill()

    topic = kafka_topic(2)
    job = Job(Connection(kafka_bootstrap, topic, topic), str(log), workers=2)
    with pytest.raises(CollectorError, match=r"the worker collector-1 .* was killed by signal 9"):
        run_workers(job, stop, report)
    assert [[True, True], [True, False], [False, False]] == [each for each, _ in itertools.groupby(seen)]


def test_a_second_signal_ends_the_workers_too(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], log: Path, start, port: str
) -> None:
    """A worker that does not answer is waited for; the second signal ends the command and it at once."""
    import psutil

    topic = kafka_topic(2)
    where = ("--bootstrap-servers", kafka_bootstrap, "--topic", topic, "--log", str(log), "--group", topic)
    collector = start(*where, "--workers", "2", "--metrics", port)
    collector.wait_for(lambda: '"ok"' in scraped(f"http://127.0.0.1:{port}", "/health"))
    workers = spawned(collector)
    workers[0].suspend()
    try:
        collector.process.send_signal(signal.SIGTERM)
        psutil.wait_procs(workers[1:], timeout=60)
        assert collector.process.poll() is None
        assert 128 + signal.SIGTERM == collector.end()[0]
        _, alive = psutil.wait_procs(workers, timeout=60)
        assert [] == alive
    finally:
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()


def test_retention_is_reported(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], send, log: Path
) -> None:
    """Records that Kafka removed before they were collected are counted, named and in the header."""
    from kafka import KafkaAdminClient, TopicPartition

    topic = kafka_topic(1)
    send(topic, VALID)
    collect(kafka_bootstrap, topic, log, "--until-end")
    send(topic, *[VALID] * 9)
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    admin.delete_records({TopicPartition(topic, 0): 7})
    admin.close()
    result = collect(kafka_bootstrap, topic, log, "--until-end")
    assert 0 == result.returncode
    assert "6 offsets missing" in result.stdout
    assert "6 offsets (1 to 6) were removed by Kafka's retention" in result.stderr
    assert [0, 7, 8, 9] == [entry.offset for entry in entries(log)]


def test_transactions_end_too(kafka_bootstrap: str, kafka_topic: Callable[..., str], log: Path) -> None:
    """Aborted records are not collected, markers are holes, and --until-end ends behind them."""
    from kafka import KafkaProducer

    topic = kafka_topic(1)
    producer = KafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=f"t-{topic}")
    producer.init_transactions()
    for end in (producer.commit_transaction, producer.abort_transaction, producer.abort_transaction):
        producer.begin_transaction()
        for _ in range(3):
            producer.send(topic, VALID)
        end()
    producer.close()
    result = collect(kafka_bootstrap, topic, log, "--until-end")
    assert "Collected 3 records" in result.stdout, result.stderr
    assert [0, 1, 2] == [entry.offset for entry in entries(log)]
    assert "Collected 0 records" in collect(kafka_bootstrap, topic, log, "--until-end").stdout


def test_the_stock_kafka_transport_is_collected(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], log: Path
) -> None:
    """What openlineage-python sends by its own `kafka` transport is accepted, key and all."""
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.transport.kafka import KafkaConfig, KafkaTransport

    topic = kafka_topic(1)
    transport = KafkaTransport(KafkaConfig({"bootstrap.servers": kafka_bootstrap}, topic))
    client = OpenLineageClient(transport=transport)
    client.emit(
        RunEvent(
            eventType=RunState.START,
            eventTime="2026-01-01T00:00:00Z",
            run=Run("0194c5a0-0000-7000-8000-000000000001"),
            job=Job("ns", "job"),
            producer="https://a.example/b",
        )
    )
    transport.close()
    collect(kafka_bootstrap, topic, log, "--until-end")
    (found,) = entries(log)
    assert ("accepted", b"run:ns/job", "job") == (found.verdict, found.key, found.job_name)


def test_the_openlineage_configuration_says_where_to_read(
    kafka_bootstrap: str, kafka_topic: Callable[..., str], send, log: Path, tmp_path: Path
) -> None:
    """Without options the topic is the one that the emitters' configuration names."""
    topic = kafka_topic(1)
    send(topic, VALID)
    config = tmp_path / "openlineage.yml"
    config.write_text(
        f"transport: {{type: kafka, topic: {topic}, config: {{bootstrap.servers: '{kafka_bootstrap}'}}}}"
    )
    result = run("--until-end", "--log", str(log), OPENLINEAGE_CONFIG=str(config))
    assert "Collected 1 record (" in result.stdout, result.stderr
    assert str(config) in result.stderr


def test_an_unreachable_broker_is_exit_code_4(log: Path) -> None:
    """A broker that cannot be reached ends the command with 4 and the cause, which the client only logs."""
    result = collect("127.0.0.1:1", "t", log, "--until-end")
    assert 4 == result.returncode
    assert "nothing listens there" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_missing_topic_says_how_to_make_it(kafka_bootstrap: str, log: Path, workers: str) -> None:
    """A topic that does not exist is exit code 4 and the command that makes it, with many workers too."""
    result = collect(kafka_bootstrap, "no-such-topic", log, "--workers", workers)
    assert 4 == result.returncode
    assert "modeltrail topic create --topic no-such-topic" in result.stderr


def test_a_wrong_password_is_named(private_broker, log: Path, tmp_path: Path) -> None:
    """Where the client only says that it cannot bootstrap, the message names the failed login."""
    private_broker.stop()
    private_broker.start(
        listeners={"SASL": "SASL_PLAINTEXT"},
        properties={
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl.plain.sasl.jaas.config": (
                'org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="alice-secret";'
            ),
        },
    )
    config = tmp_path / "openlineage.yml"
    servers = f"127.0.0.1:{private_broker.port('SASL')}"
    for password, code in (("wrong", 4), ("alice-secret", 0)):
        config.write_text(
            "transport:\n  type: modeltrail.KafkaTransport\n  topic: nothing\n  config:\n"
            f"    {{security.protocol: sasl_plaintext, sasl.mechanisms: PLAIN, sasl.username: alice, "
            f"sasl.password: {password}}}\n"
        )
        result = collect(servers, "nothing", log, OPENLINEAGE_CONFIG=str(config))
        assert 4 == result.returncode
        said = r"user name.* password.* is wrong" if code else "UnknownTopicOrPartition"
        assert re.search(said, result.stderr), result.stderr


def test_a_signal_while_the_handlers_are_installed_is_not_lost() -> None:
    """SIGTERM that comes the moment its handler is there asks for the end as any later one does."""
    script = """
import os, signal, time
from modeltrail_collector.pump.stop import Stop
install = signal.signal
def install_and_be_told(number, handler):
    install(number, handler)
    if number == signal.SIGTERM:
        os.kill(os.getpid(), number)
signal.signal = install_and_be_told
stop = Stop()
stop.install()
patience = time.monotonic() + 20
while stop.wanted is None and time.monotonic() < patience:
    time.sleep(0.01)
print(stop.wanted)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"{int(signal.SIGTERM)}\n" == done.stdout
