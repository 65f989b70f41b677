"""Which files data in memory came from, and how its rows were chosen: known beside the objects, not in them.

A frame, series, table or array is known by its identity as long as it lives; nothing is kept alive, and
nothing is written into it. The integrations say what was read, and what was made of what.
"""

import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final
from weakref import getweakrefs, ref

import msgspec

from modeltrail.guard import warn_once
from modeltrail.observe import alike, buffers, layouts, makers, paths
from modeltrail.observe.choices import Parts
from modeltrail.observe.paths import MAX_SOURCES, Source

MAX_PARTS: Final = 1000
"""So many items of a list or mapping are looked at: columns that a frame is made of, frames put together."""
MAX_COLUMNS: Final = 2000
"""Of so many columns of Arrow tables it is known where they lay, also when they are gone."""
MAX_JOINTS: Final = 500
"""So many origins of what was put together are kept at hand: a loop joins the same files again."""
_ARROW: Final = "pyarrow.lib"
_HOLDERS: Final = frozenset({list, tuple, dict})
NO_DATA: Final = frozenset({bool, int, float, str, bytes, type(None), list, tuple, dict})
_NO_COLUMN: Final = frozenset({str, bytes, dict, range})
_MASKS: Final = frozenset({"bool", "boolean"})


class Origin(msgspec.Struct, frozen=True):
    """Where data came from.

    Attributes:
        sources: what was read for it, in order.
        split: how its rows were chosen, as in `modelTrail_dataUse`.
        fits: what had learned to make it, and which of its columns; of columns from nowhere a number: they
            may be any of the first so many predictions.
        parts: of rows that were put below each other how many each part had, and what that was read from.
    """

    sources: tuple[Source, ...] = ()
    split: Mapping[str, Any] | None = None
    fits: makers.Makers = msgspec.field(default_factory=dict)
    parts: Parts = ()


class _Predictions(msgspec.Struct):
    made: int = 0


_UNKNOWN: Final = Origin()
_Part = tuple[Origin, object, object]
"""What is known of a part, that itself, and what it is called among the parts."""


class _Known(ref[Any]):
    """What is known of an object that may go: found among the references to that object."""

    __slots__ = ("origin",)

    origin: Origin
    __hash__ = object.__hash__  # frames and arrays have none


predictions: Final = _Predictions()
"""How many were made by now."""
_known: set[_Known] = set()
"""All of them, each until its object goes: then the set itself is called, which is no code of Python's."""
_forget: Final = _known.discard
last_read: Final[dict[str, Source]] = {}
"""Place -> how it was when it was read last; of the last thousand places."""
_columns: dict[Hashable, Origin] = {}
"""Where a column of an Arrow table lay -> where it came from."""
_joints: dict[tuple[int, ...], tuple[Mapping[int, Origin], Origin]] = {}
"""Ids of origins -> these, so that the ids stay theirs, and where what is made of them all comes from."""


def of(thing: object) -> Origin | None:
    """What is known of an object, or of the array that it is a part of; None if nothing is.

    Of a tensor what is known of an array like it, of an Arrow table what is known of its columns.
    """
    if (found := _found(thing)) is not None:
        return found.origin
    if type(thing) is getattr(sys.modules.get("numpy"), "ndarray", None):
        base = thing.base  # type: ignore[attr-defined]
        return None if base is None else of(base)
    if (mapped := paths.mapped(thing)) is not None:
        return Origin(read(thing, paths.places(mapped)))
    if _columns and type(thing).__module__ == _ARROW:
        return _of_columns(thing)
    looked: Origin | None = alike.of_tensor(thing)
    return looked


def read(result: object, places: Iterable[str], **said: Any) -> tuple[Source, ...]:
    """What a reading gave (a frame, or several) came from these places, of which more is `said`."""
    sources = tuple(Source(place, paths.state(place), **said) for place in islice(places, MAX_SOURCES))
    if sources:
        for each in islice(_targets(result), MAX_PARTS):
            _remember(each, Origin(sources))
    for source in sources:
        if len(last_read) >= MAX_PARTS:
            last_read.pop(next(iter(last_read)), None)
        last_read[source.place] = source
        if source.layout is not None and source.state is not None:
            layouts.remember(source.place, source.layout)
    return sources


def carry(result: object, *given: object) -> None:
    """What was made of these came from where they came from.

    Where their rows were chosen in different ways, nothing is known of how those of the result were.
    """
    parts: list[_Part] = []
    for each in given:
        kind = type(each)
        if kind in _HOLDERS:
            parts += _within(each)
        elif kind not in NO_DATA and (known := of(each)) is not None:
            parts.append((known, each, None))
    if parts:
        _pass_on(result, _left(result, parts, alone=len(parts) == 1))
        if predictions.made:
            lose(result, [part for each in given for part in _unknown_within(each)])


def hand_on(result: object, frame: object) -> bool:
    """As `carry` from one frame, without a detour where that is all that is known: it happens often.

    Returns:
        Whether anything is known of the frame.
    """
    known = _found(frame)
    if known is None:
        return False
    own = _found(result)
    if known.origin.fits:
        _pass_on(result, _left(result, [(known.origin, frame, None)], alone=True))
    elif own is None and _remember_new(result, known.origin):
        return True
    elif own is None or own.origin is not known.origin:
        carry(result, frame)
    return True


def join(result: object, parts: Iterable[object]) -> None:
    """As `carry` for rows or columns put together; no split is known where of a part nothing is known."""
    several: list[_Part] = [(of(part) or _UNKNOWN, part, None) for part in parts]
    if any(origin is not _UNKNOWN for origin, _, _ in several):
        _pass_on(result, _left(result, several, alone=len(several) == 1))
        if predictions.made:
            lose(result, [makers.names(part) for origin, part, _ in several if origin is _UNKNOWN])


def stack(result: Any, parts: Sequence[Any]) -> None:
    """As `join`; of rows below each other it is remembered how many each part had."""
    join(result, parts)
    known = _found(result)
    several = [(len(part), frozenset(origin.sources)) for part in parts if (origin := of(part)) is not None]
    is_known = len(several) == len(parts) and len({sources for _, sources in several}) > 1
    if known is not None and is_known and sum(count for count, _ in several) == len(result):
        _remember(result, msgspec.structs.replace(known.origin, parts=tuple(several)))


def put(frame: object, columns: Iterable[object], value: object, *, whole: bool) -> None:
    """A frame was given a value in these columns, in the place of the `whole` of what they held."""
    own, known = of(frame), of(value)
    several = [origin for origin in (own, known) if origin is not None]
    is_lost = predictions.made and several and (own is None or (known is None and is_unknown(value)))
    if not is_lost and not any(origin.fits for origin in several):
        carry(frame, value)
        return
    into, has = frozenset(map(str, columns)), makers.names(frame)
    before, after = (origin or _UNKNOWN for origin in (own, known))
    fits = makers.put(before.fits, has, after.fits, into, whole=whole)
    lost = into if known is None else (has or frozenset()) - into
    if is_lost and lost:
        fits = makers.joint([fits, {predictions.made: lost}])
    joint = _joint(several if after.sources else [before])  # the rows stay as they were chosen
    _remember(frame, msgspec.structs.replace(joint, fits=fits))


def rename(frame: Any, columns: Iterable[object]) -> None:
    """The columns of a frame are going to be called so, in their order."""
    origin = of(frame)
    if origin is not None and origin.fits:
        fits = makers.renamed(origin.fits, frame.columns, columns)
        _remember(frame, msgspec.structs.replace(origin, fits=fits))


def choose(part: object, split: Mapping[str, Any]) -> None:
    """The rows of an object were chosen so."""
    origin = of(part) or Origin()
    _remember(part, msgspec.structs.replace(origin, split=split))


def recognize(array: object) -> None:
    """What numpy copied, or put together, came from where those came from that it holds: by how they looked.

    It is no evidence itself: others may be of other parts that look as its do.
    """
    if of(array) is None and (parts := alike.parts(array)):
        found: list[Origin] = [origin or _UNKNOWN for origin in parts]
        _know(array, _joined({id(origin): origin for origin in found}))
        if predictions.made and None in parts:
            lose(array, [None])


def transform(result: object, given: object, fit: object = None) -> None:
    """What was made of data by what had learned to, `fit`: maybe in place, so it is looked at again."""
    carry(result, given)
    origin = of(result)
    if fit is not None:
        origin = origin or Origin()
        origin = msgspec.structs.replace(origin, fits={**origin.fits, fit: None})
    if origin is not None:
        _remember(result, origin)


def predicted() -> int:
    """Something was predicted: it may be in all that comes from nowhere from now on. Which one it was."""
    predictions.made += 1
    return predictions.made


def is_unknown(value: object) -> bool:
    """Whether a value has rows, and nothing is known of where they came from.

    Neither numbers in a row nor labels of rows were computed by anybody.
    """
    kind = type(value)
    return (
        hasattr(kind, "__len__")
        and kind not in _NO_COLUMN
        and not kind.__name__.endswith("Index")
        and of(value) is None
    )


def _unknown_within(given: Any) -> Iterator[makers.Names | None]:
    """The columns of data from nowhere that something is, or holds; masks are no data."""
    if type(given) is dict:
        yield from (
            frozenset({str(name)}) for name, each in islice(given.items(), MAX_PARTS) if is_unknown(each)
        )
        return
    for each in islice(given, MAX_PARTS) if type(given) in _HOLDERS else (given,):
        if (
            hasattr(each, "shape")
            and str(getattr(each, "dtype", "")).lower() not in _MASKS
            and is_unknown(each)
        ):
            yield makers.names(each)


def lose(thing: object, several: Sequence[makers.Names | None]) -> None:
    """Columns from nowhere were put into data: they may be any prediction that was made by now."""
    found = _found(thing)
    if found is not None and several:
        lost: list[makers.Makers] = [{predictions.made: columns} for columns in several]
        fits = makers.joint([found.origin.fits, *lost])
        _remember(thing, msgspec.structs.replace(found.origin, fits=fits))


def _targets(result: Any) -> Iterable[Any]:
    if type(result) not in _HOLDERS:
        return (result,)
    found: Iterable[Any] = result.values() if isinstance(result, dict) else result
    return found


def _within(holder: Any) -> Iterator[_Part]:
    """What is known of what a list or mapping holds; a list of numbers, texts or rows holds no data."""
    if isinstance(holder, list) and holder and type(holder[0]) in NO_DATA:
        return
    named = holder.items() if isinstance(holder, dict) else ((None, each) for each in holder)
    for name, each in islice(named, MAX_PARTS):
        if (known := of(each)) is not None:
            yield known, each, name


def _left(result: object, parts: Sequence[_Part], *, alone: bool) -> dict[int, Origin]:
    """Origins by their ids, each with those of its makers that the result still has something of."""
    found = {id(origin): origin for origin, _, _ in parts}
    if not any(origin.fits for origin in found.values()):
        return found
    left = []
    for origin, part, name in parts:
        given = makers.names(part) if name is None else frozenset({str(name)})
        fits = makers.left(origin.fits, given, result, alone=alone and name is None)
        left.append(origin if fits == origin.fits else msgspec.structs.replace(origin, fits=fits))
    return {id(origin): origin for origin in left}


def _pass_on(result: object, found: dict[int, Origin]) -> None:
    """Origins by their ids."""
    if type(result) not in _HOLDERS and _found(result) is None:  # of most that is all there is to it
        _remember_new(result, _joined(found))
        return
    for each in islice(_targets(result), MAX_PARTS):
        own = of(each)
        joined = _joined(found if own is None else {id(own): own, **found})
        if joined is not own:
            _remember(each, joined)


def _joined(several: dict[int, Origin]) -> Origin:
    if len(several) == 1:
        return next(iter(several.values()))
    key = tuple(several)
    if (known := _joints.get(key)) is None:
        if len(_joints) >= MAX_JOINTS:
            _joints.clear()
        known = _joints[key] = several, _joint(list(several.values()))
    return known[1]


def _joint(origins: list[Origin]) -> Origin:
    first, *others = origins
    if all(other == first for other in others):
        return first
    sources = tuple(dict.fromkeys(source for origin in origins for source in origin.sources))
    if len(sources) > MAX_SOURCES:
        message = "data came from %d files; the first %d are recorded"
        warn_once("many sources of data", message, len(sources), MAX_SOURCES)
    same = all(other.split == first.split for other in others)
    fits = makers.joint(origin.fits for origin in origins)
    stacked = {origin.parts for origin in origins if origin.parts}
    parts = stacked.pop() if len(stacked) == 1 else ()
    return Origin(sources[:MAX_SOURCES], first.split if same else None, fits, parts)


def _found(thing: object) -> _Known | None:
    for each in getweakrefs(thing):
        if type(each) is _Known and each in _known:
            return each
    return None


def _remember(thing: Any, origin: Origin) -> None:
    if (found := _found(thing)) is None:
        _remember_new(thing, origin)
    else:
        before, found.origin = found.origin, origin
        _remember_memory(thing, origin, before)


def _remember_new(thing: Any, origin: Origin) -> bool:
    """Of what nothing is known yet; whether it has weak references, which a number or a list has not."""
    try:
        _know(thing, origin)
    except TypeError:
        return False
    _remember_memory(thing, origin, None)
    return True


def _know(thing: Any, origin: Origin) -> None:
    found = _found(thing) or _Known(thing, _forget)
    found.origin = origin
    _known.add(found)  # only now: another thread may look


def _remember_memory(thing: Any, origin: Origin, before: Origin | None) -> None:
    """What a table or an array lies in came from there too, unless it is known to be from elsewhere."""
    library = type(thing).__module__
    if library == _ARROW:
        _remember_columns(thing, origin)
    elif library == "numpy" and (whole := _turned(thing, before)) is not None:
        _know(whole, origin)
    if "torch" in sys.modules or (library == "numpy" and "sklearn" in sys.modules and thing.ndim == 2):
        alike.remember(thing, origin)


def _turned(array: Any, before: Origin | None) -> Any:
    """What an array lies in that is turned on its side: parts of it know nothing but that."""
    base = getattr(array, "base", None)
    is_all = getattr(base, "size", None) == array.size
    return base if is_all and ((own := _found(base)) is None or own.origin is before) else None


def _remember_columns(table: Any, origin: Origin) -> None:
    for mark in buffers.marks(table):
        _columns.pop(mark, None)
        if len(_columns) >= MAX_COLUMNS:
            _columns.pop(next(iter(_columns)), None)
        _columns[mark] = origin


def _of_columns(table: Any) -> Origin | None:
    found = {id(origin): origin for mark in buffers.marks(table) if (origin := _columns.get(mark))}
    return _joined(found) if found else None
