"""CSV files, also without a header: told of their rows and columns is what their reader knew."""

from pathlib import Path

import joblib
import pandas as pd
import polars as pl
import pytest
from pyarrow import csv, dataset
from sklearn.tree import DecisionTreeClassifier
from told import known

import modeltrail
from modeltrail.observe import data

NAMES = ["sl", "sw", "cls"]
ROWS = "5.1,3.5,setosa\n4.9,3.0,setosa\n7.0,3.2,virginica\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where CSV files lie that begin in many ways."""
    monkeypatch.chdir(tmp_path)
    Path("plain.csv").write_text(ROWS)
    Path("named.csv").write_text("a,b,c\n" + ROWS)
    Path("comments.csv").write_text("# made by hand\n\na,b,c\n# the first\n" + ROWS)
    Path("hashes.csv").write_text("#by hand\na,b,c\n#1\n" + ROWS)
    Path("late.csv").write_text("Iris\nof 1936\na,b,c\n" + ROWS)
    Path("semicolons.csv").write_text(ROWS.replace(",", ";"))
    Path("quoted.csv").write_text('5.1,3.5,"set\nosa"\n4.9,3.0,"x"\n')
    Path("latin.csv").write_text("größe,b,c\n" + ROWS, encoding="latin-1")
    return tmp_path


def shape(event, name):
    """(columns, rows) that are told of an input or output; None of what is not told."""
    (found,) = (each for each in event["inputs"] + event["outputs"] if each["name"].endswith(name))
    facets = {**found["facets"], **found.get("inputFacets", {}), **found.get("outputFacets", {})}
    told = facets.get("inputStatistics", facets.get("outputStatistics", {}))
    columns = facets.get("schema", {}).get("fields")
    return columns and [each["name"] for each in columns], told.get("rowCount")


A, B, C = "a", "b", "c"
OPTIONS = csv.ReadOptions
READ = {
    "pandas header=None": (lambda: pd.read_csv("plain.csv", header=None), ["0", "1", "2"], 3),
    "pandas names": (lambda: pd.read_csv("plain.csv", names=NAMES), NAMES, 3),
    "pandas names and header=None": (
        lambda: pd.read_csv("plain.csv", header=None, names=NAMES, nrows=2),
        NAMES,
        3,
    ),
    "pandas other names": (lambda: pd.read_csv("named.csv", header=0, names=NAMES), NAMES, 3),
    "pandas some columns": (lambda: pd.read_csv("named.csv", usecols=["a"]), [A, B, C], 3),
    "pandas names of some columns": (
        lambda: pd.read_csv("plain.csv", names=["sl", "cls"], usecols=[0, 2]),
        None,
        3,
    ),
    "pandas sep": (lambda: pd.read_csv("semicolons.csv", header=None, sep=";"), ["0", "1", "2"], 3),
    "pandas read_table": (lambda: pd.read_table("plain.csv", names=NAMES, sep=","), NAMES, 3),  # noqa: PD012
    "pandas comment": (lambda: pd.read_csv("comments.csv", comment="#"), [A, B, C], 3),
    "pandas skiprows": (lambda: pd.read_csv("late.csv", skiprows=2), [A, B, C], 3),
    "pandas a later header": (lambda: pd.read_csv("late.csv", skiprows=1, header=1), [A, B, C], 3),
    "pandas quotes": (lambda: pd.read_csv("quoted.csv", names=NAMES), NAMES, 2),
    "pandas encoding": (lambda: pd.read_csv("latin.csv", encoding="latin-1"), ["größe", B, C], 3),
    "pandas in chunks": (lambda: next(pd.read_csv("plain.csv", names=NAMES, chunksize=2)), NAMES, 3),
    "pandas skiprows function": (lambda: pd.read_csv("named.csv", skiprows=lambda n: n == 2), None, None),
    "pandas skipfooter": (
        lambda: pd.read_csv("named.csv", skipfooter=1, engine="python"),
        None,
        None,
    ),
    "pandas regex": (lambda: pd.read_csv("named.csv", sep="[,;]", engine="python"), None, None),
    "pandas guessed sep": (lambda: pd.read_csv("named.csv", sep=None, engine="python"), None, None),
    "pandas fixed width": (lambda: pd.read_fwf("named.csv"), None, None),
    "pandas two headers": (lambda: pd.read_csv("named.csv", header=[0, 1]), None, None),
    "polars no header": (
        lambda: pl.read_csv("plain.csv", has_header=False),
        ["column_1", "column_2", "column_3"],
        3,
    ),
    "polars new_columns": (lambda: pl.read_csv("plain.csv", has_header=False, new_columns=NAMES), NAMES, 3),
    "polars schema": (
        lambda: pl.read_csv("plain.csv", has_header=False, schema=dict.fromkeys(NAMES, pl.String)),
        NAMES,
        3,
    ),
    "polars comment": (lambda: pl.read_csv("hashes.csv", comment_prefix="#"), [A, B, C], 3),
    "polars skip_rows": (lambda: pl.scan_csv("late.csv", skip_rows=2).collect(), [A, B, C], 3),
    "polars rows after the header": (lambda: pl.read_csv("named.csv", skip_rows_after_header=1), None, None),
    "pyarrow names": (lambda: csv.read_csv("plain.csv", OPTIONS(column_names=NAMES)), NAMES, 3),
    "pyarrow numbered": (
        lambda: csv.read_csv("plain.csv", read_options=OPTIONS(autogenerate_column_names=True)),
        ["f0", "f1", "f2"],
        3,
    ),
    "pyarrow skip_rows": (lambda: csv.read_csv("late.csv", OPTIONS(skip_rows=2)), [A, B, C], 3),
    "pyarrow delimiter": (
        lambda: csv.read_csv("semicolons.csv", OPTIONS(column_names=NAMES), csv.ParseOptions(delimiter=";")),
        NAMES,
        3,
    ),
    "pyarrow rows after the header": (
        lambda: csv.read_csv("named.csv", OPTIONS(skip_rows_after_names=1)),
        None,
        None,
    ),
    "pyarrow dataset": (
        lambda: dataset.dataset(
            "plain.csv", format=dataset.CsvFileFormat(read_options=OPTIONS(column_names=NAMES))
        ),
        NAMES,
        3,
    ),
}


@pytest.mark.parametrize("how", READ)
def test_rows_and_columns_are_those_that_the_reader_knew(autolog, told, folder, how):
    """Of a file without a header no row is missing, and no cell names a column; else neither is told."""
    autolog()
    read, columns, rows = READ[how]
    with modeltrail.run("r"):
        (name,) = known(read())
    (event,) = told()
    assert (columns, rows) == shape(event, name)
    assert event["inputs"][0]["facets"]["version"]["datasetVersion"] == data.look(name).fingerprint.digest


WRITTEN = {
    "pandas": (lambda d, to: d.to_pandas().to_csv(to, index=False, header=False), NAMES),
    "pandas with its index": (lambda d, to: d.to_pandas().to_csv(to, header=False), None),
    "pandas with a header": (lambda d, to: d.to_pandas().to_csv(to, index=False), NAMES),
    "pandas into an open file": (lambda d, to: _to_open_file(d.to_pandas(), to), NAMES),
    "polars": (lambda d, to: d.write_csv(to, include_header=False), NAMES),
    "polars sink": (lambda d, to: d.lazy().sink_csv(to, include_header=False), None),
    "pyarrow": (
        lambda d, to: csv.write_csv(d.to_arrow(), to, csv.WriteOptions(include_header=False)),
        NAMES,
    ),
}


def _to_open_file(frame, to):
    with Path(to).open("w") as file:
        frame[:2].to_csv(file, index=False)
        frame[2:].to_csv(file, index=False, header=False)


@pytest.mark.parametrize("how", WRITTEN)
def test_rows_and_columns_of_an_output_are_those_that_were_written(autolog, told, folder, how):
    """A file that is written without a header has all of its rows, and names where the writer knew all."""
    autolog()
    write, columns = WRITTEN[how]
    frame = pl.DataFrame({"sl": [5.1, 4.9, 7.0], "sw": [3, 3, 3], "cls": ["x", "y", "z"]})
    with modeltrail.run("r"):
        write(frame, "out.csv")
    assert (columns, 3) == shape(told()[0], "out.csv")


def test_what_is_added_to_a_file_leaves_its_header(autolog, told, folder):
    """In a loop that appends only the first chunk has a header: that is the file's; renamed it keeps it."""
    autolog()
    frame = pd.DataFrame({"sl": [5.1, 4.9]})
    with modeltrail.run("r"):
        for number in range(3):
            frame.to_csv("part.csv", mode="a", index=False, header=number == 0)
        for _ in range(2):
            frame.to_csv("bare.csv", mode="a", index=False, header=False)
        frame.to_csv("late.csv", mode="a", index=False, header=False)  # whose first lines another one wrote
        frame.to_csv("part.tmp", index=False, header=False)
        Path("part.tmp").replace("whole.csv")
    (event,) = told()
    assert (["sl"], 6) == shape(event, "part.csv")
    assert (["sl"], 4) == shape(event, "bare.csv")
    assert (["sl"], 2) == shape(event, "whole.csv")
    assert (["Iris"], 7) == shape(event | {"inputs": []}, "late.csv")


def test_a_file_read_in_two_ways_is_told_as_each_reader_knew_it(autolog, told, folder):
    """A look at the first line does not change what the model learned from."""
    autolog()
    with modeltrail.run("r"):
        frame = pd.read_csv("plain.csv", names=NAMES)
        pd.read_csv("plain.csv", nrows=1)
        model = DecisionTreeClassifier().fit(frame[["sl", "sw"]], frame["cls"])
        joblib.dump(model, "m.joblib")
    (event,) = told()
    assert (NAMES, 3) == shape(event, "plain.csv")
    (found,) = (each for each in event["inputs"] if each["name"].endswith("plain.csv"))
    assert ["sl", "sw"] == found["inputFacets"]["modelTrail_dataUse"]["features"]
    profile = found["inputFacets"]["modelTrail_featureProfile"]
    assert (3, {*NAMES}) == (profile["sampleRows"], {*profile["columns"]})


def test_a_path_is_told_as_it_was_read_last_until_it_changes(autolog, folder):
    """`run.input` of a path knows what a reader in this process was told, but not of other bytes."""
    autolog()
    pd.read_csv("plain.csv", names=NAMES)
    assert (NAMES, 3) == ([name for name, _ in data.look("plain.csv").fields], data.look("plain.csv").rows)
    Path("plain.csv").write_text("x,y\n1,2\n")
    assert ["x", "y"] == [name for name, _ in data.look("plain.csv").fields]


def test_persons_of_a_file_without_a_header_are_all_told(autolog, folder):
    """The first line is a person too."""
    from modeltrail.observe import subjects

    autolog()
    pd.read_csv("plain.csv", names=NAMES)
    assert 3 == len(subjects.pseudonyms("plain.csv", "sl", b"k" * 32))


def test_a_large_file_without_a_header_is_sampled_from_its_first_row(autolog, folder):
    """Of a large file parts are profiled under the names that its reader was told."""
    autolog()
    Path("large.csv").write_text("".join(f"{number},{number % 7}\n" for number in range(300_000)))
    pl.scan_csv("large.csv", has_header=False, new_columns=["place", "day"])
    found = data.profile("large.csv")
    assert {"place", "day"} == {*found.columns}
    assert 300_000 == data.look("large.csv").rows


@pytest.mark.parametrize(
    "read",
    [
        lambda: pd.read_csv("prices.csv", sep=";", decimal=",", thousands=".", na_values=["?"]),
        lambda: pl.read_csv("prices.csv", separator=";", decimal_comma=True, null_values="?"),
    ],
    ids=["pandas", "polars"],
)
def test_numbers_are_read_as_their_reader_was_told(read, autolog, told, folder):
    """A number with a comma before its decimals is no text, nor is what stands for a missing one."""
    Path("prices.csv").write_text("price;day;y\n1,5;2/2/26;0\n?;3/2/26;1\n2,5;4/2/26;0\n2,0;;1\n")
    autolog()
    with modeltrail.run("train"):
        table = read()
        DecisionTreeClassifier().fit(table[["y"]], table["y"])
    (found,) = (each for each in told()[-1]["inputs"] if each["name"].endswith("prices.csv"))
    columns = found["inputFacets"]["modelTrail_featureProfile"]["columns"]
    assert ("text", "number") == (columns["day"]["dtype"], columns["price"]["dtype"])
    assert (2.0, 1) == (columns["price"]["mean"], columns["price"]["nulls"])
