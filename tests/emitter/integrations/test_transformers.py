"""transformers as people use it, with tiny models that nobody downloads, and what it leaves in the events."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from told import edges, facet, files, metrics, params, points, uses

import modeltrail
from modeltrail.observe import model

pytestmark = pytest.mark.torch


@pytest.fixture
def hf(monkeypatch, tmp_path):
    """The library offline, with a model, datasets and trainers to use."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    import torch
    import transformers
    from torch.utils.data import Dataset

    class Rows(Dataset):
        def __init__(self, rows=16, seed=0):
            self.words = torch.randint(0, 50, (rows, 6), generator=torch.Generator().manual_seed(seed))
            self.labels = self.words[:, 0] % 2

        def __len__(self):
            return len(self.words)

        def __getitem__(self, row):
            return {"input_ids": self.words[row], "labels": self.labels[row]}

    def model(layers=1):
        sizes = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2}
        config = transformers.BertConfig(
            vocab_size=50, num_hidden_layers=layers, max_position_embeddings=8, **sizes
        )
        return transformers.BertForSequenceClassification(config)

    def trainer(network=None, train=None, judged=None, score=None, **more):
        asked = {"output_dir": str(tmp_path / "out"), "num_train_epochs": 2, "use_cpu": True, **more}
        args = transformers.TrainingArguments(disable_tqdm=True, per_device_train_batch_size=4, **asked)
        return transformers.Trainer(
            network or model(),
            args,
            train_dataset=train or Rows(),
            eval_dataset=judged,
            compute_metrics=score,
        )

    return SimpleNamespace(library=transformers, Rows=Rows, model=model, trainer=trainer)


def evaluated(event):
    """The model that was evaluated, its data, and the scores."""
    (model,) = [each for each in event["inputs"] if "modelTrail_evaluation" in each["inputFacets"]]
    (judged,) = [each for each in event["inputs"] if each is not model]
    scores = {
        each["name"]: each["value"] for each in model["inputFacets"]["modelTrail_evaluation"]["metrics"]
    }
    return Path(model["name"]).name, judged["inputFacets"]["modelTrail_dataUse"], scores


def test_a_training_says_what_it_learned_from(hf, autolog, told):
    """The content of both datasets by their roles, and in a run of its own that is named by the model."""
    autolog("transformers")
    hf.trainer(judged=hf.Rows(8, seed=1), eval_strategy="epoch").train()
    (event,) = told()
    assert event["job"]["name"].endswith(".BertForSequenceClassification")
    found = {use["role"]: use["fingerprint"] for use in uses(event).values()}
    assert {"train": 16, "validation": 8} == {role: each["rows"] for role, each in found.items()}


def test_data_that_judges_nothing_is_no_validation(hf, autolog, told):
    """A dataset that a training does not look at is none of its inputs; scored on it later it is a test."""
    autolog("transformers")
    trainer = hf.trainer(judged=hf.Rows(8, seed=1))
    trainer.train()
    trainer.evaluate()
    training, evaluation = told()
    assert ["train"] == [use["role"] for use in uses(training).values()]
    assert "test" == evaluated(evaluation)[1]["role"]


def test_a_training_says_how(hf, autolog, told):
    """Class, seeds, epochs, steps; arguments that were given or not, and how the model is built."""
    autolog("transformers")
    hf.trainer(hf.model(layers=2), seed=9, learning_rate=0.001, hub_token="hf_secret_of_mine").train()
    (event,) = told()
    training = facet(event, "training")
    expected = ("transformers", hf.library.__version__, "transformers.BertForSequenceClassification", 2, 8)
    keys = ("framework", "frameworkVersion", "algorithm", "epochs", "steps")
    assert expected == tuple(training[key] for key in keys)
    assert {"python": 9, "numpy": 9, "framework": 9} == training["seeds"]
    assert "baseModel" not in training
    found = params(event)
    assert {
        ("TrainingArguments", "learning_rate"): (0.001, "explicit"),
        ("TrainingArguments", "num_train_epochs"): (2, "explicit"),
        ("TrainingArguments", "weight_decay"): (0.0, "default"),
        ("TrainingArguments", "lr_scheduler_type"): ("linear", "default"),
        ("BertConfig", "num_hidden_layers"): (2, None),
    }.items() <= found.items()
    assert "hf_secret_of_mine" not in json.dumps(told())


def test_what_is_logged_is_told(hf, autolog, events):
    """Losses and scores are series by steps, of training and validation; speeds are no scores."""
    autolog("transformers")
    with modeltrail.run("train"):
        trainer = hf.trainer(
            judged=hf.Rows(8),
            eval_strategy="epoch",
            logging_steps=4,
            score=lambda given: {"mean": float(given.predictions.mean())},
        )
        trainer.train()
    found = points(events)
    assert {("loss", 4), ("loss", 8), ("eval_loss", 4), ("eval_mean", 8), ("train_loss", 8)} <= found.keys()
    assert not [name for name, _ in found if "second" in name or "runtime" in name]
    assert trainer.state.log_history[0]["loss"] == found["loss", 4]
    last = metrics(events[-1])
    assert ("train", "validation", 2.0) == (
        last["loss"]["split"],
        last["eval_loss"]["split"],
        last["loss"]["epoch"],
    )


def test_checkpoints_are_the_models(hf, autolog, told):
    """The best and the last folder are outputs; the best is the model where it is loaded in the end."""
    autolog("transformers")
    scores = iter([0.9, 0.1, 0.1])
    trainer = hf.trainer(
        judged=hf.Rows(8),
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="good",
        greater_is_better=True,
        score=lambda _: {"good": next(scores)},
    )
    trainer.train()
    trainer.evaluate()
    training, evaluation = told()
    steps = {name: each["facets"]["modelTrail_model"]["step"] for name, each in files(training).items()}
    assert {"checkpoint-4": 4, "checkpoint-8": 8} == steps
    found = files(training)["checkpoint-4"]
    assert "transformers" == found["facets"]["modelTrail_model"]["format"]
    artifact = found["outputFacets"]["modelTrail_modelArtifact"]
    assert "sha256-tree" == artifact["digestAlgorithm"]
    assert "model.safetensors" in {each["path"] for each in artifact["files"]}
    name, use, scored = evaluated(evaluation)
    assert ("checkpoint-4", "validation", 8) == (name, use["role"], use["fingerprint"]["rows"])
    assert {"eval_loss", "eval_good"} == scored.keys()


def test_each_evaluation_set_is_evaluated(hf, autolog, told):
    """Several sets by name are several evaluations; a prediction of data with labels is a test."""
    autolog("transformers")
    trainer = hf.trainer(judged={"near": hf.Rows(8, seed=1), "far": hf.Rows(4, seed=2)})
    trainer.train()
    trainer.evaluate()
    trainer.predict(hf.Rows(12, seed=3))
    _, *rest = told()
    found = [evaluated(event) for event in rest]
    assert [8, 4, 12] == [use["fingerprint"]["rows"] for _, use, _ in found]
    assert ["eval_near_loss", "eval_far_loss", "test_loss"] == [min(scores) for *_, scores in found]


def test_a_folder_is_the_base(hf, autolog, told, tmp_path):
    """What `from_pretrained` read is the base of the new model, with the digest of the folder."""
    autolog("transformers")
    hf.model().save_pretrained(tmp_path / "base")
    with modeltrail.run("train"):
        loaded = hf.library.AutoModelForSequenceClassification.from_pretrained(str(tmp_path / "base"))
        hf.trainer(loaded).train()
    saved, training = told()
    base = facet(training, "training")["baseModel"]
    artifact = files(saved)["base"]["outputFacets"]["modelTrail_modelArtifact"]
    assert (str(tmp_path / "base"), artifact["digest"]) == (base["name"], base["digest"])
    assert "train" == uses(training)[str(tmp_path / "base")]["role"]


def test_a_model_that_was_changed_since_it_was_loaded_has_its_base(hf, autolog, told, tmp_path):
    """As by more tokens than it had; its weights are no longer those of the folder."""
    autolog("transformers")
    hf.model().save_pretrained(tmp_path / "base")
    loaded = hf.library.AutoModelForSequenceClassification.from_pretrained(str(tmp_path / "base"))
    loaded.resize_token_embeddings(60)
    hf.trainer(loaded).train()
    assert str(tmp_path / "base") == facet(told()[-1], "training")["baseModel"]["name"]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT asks it
def test_an_adapter_has_its_settings_and_the_base_that_it_adapts(hf, autolog, told, tmp_path):
    """Of PEFT: what is saved is the adapter, in which the weights of its base are not."""
    import peft

    autolog("transformers")
    hf.model().save_pretrained(tmp_path / "base")
    loaded = hf.library.AutoModelForSequenceClassification.from_pretrained(str(tmp_path / "base"))
    wanted = peft.LoraConfig(r=2, target_modules=["value", "query"], task_type="SEQ_CLS")
    with modeltrail.run("tune"):
        trainer = hf.trainer(peft.get_peft_model(loaded, wanted))
        trainer.train()
        trainer.save_model(str(tmp_path / "adapter"))
    event = told()[-1]
    assert str(tmp_path / "base") == facet(event, "training")["baseModel"]["name"]
    assert "train" == uses(event)[str(tmp_path / "base")]["role"]
    found = params(event)
    assert (2, "explicit") == found["LoraConfig", "r"]
    assert (["query", "value"], "explicit") == found["LoraConfig", "target_modules"]
    assert (0.0, "default") == found["LoraConfig", "lora_dropout"]
    outputs = files(event)
    assert {"checkpoint-8", "adapter"} == outputs.keys()
    ids = {each["facets"]["modelTrail_model"]["modelId"] for each in outputs.values()}
    assert 1 == len(ids)
    assert "adapter_model.safetensors" in {
        each["path"] for each in outputs["adapter"]["outputFacets"]["modelTrail_modelArtifact"]["files"]
    }


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize("how", ["loaded", "trained"])
def test_a_merged_model_came_of_base_and_adapter(hf, autolog, told, tmp_path, how):
    """Of the files of both, or of the training of the adapter in the same run; and it lies in no base."""
    import peft

    autolog()
    kind, base = hf.library.AutoModelForSequenceClassification, str(tmp_path / "base")
    hf.model().save_pretrained(base)
    wanted = peft.LoraConfig(r=2, target_modules=["value", "query"], task_type="SEQ_CLS")
    with modeltrail.run("tune"):
        trainer = hf.trainer(peft.get_peft_model(kind.from_pretrained(base), wanted), save_strategy="no")
        trainer.train()
        trainer.model.save_pretrained("adapter")
        if how == "trained":
            trainer.model.merge_and_unload().save_pretrained("merged")
    if how == "loaded":
        with modeltrail.run("merge") as run:
            merged = peft.PeftModel.from_pretrained(kind.from_pretrained(base), "adapter").merge_and_unload()
            run.evaluate(merged, pd.DataFrame({"x": [1.0]}), {"f1": 1.0})
            merged.save_pretrained("merged")
    *_, tuned = [event for event in told() if event["job"]["name"] == "tune"]
    assert {"base", "train"} == edges(tuned)["adapter"]
    *_, event = [event for event in told() if event["job"]["name"] in {"tune", "merge"}]
    assert {"base", "adapter" if how == "loaded" else "train"} == edges(event)["merged"]
    for event in told():
        judged = [each["name"] for each in event["inputs"] if "modelTrail_evaluation" in each["inputFacets"]]
        assert base not in judged


def test_a_loop_of_its_own_goes_on_with_what_was_loaded(hf, autolog, told, tmp_path):
    """Also where the loaded model is a part of the one that is trained, and not if that got another state."""
    import torch

    class Wrapped(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, batch):
            return self.inner(**batch).loss

    autolog()
    kind, base = hf.library.AutoModelForSequenceClassification, str(tmp_path / "base")
    hf.model().save_pretrained(base)
    torch.save(Wrapped(hf.model()).state_dict(), "state.pt")
    for state in (None, "state.pt"):
        with modeltrail.run("tune"):
            model = Wrapped(kind.from_pretrained(base))
            if state is not None:
                model.load_state_dict(torch.load(state))
            optimizer = torch.optim.SGD(model.parameters(), 0.1)
            for batch in torch.utils.data.DataLoader(hf.Rows(), 8):
                model(batch).backward()
                optimizer.step()
            torch.save(model.state_dict(), "m.pt")
    first, second = [event for event in told() if event["job"]["name"] == "tune"]
    assert (base, str(tmp_path / "state.pt")) == tuple(
        facet(event, "training")["baseModel"]["name"] for event in (first, second)
    )
    assert {"base", "train"} == edges(first)["m.pt"]
    assert {"state.pt", "train"} == edges(second)["m.pt"]


def test_a_trainer_knows_a_base_that_is_a_part_of_its_model(hf, autolog, told, tmp_path):
    """It was loaded, and what holds it was made."""
    import torch

    class Wrapped(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, **batch):
            return self.inner(**batch)

    autolog("transformers")
    hf.model().save_pretrained(tmp_path / "base")
    loaded = hf.library.AutoModelForSequenceClassification.from_pretrained(str(tmp_path / "base"))
    with modeltrail.run("tune"):
        trainer = hf.trainer(Wrapped(loaded), remove_unused_columns=False)
        trainer.train()
        loaded.save_pretrained("part")
    event = told()[-1]
    assert str(tmp_path / "base") == facet(event, "training")["baseModel"]["name"]
    assert {"base", "train"} == edges(event)["part"]


def test_a_model_that_the_trainer_makes_is_told_with_the_settings_of_its_training(hf, autolog, told):
    """By `model_init`, for each training anew: there was none before, or another one."""
    import transformers

    class Searching(transformers.Trainer):
        def _hp_search_setup(self, trial):
            self.args.learning_rate = 0.25  # of a trial

    autolog("transformers")
    args = transformers.TrainingArguments("out", num_train_epochs=1, use_cpu=True, disable_tqdm=True)
    trainer = Searching(args=args, model_init=lambda _: hf.model(), train_dataset=hf.Rows())
    with modeltrail.run("search"):
        trainer.model = None  # as a search leaves it between two trials
        trainer.train()
        trainer.save_model("best")
    (event,) = told()
    assert {"checkpoint-2", "best"} == files(event).keys()
    kinds = {each["facets"]["modelTrail_model"]["modelId"] for each in files(event).values()}
    assert {"BertForSequenceClassification-1"} == kinds
    assert (0.25, "explicit") == params(event)["TrainingArguments", "learning_rate"]
    assert "hidden_size" in {name for _, name in params(event)}


def test_the_best_checkpoint_may_be_an_earlier_training_s(hf, autolog, told):
    """What a resumed training gives back at its end came of that checkpoint, as it was after that step."""
    asked = {"judged": hf.Rows(8, seed=1), "eval_strategy": "epoch", "save_strategy": "epoch"}
    asked |= {"load_best_model_at_end": True, "metric_for_best_model": "score", "num_train_epochs": 4}
    scores = iter([9.0, 1.0, 2.0, 3.0])
    autolog("transformers")
    with modeltrail.run("first"):
        hf.trainer(score=lambda _: {"score": next(scores)}, **asked | {"num_train_epochs": 2}).train()
    with modeltrail.run("resumed"):
        trainer = hf.trainer(score=lambda _: {"score": next(scores)}, **asked)
        trainer.train(resume_from_checkpoint=True)
        trainer.save_model("final")
    event = told()[-1]
    assert {"checkpoint-4", "checkpoint-8", "train", "validation"} == edges(event)["final"]
    assert 4 == files(event)["final"]["facets"]["modelTrail_model"]["step"]


def test_what_is_put_beside_saved_weights_is_in_the_folder_too(hf, autolog, told, tmp_path):
    """The digest is that of the folder as it is when the run ends, by which the next one finds the model."""
    autolog("transformers")
    with modeltrail.run("save"):
        hf.model().save_pretrained("final")
        Path("final/labels.json").write_text("{}")
    with modeltrail.run("over"):
        hf.model().save_pretrained("other")
        Path("other/model.safetensors").write_bytes(b"somebody else's")
    with modeltrail.run("load"):
        hf.library.AutoModelForSequenceClassification.from_pretrained("final")
    saved, over, loaded = told()
    made = files(saved)["final"]["outputFacets"]["modelTrail_modelArtifact"]
    assert {"config.json", "labels.json", "model.safetensors"} == {each["path"] for each in made["files"]}
    (use,) = uses(loaded).values()
    assert made["digest"] == use["fingerprint"]["digest"]
    found = files(over)["other"]["outputFacets"]["modelTrail_modelArtifact"]
    assert found["digest"] != model.look(tmp_path / "other").digest


def test_a_model_of_the_hub_is_the_base(hf, autolog, told, tmp_path):
    """One that was fetched from the hub has its name there and the hash of the commit."""
    commit, cache = "c0ffee" * 6 + "c0ff", tmp_path / "hub"
    folder = cache / "models--acme--tiny"
    hf.model().save_pretrained(folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    autolog("transformers")
    kind = hf.library.BertForSequenceClassification
    hf.trainer(kind.from_pretrained("acme/tiny", cache_dir=cache)).train()
    (event,) = told()
    base = facet(event, "training")["baseModel"]
    assert {"namespace": "hf://huggingface.co", "name": "acme/tiny", "version": commit} == base
    assert "train" == uses(event)["acme/tiny"]["role"]


def test_what_is_saved_is_the_model(hf, autolog, told, tmp_path):
    """A save is a run from what was trained to the folder, and again once the tokenizer lies there too."""
    import tokenizers

    autolog("transformers")
    trainer = hf.trainer(save_strategy="no")
    trainer.train()
    trainer.save_model(str(tmp_path / "final"))
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}))
    tokenizer = hf.library.PreTrainedTokenizerFast(tokenizer_object=words)
    tokenizer.save_pretrained(tmp_path / "final")
    tokenizer.save_pretrained(tmp_path / "elsewhere")
    trained, saved, whole = told()
    assert trained["outputs"][0]["name"] == saved["inputs"][0]["name"]
    assert str(tmp_path / "final") == saved["outputs"][0]["name"] == whole["outputs"][0]["name"]
    before, after = (
        event["outputs"][0]["outputFacets"]["modelTrail_modelArtifact"] for event in (saved, whole)
    )
    names = {each["path"] for each in after["files"]} - {each["path"] for each in before["files"]}
    assert "tokenizer.json" in names


@pytest.mark.parametrize("given", [True, "out/checkpoint-4"])
def test_going_on_from_a_checkpoint(hf, autolog, told, given):
    """The checkpoint to resume from, the last one or any other, is the base of the new model."""
    hf.trainer(num_train_epochs=1, save_strategy="epoch").train()
    autolog("transformers")
    hf.trainer(num_train_epochs=2, save_strategy="epoch").train(resume_from_checkpoint=given)
    (event,) = told()
    assert "checkpoint-4" == Path(facet(event, "training")["baseModel"]["name"]).name
    assert 8 == facet(event, "training")["steps"]


def test_what_a_trainer_loads_by_itself_is_told_as_a_whole(hf, autolog, told):
    """Neither the parts of the best checkpoint nor of the one to go on from; what a dataset reads is told."""
    import torch

    class Stored(hf.Rows):
        def __getitem__(self, row):
            torch.load("words.pt")
            return super().__getitem__(row)

    torch.save(torch.zeros(3), "words.pt")
    kept = {"judged": hf.Rows(8), "eval_strategy": "epoch", "save_strategy": "epoch"}
    autolog()
    with modeltrail.run("again"):
        hf.trainer(num_train_epochs=1, **kept).train()
        again = hf.trainer(train=Stored(), load_best_model_at_end=True, **kept)
        again.train(resume_from_checkpoint=True)
    used = {Path(name).name: use["role"] for name, use in uses(told()[-1]).items()}
    assert {"words.pt": "other", "checkpoint-4": "train"}.items() <= used.items()
    assert {"words.pt"} == {name for name, role in used.items() if role == "other"}


def test_checkpoints_of_an_earlier_training_are_no_outputs(hf, autolog, told):
    """What lies in the folder already is none of this training's, also where that comes to the same step."""
    hf.trainer(save_strategy="epoch").train()
    autolog("transformers")
    with modeltrail.run("again"):
        hf.trainer(save_strategy="no").train()
    with modeltrail.run("nothing left"):
        hf.trainer(save_strategy="epoch").train(resume_from_checkpoint=True)
    assert [{}, {}] == [files(event) for event in told()]


@pytest.mark.parametrize(("error", "kind"), [(ValueError("no"), "FAIL"), (KeyboardInterrupt(), "ABORT")])
def test_a_training_that_fails(hf, autolog, told, error, kind):
    """The host's exception is its own, and ends the run; the checkpoints that are there are told."""
    autolog("transformers")

    class Broken(hf.library.TrainerCallback):
        def on_epoch_end(self, args, state, control, **more):
            if state.epoch > 1:
                raise error

    trainer = hf.trainer(save_strategy="steps", save_steps=8)
    trainer.add_callback(Broken())
    with pytest.raises(type(error)) as caught:
        trainer.train()
    assert error is caught.value
    (event,) = told(kind)
    assert ["train"] == [use["role"] for use in uses(event).values()]
    assert 8 == facet(event, "training")["steps"]


def test_other_ranks_are_silent(hf, autolog, events, monkeypatch):
    """Of processes that train together the first one tells."""
    autolog("transformers")
    trainer = hf.trainer(judged=hf.Rows(8))
    monkeypatch.setattr(type(trainer), "is_world_process_zero", lambda _: False)
    trainer.train()
    trainer.evaluate()
    trainer.predict(hf.Rows(8))
    assert [] == events


def test_nothing_is_told_twice(hf, autolog, told):
    """With all integrations on a training that scores with scikit-learn is one run with its own scores."""
    from sklearn.metrics import accuracy_score

    autolog()
    trainer = hf.trainer(
        judged=hf.Rows(8),
        eval_strategy="epoch",
        score=lambda given: {"accuracy": accuracy_score(given.label_ids, given.predictions.argmax(-1))},
    )
    before = list(trainer.callback_handler.callbacks)
    trainer.train()
    (event,) = told()
    assert "accuracy_score" not in metrics(event)
    assert "eval_accuracy" in metrics(event)
    assert before == trainer.callback_handler.callbacks


def test_models_of_one_run_are_told_apart(hf, autolog, told, tmp_path):
    """Each has its arguments, its training and its figures, and so have their checkpoints."""
    autolog("transformers")
    with modeltrail.run("two"):
        for number, rate in enumerate((0.001, 0.01)):
            trainer = hf.trainer(output_dir=str(tmp_path / str(number)), learning_rate=rate)
            trainer.train()
            trainer.save_model(tmp_path / f"saved-{number}")
    event = told()[-1]
    ids = {each["name"]: each["facets"]["modelTrail_model"]["modelId"] for each in event["outputs"]}
    kind = "BertForSequenceClassification"
    assert [f"{kind}-1", f"{kind}-2"] == [ids[str(tmp_path / f"saved-{number}")] for number in (0, 1)]
    assert {f"{kind}-1", f"{kind}-2"} == set(ids.values())
    rates = {
        each["modelId"]: each["value"]
        for each in facet(event, "hyperparameters")["params"]
        if each["name"] == "learning_rate"
    }
    assert {f"{kind}-1": 0.001, f"{kind}-2": 0.01} == rates
    assert set(ids.values()) == {each["modelId"] for each in facet(event, "training")["models"]}
    assert set(ids.values()) == {each.get("modelId") for each in facet(event, "metrics")["metrics"]}
