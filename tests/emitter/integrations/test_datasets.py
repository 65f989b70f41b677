"""datasets of Hugging Face as people use it: from files to a training, and what it leaves in the events."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from told import edges, files, known, uses

import modeltrail
from modeltrail import naming
from modeltrail.integrations import datasets as integration
from modeltrail.observe import data, origins

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:Specifying null_placement:FutureWarning"),  # its own, in `sort`
]


@pytest.fixture
def hf(autolog, tmp_path, monkeypatch):
    """The library, observed; `load(**files)` of CSV files of 20 texts with stars."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    import datasets

    autolog("datasets")
    for number, name in enumerate(("a", "b")):
        rows = [{"text": f"{name} is {each}", "stars": each % 5} for each in range(number, number + 20)]
        pd.DataFrame(rows).to_csv(f"{name}.csv", index=False)

    def load(split=None, **data_files):
        return datasets.load_dataset("csv", data_files=data_files, split=split, cache_dir="cache")

    return SimpleNamespace(library=datasets, load=load, a=lambda: load("train", train="a.csv"))


def split_of(thing):
    """How its rows were chosen."""
    return dict(origins.of(thing).split or {})


def long(batch):
    """Of a batch how long its texts are."""
    return {"length": [len(text) for text in batch["text"]]}


def test_each_split_is_of_its_files(hf):
    """Also several of one, part of one, a file by a method of its own, and one that is streamed."""
    found = hf.load(train=["a.csv", "b.csv"], test="b.csv")
    assert (["a.csv", "b.csv"], ["b.csv"]) == tuple(known(found[name]) for name in ("train", "test"))
    part = hf.load("train[:25%]", train="a.csv")
    assert (["a.csv"], {"strategy": "sequential", "fraction": 0.25}) == (known(part), split_of(part))
    both = hf.load("train+test", train="a.csv", test="b.csv")
    assert (["a.csv", "b.csv"], {}) == (known(both), split_of(both))
    assert ["b.csv"] == known(hf.library.Dataset.from_csv("b.csv", cache_dir="cache"))
    stream = hf.library.load_dataset("csv", data_files={"train": "a.csv"}, streaming=True)["train"]
    assert ["a.csv"] == known(stream.map(lambda row: row).take(3))


def test_what_is_made_of_a_dataset_came_from_its_files(hf):
    """By a function, also where the cache has it; by rows, columns, formats; put together; as a frame."""
    whole = hf.a()
    for _ in range(2):
        assert ["a.csv"] == known(whole.map(long, batched=True).filter(lambda row: row["length"] > 1))
    assert ["a.csv"] == known(whole.sort("stars").rename_column("stars", "label").with_format("torch"))
    assert ["a.csv"] == known(whole.remove_columns("text").class_encode_column("stars").flatten_indices())
    assert ["a.csv"] == known(whole.to_pandas())
    assert ["a.csv"] == known(hf.library.Dataset.from_pandas(whole.to_pandas()))
    other = hf.load("train", train="b.csv")
    joined = hf.library.concatenate_datasets([whole, other])
    mixed = hf.library.interleave_datasets([whole, other])
    assert ["a.csv", "b.csv"] == known(joined) == known(mixed)
    several = hf.load(train="a.csv", test="b.csv").map(long, batched=True)
    assert ["b.csv"] == known(several["test"])


def test_how_rows_were_chosen_is_known(hf):
    """By a split with its seed, after a shuffle, by their numbers."""
    whole = hf.a()
    parts = whole.train_test_split(test_size=0.25, seed=7)
    assert {"strategy": "random", "fraction": 0.75, "seed": 7} == split_of(parts["train"])
    assert {"strategy": "random", "fraction": 0.25, "seed": 7} == split_of(parts["test"])
    assert "sequential" == split_of(whole.train_test_split(0.25, shuffle=False)["test"])["strategy"]
    few = whole.shuffle(seed=3).select(range(5))
    earlier = [{"strategy": "random", "seed": 3}]
    assert {"strategy": "sequential", "fraction": 0.25, "earlier": earlier} == split_of(few)
    assert {"strategy": "indices", "fraction": 0.1} == split_of(whole.select([3, 9]))
    assert {"strategy": "sequential", "fraction": 0.5} == split_of(whole.shard(2, 1))
    encoded = whole.class_encode_column("stars")
    assert (
        "stratified"
        == split_of(encoded.train_test_split(0.5, stratify_by_column="stars")["train"])["strategy"]
    )


def test_how_datasets_were_mixed_is_known(hf):
    """By turns, or by chance: then the seed says which rows come when, and how many of each."""
    several = [hf.a(), hf.load("train", train="b.csv")]
    mixed = hf.library.interleave_datasets(several, probabilities=[0.6, 0.4], seed=42)
    assert {"strategy": "interleaved", "seed": 42} == split_of(mixed)
    assert {"strategy": "interleaved"} == split_of(hf.library.interleave_datasets(several))


def test_a_dataset_has_the_content_of_the_frame_with_its_rows(hf):
    """Also of chosen rows, and with lists in them; what a batch would be like by its format is none of it."""
    whole = hf.a()
    few = whole.shuffle(seed=1).select(range(7))
    for each in (whole, few, few.with_format("numpy"), few.map(lambda row: {"tokens": [1, row["stars"]]})):
        assert data.look(each.to_pandas()).fingerprint == data.look(each).fingerprint
    assert {"full"} == {data.look(each).fingerprint.scope for each in (whole, few)}


def test_lists_of_many_texts_are_sampled(hf, monkeypatch):
    """What would take longer than a fit should wait is looked at in parts, and says so."""
    words = [[f"{n} {each}" for each in range(50)] for n in range(1000)]
    monkeypatch.setattr(data, "FULL_BYTES", 1 << 20)
    found = data.look(hf.library.Dataset.from_dict({"words": words})).fingerprint
    assert "sampled" == found.scope
    assert "of 1000 rows" in found.canonicalisation
    numbers = hf.library.Dataset.from_dict({"tokens": [[n] * 30 for n in range(1000)]})
    assert "full" == data.look(numbers).fingerprint.scope


def test_autolog_leaves_the_cache_as_it_is(hf):
    """What was made without us is found again, and the other way round."""
    made = [hf.a().map(long, batched=True).train_test_split(0.5, seed=1)["train"]]
    integration.deactivate()
    made.append(hf.a().map(long, batched=True).train_test_split(0.5, seed=1)["train"])
    first, second = (([each["filename"] for each in one.cache_files], one._fingerprint) for one in made)
    assert first == second


def test_a_trainer_learns_from_a_file(hf, autolog, told):
    """A file, its rows for training and for validation, and the label."""
    import transformers

    autolog("transformers")
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    config = transformers.BertConfig(vocab_size=50, max_position_embeddings=8, **sizes)
    model = transformers.BertForSequenceClassification(config)

    def encode(batch):
        words = [[ord(letter) % 50 for letter in text[:6]] for text in batch["text"]]
        return {"input_ids": words, "labels": [stars % 2 for stars in batch["stars"]]}

    ready = hf.a().map(encode, batched=True, remove_columns=["text", "stars"])
    parts = ready.train_test_split(test_size=0.25, seed=7)
    asked = {"num_train_epochs": 1, "use_cpu": True, "disable_tqdm": True, "eval_strategy": "epoch"}
    args = transformers.TrainingArguments("out", **asked)
    trainer = transformers.Trainer(model, args, train_dataset=parts["train"], eval_dataset=parts["test"])
    trainer.train()
    event = told()[0]
    by_role = {use["role"]: use for name, use in uses(event).items() if not name.endswith(".csv")}
    assert {"train": 15, "validation": 5} == {
        role: use["fingerprint"]["rows"] for role, use in by_role.items()
    }
    assert "labels" == by_role["train"]["labelColumn"]
    assert {"strategy": "random", "fraction": 0.75, "seed": 7} == by_role["train"]["split"]
    (file,) = [each for each in event["inputs"] if each["name"].endswith("a.csv")]
    used = file["inputFacets"]["modelTrail_dataUse"]
    assert ("train", 20, "sha256") == (
        used["role"],
        used["fingerprint"]["rows"],
        used["fingerprint"]["algorithm"],
    )
    assert {"a.csv"} <= edges(event)[next(iter(files(event)))]


def test_a_loop_learns_from_a_file(hf, autolog, told):
    """By a loader of PyTorch, of chosen rows too."""
    import torch

    autolog("torch")
    numbers = hf.a().map(long, batched=True).select_columns(["length", "stars"]).with_format("torch")
    part, _ = torch.utils.data.random_split(numbers, [15, 5], torch.Generator().manual_seed(4))
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    with modeltrail.run("loop"):
        for batch in torch.utils.data.DataLoader(part, batch_size=5):
            model(batch["length"].float().unsqueeze(1)).square().mean().backward()
            optimizer.step()
        torch.save(model.state_dict(), "m.pt")
    (event,) = told()
    (use,) = [use for name, use in uses(event).items() if not name.endswith(".csv")]
    assert (15, "full", 4) == (use["fingerprint"]["rows"], use["fingerprint"]["scope"], use["split"]["seed"])
    assert "a.csv" in edges(event)["m.pt"]


def test_a_loop_learns_from_a_stream(hf, autolog, told):
    """Its rows cannot be looked at, but the file that they come from is what the model learned from."""
    import torch

    autolog("torch")
    files = {"train": "a.csv"}
    stream = hf.library.load_dataset("csv", data_files=files, streaming=True)["train"].with_format("torch")
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    with modeltrail.run("loop"):
        for batch in torch.utils.data.DataLoader(stream, batch_size=5):
            model(batch["stars"].float().unsqueeze(1)).square().mean().backward()
            optimizer.step()
        torch.save(model.state_dict(), "m.pt")
    (event,) = told()
    assert "a.csv" in edges(event)["m.pt"]


def test_a_fit_on_single_columns_is_told(hf, autolog, told):
    """Texts and labels as scikit-learn takes them, by their names in the dataset, came of its file."""
    import joblib
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    autolog("sklearn")
    whole = hf.a()
    with modeltrail.run("fit"):
        model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(whole["text"], whole["stars"])
        joblib.dump(model, "m.joblib")
    (event,) = told()
    assert 20 in {use["fingerprint"]["rows"] for use in uses(event).values()}
    if hasattr(hf.library.arrow_dataset, "Column"):
        assert {"a.csv", "train"} == edges(event)["m.joblib"]


def test_what_is_written_leads_back(hf, told):
    """A folder, a Parquet file, lines of JSON; and what is loaded from there leads to these."""
    with modeltrail.run("prepare"):
        whole = hf.a()
        whole.save_to_disk("saved")
        whole.to_parquet("rows.parquet")
        whole.map(long, batched=True).to_json("rows.json")
    (event,) = told()
    assert {"saved": {"a.csv"}, "rows.parquet": {"a.csv"}, "rows.json": {"a.csv"}} == edges(event)
    assert ["saved"] == known(hf.library.load_from_disk("saved"))
    assert ["rows.parquet"] == known(hf.library.Dataset.from_parquet("rows.parquet", cache_dir="cache"))
    assert 20 == len(Path("rows.json").read_text(encoding="utf-8").splitlines())


def test_a_repository_of_the_hub_is_one_source():
    """All of its files at one commit; a file in an archive is the archive's."""
    at = "hf://datasets/acme/reviews@5c3f"
    assert [at] == integration._places([f"{at}/data/train-{n}.parquet" for n in range(3)])
    assert ["/data/all.zip"] == integration._places(["zip://train.csv::/data/all.zip"])
    view = data.look(at)
    assert (naming.HUB, "datasets/acme/reviews", "5c3f") == (view.namespace, view.name, view.version)
