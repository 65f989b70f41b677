"""pandas, as people use it: from which files a frame came, and where frames went."""

import contextlib
import copy
import gc
import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import tarfile
import tempfile
import threading
import warnings
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from told import edges, facet, known, uses

import modeltrail
from modeltrail import guard, integrations
from modeltrail.observe import data, origins, paths, remade
from modeltrail.runs import datasets
from modeltrail_schemas import digests


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where two tables lie that have a key in common."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    people = pd.DataFrame({"id": range(40), "age": random.normal(size=40), "churned": [0, 1] * 20})
    people["kind"] = random.choice(["x", "y"], 40)
    people["seen"] = pd.date_range("2026-01-01", periods=40).astype(str)
    people.to_csv("people.csv", index=False)
    pd.DataFrame({"id": range(40), "amount": random.normal(size=40)}).to_csv("orders.csv", index=False)
    return tmp_path


def used(event):
    """The inputs of an event by the last part of their names: (role, rows, features, label)."""
    found = {}
    for each in event["inputs"]:
        use = each.get("inputFacets", {}).get("modelTrail_dataUse")
        if use is not None:
            rows = use["fingerprint"].get("rows")
            found[Path(each["name"]).name] = (use["role"], rows, use.get("features"), use.get("labelColumn"))
    return found


MADE = {
    "column": lambda d: d["age"],
    "attribute": lambda d: d.age,
    "columns": lambda d: d[["age", "kind"]],
    "rows": lambda d: d[d["age"] > 0],
    "slice": lambda d: d[:3],
    "loc": lambda d: d.loc[d["age"] > 0, ["age"]],
    "loc column": lambda d: d.loc[:, "age"],
    "loc row": lambda d: d.loc[0],
    "iloc": lambda d: d.iloc[:3],
    "get": lambda d: d.get(["age"]),
    "copy": lambda d: d.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "dropna": lambda d: d.dropna(),
    "fillna": lambda d: d.fillna(0),
    "assign": lambda d: d.assign(z=1),
    "query": lambda d: d.query("age > 0"),
    "eval": lambda d: d.eval("z = age + id"),
    "astype": lambda d: d.astype({"id": float}),
    "convert_dtypes": lambda d: d.convert_dtypes(),
    "drop": lambda d: d.drop(columns="kind"),
    "pop": lambda d: d.copy().pop("age"),
    "rename": lambda d: d.rename(columns={"age": "years"}),
    "set_index": lambda d: d.set_index("id"),
    "reset_index": lambda d: d.reset_index(),
    "reindex": lambda d: d.reindex([1, 2]),
    "sort_values": lambda d: d.sort_values("age"),
    "head": lambda d: d.head(),
    "sample": lambda d: d.sample(3, random_state=0),
    "drop_duplicates": lambda d: d.drop_duplicates("kind"),
    "replace": lambda d: d.replace("x", "z"),
    "where": lambda d: d[["age"]].where(d["age"] > 0, 0),
    "clip": lambda d: d["age"].clip(0, 1),
    "apply": lambda d: d[["age"]].apply(lambda column: column * 2),
    "apply rows": lambda d: d.apply(lambda row: row["age"], axis=1),
    "map": lambda d: d["kind"].map({"x": 0, "y": 1}),
    "pipe": lambda d: d.pipe(lambda frame: frame.dropna()),
    "transform": lambda d: d[["age"]].transform(lambda column: column),
    "melt": lambda d: d.melt("id", ["age"]),
    "pd.melt": lambda d: pd.melt(d, "id", ["age"]),
    "pivot": lambda d: d.pivot(index="id", columns="kind", values="age"),  # noqa: PD010
    "pivot_table": lambda d: d.pivot_table(index="kind", values="age"),
    "crosstab": lambda d: pd.crosstab(d["kind"], d["churned"]),
    "stack": lambda d: d[["id", "age"]].stack(),  # noqa: PD013
    "unstack": lambda d: d.set_index(["id", "kind"])["age"].unstack(),  # noqa: PD010
    "transpose": lambda d: d.T,
    "explode": lambda d: d.explode("kind"),
    "groupby mean": lambda d: d.groupby("kind").mean(numeric_only=True),
    "groupby column": lambda d: d.groupby("kind")["age"].mean(),
    "groupby agg": lambda d: d.groupby("kind").agg({"age": "max"}),
    "groupby named": lambda d: d.groupby("kind").agg(oldest=("age", "max")),
    "groupby several": lambda d: d.groupby("kind")["age"].agg(["min", "max"]),
    "groupby transform": lambda d: d.groupby("kind")["age"].transform("mean"),
    "groupby apply": lambda d: d.groupby("kind")[["age"]].apply(lambda group: group.head(1)),
    "groupby size": lambda d: d.groupby("kind").size(),
    "groupby cumsum": lambda d: d.groupby("kind")["age"].cumsum(),
    "groupby filter": lambda d: d.groupby("kind").filter(lambda group: len(group) > 1),
    "groupby rolling": lambda d: d.groupby("kind")["age"].rolling(2).mean(),
    "groupby one by one": lambda d: next(group for _, group in d.groupby("kind")),
    "get_group": lambda d: d.groupby("kind").get_group("x"),
    "rolling": lambda d: d["age"].rolling(2).mean(),
    "rolling frame": lambda d: d[["age"]].rolling(2).mean(),
    "expanding": lambda d: d["age"].expanding().max(),
    "ewm": lambda d: d["age"].ewm(1).mean(),
    "resample": lambda d: d.set_index(pd.to_datetime(d["seen"]))[["age"]].resample("W").mean(),
    "shift": lambda d: d["age"].shift(),
    "diff": lambda d: d["age"].diff(),
    "arithmetic": lambda d: (d["age"] - d["age"].mean()) / d["id"],
    "comparison": lambda d: d["age"] > 0,
    "numpy function": lambda d: np.exp(d[["age"]]),
    "str": lambda d: d["kind"].str.upper(),
    "str.split": lambda d: d["kind"].str.split("-", expand=True),
    "dt": lambda d: pd.to_datetime(d["seen"]).dt.month,
    "to_numeric": lambda d: pd.to_numeric(d["id"]),
    "cut": lambda d: pd.cut(d["age"], 2),
    "qcut": lambda d: pd.qcut(d["age"], 2),
    "get_dummies": pd.get_dummies,
    "get_dummies of a column": lambda d: pd.get_dummies(d["kind"]),
    "factorize": lambda d: pd.factorize(d["kind"])[0],
    "value_counts": lambda d: d["kind"].value_counts(),
    "describe": lambda d: d.describe(),
    "to_frame": lambda d: d["age"].to_frame(),
    "DataFrame": lambda d: pd.DataFrame({"a": d["age"], "b": 1}),
    "Series": lambda d: pd.Series(d["age"]),
    "to_numpy": lambda d: d[["age"]].to_numpy(),
    "values": lambda d: d[["age"]].values,  # noqa: PD011  as people write it
    "values of a column": lambda d: d["age"].values,  # noqa: PD011
    "asarray": lambda d: np.asarray(d[["age"]]),
    "split": lambda d: train_test_split(d, random_state=0)[0],
    "split of arrays": lambda d: train_test_split(d["age"].to_numpy(), random_state=0)[0],
    "scaled": lambda d: StandardScaler().fit_transform(d[["age"]]),
    "scaled by keyword": lambda d: StandardScaler().fit(d[["age"]]).transform(X=d[["age"]]),
    "scaled frame": lambda d: StandardScaler().set_output(transform="pandas").fit_transform(d[["age"]]),
    "scaled, framed again": lambda d: pd.DataFrame(StandardScaler().fit_transform(d[["age"]])),
}
JOINED = {
    "merge": lambda d, e: d.merge(e, on="id"),
    "pd.merge": lambda d, e: pd.merge(d, e, on="id", how="left"),  # noqa: PD015
    "merge cross": lambda d, e: d.merge(e, how="cross"),
    "merge_asof": lambda d, e: pd.merge_asof(d, e, on="id"),
    "merge_ordered": lambda d, e: pd.merge_ordered(left=d, right=e, on="id"),
    "join": lambda d, e: d.join(e.set_index("id"), on="id"),
    "join several": lambda d, e: d[["age"]].join([e[["amount"]]]),
    "concat": lambda d, e: pd.concat([d, e]),
    "concat columns": lambda d, e: pd.concat([d, e["amount"]], axis=1),
    "concat of a mapping": lambda d, e: pd.concat({"d": d, "e": e}),
    "combine_first": lambda d, e: d.combine_first(e),
    "arithmetic": lambda d, e: d[["id"]] + e[["id"]],
    "arithmetic of columns": lambda d, e: d["age"] * e["amount"],
    "assign": lambda d, e: d.assign(amount=e["amount"]),
    "DataFrame": lambda d, e: pd.DataFrame({"a": d["age"], "b": e["amount"]}),
}


@pytest.mark.parametrize("how", MADE)
def test_what_is_made_of_a_frame_came_from_its_file(autolog, folder, how):
    """One operation after the other."""
    autolog()
    assert ["people.csv"] == known(MADE[how](pd.read_csv("people.csv")))


@pytest.mark.parametrize("how", JOINED)
def test_what_is_made_of_two_frames_came_from_both_files(autolog, folder, how):
    """One way to put frames together after the other."""
    autolog()
    made = JOINED[how](pd.read_csv("people.csv"), pd.read_csv("orders.csv"))
    assert ["orders.csv", "people.csv"] == known(made)


def test_what_a_function_of_the_program_s_keeps_of_groups_came_from_their_file(autolog, folder):
    """A function that is given to an operation sees frames of its own, and may keep them."""
    autolog()
    people, kept = pd.read_csv("people.csv"), []

    def keep(ages):
        kept.append(ages.head(1))
        return ages.max()

    people.groupby("kind").agg({"age": ["min", keep]})
    people.groupby("kind").agg(oldest=pd.NamedAgg("age", keep))
    people.pivot_table(index="kind", values="age", aggfunc=keep)
    assert [["people.csv"]] * len(kept) == [known(each) for each in kept]
    assert 6 <= len(kept)


def test_a_frame_changed_in_place_also_came_from_what_it_was_given(autolog, folder):
    """A new column brings its file along, by assignment and by insertion; a number brings none."""
    autolog()
    people, orders = pd.read_csv("people.csv"), pd.read_csv("orders.csv")
    again = people.copy()
    people["zero"] = 0
    assert ["people.csv"] == known(people)
    people["amount"] = orders["amount"]
    again.insert(0, "amount", orders["amount"])
    assert ["orders.csv", "people.csv"] == known(people) == known(again)


def test_what_cannot_be_followed_has_no_origin(autolog, folder):
    """Values that leave pandas, and data of the program's own: absent, not guessed."""
    autolog()
    people = pd.read_csv("people.csv")
    lost = [
        people["kind"].astype("category").cat.codes,
        people["age"].to_numpy() * 2,
        pd.DataFrame(people.to_dict("records")),
        pd.DataFrame({"a": [1]}),
        people["age"].mean(),
        pd.read_csv(io.StringIO(Path("people.csv").read_text())),
    ]
    assert [None] * len(lost) == [known(each) for each in lost]


FORMATS = {
    "csv": ("to_csv", "read_csv"),
    "feather": ("to_feather", "read_feather"),
    "json": ("to_json", "read_json"),
    "orc": ("to_orc", "read_orc"),
    "parquet": ("to_parquet", "read_parquet"),
    "pickle": ("to_pickle", "read_pickle"),
    "stata": ("to_stata", "read_stata"),
}


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_known_when_written_and_read(autolog, told, folder, form):
    """What is written in a run is an output made of what it came from; what is read came from there."""
    autolog()
    write, read = FORMATS[form]
    people = pd.read_csv("people.csv")
    with modeltrail.run("prepare"):
        getattr(people, write)(f"out.{form}")
    (event,) = told()
    assert {f"out.{form}": {"people.csv"}} == edges(event)
    assert {"people.csv": ("other", 40, None, None)} == used(event)
    digest = data.look(f"out.{form}").fingerprint.digest
    assert digest == event["outputs"][0]["facets"]["version"]["datasetVersion"]
    assert [f"out.{form}"] == known(getattr(pd, read)(f"out.{form}"))


def test_columns_are_written_too(autolog, told, folder):
    """A Series, by keyword; what goes to no file is nothing."""
    autolog()
    with modeltrail.run("prepare"):
        ages = pd.read_csv("people.csv")["age"]
        ages.to_csv(path_or_buf="ages.csv")
        ages.to_csv()
    assert {"ages.csv": {"people.csv"}} == edges(told()[0])


def test_what_came_from_nowhere_is_an_output_all_the_same(autolog, told, folder):
    """Of predictions, say: made of what the run read, as any other output."""
    autolog()
    with modeltrail.run("score"):
        people = pd.read_csv("people.csv")
        pd.DataFrame({"score": list(people["age"])}).to_csv("scores.csv")
    assert ({"scores.csv": {"people.csv"}}, {"people.csv"}) == (edges(told()[0]), set(used(told()[0])))


def test_what_was_read_later_is_no_source_of_what_was_written_before(autolog, told, folder):
    """Generated data that the run then trains on came neither from its own rows nor from files read later."""
    autolog()
    with modeltrail.run("generate"):
        pd.DataFrame({"a": [1.0, 2, 3, 4], "y": [0, 1, 0, 1]}).to_csv("made.csv", index=False)
        made = pd.read_csv("made.csv")
        pd.read_csv("people.csv")
        joblib.dump(LogisticRegression().fit(made[["a"]], made["y"]), "model.joblib")
        pd.DataFrame({"b": [1]}).to_csv("last.csv")
    found = edges(told()[-1])
    assert set() == found["made.csv"]
    assert {"people.csv", "train"} <= found["last.csv"]
    assert {"made.csv", "train"} == found["model.joblib"]


def test_what_a_run_wrote_is_no_source_of_what_came_from_nowhere(autolog, told, folder):
    """Feeds that a loop fetches, writes and reads again come of no other one; of other files they may."""
    autolog()
    with modeltrail.run("days"):
        pd.read_csv("people.csv")
        for name in ("monday.csv", "tuesday.csv"):
            pd.DataFrame({"a": [1.0, 2]}).to_csv(name, index=False)
            pd.read_csv(name)
    assert {name: {"people.csv"} for name in ("monday.csv", "tuesday.csv")} == edges(told()[-1])


def test_what_a_model_was_judged_on_later_is_no_source_of_what_was_written_before(autolog, told, folder):
    """A file that the run learned from after the write made nothing of it, also once an evaluation has it."""
    autolog()
    with modeltrail.run("generate") as run:
        pd.DataFrame({"b": [1]}).to_csv("made.csv")
        people = pd.read_csv("people.csv")
        model = LogisticRegression().fit(people[["age"]], people["id"] > 20)
        joblib.dump(model, "model.joblib")
        run.evaluate(model, people, {"cost": 1.0})
    event = next(each for each in told() if each["job"]["name"] == "generate")
    assert set() == edges(event)["made.csv"]
    assert "people.csv" in edges(event)["model.joblib"]


def test_what_is_declared_later_is_a_source_all_the_same(autolog, told, folder):
    """Somebody who says what a run reads may say it last."""
    autolog()
    with modeltrail.run("score") as run:
        pd.DataFrame({"score": [1]}).to_csv("scores.csv")
        run.input("people.csv")
    assert {"scores.csv": {"people.csv"}} == edges(told()[0])


def test_what_is_renamed_into_place_goes_by_its_last_name(autolog, told, folder):
    """An atomic write is one of the file that it ends as: data, model, and what was read in between."""
    autolog()
    with modeltrail.run("train"):
        pd.read_csv("people.csv").assign(y=[0, 1] * 20).to_csv("part.tmp", index=False)
        rows = pd.read_csv("part.tmp")
        Path("part.tmp").replace("clean.csv")
        joblib.dump(LogisticRegression().fit(rows[["age"]], rows["y"]), "model.tmp")
        os.replace("model.tmp", "model.joblib")  # noqa: PTH105  as programs do
    (event,) = told()
    assert {"clean.csv": {"people.csv"}, "model.joblib": {"clean.csv", "train"}} == edges(event)
    assert {"clean.csv", "people.csv", "train"} == {Path(each["name"]).name for each in event["inputs"]}
    for each in event["outputs"]:
        path = Path(each["name"])
        assert hashlib.sha256(path.read_bytes()).hexdigest() == each["facets"]["version"]["datasetVersion"]
        assert ".tmp" not in json.dumps(each)


def test_what_is_written_on_goes_by_its_last_content(autolog, told, folder):
    """What is dumped to an open file is not all of it: more may follow, and compressed bytes wait."""
    autolog()
    with modeltrail.run("train"):
        rows = pd.read_csv("people.csv").assign(y=[0, 1] * 20)
        scaler, model = StandardScaler(), LogisticRegression()
        model.fit(scaler.fit_transform(rows[["age"]]), rows["y"])
        with Path("two.pickle").open("wb") as file:
            pickle.dump(model, file)
            pickle.dump(["age"], file)
        with Path("both.pickle").open("wb") as file:
            pickle.dump(scaler, file)
            pickle.dump(model, file)
        with gzip.open("model.tmp", "wb") as file:
            pickle.dump(model, file)
        Path("model.tmp").replace("model.pickle.gz")
        with gzip.open("rows.csv.gz", "wt") as file:
            rows.to_csv(file, index=False)
        with Path("remark.csv").open("w") as file:
            rows.to_csv(file, index=False)
            file.write("# by hand\n")
    (event,) = told()
    names = [Path(each["name"]).name for each in event["outputs"]]
    assert ["both.pickle", "model.pickle.gz", "remark.csv", "rows.csv.gz", "two.pickle"] == sorted(names)
    for each in event["outputs"]:
        digest = hashlib.sha256(Path(each["name"]).read_bytes()).hexdigest()
        assert digest == each["facets"]["version"]["datasetVersion"]


def test_another_file_in_the_place_of_a_model_is_not_that_model(autolog, told, folder):
    """What others write there later is none of the run's, however long it is."""
    autolog()
    with modeltrail.run("train"):
        rows = pd.read_csv("people.csv").assign(y=[0, 1] * 20)
        joblib.dump(LogisticRegression().fit(rows[["age"]], rows["y"]), "model.joblib")
        saved = hashlib.sha256(Path("model.joblib").read_bytes()).hexdigest()
        Path("model.joblib").write_bytes(b"nothing" * 9999)
    (model,) = told()[0]["outputs"]
    assert saved == model["facets"]["version"]["datasetVersion"]


MOVES = {
    "os.rename": lambda: os.rename("part.tmp", "clean.csv"),  # noqa: PTH104  as programs do
    "elsewhere": lambda: shutil.move("part.tmp", "ready/clean.csv"),
    "far away": lambda: Path("part.tmp").rename("ready/2026/11/clean.csv"),
}


@pytest.mark.parametrize("way", MOVES)
def test_what_was_appended_to_and_moved_goes_by_its_last_name(autolog, told, folder, way):
    """As it was when it was moved, wherever below the working directory it is now."""
    autolog()
    Path("ready/2026/11").mkdir(parents=True)
    with modeltrail.run("clean"):
        for number, chunk in enumerate(pd.read_csv("people.csv", chunksize=15)):
            chunk.to_csv("part.tmp", mode="a", header=not number, index=False)
        MOVES[way]()
    (event,) = told()
    (path,) = folder.rglob("clean.csv")
    assert {"clean.csv": {"people.csv"}} == edges(event)
    (written,) = event["outputs"]
    assert (str(path), 40) == (written["name"], written["outputFacets"]["outputStatistics"]["rowCount"])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == written["facets"]["version"]["datasetVersion"]


def test_what_is_renamed_over_a_file_of_its_run_is_made_of_what_it_came_from(autolog, told, folder):
    """Nothing of what the other file was made of is in it, in whichever order they were written."""
    autolog("pandas")
    with modeltrail.run("write"):
        pd.read_csv("people.csv").to_csv("new.csv")
        pd.read_csv("orders.csv").to_csv("best.csv")
        Path("new.csv").replace("best.csv")
    assert {"best.csv": {"people.csv"}} == edges(told()[0])


def test_files_that_change_their_names_with_each_other_keep_what_they_are_made_of(autolog, told, folder):
    """Both names are there in the end, each of the other file."""
    autolog("pandas")
    with modeltrail.run("write"):
        pd.read_csv("people.csv").to_csv("one.csv")
        pd.read_csv("orders.csv").to_csv("two.csv")
        Path("one.csv").rename("waiting.csv")
        Path("two.csv").rename("one.csv")
        Path("waiting.csv").rename("two.csv")
    (event,) = told()
    assert {"one.csv": {"orders.csv"}, "two.csv": {"people.csv"}} == edges(event)
    for each in event["outputs"]:
        assert digest_of(Path(each["name"])) == each["facets"]["version"]["datasetVersion"]


def test_what_is_put_aside_before_its_name_is_written_anew_is_told_too(autolog, told, folder):
    """As programs keep what they had before: each file has its own sources."""
    autolog("pandas")
    with modeltrail.run("write"):
        for number, source in enumerate(("people.csv", "orders.csv", "people.csv")):
            pd.read_csv(source).to_csv("all.csv")
            Path("all.csv").rename(f"all.{number}.csv")
        pd.DataFrame({"a": [1]}).to_csv("all.csv")
    found = edges(told()[0])
    assert {"all.0.csv", "all.1.csv", "all.2.csv", "all.csv"} == set(found)
    assert [{"people.csv"}, {"orders.csv"}, {"people.csv"}] == [found[f"all.{each}.csv"] for each in range(3)]


def test_what_was_read_keeps_its_name_where_what_was_written_over_it_is_renamed(autolog, told, folder):
    """Who wrote it did so under the name that it was read by."""
    autolog("pandas")
    before = digest_of(folder / "people.csv")
    with modeltrail.run("clean"):
        pd.read_csv("people.csv").dropna().head(9).to_csv("people.csv")
        Path("people.csv").rename("clean.csv")
    (event,) = told()
    assert {"clean.csv": {"people.csv"}} == edges(event)
    (read,) = event["inputs"]
    assert str(folder / "people.csv") == read["name"]
    assert before == read["inputFacets"]["modelTrail_dataUse"]["fingerprint"]["digest"]


def test_what_was_read_is_told_where_a_file_that_was_read_again_is_renamed_over_it(autolog, told, folder):
    """The input of that name is what lay there before the run."""
    autolog("pandas")
    before = digest_of(folder / "people.csv")
    with modeltrail.run("clean"):
        pd.read_csv("people.csv").head(9).to_csv("people.tmp")
        pd.read_csv("people.tmp").to_csv("copy.csv")
        Path("people.tmp").replace("people.csv")
    (read,) = told()[0]["inputs"]
    assert before == read["inputFacets"]["modelTrail_dataUse"]["fingerprint"]["digest"]


def test_a_folder_that_is_renamed_into_place_goes_by_its_last_name(autolog, told, folder):
    """With all its parts, as a file does."""
    autolog("pandas", "pyarrow")
    with modeltrail.run("write"):
        pd.read_csv("people.csv").assign(y=[0, 1] * 20).to_parquet("all.tmp", partition_cols=["y"])
        Path("all.tmp").rename("all")
    (event,) = told()
    assert {"all": {"people.csv"}} == edges(event)
    (written,) = event["outputs"]
    assert digests.digest(Path("all")).digest == written["facets"]["version"]["datasetVersion"]


def test_what_a_run_wrote_read_and_deleted_leads_on(autolog, told, folder):
    """The content that it read is that which it wrote: a temporary file is a step on the way."""
    autolog()
    with modeltrail.run("train"):
        pd.read_csv("people.csv").assign(y=[0, 1] * 20).to_csv("part.csv", index=False)
        rows = pd.read_csv("part.csv")
        Path("part.csv").unlink()
        joblib.dump(LogisticRegression().fit(rows[["age"]], rows["y"]), "model.joblib")
    (event,) = told()
    assert {"part.csv": {"people.csv"}, "model.joblib": {"part.csv", "train"}} == edges(event)
    (written,) = (each for each in event["outputs"] if each["name"].endswith("part.csv"))
    used = uses(event)[str(folder / "part.csv")]
    assert written["facets"]["version"]["datasetVersion"] == used["fingerprint"]["digest"]


@pytest.mark.parametrize("is_deleted", [False, True])
def test_what_was_learned_through_a_file_that_is_written_anew_is_of_all_that_it_held(
    autolog, told, folder, is_deleted
):
    """A loop takes each part through it: what it held before is known by what that was made of."""
    autolog()
    parts = []
    with modeltrail.run("train"):
        for source in ("people.csv", "orders.csv", "people.csv"):
            pd.read_csv(source).head(3).to_csv("part.csv", index=False)
            parts.append(pd.read_csv("part.csv"))
            if is_deleted:
                Path("part.csv").unlink()
        pd.DataFrame({"a": [1]}).to_csv("part.csv")
        rows = pd.concat(parts)[["age"]].fillna(0)
        joblib.dump(LogisticRegression().fit(rows, [0, 1] * 4 + [1]), "model.joblib")
    (event,) = told()
    assert {"people.csv", "orders.csv", "train"} == edges(event)["model.joblib"]
    assert {"people.csv", "orders.csv", "train"} == {Path(each["name"]).name for each in event["inputs"]}


def test_what_was_read_and_put_away_is_told_as_it_was_read(autolog, told, folder):
    """By its name at that time, with the content that lies elsewhere now, as far as that is the same."""
    autolog()
    Path("done").mkdir()
    before = digest_of(folder / "people.csv")
    with modeltrail.run("train"):
        rows, orders = pd.read_csv("people.csv"), pd.read_csv("orders.csv")
        shutil.move("people.csv", "done/people.1.csv")
        shutil.move("orders.csv", "done/orders.1.csv")
        with Path("done/orders.1.csv").open("a") as file:
            file.write("9,9,9\n")
        LogisticRegression().fit(rows[["age"]], [0, 1] * 20)
        orders.to_csv("copy.csv")
    (event,) = told()
    people, changed = (uses(event)[str(folder / each)] for each in ("people.csv", "orders.csv"))
    assert (before, 40) == (people["fingerprint"]["digest"], people["fingerprint"]["rows"])
    assert "none" == changed["fingerprint"]["scope"]
    (read,) = (each for each in event["inputs"] if each["name"].endswith("people.csv"))
    assert "modelTrail_featureProfile" in read["inputFacets"]


def test_what_was_deleted_or_written_anew_was_not_renamed(autolog, told, folder):
    """A file that is gone keeps its name, whatever else lies there of the same content."""
    autolog()
    with modeltrail.run("clean"):
        pd.read_csv("people.csv").to_csv("gone.csv")
        shutil.copy2("gone.csv", "copy.csv")
        Path("gone.csv").unlink()
    assert {"gone.csv": {"people.csv"}} == edges(told()[0])


def test_many_files_at_once_and_parts_of_one(autolog, folder):
    """An open file, chunks of a large file, a pickled frame; a pickled model is no data."""
    autolog()
    with Path("people.csv").open() as file:
        assert ["people.csv"] == known(pd.read_csv(file))
    chunks = list(pd.read_csv("people.csv", chunksize=15))
    assert [["people.csv"]] * 3 == [known(chunk) for chunk in chunks]
    both = pd.concat(pd.read_csv(path) for path in sorted(folder.glob("*.csv")))
    assert ["orders.csv", "people.csv"] == known(both)
    Path("model.pkl").write_bytes(pickle.dumps(LogisticRegression()))
    assert None is known(pd.read_pickle("model.pkl"))


def test_what_is_written_in_place_came_from_what_it_replaced(autolog, told, folder):
    """A file that replaced what it was made of came from that, which was looked at before it was replaced."""
    autolog()
    with modeltrail.run("clean"):
        people = pd.read_csv("people.csv")
        read = hashlib.sha256(Path("people.csv").read_bytes()).hexdigest()
        people[people["age"] > 40].to_csv("people.csv", index=False)
    (event,) = told()
    assert {"people.csv": {"people.csv"}} == edges(event)
    assert [read] == [use["fingerprint"]["digest"] for use in uses(event).values()]


def test_without_a_run_nothing_is_told(autolog, events, folder):
    """Reading and writing outside of any run sends no event."""
    autolog()
    pd.read_csv("people.csv").to_csv("out.csv")
    assert [] == events


def train(test=None):
    """Two files to a pipeline, as people write it."""
    frame = pd.read_csv("people.csv").merge(pd.read_csv("orders.csv"), on="id")
    features, labels = frame[["age", "amount"]], frame["churned"]
    parts = train_test_split(features, labels, test_size=0.25, random_state=3)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(parts[0], parts[2])
    joblib.dump(model, "churn.joblib")
    return model, parts[1] if test is None else test


def test_a_model_came_from_the_files_that_it_learned_from(autolog, told, folder):
    """Each with its digest, rows and those features that it has; and the data as it was in memory."""
    autolog()
    with modeltrail.run("train"):
        train()
    (event,) = told()
    assert {
        "people.csv": ("train", 40, ["age"], "churned"),
        "orders.csv": ("train", 40, ["amount"], None),
        "train": ("train", 30, ["age", "amount"], "churned"),
    } == used(event)
    assert {"churn.joblib": {"people.csv", "orders.csv", "train"}} == edges(event)
    digests = {
        each["name"]: each["inputFacets"]["modelTrail_dataUse"]["fingerprint"] for each in event["inputs"]
    }
    splits = [
        name
        for each in event["inputs"]
        for name in each["inputFacets"]["modelTrail_dataUse"]
        if name == "split"
    ]
    assert 1 == len(splits)  # of what was put together; of neither file
    assert all("modelTrail_featureProfile" in each["inputFacets"] for each in event["inputs"])
    path = str(folder / "people.csv")
    assert ("sha256", data.look(path).fingerprint.digest) == (
        digests[path]["algorithm"],
        digests[path]["digest"],
    )


def test_a_fit_outside_of_a_run_says_so_too(autolog, told, folder):
    """What was read before the run that a fit makes of its own."""
    autolog()
    people = pd.read_csv("people.csv")
    LogisticRegression().fit(people[["age"]].to_numpy(), people["churned"])
    assert {"people.csv", "test_pandas.LogisticRegression"} >= {
        name for name in used(told()[0]) if name.endswith(".csv")
    }
    assert "people.csv" in used(told()[0])


def test_a_split_is_told_of_the_one_file_that_it_is_of(autolog, told, folder):
    """Which share of its rows, and by which seed; of the evaluation's part too."""
    autolog()
    with modeltrail.run("train") as run:
        people = pd.read_csv("people.csv")
        learn, test = train_test_split(people, test_size=0.25, random_state=3)
        model = LogisticRegression().fit(learn[["age"]], learn["churned"])
        run.output_model(model)
        run.evaluate(model, test[["age"]], {"accuracy": 1.0})
    splits = {
        event["job"]["name"]: [
            each["inputFacets"]["modelTrail_dataUse"]["split"]
            for each in event["inputs"]
            if "modelTrail_dataUse" in each["inputFacets"]
        ]
        for event in told()
    }
    random = {"strategy": "random", "seed": 3}
    assert {
        "train": [random | {"fraction": 0.75}] * 2,
        "train.evaluate": [random | {"fraction": 0.25}] * 2,
    } == splits


def test_how_the_rows_of_a_written_file_were_chosen_is_a_step(autolog, told, folder):
    """Each part of a split that is written is told as made by it, also of joined files; a whole is not."""
    autolog()
    with modeltrail.run("prepare"):
        whole = pd.read_csv("people.csv").merge(pd.read_csv("orders.csv"), how="left")
        parts = train_test_split(whole, test_size=0.25, random_state=3)
        for name, part in zip(("whole", "train", "test", "train"), (whole, *parts, parts[0]), strict=True):
            part.to_csv(f"{name}.csv")
    (event,) = told()
    steps = facet(event, "featureTransformations")["steps"]
    assert ["split-train.csv", "split-test.csv"] == [step["id"] for step in steps]
    (_, test) = steps
    assert ("split", {"strategy": "random", "fraction": 0.25, "seed": 3}) == (test["op"], test["params"])
    assert {"people.csv", "orders.csv"} == {Path(each["name"]).name for each in test["inputs"]}
    assert len(parts[1]) == test["rowsOut"]
    assert {"people.csv", "orders.csv"} == edges(event)["test.csv"]


def test_a_split_that_is_declared_is_told_once(autolog, told, folder):
    """Who tells the step that made a file has that step, and no second one beside it."""
    autolog()
    with modeltrail.run("prepare") as run:
        for part in train_test_split(pd.read_csv("people.csv"), test_size=0.25, random_state=3):
            part.to_csv("train.csv" if len(part) > 10 else "test.csv")
        run.transform("halve", inputs="people.csv", outputs="train.csv")
    steps = facet(told()[0], "featureTransformations")["steps"]
    assert ["halve", "split-test.csv"] == [step["id"] for step in steps]


DRAWN = {
    "a share": (lambda d: d.sample(frac=0.5, random_state=7), {"fraction": 0.5, "seed": 7}),
    "some": (lambda d: d.sample(10), {"fraction": 0.25}),
    "again": (lambda d: d.sample(80, replace=True), {"strategy": "bootstrap"}),
    "by weights": (
        lambda d: d.sample(4, weights="churned", random_state=1),
        {"strategy": "weighted", "fraction": 0.1, "seed": 1},
    ),
    "of those": (
        lambda d: d.sample(frac=0.5, random_state=7).sample(frac=0.5, random_state=np.random.default_rng(3)),
        {"fraction": 0.5, "earlier": [{"strategy": "random", "fraction": 0.5, "seed": 7}]},
    ),
    "of a column": (
        lambda d: d["age"].sample(frac=0.5, random_state=2).to_frame(),
        {"fraction": 0.5, "seed": 2},
    ),
    "some of all, shuffled": (lambda d: d.sample(frac=1, random_state=5).iloc[:30], {"seed": 5}),
    "columns": (lambda d: d.sample(3, axis=1, random_state=2), None),
    "the others": (
        lambda d: d.drop(d.sample(frac=0.75, random_state=7).index),
        {"fraction": 0.25, "seed": 7},
    ),
    "the others of a column": (
        lambda d: d["age"].drop(index=d.sample(30, random_state=8).index),
        {"fraction": 0.25, "seed": 8},
    ),
    "out of the bag": (lambda d: d.drop(d.sample(frac=1.0, replace=True, random_state=7).index), None),
    "without some": (lambda d: d.drop(d.sample(3, random_state=1).index.tolist()), None),
    "without what was not drawn": (lambda d: d.drop(d.head(3).index if len(d.sample(3)) else d.index), None),
    "without a column": (lambda d: d.drop(columns="age") if len(d.sample(3)) else d, None),
}
"""How rows are drawn, and how that is told but for `random`."""


@pytest.mark.parametrize("how", DRAWN)
def test_how_rows_were_drawn_is_told(autolog, told, folder, how):
    """`sample` is a choice of rows, as a split is: its share and seed."""
    draw, expected = DRAWN[how]
    autolog()
    with modeltrail.run("train") as run:
        run.input(draw(pd.read_csv("people.csv")), role="train")
    splits = [use.get("split") for use in uses(told()[0]).values()]
    assert [
        expected and {"strategy": "random"} | expected
    ] * 2 == splits  # of the file, and of what is in memory


def test_test_data_is_no_source_of_the_model(autolog, told, folder):
    """A file of test data is an input of the evaluation alone; one that both are from taught the model."""
    autolog()
    for name in ("test.csv", "by_path.csv"):
        pd.read_csv("people.csv").to_csv(name)
    with modeltrail.run("train") as run:
        model, part = train()
        holdout = pd.read_csv("test.csv")
        run.evaluate(model, holdout[["age"]], {"accuracy": 0.5})
        run.evaluate(model, part, {"accuracy": 0.6})
        run.input(part, role="test")
        pd.read_csv("by_path.csv")
        run.evaluate(model, "by_path.csv", {"accuracy": 0.7})
    by_name = {}
    for event in told():
        by_name.setdefault(event["job"]["name"], []).append(event)
    first, second, third = by_name["train.evaluate"]
    assert "test" == used(third)["by_path.csv"][0]
    assert "test" == used(first)["test.csv"][0]
    assert ["test", "test"] == [used(second)[name][0] for name in ("people.csv", "orders.csv")]
    (whole,) = by_name["train"]
    assert used(whole).keys().isdisjoint({"test.csv", "by_path.csv"})
    assert ["train", "train"] == [used(whole)[name][0] for name in ("people.csv", "orders.csv")]
    assert {"people.csv", "orders.csv", "train"} == edges(whole)["churn.joblib"]


def test_what_is_only_read_is_told_at_the_end(autolog, told, folder):
    """With the role `other`, from which nothing leads to the model; what the run wrote is told as both."""
    autolog()
    with modeltrail.run("train"):
        pd.DataFrame({"a": [1]}).to_csv("names.csv")
        Path("more.csv").write_text("a\n1\n")
        pd.read_csv("more.csv")
        pd.read_csv("names.csv")
        train()
    (event,) = told()
    assert ["other"] * 2 == [used(event)[name][0] for name in ("more.csv", "names.csv")]
    assert "names.csv" in {Path(each["name"]).name for each in event["outputs"]}
    assert set() == edges(event)["names.csv"]  # neither itself nor what was read since
    assert {"people.csv", "orders.csv", "train"} == edges(event)["churn.joblib"]


def test_what_is_read_after_the_model_was_saved_did_not_shape_it(autolog, told, folder):
    """It is taken for data that the model is used on, and what was read before may have gone into it."""
    autolog()
    with modeltrail.run("train"):
        for name in ("before", "after"):
            Path(f"{name}.csv").write_text("a\n1\n")
        pd.read_csv("before.csv")
        train()
        pd.read_csv("after.csv")
    (event,) = told()
    assert ("other", "inference") == tuple(used(event)[f"{name}.csv"][0] for name in ("before", "after"))


def test_a_file_that_the_run_wrote_leads_on(autolog, told, folder):
    """Raw file, features, model: each made of the one before."""
    autolog()
    with modeltrail.run("train"):
        pd.read_csv("people.csv")[["age", "churned"]].to_parquet("features.parquet")
        features = pd.read_parquet("features.parquet")
        joblib.dump(LogisticRegression().fit(features[["age"]], features["churned"]), "churn.joblib")
    (event,) = told()
    assert {"features.parquet": {"people.csv"}, "churn.joblib": {"features.parquet", "train"}} == edges(event)


def test_a_file_that_others_wrote_over_has_a_name_and_a_size_only(autolog, told, folder):
    """The digest of what lies there now would be that of other data: by Python's own `open` nobody looked."""
    autolog()
    with modeltrail.run("clean"):
        size = Path("people.csv").stat().st_size
        people = pd.read_csv("people.csv")
        with Path("people.csv").open("w") as file:
            people.dropna().head(3).to_csv(file)
    (event,) = told()
    assert {"people.csv": ("other", None, None, None)} == used(event)
    assert size == event["inputs"][0]["inputFacets"]["inputStatistics"]["size"]
    assert 3 == event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"]


@pytest.mark.parametrize("write", ["to_csv", "to_parquet"])
def test_what_a_run_wrote_over_a_file_is_not_what_it_read(autolog, told, folder, write):
    """A file that is read, written over and read again is an input as it was first, with its columns then."""
    autolog()
    suffix = write.removeprefix("to_")
    getattr(pd.read_csv("people.csv"), write)(place := f"people.{suffix}")
    read = getattr(pd, f"read_{suffix}")
    before = hashlib.sha256(Path(place).read_bytes()).hexdigest()
    with modeltrail.run("train"):
        for _ in range(2):
            people = read(place)
            getattr(people.assign(age=people["age"] * 2, late=1), write)(place)
        people = read(place)
        joblib.dump(LogisticRegression().fit(people[["age"]], people["churned"]), "churn.joblib")
    (event,) = told()
    (found,) = [each for each in event["inputs"] if each["name"].endswith(place)]
    use = found["inputFacets"]["modelTrail_dataUse"]
    assert ("train", before) == (use["role"], use["fingerprint"]["digest"])
    columns = found["inputFacets"]["modelTrail_featureProfile"]["columns"]
    assert ("late" in columns, "age" in columns) == (False, True)
    assert {place: {place}, "churn.joblib": {place, "train"}} == edges(event)


def test_what_was_said_of_a_file_stays(autolog, told, folder):
    """Its version and its role, whatever its data goes into; that a model learned from it is added."""
    autolog()
    with modeltrail.run("train") as run:
        run.input("people.csv", role="reference", version="v7", label_column="kind")
        people = pd.read_csv("people.csv")
        people.to_csv("copy.csv")
        assert "reference" == run.facts.roles()[("file", str(folder / "people.csv"))]
        LogisticRegression().fit(people[["age"]], people["churned"])
        people.to_csv("again.csv")
    (event,) = told()
    assert ("train", 40, ["age"], "kind") == used(event)["people.csv"]
    (version,) = [
        each["facets"]["version"] for each in event["inputs"] if each["name"].endswith("people.csv")
    ]
    assert "v7" == version["datasetVersion"]


def test_a_loop_that_writes_is_told_in_part(autolog, told, folder, monkeypatch, caplog):
    """Thousands of files would make an event that nobody takes; that there are more is said."""
    autolog()
    monkeypatch.setattr(paths, "MAX_SOURCES", 5)
    with modeltrail.run("prepare"):
        for number in range(7):
            pd.DataFrame({"a": [number]}).to_csv(f"{number}.csv")
        for number in range(7):
            pd.read_csv(f"{number}.csv")
    (event,) = told()
    assert (5, {f"{number}.csv" for number in range(7)}) == (len(event["outputs"]), set(used(event)))
    assert "writes more than 5 files" in caplog.text


def test_a_use_says_more_than_none(autolog, told, folder):
    """A file that only went to another one, and then was used, has the role of the use."""
    autolog()
    with modeltrail.run("score") as run:
        people = pd.read_csv("people.csv")
        people.to_csv("copy.csv")
        run.input(people, role="inference")
    assert "inference" == used(told()[0])["people.csv"][0]


def test_a_file_that_is_written_again_is_of_the_last_data(autolog, told, folder):
    """What it held before counts no more."""
    autolog()
    with modeltrail.run("prepare"):
        pd.read_csv("people.csv").to_csv("out.csv")
        pd.read_csv("orders.csv").to_csv("out.csv")
    assert {"out.csv": {"orders.csv"}} == edges(told()[0])


def test_a_file_of_many_fits_is_looked_at_once(autolog, told, folder, monkeypatch):
    """As long as it is the same; a folder, of which that cannot be told, each time."""
    autolog()
    looked = []
    original = data.look

    def counted(given, **names):
        looked.append(given)
        return original(given, **names)

    monkeypatch.setattr(data, "look", counted)
    pd.read_csv("people.csv").to_parquet("folder", partition_cols=["kind"])
    for place, read in (("people.csv", pd.read_csv), ("folder", pd.read_parquet)):
        people = read(place)
        for _ in range(3):
            LogisticRegression().fit(people[["age"]], people["churned"])
    places = [Path(each.place).name for each in looked if isinstance(each, paths.Source)]
    assert ["people.csv", "folder", "folder", "folder"] == places
    assert 6 == len(told())


def test_a_step_of_the_host_s_leads_to_the_files(autolog, told, folder):
    """`transform` with a frame: made of what that came from, or of what it is called in this run."""
    autolog()
    with modeltrail.run("prepare") as run:
        people = pd.read_csv("people.csv")
        run.transform("clean", people.dropna(), "clean")
        run.transform("scale", "clean", "scaled")
    assert {"clean": {"people.csv"}, "scaled": {"clean"}} == edges(told()[0])


def test_frames_are_as_ever(autolog, folder):
    """Results, `attrs`, pickles and copies are the same with and without, and so is what is written."""

    def everything():
        people, orders = pd.read_csv("people.csv"), pd.read_csv("orders.csv")
        people.attrs["mine"] = 1
        made = [
            people,
            *(MADE[how](people) for how in MADE),
            *(JOINED[how](people, orders) for how in JOINED),
        ]
        people.to_parquet("as_ever.parquet")
        return [(type(each), pickle.dumps(each), getattr(each, "attrs", None)) for each in made], Path(
            "as_ever.parquet"
        ).read_bytes()

    before = everything()
    autolog("pandas")
    assert before == everything()


def test_a_class_that_derives_from_a_frame(autolog, folder):
    """With a constructor, metadata and a `__finalize__` of its own, as geopandas has."""

    class Places(pd.DataFrame):
        _metadata = ("crs",)

        @property
        def _constructor(self):
            return Places

        def __finalize__(self, other, method=None, **kwargs):
            super().__finalize__(other, method=method, **kwargs)
            self.finalized = True
            return self

    autolog()
    places = Places(pd.read_csv("people.csv"))
    places.crs = "EPSG:4326"
    part = places[places["age"] > 0].merge(pd.read_csv("orders.csv"), on="id")
    assert (Places, True) == (type(part), part.finalized)
    assert "EPSG:4326" == places.copy().crs
    assert ["orders.csv", "people.csv"] == known(part)


@pytest.mark.filterwarnings("ignore")
def test_what_pandas_warns_of_is_told_as_before(autolog, folder):
    """Assignments that reach nothing are found by counting who holds a frame; at the line of the host's."""

    def told_of(statement):
        frame = pd.read_csv("people.csv")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            exec(compile(statement, "host.py", "exec"), {"frame": frame, "pd": pd})
        return [(each.category, each.filename, each.lineno) for each in caught]

    statements = [
        "frame['age'][0] = 1",
        "frame['age'].fillna(0, inplace=True)",
        "frame[frame['age'] > 0]['age'] = 1",
        "frame.loc[0, 'age'] = 1",
        "frame[['age']].iloc[0, 0] = 1",
        "frame['age'].replace(1, 2, inplace=True)",
        "frame['age'] = frame['age'] + 1",
        "frame.drop(columns='kind', inplace=True)",
        "pd.to_datetime(['13.1.2020'], dayfirst=False)",
        "frame.groupby('kind').apply(lambda group: group)",
        "pd.read_csv('people.csv', sep='[,]')",
    ]
    before = [told_of(each) for each in statements]
    autolog()
    assert before == [told_of(each) for each in statements]
    assert [] != [each for each in before if each]


def test_frames_are_not_kept_alive(autolog, folder):
    """A frame goes when nobody holds it any more, without the collector of cycles."""
    autolog()
    people = pd.read_csv("people.csv")
    gc.collect()
    before = len(origins._known)
    gc.disable()
    try:
        parts = [people.dropna() for _ in range(50)]
        gone = weakref.ref(parts[0])
        assert before + 50 == len(origins._known)
        del parts
        assert (None, before) == (gone(), len(origins._known))
    finally:
        gc.enable()


def test_threads_read_side_by_side(autolog, told, folder):
    """Also those that began while another was reading."""
    for number in range(40):
        Path(f"part-{number}.csv").write_text("a\n" + "1\n" * 2000)
    autolog()
    gate = threading.Barrier(4)

    def read(number):
        if number < 4:
            gate.wait()
        return pd.read_csv(f"part-{number}.csv")

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(read, range(40)))
    assert [[f"part-{number}.csv"] for number in range(40)] == [known(part) for part in parts]


@pytest.mark.parametrize("broken", ["read", "carry", "join", "of", "places", "_remember"])
def test_what_fails_in_us_changes_no_result(events, folder, monkeypatch, broken):
    """Whatever of ours fails while data is read, put together, fitted and written: the program goes on."""

    def explode(*_, **__):
        raise ZeroDivisionError("ours")

    def program():
        model, part = train()
        pd.read_csv("people.csv").groupby("kind")["age"].mean().to_frame().to_csv("out.csv")
        return model.predict(part).tolist(), Path("out.csv").read_text()

    expected = program()
    guard.reset()
    with modeltrail.testing.strict(on=False), monkeypatch.context() as patched:
        modeltrail.autolog()
        patched.setattr(paths if broken == "places" else origins, broken, explode)
        try:
            with modeltrail.run("train"):
                assert expected == program()
        finally:
            integrations.deactivate()
    assert any("ZeroDivisionError" in kind for kind in guard.failures())
    guard.reset()
    assert {"COMPLETE"} <= {event["eventType"] for event in events}


def test_the_host_s_exceptions_are_its_own(autolog, folder):
    """A file that is not there, a wrong argument: as pandas says it, with nothing chained."""
    autolog()
    with pytest.raises(FileNotFoundError) as caught:
        pd.read_csv("nowhere.csv")
    assert None is caught.value.__cause__
    with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
        pd.read_csv("people.csv", nothing=1)


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


APPENDED = {
    "mode": lambda frame, number: frame.to_csv("all.csv", mode="a", index=False, header=not number),
    "lines": lambda frame, number: frame.to_json("all.csv", mode="a", orient="records", lines=True),
}


@pytest.mark.parametrize("way", APPENDED)
def test_what_is_appended_to_is_made_of_all_of_it(autolog, told, folder, way):
    """Of what the run wrote to it before, whichever file that was of, and of what lay in it before that."""
    autolog("pandas")
    for name, files in {"first": ["people.csv", "orders.csv"], "next": ["orders.csv"]}.items():
        before = Path("all.csv").read_bytes() if name == "next" else b""
        with modeltrail.run(name):
            for number, file in enumerate(files):
                APPENDED[way](pd.read_csv(file)[["id"]], number)
    first, following = told()
    assert {"all.csv": {"people.csv", "orders.csv"}} == edges(first)
    assert {"all.csv": {"all.csv", "orders.csv"}} == edges(following)
    (lay,) = (each for each in following["inputs"] if each["name"].endswith("all.csv"))
    use = lay["inputFacets"]["modelTrail_dataUse"]
    assert (hashlib.sha256(before).hexdigest(), "other") == (use["fingerprint"]["digest"], use["role"])
    assert use["followed"]


def test_what_is_written_to_an_open_file_is_made_of_all_of_it(autolog, told, folder):
    """Also where the file is written anew: then what was in it before is no part of it."""
    autolog("pandas")
    with modeltrail.run("write"):
        pd.read_csv("people.csv").to_csv("all.csv", mode="a")
        with Path("all.csv").open("w") as file:
            for name in ("orders.csv", "people.csv"):
                pd.read_csv(name).to_csv(file)
        pd.read_csv("people.csv").to_csv("one.csv")
        pd.read_csv("orders.csv").to_csv("one.csv")
    (event,) = told()
    assert {"all.csv": {"orders.csv", "people.csv"}, "one.csv": {"orders.csv"}} == edges(event)


def test_where_a_part_of_a_file_came_from_nowhere_it_is_of_all_that_was_read(autolog, told, folder):
    """What is appended and came from nobody knows where may have come of all."""
    autolog("pandas")
    Path("lay.csv").write_text("1\n")
    with modeltrail.run("write"):
        pd.read_csv("people.csv")
        for frame in (pd.read_csv("orders.csv"), pd.DataFrame({"a": [1]}), pd.read_csv("orders.csv")):
            frame.to_csv("all.csv", mode="a")
        pd.DataFrame({"a": [1]}).to_csv("lay.csv", mode="a")
        pd.read_csv("orders.csv").to_csv("lay.csv")
        pd.read_csv("orders.csv").to_csv("anew.csv")
        pd.DataFrame({"a": [1]}).to_csv("anew.csv")
    (event,) = told()
    both = {"people.csv", "orders.csv"}
    assert {"all.csv": both, "lay.csv": {"orders.csv"}, "anew.csv": {*both, "lay.csv"}} == edges(event)


def test_what_was_appended_to_and_renamed_is_still_made_of_what_lay_there(autolog, folder, told):
    """Which goes by the name that it lay there by: under this somebody wrote it."""
    autolog("pandas")
    shutil.copy("people.csv", "all.tmp")
    with modeltrail.run("write"):
        pd.read_csv("orders.csv").to_csv("all.tmp", mode="a")
        Path("all.tmp").rename("all.csv")
    (event,) = told()
    assert {"all.csv": {"orders.csv", "all.tmp"}} == edges(event)
    (lay,) = (each for each in event["inputs"] if each["name"].endswith("all.tmp"))
    use = lay["inputFacets"]["modelTrail_dataUse"]
    assert digest_of(folder / "people.csv") == use["fingerprint"]["digest"]


def test_a_write_that_failed_leaves_nothing_behind_it(autolog, folder, told):
    """What is written in the place of a file after nothing could be appended to it is made of that alone."""
    autolog("pandas")
    shutil.copy("people.csv", "all.csv")
    with modeltrail.run("write"):
        orders = pd.read_csv("orders.csv")
        with pytest.raises(TypeError, match="quoting"):
            orders.to_csv("all.csv", mode="a", quoting="none", errors="strict")
        orders.to_csv("all.csv")
    (event,) = told()
    assert {"all.csv": {"orders.csv"}} == edges(event)


def test_what_is_appended_to_is_looked_at_twice(autolog, told, tmp_path, monkeypatch):
    """At the first write and at the end of the run: a loop that appends shall not read it all each time."""
    autolog()
    looks = []
    look = datasets.look
    monkeypatch.setattr(datasets, "look", lambda *given, **more: looks.append(given) or look(*given, **more))
    with modeltrail.run("export"):
        for _ in range(20):
            pd.DataFrame({"a": [1]}).to_csv(tmp_path / "out.csv", mode="a", header=False)
    assert 2 == len(looks)
    (output,) = told()[-1]["outputs"]
    assert (
        hashlib.sha256((tmp_path / "out.csv").read_bytes()).hexdigest()
        == output["facets"]["version"]["datasetVersion"]
    )


def test_an_open_file_is_looked_at_with_all_that_was_written(autolog, told, tmp_path):
    """What lies in its buffer too; the member of an archive is no file of that name."""
    autolog()
    (tmp_path / "in.csv").write_text("a\n1\n")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("in.csv", "a\n2\n")
    with modeltrail.run("export"):
        with contextlib.chdir(tmp_path), zipfile.ZipFile("other.zip") as archive:
            frame = pd.read_csv(archive.open("in.csv"))
        with (tmp_path / "out.csv").open("w") as file:
            frame.to_csv(file)
    (event,) = told()
    (output,) = event["outputs"]
    assert (
        hashlib.sha256((tmp_path / "out.csv").read_bytes()).hexdigest()
        == output["facets"]["version"]["datasetVersion"]
    )
    assert ["other.zip"] == [Path(each["name"]).name for each in event["inputs"]]


@pytest.mark.parametrize("way", ["zip", "text of zip", "tar", "number"])
def test_what_is_read_of_an_archive_or_an_open_number_came_from_that_file(autolog, folder, tmp_path, way):
    """Members of an archive lie in it; a file that was opened by its number has a path."""
    autolog("pandas")
    with zipfile.ZipFile("all.zip", "w") as made, tarfile.open("all.tgz", "w:gz") as packed:
        made.write("people.csv")
        packed.add("people.csv")
    with (
        zipfile.ZipFile("all.zip") as archive,
        tarfile.open("all.tgz") as tar,
        os.fdopen(os.open("people.csv", os.O_RDONLY)) as file,
    ):
        opened = {"zip": archive.open, "tar": tar.extractfile, "number": lambda _: file}
        member = opened[way.split()[-1]]("people.csv")
        rows = pd.read_csv(io.TextIOWrapper(member) if way.startswith("text") else member)
    expected = {"zip": "all.zip", "text of zip": "all.zip", "tar": "all.tgz", "number": "people.csv"}
    assert [expected[way]] == known(rows)


def test_what_is_written_to_a_temporary_file_by_its_number_is_followed(autolog, told, folder):
    """As programs make one that is nobody else's, and rename it into place."""
    autolog("pandas")
    with modeltrail.run("write"):
        number, name = tempfile.mkstemp(dir=".")
        with os.fdopen(number, "w") as file:
            pd.read_csv("people.csv").to_csv(file)
        Path(name).replace("copy.csv")
    assert {"copy.csv": {"people.csv"}} == edges(told()[0])


def test_files_that_are_written_of_each_other_round_after_round_hold_nobody_up(autolog, told, folder):
    """The ways back double with each round: each content is gone through once."""
    autolog("pandas")
    with modeltrail.run("rounds"):
        for name in ("one.csv", "two.csv"):
            pd.read_csv("people.csv").to_csv(name, index=False)
        for n in range(40):
            one, two = pd.read_csv("one.csv"), pd.read_csv("two.csv")
            for name, order in (("one.csv", [one, two]), ("two.csv", [two, one])):
                pd.concat(order).head(3 + n).to_csv(name, index=False)
        pd.concat([one, two]).to_csv("both.csv", index=False)
    assert {"people.csv"} == edges(told()[0])["both.csv"]


def test_a_file_that_is_as_it_was_read_was_made_of_nothing_else(autolog, folder):
    """A clock that goes by milliseconds does not tell two writings apart: then it is a source itself."""
    autolog("pandas")
    rows = pd.read_csv("people.csv")
    remade.remember(str(folder / "people.csv"), rows, is_added=False)
    (source,) = origins.of(rows).sources
    Path("people.csv").write_text("id\n1\n")
    assert [source] == remade.behind([source])


TAKEN = {
    "the first rows": (lambda both, n: both.iloc[:n], {"train.csv": "train", "test.csv": "other"}),
    "by a mask": (lambda both, n: both[both["known"] == 1], {"train.csv": "train", "test.csv": "other"}),
    "with more columns": (
        lambda both, n: pd.get_dummies(both, columns=["kind"]).assign(z=lambda d: d["age"] * 2)[:n],
        {"train.csv": "train", "test.csv": "other"},
    ),
    "all of them": (lambda both, n: both, {"train.csv": "train", "test.csv": "train"}),
    "some of them": (lambda both, n: both[both["age"] > 0], {"train.csv": "train", "test.csv": "train"}),
    "as many, drawn": (
        lambda both, n: both.sample(n, random_state=0),
        {"train.csv": "train", "test.csv": "train"},
    ),
}


@pytest.mark.parametrize("taken", TAKEN)
def test_of_parts_below_each_other_a_fit_learned_from_those_that_have_as_many_rows(
    taken, autolog, told, folder
):
    """The others may be among them: which rows were taken nobody sees, and of drawn ones not even that."""
    take, expected = TAKEN[taken]
    people = pd.read_csv("people.csv")
    people[:30].to_csv("train.csv", index=False)
    people[30:].to_csv("test.csv", index=False)
    autolog()
    with modeltrail.run("train"):
        several = [pd.read_csv(name).assign(known=n) for n, name in ((1, "train.csv"), (0, "test.csv"))]
        part = take(pd.concat(several, ignore_index=True), 30)
        joblib.dump(LogisticRegression().fit(part[["age"]], part["churned"]), "model.joblib")
    event = told()[-1]
    roles = {Path(name).name: use["role"] for name, use in uses(event).items()}
    assert expected == {name: roles[name] for name in expected}
    sure = {name for name, role in expected.items() if role == "train"}
    assert sure == edges(event)["model.joblib"] & {"train.csv", "test.csv"}


def test_labels_of_one_part_do_not_hide_that_there_were_several(autolog, told, folder):
    """Features are prepared for both, labels are known of one; of parts that are alike each may be meant."""
    people = pd.read_csv("people.csv")
    for cut, expected in ((30, {"train"}), (20, {"train", "test"})):
        people[:cut].to_csv("train.csv", index=False)
        people[cut:].drop(columns="churned").to_csv("test.csv", index=False)
        autolog()
        with modeltrail.run("train"):
            train, test = pd.read_csv("train.csv"), pd.read_csv("test.csv")
            both = pd.concat([train.drop(columns="churned"), test])
            joblib.dump(LogisticRegression().fit(both[:cut][["age"]], train["churned"]), "model.joblib")
        found = edges(told()[-1])["model.joblib"]
        assert {f"{name}.csv" for name in expected} == found & {"train.csv", "test.csv"}
