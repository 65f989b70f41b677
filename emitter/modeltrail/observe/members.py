"""Which rows some data holds, so that a part of what a model learned from is known again.

A row goes by a number of it, the same wherever it lies. Of many rows those with the smallest numbers are
kept, so that what is kept of a part and of the whole can be compared.
"""

import sys
from collections.abc import Iterable
from typing import Any, Final

import msgspec

MAX_ROWS: Final = 1 << 14
"""Of so many rows of some data the numbers are kept, more or less: 128 kB."""
_ALL: Final = (1 << 64) - 1
_NEVER: Final = 1e-6
_SOME: Final = 0.1


def bound(rows: int) -> int:
    """The largest number that is kept of a row of data that has so many."""
    return _ALL if rows <= MAX_ROWS else _ALL // rows * MAX_ROWS


class Members(msgspec.Struct, frozen=True):
    """The numbers of some data's rows, of 64 bits each, up to a bound."""

    numbers: bytes
    bound: int

    @classmethod
    def joined(cls, several: Iterable["Members"]) -> "Members":
        """Those of several that are one below the other."""
        listed = list(several)
        return cls(b"".join(each.numbers for each in listed), min(each.bound for each in listed))

    def share_of(self, part: "Members") -> float:
        """The share of a part's rows that are among these; 0 where so many may be equal by chance.

        How many of new data are equal to some of these by chance, those say that are here more than once.
        """
        np: Any = sys.modules["numpy"]
        own, rows = (np.frombuffer(each.numbers, np.uint64) for each in (self, part))
        own, rows = own[own <= self.bound], rows[rows <= min(self.bound, part.bound)]
        if not len(rows) or not len(own):
            return 0.0
        different, counts = np.unique(own, return_counts=True)
        by_chance = (len(own) - (counts == 1).sum() + 1) / (len(own) + 1)
        found = int(np.isin(rows, different).sum())
        if by_chance**found > _NEVER:
            return 0.0
        share = found / len(rows)
        return share if share == 1 or share > 2 * by_chance + _SOME else 0.0
