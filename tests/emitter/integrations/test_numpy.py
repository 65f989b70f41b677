"""Files of numpy: which arrays came from them, and what they were made of."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from told import edges, files, known, uses

import modeltrail
from modeltrail.integrations import numpy as integration

ROWS = 60


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where arrays lie that were saved in each way, before anybody looked."""
    monkeypatch.chdir(tmp_path)
    numbers = np.random.default_rng().normal(size=(ROWS, 3))  # others look as none of another test do
    np.save("x.npy", numbers)
    np.save("y.npy", (numbers[:, 0] > 0).astype(int))
    np.savez("x.npz", x=numbers, other=numbers + 1)
    np.savetxt("x.txt", numbers)
    numbers.tofile("x.dat")
    pd.DataFrame(numbers, columns=list("abc")).to_csv("raw.csv", index=False)
    return tmp_path


READ = {
    "load": (lambda: np.load("x.npy"), "x.npy"),
    "load of an open file": (lambda: np.load(open("x.npy", "rb")), "x.npy"),  # noqa: PTH123, SIM115
    "load of an archive": (lambda: np.load("x.npz")["x"], "x.npz"),
    "load of what is mapped": (lambda: np.load("x.npy", mmap_mode="r"), "x.npy"),
    "memmap": (lambda: np.memmap("x.dat", float, "r", shape=(ROWS, 3)), "x.dat"),
    "a part of a memmap": (lambda: np.memmap("x.dat", float, "r", shape=(ROWS, 3))[:40, 1:], "x.dat"),
    "an array of a memmap": (lambda: np.asarray(np.memmap("x.dat", float, "r", shape=(ROWS, 3))), "x.dat"),
    "loadtxt": (lambda: np.loadtxt("x.txt"), "x.txt"),
    "genfromtxt": (lambda: np.genfromtxt("raw.csv", delimiter=",", skip_header=1), "raw.csv"),
    "fromfile": (lambda: np.fromfile("x.dat").reshape(ROWS, 3), "x.dat"),
    "a split of it": (lambda: train_test_split(np.load("x.npy"), random_state=0)[0], "x.npy"),
    "a copy": (lambda: train_test_split(np.load("x.npy").astype("float32"), random_state=0)[0], "x.npy"),
}


@pytest.mark.parametrize("how", READ)
def test_an_array_came_from_the_file_that_it_was_read_from(autolog, folder, how):
    """Or that it is mapped to."""
    autolog()
    read, file = READ[how]
    assert {file} == set(known(read()))


def test_a_model_learned_from_the_files_of_its_arrays(autolog, told, folder):
    """The features and the labels, each with digest and rows; a file that nothing came of may have."""
    autolog()
    with modeltrail.run("train") as run:
        np.load("x.npz")["x"]
        model = LogisticRegression().fit(np.load("x.npy"), np.load("y.npy"))
        run.output_model(model, name="churn")
    (event,) = told()
    found = {name.rpartition("/")[2]: use for name, use in uses(event).items()}
    assert {"x.npy": "train", "y.npy": "train", "x.npz": "other"} == {
        name: use["role"] for name, use in found.items() if "." in name
    }
    given = {each["name"].rpartition("/")[2]: each["inputFacets"] for each in event["inputs"]}
    assert all(ROWS == given[name]["inputStatistics"]["rowCount"] for name in ("x.npy", "y.npy"))
    assert all("full" == found[name]["fingerprint"]["scope"] for name in ("x.npy", "y.npy", "x.npz"))


WRITTEN = {
    "save": (lambda x: np.save("new.npy", x), "new.npy"),
    "save without a suffix": (lambda x: np.save("new", x), "new.npy"),
    "savez": (lambda x: np.savez("new.npz", x=x, other=np.zeros(3)), "new.npz"),
    "savez without a suffix": (lambda x: np.savez("new", np.zeros(3), x), "new.npz"),
    "savez_compressed": (lambda x: np.savez_compressed("new.npz", x=x), "new.npz"),
    "savetxt": (lambda x: np.savetxt("new.txt", x * 2), "new.txt"),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_a_file_was_made_of_what_its_arrays_came_from(autolog, told, folder, how):
    """It is an output with the digest of all that was written; of `savetxt` of all that had been read."""
    autolog()
    write, file = WRITTEN[how]
    with modeltrail.run("prepare"):
        write(pd.read_csv("raw.csv").to_numpy())
        np.load("y.npy")
    (event,) = told()
    assert {file} == set(files(event))
    assert {"raw.csv"} == edges(event)[file]
    size = files(event)[file]["outputFacets"]["outputStatistics"]["size"]
    assert (folder / file).stat().st_size == size


def test_of_thousands_of_small_files_the_first_are_followed(autolog, folder, monkeypatch):
    """Such are the samples of a dataset, and to follow each would take as long as to read it."""
    monkeypatch.setattr(integration, "MAX_SMALL", 2)
    np.save("large.npy", np.arange(1 << 17, dtype="float64"))
    autolog()
    for name in ("first", "second"):
        with modeltrail.run(name):
            found = [known(np.load("x.npy")) for _ in range(3)]
            assert [True, True, False] == list(map(bool, found))
            assert known(np.load("large.npy"))
