"""How the values of each column are distributed: enough to compute PSI or KS later, without the data."""

import math
import os
import sys
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from modeltrail import naming
from modeltrail.facets import ModelTrailFeatureProfileInputDatasetFacet
from modeltrail.observe import frames, redact, tablefiles
from modeltrail.observe.canonical import Cells
from modeltrail.observe.layouts import Layout

if TYPE_CHECKING:
    from modeltrail.observe.canonical import Array

MAX_ROWS: Final = 20_000
"""Two samples of so many move by a PSI of 0.001 by chance, a hundredth of what is told as a change."""
SAMPLED_BLOCKS: Final = 50
MAX_COLUMNS: Final = 500
BINS: Final = 19
"""20 edges."""
QUANTILES: Final = 20
"""21 of them, from the smallest value to the largest."""
TOP: Final = 20
LOW_CARDINALITY: Final = 100
LONGEST_VALUE: Final = 200
"""Characters of a text shown in topK; columns of longer texts are prose, and are not shown."""


def profile(
    data: object, max_rows: int = MAX_ROWS, *, layout: Layout | None = None
) -> ModelTrailFeatureProfileInputDatasetFacet | None:
    """The facet `modelTrail_featureProfile` of at most `max_rows` rows; None without columns.

    Of a local table file (CSV, Parquet) a bounded part is read: see `tablefiles.sample`,
    which is told how the file is laid out.
    """
    part: str | None = None
    if isinstance(data, str | os.PathLike):
        path = naming.local_path(data)
        sample = tablefiles.sample(path, layout) if path is not None else None
        if sample is None:
            return None
        data, part = sample
    found = columns(data, max_rows)
    if found is None:
        return None
    profiles, rows, method = found
    if part is not None:
        method = part if method == "all rows" else f"{method} of {part}"
    return ModelTrailFeatureProfileInputDatasetFacet(columns=profiles, sample_rows=rows, method=method)


def columns(data: object, max_rows: int = MAX_ROWS) -> tuple[dict[str, dict[str, Any]], int, str] | None:
    """(column -> its profile, rows looked at, method), or None for what has no columns."""
    seen = frames.columns(data)
    if seen is None or seen.rows == 0 or len(seen.names) > MAX_COLUMNS:
        return None
    pieces: list[list[Cells]] = [[] for _ in seen.names]
    starts, size = _sample(seen.rows, max_rows)
    for start in starts:
        for position, cells in seen.block(start, start + size):
            if cells.values.ndim == 1 or cells.codes is not None:
                pieces[position].append(cells)
                continue
            for column in range(cells.values.shape[1]):
                missing = None if cells.missing is None else cells.missing[:, column]
                pieces[position + column].append(Cells(cells.values[:, column], missing))
    rows = len(starts) * size
    method = (
        "all rows"
        if rows == seen.rows
        else f"{len(starts)} evenly spaced blocks of {size} of {seen.rows} rows"
    )
    named = zip(seen.names, seen.types, pieces, strict=True)
    return {name: {"dtype": dtype, **_column(name, parts)} for name, dtype, parts in named}, rows, method


def _sample(rows: int, max_rows: int) -> tuple[list[int], int]:
    """(first rows of the blocks, their size)."""
    if rows <= max_rows:
        return [0], rows
    blocks = min(SAMPLED_BLOCKS, max_rows)
    size = max_rows // blocks
    return [index * (rows - size) // max(1, blocks - 1) for index in range(blocks)], size


def _column(name: str, parts: list[Cells]) -> dict[str, Any]:
    import numpy as np

    values = np.concatenate([_flat(cells) for cells in parts])
    missing = _missing(parts)
    if values.dtype.kind in "iuf":
        known = values if missing is None else values[~missing]
        return _numbers(name, known.astype(np.float64, copy=False), len(values))  # a copy, by `concatenate`
    if values.dtype.kind in "Mm":
        unknown = np.isnat(values) if missing is None else np.isnat(values) | missing
        return {"count": len(values), "nulls": int(unknown.sum())}
    if values.dtype.kind == "b":
        values = values.astype(object)
    if missing is not None:
        values[missing] = None
    return _texts(name, values)


def _flat(cells: Cells) -> "Array":
    import numpy as np

    if cells.codes is None:
        return cells.values
    categories = np.empty(len(cells.values) + 1, object)  # the last one, which is also -1, is missing
    categories[:-1] = cells.values
    found: Array = categories[cells.codes]
    return found


def _missing(parts: list[Cells]) -> "Array | None":
    """Which values are missing beside what they say themselves; None where none is."""
    if all(cells.missing is None for cells in parts):
        return None
    import numpy as np

    masks = [
        np.zeros(len(_length(cells)), bool) if cells.missing is None else cells.missing for cells in parts
    ]
    return np.concatenate(masks)


def _length(cells: Cells) -> "Array":
    return cells.values if cells.codes is None else cells.codes


def _numbers(name: str, known: "Array", count: int) -> dict[str, Any]:
    """Of numbers that are not missing, among `count`; sorted, infinite ones and NaN lie outside.

    Works in the array itself: a copy costs as much as a look at it.
    """
    import numpy as np

    known.sort()
    first, last, end = np.searchsorted(known, [-np.finfo(np.float64).max, np.inf, np.nan])
    finite = known[first:last]
    found: dict[str, Any] = {"count": count, "nulls": int(count - end)}
    if not len(finite):
        return found
    shape: dict[str, Any] = {}
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # squares of 1e300: no number, then, but no noise either
        mean = finite.mean()
        if np.isfinite(finite[-1] - finite[0]) and not redact.is_secret_name(name):
            shape["histogram"] = _histogram(finite)
            shape |= _quantiles(finite)
        finite -= mean
        finite *= finite
        std = np.sqrt(finite.mean())
    return found | {"mean": float(mean), "std": float(std)} | shape


def _histogram(ordered: "Array") -> dict[str, Any]:
    """Bins of equal width, as `numpy.histogram` makes them."""
    import numpy as np

    low, high = ordered[[0, -1]].tolist()
    edges = np.linspace(*((low, high) if low < high else (low - 0.5, high + 0.5)), BINS + 1)
    below = [0, *np.searchsorted(ordered, edges[1:-1]).tolist(), len(ordered)]
    return {"edges": edges.tolist(), "counts": [after - before for before, after in pairwise(below)]}


def _quantiles(ordered: "Array") -> dict[str, Any]:
    """Values at equal shares of the rows, to a thousandth of what half of them spread over.

    Bins of equal width say nothing where one far value stretches them. Rounded, no value is one row's own.
    """
    last = len(ordered) - 1
    found = ordered[[round(last * place / QUANTILES) for place in range(QUANTILES + 1)]].tolist()
    middle = len(found) // 2
    for aside in (QUANTILES // 4, QUANTILES // 2 - 1, QUANTILES // 2):
        spread = found[middle + aside] - found[middle - aside]
        if spread > math.ulp(max(abs(found[0]), abs(found[-1]))) * 1e4:
            digits = 3 - math.floor(math.log10(spread))
            return {"quantiles": [_rounded(value, digits) for value in found]}
    return {}  # one value, or differences that floats hardly tell


def _rounded(value: float, digits: int) -> float:
    """The largest float has no neighbour to be rounded up to."""
    try:
        return round(value, digits)
    except OverflowError:
        return math.copysign(sys.float_info.max, value)


def _texts(name: str, values: "Array") -> dict[str, Any]:
    """The commonest values; none of them where they could name a person or hold a secret."""
    known = [str(value) for value in values.tolist() if value is not None and value == value]  # noqa: PLR0124
    found: dict[str, Any] = {"count": len(values), "nulls": len(values) - len(known)}
    counted = Counter(known)
    few = 0 < len(counted) <= LOW_CARDINALITY and 2 * len(counted) <= len(known)
    if not few or redact.is_secret_name(name) or any(len(text) > LONGEST_VALUE for text in counted):
        return found
    top = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP]
    found["topK"] = [{"value": redact.text(text), "count": count} for text, count in top]
    found["other"] = len(known) - sum(count for _, count in top)
    return found
