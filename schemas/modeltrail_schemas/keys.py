"""The key of an event in a topic: the rule of the OpenLineage clients in Python and Java."""

from collections.abc import Mapping
from typing import Any


def event_key(event: Mapping[str, Any]) -> bytes:
    """All events of a root job, its runs and their children, go to one partition, in order.

    ``run:{namespace}/{name}`` of the root job, else of the parent job, else of the job; ``job:…`` and
    ``dataset:…`` for the other events. A parent facet of another shape counts as none.

    Raises:
        KeyError: The event names no job and no dataset.
        TypeError: What should be an object is none.
    """
    if "run" in event:
        kind, named = "run", _root_job(event)
    elif "dataset" in event:
        kind, named = "dataset", event["dataset"]
    else:
        kind, named = "job", event["job"]
    return f"{kind}:{named['namespace']}/{named['name']}".encode("utf-8", "backslashreplace")


def _root_job(event: Mapping[str, Any]) -> Mapping[str, Any]:
    job: Mapping[str, Any] = event["job"]
    parent = _object(_object(event["run"].get("facets")).get("parent"))
    found = _object(_object(parent.get("root") or parent).get("job"))
    return found if found.get("namespace") and found.get("name") else job


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
