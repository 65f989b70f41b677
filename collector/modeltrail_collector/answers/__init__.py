"""Answers: functions over the tables that return plain JSON values; the command line only prints them."""

from modeltrail_collector.answers.findings import alert
from modeltrail_collector.answers.lists import changes, models, runs, sql
from modeltrail_collector.answers.rejected import rejected_by_code, rejected_list, rejected_record
from modeltrail_collector.answers.rules import read_rules
from modeltrail_collector.answers.show import show
from modeltrail_collector.answers.trace import trace

__all__ = [
    "alert",
    "changes",
    "models",
    "read_rules",
    "rejected_by_code",
    "rejected_list",
    "rejected_record",
    "runs",
    "show",
    "sql",
    "trace",
]
