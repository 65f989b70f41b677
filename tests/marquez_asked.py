"""A Marquez as a client sees it, and events for it."""

import uuid
from typing import Any
from urllib.parse import quote

import requests

TIMEOUT_S = 60  # the first events after its start take a real server seconds
FACET = {"_producer": "https://example.org/tests", "_schemaURL": "https://example.org/facet.json"}


class Client:
    """What is posted and asked; no other test uses its `namespace`, since the server is shared."""

    def __init__(self, url: str) -> None:
        self.namespace = f"test-{uuid.uuid4()}"
        self.url = url
        self._session = requests.Session()

    def close(self) -> None:
        self._session.close()

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._session.request(method, f"{self.url}/api/v1/{path}", timeout=TIMEOUT_S, **options)

    def post(self, event: dict[str, Any]) -> int:
        """The status of the answer to an event."""
        return self.request("POST", "lineage", json=event).status_code

    def send(self, *events: dict[str, Any]) -> None:
        """Events that are taken."""
        assert [201] * len(events) == [self.post(event) for event in events]

    def ask(self, *parts: str, **query: Any) -> requests.Response:
        """The answer to a path, each part of it a name."""
        return self.request("GET", "/".join(quote(part, safe="") for part in parts), params=query)

    def get(self, *parts: str, **query: Any) -> Any:
        """What is shown at a path."""
        answer = self.ask(*parts, **query)
        assert 200 == answer.status_code, answer.text
        return answer.json()

    def job(self, name: str) -> Any:
        return self.get("namespaces", self.namespace, "jobs", name)

    def jobs(self) -> set[str]:
        return {job["name"] for job in self.get("namespaces", self.namespace, "jobs")["jobs"]}

    def run(self, run_id: str) -> Any:
        return self.get("jobs", "runs", run_id)

    def dataset(self, name: str) -> Any:
        return self.get("namespaces", self.namespace, "datasets", name)

    def versions(self, name: str) -> list[Any]:
        return self.get("namespaces", self.namespace, "datasets", name, "versions")["versions"]

    def stored(self, job: str) -> list[Any]:
        """The events of a job of ours in the event store."""
        events = self.get("events", "lineage", limit=1000)["events"]
        return [
            each
            for each in events
            if (each["job"]["namespace"], each["job"]["name"]) == (self.namespace, job)
        ]

    def dataset_of(self, name: str, **facets: Any) -> dict[str, Any]:
        """A dataset of our namespace, as an event names it."""
        return {
            "namespace": self.namespace,
            "name": name,
            "facets": {k: FACET | v for k, v in facets.items()},
        }

    def event(
        self, state: str, run_id: str, second: int = 0, job: Any = "job", **more: Any
    ) -> dict[str, Any]:
        """A RunEvent, so many seconds after ten o'clock; a job is a name or whole."""
        return {
            "eventType": state,
            "eventTime": f"2026-11-23T10:00:{second:02}+00:00",
            "producer": "https://example.org/tests",
            "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
            "run": {"runId": run_id, "facets": {}},
            "job": job if isinstance(job, dict) else {"namespace": self.namespace, "name": job, "facets": {}},
            "inputs": [],
            "outputs": [],
            **more,
        }

    def told(self, kind: str, **parts: Any) -> dict[str, Any]:
        """A JobEvent or a DatasetEvent."""
        event = self.event("", "")
        for key in ("eventType", "run", "job", "inputs", "outputs"):
            del event[key]
        return {**event, "schemaURL": event["schemaURL"].replace("RunEvent", kind), **parts}


def new_run() -> str:
    return str(uuid.uuid4())


def run_with(run_id: str, **facets: Any) -> dict[str, Any]:
    """The run of an event, with facets."""
    return {"runId": run_id, "facets": {key: FACET | facet for key, facet in facets.items()}}


def parent_of(run_id: str, namespace: str, name: str) -> dict[str, Any]:
    """A parent facet."""
    return {"run": {"runId": run_id}, "job": {"namespace": namespace, "name": name}}
