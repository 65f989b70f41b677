"""Where arrays came from, by how they look: a tensor is a copy, and no call on the way can be followed.

So is what numpy puts together: others know its functions by their identity (numba compiles them by it), so
that none of those is replaced.
"""

import sys
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final

import msgspec

from modeltrail.observe import likeness
from modeltrail.observe.likeness import Mark

MAX_ALIKE: Final = 500
"""Of so many arrays it is known how they looked, also when they are gone."""
_looked: dict[Mark | None, Any] = {}
"""How an array looked -> its origin; None where several looked so that came from different files."""
MAX_TRIES: Final = 200
_NUMBERS: Final = 16
"""So many different ones make an array one that no other looks like by chance."""


def remember(array: Any, origin: Any) -> None:
    """Keep in mind how an array of numpy looks that came from there."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(array) not in (numpy.ndarray, numpy.memmap):
        return
    if not array.ndim or (looks := likeness.mark(array)) is None:
        return
    known = _looked.pop(looks, origin)
    if len(_looked) >= MAX_ALIKE:
        _looked.pop(next(iter(_looked)), None)
    if known is origin:
        _looked[looks] = origin
    elif known is None or _places(known) != _places(origin):
        _looked[looks] = None
    else:  # of two that made the same nobody knows which it was
        is_sure = known.fits.keys() <= origin.fits.keys()
        _looked[looks] = origin if is_sure else msgspec.structs.replace(origin, fits={})


def of_tensor(thing: Any) -> Any:
    """The origin of the array that looked as a plain tensor of several rows does."""
    is_one = type(thing) is getattr(sys.modules.get("torch"), "Tensor", None) and thing.dim() > 0
    return _looked.get(likeness.mark(thing)) if _looked and is_one else None


def parts(array: Any) -> list[Any]:
    """The origins of those that an array was put together of, or copied; None for a part that nobody knows.

    Columns beside each other, or rows below each other, from the first one on.
    """
    if not _looked or type(array) is not getattr(sys.modules.get("numpy"), "ndarray", None):
        return []
    if array.ndim == 2 and (found := _along(array)):
        return found
    return _below(array) if array.ndim else []


def _along(array: Any) -> list[Any]:
    rows, width = array.shape
    widths = sorted({mark[1] for mark in _looked if mark and mark[0] == rows}, reverse=True)
    found: dict[Mark, Any] = {}
    at = tries = unknown = 0
    while widths and at < width and tries < MAX_TRIES:
        tries += len(widths)
        looks = _first(array[:, at : at + size] for size in widths if at + size <= width)
        if looks is None:
            at, unknown = at + 1, 1
        else:
            at, found[looks] = at + looks[1], _looked[looks]
    return _evident(found, is_whole=at == width and not unknown)


def _below(array: Any) -> list[Any]:
    width = array.shape[1] if array.ndim == 2 else 1
    sizes = sorted({mark[0] for mark in _looked if mark and mark[1] == width}, reverse=True)
    found: dict[Mark, Any] = {}
    at = 0
    while looks := _first(array[at : at + size] for size in sizes if at + size <= len(array)):
        at, found[looks] = at + looks[0], _looked[looks]
    return _evident(found, is_whole=at == len(array))


def _first(pieces: Iterable[Any]) -> Mark | None:
    """How the first of these looks that looks as one that is known did."""
    marks = (likeness.mark(piece) for piece in pieces)
    return next((mark for mark in marks if mark in _looked), None)


def _evident(found: dict[Mark, Any], *, is_whole: bool) -> list[Any]:
    """Labels, flags, a count of the rows are in many tables: they say something beside numbers alone."""
    if not any(_is_evidence(mark) for mark, origin in found.items() if origin is not None):
        return []
    return [*found.values(), *([] if is_whole else [None])]


def _is_evidence(mark: Mark) -> bool:
    numbers = sys.modules["numpy"].frombuffer(mark[2], "float32").tolist()
    steps = {after - before for before, after in pairwise(numbers)}
    return len(set(numbers)) >= _NUMBERS and len(steps) > 2


def _places(origin: Any) -> list[str]:
    return [source.place for source in origin.sources]
