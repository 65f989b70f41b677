"""What is seen of a model: in memory, in a file, in a folder; nothing is loaded for it."""

import copy
import json
import os
import pickle
import struct
import sys
import zlib

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modeltrail.observe import data, model


@pytest.fixture
def fitted():
    features = pd.DataFrame({"a": [0.0, 1.0] * 5, "b": [1.0, 1.0] * 5})
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(features, [0, 1] * 5)


def test_an_estimator_describes_itself(fitted):
    """Framework, version, final algorithm, task, size and signature come from the object."""
    view = model.look(fitted)
    assert (
        "sklearn",
        sklearn.__version__,
        "sklearn.linear_model.LogisticRegression",
        "classification",
        3,
    ) == (
        view.framework,
        view.framework_version,
        view.algorithm,
        view.task,
        view.parameter_count,
    )
    assert ({"name": "a"}, {"name": "b"}) == view.inputs
    assert ({"name": "label", "type": "int64", "shape": [-1]},) == view.outputs


def test_an_object_is_weighed_by_its_pickle(fitted):
    """An object without a file has the digest of its pickle, the same for equal ones, and is named by it."""
    view, again = model.look(fitted), model.look(pickle.loads(pickle.dumps(fitted)))
    assert ("inmemory://", f"model-{view.digest[:16]}", "sha256-pickle") == (
        view.namespace,
        view.name,
        view.digest_algorithm,
    )
    assert view.digest == again.digest == model.look(copy.deepcopy(fitted)).digest
    assert view.digest != model.look(fitted.set_params(logisticregression__C=2)).digest


def test_what_cannot_be_pickled_has_no_digest():
    """An object that refuses to be pickled, or is too large, has no digest and is described all the same."""
    assert None is model.look(lambda: 1).digest
    assert None is model.save_digest(np.zeros(1000), limit=1000)
    knot = []
    knot.append(knot)
    assert 64 == len(model.look(knot).digest)
    assert (64, True) == (len(model.save_digest(np.zeros(10))[0]), model.save_digest(np.zeros(10))[1] > 80)


@pytest.mark.parametrize(
    ("estimator", "count", "task"),
    [
        (RandomForestRegressor(3, max_depth=1, random_state=0), 9, "regression"),
        (MLPClassifier((2,), max_iter=1), 1 * 2 + 2 + 2 * 1 + 1, "classification"),
        (KMeans(2, n_init=1), 2, "clustering"),
        (GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2), 2, "classification"),
    ],
    ids=lambda each: type(each).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fitted_numbers_are_counted(estimator, count, task):
    """Coefficients, centres and nodes of trees are counted, through ensembles and searches."""
    estimator.fit(np.arange(12.0).reshape(-1, 1), [0, 1] * 6)
    view = model.look(estimator)
    assert (count, task) == (view.parameter_count, view.task)
    assert ({"name": "X", "shape": [-1, 1]},) == view.inputs


def test_an_unfitted_estimator_has_little_to_say():
    """What is not fitted yet has a class, and neither size nor signature."""
    view = model.look(LogisticRegression())
    assert ("sklearn.linear_model.LogisticRegression", None, ()) == (
        view.algorithm,
        view.parameter_count,
        view.inputs,
    )


@pytest.mark.parametrize("compress", [0, 3])
def test_a_pickle_tells_its_class_without_being_loaded(fitted, tmp_path, compress):
    """A joblib or pickle file's framework and class are read off its opcodes."""
    joblib.dump(fitted, tmp_path / "m.joblib", compress=compress)
    view = model.look(tmp_path / "m.joblib")
    assert ("file", str(tmp_path / "m.joblib"), "joblib", "sklearn", "sklearn.pipeline.Pipeline") == (
        view.namespace,
        view.name,
        view.format,
        view.framework,
        view.algorithm,
    )
    assert ("sha256", data.look(tmp_path / "m.joblib").fingerprint.digest) == (
        view.digest_algorithm,
        view.digest,
    )


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_a_hostile_pickle_is_not_run(tmp_path, monkeypatch):
    """Looking at a pickle runs nothing of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Trap()))
    assert "posix.mkdir" == model.look("m.pkl").algorithm
    assert not (tmp_path / "sprung").exists()


def test_a_file_that_this_process_saved_is_known(fitted, tmp_path):
    """What was said to be saved in a file is known when the file is looked at, until it changes."""
    path = tmp_path / "m.joblib"
    joblib.dump(fitted, path)
    model.saved(fitted, path)
    view = model.look(path)
    assert ("sklearn.linear_model.LogisticRegression", 3, "joblib", str(path)) == (
        view.algorithm,
        view.parameter_count,
        view.format,
        view.name,
    )
    path.write_bytes(b"something else")
    assert (None, None) == (model.look(path).algorithm, model.look(path).parameter_count)


SAFETENSORS = struct.pack("<Q", 2) + b'{"}'
FILES = {
    "m.onnx": (b"\x08\x07", "onnx", "onnx"),
    "m.safetensors": (SAFETENSORS + b" " * 9, "safetensors", None),
    "m.bin": (b"GGUF\x03", "gguf", None),
    "m.cbm": (b"CBM1", "catboost", "catboost"),
    "m.txt": (b"tree\nversion=v4\n", "lightgbm-text", "lightgbm"),
    "m.json": (b'{"learner":{}}', "xgboost-json", "xgboost"),
    "m.pt": (b"PK\x03\x04", "torch", "torch"),
    "m.keras": (b"PK\x03\x04", "keras", "keras"),
    "odd.zz": (zlib.compress(b"no pickle"), None, None),
    "plain": (b"", None, None),
}


@pytest.mark.parametrize("name", FILES)
def test_formats_are_told_by_name_and_first_bytes(tmp_path, name):
    """Each known format is told by its magic number or its suffix; an unknown file is just a file."""
    content, form, framework = FILES[name]
    (tmp_path / name).write_bytes(content)
    view = model.look(str(tmp_path / name))
    assert (form, framework, len(content)) == (view.format, view.framework, view.size_bytes)


def test_a_model_of_mlflow_is_the_same_after_it_was_loaded(tmp_path):
    """The file that MLflow puts into a folder when it loads a version by its name is not of the model."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    mark = folder / "registered_model_meta"
    mark.write_text("model_name: churn")
    other = model.look(folder).digest
    (folder / "MLmodel").write_text("flavors: {}")
    before = model.look(folder)
    mark.write_text("model_name: churn\nmodel_version: '1'\n")
    assert (before.digest, 1) == (model.look(folder).digest, len(before.files))
    mark.unlink()
    assert (before.digest, before.size_bytes) == (model.look(folder).digest, model.look(folder).size_bytes)
    assert other not in {None, model.look(folder).digest}


def test_a_dataset_of_hugging_face_is_the_same_after_it_was_mapped(tmp_path):
    """What `map` and `filter` leave in the folder that a dataset was loaded from is no part of it."""
    (folder := tmp_path / "reviews" / "train").mkdir(parents=True)
    (folder / "state.json").write_text("{}")
    (folder / "data-00000-of-00001.arrow").write_bytes(b"rows")
    before = [data.look(place).fingerprint.digest for place in (folder, folder.parent)]
    (folder / "cache-0a1b2c.arrow").write_bytes(b"tokens")
    assert before == [data.look(place).fingerprint.digest for place in (folder, folder.parent)]
    (folder / "data-00000-of-00001.arrow").write_bytes(b"other")
    assert before[0] != data.look(folder).fingerprint.digest
    (folder / "state.json").unlink()
    (without := tmp_path / "cached").mkdir()
    (without / "cache-0a1b2c.arrow").write_bytes(b"rows")
    assert 4 == data.look(without).size_bytes


def test_a_folder_is_a_model_of_many_files(tmp_path):
    """A model folder has the digest of its tree, its files, at most 200 of them, and its format."""
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({}))
    for number in range(250):
        (folder / f"{number:03}.bin").write_text(str(number))
    view = model.look(folder)
    assert ("sha256-tree", 200, "transformers") == (view.digest_algorithm, len(view.files), view.format)
    assert data.look(folder).fingerprint.digest == view.digest


def spark_folder(path, java):
    """A line of JSON, as Spark's writer leaves it."""
    (path / "metadata").mkdir(parents=True)
    (path / "metadata" / "part-00000-ab-c000.txt").write_text(json.dumps({"class": java}) + "\n")


def test_a_folder_of_spark_tells_what_predicts(tmp_path):
    """Of a search the pipeline that it found, of that the step that predicts, though others follow it."""
    found = tmp_path / "m" / "bestModel"
    spark_folder(tmp_path / "m", "org.apache.spark.ml.tuning.CrossValidatorModel")
    spark_folder(found, "org.apache.spark.ml.PipelineModel")
    spark_folder(found / "stages" / "2_IndexToString_ab", "org.apache.spark.ml.feature.IndexToString")
    spark_folder(found / "stages" / "10_Pipeline_cd", "org.apache.spark.ml.PipelineModel")
    forest = "org.apache.spark.ml.classification.RandomForestClassificationModel"
    spark_folder(found / "stages" / "10_Pipeline_cd" / "stages" / "0_RF_ef", forest)
    spark_folder(found / "stages" / "11_IndexToString_gh", "org.apache.spark.ml.feature.IndexToString")
    view = model.look(tmp_path / "m")
    assert ("spark-ml", "pyspark") == (view.format, view.framework)
    assert "pyspark.ml.classification.RandomForestClassificationModel" == view.algorithm


@pytest.mark.parametrize("text", ["", "no json", "[1]", '{"class": 7}', "{}"])
def test_a_folder_that_only_looks_like_spark_s(tmp_path, text):
    """What is no line of Spark's makes no model of Spark."""
    (tmp_path / "m" / "metadata").mkdir(parents=True)
    (tmp_path / "m" / "metadata" / "part-00000").write_text(text)
    view = model.look(tmp_path / "m")
    assert (None, None) == (view.format, view.framework)


def test_what_is_elsewhere_is_only_named(tmp_path):
    """A remote URI and a missing file have names and no digest."""
    assert ("s3://bucket", "m.onnx", None) == names(model.look("s3://key:secret@bucket/m.onnx"))
    assert ("file", str(tmp_path / "m.onnx"), None) == names(model.look(tmp_path / "m.onnx"))


def names(view):
    return view.namespace, view.name, view.digest


def test_given_names_stand(fitted):
    """A given name and namespace stand over what is seen; a view passes through."""
    view = model.look(fitted, name="churn", namespace="lab")
    assert ("lab", "churn") == (view.namespace, view.name)
    assert view == model.look(view)


def test_odd_objects_are_models_too():
    """Anything at all gets a view; nothing raises."""
    for odd in (None, 3, object(), [], "", print, sys):
        assert isinstance(model.look(odd), model.ModelView)


class Shy:
    """What cannot be pickled, and counts how often somebody tries."""

    asked = 0

    def __getstate__(self):
        type(self).asked += 1
        raise RuntimeError("not me")


def test_a_model_that_cannot_be_pickled_is_asked_once():
    """What a model does when it is pickled, it does once."""
    Shy.asked = 0
    assert (None, 1) == (model.save_digest(Shy()), Shy.asked)
