"""What a run measured: the last value of each metric, and the values over steps that are to be sent."""

import json
from collections.abc import Set as AbstractSet
from typing import Any

from modeltrail import event
from modeltrail.facets import metric_entry
from modeltrail.runs import process
from modeltrail.runs.series import Series


class Metrics:
    """The metrics of a run; thread-safe."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str | None, str], dict[str, Any]] = {}
        self._series = Series()
        self._lock = process.Lock()

    def add(self, name: str, value: Any, step: int | None = None, **details: Any) -> dict[str, Any] | None:
        """Write a metric down; one with a step also into the series. Returns a chunk of that when due.

        `details` are arguments of `metric_entry`.
        """
        at = event.now()
        self.set_last(name, value, step=step, at=at, **details)
        if step is None:
            return None
        with self._lock:
            return self._series.add(metric_entry(name, value, step=step, at=at, split=details.get("split")))

    def set_last(self, name: str, value: Any, **details: Any) -> None:
        """Write down the last value of a metric, with the arguments of `metric_entry`."""
        entry = metric_entry(name, value, **details)
        rest = [details.get("dataset"), details.get("slice_")]
        told_apart = json.dumps(rest, sort_keys=True, default=str) if any(rest) else ""
        with self._lock:
            self._last[name, details.get("split"), told_apart] = entry

    def forget_seen(self, said: AbstractSet[float]) -> None:
        """Leave out scores that were seen once, and said by somebody as well, under a name of his own."""
        with self._lock:
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
            return list(self._last.values())

    def pending(self) -> dict[str, Any] | None:
        """The chunk of the series that is not sent yet; None if there is nothing."""
        with self._lock:
            return self._series.pending()

    def take(self) -> dict[str, Any] | None:
        """The same, which is thereby sent."""
        with self._lock:
            return self._series.take()
