"""The records behind a report: where they lie in the log, and whether they are what was sealed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from modeltrail_collector.errors import NotVerified
from modeltrail_collector.log import Log, Place, Segment, SegmentReport, verify_segments
from modeltrail_collector.model import Entry, LogPartition, Reason
from modeltrail_collector.tables.flatten import entries_batch, flatten

Row = Mapping[str, Any]

VERIFIED: Final = "verified"
DIFFERENT: Final = "not verified"
REMOVED: Final = "removed by retention"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the trail as it lies in the log; `verdict` is the judge's, with what it was warned of."""

    place: str
    run_id: str
    job: str
    event_type: str | None
    event_time: str | None
    verdict: str
    sha256: str
    answer: str


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """One segment that holds events of the trail, recomputed."""

    name: str
    first_offset: int
    next_offset: int
    records: int
    sealed_at: str
    sha256: str
    chain_start: str
    chain_end: str
    answer: str
    repaired: bool


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `facets` that were quoted from the tables were looked for in the sealed records."""

    records: tuple[Record, ...]
    segments: tuple[Sealed, ...]
    facets: int
    problems: tuple[str, ...]

    @property
    def answer(self) -> str:
        """Whether all that is quoted is what was sealed."""
        if self.problems:
            return DIFFERENT
        gone = any(record.answer == REMOVED for record in self.records)
        return f"{VERIFIED}, but for records {REMOVED}" if gone else VERIFIED


def evidence(log: Log, events: Sequence[Row], facets: Sequence[Row], places: "Places") -> Evidence:
    """Recompute the segments that hold the events, and compare what the tables say with their records.

    `events` and `facets` are rows of those tables; no event of a run of the facets may be missing.
    """
    wanted: dict[LogPartition, set[int]] = {}
    for row in events:
        wanted.setdefault(partition_of(row), set()).add(row["offset"])
    found: list[SegmentReport] = []
    problems: list[str] = []
    for partition, offsets in sorted(wanted.items()):
        try:
            for report in verify_segments(log, partition, offsets):
                found.append(report)
                problems += report.problems
        except NotVerified as error:
            problems.append(str(error))
    sealed = {(report.segment.partition, one.offset): one for report in found for one in report.entries}
    removed = [report.segment for report in found if report.segment.removed]
    unread = [report.segment for report in found if report.problems and not report.entries]
    records = []
    for row in events:
        entry = sealed.get((partition_of(row), row["offset"]))
        gone = _is_in(removed, row)
        answer = REMOVED if gone else VERIFIED if entry and entry.sha256 == row["sha256"] else DIFFERENT
        records.append(_record(row, places.name(row), answer, entry.reasons if entry else ()))
        if answer == DIFFERENT and not _is_in(unread, row):
            problems.append(f"{places.name(row)}: the tables speak of a record that was not sealed there")
    compared = [row for row in facets if not _is_in([*removed, *unread], row)]
    problems += _unsealed(found, compared, places)
    return Evidence(
        records=tuple(records),
        segments=tuple(_sealed(report) for report in found),
        facets=len(compared),
        problems=tuple(dict.fromkeys(problems)),
    )


class Places:
    """Names of records: `TOPIC/PARTITION/OFFSET`, with the topic's id where the topic was made anew."""

    def __init__(self, ambiguous: set[str]) -> None:
        self.ambiguous = ambiguous

    def name(self, row: Row) -> str:
        """The name of the record that a row of a table comes from."""
        return Place(partition_of(row), row["offset"]).name(full=row["topic"] in self.ambiguous)


def partition_of(row: Row) -> LogPartition:
    """The chain that a row of a table comes from."""
    return LogPartition(row["topic"], row["topic_id"], row["partition"])


def _is_in(segments: Iterable[Segment], row: Row) -> bool:
    """Whether the record that a row of a table comes from lies in one of these."""
    return any(
        each.partition == partition_of(row) and each.first_offset <= row["offset"] < each.next_offset
        for each in segments
    )


def _unsealed(found: Iterable[SegmentReport], facets: Iterable[Row], places: Places) -> Iterator[str]:
    """The facets that the tables hold and the sealed records do not."""
    sealed = {
        (report.segment.partition, *facet)
        for report in found
        for facet in _facets(report.segment.partition, report.entries)
    }
    for row in facets:
        chain = partition_of(row)
        key = (chain, row["offset"], row["scope"], row["namespace"], row["name"], row["key"], row["text"])
        if key not in sealed:
            yield f"{places.name(row)}: the facet {row['key']} of the tables is not the one that was sealed"


def _facets(partition: LogPartition, entries: Sequence[Entry]) -> Iterator[tuple[Any, ...]]:
    batch = flatten(entries_batch(partition, entries)).select(["offset", "facets"])
    for row in batch.to_pylist():
        for facet in row["facets"]:
            yield (row["offset"], *(facet[name] for name in ("scope", "namespace", "name", "key", "value")))


def _record(row: Row, place: str, answer: str, reasons: Iterable[Reason]) -> Record:
    why = "; ".join(f"{one.path} {one.message}" for one in reasons)
    return Record(
        place=place,
        run_id=row["run_id"],
        job=row["job_name"],
        event_type=row["event_type"],
        event_time=row["event_time"],
        verdict=f"{row['verdict']}: {why}" if why else row["verdict"],
        sha256=row["sha256"],
        answer=answer,
    )


def _sealed(report: SegmentReport) -> Sealed:
    segment = report.segment
    answer = DIFFERENT if report.problems else REMOVED if segment.removed else VERIFIED
    return Sealed(
        name=segment.name,
        first_offset=segment.first_offset,
        next_offset=segment.next_offset,
        records=segment.rows,
        sealed_at=segment.sealed_at,
        sha256=segment.sha256,
        chain_start=segment.chain_start,
        chain_end=segment.chain_end,
        answer=answer,
        repaired=segment.repair is not None,
    )
