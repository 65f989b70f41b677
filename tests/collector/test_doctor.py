"""`modeltrail doctor` where events are collected: each check against the real wrong thing."""

import http.server
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from modeltrail_collector.checks import Check, checks
from modeltrail_collector.checks import kafka as kafka_checks
from modeltrail_collector.checks import log as log_checks
from modeltrail_collector.log import Batch, digest, open_log
from modeltrail_collector.log.objects import open_objects
from modeltrail_collector.log.store import LocalStore
from modeltrail_collector.model import LogPartition
from modeltrail_collector.pump import Pump
from modeltrail_collector.testing import MemorySource, MemoryTopic

GOOD = {"retention_ms": 30 * 24 * 3_600_000, "max_message_bytes": 5_000_000}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def examine(
    servers: str | None = None, topic: str | None = None, log: object = None, group: str | None = None
) -> list[Check]:
    uri = str(log) if log else None
    return list(checks(log=uri, bootstrap_servers=servers, topic=topic, group=group))


def worst(found: list[Check], name: str) -> Check:
    """The check of this name with the worst state."""
    states = ("ok", "warn", "fail")
    return max((each for each in found if each.name == name), key=lambda each: states.index(each.state))


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A log with one segment."""
    topic = MemoryTopic()
    topic.append(0, b"{}")
    pump = Pump(MemorySource(topic), open_log(tmp_path / "log"), until_end=True)
    while not pump.done:
        pump.turn()
    return tmp_path / "log"


def test_events_that_nobody_sealed_are_not_nothing(tmp_path: Path) -> None:
    """A log whose inbox has events holds something: it says where they lie and what takes them up."""
    inbox = tmp_path / "log" / "inbox"
    inbox.mkdir(parents=True)
    (inbox / "empty.ndjson").touch()
    assert "holds nothing yet" == worst(examine(log=tmp_path / "log"), "log").found
    (inbox / "1.ndjson").write_text("{}\n")
    found = worst(examine(log=tmp_path / "log"), "log")
    assert ("warn", "modeltrail compact") == (found.state, found.advice)
    assert found.found == f"nothing is sealed yet; files of events in {inbox}: 1"


def test_nothing_configured_is_nothing_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither a broker nor a log is, the collector has nothing to say."""
    monkeypatch.delenv("MODELTRAIL_LOG", raising=False)
    assert [] == examine()


@pytest.mark.kafka
def test_a_good_topic_is_ok(kafka_bootstrap: str, kafka_topic: Callable[..., str], tmp_path: Path) -> None:
    """With a topic that keeps events, and a log that can be written, all is ok, and nothing is left there."""
    found = examine(kafka_bootstrap, kafka_topic(2, **GOOD), tmp_path / "log")
    assert {"ok"} == {each.state for each in found}, found
    assert {"broker", "codecs", "topic", "group", "clock", "lag"} == {
        each.name.removeprefix("collect ") for each in found if each.name.startswith("collect")
    }
    assert [] == list((tmp_path / "log").iterdir())


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("partitions", "settings", "state", "says", "advice"),
    [
        (
            2,
            {"cleanup_policy": "compact"},
            "fail",
            "only the last event of each job",
            "cleanup.policy=delete",
        ),
        (2, {"retention_ms": 60_000}, "fail", "gone 0.017 h after", "retention.ms"),
        (2, {"retention_ms": 3 * 3_600_000}, "warn", "gone 3 h after", "retention.ms"),
        (2, {"retention_bytes": 1_000_000}, "warn", "holds more than that", "retention.bytes=-1"),
        (2, {"max_message_bytes": 100_000}, "warn", "max.message.bytes=100000", "max.message.bytes=5000000"),
        (1, {}, "warn", "1 partition", "add partitions"),
    ],
)
def test_a_topic_that_loses_events_is_told(  # noqa: PLR0917  a table
    kafka_bootstrap: str, kafka_topic, partitions: int, settings: dict, state: str, says: str, advice: str
) -> None:
    """Compaction, short or sized retention, small messages and one partition are told with what to set."""
    found = worst(examine(kafka_bootstrap, kafka_topic(partitions, **(GOOD | settings))), "collect topic")
    assert state == found.state
    assert says in found.found
    assert advice in found.advice


@pytest.mark.parametrize(
    ("settings", "copies", "leader", "says", "advice"),
    [
        ({"min.insync.replicas": "1"}, 3, 1, "min.insync.replicas=1 of 3", "min.insync.replicas=2"),
        ({"min.insync.replicas": "2"}, 3, -1, "partition 1 has no leader", "bring its brokers back"),
    ],
)
def test_copies_that_do_not_protect_are_told(
    settings: dict[str, str], copies: int, leader: int, says: str, advice: str
) -> None:
    """One broker's word that is enough, and a partition that no broker leads, are told; two copies are ok."""
    described = [
        {"partition_index": number, "replica_nodes": [*range(copies)], "leader_id": found}
        for number, found in enumerate((1, leader))
    ]
    ((_, found, told),) = _copies(settings, described)
    assert says in found
    assert advice in told
    described[1]["leader_id"] = 1
    assert [] == _copies({"min.insync.replicas": "2"}, described)


def _copies(settings: dict[str, str], described: list[dict]) -> list[kafka_checks.Fault]:
    return kafka_checks._durability(settings, described) + kafka_checks._placing(described)


@pytest.mark.kafka
def test_a_missing_topic_is_told(kafka_bootstrap: str) -> None:
    """A topic that does not exist fails with the command that makes it; the broker itself is ok."""
    found = examine(kafka_bootstrap, "nowhere")
    assert "ok" == worst(found, "collect broker").state
    assert "fail" == worst(found, "collect topic").state
    assert "modeltrail topic create --topic nowhere" in worst(found, "collect topic").advice


def test_a_dead_broker_is_told() -> None:
    """A broker that is not there is unreachable, with the cause."""
    found = worst(examine("127.0.0.1:1", "t"), "collect broker")
    assert ("fail", True) == (found.state, found.unreachable)
    assert "nothing listens there" in found.found


@pytest.mark.kafka
def test_a_group_of_the_newer_protocol_is_told(kafka_bootstrap: str, kafka_topic) -> None:
    """kafka-python waits for ever in a group of KIP-848: doctor says so."""
    from confluent_kafka import Consumer

    topic = kafka_topic(2, **GOOD)
    settings = {"bootstrap.servers": kafka_bootstrap, "group.id": topic, "group.protocol": "consumer"}
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    try:
        deadline = time.monotonic() + 60
        while not consumer.assignment():
            consumer.poll(0.1)
            assert time.monotonic() < deadline
        found = worst(examine(kafka_bootstrap, topic, group=topic), "collect group")
    finally:
        consumer.close()
    assert "fail" == found.state
    assert "KIP-848" in found.found
    assert "another --group" in found.advice


@pytest.mark.kafka
def test_idle_members_are_told(kafka_bootstrap: str, kafka_topic) -> None:
    """More members than partitions is a warning."""
    from modeltrail_collector.intake.kafka import Connection, KafkaSource

    topic = kafka_topic(1, **GOOD)
    members = [KafkaSource(Connection(kafka_bootstrap, topic, topic)) for _ in range(2)]
    done = threading.Event()

    def keep_polling(member: KafkaSource) -> None:
        while not done.is_set():
            member.poll(0.1)

    threads = [threading.Thread(target=keep_polling, args=(member,)) for member in members]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 60
        while (found := worst(examine(kafka_bootstrap, topic, group=topic), "collect group")).state == "ok":
            assert time.monotonic() < deadline
    finally:
        done.set()
        for thread in threads:
            thread.join()
        for member in members:
            member.close()
    assert "2 members for 1 partition:" in found.found


@pytest.mark.kafka
def test_records_from_the_future_are_told(kafka_bootstrap: str, kafka_topic) -> None:
    """A newest record an hour ahead of this machine's clock is a warning."""
    from kafka import KafkaProducer

    topic = kafka_topic(2, **GOOD)
    producer = KafkaProducer(bootstrap_servers=kafka_bootstrap)
    producer.send(topic, b"{}", partition=1, timestamp_ms=int((time.time() + 3500) * 1000)).get(10)
    producer.close()
    found = worst(examine(kafka_bootstrap, topic), "collect clock")
    assert "warn" == found.state
    assert "s in the future" in found.found
    assert "NTP" in found.advice


@pytest.mark.kafka
def test_what_the_log_lacks_is_told(kafka_bootstrap: str, kafka_topic, tmp_path: Path) -> None:
    """What waits in the topic is counted, what retention took first fails, and a topic made again is told."""
    from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
    from kafka.admin import NewTopic

    topic, log = kafka_topic(1, **GOOD), tmp_path / "log"
    command = [sys.executable, "-W", "ignore", "-c", "from modeltrail.cli import main; main()", "collect"]
    command += ["--bootstrap-servers", kafka_bootstrap, "--topic", topic, "--log", str(log), "--until-end"]
    producer = KafkaProducer(bootstrap_servers=kafka_bootstrap)
    for _ in range(3):
        producer.send(topic, b"{}").get(10)
    assert "3 records are in the topic" in worst(examine(kafka_bootstrap, topic, log), "collect lag").found
    subprocess.run(command, check=True, capture_output=True)
    assert "0 records are in the topic" in worst(examine(kafka_bootstrap, topic, log), "collect lag").found
    for _ in range(4):
        producer.send(topic, b"{}").get(10)
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    admin.delete_records({TopicPartition(topic, 0): 5})
    found = worst(examine(kafka_bootstrap, topic, log), "collect lag")
    assert ("fail", True) == (found.state, found.found.startswith("2 offsets were removed by retention"))
    admin.delete_topics([topic])
    deadline = time.monotonic() + 30
    while admin.describe_topics([topic])[0]["error_code"] == 0:
        assert time.monotonic() < deadline
    admin.create_topics([NewTopic(topic, 1, 1)], wait_for_metadata=True)
    again = examine(kafka_bootstrap, topic, log)
    assert any("deleted and made again" in each.found for each in again)
    admin.close()
    producer.close()


@pytest.mark.kafka
def test_a_topic_that_ends_before_the_log_is_told(kafka_bootstrap: str, kafka_topic, tmp_path: Path) -> None:
    """A topic that has less than the log holds of it has lost records: that fails."""
    from kafka import KafkaAdminClient

    topic = kafka_topic(2, **GOOD)
    admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    topic_id = admin.describe_topics([topic])[0]["topic_id"]
    admin.close()
    log = open_log(tmp_path / "log")
    log.append(LogPartition(topic, topic_id, 1), Batch(0, 3, ()))
    found = worst(examine(kafka_bootstrap, topic, log.uri), "collect lag")
    assert "fail" == found.state
    assert "partition 1 ends before the log does" in found.found
    assert "collect into another log" in found.advice


def test_a_missing_codec_is_told(tmp_path: Path) -> None:
    """Without the zstandard package the check fails, with the package to install."""
    program = (
        "import sys; sys.modules['zstandard'] = None\n"
        "from modeltrail_collector.checks import checks\n"
        "found = next(checks(log=None, bootstrap_servers='127.0.0.1:1', topic='t', group=None))\n"
        "print(found.state, found.found, found.advice)"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("fail the client cannot unpack zstd")
    assert "pip install zstandard" in result.stdout


def test_a_slow_checksum_is_told() -> None:
    """Where crc32c is there without its C extension that is a warning, with what to do."""
    program = (
        "import sys; sys.modules['crc32c'] = None\n"
        "from modeltrail_collector.checks import checks\n"
        "found = next(checks(log=None, bootstrap_servers='127.0.0.1:1', topic='t', group=None))\n"
        "print(found.state, found.found, found.advice)"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("warn crc32c has no C extension")
    assert "pip install --force-reinstall crc32c" in result.stdout


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A log below a file fails, with what to do; a disk is not `unreachable`."""
    (tmp_path / "file").write_text("")
    found = worst(examine(log=tmp_path / "file" / "log"), "log store")
    assert ("fail", False) == (found.state, found.unreachable)
    assert "choose another --log" in found.advice


def test_a_full_disk_is_told(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Little free space is a warning, nearly none a failure."""
    free = log_checks.shutil.disk_usage(filled).free
    monkeypatch.setattr(log_checks, "LITTLE_BYTES", free * 2)
    assert "warn" == worst(examine(log=filled), "log disk").state
    monkeypatch.setattr(log_checks, "NOTHING_BYTES", free * 2)
    assert "fail" == worst(examine(log=filled), "log disk").state


def test_a_store_that_gives_back_something_else_is_told(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that answers with what was there before it was replaced fails."""
    replaced: dict[Path, bytes] = {}
    replace, read = LocalStore.replace, LocalStore.read

    def replace_late(store: LocalStore, name: str, expected: bytes, data: bytes) -> bool:
        done = replace(store, name, expected, data)
        if done:
            replaced[store.root / name] = expected
        return done

    monkeypatch.setattr(LocalStore, "replace", replace_late)
    monkeypatch.setattr(
        LocalStore,
        "read",
        lambda store, name, length=None: replaced.get(store.root / name) or read(store, name, length),
    )
    found = worst(examine(log=filled), "log store")
    assert "fail" == found.state
    assert "gives back something else than was written" in found.found


def test_a_store_with_another_clock_is_told(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store whose files are of another time than this machine's is a warning."""
    create = LocalStore.create

    def create_in_the_past(store: LocalStore, name: str, data: bytes) -> bool:
        created = create(store, name, data)
        os.utime(store.root / name, (time.time() - 900,) * 2)
        return created

    monkeypatch.setattr(LocalStore, "create", create_in_the_past)
    found = worst(examine(log=filled), "log clock")
    assert "warn" == found.state
    assert "900 s behind" in found.found


def test_a_torn_segment_is_told(filled: Path) -> None:
    """A last segment that was cut, or in which a bit flipped, fails and names it; nothing is changed."""
    assert "ok" == worst(examine(log=filled), "log").state
    (segment,) = filled.rglob("*.avro")
    whole = segment.read_bytes()
    for broken in (whole[:-1], whole[:50], whole[:-20] + b"\x00" + whole[-19:]):
        segment.write_bytes(broken)
        found = worst(examine(log=filled), "log")
        assert "fail" == found.state
        assert segment.name in found.found
        assert "modeltrail verify" in found.advice
        assert broken == segment.read_bytes()


def test_a_log_of_a_newer_modeltrail_is_told(filled: Path) -> None:
    """A segment of a format that is not known yet is no damage: the advice is to upgrade."""
    (segment,) = filled.rglob("*.avro")
    newer = segment.read_bytes().replace(b"modeltrail.format\x021", b"modeltrail.format\x029")
    at = digest.position(newer)
    zeroed = newer[:at] + digest.ZEROS + newer[at + 64 :]
    segment.write_bytes(newer[:at] + sha256(zeroed).hexdigest().encode() + newer[at + 64 :])
    found = worst(examine(log=filled), "log")
    assert "fail" == found.state
    assert "has log format 9" in found.found
    assert "pip install --upgrade 'modeltrail[collector]'" == found.advice


def test_tables_that_are_behind_are_told(filled: Path) -> None:
    """Segments that are not compacted are a warning until they are."""
    from modeltrail_collector import tables

    found = worst(examine(log=filled), "tables")
    assert ("warn", "modeltrail compact") == (found.state, found.advice)
    tables.compact(open_log(filled))
    assert "ok" == worst(examine(log=filled), "tables").state


def test_tables_of_an_older_modeltrail_are_told(filled: Path) -> None:
    """Tables whose rows were made by the rules of an older version are a warning until they are rebuilt."""
    from modeltrail_collector import tables
    from modeltrail_collector.tables.schema import FLAT
    from modeltrail_collector.tables.store import append

    log = open_log(filled)
    tables.compact(log)
    assert "table rows" not in {each.name for each in examine(log=filled)}
    flat = tables.table_store(log).open("flat")
    for version, advice in ((1, "modeltrail rebuild"), (99, "pip install --upgrade 'modeltrail[collector]'")):
        append(flat, FLAT.empty_table(), {"rows": version})
        found = worst(examine(log=filled), "table rows")
        assert ("warn", advice) == (found.state, found.advice)
        assert f"version {version};" in found.found
    tables.compact(log)
    assert "warn" == worst(examine(log=filled), "table rows").state
    tables.rebuild(log)
    assert "table rows" not in {each.name for each in examine(log=filled)}


def test_s3_is_ok(s3_uri: str) -> None:
    """A store that knows put-if-absent and compares before it replaces is ok; its clock is looked at."""
    found = examine(log=s3_uri)
    assert {"ok"} == {each.state for each in found}, found
    assert "log clock" in {each.name for each in found}
    assert [] == open_objects(s3_uri).files("")


class Forgetful(http.server.BaseHTTPRequestHandler):
    """A proxy before S3 that loses some headers: a store that does not know what they mean."""

    endpoint = ""
    dropped: frozenset[str] = frozenset()

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in {*self.dropped, "transfer-encoding", "connection"}
        }
        request = urllib.request.Request(
            self.endpoint + self.path, body or None, headers, method=self.command
        )
        try:
            answer = urllib.request.urlopen(request, timeout=20)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in {
                    "transfer-encoding",
                    "connection",
                    "content-length",
                    "server",
                    "date",
                }:
                    self.send_header(name, value)
            length = answer.headers.get("Content-Length") if self.command == "HEAD" else len(content)
            self.send_header("Content-Length", str(length or 0))
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = forward  # noqa: N815  http.server's names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def forgetful(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts a proxy that drops a header before the S3 of this test."""
    servers = []

    def forget(header: str) -> None:
        handler = type("Handler", (Forgetful,), {"endpoint": s3_endpoint, "dropped": frozenset({header})})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")

    yield forget
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("if-none-match", "overwrites a name that is taken"),
        ("if-match", "does not compare before it replaces"),
    ],
)
def test_a_store_without_conditions_is_told(
    s3_uri: str, forgetful: Callable[[str], None], header: str, says: str
) -> None:
    """A store that ignores If-None-Match or If-Match fails: collectors would lose each other's segments."""
    forgetful(header)
    found = worst(examine(log=s3_uri), "log store")
    assert "fail" == found.state
    assert says in found.found


def test_a_missing_bucket_is_told(s3_uri: str) -> None:
    """A bucket that is not there fails, and the advice says so."""
    found = worst(examine(log="s3://nowhere-at-all/x"), "log store")
    assert "fail" == found.state
    assert "no such bucket" in found.found
    assert "bucket" in found.advice


def test_doctor_shows_the_collectors_checks(filled: Path) -> None:
    """The command finds the collector's checks without importing it, and ends with 1 when one fails."""
    command = [sys.executable, "-W", "ignore", "-c", "from modeltrail.cli import main; main()", "doctor"]
    for damage, code, state in ((False, 0, "ok"), (True, 1, "fail")):
        if damage:
            next(filled.rglob("*.avro")).write_bytes(b"torn")
        result = subprocess.run(
            [*command, "--log", str(filled), "--json"], capture_output=True, text=True, check=False
        )
        assert code == result.returncode, result.stderr
        assert state == {each["name"]: each["state"] for each in json.loads(result.stdout)}["log"]
