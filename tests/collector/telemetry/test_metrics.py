"""Metrics and health: what Prometheus reads, that all of it is told, and why a process is not healthy."""

import json
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from modeltrail_collector.alerts.status import AlertsStatus
from modeltrail_collector.errors import ConfigError, Unavailable
from modeltrail_collector.log import Log
from modeltrail_collector.pump import Limits, Pump, Status, Totals
from modeltrail_collector.pump.builder import OVERHEAD_BYTES
from modeltrail_collector.relay.status import RelayStatus
from modeltrail_collector.telemetry.boards import CollectorBoard, RelayBoard, TablesBoard
from modeltrail_collector.telemetry.metrics import ALERTS, COLLECTOR, SERVE, TABLES
from modeltrail_collector.telemetry.relaying import RELAY
from modeltrail_collector.telemetry.server import serve
from modeltrail_collector.testing import MemorySource, MemoryStore, MemoryTopic

DOCS = Path(__file__).parents[3] / "docs"
UNITS = ("_seconds", "_bytes", "_records", "_total", "_partitions", "_up", "_behind", "_firing", "_waiting")


def scrape(board) -> dict[str, dict[tuple[str, ...], float]]:
    """All samples over HTTP: name -> label values -> value."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    with serve("0", board) as url, urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            names = sorted(sample.labels, key=["worker", "topic"].__contains__, reverse=True)
            key = tuple(sample.labels[name] for name in names)
            found.setdefault(sample.name, {})[key] = sample.value
    return found


def health(board) -> tuple[int, dict]:
    with serve("127.0.0.1:0", board) as url:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def busy() -> tuple[Pump, MemoryTopic, MemoryStore, Clock]:
    """A pump that has sealed three records of four: one accepted, two rejected; two offsets were gone."""
    topic, store, clock = MemoryTopic(partitions=2), MemoryStore(), Clock()
    for value in (b"gone", b"gone", b"{}", b"garbage"):
        topic.append(0, value)
    topic.remove_before(0, 2)
    pump = Pump(MemorySource(topic), Log(store), limits=Limits(age_s=5), clock=clock)
    for _ in range(4):
        pump.turn()
    clock.now += 10
    pump.turn()
    topic.append(1, b"waits")
    pump.turn()
    return pump, topic, store, clock


def test_what_a_collector_did_is_in_its_metrics() -> None:
    """Counts of records, codes, bytes, gaps, segments and seals, and the lag, are those of the log."""
    pump, topic, _, _ = busy()
    topic.append(1, b"not polled yet")
    board = CollectorBoard(1)
    board.update({0: pump.status()})
    found = scrape(board)
    prefix = "modeltrail_collector_"
    assert {("0",): 3} == found[prefix + "consumed_records_total"]
    assert {("0",): 2 + 7 + 5} == found[prefix + "consumed_bytes_total"]
    assert {("0", "rejected"): 2, ("0", "accepted"): 0, ("0", "warned"): 0} == found[
        prefix + "sealed_records_total"
    ]
    assert {("0", "not_json"): 1, ("0", "required"): 1} == found[prefix + "rejected_records_total"]
    assert {("0", "retention"): 2} == found[prefix + "missing_offsets_total"]
    assert {("0",): 1} == found[prefix + "sealed_segments_total"]
    assert 1 == found[prefix + "seal_duration_seconds_count"]["0",]
    assert {(topic.name, "0"): 0, (topic.name, "1"): 2} == found[prefix + "lag_records"]
    assert {("0",): 1} == found[prefix + "waiting_records"] == found[prefix + "rebalances_total"]
    assert {("0",): 2} == found[prefix + "assigned_partitions"]
    assert {("0",): len(b"waits") + OVERHEAD_BYTES} == found[prefix + "waiting_bytes"]
    assert found[prefix + "last_seal_timestamp_seconds"]["0",] > 1.7e9
    assert found[prefix + "last_poll_timestamp_seconds"]["0",] > 1.7e9


def test_dead_letters_have_metrics() -> None:
    """What was published, what failed, and what is not looked through yet, each under its own name."""
    board = CollectorBoard(1)
    board.update({0: Status(totals=Totals(letters=3, letters_failures=2, letters_behind=7))})
    found = scrape(board)
    names = ("letters_total", "letter_failures_total", "letters_behind_records")
    assert [3, 2, 7] == [found[f"modeltrail_collector_dead_{name}"]["0",] for name in names]


def test_failures_and_conflicts_are_counted() -> None:
    """A store that fails, and a segment that somebody else sealed first, are in the metrics."""
    pump, topic, store, clock = busy()
    create = store.create

    def away(name: str, data: bytes) -> bool:
        raise Unavailable("away")

    store.create = away
    clock.now += 10
    pump.turn()
    store.create = create
    fast = MemorySource(topic)  # it takes everything, as a second collector with --until-end
    topic.members.remove(fast)
    pump._source._dealt = None
    fast.deal({0, 1})
    # Another millisecond: else its segment may be just what ours would be, which is no conflict.
    other = Pump(fast, Log(store, wall=lambda: 1), until_end=True)
    while not other.done:
        other.turn()
    clock.now += 10
    pump.turn()
    board = CollectorBoard(1)
    board.update({0: pump.status()})
    found = scrape(board)
    assert {("0", "store"): 1} == found["modeltrail_collector_failures_total"]
    assert {("0",): 1} == found["modeltrail_collector_put_conflicts_total"]


def test_seal_times_fall_into_buckets() -> None:
    """The histogram is cumulative, ends in +Inf, and its sum is the time that sealing took."""
    status = Status()
    for seconds in (0.001, 0.005, 0.3, 100.0):
        status.activity.sealed(seconds)
    board = CollectorBoard(1)
    board.update({0: status})
    found = scrape(board)
    buckets = found["modeltrail_collector_seal_duration_seconds_bucket"]
    assert (2, 3, 3, 4) == tuple(buckets["0", le] for le in ("0.005", "0.5", "60.0", "+Inf"))
    assert 100.306 == pytest.approx(found["modeltrail_collector_seal_duration_seconds_sum"]["0",])


def test_one_endpoint_shows_every_worker() -> None:
    """Each worker is a label, so that Prometheus can sum them; one that died is down and keeps its counts."""
    statuses = {0: Status(), 1: Status()}
    statuses[0].activity.consumed, statuses[1].activity.consumed = 5, 7
    board = CollectorBoard(2)
    board.update(statuses)
    statuses[1].alive = False
    found = scrape(board)
    assert {("0",): 5, ("1",): 7} == found["modeltrail_collector_consumed_records_total"]
    assert {("0",): 1, ("1",): 0} == found["modeltrail_collector_worker_up"]


def test_tables_have_metrics_of_their_own() -> None:
    """How fresh the tables are: nothing before the first compaction, then times and counts."""
    board = TablesBoard(30)
    assert "modeltrail_tables_last_compaction_timestamp_seconds" not in scrape(board)
    board.failed("away")
    board.compacted(10, 2, 1.7e9)
    found = scrape(board)
    values = {name.removeprefix("modeltrail_tables_"): by[()] for name, by in found.items()}
    assert (1, 1, 10, 2, 1.7e9) == tuple(
        values[name]
        for name in (
            *("compactions_total", "failures_total", "compacted_records_total", "segments_behind"),
            "newest_ingested_timestamp_seconds",
        )
    )
    assert values["last_compaction_timestamp_seconds"] > 1.7e9


def test_alerts_have_metrics_where_there_are_rules() -> None:
    """What fires and waits, what was delivered or failed, by rule or by target; without rules, nothing."""
    assert not [name for name in scrape(TablesBoard(30)) if "alerts" in name]
    alerts = AlertsStatus({"floor": 1}, {"ops": 2}, evaluated_at=1.8e9)
    for counts, name, count in (
        (alerts.delivered, "stdout", 3),
        (alerts.failures, "ops", 4),
        (alerts.rule_failures, "slow", 5),
    ):
        counts[name] = count
    found = scrape(TablesBoard(30, alerts=alerts))
    assert {
        "firing": {("floor",): 1},
        "waiting": {("ops",): 2},
        "delivered_total": {("stdout",): 3},
        "delivery_failures_total": {("ops",): 4},
        "rule_failures_total": {("slow",): 5},
        "last_evaluation_timestamp_seconds": {(): 1.8e9},
    } == {name.removeprefix("modeltrail_alerts_"): by for name, by in found.items() if "alerts" in name}


def test_a_relay_has_metrics_and_is_unwell_when_nothing_is_taken_for_long() -> None:
    """What it settled, repaired and failed at, and where it stands; an hour without success is a problem."""
    status = RelayStatus(
        records=Counter(sent=3, held_back=1), repaired=Counter(job_type_unknown=2), behind=5, under_way=2
    )
    board = RelayBoard(status)
    found = scrape(board)
    assert {("sent",): 3, ("held_back",): 1} == found["modeltrail_relay_records_total"]
    assert {("job_type_unknown",): 2} == found["modeltrail_relay_repaired_events_total"]
    assert ({(): 5}, {(): 2}) == (
        found["modeltrail_relay_behind_records"],
        found["modeltrail_relay_under_way_records"],
    )
    assert [] == board.health()[0]
    status.failing_since, status.error = time.time() - 3600, "answered 503"
    (problem,) = board.health()[0]
    assert re.fullmatch(r"failing for 3\d{3} s: answered 503", problem)


def test_a_relay_without_its_store_is_unwell_until_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since the first of many failures, whatever comes between; a turn that ends ends it."""
    board = RelayBoard(RelayStatus())
    board.failed("no space left")
    assert [] == board.health()[0]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 90)
    board.failed("no space left")
    assert ["failing for 90 s: no space left"] == board.health()[0]
    assert {(): 2} == scrape(board)["modeltrail_relay_failures_total"]
    board.worked()
    assert ([], None) == (board.health()[0], board.health()[1]["error"])


@pytest.mark.parametrize(
    "metric", [*COLLECTOR, *TABLES, *ALERTS, *SERVE, *RELAY], ids=lambda metric: metric.name
)
def test_names_follow_the_conventions(metric) -> None:
    """Lower case, our prefix, a base unit at the end, `_total` on counters and only there, a sentence."""
    assert re.fullmatch(r"modeltrail_(collector|tables|alerts|serve|relay)_[a-z_]+", metric.name)
    assert metric.name.endswith(UNITS)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.meaning.endswith(".")


@pytest.mark.parametrize(
    "metric", [*COLLECTOR, *TABLES, *ALERTS, *SERVE, *RELAY], ids=lambda metric: metric.name
)
def test_every_metric_is_documented(metric) -> None:
    """docs/operations.md has a line for each metric with its type, labels and meaning."""
    labels = ", ".join(metric.labels)
    line = f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |"
    assert line in (DOCS / "operations.md").read_text(encoding="utf-8").splitlines(), line


def test_no_metric_is_only_on_paper() -> None:
    """The page names no metric that does not exist."""
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"modeltrail_(?:collector|tables|alerts|serve)_[a-z_]+", text))
    known = {metric.name for metric in (*COLLECTOR, *TABLES, *ALERTS, *SERVE, *RELAY)}
    known |= {f"{metric.name}_{end}" for metric in COLLECTOR for end in ("bucket", "sum", "count")}
    assert set() == named - known


def test_the_excerpt_on_the_page_is_true() -> None:
    """What docs/operations.md shows of /metrics is what this collector answers, but for values."""
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    shown = re.search(r"```text\n(# HELP modeltrail.*?)```", text, re.DOTALL)[1].splitlines()
    pump, _, _, _ = busy()
    board = CollectorBoard(1)
    board.update({0: pump.status()})
    with serve("0", board) as url, urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        lines = {without_value(line) for line in answer.read().decode().splitlines()}
    assert [] == [line for line in shown if without_value(line) not in lines]


def without_value(line: str) -> str:
    return line if line.startswith("#") else line.rpartition(" ")[0]


def test_a_collector_that_works_is_healthy() -> None:
    """A collector with an assignment is healthy, also an empty one; the answer shows each worker."""
    pump, _, _, _ = busy()
    board = CollectorBoard(1)
    board.update({0: pump.status()})
    code, answer = health(board)
    assert (200, "ok", []) == (code, answer["status"], answer["problems"])
    assert (2, 1) == (
        answer["workers"][0]["assigned_partitions"],
        answer["workers"][0]["waiting_records"],
    )
    board.update({0: Status(assigned=True)})
    assert 200 == health(board)[0]


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (Status(), "no assignment of partitions yet"),
        (Status(assigned=True, alive=False), "its process has ended"),
        (Status(assigned=True, failing_since=1.7e9, error="cannot write"), "failing for .*: cannot write"),
        (Status(failing_since=1.7e9, error="cannot reach Kafka"), "failing for .*: cannot reach Kafka"),
    ],
)
def test_an_unhealthy_collector_says_why(status: Status, problem: str) -> None:
    """No assignment, a dead worker, and a store or a Kafka that fails for long are 503 with the reason."""
    board = CollectorBoard(2)
    board.update({0: Status(assigned=True), 1: status})
    code, answer = health(board)
    assert (503, "failing", 1) == (code, answer["status"], len(answer["problems"]))
    assert re.match(f"worker 1: {problem}", answer["problems"][0])


def test_a_loop_that_stands_still_is_not_healthy() -> None:
    """A loop that has not come round for a minute, as inside a put that blocks, is 503."""
    clock = Clock()
    board = CollectorBoard(1, clock)
    board.update({0: Status(assigned=True)})
    clock.now += 50
    assert 200 == health(board)[0]
    clock.now += 20
    code, answer = health(board)
    assert 503 == code
    assert "has not come round for 70 s" in answer["problems"][0]


def test_tables_that_stay_behind_are_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compaction that fails for a minute, or does not end for long, is 503 with the reason."""
    clock = Clock()
    board = TablesBoard(30, clock)
    assert 200 == health(board)[0]
    clock.now += 601
    code, answer = health(board)
    assert (503, True) == (code, "no compaction has ended" in answer["problems"][0])
    board.failed("cannot write flat")
    board.state.failing_since -= 61
    code, answer = health(board)
    assert (503, True) == (code, "cannot write flat" in answer["problems"][0])
    board.compacted(0, 0, None)
    assert 200 == health(board)[0]


def test_other_paths_are_not_found() -> None:
    """Any other path is 404, and says what there is."""
    with (
        serve("0", TablesBoard(30)) as url,
        pytest.raises(urllib.error.HTTPError, match="404") as error,
    ):
        urllib.request.urlopen(f"{url}/", timeout=10)
    with error.value as answer:
        assert b"/metrics" in answer.read()


@pytest.mark.parametrize("address", ["nowhere", "1.2.3.4", "127.0.0.1:http", "127.0.0.1:99999", ":"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """What is no HOST:PORT is an error of usage that says what to write."""
    with pytest.raises(ConfigError, match="HOST:PORT"), serve(address, TablesBoard(30)):
        pass


def test_a_taken_port_is_refused() -> None:
    """A port that is taken is an error of usage with its cause."""
    with serve("0", TablesBoard(30)) as url:
        port = url.rpartition(":")[2]
        with pytest.raises(ConfigError, match="in use"), serve(f"127.0.0.1:{port}", TablesBoard(30)):
            pass
