"""What is known of the processes that work: written by their loop, read by whoever scrapes."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from prometheus_client.registry import Collector

from modeltrail_collector.alerts.status import AlertsStatus
from modeltrail_collector.pump import Status
from modeltrail_collector.relay.status import RelayStatus
from modeltrail_collector.telemetry.metrics import (
    ALERTS,
    COLLECTOR,
    SERVE,
    TABLES,
    Exposition,
    TablesState,
)
from modeltrail_collector.telemetry.relaying import RELAY
from modeltrail_collector.web.status import ServeStatus

SILENT_S: Final = 60.0
"""So long may a loop say nothing, or an upstream not answer, before the process is not healthy."""


class Board(Protocol):
    """What a server shows."""

    def metrics(self) -> Collector:
        """For Prometheus."""

    def health(self) -> tuple[list[str], dict[str, Any]]:
        """Why the process does not do its work, if it does not; and what there is to see."""


class CollectorBoard:
    """The workers of `modeltrail collect`."""

    def __init__(self, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._statuses: dict[int, Status] = {index: Status() for index in range(workers)}
        self._heard: dict[int, float] = dict.fromkeys(self._statuses, clock())

    def update(self, statuses: Mapping[int, Status]) -> None:
        """Take what the loop reports."""
        for index, status in statuses.items():
            if self._statuses[index] is not status:
                self._heard[index] = self._clock()
                self._statuses[index] = status

    def metrics(self) -> Collector:
        """See `Board`."""
        return Exposition(COLLECTOR, lambda: dict(self._statuses))

    def health(self) -> tuple[list[str], dict[str, Any]]:
        """See `Board`."""
        statuses = dict(self._statuses)
        problems = [
            f"worker {index}: {problem}"
            for index, status in statuses.items()
            if (problem := self._problem(status, self._clock() - self._heard[index]))
        ]
        shown = [
            {
                "worker": index,
                "alive": status.alive,
                "assigned_partitions": len(status.partitions),
                "waiting_records": status.waiting_records,
                "last_poll": _time(status.polled_at),
                "last_seal": _time(status.sealed_at),
                "failing_since": _time(status.failing_since),
                "error": status.error,
            }
            for index, status in statuses.items()
        ]
        return problems, {"workers": shown}

    @staticmethod
    def _problem(status: Status, silent_s: float) -> str | None:
        if not status.alive:
            return "its process has ended"
        if silent_s > SILENT_S:
            return f"its loop has not come round for {silent_s:.0f} s; the store may not answer"
        if status.failing_since is not None:
            failing_s = time.time() - status.failing_since
            if failing_s > SILENT_S or not status.assigned:
                return f"failing for {failing_s:.0f} s: {status.error}"
        if not status.assigned:
            return "no assignment of partitions yet"
        return None


class TablesBoard:
    """The loop of `modeltrail compact --watch`."""

    def __init__(
        self,
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        alerts: AlertsStatus | None = None,
    ) -> None:
        self.state = TablesState(alerts=alerts)
        self._patience_s = max(10 * interval_s, 600.0)
        self._clock = clock
        self._done = clock()

    def compacted(self, records: int, segments_behind: int, newest_ingested_at: float | None) -> None:
        """The tables were brought up to the end of the log."""
        self._done = self._clock()
        state = self.state
        self.state = TablesState(
            compactions=state.compactions + 1,
            failures=state.failures,
            records=state.records + records,
            compacted_at=time.time(),
            segments_behind=segments_behind,
            newest_ingested_at=newest_ingested_at,
            alerts=state.alerts,
        )

    def failed(self, error: str) -> None:
        """They could not be."""
        state = self.state
        state.failures += 1
        state.error = error
        state.failing_since = state.failing_since or time.time()

    def metrics(self) -> Collector:
        """See `Board`."""
        return Exposition((*TABLES, *ALERTS), lambda: self.state)

    def health(self) -> tuple[list[str], dict[str, Any]]:
        """See `Board`."""
        state, problems = self.state, []
        since_s = self._clock() - self._done
        if state.failing_since is not None and time.time() - state.failing_since > SILENT_S:
            problems.append(f"failing for {time.time() - state.failing_since:.0f} s: {state.error}")
        elif since_s > self._patience_s:
            problems.append(f"no compaction has ended for {since_s:.0f} s")
        shown = {
            "last_compaction": _time(state.compacted_at),
            "segments_behind": state.segments_behind,
            "newest_ingested": _time(state.newest_ingested_at),
            "failing_since": _time(state.failing_since),
            "error": state.error,
        }
        return problems, shown


class ServeBoard:
    """The server of `modeltrail serve`."""

    def __init__(self, status: ServeStatus) -> None:
        self._status = status

    def metrics(self) -> Collector:
        """See `Board`."""
        return Exposition(SERVE, lambda: self._status)

    def health(self) -> tuple[list[str], dict[str, Any]]:
        """See `Board`."""
        status = self._status
        problems = [f"events cannot be kept: {status.error}"] if status.is_failing else []
        return problems, {"commits": status.commits, "waiting_bytes": status.waiting_bytes}


class RelayBoard:
    """The loop of `modeltrail relay --watch`."""

    def __init__(self, status: RelayStatus) -> None:
        self._status = status
        self._away: tuple[float, str] | None = None

    def failed(self, error: str) -> None:
        """The store, or Kafka, is away; since when, the first failure says."""
        self._status.failures += 1
        self._away = (self._away[0] if self._away else time.time()), error

    def worked(self) -> None:
        """A turn ended as it should."""
        self._away = None

    def metrics(self) -> Collector:
        """See `Board`."""
        return Exposition(RELAY, lambda: self._status)

    def health(self) -> tuple[list[str], dict[str, Any]]:
        """See `Board`."""
        status = self._status
        since, error = self._away or (status.failing_since, status.error)
        failing_s = time.time() - since if since is not None else 0.0
        problems = [f"failing for {failing_s:.0f} s: {error}"] if failing_s > SILENT_S else []
        shown = {
            "behind": status.behind,
            "last_sent": _time(status.sent_at),
            "failing_since": _time(since),
            "error": error,
        }
        return problems, shown


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
