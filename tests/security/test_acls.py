"""ACLs on a real broker: the least that each side needs, and what is said when it is missing."""

import shlex
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
import yaml
from kafka_broker import create_topic
from security.secured import PASSWORDS

from modeltrail import settings
from modeltrail.errors import DeliveryError
from modeltrail.transports.kafka import KafkaSender
from modeltrail.transports.kafka_options import KafkaOptions
from modeltrail_collector.checks import checks
from modeltrail_collector.errors import ConfigError
from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import Log
from modeltrail_collector.pump import Pump
from modeltrail_collector.testing import MemoryStore

pytestmark = pytest.mark.kafka

OPTIONS = {
    "security_protocol": "SASL_PLAINTEXT",
    "sasl_mechanism": "PLAIN",
    "sasl_plain_username": "bob",
    "sasl_plain_password": PASSWORDS["bob"],
}
PATIENCE_S = 60


class Rights:
    """bob's rights: `give("Read", topic="t")`, `take(...)`; and what bob can do with them."""

    def __init__(self, secured, admin) -> None:
        from kafka import KafkaProducer

        self.servers = secured.servers("SASLP")
        self._open = secured.broker.bootstrap_servers
        self.topic = create_topic(self._open)
        self.group = f"group-{uuid.uuid4()}"
        self._admin = admin
        producer = KafkaProducer(bootstrap_servers=self._open)
        producer.send(self.topic, b"{}").get(30)
        producer.close()

    def make_group(self) -> None:
        from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition

        consumer = KafkaConsumer(bootstrap_servers=self._open, group_id=self.group)
        place = TopicPartition(self.topic, 0)
        consumer.assign([place])
        consumer.commit({place: OffsetAndMetadata(0, "", -1)})
        consumer.close()

    def give(self, operation: str, kind: str) -> None:
        from kafka.admin import ACL

        self._admin.create_acls([ACL(**self._fields(operation, kind))])

    def take(self, operation: str, kind: str) -> None:
        from kafka.admin import ACLFilter

        self._admin.delete_acls([ACLFilter(**self._fields(operation, kind))])

    def _fields(self, operation, kind):
        from kafka.admin import ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

        return {
            "principal": "User:bob",
            "host": "*",
            "operation": ACLOperation[operation.upper()],
            "permission_type": ACLPermissionType.ALLOW,
            "resource_pattern": ResourcePattern(ResourceType[kind.upper()], getattr(self, kind)),
        }

    def connection(self) -> Connection:
        return Connection(self.servers, self.topic, self.group, OPTIONS)

    def command(self, operation: str, kind: str) -> str:
        """What grants it, as a message must show it."""
        words = f"kafka-acls.sh --bootstrap-server {self.servers} --add --allow-principal User:bob"
        return f"{words} --operation {operation} --{kind} {getattr(self, kind)}"

    def sender(self) -> KafkaSender:
        config = {"bootstrap.servers": self.servers, **OPTIONS}
        transport = {"topic": self.topic, "timeout": 5, "on_failure": "raise", "config": config}
        return KafkaSender(KafkaOptions.from_dict(transport, settings.current()))


@pytest.fixture
def rights(secured) -> Iterator[Rights]:
    from kafka.admin import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=secured.broker.bootstrap_servers)
    yield Rights(secured, admin)
    admin.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline


def collect(rights: Rights, share=(0, 1)) -> int:
    """Collect to the end; how many records there were."""
    source = KafkaSource(rights.connection(), share)
    try:
        pump = Pump(source, Log(MemoryStore()), until_end=True)
        until(lambda: pump.turn() or pump.done)
        return pump.totals.records
    finally:
        source.close()


def refusal(act: Callable[[], object], error=ConfigError) -> str:
    """The message with which it is refused; ACLs take a moment to reach the broker's memory."""
    with pytest.raises(error) as refused:
        until(lambda: act() and False)
    return str(refused.value)


@pytest.mark.parametrize("share", [(0, 1), None])
def test_a_collector_needs_read_on_topic_and_group(rights, share):
    """Without any right, with Describe, with Read on the topic alone: each time the next grant is named."""
    assert rights.command("Read", "topic") in refusal(lambda: collect(rights, share))
    rights.give("Describe", "topic")
    rights.give("Read", "group")
    until(lambda: "cannot read" in refusal(lambda: collect(rights, share)))
    assert rights.command("Read", "topic") in refusal(lambda: collect(rights, share))
    rights.take("Read", "group")
    rights.give("Read", "topic")
    until(lambda: rights.command("Read", "group") in refusal(lambda: collect(rights, share)))
    rights.give("Read", "group")
    until(lambda: not_refused(lambda: collect(rights, share)))
    assert 1 == collect(rights, share)


def not_refused(act: Callable[[], object]) -> bool:
    try:
        act()
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "first"), [("topic", "fetch"), ("topic", "metadata"), ("group", "heartbeat")]
)
def test_a_right_that_is_taken_while_running_is_named(rights, kind, first):
    """A collector whose right is revoked ends, whatever hears of it first, and names what gives it back."""
    for each in ("topic", "group"):
        rights.give("Read", each)
    until(lambda: not_refused(lambda: KafkaSource(rights.connection()).close()))
    source = KafkaSource(rights.connection())
    try:
        pump = Pump(source, Log(MemoryStore()))
        until(lambda: pump.turn() or bool(pump._builders))
        rights.take("Read", kind)
        if first == "metadata":
            cluster = source._consumer._cluster
            until(lambda: cluster.request_update() and bool(cluster.unauthorized_topics))
        assert rights.command("Read", kind) in refusal(pump.turn)
    finally:
        source.close()


def test_an_emitter_needs_write_and_nothing_else(rights):
    """Without Write the grant is named, with it an event is taken; revoked meanwhile it is named again."""
    assert rights.command("Write", "topic") in refusal(lambda: sent(rights), DeliveryError)
    rights.give("Write", "topic")
    until(lambda: delivered(rights))
    sender = rights.sender()
    sender.send(None, b"{}")
    rights.take("Write", "topic")
    assert rights.command("Write", "topic") in refusal(lambda: sender.send(None, b"{}"), DeliveryError)
    sender.close(1)


def test_doctor_names_the_grant_that_a_collector_lacks(rights, tmp_path, monkeypatch):
    """Right by right: first what is needed to collect, then what only doctor needs to see the settings."""
    config = {"bootstrap.servers": rights.servers} | {k.replace("_", "."): v for k, v in OPTIONS.items()}
    path = tmp_path / "openlineage.yml"
    path.write_text(yaml.safe_dump({"transport": {"type": "kafka", "topic": rights.topic, "config": config}}))
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(path))
    rights.make_group()  # of one that is not there the broker does not say who may join it
    expect(rights, "Read", "topic", then="Describe")
    expect(rights, "Read", "topic", then="Read")
    expect(rights, "Read", "group", then="Describe")
    expect(rights, "Read", "group", then="Read")
    expect(rights, "DescribeConfigs", "topic", then="Describe_Configs", state="warn")
    until(lambda: wrong(rights) == {})


def expect(rights: Rights, missing: str, kind: str, then: str, state: str = "fail") -> None:
    """The grant that is missing is the last that doctor names; then one is given."""
    last = f"collect {kind}", (state, rights.command(missing, kind))
    until(lambda: [*wrong(rights).items()][-1:] == [last])
    rights.give(then, kind)


def wrong(rights: Rights) -> dict[str, tuple[str, str]]:
    """What doctor finds wrong with Kafka and how to mend it; but that there is only one partition."""
    found = checks(log=None, bootstrap_servers=None, topic=None, group=rights.group)
    faults = [each for each in found if each.name.startswith("collect ") and each.state != "ok"]
    assert {"ok"} >= {each.state for each in found if each.name == "collect broker"}
    return {each.name: (each.state, each.advice) for each in faults if "1 partition" not in each.found}


def sent(rights: Rights) -> None:
    sender = rights.sender()
    try:
        sender.send(None, b"{}")
    finally:
        sender.close(1)


def delivered(rights: Rights) -> bool:
    try:
        sent(rights)
    except DeliveryError:
        return False
    return True


def test_the_command_that_is_shown_is_safe_to_paste(rights):
    """A group of any name is quoted for the shell."""
    asked = rights.connection()
    source = Connection(asked.bootstrap_servers, asked.topic, "a; rm -rf /", OPTIONS)
    rights.give("Read", "topic")
    until(lambda: "group a; rm" in refused(source))
    words = shlex.split(refused(source).partition("Grant it: ")[2])
    assert ["--group", "a; rm -rf /"] == words[-2:]


def refused(connection: Connection) -> str:
    source = None
    try:
        source = KafkaSource(connection, (0, 1))
        source.poll(1)
        source.poll(1)
    except ConfigError as error:
        return str(error)
    finally:
        if source:
            source.close()
    return ""
