"""What is seen of a dataset: its OpenLineage name, its shape, its content, and how far that goes."""

import doctest
import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from modeltrail import naming
from modeltrail.observe import data, profiles
from modeltrail_schemas import digests


@pytest.mark.parametrize(
    ("where", "namespace", "name"),
    [
        ("s3://bucket/raw/x.csv", "s3://bucket", "raw/x.csv"),
        ("s3a://bucket/raw/", "s3://bucket", "raw"),
        ("gs://bucket/a%20b.parquet", "gs://bucket", "a b.parquet"),
        ("abfss://box@acc.dfs.core.windows.net/raw/x", "abfss://box@acc.dfs.core.windows.net", "raw/x"),
        ("kafka://broker:9092/clicks", "kafka://broker:9092", "clicks"),
        ("hdfs://me:pw@node:8020/raw/x.csv", "hdfs://node:8020", "/raw/x.csv"),
        ("https://me:pw@host/x.csv?sig=abc#top", "https://host", "/x.csv"),
        ("postgresql://me:pw@db:5432/shop.public.orders", "postgres://db:5432", "shop.public.orders"),
        ("duckdb:///srv/c.duckdb/c.main.features", "duckdb:///srv/c.duckdb", "c.main.features"),
        ("duckdb://md:shop/shop.main.orders", "duckdb://md:shop", "shop.main.orders"),
        ("file:///data/x.csv", "file", "/data/x.csv"),
        ("file://nas/data/x.csv", "file://nas", "/data/x.csv"),
        ("/data/../data/x.csv", "file", "/data/x.csv"),
        ("s3://bucket", "s3://bucket", "/"),
        ("http://[broken/x", "file", "http://[broken/x"),
    ],
)
def test_names_follow_openlineage(where, namespace, name):
    """A path or URI has the namespace and name of OpenLineage's naming rules, without credentials."""
    assert (namespace, name) == naming.identity(where)
    view = data.look(where)
    assert (namespace, name) == (view.namespace, view.name)
    assert "pw" not in f"{view}"


def test_a_relative_path_is_made_absolute(tmp_path, monkeypatch):
    """A relative path is named by where the process stands; links are not followed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("a\n1\n")
    (tmp_path / "link.csv").symlink_to("x.csv")
    assert ("file", f"{tmp_path}/link.csv") == naming.identity("./link.csv")
    assert (f"duckdb://{tmp_path}/c.duckdb", "c.main.t") == naming.identity("duckdb://c.duckdb/c.main.t")
    assert data.look("x.csv").fingerprint == data.look(Path("link.csv")).fingerprint


def test_a_file_is_the_sha256_of_its_bytes(tmp_path):
    """A file's fingerprint is the SHA-256 of its bytes, and its version; it is seen anew when it changes."""
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    view = data.look(path)
    assert ("sha256", hashlib.sha256(path.read_bytes()).hexdigest(), "full") == (
        view.fingerprint.algorithm,
        view.fingerprint.digest,
        view.fingerprint.scope,
    )
    assert ("observed", 12, 2, view.fingerprint.digest) == (
        view.capture,
        view.size_bytes,
        view.rows,
        view.version,
    )
    assert (("a", None), ("b", None)) == view.fields
    path.write_text("a,b\n1,2\n3,5\n")
    assert view.fingerprint != data.look(str(path)).fingerprint


def test_a_folder_is_what_sha256sum_prints(tmp_path):
    """A directory's fingerprint is the SHA-256 of its files' `sha256sum` lines, sorted by path."""
    for name in ("b/2.txt", "a.txt", "b/1.txt"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_text(name)
    lines = "".join(
        f"{hashlib.sha256(n.encode()).hexdigest()}  {n}\n" for n in ("a.txt", "b/1.txt", "b/2.txt")
    )
    view = data.look(tmp_path / "set")
    assert ("sha256-tree", hashlib.sha256(lines.encode()).hexdigest()) == (
        view.fingerprint.algorithm,
        view.fingerprint.digest,
    )
    (tmp_path / "set" / "gone").symlink_to("nowhere")
    assert "full" == data.look(tmp_path / "set").fingerprint.scope


def test_big_files_are_sampled_and_say_so(tmp_path, monkeypatch):
    """A file over the limit is sampled, a directory over it is weighed by names and sizes; both say so."""
    monkeypatch.setattr(digests, "FULL_DIGEST_BYTES", 1000)
    monkeypatch.setattr(digests, "CHUNK", 10)
    (tmp_path / "big.bin").write_bytes(bytes(range(256)) * 100)
    view = data.look(tmp_path / "big.bin")
    assert ("sampled", None) == (view.fingerprint.scope, view.version)
    assert "metadata" == data.look(tmp_path).fingerprint.scope
    assert None is digests.sha256(tmp_path / "big.bin")


def test_what_is_not_there_is_declared(tmp_path):
    """A path that cannot be read and a remote URI have a name, and no fingerprint is claimed."""
    os.mkfifo(tmp_path / "pipe")
    for where in (tmp_path / "missing.csv", tmp_path / "pipe", "s3://bucket/x.csv", "http://[broken"):
        view = data.look(where)
        assert ("declared", "none", None) == (view.capture, view.fingerprint.scope, view.version)


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("a,b\n1,2\n", ["a", "b"], 1),
        ("a,b\r\n1,2\r\n\r\n3,4", ["a", "b"], 2),
        ("a;b\n1;2\n", ["a", "b"], 1),
        ('"a,x",b\n"1\n1",2\n', ["a,x", "b"], 1),
        ("\ufeffa\tb\n", ["a", "b"], 0),
        ("", [], 0),
    ],
)
def test_a_csv_shows_its_header_and_rows(tmp_path, text, names, rows):
    """A CSV's columns are its header's, whatever the delimiter; a line break inside quotes is no row."""
    (tmp_path / "x.csv").write_text(text, encoding="utf-8", newline="")
    view = data.look(tmp_path / "x.csv")
    assert (names, rows) == ([name for name, _ in view.fields], view.rows)


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", [], None),
        ("5,1;3,5;setosa\n", [], None),
        ("1043,Anna,34\n", [], None),
        (",0,1\n0,2.5,3.5\n", ["", "0", "1"], 1),
        ("sales_2025,2024_q1,nan\n1,2,3\n", ["sales_2025", "2024_q1", "nan"], 1),
    ],
)
def test_a_first_line_that_looks_like_a_row_names_no_columns(tmp_path, text, names, rows):
    """Where nobody said how a CSV is laid out: no cell of a person's first line becomes a column's name."""
    (tmp_path / "x.csv").write_text(text)
    view = data.look(tmp_path / "x.csv")
    assert (names, rows) == ([name for name, _ in view.fields], view.rows)
    assert (data.profile(tmp_path / "x.csv") is not None) == (rows is not None)
    assert "full" == view.fingerprint.scope


def test_parquet_shows_its_footer(tmp_path):
    """A Parquet file and a directory of them show columns, types and rows."""
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    (tmp_path / "set").mkdir()
    frame.to_parquet(tmp_path / "set" / "1.parquet")
    frame.to_parquet(tmp_path / "set" / "2.parquet")
    one, many = data.look(tmp_path / "set" / "1.parquet"), data.look(tmp_path / "set")
    assert ((("a", "int64"), ("b", "large_string")), 2) == (one.fields, one.rows)
    assert (one.fields, 4) == (many.fields, many.rows)


def test_broken_files_are_still_files(tmp_path):
    """A file that is not what its name says has a digest and no shape."""
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a,b\n"))
    for name in ("x.parquet", "x.csv.gz"):
        view = data.look(tmp_path / name)
        assert ("full", (), None) == (view.fingerprint.scope, view.fields, view.rows)


def test_objects_in_memory_are_named_by_their_content():
    """A frame is `inmemory://` and named by its fingerprint: equal content has one name anywhere."""
    frame = pd.DataFrame({"a": [1.5]})
    one, other = data.look(frame), data.look(pl.from_pandas(frame))
    assert "inmemory://" == one.namespace
    assert f"data-{one.fingerprint.digest[:16]}" == one.name == other.name
    assert ((("a", "float64"),), (("a", "Float64"),)) == (one.fields, other.fields)


def test_names_can_be_given():
    """A given name, namespace and version stand over what is seen."""
    view = data.look(np.zeros(3), name="zeros", namespace="lab", version="7")
    assert ("lab", "zeros", "7", 3) == (view.namespace, view.name, view.version, view.rows)
    view = data.look("s3://bucket/x.csv", name="orders", namespace="shop")
    assert ("shop", "orders", "s3://bucket/x.csv") == (view.namespace, view.name, view.uri)


def test_several_datasets_are_a_set(tmp_path):
    """A list of files or frames is one set, in any order; one unknown member makes it unknown."""
    frames = [pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [3]})]
    view = data.look(frames)
    assert ("sha256-set", 3, "full") == (view.fingerprint.algorithm, view.rows, view.fingerprint.scope)
    assert view.fingerprint == data.look(frames[::-1]).fingerprint
    assert "none" == data.look([tmp_path / "a", tmp_path / "b"]).fingerprint.scope
    assert data.look(frames[0]) == data.look(frames[:1])


class Hostile:
    def __getattr__(self, name):
        raise RuntimeError(name)


def test_odd_things_are_looked_at_too():
    """Anything at all gets a view; nothing raises."""
    for odd in (None, 3, object(), Hostile(), {"a": 1}, (), [], [None], [[1], [2, 3]], lambda: 1, "", "\0"):
        assert isinstance(data.look(odd), data.DataView)


def test_views_and_datasets_pass_through():
    """A view, and anything that names a dataset, keeps its names."""
    view = data.look([1, 2, 3])
    assert view is data.look(view) or view == data.look(view)

    class Foreign:
        namespace, name = "s3://bucket", "x"

    assert ("s3://bucket", "x") == (data.look(Foreign()).namespace, data.look(Foreign()).name)


def test_a_lazy_frame_is_not_collected():
    """A polars LazyFrame shows its columns and is not run."""

    def explode(_):
        raise AssertionError("collected")

    lazy = pl.LazyFrame({"a": [1]}).map_batches(explode, schema={"a": pl.Int64})
    assert (("a", "Int64"),) == data.look(lazy).fields


def test_a_profile_counts_what_there_is():
    """Numbers have mean, deviation and at most 20 edges; texts their commonest values; nulls are counted."""
    frame = pd.DataFrame(
        {
            "x": [1.0, 2.0, 3.0, np.nan],
            "kind": pd.Categorical(["u", "u", "v", "v"]),
            "text": ["a", "a", None, "a"],
            "when": pd.to_datetime(["2020-01-01", None, "2020-01-02", "2020-01-03"]),
            "truth": [True, True, False, False],
        }
    )
    facet = data.profile(frame).to_dict()
    columns = facet["columns"]
    assert ("all rows", 4) == (facet["method"], facet["sampleRows"])
    assert (4, 1, 2.0) == (columns["x"]["count"], columns["x"]["nulls"], columns["x"]["mean"])
    assert pytest.approx(np.std([1, 2, 3])) == columns["x"]["std"]
    assert (20, 3) == (len(columns["x"]["histogram"]["edges"]), sum(columns["x"]["histogram"]["counts"]))
    assert [{"value": "u", "count": 2}, {"value": "v", "count": 2}] == columns["kind"]["topK"]
    assert ([{"value": "a", "count": 3}], 0, 1) == (
        columns["text"]["topK"],
        columns["text"]["other"],
        columns["text"]["nulls"],
    )
    assert {"dtype": "datetime64[us]", "count": 4, "nulls": 1} == columns["when"]
    assert ["False", "True"] == [each["value"] for each in columns["truth"]["topK"]]


def test_a_profile_shows_no_one():
    """Columns of many values, of secrets or of prose show no values; a shown one is redacted."""
    frame = pd.DataFrame(
        {
            "name": [f"person {n}" for n in range(40)],
            "password": ["hunter2", "hunter3"] * 20,
            "note": ["p" * 300, "q" * 300] * 20,
            "url": ["https://me:hunter4@host/x"] * 40,
        }
    )
    facet = repr(data.profile(frame).to_dict())
    assert "person" not in facet
    assert "hunter" not in facet
    assert "ppp" not in facet
    assert "https://[redacted]@host/x" in facet


def test_a_profile_of_many_rows_is_a_sample(monkeypatch):
    """Over the bound evenly spaced rows are profiled, and the method says so."""
    found, rows, method = profiles.columns(np.arange(100_000.0), max_rows=1000)
    assert (1000, "50 evenly spaced blocks of 20 of 100000 rows") == (rows, method)
    assert (1000, pytest.approx(50_000, rel=0.01)) == (found["0"]["count"], found["0"]["mean"])


def test_infinite_values_have_no_histogram_edge():
    """Infinities, NaN alone and enormous ranges are profiled without noise."""
    found, *_ = profiles.columns(
        pd.DataFrame({"inf": [np.inf, 1.0, 2.0], "nan": [np.nan] * 3, "wide": [-1.7e308, 1.7e308, 0]})
    )
    assert 2 == sum(found["inf"]["histogram"]["counts"])
    assert {"dtype": "float64", "count": 3, "nulls": 3} == found["nan"]
    assert "histogram" not in found["wide"]


def test_nothing_to_profile_is_no_profile():
    """What has no columns or no rows has no profile."""
    assert [None, None, None] == [data.profile(each) for each in (object(), pd.DataFrame(), "x.csv")]


def test_the_examples_of_the_modules_hold():
    """The examples in the docstrings are true."""
    assert 0 == doctest.testmod(naming).failed


def test_looking_imports_no_library():
    """Looking at paths and plain objects imports none of the data libraries."""
    code = (
        "import sys; from modeltrail.observe import data, model, code, environment;"
        "data.look('x.csv'); data.look([1]); model.look('m.pkl');"
        "print({'numpy', 'pandas', 'polars', 'pyarrow', 'sklearn'} & set(sys.modules))"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "set()" == seen.strip()
