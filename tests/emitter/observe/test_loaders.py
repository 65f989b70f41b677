"""What is seen of datasets and loaders of PyTorch, and how a tensor is known again."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from told import known

from modeltrail.integrations import _sources
from modeltrail.observe import alike, data, likeness, loaders, origins

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def nothing_was_seen(monkeypatch):
    """Other tests read the same numbers from other files."""
    monkeypatch.setattr(alike, "_looked", {})


@pytest.fixture
def torch():
    import torch
    import torch.utils.data

    return torch


@pytest.fixture
def read(tmp_path, torch):
    """`read(name)`: an array that came from a file of that name."""

    def make(name="x.csv", rows=60):
        (tmp_path / name).write_text(name)
        array = np.random.default_rng(len(name)).normal(size=(rows, 3))
        origins.read(array, [str(tmp_path / name)])
        return array

    return make


def test_a_tensor_is_known_by_the_array_that_it_was_made_of(torch, read):
    """However it was made, shaped and cast, and when the array is gone; other numbers are not."""
    array = read()
    copies = [torch.tensor(array), torch.from_numpy(array).float(), torch.tensor(array).view(60, 1, 3)]
    twice = torch.tensor(array) * 2
    del array
    assert [["x.csv"]] * 3 == [known(each) for each in copies]
    assert [None, None] == [known(twice), known(copies[0][:30])]


def test_arrays_that_look_the_same_are_told_of_none(torch, read, tmp_path):
    """Where arrays with the same numbers came from several files, nobody knows which a tensor is of."""
    array = read()
    again = array.copy()
    origins.read(again, [str(tmp_path / "y.csv")])
    assert (None, ["x.csv"]) == (known(torch.tensor(array)), known(array))
    assert likeness.mark(np.ones((5, 2))) is None
    assert likeness.mark(np.empty((0, 2))) is None


def test_a_tensor_is_a_table(torch):
    """With the fingerprint of the array that holds the same numbers, also of bfloat16."""
    array = np.arange(12, dtype="float32").reshape(4, 3)
    for tensor in (
        torch.tensor(array),
        torch.tensor(array).bfloat16(),
        torch.tensor(array, requires_grad=True),
    ):
        assert data.look(array).fingerprint == data.look(tensor).fingerprint
    for odd in (torch.tensor(1.0), torch.eye(3).to_sparse(), torch.ones(2).to(torch.float8_e5m2)):
        assert "none" == data.look(odd).fingerprint.scope


def test_tensors_are_features_and_a_label(torch, read):
    """A TensorDataset of two is the table of its features with its label, from the files of both."""
    features, labels = read("x.csv"), read("label.csv")[:, 0].copy()
    origins.read(labels, [str(Path(known_place(features)).with_name("label.csv"))])
    whole = torch.utils.data.TensorDataset(torch.tensor(features), torch.tensor(labels))
    source = _sources.see(torch.utils.data.DataLoader(whole, batch_size=7))
    assert {"label_column": "label"} == source.use
    assert (60, ["0", "1", "2", "label"]) == (source.data.rows, [name for name, _ in source.data.fields])
    assert data.look(data.labelled(features, labels)[0]).fingerprint == source.data.fingerprint
    assert ["label.csv", "x.csv"] == known(source.data)
    assert source.data.profile.columns.keys() == {"0", "1", "2", "label"}


def known_place(thing):
    return origins.of(thing).sources[0].place


def test_subsets_are_their_rows(torch, read):
    """A subset of a subset, by whatever numbers: the content of the rows, each choice, a digest."""
    features = read()
    whole = torch.utils.data.TensorDataset(torch.tensor(features))
    half = torch.utils.data.Subset(whole, torch.arange(30))
    some = torch.utils.data.Subset(half, np.array([4, 2, 9]))
    view, label = loaders.look(some)
    assert (data.look(features[[4, 2, 9]]).fingerprint, None) == (view.fingerprint, label)
    split = origins.of(view).split
    assert ("indices", 0.1, 64) == (split["strategy"], split["fraction"], len(split["indexSha256"]))
    assert [("sequential", 0.5)] == [(each["strategy"], each["fraction"]) for each in split["earlier"]]
    assert "sequential" == origins.of(loaders.look(half)[0]).split["strategy"]
    sampler = torch.utils.data.SubsetRandomSampler([1, 2, 3])
    by_sampler, _ = loaders.look(torch.utils.data.DataLoader(whole, sampler=sampler))
    assert (3, ["x.csv"]) == (by_sampler.rows, known(by_sampler))


def test_the_digest_of_the_rows_is_that_of_their_json(torch, read):
    """`indexSha256` is the SHA-256 of the numbers as Python writes them as JSON, whatever holds them."""
    whole = torch.utils.data.TensorDataset(torch.tensor(read()))
    wanted = hashlib.sha256(json.dumps([4, 2, 9]).encode()).hexdigest()
    for rows in ([4, 2, 9], [np.int64(4), 2, torch.tensor(9)], np.array([4, 2, 9])):
        view, _ = loaders.look(torch.utils.data.Subset(whole, rows))
        assert wanted == origins.of(view).split["indexSha256"]


def test_many_rows_are_taken_block_by_block(torch, read, monkeypatch):
    """Chosen rows that there may be no room to copy are seen as those that are copied."""
    whole = torch.utils.data.TensorDataset(torch.from_numpy(read()), torch.arange(60))
    some = torch.utils.data.Subset(whole, [30, 2, 59, 4])
    copied, _ = loaders.look(some)
    monkeypatch.setattr(loaders, "MAX_COPY", 0)
    assert loaders.look(some)[0] == copied
    assert copied == loaders.look(torch.utils.data.Subset(whole, np.array([30, 2, 59, 4])))[0]
    assert (4, "full") == (copied.rows, copied.fingerprint.scope)


def test_a_split_of_row_numbers_is_known(torch, read):
    """What is known of how row numbers were chosen holds for the rows."""
    numbers = np.arange(0, 60, 2)
    origins.choose(numbers, {"strategy": "stratified", "seed": 3})
    whole = torch.utils.data.TensorDataset(torch.tensor(read()))
    view, _ = loaders.look(torch.utils.data.Subset(whole, numbers))
    split = origins.of(view).split
    assert ("stratified", 3, 0.5) == (split["strategy"], split["seed"], split["fraction"])


@pytest.fixture
def own(torch):
    """`own(**attributes)`: a dataset of the user's own; what is asked of it but its length fails."""

    class Own(torch.utils.data.Dataset):
        def __init__(self, **attributes):
            vars(self).update(attributes)

        def __len__(self):
            return 4

        def __getitem__(self, number):
            raise AssertionError("nobody takes rows")

    return Own


def test_a_dataset_of_the_user_s_own(own, tmp_path):
    """What it holds of each row, under the names that it has for it, and the files that this came from."""
    frame = pd.DataFrame({"a": [1, 2, 3, 4], "b": [4.0, 5, 6, 7]})
    origins.read(frame, [str(tmp_path / "x.csv")])
    dataset = own(
        frame=frame, y=np.arange(4), a=np.ones(4), other=np.ones(9), words="hello.txt", labels=[1] * 4
    )
    source = _sources.see(dataset)
    assert (["a", "b", "y", "a.a"], {}) == ([name for name, _ in source.data.fields], source.use)
    assert ["x.csv"] == known(source.data)


def test_a_folder_of_images(own, torch, tmp_path):
    """A dataset that holds only where its files are is those: of files within a folder only the folder."""
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "images" / name).write_text(name)
    (tmp_path / "labels.csv").write_text("x")
    files = sorted((tmp_path / "images").iterdir())
    dataset = own(files=files, root=str(tmp_path / "images"), labels=str(tmp_path / "labels.csv"))
    seen, part = (loaders.look(each)[0] for each in (dataset, torch.utils.data.Subset(dataset, [1])))
    assert (4, "metadata", ["images", "labels.csv"]) == (seen.rows, seen.fingerprint.scope, known(seen))
    assert (1, ["images", "labels.csv"]) == (part.rows, known(part))
    assert seen.name != part.name
    both, _ = loaders.look(torch.utils.data.ConcatDataset([dataset, own(files=files)]))
    assert (8, ["images", "labels.csv"]) == (both.rows, known(both))


@pytest.mark.parametrize(
    "texts",
    [
        ["User: my number is 3. Call", "User: thanks"],
        ["It was nice. Really", "Subject: pay of Anna"],
        ["https://t.co/1 a good day", "https://t.co/2 a bad day"],
        ["https://bank.example/login", "http://shop.example/"],
        ["</s>", "data", "the"],
    ],
)
def test_texts_are_no_places(own, tmp_path, monkeypatch, texts):
    """Texts that begin as URIs do, links, and words that are called as a folder is, are rows."""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    pairs = [(text, 1) for text in texts]
    view, _ = loaders.look(own(texts=texts, pairs=pairs, first=dict(enumerate(texts)), labels=[1] * 4))
    assert None is known(view)
    held, _ = loaders.look(own(url="https://data.example/x.csv", shards=["s3://bucket/1.tar"]))
    assert ["1.tar", "x.csv"] == known(held)


def test_texts_tell_one_part_of_a_file_from_another(own, tmp_path):
    """Two datasets of as many lines of one file are two, and the same lines again are the same."""
    (tmp_path / "lines.txt").write_text("a")
    lines = [["a", "b", "c", "d"], ["e", "f", "g", "h"], ["a", "b", "c", "d"]]
    views = [loaders.look(own(path=str(tmp_path / "lines.txt"), lines=each))[0] for each in lines]
    assert views[0].name == views[2].name != views[1].name
    assert {"metadata"} == {each.fingerprint.scope for each in views}


@pytest.mark.parametrize("indices", [[(0, 2), (2, 4)], {"a": 1}, [3, 1, 2, 0]])
def test_what_a_dataset_calls_indices_chooses_no_rows(own, indices):
    """Windows of the user's own are no choice among rows, whatever his dataset calls them."""
    view, _ = loaders.look(own(values=np.arange(4.0), indices=indices))
    assert (4, None) == (view.rows, origins.of(view))
    assert "full" == view.fingerprint.scope


def test_a_stream_has_no_rows(torch):
    """Of a dataset that only streams nothing is counted, nor taken."""

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            raise AssertionError("nobody takes rows")

    view, label = loaders.look(torch.utils.data.DataLoader(Stream()))
    assert (None, None, "metadata") == (view.rows, label, view.fingerprint.scope)
