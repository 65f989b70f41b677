"""A record on its way: whether it goes, as what, and behind which others."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from modeltrail_collector.log import Place
from modeltrail_collector.model import Entry, EventKind
from modeltrail_collector.relay.guard import Ends, Repair, guarded, symlinks
from modeltrail_collector.relay.progress import Outcome
from modeltrail_schemas.keys import event_key
from modeltrail_schemas.printable import printable

Guard = Literal["marquez", "none"]

_DUPLICATES: Final = 100_000
_JOBS: Final = 100_000
_NAMES: Final = 100_000


class Parcel(msgspec.Struct):
    """A record, or (`entry` None) the end of a segment, whose `records` are those that retention removed.

    Attributes:
        place: Where it lies; the position after it is `next_offset`.
        arrived_ms: When it was collected: records of several partitions go in this order.
        lane: Events of one lane go one after the other.
        after: Events of other lanes that have to be settled before it goes.
        body: What is sent.
        outcome: What became of it; None until something did.
        repairs: What was mended of it.
        why: Why it is held back; it is held back once that is written down.
        records: How many the outcome is about.
    """

    place: Place
    next_offset: int
    arrived_ms: int
    entry: Entry | None = None
    lane: str = ""
    after: "tuple[Parcel, ...]" = ()
    body: bytes = b""
    outcome: Outcome | None = None
    repairs: tuple[Repair, ...] = ()
    why: str = ""
    records: int = 1

    @property
    def is_free(self) -> bool:
        """Whether nothing of another lane has to go before it."""
        return all(other.outcome is not None for other in self.after)

    def settle(self, outcome: Outcome) -> None:
        """It is done: what was needed for that is let go."""
        self.outcome = outcome
        self.entry, self.body, self.after = None, b"", ()


class Selection(NamedTuple):
    """What is wanted: of these kinds, and of jobs (or datasets that are told of alone) in these namespaces.

    Empty: all.
    """

    kinds: frozenset[EventKind] = frozenset()
    namespaces: frozenset[str] = frozenset()

    def admits(self, kind: EventKind | None, event: Mapping[str, Any]) -> bool:
        """Whether an event is wanted."""
        if self.kinds and kind not in self.kinds:
            return False
        return not self.namespaces or _subject(kind, event).get("namespace") in self.namespaces


EVERYTHING: Final = Selection()


class Sorter:
    """Makes parcels of records; remembers what it saw, to know a duplicate and the lane of a job."""

    def __init__(self, selection: Selection, guard: Guard) -> None:
        self._selection = selection
        self._guard = guard
        self._seen: dict[str, None] = {}
        self._lanes: dict[str, str] = {}
        self._ends = Ends()
        self._naming: dict[tuple[str, str], Parcel] = {}

    def saw(self, entry: Entry) -> bool:
        """Note a record; whether the same event was among the last 100,000 already."""
        if entry.sha256 in self._seen:
            return True
        self._seen[entry.sha256] = None
        self._ends.note(entry.run_id, entry.event_type)
        if len(self._seen) > _DUPLICATES:
            del self._seen[next(iter(self._seen))]
        return False

    def parcel(self, place: Place, entry: Entry) -> Parcel:
        """What goes of a record, if anything does."""
        parcel = Parcel(place, place.offset + 1, entry.ingested_at_ms, entry)
        if entry.verdict == "rejected" or entry.value is None:
            parcel.settle("rejected")
        elif self.saw(entry):
            parcel.settle("duplicate")
        else:
            event = json.loads(entry.value)
            if self._selection.admits(entry.event_kind, event):
                self._address(parcel, entry, event)
            else:
                parcel.settle("filtered")
        return parcel

    def _address(self, parcel: Parcel, entry: Entry, event: dict[str, Any]) -> None:
        parcel.body = entry.value or b""
        if self._guard == "marquez":
            found = guarded(event)
            if found.event is None:
                parcel.why = printable("; ".join(f"{path}: {why}" for path, why, _ in found.problems))
                return
            kept = self._ends.kept(found.event, entry.run_id)
            if repairs := found.repairs + kept.repairs:
                event, parcel.repairs = kept.event or event, repairs
                parcel.body = json.dumps(event, separators=(",", ":")).encode()
        parcel.lane = self._lane(entry.event_kind, event)
        self._follow_names(parcel, event)

    def _lane(self, kind: EventKind | None, event: dict[str, Any]) -> str:
        """Events of one run, of its job, and of all jobs below one root, as far as the events say.

        A job stays in the lane in which it was first seen: not every event of a run names its parent, and a
        child names its parent, but not always its root.
        """
        subject = _subject(kind, event)
        own = key = f"{kind}:{subject.get('namespace')}/{subject.get('name')}"
        with contextlib.suppress(AttributeError, KeyError, TypeError):  # a part of another shape
            key = event_key(event).decode()
        if len(self._lanes) > _JOBS:
            self._lanes.clear()
        lane = self._lanes.get(own) or self._lanes.get(key) or key
        self._lanes.setdefault(own, lane)
        self._lanes.setdefault(key, lane)
        return lane

    def _follow_names(self, parcel: Parcel, event: dict[str, Any]) -> None:
        """Who reads a dataset by another name comes after the event that tells of that name.

        Else Marquez makes two datasets of it, which no later event joins.
        """
        if len(self._naming) > _NAMES:
            self._naming.clear()
        told = [*_datasets(event)]
        earlier = {
            self._naming[name].place: self._naming[name] for name in map(_name, told) if name in self._naming
        }
        parcel.after = tuple(other for other in earlier.values() if other.outcome is None)
        for dataset in told:
            for link in symlinks(dataset.get("facets")):
                self._naming[_name(link)] = parcel


def _datasets(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for told in (event.get("inputs"), event.get("outputs"), [event.get("dataset")]):
        yield from (one for one in (told if isinstance(told, list) else ()) if isinstance(one, dict))


def _name(named: Mapping[str, Any]) -> tuple[str, str]:
    return str(named.get("namespace")), str(named.get("name"))


def _subject(kind: EventKind | None, event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The job, or the dataset, that an event is about."""
    found = event.get("dataset" if kind == "dataset" else "job")
    return found if isinstance(found, dict) else {}
