"""From the log to elsewhere: rejected records to a dead-letter topic."""

from modeltrail_collector.relay.letters import Letter, Publisher
from modeltrail_collector.relay.relay import DeadLetters

__all__ = ["DeadLetters", "Letter", "Publisher"]
