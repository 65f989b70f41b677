"""Steps of preparation that were seen of what was fitted, each of the run as a whole or of one fit."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from modeltrail.observe import redact
from modeltrail.runs import process
from modeltrail.runs.fits import Apart, Fit


class Steps:
    """Entries of `modelTrail_featureTransformations`, without secrets; thread-safe."""

    def __init__(self) -> None:
        self._entries: list[tuple[Fit | None, Mapping[str, Any]]] = []
        self._lock = process.Lock()

    def add(self, steps: Sequence[Mapping[str, Any]], capture: str, fit: Fit | None = None) -> None:
        """Write entries down."""
        clean = [(fit, redact.mapping({"capture": capture, **step})[0]) for step in steps]
        with self._lock:
            self._entries += clean

    def take_over(self, other: "Steps") -> None:
        """Write down what another run did."""
        with self._lock:
            self._entries = [*other._entries]  # noqa: SLF001  one of ours

    def take_over_fit(self, other: "Steps", fits: Collection[Fit | None], mine: Fit | None) -> None:
        """Write down what another run did for these, which are `mine` here."""
        with self._lock:
            self._entries += [(of and mine, step) for of, step in other._entries if of is None or of in fits]  # noqa: SLF001

    def forget(self, fit: Fit) -> None:
        """Leave out what is of a fit that nothing is left of."""
        with self._lock:
            self._entries = [each for each in self._entries if each[0] is not fit]

    def told(self, apart: Apart) -> list[dict[str, Any]]:
        """The entries, where those of the fits that are told apart say so."""
        with self._lock:
            return [
                {**step, "modelId": fit.id} if fit is not None and fit in apart.fits else dict(step)
                for fit, step in self._entries
                if fit not in apart.silent
            ]
