"""`modeltrail topic`, `config` and `doctor`: what they answer and how they end."""

import json
import os
import subprocess
import sys

import pytest

from modeltrail import settings, testing, transports
from modeltrail.cli import _exit_code, configured


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    testing.reset()
    yield
    testing.reset()


@pytest.fixture
def call(capsys):
    """Runs a command line; gives its exit code, stdout and stderr."""

    def run(*arguments):
        code = _exit_code([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def kafka(monkeypatch):
    """Configures a KafkaTransport through the environment."""

    def configure(bootstrap, topic="t", **more):
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "modeltrail.KafkaTransport")
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TOPIC", topic)
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TIMEOUT", "2")
        config = {"bootstrap.servers": bootstrap} | more
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__CONFIG", json.dumps(config))

    return configure


def states(text):
    return {check["name"]: check["state"] for check in json.loads(text)}


@pytest.mark.kafka
def test_topic_create_makes_a_safe_topic(call, kafka_bootstrap):
    """A new topic has the partitions asked for, keeps events for 30 days whole, and takes large ones."""
    name = f"made-{os.getpid()}-safe"
    arguments = [
        "topic",
        "create",
        "--bootstrap-servers",
        kafka_bootstrap,
        "--topic",
        name,
        "--partitions",
        3,
    ]
    code, out, _ = call(*arguments, "--json")
    answer = json.loads(out)
    assert (0, name, True, 3, 1) == (
        code,
        answer["topic"],
        answer["created"],
        answer["partitions"],
        answer["replication_factor"],
    )
    assert answer["settings"] == {
        "cleanup.policy": "delete",
        "retention.ms": str(30 * 24 * 3600 * 1000),
        "max.message.bytes": "4001024",
    }
    again_code, again, _ = call(*arguments, "--json")
    assert (0, False) == (again_code, json.loads(again)["created"])
    assert answer["topic_id"] == json.loads(again)["topic_id"]


@pytest.mark.kafka
def test_topic_create_uses_the_configured_kafka(call, kafka, kafka_bootstrap):
    """Without options the configured brokers and topic are used, and the answer is readable lines."""
    kafka(kafka_bootstrap, f"made-{os.getpid()}-configured")
    code, out, _ = call("topic", "create")
    assert 0 == code
    assert out.startswith(f"Created topic made-{os.getpid()}-configured\n  id ")


@pytest.mark.kafka
def test_topic_create_refuses_a_compacted_topic(call, kafka_bootstrap, kafka_topic):
    """An existing compacted topic is left as it is, warned of, and the exit code is 1."""
    name = kafka_topic(cleanup_policy="compact")
    code, out, err = call("topic", "create", "--bootstrap-servers", kafka_bootstrap, "--topic", name)
    assert 1 == code
    assert out.startswith(f"Already there: topic {name}")
    assert "is compacted" in err


@pytest.mark.kafka
def test_topic_create_warns_of_a_small_limit(call, kafka_bootstrap, kafka_topic):
    """A topic with the broker's small limit is fine but warned of, and other partitions are said."""
    name = kafka_topic()
    code, _, err = call("topic", "create", "--bootstrap-servers", kafka_bootstrap, "--topic", name)
    assert 0 == code
    assert "up to 1048588 bytes" in err
    assert "The topic has 1 partition;" in err


@pytest.mark.kafka
def test_topic_create_says_why_not(call, kafka_bootstrap):
    """More copies than brokers is an error of use: exit code 2 and the broker's reason."""
    arguments = ["--bootstrap-servers", kafka_bootstrap, "--topic", "x", "--replication-factor", 3]
    code, out, err = call("topic", "create", *arguments)
    assert (2, "") == (code, out)
    assert "replication" in err.lower()


def test_topic_create_without_kafka(call):
    """With no brokers given or configured the exit code is 2, and the message says what to give."""
    code, _, err = call("topic", "create")
    assert 2 == code
    assert "--bootstrap-servers" in err


def test_topic_create_on_a_dead_broker(call, kafka):
    """A broker that does not answer is exit code 4, in one line with its cause."""
    kafka("127.0.0.1:1")
    code, out, err = call("topic", "create")
    assert (4, "", 1) == (code, out, len(err.splitlines()))
    assert "ECONNREFUSED" in err


def test_config_shows_values_and_origins(call, monkeypatch, tmp_path):
    """Each setting is shown with its value and the place it came from."""
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "fraud")
    code, out, _ = call("config", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert 0 == code
    assert ("fraud", "OPENLINEAGE_NAMESPACE") == (rows["namespace"]["value"], rows["namespace"]["origin"])
    assert (str(tmp_path / "lineage"), "MODELTRAIL_LOG") == (rows["log"]["value"], rows["log"]["origin"])
    assert (False, "default") == (rows["strict"]["value"], rows["strict"]["origin"])
    assert str(tmp_path / "lineage" / "inbox") == rows["transport"]["value"]["inbox"]
    _, text, _ = call("config")
    assert "namespace          fraud\n                   from OPENLINEAGE_NAMESPACE: " in text


def test_config_shows_no_secrets(call, kafka, tmp_path):
    """Passwords and API keys of a transport are not shown, wherever they stand."""
    kafka("b:1", **{"sasl.username": "alice", "sasl.password": "hunter2"})
    _, out, _ = call("config")
    assert "alice" in out
    assert "hunter2" not in out
    auth = {"type": "api_key", "apiKey": "hunter2"}
    (tmp_path / "openlineage.yml").write_text(
        json.dumps({"transport": {"type": "http", "url": "http://x", "auth": auth}})
    )
    _, out, _ = call("config", "--json")
    assert "http://x" in out
    assert "hunter2" not in out


def test_doctor_without_configuration(call):
    """With nothing configured all is well: events go to an inbox that can be written."""
    code, out, _ = call("doctor", "--json")
    assert 0 == code
    assert {"ok"} == set(states(out).values())
    assert {"configuration", "inbox", "spool", "crc32c", "collector"} <= set(states(out))


@pytest.mark.kafka
def test_doctor_on_a_good_topic(call, kafka, kafka_bootstrap, kafka_topic):
    """A broker that answers and a topic that keeps events are ok."""
    kafka(kafka_bootstrap, kafka_topic(max_message_bytes=5_000_000))
    code, out, _ = call("doctor", "--json")
    assert 0 == code
    assert ("ok", "ok") == (states(out)["broker"], states(out)["topic"])


@pytest.mark.kafka
def test_doctor_on_bad_topics(call, kafka, kafka_bootstrap, kafka_topic):
    """A missing or compacted topic fails with what to do; a small limit is a warning."""
    kafka(kafka_bootstrap, "missing")
    code, out, _ = call("doctor")
    assert 1 == code
    assert "-> modeltrail topic create --topic missing" in out
    kafka(kafka_bootstrap, kafka_topic(cleanup_policy="compact", max_message_bytes=5_000_000))
    code, out, _ = call("doctor", "--json")
    assert (1, "fail") == (code, states(out)["topic"])
    kafka(kafka_bootstrap, kafka_topic())
    code, out, _ = call("doctor", "--json")
    assert (0, "warn") == (code, states(out)["topic"])


def test_doctor_on_a_dead_broker(call, kafka):
    """A broker that does not answer is exit code 4 with its cause; what waits in the spool is counted."""
    kafka("127.0.0.1:1")
    assert transports.emit({"run": {"runId": "x"}, "job": {"namespace": "n", "name": "j"}})
    code, out, err = call("doctor")
    assert 4 == code
    assert "fail  broker" in out
    assert "ECONNREFUSED" in out
    assert "warn  spool           1 undelivered event (" in out
    assert "-> modeltrail spool flush" in out
    assert "" == err


def test_spool_status_and_flush(call, kafka, tmp_path):
    """What waits, what is refused and what waits for another topic are told apart, each with what to do."""
    assert (0, f"Nothing waits in {tmp_path}/spool.\n", "") == call("spool", "status")
    assert (0, "[]\n", "") == call("spool", "status", "--json")
    for topic in ("elsewhere", "t"):
        kafka("127.0.0.1:1", topic)
        assert transports.emit({"run": {"runId": "x"}, "job": {"namespace": "n", "name": "j"}})
        assert not transports.close(0)
    code, out, err = call("spool", "status")
    assert (0, "") == (code, err)
    assert 2 == out.count("  1 event (")
    assert 1 == out.count("-> modeltrail spool flush")
    assert 1 == out.count("-> modeltrail collect --from-files")
    found = json.loads(call("spool", "status", "--json")[1])
    assert [(1, 0), (1, 0)] == [(each["events"], each["refused"]) for each in found]
    code, out, err = call("spool", "flush")
    assert (4, "sent 0 events, 2 wait, 0 are refused\n") == (code, out)
    assert "ECONNREFUSED" in err


@pytest.mark.kafka
def test_spool_flush_delivers(call, kafka, kafka_bootstrap, kafka_topic, tmp_path):
    """What a process left is sent; what Kafka never takes is put aside, which is exit code 1 once."""
    topic = kafka_topic(max_message_bytes=5_000)
    kafka(kafka_bootstrap, topic)
    kept = configured.kafka(settings.current(), None, None).spool
    kept.mkdir(parents=True)
    events = [{"job": {"namespace": "n", "name": name}} for name in ("a", "b" * 6_000, "c")]
    (kept / "left.ndjson").write_text("".join(json.dumps(event) + "\n" for event in events))
    assert (1, "sent 2 events, 0 wait, 1 are refused\n") == call("spool", "flush")[:2]
    assert {"refused"} == {path.name for path in kept.iterdir()}
    code, out, _ = call("spool", "status")
    assert (0, 1) == (code, out.count("0 events (0 bytes) wait, 1 are refused"))
    assert f"{kept}/refused/**" in out
    assert (0, "sent 0 events, 0 wait, 1 are refused\n") == call("spool", "flush")[:2]


def test_doctor_on_a_dead_backend(call, monkeypatch):
    """An HTTP backend that does not answer is exit code 4."""
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:1")
    code, out, _ = call("doctor", "--json")
    assert (4, "fail") == (code, states(out)["http"])


@pytest.mark.parametrize(
    ("file", "cause"),
    [
        ("transport: [", "cannot be read"),
        ("transport: {type: nowhere.Transport}", "nowhere.Transport"),
        ("transport: {type: modeltrail.KafkaTransport}", "bootstrap.servers"),
        ("transport: {type: http, url: 7}", "transport http cannot be made"),
        ("transport: {type: kafka, topic: t, config: {no.such: 1}}", "No such configuration property"),
    ],
)
def test_doctor_on_a_broken_configuration(call, tmp_path, file, cause):
    """A configuration that cannot be used fails with its cause; while events fall back, doctor does not."""
    (tmp_path / "openlineage.yml").write_text(file)
    code, out, _ = call("doctor")
    assert 1 == code
    assert out.startswith("fail  configuration")
    assert cause in out


def test_doctor_on_a_directory_that_cannot_be_written(call, tmp_path):
    """An inbox that cannot be made is a failure."""
    (tmp_path / "lineage").write_text("a file where the directory should be")
    code, out, _ = call("doctor", "--json")
    assert (1, "fail") == (code, states(out)["inbox"])


def test_doctor_sees_the_members_of_a_composite(call, tmp_path):
    """Each member of a composite transport is looked at."""
    members = {"a": {"type": "modeltrail.LocalTransport"}, "b": {"type": "console"}}
    (tmp_path / "openlineage.yml").write_text(
        json.dumps({"transport": {"type": "composite", "transports": members}})
    )
    code, out, _ = call("doctor", "--json")
    assert 0 == code
    assert {"inbox", "console"} <= set(states(out))


def test_doctor_says_disabled(call, monkeypatch):
    """OPENLINEAGE_DISABLED is a warning."""
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    _, out, _ = call("doctor", "--json")
    assert "warn" == states(out)["disabled"]


def test_the_commands_need_no_collector():
    """topic, config and doctor load nothing of the collector."""
    program = (
        "import sys; import modeltrail.cli.topic, modeltrail.cli.config, modeltrail.cli.doctor;"
        "print([name for name in sys.modules if name.startswith('modeltrail_collector')])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[]\n" == result.stdout
