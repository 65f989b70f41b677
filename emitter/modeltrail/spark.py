"""What the Spark session of this process says: its application's run, and the parent it was given.

pyspark is never imported here: where a session is, it is there.
"""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

LISTENER: Final = "io.openlineage.spark.agent.OpenLineageSparkListener"
PATIENCE_S: Final = 2.0
"""So long the listener may take to hear that its application has started: it hears of it a moment later."""

_silent: set[str] = set()
"""Applications whose listener did not hear in time, as one that could not start: they are waited for once."""


def session() -> Any:
    """The active session; None where there is none."""
    sql: Any = sys.modules.get("pyspark.sql")
    return sql.SparkSession.getActiveSession() if sql else None


def conf(active: Any) -> Callable[[str], str | None]:
    """What looks a key up in a session's configuration."""
    get: Callable[[str], str | None] = active.sparkContext.getConf().get
    return get


def qualified(path: str) -> str:
    """A path as Spark's file system understands it, with scheme and host; as it is without a session."""
    if (active := session()) is None:
        return path
    context = active.sparkContext
    place = context._jvm.org.apache.hadoop.fs.Path(path)  # noqa: SLF001  pyspark's own way
    system = place.getFileSystem(context._jsc.hadoopConfiguration())  # noqa: SLF001
    return str(system.makeQualified(place).toString())


def application(active: Any) -> Mapping[str, str | None] | None:
    """The application's run as OpenLineage's listener tells of it; None where that does not listen.

    Keys: `run_id`, `namespace`, `name`, and `root_run_id`, `root_namespace`, `root_name`, which are None
    where the application is the root. The name is the listener's, not the one that the program gave; it is in
    no configuration, so that the listener's own objects are asked (openlineage-spark 1.53).
    """
    context, get = getattr(active, "sparkContext", None), conf(active)
    if context is None or LISTENER not in (get("spark.extraListeners") or ""):
        return None
    if (get("spark.openlineage.disabled") or "").lower() == "true":
        return None
    ends = time.monotonic() + (0 if context.applicationId in _silent else PATIENCE_S)
    while (emitter := _emitter(context)) is None:
        if time.monotonic() > ends:
            _silent.add(context.applicationId)
            return None
        time.sleep(0.02)
    above = "RootParent" if emitter.getRootParentRunId().isPresent() else "Parent"  # as its events have it
    root = {
        key: getattr(emitter, f"get{above}{part}")()
        for key, part in (("run_id", "RunId"), ("namespace", "JobNamespace"), ("name", "JobName"))
    }
    found = {
        "run_id": emitter.getApplicationRunId(),
        "namespace": emitter.getJobNamespace(),
        "name": emitter.getApplicationJobName(),
        **{f"root_{key}": java.get() if java.isPresent() else None for key, java in root.items()},
    }
    return {key: None if value is None else str(value) for key, value in found.items()}


def _emitter(context: Any) -> Any:
    """The listener's emitter; None until it has heard of the application's start."""
    for listener in context._jsc.sc().listenerBus().listeners().toArray():  # noqa: SLF001  pyspark's own way
        if listener.getClass().getName() == LISTENER:
            factory = _field(listener, "contextFactory")
            return None if factory is None else _field(factory, "openLineageEventEmitter")
    return None


def _field(java: Any, name: str) -> Any:
    field = java.getClass().getDeclaredField(name)
    field.setAccessible(True)
    return field.get(java)
