"""ONNX files: saved models are known as what they were made of."""

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import onnx
import pytest
import skl2onnx
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from told import edges, facet

import modeltrail
from modeltrail.integrations import _patch

X = np.random.default_rng(1).random((40, 3), dtype="float32")
Y = (X[:, 0] > 0.5).astype(int)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def saved(event):
    """(name, facets) of the one output that is a file."""
    (found,) = [each for each in event["outputs"] if each["name"].endswith(".onnx")]
    return found


def test_a_saved_model_is_what_it_was_made_of(autolog, told, tmp_path):
    """Digest, format and the graph's signature are the file's; algorithm, data and lineage the training's."""
    autolog("sklearn", "onnx", "skl2onnx")
    with modeltrail.run("train"):
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
        onnx.save(skl2onnx.to_onnx(model, X[:1]), "model.onnx")
    (event,) = told()
    made = saved(event)
    path = tmp_path / "model.onnx"
    assert str(path) == made["name"]
    artifact = made["outputFacets"]["modelTrail_modelArtifact"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == artifact["digest"]
    seen = made["facets"]["modelTrail_model"]
    assert ("sklearn", "onnx", "onnx") == tuple(seen[key] for key in ("framework", "flavor", "format"))
    assert [{"name": "X", "type": "tensor(float)", "shape": [-1, 3]}] == seen["signature"]["inputs"]
    outputs = [(each["name"], each["type"]) for each in seen["signature"]["outputs"]]
    assert [("output_label", "tensor(int64)"), ("output_probability", "sequence")] == outputs
    assert "sklearn.linear_model.LogisticRegression" == facet(event, "training")["algorithm"]
    assert {"train"} == edges(event)["model.onnx"]


def test_what_the_fitted_model_scores_is_of_its_graph_too(autolog, told):
    """An export and a pickle of one fit have the same evaluation, whichever is saved first."""
    autolog("sklearn", "onnx", "skl2onnx")
    with modeltrail.run("train"):
        model = LogisticRegression().fit(X, Y)
        onnx.save(skl2onnx.to_onnx(model, X[:1]), "model.onnx")
        joblib.dump(model, "model.joblib")
        model.score(X, Y)
    judged, _ = told()
    found = [each for each in judged["inputs"] if "modelTrail_evaluation" in each["inputFacets"]]
    assert ["model.joblib", "model.onnx"] == sorted(Path(each["name"]).name for each in found)


@pytest.mark.parametrize("way", ["convert", "described", "file"])
def test_a_model_is_known_by_its_graph(way, autolog, told):
    """However it was converted, whatever was written beside the graph, and to whichever kind of file."""
    autolog("sklearn", "onnx", "skl2onnx")
    model = LogisticRegression().fit(X, Y)
    if way == "convert":
        kinds = [("X", skl2onnx.common.data_types.FloatTensorType([None, 3]))]
        made = skl2onnx.convert_sklearn(model, initial_types=kinds)
    else:
        made = skl2onnx.to_onnx(model, X[:1])
    if way == "described":
        made.doc_string = "for the shop"
    if way == "file":
        with Path("model.onnx").open("wb") as file:
            onnx.save_model(made, file)
    else:
        onnx.save_model(made, "model.onnx")
    trained, event = told()
    assert event["job"]["name"].endswith(".save")
    (source, *data), (learned,) = event["inputs"], trained["outputs"]
    assert data == trained["inputs"]
    assert (learned["namespace"], learned["name"]) == (source["namespace"], source["name"])
    assert learned["facets"]["version"] == source["facets"]["version"]
    assert {learned["name"], *(each["name"].rpartition("/")[2] for each in data)} == edges(event)[
        "model.onnx"
    ]


def test_a_model_that_another_process_trained_is_the_same(autolog, told):
    """What was fitted elsewhere, and came here as a pickle, has the same name in memory."""
    autolog("sklearn", "onnx", "skl2onnx")
    model = LogisticRegression().fit(X, Y)
    copy = pickle.loads(pickle.dumps(model))
    del model
    onnx.save(skl2onnx.to_onnx(copy, X[:1]), "model.onnx")
    trained, event = told()
    assert [each["name"] for each in trained["outputs"]] == [each["name"] for each in event["inputs"]]


def test_a_model_of_unknown_origin_is_told_as_such(autolog, told):
    """A graph that nobody converted, or that was changed since, is an output, and of no estimator."""
    autolog("onnx", "skl2onnx")
    made = skl2onnx.to_onnx(LogisticRegression().fit(X, Y), X[:1])
    made.graph.node[0].name = "changed"
    onnx.save(made, "model.onnx")
    (event,) = told()
    assert [] == event["inputs"]
    assert "onnx" == saved(event)["facets"]["modelTrail_model"]["framework"]


def test_skl2onnx_that_imports_onnx_is_connected_too(tmp_path):
    """Also where `autolog` comes first, and skl2onnx is half imported when onnx is connected."""
    code = (
        "import modeltrail; modeltrail.autolog(strict=True); import skl2onnx\n"
        "from modeltrail.integrations import _patch\n"
        "assert _patch.is_active('onnx') and _patch.is_active('skl2onnx')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_bytes_that_the_program_writes_are_not_seen(autolog, events, tmp_path):
    """`write(SerializeToString())` is no call of onnx; who says `output_model(of=)` tells it all."""
    autolog("onnx", "skl2onnx")
    model = LogisticRegression().fit(X, Y)
    path = tmp_path / "model.onnx"
    path.write_bytes(skl2onnx.to_onnx(model, X[:1]).SerializeToString())
    assert [] == events
    with modeltrail.run("export") as run:
        run.output_model(path, of=model)
    seen = saved(events[-1])["facets"]["modelTrail_model"]
    assert ("sklearn", "onnx") == (seen["framework"], seen["format"])


def test_errors_are_the_hosts_and_tell_nothing(autolog, events):
    """A save and a conversion that fail fail as ever."""
    autolog("onnx", "skl2onnx")
    assert _patch.is_active("skl2onnx")
    with pytest.raises(FileNotFoundError):
        onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [])), "nowhere/model.onnx")
    with pytest.raises(skl2onnx.common.exceptions.MissingShapeCalculator):
        skl2onnx.to_onnx(object(), X[:1])
    assert [] == events
