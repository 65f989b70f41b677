"""What became of each record, in order: how far a position may move, and the counts before it."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from modeltrail_collector.log.kept import Kept
from modeltrail_collector.model import LogPartition
from modeltrail_collector.relay.parcels import Parcel
from modeltrail_collector.relay.progress import Repaired, State, key_of
from modeltrail_collector.relay.status import RelayStatus

_SAVE_S: Final = 2.0
_SETTLE_S: Final = 0.2
_MOST_OPEN: Final = 5_000


class Books:
    """The parcels of one turn, from when they are read until they are settled.

    Args:
        keep: The state, which is written every two seconds.
        ends: Where the partitions end now.
        status: Told of the same.
        tell: Called when something was settled, a few times a second at most.
    """

    def __init__(
        self,
        keep: Kept[State],
        ends: Mapping[LogPartition, int],
        status: RelayStatus,
        tell: Callable[[RelayStatus], None],
    ) -> None:
        self._keep = keep
        self._status = status
        self._tell = tell
        self._open: dict[LogPartition, deque[Parcel]] = {partition: deque() for partition in ends}
        positions = keep.state.positions
        status.behind = sum(end - positions.get(key_of(partition), 0) for partition, end in ends.items())
        self._settled_at = self._saved_at = time.monotonic()

    def enter(self, parcel: Parcel) -> None:
        """A parcel that was read: behind all of its partition."""
        self._open[parcel.place.partition].append(parcel)
        self._status.under_way += 1

    @property
    def are_full(self) -> bool:
        """Whether one that is not settled holds up so many that no more should be read."""
        return self._status.under_way >= _MOST_OPEN

    def look(self) -> None:
        """Settle, if the last time is not just now."""
        if time.monotonic() - self._settled_at >= _SETTLE_S:
            self.settle()

    def settle(self, *, save: bool = False) -> None:
        """Move each position past what is done; remember it, now and then or at once (`save`)."""
        for parcels in self._open.values():
            while parcels and parcels[0].outcome is not None:
                self._count(parcels.popleft())
        now = self._settled_at = time.monotonic()
        self._tell(self._status)
        if save or now - self._saved_at >= _SAVE_S:
            self._keep.save()
            self._saved_at = time.monotonic()

    def _count(self, parcel: Parcel) -> None:
        state, status, place = self._keep.state, self._status, parcel.place
        key = key_of(place.partition)
        status.under_way -= 1
        status.behind -= parcel.next_offset - state.positions.get(key, 0)
        state.positions[key] = parcel.next_offset
        if parcel.outcome is None or parcel.records == 0:
            return
        state.records[parcel.outcome] = state.records.get(parcel.outcome, 0) + parcel.records
        status.records[parcel.outcome] += parcel.records
        for rule in {repair.rule for repair in parcel.repairs} if parcel.outcome == "sent" else ():
            where = next(repair.path for repair in parcel.repairs if repair.rule == rule)
            known = state.repaired.setdefault(rule, Repaired())
            known.events += 1
            known.last = f"{place.name()}: {where}"
            status.repaired[rule] += 1
