"""One file per library; `autolog` switches them on. Airflow finds its plugin by itself.

Nothing is imported for it: an integration acts on a library that is there, or once the host imports it.
"""

import importlib
import sys
from importlib import metadata
from importlib.util import find_spec
from types import ModuleType
from typing import Final

import msgspec

from modeltrail import settings
from modeltrail.errors import ConfigError, MissingExtra
from modeltrail.guard import guarded, uncollected, warn_once
from modeltrail.integrations import _imports, _loads, _patch


class Integration(msgspec.Struct, frozen=True):
    """One line of the table.

    Attributes:
        name: what `autolog` calls it, and its file here.
        module: the module whose import makes the library usable.
        needs: a name in that module; without it the module is not the library.
        distribution: what pip calls the library.
        min_version: the oldest version that the integration is made for.
    """

    name: str
    module: str
    needs: str
    distribution: str
    min_version: tuple[int, int]


TABLE: Final = (
    Integration("numpy", "numpy", "ndarray", "numpy", (1, 26)),
    Integration("sklearn", "sklearn.base", "BaseEstimator", "scikit-learn", (1, 3)),
    Integration("xgboost", "xgboost", "DMatrix", "xgboost", (2, 1)),
    Integration("lightgbm", "lightgbm", "Dataset", "lightgbm", (4, 5)),
    Integration("pandas", "pandas", "DataFrame", "pandas", (2, 2)),
    Integration("polars", "polars", "DataFrame", "polars", (1, 20)),
    Integration("pyarrow", "pyarrow", "Table", "pyarrow", (18, 0)),
    Integration("deltalake", "deltalake", "DeltaTable", "deltalake", (1, 0)),
    Integration("onnx", "onnx", "ModelProto", "onnx", (1, 16)),
    Integration("skl2onnx", "skl2onnx", "to_onnx", "skl2onnx", (1, 19)),
    Integration("torch", "torch", "Tensor", "torch", (2, 6)),
    Integration("safetensors", "safetensors", "safe_open", "safetensors", (0, 4)),
    Integration("pyspark", "pyspark.sql.session", "SparkSession", "pyspark", (3, 5)),
    Integration("lightning", "lightning.pytorch", "Trainer", "lightning", (2, 6)),
    Integration("pytorch_lightning", "pytorch_lightning", "Trainer", "pytorch-lightning", (2, 6)),
    Integration("datasets", "datasets.arrow_dataset", "Dataset", "datasets", (3, 2)),
    Integration("transformers", "transformers.modeling_utils", "PreTrainedModel", "transformers", (5, 0)),
)

_waiting: set[str] = set()


def autolog(*names: str, strict: bool | None = None) -> None:
    """Record what the named libraries do from here on; without names, all that are known.

    Args:
        names: names of `TABLE`.
        strict: raise modeltrail's own failures instead of logging them, from here on (the setting `strict`).

    A library that is not there is passed over silently, unless it was named; one that is too old, broken or
    not itself is passed over with one warning. Calling it again changes nothing.
    """
    if strict is not None:
        settings.configure(strict=strict)
    known = {integration.name: integration for integration in TABLE}
    with _patch.together(), uncollected():
        for name in names or known:
            with guarded(f"activating the integration {name}"):
                if name not in known:
                    choices = ", ".join(sorted(known))
                    raise ConfigError(f"no integration is called {name!r}: choose from {choices}")
                _activate(known[name], asked=bool(names))


def deactivate(*names: str) -> None:
    """Put everything back as it was; without names, for all integrations."""
    for integration in TABLE:
        if not names or integration.name in names:
            _waiting.discard(integration.name)
            _patch.undo(integration.name)
    if not _waiting:
        _imports.forget_imports()


def _activate(integration: Integration, *, asked: bool) -> None:
    package = integration.module.partition(".")[0]
    if asked and package not in sys.modules and find_spec(package) is None:
        wanted = f"{integration.distribution}>={_dotted(integration.min_version)}"
        raise MissingExtra(f"{integration.name} is not installed: pip install '{wanted}'")
    if integration.name in _waiting:
        return
    _waiting.add(integration.name)
    if integration.name in _loads.LIBRARIES:
        _loads.observe(integration.name)
    _imports.when_imported(integration.module, lambda module: _connect(integration, module))


def _connect(integration: Integration, module: ModuleType) -> None:
    """Check that the library is the one the file was written for, and hand over."""
    if integration.name not in _waiting:
        return
    problem = _problem(integration, module)
    if problem is None:
        try:
            importlib.import_module(f"modeltrail.integrations.{integration.name}").activate()
        except Exception as error:
            problem = f"could not be connected ({type(error).__name__}: {error})"
    if problem is not None:
        _patch.undo(integration.name)
        message = "%s %s; nothing of it will be recorded"
        warn_once(f"integration {integration.name}", message, integration.name, problem)


def _problem(integration: Integration, module: ModuleType) -> str | None:
    if not hasattr(module, integration.needs):
        where = getattr(module, "__file__", None) or "somewhere"
        return f"is not {integration.distribution}: {module.__name__} in {where} has no {integration.needs}"
    found = _version(integration, module)
    if found < integration.min_version:
        wanted = f"{integration.distribution}>={_dotted(integration.min_version)}"
        return f"is too old: found {_dotted(found)}, needs {wanted}"
    return None


def _version(integration: Integration, module: ModuleType) -> tuple[int, ...]:
    """Major and minor; what is no version at all passes for the newest, as a nightly build is."""
    package = sys.modules.get(module.__name__.partition(".")[0])
    text = getattr(package, "__version__", None) or metadata.version(integration.distribution)
    try:
        return tuple(int(part) for part in str(text).split(".")[:2])
    except ValueError:
        return (sys.maxsize,)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
