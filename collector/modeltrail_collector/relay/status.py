"""What a relay tells of itself while it works; read by whoever scrapes or watches."""

from collections import Counter

import msgspec


class RelayStatus(msgspec.Struct):
    """One process, since its start; times are seconds since the epoch.

    Attributes:
        records: What became of records, by outcome.
        repaired: Events that were repaired, by rule.
        failures: Attempts that failed and are repeated.
        sent_seconds: How long those that were taken took, in all.
        behind: Offsets of the log that are not settled yet.
        under_way: Events that are read and not settled yet.
        sent_at: When an event was last taken.
        failing_since: Since when no attempt succeeds; None while one does.
        error: What the last failed attempt said.
    """

    records: Counter[str] = msgspec.field(default_factory=Counter)
    repaired: Counter[str] = msgspec.field(default_factory=Counter)
    failures: int = 0
    sent_seconds: float = 0.0
    behind: int = 0
    under_way: int = 0
    sent_at: float | None = None
    failing_since: float | None = None
    error: str | None = None
