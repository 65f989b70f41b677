"""Whether Kafka hands out every event: the client's parts, the broker, the topic, the group, the clocks."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from kafka import TopicPartition, codec
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.record import util

from modeltrail_collector.checks.check import Check
from modeltrail_collector.config import KafkaConfig
from modeltrail_collector.errors import CollectorError, Unavailable
from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import Log, open_log
from modeltrail_collector.model import LogPartition

HOUR_MS: Final = 3_600_000
SHORT_MS: Final = 24 * HOUR_MS
SKEW_S: Final = 60.0
SMALL_BYTES: Final = 1_000_000
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
    try:
        yield Check("collect broker", "ok", f"{servers} answers ({config.bootstrap_servers.origin})")
        yield from look.topic()
        yield from look.group()
        yield look.clock()
        if log_uri:
            yield from look.against(open_log(log_uri))
    except CollectorError as error:
        yield Check("collect", "fail", str(error), "see above", unreachable=isinstance(error, Unavailable))
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
    text = str(error)
    if text.startswith("the topic"):
        yield Check("collect broker", "ok", f"{servers} answers")
        found, _, advice = text.partition(" Does it exist? ")
        yield Check("collect topic", "fail", found, advice or "modeltrail topic create", unreachable=False)
        return
    advice = "check --bootstrap-servers, the network between, and the security settings"
    yield Check("collect broker", "fail", text, advice, unreachable=isinstance(error, Unavailable))


class Look(KafkaSource):
    """A reader to whom nothing belongs, for looking around."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, share=_NOBODY)
        self._described = self._describe()

    def topic(self) -> Iterator[Check]:
        """What the topic's settings do to events."""
        with self._translated(f"ask Kafka for the settings of {self._topic}"):
            resource = ConfigResource(ConfigResourceType.TOPIC, self._topic)
            shown = self._admin.describe_configs([resource], config_filter="all")["topic"][self._topic]
        settings = {name: str(found["value"]) for name, found in shown.items()}
        partitions = self._described["partitions"]
        faults = [*_keeping(settings), *_durability(settings, partitions)]
        for state, found, advice in faults:
            yield Check("collect topic", state, f"{self._topic}: {found}", advice)
        if not faults:
            found = f"{self._topic}, id {self._topic_id}, {len(partitions)} partitions"
            yield Check("collect topic", "ok", found)

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
            members = self._admin.describe_groups([name])[name]["members"] if name in listed else []
        idle = len(members) - len(self._described["partitions"])
        if idle > 0:
            yield Check(
                "collect group",
                "warn",
                f"{name} has {len(members)} members for {len(self._described['partitions'])} partitions: "
                f"{idle} of them have nothing to do",
                "add partitions to the topic, or start fewer collectors",
            )
        else:
            yield Check("collect group", "ok", f"{name} has {len(members)} members")

    def clock(self) -> Check:
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
            return Check("collect clock", "ok", "the topic holds no record to compare it with")
        ahead_s = max(stamps) / 1000 - time.time()
        if ahead_s > SKEW_S:
            return Check(
                "collect clock",
                "warn",
                f"the newest record is from {ahead_s:.0f} s in the future: a producer's, the broker's or "
                "this machine's clock is wrong",
                "run NTP on all of them; where eventTime cannot be read, events are ordered by these clocks",
            )
        return Check("collect clock", "ok", f"the newest record is {max(-ahead_s, 0):.0f} s old")

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
            f"{lost} offsets were removed by retention before they were collected",
            "collect more often, or raise retention.ms; the gap will be recorded in the log",
        )
    return Check("collect lag", "ok", f"{behind} records are in the topic and not yet in the log")


def _keeping(settings: Mapping[str, str]) -> list[tuple[Any, str, str]]:
    """What removes events before they are collected, or keeps them out."""
    faults: list[tuple[Any, str, str]] = []
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
        state = "fail" if retention < HOUR_MS else "warn"
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


def _durability(settings: Mapping[str, str], partitions: list[Any]) -> list[tuple[Any, str, str]]:
    """What loses events with a broker, or keeps collectors from sharing the work."""
    faults: list[tuple[Any, str, str]] = []
    copies = min(len(partition["replica_nodes"]) for partition in partitions)
    offline = [p["partition_index"] for p in partitions if p["leader_id"] < 0]
    if offline:
        found = f"partition {offline[0]} has no leader: it can be neither written nor read"
        faults.append(("fail", found, "bring its brokers back"))
    if copies > 1 and int(settings.get("min.insync.replicas", "1")) < 2:
        found = f"min.insync.replicas=1 of {copies}: what one broker acknowledged alone may be lost with it"
        faults.append(("warn", found, "set min.insync.replicas=2"))
    if len(partitions) == 1:
        found = "1 partition: one collector can work at a time"
        faults.append(("warn", found, "add partitions when one is not enough; the order per job is kept"))
    return faults
