"""Spark below `modeltrail run`: OpenLineage's listener is added to its drivers, and tells the wrapper.

All goes through the environment, so that command line and configuration stay the program's: what the program
sets itself wins. The listener writes to a file of the launch, from where the wrapper sends its events on as
it sends its own: a broker that is down does not hold Spark up, as its own Kafka transport would for minutes,
and no secret is on Java's command line.
"""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from modeltrail import transports
from modeltrail.context import Parent
from modeltrail.guard import guarded
from modeltrail.spark import LISTENER

INTERVAL_S: Final = 0.5
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
        "extraListeners": LISTENER,
        "openlineage.namespace": own.namespace,
        "openlineage.transport.type": "file",
        "openlineage.transport.location": str(Path(state) / _FILE),
    }
    for prefix, run in (("parent", own), ("rootParent", own.top)):
        conf[f"openlineage.{prefix}RunId"] = run.run_id
        conf[f"openlineage.{prefix}JobNamespace"] = run.namespace
        conf[f"openlineage.{prefix}JobName"] = run.name
    options = [f"-Dspark.{key}={value}" for key, value in conf.items()]
    # Java's system properties come after all that the program says to Spark, this class path after Spark's.
    return {
        "SPARK_SUBMIT_OPTS": " ".join([*_given(environment, "SPARK_SUBMIT_OPTS"), *map(_quoted, options)]),
        "SPARK_DIST_CLASSPATH": os.pathsep.join([*_given(environment, "SPARK_DIST_CLASSPATH"), jars]),
    }


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
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="modeltrail-spark", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Send the rest; the program is over."""
        self._ended.set()
        self._thread.join()
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
                        transports.emit(json.loads(line))
