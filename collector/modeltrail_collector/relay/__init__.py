"""From the log to elsewhere: rejected records to a dead-letter topic, events to other backends."""

from modeltrail_collector.relay.dead_letters import DeadLetters
from modeltrail_collector.relay.letters import Letter, Publisher

__all__ = ["DeadLetters", "Letter", "Publisher"]
