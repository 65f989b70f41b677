"""How a collector is a member of its group: what the user may choose, in kafka-python's terms."""

from collections.abc import Mapping
from typing import Any, Final

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from modeltrail_collector.errors import ConfigError

INSTANCE: Final = "group_instance_id"
STRATEGY: Final = "partition_assignment_strategy"
_ASSIGNORS: Final = {
    found.name: found
    for found in (
        RangePartitionAssignor,
        RoundRobinPartitionAssignor,
        StickyPartitionAssignor,
        CooperativeStickyAssignor,
    )
}


def client_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that every connection has: TLS, SASL."""
    return {name: value for name, value in options.items() if name not in {INSTANCE, STRATEGY}}


def member_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that only a member of a group has.

    Raises:
        ConfigError: A strategy is unknown.
    """
    found: dict[str, Any] = {}
    if instance := options.get(INSTANCE):
        found[INSTANCE] = str(instance)
    if strategy := options.get(STRATEGY):
        names = [name.strip() for name in str(strategy).split(",")]
        if unknown := [name for name in names if name not in _ASSIGNORS]:
            raise ConfigError(
                f"partition.assignment.strategy is {strategy!r}: {unknown[0]!r} is unknown; "
                f"write one of {', '.join(_ASSIGNORS)}, the same for all of a group"
            )
        found[STRATEGY] = [_ASSIGNORS[name] for name in names]
    return found


def of_worker(options: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    """The options of one of several workers: no two members may have one id."""
    instance = options.get(INSTANCE)
    return {**options, INSTANCE: f"{instance}-{index}"} if instance else options
