#!/usr/bin/env python3
"""A real Apache Kafka broker on 127.0.0.1, in 2 to 5 seconds: one KRaft node from Maven's jars.

::

    broker.py prepare                     the jars and a class-data archive, once per machine
    broker.py start DIR [--port 9092]     start it in the background, print host:port when it takes clients
    broker.py stop DIR                    SIGTERM, wait; --kill for SIGKILL
    broker.py status DIR                  host:port, or exit code 1
    broker.py run DIR                     in the foreground; stops when stdin is closed

DIR holds the data, `server.properties`, `broker.log`, `broker.pid` and `ports.json`. Starting again in the
same DIR keeps data and ports. Needs Java 17 or newer, and mvn for the first `prepare`; else only Python.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import jars
import node
from node import HOST, STOP_SECONDS, BrokerError


def format_data(directory: Path, cache: Path) -> None:
    """What `StorageTool format` writes, without its JVM; the broker cannot tell."""
    data = directory / "data"
    if (data / "meta.properties").exists():
        return
    data.mkdir(parents=True, exist_ok=True)
    shutil.copy(cache / "bootstrap.checkpoint", data / "bootstrap.checkpoint")
    text = f"version=1\nnode.id=1\ncluster.id={node.random_id()}\ndirectory.id={node.random_id()}\n"
    (data / "meta.properties").write_text(text)


def launch(
    directory: Path, *, port: int | None, listeners: Mapping[str, str], extra: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the JVM in `directory`; returns it and the client port, not yet open."""
    cache = jars.prepare()
    directory.mkdir(parents=True, exist_ok=True)
    known = node.read_json(directory / "ports.json")
    ports = _ports(directory, known, port, ["PLAINTEXT", "CONTROLLER", *listeners])
    (directory / "ports.json").write_text(json.dumps({**known, **ports}))
    node.write_properties(directory, ports, listeners, extra)
    format_data(directory, cache)
    archive = ["-Xshare:auto", f"-XX:SharedArchiveFile={cache / 'broker.jsa'}"]
    # Of the JVM's own log only errors, and not on stdout: a useless archive is no reason to speak.
    silent = ["-Xlog:disable", "-Xlog:all=error:stderr"]
    return node.spawn(directory, jars.command(cache, *archive, *silent)), ports["PLAINTEXT"]


def _ports(directory: Path, known: Mapping[str, int], port: int | None, names: list[str]) -> dict[str, int]:
    wanted = {name: number for name, number in known.items() if name in names}
    if port:
        wanted["PLAINTEXT"] = port
        if not node.is_free(port):
            print(f"Port {port} is taken by another program; choosing a free one.", file=sys.stderr)
            del wanted["PLAINTEXT"]
    for name, number in wanted.items():
        if not node.is_free(number):
            raise BrokerError(f"port {number} ({name} of {directory}) is taken by another program")
    return node.choose_ports(names, wanted)


def run(directory: Path, process: subprocess.Popen[bytes], port: int) -> int:
    """Stay beside the broker; stop it when stdin closes, which it does however the owner dies."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        node.wait_ready(directory, process, port, watched=sys.stdin.fileno())
        print(f"{HOST}:{port}", flush=True)
        while process.poll() is None and not node.is_closed(sys.stdin.fileno(), 0.2):
            pass
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    return 0


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, not {text!r}")
    return key, value


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare")
    for name in ("start", "run", "stop", "status"):
        command = commands.add_parser(name)
        command.add_argument("directory", type=lambda text: Path(text).absolute())
        if name == "stop":
            command.add_argument("--kill", action="store_true", help="SIGKILL")
        if name in {"start", "run"}:
            command.add_argument("--port", type=int, help="the client port if it is free")
            command.add_argument(
                "--listener", type=_pair, action="append", default=[], help="NAME=PROTOCOL: one more"
            )
            command.add_argument(
                "--property", type=_pair, action="append", default=[], help="KEY=VALUE, wins over ours"
            )
    return parser.parse_args()


def _start(given: argparse.Namespace) -> int:
    directory = given.directory
    if node.running_pid(directory):
        if given.command == "run":
            raise BrokerError(
                f"a broker already runs in {directory}; stop it with: {sys.argv[0]} stop {directory}"
            )
        return _status(directory)
    process, port = launch(
        directory, port=given.port, listeners=dict(given.listener), extra=dict(given.property)
    )
    if given.command == "run":
        return run(directory, process, port)
    try:
        node.wait_ready(directory, process, port)
    except BaseException:
        process.kill()
        raise
    print(f"{HOST}:{port}")
    return 0


def _status(directory: Path) -> int:
    if node.running_pid(directory) is None:
        print(f"no broker runs in {directory}", file=sys.stderr)
        return 1
    print(f"{HOST}:{node.read_json(directory / 'ports.json')['PLAINTEXT']}")
    return 0


def main() -> int:
    """Run one command; returns the exit code."""
    given = _arguments()
    try:
        if given.command == "prepare":
            jars.prepare()
            return 0
        if given.command == "stop":
            node.stop(given.directory, kill=given.kill)
            return 0
        return _status(given.directory) if given.command == "status" else _start(given)
    except BrokerError as error:
        print(f"broker.py: {error}", file=sys.stderr)
        return 4


if __name__ == "__main__":
    sys.exit(main())
