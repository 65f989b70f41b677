"""Trained modules of PyTorch that go to files of safetensors and ONNX."""

import hashlib
import io
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from told import edges, facet

import modeltrail
from modeltrail.observe import alike

pytestmark = pytest.mark.torch


@pytest.fixture
def torch(monkeypatch, tmp_path):
    import torch
    import torch.utils.data

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(alike, "_looked", {})
    values = np.random.default_rng(0).normal(size=(40, 4))
    pd.DataFrame(values, columns=list("abcy")).to_csv("x.csv", index=False)
    return torch


@pytest.fixture
def train(torch):
    """`train(model)`: a short loop on a file."""

    def loop(model):
        frame = pd.read_csv("x.csv")
        table = [torch.tensor(frame[names].to_numpy()).float() for names in (list("abc"), ["y"])]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for features, labels in torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*table), 10):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(features), labels).backward()
            optimizer.step()
        return model

    return loop


@pytest.fixture
def made(torch):
    """`made()`: a module of 101 parameters."""

    def make():
        return torch.nn.Sequential(torch.nn.Linear(3, 20), torch.nn.ReLU(), torch.nn.Linear(20, 1))

    return make


@pytest.fixture
def trained(train, made):
    """`trained()`: one that was trained."""
    return lambda: train(made())


def save_state(module, path):
    import safetensors.torch

    safetensors.torch.save_file(module.state_dict(), path)


def save_module(module, path):
    import safetensors.torch

    safetensors.torch.save_model(module, path)


def save_copies(module, path):
    import safetensors.torch

    safetensors.torch.save_file({name: each.clone() for name, each in module.state_dict().items()}, path)


def save_arrays(module, path):
    import safetensors.numpy

    safetensors.numpy.save_file({name: each.numpy() for name, each in module.state_dict().items()}, path)


def save_by_path(module, path):
    import safetensors.torch

    safetensors.torch.save_file(module.state_dict(), Path(path))


def test_an_averaged_state_is_of_the_training_that_it_is_an_average_of(autolog, told, torch, train, made):
    """With the count of what was averaged or without it, and so is the model that this went on from."""
    torch.save(made().state_dict(), "base.pt")
    autolog()
    with modeltrail.run("train"):
        module = made()
        module.load_state_dict(torch.load("base.pt"))
        average = torch.optim.swa_utils.AveragedModel(module)
        average.update_parameters(module)
        average.update_parameters(train(module))
        torch.save(module.state_dict(), "last.pt")
        torch.save(average.state_dict(), "average.pt")
        torch.save(average.module.state_dict(), "without.pt")
    found = edges(told()[-1])
    assert {"x.csv", "train", "base.pt"} == found["last.pt"] == found["without.pt"] == found["average.pt"]


ways = pytest.mark.parametrize("save", [save_state, save_module, save_copies, save_arrays, save_by_path])


@ways
@pytest.mark.parametrize("is_within", [True, False], ids=["run", "script"])
def test_a_file_is_of_the_trained_module(save, is_within, autolog, told, trained):
    """Digest and format are the file's; class, data and training the module's, with a run and without."""
    autolog()
    if is_within:
        with modeltrail.run("train"):
            save(trained(), "m.safetensors")
    else:
        save(trained(), "m.safetensors")
    (event,) = told()
    (made,) = event["outputs"]
    assert str(Path("m.safetensors").absolute()) == made["name"]
    digest = hashlib.sha256(Path("m.safetensors").read_bytes()).hexdigest()
    assert digest == made["outputFacets"]["modelTrail_modelArtifact"]["digest"]
    seen = made["facets"]["modelTrail_model"]
    assert ("torch", "safetensors") == (seen["framework"], seen["format"])
    assert 101 == seen["parameterCount"]
    assert "torch.nn.modules.container.Sequential" == facet(event, "training")["algorithm"]
    assert "x.csv" in edges(event)["m.safetensors"]


def test_an_evaluation_is_of_the_file(autolog, told, trained):
    """Who judges the module in memory judges the file that it went to."""
    autolog()
    with modeltrail.run("train") as run:
        net = trained()
        save_state(net, "m.safetensors")
        run.evaluate(net, pd.read_csv("x.csv"), {"mse": 0.5})
    (judged,) = [event for event in told() if event["job"]["name"].endswith(".evaluate")]
    assert "m.safetensors" in {Path(each["name"]).name for each in judged["inputs"]}


def test_tensors_of_no_known_module(autolog, told, events, made, torch):
    """Some module's state, and a module, are models; other tensors are data; neither outside of a run."""
    autolog()
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3)}, "before.safetensors")
    assert [] == events
    with modeltrail.run("save"):
        save_file({"a": torch.zeros(3)}, "data.safetensors")
        save_state(made(), "state.safetensors")
        save_module(torch.nn.Linear(2, 1), "module.safetensors")
    (event,) = told()
    seen = {Path(each["name"]).stem: each["facets"] for each in event["outputs"]}
    models = {name for name, facets in seen.items() if "datasetType" in facets}
    assert ({"data", "state", "module"}, {"state", "module"}) == (seen.keys(), models)
    assert 3 == seen["module"]["modelTrail_model"]["parameterCount"]


@pytest.mark.parametrize("way", ["file", "model"])
def test_what_was_loaded_is_the_base(way, autolog, told, train, made):
    """A file that a module was loaded from is an input of its next training, and its base."""
    save_state(made(), "base.safetensors")
    autolog()
    from safetensors.torch import load_file, load_model

    with modeltrail.run("tune"):
        other = made()
        if way == "file":
            other.load_state_dict(load_file("base.safetensors"))
        else:
            load_model(other, "base.safetensors")
        save_module(train(other), "tuned.safetensors")
    (event,) = told()
    assert "base.safetensors" in facet(event, "training")["baseModel"]["name"]
    assert {"base.safetensors", "x.csv"} <= edges(event)["tuned.safetensors"]
    (base,) = (each for each in event["inputs"] if each["name"].endswith("base.safetensors"))
    assert "followed" not in base["inputFacets"]["modelTrail_dataUse"]


@pytest.mark.parametrize("way", ["state", "module", "pickle"])
def test_nobody_sees_what_becomes_of_a_module_that_was_loaded(way, autolog, told, train, made):
    """A loaded module that is not gone on with may have taught what was trained beside it."""
    import torch

    load = {
        "state": lambda: made().load_state_dict(torch.load("teacher")),
        "module": lambda: torch.load("teacher", weights_only=False),
        "pickle": lambda: joblib.load("teacher"),
    }[way]
    teacher = made()
    save = joblib.dump if way == "pickle" else torch.save
    save(teacher.state_dict() if way == "state" else teacher, "teacher")
    autolog()
    with modeltrail.run("distil"):
        load()
        torch.save(train(made()), "student")
    (event,) = told()
    assert {"x.csv"} <= edges(event)["student"]
    assert "teacher" not in edges(event)["student"]
    (loaded,) = (each for each in event["inputs"] if each["name"].endswith("teacher"))
    use = loaded["inputFacets"]["modelTrail_dataUse"]
    assert ("other", False) == (use["role"], use["followed"])


def test_what_a_library_saves_is_told_once(autolog, told, tmp_path):
    """The files that transformers writes into a folder are no models of their own."""
    from transformers import BertConfig, BertModel

    autolog()
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    with modeltrail.run("save"):
        BertModel(BertConfig(vocab_size=20, **small)).save_pretrained(tmp_path / "folder")
        assert (tmp_path / "folder/model.safetensors").exists()
        BertModel.from_pretrained(tmp_path / "folder")
    (event,) = told()
    assert ["folder"] == [Path(each["name"]).name for each in event["outputs"]]
    assert {"folder"} >= {Path(each["name"]).name for each in event["inputs"]}


def test_a_module_next_to_other_tensors_is_found(autolog, told, trained, torch):
    """A checkpoint that also holds a tensor of its own still holds the state of the module."""
    autolog()
    with modeltrail.run("train"):
        module = trained()
        torch.save({"model": module.state_dict(), "best": torch.zeros(1)}, "m.pt")
    (event,) = told()
    assert 101 == event["outputs"][0]["facets"]["modelTrail_model"]["parameterCount"]


def exported(module, *path):
    import torch

    inputs = (torch.zeros(1, 3),)
    return torch.onnx.export(module.eval(), inputs, *path, input_names=["x"], verbose=False, dynamo=True)


def as_file(module):
    exported(module, "m.onnx")


def as_program(module):
    exported(module).save("m.onnx")


def as_graph(module):
    import onnx

    onnx.save(exported(module).model_proto, "m.onnx")


def as_compiled(module):
    import torch

    exported(torch.compile(module, backend="eager"), "m.onnx")


@pytest.mark.parametrize("export", [as_file, as_program, as_graph, as_compiled])
@pytest.mark.parametrize("is_within", [True, False], ids=["run", "script"])
def test_an_export_is_of_the_trained_module(export, is_within, autolog, told, trained):
    """Digest, format and signature are the graph's; class, data and training the module's."""
    autolog()
    if is_within:
        with modeltrail.run("train"):
            export(trained())
    else:
        export(trained())
    (event,) = told()
    (made,) = [each for each in event["outputs"] if each["name"].endswith(".onnx")]
    assert str(Path("m.onnx").absolute()) == made["name"]
    digest = hashlib.sha256(Path("m.onnx").read_bytes()).hexdigest()
    assert digest == made["outputFacets"]["modelTrail_modelArtifact"]["digest"]
    seen = made["facets"]["modelTrail_model"]
    assert ("torch", "onnx", "onnx") == tuple(seen[key] for key in ("framework", "flavor", "format"))
    assert [{"name": "x", "type": "tensor(float)", "shape": [1, 3]}] == seen["signature"]["inputs"]
    assert [[1, 1]] == [each["shape"] for each in seen["signature"]["outputs"]]
    assert "torch.nn.modules.container.Sequential" == facet(event, "training")["algorithm"]
    assert "x.csv" in edges(event)["m.onnx"]


def test_weights_beside_a_graph_are_told_too(autolog, told, torch):
    """By default they lie in a file of their own, of which the graph's digest knows nothing."""
    autolog()
    wide = torch.nn.Linear(3, 400).eval()
    inputs = (torch.zeros(1, 3),)
    with modeltrail.run("export"):
        torch.onnx.export(wide, inputs, "m.onnx", verbose=False, dynamo=True)
    with modeltrail.run("again"):
        torch.onnx.export(wide, inputs, "m.onnx", external_data=False, verbose=False, dynamo=True)
    first, again = told()
    names = [{Path(each["name"]).name for each in event["outputs"]} for event in (first, again)]
    assert [{"m.onnx", "m.onnx.data"}, {"m.onnx"}] == names
    (weights,) = [each for each in first["outputs"] if each["name"].endswith(".data")]
    digest = hashlib.sha256(Path("m.onnx.data").read_bytes()).hexdigest()
    assert digest == weights["facets"]["version"]["datasetVersion"]


def test_weights_beside_a_graph_came_of_what_the_module_learned_from(autolog, told, train, torch):
    """And not of what went through it afterwards, nor of what the run only read."""
    autolog()
    with modeltrail.run("train"):
        module = train(torch.nn.Sequential(torch.nn.Linear(3, 400), torch.nn.Linear(400, 1))).eval()
        judged = torch.utils.data.TensorDataset(torch.rand(8, 3))
        with torch.no_grad():
            for (features,) in torch.utils.data.DataLoader(judged):
                module(features)
        torch.onnx.export(module, (torch.zeros(1, 3),), "m.onnx", verbose=False, dynamo=True)
    found = edges(told()[0])
    assert found["m.onnx.data"] == found["m.onnx"]


def test_an_exported_program_is_of_its_module(autolog, told, trained, torch):
    """What `torch.export` traced has the state of the module; sizes that vary are -1."""
    autolog()
    with modeltrail.run("train"):
        module = trained().eval()
        several = ({0: torch.export.Dim("rows")},)
        traced = torch.export.export(module, (torch.zeros(2, 3),), dynamic_shapes=several)
        torch.onnx.export(traced, (), "m.onnx", verbose=False, dynamo=True)
    (event,) = told()
    (made,) = [each["facets"]["modelTrail_model"] for each in event["outputs"] if each["name"][-1] == "x"]
    assert ([-1, 3], 101) == (made["signature"]["inputs"][0]["shape"], made["parameterCount"])


def test_exports_that_leave_no_file_tell_nothing(autolog, told, made):
    """A program that is not saved, one that goes to memory, and an export that fails."""
    autolog()
    with modeltrail.run("export"):
        program = exported(made())
        program.save(io.BytesIO())
        with pytest.raises(FileNotFoundError):
            program.save("nowhere/m.onnx")
    (event,) = told()
    assert [] == event["outputs"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_old_exporter_is_seen_too(autolog, told, trained, torch):
    """It makes no program: the file is the module's, and its signature is not known."""
    autolog()
    with modeltrail.run("train"):
        torch.onnx.export(trained().eval(), (torch.zeros(1, 3),), "m.onnx", dynamo=False)
    (event,) = told()
    made = event["outputs"][0]["facets"]["modelTrail_model"]
    assert ("onnx", 101) == (made["format"], made["parameterCount"])
    assert "signature" not in made
