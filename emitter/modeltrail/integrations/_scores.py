"""How well a model of scikit-learn's kind did: what it predicted goes into a metric function, or it scores.

The functions of `sklearn.metrics` stay the objects that they are, since scorers are pickled by their
identity: what they call inside is observed.
"""

import hashlib
import inspect
import numbers
import sys
import zlib
from collections import Counter, deque
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

from modeltrail import api
from modeltrail.integrations import _imports, _patch
from modeltrail.integrations import _sklearn_facts as facts
from modeltrail.integrations._call import Call, Finish
from modeltrail.integrations._saving import is_told_by_mlflow
from modeltrail.integrations._sources import Source, see
from modeltrail.observe import loads, origins
from modeltrail.observe.data import DataView
from modeltrail.observe.weakly import Weakly, weak
from modeltrail.runs import Run, learned
from modeltrail.runs.arguments import Role

PREDICT: Final = ("predict", "predict_proba", "predict_log_proba", "decision_function")
SCORE: Final = {"ClassifierMixin": "accuracy_score", "RegressorMixin": "r2_score"}
"""What the method `score` is, by whose it is."""
_INNER: Final = "func"
"""What scikit-learn's decorator `validate_params` calls the function that it decorates."""

_STAMPED_BYTES: Final = 64 << 20
"""Of larger predictions nobody can tell cheaply whether they were changed since."""

_MAX_CHOSEN: Final = 64
_HALF: Final = 0.5

_KEPT_BYTES: Final = 32 << 20
_kept: deque[Any] = deque(maxlen=4)
"""What loaded models predicted from last: mostly made for that call alone, and gone before the score."""

_Weak = Callable[[], Any]


class _Prediction(msgspec.Struct):
    """Whose predictions an array holds.

    Attributes:
        estimator: who predicted.
        features: from what.
        role: what that is to it.
        columns: which it had then, of a frame of pandas: what was predicted is mostly put into it.
        fitted: the run that it predicted in, and what that calls it as it was then.
        seen: what there was to be seen of the features, once the first score asked.
    """

    estimator: _Weak
    features: _Weak
    columns: Any
    role: Role
    fitted: tuple[str, str | None] | None
    seen: Source | None = None

    def data(self) -> Any:
        """What it was predicted from, in the columns of then; None where some are gone, or all of it."""
        features = self.features()
        if features is None or self.columns is None or features.columns.equals(self.columns):
            return features
        return features[list(self.columns)] if self.columns.isin(features.columns).all() else None

    def model_id(self, run: Run) -> str | None:
        """What this run calls the model; None of one that it has not fitted.

        As it was when it predicted, unless that was in another run, or in none: in a thread.
        """
        if self.fitted is not None and self.fitted[0] == run.run_id:
            return self.fitted[1]
        return run.facts.fits.judged(self.estimator())

    def model(self, run: Run) -> Any:
        """Who predicted; None where it is gone, or was fitted again since."""
        estimator = self.estimator()
        is_as_then = run.facts.fits.judged(estimator) == self.model_id(run)
        return estimator if is_as_then else None


class _Held(msgspec.Struct, frozen=True):
    """An array that holds predictions.

    Attributes:
        prediction: whose they are.
        stamp: what it held then: who computes in it makes other predictions of it.
        rows: of the predictions: the array below them may be turned on its side.
    """

    prediction: _Prediction
    stamp: int
    rows: int | None


_fitted: Weakly[_Weak] = Weakly()
"""Estimator -> the features that it was fitted on."""
_predicted: Weakly[_Held] = Weakly()
_chosen: dict[bytes, _Prediction | None] = {}
"""What predicted chances mean, as its digest -> whose they are; None where it is what several models mean."""

_counts: WeakKeyDictionary[Run, Counter[str]] = WeakKeyDictionary()
"""How often a run computed a metric of predictions that are not known: its values are a series."""


def observe(integration: str) -> None:
    """Observe metric functions, once they are imported."""
    _imports.when_imported("sklearn.metrics", lambda module: _observe_metrics(integration, module))


def observe_method(integration: str, owner: Any, attribute: str, method: str) -> None:
    """Observe a method of an estimator's class, if it predicts or scores."""
    if method in PREDICT:
        _patch.wrap(integration, owner, attribute, observe_predict)
    elif method == "score":
        _patch.wrap(integration, owner, attribute, observe_score)


def _observe_metrics(integration: str, module: Any) -> None:
    for name in module.__all__:
        function = vars(module).get(name)
        if isinstance(function, FunctionType) and _takes_truth(function):
            _patch.wrap_inner(integration, function, _INNER, observe_metric)


def _takes_truth(function: FunctionType) -> bool:
    """Whether its first parameter is `y_true`; `inspect.signature` takes long to say so."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and code.co_varnames[:1] == ("y_true",)


def remember_fit(estimator: Any, features: Any) -> None:
    """What a model was fitted on is no test of it."""
    _fitted.remember(estimator, weak(features))


def observe_predict(call: Call) -> Finish | None:
    """Remembers whose predictions an array holds; parts of it, the second column say, are known by it."""
    if len(call.args) + len(call.kwargs) < 2:
        return None
    estimator, features, *_ = (*call.args, *call.kwargs.values())
    return remember_predictions(estimator, features)


def remember_predictions(
    estimator: Any, features: Any, seen: Source | None = None, given: Any = None
) -> Finish:
    """As `observe_predict`; `seen` is what is known of features that are not at hand any more.

    Predictions of a model that a file holds come from that file too, and from where the features do, or the
    matrix of them that was `given`. One that the run has fitted made them, as a transformer makes data.
    """
    made_of = features if given is None else given
    run = api.current_run()
    fit = None if run is None else run.facts.fits.of(estimator)
    fitted = None if run is None else (run.run_id, run.facts.fits.judged(estimator))
    columns = features.columns if hasattr(features, "iloc") and hasattr(features, "columns") else None
    role = _role(estimator, features)
    found = _Prediction(weak(estimator), weak(features), columns, role, fitted, seen)

    def finish(predictions: Any, error: BaseException | None) -> None:
        if error is not None:
            return
        if (file := loads.file(estimator)) is not None:
            _keep(features)
        if run is not None:
            known = [origin for each in (made_of, file) if (origin := origins.of(each)) is not None]
            learned.predicts(run.facts, fit, [source for each in known for source in each.sources])
        alone = learned.known_alone(estimator) if fit is None and file is None else None
        maker, owner = fit if alone is None else alone[0], getattr(predictions, "base", None)
        for each in (predictions, owner):
            is_same = each is predictions or (
                each is not features and getattr(each, "size", 0) == getattr(predictions, "size", None)
            )
            if is_same and origins.of(made_of) is not None:
                origins.carry(each, made_of, file)
            if is_same and maker is not None:
                origins.transform(each, made_of, maker)
            if is_same and (stamp := _stamp(each)) is not None:
                _predicted.remember(each, _Held(found, stamp, facts.rows(predictions)))
        if run is not None and _is_array(predictions):
            _remember_choices(predictions, found)

    return finish


def _remember_choices(chances: Any, found: _Prediction) -> None:
    """What `argmax` and `> 0.5` will make of chances: new arrays, that nobody sees being made.

    One class for all may as well be anybody's.
    """
    if chances.dtype.kind != "f" or not chances.size or not 0 <= chances.min() <= chances.max() <= 1:
        return
    choices = [chances > _HALF] if chances.ndim == 1 else []
    if chances.ndim == 2:
        choices = [chances.argmax(axis=1), *([chances[:, 1] > _HALF] if chances.shape[1] == 2 else [])]
    marks = {_mark(each) for each in choices if each.min() != each.max()}
    for mark in [each for each in marks if each is not None]:
        known = _chosen.pop(mark, found)
        _chosen[mark] = found if known is not None and _is_last(known, found) else None
        if len(_chosen) > _MAX_CHOSEN:
            _chosen.pop(next(iter(_chosen)))


def _is_last(known: _Prediction, found: _Prediction) -> bool:
    """Whether what comes of both can only be the later one's: the same, or the other model is gone."""
    model = known.estimator()
    return model is None or (model is found.estimator() and known.features() is found.features())


def _mark(choices: Any) -> bytes | None:
    """The digest of a column of classes, by number, whichever type of number it is; None of anything else."""
    if not _is_array(choices) or choices.ndim != 1 or choices.dtype.kind not in "biuf":
        return None
    return hashlib.blake2b(choices.astype("float64").tobytes(), digest_size=16).digest()


def _is_array(thing: Any) -> bool:
    """Whether something is an array of numpy's that is not too large to be gone through."""
    return (
        type(thing) is getattr(sys.modules.get("numpy"), "ndarray", None) and thing.nbytes <= _STAMPED_BYTES
    )


def _keep(features: Any) -> None:
    """Keep what a model that a file holds predicted from: its score may be asked for when nobody has it."""
    usage = features.memory_usage().sum() if hasattr(features, "memory_usage") else None
    if api.current_run() is not None and getattr(features, "nbytes", usage or _KEPT_BYTES) < _KEPT_BYTES:
        _kept.append(features)


def observe_score(call: Call) -> Finish | None:
    """The score that a model gives itself is an evaluation of it."""
    given = call.arguments()
    if len(given) < 2 or _is_for_mlflow():
        return None
    estimator, features, *_ = given.values()
    name = SCORE.get(call.function.__qualname__.partition(".")[0], "score")

    def finish(value: Any, error: BaseException | None) -> None:
        run = api.current_run()
        if error is None and run is not None and isinstance(value, numbers.Real):
            role = _role(estimator, features)
            _evaluate(run, estimator, see(features, given.get("y")), role, {name: float(value)})

    return finish


def observe_metric(call: Call) -> Finish | None:
    """A score of predictions is an evaluation of the model that made them; of other values one of the run."""
    given = call.arguments()
    if len(given) < 2 or _is_for_mlflow():
        return None
    truth, predictions, *_ = given.values()

    def finish(value: Any, error: BaseException | None) -> None:
        run = api.current_run()
        if error is not None or run is None or not isinstance(value, numbers.Real):
            return
        name, score = _called(call.function, given), float(value)
        known = _of(predictions)
        if known is None and any(each.is_model for each in run.facts.inputs.values()):
            return  # it may be of a model that was loaded: nothing that this run makes
        if known is None or not _judged(run, known, truth, {name: score}):
            counts = _counts.setdefault(run, Counter())
            more = {} if known is None else _of_model(run, known)
            run.metric(name, score, step=counts[name], capture="observed", **more)
            counts[name] += 1

    return finish


def _is_for_mlflow() -> bool:
    """Whether MLflow scores a model on what it was fitted on: that is a metric of its run."""
    return is_told_by_mlflow("mlflow.sklearn.utils", "_log_estimator_content")


def _judged(run: Run, known: _Prediction, truth: Any, metrics: Mapping[str, float]) -> bool:
    """Record an evaluation of the model that predicted, if that and its data are still there."""
    features, estimator = known.data() if known.seen is None else None, known.model(run)
    if features is not None:
        known.seen = see(features, truth)
    if known.seen is None or estimator is None:
        return False
    _evaluate(run, estimator, known.seen, known.role, metrics)
    return True


def _of_model(run: Run, known: _Prediction) -> dict[str, Any]:
    """Whose metric it is, on what; data that is gone may have been another copy of what was trained on."""
    is_known = known.features() is not None or known.role == "train"
    found = {"model_id": known.model_id(run), "split": known.role if is_known else None}
    return {name: value for name, value in found.items() if value is not None}


def _of(predictions: Any) -> _Prediction | None:
    """Whose predictions they are; of an array's columns what is known of the array, of some rows nothing."""
    for each in (predictions, getattr(predictions, "base", None)):
        held = _predicted.of(each)
        if held is not None and held.stamp == _stamp(each):
            return held.prediction if facts.rows(predictions) == held.rows else None
    mark = _mark(predictions)
    return None if mark is None else _chosen.get(mark)


def _stamp(array: Any) -> int | None:
    """What an array holds, in a number; None where that is not known."""
    try:
        size = array.nbytes
        return zlib.adler32(array.tobytes()) if size <= _STAMPED_BYTES and not array.dtype.hasobject else None
    except AttributeError:  # a list, a frame
        return None


def _role(estimator: Any, features: Any) -> Role:
    trained = _fitted.of(estimator)
    return "train" if trained is not None and trained() is features else "test"


def _called(function: Callable[..., Any], given: Mapping[str, Any]) -> str:
    """The function's name, with the options that make it another metric: `f1_score(average=macro)`."""
    known = inspect.signature(function).parameters
    options = [
        f"{name}={value}"
        for name, value in given.items()
        if isinstance(value, str | numbers.Real) and value != known[name].default
    ]
    return f"{function.__name__}({', '.join(options)})" if options else function.__name__


def _evaluate(run: Run, estimator: Any, data: Source, role: Role, metrics: Mapping[str, float]) -> None:
    given = data.data
    if isinstance(given, DataView) and role == "test":
        role = learned.role_of(run.facts, given, estimator) or role
    if isinstance(given, DataView) and role == "test":  # it may be for validation: nobody said
        given = msgspec.structs.replace(given, capture="inferred")
        origins.carry(given, data.data)
    run.evaluate(estimator, given, metrics, role=role, capture="observed")
