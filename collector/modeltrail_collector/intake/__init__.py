"""How records come in: from Kafka (`kafka`), from files and the inbox (`files`)."""

from modeltrail_collector.intake.source import Fetched, Polled, Source, cut_short

__all__ = ["Fetched", "Polled", "Source", "cut_short"]
