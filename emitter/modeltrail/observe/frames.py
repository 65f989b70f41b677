"""One look at every tabular object: names, types, rows, and the cells of a block of rows.

A library is looked up in `sys.modules`: what the host did not import cannot be what it hands to us.
"""

import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from modeltrail.observe.canonical import Cells

Block = Iterator[tuple[int, Cells]]
BLOCK_CELLS: Final = 1 << 15
"""Rows of one column, or cells of an array, worked on at once: what stays in a processor's cache."""
NARROW: Final = 6
"""An array of so few columns is worked on column by column (measured: up to one and a half times as fast)."""
NUMBERS_COST: Final = 3
NESTED_COST: Final = 80
"""A byte in a list of numbers, or in what else is nested, takes as long as so many of numbers (measured)."""
_NUMBERS: Final = re.compile(r"(?:large_|fixed_size_)?list<[^<]*: (?:u?int|float|double|halffloat)[^<]*>")
_NESTED: Final = re.compile(r"(?:large_|fixed_size_)?list<|struct<|map<|List\(|Array\(|Struct\(")
OBJECT_BYTES: Final = 800
"""What a cell of text or another object weighs: it takes as long as so many bytes of numbers (measured)."""


class Columns(msgspec.Struct, frozen=True, eq=False, weakref=True):
    """A tabular object as columns.

    Attributes:
        names: column names as text, in the object's order.
        types: the object's own words for their types.
        rows: number of rows.
        size_bytes: memory the object says it takes.
        block: (start, stop) -> (position of the first column, cells) pairs; copies no more than the block.
        block_rows: how many rows make a good block.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: int
    size_bytes: int
    block: Callable[[int, int], Block]
    block_rows: int = BLOCK_CELLS

    @property
    def row_cost(self) -> int:
        """Bytes per row to be read: what sampling is decided by."""
        simple = (
            "int",
            "uint",
            "float",
            "double",
            "bool",
            "date",
            "time",
            "Int",
            "UInt",
            "Float",
            "Bool",
            "Date",
            "Duration",
            "category",
        )
        cost = sum(8 if name.startswith(simple) else OBJECT_BYTES for name in self.types) or 1
        nested = [
            NUMBERS_COST if _NUMBERS.match(name) else NESTED_COST
            for name in self.types
            if _NESTED.match(name)
        ]
        return max(cost, max(nested, default=0) * self.size_bytes // max(1, self.rows))


def columns(data: object) -> Columns | None:
    """The columns of a pandas, polars, pyarrow, numpy or torch object, or a list; None for anything else."""
    if isinstance(data, Columns):
        return data
    if isinstance(data, list | tuple | range):
        data = _array(data)
    for library, seen in _LIBRARIES.items():
        module = sys.modules.get(library)
        if module is not None and (found := seen(module, data)) is not None:
            return found
    return None


def beside(left: Columns, right: Columns) -> Columns:
    """The columns of two objects of equal length as those of one."""

    def block(start: int, stop: int) -> Block:
        yield from left.block(start, stop)
        for position, cells in right.block(start, stop):
            yield position + len(left.names), cells

    size = left.size_bytes + right.size_bytes
    rows = min(left.block_rows, right.block_rows)
    return Columns(left.names + right.names, left.types + right.types, left.rows, size, block, rows)


def _array(data: Any) -> Any:
    """A list of numbers, texts or rows as an array; a ragged one as an array of objects."""
    np = sys.modules.get("numpy")
    if np is None or not len(data):
        return data
    try:
        found = np.array(data)
    except (ValueError, TypeError):
        found = None
    if found is None or found.dtype.kind not in "biufMm" or (found.dtype.kind == "f" and None in data):
        found = np.empty(len(data), object)
        found[:] = data
    return found


def _pandas(pandas: Any, data: Any) -> Columns | None:
    if isinstance(data, pandas.Index):
        data = data.to_series(index=range(len(data))) if data.nlevels == 1 else data.to_frame(index=False)
    is_column = isinstance(data, pandas.Series)
    if not is_column and not isinstance(data, pandas.DataFrame):
        return None
    dtypes = [data.dtype] if is_column else list(data.dtypes)
    labels = ["0" if data.name is None else data.name] if is_column else data.columns
    whole: list[Any] = []  # each column once: to cut them out of each block is what takes pandas its time

    def block(start: int, stop: int) -> Block:
        if not whole:
            whole.extend(_plain(column) for column in ([data] if is_column else _each(data)))
        for position, column in enumerate(whole):
            is_plain = not hasattr(column, "iloc")
            yield position, Cells(column[start:stop]) if is_plain else _pandas_cells(column.iloc[start:stop])

    names = tuple(_name(label) for label in labels)
    return Columns(names, tuple(map(str, dtypes)), len(data), _pandas_size(data, dtypes), block)


def _each(frame: Any) -> Iterator[Any]:
    return (column for _, column in frame.items())


def _pandas_size(data: Any, dtypes: Sequence[Any]) -> int:
    """Bytes, of objects only the pointers; pandas makes a series of each column to say so."""
    plain = [dtype.itemsize for dtype in dtypes if type(dtype).__module__.startswith("numpy")]
    if len(plain) == len(dtypes):
        return int(len(data) * sum(plain))
    usage = data.memory_usage(index=False, deep=False)
    return int(usage if data.ndim == 1 else usage.sum())


def _name(label: Any) -> str:
    """Labels of a column index are any hashable; those of several levels are joined by a dot."""
    return ".".join(map(str, label)) if isinstance(label, tuple) else str(label)


def _plain(series: Any) -> Any:
    """The values of a column where numpy has them as they are; else the column."""
    is_plain = series.dtype.kind in "biufmMc" and type(series.dtype).__module__.startswith("numpy")
    return series.to_numpy() if is_plain else series


def _pandas_cells(series: Any) -> Cells:
    dtype = series.dtype
    if not hasattr(plain := _plain(series), "iloc"):
        return Cells(plain)
    if hasattr(dtype, "categories") and hasattr(series, "cat"):
        return Cells(_pandas_cells(dtype.categories.to_series()).values, codes=series.cat.codes.to_numpy())
    if getattr(dtype, "tz", None) is not None and dtype.kind == "M" and hasattr(dtype, "unit"):
        return Cells(series.dt.tz_convert(None).to_numpy(), aware=True)
    if hasattr(dtype, "pyarrow_dtype"):
        return _arrow_cells(sys.modules["pyarrow"], series.array.__arrow_array__())
    if hasattr(dtype, "numpy_dtype") and dtype.kind in "biuf":
        missing = series.isna().to_numpy()
        return Cells(series.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0)), missing)
    return Cells(series.to_numpy(dtype=object))


def _polars(polars: Any, data: Any) -> Columns | None:
    if isinstance(data, polars.Series):
        data = data.to_frame(data.name or "0")
    if not isinstance(data, polars.DataFrame):
        return None

    def block(start: int, stop: int) -> Block:
        part = data.slice(start, stop - start)
        for position in range(data.width):
            yield position, _polars_cells(polars, part.to_series(position))

    types = tuple(str(dtype) for dtype in data.dtypes)
    return Columns(tuple(data.columns), types, data.height, int(data.estimated_size()), block)


def _polars_cells(polars: Any, series: Any) -> Cells:
    import numpy as np

    dtype = series.dtype
    missing = series.is_null().to_numpy() if series.null_count() else None
    if dtype.is_integer() or dtype.is_float():
        return Cells((series if missing is None else series.fill_null(0)).to_numpy(), missing)
    if dtype == polars.Boolean:
        return Cells((series if missing is None else series.fill_null(value=False)).to_numpy(), missing)
    if dtype in {polars.Datetime, polars.Duration, polars.Date}:
        unit = "D" if dtype == polars.Date else dtype.time_unit
        kind = "timedelta64" if dtype == polars.Duration else "datetime64"
        counts = series.to_physical()
        values = (counts if missing is None else counts.fill_null(0)).to_numpy().astype(np.int64)
        aware = getattr(dtype, "time_zone", None) is not None
        return Cells(values.view(f"{kind}[{unit}]"), missing, aware=aware)
    if dtype in {polars.Categorical, polars.Enum}:
        series = series.cast(polars.String)
    return Cells(_boxed(series.to_list()))


def _pyarrow(pyarrow: Any, data: Any) -> Columns | None:
    if isinstance(data, pyarrow.Array | pyarrow.ChunkedArray):
        data = pyarrow.table({"0": data})
    if not isinstance(data, pyarrow.Table | pyarrow.RecordBatch):
        return None

    def block(start: int, stop: int) -> Block:
        part = data.slice(start, stop - start)
        for position in range(part.num_columns):
            yield position, _arrow_cells(pyarrow, part.column(position))

    types = tuple(str(field.type) for field in data.schema)
    return Columns(tuple(data.schema.names), types, data.num_rows, int(data.nbytes), block)


def _arrow_cells(pyarrow: Any, array: Any) -> Cells:
    types = pyarrow.types
    if isinstance(array, pyarrow.ChunkedArray):
        array = array.combine_chunks()
    while types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    if types.is_integer(kind) or types.is_floating(kind):
        return Cells(
            (array if missing is None else array.fill_null(0)).to_numpy(zero_copy_only=False), missing
        )
    if types.is_boolean(kind):
        filled = array if missing is None else array.fill_null(False)
        return Cells(filled.to_numpy(zero_copy_only=False), missing)
    if types.is_timestamp(kind) or types.is_duration(kind) or types.is_date32(kind):
        unit = "D" if types.is_date32(kind) else kind.unit
        counts = array.cast(pyarrow.int32() if unit == "D" else pyarrow.int64())
        values = (counts if missing is None else counts.fill_null(0)).to_numpy(zero_copy_only=False)
        name = f"{'timedelta64' if types.is_duration(kind) else 'datetime64'}[{unit}]"
        return Cells(values.astype("int64").view(name), missing, aware=getattr(kind, "tz", None) is not None)
    listed = _listed(pyarrow, array)
    return Cells(_boxed(array.to_pylist())) if listed is None else listed


def _listed(pyarrow: Any, array: Any) -> Cells | None:
    """The lists of numbers of an Arrow array; None of any others, and of lists that lack some."""
    import numpy as np

    types, kind = pyarrow.types, array.type
    if types.is_fixed_size_list(kind):
        start, offsets = array.offset * kind.list_size, np.arange(len(array) + 1) * kind.list_size
    elif types.is_list(kind) or types.is_large_list(kind):
        offsets = array.offsets.to_numpy()
        start, offsets = int(offsets[0]), offsets - offsets[0]
    else:
        return None
    inner = array.values.slice(start, int(offsets[-1]))
    if inner.null_count or not (types.is_integer(inner.type) or types.is_floating(inner.type)):
        return None
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    return Cells(inner.to_numpy(zero_copy_only=False), missing, offsets=offsets)


def _boxed(values: list[Any]) -> Any:
    import numpy as np

    found = np.empty(len(values), object)
    found[:] = values
    return found


def _numpy(numpy: Any, data: Any) -> Columns | None:
    if not isinstance(data, numpy.ndarray) or data.ndim == 0:
        return None
    array = numpy.asarray(data)  # a matrix or a masked array as a plain one
    masked: Any = sys.modules.get("numpy.ma")  # numpy imports it where somebody asks for it
    missing = masked.getmaskarray(data) if masked and isinstance(data, masked.MaskedArray) else None
    if array.dtype.names:
        return _structured(array)
    width = math.prod(array.shape[1:])
    flat = array.reshape(len(array), width)

    def block(start: int, stop: int) -> Block:
        part = flat[start:stop]
        hidden = None if missing is None else missing.reshape(flat.shape)[start:stop]
        if width > NARROW:
            yield 0, Cells(part, hidden)
            return
        for position in range(width):
            yield position, Cells(part[:, position], None if hidden is None else hidden[:, position])

    names, types = tuple(map(str, range(width))), (str(array.dtype),) * width
    return Columns(names, types, len(array), int(array.nbytes), block, max(1, BLOCK_CELLS // max(1, width)))


def _torch(torch: Any, data: Any) -> Columns | None:
    """A tensor that numpy can hold; what lies on a device is copied from there block by block."""
    kind = getattr(torch, "Tensor", None)  # while it is being imported there is none
    if kind is None or not isinstance(data, kind) or data.dim() == 0 or data.layout != torch.strided:
        return None
    numpy = sys.modules["numpy"]
    plain = data.detach()
    if plain.dtype == torch.bfloat16:
        plain = plain.float()
    try:
        first = plain[:1].cpu().numpy()
    except (TypeError, RuntimeError):  # numpy has no such numbers; or a tensor that only stands for one
        return None
    if plain.device.type == "cpu":
        return _numpy(numpy, plain.numpy())
    seen = _numpy(numpy, numpy.broadcast_to(first, plain.shape))

    def block(start: int, stop: int) -> Block:
        part = _numpy(numpy, plain[start:stop].cpu().numpy())
        yield from part.block(0, stop - start) if part is not None else ()

    return None if seen is None else msgspec.structs.replace(seen, block=block)


def _datasets(library: Any, data: Any) -> Columns | None:
    """A dataset of Hugging Face: the rows that it chose of an Arrow table, which mostly lies on the disk."""
    if not isinstance(data, library.Dataset):
        return None
    table, whole = data.with_format("arrow"), data.data

    def block(start: int, stop: int) -> Block:
        part = _pyarrow(sys.modules["pyarrow"], table[start:stop])
        yield from part.block(0, stop - start) if part is not None else ()

    schema = data.features.arrow_schema
    size = int(whole.nbytes) * data.num_rows // max(1, whole.num_rows)
    return Columns(tuple(schema.names), tuple(map(str, schema.types)), data.num_rows, size, block)


def _structured(array: Any) -> Columns:
    names = array.dtype.names

    def block(start: int, stop: int) -> Block:
        for position, name in enumerate(names):
            part = array[name][start:stop]
            yield position, Cells(part if part.ndim == 1 else _boxed(list(part)))

    types = tuple(str(array.dtype[name]) for name in names)
    return Columns(names, types, len(array), int(array.nbytes), block)


_LIBRARIES: Final[dict[str, Callable[[Any, Any], Columns | None]]] = {
    "pandas": _pandas,
    "polars": _polars,
    "pyarrow": _pyarrow,
    "numpy": _numpy,
    "torch": _torch,
    "datasets.arrow_dataset": _datasets,
}
