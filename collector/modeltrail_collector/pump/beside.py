"""A collector in a thread, for a process that has other work: it reads what is sealed."""

import threading
from types import TracebackType
from typing import Final, Self

from modeltrail_collector.pump.run import Job, run
from modeltrail_collector.pump.stop import Stop

_LOOK_S: Final = 0.2


class Beside:
    """Collects within the block, in one thread; `job.workers` is 1."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._stop = Stop()
        self._failure: Exception | None = None
        self._thread = threading.Thread()

    def __enter__(self) -> Self:
        """Begin."""
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Seal what was read, and end."""
        if self._thread.is_alive():
            self._stop.ask("what the collector works for has ended")
        self._thread.join()

    def check(self) -> None:
        """Raise what ended the collector, until it works again: it begins anew by itself."""
        failure = self._failure
        if not self._thread.is_alive():
            self._begin()
        if failure is not None:
            raise failure

    def wait(self, stop: threading.Event) -> None:
        """Until it has reached the end (`job.until_end`), or somebody sets `stop`.

        Raises:
            CollectorError: What kept it from that.
        """
        while self._thread.is_alive() and not stop.is_set():
            self._thread.join(_LOOK_S)
        if self._failure is not None:
            raise self._failure

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)
        self._thread.start()

    def _works(self, _: object) -> None:
        self._failure = None

    def _run(self) -> None:
        try:
            run(self._job, self._stop, self._works)
        except Exception as error:
            self._failure = error
