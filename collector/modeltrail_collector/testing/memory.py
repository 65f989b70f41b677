"""What is in memory: a store, a topic with a consumer group, a taker of dead letters."""

import contextlib
import random
import secrets
import uuid
from collections.abc import Iterator, Mapping, Sequence

from modeltrail_collector.errors import OwnershipLost, Unavailable
from modeltrail_collector.intake import Fetched, Polled, cut_short
from modeltrail_collector.model import Header, LogPartition, Record
from modeltrail_collector.relay import Letter


class MemoryStore:
    """See `log.store.Store`: files in a dictionary.

    Args:
        faults: Where chance comes from; None never fails.
        rate: How likely one `create` or `read` fails. Half of the failed creates have written all the same,
            as when only the answer of an object store is lost.
    """

    def __init__(self, faults: random.Random | None = None, rate: float = 0.1) -> None:
        self.contents: dict[str, bytes] = {}
        self.leases: dict[str, MemoryLease] = {}
        self.faults = faults
        self.rate = rate

    @property
    def uri(self) -> str:
        """A name for people."""
        return "memory://"

    def create(self, name: str, data: bytes) -> bool:
        """See `Store`."""
        if self._fails() and self.faults is not None:
            if self.faults.random() < 0.5:
                self.contents.setdefault(name, data)
            raise Unavailable(f"cannot write {name}: a fault of the test")
        if name in self.contents:
            return False
        self.contents[name] = data
        return True

    def read(self, name: str, length: int | None = None) -> bytes:
        """See `Store`."""
        if self._fails():
            raise Unavailable(f"cannot read {name}: a fault of the test")
        if name not in self.contents:
            raise FileNotFoundError(name)
        return self.contents[name][:length]

    def files(self, folder: str, after: str = "") -> list[str]:
        """See `Store`."""
        below = [name.removeprefix(f"{folder}/") for name in self.contents if name.startswith(f"{folder}/")]
        return sorted(name for name in below if "/" not in name and name > after)

    def folders(self, folder: str) -> list[str]:
        """See `Store`."""
        below = [name.removeprefix(f"{folder}/") for name in self.contents if name.startswith(f"{folder}/")]
        return sorted({name.partition("/")[0] for name in below if "/" in name})

    def replace(self, name: str, expected: bytes, data: bytes) -> bool:
        """See `Store`."""
        fails = self._fails()
        if fails and self.faults is not None and self.faults.random() < 0.5:
            raise Unavailable(f"cannot replace {name}: a fault of the test")
        if self.contents.get(name) != expected:
            return False
        self.contents[name] = data
        if fails:
            raise Unavailable(f"cannot replace {name}: a fault of the test, after it was done")
        return True

    def remove(self, name: str) -> None:
        """See `Store`."""
        if self._fails():
            raise Unavailable(f"cannot remove {name}: a fault of the test")
        self.contents.pop(name, None)

    @contextlib.contextmanager
    def lease(self, name: str) -> Iterator["MemoryLease"]:
        """See `Store`; never waits: a test that asks twice means a holder that lost it."""
        held = self.leases[name] = MemoryLease(self, name)
        yield held
        if self.leases.get(name) is held:
            del self.leases[name]

    def set_aside(self, name: str, expected: bytes) -> str | None:
        """See `Store`."""
        if self.contents.get(name) != expected:
            return None
        aside = f"{name}.bad-{secrets.token_hex(4)}"
        self.contents[aside] = self.contents.pop(name)
        return aside

    def clean(self, folder: str) -> int:  # noqa: ARG002  a dictionary holds nothing half
        """Nothing to do."""
        return 0

    def _fails(self) -> bool:
        return self.faults is not None and self.faults.random() < self.rate


class MemoryLease:
    """See `log.store.Lease`."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        self._store = store
        self._name = name

    def check(self) -> None:
        """See `log.store.Lease`."""
        if self._store.leases.get(self._name) is not self:
            raise OwnershipLost(f"the lease {self._name} was taken over")


class MemoryTopic:
    """A topic with one consumer group: offsets with holes, retention, and a new id when it is made again."""

    def __init__(self, name: str = "openlineage.events", partitions: int = 1) -> None:
        self.name = name
        self.members: list[MemorySource] = []
        self.committed: dict[LogPartition, int] = {}
        self._partitions = partitions
        self._empty()

    def _empty(self) -> None:
        self.topic_id = str(uuid.uuid4())
        self.records: list[dict[int, Record]] = [{} for _ in range(self._partitions)]
        self.begins = [0] * self._partitions
        self.ends = [0] * self._partitions
        self.spoiled: list[set[int]] = [set() for _ in range(self._partitions)]

    def append(
        self,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> int:
        """Add a record; returns its offset."""
        offset = self.ends[partition]
        given = tuple(Header(name, content) for name, content in headers)
        self.records[partition][offset] = Record(self.name, partition, offset, None, 0, key, given, value)
        self.ends[partition] = offset + 1
        return offset

    def add_hole(self, partition: int, offsets: int = 1) -> None:
        """Offsets without a record: transaction markers, or what was aborted."""
        self.ends[partition] += offsets

    def remove_before(self, partition: int, offset: int) -> None:
        """What retention does."""
        self.begins[partition] = max(offset, self.begins[partition])
        for old in [known for known in self.records[partition] if known < offset]:
            del self.records[partition][old]

    def spoil(self, partition: int, offset: int) -> None:
        """Make a record unreadable for the client, as a broken batch is."""
        self.spoiled[partition].add(offset)

    def recreate(self) -> None:
        """Delete the topic and make it again, empty, under a new id."""
        self._empty()

    def partition(self, number: int) -> LogPartition:
        """What the log calls a partition of this incarnation."""
        return LogPartition(self.name, self.topic_id, number)

    def join(self, member: "MemorySource") -> None:
        """Take a member into the group."""
        self.members.append(member)
        self.rebalance()

    def leave(self, member: "MemorySource") -> None:
        """Let a member go; one that is gone already is fine."""
        if member in self.members:
            self.members.remove(member)
            self.rebalance()

    def rebalance(self) -> None:
        """Deal the partitions out anew; every member has to be told."""
        for index, member in enumerate(self.members):
            member.deal({n for n in range(self._partitions) if n % len(self.members) == index})


class MemorySource:
    """See `Source`: a member of the topic's group from the start until `close`.

    While `deaf`, it has not heard of rebalances yet and reads on with what it had: a zombie.
    """

    def __init__(self, topic: MemoryTopic, *, max_records: int = 2000) -> None:
        self.deaf = False
        self._topic = topic
        self._max_records = max_records
        self._topic_id = topic.topic_id
        self._dealt: set[int] | None = None
        self._positions: dict[int, int] = {}
        self._ours: set[int] = set()
        self._paused = False
        topic.join(self)

    def deal(self, partitions: set[int]) -> None:
        """Called by the topic: these are ours from the next poll on."""
        self._dealt = partitions

    def poll(self, timeout_s: float) -> Polled:  # noqa: ARG002  never waits: time is the test's
        """See `Source`."""
        if self._dealt is not None and not self.deaf:
            self._ours, self._dealt = self._dealt, None
            return self._assigned()
        if self._topic_id != self._topic.topic_id and self._ours:
            return self._assigned()
        if self._paused:
            return Polled()
        return Polled(fetched=[found for n in sorted(self._positions) if (found := self._fetch(n))])

    def _assigned(self) -> Polled:
        self._topic_id = self._topic.topic_id
        self._positions = {}
        return Polled(assigned=frozenset(self._topic.partition(n) for n in self._ours))

    def _fetch(self, number: int) -> Fetched | None:
        start, end = self._positions[number], self._topic.ends[number]
        begin = self._topic.begins[number]
        if start > end:
            raise cut_short(self._topic.partition(number), start, f"at {end}")
        if start < begin:
            self._positions[number] = begin
            return Fetched(self._topic.partition(number), begin, begin, gap="retention")
        if start == end:
            return None
        spoiled = {offset for offset in self._topic.spoiled[number] if start <= offset < end}
        if start in spoiled:
            self._positions[number] = start + 1
            return Fetched(self._topic.partition(number), start + 1, start + 1, gap="unreadable")
        stop = min({end, start + self._max_records} | spoiled)
        self._positions[number] = stop
        held = self._topic.records[number]
        records = [held[offset] for offset in range(start, stop) if offset in held]
        return Fetched(self._topic.partition(number), start, stop, records)

    def seek(self, partition: LogPartition, offset: int) -> None:
        """See `Source`."""
        if partition.topic_id == self._topic_id and partition.partition in self._ours:
            self._positions[partition.partition] = offset

    def pause(self) -> None:
        """See `Source`."""
        self._paused = True

    def resume(self) -> None:
        """See `Source`."""
        self._paused = False

    def commit(self, offsets: Mapping[LogPartition, int]) -> None:
        """See `Source`; kept in the topic's `committed`."""
        self._topic.committed.update(offsets)

    def ends(self, partitions: Sequence[LogPartition]) -> dict[LogPartition, int]:
        """See `Source`."""
        return {partition: self._topic.ends[partition.partition] for partition in partitions}

    def known_ends(self) -> dict[LogPartition, int]:
        """See `Source`."""
        return {self._topic.partition(number): self._topic.ends[number] for number in self._positions}

    def close(self) -> None:
        """See `Source`; closing twice is harmless."""
        self._topic.leave(self)


class MemoryPublisher:
    """See `relay.Publisher`: a list. While `away`, half of the letters arrive and the call fails."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.away = False
        self.closed = False

    def publish(self, letters: Sequence[Letter]) -> None:
        """See `Publisher`."""
        if self.away:
            self.letters += letters[: len(letters) // 2]
            raise Unavailable("cannot publish dead letters: a fault of the test")
        self.letters += letters

    def close(self) -> None:
        """See `Publisher`."""
        self.closed = True
