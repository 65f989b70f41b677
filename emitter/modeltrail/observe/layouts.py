"""How a delimited file is laid out, as whoever read or wrote it in this process had it told.

A CSV file does not say whether its first line names the columns: a reader is told. What was said last of a
file is known by the file itself, also when it goes by another name now, until it is changed.
"""

import os
from pathlib import Path
from typing import Final

import msgspec

MAX_FILES: Final = 1000
UTF_8: Final = "utf-8-sig"

_Said = tuple[tuple[int, int], "Layout | None"]


class Layout(msgspec.Struct, frozen=True, cache_hash=True):
    """How a file is laid out.

    Attributes:
        header: which row names the columns, of those that are not blank; None where none does.
        names: what the columns are called all the same, all of them.
        numbered: what they are called where nobody names them: these words and a number, from this one on.
        delimiter: between two cells; None where it shows by the first line.
        encoding: of its text.
        skip: so many lines come before all rows.
        comment: how a line begins that is none.
        decimal: what stands before the decimals of a number.
        thousands: what stands between its thousands.
        missing: further texts that stand for a missing value.
        is_understood: whether that is all that there is to it; else nothing is told but the bytes.
    """

    header: int | None = 0
    names: tuple[str, ...] = ()
    numbered: tuple[str, int] | None = None
    delimiter: str | None = None
    encoding: str = UTF_8
    skip: int = 0
    comment: str | None = None
    decimal: str = "."
    thousands: str | None = None
    missing: frozenset[str] = frozenset()
    is_understood: bool = True

    @property
    def above(self) -> int:
        """How many rows are no data."""
        return 0 if self.header is None else self.header + 1


PLAIN: Final = Layout()
OTHER: Final = Layout(is_understood=False)
"""Options that are not understood here."""

_said: dict[tuple[int, int], _Said] = {}
"""A file -> its size and time of change, and what was said of it; None where that is unknown for sure."""


def remember(place: str, layout: Layout | None) -> None:
    """Whoever reads or wrote a local file says so."""
    key, state = _file(place)
    if key not in _said and len(_said) >= MAX_FILES:
        _said.pop(next(iter(_said)), None)
    _said[key] = state, layout


def known(place: str | os.PathLike[str]) -> Layout | None:
    """What was said last of a file that is unchanged since; None where nobody said anything."""
    key, state = _file(place)
    then, layout = _said.get(key, (None, None))
    return layout if then == state else None


def expect_more(place: str, *, is_empty: bool) -> None:
    """A file is about to be written to: what is there already says how it is laid out."""
    if is_empty:
        _said.pop(_file(place)[0], None)
    elif known(place) is None:
        remember(place, None)


def add(place: str, layout: Layout) -> None:
    """A file was written to: as it was laid out before, or, if it was empty, as whoever wrote says."""
    _, before = _said.get(_file(place)[0], (None, layout))
    remember(place, before)


def _file(place: str | os.PathLike[str]) -> tuple[tuple[int, int], tuple[int, int]]:
    """(which file it is, how it is now)."""
    stat = Path(place).stat()
    return (stat.st_dev, stat.st_ino), (stat.st_size, stat.st_mtime_ns)
