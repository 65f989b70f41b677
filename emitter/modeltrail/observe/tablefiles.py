"""Columns, row counts and samples of table files, as far as they are cheap.

A delimited file is looked at as those who read or wrote it in this process had it told (`layouts`). Where
nobody did, its first line is taken for the names of its columns, unless it looks like a row.
"""

import ast
import csv
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, TextIO

from modeltrail.observe import frames, layouts
from modeltrail.observe.canonical import Cells
from modeltrail.observe.layouts import Layout

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


def shape(path: Path, layout: Layout | None = None) -> Shape:
    """((column, type) pairs, rows) of a table file or a directory of Parquet; empty, None where unknown.

    `layout` is of a delimited file; without one what was said of it last counts.
    """
    try:
        if path.is_dir():
            return _parquet_directory(path)
        if path.suffix.lower() in _DELIMITED:
            return _csv(path, layout or layouts.known(path))
        reader = _READERS.get(path.suffix.lower())
        return reader(path) if reader else _UNKNOWN
    except Exception:  # a broken file is the host's business; it still has a name and a digest
        return _UNKNOWN


def sample(path: Path, layout: Layout | None = None) -> tuple[Any, str] | None:
    """(a table of some rows of a table file, which rows they are); None where they are not cheap to have.

    A small file is read whole, of a larger one parts at even distances. `layout` as of `shape`.
    """
    try:
        if path.suffix.lower() in _DELIMITED:
            return _csv_sample(path, layout or layouts.known(path)) if path.is_file() else None
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
    how = layouts.known(path) or layouts.PLAIN  # whoever names a column says that it has a name
    delimiter, names = _header(path, how)
    if name not in names:
        return None
    place = names.index(name)

    def blocks() -> Iterator[list[str]]:
        with _opened(path, how) as file:
            rows = islice(_rows(file, how, delimiter), how.above, None)
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


def _csv_sample(path: Path, layout: Layout | None) -> tuple[Any, str] | None:
    np = sys.modules.get("numpy")
    how = layout or layouts.PLAIN
    delimiter, names = _header(path, how)
    if np is None or how.comment or not _is_told(layout, names):  # whoever computes with values has numpy
        return None
    rows = [row for row in csv.reader(_csv_lines(path, how), delimiter=delimiter) if len(row) == len(names)]
    columns = [_values(np, column, how) for column in zip(*rows, strict=True)]
    if not columns:
        return None

    def block(start: int, stop: int) -> frames.Block:
        for position, values in enumerate(columns):
            yield position, Cells(values[start:stop])

    types = tuple("number" if values.dtype.kind == "f" else "text" for values in columns)
    table = frames.Columns(tuple(names), types, len(rows), path.stat().st_size, block)
    whole = path.stat().st_size <= SAMPLE_BYTES
    return table, "all rows" if whole else f"{SAMPLE_BLOCKS} evenly spaced parts of the file"


def _csv_lines(path: Path, how: Layout) -> Iterator[str]:
    """The lines after the header, or those that lie whole in blocks at even distances."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = sum(map(len, islice(file, how.skip)))
        start += sum(map(len, _up_to(file, how.above)))
        file.seek(start)
        if size <= SAMPLE_BYTES:
            yield from (line.decode(how.encoding, "replace") for line in file)
            return
        length = SAMPLE_BYTES // SAMPLE_BLOCKS
        for number in range(SAMPLE_BLOCKS):
            file.seek(start + number * (size - start - length) // (SAMPLE_BLOCKS - 1))
            lines = file.read(length).splitlines(keepends=True)
            yield from (line.decode(how.encoding, "replace") for line in lines[1:-1])


def _up_to(file: Iterable[bytes], rows: int) -> Iterator[bytes]:
    """The first lines, with so many that are not blank."""
    for line in file if rows else ():
        yield line
        rows -= not line.isspace()
        if not rows:
            return


def _values(np: Any, column: tuple[str, ...], how: Layout) -> Any:
    """A column of texts as numbers, where all of them are, else as they are."""
    missing = MISSING | how.missing
    known = [None if text in missing else text for text in column]
    try:
        return np.array(["nan" if text is None else _plain(text, how) for text in known], np.float64)
    except ValueError:
        texts = np.empty(len(known), object)
        texts[:] = known
        return texts


def _plain(text: str, how: Layout) -> str:
    """A number as Python has it; a point that is not the sign of its decimals makes it none."""
    if how.thousands is not None:
        text = text.replace(how.thousands, "")
    return text if how.decimal == "." else text.replace(".", "?").replace(how.decimal, ".")


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


def _header(path: Path, how: Layout) -> tuple[str, list[str]]:
    """(delimiter, names of the columns; none where they are not known)."""
    with _opened(path, how) as file:
        lines = _without_comments(file, how)
        first = next(lines, "")
        delimiter = how.delimiter or max(",\t;|", key=first.count)
        rows = (row for row in csv.reader(chain([first], lines), delimiter=delimiter) if row)
        return delimiter, _names(next(islice(rows, how.header or 0, None), []), how)


def _names(first: list[str], how: Layout) -> list[str]:
    """What the columns are called, by the row that says so, or the first one."""
    if how.names:
        return list(how.names) if len(how.names) == len(first) else []
    if how.header is not None:  # what comes after the sign of a comment pandas cuts off, polars does not
        return [] if how.comment and any(how.comment in cell for cell in first) else first
    if how.numbered is None:
        return []
    word, number = how.numbered
    return [f"{word}{number + place}" for place in range(len(first))]


def _is_told(layout: Layout | None, names: Sequence[str]) -> bool:
    """Whether the rows and names of a file can be told: nobody names a column by a number but pandas."""
    if layout is not None:
        return layout.is_understood
    named = [name for place, name in enumerate(names) if name or place]  # an index may have no name
    return not any(map(_is_number, named)) or named == [str(number) for number in range(len(named))]


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return text.isascii() and "_" not in text and any(map(str.isdigit, text))


def _opened(path: Path, how: Layout) -> TextIO:
    """A file at the first line that may be of its table."""
    file = path.open(encoding=how.encoding, errors="replace", newline="")
    for _ in range(how.skip):
        file.readline()
    return file


def _without_comments(lines: Iterable[str], how: Layout) -> Iterator[str]:
    comment = how.comment
    return iter(lines) if comment is None else (line for line in lines if not line.startswith(comment))


def _rows(file: Iterable[str], how: Layout, delimiter: str) -> Iterator[list[str]]:
    """Those that are not blank."""
    return (row for row in csv.reader(_without_comments(file, how), delimiter=delimiter) if row)


def _csv(path: Path, layout: Layout | None) -> Shape:
    how = layout or layouts.PLAIN
    delimiter, names = _header(path, how)
    if not _is_told(layout, names):
        return _UNKNOWN
    lines, quoted = _lines(path, how)
    if quoted:
        lines = _quoted_rows(path, how, delimiter) if path.stat().st_size <= QUOTED_BYTES else None
    return tuple((name, None) for name in names), None if lines is None else max(0, lines - how.above)


def _lines(path: Path, how: Layout) -> tuple[int | None, bool]:
    """(lines that are not blank, whether there is a quotation mark)."""
    if path.stat().st_size > COUNTED_BYTES:
        return None, False
    count, quoted = 0, False
    comments = () if how.comment is None else (how.comment.encode(),)
    with path.open("rb") as file:
        for line in islice(file, how.skip, None):
            count += not line.isspace() and not line.startswith(comments)
            quoted = quoted or b'"' in line
    return count, quoted


def _quoted_rows(path: Path, how: Layout, delimiter: str) -> int:
    with _opened(path, how) as file:
        return sum(1 for _ in _rows(file, how, delimiter))


def _json_lines(path: Path) -> Shape:
    return (), _lines(path, layouts.PLAIN)[0]


def _array(path: Path) -> Shape:
    """Of an array of numpy its header says how long it is."""
    with path.open("rb") as file:
        magic = file.read(8)
        if not magic.startswith(b"\x93NUMPY"):
            return _UNKNOWN
        length = int.from_bytes(file.read(2 if magic[6] == 1 else 4), "little")
        lengths = ast.literal_eval(file.read(length).decode("latin-1"))["shape"]
    return (), lengths[0] if lengths else None


_DELIMITED: Final = frozenset({".csv", ".tsv"})
_READERS: Final[dict[str, Callable[[Path], Shape]]] = {
    ".parquet": _parquet,
    ".pq": _parquet,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".npy": _array,
}
_SAMPLERS: Final[dict[str, Callable[[Path], tuple[Any, str] | None]]] = {
    ".parquet": _parquet_sample,
    ".pq": _parquet_sample,
}
_COLUMNS: Final[dict[str, Callable[[Path, str], Iterator[list[Any]] | None]]] = {
    ".parquet": _parquet_column,
    ".pq": _parquet_column,
    ".csv": _csv_column,
    ".tsv": _csv_column,
}
