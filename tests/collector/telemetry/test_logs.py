"""What goes to stderr: JSON a line, nothing per event or poll, and an hour's outage in a dozen lines."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from modeltrail_collector.errors import Unavailable
from modeltrail_collector.log import Log
from modeltrail_collector.pump import Limits, Pump
from modeltrail_collector.telemetry import logs
from modeltrail_collector.testing import MemorySource, MemoryStore, MemoryTopic


@pytest.fixture
def as_json(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    root = logging.getLogger()
    kafka = logging.getLogger("kafka")
    before = (root.handlers[:], root.level, kafka.propagate, kafka.handlers[:])
    logs.configure("json")
    yield
    root.handlers[:], kafka.handlers[:] = before[0], before[3]
    root.setLevel(before[1])
    kafka.propagate = before[2]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_sealed_segment_is_one_line(as_json: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A line is one JSON object with event, level, time and, where it is about records, where they are."""
    topic = MemoryTopic()
    for _ in range(5):
        topic.append(0, b"{}")
    pump = Pump(MemorySource(topic), Log(MemoryStore()), until_end=True)
    while not pump.done:
        pump.turn()
    assigned, sealed = lines(capsys)
    assert ("assigned", "INFO", 1) == (assigned["event"], assigned["level"], assigned["partitions"])
    assert {"time", "message", "logger", "process"} <= sealed.keys()
    assert ("segment_sealed", topic.name, 0, 0, 5, 5) == tuple(
        sealed[name] for name in ("event", "topic", "partition", "first_offset", "next_offset", "rows")
    )


def test_no_line_per_event_and_none_per_poll(as_json: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten thousand records, broken ones among them, and a thousand polls are one line a segment."""
    topic, clock = MemoryTopic(), Clock()
    pump = Pump(MemorySource(topic, max_records=10), Log(MemoryStore()), clock=clock)
    for number in range(10_000):
        topic.append(0, b"garbage" if number % 2 else b"{}")
    for _ in range(1100):
        pump.turn()
    clock.now += 100
    pump.turn()
    for _ in range(1000):
        pump.turn()
    found = lines(capsys)
    assert 10_000 == pump.totals.records
    assert ["assigned", *["segment_sealed"] * pump.totals.segments] == [line["event"] for line in found]
    assert 1 == pump.totals.segments


def test_an_hour_without_the_store_is_a_dozen_lines(
    as_json: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """An outage is said at once, then ever more rarely, at last every ten minutes; and when it is over."""
    topic, clock, store = MemoryTopic(), Clock(), MemoryStore()
    pump = Pump(MemorySource(topic), Log(store), clock=clock, limits=Limits(rows=1))
    pump.turn()
    create = store.create

    def away(name: str, data: bytes) -> bool:
        raise Unavailable("cannot write: no route to host")

    store.create = away
    topic.append(0, b"{}")
    for _ in range(3600):
        clock.now += 1
        pump.turn()
    outage = [line for line in lines(capsys) if line["event"] == "unavailable"]
    assert 200 < outage[-1]["attempts"] <= pump.activity.failures["store"]
    assert 5 <= len(outage) <= 12
    assert ("WARNING", "store") == (outage[0]["level"], outage[0]["upstream"])
    assert "no route to host" in outage[0]["message"]
    store.create = create
    clock.now += 20
    pump.turn()
    assert ["segment_sealed", "available"] == [line["event"] for line in lines(capsys)]


def test_lines_of_others_have_an_event_too(as_json: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A line without an event of its own is named after its module; a traceback stays in its line."""
    try:
        int("x\ny")
    except ValueError:
        logging.getLogger("somebody").exception("it\nbroke")
    (found,) = lines(capsys)
    assert "test_logs" == found["event"]
    assert "it\nbroke" == found["message"]
    assert "ValueError: invalid literal" in found["exc_info"]


def test_the_command_speaks_json_to_its_end() -> None:
    """With --log-format json every line on stderr is JSON, the error that ends the command too, once."""
    command = [sys.executable, "-W", "ignore", "-c", "from modeltrail.cli import main; main()", "collect"]
    more = ["--bootstrap-servers", "127.0.0.1:1", "--topic", "t", "--log-format", "json"]
    result = subprocess.run([*command, *more], capture_output=True, text=True, check=False, timeout=60)
    found = [json.loads(line) for line in result.stderr.splitlines()]
    assert 4 == result.returncode, result.stderr
    assert ["collecting", "failed"] == [line["event"] for line in found]
    assert ("Unavailable", 4, "ERROR") == (found[1]["error"], found[1]["exit_code"], found[1]["level"])


def test_a_connection_that_fails_is_not_told_by_the_client(as_json: None) -> None:
    """kafka-python's own lines do not reach stderr: what matters of them is in ours."""
    assert not logging.getLogger("kafka").propagate
