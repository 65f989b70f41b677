"""The records that were turned away: which, why, and whether they were replayed since."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from modeltrail_collector import judge
from modeltrail_collector.answers.database import Database, Row, database
from modeltrail_collector.errors import NotFound
from modeltrail_collector.log import Log, Place, Replays, ambiguous, entry_at, judge_of, place, replays
from modeltrail_collector.log.replays import source
from modeltrail_collector.model import LOCAL, LogPartition

_CHOSEN: Final = """FROM letters
    WHERE ($topic IS NULL OR topic = $topic)
        AND (len($codes) = 0 OR list_contains($codes, code))
        AND ($since IS NULL OR ingested_at >= CAST($since AS TIMESTAMPTZ))"""


def rejected_list(
    of: Log | Database,
    *,
    topic: str | None = None,
    codes: Sequence[str] = (),
    since: datetime | None = None,
    limit: int | None = None,
) -> list[Row]:
    """Rejected records, newest first: one row per reason.

    `record` is the name by which `rejected_record` knows it, `replayed` when it was taken in after all.
    """
    with _letters(of) as db:
        return db.rows(
            f"""SELECT record, * EXCLUDE (record, arrival_date) {_CHOSEN}
            ORDER BY ingested_at DESC, topic, "partition", "offset" DESC, code, path LIMIT $limit""",
            **_filters(topic, codes, since),
            limit=limit if limit is not None else 1 << 40,
        )


def rejected_by_code(
    of: Log | Database, *, topic: str | None = None, codes: Sequence[str] = (), since: datetime | None = None
) -> list[Row]:
    """How many records carry each code, how many of them were replayed since, and one of the sentences."""
    with _letters(of) as db:
        return db.rows(
            f"""SELECT code, count(DISTINCT record) AS records,
                count(DISTINCT record) FILTER (replayed IS NOT NULL) AS replayed,
                min(ingested_at) AS "first", max(ingested_at) AS "last",
                arg_max(message, ingested_at) AS message
            {_CHOSEN} GROUP BY code ORDER BY records DESC, code""",
            **_filters(topic, codes, since),
        )


def _filters(topic: str | None, codes: Sequence[str], since: datetime | None) -> dict[str, object]:
    return {"topic": topic, "codes": list(codes), "since": since and since.isoformat()}


@contextlib.contextmanager
def _letters(of: Log | Database) -> Iterator[Database]:
    """The table `rejected` with the columns `record` and `replayed`, as `letters`."""
    with database(of, "rejected") as db:
        db.fill("anew", ("topic",), [(topic,) for topic in sorted(ambiguous(db.log))])
        db.fill("replays", ("topic", "topic_id", "number", "first", "next", "at"), _ranges(replays(db.log)))
        db.connection.execute("""CREATE OR REPLACE TEMP VIEW letters AS
            SELECT r.*, s."at" AS replayed,
                concat_ws('/', r.topic, CASE WHEN r.topic IN (FROM anew) THEN r.topic_id END,
                    "partition", "offset") AS record
            FROM rejected AS r LEFT JOIN replays AS s
                ON r.topic = s.topic AND r.topic_id = s.topic_id AND "partition" = CAST(number AS INTEGER)
                AND "offset" >= CAST("first" AS BIGINT) AND "offset" < CAST("next" AS BIGINT)""")
        yield db


def _ranges(known: Replays) -> Iterator[tuple[str, ...]]:
    for partition, ranges in known.found.items():
        for one in ranges:
            numbers = (str(partition.partition), str(one.first), str(one.next))
            yield (partition.topic, partition.topic_id, *numbers, one.at)


def rejected_record(of: Log | Database, name: str) -> dict[str, Any]:
    """All that the log holds of one rejected record, named as `rejected_list` does, and what holds today.

    It is read from the log itself, so it need not be compacted. `key`, `value` and the values of headers are
    bytes; `judge_id` is the judge that rejected it; `today` is what the judge says now; `replayed` says when
    and as which record it was taken in after all.

    Raises NotFound where there is no such record, ConfigError for a name that is none.
    """
    log = of.log if isinstance(of, Database) else of
    where = place(log, name)
    segment, entry = entry_at(log, where)
    if entry.verdict != "rejected":
        raise NotFound(f"{name} is not rejected: it was {entry.verdict}")
    verdict = judge.judge(entry.value)
    return {
        "record": where.name(full=where.partition.topic in ambiguous(log)),
        "topic_id": where.partition.topic_id,
        **msgspec.structs.asdict(entry),
        "timestamp": _time(entry.timestamp_ms),
        "ingested_at": _time(entry.ingested_at_ms),
        "size": len(entry.value or b""),
        "segment": segment.name,
        "judge_id": judge_of(segment, where.offset),
        "today": {
            "judge_id": judge.judge_id(),
            "verdict": verdict.verdict,
            "reasons": verdict.reasons,
        },
        "replayed": _replayed(log, where.partition, where.offset),
    }


def _replayed(log: Log, partition: LogPartition, offset: int) -> dict[str, str | None] | None:
    """When, and as which record; that is None where retention removed the copy."""
    found = replays(log).of(partition, offset)
    if found is None:
        return None
    copies = (one.offset for one in log.read(found.segment) if one.source == source(partition, offset))
    copy = next(copies, None)
    name = None if copy is None else Place(LOCAL, copy).name()
    return {"at": found.at, "record": name}


def _time(milliseconds: int) -> str | None:
    """RFC 3339; None for a time that no calendar has: a producer's clock may say anything."""
    try:
        at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
