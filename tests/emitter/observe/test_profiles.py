"""Profiles: what is told of each column, of tables in memory and of files."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from modeltrail.observe import data, profiles, tablefiles
from modeltrail.observe.profiles import profile

RANDOM = np.random.default_rng(3)


def of(values, name: str = "x") -> dict:
    return profile(pd.DataFrame({name: values})).columns[name]


def test_the_histogram_is_numpys() -> None:
    """Counts and edges are those of numpy's own histogram, whatever the values."""
    for values in (
        RANDOM.normal(size=5000),
        RANDOM.integers(0, 7, 500),
        np.append(RANDOM.normal(size=99), 1e9),
    ):
        counts, edges = np.histogram(values.astype(float), bins=profiles.BINS)
        found = of(values)["histogram"]
        assert counts.tolist() == found["counts"]
        assert edges == pytest.approx(found["edges"])


def test_quantiles_lie_at_equal_shares() -> None:
    """There are 21, ascending, from the smallest value to the largest, also where one value is far away."""
    for values in (RANDOM.normal(size=5000), np.append(RANDOM.normal(size=4999), 1e12)):
        found = of(values)["quantiles"]
        assert 21 == len(found)
        assert found == sorted(found)
        expected = np.quantile(values, np.linspace(0, 1, 21), method="nearest")
        assert found == pytest.approx(expected.tolist(), abs=0.003)


def test_a_quantile_is_nobodys_value() -> None:
    """Quantiles are rounded to a thousandth of the spread: of an account number too little is left."""
    numbers = RANDOM.integers(10**9, 10**10, 1000)
    assert not set(of(numbers)["quantiles"]) & set(numbers.tolist())


def test_the_largest_floats_have_quantiles() -> None:
    """Where a rounded value would be beyond the largest float it is that one, of either sign."""
    largest = np.finfo(float).max
    values = np.linspace(1e308, largest, 100)
    assert largest == of(values)["quantiles"][-1]
    assert -largest == of(-values)["quantiles"][0]


def test_mean_and_spread_are_numpys() -> None:
    """To the last bit, also of large numbers, of integers and beside missing values; the data stays."""
    for values in (
        RANDOM.normal(1e6, 3, 5000),
        RANDOM.integers(0, 7, 500),
        np.array([1.0, np.nan, 2.5, 9.0]),
    ):
        before = values.copy()
        found = of(values)
        ordered = np.sort(values[~np.isnan(values)]).astype(float)
        assert (ordered.mean(), ordered.std()) == (found["mean"], found["std"])
        np.testing.assert_array_equal(before, values)


def test_what_has_no_quantiles() -> None:
    """A constant, nothing known, and a column whose name is a secret's have none."""
    assert "quantiles" not in of(np.full(10, 3.5))
    assert "quantiles" not in of(np.full(10, np.nan))
    assert {"histogram", "quantiles"}.isdisjoint(of(RANDOM.normal(size=50), "password"))


def test_of_a_long_frame_blocks_are_read() -> None:
    """The blocks of a frame of pandas are those of the array that it holds, of all kinds of columns."""
    numbers = RANDOM.normal(size=(1000, 2))
    frame = pd.DataFrame(numbers, columns=["a", "b"]).assign(c=pd.array(numbers[:, 0] > 0, "boolean"))
    found, expected = profile(frame, max_rows=100), profile(numbers, max_rows=100)
    assert (100, expected.method) == (found.sample_rows, found.method)
    assert expected.columns["0"] | {"dtype": "float64"} == found.columns["a"]
    assert expected.columns["1"] | {"dtype": "float64"} == found.columns["b"]
    assert 100 == found.columns["c"]["count"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_files_are_profiled_as_their_tables(tmp_path, suffix: str) -> None:
    """A small file has the profile of the table in it: numbers, texts and missing values."""
    table = pd.DataFrame({"n": RANDOM.normal(size=300), "t": RANDOM.choice(["a", "b"], 300)})
    table.loc[:9, "n"] = np.nan
    path = tmp_path / f"table.{suffix}"
    if suffix == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, sep="\t" if suffix == "tsv" else ",", index=False)
    found, expected = profile(path), profile(table)
    assert ("all rows", 300) == (found.method, found.sample_rows)
    for name in ("n", "t"):
        told, wanted = ({**columns[name], "dtype": ""} for columns in (found.columns, expected.columns))
        assert told.keys() == wanted.keys()
        assert told["nulls"] == wanted["nulls"]
        assert told.get("topK") == wanted.get("topK")
        assert told.get("quantiles") == wanted.get("quantiles")


def test_of_a_large_csv_parts_are_read(tmp_path) -> None:
    """Of a file of ten megabytes a tenth is looked at, from its whole length."""
    path = tmp_path / "large.csv"
    lines = [f"{number},{number % 7}\n" for number in range(1_000_000)]
    path.write_text("place,day\n" + "".join(lines))
    found = profile(path)
    assert "64 evenly spaced parts of the file" in found.method
    assert found.sample_rows * 8 < 2 * tablefiles.SAMPLE_BYTES
    assert found.columns["place"]["quantiles"][10] == pytest.approx(500_000, rel=0.05)
    assert found.columns["place"]["quantiles"][0] < 50_000
    assert 0 == found.columns["day"]["nulls"]


def test_of_a_large_parquet_file_parts_are_read(tmp_path) -> None:
    """Of many row groups a few are looked at; one with too many columns not at all."""
    path = tmp_path / "large.parquet"
    pd.DataFrame({f"c{n}": RANDOM.normal(size=200_000) for n in range(10)}).to_parquet(
        path, row_group_size=20_000
    )
    found = profile(path)
    assert "row groups" in found.method
    assert found.sample_rows < 200_000
    wide = tmp_path / "wide.parquet"
    pd.DataFrame(RANDOM.normal(size=(5000, 300))).rename(columns=str).to_parquet(wide)
    assert None is profile(wide)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"a,b\n", b"a,b\n1\n2,3,4\n", b"\xff\xfe\x00", b'a,b\n"1\n2",3\n', b"a,a\n1,2\n", b"PAR1"],
    ids=repr,
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_odd_files_do_no_harm(tmp_path, content: bytes, suffix: str) -> None:
    """An empty, ragged, broken or binary file has a profile or none, and raises nothing."""
    path = tmp_path / f"odd.{suffix}"
    path.write_bytes(content)
    profile(path)
    assert data.look(path).fingerprint.scope == "full"


def test_other_places_have_no_profile(tmp_path) -> None:
    """What is remote, away, a folder or no table is not read."""
    (tmp_path / "a.bin").write_bytes(b"1,2\n")
    for where in ("s3://bucket/table.csv", tmp_path / "away.csv", tmp_path, tmp_path / "a.bin"):
        assert None is profile(where)


def test_a_host_without_numpy_stays_without(tmp_path) -> None:
    """A run that reads a CSV file in a program without numpy does not import it for a profile."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    program = (
        "import sys, modeltrail\n"
        "modeltrail.testing.reset()\n"
        "with modeltrail.run('r') as run: run.input('a.csv')\n"
        "assert 'numpy' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
