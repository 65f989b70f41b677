"""Which of the data that changed can have moved a column of what was made from it.

A column comes from the columns that the facet `columnLineage` names for it, else from those of its name in
what its data was made from: where these did not move, the change of that data is no reason for it. A column
that none of these has is derived: from columns that moved and are not passed on under their own name. Those
by which files are joined, which several files of different columns have, make no other column.

Where rows came or went these may be why, up to a bound: of an addition of one row in six a distribution
function moves by a sixth at most.
"""

from collections.abc import Iterable
from itertools import combinations

from modeltrail_collector.answers.why import data
from modeltrail_collector.answers.why.data import Field, Pair
from modeltrail_collector.answers.why.drift import Drift


class Origins:
    """The changed columns of all pairs, looked up."""

    def __init__(self, pairs: list[Pair]) -> None:
        self._near = {id(pair): data.made_from(pair, pairs) for pair in pairs}
        self._names = {id(pair): _names(pair) for pair in pairs}
        self._moved = {id(pair): _moved(pair) for pair in pairs}
        self._keys = {id(pair): self._joined_by(pair) for pair in pairs if pair.causes}

    def of(self, pair: Pair, moved: Drift | str) -> list[Pair]:
        """The feeds that can have moved a column (or brought or taken it); none: what made the data did."""
        column = moved if isinstance(moved, str) else moved.column
        found = self._movers(pair, column)
        if not found and isinstance(moved, Drift):
            found = [root for root in data.roots(pair) if _by_rows(root, moved)]
        return found

    def inside(self, pair: Pair) -> tuple[list[Drift], list[str]]:
        """What no changed feed explains of a symptom: columns that moved, and that came or went."""
        drifts = [one for one in pair.drifts if one.told and not self.of(pair, one)]
        names = [name for name in (*pair.columns_removed, *pair.columns_added) if not self.of(pair, name)]
        return (
            [one for one in drifts if not self.came_in(pair, one.column)],
            [name for name in names if not self.came_in(pair, name)],
        )

    def is_derived(self, pair: Pair, column: str) -> bool:
        """Whether nothing that its data was made from is known to have a column."""
        return not self._fields(pair, column)

    def hidden(self, pair: Pair, target: Pair) -> set[str]:
        """The columns of a feed that moved, and from which a derived column of `target` may be made."""
        moved = self._moved[id(pair)] - self._names[id(target)]
        return moved - self._keys[id(target)]

    def leading(self, pair: Pair, target: Pair, columns: Iterable[str]) -> set[str]:
        """The columns of a feed that lead to these of what was made of it: as is recorded, else by name."""
        found: set[str] = set()
        seen: set[tuple[int, str]] = set()
        waiting = [(target, column) for column in columns]
        while waiting:
            one, name = waiting.pop()
            if (id(one), name) in seen:
                continue
            seen.add((id(one), name))
            if one is pair:
                found.add(name)
            for side in (side for side in (one.before, one.after) if side):
                told = self._called(one, side.made_of.get(name, ()))
                waiting += told or [(near, name) for near in self._near[id(one)]]
                waiting += self._called(one, side.by)
        return found

    def came_in(self, pair: Pair, column: str) -> bool:
        """Whether a column moved before it came into the run that made the data."""
        return any(name in self._moved[id(one)] for one, name in self._fields(pair, column) if one.differs)

    def _movers(self, pair: Pair, column: str) -> list[Pair]:
        """The feeds in which that moved which a column is, or may be, made of."""
        found: dict[int, Pair] = {}
        seen: set[tuple[int, str]] = set()
        waiting = [(pair, column)]
        while waiting:
            one, name = waiting.pop()
            if (id(one), name) in seen:
                continue
            seen.add((id(one), name))
            if one.causes:
                waiting += self._fields(one, name) or self._hidden_fields(one, name)
            elif one.differs and (name in self._moved[id(one)] or not self._names[id(one)]):
                found[id(one)] = one
        return list(found.values())

    def _hidden_fields(self, pair: Pair, column: str) -> list[tuple[Pair, str]]:
        """The columns that a derived one may be made of; data may have any, whose columns nobody told."""
        return [
            (cause, name)
            for cause in pair.causes
            for name in (self.hidden(cause, pair) if self._names[id(cause)] else [column])
        ]

    def _fields(self, pair: Pair, column: str) -> list[tuple[Pair, str]]:
        """The columns that a column is known to be made of; [] of a derived one."""
        told = self._called(pair, pair.either.made_of.get(column, ()))
        return told or [(one, column) for one in self._near[id(pair)] if column in self._names[id(one)]]

    def _called(self, pair: Pair, fields: Iterable[Field]) -> list[tuple[Pair, str]]:
        """Those of these columns that are of what data was made from."""
        return [
            (one, field)
            for namespace, name, field in fields
            for one in self._near[id(pair)]
            if any((namespace, name) in side.called for side in (one.before, one.after) if side)
        ]

    def _joined_by(self, pair: Pair) -> set[str]:
        """The columns that several have which it was made from, and neither of which has all of the other."""
        kinds = {frozenset(self._names[id(one)]) for one in self._near[id(pair)]}
        found = (one & other for one, other in combinations(kinds, 2) if not (one <= other or other <= one))
        return set().union(*found)


def _names(pair: Pair) -> set[str]:
    """Its columns; none where those that are known may not be all."""
    if not any(side.schema or side.columns for side in (pair.before, pair.after) if side):
        return set()
    return set().union(*(side.names for side in (pair.before, pair.after) if side))


def _moved(pair: Pair) -> set[str]:
    """The columns that moved, came or went; all, where data came or went or has no profile."""
    if pair.change in {"added", "removed"} or not pair.profiled:
        return _names(pair)
    drifts = {one.column for one in pair.drifts if one.told}
    types = {str(kind["column"]) for kind in pair.types}
    return drifts | types | {*pair.columns_added, *pair.columns_removed}


def _by_rows(pair: Pair, moved: Drift) -> bool:
    """Whether rows that came or went can have moved a distribution so far.

    Of what has no rows that were counted it can; if nobody saw what it was read for, that is no reason.
    """
    sides = [side.rows for side in (pair.before, pair.after) if side]
    rows = [count for count in sides if count is not None]
    if len(rows) < 2:
        return not pair.possible
    if rows[0] == rows[1]:
        return False
    share = abs(rows[1] - rows[0]) / max(rows)
    return moved.ks is None or moved.ks <= share + (moved.ks_by_chance or 0.0)
