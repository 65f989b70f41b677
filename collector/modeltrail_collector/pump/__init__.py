"""The control flow of the collector.

From a source to the log (`Pump`), from files to the log (`seal_…`), from the log to the log (`replay`).
"""

from modeltrail_collector.pump.files import seal_files, seal_inbox
from modeltrail_collector.pump.pump import Limits, Pump
from modeltrail_collector.pump.replay import ReplayResult, Wanted, replay
from modeltrail_collector.pump.totals import SEAL_BUCKETS, Status, Totals, total

__all__ = [
    "SEAL_BUCKETS",
    "Limits",
    "Pump",
    "ReplayResult",
    "Status",
    "Totals",
    "Wanted",
    "replay",
    "seal_files",
    "seal_inbox",
    "total",
]
