"""pyspark.ml: what an estimator was fitted on, with which parameters, and how the model scored.

Spark's own lineage knows which files a job read and wrote, and not that a model came of it. Every `fit`,
`transform`, `evaluate` and every save of a model is observed; the outermost call is recorded, what it calls
inside is not. Without a current run the fit of a model makes one of its own, and so do its evaluation and
its save; a transformer alone does not. Spark is asked for plans only: no job is started.

A session that starts within a run has that as its parent, for OpenLineage's listener.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from modeltrail import api, naming, spark
from modeltrail.event import Dataset
from modeltrail.guard import guarded
from modeltrail.integrations import _imports, _patch
from modeltrail.integrations import _pyspark_facts as facts
from modeltrail.integrations import _pyspark_plan as plan
from modeltrail.integrations._call import Call, Finish, Observe
from modeltrail.integrations._frames import record_read
from modeltrail.integrations._runs import current_or_own, record_params
from modeltrail.integrations._saving import record_saved
from modeltrail.observe import code, origins
from modeltrail.runs import Run
from modeltrail.runs.fits import Fit

NAME: Final = "pyspark"

_PARENTS: Final = frozenset({"spark.openlineage.context", "spark.openlineage.parentRunId"})

_trained: WeakKeyDictionary[Any, tuple[ref[Any], plan.Plan]] = WeakKeyDictionary()
"""Model -> the frame that it was fitted on, and what that was made from."""
_predicted: WeakKeyDictionary[Any, tuple[Any, Any]] = WeakKeyDictionary()
"""Frame of predictions -> (the model, the frame that it was given)."""
_written: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""Writer -> what it writes; those of Java do not say."""
_saved: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""Model -> the place that it was saved to, or loaded from."""


def activate() -> None:
    """Observe sessions; and estimators, models, evaluators and files, also of libraries built on these."""
    session = sys.modules["pyspark.sql.session"].SparkSession
    _patch.wrap(NAME, session.Builder, "getOrCreate", observe_session)
    _imports.when_imported("pyspark.ml.base", _observe_parts)
    _imports.when_imported(
        "pyspark.ml.evaluation", lambda module: _observe(module.Evaluator, "evaluate", observe_evaluate)
    )
    _imports.when_imported("pyspark.ml.util", _observe_files)
    _imports.when_imported("pyspark.sql.pandas.conversion", _observe_tables)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def _observe(base: type, method: str, observe: Observe) -> None:
    _patch.on_subclass(NAME, base, lambda kind: _patch.wrap(NAME, kind, method, observe))


def _observe_parts(module: Any) -> None:
    _observe(module.Estimator, "fit", observe_fit)
    _observe(module.Transformer, "transform", observe_transform)


def _observe_files(module: Any) -> None:
    _patch.wrap(NAME, module.JavaMLWriter, "__init__", observe_writer)
    _observe(module.MLWriter, "save", observe_save)
    _observe(module.MLReader, "load", observe_load)


def _observe_tables(module: Any) -> None:
    for method in ("toPandas", "toArrow"):
        if hasattr(module.PandasConversionMixin, method):  # an older Spark has one of them
            _patch.wrap(NAME, module.PandasConversionMixin, method, observe_table)


def observe_session(call: Call) -> None:
    """Makes the current run the parent of the application that starts, unless the program names another."""
    run, options = api.current_run(), call.args[0]._options  # noqa: SLF001  what was given to `config`
    starts = sys.modules["pyspark"].SparkContext._active_spark_context is None  # noqa: SLF001
    is_remote = "spark.remote" in options or "SPARK_REMOTE" in os.environ
    if run is None or not starts or is_remote or not _PARENTS.isdisjoint(options):
        return
    for key, value in run.identity.to_spark().items():
        call.args[0].config(key, value)


def observe_fit(call: Call) -> Finish | None:
    """Records what goes in, then what came out."""
    asked = _asked(call)
    if asked is None or (api.current_run() is None and not facts.learns(asked[0])):
        return None
    estimator, frame = asked
    kind = type(facts.predictor(estimator)).__name__
    run, own = current_or_own(kind)
    fit = run.facts.fits.begin(kind) if facts.learns(estimator) else None
    seen = plan.Plan()
    if fit is not None:  # whatever fails from here on, the run of our own must end
        with guarded("looking at what a fit learns from"):
            seen = plan.read(frame)
            _record_input(run, fit, seen, facts.used(estimator, frame))
    with guarded("looking at the parameters of a fit"):
        record_params(run, facts.params(estimator), fit)

    def finish(fitted: Any, error: BaseException | None) -> None:
        if error is None and not isinstance(fitted, list):  # several models, of several parameters
            with guarded("recording what a fit made"):
                _record_fitted(run, fit, facts.winner(estimator, fitted), fitted, seen)
            if fit is not None:
                with guarded("recording how a fit went"):
                    _trained[fitted] = ref(frame), seen
                    _record_course(run, fit, estimator, fitted)
            if own is not None:
                own.output_model(fitted)
        if own is not None:
            own.end(error)

    return finish


def _asked(call: Call) -> tuple[Any, Any] | None:
    """The estimator or evaluator, with the values that this call gives it, and its frame."""
    given = call.arguments()
    if "dataset" not in given:
        return None  # the original is about to complain
    asked, values = given["self"], given.get("params")
    return (asked.copy(values) if isinstance(values, Mapping) and values else asked), given["dataset"]


def _record_input(run: Run, fit: Fit, seen: plan.Plan, use: Mapping[str, Any]) -> None:
    """What the frame is made from as inputs; what cannot be seen of it is one in memory."""
    use = {**use, **({"split": seen.split} if seen.split else {})}
    inside = [] if seen.is_whole else [Dataset(naming.IN_MEMORY, f"{run.name}/train")]
    for each in (*seen.sources, *inside):
        run.input(each, role="train", capture="observed", of=fit, **use)


def _record_fitted(run: Run, fit: Fit | None, estimator: Any, fitted: Any, seen: plan.Plan) -> None:
    if fit is not None:
        for part in (fitted, getattr(fitted, "bestModel", None), facts.predictor(fitted)):
            run.facts.fits.bind(fit, part)
        run.training(**facts.training(estimator, fitted), of=fit)
    if steps := facts.steps(estimator, fitted, _called(seen)):
        run.transformations(steps, of=fit)


def _called(seen: plan.Plan) -> Mapping[str, str]:
    """The one place that a frame was read from, as the facet of the steps has it."""
    if seen.only is None:
        return {}
    namespace, name = naming.identity(seen.only) if isinstance(seen.only, str) else seen.only.identity
    return {"namespace": namespace, "name": name}


def _record_course(run: Run, fit: Fit, estimator: Any, fitted: Any) -> None:
    for step, value in enumerate(facts.objective(fitted)):
        run.metric("objective", value, step=step, split="train", direction="min", of=fit)
    if (search := facts.search(estimator, fitted)) is not None:
        more: Any = {"split": "validation", "direction": search.direction, "of": fit}
        # in the place of the values that the search began with
        record_params(run, [(component, values, "search") for component, values in search.best], fit)
        for step, score in enumerate(search.scores):
            run.metric(f"avg_{search.metric}", score, step=step, **more)
        run.metric(f"best_{search.metric}", search.score, **more)


def observe_transform(call: Call) -> Finish | None:
    """Remembers which model a frame of predictions is of, for the evaluator that it goes into."""
    given = call.arguments()
    if "dataset" not in given or not facts.is_model(given["self"]):
        return None

    def finish(predictions: Any, error: BaseException | None) -> None:
        if error is None and predictions is not given["dataset"]:  # which would keep itself alive
            _predicted[predictions] = given["self"], given["dataset"]

    return finish


def observe_evaluate(call: Call) -> Finish:
    """A score is an evaluation of the model whose predictions they are; else a metric of the run."""
    asked = _asked(call)

    def finish(score: Any, error: BaseException | None) -> None:
        if error is None and asked is not None:
            _record_score(*asked, float(score))

    return finish


def _record_score(evaluator: Any, frame: Any, score: float) -> None:
    run, metric = api.current_run(), facts.metric_name(evaluator)
    fitted, data = _predicted.get(frame, (None, frame))
    if fitted is None:
        if run is not None:
            run.metric(metric, score, direction="max" if evaluator.isLargerBetter() else "min")
        return
    subject: Any = fitted
    if run is None or run.facts.find_model(fitted) is None:
        subject = _saved.get(fitted, fitted)
    seen = plan.read(data)
    role: Any = _role(fitted, data, seen)
    told: Any = {"role": role, "split": seen.split, "capture": "observed"}
    if run is not None:
        run.evaluate(subject, _one(seen, f"{run.name}/{role}"), {metric: score}, **told)
        return
    with api.run(f"{code.script_name()}.evaluate", job_type="EVALUATE") as own:
        own.evaluate(subject, _one(seen, f"{own.name}/{role}"), {metric: score}, **told)


def _role(fitted: Any, data: Any, seen: plan.Plan) -> str:
    """What the data is to the model: `other` where nothing tells it from what that was fitted on."""
    frame, learned = _trained.get(fitted, (None, None))
    if frame is not None and frame() is data:
        return "train"
    return "other" if learned == seen else "test"


def _one(seen: plan.Plan, name: str) -> str | Dataset:
    """The one place that a frame was read from; several of them make something that is in memory only."""
    return Dataset(naming.IN_MEMORY, name) if seen.only is None else seen.only


def observe_writer(call: Call) -> Finish | None:
    """Remembers what a writer writes."""
    given = call.arguments()
    writer, instance = given.get("self"), given.get("instance")

    def finish(_: Any, error: BaseException | None) -> None:
        if error is None and instance is not None:
            _written[writer] = instance

    return finish


def observe_save(call: Call) -> Finish | None:
    """A saved model is an output of the run; of a transformer its folder is, as data."""
    given = call.arguments()
    writer, path = given.get("self"), given.get("path")
    written = _written.get(writer, getattr(writer, "instance", None))
    if not isinstance(path, str) or not hasattr(written, "transform"):
        return None  # what has not learned yet

    def finish(_: Any, error: BaseException | None) -> None:
        if error is None:
            place = spark.qualified(path)
            if facts.is_model(written):
                _saved[written] = place
            record_saved(written, place, is_model=facts.is_model(written))

    return finish


def observe_load(call: Call) -> Finish:
    """Remembers where a model was loaded from."""

    def finish(loaded: Any, error: BaseException | None) -> None:
        path = call.arguments().get("path")
        if error is None and isinstance(path, str) and hasattr(loaded, "transform"):
            _saved[loaded] = spark.qualified(path)

    return finish


def observe_table(call: Call) -> Finish:
    """A table of pandas or pyarrow came from where the frame was read that it was made of."""

    def finish(table: Any, error: BaseException | None) -> None:
        if error is not None:
            return
        seen = plan.read(call.args[0])
        record_read(table, list(seen.places))
        if seen.split:
            origins.choose(table, seen.split)

    return finish
