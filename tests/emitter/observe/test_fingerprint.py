"""A fingerprint is the data's content: the same in every container and order, another for other data."""

import datetime as dt
import decimal
import random

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.observe import data


def fingerprint(value):
    return data.look(value).fingerprint.digest


def frame():
    return pd.DataFrame(
        {
            "whole": [1, 2, 3, 4, 2**60],
            "real": [1.5, np.nan, -0.0, 1e300, 2.0],
            "text": ["a", None, "ü" * 50, "", "x" * 64],
            "naive": pd.to_datetime(
                ["2020-01-01", "1960-01-01T00:00:00.123456", None, "2020-01-03", "2021-01-04"],
                format="ISO8601",
            ),
            "aware": pd.to_datetime(
                ["2020-01-01", "2020-01-02", None, "2020-07-03", "2020-01-04"]
            ).tz_localize("Europe/Berlin"),
            "truth": [True, False, True, None, False],
            "kind": pd.Categorical(["u", "v", None, "u", "u"]),
            "span": pd.to_timedelta([1, 2, None, 4, 5], unit="s"),
            "nested": [[1, 2], [], None, [3.0], [None]],
        }
    )


CONTAINERS = {
    "pandas objects": lambda df: df.astype(object),
    "pandas nullable": lambda df: df.convert_dtypes(),
    "pandas on arrow": lambda df: df.convert_dtypes(dtype_backend="pyarrow"),
    "arrow": lambda df: pa.Table.from_pandas(df, preserve_index=False),
    "arrow in chunks": lambda df: pa.concat_tables(
        [pa.Table.from_pandas(df, preserve_index=False).slice(at, 2) for at in (0, 2, 4)]
    ),
    "polars": lambda df: pl.from_arrow(pa.Table.from_pandas(df, preserve_index=False)),
    "another row order": lambda df: df.sample(frac=1, random_state=1),
    "another column order": lambda df: df[df.columns[::-1]],
    "another index": lambda df: df.set_axis(list("vwxyz")),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_equal_content_has_one_fingerprint(container):
    """Container, chunks, index, order of rows and order of columns do not change the fingerprint."""
    assert fingerprint(frame()) == fingerprint(CONTAINERS[container](frame()))


@pytest.mark.parametrize("column", frame().columns)
def test_each_kind_of_column_agrees_by_itself(column):
    """Each column type has one fingerprint in pandas, polars and Arrow."""
    one = frame()[[column]]
    table = pa.Table.from_pandas(one, preserve_index=False)
    assert 1 == len({fingerprint(one), fingerprint(table), fingerprint(pl.from_arrow(table))})


CHANGES = {
    "a value": lambda df: df.assign(whole=[1, 2, 3, 4, 2**60 + 1]),
    "a missing value": lambda df: df.assign(text=["a", "", "ü" * 50, "", "x" * 64]),
    "an end of a long text": lambda df: df.assign(text=["a", None, "ü" * 49 + "v", "", "x" * 64]),
    "an hour's zone": lambda df: df.assign(aware=df["aware"].dt.tz_localize(None)),
    "a column's name": lambda df: df.rename(columns={"real": "float"}),
    "a column more": lambda df: df.assign(more=0),
    "a row twice": lambda df: pd.concat([df, df.tail(1)]),
    "a row less": lambda df: df.head(4),
    "two cells of a column swapped": lambda df: df.assign(whole=[2, 1, 3, 4, 2**60]),
    "an element of a list": lambda df: df.assign(nested=[[1, 3], [], None, [3.0], [None]]),
    "truth and number": lambda df: df.assign(truth=[1, 0, 1, None, 0]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_content_has_another_fingerprint(change):
    """Every change of content changes the fingerprint."""
    assert fingerprint(frame()) != fingerprint(CHANGES[change](frame()))


def test_rows_are_not_mixed_up():
    """Columns that are shuffled against each other are other data, though each column is the same."""
    left = pd.DataFrame({"a": [1, 2], "b": [1, 2]})
    right = pd.DataFrame({"a": [1, 2], "b": [2, 1]})
    assert fingerprint(left) != fingerprint(right)


def test_pairs_of_equal_rows_do_not_cancel_out():
    """How often a row occurs counts."""
    assert 3 == len({fingerprint(pd.DataFrame({"a": [1] * n})) for n in (2, 4, 6)})


@given(st.lists(st.tuples(st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=20)), max_size=30))
def test_any_rows_in_any_order_agree(rows):
    """Rows of any numbers and texts have one fingerprint as objects, in any order, and in pieces."""
    table = pd.DataFrame(rows, columns=["a", "b", "c"], dtype=object)
    shuffled = random.Random(0).sample(rows, len(rows))
    assert fingerprint(table) == fingerprint(pd.DataFrame(shuffled, columns=["a", "b", "c"], dtype=object))
    assert fingerprint(table[["b"]]) == fingerprint(
        pd.DataFrame({"b": pd.Series([r[1] for r in rows], dtype="float64")})
    )


@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.just(2**53 + 1)), min_size=1, max_size=20))
def test_whole_numbers_agree_in_all_types(numbers):
    """Whole numbers are equal as int64, as Python objects, and as floats where those are exact."""
    typed = np.array(numbers, np.int64)
    assert fingerprint(typed) == fingerprint(np.array(numbers, object))
    exact = np.array([number for number in numbers if int(float(number)) == number], np.int64)
    assert fingerprint(exact) == fingerprint(exact.astype(np.float64))


_NUMBERS = st.one_of(
    st.lists(st.integers(-(2**70), 2**70), max_size=40),
    st.lists(st.integers(-(2**63), 2**64 - 1), min_size=16, max_size=40),
    st.lists(st.floats(), max_size=40),
    st.lists(st.one_of(st.integers(0, 9), st.floats(0, 1), st.booleans(), st.none()), max_size=40),
)


@given(st.lists(st.one_of(st.none(), _NUMBERS), min_size=1, max_size=5))
def test_a_list_of_numbers_is_its_numbers(rows):
    """Worked on one by one (as a tuple), at once (as a list), or all lists of a column at once (Arrow)."""
    one_by_one = pd.DataFrame(
        {"a": pd.Series([None if row is None else tuple(row) for row in rows], dtype=object)}
    )
    expected = data.look(one_by_one).fingerprint
    assert expected == data.look(pd.DataFrame({"a": pd.Series(rows, dtype=object)})).fingerprint
    kinds = {type(each) for row in rows for each in row or ()}
    if kinds in ({int}, {float}) and all(
        -(2**63) <= each < 2**63 for row in rows for each in row or () if kinds == {int}
    ):
        plain = pa.array([None, [7, 7], *rows], pa.list_(pa.int64() if kinds == {int} else pa.float64()))
        assert expected == data.look(pa.table({"a": plain}).slice(2)).fingerprint
        assert (
            expected
            == data.look(
                pa.table({"a": plain.cast(pa.large_list(plain.type.value_type)).slice(2)})
            ).fingerprint
        )


def test_lists_of_one_length_agree():
    """Of Arrow's fixed size, also of a part of a column, and where some are missing."""
    pairs = pa.table({"a": pa.array([[1, 2], [3, 4], None, [5, 6]], pa.list_(pa.int64(), 2))})
    frame = pd.DataFrame({"a": [[3, 4], None, [5, 6]]})
    assert data.look(frame).fingerprint == data.look(pairs.slice(1)).fingerprint


def test_numbers_are_equal_by_value():
    """1, 1.0, float32 1 and Decimal 1 are one value; True and "1" are others."""
    same = [
        np.array([1, 2]),
        np.array([1.0, 2.0]),
        np.array([1, 2], np.float32),
        np.array([1, 2], np.uint8),
        np.array([decimal.Decimal(1), decimal.Decimal(2)], object),
        [1, 2],
        [1.0, 2],
        range(1, 3),
    ]
    assert 1 == len({fingerprint(each) for each in same})
    others = [np.array([True, True]), np.array(["1", "2"]), np.array([b"1", b"2"], object), same[0]]
    assert 4 == len({fingerprint(each) for each in others})


def test_times_are_equal_in_all_units():
    """One moment in seconds, nanoseconds, as a date and as a Python object is one value."""
    day = dt.datetime(2024, 2, 29)  # noqa: DTZ001  a time without a zone is the subject
    same = [np.array(["2024-02-29"], f"datetime64[{unit}]") for unit in ("D", "s", "ms", "us", "ns")] + [
        pd.Series([day]).astype(object),
        pl.Series([day.date()]),
        pa.array([day.date()]),
        pd.Series([day]),
    ]
    assert 1 == len({fingerprint(each) for each in same})


def test_a_table_is_its_columns_whatever_wraps_it():
    """A frame of unnamed columns, the array of its values and a masked or sparse one of them agree."""
    array = np.arange(12.0).reshape(4, 3)
    array[1] = 0
    same = [
        array,
        pd.DataFrame(array),
        sp.csr_matrix(array),
        sp.coo_array(array),
        np.ma.array(array),
        array.tolist(),
    ]
    assert 1 == len({fingerprint(each) for each in same})
    assert fingerprint(array) == fingerprint(np.asfortranarray(array))


def test_sparse_rows_count():
    """An empty sparse row and two cells given twice are seen as in the dense matrix."""
    twice = sp.coo_matrix(([1.0, 2.0, 5.0], ([0, 0, 2], [1, 1, 0])), shape=(4, 3))
    assert fingerprint(twice) == fingerprint(twice.toarray())


def test_features_and_labels_are_the_table_they_were_cut_from():
    """`labelled` of a frame's features and its label column has the fingerprint of the frame."""
    df = frame().drop(columns="nested")
    table, label = data.labelled(df.drop(columns="whole"), df["whole"])
    assert (["whole"], fingerprint(df), 5) == (label, fingerprint(table), data.look(table).rows)
    assert set(df.columns) == set(data.profile(table).columns)
    unnamed, nothing = data.labelled(np.zeros((3, 2)), np.array([0, 1, 0]))
    assert ([], ("0", "1", "label")) == (nothing, tuple(name for name, _ in data.look(unnamed).fields))


@pytest.mark.parametrize("name", [0, "a"])
def test_labels_that_are_called_as_features_are_have_no_names(name):
    """A frame of labels without names, or with a feature's, is the label, as an array is."""
    table, named = data.labelled(pd.DataFrame({"a": [1, 2], 0: [3, 4]}), pd.DataFrame({name: [0, 1]}))
    assert ([], {"a", "0", "label"}) == (named, {name for name, _ in data.look(table).fields})


def test_labels_that_do_not_fit_are_left_out():
    """Labels of another length do not hide the features."""
    table, _ = data.labelled(pd.DataFrame({"a": [1, 2]}), pd.Series([1], name="y"))
    assert fingerprint(pd.DataFrame({"a": [1, 2]})) == fingerprint(table)


def test_a_sample_says_so(monkeypatch):
    """Over the limit a part of the rows is hashed, always the same part, and the fingerprint says which."""
    array = np.arange(100_000.0).reshape(-1, 2)
    whole = data.look(array).fingerprint
    monkeypatch.setattr(data, "FULL_BYTES", 160_000)
    sampled = data.look(array).fingerprint
    assert ("full", 50_000) == (whole.scope, whole.rows)
    assert ("sampled", 9_984) == (sampled.scope, sampled.rows)
    assert "64 evenly spaced blocks of 156 of 50000 rows" in sampled.canonicalisation
    assert sampled == data.look(array.copy()).fingerprint
    assert sampled.digest != whole.digest


def test_the_host_s_data_is_left_as_it_was():
    """Looking at data changes nothing of it."""
    df = frame()
    before = df.copy(deep=True)
    array = np.array([np.nan, -0.0, 1.0])
    data.look(df), data.profile(df), data.look(array)
    pd.testing.assert_frame_equal(before, df)
    assert {} == df.attrs
    assert np.signbit(array[1])


def test_the_canonicalisation_is_fixed():
    """A fingerprint of today is the fingerprint of tomorrow: changing one of these needs a new version."""
    assert "modeltrail-rows/1" == data.look(frame()).fingerprint.canonicalisation
    assert KNOWN == {name: fingerprint(value)[:16] for name, value in KNOWN_DATA.items()}


KNOWN_DATA = {
    "frame": frame(),
    "numbers": np.arange(10),
    "nothing": pd.DataFrame(),
    "texts": ["a", "b", None],
}
KNOWN = {
    "frame": "e4f2eb2aa8a50034",
    "numbers": "e69b2537d8b455ee",
    "nothing": "8b1644b77ac0eca5",
    "texts": "4f232cdd19a812bc",
}
