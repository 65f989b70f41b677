"""Metric values over steps: kept back and sent in chunks, since an event in a training loop is costly."""

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, Final

from modeltrail.facets import ModelTrailMetricSeriesRunFacet

CHUNK_POINTS: Final = ModelTrailMetricSeriesRunFacet.MAX_POINTS
CHUNK_SECONDS: Final = 10.0
"""A chunk that is not full leaves with the first value after this time, or with the end of the run."""
_POINT: Final = ("name", "value", "nonFinite", "step", "at", "split", "modelId")


class Series:
    """The values that are not yet sent; not thread-safe by itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.seq = 0
        self.points: list[dict[str, Any]] = []
        self.models: set[str] = set()  # of what was sent
        self._clock = clock
        self._since = 0.0

    def add(self, point: dict[str, Any]) -> dict[str, Any] | None:
        """Keep the entry of a metric back; the facet of all that were, when it is time to send it."""
        self.keep(point)
        due = len(self.points) >= CHUNK_POINTS or self._clock() - self._since >= CHUNK_SECONDS
        return self.take() if due else None

    def keep(self, point: dict[str, Any]) -> None:
        """Keep the entry of a metric back, whether it is time to send it or not."""
        if not self.points:
            self._since = self._clock()
        self.points.append(point)

    def forget(self, names: AbstractSet[str]) -> None:
        """Leave out what is not sent yet of these metrics."""
        self.points = [point for point in self.points if point["name"] not in names]

    def pending(self) -> dict[str, Any] | None:
        """The facet of what is kept back; None if there is nothing."""
        if not self.points:
            return None
        steps = [point["step"] for point in self.points]
        return ModelTrailMetricSeriesRunFacet(
            seq=self.seq, points=[_point(each) for each in self.points], from_=min(steps), to=max(steps)
        ).to_dict()

    def take(self) -> dict[str, Any] | None:
        """The facet of what was kept back, which is thereby sent; None if there is nothing."""
        facet = self.pending()
        if facet is not None:
            self.seq += 1
            self.models |= {point["modelId"] for point in self.points if "modelId" in point}
            self.points.clear()
        return facet


def _point(entry: dict[str, Any]) -> dict[str, Any]:
    """What a series tells of a value; the rest stands in the summary."""
    return {key: entry[key] for key in _POINT if key in entry}
