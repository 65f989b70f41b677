"""pyarrow, as people use it: from which files a table came, and where tables went."""

from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import csv, dataset, feather, orc, parquet
from pyarrow import json as arrow_json
from told import edges, known

import modeltrail
from modeltrail.observe import data


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where two tables lie."""
    monkeypatch.chdir(tmp_path)
    for name in ("people", "orders"):
        csv.write_csv(pa.table({"id": range(40)}), f"{name}.csv")
        parquet.write_table(pa.table({"id": range(40)}), f"{name}.parquet")
    return tmp_path


READ = {
    "parquet": lambda: parquet.read_table("people.parquet"),
    "parquet file": lambda: parquet.ParquetFile("people.parquet").read(),
    "row group": lambda: parquet.ParquetFile(source="people.parquet").read_row_group(0),
    "parquet dataset": lambda: parquet.ParquetDataset("people.parquet").read(),
    "dataset": lambda: dataset.dataset("people.parquet"),
    "csv": lambda: csv.read_csv("people.csv"),
    "to pandas": lambda: csv.read_csv("people.csv").to_pandas(),
    "to polars": lambda: pl.from_arrow(csv.read_csv("people.csv")),
    "dataset to polars": lambda: pl.scan_pyarrow_dataset(dataset.dataset("people.parquet")).collect(),
    "by pandas": lambda: pd.read_parquet("people.parquet"),
    "of pandas": lambda: pa.table(pd.read_csv("people.csv")),
}
WRITTEN = {
    "parquet": lambda table, place: parquet.write_table(table, where=place),
    "csv": lambda table, place: csv.write_csv(data=table, output_file=place),
    "feather": lambda table, place: feather.write_feather(table, dest=place),
    "orc": lambda table, place: orc.write_table(table=table, where=place),
    "dataset": lambda table, place: dataset.write_dataset(table, place, format="parquet"),
}


@pytest.mark.parametrize("how", READ)
def test_a_table_came_from_its_file(autolog, folder, how):
    """One way to read after the other, and on to pandas and polars."""
    autolog()
    (name,) = known(READ[how]())
    assert "people" == name.partition(".")[0]


@pytest.mark.parametrize("how", WRITTEN)
def test_a_file_is_made_of_what_its_table_came_from(autolog, told, folder, how):
    """What is written in a run is an output, with its digest."""
    autolog()
    with modeltrail.run("prepare"):
        WRITTEN[how](csv.read_csv("people.csv"), "out")
    (event,) = told()
    assert {"out": {"people.csv"}} == edges(event)
    (output,) = event["outputs"]
    assert data.look("out").fingerprint.digest == output["facets"]["version"]["datasetVersion"]


def test_each_format_is_read(autolog, folder):
    """Feather, ORC and lines of JSON."""
    table = pa.table({"id": [1]})
    feather.write_feather(table, "a.feather")
    orc.write_table(table, "a.orc")
    Path("a.json").write_text('{"id": 1}\n')
    autolog()
    tables = [feather.read_table("a.feather"), orc.read_table("a.orc"), arrow_json.read_json("a.json")]
    assert [["a.feather"], ["a.orc"], ["a.json"]] == [known(each) for each in tables]


def test_tables_put_together_came_from_all_files(autolog, folder):
    """By `concat_tables`, and by a writer that is given one after the other."""
    autolog()
    tables = [csv.read_csv("people.csv"), csv.read_csv("orders.csv")]
    assert ["orders.csv", "people.csv"] == known(pa.concat_tables(tables))


def test_a_file_written_part_by_part_is_one_output(autolog, told, folder):
    """When it is closed: made of all that was written to it."""
    autolog()
    with (
        modeltrail.run("prepare"),
        parquet.ParquetWriter("out.parquet", pa.schema({"id": pa.int64()})) as writer,
    ):
        for name in ("people.csv", "orders.csv"):
            writer.write_table(csv.read_csv(name))
    assert {"out.parquet": {"people.csv", "orders.csv"}} == edges(told()[0])


def test_what_cannot_be_followed_has_no_origin(autolog, folder):
    """What methods of a table make of it, in C++: absent, not guessed."""
    autolog()
    table = csv.read_csv("people.csv")
    lost = [
        table.filter(pa.compute.field("id") > 3),
        table["id"],
        dataset.dataset("people.parquet").to_table(),
    ]
    assert [None] * 3 == [known(each) for each in lost]


def test_looking_at_a_file_of_ours_is_no_reading(autolog, told, folder):
    """What we open to tell its columns and rows, the host did not read."""
    autolog()
    with modeltrail.run("prepare") as run:
        run.output("people.parquet")
        run.evaluate("m", parquet.read_table("orders.parquet"), {"accuracy": 1.0})
    assert [[]] == [event["inputs"] for event in told() if event["job"]["name"] == "prepare"]
