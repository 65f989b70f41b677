"""`python -m benchmarks.relay`: how many events `modeltrail relay` sends a second to a sink that takes all.

A real relay process, a log of so many events, and in this process a sink that does nothing but answer 201;
both share the cores of this machine. `--delay` is how long the sink takes for an answer: a Marquez takes 60
to 500 ms.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import corpus

MODELTRAIL = Path(sys.executable).with_name("modeltrail")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.relay")
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds that an answer takes")
    given = parser.parse_args()
    values = [value for _, value in corpus.records("mixed", given.events)]
    with tempfile.TemporaryDirectory(prefix="modeltrail-bench-relay-", dir=".") as directory:
        log, told = Path(directory, "log"), Path(directory, "told.ndjson")
        told.write_bytes(b"\n".join(values) + b"\n")
        subprocess.run(
            [MODELTRAIL, "collect", "--from-files", told, "--log", log], check=True, capture_output=True
        )
        with sink(given.delay / 1000) as port:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [MODELTRAIL, "relay", "--to", f"http://127.0.0.1:{port}", "--log", log, "--json"]
            started = time.perf_counter()
            done = subprocess.run(
                [*command, "--connections", str(given.connections)],
                check=True,
                capture_output=True,
                text=True,
            )
            seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    sent = json.loads(done.stdout)["records"]["sent"]
    size = sum(map(len, values)) // len(values)
    print(f"{sent} events of {size} bytes, {given.connections} connections, {given.delay:.0f} ms an answer:")
    print(f"{sent / seconds:.0f} events/s, the start of the process included;", end=" ")
    print(f"{1e6 * cpu / sent:.0f} us of CPU an event; load average {os.getloadavg()[0]:.1f}")


@contextmanager
def sink(delay_s: float) -> Iterator[int]:
    """The port of a server that answers 201 to every POST."""
    ready, port = threading.Event(), []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
                )
                await reader.readexactly(int(length.split(b":")[1]))
                if delay_s:
                    await asyncio.sleep(delay_s)
                writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port.append(server.sockets[0].getsockname()[1])
        ready.set()
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    ready.wait(10)
    yield port[0]


if __name__ == "__main__":
    main()
