"""`python -m benchmarks.serve`: what `modeltrail serve` takes a second, each event durable before its answer.

A real server process and a client with so many connections, each sending one event after the other; both
share the cores of this machine, so the client does as little as it can.
"""

import argparse
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import broker, corpus

MODELTRAIL = Path(sys.executable).with_name("modeltrail")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--batch", type=int, default=1, help="events of a request")
    parser.add_argument("--kafka", action="store_true", help="in front of a real broker, not the inbox")
    given = parser.parse_args()
    bodies = _bodies(given.events, given.batch)
    size = sum(map(len, bodies)) // given.events
    with tempfile.TemporaryDirectory(prefix="modeltrail-bench-serve-", dir=".") as directory:
        with _sink(given.kafka) as sink, server(directory, sink) as port:
            _measure(port, bodies[:500], given)
            seconds, times = _measure(port, bodies, given)
        fsync = _fsync(directory)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = 1e6 * (used.ru_utime + used.ru_stime) / (given.events + len(bodies[:500]) * given.batch)
    rate = given.events / seconds
    at = {part: 1000 * times[int(len(times) * part) - 1] for part in (0.5, 0.99, 1)}
    print(f"{given.events} events of {size} bytes, {given.connections} connections, {given.batch} a request:")
    print(
        f"{rate:.0f} events/s; p50 {at[0.5]:.1f} ms, p99 {at[0.99]:.1f} ms, max {at[1]:.1f} ms a request;",
        end=" ",
    )
    print(f"{cpu:.0f} us of CPU an event in all children, their start included;", end=" ")
    print(f"an fsync took {fsync:.1f} ms, load average {os.getloadavg()[0]:.1f}")


@contextmanager
def _sink(kafka: bool) -> Iterator[list[str]]:
    """What the server is told about where events go."""
    if not kafka:
        yield []
        return
    with broker.broker(pinned=False) as servers:
        yield ["--bootstrap-servers", servers, "--topic", broker.create_topic(servers)]


@contextmanager
def server(directory: str, sink: list[str]) -> Iterator[int]:
    """The port of a server."""
    command = [MODELTRAIL, "serve", "--port", "0", "--log", Path(directory, "log"), *sink]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield int(re.search(r":(\d+)/api/v1/lineage", server.stderr.readline())[1])
        finally:
            server.terminate()


def _fsync(directory: str) -> float:
    """Milliseconds that the disk takes for one event, the median: nobody's answer can come sooner."""
    times = []
    with Path(directory, "fsync").open("wb", buffering=0) as file:
        for _ in range(200):
            started = time.perf_counter()
            file.write(b"x" * 8000)
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def _bodies(count: int, batch: int) -> list[bytes]:
    values = [value for _, value in corpus.records("mixed", count)]
    if batch == 1:
        return values
    return [b"[" + b",".join(values[at : at + batch]) + b"]" for at in range(0, count, batch)]


def _measure(port: int, bodies: list[bytes], given: argparse.Namespace) -> tuple[float, list[float]]:
    """How long all of it took, and each request, sorted."""
    times: list[list[float]] = [[] for _ in range(given.connections)]
    path = "/api/v1/lineage" if given.batch == 1 else "/api/v1/lineage/batch"

    def send(place: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as read:
            for body in bodies[place :: given.connections]:
                head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                started = time.perf_counter()
                connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                status, length = read.readline(), 0
                while (line := read.readline()) != b"\r\n":
                    if line.startswith(b"content-length"):
                        length = int(line.split()[1])
                read.read(length)
                times[place].append(time.perf_counter() - started)
                assert status.split()[1] in {b"201", b"204"}, status

    threads = [threading.Thread(target=send, args=(place,)) for place in range(given.connections)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started, sorted(each for found in times for each in found)


if __name__ == "__main__":
    main()
