"""The parameters of a run, each of the run as a whole or of one fit."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from modeltrail import standard
from modeltrail.facets import Capture, ModelTrailHyperparametersRunFacet, param_entries
from modeltrail.observe import redact
from modeltrail.runs import process
from modeltrail.runs.fits import Apart, Fit

_Key = tuple[Fit | None, str | None, str]
"""The fit, the component, the name."""


class Params:
    """Parameters without secrets, and how they came to be known; thread-safe."""

    def __init__(self, capture: Capture = "observed") -> None:
        self._capture = capture
        self._entries: dict[_Key, dict[str, Any]] = {}
        self._redacted: set[str] = set()
        self._lock = process.Lock()

    def add(
        self,
        values: Mapping[str, Any],
        origin: str | None = None,
        component: str | None = None,
        fit: Fit | None = None,
    ) -> None:
        """Write parameters down; a later value of one replaces the earlier."""
        clean, hidden = redact.mapping({str(name): value for name, value in values.items()})
        entries = param_entries(clean, origin=origin, component=component)
        with self._lock:
            self._redacted.update(hidden)
            self._entries.update({(fit, component, entry["name"]): entry for entry in entries})

    def take_over(self, other: "Params") -> None:
        """Write down what another run did."""
        with self._lock:
            self._entries.update(other._entries)  # noqa: SLF001  one of ours
            self._redacted |= other._redacted  # noqa: SLF001

    def take_over_fit(self, other: "Params", fits: Collection[Fit | None], mine: Fit | None) -> None:
        """Write down what another run did for these, `mine` here, but for what is known already."""
        with self._lock:
            known = {name for _, component, name in self._entries if component is None}
            self._capture = self._capture if known else other._capture  # noqa: SLF001  one of ours
            for (of, component, name), entry in list(other._entries.items()):  # noqa: SLF001
                if (of is None or of in fits) and (component is not None or name not in known):
                    self._entries[of and mine, component, name] = entry
            self._redacted |= other._redacted  # noqa: SLF001

    def forget(self, fit: Fit) -> None:
        """Leave out what is of a fit that nothing is left of."""
        with self._lock:
            self._entries = {key: entry for key, entry in self._entries.items() if key[0] is not fit}

    def facet(self, apart: Apart) -> ModelTrailHyperparametersRunFacet | None:
        """The facet, where those of the fits that are told apart say so; None without parameters."""
        found = self._told(apart)
        redacted = sorted(self._redacted)
        if not found:
            return None
        return ModelTrailHyperparametersRunFacet(
            params=found, redacted=redacted or None, capture=self._capture
        )

    def execution(self, apart: Apart) -> dict[str, Any] | None:
        """The standard facet that says them as text, of one model under plain names; None without any."""
        found = self._told(Apart(silent=apart.silent, main=apart.main))
        if not found:
            return None
        return standard.execution_parameters(
            {
                ".".join(filter(None, (each.get("component"), each["name"]))): _text(each["value"])
                for each in found
            }
        )

    def _told(self, apart: Apart) -> list[dict[str, Any]]:
        with self._lock:
            entries = list(self._entries.items())
        told = {
            (fit if fit is None or not fit.is_step or fit in apart.fits else None, *rest): (fit, entry)
            for (fit, *rest), entry in entries
            if fit not in apart.silent
        }
        return [_marked(fit, entry, apart) for fit, entry in told.values()]


def _marked(fit: Fit | None, entry: dict[str, Any], apart: Apart) -> dict[str, Any]:
    """An entry that cannot be taken for one of another fit.

    Where fits are not told apart, those of all but one, the second say, are of the component `{kind}-2`.
    """
    if fit is None or (fit not in apart.fits and (fit.is_step or fit is apart.main)):
        return entry
    if fit in apart.fits:
        return {**entry, "modelId": fit.id}
    return entry if fit.number == 1 and apart.main is None else {**entry, "component": fit.label}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
