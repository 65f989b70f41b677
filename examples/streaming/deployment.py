"""What an event of the topic tells of a deployment: OpenLineage's JSON, read with nothing but Python."""

import json
from typing import NamedTuple


class Deployment(NamedTuple):
    """A model version that goes to an endpoint, by its facet `modelTrail_deployment`."""

    run_id: str  # the same in all events of a deployment, and in one that is sent or read again
    action: str
    model: str
    version: str | None
    endpoint: str
    environment: str


def deployment(value: bytes | None) -> Deployment | None:
    """The deployment that an event completes; None for every other event, and for what is no event."""
    try:
        event = json.loads(value)
        facet = event["run"]["facets"]["modelTrail_deployment"]
        model, endpoint = facet["model"], facet["endpoint"]["name"]
        words = facet["action"], model["name"], model.get("version"), endpoint, facet["environment"]
        return Deployment(event["run"]["runId"], *words) if event["eventType"] == "COMPLETE" else None
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError):
        return None


def react(found: Deployment) -> None:
    """Do what is to be done: warm a cache, tell a channel, start a check. Here it is told."""
    version = found.version or "without a version"
    what = f"{found.model} {version} at {found.endpoint} in {found.environment}"
    print(f"{found.action}: {what} (run {found.run_id})", flush=True)
