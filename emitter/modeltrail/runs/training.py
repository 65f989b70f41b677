"""How the models of a run are trained: of the run as a whole, and fit by fit."""

from collections.abc import Mapping
from typing import Any, Final

from modeltrail.errors import ConfigError
from modeltrail.facets import ModelTrailTrainingRunFacet, wire_name
from modeltrail.observe.model import ModelView
from modeltrail.runs import process
from modeltrail.runs.fits import Apart, Fit
from modeltrail.runs.models import UNKNOWN

FIELDS: Final = tuple(
    name for name in ModelTrailTrainingRunFacet.__struct_fields__ if name not in {"capture", "models"}
)


class Training:
    """Fields of `modelTrail_training`; thread-safe."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}
        self._by_fit: dict[Fit | None, dict[str, Any]] = {}
        self._lock = process.Lock()

    def __bool__(self) -> bool:
        return bool(self._last)

    def add(self, values: Mapping[str, Any], capture: str, fit: Fit | None = None) -> None:
        """Write down how a model is trained; without a fit how any of the run is.

        Raises:
            ConfigError: a name that is no field.
        """
        given = {name: value for name, value in values.items() if value is not None}
        if wrong := sorted(given.keys() - set(FIELDS)):
            raise ConfigError(f"training has no {', '.join(wrong)}; it has {', '.join(FIELDS)}")
        with self._lock:
            # what was seen is not overruled by what is said later
            kept = self._last if self._last.get("capture") == "observed" != capture else {}
            self._last = {**self._last, **given, "capture": capture, **kept}
            self._by_fit[fit] = {**self._by_fit.get(fit, {}), **given}

    def take_over(self, other: "Training") -> None:
        """Write down what another run did."""
        with self._lock:
            self._last, self._by_fit = dict(other._last), dict(other._by_fit)  # noqa: SLF001  one of ours

    def take_over_fit(self, other: "Training", fit: Fit | None, mine: Fit | None) -> None:
        """Write down what another run did for one fit, which is `mine` here."""
        values = {**other._by_fit.get(None, {}), **other._by_fit.get(fit, {})}  # noqa: SLF001  one of ours
        if values:
            self.add(values, other._last["capture"], mine)  # noqa: SLF001

    def forget(self, fit: Fit) -> None:
        """Leave out what is of a fit that nothing is left of."""
        with self._lock:
            self._by_fit.pop(fit, None)

    def facet(self, view: ModelView, apart: Apart) -> ModelTrailTrainingRunFacet | None:
        """As observed or declared; what is missing is taken from the model that came of it.

        Of the fits that are told apart each is told on its own too.
        """
        with self._lock:
            found = {
                "framework": view.framework,
                "framework_version": view.framework_version,
                "algorithm": view.algorithm,
                "task": view.task,
                "capture": "inferred",
                **self._of_main(apart),
            }
            of_any = self._by_fit.get(None, {})
            models = [
                {"modelId": fit.id}
                | {wire_name(name): value for name, value in (of_any | self._by_fit[fit]).items()}
                for fit in sorted(apart.fits, key=lambda fit: fit.number)
                if fit in self._by_fit
            ]
        if not found["framework"]:
            return None
        for required in ("framework_version", "algorithm"):
            found[required] = found[required] or UNKNOWN
        return ModelTrailTrainingRunFacet(**found, models=models or None)

    def _of_main(self, apart: Apart) -> dict[str, Any]:
        """What is told of the run as a whole: of several models of one, not of each what it said last."""
        if not self._last or apart.main is None or apart.main not in apart.fits & self._by_fit.keys():
            return self._last
        of_any, own = self._by_fit.get(None, {}), self._by_fit[apart.main]
        return {**of_any, **own, "capture": self._last["capture"]}
