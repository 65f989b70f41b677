"""What a JobEvent declares that its job reads and writes: no run did, so no table has it; the log does."""

import json
from collections.abc import Iterator
from typing import Any, Final

from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.log.place import entries_at
from modeltrail_collector.model import LogPartition
from modeltrail_collector.tables.schema import BY_RUN

_OF_JOB: Final = 5
_OF_ALL: Final = 500
"""So many of the newest JobEvents are looked at, of each job and in all."""

_SIDES: Final = ("inputs", "outputs")
_UNSAID: Final = dict.fromkeys(
    name for name in BY_RUN["run_datasets"].names if name not in {"bucket", "run_id"}
)


def of_job(db: Database, namespace: str, name: str) -> dict[str, list[Row] | None]:
    """`inputs` and `outputs` as the last JobEvent declares them that names any: rows as of `run_datasets`.

    None: what the job's events said is in the log no more.
    """
    where, named = "(job_namespace, job_name) = ($namespace, $name)", {"namespace": namespace, "name": name}
    events = list(_events(db, where, _OF_JOB, **named))
    last = next((event for event in events if any(map(event.get, _SIDES))), {})
    return {side: [_row(side, one) for one in _named(last, side)] if events else None for side in _SIDES}


def naming(db: Database, text: str) -> str:
    """A sentence that says which jobs' JobEvents alone name a dataset that is called so; or nothing."""
    newest = f"""true QUALIFY row_number() OVER (PARTITION BY job_namespace, job_name ORDER BY said DESC)
        <= {_OF_JOB}"""
    jobs = {
        f"{event['job']['namespace']}/{event['job']['name']}": side[:-1]
        for event in _events(db, newest, _OF_ALL)
        for side in _SIDES
        for one in _named(event, side)
        if text in {one["name"], f"{one['namespace']}/{one['name']}"} or one["name"].endswith(f"/{text}")
    }
    told = ", ".join(f"{side} of {job}" for job, side in sorted(jobs.items()))
    return (
        f" No run read or wrote it: only the design of a job (JobEvent) names it, as {told}." if jobs else ""
    )


def _events(db: Database, where: str, most: int, **named: str) -> Iterator[dict[str, Any]]:
    """The newest JobEvents, as they came; those that retention removed are left out."""
    db.attach("events")
    rows = db.rows(
        f"""SELECT topic, topic_id, "partition", "offset", coalesce(event_time, ingested_at) AS said
        FROM events WHERE event_kind = 'job' AND NOT duplicate AND {where}
        ORDER BY said DESC, "offset" DESC LIMIT {most}""",  # noqa: S608  ours
        **named,
    )
    places = [(LogPartition(row["topic"], row["topic_id"], row["partition"]), row["offset"]) for row in rows]
    found = {
        (partition, entry.offset): entry.value
        for partition in {partition for partition, _ in places}
        for entry in entries_at(db.log, partition, {offset for one, offset in places if one == partition})
    }
    return (json.loads(found[place] or b"{}") for place in places if place in found)


def _named(event: dict[str, Any], side: str) -> list[dict[str, Any]]:
    return [one for one in event.get(side) or () if one.get("name")]


def _row(side: str, dataset: dict[str, Any]) -> Row:
    told = {"role": side[:-1], "namespace": dataset["namespace"], "name": dataset["name"]}
    return _UNSAID | told | {"capture": "declared"}
