"""One data directory of a broker: its ports, its properties, its JVM."""

import base64
import contextlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

HOST = "127.0.0.1"
READY_SECONDS = 120.0
STOP_SECONDS = 60.0

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
num.network.threads=2
num.io.threads=2
# A killed broker's registration is kept this long; lower, and a loaded machine fences its own live broker.
broker.heartbeat.interval.ms=300
broker.session.timeout.ms=4000
"""


class BrokerError(Exception):
    """The broker cannot be prepared, started or stopped; the message says what to do."""


def read_json(path: Path) -> dict:
    """The object in a file of ours, {} where there is none yet."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def random_id() -> str:
    """A Kafka UUID: 16 random bytes in base64url; a leading dash would read as an option."""
    while (text := base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")).startswith("-"):
        pass
    return text


def choose_ports(names: list[str], wanted: Mapping[str, int]) -> dict[str, int]:
    """A free port for each listener: the wanted one where it is given.

    Free ones come from below the range of outgoing connections: there a client that retries a stopped broker
    could connect to itself and keep the port.
    """
    ports = {name: port for name, port in wanted.items() if name in names}
    for name in names:
        while name not in ports:
            candidate = random.randint(15000, 30000)
            if candidate not in ports.values() and is_free(candidate):
                ports[name] = candidate
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def write_properties(
    directory: Path, ports: Mapping[str, int], listeners: Mapping[str, str], extra: Mapping[str, str]
) -> Path:
    """Write `server.properties`: ours, then `extra`, whose lines win."""
    protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **listeners}
    addresses = [f"{name}://{HOST}:{ports[name]}" for name in protocols]
    clients = [address for address in addresses if not address.startswith("CONTROLLER:")]
    lines = [
        f"listeners={','.join(addresses)}",
        f"advertised.listeners={','.join(clients)}",
        f"listener.security.protocol.map={','.join(f'{name}:{kind}' for name, kind in protocols.items())}",
        f"controller.quorum.voters=1@{HOST}:{ports['CONTROLLER']}",
        f"log.dirs={directory / 'data'}",
        SETTINGS,
        *(f"{key}={value}" for key, value in extra.items()),
    ]
    path = directory / "server.properties"
    path.write_text("\n".join(lines) + "\n")
    return path


def spawn(directory: Path, java: list[str]) -> subprocess.Popen[bytes]:
    """Start Kafka in `directory` by the given JVM command line and write its pid down."""
    command = [*java, "kafka.Kafka", str(directory / "server.properties")]
    with (directory / "broker.log").open("ab") as log:
        # A session of its own: Ctrl-C on the terminal reaches the tests first, which then stop their broker.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory, start_new_session=True
        )
    (directory / "broker.pid").write_text(f"{process.pid}\n")
    return process


def wait_ready(
    directory: Path, process: subprocess.Popen[bytes], port: int, *, watched: int | None = None
) -> None:
    """Return when the client port accepts: Kafka opens it only after the broker is unfenced."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BrokerError(
                f"the broker ended with exit code {process.returncode}:\n{_last_lines(directory)}"
            )
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        if watched is None:
            time.sleep(0.05)
        elif is_closed(watched, 0.05):
            raise BrokerError("stdin was closed before the broker was ready")
    raise BrokerError(f"the broker was not ready after {READY_SECONDS:.0f} s:\n{_last_lines(directory)}")


def _last_lines(directory: Path) -> str:
    log = directory / "broker.log"
    lines = [line for line in log.read_text(errors="replace").splitlines() if not line.startswith("\tat ")]
    return "\n".join([*lines[-12:], f"(all of it: {log})"])


def is_closed(descriptor: int, seconds: float) -> bool:
    """Whether the other end of the pipe is gone, waiting so long for it."""
    readable, _, _ = select.select([descriptor], [], [], seconds)
    return bool(readable) and os.read(descriptor, 4096) == b""


def running_pid(directory: Path) -> int | None:
    """The pid of the broker of this directory if it lives.

    The command line is compared, so that neither a reused pid nor a zombie that nobody reaps counts.
    """
    try:
        pid = int((directory / "broker.pid").read_text())
    except (OSError, ValueError):
        return None
    if Path("/proc/self/cmdline").exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return None
    else:
        command = subprocess.run(
            ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
    return pid if str(directory / "server.properties") in command else None


def stop(directory: Path, *, kill: bool = False) -> bool:
    """Stop the broker of this directory and wait until it is gone; False where none ran."""
    pid = running_pid(directory)
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL if kill else signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running_pid(directory) is not None:
        if time.monotonic() > deadline:
            if kill:
                raise BrokerError(f"the broker {pid} survived SIGKILL for {STOP_SECONDS:.0f} s")
            return stop(directory, kill=True)
        time.sleep(0.02)
    (directory / "broker.pid").unlink(missing_ok=True)
    return True
