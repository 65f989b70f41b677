"""What had learned to make data, a scaler say, and which of its columns: all of them, or those named.

Of two models on one frame only that one was made by a scaler which takes a column that it gave.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from modeltrail.observe.weakly import Weakly

Names = frozenset[str]
Makers = Mapping[object, Names | None]
"""What made data, as whoever says so calls that -> the columns that it made; None for all.

Of columns from nowhere it is a number, of predictions.
"""


_known: Final[Weakly[Names]] = Weakly()


def names(thing: Any) -> Names | None:
    """The columns of a frame, the name of a series; None of what has no names, or takes long to say them."""
    kind = type(thing)
    if kind.__module__.partition(".")[0] not in {"pandas", "polars"}:
        own = getattr(thing, "names", None)
        return (
            frozenset(own) if isinstance(own, tuple) and all(isinstance(each, str) for each in own) else None
        )
    if kind.__name__ == "Series":
        return None if thing.name is None else frozenset({str(thing.name)})
    return _labels(thing.columns) if kind.__name__ == "DataFrame" else None


def _labels(columns: Any) -> Names:
    """The columns of a frame; those of pandas never change, and take long to say what they are."""
    known = _known.of(columns)
    if known is None:
        listed = columns.to_numpy(object) if hasattr(columns, "to_numpy") else columns
        _known.remember(columns, known := frozenset(map(str, listed)))
    return known


def left(makers: Makers, given: Names | None, result: Any, *, alone: bool) -> Makers:
    """Those of some data that what was made of it still has something of.

    Args:
        makers: of the data.
        given: the names of that.
        result: what was made of it.
        alone: whether it was made of nothing else.
    """
    has = names(result)
    is_array = has is None and hasattr(result, "shape") and not hasattr(type(result), "columns")
    found: dict[object, Names | None] = {}
    for maker, columns in makers.items():
        if columns is None:
            common = (given or frozenset()) & (has or frozenset())
            if has is None or (alone and not common):
                found[maker] = None
            elif common:
                found[maker] = None if has <= (given or frozenset()) else common
        elif alone and given is not None and given <= columns:
            found[maker] = None
        elif has is not None and not columns.isdisjoint(has):
            found[maker] = columns
        elif has is None and (given is None or not columns.isdisjoint(given)):
            found[maker] = None if is_array else columns
    return found


def renamed(makers: Makers, before: Iterable[object], after: Iterable[object]) -> Makers:
    """Those of a frame whose columns have other names from here on, in the same order."""
    called = list(zip(map(str, before), map(str, after), strict=False))
    return {
        maker: None if columns is None else frozenset(new for old, new in called if old in columns)
        for maker, columns in makers.items()
    }


def put(own: Makers, has: Names | None, value: Makers, into: Names, *, whole: bool) -> Makers:
    """Those of a frame that has these columns and was given some, in the place of the `whole` of them."""
    kept = {
        maker: ((has or frozenset()) if columns is None else columns) - (into if whole else frozenset())
        for maker, columns in own.items()
    }
    return joint([{maker: columns for maker, columns in kept.items() if columns}, dict.fromkeys(value, into)])


def joint(several: Iterable[Makers]) -> Makers:
    """Those of data that was put together."""
    found: dict[object, Names | None] = {}
    for makers in several:
        for maker, columns in makers.items():
            known = found.get(maker, frozenset())
            found[maker] = None if columns is None or known is None else known | columns
    return found


def lost(makers: Makers) -> int:
    """So many predictions columns from nowhere may be any of; 0 where there are no such columns."""
    return max((each for each in makers if isinstance(each, int)), default=0)
