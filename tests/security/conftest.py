"""One broker for this folder that speaks everything: TLS, mTLS, each SASL mechanism, ACLs."""

import os
from collections.abc import Iterator

import pytest
from kafka_broker import Broker
from security.certificates import make_all
from security.identity import Provider, serving
from security.secured import LISTENERS, Secured, add_scram_users, properties


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The broker that speaks everything. alice, `trail` (OAuth) and CN=client may do all, others nothing."""
    directory = tmp_path_factory.mktemp("certificates")
    make_all(directory)
    provider = Provider()
    with serving(provider):
        broker = Broker(tmp_path_factory.mktemp("secured-kafka"))
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={provider.url}/keys"
        before = os.environ.get("JAVA_TOOL_OPTIONS")
        os.environ["JAVA_TOOL_OPTIONS"] = allowed
        try:
            broker.start(listeners=LISTENERS, properties=properties(directory, provider))
        finally:
            if before is None:
                del os.environ["JAVA_TOOL_OPTIONS"]
            else:
                os.environ["JAVA_TOOL_OPTIONS"] = before
        try:
            add_scram_users(broker.bootstrap_servers)
            yield Secured(broker, directory, provider)
        finally:
            broker.stop()
