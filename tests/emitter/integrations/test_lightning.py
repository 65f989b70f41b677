"""Lightning, of both packages, as people use it, and what it leaves in the events."""

import importlib
import inspect
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
from told import facet, files, metrics, params, points, uses

import modeltrail
from modeltrail.observe import data

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings(
        "ignore::UserWarning"
    ),  # Lightning's advice: on small data, on what is left out
]
PACKAGES = {"lightning": "lightning.pytorch", "pytorch_lightning": "pytorch_lightning"}


def net_of(library):
    """A class of modules that log while they train, validate and test."""
    import torch

    class Net(library.LightningModule):
        def __init__(self, lr=0.1, width=4, factor=2):
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(width, 1)

        def step(self, batch, name):
            loss = ((self.layer(batch[0]) - batch[1]) ** 2).mean()
            self.log(name, loss, on_epoch=True, on_step=False)
            return loss

        def training_step(self, batch, _):
            return self.step(batch, "train_loss")

        def validation_step(self, batch, _):
            self.step(batch, "val_loss")

        def test_step(self, batch, *_):
            """Logs: Lightning gives it this name."""
            self.step(batch, "test_loss")

        def predict_step(self, batch, _):
            return self.layer(batch[0])

        def on_train_epoch_end(self):
            self.log("late", float(self.current_epoch))

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=self.hparams.lr, momentum=0.5)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)]

    return Net


@pytest.fixture(params=PACKAGES)
def pl(request, tmp_path):
    """One of the packages, with a module, loaders and trainers to use."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    library = importlib.import_module(PACKAGES[request.param])

    def loader(rows=16, seed=0):
        random = torch.Generator().manual_seed(seed)
        features = torch.randn(rows, 4, generator=random)
        return DataLoader(TensorDataset(features, features.sum(1, keepdim=True)), batch_size=4)

    def trainer(*callbacks, **more):
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        asked = {"max_epochs": 2, "accelerator": "cpu", "default_root_dir": tmp_path, **quiet, **more}
        return library.Trainer(callbacks=list(callbacks), **asked)

    def kept(**more):
        return library.callbacks.ModelCheckpoint(dirpath=tmp_path / "kept", **more)

    return SimpleNamespace(
        name=request.param, library=library, Net=net_of(library), loader=loader, trainer=trainer, kept=kept
    )


def test_a_fit_says_what_it_learned_from(pl, autolog, told):
    """The content of the loaders, by their roles; the run is one of its own, named by the module."""
    autolog(pl.name)
    trained, judged = pl.loader(), pl.loader(8, seed=1)
    pl.trainer().fit(pl.Net(), trained, judged)
    (event,) = told()
    assert event["job"]["name"].endswith(".Net")
    found = {use["role"]: use["fingerprint"] for use in uses(event).values()}
    assert {"train": 16, "validation": 8} == {role: each["rows"] for role, each in found.items()}
    assert (
        found["train"]["digest"]
        == data.look(data.labelled(*(each.numpy() for each in trained.dataset.tensors))[0]).fingerprint.digest
    )


def test_a_fit_says_how(pl, autolog, told):
    """Class, seeds, epochs, steps; what module, Trainer, optimizer and scheduler were given, and what not."""
    autolog(pl.name)
    pl.library.seed_everything(7)
    pl.trainer(gradient_clip_val=0.5, accumulate_grad_batches=2).fit(pl.Net(lr=0.2), pl.loader())
    (event,) = told()
    training = facet(event, "training")
    package = PACKAGES[pl.name].partition(".")[0]
    assert (package, 2, 4, False) == tuple(
        training[key] for key in ("framework", "epochs", "steps", "deterministic")
    )
    assert pl.library.__version__ == training["frameworkVersion"]
    assert training["algorithm"].endswith(".Net")
    assert {"python": 7, "numpy": 7, "framework": 7} == training["seeds"]
    found = params(event)
    assert {(None, "lr"): (0.2, "explicit"), (None, "factor"): (2, "default")}.items() <= found.items()
    expected = {
        ("Trainer", "max_epochs"): (2, "explicit"),
        ("Trainer", "gradient_clip_val"): (0.5, "explicit"),
        ("Trainer", "accumulate_grad_batches"): (2, "explicit"),
        ("Trainer", "precision"): ("32-true", "default"),
        ("Trainer", "accelerator"): ("cpu", "explicit"),
        ("SGD", "momentum"): (0.5, "explicit"),
        ("SGD", "weight_decay"): (0, "default"),
        ("StepLR", "gamma"): (0.5, "explicit"),
        ("StepLR", "last_epoch"): (-1, "default"),
        ("DataLoader", "batch_size"): (4, "explicit"),
        ("DataLoader", "shuffle"): (False, "default"),
    }
    assert expected.items() <= found.items()


def test_a_trainer_made_before(pl, autolog, told):
    """Of a Trainer that was made before `autolog` the settings are told, and not whether they were given."""
    trainer = pl.trainer()
    autolog(pl.name)
    trainer.fit(pl.Net(), pl.loader())
    (event,) = told()
    assert (2, None) == params(event)["Trainer", "max_epochs"]
    assert 2 == facet(event, "training")["epochs"]


def test_settings_from_the_environment(pl, autolog, told, monkeypatch):
    """What Lightning takes from the environment is told to be from there."""
    autolog(pl.name)
    monkeypatch.setenv("PL_TRAINER_GRADIENT_CLIP_VAL", "0.25")
    pl.trainer().fit(pl.Net(), pl.loader())
    assert (0.25, "env") == params(told()[0])["Trainer", "gradient_clip_val"]


def test_each_epoch_is_told(pl, autolog, events):
    """What was logged is a series, of validation or training, also what an epoch's end logs."""
    autolog(pl.name)
    with modeltrail.run("train"):
        pl.trainer(max_epochs=3, check_val_every_n_epoch=2).fit(pl.Net(), pl.loader(), pl.loader(8))
    found = points(events)
    assert {("train_loss", 4), ("train_loss", 8), ("train_loss", 12), ("val_loss", 8)} <= found.keys()
    assert [0.0, 1.0, 2.0] == [found["late", step] for step in (4, 8, 12)]
    assert [("val_loss", 8)] == [key for key in found if key[0] == "val_loss"]
    last = metrics(events[-1])
    assert ("validation", "train") == (last["val_loss"]["split"], last["train_loss"]["split"])
    assert (2, 12) == (last["train_loss"]["epoch"], last["train_loss"]["step"])


def test_checkpoints_are_the_models(pl, autolog, told):
    """The best and the last file are outputs with digest and size; the best is the run's model."""
    autolog(pl.name)
    best = pl.kept(monitor="late", mode="min", save_last=True, filename="best")
    with modeltrail.run("train") as run:
        pl.trainer(best).fit(pl.Net(), pl.loader())
        assert run.facts.model(None).view.name == best.best_model_path
    (event,) = told()
    found = files(event)
    assert {"best.ckpt", "last.ckpt"} == found.keys()
    for each in found.values():
        assert 5 == each["facets"]["modelTrail_model"]["parameterCount"]
        assert 64 == len(each["outputFacets"]["modelTrail_modelArtifact"]["digest"])


def test_without_checkpoints_the_module_is_the_model(pl, autolog, told):
    """A fit of its own that leaves no file has the module in memory as its output."""
    autolog(pl.name)
    pl.trainer(enable_checkpointing=False).fit(pl.Net(), pl.loader())
    (output,) = told()[0]["outputs"]
    assert ("inmemory://", 5) == (
        output["namespace"],
        output["facets"]["modelTrail_model"]["parameterCount"],
    )


def test_a_test_is_an_evaluation(pl, autolog, told):
    """Of the checkpoint that the module equals or that was asked for; of each loader, in a run or alone."""
    autolog(pl.name)
    best, end = pl.kept(monitor="late", mode="min", filename="best"), pl.kept(filename="end")
    net, trainer = pl.Net(), pl.trainer(best, end)
    trainer.fit(net, pl.loader())
    trainer.test(net, [pl.loader(8, seed=2), pl.loader(4, seed=3)])
    trainer.test(ckpt_path="best", dataloaders=pl.loader(8, seed=2))
    _, first, second, third = told()
    for event, name in ((first, "end.ckpt"), (second, "end.ckpt"), (third, "best.ckpt")):
        (model,) = [each for each in event["inputs"] if "modelTrail_evaluation" in each["inputFacets"]]
        assert (name, True) == (Path(model["name"]).name, event["job"]["name"].endswith(".test"))
    roles = [use["role"] for event in (first, second, third) for use in uses_of_data(event)]
    assert ["test"] * 3 == roles
    assert [8, 4, 8] == [
        use["fingerprint"]["rows"] for e in (first, second, third) for use in uses_of_data(e)
    ]
    with modeltrail.run("train"):
        trainer.validate(net, pl.loader(8, seed=2))
    (event,) = [each for each in told() if each["job"]["name"] == "train.evaluate"]
    (use,) = uses_of_data(event)
    assert "validation" == use["role"]


def uses_of_data(event):
    found = [each["inputFacets"] for each in event["inputs"]]
    return [each["modelTrail_dataUse"] for each in found if "modelTrail_dataUse" in each]


def test_going_on_from_a_checkpoint(pl, autolog, told):
    """A checkpoint to resume from, or that the module was loaded from, is the base of the new model."""
    autolog(pl.name)
    first = pl.trainer(pl.kept(filename="first"))
    first.fit(pl.Net(), pl.loader())
    place = first.checkpoint_callback.best_model_path
    with modeltrail.run("resumed"):
        pl.trainer(max_epochs=3).fit(pl.Net(), pl.loader(), ckpt_path=place, **weights(pl))
    net = pl.Net.load_from_checkpoint(place, **weights(pl))
    with modeltrail.run("loaded"):
        pl.trainer(enable_checkpointing=False).fit(net, pl.loader())
    digest = files(told()[0])["first.ckpt"]["outputFacets"]["modelTrail_modelArtifact"]["digest"]
    for event in told()[1:]:
        base = facet(event, "training")["baseModel"]
        assert (place, digest) == (base["name"], base["digest"])
        assert "train" == uses(event)[place]["role"]


def weights(pl):
    """Those since 2.6 load nothing else than weights unless they are told to; older ones cannot be told."""
    known = inspect.signature(pl.library.Trainer.fit).parameters
    return {"weights_only": False} if "weights_only" in known else {}


def test_a_checkpoint_that_the_host_saves(pl, autolog, told):
    """`save_checkpoint` after a fit is a run of its own, from the module to the file; the file is tested."""
    autolog(pl.name)
    net, trainer = pl.Net(), pl.trainer(enable_checkpointing=False)
    trainer.fit(net, pl.loader())
    place = Path(trainer.default_root_dir) / "mine.ckpt"
    trainer.save_checkpoint(place)
    trainer.test(net, pl.loader(8))
    fitted, saved, tested = told()
    assert fitted["outputs"][0]["name"] == saved["inputs"][0]["name"]
    assert str(place) == saved["outputs"][0]["name"]
    assert str(place) in {each["name"] for each in tested["inputs"]}


def test_early_stopping(pl, autolog, told):
    """When it stopped is a metric, how it was to stop a parameter."""
    autolog(pl.name)
    stop = pl.library.callbacks.EarlyStopping("late", mode="min", patience=1, min_delta=0.01)
    pl.trainer(stop, max_epochs=9).fit(pl.Net(), pl.loader())
    (event,) = told()
    assert 1 == metrics(event)["stopped_epoch"]["value"]
    assert ((1, "explicit"), (0.01, "explicit")) == tuple(
        params(event)["EarlyStopping", name] for name in ("patience", "min_delta")
    )


@pytest.mark.parametrize(("error", "kind"), [(ValueError("no"), "FAIL"), (KeyboardInterrupt(), "ABORT")])
def test_a_fit_that_fails(pl, autolog, told, error, kind):
    """The host's exception is its own and fails the run; Ctrl-C, of which Lightning makes an exit, aborts."""
    autolog(pl.name)

    class Broken(pl.library.Callback):
        def on_train_batch_end(self, *_):
            raise error

    trainer = pl.trainer(Broken())
    with pytest.raises((type(error), SystemExit)) as caught:
        trainer.fit(pl.Net(), pl.loader())
    assert caught.value is error or isinstance(caught.value.__context__, KeyboardInterrupt)
    (event,) = told(kind)
    assert {"train"} == {use["role"] for use in uses(event).values()}


def test_a_fit_in_processes_of_its_own(pl, autolog, told):
    """How far these came is not known here; what they were given is, and the best file that they left."""
    autolog()
    with modeltrail.run("apart"):
        kept = pl.kept(monitor="train_loss", filename="best")
        trainer = pl.trainer(kept, strategy="ddp_fork", devices=2)
        net = pl.Net()
        trainer.fit(net, pl.loader(), pl.loader(8, seed=1))
        trainer.test(net, pl.loader(4, seed=2))
        trainer.test(net, pl.loader(4, seed=3), ckpt_path="best")
    tested, event = told()
    training = facet(event, "training")
    assert pl.library.__name__.partition(".")[0] == training["framework"]
    assert ("DDPStrategy", 2) == tuple(training["distributed"][each] for each in ("strategy", "worldSize"))
    assert not {"steps", "epochs"} & training.keys()
    assert {"train": 16, "validation": 8} == {
        use["role"]: use["fingerprint"]["rows"] for use in uses(event).values()
    }
    assert {"best.ckpt"} == files(event).keys()
    assert (2, "explicit") == params(event)["Trainer", "max_epochs"]
    assert "EVALUATE" == tested["job"]["facets"]["jobType"]["jobType"]


def test_ctrl_c_aborts_the_run_around_a_fit(pl, autolog, told):
    """Lightning makes an exit of it, which Python does not tell from another one."""
    autolog(pl.name)

    class Stopped(pl.Net):
        def on_train_start(self):
            raise KeyboardInterrupt

    with pytest.raises(SystemExit), modeltrail.run("around"):
        pl.trainer().fit(Stopped(), pl.loader())
    (event,) = told("ABORT")
    assert event["run"]["facets"]["errorMessage"]["message"].startswith("KeyboardInterrupt")


def test_ctrl_c_aborts_the_run_of_the_command(modeltrail_command, inbox, tmp_path):
    """Also where its exit is all that the program ends with."""
    (tmp_path / "fit.py").write_text(
        textwrap.dedent("""
        import torch
        import lightning.pytorch as pl

        class Net(pl.LightningModule):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Linear(4, 1)

            def training_step(self, batch, number):
                raise KeyboardInterrupt

            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), lr=0.1)

        pl.Trainer(logger=False, accelerator="cpu").fit(Net(), torch.utils.data.DataLoader(torch.rand(4, 4)))
        """)
    )
    modeltrail_command("run", "--", sys.executable, "fit.py", expected=1)
    kinds = [each["eventType"] for each in inbox(tmp_path / "lineage")]
    assert ("ABORT", False) == (kinds[-1], "FAIL" in kinds)


def test_a_trainer_stays_as_it_is(pl, autolog, told, capfd):
    """No callback of ours is in the Trainer while it fits, nothing in its checkpoints, nothing said."""
    import torch

    autolog(pl.name)
    held = []

    class Looks(pl.library.Callback):
        def on_train_start(self, trainer, _):
            held.extend(trainer.callbacks)

    trainer = pl.trainer(Looks(), pl.kept(filename="kept"))
    before = list(trainer.callbacks)
    trainer.fit(pl.Net(), pl.loader())
    assert before == held == trainer.callbacks
    kept = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=False)
    assert "modeltrail" not in repr(kept) + "".join(capfd.readouterr())
    assert 1 == len(told())


def test_other_ranks_are_silent(pl, autolog, events, monkeypatch):
    """Of processes that train together the first one tells."""
    autolog(pl.name)
    trainer = pl.trainer(enable_checkpointing=False)
    monkeypatch.setattr(type(trainer), "global_rank", 1)
    trainer.fit(pl.Net(), pl.loader())
    trainer.test(pl.Net(), pl.loader())
    assert [] == events


def test_nothing_is_told_twice(pl, autolog, told):
    """With all integrations on a fit that scores, seeds and saves inside is one run; a prediction is none."""
    from sklearn.metrics import accuracy_score

    autolog()

    class Scoring(pl.library.Callback):
        def on_validation_end(self, *_):
            accuracy_score([0, 1], [0, 1])

    net, trainer = pl.Net(), pl.trainer(Scoring(), pl.kept())
    trainer.fit(net, pl.loader(), pl.loader(8))
    assert 2 == len(trainer.predict(net, pl.loader(8)))
    (event,) = told()
    assert {"train", "validation"} == {use["role"] for use in uses(event).values()}
    assert 1 == len(event["outputs"])
    assert "accuracy_score" not in metrics(event)


def test_modules_of_one_run_are_told_apart(pl, autolog, told, tmp_path):
    """Each has its parameters, training, figures and data; what is saved of its state is the same model."""
    import torch

    autolog(pl.name, "torch")
    with modeltrail.run("two"):
        for number, lr in enumerate((0.2, 0.05)):
            net = pl.Net(lr=lr)
            pl.trainer(default_root_dir=tmp_path / str(number)).fit(net, pl.loader(seed=number))
            torch.save(net.state_dict(), tmp_path / f"{number}.pt")
    event = told()[-1]
    ids = {each["name"]: each["facets"]["modelTrail_model"]["modelId"] for each in event["outputs"]}
    assert (4, {"Net-1", "Net-2"}) == (len(ids), set(ids.values()))
    assert ("Net-1", "Net-2") == tuple(ids[str(tmp_path / f"{number}.pt")] for number in (0, 1))
    rates = {
        each["modelId"]: each["value"]
        for each in facet(event, "hyperparameters")["params"]
        if each["name"] == "lr" and "component" not in each
    }
    assert {"Net-1": 0.2, "Net-2": 0.05} == rates
    assert {"Net-1": 8, "Net-2": 8} == {
        each["modelId"]: each["steps"] for each in facet(event, "training")["models"]
    }
    measured = {(each["modelId"], each["name"]) for each in facet(event, "metrics")["metrics"]}
    assert {("Net-1", "train_loss"), ("Net-2", "train_loss")} <= measured
    entries = {each["name"]: each["inputs"] for each in event["job"]["facets"]["lineage"]["entries"]}
    assert [1, 1, 1, 1] == [len(entries[name]) for name in ids]


def test_checkpoints_of_one_fit_are_one_model(pl, autolog, told):
    """The best and the last checkpoint of a fit are one by its name: what it measured is of both."""
    autolog(pl.name)
    with modeltrail.run("one"):
        kept = pl.kept(monitor="train_loss", mode="max", save_last=True)
        pl.trainer(kept).fit(pl.Net(), pl.loader())
    event = told()[-1]
    assert 2 == len(event["outputs"])
    assert ["Net-1", "Net-1"] == [each["facets"]["modelTrail_model"]["modelId"] for each in event["outputs"]]


def test_a_checkpoint_says_after_which_step_it_was_saved(pl, autolog, told, tmp_path):
    """So that the figures at that step are told from those in the end; also once it has a name."""
    autolog(pl.name)
    with modeltrail.run("one") as run:
        kept, end = pl.kept(monitor="train_loss", mode="max", filename="best"), pl.kept(filename="end")
        net = pl.Net()
        pl.trainer(kept, end).fit(net, pl.loader())
        run.output_model(kept.best_model_path, name="churn")
        pl.library.Trainer.save_checkpoint(net.trainer, tmp_path / "now.ckpt")
    models = {
        Path(each["outputFacets"]["modelTrail_modelArtifact"]["uri"]).name: each["facets"]["modelTrail_model"]
        for each in told()[-1]["outputs"]
    }
    assert {"best.ckpt": 4, "end.ckpt": 8, "now.ckpt": 8} == {
        name: each["step"] for name, each in models.items()
    }
