"""The broker of the tests and of `make kafka-up`: it keeps its data, its ports and its word about dying."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka_broker import SCRIPT, create_topic

pytestmark = pytest.mark.kafka


def broker_py(*arguments, **options):
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False, **options
    )


def produce(servers, topic, *values):
    with contextlib.closing(KafkaProducer(bootstrap_servers=servers, acks="all")) as producer:
        for value in values:
            producer.send(topic, value).get(30)


def consume(servers, topic, count):
    with contextlib.closing(
        KafkaConsumer(
            topic, bootstrap_servers=servers, auto_offset_reset="earliest", consumer_timeout_ms=30000
        )
    ) as consumer:
        return [next(consumer).value for _ in range(count)]


def accepts(address):
    host, port = address.split(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def test_fresh_topics_have_the_partitions_and_settings_asked_for(kafka_bootstrap, kafka_topic):
    """A topic of the factory is new, has its partitions and takes its settings."""
    one, other = kafka_topic(), kafka_topic(3, max_message_bytes=2_000_000)
    assert one != other
    with contextlib.closing(KafkaConsumer(bootstrap_servers=kafka_bootstrap)) as consumer:
        assert consumer.partitions_for_topic(one) == {0}
        assert consumer.partitions_for_topic(other) == {0, 1, 2}
    big = b"x" * 1_500_000
    with contextlib.closing(
        KafkaProducer(bootstrap_servers=kafka_bootstrap, max_request_size=2_000_000)
    ) as producer:
        assert producer.send(other, big, partition=2).get(30).partition == 2


def test_acknowledged_records_survive_stop_kill_and_restart(private_broker):
    """What was acknowledged is there after a stop and after a kill -9, on the same address."""
    address = private_broker.bootstrap_servers
    topic = create_topic(address)
    produce(address, topic, b"one")
    private_broker.stop()
    assert not accepts(address)
    private_broker.start()
    assert private_broker.bootstrap_servers == address
    produce(address, topic, b"two")
    private_broker.kill()
    assert not accepts(address)
    private_broker.start()
    produce(address, topic, b"three")
    assert consume(address, topic, 3) == [b"one", b"two", b"three"]


def test_two_brokers_run_at_once(kafka_bootstrap, private_broker):
    """Two brokers have two addresses, and a topic of one is unknown to the other."""
    assert private_broker.bootstrap_servers != kafka_bootstrap
    topic = create_topic(private_broker.bootstrap_servers)
    with contextlib.closing(KafkaConsumer(bootstrap_servers=kafka_bootstrap)) as consumer:
        assert topic not in consumer.topics()


def test_a_broker_can_be_given_another_listener(private_broker):
    """A second listener has a port of its own and serves the same topics."""
    topic = create_topic(private_broker.bootstrap_servers)
    private_broker.stop()
    private_broker.start(listeners={"OTHER": "PLAINTEXT"}, properties={"message.max.bytes": "3000000"})
    other = f"127.0.0.1:{private_broker.port('OTHER')}"
    assert other != private_broker.bootstrap_servers
    produce(other, topic, b"through the side door")
    assert consume(private_broker.bootstrap_servers, topic, 1) == [b"through the side door"]


def test_a_broker_dies_with_its_owner(tmp_path):
    """A broker stops when the process that started it is killed with -9."""
    program = f"""
import sys, time, pathlib
sys.path.insert(0, {str(Path(__file__).parent)!r})
from kafka_broker import Broker
broker = Broker(pathlib.Path({str(tmp_path)!r}))
broker.start()
print(broker.bootstrap_servers, flush=True)
time.sleep(300)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        address = owner.stdout.readline().strip()
        assert accepts(address)
        os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: not accepts(address))
    wait_until(lambda: broker_py("status", tmp_path).returncode == 1)


def test_start_stop_and_status_of_a_background_broker(tmp_path):
    """`start` prints the address, `status` and a second `start` repeat it, `stop` ends the broker."""
    try:
        started = broker_py("start", tmp_path)
        assert started.returncode == 0, started.stderr
        address = started.stdout.strip()
        assert accepts(address)
        assert broker_py("status", tmp_path).stdout.strip() == address
        assert broker_py("start", tmp_path).stdout.strip() == address
    finally:
        assert broker_py("stop", tmp_path).returncode == 0
    assert broker_py("status", tmp_path).returncode == 1
    assert not accepts(address)


def test_a_taken_port_is_said_and_another_one_chosen(tmp_path):
    """A fixed port that is taken is reported, and the broker still starts on another one."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        try:
            started = broker_py("start", tmp_path, "--port", str(port))
            assert started.returncode == 0, started.stderr
            assert f"Port {port} is taken" in started.stderr
            assert started.stdout.strip() != f"127.0.0.1:{port}"
        finally:
            broker_py("stop", tmp_path)


def test_a_broker_that_cannot_start_says_why(tmp_path):
    """A wrong setting ends with exit code 4 and Kafka's own words."""
    failed = broker_py("start", tmp_path, "--property", "num.io.threads=none")
    assert failed.returncode == 4
    assert "num.io.threads" in failed.stderr


@pytest.mark.parametrize(("present", "missing"), [((), "java"), (("java",), "mvn")])
def test_missing_programs_are_named(tmp_path, present, missing):
    """Without java or mvn the message says which one is missing and how to install it."""
    for name in present:
        (tmp_path / name).symlink_to(shutil.which(name))
    environment = {"PATH": str(tmp_path), "MODELTRAIL_KAFKA_CACHE": str(tmp_path / "cache")}
    failed = broker_py("prepare", env=environment)
    assert failed.returncode == 4
    assert failed.stderr.startswith(f"broker.py: {missing} is not installed")
    assert "apt install" in failed.stderr


def test_preparing_again_does_nothing():
    """A second `prepare` needs no Maven: it finds the cache complete."""
    assert broker_py("prepare").returncode == 0
    done = broker_py("prepare", env={**os.environ, "MAVEN_OPTS": "-XX:NoSuchOption"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
