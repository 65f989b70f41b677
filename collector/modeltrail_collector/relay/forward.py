"""The log to an OpenLineage HTTP backend: every event at least once, each run's in order.

::

    log ──merge by arrival──▶ parcels ──▶ lanes ──deliver──▶ backend
     ▲                          │ (not wanted, seen before, held back)
     └── position, counts ◀─────┴── settled in order, per partition

A position moves past a record only when that one, and all before it in its partition, are settled: taken by
the backend, or not to be sent. So after a crash some events are sent again, from there on all and in order:
the last event that a backend gets of a run is the last one that the log has of it.
"""

import heapq
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal

from modeltrail_collector.errors import Unavailable
from modeltrail_collector.log import Log, Place
from modeltrail_collector.log.kept import Kept
from modeltrail_collector.model import Entry, LogPartition
from modeltrail_collector.relay import progress
from modeltrail_collector.relay.backend import TIMEOUT_S, Backend, shown
from modeltrail_collector.relay.books import Books
from modeltrail_collector.relay.delivery import PATIENCE_S, Delivery, Pace
from modeltrail_collector.relay.lanes import Lanes
from modeltrail_collector.relay.parcels import EVERYTHING, Guard, Parcel, Selection, Sorter
from modeltrail_collector.relay.progress import Aside, State
from modeltrail_collector.relay.status import RelayStatus
from modeltrail_collector.relay.trouble import Trouble

Tell = Callable[[RelayStatus], None]

_logger = logging.getLogger(__name__)

_LOOK_S: Final = 0.2
_FINISH_S: Final = 20.0
"""How long the end waits for answers: less than the 30 s that Kubernetes and Docker grant."""
_LOOK_BACK: Final = 1_000
"""So many offsets before the position are looked at again, to know a copy and the end of a run."""


class Relay:
    """Sends a log to one backend.

    Args:
        log: The log.
        backend: Where to; what is remembered of it is found by its URL.
        selection: Which events go; a change of it holds from the position on.
        guard: For whom events are repaired and held back.
        connections: How many events are under way at once, each of another lane.
        rate: Events a second at most.
        for_ever: Whether a backend that is away is waited for; else for half a minute.
    """

    def __init__(
        self,
        log: Log,
        backend: Backend,
        *,
        selection: Selection = EVERYTHING,
        guard: Guard = "marquez",
        connections: int = 8,
        rate: float | None = None,
        for_ever: bool = False,
    ) -> None:
        self.status = RelayStatus()
        self._log = log
        self._folder = progress.folder_of(backend.url)
        self._backend = backend
        self._connections = connections
        self._make_sorter: Callable[[], Sorter] = lambda: Sorter(selection, guard)
        self._sorter = self._make_sorter()
        self._known: set[LogPartition] = set()
        self._left: dict[str, int] | None = None  # the positions at the end of the last turn, if it had one
        self._trouble = Trouble(_logger)
        self._pace = Pace(rate)
        self._patience_s = None if for_ever else PATIENCE_S

    def turn(self, stop: threading.Event, tell: Tell = lambda _: None) -> Counter[str]:
        """Send what the log holds now; returns what became of how many records.

        Ends early, with what was settled remembered, when `stop` is set.

        Raises:
            Unavailable: The backend took nothing for half a minute (unless `for_ever`), or the store is away.
            ConfigError: Nothing is taken there at all.
            OwnershipLost: Another relay to this backend took over.
        """
        with self._log.store.lease(progress.lease_of(self._folder)) as lease:
            keep = progress.kept(self._log, lease, self._folder)
            if keep.state.positions != self._left:
                # What was seen of records that come again is no duplicate.
                self._sorter, self._known = self._make_sorter(), set()
            self._left = None
            before = self.status.records.copy()
            keep.state.to = shown(self._backend.url)
            ends = {partition: self._log.end(partition) for partition in self._log.partitions()}
            _begin_anew_where_shorter(keep.state.positions, ends)
            self._turn(keep, ends, stop, tell)
            if not stop.is_set():
                self._left = keep.state.positions.copy()
            return self.status.records - before

    def _turn(
        self, keep: Kept[State], ends: Mapping[LogPartition, int], stop: threading.Event, tell: Tell
    ) -> None:
        books = Books(keep, ends, self.status, tell)
        delivery = Delivery(self._backend, self.status, self._trouble, self._pace, self._patience_s)
        lanes = Lanes(self._connections, lambda parcel: self._send(parcel, delivery))
        patience_s = _FINISH_S
        try:
            self._fill(lanes, books, self._parcels(keep.state.positions, ends), stop)
            while not stop.is_set() and not lanes.wait(_LOOK_S):
                books.settle()
        except Unavailable:
            patience_s = TIMEOUT_S  # a next turn must not begin beside attempts of this one
            raise
        finally:
            delivery.stop()
            lanes.close(patience_s)
            books.settle(save=True)

    @staticmethod
    def _fill(lanes: Lanes, books: Books, parcels: Iterator[Parcel], stop: threading.Event) -> None:
        """Read, and put to work what is to be sent, as fast as there is room for it."""
        for parcel in parcels:
            books.enter(parcel)
            while parcel.outcome is None and not stop.is_set() and not lanes.put(parcel, _LOOK_S):
                books.settle()
            while books.are_full and not stop.is_set():
                lanes.wait(_LOOK_S)
                books.settle()
            if stop.is_set():
                return
            books.look()

    def _parcels(self, positions: Mapping[str, int], ends: Mapping[LogPartition, int]) -> Iterator[Parcel]:
        """All that is not settled, in the order of its arrival; of each partition in its own order."""
        behind = {
            partition: position
            for partition, end in ends.items()
            if (position := positions.get(progress.key_of(partition), 0)) < end
        }
        readers = [self._read(partition, position) for partition, position in behind.items()]
        return heapq.merge(*readers, key=lambda parcel: parcel.arrived_ms)

    def _read(self, partition: LogPartition, position: int) -> Iterator[Parcel]:
        """The records from a position on, and after each segment its end."""
        start = position if partition in self._known else max(position - _LOOK_BACK, 0)
        self._known.add(partition)
        arrived_ms = 0
        for segment in self._log.segments(partition, start):
            for entry in self._log.read(segment):
                arrived_ms = entry.ingested_at_ms
                if entry.offset >= position:
                    yield self._sorted(Place(partition, entry.offset), entry)
                elif entry.verdict != "rejected":
                    self._sorter.saw(entry)
            if segment.next_offset > position:
                end = Parcel(Place(partition, segment.next_offset), segment.next_offset, arrived_ms)
                end.records, end.outcome = (segment.rows if segment.removed else 0), "removed"
                yield end

    def _sorted(self, place: Place, entry: Entry) -> Parcel:
        parcel = self._sorter.parcel(place, entry)
        if parcel.why:
            self._set_aside(parcel, "held_back", parcel.why)
        return parcel

    def _send(self, parcel: Parcel, delivery: Delivery) -> None:
        """What a lane does."""
        refused = delivery.deliver(parcel.body)
        if refused is not None:
            self._set_aside(parcel, "refused", refused)
        else:
            parcel.settle("sent")

    def _set_aside(self, parcel: Parcel, outcome: Literal["held_back", "refused"], why: str) -> None:
        entry = parcel.entry
        assert entry is not None  # noqa: S101  only records are sent
        aside = Aside(outcome, why, entry.job_name, entry.run_id, entry.event_type)
        progress.set_aside(self._log, self._folder, parcel.place.partition, entry, aside)
        name = parcel.place.name()
        said = {"event": outcome, "record": name, "run_id": entry.run_id}
        _logger.warning("%s is %s: %s", name, outcome.replace("_", " "), why, extra=said)
        parcel.settle(outcome)


def _begin_anew_where_shorter(positions: dict[str, int], ends: Mapping[LogPartition, int]) -> None:
    """A log that is shorter than what was sent was restored; since when it differs, nobody knows."""
    for partition, end in ends.items():
        key = progress.key_of(partition)
        if positions.get(key, 0) > end:
            _logger.warning(
                "%s was relayed up to offset %d and ends at %d now: it is sent again from its start",
                *(key, positions.pop(key), end),
            )
