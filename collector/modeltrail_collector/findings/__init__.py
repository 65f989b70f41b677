"""Facts that the collector finds itself, told as ordinary OpenLineage events in the log's local chain."""

from modeltrail_collector.findings.changes import Compacted, compact_and_tell

__all__ = ["Compacted", "compact_and_tell"]
