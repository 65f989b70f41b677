"""What a run measured: the last value of each metric, and the values over steps that are to be sent."""

import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Any, Final

from modeltrail import event
from modeltrail.facets import metric_entry
from modeltrail.guard import guarded
from modeltrail.runs import process
from modeltrail.runs.series import CHUNK_POINTS, Series

Measured = tuple[str, Any, dict[str, Any]]
"""The name of a metric, its value, and more arguments of `metric_entry`."""

Read = Callable[[Any], Iterable[Measured]]

MAX_OTHERS: Final = 50
"""Of so many models that nobody saved the last values are told: of a search by hand each has some."""

_NONE: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})

_Key = tuple[str, str | None, str | None, str]
"""The name, the split, the model, the data."""


class Metrics:
    """The metrics of a run; thread-safe."""

    def __init__(self) -> None:
        self._last: dict[_Key, dict[str, Any]] = {}
        self._series = Series()
        self._kept: list[tuple[float, int, Any, Read]] = []
        self._count = 0
        self._lock = process.Lock()

    def keep(self, at: float, step: int, scores: Sequence[Any], read: Read) -> bool:
        """Keep what a step scored, `at` so many seconds since 1970: `read` tells what each of `scores` means.

        Between two steps of a training nothing of ours is in the processor's caches, so that to write it down
        there takes eight times as long. False where it is not kept, since a chunk is due: it is for `add`.
        """
        self._count += len(scores)
        if self._count + len(self._series.points) >= CHUNK_POINTS:
            return False
        self._kept.append((at, step, scores, read))
        return True

    def _settle(self) -> None:
        """Write down what was kept."""
        kept, self._kept, self._count = self._kept, [], 0
        for at, step, scores, read in kept:
            with guarded("recording what a step scored"):
                moment = event.moment(at)
                for name, value, details in read(scores):
                    with guarded("recording a metric"):
                        entry = metric_entry(name, value, step=step, at=moment, **details)
                        self._last[_told_apart(name, details)] = entry
                        self._series.keep(entry)

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

    def forget_seen(self, said: Container[object]) -> None:
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

    def models(self) -> set[str]:
        """Of which models anything was measured, by their `modelId`."""
        with self._lock:
            self._settle()
            return _models(self._last.values()).keys() | self._series.models

    def summary(
        self, saved: AbstractSet[str] = frozenset(), alike: Mapping[str, Sequence[str]] = _NONE
    ) -> list[dict[str, Any]]:
        """The last values, as entries of `modelTrail_metrics`; of models that nobody saved of the newest.

        What stands for all folds of a cross-validation is told of the models that are `alike` to it.
        """
        with self._lock:
            self._settle()
            others = [each for each in _models(self._last.values()) if each not in saved | alike.keys()]
            left_out = set(others[:-MAX_OTHERS])
            told = [entry for entry in self._last.values() if entry.get("modelId") not in left_out]
        found = []
        for entry in told:
            models = [] if "step" in entry else alike.get(entry.get("modelId", ""), ())
            found += [{**entry, "modelId": each} for each in models] or [entry]
        return found

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


def _models(entries: Iterable[Mapping[str, Any]]) -> dict[str, None]:
    """Their models, in order."""
    return dict.fromkeys(entry["modelId"] for entry in entries if "modelId" in entry)


def _told_apart(name: str, details: Mapping[str, Any]) -> _Key:
    rest = [details.get("dataset"), details.get("slice_")]
    data = json.dumps(rest, sort_keys=True, default=str) if any(rest) else ""
    return (name, details.get("split"), details.get("model_id"), data)
