"""Columns, row counts and samples of table files, as far as they are cheap."""

import csv
import importlib.util
import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from modeltrail.observe import frames
from modeltrail.observe.canonical import Cells

Shape = tuple[tuple[tuple[str, str | None], ...], int | None]

COUNTED_BYTES: Final = 256 << 20
"""Lines of a larger file are not counted."""
QUOTED_BYTES: Final = 64 << 20
"""Rows of a larger file with quotation marks, whose lines may not be rows, are not counted."""
PARQUET_FILES: Final = 500
SAMPLE_BYTES: Final = 1 << 20
"""Of a larger CSV file so many bytes are looked at, of a larger Parquet file eight times as many."""
SAMPLE_BLOCKS: Final = 64
SAMPLE_PAGES: Final = 256
"""A page of a Parquet file is decoded whole: so many columns, times row groups, of a large file are read."""
MISSING: Final = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "<NA>"})
"""Texts that stand for a missing value in a CSV file, as pandas reads it."""
_UNKNOWN: Final[Shape] = ((), None)


def shape(path: Path) -> Shape:
    """((column, type) pairs, rows) of a table file or a directory of Parquet; empty, None where unknown."""
    try:
        if path.is_dir():
            return _parquet_directory(path)
        reader = _READERS.get(path.suffix.lower())
        return reader(path) if reader else _UNKNOWN
    except Exception:  # a broken file is the host's business; it still has a name and a digest
        return _UNKNOWN


def sample(path: Path) -> tuple[Any, str] | None:
    """(a table of some rows of a table file, which rows they are); None where they are not cheap to have.

    A small file is read whole, of a larger one parts at even distances.
    """
    try:
        reader = _SAMPLERS.get(path.suffix.lower())
        return reader(path) if reader and path.is_file() else None
    except Exception:  # as of `shape`
        return None


def column(path: Path, name: str) -> Iterator[list[Any]] | None:
    """The cells of a column, block by block; None where the file has none of this name, or no reader.

    Also of a directory of Parquet files. Of Parquet only distinct ones of a block.

    Raises whatever a broken file makes its reader raise.
    """
    if path.is_dir():
        parts = sorted(path.rglob("*.parquet"))
        found = [_parquet_column(part, name) for part in parts]
        return chain.from_iterable(each for each in found if each) if found and all(found) else None
    reader = _COLUMNS.get(path.suffix.lower())
    return reader(path, name) if reader and path.is_file() else None


def _csv_column(path: Path, name: str) -> Iterator[list[str]] | None:
    delimiter, names = _header(path)
    if name not in names:
        return None
    place = names.index(name)

    def blocks() -> Iterator[list[str]]:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            rows = csv.reader(file, delimiter=delimiter)
            next(rows)
            while some := list(islice(rows, frames.BLOCK_CELLS)):
                yield [row[place] for row in some if len(row) > place]

    return blocks()


def _parquet_column(path: Path, name: str) -> Iterator[list[Any]] | None:
    if importlib.util.find_spec("pyarrow") is None:
        return None
    from pyarrow import parquet

    if name not in parquet.read_schema(path).names:
        return None

    def blocks() -> Iterator[list[Any]]:
        with parquet.ParquetFile(path, buffer_size=1 << 16) as file:
            for batch in file.iter_batches(frames.BLOCK_CELLS, columns=[name]):
                yield batch.column(0).unique().to_pylist()

    return blocks()


def _csv_sample(path: Path) -> tuple[Any, str] | None:
    np = sys.modules.get("numpy")
    if np is None:  # whoever computes with the values has it
        return None
    delimiter, names = _header(path)
    rows = [row for row in csv.reader(_csv_lines(path), delimiter=delimiter) if len(row) == len(names)]
    columns = [_values(np, column) for column in zip(*rows, strict=True)]
    if not columns:
        return None

    def block(start: int, stop: int) -> frames.Block:
        for position, values in enumerate(columns):
            yield position, Cells(values[start:stop])

    types = tuple("number" if values.dtype.kind == "f" else "text" for values in columns)
    table = frames.Columns(tuple(names), types, len(rows), path.stat().st_size, block)
    whole = path.stat().st_size <= SAMPLE_BYTES
    return table, "all rows" if whole else f"{SAMPLE_BLOCKS} evenly spaced parts of the file"


def _csv_lines(path: Path) -> Iterator[str]:
    """The lines after the header, or those that lie whole in blocks at even distances."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = len(file.readline())
        if size <= SAMPLE_BYTES:
            yield from (line.decode("utf-8", "replace") for line in file)
            return
        length = SAMPLE_BYTES // SAMPLE_BLOCKS
        for number in range(SAMPLE_BLOCKS):
            file.seek(start + number * (size - start - length) // (SAMPLE_BLOCKS - 1))
            lines = file.read(length).splitlines(keepends=True)
            yield from (line.decode("utf-8", "replace") for line in lines[1:-1])


def _values(np: Any, column: tuple[str, ...]) -> Any:
    """A column of texts as numbers, where all of them are, else as they are."""
    known = [None if text in MISSING else text for text in column]
    try:
        return np.array(["nan" if text is None else text for text in known], np.float64)
    except ValueError:
        texts = np.empty(len(known), object)
        texts[:] = known
        return texts


def _parquet_sample(path: Path) -> tuple[Any, str] | None:
    if importlib.util.find_spec("pyarrow") is None:
        return None
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetFile(path, buffer_size=1 << 16) as file:  # else it reads whole column chunks
        groups = file.metadata.num_row_groups
        size = sum(file.metadata.row_group(group).total_byte_size for group in range(groups))
        if size <= 8 * SAMPLE_BYTES:
            return file.read(), "all rows"
        width = file.metadata.num_columns
        if width > SAMPLE_PAGES:
            return None
        some = min(groups, 4, SAMPLE_PAGES // width)
        wanted = [number * (groups - 1) // max(1, some - 1) for number in range(some)]
        rows = max(1, 8 * SAMPLE_BYTES * file.metadata.num_rows // size // some)
        parts = [next(file.iter_batches(rows, row_groups=[group])) for group in wanted]
        return pa.Table.from_batches(parts), f"the first {rows} rows of {some} evenly spaced row groups"


def _parquet(path: Path) -> Shape:
    if importlib.util.find_spec("pyarrow") is None:
        return _UNKNOWN
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        fields = tuple(zip(schema.names, map(str, schema.types), strict=True))
        return fields, int(file.metadata.num_rows)


def _parquet_directory(path: Path) -> Shape:
    parts = sorted(path.rglob("*.parquet"))
    if not parts:
        return _UNKNOWN
    fields, rows = _parquet(parts[0])
    if rows is None or len(parts) > PARQUET_FILES:
        return fields, None
    counts = [_parquet(part)[1] for part in parts[1:]]
    return fields, None if None in counts else rows + sum(count or 0 for count in counts)


def _header(path: Path) -> tuple[str, list[str]]:
    """(delimiter, names of the columns)."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        delimiter = max(",\t;|", key=file.readline().count)
        file.seek(0)
        return delimiter, next(csv.reader(file, delimiter=delimiter), [])


def _csv(path: Path) -> Shape:
    delimiter, names = _header(path)
    lines, quoted = _lines(path)
    if quoted:
        lines = _quoted_rows(path, delimiter) if path.stat().st_size <= QUOTED_BYTES else None
    return tuple((name, None) for name in names), None if lines is None else max(0, lines - 1)


def _lines(path: Path) -> tuple[int | None, bool]:
    """(lines that are not blank, whether there is a quotation mark)."""
    if path.stat().st_size > COUNTED_BYTES:
        return None, False
    count, quoted = 0, False
    with path.open("rb") as file:
        for line in file:
            count += not line.isspace()
            quoted = quoted or b'"' in line
    return count, quoted


def _quoted_rows(path: Path, delimiter: str) -> int:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return sum(1 for row in csv.reader(file, delimiter=delimiter) if row)


def _json_lines(path: Path) -> Shape:
    return (), _lines(path)[0]


_READERS: Final[dict[str, Callable[[Path], Shape]]] = {
    ".parquet": _parquet,
    ".pq": _parquet,
    ".csv": _csv,
    ".tsv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
}
_SAMPLERS: Final[dict[str, Callable[[Path], tuple[Any, str] | None]]] = {
    ".parquet": _parquet_sample,
    ".pq": _parquet_sample,
    ".csv": _csv_sample,
    ".tsv": _csv_sample,
}
_COLUMNS: Final[dict[str, Callable[[Path, str], Iterator[list[Any]] | None]]] = {
    ".parquet": _parquet_column,
    ".pq": _parquet_column,
    ".csv": _csv_column,
    ".tsv": _csv_column,
}
