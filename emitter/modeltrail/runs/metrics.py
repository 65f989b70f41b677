"""What a run measured: the last value of each metric, and the values over steps that are to be sent."""

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from modeltrail import event
from modeltrail.facets import metric_entry
from modeltrail.guard import guarded
from modeltrail.runs import process
from modeltrail.runs.series import CHUNK_POINTS, Series


class Metrics:
    """The metrics of a run; thread-safe."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str | None, str], dict[str, Any]] = {}
        self._series = Series()
        self._waiting: list[tuple[str, Any, dict[str, Any]]] = []
        self._lock = process.Lock()

    def keep(self, name: str, value: Any, step: int, at: float, **details: Any) -> bool:
        """Keep what was measured in a training, `at` so many seconds since 1970, to write it down later.

        Between two rounds nothing of ours is in the processor's caches, so `add` takes eight times as long.
        False where it is not, since a chunk is due: it is for `add` then.
        """
        if len(self._waiting) + len(self._series.points) >= CHUNK_POINTS - 1:
            return False
        self._waiting.append((name, value, {"step": step, "at": at, **details}))
        return True

    def _settle(self) -> None:
        """Write down what was kept."""
        waiting, self._waiting = self._waiting, []
        for name, value, details in waiting:
            with guarded("recording a metric"):
                entry = metric_entry(name, value, **{**details, "at": event.moment(details["at"])})
                self._last[_told_apart(name, details)] = entry
                self._series.add(entry)

    def add(self, name: str, value: Any, step: int | None = None, **details: Any) -> dict[str, Any] | None:
        """Write a metric down; one with a step also into the series. Returns a chunk of that when due.

        `details` are arguments of `metric_entry`.
        """
        entry = metric_entry(name, value, step=step, at=event.now(), **details)
        with self._lock:
            self._settle()
            self._last[_told_apart(name, details)] = entry
            return None if step is None else self._series.add(entry)

    def set_last(self, name: str, value: Any, **details: Any) -> None:
        """Write down the last value of a metric, with the arguments of `metric_entry`."""
        entry = metric_entry(name, value, **details)
        with self._lock:
            self._settle()
            self._last[_told_apart(name, details)] = entry

    def forget_seen(self, said: AbstractSet[float]) -> None:
        """Leave out scores that were seen once, and said by somebody as well, under a name of his own."""
        with self._lock:
            self._settle()
            twice = {
                key: entry["name"]
                for key, entry in self._last.items()
                if (entry.get("capture"), entry.get("step")) == ("observed", 0) and entry["value"] in said
            }
            self._last = {key: entry for key, entry in self._last.items() if key not in twice}
            self._series.forget(set(twice.values()))

    def summary(self) -> list[dict[str, Any]]:
        """The last values, as entries of `modelTrail_metrics`."""
        with self._lock:
            self._settle()
            return list(self._last.values())

    def pending(self) -> dict[str, Any] | None:
        """The chunk of the series that is not sent yet; None if there is nothing."""
        with self._lock:
            self._settle()
            return self._series.pending()

    def take(self) -> dict[str, Any] | None:
        """The same, which is thereby sent."""
        with self._lock:
            self._settle()
            return self._series.take()


def _told_apart(name: str, details: Mapping[str, Any]) -> tuple[str, str | None, str]:
    rest = [details.get("dataset"), details.get("slice_")]
    return (name, details.get("split"), json.dumps(rest, sort_keys=True, default=str) if any(rest) else "")
