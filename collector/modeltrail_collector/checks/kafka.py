"""Whether Kafka hands out every event: the client's parts, the broker, the topic, the group, the clocks."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, Literal

from kafka import TopicPartition, codec, errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.record import util

from modeltrail_collector.checks.check import Check
from modeltrail_collector.config import KafkaConfig
from modeltrail_collector.errors import CollectorError, ConfigError, Unavailable
from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import Log, open_log
from modeltrail_collector.model import LogPartition
from modeltrail_schemas.connect import causes
from modeltrail_schemas.words import counted

Fault = tuple[Literal["warn", "fail"], str, str]
"""How bad it is, what was found, what to do."""

HOUR_MS: Final = 3_600_000
SHORT_MS: Final = 24 * HOUR_MS
SKEW_S: Final = 60.0
SMALL_BYTES: Final = 1_000_000
_MENDING: Final = (" Grant it: ", " Does it exist? ")
_NOBODY: Final = (-1, 1 << 30)  # the share of a reader to whom no partition belongs
_CODECS: Final[tuple[tuple[str, Callable[[], bool], str], ...]] = (
    ("zstd", codec.has_zstd, "zstandard"),
    ("lz4", codec.has_lz4, "lz4"),
    ("snappy", codec.has_snappy, "python-snappy"),
)


def kafka_checks(config: KafkaConfig, log_uri: str | None) -> Iterator[Check]:
    """All of Kafka, as a collector would find it; joins no group, and writes nothing."""
    yield _codecs()
    servers = config.bootstrap_servers.value
    try:
        look = Look(Connection(servers, config.topic.value, config.group.value, config.options))
    except CollectorError as error:
        yield from _unusable(error, servers)
        return
    yield Check("collect broker", "ok", f"{servers} answers ({config.bootstrap_servers.origin})")
    looks = {"collect topic": look.topic, "collect group": look.group, "collect clock": look.clock}
    if log_uri:
        looks["collect lag"] = partial(look.against, open_log(log_uri))
    try:
        for name, found in looks.items():
            try:
                yield from found()
            except CollectorError as error:
                yield _failed(name, error)
                return
    finally:
        look.close()


def _codecs() -> Check:
    missing = [(name, package) for name, has, package in _CODECS if not has()]
    if missing:
        names = ", ".join(name for name, _ in missing)
        packages = " ".join(package for _, package in missing)
        return Check(
            "collect codecs",
            "fail",
            f"the client cannot unpack {names}: a batch that a producer packs so stops the collector",
            f"pip install {packages}",
        )
    if util.crc32c_c is None:
        advice = "pip install --force-reinstall crc32c"
        return Check(
            "collect codecs", "warn", "crc32c has no C extension: reading is 20 times slower", advice
        )
    return Check("collect codecs", "ok", "zstd, lz4, snappy, gzip and a fast crc32c")


def _unusable(error: CollectorError, servers: str) -> Iterator[Check]:
    if any(mark in str(error) for mark in _MENDING):  # a broker said so
        yield Check("collect broker", "ok", f"{servers} answers")
        yield _failed("collect topic", error)
    else:
        yield _failed("collect broker", error)


def _failed(name: str, error: CollectorError) -> Check:
    """An error as a check; what it says to do is the advice."""
    for mark in _MENDING:
        found, _, advice = str(error).partition(mark)
        if advice:
            return Check(name, "fail", found, advice)
    unreachable = isinstance(error, Unavailable)
    advice = "check --bootstrap-servers, the network between, and the security settings"
    return Check(name, "fail", str(error), advice, unreachable=unreachable)


class Look(KafkaSource):
    """A reader to whom nothing belongs, for looking around."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, share=_NOBODY)
        self._described = self._describe()

    def topic(self) -> Iterator[Check]:
        """What the topic's settings do to events."""
        self._demand_read("topic", self._described["authorized_operations"])
        partitions = self._described["partitions"]
        faults = [*self._settings_faults(partitions), *_placing(partitions)]
        for state, found, advice in faults:
            yield Check("collect topic", state, f"{self._topic}: {found}", advice)
        if not faults:
            found = f"{self._topic}, id {self._topic_id}, {counted(len(partitions), 'partition')}"
            yield Check("collect topic", "ok", found)

    def _demand_read(self, resource: str, allowed: list[str] | None) -> None:
        """Older brokers do not say what is allowed."""
        if allowed is not None and "READ" not in allowed:
            raise ConfigError(f"cannot collect: {self._grant('Read', resource)}")

    def _grant(self, operation: str, resource: str) -> str:
        asked = self._connection
        name = {"topic": asked.topic, "group": asked.group}[resource]
        return causes.grant(operation, resource, name, asked.bootstrap_servers, asked.options)

    def _settings_faults(self, partitions: list[Any]) -> list[Fault]:
        with self._translated(f"ask Kafka for the settings of {self._topic}"):
            resource = ConfigResource(ConfigResourceType.TOPIC, self._topic)
            shown = self._admin.describe_configs([resource], config_filter="all")["topic"][self._topic]
        if not shown:  # the client is silent on a refusal
            found, _, command = self._grant("DescribeConfigs", "topic").partition(_MENDING[0])
            return [("warn", f"its settings are not shown, they may lose events: {found}", command)]
        settings = {name: str(found["value"]) for name, found in shown.items()}
        return [*_keeping(settings), *_durability(settings, partitions)]

    def group(self) -> Iterator[Check]:
        """Whether the group can be joined, and who is in it."""
        name = self._connection.group
        with self._translated(f"ask Kafka for the group {name}"):
            listed = {found["group_id"]: found for found in self._admin.list_groups()}
            kind = listed.get(name, {}).get("group_type", "classic")
            if kind != "classic":
                yield Check(
                    "collect group",
                    "fail",
                    f"{name} is a group of the newer protocol ({kind}, KIP-848), which this client cannot "
                    "join: it would wait for ever",
                    "collect with another --group; progress is kept in the log, so nothing is read twice",
                )
                return
            described = self._described_group(name)
        self._demand_read("group", described["authorized_operations"])
        members, partitions = described["members"], self._described["partitions"]
        idle = len(members) - len(partitions)
        if idle > 0:
            yield Check(
                "collect group",
                "warn",
                f"{name} has {counted(len(members), 'member')} for {counted(len(partitions), 'partition')}: "
                f"{idle} of them {'has' if idle == 1 else 'have'} nothing to do",
                "add partitions to the topic, or start fewer collectors",
            )
        else:
            yield Check("collect group", "ok", f"{name} has {counted(len(members), 'member')}")

    def _described_group(self, name: str) -> dict[str, Any]:
        """The group; one without members where the broker has never had any group."""
        try:
            found: dict[str, Any] = self._admin.describe_groups([name])[name]
        except errors.CoordinatorNotAvailableError:
            return {"members": [], "authorized_operations": None}
        return found

    def clock(self) -> Iterator[Check]:
        """Whether the newest record comes from the future."""
        places = [TopicPartition(self._topic, p["partition_index"]) for p in self._described["partitions"]]
        with self._translated(f"read the end of {self._topic}"):
            ends = self._consumer.end_offsets(places, timeout_ms=5000)
            begins = self._consumer.beginning_offsets(places, timeout_ms=5000)
            filled = [place for place in places if ends[place] > begins[place]]
            self._consumer.assign(filled)
            for place in filled:
                self._consumer.seek(place, ends[place] - 1)
            stamps = [row.timestamp for rows in self._newest(filled) for row in rows]
        if not stamps:
            yield Check("collect clock", "ok", "the topic holds no record to compare it with")
            return
        ahead_s = max(stamps) / 1000 - time.time()
        if ahead_s > SKEW_S:
            yield Check(
                "collect clock",
                "warn",
                f"the newest record is from {ahead_s:.0f} s in the future: a producer's, the broker's or "
                "this machine's clock is wrong",
                "run NTP on all of them; where eventTime cannot be read, events are ordered by these clocks",
            )
        else:
            yield Check("collect clock", "ok", f"the newest record is {max(-ahead_s, 0):.0f} s old")

    def _newest(self, places: list[Any]) -> Iterator[list[Any]]:
        """The last records, as far as they come within two seconds."""
        until, missing = time.monotonic() + 2, set(places)
        while missing and time.monotonic() < until:
            for place, rows in self._consumer.poll(200).items():
                missing.discard(place)
                yield rows

    def against(self, log: Log) -> Iterator[Check]:
        """How the log stands to the topic."""
        known = [partition for partition in log.partitions() if partition.topic == self._topic]
        others = {partition.topic_id for partition in known} - {self._topic_id}
        if others:
            yield Check(
                "collect topic",
                "warn",
                f"{self._topic} was deleted and made again: the log holds {len(others)} before it; "
                "what was not collected before is gone",
                "nothing to mend: each has a chain of its own in the log",
            )
        places = {
            TopicPartition(self._topic, p["partition_index"]): p["partition_index"]
            for p in self._described["partitions"]
        }
        with self._translated(f"ask where {self._topic} begins and ends"):
            begins = self._consumer.beginning_offsets(list(places), timeout_ms=5000)
            ends = self._consumer.end_offsets(list(places), timeout_ms=5000)
        sealed = {
            place: log.end(LogPartition(self._topic, self._topic_id, number))
            for place, number in places.items()
        }
        yield _lag(begins, ends, sealed)


def _lag(begins: Mapping[Any, int], ends: Mapping[Any, int], sealed: Mapping[Any, int]) -> Check:
    lost = sum(max(begin - sealed[place], 0) for place, begin in begins.items() if sealed[place])
    behind = sum(max(end - max(sealed[place], begins[place]), 0) for place, end in ends.items())
    shrunk = [place for place, end in ends.items() if sealed[place] > end]
    if shrunk:
        return Check(
            "collect lag",
            "fail",
            f"partition {shrunk[0].partition} ends before the log does: the topic lost records",
            "collect into another log, or make the topic anew",
        )
    if lost:
        return Check(
            "collect lag",
            "fail",
            f"{counted(lost, 'offset', 'was', 'were')} removed by retention before they were collected",
            "collect more often, or raise retention.ms; the gap will be recorded in the log",
        )
    return Check(
        "collect lag", "ok", f"{counted(behind, 'record', 'is', 'are')} in the topic and not yet in the log"
    )


def _keeping(settings: Mapping[str, str]) -> list[Fault]:
    """What removes events before they are collected, or keeps them out."""
    faults: list[Fault] = []
    if "compact" in settings.get("cleanup.policy", ""):
        faults.append(
            (
                "fail",
                f"cleanup.policy={settings['cleanup.policy']}: Kafka keeps only the last event of each job",
                "set cleanup.policy=delete",
            )
        )
    retention = int(settings.get("retention.ms", "-1"))
    if 0 <= retention < SHORT_MS:
        state: Literal["warn", "fail"] = "fail" if retention < HOUR_MS else "warn"
        found = f"retention.ms={retention}: events are gone {retention / HOUR_MS:.2g} h after they came"
        faults.append(
            (state, found, "set retention.ms to longer than any outage of the collector, as 30 days")
        )
    kept = int(settings.get("retention.bytes", "-1"))
    if kept >= 0:
        found = f"retention.bytes={kept}: events are gone when a partition holds more than that"
        faults.append(("warn", found, "set retention.bytes=-1, and watch the disk"))
    largest = int(settings.get("max.message.bytes", SMALL_BYTES))
    if largest < SMALL_BYTES:
        found = f"max.message.bytes={largest}: events larger than that stay with their producers"
        faults.append(("warn", found, "set max.message.bytes=5000000"))
    return faults


def _durability(settings: Mapping[str, str], partitions: list[Any]) -> list[Fault]:
    """What loses events with a broker."""
    copies = min(len(partition["replica_nodes"]) for partition in partitions)
    if copies < 2 or int(settings.get("min.insync.replicas", "1")) > 1:
        return []
    found = f"min.insync.replicas=1 of {copies}: what one broker acknowledged alone may be lost with it"
    return [("warn", found, "set min.insync.replicas=2")]


def _placing(partitions: list[Any]) -> list[Fault]:
    """What keeps events from being read, or collectors from sharing the work."""
    faults: list[Fault] = []
    offline = [p["partition_index"] for p in partitions if p["leader_id"] < 0]
    if offline:
        found = f"partition {offline[0]} has no leader: it can be neither written nor read"
        faults.append(("fail", found, "bring its brokers back"))
    if len(partitions) == 1:
        found = "1 partition: one collector can work at a time"
        faults.append(("warn", found, "add partitions when one is not enough; the order per job is kept"))
    return faults
