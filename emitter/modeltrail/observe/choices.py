"""How rows were chosen: of data, of what other choices had left of it, and of parts put together."""

from collections.abc import Mapping
from typing import Any, Final

from modeltrail.guard import warn_once
from modeltrail.observe.paths import Source

Parts = tuple[tuple[int, frozenset[Source]], ...]
"""Of rows that were put below each other how many each part had, and what that was read from."""
MAX_CHOICES: Final = 50
"""So many splits of splits are kept."""


def after(earlier: Mapping[str, Any] | None, split: Mapping[str, Any]) -> Mapping[str, Any]:
    """A choice among rows that had been chosen already, as in `modelTrail_dataUse`; of the last so many."""
    if not earlier:
        return split
    before = [*earlier.get("earlier", ()), {key: earlier[key] for key in earlier if key != "earlier"}]
    if len(before) > MAX_CHOICES:
        warn_once(
            "many splits", "rows were split again and again; the last %d times are recorded", MAX_CHOICES
        )
    return {**split, "earlier": before[-MAX_CHOICES:]}


def doubtful(parts: Parts, rows: object) -> frozenset[Source]:
    """What so many rows may not have come from: they are as many as one part has, or all but one.

    Which rows were taken nobody sees: where their number fits several parts they may be of any.
    """
    whole, every = sum(count for count, _ in parts), frozenset(range(len(parts)))
    counts = [(frozenset({part}), count) for part, (count, _) in enumerate(parts)]
    taken = {one for one, count in counts if count == rows}
    taken |= {every - one for one, count in counts if whole - count == rows}
    if len(taken) != 1:
        return frozenset()
    (kept,) = taken
    sure = frozenset[Source]().union(*(parts[part][1] for part in kept))
    return frozenset[Source]().union(*(sources for _, sources in parts)) - sure
