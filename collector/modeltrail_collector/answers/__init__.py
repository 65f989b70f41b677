"""Answers: functions over the tables that return plain JSON values; the command line only prints them.

Each takes a log, or an open handle on one (`modeltrail_collector.open`), which is faster from the second on.
"""

from modeltrail_collector.answers.as_of import as_of
from modeltrail_collector.answers.database import Database
from modeltrail_collector.answers.erasure import erase_plan
from modeltrail_collector.answers.firing import alert
from modeltrail_collector.answers.here import check
from modeltrail_collector.answers.impact import impact
from modeltrail_collector.answers.lists import changes, models, runs, sql
from modeltrail_collector.answers.rejected import rejected_by_code, rejected_list, rejected_record
from modeltrail_collector.answers.reproduce import reproduce
from modeltrail_collector.answers.rules import read_rules
from modeltrail_collector.answers.script import script
from modeltrail_collector.answers.show import show
from modeltrail_collector.answers.trace import trace
from modeltrail_collector.answers.why import why

__all__ = [
    "Database",
    "alert",
    "as_of",
    "changes",
    "check",
    "erase_plan",
    "impact",
    "models",
    "read_rules",
    "rejected_by_code",
    "rejected_list",
    "rejected_record",
    "reproduce",
    "runs",
    "script",
    "show",
    "sql",
    "trace",
    "why",
]
