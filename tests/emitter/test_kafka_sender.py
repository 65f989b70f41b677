"""Delivery to a real broker: through forks, outages, refusals and oversized events, nothing is lost."""

import contextlib
import logging
import os
import socket
import subprocess
import threading
import time

import pytest
from kafka_broker import create_topic, read

from modeltrail import guard, settings, testing, transports
from modeltrail.errors import DeliveryError, DeliveryTimeout, EventTooLarge
from modeltrail.transports.kafka import KafkaSender
from modeltrail.transports.kafka_options import KafkaOptions
from modeltrail.transports.producer import Producer
from modeltrail.transports.spool import backlog

EVENT = {
    "eventType": "START",
    "eventTime": "2026-01-31T00:00:00Z",
    "run": {"runId": "018d5b3e-0000-7000-8000-000000000001"},
    "job": {"namespace": "ns", "name": "job"},
}


@pytest.fixture(autouse=True)
def fresh():
    testing.reset()
    yield
    testing.reset()


@pytest.fixture
def make(tmp_path):
    """Makes senders and closes them."""
    made = []

    def sender(bootstrap, topic="t", **options):
        producer = {"bootstrap_servers": bootstrap} | options.pop("producer", {})
        made.append(KafkaSender(KafkaOptions(producer, tmp_path / "spool", topic, **options)))
        return made[-1]

    yield sender
    for each in made:
        each.close(1)


@pytest.fixture
def silent_server():
    """An address that takes connections and never answers, and the list of what connected."""
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connections.append(server.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", connections
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in connections:
        connection.close()


def spooled(tmp_path):
    return [
        line
        for path in sorted((tmp_path / "spool").rglob("*.ndjson"))
        for line in path.read_bytes().splitlines()
    ]


# Hashes of Java's Utils.murmur2, as Apache Kafka's own test of it has them.
JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.kafka
def test_partitions_are_those_of_the_java_client(kafka_bootstrap, kafka_topic, make):
    """A key lands on the partition that the Java client gives it: murmur2 modulo the number of partitions."""
    topic = kafka_topic(12)
    sender = make(kafka_bootstrap, topic)
    for key in JAVA:
        sender.send(key, b"{}")
    expected = {key: (hashed & 0x7FFFFFFF) % 12 for key, hashed in JAVA.items()}
    assert expected == {key: partition for partition, key, _ in read(kafka_bootstrap, topic)}


@pytest.mark.kafka
def test_one_key_for_all(kafka_bootstrap, kafka_topic, make):
    """`message_key` replaces the key of every event."""
    topic = kafka_topic()
    make(kafka_bootstrap, topic, message_key=b"mine").send(b"run:ns/job", b"{}")
    assert [(0, b"mine", b"{}")] == read(kafka_bootstrap, topic)


@pytest.mark.kafka
def test_the_first_event_waits_for_no_second_answer(kafka_bootstrap, kafka_topic, tmp_path):
    """Who is connected knows the topic's partitions: kafka-python asks again no sooner than after 0.1 s."""
    topic = kafka_topic()
    producer = Producer(KafkaOptions({"bootstrap_servers": kafka_bootstrap}, tmp_path, topic))
    connected = producer.connect(time.monotonic() + 30)
    connected.config["max_block_ms"] = 0
    assert connected.send(topic, b"{}").get(30)
    producer.close()


@pytest.mark.kafka
def test_emit_sends_key_and_canonical_json(kafka_bootstrap, kafka_topic):
    """`transports.emit` with a configured KafkaTransport delivers the event before it returns."""
    topic = kafka_topic()
    config = {"bootstrap.servers": kafka_bootstrap}
    settings.configure(transport={"type": "modeltrail.KafkaTransport", "topic": topic, "config": config})
    assert transports.emit(EVENT)
    [(_, key, value)] = read(kafka_bootstrap, topic)
    assert b"run:ns/job" == key
    assert value.startswith(b'{"eventTime":"2026-01-31T00:00:00Z","eventType":"START","job":{')


@pytest.mark.kafka
def test_children_lose_nothing(kafka_bootstrap, kafka_topic):
    """Children forked before and after the first event, ending by os._exit as Airflow's do, lose nothing."""
    topic = kafka_topic()
    config = {"bootstrap.servers": kafka_bootstrap}
    settings.configure(transport={"type": "modeltrail.KafkaTransport", "topic": topic, "config": config})

    def child(name):
        pid = os.fork()
        if pid == 0:
            sent = transports.emit(EVENT | {"name": name})
            os._exit(0 if sent and not guard.failures() else 1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert 0 == child("first")
    assert transports.emit(EVENT | {"name": "parent"})
    assert [0, 0] == [child("second"), child("third")]
    assert transports.emit(EVENT | {"name": "parent again"})
    names = [value.split(b'"name":"')[-1].split(b'"')[0] for _, _, value in read(kafka_bootstrap, topic)]
    assert [b"first", b"parent", b"second", b"third", b"parent again"] == names


def test_a_dead_broker_costs_one_wait(silent_server, make, tmp_path, caplog):
    """The first event waits and goes to the spool; the next ones go there without a new connection."""
    bootstrap, connections = silent_server
    sender = make(bootstrap, timeout=0.5)
    sender.send(b"k", b'{"a":1}')
    assert connections
    tried = len(connections)
    for number in range(5):
        sender.send(b"k", b"%d" % number)
    assert tried == len(connections)
    assert [b'{"a":1}', b"0", b"1", b"2", b"3", b"4"] == spooled(tmp_path)
    assert 1 == len([message for message in caplog.messages if "modeltrail spool status" in message])
    assert not sender.close(1)
    assert 6 == sender.undelivered


def test_a_dead_broker_costs_all_processes_one_wait(silent_server, make, tmp_path):
    """What another process could not reach a moment ago is not tried; the event waits, the cause is known."""
    bootstrap, connections = silent_server
    make(bootstrap, timeout=0.5).send(b"k", b"1")
    tried = len(connections)
    for number in (2, 3):
        make(bootstrap, timeout=0.5).send(b"k", b"%d" % number)
    assert tried == len(connections)
    assert [b"1", b"2", b"3"] == sorted(spooled(tmp_path))
    (note,) = (tmp_path / "spool").glob("unreachable-*")
    assert bootstrap in note.read_text()
    half_a_minute_ago = time.time() - 31
    os.utime(note, (half_a_minute_ago, half_a_minute_ago))
    make(bootstrap, timeout=0.5).send(b"k", b"4")
    assert tried < len(connections)


@pytest.mark.kafka
def test_a_broker_that_is_back_is_tried_again(private_broker, make, tmp_path):
    """Whoever reaches Kafka after a failure takes the note of it away; `raise` never waits for others."""
    bootstrap = private_broker.bootstrap_servers
    topic = create_topic(bootstrap)
    private_broker.stop()
    sender = make(bootstrap, topic, timeout=0.5)
    sender.send(b"k", b"1")
    private_broker.start()
    make(bootstrap, topic, on_failure="raise").send(b"k", b"2")
    sender._delivery.producer.breaker.cool_down = 0.0
    sender._delivery.producer.breaker.failed("it was")
    sender._delivery.producer.options = KafkaOptions(
        {"bootstrap_servers": bootstrap}, tmp_path / "spool", topic, timeout=20
    )
    sender.options = sender._delivery.producer.options
    sender.send(b"k", b"3")
    assert [] == list((tmp_path / "spool").glob("unreachable-*"))
    assert {b"1", b"2", b"3"} == {value for _, _, value in read(bootstrap, topic)}


def test_threads_share_the_wait(silent_server, make, tmp_path):
    """While one thread waits for a dead broker the others wait with it, and all events are kept."""
    sender = make(silent_server[0], timeout=0.5)
    threads = [threading.Thread(target=sender.send, args=(b"k", b"%d" % number)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [b"%d" % number for number in range(6)] == sorted(spooled(tmp_path))
    assert 6 == sender.undelivered


def test_raise_does_not_spool(make, tmp_path):
    """With `on_failure: raise` the caller is told, and nothing is kept: never both."""
    sender = make("127.0.0.1:1", timeout=0.3, on_failure="raise")
    with pytest.raises(DeliveryTimeout, match=r"127\.0\.0\.1:1 .*ECONNREFUSED"):
        sender.send(b"k", b"{}")
    with pytest.raises(DeliveryError, match=r"tried again in \d+ s"):
        sender.send(b"k", b"{}")
    assert [] == spooled(tmp_path)


def test_a_full_disk_is_an_error_of_its_own(make, tmp_path):
    """When neither Kafka nor the disk takes the event, DeliveryError says so; `emit` keeps the host going."""
    (tmp_path / "spool").write_text("a file where the directory should be")
    with pytest.raises(DeliveryError, match="spool"):
        make("127.0.0.1:1", timeout=0.3).send(b"k", b"{}")
    config = {"bootstrap.servers": "127.0.0.1:1"}
    settings.configure(transport={"type": "modeltrail.KafkaTransport", "config": config, "timeout": 0.3})
    assert not transports.emit(EVENT)
    assert {"emitting an event: DeliveryError": 1} == guard.failures()


@pytest.mark.kafka
def test_a_broker_that_comes_back(private_broker, make, tmp_path):
    """Events of an outage wait in the spool; the next one is delivered behind them, and nothing waits."""
    bootstrap = private_broker.bootstrap_servers
    topic = create_topic(bootstrap)
    sender = make(bootstrap, topic, timeout=1.5)
    sender.send(b"k", b"1")
    private_broker.stop()
    sender._delivery.producer.breaker.cool_down = 0.0
    sender.send(b"k", b"2")
    sender.send(b"k", b"3")
    assert [b"2", b"3"] == spooled(tmp_path)
    assert (1, 2) == (sender.delivered, sender.undelivered)
    private_broker.start()
    patient = KafkaOptions({"bootstrap_servers": bootstrap}, tmp_path / "spool", topic, timeout=20)
    sender.options = sender._delivery.producer.options = patient
    sender.send(b"k", b"4")
    assert [b"1", b"2", b"3", b"4"] == [value for _, _, value in read(bootstrap, topic)]
    assert [] == spooled(tmp_path)
    assert (4, 0) == (sender.delivered, sender.undelivered)


@pytest.mark.kafka
def test_an_oversized_event_is_kept(kafka_bootstrap, kafka_topic, make, tmp_path, caplog):
    """An event over our limit or the topic's goes to the spool and is reported; smaller ones still go out."""
    topic = kafka_topic(max_message_bytes=5_000)
    sender = make(kafka_bootstrap, topic, max_event_bytes=20_000)
    ours, theirs = b"o" * 30_000, b"t" * 10_000
    sender.send(b"k", ours)
    assert "30001 bytes; max_event_bytes is 20000" in caplog.text
    sender.send(b"k", theirs)
    sender.send(b"k", b"small")
    assert [ours, theirs] == spooled(tmp_path)
    assert [b"small"] == [value for _, _, value in read(kafka_bootstrap, topic)]


@pytest.mark.kafka
def test_an_oversized_event_is_raised(kafka_bootstrap, kafka_topic, make, tmp_path):
    """With `on_failure: raise` both limits are an EventTooLarge that names the sizes."""
    sender = make(
        kafka_bootstrap, kafka_topic(max_message_bytes=5_000), on_failure="raise", max_event_bytes=20_000
    )
    with pytest.raises(EventTooLarge, match="30001"):
        sender.send(b"k", b"o" * 30_000)
    with pytest.raises(EventTooLarge, match=r"max\.message\.bytes"):
        sender.send(b"k", b"t" * 10_000)
    assert [] == spooled(tmp_path)


@pytest.mark.kafka
def test_a_missing_topic_says_how_to_make_it(kafka_bootstrap, make):
    """A topic that does not exist is named, with the command that creates it."""
    with pytest.raises(DeliveryTimeout, match="modeltrail topic create --topic nowhere"):
        make(kafka_bootstrap, "nowhere", timeout=1.5, on_failure="raise").send(b"k", b"{}")


@pytest.mark.kafka
def test_kafka_python_stays_out_of_the_hosts_log(kafka_bootstrap, kafka_topic, make, caplog):
    """The host's log at INFO holds nothing of our clients, working or failing, but still the host's own."""
    from kafka import KafkaAdminClient

    topic = kafka_topic()
    caplog.set_level(logging.INFO)
    make(kafka_bootstrap, topic).send(b"k", b"{}")
    make("127.0.0.1:1", timeout=0.5).send(b"k", b"{}")
    assert [] == [record for record in caplog.records if record.name.startswith("kafka")]
    KafkaAdminClient(bootstrap_servers=kafka_bootstrap).close()
    assert [] != [record for record in caplog.records if record.name.startswith("kafka")]


def test_nothing_on_stderr_but_one_line(tmp_path):
    """A program without any logging set up sees one line of ours about a dead broker, and no thread stays."""
    program = """
import threading
from modeltrail import settings, transports
settings.configure(transport={"type": "modeltrail.KafkaTransport", "timeout": 0.5,
                              "config": {"bootstrap.servers": "127.0.0.1:1"}})
event = {"eventType": "START", "run": {"runId": "x"}, "job": {"namespace": "n", "name": "j"}}
print(transports.emit(event), transports.emit(event), transports.close(1))
"""
    result = subprocess.run(
        [os.sys.executable, "-W", "error::DeprecationWarning", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "True True False\n" == result.stdout
    assert 1 == len(result.stderr.splitlines()), result.stderr
    assert (1, 2) == (backlog(tmp_path / "spool").files, backlog(tmp_path / "spool").events)


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """A broker with TLS and SASL listeners: (plain bootstrap, TLS, SASL, path of the CA, topic)."""
    from kafka_broker import Broker

    directory = tmp_path_factory.mktemp("tls")
    openssl(directory, "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem")
    openssl(directory, "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout broker.key -out broker.csr")
    (directory / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    authority = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 2"
    openssl(directory, f"x509 -req -in broker.csr {authority} -extfile names -out broker.crt")
    bundle = b"".join((directory / name).read_bytes() for name in ("broker.key", "broker.crt", "ca.pem"))
    (directory / "broker.pem").write_bytes(bundle)
    login = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="right";'
    broker = Broker(tmp_path_factory.mktemp("secured"))
    broker.start(
        listeners={"TLS": "SSL", "SASLP": "SASL_PLAINTEXT"},
        properties={
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(directory / "broker.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(directory / "ca.pem"),
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.saslp.plain.sasl.jaas.config": login,
        },
    )
    tls, sasl = (f"127.0.0.1:{broker.port(name)}" for name in ("TLS", "SASLP"))
    yield broker.bootstrap_servers, tls, sasl, directory / "ca.pem", create_topic(broker.bootstrap_servers)
    broker.stop()


def openssl(directory, arguments):
    subprocess.run(["openssl", *arguments.split()], cwd=directory, check=True, capture_output=True)


@pytest.mark.kafka
def test_tls_and_sasl_deliver(secured, make):
    """With the right CA or password events arrive over TLS and SASL."""
    plain, tls, sasl, ca, topic = secured
    make(tls, topic, producer={"security_protocol": "SSL", "ssl_cafile": str(ca)}, on_failure="raise").send(
        None, b"tls"
    )
    login = {"sasl_mechanism": "PLAIN", "sasl_plain_username": "alice", "sasl_plain_password": "right"}
    make(sasl, topic, producer=login | {"security_protocol": "SASL_PLAINTEXT"}, on_failure="raise").send(
        None, b"sasl"
    )
    assert {b"tls", b"sasl"} <= {value for _, _, value in read(plain, topic)}


@pytest.mark.kafka
def test_refusals_show_their_cause(secured, make):
    """A wrong password, an unknown CA and plaintext to a TLS port are named, not "Unable to bootstrap"."""
    _, tls, sasl, _, topic = secured
    login = {"sasl_mechanism": "PLAIN", "sasl_plain_username": "alice", "sasl_plain_password": "wrong"}
    cases = [
        (
            sasl,
            login | {"security_protocol": "SASL_PLAINTEXT"},
            "SaslAuthenticationFailed|'alice' by SASL PLAIN",
        ),
        (tls, {"security_protocol": "SSL"}, "CERTIFICATE_VERIFY_FAILED"),
        (sasl, {"security_protocol": "SSL"}, "SSL"),
        (tls, {}, "security.protocol is PLAINTEXT"),
    ]
    for bootstrap, producer, cause in cases:
        sender = make(bootstrap, topic, producer=producer, on_failure="raise", timeout=2)
        with pytest.raises(DeliveryError, match=cause):
            sender.send(None, b"{}")
