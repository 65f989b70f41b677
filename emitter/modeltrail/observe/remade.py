"""What files were made of that a program wrote, read and wrote over: nobody finds that by their names."""

from collections.abc import Iterable
from typing import Final

from modeltrail.observe import data, origins, paths
from modeltrail.observe.paths import Source

MAX_PLACES: Final = 1000
MAX_STATES: Final = 200

_State = tuple[int, int]
_made: dict[str, dict[_State, tuple[Source, ...]]] = {}
"""A place -> the states that it was written in, the last one last -> what its content came from."""


def remember(place: str, frame: object, *, is_added: bool) -> None:
    """A file was written of this frame, in place of what it held; of the last so many.

    What is as it was read, as far as the clock of the files tells, is a source and was made of none.
    """
    origin, state = origins.of(frame), paths.state(place)
    sources = () if origin is None else origin.sources
    if state is None or is_added or any((each.place, each.state) == (place, state) for each in sources):
        return
    if place not in _made and len(_made) >= MAX_PLACES:
        _made.pop(next(iter(_made)), None)
    states = _made.setdefault(place, {})
    if len(states) >= MAX_STATES:
        states.pop(next(iter(states)), None)
    states[state] = sources


def behind(sources: Iterable[Source]) -> list[Source]:
    """These, where what was written over, or is gone unseen, has given way to what it was made of.

    Each once: of files that are written of each other, round after round, the ways back double each time.
    """
    found: dict[Source, None] = {}
    seen: set[Source] = set()
    waiting = list(reversed(list(sources)))
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        seen.add(source)
        if made := _made_of(source):
            waiting += reversed(made)
        else:
            found[source] = None
    return list(found)


def _made_of(source: Source) -> tuple[Source, ...]:
    states = _made.get(source.place, {})
    if source.state not in states or source.is_unchanged:
        return ()
    is_last = source.state == next(reversed(states))
    return () if is_last and data.look(source).fingerprint.scope != "none" else states[source.state]
