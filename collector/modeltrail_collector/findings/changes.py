"""What changed in each new model version, told in the log: one event per version, once.

It is done in one turn of the tables' owner: compact, look which versions nobody has told about, seal what is
to be said of them into the log's local chain, compact again. The chain is where the inbox goes too, and it is
there in object stores, which have no inbox. The tables are at the end of the log when it is looked, so that
what was told once is known: killed anywhere, the next turn tells what is missing, and a rebuild finds
everything told. Should two owners overlap, both write the same bytes, which count once.

What is told mentions no new version, so that it causes nothing to be told.
"""

import logging
from typing import Final

import msgspec

from modeltrail_collector import judge
from modeltrail_collector.answers.database import Database, Row, database
from modeltrail_collector.answers.why import causes_of
from modeltrail_collector.failpoints import reached
from modeltrail_collector.findings import event
from modeltrail_collector.findings.event import Version
from modeltrail_collector.log import Log
from modeltrail_collector.model import LOCAL, Record
from modeltrail_collector.pump.local import LocalWriter
from modeltrail_collector.pump.totals import Totals
from modeltrail_collector.tables import CompactResult, horizon
from modeltrail_collector.tables.compaction import compact_now
from modeltrail_collector.tables.differences import JOB
from modeltrail_collector.tables.work import OnProgress, Work, alone

_logger = logging.getLogger(__name__)

SOURCE: Final = "modeltrail:changes"
"""What such a record says about where it came from."""


class Compacted(CompactResult, frozen=True):
    """What was taken up, and of how many model versions it was told what changed."""

    changes: int = 0


def compact_and_tell(
    log: Log, *, most: int | None = None, on_progress: OnProgress | None = None
) -> Compacted:
    """Bring all tables up to the log, and tell of new model versions what changed in them.

    Of at most `most` versions: those of an old log then come with the next turns. Raises as `tables.compact`.
    """
    return alone(log, on_progress, lambda work: _turn(work, most))


def _turn(work: Work, most: int | None) -> Compacted:
    first = compact_now(work)
    told = _tell(work, most)
    again = msgspec.structs.replace(work, partitions=work.log.partitions())  # the local chain may be new
    second = compact_now(again) if told else CompactResult()
    summed = {name: getattr(first, name) + getattr(second, name) for name in CompactResult.__struct_fields__}
    return Compacted(**summed, changes=told)


def _tell(work: Work, most: int | None) -> int:
    """Seal what is to be said of versions of which nothing was said; how many they are."""
    with database(work.log, "models", "runs") as db:
        versions = _untold(db, horizon(work.log))[:most]
        if not versions:
            return 0
        db.attach("changes", held=True)
        values = [
            msgspec.json.encode(event.make(version, _changes(db, version), _causes(db, version)))
            for version in versions
        ]
    judged = [(value, judge.judge(value)) for value in values]
    told = [(value, verdict) for value, verdict in judged if verdict.verdict != "rejected"]
    for _, verdict in judged:
        if verdict.verdict == "rejected":  # no table would know of it, and it would be told for ever
            _logger.error("what changed in a model version cannot be told: %s", verdict.reasons[:1])
    reached("changes_found")
    work.log.recover(LOCAL)
    work.lease.check()
    writer = LocalWriter(work.log, work.log.end(LOCAL), Totals())
    for value, verdict in told:
        record = Record(
            LOCAL.topic,
            LOCAL.partition,
            writer.end,
            SOURCE,
            work.log.wall(),
            f"run:{JOB[0]}/{JOB[1]}".encode(),
            (),
            value,
        )
        writer.add(record, verdict)
    writer.seal()
    reached("changes_sealed")
    return len(told)


def _untold(db: Database, since: str) -> list[Version]:
    """New model versions that nothing was told about, newest first; a registered one goes by that name.

    What is older than the horizon of the tables' retention is not new: what was told of it may be forgotten.
    """
    versions = [
        Version(**row)
        for row in db.rows(
            """SELECT namespace, name, version, created_at,
                lag(version) OVER (PARTITION BY namespace, name ORDER BY created_at, version) AS base
            FROM models
            WHERE registered_name IS NOT NULL OR digest IS NULL OR digest NOT IN (
                SELECT digest FROM models WHERE registered_name IS NOT NULL AND digest IS NOT NULL)
            ORDER BY created_at DESC, namespace, name, version DESC"""
        )
    ]
    told = {
        row["run_id"]
        for row in db.rows(
            "SELECT run_id FROM runs WHERE (job_namespace, job_name) = ($namespace, $name)",
            namespace=JOB[0],
            name=JOB[1],
        )
    }
    return [one for one in versions if one.created_at >= since and one.run_id not in told]


def _changes(db: Database, version: Version) -> list[Row]:
    return db.rows(
        """SELECT section, path, before, after FROM changes
        WHERE (namespace, name, version, base_version) = ($namespace, $name, $version, $base)
        ORDER BY ALL""",
        namespace=version.namespace,
        name=version.name,
        version=version.version,
        base=version.base,
    )


def _causes(db: Database, version: Version) -> list[Row] | None:
    """The likely causes; None where they cannot be worked out: the differences are told all the same."""
    if version.base is None:
        return []
    try:
        return causes_of(db, version.namespace, version.name, version.base, version.version)
    except Exception:  # what strangers say must not end who compacts
        _logger.exception("the causes of %s %s cannot be worked out", version.name, version.version)
        return None
