"""What a model is: its file and digest, its framework and algorithm, its signature and size."""

import hashlib
import math
import os
import pickle
import secrets
import sys
from collections.abc import Sequence
from importlib import metadata
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import msgspec

from modeltrail import naming
from modeltrail.observe import boosters, modelfiles
from modeltrail_schemas import digests, encoding
from modeltrail_schemas.digests import FileDigest

PICKLED_BYTES: Final = 256 << 20
MAX_FILES: Final = 200
MAX_FEATURES: Final = 5000
MAX_DEPTH: Final = 8
MAX_SAVED: Final = 1000

_FITTED: Final = (
    "coef_",
    "intercept_",
    "coefs_",
    "intercepts_",
    "cluster_centers_",
    "theta_",
    "feature_log_prob_",
    "dual_coef_",
    "support_vectors_",
)
_SPARK: Final = "pyspark.ml."
_BUILT_ON_TORCH: Final = frozenset({"transformers", "sentence_transformers", "peft"})
"""What saves its modules in ways of its own."""
_DISTRIBUTIONS: Final = {"sklearn": "scikit-learn"}


class ModelView(msgspec.Struct, frozen=True, weakref=True):
    """What could be seen of a model, as a file, a directory or an object in memory.

    Attributes:
        namespace: the OpenLineage namespace: `file`, a store, or `inmemory://`.
        name: the OpenLineage name: the absolute path, the key, or the given name.
        digest: lower hex; None when nothing could be read.
        digest_algorithm: `sha256`, `sha256-tree`, or `sha256-pickle` for an object that has no file.
        uri: where it lies; None for an object in memory.
        size_bytes: bytes on disk, or of the pickle.
        files: the files of a directory, at most 200.
        framework: the library's import name (`sklearn`, `xgboost`, …).
        framework_version: its version in this process.
        algorithm: the qualified class of the (final) estimator.
        flavor: how it can be loaded: `sklearn`, `xgboost`, `onnx`, …
        format: how it is stored: `joblib`, `pickle`, `onnx`, `safetensors`, `torch`, …
        parameter_count: number of fitted numbers, where cheap to count.
        task: classification, regression, clustering, … as in `modelTrail_training`.
        inputs: signature: dicts of name, type, shape, required.
        outputs: signature, the same.
        holds: the qualified classes of the fitted models in it, of what is none itself.
    """

    namespace: str
    name: str
    digest: str | None = None
    digest_algorithm: str | None = None
    uri: str | None = None
    size_bytes: int | None = None
    files: tuple[FileDigest, ...] = ()
    framework: str | None = None
    framework_version: str | None = None
    algorithm: str | None = None
    flavor: str | None = None
    format: str | None = None
    parameter_count: int | None = None
    task: str | None = None
    inputs: tuple[dict[str, Any], ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()
    holds: tuple[str, ...] = ()


_in_memory: WeakKeyDictionary[object, str] = WeakKeyDictionary()
"""What objects that cannot be weighed go by, as long as they live."""
_saved: dict[tuple[str, int, int] | None, ModelView] = {}


def look(model: object, *, name: str | None = None, namespace: str | None = None) -> ModelView:
    """Look at a model: a path or URI, an estimator in memory, a view or dataset that names one.

    Never raises for odd models. A file is hashed but not loaded; what wrote it is told by its first bytes, or
    known when this process saved it (`saved`). An object is described, and weighed by `save_digest`.
    """
    try:
        view = _view(model)
    except Exception:  # a guest: foreign objects fail in foreign ways
        view = ModelView(naming.IN_MEMORY, qualified_name(type(model)))
    return msgspec.structs.replace(
        view,
        namespace=encoding.namespace(namespace or view.namespace),
        name=naming.given(name or view.name),
    )


def saved(model: object, path: str | os.PathLike[str]) -> None:
    """Remember what was written to a file, so that `look(path)` can say what is in it without loading it."""
    where = naming.local_path(path)
    if where is not None and (key := _key(where)) is not None:
        if len(_saved) >= MAX_SAVED:
            _saved.clear()
        _saved[key] = describe(model)


def save_digest(model: object, limit: int = PICKLED_BYTES) -> tuple[str, int] | None:
    """(SHA-256 of the object's pickle, its bytes); None if it cannot be pickled, or not within `limit` bytes.

    The pickle is written without references between its parts, so that a model and its copy have one digest.
    It still depends on the versions of Python and of the library; and a model whose parts contain each other
    is pickled in the ordinary way. Only that asks its `__getstate__` a second time.
    """
    for fast in (True, False):
        scale = _Scale(limit)
        pickler = pickle.Pickler(scale, protocol=5)
        pickler.fast = fast
        try:
            pickler.dump(model)
        except (ValueError, RecursionError):  # parts that contain each other
            continue
        except Exception:  # __reduce__ and __getstate__ are foreign code
            return None
        return scale.hasher.hexdigest(), scale.size
    return None


def holder(holding: object, models: Sequence[object], path: str | os.PathLike[str]) -> ModelView:
    """What was written to a file that holds fitted models, and is none itself: a dict, an object of a class.

    It is not loaded as they are, nor does it take what they take.
    """
    views = [describe(each) for each in models]
    kinds = tuple(dict.fromkeys(view.algorithm or view.name for view in views))
    return msgspec.structs.replace(
        look(path),
        framework=views[0].framework,
        framework_version=views[0].framework_version,
        algorithm=kinds[0] if len(models) == 1 else qualified_name(type(holding)),
        flavor=None,
        task=views[0].task if len(views) == 1 else None,
        holds=kinds,
    )


class _Scale:
    """A file that keeps the digest and the size of what is written to it."""

    def __init__(self, limit: int) -> None:
        self.hasher = hashlib.sha256()
        self.size = 0
        self._limit = limit

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self.size += view.nbytes
        if self.size > self._limit:
            raise OverflowError(f"a pickle of more than {self._limit} bytes")
        self.hasher.update(view)
        return view.nbytes


def _view(model: object) -> ModelView:
    if isinstance(model, ModelView):
        return model
    if isinstance(model, str) and not model.strip():
        return ModelView(naming.IN_MEMORY, "")  # as in `data.look`
    if isinstance(model, str | os.PathLike):
        return _located(cast("str | os.PathLike[str]", model))
    if isinstance(getattr(model, "namespace", None), str) and isinstance(getattr(model, "name", None), str):
        return ModelView(model.namespace, model.name)  # type: ignore[attr-defined]
    view = describe(model)
    weighed = save_digest(model)
    if weighed is None:
        uid = getattr(model, "uid", None)  # of pyspark.ml: that of the estimator, for all models of it
        if not isinstance(uid, str) or not uid:
            return view
        return msgspec.structs.replace(
            view, name=_in_memory.setdefault(model, f"{uid}-{secrets.token_hex(6)}")
        )
    digest, size = weighed
    name = f"model-{digest[:16]}"
    return msgspec.structs.replace(
        view, name=name, digest=digest, digest_algorithm="sha256-pickle", size_bytes=size
    )


def _located(where: str | os.PathLike[str]) -> ModelView:
    namespace, name = naming.identity(where)
    path = naming.local_path(where)
    if path is None:
        return ModelView(namespace, name, uri=naming.uri(where))
    found = digests.digest(path)
    if found is None:
        return ModelView(namespace, name, uri=path.as_uri())
    form, framework, algorithm = modelfiles.describe(path)
    view = _saved.get(_key(path)) or ModelView(
        namespace,
        name,
        framework=framework,
        framework_version=_version(framework),
        algorithm=public_name(algorithm),
        flavor=framework,
    )
    return msgspec.structs.replace(
        view,
        namespace=namespace,
        name=name,
        digest=found.digest,
        digest_algorithm=found.algorithm if found.scope == "full" else f"{found.algorithm}-{found.scope}",
        uri=path.as_uri(),
        size_bytes=found.size_bytes,
        files=found.files[:MAX_FILES],
        format=form,
    )


def _key(path: Path) -> tuple[str, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return str(path), stat.st_size, stat.st_mtime_ns


def describe(model: object) -> ModelView:
    """What an object in memory says about itself; unlike `look` it is not weighed."""
    final = final_estimator(model)
    framework = _framework(model)
    return ModelView(
        naming.IN_MEMORY,
        qualified_name(type(model)),
        framework=framework,
        framework_version=_version(framework),
        algorithm=qualified_name(type(final)),
        flavor=framework,
        parameter_count=_count(final),
        task=task(model),
        inputs=_inputs(model),
        outputs=_outputs(model),
    )


def _framework(model: object) -> str:
    """The package of its class; of a class of the user's own that of what it derives from, of PyTorch."""
    own = type(model).__module__.partition(".")[0]
    module = getattr(getattr(sys.modules.get("torch"), "nn", None), "Module", None)
    return "torch" if module is not None and isinstance(model, module) and own not in _BUILT_ON_TORCH else own


def final_estimator(model: Any) -> Any:
    """The estimator that predicts: the last step of a pipeline, the best one of a finished search."""
    for _ in range(MAX_DEPTH):
        inner = _inner(model)
        if inner is None:
            break
        model = inner
    return model


def _inner(model: Any) -> Any:
    """One step towards it; None where there is none."""
    steps = getattr(model, "steps", None)
    if isinstance(steps, list) and steps and steps[-1][1] not in (None, "passthrough"):
        return steps[-1][1]
    stages = getattr(model, "stages", None)  # of pyspark.ml, where labels may be written out after the model
    if isinstance(stages, list) and stages:
        return next((each for each in reversed(stages) if hasattr(each, "predictionCol")), stages[-1])
    return getattr(model, "best_estimator_", getattr(model, "bestModel", None))


def task(model: object) -> str | None:
    """The task, by scikit-learn's tags, pyspark.ml's modules or the objective of a booster."""
    return _task_of_sklearn(model) or _task_of_spark(model) or _task_of_booster(model)


def _task_of_sklearn(model: object) -> str | None:
    base = sys.modules.get("sklearn.base")
    if base is None or boosters.is_native(model) or type(model).__module__.startswith(_SPARK):
        return None
    checks = {"is_classifier": "classification", "is_regressor": "regression", "is_clusterer": "clustering"}
    for check, found in checks.items():
        try:
            if getattr(base, check)(model):
                return found
        except Exception:  # an object without tags; an older library without the check  # noqa: S112
            continue
    return None


def _task_of_booster(model: object) -> str | None:
    booster = boosters.native(final_estimator(model))
    return None if booster is None else boosters.task(booster)


def _task_of_spark(model: object) -> str | None:
    """By the module of pyspark.ml that the class, or one that it derives from, is of."""
    modules = {kind.__module__ for kind in type(final_estimator(model)).__mro__}
    tasks = ("classification", "regression", "clustering")
    return next((task for task in tasks if f"{_SPARK}{task}" in modules), None)


def qualified_name(kind: type) -> str:
    """The dotted name that users import a class by: `sklearn.svm.SVC`, not `sklearn.svm._classes.SVC`."""
    module = kind.__module__
    public = ".".join(takewhile(lambda part: not part.startswith("_"), module.split(".")))
    package = module.partition(".")[0]  # xgboost.XGBClassifier, not xgboost.sklearn.XGBClassifier
    for place in (package, public):
        if getattr(sys.modules.get(place), kind.__qualname__, None) is kind:
            module = place
            break
    return f"{module}.{kind.__qualname__}"


def public_name(dotted: str | None) -> str | None:
    """What `qualified_name` says, of a class known by name only; if its module is not loaded, that name."""
    if dotted is None:
        return None
    module, _, name = dotted.rpartition(".")
    kind = getattr(sys.modules.get(module), name, None)
    return qualified_name(kind) if isinstance(kind, type) else dotted


def _version(framework: str | None) -> str | None:
    version = getattr(sys.modules.get(framework or ""), "__version__", None)
    if isinstance(version, str) or framework is None:
        return version
    try:
        return metadata.version(_DISTRIBUTIONS.get(framework, framework))
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _count(model: Any) -> int | None:
    """Fitted numbers: coefficients and centres, or the nodes of trees; None where neither is there."""
    nodes: Any = getattr(getattr(model, "tree_", None), "node_count", None)  # a KDTree counts none
    if nodes is not None:
        return int(nodes)
    inner = getattr(model, "estimators_", None)
    if inner is not None:
        counts = [_count(each) for each in (inner.ravel().tolist() if hasattr(inner, "ravel") else inner)]
        return sum(count or 0 for count in counts) or None
    if callable(getattr(model, "named_parameters", None)):  # torch.nn.Module
        return sum(int(parameter.numel()) for _, parameter in model.named_parameters())
    sizes = []
    for attribute in _FITTED if boosters.native(model) is None else ():  # whose intercept is a parameter
        value: Any = getattr(model, attribute, None)
        arrays = value if isinstance(value, list) else [value]
        sizes += [int(math.prod(array.shape)) for array in arrays if hasattr(array, "shape")]
    return sum(sizes) or None


def _inputs(model: Any) -> tuple[dict[str, Any], ...]:
    names = boosters.features(model) if boosters.is_native(model) else None
    if names is None:
        names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return tuple({"name": str(each)} for each in list(names)[:MAX_FEATURES])
    width = getattr(model, "n_features_in_", None)
    return () if width is None else ({"name": "X", "shape": [-1, int(width)]},)


def _outputs(model: Any) -> tuple[dict[str, Any], ...]:
    classes: Any = getattr(model, "classes_", None)
    if hasattr(classes, "dtype"):
        return ({"name": "label", "type": str(classes.dtype), "shape": [-1]},)
    return ({"name": "prediction", "type": "float64", "shape": [-1]},) if task(model) == "regression" else ()
