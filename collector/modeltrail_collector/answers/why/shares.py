"""Splits that differ in their share alone, by less than a row: of 663 rows no number is just a quarter."""

import json
from collections.abc import Mapping
from typing import Any

from modeltrail_collector.tables.differences import Change


def choices(split: object) -> list[dict[str, Any]]:
    """How rows were chosen, as `modelTrail_dataUse` says it: choice after choice, the last one last."""
    if not isinstance(split, dict):
        return []
    earlier = split.get("earlier")
    return [*(one for one in (earlier if isinstance(earlier, list) else ()) if isinstance(one, dict)), split]


def is_rounded(change: Change, old: Mapping[str, str], new: Mapping[str, str]) -> bool:
    """Whether what changed is how many rows there were to split, and not how that was done.

    `old` and `new` are what is said of all data of both sides.
    """
    if not change.path.endswith("#split"):
        return False
    was, now = (_read(text) for text in (change.before, change.after))
    pools = [_pool(old, change.before, was), _pool(new, change.after, now)]
    if None in pools or pools[0] == pools[1] or len(was) != len(now):
        return False
    tolerance = sum(1 / pool for pool in pools if pool)
    return all(_is_same(one, other, tolerance) for one, other in zip(was, now, strict=True))


def _read(text: str | None) -> list[dict[str, Any]]:
    try:
        return choices(json.loads(text or ""))
    except (ValueError, RecursionError):
        return []


def _pool(data: Mapping[str, str], text: str | None, split: list[dict[str, Any]]) -> int | None:
    """Of how many rows a part in memory was chosen so, the fewest; None where nobody knows."""
    share = split[-1].get("fraction") if split else None
    if not isinstance(share, int | float) or share <= 0:
        return None
    chosen = [path for path in data if path.startswith("in memory") and data[path] == text]
    counts = [data.get(path.replace("#split", "#rows"), "") for path in chosen]
    return min(
        (round(int(count) / share) for count in counts if count.isdigit() and int(count)), default=None
    )


def _is_same(old: dict[str, Any], new: dict[str, Any], tolerance: float) -> bool:
    """Whether two choices differ in nothing but their share, if at all, and by less than a row of each."""
    one, other = (split.get("fraction") for split in (old, new))
    is_near = isinstance(one, int | float) and isinstance(other, int | float) and abs(one - other) < tolerance
    return (is_near or one == other) and {**old, "fraction": None} == {**new, "fraction": None}
