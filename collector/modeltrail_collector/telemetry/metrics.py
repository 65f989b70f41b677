"""Every metric there is: its name, type, labels and meaning, and where its samples come from.

docs/operations.md is held to these tables by a test.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final, Generic, Literal, NamedTuple, TypeVar

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from modeltrail_collector.alerts.status import AlertsStatus
from modeltrail_collector.pump import SEAL_BUCKETS, Status
from modeltrail_collector.web.status import ServeStatus

S = TypeVar("S")
Value = float | tuple[list[tuple[str, float]], float]
Sample = tuple[tuple[str, ...], Value]
Statuses = Mapping[int, Status]

_FAMILIES: Final = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


class Described(NamedTuple, Generic[S]):
    """One metric of a board whose state is an `S`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str
    samples: Callable[[S], Iterable[Sample]]


class TablesState(msgspec.Struct):
    """What `compact --watch` knows of the tables; times are seconds since the epoch."""

    compactions: int = 0
    failures: int = 0
    records: int = 0
    compacted_at: float | None = None
    segments_behind: int | None = None
    newest_ingested_at: float | None = None
    failing_since: float | None = None
    error: str | None = None
    alerts: AlertsStatus | None = None


def _each(value: Callable[[Status], float | None]) -> Callable[[Statuses], Iterator[Sample]]:
    """A number of each worker; None is no sample."""

    def samples(statuses: Statuses) -> Iterator[Sample]:
        for index, status in sorted(statuses.items()):
            if (found := value(status)) is not None:
                yield (str(index),), found

    return samples


def _counts(value: Callable[[Status], Mapping[str, int]]) -> Callable[[Statuses], Iterator[Sample]]:
    """Numbers by name of each worker."""

    def samples(statuses: Statuses) -> Iterator[Sample]:
        for index, status in sorted(statuses.items()):
            for name, count in sorted(value(status).items()):
                yield (str(index), name), count

    return samples


def _verdicts(status: Status) -> Mapping[str, int]:
    totals = status.totals
    return {"accepted": totals.accepted, "warned": totals.warned, "rejected": totals.rejected}


def _seals(statuses: Statuses) -> Iterator[Sample]:
    bounds = [*map(str, SEAL_BUCKETS), "+Inf"]
    for index, status in sorted(statuses.items()):
        counts = [float(count) for count in accumulate(status.activity.seals)]
        yield (str(index),), (list(zip(bounds, counts, strict=True)), status.activity.seal_seconds)


def _lags(statuses: Statuses) -> Iterator[Sample]:
    for status in statuses.values():
        for found in status.partitions if status.alive else ():
            if found.end is not None:
                place = (found.partition.topic, str(found.partition.partition))
                yield place, max(found.end - found.sealed, 0)


_C = "modeltrail_collector_"
_W = ("worker",)

COLLECTOR: Final[tuple[Described[Statuses], ...]] = (
    Described(
        _C + "consumed_records_total",
        *("counter", _W, "Records read from Kafka; after a rebalance some are read again."),
        _each(lambda status: status.activity.consumed),
    ),
    Described(
        _C + "consumed_bytes_total",
        *("counter", _W, "Keys and values of the records read, uncompressed."),
        _each(lambda status: status.activity.consumed_bytes),
    ),
    Described(
        _C + "sealed_records_total",
        *("counter", (*_W, "verdict"), "Records sealed in the log: accepted, warned or rejected."),
        _counts(_verdicts),
    ),
    Described(
        _C + "rejected_records_total",
        *("counter", (*_W, "code"), "Sealed records that are rejected, by their first reason's code."),
        _counts(lambda status: status.totals.rejected_by_code),
    ),
    Described(
        _C + "dead_letters_total",
        *("counter", _W, "Rejected records that the dead-letter topic acknowledged."),
        _each(lambda status: status.totals.letters),
    ),
    Described(
        _C + "dead_letter_failures_total",
        *("counter", _W, "Attempts to publish dead letters that failed, and are repeated."),
        _each(lambda status: status.totals.letters_failures),
    ),
    Described(
        _C + "dead_letters_behind_records",
        *("gauge", _W, "Sealed offsets that are not looked through for dead letters yet."),
        _each(lambda status: status.totals.letters_behind),
    ),
    Described(
        _C + "missing_offsets_total",
        *("counter", (*_W, "reason"), "Offsets that could not be collected: `retention` or `unreadable`."),
        _counts(lambda status: status.totals.missing_by_reason),
    ),
    Described(
        _C + "sealed_segments_total",
        *("counter", _W, "Segments sealed."),
        _each(lambda status: status.totals.segments),
    ),
    Described(
        _C + "seal_duration_seconds",
        *("histogram", _W, "How long sealing a segment took: encoding it and its put."),
        _seals,
    ),
    Described(
        _C + "put_conflicts_total",
        *("counter", _W, "Segments that another collector had sealed first; what was read was dropped."),
        _each(lambda status: status.activity.conflicts),
    ),
    Described(
        _C + "failures_total",
        *("counter", (*_W, "upstream"), "Attempts that failed and are repeated, of `kafka` or the `store`."),
        _counts(lambda status: status.activity.failures),
    ),
    Described(
        _C + "rebalances_total",
        *("counter", _W, "Assignments of partitions, the first one included."),
        _each(lambda status: status.activity.rebalances),
    ),
    Described(
        _C + "assigned_partitions",
        *("gauge", _W, "Partitions that are this worker's."),
        _each(lambda status: len(status.partitions) if status.alive else 0),
    ),
    Described(
        _C + "lag_records",
        *(
            "gauge",
            ("topic", "partition"),
            "Offsets between the end of the log and the end of the partition.",
        ),
        _lags,
    ),
    Described(
        _C + "waiting_records",
        *("gauge", _W, "Records that are read and not sealed yet."),
        _each(lambda status: status.waiting_records),
    ),
    Described(
        _C + "waiting_bytes",
        *("gauge", _W, "What they take in memory."),
        _each(lambda status: status.waiting_bytes),
    ),
    Described(
        _C + "last_poll_timestamp_seconds",
        *("gauge", _W, "When the loop last polled; `time() - …` is how long ago that is."),
        _each(lambda status: status.polled_at),
    ),
    Described(
        _C + "last_seal_timestamp_seconds",
        *("gauge", _W, "When a segment was last sealed."),
        _each(lambda status: status.sealed_at),
    ),
    Described(
        _C + "worker_up",
        *("gauge", _W, "1 while the worker lives."),
        _each(lambda status: float(status.alive)),
    ),
)

_T = "modeltrail_tables_"


def _one(value: Callable[[TablesState], float | None]) -> Callable[[TablesState], Iterator[Sample]]:
    def samples(state: TablesState) -> Iterator[Sample]:
        if (found := value(state)) is not None:
            yield (), found

    return samples


TABLES: Final[tuple[Described[TablesState], ...]] = (
    Described(
        _T + "compactions_total",
        *("counter", (), "Times that the tables were brought up to the end of the log."),
        _one(lambda state: state.compactions),
    ),
    Described(
        _T + "failures_total",
        *("counter", (), "Times that this failed, and is repeated."),
        _one(lambda state: state.failures),
    ),
    Described(
        _T + "compacted_records_total",
        *("counter", (), "Records taken from the log into the tables."),
        _one(lambda state: state.records),
    ),
    Described(
        _T + "last_compaction_timestamp_seconds",
        *("gauge", (), "When the tables were last up to the end of the log."),
        _one(lambda state: state.compacted_at),
    ),
    Described(
        _T + "segments_behind",
        *("gauge", (), "Sealed segments that the tables do not hold yet."),
        _one(lambda state: state.segments_behind),
    ),
    Described(
        _T + "newest_ingested_timestamp_seconds",
        *("gauge", (), "When the newest record in the tables was collected."),
        _one(lambda state: state.newest_ingested_at),
    ),
)


_A: Final = "modeltrail_alerts_"


def _of_alerts(
    value: Callable[[AlertsStatus], Mapping[str, int]],
) -> Callable[[TablesState], Iterator[Sample]]:
    """Numbers by rule or by target, where there are rules."""

    def samples(state: TablesState) -> Iterator[Sample]:
        if state.alerts is not None:
            for name, count in sorted(value(state.alerts).items()):
                yield (name,), count

    return samples


ALERTS: Final[tuple[Described[TablesState], ...]] = (
    Described(
        _A + "firing",
        *("gauge", ("rule",), "What the rule finds now; more than 50 findings count as one."),
        _of_alerts(lambda alerts: alerts.firing),
    ),
    Described(
        _A + "waiting",
        *("gauge", ("webhook",), "Notices that the webhook did not take yet."),
        _of_alerts(lambda alerts: alerts.waiting),
    ),
    Described(
        _A + "delivered_total",
        *(
            "counter",
            ("target",),
            "Notices delivered, to the `log`, to `stdout` or to a webhook by its name.",
        ),
        _of_alerts(lambda alerts: alerts.delivered),
    ),
    Described(
        _A + "delivery_failures_total",
        *("counter", ("webhook",), "Posts that failed, and are repeated."),
        _of_alerts(lambda alerts: alerts.failures),
    ),
    Described(
        _A + "rule_failures_total",
        *("counter", ("rule",), "Times that the rule could not be asked."),
        _of_alerts(lambda alerts: alerts.rule_failures),
    ),
    Described(
        _A + "last_evaluation_timestamp_seconds",
        *("gauge", (), "When the rules were last asked."),
        _one(lambda state: state.alerts.evaluated_at if state.alerts else None),
    ),
)


_H: Final = "modeltrail_serve_"

SERVE: Final[tuple[Described[ServeStatus], ...]] = (
    Described(
        _H + "requests_total",
        *("counter", ("status",), "Requests, by the status they were answered with."),
        lambda state: (((str(status),), count) for status, count in sorted(state.requests.items())),
    ),
    Described(
        _H + "events_total",
        *("counter", ("verdict",), "Events kept: accepted, warned or rejected."),
        lambda state: (((verdict,), count) for verdict, count in sorted(state.events.items())),
    ),
    Described(
        _H + "commits_total",
        *("counter", (), "Times that what had come was made durable."),
        lambda state: [((), state.commits)],
    ),
    Described(
        _H + "commit_seconds_total",
        *("counter", (), "How long that took in all."),
        lambda state: [((), state.commit_seconds)],
    ),
    Described(
        _H + "commit_failures_total",
        *("counter", (), "Times that it failed; the events were refused, to be sent again."),
        lambda state: [((), state.commit_failures)],
    ),
    Described(
        _H + "waiting_bytes",
        *("gauge", (), "Bodies of requests under way."),
        lambda state: [((), state.waiting_bytes)],
    ),
)


class Exposition(Collector, Generic[S]):
    """The samples of a table of metrics as they are now."""

    def __init__(self, table: tuple[Described[S], ...], state: Callable[[], S]) -> None:
        self._table = table
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Called for each scrape."""
        state = self._state()
        for described in self._table:
            family = _FAMILIES[described.kind](
                described.name.removesuffix("_total"), described.meaning, labels=described.labels
            )
            for labels, value in described.samples(state):
                family.add_metric(labels, *(value if isinstance(value, tuple) else (value,)))
            yield family
