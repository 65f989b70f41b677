"""Events to the disk, and from there to Kafka in the background: `delivery: async`.

`send` costs one write to a file of the spool. A thread delivers what waits there, in order, and removes what
Kafka has acknowledged. What is in the file survives the death of the process; a power cut may take what was
written in the last `fsync_interval` seconds and is not in Kafka yet (0: nothing, every event is synced before
`send` returns).
"""

import contextlib
import threading
import time

from modeltrail import guard
from modeltrail.errors import DeliveryError, EventTooLarge, LineageError
from modeltrail.transports import forks
from modeltrail.transports.breaker import Breaker
from modeltrail.transports.drain import Delivery
from modeltrail.transports.kafka_options import KafkaOptions

LINGER_S = 0.2
"""Events that come so soon after another go with it."""

PAUSE_S = 0.0002
"""Between two events the thread lets the program go on: else each of its writes waits for the thread."""

RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
CONNECT_S = 2.0
"""So long closing waits for a broker that was not reached before."""

ADOPT_S = 60.0
"""How often the files of processes that have ended are looked for."""


class BackgroundSender:
    """Keeps events in the spool and delivers them in the background."""

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self._set_up()
        forks.renew_in_children(self)

    def _set_up(self) -> None:
        self._gate = threading.Lock()
        self._turned = threading.Condition()
        self._working: _Worker | None = None
        self._last: _Worker | None = None
        self._closed: list[_Worker] = []

    @property
    def undelivered(self) -> int:
        """How many events of this process Kafka has not acknowledged: they wait, or were put aside."""
        workers = [*self._closed, *([self._working] if self._working else [])]
        return sum(each.delivery.undelivered for each in workers)

    @property
    def complete(self) -> bool:
        """Whether Kafka has every event given to this sender."""
        return not self.undelivered

    def send(self, key: bytes | None, value: bytes) -> None:
        """Keep one event in the spool; where the disk does not take it, deliver it now.

        Raises:
            DeliveryError: The spool is full, or neither the disk nor Kafka took the event; with
                `fsync_interval: 0` also: the disk cannot say that it has it.
            EventTooLarge: With `on_failure: raise`, the event is over the limit.
        """
        with self._gate:  # closing comes before or after it
            if self._working is None:
                self._working = _Worker(self.options, self._turned, self._last)
            worker, failure = self._working, self._keep(self._working, value)
        if failure is not None:
            if self.options.on_failure == "raise":
                raise failure
            worker.deliver(key, value)
        elif not self.options.fsync_interval:
            worker.delivery.spool.sync()

    def _keep(self, worker: "_Worker", value: bytes) -> LineageError | None:
        """Why the disk does not have the event now."""
        if len(value) > self.options.max_event_bytes:
            why = f"the event has {len(value)} bytes; max_event_bytes is {self.options.max_event_bytes}"
            if self.options.on_failure == "raise":
                return EventTooLarge(why)
            worker.delivery.drain.refuse(value, why)
            return None
        try:
            worker.delivery.spool.append(value)
        except DeliveryError as error:
            return error
        worker.notice()
        return None

    def flush(self, timeout: float) -> bool:  # noqa: ARG002  a sync cannot be given a time
        """Sync what waits to disk.

        Raises:
            DeliveryError: The disk reports an error.
        """
        worker = self._working
        if worker is not None:
            worker.delivery.spool.sync()
        return True

    def settle(self, timeout: float) -> bool:  # noqa: ARG002  nothing is waited for
        """See `Sender`: a thread syncs what waits within `fsync_interval`."""
        return True

    def wait(self, timeout: float) -> bool:
        """Wait until Kafka has every event, or this is closed; say whether it has.

        Args:
            timeout: Seconds; negative waits as long as it takes.
        """
        with self._turned:
            self._turned.wait_for(
                lambda: self._working is None or not self._working.delivery.spool.waiting,
                timeout if timeout >= 0 else None,
            )
        return self.complete

    def close(self, timeout: float) -> bool:
        """Deliver what waits, for `timeout` seconds at most, and end; say whether Kafka has every event.

        A broker that is away is waited for two seconds at most: what waits is on disk, and the next process
        delivers it. A later send starts again.

        Raises:
            DeliveryError: The disk reports an error.
        """
        with self._gate:
            closing, self._working = self._working, None
            if closing is not None:
                self._last = closing
                self._closed = [each for each in self._closed if each.delivery.undelivered] + [closing]
        try:
            if closing is not None:
                closing.close(timeout)
        finally:
            with self._turned:
                self._turned.notify_all()
        if waiting := self.undelivered:
            guard.warn_once(
                "background",
                "%d events are not delivered yet, see `modeltrail spool status`; they lie in %s",
                waiting,
                self.options.spool,
            )
        return not waiting

    def after_fork(self) -> None:
        """The child has no thread yet; what waits of the parent stays the parent's."""
        self._set_up()


class _Worker:
    """What delivers, from one opening to its closing: it works on its own, whatever is opened after it."""

    def __init__(self, options: KafkaOptions, turned: threading.Condition, before: "_Worker | None") -> None:
        self.delivery = Delivery(options, lambda: Breaker(RETRY_S, LONGEST_RETRY_S), PAUSE_S)
        self.failed = False
        self._options = options
        self._turned = turned
        self._before = before
        self._news = threading.Event()
        self._closing = threading.Event()
        self.threads: list[threading.Thread] = []

    def notice(self) -> None:
        """There is something to deliver."""
        if not self.threads:
            for work in (
                [self._deliver_all, self._sync_all] if self._options.fsync_interval else [self._deliver_all]
            ):
                thread = threading.Thread(target=work, name="modeltrail-spool", daemon=True)
                with contextlib.suppress(
                    RuntimeError
                ):  # the interpreter is ending: the next process delivers
                    thread.start()
                    self.threads.append(thread)
        self._news.set()

    def deliver(self, key: bytes | None, value: bytes) -> None:
        """Deliver an event that the disk did not take, behind those that wait.

        Raises:
            DeliveryError: Kafka did not take it, or not all of those.
        """
        ends = time.monotonic() + self._options.timeout
        self.delivery.drain.own(ends)
        if self.delivery.spool.waiting:
            raise DeliveryError("the disk did not take an event, and those before it still wait")
        self.delivery.producer.settle(self.delivery.producer.begin(key, value, ends))

    def close(self, timeout: float) -> None:
        """Deliver what waits, for so long at most, and end."""
        ends = time.monotonic() + (timeout if timeout >= 0 else threading.TIMEOUT_MAX / 2)
        reached = min(ends, time.monotonic() + CONNECT_S)
        self._closing.set()
        self._news.set()
        for thread in self.threads:
            thread.join(max(reached - time.monotonic(), 0.0))
            if self.delivery.producer.is_connected:
                thread.join(max(ends - time.monotonic(), 0.0))
        if self.threads and self.threads[0].is_alive():
            self.delivery.producer.abort()
            self.threads[0].join(CONNECT_S)
        if not self.threads or not self.threads[0].is_alive():
            self.delivery.close()

    def _deliver_all(self) -> None:
        """Deliver what comes, until closing; then what waits, unless Kafka cannot be reached."""
        if self._before is not None:  # what came before goes before
            for thread in self._before.threads:
                thread.join()
            self._before = None
        adopt_at = 0.0
        waits = self.delivery.spool
        while not self._closing.is_set() or (waits.waiting and not self.failed):
            self._news.wait(RETRY_S if waits.waiting else ADOPT_S)
            self._news.clear()
            if not self._closing.is_set():
                time.sleep(LINGER_S)
            adopts = time.monotonic() >= adopt_at and not self._closing.is_set()
            self._turn(adopts=adopts)
            adopt_at = time.monotonic() + ADOPT_S if adopts and not self.failed else adopt_at
        if self._closing.is_set():
            with contextlib.suppress(DeliveryError):  # `close` says so, where it waited for this
                self.delivery.close()

    def _turn(self, *, adopts: bool) -> None:
        try:
            self.delivery.drain.own(time.monotonic() + ADOPT_S)
            if adopts:
                self.delivery.drain.abandoned(time.monotonic() + self._options.timeout)
            self.failed = False
        except DeliveryError as error:
            self.failed = True
            guard.warn_once("background", "events wait in %s: %s", self._options.spool, error)
        except Exception as error:  # the thread goes on, or what comes would wait for the next process
            self.failed = True
            guard.note("delivering in the background", error)
        with self._turned:
            self._turned.notify_all()

    def _sync_all(self) -> None:
        while not self._closing.wait(self._options.fsync_interval):
            with contextlib.suppress(DeliveryError):  # `flush` and `close` say so
                self.delivery.spool.sync()
