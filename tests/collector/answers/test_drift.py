"""How far distributions moved, by recorded profiles alone: held against the values themselves, and abuse."""

import math
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrail.observe import data
from modeltrail_collector.answers.why.drift import LARGE, MODERATE, compare

RANDOM = np.random.default_rng(7)


def profile(**columns) -> dict:
    """The columns of the facet that the emitter makes of these values."""
    return data.profile(pd.DataFrame(columns)).to_dict()["columns"]


def moved(was, now):
    """The drift of one column between two lists of values."""
    (found,) = compare(profile(x=was), profile(x=now))
    return found


def psi(was, now) -> float:
    """PSI over the deciles of the first, counted in the values themselves."""
    cuts = np.quantile(was, np.linspace(0.1, 0.9, 9))
    shares = [np.bincount(np.searchsorted(cuts, each), minlength=10) / len(each) for each in (was, now)]
    shares = [np.maximum(each, 0.5 / 5000) for each in shares]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def ks(was, now) -> float:
    points = np.concatenate([was, now])
    reached = [np.searchsorted(np.sort(each), points, side="right") / len(each) for each in (was, now)]
    return float(np.abs(reached[0] - reached[1]).max())


SHIFTS = {
    "mean": lambda x: x + 0.5,
    "spread": lambda x: x * 1.4,
    "tail": lambda x: np.where(x > 1, 3 * x - 2, x),
    "nothing": lambda x: x,
}
SHAPES = {
    "normal": lambda: RANDOM.normal(0, 1, 5000),
    "one far value": lambda: np.append(RANDOM.normal(0, 1, 4999), 1e6),
    "lognormal": lambda: RANDOM.lognormal(0, 1, 5000),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shift", SHIFTS)
def test_profiles_tell_what_the_values_do(shape: str, shift: str) -> None:
    """PSI and KS from two profiles are those of the values themselves, also where one value is far away."""
    was, now = SHAPES[shape](), SHIFTS[shift](SHAPES[shape]())
    found = moved(was, now)
    assert found.psi == pytest.approx(psi(was, now), rel=0.25, abs=0.02)
    assert found.ks == pytest.approx(ks(was, now), abs=0.04)
    assert (found.level == "none") == (psi(was, now) < MODERATE)


def test_a_repeated_value_is_no_drift() -> None:
    """Of a column of zeros and ones the shares are compared exactly, as of any value that many rows have."""
    was, now = RANDOM.random(4000) < 0.23, RANDOM.random(4000) < 0.27
    found = moved(was.astype(int), now.astype(int))
    assert found.ks == pytest.approx(abs(was.mean() - now.mean()), abs=0.005)
    odds = now.mean() * (1 - was.mean()) / was.mean() / (1 - now.mean())
    assert found.psi == pytest.approx((now.mean() - was.mean()) * math.log(odds), rel=0.01)
    assert "large" == moved(was.astype(int), (RANDOM.random(4000) < 0.6).astype(int)).level


def test_few_rows_move_by_chance() -> None:
    """Two samples of fifty rows of one distribution pass PSI 0.1 by chance alone, and are no drift."""
    found = [moved(RANDOM.normal(size=50), RANDOM.normal(size=50)) for _ in range(200)]
    assert 100 < sum(one.psi > MODERATE for one in found)
    assert 6 >= sum(one.level != "none" for one in found)
    assert "large" == moved(RANDOM.normal(size=50), RANDOM.normal(3, size=50)).level


def test_a_change_of_unit_is_told() -> None:
    """Values that are all a hundredth of what they were are told so; a mere drift is not."""
    cents = RANDOM.lognormal(8, 0.5, 3000)
    assert 0.01 == moved(cents, RANDOM.lognormal(8, 0.5, 3000) / 100).factor
    assert 1000.0 == moved(cents, cents * 1000).factor
    assert None is moved(cents, cents * 3).factor
    assert None is moved(RANDOM.normal(size=3000), RANDOM.normal(size=3000)).factor


def test_categories_that_come_and_go() -> None:
    """New and vanished categories are named, and their shares count; a text has no KS."""
    found = moved(["a"] * 60 + ["b"] * 40, ["a"] * 55 + ["c"] * 45)
    assert (["c"], ["b"], "large", None) == (found.new_values, found.gone_values, found.level, found.ks)
    same = moved(["a"] * 60 + ["b"] * 40, ["a"] * 58 + ["b"] * 42)
    assert ([], [], "none") == (same.new_values, same.gone_values, same.level)


def test_values_that_were_not_listed_are_not_new() -> None:
    """Where a profile counts some values as others, one that is listed on the other side alone is not new."""
    was = {"x": {"topK": [{"value": "a", "count": 70}], "other": 30}}
    now = {"x": {"topK": [{"value": "a", "count": 70}, {"value": "b", "count": 30}], "other": 0}}
    (found,) = compare(was, now)
    assert ([], 0.0) == (found.new_values, found.psi)


def test_missing_values_and_types() -> None:
    """A rise of missing values and another type are told, whatever else is known."""
    numbers = np.arange(200.0)
    found = moved(numbers, np.where(numbers % 4 == 0, np.nan, numbers))
    assert (0.0, 0.25, True) == (found.missing_before, found.missing_after, found.told)
    found = moved(numbers, [f"{x}" for x in numbers])
    assert (["float64", "str"], "unknown", True) == (found.types, found.level, found.told)


def test_other_bins_are_compared() -> None:
    """Histograms of other producers, with other bins and without quantiles, are compared all the same."""
    was = {"x": {"histogram": {"edges": [0, 1, 2, 3, 4], "counts": [250, 250, 250, 250]}}}
    now = {"x": {"histogram": {"edges": [0, 0.5, 2, 4], "counts": [125, 375, 500]}}}
    (found,) = compare(was, now)
    assert found.psi == pytest.approx(0, abs=1e-9)
    assert found.ks == pytest.approx(0, abs=1e-9)
    far = {"x": {"histogram": {"edges": [10, 20], "counts": [1000]}}}
    (found,) = compare(was, far)
    assert (1.0, "large") == (found.ks, found.level)
    assert found.psi > LARGE
    only = {"x": {"quantiles": [0, 1, 2, 3, 4], "count": 1000, "nulls": 0}}
    (found,) = compare(was, only)
    assert found.ks == pytest.approx(0, abs=1e-9)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("dtype", "count", "nulls", "mean", "std", "histogram", "quantiles", "topK", "other")
HISTOGRAM = st.fixed_dictionaries({"edges": JUNK | st.lists(st.floats()), "counts": st.lists(st.integers())})
COLUMN = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JUNK) | {"histogram": HISTOGRAM})


@settings(max_examples=100, deadline=None)
@given(COLUMN, COLUMN)
def test_nothing_in_a_profile_is_believed(was: dict, now: dict) -> None:
    """Whatever a producer writes into a profile, the comparison ends, and its numbers are numbers."""
    for one in compare({"x": was}, {"x": now}):
        for value in (one.psi, one.ks, one.missing_before, one.missing_after):
            assert value is None or not math.isnan(value)


def test_a_thousand_columns_in_time() -> None:
    """Two profiles of a thousand columns are compared in seconds."""
    one = profile(x=RANDOM.lognormal(size=5000))["x"]
    other = profile(x=RANDOM.lognormal(1, size=5000))["x"]
    started = time.process_time()
    found = compare({f"c{n}": one for n in range(1000)}, {f"c{n}": other for n in range(1000)})
    assert 1000 == sum(each.level == "large" for each in found)
    assert time.process_time() - started < 20
