"""`partial_fit`: what is learned chunk by chunk is told as one series of data, when its run ends.

A chunk may be some rows out of millions, so that what is looked at is bounded; the others are only counted.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from modeltrail import api
from modeltrail.integrations import _estimators, _saving, _scores
from modeltrail.integrations import _sklearn_facts as facts
from modeltrail.integrations._call import Call, Finish
from modeltrail.integrations._runs import record_params
from modeltrail.integrations._sources import Source, record, see
from modeltrail.observe import data, loads, origins
from modeltrail.observe.data import DataView
from modeltrail.observe.model import ModelView
from modeltrail.observe.weakly import Weakly, weak
from modeltrail.runs import Run
from modeltrail.runs.fits import Fit

MAX_CHUNKS: Final = 100
"""Of so many chunks the content is looked at: each takes some 0.5 ms."""


MAX_KEPT: Final = 50
_kept: dict[int, Any] = {}
"""Transformers that learned chunk by chunk, until their run has ended: what they had learned is told
then, and a function that prepares data has mostly returned before."""


class _Series(msgspec.Struct, eq=False, weakref=True):
    """The chunks that a model learned from, in one run and without being saved in between, or a transformer.

    Attributes:
        run: the run.
        fit: what the model is to it.
        learner: the model, if it still lives.
        views: what was seen of the first chunks.
        use: how these are used: arguments of `run.input`.
        rows: of all chunks.
        count: of all chunks.
    """

    run: Callable[[], Any]
    fit: Fit
    learner: Callable[[], Any]
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
                if (members := seen.data.members) is not None:
                    known = self.run().facts.chunks.setdefault(self.fit, {})
                    known[seen.data.fingerprint.digest] = members

    def tell(self) -> None:
        """Tell the run of all of them."""
        run = self.run()
        view = data.series(self.views, self.rows, self.count)
        origins.carry(view, self)
        if self.fit.is_step:
            if (learner := self.learner()) is not None:
                _kept.pop(id(learner), None)
                source = {"namespace": view.namespace, "name": view.name}
                run.transformations(facts.steps(learner, source, self.rows), of=self.fit)
            return
        record(run, Source(view, self.use), "train", self.fit)
        run.training(steps=self.count, of=self.fit)


_going_on: Weakly[_Series] = Weakly()
"""Model -> the chunks that it learned from last."""


def observe_partial_fit(call: Call) -> Finish | None:
    """A chunk is a part of what the model, or the transformer, learns from in the current run."""
    estimator = call.args[0]
    base = loads.base(estimator)
    loads.forget(estimator)
    run = api.current_run()
    if run is None or len(call.args) + len(call.kwargs) < 2:
        return None

    def finish(_: Any, error: BaseException | None) -> None:
        if error is not None:
            return
        given = {**dict(zip(("X", "y"), call.args[1:3], strict=False)), **call.kwargs}
        features, labels = given.get("X"), given.get("y")
        series = _series(run, estimator, base) if facts.is_model(estimator) else _steps(run, estimator)
        series.add(features, labels, given.get("sample_weight"))
        run.facts.fits.learns_from(series.fit, origins.of(features))
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
        known = _begin(run, estimator, fit)
        _estimators.record_learning(run, fit, estimator)
    return known


def _steps(run: Run, transformer: Any) -> _Series:
    """The chunks that a transformer goes on with."""
    known, fits = _going_on.of(transformer), run.facts.fits
    if known is None or fits.of(transformer) is not known.fit:
        known = _begin(run, transformer, fits.begin_step(type(transformer).__name__, transformer))
        record_params(run, facts.params(transformer), known.fit)
        if len(_kept) < MAX_KEPT:
            _kept[id(transformer)] = transformer
    return known


def _begin(run: Run, learner: Any, fit: Fit) -> _Series:
    made = _Series(weak(run), fit, weak(learner))
    _going_on.remember(learner, made)
    run.when_ending(made.tell)
    return made
