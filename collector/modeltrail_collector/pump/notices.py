"""What the loop has to say to people: outages and what is missing. Never a line per record or per poll."""

import logging

from modeltrail_collector.intake import Fetched
from modeltrail_collector.model import LogPartition

_logger = logging.getLogger(__name__)

QUIET_S, QUIET_MAX_S = 30.0, 600.0


class Outage:
    """Kafka or the store does not answer: said at once, and again ever more rarely."""

    def __init__(self, upstream: str, now: float, wall_s: float) -> None:
        self.began_at = wall_s
        self.error = ""
        self._upstream = upstream
        self._attempts = 0
        self._began = self._say_at = now
        self._quiet_s = QUIET_S

    def failed(self, now: float, error: str, plan: str) -> None:
        """One attempt more."""
        self.error = error
        self._attempts += 1
        if now >= self._say_at:
            self._say_at = now + self._quiet_s
            self._quiet_s = min(self._quiet_s * 2, QUIET_MAX_S)
            said = {"event": "unavailable", "upstream": self._upstream, "attempts": self._attempts}
            _logger.warning("%s; %s", error, plan, extra=said)

    def ended(self, now: float) -> None:
        """It answers again."""
        seconds = now - self._began
        said = {"event": "available", "upstream": self._upstream, "seconds": round(seconds, 1)}
        _logger.warning("%s answers again, after %.1f s", self._upstream, seconds, extra=said)


def where(partition: LogPartition) -> dict[str, str | int]:
    """A partition in a line of the log."""
    return {"topic": partition.topic, "partition": partition.partition}


def note_missing(fetched: Fetched, begin: int) -> None:
    """Say aloud that offsets from `begin` on cannot be collected."""
    partition = fetched.partition
    place = f"topic {partition.topic}, partition {partition.partition}"
    said = {
        "event": "offsets_missing",
        **where(partition),
        "first_offset": begin,
        "next_offset": fetched.start,
        "reason": fetched.gap,
    }
    if fetched.gap == "unreadable":
        _logger.error(
            "%s: the record at offset %d breaks Kafka's own format. "
            "It and the rest of its batch cannot be read, and the log says so",
            *(place, begin),
            extra=said,
        )
    elif begin == 0:
        _logger.warning(
            "%s begins at offset %d: retention removed older records", place, fetched.start, extra=said
        )
    else:
        _logger.error(
            "%s: %d offsets (%d to %d) were removed by Kafka's retention before they were collected. "
            "They are gone, and the log says so. Collect more often, or raise retention.ms",
            *(place, fetched.start - begin, begin, fetched.start - 1),
            extra=said,
        )
