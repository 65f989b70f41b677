"""Columns and row counts of table files, as far as they are cheap: Parquet's footer, the lines of a CSV."""

import csv
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Final

Shape = tuple[tuple[tuple[str, str | None], ...], int | None]

COUNTED_BYTES: Final = 256 << 20
"""Lines of a larger file are not counted."""
QUOTED_BYTES: Final = 64 << 20
"""Rows of a larger file with quotation marks, whose lines may not be rows, are not counted."""
PARQUET_FILES: Final = 500
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


def _csv(path: Path) -> Shape:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline()
        delimiter = max(",\t;|", key=header.count)
        file.seek(0)
        names = next(csv.reader(file, delimiter=delimiter), [])
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
