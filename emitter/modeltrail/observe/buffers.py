"""Which memory the columns of an Arrow table lie in.

What methods of pyarrow make of a table happens in C++ and cannot be observed; most of them
(`select`, `slice`, `append_column`, `rename_columns`) copy nothing. So a column that lies where one of a file
lay, as large and with the same first bytes, is that one.
"""

import sys
from collections.abc import Hashable, Iterator
from itertools import pairwise
from typing import Any, Final

MAX_COLUMNS: Final = 50
"""Of so many columns of a table it is looked at: each takes some 5 µs."""
MAX_CHUNKS: Final = 16
FIRST_BYTES: Final = 256
TELLING: Final = 8
"""So many differences between neighbours there have to be: one value, flags or a count anybody may have."""


def marks(thing: Any) -> Iterator[Hashable]:
    """What tells the columns of a table, a batch, or one column; none of what is not Arrow's."""
    arrow = sys.modules.get("pyarrow")
    if arrow is None:
        return
    columns: Any = ()
    if isinstance(thing, arrow.Table | arrow.RecordBatch):
        columns = (thing.column(place) for place in range(min(thing.num_columns, MAX_COLUMNS)))
    elif isinstance(thing, arrow.ChunkedArray | arrow.Array):
        columns = (thing,)
    for column in columns:
        chunks = column.chunks if isinstance(column, arrow.ChunkedArray) else (column,)
        if (found := _mark(chunks)) is not None:
            yield found


def _mark(chunks: Any) -> Hashable | None:
    if not 0 < len(chunks) <= MAX_CHUNKS:
        return None
    values = [each for each in map(_values, chunks) if each is not None]
    if len(values) < len(chunks) or not values[0].is_cpu:
        return None
    size = min(values[0].size, FIRST_BYTES) // 8 * 8
    words = memoryview(values[0])[:size].cast("B").cast("q").tolist()
    if len({after - before for before, after in pairwise(words)}) < TELLING:
        return None
    return (*words, *((each.address, each.size) for each in values))


def _values(chunk: Any) -> Any:
    """The buffer of the values themselves comes last, if there is one."""
    return next((each for each in reversed(chunk.buffers()) if each is not None), None)
