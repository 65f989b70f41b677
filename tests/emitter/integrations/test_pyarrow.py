"""pyarrow, as people use it: from which files a table came, and where tables went."""

from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import csv, dataset, feather, orc, parquet
from pyarrow import json as arrow_json
from sklearn.linear_model import LinearRegression
from told import edges, known, uses

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


MADE = {
    "filter": lambda t: t.filter(pa.compute.field("id") > 3),
    "filter by a mask": lambda t: t.filter(pa.compute.greater(t["id"], 3)),
    "filter, select": lambda t: t.filter(pa.compute.field("id") > 3).select(["amount"]),
    "select": lambda t: t.select(["amount"]),
    "slice": lambda t: t.slice(5, 10),
    "take": lambda t: t.take([1, 2]),
    "sort_by": lambda t: t.sort_by([("id", "descending")]),
    "group_by": lambda t: t.group_by("kind").aggregate([("id", "sum")]),
    "drop_null": lambda t: t.drop_null(),
    "drop_columns": lambda t: t.drop_columns(["id", "kind"]),
    "rename_columns": lambda t: t.rename_columns(["number", "value", "kind"]),
    "append_column": lambda t: t.append_column("own", pa.array(range(40))),
    "set_column": lambda t: t.set_column(0, "own", pa.array(range(40))),
    "combine_chunks": lambda t: t.combine_chunks(),
    "column": lambda t: t["amount"],
    "columns": lambda t: pa.table({"number": t["amount"]}),
    "batches": lambda t: pa.Table.from_batches(t.to_batches()),
    "to pandas": lambda t: t.select(["amount"]).to_pandas(),
    "to polars": lambda t: pl.from_arrow(t.select(["amount"])),
    "from_pandas": lambda t: pa.Table.from_pandas(t.to_pandas()),
}
JOINED = {
    "join": lambda t, u: t.join(u, "id"),
    "join_asof": lambda t, u: t.join_asof(u, on="id", by=[], tolerance=1),
    "append_column": lambda t, u: t.append_column("other", u["price"].slice(0, 40)),
    "concat_tables": lambda t, u: pa.concat_tables([t.select([1]).rename_columns(["price"]), u.select([1])]),
    "concat_tables, select": lambda t, u: pa.concat_tables(
        [t.select([1]).rename_columns(["price"]), u.select([1])]
    ).select([0]),
}


@pytest.fixture
def tables(folder):
    """Two tables with values that no other has."""
    people = {"id": range(40), "amount": [n * n % 113 for n in range(40)], "kind": ["x", "y"] * 20}
    parquet.write_table(pa.table(people), "people.parquet")
    parquet.write_table(
        pa.table({"id": range(50), "price": [n**3 % 127 for n in range(50)]}), "orders.parquet"
    )


@pytest.mark.parametrize("how", MADE)
def test_what_methods_make_of_a_table_came_from_its_file(autolog, tables, how):
    """One after the other, of a table that nobody holds any more."""
    autolog()
    assert ["people.parquet"] == known(MADE[how](parquet.read_table("people.parquet")))


@pytest.mark.parametrize("how", JOINED)
def test_what_methods_make_of_two_tables_came_from_both_files(autolog, tables, how):
    """Rows or columns of both."""
    autolog()
    made = JOINED[how](parquet.read_table("people.parquet"), parquet.read_table("orders.parquet"))
    assert ["orders.parquet", "people.parquet"] == known(made)


def test_part_of_a_table_put_together_came_from_one_file(autolog, tables):
    """Rows that lie where those of one file lay are of no other."""
    autolog()
    people = parquet.read_table("people.parquet", columns=["amount"]).rename_columns(["price"])
    orders = parquet.read_table("orders.parquet", columns=["price"])
    both = pa.concat_tables([people, orders])
    assert (["people.parquet"], ["orders.parquet"]) == (known(both.slice(0, 30)), known(both.slice(45)))
    assert (["people.parquet"], ["orders.parquet"]) == (known(people.select([0])), known(orders.select([0])))


def test_a_model_and_a_file_lead_to_the_file_of_a_chosen_table(autolog, told, tables):
    """A table that was filtered and cut, written by one writer and learned from by way of pandas."""
    autolog()
    with modeltrail.run("train"):
        csv.read_csv("orders.csv")
        table = parquet.read_table("people.parquet").filter(pa.compute.field("id") > 3).select(["amount"])
        parquet.write_table(table, "chosen.parquet")
        frame = table.to_pandas()
        LinearRegression().fit(frame[["amount"]], frame["amount"])
    (event,) = told()
    assert {"people.parquet"} == edges(event)["chosen.parquet"]
    roles = {Path(name).name: use["role"] for name, use in uses(event).items()}
    assert ("train", "other") == (roles["people.parquet"], roles["orders.csv"])


def test_what_cannot_be_followed_has_no_origin(autolog, tables):
    """What C++ copies, reads for itself, or made of values of the program's own: absent, not guessed."""
    parquet.write_table(pa.table({"length": [n**5 % 131 for n in range(40)]}), "scanned.parquet")
    autolog()
    table = parquet.read_table("people.parquet")
    lost = [
        table.select(["amount"]).cast(pa.schema({"amount": pa.float64()})),
        pa.compute.add(table["amount"], 1),
        dataset.dataset("scanned.parquet").to_table(),
        pa.table({"id": range(40), "kind": ["x", "y"] * 20}),
    ]
    assert [None] * 4 == [known(each) for each in lost]


@pytest.mark.parametrize("values", [[1] * 4000, [0, 1] * 2000, range(4000)], ids=["one", "flags", "count"])
def test_a_column_that_anybody_may_have_tells_nothing(autolog, tables, values):
    """It looks like any other of its length, and may lie where that one lay."""
    parquet.write_table(pa.table({"column": values}), "columns.parquet")
    autolog()
    assert None is known(parquet.read_table("columns.parquet").select(["column"]))


def test_looking_at_a_file_of_ours_is_no_reading(autolog, told, folder):
    """What we open to tell its columns and rows, the host did not read."""
    autolog()
    with modeltrail.run("prepare") as run:
        run.output("people.parquet")
        run.evaluate("m", parquet.read_table("orders.parquet"), {"accuracy": 1.0})
    assert [[]] == [event["inputs"] for event in told() if event["job"]["name"] == "prepare"]
