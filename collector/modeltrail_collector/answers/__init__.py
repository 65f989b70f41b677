"""Answers: functions over the tables that return plain JSON values; the command line only prints them."""

from modeltrail_collector.answers.here import check
from modeltrail_collector.answers.lists import changes, models, runs, sql
from modeltrail_collector.answers.rejected import rejected_by_code, rejected_list, rejected_record
from modeltrail_collector.answers.reproduce import reproduce
from modeltrail_collector.answers.script import script
from modeltrail_collector.answers.show import show
from modeltrail_collector.answers.trace import trace

__all__ = [
    "changes",
    "check",
    "models",
    "rejected_by_code",
    "rejected_list",
    "rejected_record",
    "reproduce",
    "runs",
    "script",
    "show",
    "sql",
    "trace",
]
