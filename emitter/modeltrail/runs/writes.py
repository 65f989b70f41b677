"""Which files a run has written, and of what."""

from collections.abc import Iterable, Mapping
from typing import Any

from modeltrail.runs import process
from modeltrail.runs.transforms import Identity, Transform


class Writes:
    """The files of a run whose data came from known ones: edges of lineage, of which few are also a step."""

    def __init__(self) -> None:
        self._made: dict[Identity, Transform] = {}
        self._lost: set[Identity] = set()
        self._behind: dict[Identity, Identity] = {}
        self._over: set[Identity] = set()
        self._unseen: dict[Identity, int] = {}
        self._going_on: dict[Identity, bool] = {}
        self._lock = process.Lock()

    def expect(self, target: Identity, *, is_behind: bool, is_own: bool, is_input: bool) -> None:
        """What is written next comes in place of what is there, or behind it.

        What is there the run itself wrote, or it is an input of it.
        """
        with self._lock:
            self._going_on.pop(target, None)  # of a write that failed
            if is_behind:
                self._going_on[target] = is_own
            if is_input and not is_own:
                self._over.add(target)

    def add_unseen(self, target: Identity, number: int) -> None:
        """What was written there last holds something from nowhere: any of the first so many predictions.

        To be said before the write is, which tells whether what was there is left.
        """
        with self._lock:
            before = self._unseen.pop(target, 0)
            if number := max(number, before if self._going_on.get(target) else 0):
                self._unseen[target] = number

    def unseen(self) -> dict[Identity, int]:
        """Files that hold something from nowhere -> how many predictions that may be any of."""
        with self._lock:
            return dict(self._unseen)

    def add(self, target: Identity, sources: Iterable[Identity] | None, step: Mapping[str, Any] = {}) -> bool:
        """Write down of which inputs a file was written, and how: in place of what it held, or behind that.

        Of None it came from nowhere. Returns whether all of it is known to come from inputs; else what
        the run has read until now may be a source of it.
        """
        with self._lock:
            is_own, known = self._going_on.pop(target, None), self._made.get(target)
            if is_own is None:
                self._behind.pop(target, None)
            elif not is_own:
                self._behind[target] = target
            if sources is None or (is_own and target in self._lost):
                self._lost.add(target)
                self._made.pop(target, None)
                return False
            self._lost.discard(target)
            found = dict.fromkeys(sources)
            if is_own and known is not None:
                found, step = {**dict.fromkeys(known.sources), **found}, step if step == known.step else {}
            self._made[target] = Transform("", tuple(found), (target,), {**step})
            return True

    def told(self) -> list[Transform]:
        """One for each file that is known to have come from others."""
        with self._lock:
            return list(self._made.values())

    def behind(self) -> dict[Identity, Identity]:
        """Files that what was in them before is still a part of -> the input that this was."""
        with self._lock:
            return dict(self._behind)

    def over(self) -> set[Identity]:
        """Inputs of which the run has written where they lay."""
        with self._lock:
            return set(self._over)

    def rename(self, moved: Mapping[Identity, Identity]) -> None:
        """Files that were written have other names now, in place of what had these."""
        with self._lock:
            gone = set(moved.values()).difference(moved)
            self._made = {
                moved.get(key, key): step.renamed(moved, self._over)
                for key, step in self._made.items()
                if key not in gone
            }
            self._unseen = {moved.get(key, key): of for key, of in self._unseen.items() if key not in gone}
            self._lost = {moved.get(key, key) for key in self._lost - gone}
            self._behind = {moved.get(key, key): lay for key, lay in self._behind.items() if key not in gone}
