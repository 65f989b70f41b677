"""What a user may choose about the group: static members and how partitions are divided."""

import pytest
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from modeltrail_collector.config import kafka_config
from modeltrail_collector.errors import ConfigError
from modeltrail_collector.intake.kafka import Connection
from modeltrail_collector.intake.membership import client_options, member_options


def test_the_openlineage_configuration_names_the_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """Id and strategy stand in the transport's `config`, in librdkafka's names; the member gets them."""
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "kafka")
    monkeypatch.setenv(
        "OPENLINEAGE__TRANSPORT__CONFIG",
        '{"bootstrap.servers": "h:9092", "group.instance.id": "c-1", "client.id": "x", '
        '"partition.assignment.strategy": "cooperative-sticky"}',
    )
    options = kafka_config().options
    member = member_options(options)
    assert "c-1" == member["group_instance_id"]
    assert [CooperativeStickyAssignor] == member["partition_assignment_strategy"]
    assert {"client_id": "x"} == client_options(options)


def test_each_worker_has_an_id_of_its_own() -> None:
    """Workers of one collector are told apart by a number; without an id nothing is added."""
    named = Connection("h:9092", "t", "g", {"group_instance_id": "c"})
    assert ["c-0", "c-1"] == [named.of_worker(n).options["group_instance_id"] for n in range(2)]
    assert {} == Connection("h:9092", "t", "g").of_worker(1).options == member_options({})


def test_an_unknown_strategy_is_refused_with_those_there_are() -> None:
    """A strategy that there is not is an error that names the value and the choices."""
    with pytest.raises(ConfigError, match=r"'uniform' is unknown; write one of range, roundrobin, "):
        member_options({"partition_assignment_strategy": "range,uniform"})
