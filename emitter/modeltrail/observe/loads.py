"""Models that were loaded: which file an object is, as long as it is what it was then."""

import os
from typing import Final

import msgspec

from modeltrail.observe import model, origins, paths
from modeltrail.observe.model import ModelView
from modeltrail.observe.weakly import Weakly

WEIGHED_BYTES: Final = 16 << 20
"""Of larger models it is not looked at whether they were changed by hand, which takes a while each time."""


class _Load(msgspec.Struct, frozen=True, eq=False, weakref=True):
    """What `origins` knows the file by: a model is no data."""

    view: ModelView
    weight: tuple[str, int] | None
    is_part: bool


_known: Weakly[_Load] = Weakly()


def remember(thing: object, path: str | os.PathLike[str], *, is_part: bool = False) -> None:
    """An object was loaded from this file, as what it holds or as one of several."""
    weight = None if is_part else model.save_digest(thing, WEIGHED_BYTES)
    found = _Load(model.look(path), weight, is_part)
    origins.read(found, paths.places(path))
    _known.remember(thing, found)


def forget(thing: object) -> None:
    """An object is fitted again: it is another model from here on."""
    _known.forget(thing)


def copied(original: object, copy: object) -> None:
    """A copy of what was loaded is that file too."""
    if (found := _known.of(original)) is not None:
        _known.remember(copy, found)


def file(thing: object) -> object | None:
    """What `origins` knows the file by of an object that was loaded, and not fitted since."""
    return _known.of(thing)


def base(thing: object) -> ModelView | None:
    """The file that an object was loaded from, whatever was set in it since: it is to go on from there."""
    found = _known.of(thing)
    return None if found is None else found.view


def of(thing: object) -> ModelView | None:
    """The file that an object was loaded from, as it was then; None if it has been changed since.

    Also of one of several that a file holds: none of these is the file.
    """
    found = _known.of(thing)
    if found is not None and not found.is_part and found.weight == model.save_digest(thing, WEIGHED_BYTES):
        return found.view
    return None
