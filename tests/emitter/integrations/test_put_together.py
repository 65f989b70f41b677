"""Arrays that numpy and scipy put together: from which files, and of which transformers, the whole came."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from told import edges, facet, known

import modeltrail
from modeltrail.observe import alike, origins

ROWS = 60


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing is known of arrays that other tests have made."""
    monkeypatch.setattr(alike, "_looked", {})


@pytest.fixture
def tables(tmp_path):
    """Two files of two numbers and a region each."""
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        table = pd.DataFrame(random.normal(size=(ROWS, 2)), columns=["age", "income"])
        table.assign(region=random.choice(list("xyz"), ROWS)).to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def scaled(path):
    return StandardScaler().fit_transform(pd.read_csv(path)[["age", "income"]])


def regions(path, **how):
    return OneHotEncoder(**how).fit_transform(pd.read_csv(path)[["region"]])


@pytest.fixture
def learned_from(told, autolog, tables):
    """`learned_from(make)`: files that a model of what `make(tables)` gives came of, and its own steps."""
    autolog()

    def learn(make):
        labels = [row % 2 for row in range(ROWS)]
        with modeltrail.run("together") as run:
            Ridge().fit([[row] for row in range(ROWS)], labels)
            run.output_model(LogisticRegression().fit(make(tables), labels), name="m")
        event = told()[-1]
        found = {name for name in edges(event)["m"] if name.endswith(".csv")}
        (made,) = event["outputs"]
        return found, made["facets"]["modelTrail_model"].get("partIds", [])

    return learn


WAYS = {
    "hstack": lambda at: np.hstack([scaled(at / "a.csv"), regions(at / "b.csv", sparse_output=False)]),
    "column_stack": lambda at: np.column_stack((regions(at / "b.csv").toarray(), scaled(at / "a.csv"))),
    "concatenate": lambda at: np.concatenate([scaled(at / "a.csv"), scaled(at / "b.csv")], axis=1),
    "c_": lambda at: np.c_[np.ones(ROWS), scaled(at / "a.csv"), scaled(at / "b.csv")],
    "sparse": lambda at: scipy.sparse.hstack([scaled(at / "a.csv"), regions(at / "b.csv")]).tocsr(),
}


@pytest.mark.parametrize("way", WAYS)
def test_columns_put_together_came_from_all_of_their_files(learned_from, way):
    """Scaled numbers beside encoded ones: both files, and both of what made them, though they are gone."""
    files, steps = learned_from(WAYS[way])
    assert {"a.csv", "b.csv"} == files
    assert 2 == len(steps)


def test_rows_put_together_came_from_all_of_their_files(autolog, tables):
    """One below the other, also copied, turned to other numbers' type, and split again."""
    autolog()
    pair = [scaled(tables / f"{name}.csv") for name in ("a", "b")]
    for whole in (np.vstack(pair), np.concatenate(pair), np.vstack(pair).astype("float32").copy()):
        train, test = train_test_split(whole, random_state=0)
        assert [["a.csv", "b.csv"]] * 2 == [known(train), known(test)]
    assert {"strategy": "random", "fraction": 0.75, "seed": 0} == origins.of(train).split


def test_what_was_computed_or_chosen_is_of_nothing_known(autolog, tables):
    """Other numbers, some rows, and what many tables have: zeros and ones, or a count of the rows."""
    autolog()
    numbers, encoded = scaled(tables / "a.csv"), regions(tables / "a.csv", sparse_output=False)
    counted = pd.read_csv(tables / "a.csv").reset_index()[["index"]].to_numpy()
    for array in (numbers * 2, numbers[::2].copy(), np.c_[encoded, np.ones(ROWS)], np.c_[counted, -counted]):
        train, _ = train_test_split(array)
        assert not known(train)


def test_of_two_files_with_the_same_numbers_neither_is_named(autolog, tables):
    """Nobody knows which of them it is."""
    autolog()
    (tables / "again.csv").write_bytes((tables / "a.csv").read_bytes())
    pair = [scaled(tables / f"{name}.csv") for name in ("a", "again")]
    train, _ = train_test_split(np.hstack([pair[0], np.zeros((ROWS, 1))]))
    assert not known(train)


def test_of_two_scalers_with_the_same_numbers_neither_is_a_step(learned_from, told):
    """The file is known, and which of them made its numbers is not."""
    files, steps = learned_from(lambda at: np.c_[scaled(at / "a.csv"), scaled(at / "a.csv")])
    assert ({"a.csv"}, []) == (files, steps)
    assert 2 == len(facet(told()[-1], "featureTransformations")["steps"])


def test_numpy_is_as_it_was(autolog):
    """Its functions are the same objects: numba, and what overrides them, know them by that."""
    names = ("hstack", "vstack", "column_stack", "concatenate", "load", "save", "savez", "savetxt")
    before = [getattr(np, name) for name in names]
    autolog()
    assert all(getattr(np, name) is function for name, function in zip(names, before, strict=True))
