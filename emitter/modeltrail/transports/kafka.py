"""Events to Kafka, one at a time, each acknowledged before the program goes on.

The order of losses to avoid: the program (it waits at most `timeout` for one event, and once for a broker
that is down), then the event (what Kafka did not take is on disk in the spool, or the caller is told), then
the order: an event joins those of its process that wait in the spool. An event may be in the topic and in the
spool: a broker's answer can get lost after it has written. The collector tells such doubles by their bytes.
"""

import contextlib
import hashlib
import platform
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from modeltrail import guard
from modeltrail.errors import DeliveryError, EventTooLarge, LineageError
from modeltrail.transports import forks
from modeltrail.transports.breaker import Breaker
from modeltrail.transports.drain import Delivery
from modeltrail.transports.kafka_options import KafkaOptions

if TYPE_CHECKING:
    from modeltrail.transports.background import BackgroundSender

UNREACHABLE = "unreachable"
"""How a file of the spool begins that says why, and when, a process could not reach Kafka last."""


class KafkaSender:
    """Sends events to a topic through kafka-python.

    After a failure the next events go straight to the spool, or are refused, until the breaker lets one try.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self._set_up()
        forks.renew_in_children(self)

    def _set_up(self) -> None:
        self._delivery = self._opened()
        self._closed: list[Delivery] = []
        self._given = self._raised = self._in_flight = 0
        self._idle = threading.Condition()
        self._adopts = True

    def _opened(self) -> Delivery:
        return Delivery(self.options, lambda: Breaker(note=self._note() if self._spools else None))

    def _note(self) -> Path:
        """One for those that would fail alike: of this machine, with the same settings."""
        settings = sorted((name, str(value)) for name, value in self.options.producer.items())
        digest = hashlib.sha256(repr((platform.node(), settings)).encode("utf-8", "replace")).hexdigest()
        return self.options.spool / f"{UNREACHABLE}-{digest[:8]}"

    @property
    def undelivered(self) -> int:
        """How many events Kafka has not acknowledged: they wait, were put aside, or were raised about."""
        return sum(each.undelivered for each in (*self._closed, self._delivery)) + self._raised

    @property
    def delivered(self) -> int:
        """How many events Kafka has acknowledged."""
        return self._given - self.undelivered

    @property
    def complete(self) -> bool:
        """Whether Kafka has every event given to this sender so far."""
        return not self.undelivered and not self._in_flight

    def send(self, key: bytes | None, value: bytes) -> None:
        """Deliver one event, or keep it in the spool (`on_failure: spool`).

        Raises:
            DeliveryError: With `on_failure: raise`, Kafka did not take the event; else, neither did the disk.
            EventTooLarge: With `on_failure: raise`, the event is over the limit.
        """
        with self._idle:
            self._in_flight += 1
            delivery = self._delivery
        try:
            self._send(delivery, key, value, time.monotonic() + self.options.timeout)
        finally:
            with self._idle:
                self._in_flight -= 1
                self._given += 1
                self._idle.notify_all()
            if delivery in self._closed:  # closing did not wait so long
                delivery.close()

    def _send(self, delivery: Delivery, key: bytes | None, value: bytes, ends: float) -> None:
        if delivery.spool.waiting or (self._adopts and self._spools and delivery.drain.has_left()):
            delivery.spool.keep(value, "events before it wait")
            with contextlib.suppress(DeliveryError):
                delivery.drain.own(ends)
            return
        try:
            delivery.producer.settle(delivery.producer.begin(key, value, ends))
        except LineageError as error:
            if not self._spools:
                self._raised += 1
                raise
            if isinstance(error, EventTooLarge):
                delivery.drain.refuse(value, str(error))
            else:
                delivery.spool.keep(value, str(error))
        else:
            self._adopt(delivery)

    @property
    def _spools(self) -> bool:
        return self.options.on_failure == "spool"

    def _adopt(self, delivery: Delivery) -> None:
        """Kafka can be reached: in the background deliver what ended processes left, once."""
        if self._adopts and self._spools:
            self._adopts = False
            with guard.guarded("looking for what waits"):
                delivery.drain.start_abandoned(self.options.timeout)

    def flush(self, timeout: float) -> bool:
        """Wait until no thread is sending: then every event is in Kafka or in the spool.

        Args:
            timeout: Seconds; negative waits as long as it takes.
        """
        with self._idle:
            return self._idle.wait_for(lambda: self._in_flight == 0, timeout if timeout >= 0 else None)

    def settle(self, timeout: float) -> bool:  # noqa: ARG002  there is nothing to wait for
        """See `Sender`: each event is in Kafka or in the spool when `send` returns."""
        return True

    def wait(self, timeout: float) -> bool:
        """As `flush`; say whether Kafka has every event given to this sender."""
        return self.flush(timeout) and self.complete

    def close(self, timeout: float) -> bool:
        """Flush, then close the connections; say whether Kafka has every event given to this sender.

        What waits in the spool is tried once more. False when events lie there afterwards or a thread is
        still sending. A later send connects again.

        Raises:
            DeliveryError: The disk reports an error.
        """
        ends = time.monotonic() + (timeout if timeout >= 0 else self.options.timeout)
        quiet = self.flush(timeout)
        with self._idle:
            closing, self._delivery = self._delivery, self._opened()
            self._closed = [each for each in self._closed if each.undelivered] + [closing]
            self._adopts = True
        if closing.spool.waiting:
            with contextlib.suppress(DeliveryError):
                closing.drain.own(ends)
        closing.close()
        return quiet and self.complete

    def after_fork(self) -> None:
        """The child has none of the parent's threads; what waits of the parent stays the parent's."""
        self._set_up()


def sender(options: KafkaOptions) -> "KafkaSender | BackgroundSender":
    """The sender that `delivery` asks for."""
    if options.delivery == "async":
        from modeltrail.transports.background import BackgroundSender

        return BackgroundSender(options)
    return KafkaSender(options)
