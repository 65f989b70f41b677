"""The log: sealed Avro segments, created once, hash-chained. The truth from which all else is derived."""

from modeltrail_collector.log.log import Log
from modeltrail_collector.log.maintenance import maintain
from modeltrail_collector.log.open import open_log
from modeltrail_collector.log.place import Place, ambiguous, entries_at, entry_at, judge_of, place
from modeltrail_collector.log.replays import Replays, replays
from modeltrail_collector.log.segment import Batch, Gap, Head, Segment
from modeltrail_collector.log.verify import Report, SegmentReport, verify, verify_segments

__all__ = [
    "Batch",
    "Gap",
    "Head",
    "Log",
    "Place",
    "Replays",
    "Report",
    "Segment",
    "SegmentReport",
    "ambiguous",
    "entries_at",
    "entry_at",
    "judge_of",
    "maintain",
    "open_log",
    "place",
    "replays",
    "verify",
    "verify_segments",
]
