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
from modeltrail.errors import DeliveryError, EventTooLarge
from modeltrail.transports import forks
from modeltrail.transports.breaker import Breaker
from modeltrail.transports.drain import Drain
from modeltrail.transports.kafka_options import KafkaOptions
from modeltrail.transports.producer import Producer
from modeltrail.transports.spool import Spool

LINGER_S = 0.2
"""Events that come so soon after another go with it."""

PAUSE_S = 0.0002
"""Between two events the thread lets the program go on: else each of its writes waits for the thread."""

RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
ADOPT_S = 60.0
"""How often the files of processes that have ended are looked for."""


class BackgroundSender:
    """Keeps events in the spool and delivers them in the background."""

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self._producer = Producer(options, breaker=lambda: Breaker(RETRY_S, LONGEST_RETRY_S))
        self._spool = Spool(options.spool, options.spool_max_bytes)
        self._drain = Drain(self._producer, self._spool, PAUSE_S)
        self._set_up()
        forks.renew_in_children(self)

    def _set_up(self) -> None:
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._news = threading.Event()
        self._turned = threading.Condition()
        self._failed = False

    @property
    def undelivered(self) -> int:
        """How many events of this process Kafka has not acknowledged: they wait, or are put aside."""
        return self._spool.waiting + self._spool.left + self._drain.refused

    @property
    def complete(self) -> bool:
        """Whether Kafka has every event given to this sender so far."""
        return not self.undelivered

    def send(self, key: bytes | None, value: bytes) -> None:
        """Keep one event in the spool; where the disk does not take it, deliver it now.

        Raises:
            DeliveryError: The spool is full, or neither the disk nor Kafka took the event.
            EventTooLarge: With `on_failure: raise`, the event is over the limit.
        """
        if len(value) > self.options.max_event_bytes:
            self._put_aside(value)
            return
        try:
            self._spool.append(value)
            if not self.options.fsync_interval:
                self._spool.sync()
        except DeliveryError:
            if self.options.on_failure == "raise":
                raise
            self._deliver(key, value)
            return
        if not self._threads:
            self._start()
        self._news.set()

    def _put_aside(self, value: bytes) -> None:
        why = f"the event has {len(value)} bytes; max_event_bytes is {self.options.max_event_bytes}"
        if self.options.on_failure == "raise":
            raise EventTooLarge(why)
        self._drain.refuse(value, why)

    def _deliver(self, key: bytes | None, value: bytes) -> None:
        """Deliver an event that the disk did not take, behind those that wait."""
        ends = time.monotonic() + self.options.timeout
        self._drain.own(ends)
        self._producer.settle(self._producer.begin(key, value, ends))

    def flush(self, timeout: float) -> bool:  # noqa: ARG002  a sync cannot be given a time
        """Sync what waits to disk.

        Raises:
            DeliveryError: The disk reports an error.
        """
        self._spool.sync()
        return True

    def settle(self, timeout: float) -> bool:  # noqa: ARG002  nothing is waited for
        """See `Sender`: the thread syncs what waits within `fsync_interval`."""
        return True

    def wait(self, timeout: float) -> bool:
        """Wait until Kafka has every event; say whether it has.

        Args:
            timeout: Seconds; negative waits as long as it takes.
        """
        with self._turned:
            self._turned.wait_for(lambda: not self._spool.waiting, timeout if timeout >= 0 else None)
        return self.complete

    def close(self, timeout: float) -> bool:
        """Deliver what waits, for `timeout` seconds at most, and end; say whether Kafka has every event.

        A broker that is away is not waited for: what waits is on disk, and the next process delivers it. A
        later send starts again.
        """
        ends = time.monotonic() + timeout if timeout >= 0 else float("inf")
        with self._lock:
            threads, self._threads = self._threads, []
        self._closing.set()
        self._news.set()
        for thread in threads:
            thread.join(max(ends - time.monotonic(), 0.0) if timeout >= 0 else None)
        self._drain.close()
        if not any(thread.is_alive() for thread in threads):  # else it is connecting, and ends by itself
            self._producer.close()
        self._spool.close()
        self._set_up()
        return self.complete

    def after_fork(self) -> None:
        """The child has no thread yet; what waits of the parent stays the parent's."""
        self._set_up()

    def _start(self) -> None:
        works = [self._deliver_all, self._sync_all] if self.options.fsync_interval else [self._deliver_all]
        with self._lock:
            if self._threads:
                return
            for work in works:
                thread = threading.Thread(
                    target=work, args=(self._closing,), name="modeltrail-spool", daemon=True
                )
                with contextlib.suppress(
                    RuntimeError
                ):  # the interpreter is ending: the next process delivers
                    thread.start()
                    self._threads.append(thread)

    def _deliver_all(self, closing: threading.Event) -> None:
        """Deliver what comes, until closing; then what waits, unless Kafka cannot be reached."""
        adopt_at = 0.0
        while not closing.is_set() or (self._spool.waiting and not self._failed):
            self._news.wait(RETRY_S if self._spool.waiting else ADOPT_S)
            self._news.clear()
            if not closing.is_set():
                time.sleep(LINGER_S)
            try:
                self._drain.own(time.monotonic() + ADOPT_S)
                if time.monotonic() >= adopt_at and not closing.is_set():
                    self._drain.abandoned(time.monotonic() + self.options.timeout)
                    adopt_at = time.monotonic() + ADOPT_S
                self._failed = False
            except DeliveryError as error:
                self._failed = True
                guard.warn_once("background", "events wait in %s: %s", self._spool.directory, error)
            except Exception as error:  # the thread goes on, or what comes would wait for the next process
                self._failed = True
                guard.note("delivering in the background", error)
            with self._turned:
                self._turned.notify_all()
        with self._turned:
            self._turned.notify_all()

    def _sync_all(self, closing: threading.Event) -> None:
        while not closing.wait(self.options.fsync_interval):
            with contextlib.suppress(DeliveryError):  # `flush` and `close` say so
                self._spool.sync()
