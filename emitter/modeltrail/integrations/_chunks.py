"""`partial_fit`: what a model learns from chunk by chunk is told as one series of data, when its run ends.

A chunk may be some rows out of millions, so that what is looked at is bounded; the others are only counted.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from modeltrail import api
from modeltrail.integrations import _estimators, _saving, _scores
from modeltrail.integrations import _sklearn_facts as facts
from modeltrail.integrations._call import Call, Finish
from modeltrail.integrations._sources import Source, record, see
from modeltrail.observe import data, loads, origins
from modeltrail.observe.data import DataView
from modeltrail.observe.model import ModelView
from modeltrail.observe.weakly import Weakly, weak
from modeltrail.runs import Run
from modeltrail.runs.fits import Fit

MAX_CHUNKS: Final = 100
"""Of so many chunks the content is looked at: each takes some 0.5 ms."""


class _Series(msgspec.Struct, eq=False, weakref=True):
    """The chunks that a model learned from, in one run and without being saved in between.

    Attributes:
        run: the run.
        fit: what the model is to it.
        views: what was seen of the first chunks.
        use: how these are used: arguments of `run.input`.
        rows: of all chunks.
        count: of all chunks.
    """

    run: Callable[[], Any]
    fit: Fit
    views: list[DataView] = msgspec.field(default_factory=list)
    use: dict[str, Any] = msgspec.field(default_factory=dict)
    rows: int = 0
    count: int = 0

    def add(self, features: Any, labels: Any, weights: Any) -> None:
        """One more chunk."""
        self.count += 1
        self.rows += facts.rows(features) or 0
        if self.count <= MAX_CHUNKS:
            seen = see(features, labels, weights, profiled=False)
            self.use.update(seen.use)
            if isinstance(seen.data, DataView):
                self.views.append(seen.data)
                origins.carry(self, seen.data)

    def tell(self) -> None:
        """Tell the run of all of them."""
        run = self.run()
        view = data.series(self.views, self.rows, self.count)
        origins.carry(view, self)
        record(run, Source(view, self.use), "train", self.fit)
        run.training(steps=self.count, of=self.fit)


_going_on: Weakly[_Series] = Weakly()
"""Model -> the chunks that it learned from last."""


def observe_partial_fit(call: Call) -> Finish | None:
    """A chunk is a part of what the model learns from in the current run; a transformer's is no training."""
    estimator = call.args[0]
    base = loads.base(estimator)
    loads.forget(estimator)
    run = api.current_run()
    if run is None or len(call.args) + len(call.kwargs) < 2 or not facts.is_model(estimator):
        return None

    def finish(_: Any, error: BaseException | None) -> None:
        if error is not None:
            return
        given = {**dict(zip(("X", "y"), call.args[1:3], strict=False)), **call.kwargs}
        features, labels = given.get("X"), given.get("y")
        _series(run, estimator, base).add(features, labels, given.get("sample_weight"))
        _scores.remember_fit(estimator, features)

    return finish


def _series(run: Run, estimator: Any, base: ModelView | None) -> _Series:
    """The chunks that a model goes on with; what was saved, or scored, of it before is another model.

    `base` is the file that it was loaded from.
    """
    fits = run.facts.fits
    known = _going_on.of(estimator)
    if known is not None and (known.run() is not run or fits.of(estimator) is not known.fit):
        known = None
    if known is not None and not (known.fit.is_kept or known.fit.is_judged):
        return known
    run.learns(estimator)
    fit = fits.begin(type(estimator).__name__, estimator)
    _saving.record_going_on(run, base, fit)
    if known is None or known.fit is not fit:
        known = _Series(weak(run), fit)
        _going_on.remember(estimator, known)
        _estimators.record_learning(run, fit, estimator)
        run.when_ending(known.tell)
    return known
