"""Answers: functions over the tables that return plain JSON values; the command line only prints them."""

from modeltrail_collector.answers.lists import changes, models, rejected_list, runs, sql
from modeltrail_collector.answers.show import show
from modeltrail_collector.answers.trace import trace

__all__ = ["changes", "models", "rejected_list", "runs", "show", "sql", "trace"]
