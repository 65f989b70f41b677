"""Group commit: requests wait, one thread makes durable at once what all of them brought."""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from modeltrail_collector.errors import CollectorError, Unavailable
from modeltrail_collector.web.status import ServeStatus

_logger = logging.getLogger(__name__)

MAX_GROUP_BYTES: Final = 8 << 20
PAUSE_S: Final = 1.0
"""After a failure: who comes meanwhile is told at once, instead of waiting for the same end."""


Failure = str
"""Why one event, and no other one, cannot be kept: a repetition would not help."""


class Sink(Protocol):
    """Where events are durable."""

    def put(self, values: Sequence[bytes]) -> Sequence[Failure | None]:
        """Make events durable, as they came and in their order; None for each that is, else what is wrong.

        Raises:
            CollectorError: They are not durable, as far as is known: none of them is acknowledged.
        """

    def close(self) -> None:
        """Release everything."""


class _Waiting(NamedTuple):
    values: Sequence[bytes]
    future: "asyncio.Future[Sequence[Failure | None]]"


class Committer:
    """Hands events to a sink from a thread of its own, as many at once as have come meanwhile."""

    def __init__(self, sink: Sink, status: ServeStatus) -> None:
        self._sink = sink
        self._status = status
        self._coming: list[_Waiting] = []
        self._queue: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._away_until = 0.0
        self._error = Unavailable("nothing was tried yet")

    def start(self) -> None:
        """Begin, in the event loop that will ask."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def commit(self, values: Sequence[bytes]) -> Sequence[Failure | None]:
        """Wait until the events are durable; see `Sink.put`.

        Raises:
            Unavailable: They are not.
        """
        future: asyncio.Future[Sequence[Failure | None]] = asyncio.get_running_loop().create_future()
        if not self._coming:
            asyncio.get_running_loop().call_soon(self._hand_over)
        self._coming.append(_Waiting(values, future))
        return await future

    def _hand_over(self) -> None:
        """All that came in one turn of the loop at once: else the first would be committed alone."""
        coming, self._coming = self._coming, []
        self._queue.put(coming)

    def close(self) -> None:
        """Finish what waits, then close the sink."""
        self._queue.put(None)
        self._thread.join()
        self._sink.close()

    def _run(self) -> None:
        for group in self._groups():
            answers = self._put(group)
            assert self._loop is not None  # noqa: S101  set before the thread is started
            self._loop.call_soon_threadsafe(_tell, group, answers)

    def _groups(self) -> Iterator[list[_Waiting]]:
        """All that waits, cut where it becomes much; ends behind the mark of the end."""
        while (group := self._queue.get()) is not None:
            while _size(group) < MAX_GROUP_BYTES and not self._queue.empty():
                if (more := self._queue.get()) is None:
                    yield group
                    return
                group += more
            yield group

    def _put(self, group: list[_Waiting]) -> Sequence[Failure | None] | Unavailable:
        if time.monotonic() < self._away_until:
            return self._error
        began = time.monotonic()
        try:
            found = self._sink.put([value for waiting in group for value in waiting.values])
        except CollectorError as error:
            self._failed(error)
        except Exception as error:
            _logger.exception("a sink failed")
            self._failed(Unavailable(f"{type(error).__name__} while events were being kept"))
        else:
            self._status.commits += 1
            self._status.commit_seconds += time.monotonic() - began
            self._status.error = None
            return found
        return self._error

    def _failed(self, error: CollectorError) -> None:
        if self._status.error != str(error):
            _logger.error("%s; it is tried again with what comes next", error, extra={"event": "refused"})
        self._error, self._status.error = Unavailable(str(error)), str(error)
        self._status.commit_failures += 1
        self._status.failed_at = time.monotonic()
        self._away_until = time.monotonic() + PAUSE_S


def _size(group: list[_Waiting]) -> int:
    return sum(len(value) for waiting in group for value in waiting.values)


def _tell(group: list[_Waiting], answers: Sequence[Failure | None] | Unavailable) -> None:
    """In the event loop: one call for a whole group, as waking it costs more than all the rest."""
    at = 0
    for values, future in group:
        if future.done():  # whoever asked has gone
            pass
        elif isinstance(answers, Unavailable):
            # One of its own: each that is raised keeps alive what its frames hold.
            future.set_exception(Unavailable(str(answers)))
        else:
            future.set_result(answers[at : at + len(values)])
        at += len(values)
