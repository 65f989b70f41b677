"""How rows were chosen: of data, and of what other choices had left of it."""

from collections.abc import Mapping
from typing import Any, Final

from modeltrail.guard import warn_once

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
