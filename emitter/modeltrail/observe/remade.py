"""What files were made of that a program wrote, read and wrote over: nobody finds that by their names."""

from collections.abc import Iterable
from typing import Final

from modeltrail.observe import data, origins
from modeltrail.observe.origins import Source

MAX_PLACES: Final = 1000
MAX_STATES: Final = 200

_State = tuple[int, int]
_made: dict[str, dict[_State, tuple[Source, ...]]] = {}
"""A place -> the states that it was written in, the last one last -> what its content came from."""


def remember(place: str, frame: object, *, is_added: bool) -> None:
    """A file was written of this frame, in place of what it held; of the last so many."""
    origin, state = origins.of(frame), origins.state(place)
    if state is None or is_added:
        return
    if place not in _made and len(_made) >= MAX_PLACES:
        _made.pop(next(iter(_made)), None)
    states = _made.setdefault(place, {})
    if len(states) >= MAX_STATES:
        states.pop(next(iter(states)), None)
    states[state] = () if origin is None else origin.sources


def behind(sources: Iterable[Source]) -> list[Source]:
    """These, where what was written over, or is gone unseen, has given way to what it was made of."""
    found: dict[Source, None] = {}
    waiting = list(reversed(list(sources)))
    while waiting:
        source = waiting.pop()
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
