"""What `modeltrail doctor` looks at where events are collected: Kafka, the store, the log, the tables.

`doctor` belongs to the emitter, which knows nothing of the collector: it finds `checks` by the entry point
group `modeltrail.checks`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from modeltrail_collector import config
from modeltrail_collector.checks.check import Check
from modeltrail_collector.errors import ConfigError

__all__ = ["Check", "checks"]

DEFAULT_LOG = "./lineage"


def checks(
    *, log: str | None, bootstrap_servers: str | None, topic: str | None, group: str | None
) -> Iterator[Check]:
    """All checks of what is given or configured; nothing where neither a broker nor a log is."""
    uri = log or os.environ.get("MODELTRAIL_LOG") or (DEFAULT_LOG if Path(DEFAULT_LOG).is_dir() else None)
    try:
        found = config.kafka_config(bootstrap_servers, topic, group)
    except ConfigError as error:
        found = None
        if bootstrap_servers:
            yield Check("collect", "fail", str(error), "modeltrail collect --help")
    if found is not None:
        from modeltrail_collector.checks.kafka import kafka_checks

        yield from kafka_checks(found, uri)
    if uri is not None:
        from modeltrail_collector.checks.log import log_checks

        yield from log_checks(uri)
