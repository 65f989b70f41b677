"""Spark below `modeltrail run`: OpenLineage's listener is added to its drivers, and tells the wrapper.

All goes through the environment, so that command line and configuration stay the program's: what the program
sets itself wins. The listener writes to a file of the launch, from where the wrapper sends its events on as
it sends its own: a broker that is down does not hold Spark up, as its own Kafka transport would for minutes,
and no secret is on Java's command line.
"""

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from modeltrail import transports
from modeltrail.context import Parent
from modeltrail.guard import guarded
from modeltrail.spark import LISTENER

INTERVAL_S: Final = 0.5
PATIENCE_S: Final = 10.0
"""So long a driver may take to end after its program has: Java ends behind a Python that did not stop it."""
_CLUSTER: Final = re.compile(r"deploy-?mode[= ]cluster", re.IGNORECASE)
_FILE: Final = "spark.ndjson"


def variables(environment: Mapping[str, str], jars: str, state: str, own: Parent) -> dict[str, str]:
    """The variables of a program whose Spark drivers tell of themselves, as children of a run.

    Args:
        environment: what the program would have otherwise.
        jars: a class path with OpenLineage's listener.
        state: the directory of the launch.
        own: the run.
    """
    conf = {
        "spark.extraListeners": LISTENER,
        "spark.openlineage.namespace": own.namespace,
        "spark.openlineage.transport.type": "file",
        "spark.openlineage.transport.location": str(Path(state) / _FILE),
        **own.to_spark(),
    }
    options = [f"-D{key}={value}" for key, value in conf.items()]
    # Java's system properties come after all that the program says to Spark, this class path after Spark's.
    return {
        "SPARK_SUBMIT_OPTS": " ".join([*_given(environment, "SPARK_SUBMIT_OPTS"), *map(_quoted, options)]),
        "SPARK_DIST_CLASSPATH": os.pathsep.join([*_given(environment, "SPARK_DIST_CLASSPATH"), jars]),
    }


def obstacle(command: Sequence[str], environment: Mapping[str, str], jars: str) -> str | None:
    """Why the listener cannot be added: a driver that does not find it fails, and with it the program."""
    for entry in jars.split(os.pathsep):
        if not Path(entry.removesuffix("*")).exists():
            return f"MODELTRAIL_SPARK_JARS names {entry}, which is not there"
    if _CLUSTER.search(" ".join(command)):
        return "in cluster mode the driver is on another machine"
    program = shutil.which(command[0])
    homes = [environment.get("SPARK_HOME"), program and os.path.dirname(os.path.dirname(program))]  # noqa: PTH120
    folders = [environment.get("SPARK_CONF_DIR"), *(f"{home}/conf" for home in homes if home)]
    for file in (Path(folder) / "spark-env.sh" for folder in folders if folder):
        if file.is_file() and "SPARK_DIST_CLASSPATH=" in file.read_text(errors="replace"):
            return f"{file} sets SPARK_DIST_CLASSPATH: add the listener's jar there"
    return None


def _given(environment: Mapping[str, str], name: str) -> list[str]:
    return [environment[name]] if environment.get(name) else []


def _quoted(option: str) -> str:
    """As Spark's launcher reads it."""
    return '"' + option.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Forwarding:
    """Sends on what listeners write, soon after they have, until `end`."""

    def __init__(self, state: str) -> None:
        self._path = Path(state) / _FILE
        self._done = 0
        self._open: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="modeltrail-spark", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Send the rest; the program is over, its drivers end now."""
        self._ended.set()
        self._thread.join()
        ends = time.monotonic() + PATIENCE_S
        self._forward()
        while self._open and time.monotonic() < ends:
            time.sleep(INTERVAL_S)
            self._forward()

    def _go_on(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            self._forward()

    def _forward(self) -> None:
        """Whole lines; what is not one yet is read again."""
        with guarded("reading what Spark told"):
            if not self._path.exists():
                return
            with self._path.open("rb") as file:
                file.seek(self._done)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    self._done += len(line)
                    with guarded("sending on what Spark told"):
                        self._send(json.loads(line))

    def _send(self, event: dict[str, Any]) -> None:
        transports.emit(event)
        kind = event["job"].get("facets", {}).get("jobType", {}).get("jobType")
        if event["eventType"] in transports.TERMINAL:
            self._open.discard(event["run"]["runId"])
        elif kind == "APPLICATION":
            self._open.add(event["run"]["runId"])
