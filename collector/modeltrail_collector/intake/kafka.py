"""Kafka as a source, on kafka-python: a member of a consumer group, or a reader of all partitions.

What the client would do silently is made loud here: it jumps where retention has passed, keeps old positions
over a rebalance, reads on in a topic that was deleted and made again, and hides why it cannot connect.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, TopicPartition, errors
from kafka.structs import OffsetAndMetadata

from modeltrail_collector.errors import Unavailable
from modeltrail_collector.intake import cause, membership
from modeltrail_collector.intake.bounded import BoundedPoll
from modeltrail_collector.intake.source import Fetched, Polled, cut_short
from modeltrail_collector.model import Header, LogPartition, Record
from modeltrail_schemas.connect import causes, client

_logger = logging.getLogger(__name__)

MAX_POLL_RECORDS = 2000
MAX_POLL_BYTES = 16 << 20
COMMIT_TIMEOUT_MS = ASK_TIMEOUT_MS = 5000
JOIN_MS = 8000  # longer than the others take to hear of a rebalance, which their heartbeats tell them
_NO_HEADERS: tuple[Header, ...] = ()

CONSUMER_SETTINGS: Mapping[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "none",  # a jump is an error, never silent
    "isolation_level": "read_committed",
    "max_poll_records": MAX_POLL_RECORDS,
    "max_partition_fetch_bytes": 8 << 20,
    "fetch_max_bytes": 16 << 20,  # one is unpacked while the next one comes: twice that is in memory
    "receive_message_max_bytes": (1 << 31) - 1,  # brokers take 105 MB; an answer above 100 MB never came
    "fetch_max_wait_ms": 50,  # the client waits for one fetch at a time: a long wait stalls the others
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 3000,
    "metadata_max_age_ms": 30_000,  # how soon new partitions are noticed
}
CLIENT_SETTINGS: Mapping[str, Any] = {
    "client_id": "modeltrail-collector",
    "reconnect_backoff_max_ms": 1000,  # 30 s by default: that long the client sleeps after an outage
    "bootstrap_timeout_ms": 10_000,
}


class Connection(msgspec.Struct, frozen=True):
    """How to reach the topic; `options` are kafka-python's (TLS, SASL) and those of `membership`."""

    bootstrap_servers: str
    topic: str
    group: str
    options: Mapping[str, Any] = msgspec.field(default_factory=dict)

    def of_worker(self, index: int) -> "Connection":
        """The same for one of several workers."""
        return msgspec.structs.replace(self, options=membership.of_worker(self.options, index))


class KafkaSource:
    """See `Source`.

    Args:
        connection: Cluster, topic and group.
        share: None to be a member of the group; else (index, count): read every partition whose number modulo
            `count` is `index`, whoever else reads it (the log fences).

    Raises:
        Unavailable: The cluster cannot be reached, or refuses us; the message names the cause.
        ConfigError: The topic cannot be used.
    """

    def __init__(self, connection: Connection, share: tuple[int, int] | None = None) -> None:
        self._connection = connection
        self._topic = connection.topic
        self._networks: list[client.Network] = []
        with self._translated(f"reach Kafka at {connection.bootstrap_servers}"):
            self._admin, self._consumer = self._connect(
                {} if share else membership.member_options(connection.options)
            )
        self._bounded = BoundedPoll(self._consumer, MAX_POLL_BYTES)
        self._watch = cause.Watch(self._networks[-1])
        self._listener = _Listener()
        self._ours: dict[TopicPartition, LogPartition] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._paused = self._closed = False
        self._committed: dict[TopicPartition, OffsetAndMetadata] = {}
        try:
            self._topic_id = self._take_part(share)
        except BaseException:
            self._consumer.close(autocommit=False)
            self._admin.close()
            raise

    def _take_part(self, share: tuple[int, int] | None) -> str:
        """Join the group, or take a share of the partitions; the topic's id."""
        described = self._describe()
        if share is None:
            self._consumer.subscribe([self._topic], listener=self._listener)
            # A member that joins before it has heard of the partitions of what it subscribed to joins again
            # as soon as it has; one that leads its group gives nobody any until then.
            with self._translated(f"ask Kafka for the partitions of {self._topic}"):
                self._consumer.partitions_for_topic(self._topic)
        else:
            index, count = share
            numbers = sorted(found["partition_index"] for found in described["partitions"])
            self._consumer.assign([TopicPartition(self._topic, n) for n in numbers if n % count == index])
            self._listener.changed = True
        topic_id: str = described["topic_id"]
        return topic_id

    def _connect(self, member: Mapping[str, Any]) -> tuple[Any, Any]:
        """The admin client and the consumer; what failed leaves no thread."""
        settings = {
            **CLIENT_SETTINGS,
            **client.arguments(membership.client_options(self._connection.options)),
            "bootstrap_servers": self._connection.bootstrap_servers.split(","),
            "kafka_client": self._network,
        }
        admin: Any = None
        try:
            admin = KafkaAdminClient(**settings)
            consumer = KafkaConsumer(
                **settings, **CONSUMER_SETTINGS, **member, group_id=self._connection.group
            )
        except BaseException:
            if admin is not None:
                admin.close()
            for network in self._networks[-1:]:
                network.end()
            raise
        return admin, consumer

    def _network(self, **configs: Any) -> client.Network:
        self._networks.append(client.Network(**configs))
        return self._networks[-1]

    @contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        """kafka-python's errors in the collector's words, with the cause that it keeps to itself."""
        try:
            yield
        except (errors.KafkaError, client.TokenError, OSError) as error:
            asked = self._connection
            names = {"servers": asked.bootstrap_servers, "topic": asked.topic, "group": asked.group}
            network = next((each for each in reversed(self._networks) if each.failure), None)
            raise cause.translated(error, action, network, names, asked.options) from error

    def _describe(self) -> dict[str, Any]:
        """The topic as the broker knows it now.

        Raises:
            Unavailable: It does not exist, or the broker does not answer.
        """
        with self._translated(f"ask Kafka for the topic {self._topic}"):
            found: dict[str, Any] = self._admin.describe_topics([self._topic])[0]
            known: Any = errors.for_code(found["error_code"])
            if known is errors.TopicAuthorizationFailedError:
                raise known
        if found["error_code"] or not found["topic_id"]:
            raise Unavailable(
                f"the topic {self._topic!r} cannot be read at {self._connection.bootstrap_servers}: "
                f"{known.__name__}. Does it exist? `modeltrail topic create --topic {self._topic}` makes it"
            )
        return found

    def poll(self, timeout_s: float) -> Polled:
        """See `Source`. Records that came with a change of the assignment or the topic are not handed out."""
        try:
            with self._translated(f"read {self._topic}"):
                polled = self._poll(timeout_s)
        except BaseException:
            self._rewind()
            raise
        if trouble := self._watch.trouble():
            said = causes.explain(trouble, self._connection.options)
            _logger.warning("no connection to Kafka, trying again and again: %s", said)
        return polled

    def _rewind(self) -> None:
        """The client has moved on behind records that were not handed out: else they would be lost."""
        assigned = self._consumer.assignment()
        for partition, offset in self._positions.items():
            if partition in assigned:
                self._consumer.seek(partition, offset)

    def _poll(self, timeout_s: float) -> Polled:
        records: dict[TopicPartition, list[Any]] = {}
        beyond: list[tuple[TopicPartition, int]] = []
        unreadable: TopicPartition | None = None
        try:
            records = self._poll_client(int(timeout_s * 1000))
        except errors.NoOffsetForPartitionError:
            pass  # partitions that are new to us, and not sought yet
        except errors.OffsetOutOfRangeError as error:
            beyond = list(error.args[0].items())
        except errors.CorruptRecordError as error:
            unreadable = self._drop_unreadable(error)
        if self._topic in self._networks[-1].cluster.unauthorized_topics:
            # The client only logs it: of a topic that its metadata leave out it asks for nothing, for ever.
            raise errors.TopicAuthorizationFailedError({self._topic})
        made_anew = bool(records or beyond) and self._is_made_anew()
        if made_anew or self._listener.changed:
            return self._reassigned()
        if beyond:
            return Polled(fetched=[self._removed(*found) for found in beyond if found[0] in self._positions])
        if unreadable in self._positions:
            return Polled(fetched=[self._pass_over(unreadable)])
        return Polled(fetched=self._fetched(records))

    def _is_made_anew(self) -> bool:
        """Whether the topic is another one by now. The assignment may change while this is asked."""
        if self._describe()["topic_id"] == self._topic_id:
            return False
        _logger.error(
            "the topic %s was deleted and made again: what follows goes to a new chain of the log",
            self._topic,
        )
        return True

    def _poll_client(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        """Poll, but let no poll end within a rebalance, be it under way before or begun by its end.

        A join that completes while nobody polls is thrown away by kafka-python 3.0.12, which then joins again
        and makes all others do so too: two members could keep each other from ever working. While it joins
        the client hands out nothing.
        """
        records: dict[TopicPartition, list[Any]] = {}
        if self._joined(timeout_ms):
            records = self._bounded.poll(timeout_ms)
            if not records:
                self._joined(timeout_ms)
        return records

    def _joined(self, timeout_ms: int) -> bool:
        """Whether we are of the group, which we join where the broker that coordinates it can be found."""
        coordinator = self._consumer._coordinator  # noqa: SLF001  polls are all that its public face offers
        if not coordinator.need_rejoin():
            return True
        found: bool = coordinator.ensure_coordinator_ready(timeout_ms=timeout_ms)
        return found and bool(coordinator.ensure_active_group(timeout_ms=JOIN_MS))

    def _drop_unreadable(self, error: Exception) -> TopicPartition:
        """Of a batch that it cannot read the client keeps a husk, in which its next poll would never end."""
        husk = self._consumer._fetcher._next_partition_records  # noqa: SLF001  nothing public names the partition
        if husk is None:
            raise error
        husk.drain()
        _logger.debug("%s: %s", husk.topic_partition, error)
        partition: TopicPartition = husk.topic_partition
        return partition

    def _pass_over(self, partition: TopicPartition) -> Fetched:
        """Try behind it. The rest of the batch, which one producer sent, fails too; the next one does not."""
        start = self._positions[partition] = self._consumer.position(partition) + 1
        self._consumer.seek(partition, start)
        return Fetched(self._ours[partition], start, start, gap="unreadable")

    def _reassigned(self) -> Polled:
        self._topic_id = self._describe()["topic_id"]
        self._listener.changed = False
        self._ours = {
            partition: LogPartition(partition.topic, self._topic_id, partition.partition)
            for partition in self._consumer.assignment()
        }
        self._positions, self._committed = {}, {}
        # One partition without a position stops the client: they get one, and rest until they are sought.
        self._consumer.pause(*self._ours)
        for partition in self._ours:
            self._consumer.seek(partition, 0)
        return Polled(assigned=frozenset(self._ours.values()))

    def _fetched(self, records: Mapping[TopicPartition, list[Any]]) -> list[Fetched]:
        """By the client's position, not the last record: it is behind transaction markers too."""
        found = []
        assigned = self._consumer.assignment()
        ends = {
            partition: self._consumer.position(partition)
            for partition in self._positions
            if partition in assigned
        }
        for partition, end in ends.items():
            start = self._positions[partition]
            if end is not None and end > start:
                rows = [_record(row) for row in records.get(partition, ())]
                found.append(Fetched(self._ours[partition], start, end, rows))
                self._positions[partition] = end
        return found

    def _removed(self, partition: TopicPartition, offset: int) -> Fetched:
        """Retention was faster than we: go on where the topic begins now, and say what is missing."""
        with self._translated(f"ask where {self._topic} begins"):
            begin = self._consumer.beginning_offsets([partition])[partition]
        if begin <= offset:
            raise cut_short(self._ours[partition], offset, f"and begins at {begin}")
        self._consumer.seek(partition, begin)
        self._positions[partition] = begin
        return Fetched(self._ours[partition], begin, begin, gap="retention")

    def seek(self, partition: LogPartition, offset: int) -> None:
        """See `Source`."""
        for theirs, ours in self._ours.items():
            if ours == partition:
                try:
                    self._consumer.seek(theirs, offset)
                    if not self._paused:
                        self._consumer.resume(theirs)
                except errors.IllegalStateError:
                    _logger.debug("%s was taken away before it was sought", theirs)
                else:
                    self._positions[theirs] = offset

    def pause(self) -> None:
        """See `Source`."""
        self._paused = True
        self._consumer.pause(*self._consumer.assignment())

    def resume(self) -> None:
        """See `Source`."""
        self._paused = False
        self._consumer.resume(*(self._consumer.paused() & self._positions.keys()))

    def commit(self, offsets: Mapping[LogPartition, int]) -> None:
        """See `Source`."""
        new = {
            theirs: OffsetAndMetadata(offsets[ours], "", -1)
            for theirs, ours in self._ours.items()
            if ours in offsets
        }
        if new:
            self._committed |= new
            with suppress(errors.FencedInstanceIdError):  # the next poll says so
                self._consumer.commit_async(new, callback=_note_failed_commit)

    def ends(self, partitions: Sequence[LogPartition]) -> dict[LogPartition, int]:
        """See `Source`: the last stable offsets."""
        theirs = {TopicPartition(p.topic, p.partition): p for p in partitions}
        with self._translated(f"ask where {self._topic} ends"):
            ends = self._consumer.end_offsets(list(theirs), timeout_ms=ASK_TIMEOUT_MS)
        return {theirs[key]: end for key, end in ends.items()}

    def known_ends(self) -> dict[LogPartition, int]:
        """See `Source`: the high watermarks that came with the fetches."""
        found = {}
        for theirs in self._positions:
            with suppress(errors.IllegalStateError):  # taken away meanwhile
                if (end := self._consumer.highwater(theirs)) is not None:
                    found[self._ours[theirs]] = end
        return found

    def close(self) -> None:
        """See `Source`. The last commits may be under way still; closing would cancel them."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._committed:
                self._consumer.commit(self._committed, timeout_ms=COMMIT_TIMEOUT_MS)
        except errors.KafkaError as error:
            _note_failed_commit(self._committed, error)
        self._consumer.close(autocommit=False, timeout_ms=COMMIT_TIMEOUT_MS)
        self._admin.close()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Called on the client's IO thread, where nothing may be done: it sets flags."""

    changed = False

    def on_partitions_revoked(self, revoked: object) -> None:  # noqa: ARG002
        self.changed = True

    def on_partitions_assigned(self, assigned: object) -> None:  # noqa: ARG002
        self.changed = True

    def on_partitions_lost(self, lost: object) -> None:  # noqa: ARG002
        self.changed = True


def _record(row: Any) -> Record:
    headers = tuple(Header(key, value) for key, value in row.headers) if row.headers else _NO_HEADERS
    return Record(row.topic, row.partition, row.offset, None, row.timestamp, row.key, headers, row.value)


def _note_failed_commit(offsets: object, response: object) -> None:
    if isinstance(response, Exception):
        _logger.debug("could not commit %s to Kafka, which only lag tools miss: %s", offsets, response)
