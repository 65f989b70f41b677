"""numpy: from which files an array was read, and to which files arrays were written.

Of its functions that are given arrays none is replaced: numba compiles them, and others override them, by
their identity. What `load`, `save`, `savez` and `savetxt` call inside is followed. An array that is mapped to
a file knows that itself (`modeltrail.observe.origins`).
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final
from weakref import WeakKeyDictionary

from modeltrail import api
from modeltrail.integrations import _frames, _patch
from modeltrail.integrations._frames import Function
from modeltrail.observe import origins

NAME: Final = "numpy"
LARGE_BYTES: Final = 1 << 20
MAX_SMALL: Final = 1000
_small: Final[Iterator[int]] = count()
"""Numbers the arrays below that size that were read outside of any run."""
_small_of: WeakKeyDictionary[Any, Iterator[int]] = WeakKeyDictionary()
"""Run -> numbers those that were read in it."""


def activate() -> None:
    """Observe readers and writers."""
    numpy: Any = sys.modules["numpy"]
    inner: Any = sys.modules["numpy.lib.format"]
    files: Any = sys.modules.get("numpy.lib._npyio_impl") or sys.modules["numpy.lib.npyio"]
    readers = [inner.read_array, numpy.loadtxt, numpy.genfromtxt]
    _patch.follow_whole_functions(NAME, readers, observe_read)  # they call `fromfile` themselves
    _patch.follow_functions(NAME, [numpy.fromfile], observe_raw)
    _patch.follow_functions(NAME, [inner.open_memmap], observe_mapped)
    _patch.surround_functions(NAME, [inner.write_array], expect_write, observe_write)
    _patch.surround_functions(NAME, [files._savez], expect_write, observe_archive)  # noqa: SLF001  see above
    _patch.follow_functions(NAME, [numpy.lib._datasource.open], observe_opened)  # noqa: SLF001


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def observe_read(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Remembers where an array was read from, and for the current run that it was."""
    if not _is_one_of_many(result):
        _frames.observe_read(function, result, args, kwargs)


def _is_one_of_many(array: Any) -> bool:
    """Whether a small file was read after a thousand others: such are the samples of a dataset.

    It would take as long again as the reading.
    """
    if array.nbytes >= LARGE_BYTES:
        return False
    run = api.current_run()
    number = next(_small if run is None else _small_of.setdefault(run, count()))
    return number >= MAX_SMALL


def observe_raw(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Numbers without a header; the function is C, and has no signature."""
    if not _is_one_of_many(result):
        _frames.record_read(result, next(iter(args), kwargs.get("file")))


def observe_mapped(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What is in a file that was there; one that is made has nothing in it yet."""
    del args, kwargs
    if not result.mode.startswith("w"):
        _frames.record_read(result, result.filename)


def expect_write(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What lies where a file is about to be written may have been read."""
    del kwargs
    _frames.expect_written(_place(args[0]))


def observe_write(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What `save` has written to an open file; in an archive it is a part of that."""
    del kwargs
    _frames.record_written(args[1], args[0])


class _Archive:
    """What stands for the arrays of an archive, to carry where they came from."""


def observe_archive(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Several arrays in one file are made of what each of them came from."""
    del kwargs
    unnamed, named = args[1:3]
    arrays = _Archive()
    origins.join(arrays, [*unnamed, *named.values()])
    _frames.record_written(arrays, _place(args[0]))


def _place(file: Any) -> Any:
    """Where an archive lies: its name need not say what it is."""
    text = str(file)
    return file if hasattr(file, "write") or text.endswith(".npz") else f"{text}.npz"


def observe_opened(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A file that `savetxt` is about to fill: nobody sees with what; it is looked at when the run ends."""
    if "w" in str(_frames.named(function, args, kwargs).get("mode")):
        _frames.record_written(None, args[0])
