"""The metrics of `modeltrail relay --watch`."""

from typing import Final

from modeltrail_collector.relay.status import RelayStatus
from modeltrail_collector.telemetry.metrics import Described

_R: Final = "modeltrail_relay_"

RELAY: Final[tuple[Described[RelayStatus], ...]] = (
    Described(
        _R + "records_total",
        *(
            "counter",
            ("outcome",),
            "Records of the log settled: sent, held back, refused, or not to be sent.",
        ),
        lambda state: (((outcome,), count) for outcome, count in sorted(state.records.items())),
    ),
    Described(
        _R + "repaired_events_total",
        *("counter", ("rule",), "Events sent that were repaired, by what was done."),
        lambda state: (((rule,), count) for rule, count in sorted(state.repaired.items())),
    ),
    Described(
        _R + "failures_total",
        *("counter", (), "Attempts that failed, and are repeated."),
        lambda state: [((), state.failures)],
    ),
    Described(
        _R + "sent_seconds_total",
        *("counter", (), "How long those that were taken took in all."),
        lambda state: [((), state.sent_seconds)],
    ),
    Described(
        _R + "behind_records",
        *("gauge", (), "Offsets of the log that are not settled yet."),
        lambda state: [((), state.behind)],
    ),
    Described(
        _R + "under_way_records",
        *("gauge", (), "Records that are read and not settled yet."),
        lambda state: [((), state.under_way)],
    ),
    Described(
        _R + "last_sent_timestamp_seconds",
        *("gauge", (), "When the backend last took an event."),
        lambda state: [] if state.sent_at is None else [((), state.sent_at)],
    ),
)
