"""What readers and writers of delimited files are told about these: the options of three libraries.

Options that change what a row or a name is, and that are not among those of `Layout`, make the layout one
that is not understood: its rows and columns are left out rather than guessed.
"""

import codecs
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from modeltrail.integrations import _frames
from modeltrail.integrations._frames import Function
from modeltrail.observe import layouts, paths
from modeltrail.observe.layouts import OTHER, UTF_8, Layout

_OF_PANDAS: Final = {
    "skipfooter": 0,
    "skipinitialspace": False,
    "skip_blank_lines": True,
    "compression": "infer",
    "lineterminator": None,
    "quotechar": '"',
    "quoting": 0,
    "doublequote": True,
    "escapechar": None,
    "dialect": None,
    "on_bad_lines": "error",
}
_OF_POLARS: Final = {
    "quote_char": '"',
    "skip_lines": 0,
    "skip_rows_after_header": 0,
    "with_column_names": None,
    "eol_char": "\n",
}
_OF_ARROW: Final[dict[str, Any]] = {
    "double_quote": True,
    "escape_char": False,
    "ignore_empty_lines": True,
    "invalid_row_handler": None,
    "quote_char": '"',
}
_ENDS: Final = frozenset({"\n", "\r\n"})


def observe_pandas(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """`read_csv`, `read_table`."""
    given = _frames.named(function, args, kwargs)
    usual = "\t" if function.__name__ == "read_table" else ","
    _frames.record_read(result, next(iter(given.values()), None), _pandas(given, usual))


def observe_fixed(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """`read_fwf`: no delimiter at all."""
    _frames.record_read(result, _frames.argument(function, args, kwargs), OTHER)


def observe_polars(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """`read_csv`, `scan_csv`."""
    given = _frames.named(function, args, kwargs)
    _frames.record_read(result, given.get("source"), _polars(given))


def observe_arrow(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """`pyarrow.csv.read_csv`."""
    given = _frames.named(function, args, kwargs)
    layout = _arrow(given.get("read_options"), given.get("parse_options"))
    _frames.record_read(result, given.get("input_file"), layout)


def observe_dataset(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """`pyarrow.dataset.dataset`, of whichever format."""
    given = _frames.named(function, args, kwargs)
    layout: Layout | None = None
    form: Any = given.get("format")
    if hasattr(form, "parse_options"):
        layout = _arrow(form.default_fragment_scan_options.read_options, form.parse_options)
    elif form == "csv":
        layout = _arrow(None, None)
    _frames.record_read(result, given.get("source"), layout)


def expect_write(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What lies where a file is about to be written may have been read, or may stay above what is written."""
    given = _frames.named(function, args, kwargs)
    where = _frames.argument(function, args, kwargs, 1)
    if _is_added(given, where):
        for place in filter(os.path.isfile, paths.places(where)):
            layouts.expect_more(place, is_empty=_is_empty(where, place))
    _frames.expect_written(where, is_added=is_behind(given, where))


def is_behind(given: Mapping[str, Any], where: Any) -> bool:
    """Whether what is about to be written comes behind what is there: something is."""
    places = paths.places(where) if _is_added(given, where) else ()
    return any(not _is_empty(where, place) for place in filter(os.path.isfile, places))


def observe_write_pandas(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """`to_csv`: rows without their index go by the columns of the frame, also where these are not written."""
    given = _frames.named(function, args, kwargs)
    columns: Any = getattr(args[0], "columns", None)
    if not _is_usual(given, _OF_PANDAS | {"quoting": None}) or getattr(columns, "nlevels", 1) > 1:
        layout = OTHER
    else:
        is_whole = columns is not None and given.get("index") is False and given.get("columns") is None
        names = tuple(map(str, columns)) if is_whole else ()
        layout = _written(given.get("header", True), given.get("sep", ","), names, given.get("encoding"))
    _record(given, args[0], _frames.argument(function, args, kwargs, 1), layout)


def observe_write_polars(
    function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """`write_csv`, `sink_csv`; a sink that is still to run wrote none."""
    if hasattr(result, "collect"):
        return
    given = _frames.named(function, args, kwargs)
    layout = OTHER
    if given.get("quote_char", '"') == '"' and given.get("line_terminator", "\n") in _ENDS:
        names = () if hasattr(args[0], "collect") else tuple(args[0].columns)
        layout = _written(given.get("include_header", True), given.get("separator", ","), names, None)
    _record(given, args[0], _frames.argument(function, args, kwargs, 1), layout)


def observe_write_arrow(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """`pyarrow.csv.write_csv`."""
    given = _frames.named(function, args, kwargs)
    table, options = given["data"], given.get("write_options")
    delimiter = getattr(options, "delimiter", ",")
    layout = _written(getattr(options, "include_header", True), delimiter, tuple(table.schema.names), None)
    _record(given, table, given.get("output_file"), layout)


def _pandas(given: Mapping[str, Any], usual: str) -> Layout:
    names, skip = _listed(given.get("names")), given.get("skiprows") or 0
    header = given.get("header", "infer")
    if header == "infer":
        header = 0 if names is None else None
    separators = [each for each in (given.get("sep"), given.get("delimiter")) if isinstance(each, str)]
    delimiter = separators[0] if separators else None if "sep" in given else usual
    encoding = _encoding(given.get("encoding"))
    understood = (
        _is_usual({**given, "compression": given.get("compression") or "infer"}, _OF_PANDAS),
        type(skip) is int,
        header is None or type(header) is int,
        delimiter is not None and len(delimiter) == 1,
        encoding is not None,
    )
    if not all(understood):
        return OTHER
    return Layout(
        header,
        () if given.get("usecols") is not None else names or (),
        ("", 0) if names is None else None,
        delimiter,
        encoding or UTF_8,
        skip,
        given.get("comment"),
        given.get("decimal", "."),
        given.get("thousands"),
        _missing(given.get("na_values")),
    )


def _polars(given: Mapping[str, Any]) -> Layout:
    skip, comment = given.get("skip_rows") or 0, given.get("comment_prefix")
    is_usual = _is_usual(given, _OF_POLARS) and given.get("encoding", "utf8") in {"utf8", "utf8-lossy"}
    if not is_usual or (skip and comment):  # which of both comes first is polars' own affair
        return OTHER
    renamed, names = _listed(given.get("new_columns")), _listed(given.get("schema"))
    header = 0 if given.get("has_header", True) else None
    if renamed is not None:
        names = None if given.get("columns") is not None else renamed
    numbered = ("column_", 1) if renamed is None else None
    return Layout(
        header, names or (), numbered, given.get("separator", ","), UTF_8, skip, comment,
        decimal="," if given.get("decimal_comma") else ".", missing=_missing(given.get("null_values")),
    )  # fmt: skip


def _arrow(read: Any, parse: Any) -> Layout:
    """The options of pyarrow, which are objects."""
    if parse is not None and any(getattr(parse, name, usual) != usual for name, usual in _OF_ARROW.items()):
        return OTHER
    delimiter = getattr(parse, "delimiter", ",")
    if read is None:
        return Layout(delimiter=delimiter)
    encoding = _encoding(read.encoding)
    if encoding is None or read.skip_rows_after_names:
        return OTHER
    names = tuple(read.column_names or ())
    header = None if names or read.autogenerate_column_names else 0
    return Layout(header, names, ("f", 0), delimiter, encoding, read.skip_rows)


def _written(header: Any, delimiter: str, names: tuple[str, ...], encoding: str | None) -> Layout:
    found = _encoding(encoding)
    if found is None or len(delimiter) != 1:
        return OTHER
    if header is False:
        return Layout(None, names, delimiter=delimiter, encoding=found)
    return Layout(delimiter=delimiter, encoding=found)


def _record(given: Mapping[str, Any], frame: Any, where: Any, layout: Layout) -> None:
    _frames.record_written(frame, where, layout, is_added=_is_added(given, where))


def _is_added(given: Mapping[str, Any], where: Any) -> bool:
    """Whether what is written may come after what is there: by its mode, or because the file is open."""
    return hasattr(where, "write") or str(given.get("mode", "w")).startswith("a")


def _is_empty(where: Any, place: str) -> bool:
    if hasattr(where, "tell"):
        return bool(where.tell() == 0)
    return not Path(place).stat().st_size


def _is_usual(given: Mapping[str, Any], usual: Mapping[str, Any]) -> bool:
    return all(given.get(name, value) == value for name, value in usual.items())


def _listed(names: Any) -> tuple[str, ...] | None:
    """Names that were given, also as the keys of a schema; pandas has a word of its own for none."""
    return tuple(map(str, names)) if hasattr(names, "__len__") else None


def _missing(given: Any) -> frozenset[str]:
    """The texts that stand for a missing value; of those of single columns none."""
    several = given if isinstance(given, list | tuple | set) else [given]
    return frozenset(str(each) for each in several if isinstance(each, str | int | float))


def _encoding(name: str | None) -> str | None:
    """An encoding as Python calls it; None where a line break is not one byte."""
    found = codecs.lookup(name or "utf-8").name
    if "\n".encode(found) != b"\n":
        return None
    return UTF_8 if found in {"utf-8", "ascii", UTF_8} else found
