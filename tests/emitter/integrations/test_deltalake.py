"""Delta tables: which version a model learned from, and of what a version was made."""

import hashlib
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from sklearn.linear_model import LogisticRegression
from told import edges, uses

import modeltrail
from modeltrail.observe import data

ROWS = (60, 50, 57)


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """A file, and a table of three versions: all of its rows, the first 50, and 7 more."""
    monkeypatch.chdir(tmp_path)
    people = pd.DataFrame({"age": [n % 17 for n in range(60)], "y": [0, 1] * 30})
    people.to_csv("people.csv", index=False)
    write_deltalake("lake", people)
    write_deltalake("lake", people.head(50), mode="overwrite")
    write_deltalake("lake", people.tail(7), mode="append")
    return tmp_path / "lake"


def commit(lake, version):
    return hashlib.sha256((lake / "_delta_log" / f"{version:020}.json").read_bytes()).hexdigest()


def train(read):
    with modeltrail.run("train") as run:
        frame = read()
        run.output_model(LogisticRegression().fit(frame[["age"]], frame["y"]), name="churn")


def read_of(event):
    """The table among the inputs: version, rows and digest."""
    (found,) = (each for each in event["inputs"] if Path(each["name"]).name == "lake")
    use = found["inputFacets"]["modelTrail_dataUse"]
    assert "train" == use["role"]
    assert {("age", "long"), ("y", "long")} == {
        (each["name"], each["type"]) for each in found["facets"]["schema"]["fields"]
    }
    seen = use["fingerprint"]
    assert ("sha256", "metadata") == (seen["algorithm"], seen["scope"])
    return int(found["facets"]["version"]["datasetVersion"]), seen["rows"], seen["digest"]


def at_a_time(lake):
    """As it was when the first commit was made."""
    stamp = DeltaTable(lake).history()[-1]["timestamp"]
    return pl.read_delta(str(lake), version=datetime.fromtimestamp(stamp / 1000, UTC))


WAYS = {
    "polars": (2, lambda lake: pl.read_delta(str(lake))),
    "polars of a path": (2, lambda lake: pl.read_delta(source=lake)),
    "polars of a version": (0, lambda lake: pl.read_delta(str(lake), version=0)),
    "polars of a time": (0, at_a_time),
    "polars of a table": (1, lambda lake: pl.read_delta(DeltaTable(lake, version=1))),
    "polars lazily": (1, lambda lake: pl.scan_delta(str(lake), version=1).select("age", "y").collect()),
    "pandas": (2, lambda lake: DeltaTable(lake).to_pandas()),
    "pandas of a version": (0, lambda lake: DeltaTable(lake, version=0).to_pandas()),
    "pyarrow": (1, lambda lake: DeltaTable(lake, version=1).to_pyarrow_table().to_pandas()),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_model_learned_from_the_version_that_was_read(way, lake, autolog, told):
    """By its number, its rows and its commit; files of other versions, which lie there too, do not count."""
    version, read = WAYS[way]
    autolog()
    train(lambda: read(lake))
    assert (version, ROWS[version], commit(lake, version)) == read_of(told()[-1])
    assert "lake" in edges(told()[-1])["churn"]


def test_versions_that_one_run_reads_are_told_each(lake, autolog, told):
    """A comparison of two versions has two inputs of one name."""
    autolog()
    with modeltrail.run("train"):
        for versions in ((0, 1), (0,)):
            both = pd.concat([DeltaTable(lake, version=n).to_pandas() for n in versions])
            LogisticRegression().fit(both[["age"]], both["y"])
    found = [each for each in told()[-1]["inputs"] if Path(each["name"]).name == "lake"]
    assert ["0", "1"] == sorted(each["facets"]["version"]["datasetVersion"] for each in found)


WRITERS = {
    "deltalake": lambda frame, mode: write_deltalake("lake", frame, mode=mode),
    "deltalake by a table": lambda frame, mode: write_deltalake(DeltaTable("lake"), frame, mode=mode),
    "polars": lambda frame, mode: pl.from_pandas(frame).write_delta("lake", mode=mode),
    "polars lazily": lambda frame, mode: pl.from_pandas(frame).lazy().sink_delta("lake", mode=mode),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_version_that_is_written_is_made_of_what_its_frame_was_read_from(writer, lake, autolog, told):
    """And of the version before where rows are added to it."""
    autolog()
    for mode, version, more in (("overwrite", "3", set()), ("append", "4", {"lake"})):
        with modeltrail.run("ingest"):
            WRITERS[writer](pd.read_csv("people.csv"), mode)
        (wrote,) = told()[-1]["outputs"]
        assert version == wrote["facets"]["version"]["datasetVersion"]
        assert {"lake": {"people.csv", *more}} == edges(told()[-1])
    before = next(each for each in told()[-1]["inputs"] if each["name"] == wrote["name"])
    assert "3" == before["facets"]["version"]["datasetVersion"]


def test_a_merge_that_is_still_to_run_wrote_nothing(lake, autolog, told):
    """What polars gives for one is not a version yet."""
    autolog()
    with modeltrail.run("ingest"):
        options = {"predicate": "s.age = t.age", "source_alias": "s", "target_alias": "t"}
        pl.read_csv("people.csv").write_delta("lake", mode="merge", delta_merge_options=options)
    assert [] == told()[-1]["outputs"]


def test_what_is_written_only_where_nothing_is_was_not_written_for_sure(lake, autolog, told):
    """Here there was a table, and it is as it was."""
    autolog()
    with modeltrail.run("ingest"):
        write_deltalake("lake", pd.read_csv("people.csv"), mode="ignore")
    assert ([], "2") == (told()[-1]["outputs"], data.look("lake").version)


def test_a_version_that_is_given_is_looked_at(lake, told, events):
    """The newest is another one."""
    with modeltrail.run("train") as run:
        run.input("lake", role="train", version="0")
    assert (0, 60, commit(lake, 0)) == read_of(told()[-1])


def test_without_deltalake_the_log_tells_the_version(lake, monkeypatch):
    """A folder that another program wrote: how many rows the version has nobody knows then."""
    monkeypatch.delitem(sys.modules, "deltalake")
    view = data.look("lake")
    assert ("2", commit(lake, 2), None, ()) == (
        view.version,
        view.fingerprint.digest,
        view.rows,
        view.fields,
    )


def test_of_a_version_whose_commit_was_cleaned_up_no_digest_is_told(lake):
    """Its number stays."""
    DeltaTable(lake).create_checkpoint()
    for version in (0, 1):
        (lake / "_delta_log" / f"{version:020}.json").unlink()
    view = data.look("lake", version="2")
    assert ("2", 57, "metadata") == (view.version, view.rows, view.fingerprint.scope)
    (lake / "_delta_log" / f"{2:020}.json").unlink()
    assert "none" == data.look("lake", version="2").fingerprint.scope


def test_a_folder_without_a_log_is_a_folder(lake):
    """Its digest is that of its files, whatever version is said."""
    shutil.rmtree(lake / "_delta_log")
    for version in (None, "7"):
        assert "sha256-tree" == data.look("lake", version=version).fingerprint.algorithm


def test_who_only_looks_at_a_table_reads_nothing(lake, autolog, told):
    """To open one is no reading."""
    autolog()
    with modeltrail.run("look"):
        DeltaTable(lake).history()
    assert {} == uses(told()[-1])
