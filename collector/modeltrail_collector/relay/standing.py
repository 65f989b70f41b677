"""How a relay stands, for people: where it is, what it sent, and what is not at the backend."""

from itertools import islice
from typing import Any

from modeltrail_collector.log import Log, ambiguous
from modeltrail_collector.relay.progress import asides, backends, folder_of, key_of, known


def standings(log: Log, url: str | None, limit: int) -> list[dict[str, Any]]:
    """One for each backend that the log was relayed to, or for this one alone.

    `aside` has so many at most of the events that are held back or were refused; `records` counts all.
    """
    folders = [folder_of(url)] if url else backends(log)
    return [found for folder in folders if (found := _standing(log, folder, limit))]


def _standing(log: Log, folder: str, limit: int) -> dict[str, Any] | None:
    state = known(log, folder)
    if state is None:
        return None
    positions = [
        {
            "topic": partition.topic,
            "topic_id": partition.topic_id,
            "partition": partition.partition,
            "next_offset": (position := state.positions.get(key_of(partition), 0)),
            "behind": max(log.end(partition) - position, 0),
        }
        for partition in log.partitions()
    ]
    twice = ambiguous(log)
    return {
        "to": state.to,
        "behind": sum(position["behind"] for position in positions),
        "records": state.records,
        "repaired": state.repaired,
        "positions": positions,
        "aside": [
            {
                "record": where.name(full=where.partition.topic in twice),
                "outcome": aside.outcome,
                "why": aside.why,
                "job": aside.job,
                "run_id": aside.run_id,
                "event_type": aside.event_type,
            }
            for where, aside in islice(asides(log, folder), limit)
        ],
    }
