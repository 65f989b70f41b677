"""How far a column's distribution moved between two recorded profiles: PSI, KS, missing values, categories.

The source is `modelTrail_featureProfile`: per column a histogram (`edges`, `counts`), `quantiles` at equal
shares of the rows, or for texts the most frequent values (`topK`, `other`). No data is read.

**PSI** (population stability index) over bins i with the shares a and b of the two versions::

    PSI = sum_i (b_i - a_i) * ln(b_i / a_i)

Numbers are binned at the deciles of the older version (its quantiles; without them the edges of its
histogram), a decile that falls on a repeated value being moved halfway to the next one. The newer version's
shares in these bins are read off its own distribution function, linear between what was recorded. Categories
are their own bins; those that either side counts under `other` are one bin together. An empty bin counts as
half a row. The usual reading: below 0.1 stable, from 0.1 moderate, from 0.25 large.

**KS** (Kolmogorov-Smirnov) is the largest distance of the two distribution functions at the recorded points.

Few rows move both by chance: in the mean of equal distributions PSI is (bins - 1) * (1/n + 1/m), distributed
as chi-square (Yurdakul and Naranjo 2020), and KS passes 1.36 * sqrt(1/n + 1/m) one time in twenty. What lies
below the PSI of 99 of 100 chances is no drift here, however small or large the number.
"""

import bisect
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

MODERATE: Final = 0.1
LARGE: Final = 0.25
"""The usual thresholds of PSI."""
MISSING_MOVED: Final = 0.02
"""A share of missing values that differs by less is not told as a change."""
_MOST_POINTS: Final = 2_000
_UNITS: Final = tuple(10.0**power for power in (-9, -6, -4, -3, -2, -1, 1, 2, 3, 4, 6, 9))
_UNIT_TOLERANCE: Final = 0.1


class Drift(msgspec.Struct, frozen=True, omit_defaults=False):
    """How one column moved.

    Attributes:
        column: its name.
        level: large, moderate or none, by PSI beyond chance; `unknown` where there is nothing to compare.
        psi: None where it cannot be computed.
        psi_by_chance: what PSI stays below 99 of 100 times when nothing moved, with so few rows.
        ks: None for categories.
        ks_by_chance: what KS stays below 19 of 20 times when nothing moved.
        missing_before: share of rows without a value.
        missing_after: the same, now.
        mean_before: of numbers.
        mean_after: of numbers.
        new_values: categories that were not there before, where all of them are known.
        gone_values: categories that are not there any more, where all of them are known.
        factor: the constant by which all quantiles differ, where that is a power of ten: a unit changed.
        types: `[before, after]` where the type differs.
    """

    column: str
    level: str
    psi: float | None = None
    psi_by_chance: float | None = None
    ks: float | None = None
    ks_by_chance: float | None = None
    missing_before: float | None = None
    missing_after: float | None = None
    mean_before: float | None = None
    mean_after: float | None = None
    new_values: list[str] = []
    gone_values: list[str] = []
    factor: float | None = None
    types: list[str] | None = None

    @property
    def missing_moved(self) -> float:
        """By how much the share of missing values rose."""
        return (self.missing_after or 0.0) - (self.missing_before or 0.0)

    @property
    def told(self) -> bool:
        """Whether there is something to tell."""
        return (
            self.level in {"large", "moderate"}
            or self.types is not None
            or bool(self.new_values or self.gone_values)
            or abs(self.missing_moved) >= MISSING_MOVED
        )


class _Numbers(msgspec.Struct, frozen=True):
    """A distribution function: at xs[i] it reaches from lows[i] to highs[i], and is linear between."""

    xs: list[float]
    lows: list[float]
    highs: list[float]
    quantiles: list[float]
    edges: list[float]
    rows: int

    @property
    def repeated(self) -> frozenset[float]:
        """Values that many rows have: the shares of rows up to one of them are only roughly known."""
        return frozenset(a for a, b in itertools.pairwise(self.quantiles) if a == b)

    def at(self, x: float) -> float:
        """The share of rows whose value is at most x."""
        place = bisect.bisect_right(self.xs, x)
        if place == 0:
            return 0.0
        if place == len(self.xs):
            return 1.0
        left, right = self.xs[place - 1], self.xs[place]
        if x == left or right - left <= 0:
            return self.highs[place - 1]
        part = (x - left) / (right - left)
        return self.highs[place - 1] + part * (self.lows[place] - self.highs[place - 1])


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Drift]:
    """Each column that both profiles (`columns` of the facet) know, those that moved most first."""
    found = [
        _column(name, was, now)
        for name, was in before.items()
        if isinstance(was, dict) and isinstance(now := after.get(name), dict)
    ]
    return sorted(found, key=order)


def order(drift: Drift) -> tuple[object, ...]:
    """What moved most comes first: a type, then PSI, then missing values; then by name."""
    levels = ("large", "moderate", "none", "unknown")
    return (
        drift.types is None,
        levels.index(drift.level),
        -(drift.psi or 0.0),
        -abs(drift.missing_moved),
        drift.column,
    )


def _column(name: str, was: dict[str, Any], now: dict[str, Any]) -> Drift:
    missing = {"missing_before": _missing(was), "missing_after": _missing(now)}
    types = [str(was.get("dtype")), str(now.get("dtype"))]
    said: dict[str, Any] = {
        **missing,
        "types": types if "dtype" in was and "dtype" in now and types[0] != types[1] else None,
    }
    old, new = _numbers(was), _numbers(now)
    if old and new:
        return _numeric(name, old, new, {**said, **_means(was, now)})
    first, second = _categories(was), _categories(now)
    if first and second:
        return _categorical(name, first, second, said)
    return Drift(name, "unknown", **said)


def _numeric(name: str, old: _Numbers, new: _Numbers, said: dict[str, Any]) -> Drift:
    cuts = _cuts(old)
    psi, chance = _psi(_shares(old, cuts), _shares(new, cuts), old.rows, new.rows)
    repeated = old.repeated | new.repeated if old.edges and new.edges else frozenset()
    gaps = (abs(old.at(x) - new.at(x)) for x in {*old.xs, *new.xs} - repeated)
    noise = math.sqrt(1 / old.rows + 1 / new.rows)
    return Drift(
        name,
        _level(psi, chance),
        psi=psi,
        psi_by_chance=chance,
        ks=max(gaps, default=0.0),
        ks_by_chance=min(1.0, 1.36 * noise),
        factor=_factor(old, new),
        **said,
    )


def _cuts(old: _Numbers) -> list[float]:
    """The inner bounds of the bins."""
    values = old.quantiles
    if len(values) < 3:
        return old.edges[1:-1] if len(old.edges) > 2 else []
    step = (len(values) - 1) / 10
    deciles = sorted({values[round(step * number)] for number in range(1, 10)})
    return [_after(value, values) if value in old.repeated else value for value in deciles]


def _after(value: float, ordered: list[float]) -> float:
    following = bisect.bisect_right(ordered, value)
    return value + (ordered[following] - value) / 2 if following < len(ordered) else value


def _shares(of: _Numbers, cuts: list[float]) -> list[float]:
    reached = [of.at(cut) for cut in cuts]
    return [after - before for before, after in itertools.pairwise([0.0, *reached, 1.0])]


def _psi(before: list[float], after: list[float], n: int, m: int) -> tuple[float, float]:
    """(PSI, what it stays below 99 of 100 times by chance)."""
    pairs = [(max(a, 0.5 / n), max(b, 0.5 / m)) for a, b in zip(before, after, strict=True)]
    psi = sum((b - a) * math.log(b / a) for a, b in pairs)
    free = max(1, len(pairs) - 1)
    # Wilson and Hilferty's approximation of the chi-square quantile.
    quantile = free * (1 - 2 / (9 * free) + 2.326 * math.sqrt(2 / (9 * free))) ** 3
    return psi, quantile * (1 / n + 1 / m)


def _level(psi: float, chance: float) -> str:
    if psi < max(MODERATE, chance):
        return "none"
    return "large" if psi >= max(LARGE, chance) else "moderate"


def _categorical(name: str, old: dict[str, int], new: dict[str, int], said: dict[str, Any]) -> Drift:
    known = old.keys() & new.keys() - {_OTHER}
    cut_off = old.get(_OTHER, 0) or new.get(_OTHER, 0)
    bins = sorted(known) if cut_off else sorted((old.keys() | new.keys()) - {_OTHER})
    shares: list[list[float]] = []
    for counts in (old, new):
        total = sum(counts.values())
        listed = [counts.get(value, 0) / total for value in bins]
        shares.append([*listed, max(0.0, 1 - sum(listed))] if cut_off else listed)
    psi, chance = _psi(shares[0], shares[1], sum(old.values()), sum(new.values()))
    new_values = [] if old.get(_OTHER) else sorted(new.keys() - old.keys() - {_OTHER})
    gone_values = [] if new.get(_OTHER) else sorted(old.keys() - new.keys() - {_OTHER})
    return Drift(
        name,
        _level(psi, chance),
        psi=psi,
        psi_by_chance=chance,
        new_values=new_values,
        gone_values=gone_values,
        **said,
    )


def _factor(old: _Numbers, new: _Numbers) -> float | None:
    """The power of ten between the two, where each quantile of one is about that times the other's."""
    if len(old.quantiles) != len(new.quantiles) or len(old.quantiles) < 5:
        return None
    pairs = list(zip(old.quantiles, new.quantiles, strict=True))[1:-1]
    largest = max(abs(was) for was, _ in pairs)
    ratios = [now / was for was, now in pairs if abs(was) > largest / 100]
    for unit in _UNITS:
        if ratios and all(abs(ratio / unit - 1) <= _UNIT_TOLERANCE for ratio in ratios):
            return unit
    return None


_OTHER: Final = "\0other"


def _categories(column: dict[str, Any]) -> dict[str, int]:
    """Value -> rows; rows with other values under `_OTHER`. Empty where nothing usable was recorded."""
    top = column.get("topK")
    counts = {
        str(entry["value"]): entry["count"]
        for entry in (top if isinstance(top, list) else ())
        if isinstance(entry, dict) and _is_count(entry.get("count")) and entry.get("value") is not None
    }
    if counts and _is_count(column.get("other")) and column["other"]:
        counts[_OTHER] = column["other"]
    return counts if sum(counts.values()) else {}


def _numbers(column: dict[str, Any]) -> _Numbers | None:
    """The distribution function that a profile tells; None where it tells none, or a broken one."""
    edges, counts = _histogram(column.get("histogram"))
    quantiles = _ascending(column.get("quantiles"))
    rows = sum(counts) or _known(column)
    if rows <= 0 or (len(edges) < 2 and len(quantiles) < 2):
        return None
    points = [(value, number / (len(quantiles) - 1)) for number, value in enumerate(quantiles)]
    points += [(edge, below / rows) for edge, below in zip(edges, _sums(counts), strict=False)]
    xs: list[float] = []
    lows: list[float] = []
    highs: list[float] = []
    reached = 0.0
    for x, share in sorted(points):
        reached = max(reached, share)
        if xs and xs[-1] == x:
            highs[-1] = reached
        else:
            xs.append(x)
            lows.append(reached)
            highs.append(reached)
    return _Numbers(xs, lows, highs, quantiles, edges, rows)


def _histogram(told: Any) -> tuple[list[float], list[int]]:
    if not isinstance(told, dict):
        return [], []
    edges, counts = _ascending(told.get("edges")), told.get("counts")
    if not isinstance(counts, list) or len(edges) != len(counts) + 1 or not all(map(_is_count, counts)):
        return [], []
    return (edges, counts) if sum(counts) else ([], [])


def _sums(counts: Iterable[int]) -> list[int]:
    return [0, *itertools.accumulate(counts)]


def _ascending(told: Any) -> list[float]:
    """A list of finite numbers in order; empty for anything else, or for far more than anybody records."""
    if not isinstance(told, list) or not 2 <= len(told) <= _MOST_POINTS:
        return []
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in told):
        return []
    try:
        found = [float(x) for x in told]
    except OverflowError:
        return []
    fits = all(map(math.isfinite, found)) and all(a <= b for a, b in itertools.pairwise(found))
    return found if fits and math.isfinite(found[-1] - found[0]) else []


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def _known(column: dict[str, Any]) -> int:
    """Rows with a value."""
    count, nulls = column.get("count"), column.get("nulls", 0)
    return int(count) - int(nulls) if _is_count(count) and _is_count(nulls) else 0  # type: ignore[arg-type]


def _missing(column: dict[str, Any]) -> float | None:
    count, nulls = column.get("count"), column.get("nulls")
    if not _is_count(count) or not _is_count(nulls) or not count:
        return None
    return min(1.0, int(nulls or 0) / int(count))


def _means(was: dict[str, Any], now: dict[str, Any]) -> dict[str, float]:
    means = {"mean_before": was.get("mean"), "mean_after": now.get("mean")}
    return {
        name: float(mean)
        for name, mean in means.items()
        if isinstance(mean, float) or (isinstance(mean, int) and abs(mean) < 1 << 53)
    }
