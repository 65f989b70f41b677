"""Where arrays came from, by how they look: a tensor is a copy, and no call on the way can be followed."""

import sys
from typing import Any, Final

from modeltrail.observe import likeness
from modeltrail.observe.likeness import Mark

MAX_ALIKE: Final = 500
"""Of so many arrays it is known how they looked, also when they are gone."""
_looked: dict[Mark | None, Any] = {}
"""How an array looked -> its origin; None where several looked so that came from different files."""


def remember(array: Any, origin: Any) -> None:
    """Keep in mind how an array of numpy looks that came from there."""
    if type(array) is not getattr(sys.modules.get("numpy"), "ndarray", None):
        return
    if not array.ndim or (looks := likeness.mark(array)) is None:
        return
    known = _looked.pop(looks, origin)
    if len(_looked) >= MAX_ALIKE:
        _looked.pop(next(iter(_looked)), None)
    is_same = known is not None and _places(known) == _places(origin)
    _looked[looks] = origin if is_same else None


def of_tensor(thing: Any) -> Any:
    """The origin of the array that looked as a plain tensor of several rows does."""
    is_one = type(thing) is getattr(sys.modules.get("torch"), "Tensor", None) and thing.dim() > 0
    return _looked.get(likeness.mark(thing)) if _looked and is_one else None


def _places(origin: Any) -> list[str]:
    return [source.place for source in origin.sources]
