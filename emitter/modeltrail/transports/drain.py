"""From the spool to Kafka: in order, some hundred events on their way at a time."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from modeltrail import guard, wire
from modeltrail.errors import DeliveryError, DeliveryTimeout, EncodingError, EventTooLarge
from modeltrail.transports import forks
from modeltrail.transports.breaker import Breaker
from modeltrail.transports.kafka_options import KafkaOptions
from modeltrail.transports.lines import LineFile, own_files
from modeltrail.transports.producer import OnItsWay, Producer
from modeltrail.transports.spool import REFUSED, Line, Outgoing, Spool, collect_command, left_in

CLOSE_S = 2.0


class Drain:
    """Delivers what waits in a spool. One thread of a process drains, the others wait for it.

    Attributes:
        refused: How many events of this process Kafka will never take; they lie beside the spool.
    """

    def __init__(self, producer: Producer, spool: Spool, pause: float = 0.0) -> None:
        self.refused = 0
        self._producer = producer
        self._spool = spool
        self._pause = pause
        self._refused = LineFile(spool.directory / REFUSED)
        self._closing = threading.Event()
        self._set_up()
        forks.renew_in_children(self)

    def _set_up(self) -> None:
        self._lock = threading.Lock()
        self._alone = False
        self._margin = 0.0
        self._helper: threading.Thread | None = None

    def own(self, ends: float) -> None:
        """Deliver what waits of this process: first what was left when it closed a sender before.

        Args:
            ends: When to stop, in seconds of `time.monotonic`.

        Raises:
            DeliveryError: Kafka did not take all of it; the rest waits on.
        """
        if not self._spool.waiting and not self.has_left():
            return
        with self._one_at_a_time(ends):
            self._connect(ends)
            self._all_of(self._spool.abandoned(own_files()), ends)
            while not self._is_over(ends) and (file := self._spool.own()) and (lines := file.lines()):
                self._deliver(lines, ends, partial(self._spool.sent, file))

    def has_left(self) -> bool:
        """Whether this process left something when it closed a sender before."""
        return next(self._spool.abandoned(own_files()), None) is not None

    def abandoned(self, ends: float, tell: Callable[[int], None] = lambda _: None) -> int:
        """Deliver what ended processes left; how many events were. `tell` is told of some at a time.

        Raises:
            DeliveryError: Kafka did not take all of it; the rest waits on.
        """
        if next(self._spool.abandoned(), None) is None:
            return 0
        with self._one_at_a_time(ends):
            self._connect(ends)
            return self._all_of(self._spool.abandoned(), ends, tell)

    def _connect(self, ends: float) -> None:
        """Before any file is taken up: while the broker is away nobody keeps it from others."""
        self._producer.connect(min(ends, time.monotonic() + self._producer.options.timeout))

    def _all_of(
        self, files: Iterator[Outgoing], ends: float, tell: Callable[[int], None] = lambda _: None
    ) -> int:
        done = 0
        for file in files:
            try:
                done += self._all_of_one(file, ends, tell)
            except OSError as error:  # it stays; what lies behind it is not held up
                guard.note(f"reading {file.path}", error)
        return done

    def _all_of_one(self, file: Outgoing, ends: float, tell: Callable[[int], None]) -> int:
        done = 0
        while not self._is_over(ends) and (lines := file.lines()):
            count = self._deliver(lines, ends, file.advance)
            tell(count)
            done += count
        if not file.lines():
            if rest := file.rest():
                self.refuse(rest, "its writer was killed at it")
            file.remove()
        return done

    def refuse(self, value: bytes, why: str) -> None:
        """Put an event aside that Kafka will never take.

        Raises:
            DeliveryError: The disk did not take it.
        """
        self._refused.append(value)
        self._refused.sync()
        self.refused += 1
        guard.warn_once(
            "refused",
            "an event cannot be delivered and is kept in %s: %s. To take it into the log: %s",
            self._refused.directory,
            why,
            collect_command(self._refused.directory),
        )

    def start_abandoned(self, timeout: float) -> None:
        """Deliver in the background what ended processes left, if there is anything."""
        if self._helper is None and next(self._spool.abandoned(), None):
            self._helper = threading.Thread(
                target=self._all_abandoned, args=(timeout,), name="modeltrail-spool", daemon=True
            )
            with contextlib.suppress(RuntimeError):  # the interpreter is ending
                self._helper.start()

    def _all_abandoned(self, timeout: float) -> None:
        with guard.guarded("delivering what waits"), contextlib.suppress(DeliveryError):
            while not self._closing.is_set() and self.abandoned(time.monotonic() + timeout):
                pass

    def close(self) -> None:
        """Close what was opened, and stop, for good: what is on its way may be delivered once more."""
        self._closing.set()
        if self._helper is not None and self._helper.is_alive():
            self._helper.join(CLOSE_S)
        self._refused.close()

    def after_fork(self) -> None:
        """The parent's threads are not here."""
        self.refused = 0
        self._set_up()

    def _is_over(self, ends: float) -> bool:
        """What has little time left is not begun: the broker would seem to be down."""
        return self._closing.is_set() or time.monotonic() >= ends - self._margin

    def _deliver(self, lines: list[Line], ends: float, note: Callable[[list[Line]], None]) -> int:
        """Deliver these lines in their order; `note` is told of those before the first that failed."""
        ends = min(ends, time.monotonic() + self._producer.options.timeout)
        begun, failure = self._begin_all(lines[:1] if self._alone else lines, ends)
        self._alone = False
        sent: list[Line] = []
        for line, event in begun:
            try:
                self._settle(line, event)
            except DeliveryError as error:
                failure = error
                break
            except EventTooLarge as error:
                if len(begun) > 1:  # it, or one that left together with it: they are tried one by one
                    self._alone = True
                    break
                self.refuse(line.value, str(error))
            sent.append(line)
        if sent:
            note(sent)
        if failure:
            raise failure
        return len(sent)

    def _begin_all(
        self, lines: list[Line], ends: float
    ) -> tuple[list[tuple[Line, OnItsWay | str]], DeliveryError | None]:
        """The first of these lines on their way, and why the next one is not."""
        begun: list[tuple[Line, OnItsWay | str]] = []
        for line in lines:
            try:
                begun.append((line, self._begin(line, ends)))
            except DeliveryError as error:
                return begun, error
            if self._pause:
                time.sleep(self._pause)
        return begun, None

    def _begin(self, line: Line, ends: float) -> OnItsWay | str:
        """The event on its way, or the reason for which it can never be."""
        try:
            return self._producer.begin(_key(line.value), line.value, ends)
        except msgspec.DecodeError as error:
            return f"it is no JSON: {error}"
        except EventTooLarge as error:
            return str(error)

    def _settle(self, line: Line, event: OnItsWay | str) -> None:
        if isinstance(event, str):
            self.refuse(line.value, event)
        else:
            self._producer.settle(event)

    @contextlib.contextmanager
    def _one_at_a_time(self, ends: float) -> Iterator[None]:
        if not self._lock.acquire(timeout=max(ends - time.monotonic(), 0.0)):
            raise DeliveryTimeout("what waits in the spool is still being delivered")
        self._margin = min(self._producer.options.timeout, ends - time.monotonic()) / 4
        try:
            yield
        finally:
            self._lock.release()


def _key(value: bytes) -> bytes | None:
    event = msgspec.json.decode(value)
    try:
        return wire.key(event)
    except EncodingError:
        return None


class Delivery:
    """A spool, a producer and what goes from one to the other, from one opening to its closing."""

    def __init__(
        self, options: KafkaOptions, breaker: Callable[[], Breaker] = Breaker, pause: float = 0.0
    ) -> None:
        self.producer = Producer(options, breaker)
        self.spool = Spool(options.spool, options.spool_max_bytes)
        self.drain = Drain(self.producer, self.spool, pause)
        self._left: list[Path] = []

    @property
    def undelivered(self) -> int:
        """How many events Kafka has not acknowledged: they wait, here or for others, or were put aside."""
        waiting = left_in(self._left) if self._left else self.spool.waiting
        return waiting + self.drain.refused

    def close(self) -> None:
        """Stop, for good, and leave what waits for others to take up.

        Raises:
            DeliveryError: The disk reports an error; all is closed all the same.
        """
        self.drain.close()
        self.producer.close()
        self._left = self.spool.files() if self.spool.waiting else []
        self.spool.close()
