"""Publishes what is sealed and rejected, beside the collector and never in its way.

How far it is stands in the log's store, per partition: `dead-letters/<dead-letter topic>/<topic>/<topic id>/
<partition>.json`. It is written after the letters are acknowledged, so after a crash some may be published
again (each carries its name in a header), and none is missed: what is published comes from sealed segments
alone, from the remembered offset to the end of the log, whoever sealed them.
"""

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from modeltrail_collector.errors import OwnershipLost
from modeltrail_collector.failpoints import reached
from modeltrail_collector.log import Log, Segment
from modeltrail_collector.model import LogPartition
from modeltrail_collector.relay import trouble
from modeltrail_collector.relay.letters import Letter, Publisher, letters_of
from modeltrail_collector.relay.trouble import Trouble

_logger = logging.getLogger(__name__)

_BATCH_LETTERS: Final = 500
_BATCH_BYTES: Final = 4 << 20
_LOOK_S: Final = 30.0
_CLOSE_S: Final = 1.0


class Progress(msgspec.Struct):
    """One partition: looked through to `position`, on record up to `remembered`, sealed to `end`."""

    position: int | None = None
    remembered: int = 0
    end: int = 0
    look_at: float = 0.0
    failures: int = 0
    retry_at: float = 0.0

    @property
    def behind(self) -> int:
        """Offsets that are sealed and not looked through."""
        return max(self.end - (self.position or 0), 0)

    def is_due(self, now: float) -> bool:
        """Whether there is, or may be, something to do."""
        return now >= self.retry_at and (self.behind > 0 or now >= self.look_at)


class DeadLetters:
    """The publisher of one collector process, in a thread of its own.

    `published`, `failures` and `behind` are its figures. Whatever goes wrong in here is said, and tried again
    later; it never stops or slows the collector.
    """

    def __init__(self, log: Log, publisher: Publisher, topic: str) -> None:
        self.published = 0
        self.failures = 0
        self._log = Log(log.store)
        self._publisher = publisher
        self._topic = topic
        self._partitions: dict[LogPartition, Progress] = {}
        self._topic_ids: set[str] = set()
        self._busy: LogPartition | None = None
        self._trouble = Trouble(_logger)
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="dead-letters", daemon=True)
        self._thread.start()

    @property
    def behind(self) -> int:
        """Offsets that are sealed but not looked through for dead letters."""
        with self._changed:
            return sum(progress.behind for progress in self._partitions.values())

    def own(self, partitions: Iterable[LogPartition]) -> None:
        """These are ours from now on, and no others."""
        with self._changed:
            self._partitions = {partition: Progress() for partition in partitions}
            self._topic_ids = {partition.topic_id for partition in self._partitions}
            self._changed.notify_all()

    def sealed(self, segment: Segment, *, rejected: bool) -> None:
        """A segment was sealed. One without rejected records need not be read again."""
        with self._changed:
            progress = self._partitions.get(segment.partition)
            if progress is None:
                return
            follows = progress.position == segment.first_offset and self._busy != segment.partition
            if follows and not rejected:
                progress.position = segment.next_offset
            progress.end = segment.next_offset
            self._changed.notify_all()

    def finish(self, patience_s: float) -> int:
        """Publish the rest, if that takes no longer and nothing fails; then end. Returns how much is left.

        What is left is for the next collector.
        """
        deadline = time.monotonic() + patience_s
        with self._changed:
            failures = self.failures
            for progress in self._partitions.values():
                progress.look_at = progress.retry_at = 0.0
            self._changed.notify_all()
            while self._due(0.0) and self.failures == failures and time.monotonic() < deadline:
                self._changed.wait(0.1)
        self.close()
        return self.behind

    def close(self) -> None:
        """End, wherever it is: what was not remembered is published by the next collector."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_S)

    def _due(self, now: float) -> list[LogPartition]:
        return [partition for partition, progress in self._partitions.items() if progress.is_due(now)]

    def _work(self) -> None:
        while not self._ended:
            with self._changed:
                due = self._due(time.monotonic())
                if not due and not self._ended:
                    self._changed.wait(trouble.BACKOFF_S)
            for partition in due:
                self._try(partition)
        self._publisher.close()

    def _try(self, partition: LogPartition) -> None:
        with self._changed:
            progress = self._partitions.get(partition)
            if progress is None or self._ended:
                return
            self._busy = partition
        try:
            self._advance(partition, progress)
        except OwnershipLost:
            pass
        except Exception as error:
            self.failures += 1
            progress.failures += 1
            wait = trouble.backoff_s(progress.failures)
            progress.retry_at = time.monotonic() + wait
            self._trouble.say(error, wait)
        else:
            progress.failures = 0
        finally:
            with self._changed:
                self._busy = None
                self._changed.notify_all()

    def _adopt(self, topic: str) -> None:
        """Who owns partition 0 sees to the chains from before the topic was made anew: nobody else can."""
        for partition in self._log.partitions():
            if partition.topic == topic and partition.topic_id not in self._topic_ids:
                with self._changed:
                    self._partitions.setdefault(partition, Progress())

    def _advance(self, partition: LogPartition, progress: Progress) -> None:
        """Look through what is sealed behind the position, and remember how far that is."""
        if progress.position is None:
            self._log.store.clean(self._folder(partition))
            known = self._remembered(partition)
            progress.position = progress.remembered = _decode(known) if known else 0
        end = self._log.end(partition)
        with self._changed:
            progress.end = max(progress.end, end)
        gone = 0
        if progress.end > progress.position:
            for segment in self._log.segments(partition, progress.position):
                gone += segment.removed
                self._publish(segment, progress)
        if gone:
            _logger.warning(
                "%s, partition %d: retention removed %d segments that nobody had searched for dead letters",
                *(partition.topic, partition.partition, gone),
            )
        if progress.position > progress.remembered:
            self._remember(partition, progress)
        if partition.partition == 0 and partition.topic_id in self._topic_ids:
            self._adopt(partition.topic)
        progress.look_at = time.monotonic() + _LOOK_S

    def _publish(self, segment: Segment, progress: Progress) -> None:
        start = progress.position or 0
        letters = letters_of(segment, self._log.read(segment), start, self._log.uri)
        for some in _batches(letters):
            if self._ended or self._partitions.get(segment.partition) is not progress:
                raise OwnershipLost("the rest is for whoever owns the partition now")
            reached("letters_read")
            self._publisher.publish(some)
            reached("letters_published")
            self.published += len(some)
            progress.failures = 0
            progress.position = some[-1].offset + 1
            self._remember(segment.partition, progress)
        progress.position = segment.next_offset

    def _remember(self, partition: LogPartition, progress: Progress) -> None:
        """Write the position down, unless somebody else was further."""
        position, store, name = progress.position or 0, self._log.store, self._name(partition)
        while True:
            known = self._remembered(partition)
            if known is not None and _decode(known) >= position:
                break
            data = msgspec.json.encode({"next_offset": position})
            if store.create(name, data) if known is None else store.replace(name, known, data):
                break
        progress.remembered = position

    def _remembered(self, partition: LogPartition) -> bytes | None:
        try:
            return self._log.store.read(self._name(partition))
        except FileNotFoundError:
            return None

    def _folder(self, partition: LogPartition) -> str:
        return f"dead-letters/{self._topic}/{partition.topic}/{partition.topic_id}"

    def _name(self, partition: LogPartition) -> str:
        return f"{self._folder(partition)}/{partition.partition}.json"


class _Remembered(msgspec.Struct):
    next_offset: int


def _decode(data: bytes) -> int:
    return msgspec.json.decode(data, type=_Remembered).next_offset


def _batches(letters: Iterator[Letter]) -> Iterator[list[Letter]]:
    """So many letters, or so many bytes, at once."""
    some: list[Letter] = []
    size = 0
    for letter in letters:
        some.append(letter)
        size += len(letter.value or b"")
        if len(some) >= _BATCH_LETTERS or size >= _BATCH_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some
