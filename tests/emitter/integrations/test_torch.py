"""Training loops of PyTorch: what its hooks, loaders and files say of them."""

import contextvars
import copy
import gc
import itertools
import pickle
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from told import edges, facet, files, known, metrics, uses

import modeltrail
from modeltrail import guard, integrations
from modeltrail.integrations import _calls
from modeltrail.integrations import _training as training
from modeltrail.observe import alike

pytestmark = pytest.mark.torch


@pytest.fixture
def torch(monkeypatch):
    import torch
    import torch.utils.data

    monkeypatch.setattr(alike, "_looked", {})
    before = torch.get_rng_state()
    yield torch
    torch.set_rng_state(before)


@pytest.fixture
def net(torch):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = torch.nn.Linear(3, 4)
            self.head = torch.nn.Linear(4, 1)

        def forward(self, features):
            return self.head(torch.relu(self.body(features)))

    return Net


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).normal(size=(60, 4))
    pd.DataFrame(values, columns=list("abcy")).to_csv("x.csv", index=False)
    return "x.csv"


@pytest.fixture
def rows(torch, table):
    """`rows()`: the file as a dataset, in a split of 40 and 20 rows."""

    def read():
        frame = pd.read_csv(table)
        whole = torch.utils.data.TensorDataset(
            torch.tensor(frame[list("abc")].to_numpy(), dtype=torch.float32),
            torch.tensor(frame["y"].to_numpy()).float().unsqueeze(1),
        )
        seed = torch.Generator().manual_seed(7)
        return torch.utils.data.random_split(whole, [40, 20], generator=seed)

    return read


@pytest.fixture
def fit(torch):
    """`fit(model, optimizer, loader, epochs)`: a loop as everybody writes it; the losses of its steps."""

    def train(model, optimizer, loader, epochs=2, judge=None):
        losses = []
        for _ in range(epochs):
            for features, labels in loader:
                optimizer.zero_grad()
                loss = torch.nn.functional.mse_loss(model(features), labels)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            if judge is not None:
                with torch.no_grad():
                    for features, _ in judge:
                        model(features)
        return losses

    return train


@pytest.fixture
def loop(torch, net, rows, fit):
    """All that a loop is made of."""
    return torch, net, rows, fit


def loader(torch, data, **how):
    return torch.utils.data.DataLoader(data, **{"batch_size": 10, **how})


def params(event):
    return {(each["component"], each["name"]): each for each in facet(event, "hyperparameters")["params"]}


def test_a_training_in_a_run(autolog, told, loop):
    """The run has what was learned from and validated on, settings, steps, epochs, losses and the file."""
    torch, net, rows, fit = loop
    autolog()
    torch.manual_seed(5)
    with modeltrail.run("train"):
        train, kept = rows()
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        losses = fit(model, optimizer, loader(torch, train, shuffle=True), 3, loader(torch, kept))
        torch.save(model.state_dict(), "m.pt")
    (event,) = told()
    used = uses(event)
    by_name = {Path(name).name: use for name, use in used.items()}
    assert {"x.csv": "train", "train": "train", "validation": "validation"} == {
        name: use["role"] for name, use in by_name.items()
    }
    split = by_name["train"]["split"]
    assert ("random", 7, 0.666667) == (split["strategy"], split["seed"], split["fraction"])
    assert (40, 20) == tuple(by_name[name]["fingerprint"]["rows"] for name in ("train", "validation"))
    training = facet(event, "training")
    assert ("torch", torch.__version__, 12, 3) == tuple(
        training[key] for key in ("framework", "frameworkVersion", "steps", "epochs")
    )
    assert (5, False) == (training["seeds"]["framework"], training["deterministic"])
    assert training["algorithm"].endswith("Net")
    assert training["wallTimeMs"] >= 0
    found = params(event)
    assert (0.05, "explicit") == tuple(found["SGD", "lr"][key] for key in ("value", "origin"))
    assert (0, "default") == tuple(found["SGD", "momentum"][key] for key in ("value", "origin"))
    assert (10, "explicit") == tuple(found["DataLoader", "batch_size"][key] for key in ("value", "origin"))
    assert (True, "explicit") == tuple(found["DataLoader", "shuffle"][key] for key in ("value", "origin"))
    last = metrics(event)["loss"]
    assert (12, "train", pytest.approx(sum(losses[8:]) / 4)) == (last["step"], last["split"], last["value"])
    (chunk,) = (facet(each, "metricSeries")["points"] for each in told("RUNNING"))
    assert [4, 8, 12] == [each["step"] for each in chunk]
    (output,) = event["outputs"]
    described = output["facets"]["modelTrail_model"]
    assert ("torch", "torch", 21) == tuple(
        described[key] for key in ("framework", "format", "parameterCount")
    )
    assert {"x.csv", "train", "validation"} == edges(event)["m.pt"]


def test_a_training_without_a_run_is_told_when_it_is_saved(autolog, told, events, loop):
    """Nothing is told before; the save is a run of type TRAIN with all that was seen, from file to file."""
    torch, net, rows, fit = loop
    autolog()
    train, kept = rows()
    model = net()
    fit(model, torch.optim.Adam(model.parameters()), loader(torch, train), 2, loader(torch, kept))
    assert [] == events
    torch.save({"epoch": 2, "model": model.state_dict()}, "m.pt")
    (event,) = told()
    assert event["job"]["name"].endswith(".Net")
    assert "TRAIN" == event["job"]["facets"]["jobType"]["jobType"]
    assert (8, 2) == (facet(event, "training")["steps"], facet(event, "training")["epochs"])
    assert "x.csv" in edges(event)["m.pt"]
    torch.save(model.state_dict(), "again.pt")
    assert 2 == len(told())
    assert metrics(told()[0])["loss"]["value"] == metrics(told()[1])["loss"]["value"]


def test_a_split_of_a_split_tells_both(autolog, told, loop):
    """Of some rows drawn from rows that were drawn from all each choice is told, in order."""
    torch, net, rows, fit = loop
    autolog()
    with modeltrail.run("train"):
        rest, _ = rows()
        seed = torch.Generator().manual_seed(8)
        train, _ = torch.utils.data.random_split(rest, [30, 10], generator=seed)
        few = torch.utils.data.Subset(train, range(15))
        model = net()
        fit(model, torch.optim.SGD(model.parameters()), loader(torch, few), 1)
    (split,) = [use["split"] for name, use in uses(told()[-1]).items() if Path(name).name == "train"]
    assert ("sequential", 0.5) == (split["strategy"], split["fraction"])
    assert [
        {"strategy": "random", "fraction": 0.666667, "seed": 7},
        {"strategy": "random", "fraction": 0.75, "seed": 8},
    ] == split["earlier"]


def test_a_loader_gone_through_with_no_grad_inside_is_validation_too(autolog, told, loop):
    """Many say `no_grad` once they have the batch; a loss that goes back without a step judges nothing."""
    torch, net, rows, _ = loop
    autolog()
    with modeltrail.run("train"):
        train, kept = rows()
        model, test = net(), torch.utils.data.TensorDataset(torch.rand(6, 3), torch.rand(6, 1))
        optimizer = torch.optim.SGD(model.parameters())
        more = torch.utils.data.TensorDataset(torch.rand(8, 3), torch.rand(8, 1))
        for _ in range(2):
            for several in (more, train):
                for features, labels in loader(torch, several):
                    (model(features) - labels).square().mean().backward()
                    if several is train:
                        optimizer.step()
            for features, _ in loader(torch, kept):
                with torch.no_grad():
                    model(features)
        for features, _ in loader(torch, test):
            with torch.no_grad():
                model(features)
        torch.save(model.state_dict(), "m.pt")
    found = {use["fingerprint"]["rows"]: use["role"] for use in uses(told()[0]).values()}
    assert {40: "train", 20: "validation", 6: "inference"}.items() <= found.items()
    assert "validation" != found.get(8)


def test_what_is_judged_after_the_training_is_no_validation(autolog, told, loop):
    """A loader that is gone through at the end has the role `inference`, and no line leads from it."""
    torch, net, rows, fit = loop
    autolog()
    with modeltrail.run("train") as run:
        train, kept = rows()
        model = net()
        test = loader(torch, kept)
        fit(model, torch.optim.SGD(model.parameters()), loader(torch, train), 1, test)
        torch.save(model.state_dict(), "m.pt")
        run.evaluate(model, test, {"mse": 0.5})
    judged, event = told()
    (name,) = [name for name, use in uses(event).items() if use["role"] == "inference"]
    assert {"x.csv", "train"} == edges(event)["m.pt"]
    used = {each["name"]: each["inputFacets"] for each in judged["inputs"]}
    assert "test" == used[name]["modelTrail_dataUse"]["role"]
    assert 7 == used[name]["modelTrail_dataUse"]["split"]["seed"]
    assert {event["outputs"][0]["name"]} == {
        name for name, facets in used.items() if "modelTrail_evaluation" in facets
    }


def test_a_part_of_a_pass_is_no_epoch(autolog, told, loop):
    """A pass that was left early has steps and no epoch; one through a stream counts when the next begins."""
    torch, net, rows, fit = loop

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter([(torch.ones(3), torch.ones(1))] * 20)

    autolog("torch")
    with modeltrail.run("early"):
        model = net()
        optimizer = torch.optim.SGD(model.parameters())
        batches = iter(loader(torch, rows()[0]))
        fit(model, optimizer, [next(batches), next(batches)], 1)
    with modeltrail.run("stream"):
        model = net()
        fit(model, torch.optim.SGD(model.parameters()), loader(torch, Stream()), 3)
    early, stream = (facet(event, "training") for event in told())
    assert (2, None) == (early["steps"], early.get("epochs"))
    assert (6, 2) == (stream["steps"], stream["epochs"])


@pytest.mark.parametrize(("how", "steps"), [("zip", 4), ("cycle", 8), ("restart", 8), ("three", 4)])
def test_loaders_that_go_side_by_side_are_all_learned_from(autolog, told, loop, how, steps):
    """Of a step that takes batches of several loaders each has shaped the model; their passes count once."""
    torch, net, rows, _ = loop
    autolog("torch")
    big, small = rows()
    with modeltrail.run("train"):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        first, second = loader(torch, big), loader(torch, small)
        third = loader(torch, torch.utils.data.TensorDataset(torch.zeros(20, 3), torch.zeros(20, 1)))
        again = itertools.chain.from_iterable(itertools.repeat(second))
        endless = {"cycle": itertools.cycle(second), "restart": again}.get(how, second)
        others = [endless, third] if how == "three" else [endless]
        for _ in range(2):
            for several in zip(first, *others, strict=False):
                sum((model(each) - labels).square().mean() for each, labels in several).backward()
                optimizer.step()
        torch.save(model.state_dict(), "m.pt")
    (event,) = told()
    used = {use["fingerprint"]["rows"] for use in uses(event).values() if use["role"] == "train"}
    assert {40, 20} <= used
    assert {"train"} == {use["role"] for use in uses(event).values()}
    assert len(others) + 1 == len(edges(event)["m.pt"])
    training = facet(event, "training")
    assert (steps, 2) == (training["steps"], training["epochs"])
    assert (steps, 1) == tuple(metrics(event)["loss"][key] for key in ("step", "epoch"))


def test_what_is_judged_on_with_gradients_is_not_learned_from(autolog, told, loop):
    """Who forgets `no_grad`, or looks at a batch first, has not trained on that data."""
    torch, net, rows, fit = loop
    autolog("torch")
    train, kept = rows()
    with modeltrail.run("train"):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        judge = loader(torch, kept)
        next(iter(judge))
        for _ in range(3):
            fit(model, optimizer, loader(torch, train, batch_size=16), 1)
            [model(features) for features, _ in judge]
        torch.save(model.state_dict(), "m.pt")
    (event,) = told()
    assert {("train/train", "train", 40), ("train/validation", "validation", 20)} == {
        (name, use["role"], use["fingerprint"]["rows"]) for name, use in uses(event).items()
    }


def test_results_are_the_same_to_the_bit(autolog, loop):
    """Weights, losses and the generator after a training are what they are without modeltrail."""
    torch, net, rows, fit = loop

    def once():
        torch.manual_seed(1)
        train, kept = rows()
        model = net()
        losses = fit(
            model,
            torch.optim.Adam(model.parameters()),
            loader(torch, train, shuffle=True),
            3,
            loader(torch, kept),
        )
        return losses, [each.tolist() for each in model.parameters()], torch.rand(3).tolist()

    before = once()
    autolog()
    with modeltrail.run("train"):
        assert before == once()


def test_wrapped_modules_are_what_they_wrap(autolog, told, loop):
    """A compiled or parallel module, and one of which only a part is trained, is told as itself."""
    torch, net, rows, fit = loop
    autolog("torch")
    train, _ = rows()
    for name, wrap in (
        ("dp", torch.nn.DataParallel),
        ("c", lambda made: torch.compile(made, backend="eager")),
    ):
        with modeltrail.run(name):
            model = net()
            wrapped = wrap(model)
            fit(wrapped, torch.optim.SGD(wrapped.parameters()), loader(torch, train), 1)
            torch.save(wrapped.state_dict(), f"{name}.pt")
    with modeltrail.run("head"):
        model = net()
        fit(model, torch.optim.SGD(model.head.parameters()), loader(torch, train), 1)
        torch.save(model.state_dict(), "head.pt")
    with modeltrail.run("list"):
        model = net()
        fit(
            model, torch.optim.SGD([{"params": list(model.parameters()), "lr": 0.1}]), loader(torch, train), 1
        )
        torch.save(model.state_dict(), "list.pt")
    for event in told():
        assert facet(event, "training")["algorithm"].endswith(".Net")
        (output,) = event["outputs"]
        assert 21 == output["facets"]["modelTrail_model"]["parameterCount"]


def test_a_save_within_a_pass_does_not_end_it(autolog, told, loop):
    """Checkpoints within a pass, and a look at other data there, leave its loss and its epoch whole."""
    torch, net, rows, _ = loop
    autolog("torch")
    train, kept = rows()
    model = net()
    optimizer = torch.optim.SGD(model.parameters())
    losses = []
    for number, (features, labels) in enumerate(loader(torch, train)):
        loss = (model(features) - labels).square().mean()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            next(iter(loader(torch, kept)))
        optimizer.step()
        if number == 1:
            torch.save(model.state_dict(), "half.pt")
    torch.save(model.state_dict(), "m.pt")
    half, whole = told()
    assert (2, None) == (facet(half, "training")["steps"], facet(half, "training").get("epochs"))
    assert (4, 1) == (facet(whole, "training")["steps"], facet(whole, "training")["epochs"])
    assert pytest.approx(sum(losses) / 4) == metrics(whole)["loss"]["value"]
    assert {"train", "validation"} == {use["role"] for use in uses(whole).values()}


def test_two_models_are_two_trainings(autolog, told, loop):
    """Of models that are trained in turn each has its own steps and losses, also outside of a run."""
    torch, net, rows, _ = loop
    autolog("torch")
    first, second = net(), torch.nn.Linear(3, 1)
    one, two = torch.optim.SGD(first.parameters()), torch.optim.Adam(second.parameters())
    for features, labels in loader(torch, rows()[0]):
        for model, optimizer, times in ((first, one, 1), (second, two, 2)):
            for _ in range(times):
                (model(features) - labels).square().mean().backward()
                optimizer.step()
    torch.save(second.state_dict(), "second.pt")
    torch.save(first.state_dict(), "first.pt")
    linear, other = told()
    assert (8, 4) == (facet(linear, "training")["steps"], facet(other, "training")["steps"])
    assert {"Adam", "DataLoader"} == {component for component, _ in params(linear)}


@pytest.mark.parametrize("how", ["chain", "list", "groups"])
def test_modules_of_one_optimizer_are_one_model_in_parts(autolog, told, loop, how):
    """An encoder and a decoder, trained together and parts of nothing, have one training of both classes."""
    torch, net, rows, fit = loop
    autolog("torch")
    with modeltrail.run("train"):
        one, other = torch.nn.Linear(3, 3), net()
        several = [one.parameters(), other.parameters()]
        given = [{"params": each} for each in several] if how == "groups" else itertools.chain(*several)
        optimizer = torch.optim.SGD(list(given) if how == "list" else given, lr=0.01)
        fit(lambda features: other(one(features)), optimizer, loader(torch, rows()[0]))
        torch.save(one.state_dict(), "one.pt")
        torch.save(other.state_dict(), "other.pt")
        fit(other, torch.optim.Adam(other.parameters()), loader(torch, rows()[0]), 1)
    (event,) = told()
    training = facet(event, "training")
    assert ["Linear", "Net"] == [each.rpartition(".")[2] for each in training["algorithm"].split(" + ")]
    assert 12 == training["steps"]
    counts = {
        name: each["facets"]["modelTrail_model"]["parameterCount"] for name, each in files(event).items()
    }
    assert {"one.pt": 12, "other.pt": 21} == counts
    assert not {"NoneType-1", None} & {each.get("modelId") for each in facet(event, "metrics")["metrics"]}


def test_a_model_that_is_trained_on_has_a_base(autolog, told, loop):
    """A state that is loaded from a file is an input, and the base of what is trained from there."""
    torch, net, rows, fit = loop
    autolog("torch")
    torch.save(net().state_dict(), "base.pt")
    with modeltrail.run("tune"):
        model = net()
        model.load_state_dict(torch.load("base.pt"))
        fit(model, torch.optim.SGD(model.parameters()), loader(torch, rows()[0]), 1)
        torch.save(model.state_dict(), "tuned.pt")
        model.load_state_dict(torch.load("tuned.pt"))
    (event,) = told()
    base = str(Path("base.pt").absolute())
    assert base == facet(event, "training")["baseModel"]["name"]
    assert {base} <= {each["name"] for each in event["inputs"]}
    assert "base.pt" in edges(event)["tuned.pt"]
    assert str(Path("tuned.pt").absolute()) not in {each["name"] for each in event["inputs"]}


def test_a_copied_state_is_still_of_its_model(autolog, told, loop):
    """The best state so far, kept as a copy and saved in the end; other things that are saved are data."""
    torch, net, rows, fit = loop
    autolog("torch")
    with modeltrail.run("train"):
        model = net()
        fit(model, torch.optim.SGD(model.parameters()), loader(torch, rows()[0]), 1)
        best = {name: value.clone() for name, value in model.state_dict().items()}
        torch.save({"nested": {"state": best}}, "best.pt")
        torch.save({"numbers": torch.ones(3)}, Path("numbers.pt"))
        with Path("open.pt").open("wb") as file:
            torch.save(torch.nn.Linear(1, 1), file)
    (event,) = told()
    models = {Path(each["name"]).name for each in event["outputs"] if "modelTrail_model" in each["facets"]}
    assert {"best.pt", "open.pt"} == models
    assert "numbers.pt" in {Path(each["name"]).name for each in event["outputs"]}


def rates(event):
    """The rate that each file of a model was trained with; None of one that nobody knows."""
    told = [each for each in facet(event, "hyperparameters")["params"] if each["name"] == "lr"]
    known = {each.get("modelId"): each["value"] for each in told}
    models = {name: each["facets"].get("modelTrail_model") for name, each in files(event).items()}
    return {name: known.get(model.get("modelId")) for name, model in models.items() if model}


def test_each_form_of_a_module_is_that_model(autolog, told, loop):
    """What is scripted, traced, exported or pickled of a module, or its state, is a file of its training."""
    torch, _, rows, fit = loop
    autolog("torch")
    with modeltrail.run("train"):
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
        torch.save(torch.nn.Linear(2, 2).state_dict(), "other.pt")
        fit(model, torch.optim.SGD(model.parameters()), loader(torch, rows()[0]), 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit is on its way out
            torch.jit.script(model).save("script.pt")
            torch.jit.trace(model, torch.zeros(1, 3)).save("traced.pt")
            with Path("trace.pt").open("wb") as file:
                torch.jit.save(torch.jit.trace(model, torch.zeros(1, 3)), file)
        torch.export.save(torch.export.export(model.eval(), (torch.zeros(1, 3),)), "m.pt2")
        with Path("m.pkl").open("wb") as file:
            pickle.dump(model, file)
        joblib.dump({"model": model.state_dict(), "epoch": 1}, "m.joblib")
    (event,) = told()
    found = {name: each["facets"]["modelTrail_model"] for name, each in files(event).items()}
    assert {"script.pt", "traced.pt", "trace.pt", "m.pt2", "m.pkl", "m.joblib", "other.pt"} == found.keys()
    assert found.pop("other.pt").get("modelId") is None
    assert {("Sequential-1", 21)} == {(each["modelId"], each["parameterCount"]) for each in found.values()}
    assert {"train"} == edges(event)["m.pkl"]


def test_a_module_that_was_pickled_is_loaded_with_its_file(autolog, told, loop):
    """As a whole or as a state, it is an input of the run that loads it, and the base of what goes on."""
    torch, _, rows, fit = loop
    model = torch.nn.Linear(3, 1)
    for name, thing in (("m.pkl", model), ("s.pkl", model.state_dict())):
        Path(name).write_bytes(pickle.dumps(thing))
    autolog("torch")
    with modeltrail.run("tune"):
        with Path("m.pkl").open("rb") as file:
            again = pickle.load(file)
        with Path("s.pkl").open("rb") as file:
            torch.nn.Linear(3, 1).load_state_dict(pickle.load(file))
        fit(again, torch.optim.SGD(again.parameters()), loader(torch, rows()[0]), 1)
    (event,) = told()
    assert "m.pkl" == Path(facet(event, "training")["baseModel"]["name"]).name
    found = {Path(each["name"]).name for each in event["inputs"] if "datasetType" in each["facets"]}
    assert {"m.pkl", "s.pkl"} == found


def test_a_file_holds_all_modules_that_are_saved_in_it(autolog, told, loop):
    """Of two that were trained apart and lie in one checkpoint the file is neither, and came of both."""
    torch, net, rows, fit = loop
    autolog("torch")
    with modeltrail.run("play"):
        one, other = net(), torch.nn.Linear(3, 1)
        for each, data in zip((one, other), rows(), strict=True):
            fit(each, torch.optim.SGD(each.parameters()), loader(torch, data), 1)
        torch.save({"one": one.state_dict(), "other": other.state_dict(), "epoch": 1}, "both.pt")
        torch.save({"whole": one.state_dict(), "head": one.head.state_dict()}, "one.pt")
    (event,) = told()
    found = {name: each["facets"]["modelTrail_model"] for name, each in files(event).items()}
    assert ["Net", "torch.nn.modules.linear.Linear"] == [
        each.rpartition("<locals>.")[2] for each in found["both.pt"]["holds"]
    ]
    assert {"Net-1", "Linear-2"} == set(found["both.pt"]["partIds"])
    assert ("Net-1", 21) == (found["one.pt"]["modelId"], found["one.pt"]["parameterCount"])
    assert {"train", "train-2"} == edges(event)["both.pt"]


def test_a_state_is_of_the_model_that_it_was_taken_from(autolog, told, loop):
    """Of models of one class each state is of its own one, a copy also when that trained on or is gone."""
    torch, net, rows, _ = loop
    autolog("torch")
    with modeltrail.run("search"):
        train, _ = rows()
        models, best = [net(), net()], []
        for rate, model in zip((0.01, 0.02), models, strict=True):
            optimizer = torch.optim.SGD(model.parameters(), lr=rate)
            for each in train.dataset.tensors[0].split(20):
                model(each).sum().backward()
                optimizer.step()
                best.append(copy.deepcopy(model.state_dict()))
        for number, model in enumerate(models):
            torch.save(model.state_dict(), f"{number}.pt")
        del models[0]
        torch.save(best[1], "best.pt")
        torch.save(copy.deepcopy(best[0]), "first.pt")
        torch.save({name: each + 1 for name, each in best[0].items()}, "moved.pt")
    (event,) = told()
    assert {"0.pt": 0.01, "1.pt": 0.02, "best.pt": 0.01, "first.pt": 0.01, "moved.pt": None} == rates(event)


def test_a_score_is_of_the_file_that_the_module_is(autolog, told, loop):
    """A score is of no copy of an earlier state, and of a state that was loaded back of that state's file."""
    torch, net, rows, fit = loop
    autolog("torch")
    with modeltrail.run("train") as run:
        train, kept = rows()
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        fit(model, optimizer, loader(torch, train), 1)
        torch.save(model.state_dict(), "best.pt")
        before = copy.deepcopy(model.state_dict())
        fit(model, optimizer, loader(torch, train), 1)
        torch.save(before, "copy.pt")
        torch.save(model.state_dict(), "last.pt")
        run.evaluate(model, kept, {"last": 0.1})
        average = copy.deepcopy(model)
        model.load_state_dict(torch.load("best.pt"))
        run.evaluate(model, kept, {"best": 0.2})
        run.evaluate(average, kept, {"other": 0.3})
        fit(model, optimizer, loader(torch, train), 1)
        run.evaluate(model, kept, {"later": 0.4})
    scored = {
        (Path(each["name"]).name, metric["name"])
        for event in told()
        for each in event["inputs"]
        if "modelTrail_evaluation" in each["inputFacets"]
        for metric in each["inputFacets"]["modelTrail_evaluation"]["metrics"]
    }
    of_files = {pair for pair in scored if pair[0].endswith(".pt")}
    assert {("last.pt", "last"), ("best.pt", "best"), ("copy.pt", "best")} >= of_files
    assert {("last.pt", "last"), ("best.pt", "best")} <= of_files


def test_losses_that_went_back_together_are_nobody_s(autolog, told, loop):
    """Where two models step after both of their losses went back, nobody knows which loss is whose."""
    torch, net, rows, _ = loop
    autolog("torch")
    with modeltrail.run("play"):
        actor, critic = net(), torch.nn.Linear(3, 1)
        optimizers = [torch.optim.SGD(each.parameters()) for each in (actor, critic)]
        for features, _ in loader(torch, rows()[0]):
            for each in (actor, critic):
                each(features).square().mean().backward()
            for each in optimizers:
                each.step()
        for features, _ in loader(torch, rows()[0]):
            for half in features.split(5):
                actor(half).square().mean().backward()
            optimizers[0].step()
    (event,) = told()
    assert ["Net-1"] == [each["modelId"] for each in facet(event, "metrics")["metrics"]]
    assert (8, 0) == tuple(metrics(event)["loss"][key] for key in ("step", "epoch"))


def test_what_is_saved_amid_a_training_says_after_which_step(autolog, told, loop):
    """By the steps of the losses: the module as it is, a copy of its state, one that it was given back."""
    torch, net, rows, fit = loop
    autolog("torch")
    train, _ = rows()
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with modeltrail.run("train"):
        fit(model, optimizer, loader(torch, train), 1)
        best = copy.deepcopy(model.state_dict())
        torch.save(model.state_dict(), "now.pt")
        fit(model, optimizer, loader(torch, train), 1)
        torch.save(best, "copy.pt")
        torch.save(model.state_dict(), "end.pt")
        model.load_state_dict(best)
        torch.save(model.state_dict(), "back.pt")
        fit(model, optimizer, loader(torch, train), 1)
        torch.save(model.state_dict(), "on.pt")
    (event,) = told()
    found = {Path(each["name"]).name: each["facets"]["modelTrail_model"]["step"] for each in event["outputs"]}
    assert {"now.pt": 4, "copy.pt": 4, "end.pt": 8, "back.pt": 4, "on.pt": 12} == found
    (chunk,) = (facet(each, "metricSeries")["points"] for each in told("RUNNING"))
    assert [4, 8, 12] == [each["step"] for each in chunk]


@pytest.mark.parametrize("how", ["sampler", "accelerate", "own"])
def test_a_loader_that_was_given_batches_says_how_these_are_made(autolog, told, loop, how):
    """By the sampler of batches that it was given, by its user or by accelerate; and not by its defaults."""
    torch, net, rows, fit = loop
    import accelerate

    class Own:
        def __iter__(self):
            return iter([[0, 1], [2, 3]])

        def __len__(self):
            return 2

    autolog("torch")
    given, data = rows()[0], torch.utils.data
    random = data.BatchSampler(data.RandomSampler(given), 10, drop_last=True)
    several = data.DataLoader(given, batch_sampler=Own() if how == "own" else random)
    if how == "accelerate":
        several = accelerate.Accelerator(cpu=True).prepare(
            data.DataLoader(given, 10, shuffle=True, drop_last=True)
        )
    model = net()
    with modeltrail.run("train"):
        fit(model, torch.optim.SGD(model.parameters()), several, 1)
        torch.save(model.state_dict(), "m.pt")
    found = {
        name: each["value"]
        for (part, name), each in params(told()[0]).items()
        if part.startswith("DataLoader")
    }
    expected = {
        "batch_size": 10,
        "drop_last": True,
        "shuffle": True,
        "sampler": "RandomSampler",
        "num_workers": 0,
    }
    assert found == ({"sampler": "Own", "num_workers": 0} if how == "own" else expected)


def test_a_sampler_says_in_which_order_rows_come(autolog, told, loop):
    """Of one that somebody gave its own settings are told, and nothing of `shuffle`, which he left alone."""
    torch, net, rows, fit = loop
    autolog("torch")
    given, data, model = rows()[0], torch.utils.data, net()
    samplers = [
        data.DistributedSampler(given, num_replicas=2, rank=0, seed=3),
        data.WeightedRandomSampler([1.0] * len(given), 20),
    ]
    for sampler in samplers:
        with modeltrail.run("train"):
            fit(model, torch.optim.SGD(model.parameters()), data.DataLoader(given, 10, sampler=sampler), 1)
    found = [
        {key: (each["value"], each["origin"]) for key, each in params(event).items() if key[0] != "SGD"}
        for event in told()
    ]
    assert ("DataLoader", "shuffle") not in found[0].keys() | found[1].keys()
    spread, weighed = {("DistributedSampler", "seed"): (3, "explicit")}, "WeightedRandomSampler"
    spread |= {("DistributedSampler", "shuffle"): (True, "default")}
    assert spread.items() <= found[0].items()
    assert {(weighed, "num_samples"): (20, "explicit")}.items() <= found[1].items()
    assert (weighed, "explicit") == found[1]["DataLoader", "sampler"]


def test_rows_that_a_sampler_chose_are_known_below_accelerate(autolog, told, loop):
    """What accelerate prepared has the sampler inside of its batches, and none that says so itself."""
    torch, net, rows, fit = loop
    import accelerate

    autolog("torch")
    some = torch.utils.data.SubsetRandomSampler(range(20))
    several = torch.utils.data.DataLoader(rows()[0], 10, sampler=some)
    model = net()
    with modeltrail.run("train"):
        fit(model, torch.optim.SGD(model.parameters()), accelerate.Accelerator(cpu=True).prepare(several), 1)
    assert 20 in {use["fingerprint"]["rows"] for use in uses(told()[0]).values()}


def test_an_optimizer_is_told_as_it_is(autolog, told, loop):
    """Of one that was given a state, or another rate by hand, what it has, and not what it was made with."""
    torch, net, rows, fit = loop
    autolog("torch")
    state = torch.optim.SGD(net().parameters(), lr=0.5, momentum=0.9).state_dict()
    with modeltrail.run("resume"):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        optimizer.load_state_dict(state)
        fit(model, optimizer, loader(torch, rows()[0]), 1)
    (event,) = told()
    found = params(event)
    assert (0.5, 0.9) == (found["SGD", "lr"]["value"], found["SGD", "momentum"]["value"])


def test_schedulers_and_scaled_losses(autolog, told, loop):
    """A scheduler's settings are told, and of a loss that was scaled for its gradients the loss itself."""
    torch, net, rows, _ = loop
    autolog("torch")
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with modeltrail.run("train"):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
        losses = []
        for features, labels in loader(torch, rows()[0]):
            loss = (model(features) - labels).square().mean()
            losses.append(loss.item())
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        scheduler.step()
    (event,) = told()
    assert (2, "explicit") == tuple(params(event)["StepLR", "step_size"][key] for key in ("value", "origin"))
    assert pytest.approx(sum(losses) / 4) == metrics(event)["loss"]["value"]


def test_a_closure_has_no_loss(autolog, told, loop):
    """An optimizer that evaluates a function several times a step has steps, and no loss that is told."""
    torch, net, rows, _ = loop
    autolog("torch")
    with modeltrail.run("train"):
        model = net()
        optimizer = torch.optim.LBFGS(model.parameters())
        for features, labels in loader(torch, rows()[0]):

            def again(features=features, labels=labels):
                optimizer.zero_grad()
                loss = (model(features) - labels).square().mean()
                loss.backward()
                return loss

            optimizer.step(again)
    (event,) = told()
    assert 4 == facet(event, "training")["steps"]
    assert "modelTrail_metrics" not in event["run"]["facets"]


def test_an_observed_call_is_told_as_a_whole(autolog, told, monkeypatch, loop):
    """Within a call that another integration observes nothing is seen of steps, loaders and files."""
    torch, net, rows, fit = loop
    autolog("torch")
    monkeypatch.setattr(_calls, "is_observing", lambda: True)
    with modeltrail.run("train"):
        model = net()
        fit(model, torch.optim.SGD(model.parameters()), loader(torch, rows()[0]), 1)
        torch.save(model.state_dict(), "m.pt")
    (event,) = told()
    assert [] == event["outputs"]
    assert "modelTrail_training" not in event["run"]["facets"]


def test_of_several_processes_the_first_tells(autolog, events, monkeypatch, loop):
    """A process that torchrun numbers other than 0 says nothing of its training and its file."""
    torch, net, rows, fit = loop
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    autolog("torch")
    model = net()
    fit(model, torch.optim.SGD(model.parameters()), loader(torch, rows()[0]), 1)
    torch.save(model.state_dict(), "m.pt")
    assert [] == events


def test_a_distributed_training_says_how_many_train(autolog, told, loop, tmp_path):
    """The first of the processes tells how many there are, and the class of the module that DDP wraps."""
    torch, net, rows, fit = loop
    autolog("torch")
    torch.distributed.init_process_group("gloo", rank=0, world_size=1, init_method=f"file://{tmp_path}/store")
    try:
        wrapped = torch.nn.parallel.DistributedDataParallel(net())
        with modeltrail.run("train"):
            fit(wrapped, torch.optim.SGD(wrapped.parameters()), loader(torch, rows()[0]), 1)
    finally:
        torch.distributed.destroy_process_group()
    training = facet(told()[0], "training")
    assert {"worldSize": 1, "rank": 0} == training["distributed"]
    assert training["algorithm"].endswith(".Net")


def test_under_the_wrapper_all_is_of_its_run(modeltrail_command, inbox, tmp_path):
    """Under `modeltrail run` the loop is of the script's run, also its last pass."""
    (tmp_path / "loop.py").write_text(
        textwrap.dedent("""
        import torch, modeltrail
        from torch.utils.data import DataLoader, TensorDataset
        modeltrail.autolog(strict=True)
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
        batches = DataLoader(TensorDataset(torch.rand(20, 2), torch.ones(20, 1)), batch_size=5)
        for _ in range(2):
            for features, labels in batches:
                (model(features) - labels).square().mean().backward()
                optimizer.step()
        """)
    )
    modeltrail_command("run", "--", sys.executable, "loop.py")
    (event,) = [each for each in inbox(tmp_path / "lineage") if each["eventType"] == "COMPLETE"]
    training = facet(event, "training")
    assert (8, 2) == (training["steps"], training["epochs"])
    assert (8, 1) == tuple(metrics(event)["loss"][key] for key in ("step", "epoch"))


def test_the_user_s_exceptions_pass(autolog, told, loop):
    """What is raised in a loop ends the run as it does, with the steps so far."""
    torch, net, rows, fit = loop
    autolog("torch")
    model = net()
    optimizer = torch.optim.SGD(model.parameters())

    def interrupted():
        yield from loader(torch, rows()[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), modeltrail.run("train"):
        fit(model, optimizer, interrupted(), 1)
    (event,) = told("ABORT")
    assert 4 == facet(event, "training")["steps"]


def test_nothing_is_kept_alive(autolog, loop):
    """Neither model, optimizer, loader nor data live longer than their user wants."""
    torch, net, rows, fit = loop
    import weakref

    autolog("torch")
    train = rows()[0]
    model = net()
    optimizer = torch.optim.SGD(model.parameters())
    batches = loader(torch, train)
    fit(model, optimizer, batches, 1)
    first, last = net(), net()
    both = torch.optim.SGD([*first.parameters(), *last.parameters()])
    fit(lambda features, one=first, other=last: one(features) + other(features), both, batches, 1)
    left = [
        weakref.ref(each) for each in (model, optimizer, batches, train, train.dataset, first, last, both)
    ]
    del model, optimizer, batches, train, first, last, both
    gc.collect()
    assert [None] * 8 == [each() for each in left]


def test_hooks_are_taken_back(autolog, torch):
    """After `deactivate` no hook of ours is left with PyTorch."""
    from torch.nn.modules import module
    from torch.optim import optimizer

    known_hooks = (optimizer._global_optimizer_post_hooks, module._global_module_registration_hooks)
    before = [len(each) for each in known_hooks]
    autolog("torch")
    assert [each + 1 for each in before] == [len(each) for each in known_hooks]
    integrations.deactivate("torch")
    assert before == [len(each) for each in known_hooks]


def test_each_thread_has_its_own_place_in_a_loop(torch):
    """Also one that goes on in the context of another, as `asyncio.to_thread` has it."""
    here = training.now()
    context = contextvars.copy_context()
    there = []
    thread = threading.Thread(
        target=lambda: there.extend(context.run(lambda: (training.now(), training.now())))
    )
    thread.start()
    thread.join()
    assert here is training.now()
    assert there[0] is there[1] is not here


def test_our_failures_stay_ours(events, monkeypatch, loop):
    """Whatever of ours fails in a loop, the loop goes on, and the failure is counted."""
    torch, net, rows, fit = loop
    modeltrail.autolog("torch")
    modeltrail.configure(strict=False)

    def explode(*_, **__):
        raise ZeroDivisionError("ours")

    for name in ("_training.stepped", "_training.judged", "_modulefiles.of"):
        monkeypatch.setattr(f"modeltrail.integrations.{name}", explode)
    model = net()
    train, kept = rows()
    assert 4 == len(
        fit(model, torch.optim.SGD(model.parameters()), loader(torch, train), 1, loader(torch, kept))
    )
    torch.save(model.state_dict(), "m.pt")
    assert Path("m.pt").exists()
    failed = {"observing a step: ZeroDivisionError": 4, "following a call: ZeroDivisionError": 2}
    assert failed == guard.failures()
    integrations.deactivate()
    guard.reset()


def test_compiled_modules_and_steps_are_as_before(autolog, told, loop):
    """Modules compile without a break, and steps that are compiled are counted as others."""
    torch, net, rows, fit = loop
    autolog("torch")
    model = net()
    whole = torch.compile(model, fullgraph=True, backend="eager")
    optimizer = torch.optim.SGD(model.parameters())
    with modeltrail.run("train"):
        assert 4 == len(fit(whole, optimizer, loader(torch, rows()[0]), 1))
        torch.compile(optimizer.step, backend="eager")()
    torch._dynamo.reset()
    assert 5 == facet(told()[0], "training")["steps"]


def test_workers_and_children(tmp_path, inbox):
    """Loaders with workers are counted here, and a forked child that trains and saves tells by itself."""
    script = tmp_path / "loop.py"
    script.write_text(
        textwrap.dedent("""
        import os, torch, modeltrail
        from torch.utils.data import DataLoader, TensorDataset
        modeltrail.autolog(strict=True)
        data = TensorDataset(torch.arange(40.0).reshape(20, 2), torch.ones(20, 1))
        def train(name):
            model = torch.nn.Linear(2, 1)
            optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
            for _ in range(2):
                for features, labels in DataLoader(data, batch_size=5, num_workers=2):
                    optimizer.zero_grad()
                    (model(features) - labels).square().mean().backward()
                    optimizer.step()
            torch.save(model.state_dict(), name)
        if __name__ == "__main__":
            train("parent.pt")
            if os.fork() == 0:
                train("child.pt")
            else:
                os.wait()
        """)
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100
    )
    assert 0 == done.returncode, done.stderr
    ended = [each for each in inbox(tmp_path / "lineage") if each["eventType"] == "COMPLETE"]
    assert ["loop.Linear"] * 2 == [each["job"]["name"] for each in ended]
    assert ["parent.pt", "child.pt"] == [Path(each["outputs"][0]["name"]).name for each in ended]
    assert [(8, 2)] * 2 == [
        (facet(each, "training")["steps"], facet(each, "training")["epochs"]) for each in ended
    ]


def test_what_was_loaded_is_known_by_its_file(autolog, torch, table):
    """Tensors that were saved to a file come from there."""
    autolog("torch")
    torch.save({"features": torch.arange(6.0)}, "data.pt")
    assert ["data.pt"] == known(torch.load("data.pt")["features"])
