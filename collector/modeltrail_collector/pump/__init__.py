"""The control flow of the collector.

From a source to the log (`Pump`), from files to the log (`seal_…`), from the log to the log (`replay`).
"""

from modeltrail_collector.pump.files import seal_files, seal_inbox
from modeltrail_collector.pump.pump import Limits, Pump
from modeltrail_collector.pump.replay import ReplayResult, Wanted, replay
from modeltrail_collector.pump.totals import Totals

__all__ = ["Limits", "Pump", "ReplayResult", "Totals", "Wanted", "replay", "seal_files", "seal_inbox"]
