"""The broker of a world: one topic with its history, and a consumer group that rebalances as Kafka's does."""

import uuid
from typing import NamedTuple

from modeltrail_collector.errors import ConfigError, Unavailable
from modeltrail_collector.intake import Polled, cut_short
from modeltrail_collector.model import Header, LogPartition
from modeltrail_collector.testing import MemorySource, MemoryTopic
from simulation.process import Outcome, Process

SESSION_S = 10.0
FENCED = "another member has the same static instance"
TRUNCATED = "the topic lost records that the log has"


class Sent(NamedTuple):
    """What a producer was told is safe, or what a truncation put in its place."""

    key: bytes | None
    headers: tuple[Header, ...]
    value: bytes | None


class Incarnation:
    """One life of the topic, kept for the oracle when it is over."""

    def __init__(self, topic: "Broker") -> None:
        self.topic_id = topic.topic_id
        self.begins, self.ends = topic.begins, topic.ends
        self.sent: list[dict[int, list[Sent]]] = [{} for _ in topic.begins]
        self.spoiled: list[set[int]] = [set() for _ in topic.begins]
        self.truncated: list[set[int]] = [set() for _ in topic.begins]
        """Offsets whose records an election dropped: what is read there depends on who read before."""


class Broker(MemoryTopic):
    """A topic whose group deals partitions eagerly (everything anew) or cooperatively (only what moves).

    A member hears of it at some later poll of its own; a process that is silent for a session is expelled,
    and reads on with what it had until it hears of that.
    """

    def __init__(self, partitions: int, *, cooperative: bool) -> None:
        self._lives = 0
        self.cooperative = cooperative
        super().__init__(partitions=partitions)
        self.now = 0.0

    def _empty(self) -> None:
        super()._empty()
        self._lives += 1
        self.topic_id = str(uuid.UUID(int=self._lives))
        self.lives = [*getattr(self, "lives", []), Incarnation(self)]
        self._named = [LogPartition(self.name, self.topic_id, number) for number in range(self._partitions)]

    def partition(self, number: int) -> LogPartition:
        return self._named[number]

    @property
    def life(self) -> Incarnation:
        """The present one."""
        return self.lives[-1]

    def produce(self, number: int, key: bytes | None, headers: list[tuple[str, bytes]], value) -> int:
        offset = self.append(number, value, key, headers)
        given = tuple(Header(*header) for header in headers)
        self.life.sent[number].setdefault(offset, []).append(Sent(key, given, value))
        return offset

    def spoil(self, partition: int, offset: int) -> None:
        super().spoil(partition, offset)
        self.life.spoiled[partition].add(offset)

    def truncate(self, number: int, end: int) -> None:
        """What an unclean election does: acknowledged records are gone, their offsets used again."""
        for offset in [offset for offset in self.records[number] if offset >= end]:
            del self.records[number][offset]
        self.spoiled[number] -= {offset for offset in self.spoiled[number] if offset >= end}
        self.life.truncated[number] |= set(range(end, self.ends[number]))
        self.ends[number] = end

    def rebalance(self) -> None:
        """Deal anew. Sticky where it is cooperative: nothing moves without need."""
        if not self.members:
            return
        count = len(self.begins)
        if not self.cooperative:
            for index, member in enumerate(self.members):
                dealt = {n for n in range(count) if n % len(self.members) == index}
                member.events = [frozenset(), frozenset(dealt)] if member.ours else [frozenset(dealt)]
                member.target = dealt
            return
        share = -(-count // len(self.members))
        left = set(range(count))
        for member in self.members:
            member.target = set(sorted(member.target & left)[:share])
            left -= member.target
        for number in sorted(left):
            min(self.members, key=lambda member: len(member.target)).target.add(number)
        self._settle()

    def _settle(self) -> None:
        """Who loses partitions hears first; who gains them only when nobody else has them any more."""
        if not self.cooperative:
            return
        had = {member: set(member.events[-1] if member.events else member.ours) for member in self.members}
        for member in self.members:
            others = set().union(*(other.ours for other in self.members if other is not member))
            wanted = (had[member] & member.target) | (member.target - others)
            if wanted != had[member] or (not member.told and not member.events):
                member.events.append(frozenset(wanted))

    def join(self, member: "Member") -> None:
        """Join, or take the seat of the member with the same static instance: the others hear nothing."""
        if member.everything:
            return
        for seated in self.members:
            if member.instance is not None and seated.instance == member.instance:
                seated.fenced = True
                self.members[self.members.index(seated)] = member
                member.target, member.events = seated.target, [frozenset(seated.target)]
                return
        super().join(member)

    def heard(self, member: "Member") -> None:
        """A member has taken up what it was told; one that was expelled joins again."""
        if member.expelled:
            member.expelled = False
            member.events, member.target = [], set()
            super().join(member)
        else:
            self._settle()

    def tick(self, seconds: float) -> None:
        """Time passes: whose process was silent for a session is no member any more."""
        self.now += seconds
        for member in list(self.members):
            since = member.process.silent_since
            if since is not None and self.now - since > SESSION_S:
                member.expelled = True
                self.leave(member)


class Member(MemorySource):
    """A process's consumer: see `Source`. `everything` is outside the group, as `--until-end` is."""

    def __init__(
        self,
        broker: Broker,
        process: Process | None = None,
        *,
        max_records: int = 2000,
        instance: int | None = None,
        everything: bool = False,
    ) -> None:
        self.process = process
        self.instance = instance
        self.events: list[frozenset[int]] = []
        self.target: set[int] = set()
        self.told = self.expelled = self.fenced = False
        self.everything = everything
        self.idle = False
        """Its last poll brought nothing, and it has not been asked for anything else since."""
        self._broker = broker
        super().__init__(broker, max_records=max_records)
        if everything:
            self.events = [frozenset(range(len(broker.begins)))]

    @property
    def ours(self) -> set[int]:
        """What it has heard to be its own."""
        return self._ours

    def _ask(self, what: str) -> Outcome:
        """Without a process nothing waits or fails: so tests/contracts holds this to what Kafka does."""
        return Outcome.OK if self.process is None else self.process.pause(what)

    def poll(self, timeout_s: float) -> Polled:
        if self._ask("poll") is not Outcome.OK:
            raise Unavailable("the broker does not answer")
        if self.fenced and not self.deaf:
            raise ConfigError(FENCED)
        if not self.deaf and (self.expelled or self.events):
            return self._hear()
        self._check_truncation()
        polled = super().poll(timeout_s)
        self.idle = polled.assigned is None and not polled.fetched
        return polled

    def _hear(self) -> Polled:
        self.told, self.idle = True, False
        self._ours = set() if self.expelled else set(self.events.pop(0))
        polled = self._assigned()
        if not self.everything:
            self._broker.heard(self)
        return polled

    def _check_truncation(self) -> None:
        if self._paused or self._topic_id != self._topic.topic_id:
            return
        ends = self._topic.ends
        for number, position in self._positions.items():
            if position > ends[number]:
                raise cut_short(self._topic.partition(number), position, f"at {ends[number]}")

    def pause(self) -> None:
        self.idle = False
        super().pause()

    def resume(self) -> None:
        self.idle = False
        super().resume()

    def commit(self, offsets) -> None:
        self._ask("commit")
        super().commit(offsets)

    def ends(self, partitions) -> dict[LogPartition, int]:
        if self._ask("ends") is not Outcome.OK:
            raise Unavailable("the broker does not answer")
        return super().ends(partitions)

    def close(self) -> None:
        self._ask("close")
        super().close()
