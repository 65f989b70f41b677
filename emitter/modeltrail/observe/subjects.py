"""Which persons a dataset holds: the distinct cells of an id column, as pseudonyms that need a key.

Block by block, so that it takes no more memory than the pseudonyms do, and gives up where there are too many
of them or they take too long.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from modeltrail import naming
from modeltrail.observe import tablefiles
from modeltrail.observe.frames import BLOCK_CELLS
from modeltrail_schemas import subjects

SECONDS: Final = 60.0
"""So long the host waits for one dataset, at most."""


class NotIndexed(Exception):  # noqa: N818  named after what happened
    """The persons of a dataset cannot be told; says why."""


def pseudonyms(data: object, column: str, key: bytes) -> set[bytes]:
    """What stands for each person in a column of a table in memory, a table file, or a list of these.

    Raises:
        NotIndexed: There is no such column, or it is too large.
    """
    found: set[bytes] = set()
    end = time.monotonic() + SECONDS
    for cells in _cells(data, column):
        spellings = {subjects.spelled(cell) for cell in cells}
        found.update(subjects.pseudonym(key, text) for text in spellings if text is not None)
        if len(found) > subjects.MAX_SUBJECTS:
            raise NotIndexed(f"there are more than {subjects.MAX_SUBJECTS:,}")
        if time.monotonic() > end:
            raise NotIndexed(f"they could not be read within {SECONDS:.0f} s")
    return found


def _cells(data: object, column: str) -> Iterator[Iterable[Any]]:
    """The cells of a column, block by block; of some tables only distinct ones."""
    if getattr(data, "namespace", None) == naming.FILE and isinstance(getattr(data, "name", None), str):
        data = Path(data.name)  # type: ignore[attr-defined]
    if isinstance(data, str | os.PathLike):
        path = naming.local_path(data)
        found = tablefiles.column(path, column) if path is not None else None
        if found is None:
            raise NotIndexed(f"there is no local CSV or Parquet file with a column {column!r}")
        yield from found
        return
    if isinstance(data, list | tuple | set | frozenset) and data:
        for item in data:
            yield from _cells(item, column)
        return
    for library, blocks in _LIBRARIES.items():
        module = sys.modules.get(library)
        if module is not None and (seen := blocks(module, data, column)) is not None:
            yield from seen
            return
    raise NotIndexed(f"{type(data).__module__}.{type(data).__qualname__} has no column {column!r} to be read")


Blocks = Iterator[Iterable[Any]]


def _pandas(pandas: Any, data: Any, column: str) -> Blocks | None:
    """A column, or a level of the index, by its name."""
    if not isinstance(data, pandas.DataFrame):
        return None
    names = list(map(str, data.columns))
    if column in names:
        cells = data.iloc[:, names.index(column)]
    elif column in data.index.names:
        cells = data.index.get_level_values(column).to_series()
    else:
        return None
    return (cells.iloc[start : start + BLOCK_CELLS].unique().tolist() for start in _starts(len(cells)))


def _polars(polars: Any, data: Any, column: str) -> Blocks | None:
    if not isinstance(data, polars.DataFrame) or column not in data.columns:
        return None
    cells = data.get_column(column)
    return (cells.slice(start, BLOCK_CELLS).unique().to_list() for start in _starts(len(cells)))


def _pyarrow(pyarrow: Any, data: Any, column: str) -> Blocks | None:
    if not isinstance(data, pyarrow.Table | pyarrow.RecordBatch) or column not in data.schema.names:
        return None
    cells = data.column(column)
    return (cells.slice(start, BLOCK_CELLS).unique().to_pylist() for start in _starts(len(cells)))


def _numpy(numpy: Any, data: Any, column: str) -> Blocks | None:
    """A field of a structured array, or a column by its number."""
    if not isinstance(data, numpy.ndarray) or not data.ndim:
        return None
    if data.dtype.names:
        cells = data[column] if column in data.dtype.names else None
    else:
        number = int(column) if data.ndim == 2 and column.isdecimal() else -1
        cells = data[:, number] if 0 <= number < data.shape[1] else None
    if cells is None or cells.ndim != 1:
        return None
    return (cells[start : start + BLOCK_CELLS].tolist() for start in _starts(len(cells)))


def _starts(rows: int) -> range:
    return range(0, rows, BLOCK_CELLS)


_LIBRARIES: Final = {"pandas": _pandas, "polars": _polars, "pyarrow": _pyarrow, "numpy": _numpy}
