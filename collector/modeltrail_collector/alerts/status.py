"""What alerting tells of itself, apart from what it needs to work: a collector's metrics name it too."""

from collections import Counter

import msgspec


class AlertsStatus(msgspec.Struct):
    """What alerting knows of itself: counts since the start of the process, and what is so now."""

    firing: dict[str, int] = {}
    waiting: dict[str, int] = {}
    delivered: Counter[str] = msgspec.field(default_factory=Counter)
    failures: Counter[str] = msgspec.field(default_factory=Counter)
    rule_failures: Counter[str] = msgspec.field(default_factory=Counter)
    evaluated_at: float | None = None
