"""What every integration promises, one suite over the table of them."""

import copy
import functools
import importlib
import inspect
import logging
import pickle
import subprocess
import sys
import types
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import attrs
import cloudpickle
import numpy as np
import pytest

from modeltrail import api, guard, integrations
from modeltrail.errors import ConfigError, MissingExtra
from modeltrail.integrations import TABLE, Integration, _graphs, _patch
from modeltrail.observe import origins

table = pytest.mark.parametrize("integration", TABLE, ids=lambda each: each.name)
installed = pytest.mark.parametrize(
    "integration",
    [each for each in TABLE if find_spec(each.module.partition(".")[0])],
    ids=lambda each: each.name,
)
"""What needs the library: heavy ones have an environment of their own (`make integrations`)."""


FITTED_ON = ([[0.0], [1.0]] * 5, [0, 1] * 5)


@pytest.fixture(autouse=True)
def back_to_normal():
    integrations.deactivate()
    guard.reset()
    yield
    integrations.deactivate()
    guard.reset()


@attrs.frozen
class Sample:
    """What an integration observes of a library, as a host uses it.

    Attributes:
        kind: a class of the library, or a module of it, which is its own instance.
        method: what is observed of it.
        make: what makes an instance of it, or of a class derived from it.
        arguments: of a call of the method.
        gives: the class of what that returns.
        breaks: the module and name of something of ours that each such call uses.
        talks: whether the library logs and warns of itself then.
    """

    kind: type | types.ModuleType
    method: str
    make: Callable[[type], Any]
    arguments: tuple[Any, ...]
    gives: type
    breaks: tuple[Any, str] = (api, "current_run")
    talks: bool = False

    def call(self, instance):
        return getattr(instance, self.method)(*self.arguments)

    @property
    def function(self):
        return getattr(self.kind, self.method)


def functions(tmp_path):
    """Of these libraries functions are observed, and no methods."""

    def numpy():
        (path := tmp_path / "data.txt").write_text("1 2\n3 4\n")
        return Sample(np, "loadtxt", lambda kind: kind, (str(path),), np.ndarray)

    def onnx():
        import onnx as kind

        graph = kind.helper.make_graph([], "g", [], [])
        path = str(tmp_path / "model.onnx")
        return Sample(
            kind, "save_model", lambda kind: kind, (kind.helper.make_model(graph), path), type(None)
        )

    def skl2onnx():
        import onnx
        import skl2onnx as kind
        from sklearn.preprocessing import StandardScaler

        given = (StandardScaler().fit([[0.0], [1.0]]), np.zeros((1, 1), "float32"))
        return Sample(kind, "to_onnx", lambda kind: kind, given, onnx.ModelProto, (_graphs, "remember"))

    def safetensors():
        kind = importlib.import_module("safetensors.numpy")
        given = ({"a": np.zeros(2)}, str(tmp_path / "a.safetensors"))
        return Sample(kind, "save_file", lambda kind: kind, given, type(None))

    def deltalake():
        import deltalake as kind
        from pyarrow import table

        given = (str(tmp_path / "delta"), table({"a": [1]}))
        return Sample(kind, "write_deltalake", lambda kind: kind, given, type(None))

    return numpy, onnx, skl2onnx, safetensors, deltalake


def trainers(tmp_path):
    """What makes the samples of libraries that train on PyTorch."""

    def lightning(library="lightning.pytorch"):
        boring = importlib.import_module(f"{library}.demos.boring_classes")
        loader = importlib.import_module("torch.utils.data").DataLoader(boring.RandomDataset(32, 4))
        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
        more = {"enable_model_summary": False, "accelerator": "cpu", "max_epochs": 1}
        trainer = importlib.import_module(library).Trainer
        arguments = (boring.BoringModel(), loader)
        return Sample(trainer, "fit", lambda kind: kind(**quiet, **more), arguments, type(None), talks=True)

    def pytorch_lightning():
        return lightning("pytorch_lightning")

    def transformers():
        from transformers import PreTrainedConfig
        from transformers.modeling_utils import PreTrainedModel as Kind

        def make(kind):
            model = kind(PreTrainedConfig())
            model.layer = importlib.import_module("torch.nn").Linear(2, 1)
            return model

        return Sample(Kind, "save_pretrained", make, (str(tmp_path / "model"),), type(None), talks=True)

    def datasets():
        from datasets import Dataset

        made = Dataset.from_dict({"a": [1]})
        return Sample(
            Dataset, "to_csv", lambda kind: kind(made.data), (str(tmp_path / "a.csv"),), int, talks=True
        )

    return lightning, pytorch_lightning, transformers, datasets


@pytest.fixture
def sample(tmp_path):
    """`sample(name)`: that of an integration."""
    file = str(tmp_path / "data.parquet")

    def sklearn():
        from sklearn.linear_model import LogisticRegression as Kind

        return Sample(Kind, "fit", lambda kind: kind(C=0.5), FITTED_ON, Kind)

    def xgboost():
        from xgboost import XGBClassifier as Kind

        return Sample(Kind, "fit", lambda kind: kind(n_estimators=2), FITTED_ON, Kind)

    def lightgbm():
        from lightgbm import LGBMClassifier as Kind

        return Sample(Kind, "fit", lambda kind: kind(n_estimators=2, verbose=-1), FITTED_ON, Kind)

    def pyspark():
        from pyspark.ml import Pipeline, PipelineModel

        return Sample(Pipeline, "fit", lambda kind: kind(stages=[]), (None,), PipelineModel)

    def pandas():
        from pandas import DataFrame

        return Sample(DataFrame, "to_csv", lambda kind: kind({"a": [1]}), (file,), type(None))

    def polars():
        from polars import DataFrame

        return Sample(DataFrame, "write_csv", lambda kind: kind({"a": [1]}), (file,), type(None))

    def pyarrow():
        from pyarrow import Table, parquet, table

        parquet.write_table(table({"a": [1]}), file)
        carried = (origins, "carry")
        return Sample(parquet.ParquetDataset, "read", lambda kind: kind(file), (), Table, carried)

    def torch():
        from torch.nn import Module
        from torch.nn.modules.module import _IncompatibleKeys

        known = (origins, "of")
        state = {"gone": None}
        return Sample(
            Module, "load_state_dict", lambda kind: kind(), (state, False), _IncompatibleKeys, known
        )

    made = (sklearn, xgboost, lightgbm, torch, pyspark, pandas, polars, pyarrow)
    made += (*functions(tmp_path), *trainers(tmp_path))
    known = {make.__name__: make for make in made}

    def find(name):
        assert name in known, f"give this suite a sample of {name}"
        return known[name]()

    return find


FUNCTIONS = {"numpy", "onnx", "skl2onnx", "safetensors", "deltalake"}
classes = pytest.mark.parametrize(
    "integration",
    [each for each in installed.args[1] if each.name not in FUNCTIONS],
    ids=lambda each: each.name,
)
"""Those of which methods are observed; of the others, functions are."""


def is_the_result(result, instance, gives):
    """The instance itself where the method gives that, else something new of that class."""
    return result is instance if isinstance(instance, gives) else type(result) is gives


def pretend(monkeypatch, integration, **names):
    """A module of that name, holding what is given."""
    package, _, inner = integration.module.partition(".")
    top = types.ModuleType(package)
    module = types.ModuleType(integration.module) if inner else top
    vars(module).update(names)
    top.__version__ = names.get("version", "99.0")
    monkeypatch.setitem(sys.modules, package, top)
    monkeypatch.setitem(sys.modules, integration.module, module)
    return module


@table
def test_an_absent_library_is_passed_over(integration):
    """Without the library `autolog()` says nothing and imports nothing; naming it says what to install."""
    package = integration.module.partition(".")[0]
    code = f"""
import sys, importlib.abc, logging
real = list(sys.meta_path)
class Without(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            return None
        for finder in real:
            if (found := finder.find_spec(name, path, target)) is not None:
                return found
        return None
sys.meta_path[:] = [Without()]
logging.basicConfig(level=logging.WARNING)
import modeltrail
modeltrail.autolog()
assert {package!r} not in sys.modules
modeltrail.autolog({integration.name!r})
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = result.stderr.strip().splitlines()
    assert 1 == len(lines), result.stderr
    assert f"pip install '{integration.distribution}>=" in lines[0]


@table
def test_a_shadowed_library_is_passed_over(integration, monkeypatch, caplog):
    """A module that only bears the name of the library gets one warning that says where it lies."""
    pretend(monkeypatch, integration)
    integrations.autolog()
    integrations.autolog()
    (record,) = caplog.records
    assert f"is not {integration.distribution}" in record.message
    assert not _patch.is_active(integration.name)


@table
def test_an_old_library_is_passed_over(integration, monkeypatch, caplog):
    """A library older than the table asks for gets one warning with both versions."""
    pretend(monkeypatch, integration, version="0.1.2", **{integration.needs: object})
    integrations.autolog()
    (record,) = caplog.records
    assert f"found 0.1, needs {integration.distribution}>=" in record.message
    assert not _patch.is_active(integration.name)


@table
def test_a_broken_library_is_passed_over(integration, monkeypatch, caplog):
    """A library that is not as its file expects it gets one warning, and nothing of it stays replaced."""
    pretend(monkeypatch, integration, **{integration.needs: 7})
    integrations.autolog()
    (record,) = caplog.records
    assert (logging.WARNING, True) == (record.levelno, "could not be connected" in record.message)
    assert not _patch.is_active(integration.name)


@table
def test_a_nightly_build_is_new_enough(integration, monkeypatch):
    """A version that is no number passes for the newest."""
    module = pretend(monkeypatch, integration, version="dev+g1234", **{integration.needs: object})
    assert None is integrations._problem(integration, module)


@installed
def test_switching_on_twice_changes_nothing(integration, sample):
    """The second `autolog` leaves the one layer of the first."""
    observed = sample(integration.name)
    original = observed.function
    integrations.autolog(integration.name)
    once = observed.function
    integrations.autolog(integration.name)
    integrations.autolog()
    assert (once, original) == (observed.function, observed.function.__wrapped__)


@installed
def test_switching_off_puts_everything_back(integration, sample):
    """After `deactivate` every class and module is as it was, down to the identity of its functions."""
    kind = sample(integration.name).kind
    before = snapshot(kind)
    integrations.autolog(integration.name)
    assert before != snapshot(kind)
    integrations.deactivate(integration.name)
    assert before == snapshot(kind)


def snapshot(kind):
    owners = (kind,)
    if isinstance(kind, type):
        owners = (*kind.__mro__, sys.modules[kind.__module__.partition(".")[0]])
    return {
        (owner, name): id(value)
        for owner in owners
        for name, value in vars(owner).items()
        if callable(value) or isinstance(value, classmethod | property)
    }


@installed
def test_a_wrapper_that_others_wrapped_is_inert(integration, sample, monkeypatch):
    """A wrapper that somebody else wrapped stays in their chain after `deactivate`, and records nothing."""
    observed = sample(integration.name)
    instance = observed.make(observed.kind)
    monkeypatch.setattr(observed.kind, observed.method, observed.function)  # it is put back as it was
    integrations.autolog(integration.name)
    ours = observed.function

    def theirs(*args, **kwargs):
        return ours(*args, **kwargs)

    setattr(observed.kind, observed.method, theirs)
    integrations.deactivate(integration.name)
    assert is_the_result(observed.call(instance), instance, observed.gives)


@installed
def test_signatures_and_docstrings_stay(integration, sample):
    """Name, signature, docstring, module and source of an observed method are the original's."""
    observed = sample(integration.name)
    original = observed.function
    before = describe(original)
    integrations.autolog(integration.name)
    assert observed.function is not original
    assert before == describe(observed.function)


def describe(function):
    return (
        inspect.signature(function),
        function.__doc__,
        function.__name__,
        function.__qualname__,
        function.__module__,
        inspect.getsource(function),
        inspect.isfunction(function),
    )


@classes
def test_copies_and_pickles_are_as_before(integration, sample, events):
    """Instances, used ones, classes, functions and bound methods are copied and pickled as before."""
    observed = sample(integration.name)
    kind, unseen, instance = observed.kind, observed.make(observed.kind), observed.make(observed.kind)
    observed.call(unseen)
    before = copies(unseen)
    integrations.autolog(integration.name)
    observed.call(instance)
    for dump in (pickle.dumps, cloudpickle.dumps):
        assert kind is pickle.loads(dump(kind))
        assert observed.function is pickle.loads(dump(observed.function))
        assert callable(pickle.loads(dump(getattr(instance, observed.method))))
    assert before == copies(instance)
    if integration.name in {"sklearn", "xgboost", "lightgbm"}:
        from sklearn.base import clone

        assert repr(instance.get_params()) == repr(clone(instance).get_params())  # NaN is none of itself


def copies(instance):
    """What an instance has, and its copies."""
    made = (pickle.loads(pickle.dumps(instance)), pickle.loads(cloudpickle.dumps(instance)))
    return [vars(each).keys() for each in (instance, *made, copy.copy(instance), copy.deepcopy(instance))]


@classes
def test_a_class_of_the_script_travels(integration, sample, events, tmp_path):
    """A subclass pickled by value works in a process that has no modeltrail: an executor of Spark, say."""
    observed = sample(integration.name)
    kind, method = observed.kind, observed.method
    integrations.autolog(integration.name)
    namespace = {"kind": kind, "__name__": "__main__"}
    body = f"def {method}(self, *a, **k):\n        return super().{method}(*a, **k)"
    exec(f"class Mine(kind):\n    {body}\n", namespace)
    # Estimators of all classes are observed; of the others, what the library's own do.
    if integration.name in {"sklearn", "xgboost", "lightgbm", "pyspark"}:
        assert "__modeltrail__" in vars(namespace["Mine"].fit)
    made = observed.make(namespace["Mine"])
    (tmp_path / "job").write_bytes(cloudpickle.dumps((made, observed.arguments)))
    code = (
        "import pickle, sys; sys.modules['modeltrail'] = None; "  # as if it were not installed
        f"m, a = pickle.load(open('job', 'rb')); print(type(m.{method}(*a)).__name__)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    expected = "Mine" if issubclass(kind, observed.gives) else observed.gives.__name__
    assert (expected, 0) == (result.stdout.strip(), result.returncode)
    assert "" == result.stderr or (observed.talks and "modeltrail" not in result.stderr)
    assert not (tmp_path / "lineage").exists()


@installed
def test_our_failures_do_not_reach_the_host(integration, sample, monkeypatch):
    """When recording fails the host's call runs once and returns what it returns; the failure is counted."""
    observed = sample(integration.name)
    instance = observed.make(observed.kind)
    calls = []
    original = observed.function

    @functools.wraps(original)
    def counted(self, *args, **kwargs):
        calls.append(1)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(observed.kind, observed.method, counted)
    integrations.autolog(integration.name)

    def explode(*_, **__):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(*observed.breaks, explode)
    assert is_the_result(observed.call(instance), instance, observed.gives)
    assert [1] == calls
    assert ["ZeroDivisionError"] == [kind.rpartition(" ")[2] for kind in guard.failures()]


@installed
def test_a_library_imported_later_is_connected_then(integration, tmp_path):
    """`autolog` before the import acts right after it, and the module keeps its own loader and spec."""
    code = f"""
import sys, modeltrail
from modeltrail.integrations import _patch
modeltrail.autolog(strict=True)
assert {integration.module!r} not in sys.modules and not _patch.is_active({integration.name!r})
module = __import__({integration.module!r}, fromlist=["x"])
assert _patch.is_active({integration.name!r})
assert type(module.__loader__) is type(module.__spec__.loader) is type(sys.__spec__.loader) or \
    "SourceFileLoader" in type(module.__loader__).__name__ == type(module.__spec__.loader).__name__
import inspect; assert inspect.getsource(module)
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_an_unknown_name_is_said(events):
    """A name that is not in the table is refused with the names that are."""
    with pytest.raises(ConfigError, match=r"no integration is called 'skleran': choose from .*sklearn"):
        integrations.autolog("skleran")


def test_a_missing_library_that_was_named_is_said(events, monkeypatch):
    """Asking by name for a library that is not installed says the pip line."""
    absent = Integration("absent", "no_such_library.core", "X", "no-such-library", (2, 1))
    monkeypatch.setattr(integrations, "TABLE", (absent,))
    with pytest.raises(MissingExtra, match=r"pip install 'no-such-library>=2\.1'"):
        integrations.autolog("absent")
    integrations.autolog()


def test_the_table_and_the_files_agree():
    """Each line of the table has its file with `activate` and `deactivate`, and each file its line."""
    folder = importlib.import_module("modeltrail.integrations").__path__[0]
    files = {name for name in __import__("os").listdir(folder) if name.endswith(".py")}
    assert {f"{each.name}.py" for each in TABLE} == {name for name in files if not name.startswith("_")}
    for each in TABLE:
        file = importlib.import_module(f"modeltrail.integrations.{each.name}")
        assert callable(file.activate)
        assert callable(file.deactivate)
