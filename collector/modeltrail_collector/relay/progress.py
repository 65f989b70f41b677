"""How far a relay is, kept in the log's store: below `relay/<host>-<digest of the URL>/`.

`state.json` says, per partition, from where on events are still to be sent, and what became of those before.
Each event that is held back or was refused has a file of its own below `aside/`, which is written before
the position passes it: after a crash it is looked at again, and the file is there already.
"""

import hashlib
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from modeltrail_collector.log import Log, Place
from modeltrail_collector.log.kept import Kept
from modeltrail_collector.log.store import Lease
from modeltrail_collector.model import Entry, LogPartition
from modeltrail_collector.relay.backend import endpoint, shown

FOLDER: Final = "relay"
STATE: Final = "state.json"

Outcome = Literal["sent", "held_back", "refused", "filtered", "duplicate", "rejected", "removed"]


class Repaired(msgspec.Struct):
    """How often a rule mended an event, and the last one: `openlineage.events/0/17: outputs[0].namespace`."""

    events: int = 0
    last: str = ""


class State(msgspec.Struct):
    """What is remembered. Counts are of the records before the positions, each once.

    Attributes:
        to: The backend, without secrets.
        positions: Per partition, by `topic/topic id/number`, the offset to go on from.
        records: How many had which outcome.
        repaired: By rule of `guard.RULES`.
    """

    to: str = ""
    positions: dict[str, int] = {}
    records: dict[Outcome, int] = {}
    repaired: dict[str, Repaired] = {}


class Aside(msgspec.Struct):
    """An event that is not at the backend, and why."""

    outcome: Literal["held_back", "refused"]
    why: str
    job: str | None
    run_id: str | None
    event_type: str | None


class Found(NamedTuple):
    """One that `asides` found."""

    place: Place
    aside: Aside


def folder_of(url: str) -> str:
    """Where what is known of a backend lies: by its endpoint, whoever asks with whatever key."""
    known = shown(endpoint(url))
    digest = hashlib.sha256(known.encode()).hexdigest()[:12]
    return f"{FOLDER}/{urlsplit(known).hostname}-{digest}"


def key_of(partition: LogPartition) -> str:
    """A partition as the state names it."""
    return f"{partition.topic}/{partition.topic_id}/{partition.partition}"


def kept(log: Log, lease: Lease, folder: str) -> Kept[State]:
    """The state, for as long as the lease is ours."""
    return Kept(log.store, lease, f"{folder}/{STATE}", State, "everything is sent again")


def known(log: Log, folder: str) -> State | None:
    """The state as it is now, whoever works on it; None if there is none."""
    try:
        return msgspec.json.decode(log.store.read(f"{folder}/{STATE}"), type=State)
    except FileNotFoundError:
        return None


def backends(log: Log) -> list[str]:
    """The folders of all backends that the log was relayed to."""
    return [f"{FOLDER}/{name}" for name in log.store.folders(FOLDER)]


def set_aside(log: Log, folder: str, partition: LogPartition, entry: Entry, aside: Aside) -> None:
    """Remember that an event was not sent, or not taken."""
    name = f"{folder}/aside/{key_of(partition)}/{entry.offset:020}.json"
    log.store.create(name, msgspec.json.encode(aside))


def asides(log: Log, folder: str) -> Iterator[Found]:
    """Every event that is not at the backend, by place."""
    for partition, names in _aside_names(log, folder):
        for name in names:
            where = Place(partition, int(name.removesuffix(".json")))
            data = log.store.read(f"{folder}/aside/{key_of(partition)}/{name}")
            yield Found(where, msgspec.json.decode(data, type=Aside))


def forget(log: Log, folder: str) -> None:
    """Begin anew: as if the log had never been relayed there."""
    with log.store.lease(lease_of(folder)):
        log.store.remove(f"{folder}/{STATE}")
        for partition, names in _aside_names(log, folder):
            for name in names:
                log.store.remove(f"{folder}/aside/{key_of(partition)}/{name}")


def lease_of(folder: str) -> str:
    """The name of the lease that one relay to a backend has at a time."""
    return folder.replace("/", "-")


def _aside_names(log: Log, folder: str) -> Iterator[tuple[LogPartition, list[str]]]:
    top = f"{folder}/aside"
    for topic in log.store.folders(top):
        for topic_id in log.store.folders(f"{top}/{topic}"):
            for number in log.store.folders(f"{top}/{topic}/{topic_id}"):
                names = log.store.files(f"{top}/{topic}/{topic_id}/{number}")
                yield LogPartition(topic, topic_id, int(number)), names
