"""What a run predicted and computed with: where it is written to, its sources are possible ones."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict
from told import edges, files

import modeltrail

FEATURES = ["age", "income"]


@pytest.fixture
def run(autolog, tables, monkeypatch):
    """A run of a script that lies where its files do; `c.csv` is nobody's."""
    monkeypatch.chdir(tables)
    pd.DataFrame({"place": range(60), "size": 1.5}).to_csv("c.csv", index=False)
    autolog()
    with modeltrail.run("score") as run:
        yield run


@pytest.fixture
def possible(told, run):
    """`possible()`: the end of the run; output file -> the inputs that may have gone into it."""

    def find():
        run.end()
        (event,) = [each for each in told() if each["job"]["name"] == "score"]
        found = {name: set() for name in files(event)}
        for each in event["inputs"]:
            for output in each["inputFacets"]["modelTrail_dataUse"].get("possibleOutputs", ()):
                found[output["name"].rpartition("/")[2]].add(each["name"].rpartition("/")[2])
        return found, edges(event)

    return find


def fitted(path="a.csv"):
    """A model of a file."""
    table = pd.read_csv(path)
    return LogisticRegression().fit(table[FEATURES], table["bought"])


def chances(model, table):
    """What it predicted, which is followed, computed with, which is not."""
    return model.predict_proba(table[FEATURES])[:, 1] * 0.5


@pytest.mark.parametrize("put", [
    lambda table, found: table.assign(chance=found),
    lambda table, found: table.assign(chance=np.where(found > 0.25, "yes", "no")),
    lambda table, found: table.assign(chance=[*map(float, found)]),
    lambda table, found: pd.DataFrame({"age": table["age"], "chance": found}),
    lambda table, found: pd.DataFrame({"age": table["age"], "chance": found.tolist()}),
    lambda table, found: pd.DataFrame({"chance": found}).assign(age=table["age"]),
    lambda table, found: pd.concat([table, pd.DataFrame({"chance": found})], axis=1),
    lambda table, found: table.join(pd.DataFrame({"chance": found})),
    lambda table, found: table.assign(chance=pd.Series(found)).query("age > 0")[["age", "chance"]],
])  # fmt: skip
def test_what_numpy_made_of_predictions_may_be_in_what_is_written(possible, put):
    """A column from nowhere may be what the run predicted before, by a model of other data."""
    test = pd.read_csv("b.csv")
    put(test, chances(fitted(), test)).to_csv("out.csv", index=False)
    unsure, sure = possible()
    assert {"b.csv"} == sure["out.csv"]
    assert {"a.csv", "b.csv"} >= unsure["out.csv"] >= {"a.csv"}


def test_what_was_filled_fold_by_fold_may_be_predictions_of_all_of_them(possible):
    """An array that each model of a loop predicted a part of, and a sum over these, may be of the data."""
    train, test, other = (pd.read_csv(name) for name in ("a.csv", "b.csv", "c.csv"))
    filled, mean = np.zeros(len(train)), np.zeros(len(test))
    for chosen, left in KFold(3).split(train):
        model = LogisticRegression().fit(train.loc[chosen, FEATURES], train.loc[chosen, "bought"])
        filled[left] = chances(model, train.loc[left])
        mean += chances(model, test) / 3
    other.assign(mean=mean).to_csv("out.csv", index=False)
    other[["place"]].assign(filled=filled).to_csv("filled.csv", index=False)
    unsure, sure = possible()
    assert {"out.csv": {"a.csv", "b.csv"}, "filled.csv": {"a.csv", "b.csv"}} == unsure
    assert {"out.csv": {"c.csv"}, "filled.csv": {"c.csv"}} == sure


def test_what_was_there_before_anything_was_predicted_is_none_of_it(possible):
    """Neither a column from nowhere that is older, nor one that is left out, nor what was followed."""
    table = pd.read_csv("c.csv")
    table["log"] = np.log1p(table["size"].to_numpy())
    test = pd.read_csv("b.csv")
    found = chances(fitted(), test)
    table.assign(double=table["size"] * 2, same=1.0, label="x").to_csv("older.csv", index=False)
    with_more = table.assign(chance=found)
    with_more.drop(columns="chance").to_csv("dropped.csv", index=False)
    with_more[["place", "log"]].to_csv("chosen.csv", index=False)
    with_more.assign(chance=table["size"]).to_csv("replaced.csv", index=False)
    with_more.rename(columns={"chance": "p"}).head(10).to_csv("renamed.csv", index=False)
    unsure, _ = possible()
    assert {"older.csv", "dropped.csv", "chosen.csv", "replaced.csv"} == {
        name for name, sources in unsure.items() if not sources
    }
    assert {"a.csv", "b.csv"} == unsure["renamed.csv"]


def test_what_only_predicts_later_is_none_of_it(possible):
    """A model that predicted after a column was put in is no source of it, nor is its data."""
    test = pd.read_csv("b.csv")
    early = pd.read_csv("c.csv").assign(chance=chances(fitted(), test))
    test.to_csv("d.csv", index=False)
    chances(fitted("d.csv"), pd.read_csv("c.csv").assign(age=1.0, income=2.0))
    early.to_csv("early.csv", index=False)
    unsure, _ = possible()
    assert {"a.csv", "b.csv"} == unsure["early.csv"]


def test_a_model_on_such_a_column_may_be_of_the_data_behind_it(possible):
    """A model that learned from a column from nowhere, in a frame or an array, has possible sources too."""
    base, seen = fitted(), pd.read_csv("b.csv")
    seen.assign(age=np.random.default_rng().normal(size=60)).to_csv(
        "d.csv", index=False
    )  # like no other array
    table = pd.read_csv("d.csv")
    table["chance"] = np.log(chances(base, table))
    joblib.dump(LogisticRegression().fit(table[[*FEATURES, "chance"]], table["bought"]), "stacked.joblib")
    put_together = np.column_stack([table[FEATURES].to_numpy(), chances(base, table)])
    joblib.dump(LogisticRegression().fit(put_together, table["bought"]), "array.joblib")
    joblib.dump(LogisticRegression(C=0.5).fit(table[FEATURES], table["bought"]), "beside.joblib")
    unsure, sure = possible()
    assert {"stacked.joblib": {"a.csv"}, "array.joblib": {"a.csv"}, "beside.joblib": set()} == {
        name: sources for name, sources in unsure.items() if name.endswith(".joblib")
    }
    assert {"d.csv"} == {name for name in sure["stacked.joblib"] if name.endswith(".csv")}


def test_predictions_of_a_loaded_model_may_be_of_its_file(possible):
    """Beside a model that the run itself fits and saves, too."""
    with modeltrail.run("before"):
        joblib.dump(fitted(), "loaded.joblib")
    loaded, test = joblib.load("loaded.joblib"), pd.read_csv("b.csv")
    joblib.dump(fitted("b.csv"), "own.joblib")
    pd.read_csv("c.csv").assign(chance=chances(loaded, test).round(2)).to_csv("out.csv", index=False)
    unsure, _ = possible()
    assert {"loaded.joblib", "b.csv"} == unsure["out.csv"]


def test_a_file_that_is_written_over_or_renamed_has_what_lies_there(possible, tables):
    """What is written anew without such a column has no possible sources; what is appended to keeps them."""
    test = pd.read_csv("b.csv")
    lost = pd.read_csv("c.csv").assign(chance=chances(fitted(), test))
    for name in ("anew.csv", "more.csv", "part.tmp"):
        lost.to_csv(name, index=False)
    pd.read_csv("c.csv").to_csv("anew.csv", index=False)
    pd.read_csv("c.csv").to_csv("more.csv", mode="a", index=False)
    (tables / "part.tmp").rename("whole.csv")
    unsure, _ = possible()
    wanted = {"a.csv", "b.csv"}
    assert {"anew.csv": set(), "more.csv": wanted, "whole.csv": wanted} == unsure


def test_polars_frames_too(possible):
    """A column from nowhere of a frame of polars, by whichever way it came there."""
    test = pl.read_csv("b.csv")
    found = chances(fitted(), test.to_pandas())
    made = {
        "series": test.with_columns(pl.Series("chance", found)),
        "named": test.with_columns(chance=found),
        "stacked": test.hstack([pl.Series("chance", found)]),
        "built": pl.DataFrame({"age": test["age"], "chance": found.round(2)}),
    }
    for name, frame in made.items():
        frame.write_csv(f"{name}.csv")
    made["series"].filter(found > 0.1).select("age").write_csv("age.csv")
    unsure, _ = possible()
    assert {f"{name}.csv" for name in made} == {
        name for name, sources in unsure.items() if "a.csv" in sources
    }


def test_what_was_predicted_fold_by_fold_came_from_its_data(possible):
    """What `cross_val_predict` gives came from the data of its folds: in a file, and in another model."""
    train, other = pd.read_csv("a.csv"), pd.read_csv("c.csv")
    found = cross_val_predict(LogisticRegression(), train[FEATURES], train["bought"], cv=3)
    other.assign(found=found).to_csv("sure.csv", index=False)
    other.assign(found=found * 2).to_csv("unsure.csv", index=False)
    unsure, sure = possible()
    assert {"sure.csv": {"a.csv", "c.csv"}, "unsure.csv": {"c.csv"}} == sure
    assert {"sure.csv": set(), "unsure.csv": {"a.csv"}} == unsure


def test_a_level_above_outside_of_any_run_learned_from_the_model_below(autolog, told, tables):
    """A fit of its own on what another model predicted has that as an input, and so has a file of it."""
    autolog()
    base, table = fitted(tables / "a.csv"), pd.read_csv(tables / "b.csv")
    table["chance"] = base.predict_proba(table[FEATURES])[:, 1]
    LogisticRegression().fit(table[[*FEATURES, "chance"]], table["bought"])
    LogisticRegression().fit(table[FEATURES], table["bought"])
    with modeltrail.run("later"):
        table.to_csv(tables / "sent.csv", index=False)
    first, second, beside, later = told()
    (made,) = first["outputs"]
    assert made["name"] in {each["name"] for each in second["inputs"]}
    assert made["name"] not in {each["name"] for each in beside["inputs"]}
    assert {made["name"], "b.csv"} == edges(later)["sent.csv"]


@pytest.mark.parametrize("predict", [
    lambda table, one: table.apply(lambda row: one(row["age"], row["income"]), axis=1),
    lambda table, one: table["age"].apply(lambda age: one(age, 1.0)),
    lambda table, one: table["age"].map(lambda age: one(age, 1.0)),
])  # fmt: skip
def test_what_a_function_predicted_row_by_row_may_be_in_its_column(possible, predict):
    """A function that pandas calls for each row may have put into it what it predicted, if it did."""
    model, table = fitted(), pd.read_csv("b.csv")
    table["chance"] = predict(
        table, lambda *row: model.predict_proba(pd.DataFrame([row], columns=FEATURES))[0, 1]
    )
    table["double"] = table["age"].apply(lambda age: age * 2)
    table.to_csv("out.csv", index=False)
    table.drop(columns="chance").to_csv("beside.csv", index=False)
    unsure, _ = possible()
    assert ({"a.csv"}, set()) == (unsure["out.csv"], unsure["beside.csv"])


def test_what_was_read_only_after_a_file_was_written_is_none_of_its_sources(possible):
    """A run that writes parts, reads them and puts them together: none of them came of the others."""
    for name in ("one.csv", "two.csv"):
        pd.DataFrame({"n": np.arange(9.0)}).to_csv(name, index=False)
    both = sum(pd.read_csv(name)["n"].to_numpy() for name in ("one.csv", "two.csv"))
    pd.DataFrame({"n": both}).to_csv("both.csv", index=False)
    found, lines = possible()
    assert {"one.csv": set(), "two.csv": set(), "both.csv": {"one.csv", "two.csv"}} == found
    assert {} == {name: sources for name, sources in lines.items() if sources}
