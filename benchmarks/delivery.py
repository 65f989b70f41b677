"""`python -m benchmarks.delivery`: how long the program waits for one event, by mode of delivery.

An ML COMPLETE event from the object to `send` having returned, one after the other and a hundred a second,
with a broker on the same machine. The local inbox is what writing alone costs.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import broker, construct
from benchmarks.emit import _events
from modeltrail import transports, wire
from modeltrail.settings import current

GAPS = {"one after the other": 0.0, "a hundred a second": 0.01}
HEAD = ("p50 us", "p90", "p99", "max")
MODES: dict[str, dict[str, Any]] = {
    "async": {"delivery": "async"},
    "async, fsync_interval: 0": {"delivery": "async", "fsync_interval": 0},
    "sync": {"delivery": "sync"},
}


def main() -> None:
    """Print a line for each mode and pace: microseconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery")
    parser.add_argument("--events", type=int, default=2000, help="events of each measurement")
    count = parser.parse_args().events
    events = [construct.ours(event)() for event in _events("ml")]
    size = sum(len(wire.encode(event)) for event in events) // len(events)
    print(f"{f'an ML COMPLETE event of {size} bytes':50}", *(f"{each:>8}" for each in HEAD))
    with broker.broker() as servers:
        for pace, gap in GAPS.items():
            local = {"type": "modeltrail.LocalTransport"}
            _print(f"local inbox, {pace}", _measure(local, events, count, gap))
            for name, more in MODES.items():
                transport = {
                    "type": "modeltrail.KafkaTransport",
                    "topic": broker.create_topic(servers),
                    "config": {"bootstrap.servers": servers},
                }
                _print(f"{name}, {pace}", _measure(transport | more, events, count, gap))


def _measure(transport: dict[str, Any], events: list[dict[str, Any]], count: int, gap: float) -> list[float]:
    """Seconds of each event, sorted."""
    with tempfile.TemporaryDirectory() as directory:
        where = Path(directory)
        now = msgspec.structs.replace(
            current(), transport=transport, spool=where / "spool", log=where / "log"
        )
        sender = transports.make(now)
        sender.send(wire.key(events[0]), wire.encode(events[0]))  # connects
        time.sleep(1)
        found = []
        for number in range(count):
            event = events[number % len(events)]
            began = time.perf_counter()
            sender.send(wire.key(event), wire.encode(event))
            found.append(time.perf_counter() - began)
            time.sleep(gap)
        if not sender.close(60):
            raise SystemExit("not all events were delivered: these figures mean nothing")
    return sorted(found)


def _print(name: str, found: list[float]) -> None:
    told = [found[int(len(found) * share)] for share in (0.5, 0.9, 0.99)] + [found[-1]]
    print(f"{name:50}", *(f"{1e6 * each:8.0f}" for each in told), flush=True)


if __name__ == "__main__":
    main()
