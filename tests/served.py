"""A real `modeltrail serve` in a process of its own, and requests to it."""

import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import requests

RUN_EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
JSON = {"Content-Type": "application/json"}


class Server(NamedTuple):
    process: subprocess.Popen
    url: str

    def post(self, body, path="", **options):
        """Send a body; what is no bytes is written as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = JSON | options.pop("headers", {})
        url = f"{self.url}/api/v1/lineage{path}"
        return requests.post(url, data=data, headers=headers, timeout=30, **options)


MODELTRAIL = Path(sys.executable).with_name("modeltrail")


@contextmanager
def serving(log, *options, env=None, **popen):
    """A server in front of a log, killed at the end; what it says is in `stderr` beside the log."""
    told = log.parent / "stderr"
    command = [MODELTRAIL, "serve", "--port", "0", "--log", log, *options]
    with told.open("w") as stderr:
        process = subprocess.Popen(command, stderr=stderr, env=os.environ | (env or {}), **popen)
    try:
        yield Server(process, url_told(process, told))
    finally:
        process.kill()
        process.wait()


def tokens(*some):
    """The file of `--tokens`, as text; JSON's texts and lists are TOML's."""
    return "".join(
        "[[token]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in one.items())
        for one in some
    )


def url_told(process, told):
    """Where it listens, once it does."""
    while not (found := re.search(r"Events sent to (\S+)/api/v1/lineage", told.read_text())):
        assert process.poll() is None, told.read_text()
        time.sleep(0.02)
    return found[1]


def refused(log, *options):
    """Of a server that does not start: how it ended, and what it said."""
    command = [MODELTRAIL, "serve", "--port", "0", "--log", log, *options]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return found.returncode, found.stderr


def event(number=0, *, namespace="ml", **fields):
    """A valid event; `number` makes it another one."""
    return {
        "eventTime": f"2026-03-02T09:00:{number % 60:02d}.{number:06d}Z",
        "producer": "https://example.com/tests",
        "schemaURL": RUN_EVENT,
        "eventType": "COMPLETE",
        "run": {"runId": f"0190a0a0-0000-7000-8000-{number:012x}"},
        "job": {"namespace": namespace, "name": "train"},
        "inputs": [],
        "outputs": [],
    } | fields


def lines(log):
    """What lies in the inbox, parsed."""
    return [
        json.loads(line)
        for path in sorted((log / "inbox").glob("*.ndjson"))
        for line in path.read_bytes().splitlines()
    ]
