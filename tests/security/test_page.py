"""docs/security.md is held to the broker: each of its configurations connects, its permissions are enough."""

import re
import shlex
import sys
import types
import uuid
from pathlib import Path

import pytest
import yaml
from kafka_broker import create_topic
from security.identity import CLIENTS
from security.secured import PASSWORDS

from modeltrail import settings
from modeltrail.transports.kafka import KafkaSender
from modeltrail.transports.kafka_options import KafkaOptions
from modeltrail_collector.config import kafka_config
from modeltrail_collector.intake.kafka import Connection, KafkaSource

pytestmark = pytest.mark.kafka

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
GRANTS = [line for line in PAGE.splitlines() if line.startswith("kafka-acls.sh")]


def in_this_world(secured, transport: dict) -> dict:
    """An example with the names of our broker, files and users for those of the page."""
    config = transport["config"]
    listener = "SASLS" if config["security.protocol"] == "SASL_SSL" else (
        "MTLS" if "ssl.certificate.location" in config else "TLS"
    )  # fmt: skip
    own = {
        "bootstrap.servers": secured.servers(listener),
        "sasl.username": "alice",
        "sasl.password": PASSWORDS["alice"],
        "sasl.oauthbearer.token.endpoint.url": f"{secured.provider.url}/token",
        "sasl.oauthbearer.client.id": "trail",
        "sasl.oauthbearer.client.secret": CLIENTS["trail"],
    }
    for name, value in config.items():
        if name.endswith(".location"):
            own[name] = secured.file(Path(value).name)
    return transport | {"config": {name: own.get(name, value) for name, value in config.items()}}


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_each_configuration_of_the_page_connects_both_sides(secured, tmp_path, monkeypatch, number):
    """An example of the page, with our broker's names in it, lets the emitter send and the collector read."""
    module = types.ModuleType("mypackage.tokens")
    module.kafka_token = lambda: secured.provider.token("trail")
    monkeypatch.setitem(sys.modules, "mypackage", types.ModuleType("mypackage"))
    monkeypatch.setitem(sys.modules, "mypackage.tokens", module)
    topic = create_topic(secured.broker.bootstrap_servers)
    transport = in_this_world(secured, yaml.safe_load(EXAMPLES[number])["transport"])
    given = transport["config"]
    if "sasl.password" in given:  # as the page says, it need not stand in the file
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__CONFIG__SASL__PASSWORD", given.pop("sasl.password"))
    path = tmp_path / "openlineage.yml"
    path.write_text(yaml.safe_dump({"transport": transport | {"topic": topic}}))
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(path))
    now = settings.current()
    sender = KafkaSender(KafkaOptions.from_dict(now.transport | {"on_failure": "raise"}, now))
    sender.send(None, b"{}")
    assert sender.close(5)
    found = kafka_config()
    source = KafkaSource(
        Connection(found.bootstrap_servers.value, found.topic.value, "g", found.options), (0, 1)
    )
    (partition,) = source.poll(1).assigned
    assert {partition: 1} == source.ends([partition])
    source.close()


def test_the_permissions_of_the_page_are_enough(secured):
    """With the page's grants, and no other, one user emits and another collects as a group's member."""
    from kafka.admin import (
        ACL,
        ACLOperation,
        ACLPermissionType,
        KafkaAdminClient,
        ResourcePattern,
        ResourceType,
    )

    users = {"trainer": "bob", "collector": "carol"}
    topic, group = create_topic(secured.broker.bootstrap_servers), str(uuid.uuid4())
    names = {"openlineage.events": topic, "modeltrail": group}
    admin = KafkaAdminClient(bootstrap_servers=secured.broker.bootstrap_servers)
    for line in GRANTS:
        words = shlex.split(line)
        user, operation = (words[words.index(f"--{key}") + 1] for key in ("allow-principal", "operation"))
        kind, name = words[-2].removeprefix("--"), words[-1]
        pattern = ResourcePattern(ResourceType[kind.upper()], names[name])
        principal = f"User:{users[user.removeprefix('User:')]}"
        allow = ACLPermissionType.ALLOW
        admin.create_acls([ACL(principal, "*", ACLOperation[operation.upper()], allow, pattern)])
    admin.close()
    assert 3 == len(GRANTS)
    login = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"}
    config = {"bootstrap.servers": secured.servers("SASLP"), **login}
    config |= {"sasl_plain_username": "bob", "sasl_plain_password": PASSWORDS["bob"]}
    transport = {"topic": topic, "on_failure": "raise", "config": config}
    sender = KafkaSender(KafkaOptions.from_dict(transport, settings.current()))
    sender.send(None, b"{}")
    assert sender.close(5)
    options = login | {"sasl_plain_username": "carol", "sasl_plain_password": PASSWORDS["carol"]}
    source = KafkaSource(Connection(secured.servers("SASLP"), topic, group, options))
    assigned = next(found for found in (source.poll(1).assigned for _ in range(60)) if found)
    (partition,) = assigned
    source.seek(partition, 0)
    fetched = next(found for found in (source.poll(1).fetched for _ in range(60)) if found)
    assert [b"{}"] == [record.value for record in fetched[0].records]
    source.commit({partition: 1})
    source.close()
