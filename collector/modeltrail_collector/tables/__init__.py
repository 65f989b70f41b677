"""Avro segments -> Delta tables (Parquet): derived, and derivable again at any time."""

from modeltrail_collector.tables.compaction import (
    CompactResult,
    Progress,
    compact,
    rebuild,
    segments_behind,
    table_store,
)
from modeltrail_collector.tables.freshness import newest_ingested_at
from modeltrail_collector.tables.schema import PUBLIC
from modeltrail_collector.tables.store import TableStore

__all__ = [
    "PUBLIC",
    "CompactResult",
    "Progress",
    "TableStore",
    "compact",
    "newest_ingested_at",
    "rebuild",
    "segments_behind",
    "table_store",
]
