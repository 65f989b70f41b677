"""Avro segments -> Delta tables (Parquet): derived, and derivable again at any time."""

from modeltrail_collector.tables.compaction import CompactResult, compact, rows_version, segments_behind
from modeltrail_collector.tables.derivation import ROWS_VERSION
from modeltrail_collector.tables.freshness import newest_ingested_at
from modeltrail_collector.tables.rebuilding import rebuild
from modeltrail_collector.tables.retention import Forgotten, forget, forgotten_before, horizon
from modeltrail_collector.tables.schema import PUBLIC
from modeltrail_collector.tables.store import TableDamaged, TableStore
from modeltrail_collector.tables.upkeep import Upkeep, keep_up
from modeltrail_collector.tables.work import Progress, table_store

__all__ = [
    "PUBLIC",
    "ROWS_VERSION",
    "CompactResult",
    "Forgotten",
    "Progress",
    "TableDamaged",
    "TableStore",
    "Upkeep",
    "compact",
    "forget",
    "forgotten_before",
    "horizon",
    "keep_up",
    "newest_ingested_at",
    "rebuild",
    "rows_version",
    "segments_behind",
    "table_store",
]
